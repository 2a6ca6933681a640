//! The app listener: what daprd asks, what it delivers, and the publishing API.

use axum::body::Body;
use axum::http::Request;
use futures_util::{FutureExt as _, stream};
use reminder_worker::dapr::outbox_event;
use reminder_worker::domain::{TaskId, Timestamp};
use serde_json::{Value, json};

use crate::fixture::{Worker, created, deliver, from_now, get, post, send, worker, worker_with, wrapped};

const EVENTS: &str = "/events/task-events";
const UPDATES: &str = "/events/task-updates";
const REMINDERS: &str = "/events/reminders";
/// The largest single event taken, and the largest accepted for publishing.
const EVENT_MAX: usize = 4 * 1024 * 1024 + 64 * 1024;
const ACCEPTED_MAX: usize = 900 * 1024;
/// The largest CloudEvent made of what was accepted.
const SENT_MAX: usize = 1000 * 1024;
/// How much of a body that is too large is kept.
const OVERSIZED_KEPT: usize = 16 * 1024;

async fn events(worker: &Worker) -> Value {
    get(&worker.ops, "/api/v1/stats").await.json()["events"].clone()
}

async fn quarantined(worker: &Worker) -> Vec<String> {
    let page = get(&worker.ops, "/api/v1/quarantine").await.json();
    let entries = page["quarantine"].as_array().unwrap();
    entries.iter().map(|entry| entry["code"].as_str().unwrap().to_owned()).collect()
}

fn update(task: &str, due: &str) -> Value {
    wrapped(&json!({
        "event_type": "task_updated", "timestamp": from_now(0),
        "payload": {"task_id": task, "changed_fields": ["due_date"], "changes": {"due_date": {"old": null, "new": due}}},
    }))
}

#[tokio::test]
async fn daprd_is_told_every_subscription_and_readiness_notes_that_it_asked() {
    let worker = worker();
    get(&worker.ops, "/readyz").await.json();
    assert_eq!(get(&worker.ops, "/readyz").await.status, 503);
    let list = get(&worker.app, "/dapr/subscribe").await.json();
    let routes: Vec<_> = list
        .as_array()
        .unwrap()
        .iter()
        .map(|s| (s["topic"].as_str().unwrap(), s["route"].as_str().unwrap()))
        .collect();
    assert_eq!(routes, [("task-events", EVENTS), ("task-updates", UPDATES), ("reminders", REMINDERS)]);
    assert_eq!(get(&worker.ops, "/readyz").await.status, 200);
    assert_eq!(get(&worker.app, "/dapr/config").await.json(), json!({}));
    assert_eq!(get(&worker.app, "/healthz").await.status, 204);
}

#[tokio::test]
async fn an_acknowledged_event_is_in_the_api_at_once() {
    let worker = worker();
    let due = from_now(3600);
    let answer = deliver(&worker.app, EVENTS, created("t-1", Some(&due), &json!({})).to_string()).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({"status": "SUCCESS"})));
    let task = get(&worker.app, "/api/v1/tasks/t-1").await.json();
    assert_eq!(task["due_at"], due.as_str());
    let moved = from_now(7200);
    deliver(&worker.app, UPDATES, update("t-1", &moved).to_string()).await;
    let task = get(&worker.ops, "/api/v1/tasks/t-1").await.json();
    let states: Vec<_> = task["reminders"].as_array().unwrap().iter().map(|r| r["state"].clone()).collect();
    assert_eq!(
        (task["due_at"].as_str(), states),
        (Some(moved.as_str()), vec![json!("superseded"), json!("pending")])
    );
}

#[tokio::test]
async fn any_bytes_are_dropped_with_their_reason() {
    let worker = worker();
    for body in [&b""[..], b"\xff\xfe", b"{", b"[]", b"{}", br#"{"event_type":"task_created"}"#] {
        let answer = deliver(&worker.app, EVENTS, body).await;
        assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({"status": "DROP"})), "{body:?}");
    }
    assert_eq!(events(&worker).await["quarantined"], 6);
    assert_eq!(
        quarantined(&worker).await,
        ["empty", "not_utf8", "not_json", "not_an_object", "kind_missing", "task_id_missing"]
    );
}

