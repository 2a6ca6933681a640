//! Snoozes and acknowledgements: by delivery, by the publishing API and by the API.

use axum::body::Body;
use axum::http::Request;
use serde_json::{Value, json};

use crate::fixture::{Worker, created, deliver, from_now, get, post, send, worker, worker_with, wrapped};

const EVENTS: &str = "/events/task-events";
const ACTIONS: &str = "/events/reminder-actions";
const SNOOZE: &str = "/api/v1/tasks/t-1/snooze";
const ACKNOWLEDGE: &str = "/api/v1/tasks/t-1/acknowledge";
/// The id of no reminder.
const NOBODYS: &str = "8f1d5b0e-2a67-5c3b-9d41-6e0b7c52a419";

/// A worker that knows the task `t-1`, due in an hour, with reminders after due.
async fn with_task() -> Worker {
    let worker = worker();
    let nags = json!({"overdue_reminders": {"every": "1d", "max": 2}});
    deliver(&worker.app, EVENTS, created("t-1", Some(&from_now(3600)), &nags).to_string()).await;
    worker
}

/// The rules of what is pending, by the task that `shown` shows.
fn pending(shown: &Value) -> Vec<String> {
    let reminders = shown["reminders"].as_array().unwrap_or_else(|| panic!("{shown}"));
    let pending = reminders.iter().filter(|r| r["state"] == "pending");
    pending.map(|r| r["rule"].as_str().unwrap().to_owned()).collect()
}

async fn pending_now(worker: &Worker) -> Vec<String> {
    pending(&get(&worker.ops, "/api/v1/tasks/t-1").await.json())
}

async fn events(worker: &Worker) -> Value {
    get(&worker.ops, "/api/v1/stats").await.json()["events"].clone()
}

fn action(kind: &str, payload: &Value) -> Value {
    wrapped(&json!({"event_type": kind, "timestamp": from_now(0), "payload": payload}))
}

