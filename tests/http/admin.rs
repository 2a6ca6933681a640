//! What changes what is kept: imports and erasings.

use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use bytes::Bytes;
use futures_util::{FutureExt as _, stream};
use reminder_worker::domain::Timestamp;
use reminder_worker::store::sled::Erased;
use serde_json::{Value, json};

use crate::fixture::{Answer, Worker, created, deliver, from_now, get, post, send, worker, worker_with};

const EVENTS: &str = "/events/task-events";
const IMPORT: &str = "/api/v1/import";
const NDJSON: &str = "application/x-ndjson";
/// The longest line of an import.
const LINE_MAX: usize = 4 * 1024 * 1024 + 64 * 1024;

async fn import_at(worker: &Worker, query: &str, body: impl Into<Body>) -> Answer {
    let request = Request::post(format!("{IMPORT}{query}")).header("content-type", NDJSON);
    send(&worker.ops, request.body(body.into()).unwrap()).await
}

async fn import(worker: &Worker, body: impl Into<Body>) -> Value {
    let answer = import_at(worker, "", body).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.json()
}

/// A bare event as a file of them has it: a task of ann's, created a day ago.
fn old(task: &str, due: &str) -> String {
    json!({
        "event_type": "task_created", "timestamp": from_now(-86_000),
        "payload": {"task_id": task, "user_id": "ann", "due_date": due},
    })
    .to_string()
}

async fn state(worker: &Worker, task: &str) -> Value {
    let shown = get(&worker.ops, &format!("/api/v1/tasks/{task}")).await.json();
    json!([shown["reminders"][0]["state"], shown["reminders"][0]["reason"]])
}

async fn erase(worker: &Worker, user: &str) -> Answer {
    let request = Request::delete(format!("/api/v1/users/{user}")).body(Body::empty()).unwrap();
    send(&worker.ops, request).await
}

#[tokio::test]
async fn an_import_tells_what_became_of_every_line_and_is_durable() {
    let worker = worker();
    let wrapped = created("w", Some(&from_now(3600)), &json!({"priority": "hgh"})).to_string();
    let (past, ahead) = (old("past", &from_now(-60)), old("ahead", &from_now(3600)));
    let body = format!(
        "{past}\r\n{ahead}\n\n{ahead}\nno json\n{wrapped}\n\"\"\n{{\"event_type\":\"task_craeted\"}}"
    );
    let mut report = import(&worker, body).await;
    let arrived = report["arrived_at"].take();
    assert!(arrived.as_str().unwrap() <= from_now(0).as_str());
    let refusals = report["refusals"].take();
    let [ignored, left_out] = ["ignored_lines", "left_out_parts"].map(|key| report[key].take());
    assert_eq!((ignored.as_array().unwrap().len(), &ignored[0]["line"]), (1, &json!(8)));
    assert!(ignored[0]["reason"].as_str().unwrap().contains("`task_craeted` is no kind"), "{ignored}");
    assert_eq!(left_out.as_array().unwrap().len(), 1);
    assert_eq!((&left_out[0]["line"], &left_out[0]["key"]), (&json!(6), &json!("priority")));
    assert!(left_out[0]["reason"].as_str().unwrap().contains("write HIGH, MEDIUM or LOW"), "{left_out}");
    assert_eq!(
        report,
        json!({
            "arrived_at": null, "lines": 7, "applied": 3, "duplicate": 1, "stale": 0, "ignored": 1, "refused": 2,
            "ignored_lines": null, "left_out": 1, "left_out_parts": null, "refusals": null, "planned": 3, "past": 1,
        })
    );
    let told: Vec<_> = refusals.as_array().unwrap().iter().map(|r| (&r["line"], &r["code"])).collect();
    assert_eq!(told, [(&json!(5), &json!("not_json")), (&json!(7), &json!("empty"))]);
    assert_eq!(state(&worker, "past").await, json!(["expired", "it was past when it was imported"]));
    assert_eq!(state(&worker, "ahead").await, json!(["pending", null]));
    let stats = get(&worker.ops, "/api/v1/stats").await.json();
    assert_eq!(
        stats["events"],
        json!({"received": 5, "applied": 3, "duplicate": 1, "stale": 0, "ignored": 1, "quarantined": 0}),
        "what is refused is told and not received"
    );
}

#[tokio::test]
async fn an_import_of_many_lines_comes_in_parts_of_any_size_and_again_is_all_duplicates() {
    let worker = worker();
    let due = from_now(3600);
    let text: String = (0..300).map(|n| old(&n.to_string(), &due) + "\n").collect();
    for (key, size) in [("applied", 7), ("duplicate", 100_000)] {
        let parts: Vec<_> = text
            .as_bytes()
            .chunks(size)
            .map(|part| Ok::<_, std::io::Error>(Bytes::copy_from_slice(part)))
            .collect();
        let report = import(&worker, Body::from_stream(stream::iter(parts))).await;
        assert_eq!((&report["lines"], &report[key]), (&json!(300), &json!(300)));
    }
    let stats = get(&worker.ops, "/api/v1/stats").await.json();
    assert_eq!(stats["reminders"]["pending"], 300);
}