#[tokio::test]
async fn what_is_none_of_ours_is_acknowledged_and_counted() {
    let worker = worker();
    let other = wrapped(&json!({"event_type": "comment_added", "payload": {"id": 1}}));
    let answer = deliver(&worker.app, EVENTS, other.to_string()).await;
    assert_eq!(answer.json(), json!({"status": "SUCCESS"}));
    assert_eq!(events(&worker).await["ignored"], 1);
}

#[tokio::test]
async fn a_body_on_the_limit_is_read_and_one_byte_more_is_dropped_and_not_refused() {
    let worker = worker();
    let event = created("t-1", None, &json!({})).to_string();
    let padded = |length: usize| format!("{event}{}", " ".repeat(length - event.len()));
    let on = deliver(&worker.app, EVENTS, padded(EVENT_MAX)).await;
    assert_eq!(on.json(), json!({"status": "SUCCESS"}));
    let above = deliver(&worker.app, EVENTS, padded(EVENT_MAX + 1)).await;
    assert_eq!((above.status.as_u16(), above.json()), (404, json!({"status": "DROP"})));
    assert_eq!(quarantined(&worker).await, ["too_large"]);
    let number = get(&worker.ops, "/api/v1/quarantine").await.json()["quarantine"][0]["number"].clone();
    let kept = get(&worker.ops, &format!("/api/v1/quarantine/{number}")).await.json();
    assert_eq!(kept["body"].as_str().unwrap().len(), OVERSIZED_KEPT, "its beginning");
    assert_eq!(kept["length"], EVENT_MAX + 1);
}

#[tokio::test]
async fn bodies_beyond_the_room_for_all_wait_until_others_have_been_answered() {
    let worker = worker();
    let never = || Body::from_stream(stream::pending::<Result<Vec<u8>, std::io::Error>>());
    // A body of unknown length takes the room of the largest batch: two fit at once.
    let mut held: Vec<_> = (0..2).map(|_| Box::pin(deliver(&worker.app, EVENTS, never()))).collect();
    for holder in &mut held {
        assert!(holder.now_or_never().is_none());
    }
    let event = created("t-1", None, &json!({})).to_string();
    let third = Body::from_stream(stream::iter([Ok::<_, std::io::Error>(event)]));
    let mut third = Box::pin(deliver(&worker.app, EVENTS, third));
    assert!((&mut third).now_or_never().is_none());
    // It asks for so little that it would still find room, but it must not overtake.
    let mut fourth = Box::pin(deliver(&worker.app, EVENTS, created("t-2", None, &json!({})).to_string()));
    assert!((&mut fourth).now_or_never().is_none());
    assert_eq!(events(&worker).await["received"], 0, "nothing of them was read");
    held.clear();
    assert_eq!(third.await.json(), json!({"status": "SUCCESS"}));
    assert_eq!(fourth.await.json(), json!({"status": "SUCCESS"}));
}

