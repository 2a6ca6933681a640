//! Users' preferences, by API and by event.

use axum::body::Body;
use axum::http::{Method, Request};
use serde_json::{Value, json};

use crate::fixture::{Answer, Worker, created, deliver, from_now, get, send, worker, worker_with, wrapped};

const PATH: &str = "/api/v1/users/u%2F1/preferences";

async fn ask(worker: &Worker, method: Method, body: &str) -> Answer {
    let request = Request::builder().method(method).uri(PATH).body(Body::from(body.to_owned())).unwrap();
    send(&worker.ops, request).await
}

fn none() -> Value {
    json!({"user_id": "u/1", "timezone": null, "reminder_offsets": null, "quiet_hours": null, "mute": false, "digest": null})
}

fn with(changes: &Value) -> Value {
    let mut all = none();
    all.as_object_mut().unwrap().extend(changes.as_object().unwrap().clone());
    all
}

#[tokio::test]
async fn preferences_are_put_patched_shown_and_cleared() {
    let worker = worker();
    assert_eq!(get(&worker.ops, PATH).await.json(), none(), "of a user of whom nothing is known");
    let all = json!({
        "timezone": "Europe/Berlin", "reminder_offsets": [60, 0],
        "quiet_hours": {"start": "22:00", "end": "07:00"}, "mute": "2030-01-01T00:00:00+01:00",
        "digest": {"at": "08:00"},
    });
    let shown = json!({
        "timezone": "Europe/Berlin", "reminder_offsets": [0, 60],
        "quiet_hours": {"start": "22:00", "end": "07:00", "mode": "defer"}, "mute": "2029-12-31T23:00:00.000Z",
        "digest": {"at": "08:00", "below": "HIGH"},
    });
    let put = ask(&worker, Method::PUT, &all.to_string()).await;
    assert_eq!((put.status.as_u16(), put.json()), (200, with(&shown)));
    let patched = ask(&worker, Method::PATCH, r#"{"quiet_hours": null, "mute": true}"#).await.json();
    let kept = json!({"timezone": "Europe/Berlin", "reminder_offsets": [0, 60], "mute": true, "digest": {"at": "08:00", "below": "HIGH"}});
    assert_eq!(patched, with(&kept));
    assert_eq!(get(&worker.ops, PATH).await.json(), with(&kept));
    let put = ask(&worker, Method::PUT, r#"{"timezone": "UTC"}"#).await.json();
    assert_eq!(put, with(&json!({"timezone": "UTC"})), "what is left out is cleared");
    assert_eq!(ask(&worker, Method::DELETE, "").await.json(), none());
    assert_eq!(get(&worker.ops, PATH).await.json(), none());
    assert_eq!(
        get(&worker.ops, "/api/v1/stats").await.json()["events"]["received"],
        0,
        "the API is no event"
    );
}

#[tokio::test]
async fn what_cannot_be_read_is_refused_whole() {
    let worker = worker();
    ask(&worker, Method::PUT, r#"{"timezone": "UTC"}"#).await;
    for (body, why) in [
        (r#"{"mute": true, "timezone": "Mars"}"#, "`timezone`: `Mars` is no IANA zone"),
        (r#"{"quiet_hours": {"start": "07:00", "end": "07:00"}}"#, "all day"),
        (r#"{"quiet": null}"#, "`quiet` is no preference"),
        ("[]", "an object"),
        ("{", "not JSON"),
    ] {
        let refused = ask(&worker, Method::PATCH, body).await;
        assert_eq!(
            (refused.status.as_u16(), refused.content_type.as_str()),
            (400, "application/problem+json")
        );
        assert!(refused.json()["detail"].as_str().unwrap().contains(why), "{}", refused.json());
    }
    let large = format!("{{\"timezone\": \"{}\"}}", "x".repeat(16 * 1024));
    assert_eq!(ask(&worker, Method::PUT, &large).await.status.as_u16(), 413);
    assert_eq!(ask(&worker, Method::POST, "{}").await.status.as_u16(), 405);
    let nobody = format!("/api/v1/users/{}/preferences", "u".repeat(257));
    assert_eq!(get(&worker.ops, &nobody).await.status.as_u16(), 400);
    assert_eq!(get(&worker.ops, PATH).await.json(), with(&json!({"timezone": "UTC"})));
}

#[tokio::test]
async fn an_event_changes_preferences_and_the_plan_follows() {
    let worker = worker_with(|config| config.topics.user_preferences = Some("wishes".into()), None);
    let subscribed = get(&worker.app, "/dapr/subscribe").await.json();
    assert_eq!(subscribed.as_array().unwrap().last().unwrap()["topic"], "wishes");
    let task = created("t", Some(&from_now(7_200)), &json!({"user_id": "u/1"}));
    deliver(&worker.app, "/events/task-events", task.to_string()).await;
    let tell = |payload: Value| {
        let event =
            json!({"event_type": "user_preferences_updated", "timestamp": from_now(0), "payload": payload});
        deliver(&worker.app, "/events/user-preferences", wrapped(&event).to_string())
    };
    let told = tell(json!({"user_id": "u/1", "reminderOffsets": [5, 10], "timezone": "Mars"})).await;
    assert_eq!(told.json(), json!({"status": "SUCCESS"}));
    assert_eq!(get(&worker.ops, PATH).await.json(), with(&json!({"reminder_offsets": [5, 10]})));
    let mut rules = Vec::new();
    for _ in 0..200 {
        let task = get(&worker.ops, "/api/v1/tasks/t").await.json();
        let pending = task["reminders"].as_array().unwrap().clone();
        rules = pending.into_iter().filter(|r| r["state"] == "pending").map(|r| r["rule"].clone()).collect();
        if rules.len() == 2 {
            break;
        }
    }
    assert_eq!(rules, ["offset:5", "offset:10"]);
    let kept = get(&worker.ops, "/api/v1/quarantine").await.json()["quarantine"][0].clone();
    let reason = kept["reason"].as_str().unwrap();
    assert_eq!((&kept["code"], &kept["topic"]), (&json!("extra_refused"), &json!("wishes")));
    assert!(
        reason.starts_with("the preferences of user u/1 are kept without `timezone`: `Mars`"),
        "{reason}"
    );
    let events = get(&worker.ops, "/api/v1/stats").await.json()["events"].clone();
    assert_eq!(
        (&events["applied"], &events["quarantined"]),
        (&json!(2), &json!(0)),
        "it is shown, and counts as applied"
    );
    let refused = tell(json!({"user_id": "u/1", "timezone": "Mars"})).await;
    assert_eq!(refused.json(), json!({"status": "DROP"}));
    let kept = get(&worker.ops, "/api/v1/quarantine").await.json();
    assert_eq!(
        (&kept["quarantine"][1]["code"], &kept["quarantine"][1]["topic"]),
        (&json!("preferences_unreadable"), &json!("wishes"))
    );
}