#[tokio::test]
async fn bad_lines_are_told_in_clear_words_and_the_rest_goes_on() {
    let worker = worker();
    let good = old("t", &from_now(3600));
    let pad = |length: usize| vec![b' '; length - good.len()];
    let mut body = b"\xff\xfe\n[]\n".to_vec();
    for line in [&pad(LINE_MAX)[..], &pad(LINE_MAX + 1)] {
        body.extend_from_slice(good.as_bytes());
        body.extend_from_slice(line);
        body.push(b'\n');
    }
    body.extend_from_slice(good.as_bytes());
    let report = import(&worker, body).await;
    let codes: Vec<_> = report["refusals"].as_array().unwrap().iter().map(|r| r["code"].clone()).collect();
    assert_eq!(codes, ["not_utf8", "not_an_object", "too_large"]);
    assert_eq!(
        (&report["applied"], &report["duplicate"]),
        (&json!(1), &json!(1)),
        "a line on the bound is taken"
    );
    assert_eq!(import(&worker, "").await["lines"], 0);
}

#[tokio::test]
async fn a_connection_that_breaks_off_leaves_what_was_taken() {
    let worker = worker();
    let due = from_now(3600);
    let text: String = (0..200).map(|n| old(&n.to_string(), &due) + "\n").collect();
    let parts = [Ok(Bytes::from(text)), Err(std::io::Error::other("gone"))];
    let answer = import_at(&worker, "", Body::from_stream(stream::iter(parts))).await;
    answer.is_problem(400);
    assert!(answer.json()["detail"].as_str().unwrap().contains("128 lines are taken"), "{answer:?}");
    assert_eq!(get(&worker.ops, "/api/v1/stats").await.json()["reminders"]["pending"], 128);
}

#[tokio::test]
async fn an_import_ends_when_the_worker_stops() {
    let worker = worker();
    worker.shutdown.stop();
    let endless = Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let answer = import_at(&worker, "", endless).await;
    answer.is_problem(503);
    assert!(answer.retry_after.is_some());
}

#[tokio::test]
async fn two_imports_go_at_once_and_a_third_waits_for_its_turn() {
    let worker = worker();
    let endless = || Body::from_stream(stream::pending::<Result<Bytes, std::io::Error>>());
    let mut first = Box::pin(import_at(&worker, "", endless()));
    let mut second = Box::pin(import_at(&worker, "", endless()));
    assert!(first.as_mut().now_or_never().is_none());
    assert_eq!(import_at(&worker, "", "").now_or_never().unwrap().status, 200, "there is a second place");
    assert!(second.as_mut().now_or_never().is_none());
    let mut third = Box::pin(import_at(&worker, "", ""));
    assert!(third.as_mut().now_or_never().is_none());
    drop(first);
    assert_eq!(third.await.status, 200);
}

#[tokio::test]
async fn a_later_part_has_the_arrival_of_the_first_and_none_comes_from_the_future() {
    let worker = worker();
    let minute_ago = from_now(-60);
    let query = format!("?arrived_at={minute_ago}");
    let report = import_at(&worker, &query, old("since", &from_now(-30))).await.json();
    assert_eq!((&report["arrived_at"], &report["past"]), (&json!(minute_ago), &json!(0)));
    assert_eq!(state(&worker, "since").await, json!(["pending", null]));
    let query = format!("?arrived_at={}", from_now(3600));
    let report = import_at(&worker, &query, old("ahead", &from_now(1800))).await.json();
    assert_eq!(report["past"], 0);
    import_at(&worker, "?arrived_at=yesterday", "").await.is_problem(400);
    import_at(&worker, "?at=2026-11-24T09:00:00Z", "").await.is_problem(400);
}

#[tokio::test]
async fn an_import_is_plain_ndjson_shows_the_token_and_comes_to_the_ops_listener() {
    let worker = worker();
    post(&worker.ops, IMPORT, "").await.is_problem(415);
    import_at(&worker, "", &b"\x1f\x8b\x08"[..]).await.is_problem(415);
    get(&worker.ops, IMPORT).await.is_problem(405);
    let request = Request::post(IMPORT).header("content-type", NDJSON).body(Body::empty()).unwrap();
    send(&worker.app, request).await.is_problem(404);
    let request = Request::delete("/api/v1/users/ann").body(Body::empty()).unwrap();
    send(&worker.app, request).await.is_problem(404);
    let guarded = worker_with(|_| {}, Some("s3cret"));
    import_at(&guarded, "", "").await.is_problem(401);
    erase(&guarded, "ann").await.is_problem(401);
}