#[tokio::test]
async fn every_entry_of_a_batch_gets_its_own_verdict() {
    let worker = worker();
    let entry = |id: &str, event: Value| json!({"entryId": id, "event": event, "contentType": "application/cloudevents+json"});
    let batch = json!({"id": "b", "type": "com.dapr.event.sent.bulk", "entries": [
        entry("0", created("t-1", None, &json!({}))),
        entry("1", json!({"specversion": "1.0", "data": "no event"})),
        entry("2", created("t-2", None, &json!({}))),
        entry("3", created("t-1", None, &json!({"title": "another"}))),
    ]});
    let answer = post(&worker.app, EVENTS, batch.to_string()).await;
    let words: Vec<_> = answer.json()["statuses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|s| format!("{} {}", s["entryId"].as_str().unwrap(), s["status"].as_str().unwrap()))
        .collect();
    assert_eq!(words, ["0 SUCCESS", "1 DROP", "2 SUCCESS", "3 SUCCESS"]);
    assert_eq!(events(&worker).await["received"], 4);
}

#[tokio::test]
async fn an_entry_on_the_limit_is_read_and_a_larger_one_costs_only_itself() {
    let worker = worker();
    let padded = |length: usize| {
        let event = created("t-1", None, &json!({"x": ""})).to_string();
        let pad = "x".repeat(length - event.len());
        event.replace(r#""x":"""#, &format!(r#""x":"{pad}""#))
    };
    let (on, above) = (padded(EVENT_MAX), padded(EVENT_MAX + 1));
    let batch =
        format!(r#"{{"entries":[{{"entryId":"0","event":{on}}},{{"entryId":"1","event":{above}}}]}}"#);
    let answer = post(&worker.app, EVENTS, batch).await.json();
    assert_eq!(
        answer["statuses"],
        json!([{"entryId": "0", "status": "SUCCESS"}, {"entryId": "1", "status": "DROP"}])
    );
    let entry = get(&worker.ops, "/api/v1/quarantine").await.json()["quarantine"][0].clone();
    assert_eq!((&entry["code"], &entry["length"]), (&json!("too_large"), &json!(EVENT_MAX + 1)));
    let kept = get(&worker.ops, &format!("/api/v1/quarantine/{}", entry["number"])).await.json();
    assert_eq!(kept["body"].as_str().unwrap().len(), OVERSIZED_KEPT);
}

#[tokio::test]
async fn a_batch_of_reminders_that_cannot_be_read_is_dropped_and_not_repeated_for_ever() {
    let worker = worker();
    let answer = post(&worker.app, REMINDERS, r#"{"entries":[{"event":{}}]}"#).await;
    assert_eq!(answer.status, 404, "any 2xx would be RETRY for what it does not name");
}

#[tokio::test]
async fn a_batch_that_cannot_be_answered_entry_by_entry_is_dropped_whole() {
    let worker = worker();
    let answer = post(&worker.app, EVENTS, r#"{"entries":[{"event":{}}]}"#).await;
    assert_eq!(answer.status, 404, "any 2xx would be RETRY for what it does not name");
    let entries = vec![r#"{"entryId":"0","event":1}"#; 10_001].join(",");
    let answer = post(&worker.app, EVENTS, format!(r#"{{"entries":[{entries}]}}"#)).await;
    assert_eq!(answer.status, 404);
    assert_eq!(events(&worker).await["quarantined"], 2, "not one of their entries");
    assert_eq!(quarantined(&worker).await, ["not_a_bulk", "not_a_bulk"]);
}

#[tokio::test]
async fn plain_json_that_is_no_batch_is_a_single_event() {
    let worker = worker();
    let answer = post(&worker.app, EVENTS, created("t-1", None, &json!({})).to_string()).await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, json!({"status": "SUCCESS"})));
}

#[tokio::test]
async fn a_delivery_to_a_path_that_is_no_route_is_taken_all_the_same() {
    let worker = worker();
    for path in ["/", "/my-own-route"] {
        let answer = deliver(&worker.app, path, created("t-1", None, &json!({})).to_string()).await;
        assert_eq!(answer.json(), json!({"status": "SUCCESS"}), "{path}");
    }
    post(&worker.app, "/my-own-route", "{}").await.is_problem(404);
    get(&worker.app, "/my-own-route").await.is_problem(404);
    get(&worker.app, EVENTS).await.is_problem(405);
}

#[tokio::test]
async fn a_topic_on_the_limit_is_kept_with_what_is_dropped_and_a_longer_one_is_cut() {
    const TOPIC_MAX: usize = 249;
    let worker = worker();
    for length in [TOPIC_MAX, TOPIC_MAX + 1] {
        let request =
            Request::post("/my-own-route").header("pubsubname", "x").header("__topic", "t".repeat(length));
        assert_eq!(send(&worker.app, request.body(Body::from("{}")).unwrap()).await.status, 200);
    }
    let page = get(&worker.ops, "/api/v1/quarantine").await.json();
    for entry in page["quarantine"].as_array().unwrap() {
        assert_eq!(entry["topic"].as_str().unwrap().len(), TOPIC_MAX);
    }
}

#[tokio::test]
async fn a_reminder_that_comes_back_is_noted_and_always_acknowledged() {
    let worker = worker();
    let mut reader = worker.live.subscribe();
    let id = "8f1d5b0e-2a67-5c3b-9d41-6e0b7c52a419";
    let event = json!({"specversion": "1.0", "id": id, "type": "reminder_due", "data": {
        "event_id": id, "event_type": "reminder_due", "payload": {"task_id": "t-1"},
    }});
    let entry = json!({"entryId": "7", "event": event});
    let batch = json!({"entries": [entry]}).to_string();
    assert_eq!(deliver(&worker.app, REMINDERS, event.to_string()).await.json(), json!({"status": "SUCCESS"}));
    assert_eq!(
        post(&worker.app, REMINDERS, batch).await.json(),
        json!({"statuses": [{"entryId": "7", "status": "SUCCESS"}]})
    );
    for body in ["", "{", "{}"] {
        assert_eq!(
            deliver(&worker.app, REMINDERS, body).await.json(),
            json!({"status": "SUCCESS"}),
            "{body}"
        );
    }
    for _ in 0..2 {
        let seen: Value = serde_json::from_str(&reader.try_recv().unwrap().json).unwrap();
        assert_eq!((seen["reminder_id"].as_str(), seen["task_id"].as_str()), (Some(id), Some("t-1")));
        assert_eq!(seen["event"], event);
    }
    assert!(reader.try_recv().is_err());
}

#[tokio::test]
async fn without_the_token_only_the_health_probe_is_answered() {
    let worker = worker_with(
        |config| config.app.api_token = Some(reminder_worker::config::Secret::new("s3cret")),
        None,
    );
    for path in ["/dapr/subscribe", "/api/v1/stats", "/nowhere"] {
        get(&worker.app, path).await.is_problem(401);
    }
    deliver(&worker.app, EVENTS, "{}").await.is_problem(401);
    post(&worker.app, "/api/tasks/t-1/events", "{}").await.is_problem(401);
    assert_eq!(get(&worker.app, "/healthz").await.status, 204);
    let request =
        Request::get("/dapr/subscribe").header("dapr-api-token", "s3cret").body(Body::empty()).unwrap();
    assert_eq!(send(&worker.app, request).await.status, 200);
}

#[tokio::test]
async fn an_event_to_publish_is_kept_and_its_id_told() {
    let worker = worker();
    let event = json!({"event_type": "task_deleted", "payload": {"task_id": "t/ü"}});
    let answer = post(&worker.app, "/api/tasks/t%2F%C3%BC/events", event.to_string()).await;
    assert_eq!((answer.status.as_u16(), &answer.json()["status"]), (202, &json!("accepted")));
    let entry = get(&worker.ops, "/api/v1/outbox").await.json()["outbox"][0].clone();
    assert_eq!(entry["event_id"], answer.json()["event_id"]);
    assert_eq!(
        (&entry["task_id"], &entry["topic"], &entry["state"]),
        (&json!("t/ü"), &json!("task-events"), &json!("waiting"))
    );
}

#[tokio::test]
async fn an_invalid_event_is_refused_as_the_contract_says() {
    let worker = worker();
    let event =
        json!({"event_type": "task_created", "payload": {"task_id": "t-2", "user_id": "u", "title": "x"}});
    let answer = post(&worker.app, "/api/tasks/t-1/events", event.to_string()).await;
    assert_eq!(answer.status, 400);
    let told = answer.json();
    assert_eq!(told["error"], "validation_error");
    assert!(told["message"].is_string());
    assert_eq!(told["details"][0]["field"], "payload.task_id");
}

#[tokio::test]
async fn an_event_on_the_limit_is_accepted_and_a_larger_one_refused() {
    let worker = worker();
    let event = json!({"event_type": "task_deleted", "payload": {"task_id": "t-1"}}).to_string();
    let padded = |length: usize| format!("{event}{}", " ".repeat(length - event.len()));
    assert_eq!(post(&worker.app, "/api/tasks/t-1/events", padded(ACCEPTED_MAX)).await.status, 202);
    post(&worker.app, "/api/tasks/t-1/events", padded(ACCEPTED_MAX + 1)).await.is_problem(413);
}

#[tokio::test]
async fn an_event_that_grows_is_measured_as_it_is_sent() {
    let worker = worker();
    let event_id = "0ac3833b-0567-48af-b541-cad61ecb23b7";
    let event = |filler: usize| {
        let payload = json!({"task_id": "t-1", "n": vec![1e15; 10_000], "filler": "f".repeat(filler)});
        json!({"event_id": event_id, "event_type": "task_deleted", "event_version": "v1", "correlation_id": null,
               "timestamp": "2026-11-24T09:00:00Z", "producer": "p".repeat(256), "payload": payload})
        .to_string()
    };
    let (task, any_time) = (TaskId::new("t-1").unwrap(), Timestamp::from_millis(0));
    let fits = SENT_MAX - outbox_event(&task, event_id, any_time, event(0).as_bytes()).len();
    for (filler, status) in [(fits, 202), (fits + 1, 413)] {
        let comes = event(filler).replace("1000000000000000.0", "1e15");
        assert!(comes.len() < ACCEPTED_MAX);
        assert_eq!(post(&worker.app, "/api/tasks/t-1/events", comes).await.status, status);
    }
}

#[tokio::test]
async fn a_full_outbox_says_when_to_come_again() {
    let worker = worker_with(|config| config.outbox.max_mb = 0, None);
    let event = json!({"event_type": "task_deleted", "payload": {"task_id": "t-1"}}).to_string();
    let answer = post(&worker.app, "/api/tasks/t-1/events", event).await;
    answer.is_problem(503);
    assert_eq!(answer.retry_after.as_deref(), Some("5"));
}

#[tokio::test]
async fn a_worker_that_can_no_longer_commit_asks_for_the_event_again() {
    let worker = worker();
    worker.shutdown.stop_now();
    worker.shutdown.drain().await;
    let event = created("t-1", None, &json!({})).to_string();
    assert_eq!(deliver(&worker.app, EVENTS, event).await.json(), json!({"status": "RETRY"}));
    let event = json!({"event_type": "task_deleted", "payload": {"task_id": "t-1"}}).to_string();
    post(&worker.app, "/api/tasks/t-1/events", event).await.is_problem(503);
    get(&worker.ops, "/api/v1/stats").await.is_problem(503);
}

#[tokio::test]
async fn a_delivery_with_the_headers_of_a_producer_s_browser_is_taken_and_what_a_page_posts_is_not() {
    let worker = worker();
    for (task, header, value) in [
        ("t-1", "pubsubname", "kafka-pubsub"),
        ("t-2", "content-type", "application/cloudevents+json"),
        ("t-3", "content-type", "application/json"),
    ] {
        let passed_on = Request::post(EVENTS).header("sec-fetch-site", "cross-site").header(header, value);
        let event = created(task, Some(&from_now(60)), &json!({})).to_string();
        let answer = send(&worker.app, passed_on.body(Body::from(event)).unwrap()).await;
        assert_eq!(answer.json(), json!({"status": "SUCCESS"}), "{header}");
    }
    for content_type in [None, Some("text/plain"), Some("application/x-www-form-urlencoded")] {
        for (site, path) in [("cross-site", EVENTS), ("same-site", EVENTS), ("cross-site", "/elsewhere")] {
            let posted = Request::post(path).header("sec-fetch-site", site);
            let posted = content_type.into_iter().fold(posted, |it, kind| it.header("content-type", kind));
            let event = created("page", Some(&from_now(60)), &json!({})).to_string();
            send(&worker.app, posted.body(Body::from(event)).unwrap()).await.is_problem(403);
        }
    }
    assert_eq!(events(&worker).await["received"], 3);
}