#[tokio::test]
async fn a_snooze_by_the_api_answers_after_the_commit_with_the_tasks_reminders() {
    let worker = with_task().await;
    let until = from_now(7200);
    let answer = post(&worker.ops, SNOOZE, json!({"until": until}).to_string()).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    assert_eq!(answer.json(), get(&worker.ops, "/api/v1/tasks/t-1").await.json());
    assert_eq!(pending(&answer.json()), ["offset:0", "nag:1", "nag:2", &format!("snooze:{until}")]);
    let answer = post(&worker.app, SNOOZE, r#"{"minutes": 10}"#).await;
    assert_eq!(pending(&answer.json()).len(), 4, "by service invocation, in place of the first");
    let answer = post(&worker.ops, ACKNOWLEDGE, "").await;
    assert_eq!(pending(&answer.json()), ["offset:0"], "{answer:?}");
    assert_eq!(events(&worker).await["applied"], 4);
    assert_eq!(pending_now(&worker).await, ["offset:0"]);
}

#[tokio::test]
async fn the_api_says_what_is_wrong_with_an_action_and_keeps_nothing_of_it() {
    let worker = with_task().await;
    for (path, body, status, told) in [
        (SNOOZE, json!({}), 400, "send `until` or `minutes`"),
        (SNOOZE, json!({"until": from_now(60), "minutes": 5}), 400, "both `until` and `minutes`; send one"),
        (SNOOZE, json!({"until": from_now(-1)}), 400, "no later than the snooze itself"),
        (SNOOZE, json!({"until": "2030-01-01T09:00:00"}), 400, "without an offset"),
        (SNOOZE, json!({"minutes": 0}), 400, "a minute at least"),
        (SNOOZE, json!({"minutes": 5, "occurrence": "soon"}), 400, "`occurrence`"),
        (SNOOZE, json!({"minutes": 5, "colour": "red"}), 400, "unknown field `colour`"),
        (SNOOZE, json!([5]), 400, "invalid"),
        (ACKNOWLEDGE, json!({"reminder_id": "r-1"}), 400, "`reminder_id`"),
        (ACKNOWLEDGE, json!({"minutes": 5}), 400, "unknown field `minutes`"),
        (SNOOZE, json!({"minutes": 5, "occurrence": "2020-01-01T00:00:00.000Z"}), 404, "lists its reminders"),
        (ACKNOWLEDGE, json!({"occurrence": "2020-01-01T00:00:00.000Z"}), 404, "lists its reminders"),
        (ACKNOWLEDGE, json!({"reminder_id": NOBODYS}), 404, "lists its reminders"),
        ("/api/v1/tasks/t-2/snooze", json!({"minutes": 5}), 404, "no event of this task"),
        ("/api/v1/tasks/t-2/acknowledge", json!({}), 404, "no event of this task"),
    ] {
        let answer = post(&worker.ops, path, body.to_string()).await;
        answer.is_problem(status);
        assert!(answer.json()["detail"].as_str().unwrap().contains(told), "{body}: {answer:?}");
    }
    post(&worker.ops, SNOOZE, " ".repeat(16 * 1024 + 1)).await.is_problem(413);
    let on = format!(
        "{}{}",
        json!({"minutes": 5}),
        " ".repeat(16 * 1024 - json!({"minutes": 5}).to_string().len())
    );
    assert_eq!(events(&worker).await["received"], 1);
    assert_eq!(post(&worker.ops, SNOOZE, on).await.status, 200);
}

#[tokio::test]
async fn an_action_is_about_a_due_date_that_the_task_still_has() {
    let worker = with_task().await;
    let first = get(&worker.ops, "/api/v1/tasks/t-1").await.json()["reminders"][0].clone();
    for key in ["occurrence", "reminder_id"] {
        let answer = post(&worker.ops, ACKNOWLEDGE, json!({key: first[key]}).to_string()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
    }
    let moved = json!({"due_date": from_now(7200)}).to_string();
    assert_eq!(post(&worker.ops, "/api/v1/tasks/t-1/reschedule", moved).await.status, 200);
    let applied = events(&worker).await["applied"].clone();
    for key in ["occurrence", "reminder_id"] {
        let answer = post(&worker.ops, ACKNOWLEDGE, json!({key: first[key]}).to_string()).await;
        answer.is_problem(409);
        assert!(answer.json()["detail"].as_str().unwrap().contains("no longer has"), "{answer:?}");
    }
    assert_eq!(events(&worker).await["applied"], applied);
    let by_event = action("reminder_acknowledged", &json!({"task_id": "t-1", "reminder_id": NOBODYS}));
    let answer = deliver(&worker.app, EVENTS, by_event.to_string()).await;
    assert_eq!(answer.json(), json!({"status": "SUCCESS"}), "what it means may still come");
    deliver(&worker.app, EVENTS, action("task_deleted", &json!({"task_id": "t-1"})).to_string()).await;
    let seen = json!({"reminder_id": first["reminder_id"]}).to_string();
    assert_eq!(post(&worker.ops, ACKNOWLEDGE, seen).await.status, 200, "it is seen, whatever became of it");
}

#[tokio::test]
async fn a_page_of_a_foreign_site_can_do_nothing_about_a_reminder() {
    let worker = with_task().await;
    for content_type in ["text/plain", "application/x-www-form-urlencoded"] {
        let request = Request::post(ACKNOWLEDGE).header("content-type", content_type);
        send(&worker.ops, request.body(Body::from("{}")).unwrap()).await.is_problem(415);
    }
    for path in [
        ACKNOWLEDGE,
        SNOOZE,
        "/api/v1/tasks/t-1/cancel",
        "/api/v1/tasks/t-1/reschedule",
        "/api/v1/pause",
        "/api/v1/resume",
        "/api/v1/import",
    ] {
        send(&worker.ops, Request::post(path).body(Body::empty()).unwrap()).await.is_problem(415);
    }
    let published = Request::post("/api/tasks/t-1/events").header("content-type", "text/plain");
    let event = json!({"event_type": "task_deleted", "payload": {"task_id": "t-1"}}).to_string();
    send(&worker.app, published.body(Body::from(event)).unwrap()).await.is_problem(415);
    assert_eq!(events(&worker).await["received"], 1);
    get(&worker.ops, SNOOZE).await.is_problem(405);
    let guarded = worker_with(|_| {}, Some("hunter2"));
    post(&guarded.ops, SNOOZE, "{}").await.is_problem(401);
}

#[tokio::test]
async fn a_task_that_has_ended_has_nothing_to_snooze() {
    let worker = with_task().await;
    deliver(&worker.app, EVENTS, action("task_completed", &json!({"task_id": "t-1"})).to_string()).await;
    post(&worker.ops, SNOOZE, r#"{"minutes": 5}"#).await.is_problem(409);
    assert_eq!(post(&worker.ops, ACKNOWLEDGE, "{}").await.status, 200, "it is seen, whatever became of it");
    assert_eq!(pending_now(&worker).await, [""; 0]);
}

#[tokio::test]
async fn actions_are_subscribed_to_where_they_have_a_topic_and_taken_on_every_one() {
    let config = |config: &mut reminder_worker::config::Config| {
        config.topics.reminder_actions = Some("reminder-actions".into());
    };
    let worker = worker_with(config, None);
    let list = get(&worker.app, "/dapr/subscribe").await.json();
    assert_eq!(list[3]["topic"], "reminder-actions");
    assert_eq!(list[3]["route"], ACTIONS);
    for (n, path) in [ACTIONS, EVENTS, "/events/task-updates"].into_iter().enumerate() {
        let task = format!("t-{n}");
        deliver(&worker.app, EVENTS, created(&task, Some(&from_now(3600)), &json!({})).to_string()).await;
        let snooze = action("reminder_snoozed", &json!({"task_id": task, "minutes": 30}));
        let answer = deliver(&worker.app, path, snooze.to_string()).await;
        assert_eq!(answer.json(), json!({"status": "SUCCESS"}), "{path}");
        let shown = get(&worker.ops, &format!("/api/v1/tasks/{task}")).await.json();
        assert_eq!(pending(&shown).len(), 2, "{path}");
    }
    let past = action("reminder_snoozed", &json!({"task_id": "t-0", "until": from_now(-60)}));
    let answer = deliver(&worker.app, ACTIONS, past.to_string()).await;
    assert_eq!(answer.json(), json!({"status": "DROP"}));
    let dropped = get(&worker.ops, "/api/v1/quarantine").await.json();
    assert_eq!(dropped["quarantine"][0]["code"], "snooze_unreadable");
    assert_eq!(dropped["quarantine"][0]["topic"], "reminder-actions");
}

#[tokio::test]
async fn an_action_is_published_on_its_topic_or_refused_where_there_is_none() {
    let snooze = json!({"event_type": "reminder_snoozed", "payload": {"minutes": 5}}).to_string();
    let without = worker();
    let answer = post(&without.app, "/api/tasks/t-1/events", snooze.clone()).await;
    answer.is_problem(409);
    assert!(answer.json()["detail"].as_str().unwrap().contains("topics.reminder_actions"), "{answer:?}");
    let with = worker_with(|config| config.topics.reminder_actions = Some("acts".into()), None);
    assert_eq!(post(&with.app, "/api/tasks/t-1/events", snooze).await.status, 202);
    let outbox = get(&with.ops, "/api/v1/outbox").await.json();
    assert_eq!(outbox["outbox"][0]["topic"], "acts");
    let past = json!({"event_type": "reminder_snoozed", "payload": {"until": from_now(-60)}}).to_string();
    let answer = post(&with.app, "/api/tasks/t-1/events", past).await;
    answer.is_problem(400);
    assert!(answer.json()["detail"].as_str().unwrap().contains("no later than"), "{answer:?}");
}