#[tokio::test]
async fn all_that_is_kept_of_a_user_is_erased_and_nothing_of_others() {
    let worker = worker();
    for (task, user) in [("a", "ann"), ("b", "ann"), ("c", "bob")] {
        let event = created(task, Some(&from_now(3600)), &json!({"user_id": user}));
        deliver(&worker.app, EVENTS, event.to_string()).await;
        let update = json!({"event_type": "task_completed", "payload": {"task_id": task}}).to_string();
        assert_eq!(post(&worker.app, &format!("/api/tasks/{task}/events"), update).await.status, 202);
    }
    let unknown =
        json!({"event_type": "task_created", "payload": {"task_id": "d", "user_id": "ann", "title": "x"}});
    assert_eq!(post(&worker.app, "/api/tasks/d/events", unknown.to_string()).await.status, 202);
    let bad = |task: &str, user: Option<&str>| json!({"event_type": "task_created", "payload": {"task_id": task, "user_id": user, "due_date": "soon"}});
    for body in [bad("e", Some("ann")), bad("a", None), bad("c", Some("bob"))] {
        deliver(&worker.app, EVENTS, body.to_string()).await;
    }
    deliver(&worker.app, EVENTS, "{\"user_id\": \"ann\"").await;

    let wish =
        Request::patch("/api/v1/users/ann/preferences").body(Body::from(r#"{"mute": false}"#)).unwrap();
    assert_eq!(send(&worker.ops, wish).await.status, 200);

    let report = erase(&worker, "ann").await.json();
    let told = json!({
        "tasks": 2, "reminders_cancelled": 2, "in_flight": 0, "preferences": 1, "quarantined": 3, "outbox": 3, "unreadable": 0,
    });
    assert_eq!(report, told);
    get(&worker.ops, "/api/v1/tasks/a").await.is_problem(404);
    assert_eq!(get(&worker.ops, "/api/v1/tasks/c").await.status, 200);
    let outbox = get(&worker.ops, "/api/v1/outbox").await.json();
    let left: Vec<_> = outbox["outbox"].as_array().unwrap().iter().map(|e| e["task_id"].clone()).collect();
    assert_eq!(left, ["c"]);
    let codes = async || {
        let page = get(&worker.ops, "/api/v1/quarantine").await.json();
        page["quarantine"].as_array().unwrap().iter().map(|e| e["code"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(codes().await, ["erased", "erased", "due_unreadable", "erased"]);
    let emptied = get(&worker.ops, "/api/v1/quarantine/0").await.json();
    assert_eq!((&emptied["body"], &emptied["length"]), (&json!(""), &json!(0)));
    let stats = get(&worker.ops, "/api/v1/stats").await.json();
    assert_eq!(
        stats["reminders"],
        json!({"planned": 3, "pending": 1, "published": 0, "cancelled": 2, "superseded": 0, "expired": 0})
    );
    let nothing = json!({
        "tasks": 0, "reminders_cancelled": 0, "in_flight": 0, "preferences": 0, "quarantined": 0, "outbox": 0, "unreadable": 0,
    });
    assert_eq!(erase(&worker, "ann").await.json(), nothing);
    assert_eq!(erase(&worker, "a%2Fb%20c").await.json(), nothing);
}

/// A worker with a task of ann's.
async fn worker_of_ann() -> Worker {
    let worker = worker();
    let event = created("a", Some(&from_now(3600)), &json!({"user_id": "ann"}));
    deliver(&worker.app, EVENTS, event.to_string()).await;
    worker
}

#[tokio::test]
async fn an_erasing_that_a_stop_breaks_off_is_left_to_the_next_start() {
    let worker = worker_of_ann().await;
    worker.shutdown.stop();
    let told = erase(&worker, "ann").await;
    told.is_problem(503);
    assert!(told.json()["detail"].as_str().unwrap().contains("next start"), "{told:?}");
    let due = worker.shelf.to_erase(None).unwrap();
    assert_eq!(due, [Erased { user: "ann".into(), unfinished: true }]);
}

#[tokio::test]
async fn an_erasing_goes_on_when_whoever_asked_goes_away() {
    let worker = worker_of_ann().await;
    assert!(erase(&worker, "ann").now_or_never().is_none(), "it has begun");
    let ended = async {
        while get(&worker.ops, "/api/v1/tasks/a").await.status != 404
            || worker.shelf.to_erase(Some(Timestamp::MIN)).unwrap()
                != [Erased { user: "ann".into(), unfinished: false }]
        {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_secs(30), ended).await.expect("it ends and is noted");
}
