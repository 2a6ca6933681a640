//! The ops listener: probes, metrics and the API.

use std::collections::BTreeSet;

use axum::body::Body;
use axum::http::Request;
use futures_util::{FutureExt as _, StreamExt as _};
use reminder_worker::domain::decide::Attempt;
use reminder_worker::writer::Settlement;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::fixture::{Worker, created, deliver, from_now, get, post, send, worker, worker_with, wrapped};

const EVENTS: &str = "/events/task-events";

fn keys(value: &Value) -> BTreeSet<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

/// Tasks `0`, `1`, … due so many seconds from now, of users `u-0` and `u-1` in turn.
async fn with_tasks(seconds: &[i64]) -> Worker {
    let worker = worker();
    for (n, seconds) in seconds.iter().enumerate() {
        let user = json!({"user_id": format!("u-{}", n % 2)});
        let event = created(&n.to_string(), Some(&from_now(*seconds)), &user);
        deliver(&worker.app, EVENTS, event.to_string()).await;
    }
    worker
}

async fn tasks_of(worker: &Worker, query: &str) -> Vec<String> {
    let page = get(&worker.ops, &format!("/api/v1/reminders{query}")).await.json();
    let reminders = page["reminders"].as_array().unwrap_or_else(|| panic!("{page}"));
    reminders.iter().map(|r| r["task_id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_task_is_shown_with_exactly_the_promised_fields() {
    let worker = worker();
    let due = from_now(3600);
    let event = created("t-1", Some(&due), &json!({"priority": "HIGH", "timezone": "Europe/Berlin"}));
    deliver(&worker.app, EVENTS, event.to_string()).await;
    let task = get(&worker.ops, "/api/v1/tasks/t-1").await.json();
    assert_eq!(
        keys(&task),
        ["task_id", "user_id", "title", "priority", "status", "due_at", "timezone", "reminders"].into()
    );
    let reminder = &task["reminders"][0];
    assert_eq!(
        keys(reminder),
        [
            "reminder_id",
            "event_id",
            "occurrence",
            "rule",
            "fire_at",
            "state",
            "published_at",
            "late_by_ms",
            "reason",
        ]
        .into()
    );
    assert_eq!(reminder["reminder_id"], reminder["event_id"]);
    for (key, value) in [
        ("occurrence", json!(due)),
        ("rule", json!("offset:0")),
        ("fire_at", json!(due)),
        ("state", json!("pending")),
        ("published_at", Value::Null),
        ("late_by_ms", Value::Null),
        ("reason", Value::Null),
    ] {
        assert_eq!(reminder[key], value, "{key}");
    }
    for (key, value) in
        [("priority", "HIGH"), ("status", "TODO"), ("timezone", "Europe/Berlin"), ("user_id", "u-1")]
    {
        assert_eq!(task[key], value, "{key}");
    }
}

#[tokio::test]
async fn a_deleted_task_says_so_and_keeps_its_reminders() {
    let worker = with_tasks(&[3600]).await;
    let event = json!({"event_type": "task_deleted", "timestamp": from_now(1), "payload": {"task_id": "0"}});
    deliver(&worker.app, EVENTS, wrapped(&event).to_string()).await;
    let task = get(&worker.ops, "/api/v1/tasks/0").await.json();
    assert_eq!((&task["status"], &task["due_at"]), (&json!("DELETED"), &Value::Null));
    assert_eq!(task["reminders"][0]["state"], "cancelled");
}

#[tokio::test]
async fn received_and_planned_are_the_sums_of_the_rest() {
    let worker = with_tasks(&[3600, 7200, -3600]).await;
    deliver(&worker.app, EVENTS, "{}").await;
    let stats = get(&worker.ops, "/api/v1/stats").await.json();
    assert_eq!(
        stats,
        json!({
            "events": {"received": 4, "applied": 3, "duplicate": 0, "stale": 0, "ignored": 0, "quarantined": 1},
            "reminders": {"planned": 3, "pending": 2, "published": 0, "cancelled": 0, "superseded": 0, "expired": 1},
            "firing": {"paused": false, "since": null, "reason": null},
            "held_back": 0,
            "alarms": {"counters": [], "foreign_worker": null},
        })
    );
}

#[tokio::test]
async fn reminders_are_listed_in_the_order_of_their_instants_whatever_their_state() {
    let worker = with_tasks(&[300, -300, 100, 200]).await;
    for (query, tasks) in [
        ("", &["1", "2", "3", "0"][..]),
        ("?state=pending", &["2", "3", "0"]),
        ("?state=expired", &["1"]),
        ("?state=published", &[]),
        ("?user=u-0", &["2", "0"]),
        ("?user=u-1&state=pending", &["3"]),
        (&format!("?from={}", from_now(0)), &["2", "3", "0"]),
        (&format!("?to={}", from_now(0)), &["1"]),
        (&format!("?from={}&to={}", from_now(150), from_now(250)), &["3"]),
        ("?limit=2", &["1", "2"]),
    ] {
        assert_eq!(tasks_of(&worker, query).await, tasks, "{query}");
    }
}

#[tokio::test]
async fn pages_of_any_size_make_the_same_list() {
    let worker = with_tasks(&[300, -300, 100, 200, -100, 100]).await;
    let whole = tasks_of(&worker, "").await;
    assert_eq!(whole.len(), 6);
    for limit in 1..=7 {
        let mut found = Vec::new();
        let mut after = String::new();
        loop {
            let page = get(&worker.ops, &format!("/api/v1/reminders?limit={limit}{after}")).await.json();
            let reminders = page["reminders"].as_array().unwrap();
            assert!(reminders.len() <= limit);
            found.extend(reminders.iter().map(|r| r["task_id"].as_str().unwrap().to_owned()));
            let Some(next) = page["next"].as_str() else { break };
            after = format!("&after={next}");
        }
        assert_eq!(found, whole, "pages of {limit}");
    }
}

#[tokio::test]
async fn a_reminder_that_was_put_off_is_listed_by_the_instant_it_was_planned_for() {
    let worker = with_tasks(&[1]).await;
    let deadline = worker.clock.monotonic() + std::time::Duration::from_secs(10);
    let batch = loop {
        if let Some(batch) = worker.writer.claim(10).await.unwrap() {
            break batch;
        }
        assert!(worker.clock.monotonic() < deadline);
        worker.clock.sleep(std::time::Duration::from_millis(20)).await;
    };
    let claimed = &batch.reminders[0];
    let attempt = Attempt::Failed("the broker is away".into());
    let settlement = Settlement { task_id: claimed.task_id.clone(), id: claimed.id, within: None, attempt };
    worker.writer.settle(batch.number, vec![settlement]).await.unwrap();
    let fire_at = claimed.reminder.fire_at;
    let after = fire_at.plus(std::time::Duration::from_millis(1));
    assert_eq!(tasks_of(&worker, &format!("?from={fire_at}&to={after}")).await, ["0"]);
    assert!(tasks_of(&worker, &format!("?from={after}")).await.is_empty());
    assert!(tasks_of(&worker, &format!("?to={fire_at}")).await.is_empty());
}

#[tokio::test]
async fn a_filter_that_matches_nothing_does_not_read_the_whole_store_at_once() {
    /// Sixteen steps of 256 index entries.
    const SCAN_MAX: usize = 16 * 256;
    let worker = worker();
    let due = from_now(3600);
    let tasks: Vec<usize> = (0..=SCAN_MAX).collect();
    for some in tasks.chunks(128) {
        let entry = |n: &usize| json!({"entryId": n.to_string(), "event": created(&n.to_string(), Some(&due), &json!({}))});
        let batch = json!({"entries": some.iter().map(entry).collect::<Vec<_>>()});
        assert_eq!(post(&worker.app, EVENTS, batch.to_string()).await.status, 200);
    }
    let first = get(&worker.ops, "/api/v1/reminders?user=nobody").await.json();
    assert_eq!(first["reminders"], json!([]));
    let next = first["next"].as_str().unwrap();
    let second = get(&worker.ops, &format!("/api/v1/reminders?user=nobody&after={next}")).await.json();
    assert_eq!((&second["reminders"], &second["next"]), (&json!([]), &Value::Null));
    assert_eq!(keys(&second), ["now", "reminders", "next"].into());
}

#[tokio::test]
async fn two_walks_through_the_list_go_on_at_once_and_a_third_one_waits() {
    let worker = with_tasks(&[3600]).await;
    let mut walks: Vec<_> = (0..3).map(|_| Box::pin(get(&worker.ops, "/api/v1/reminders"))).collect();
    for walk in &mut walks {
        assert!(walk.now_or_never().is_none());
    }
    // Whatever was asked before this has been read when it is answered.
    get(&worker.ops, "/api/v1/stats").await.json();
    let mut third = walks.remove(2);
    assert!((&mut third).now_or_never().is_none());
    for walk in walks {
        assert_eq!(walk.await.status, 200);
    }
    assert_eq!(third.await.status, 200);
}

#[tokio::test]
async fn a_question_that_is_not_understood_is_a_problem_and_never_an_unfiltered_list() {
    let worker = worker();
    for query in [
        "?state=done",
        "?status=pending",
        "?from=yesterday",
        "?to=2026-11-24",
        "?limit=0",
        "?limit=1001",
        "?limit=x",
        "?after=x",
    ] {
        get(&worker.ops, &format!("/api/v1/reminders{query}")).await.is_problem(400);
    }
    let told = get(&worker.ops, "/api/v1/reminders?limit=0").await.json();
    assert_eq!(told["detail"], "limit: limit=0 is not allowed; use a number from 1 to 1000");
    get(&worker.ops, "/api/v1/quarantine?state=x").await.is_problem(400);
    get(&worker.ops, "/api/v1/tasks/%FF").await.is_problem(400);
    assert_eq!(get(&worker.ops, "/api/v1/reminders?limit=1000").await.status, 200);
    for path in
        ["/api/v1/tasks/none", "/api/v1/quarantine/7", "/api/v1/quarantine/x", "/api/v1/nothing", "/nothing"]
    {
        get(&worker.ops, path).await.is_problem(404);
    }
    let post = Request::post("/api/v1/stats").body(Body::empty()).unwrap();
    send(&worker.ops, post).await.is_problem(405);
}

#[tokio::test]
async fn a_quarantined_body_is_shown_as_text_or_else_in_base64() {
    let worker = worker();
    for body in [&b"{"[..], b"\xff", b"{}"] {
        deliver(&worker.app, EVENTS, body).await;
    }
    let first = get(&worker.ops, "/api/v1/quarantine?limit=2").await.json();
    let second =
        get(&worker.ops, &format!("/api/v1/quarantine?limit=2&after={}", first["next"])).await.json();
    let numbers: Vec<_> = [&first, &second]
        .iter()
        .flat_map(|page| page["quarantine"].as_array().unwrap())
        .map(|entry| entry["number"].as_u64().unwrap())
        .collect();
    assert_eq!((numbers.len(), &second["next"]), (3, &Value::Null));
    let whole = get(&worker.ops, &format!("/api/v1/quarantine/{}", numbers[0])).await.json();
    assert_eq!(
        (&whole["body"], &whole["body_base64"], &whole["length"]),
        (&json!("{"), &Value::Null, &json!(1))
    );
    assert_eq!((&whole["topic"], &whole["code"]), (&json!("task-events"), &json!("not_json")));
    let whole = get(&worker.ops, &format!("/api/v1/quarantine/{}", numbers[1])).await.json();
    assert_eq!((&whole["body"], &whole["body_base64"]), (&Value::Null, &json!("/w==")));
}

#[tokio::test]
async fn the_api_demands_its_token_and_probes_and_metrics_do_not() {
    let worker = worker_with(|_| {}, Some("s3cret"));
    for path in [
        "/api/v1/stats",
        "/api/v1/tasks/1",
        "/api/v1/reminders",
        "/api/v1/reminders/stream",
        "/api/v1/outbox",
    ] {
        get(&worker.ops, path).await.is_problem(401);
    }
    let right =
        Request::get("/api/v1/stats").header("authorization", "Bearer s3cret").body(Body::empty()).unwrap();
    assert_eq!(send(&worker.ops, right).await.status, 200);
    assert_eq!(get(&worker.ops, "/livez").await.status, 200);
    assert_eq!(get(&worker.ops, "/readyz").await.status, 503);
    let metrics = get(&worker.ops, "/metrics").await;
    assert!(String::from_utf8_lossy(&metrics.body).contains("reminder_worker_build_info"));
    get(&worker.ops, "/nothing").await.is_problem(404);
}

#[tokio::test]
async fn the_stream_tells_reminders_as_they_come_back_and_ends_with_the_worker() {
    let worker = worker();
    let request = Request::get("/api/v1/reminders/stream").body(Body::empty()).unwrap();
    let response = worker.ops.clone().oneshot(request).await.unwrap();
    assert_eq!(response.headers()["content-type"], "text/event-stream");
    let id = "8f1d5b0e-2a67-5c3b-9d41-6e0b7c52a419";
    let event = json!({"event_id": id, "event_type": "reminder_due", "payload": {"task_id": "t-1", "title": "a\r\nb"}});
    // White space as a producer may write it: none of it may break the stream's lines.
    let body = format!("{{\r\n\"specversion\":\"1.0\",\"id\":\"{id}\",\"data\":{event}\r\n}}");
    deliver(&worker.app, "/events/reminders", body).await;
    let mut chunks = response.into_body().into_data_stream();
    let text = String::from_utf8(chunks.next().await.unwrap().unwrap().to_vec()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..2], ["event: reminder_due", &format!("id: {id}")]);
    let told: Value = serde_json::from_str(lines[2].strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(told["event"]["data"], event);
    worker.shutdown.stop();
    assert!(chunks.next().await.is_none());
}

#[tokio::test]
async fn a_digest_is_told_once_on_the_stream_as_what_it_is() {
    let worker = worker();
    let request = Request::get("/api/v1/reminders/stream").body(Body::empty()).unwrap();
    let mut chunks = worker.ops.clone().oneshot(request).await.unwrap().into_body().into_data_stream();
    let [digest, due] = ["0d9b3f3e-7c1a-5f7e-8a52-3f6a1d1b9c77", "8f1d5b0e-2a67-5c3b-9d41-6e0b7c52a419"];
    let items = ["t-1", "t-2"].map(|task| json!({"task_id": task, "title": "x", "reminder_id": due}));
    let event =
        wrapped(&json!({"event_id": digest, "event_type": "reminder_digest", "producer": "reminder-worker",
        "payload": {"digest_id": digest, "user_id": "ann", "items": items}}));
    deliver(&worker.app, "/events/reminders", event.to_string()).await;
    let single = json!({"event_id": due, "event_type": "reminder_due", "payload": {"task_id": "t-1"}});
    deliver(&worker.app, "/events/reminders", single.to_string()).await;
    let mut text = String::new();
    while text.matches("\n\n").count() < 2 {
        text.push_str(std::str::from_utf8(&chunks.next().await.unwrap().unwrap()).unwrap());
    }
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[..2], ["event: reminder_digest", &format!("id: {digest}")]);
    let told: Value = serde_json::from_str(lines[2].strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(keys(&told), ["digest_id", "received_at", "event"].into());
    assert_eq!((&told["digest_id"], &told["event"]), (&json!(digest), &event));
    assert_eq!(
        lines[4..6],
        ["event: reminder_due", &format!("id: {due}")],
        "and nothing for each that is in it"
    );
}

#[tokio::test]
async fn a_slow_reader_is_dropped_and_a_crowd_is_bounded() {
    const READERS_MAX: usize = 64;
    const BEHIND_MAX: usize = 1024;
    let worker = worker();
    let request = || Request::get("/api/v1/reminders/stream").body(Body::empty()).unwrap();
    let mut readers = Vec::new();
    for _ in 0..READERS_MAX {
        readers.push(worker.ops.clone().oneshot(request()).await.unwrap());
    }
    send(&worker.ops, request()).await.is_problem(503);
    let slow = readers.pop().unwrap();
    drop(readers);
    let id = "8f1d5b0e-2a67-5c3b-9d41-6e0b7c52a419";
    let event =
        json!({"event_id": id, "event_type": "reminder_due", "payload": {"task_id": "t-1"}}).to_string();
    for _ in 0..=BEHIND_MAX {
        deliver(&worker.app, "/events/reminders", event.clone()).await;
    }
    assert!(slow.into_body().into_data_stream().next().await.is_none(), "one more than it may be behind by");
    assert_eq!(worker.ops.clone().oneshot(request()).await.unwrap().status(), 200, "places are free again");
}

#[tokio::test]
async fn reminders_are_paused_and_go_on_and_the_statistics_say_so() {
    let worker = worker();
    let reason = json!({"reason": "a migration"}).to_string();
    let paused = post(&worker.ops, "/api/v1/pause", reason).await.json();
    assert_eq!(keys(&paused), ["paused", "since", "reason"].into());
    assert_eq!((&paused["paused"], &paused["reason"]), (&json!(true), &json!("a migration")));
    let again = post(&worker.ops, "/api/v1/pause", "").await.json();
    assert_eq!(again, paused, "the first keeps its instant");
    assert_eq!(get(&worker.ops, "/api/v1/stats").await.json()["firing"], paused);
    deliver(
        &worker.app,
        EVENTS,
        created("t", Some(&from_now(-1)), &json!({"remind_at": from_now(0)})).to_string(),
    )
    .await;
    assert!(worker.writer.claim(9).await.unwrap().is_none());

    let on = post(&worker.ops, "/api/v1/resume", "").await.json();
    let since = paused["since"].clone();
    assert_eq!(on, json!({"paused": false, "since": null, "reason": null, "paused_since": since}));
    let on = post(&worker.ops, "/api/v1/resume", "").await.json();
    assert_eq!(on["paused_since"], Value::Null);
    assert_eq!(get(&worker.ops, "/api/v1/stats").await.json()["firing"]["paused"], json!(false));
}

#[tokio::test]
async fn a_pause_that_is_not_understood_pauses_nothing_and_no_app_may_pause() {
    let worker = worker_with(|_| {}, None);
    for body in ["{", "[]", r#"{"why": "x"}"#, r#"{"reason": 7}"#] {
        post(&worker.ops, "/api/v1/pause", body).await.is_problem(400);
    }
    post(&worker.ops, "/api/v1/pause", " ".repeat(4_097)).await.is_problem(413);
    get(&worker.ops, "/api/v1/pause").await.is_problem(405);
    for path in ["/api/v1/pause", "/api/v1/resume"] {
        assert_ne!(post(&worker.app, path, "").await.content_type, "application/json", "{path}");
    }
    assert_eq!(get(&worker.ops, "/api/v1/stats").await.json()["firing"]["paused"], json!(false));
    let on_the_bound = format!("{}{}", r#"{"reason": "x"}"#, " ".repeat(4_096 - 15));
    assert_eq!(post(&worker.ops, "/api/v1/pause", on_the_bound).await.status, 200);
    let guarded = worker_with(|_| {}, Some("s3cret"));
    for path in ["/api/v1/pause", "/api/v1/resume"] {
        post(&guarded.ops, path, "").await.is_problem(401);
    }
}
