//! Calling reminders off, moving a due date, and the answer to why.

use serde_json::{Value, json};

use crate::fixture::{Worker, created, deliver, from_now, get, post, worker};

const EVENTS: &str = "/events/task-events";

/// A worker with the task `t`, due in an hour and reminded of twice.
async fn with_task() -> Worker {
    let worker = worker();
    let offsets = json!({"reminder_offsets": [0, 15], "priority": "hgh"});
    deliver(&worker.app, EVENTS, created("t", Some(&from_now(3600)), &offsets).to_string()).await;
    worker
}

fn answers(told: &Value) -> Vec<(&str, &str)> {
    let reminders = told["reminders"].as_array().unwrap_or_else(|| panic!("{told}"));
    reminders.iter().map(|r| (r["rule"].as_str().unwrap(), r["answer"].as_str().unwrap())).collect()
}

#[tokio::test]
async fn a_cancel_is_answered_for_each_reminder_and_repeats_its_answer() {
    let worker = with_task().await;
    let task = get(&worker.ops, "/api/v1/tasks/t").await.json();
    let id = &task["reminders"][0]["reminder_id"];
    let rule = task["reminders"][0]["rule"].as_str().unwrap();
    let one =
        post(&worker.ops, "/api/v1/tasks/t/cancel", json!({"reminder_id": id}).to_string()).await.json();
    assert_eq!(answers(&one), [(rule, "will_not_fire")]);
    assert_eq!(one["reminders"][0]["reminder_id"], *id);
    assert_eq!(one["planned"].as_array().unwrap().len(), 1);
    for body in ["", "{}", ""] {
        let all = post(&worker.ops, "/api/v1/tasks/t/cancel", body).await.json();
        let told = answers(&all);
        assert!(told.len() == 2 && told.iter().all(|(_, answer)| *answer == "will_not_fire"), "{all}");
        assert_eq!((&all["status"], &all["planned"]), (&json!("TODO"), &json!([])));
    }
}

#[tokio::test]
async fn the_reminders_of_one_occurrence_are_called_off() {
    let worker = with_task().await;
    let task = get(&worker.ops, "/api/v1/tasks/t").await.json();
    let occurrence = &task["reminders"][0]["occurrence"];
    let of = |occurrence: &Value| json!({"occurrence": occurrence}).to_string();
    let unknown = post(&worker.ops, "/api/v1/tasks/t/cancel", of(&json!("2020-01-01T00:00:00Z"))).await;
    unknown.is_problem(404);
    let told = post(&worker.app, "/api/v1/tasks/t/cancel", of(occurrence)).await.json();
    assert_eq!(answers(&told).len(), 2, "through service invocation too");
}

#[tokio::test]
async fn a_task_is_rescheduled_in_any_form_that_events_state_dates_in() {
    let worker = with_task().await;
    let due = from_now(7200);
    let body = json!({"due_date": due}).to_string();
    let told = post(&worker.ops, "/api/v1/tasks/t/reschedule", body).await.json();
    assert_eq!(told["planned"].as_array().unwrap().len(), 2, "{told}");
    assert_eq!(get(&worker.ops, "/api/v1/tasks/t").await.json()["due_at"], due);
    let body = json!({"due_date": "2036-07-01", "timezone": "Europe/Berlin"}).to_string();
    post(&worker.ops, "/api/v1/tasks/t/reschedule", body).await;
    let task = get(&worker.ops, "/api/v1/tasks/t").await.json();
    assert_eq!(
        (&task["due_at"], &task["timezone"]),
        (&json!("2036-07-01T07:00:00.000Z"), &json!("Europe/Berlin"))
    );
}

#[tokio::test]
async fn orders_that_cannot_be_read_are_refused_and_do_nothing() {
    let worker = with_task().await;
    let before = get(&worker.ops, "/api/v1/tasks/t").await.body;
    let uuid = "8f1d5b0e-2a67-5c3b-9d41-6e0b7c52a419";
    let too_long = " ".repeat(16 * 1024 + 1);
    for (verb, body, status) in [
        ("cancel", "x", 400),
        ("cancel", "[]", 400),
        ("cancel", r#"{"reminder": "r"}"#, 400),
        ("cancel", r#"{"reminder_id": "r"}"#, 400),
        ("cancel", r#"{"occurrence": "soon"}"#, 400),
        ("cancel", &format!(r#"{{"reminder_id": "{uuid}", "occurrence": "2026-01-01T00:00:00Z"}}"#), 400),
        ("cancel", &format!(r#"{{"reminder_id": "{uuid}"}}"#), 404),
        ("cancel", &too_long, 413),
        ("reschedule", "", 400),
        ("reschedule", "{}", 400),
        ("reschedule", r#"{"due_date": null}"#, 400),
        ("reschedule", r#"{"due_date": 5}"#, 400),
        ("reschedule", r#"{"due_date": "2036-07-01", "timezone": "Mars"}"#, 400),
    ] {
        post(&worker.ops, &format!("/api/v1/tasks/t/{verb}"), body.to_owned()).await.is_problem(status);
    }
    post(&worker.ops, "/api/v1/tasks/u/cancel", "").await.is_problem(404);
    post(&worker.ops, "/api/v1/tasks/u/reschedule", r#"{"due_date": "2036-07-01"}"#).await.is_problem(404);
    get(&worker.ops, "/api/v1/tasks/t/cancel").await.is_problem(405);
    assert_eq!(get(&worker.ops, "/api/v1/tasks/t").await.body, before);
}

#[tokio::test]
async fn why_tells_events_refusals_and_what_was_called_off() {
    let worker = with_task().await;
    post(&worker.ops, "/api/v1/tasks/t/cancel", "").await;
    let why = get(&worker.ops, "/api/v1/tasks/t/why").await.json();
    let what: Vec<&str> =
        why["timeline"].as_array().unwrap().iter().map(|entry| entry["what"].as_str().unwrap()).collect();
    assert_eq!(what, ["task_created", "planned", "planned", "task_updated", "cancelled", "cancelled"]);
    let first = &why["timeline"][0];
    assert_eq!(first["event_id"], "8f1d5b0e-2a67-5c3b-9d41-6e0b7c52a419");
    assert!(
        first["sentence"].as_str().unwrap().contains("`priority` was refused: `hgh` is unknown"),
        "{first}"
    );
    for answer in why["answers"].as_array().unwrap() {
        let sentence = answer["sentence"].as_str().unwrap();
        assert!(
            sentence
                .starts_with("will not fire: it was called off by task_updated from reminder-worker (event "),
            "{sentence}"
        );
    }
    let quarantine = get(&worker.ops, "/api/v1/quarantine").await.json();
    assert_eq!(quarantine["quarantine"][0]["code"], "extra_refused");
    get(&worker.ops, "/api/v1/tasks/u/why").await.is_problem(404);
}
