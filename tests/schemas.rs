//! The published schemas against events: what they accept, and what they refuse.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::process::Command;

use jsonschema::Validator;
use reminder_worker::config::Config;
use reminder_worker::dapr::{DigestItem, reminder_digest, reminder_due};
use reminder_worker::domain::{
    Due, Event, Kind, Moment, PolicyInForce, PolicySince, Reminder, ReminderId, Rule, Rules, Stamps,
    Statement, Task, TaskId, Timestamp, Zone,
};
use serde_json::{Value, json};

fn schemas() -> serde_json::Map<String, Value> {
    let output =
        Command::new(env!("CARGO_BIN_EXE_reminder-worker")).args(["schema", "--all"]).output().unwrap();
    let Value::Object(schemas) = serde_json::from_slice(&output.stdout).unwrap() else { panic!("no object") };
    schemas
}

fn validator(name: &str) -> Validator {
    jsonschema::draft202012::options().should_validate_formats(true).build(&schemas()[name]).unwrap()
}

fn envelope(kind: &str, payload: &Value) -> Value {
    json!({
        "event_id": "0e5c1f6e-8f9e-4b53-9f6b-0d1b7a8d1c11", "event_type": kind, "event_version": "v1",
        "timestamp": "2026-11-24T09:00:00.123Z", "correlation_id": null, "producer": "chat-api",
        "payload": payload
    })
}

/// An event of each kind that uses all it may.
fn example(kind: &str) -> Value {
    let payload = match kind {
        "task_created" => json!({
            "task_id": "t-1", "user_id": "u-1", "title": "Water the plants", "description": null,
            "priority": "HIGH", "status": "TODO", "due_date": "2026-11-25T09:00:00+01:00",
            "recurrence": {"frequency": "weekly", "interval": 1, "days_of_week": ["MO", 3]},
            "tags": ["home"], "created_at": "2026-11-24T09:00:00Z", "timezone": "Europe/Berlin",
            "reminder_offsets": [0, 15], "remind_at": ["2026-11-25T08:00"]
        }),
        "task_updated" => json!({
            "task_id": 7, "changed_fields": ["due_date"], "updated_at": "2026-11-24T09:00:00Z",
            "changes": {"due_date": {"old": "2026-11-25", "new": null}, "colour": {"old": 1, "new": 2}}
        }),
        "task_completed" => json!({"task_id": "t-1", "user_id": "u-1", "recurrence": "FREQ=DAILY"}),
        "task_deleted" => json!({"task_id": "t-1", "deleted_at": null}),
        "reminder_snoozed" => json!({
            "task_id": "t-1", "user_id": "u-1", "minutes": 10, "occurrence": "2026-11-25T08:00:00.000Z",
            "reminder_id": "0e5c1f6e-8f9e-4b53-9f6b-0d1b7a8d1c12"
        }),
        "reminder_acknowledged" => json!({
            "task_id": "t-1", "user_id": "u-1", "occurrence": "2026-11-25T08:00:00.000Z",
            "reminder_id": "0e5c1f6e-8f9e-4b53-9f6b-0d1b7a8d1c12"
        }),
        "user_preferences_updated" => json!({
            "user_id": "u-1", "timezone": "Europe/Berlin", "reminder_offsets": [0, 15], "mute": false,
            "quiet_hours": {"start": "22:00", "end": "07:00", "mode": "earlier"},
            "digest": {"at": "08:00", "below": "HIGH"}
        }),
        "reminder_digest" => json!({
            "digest_id": "0e5c1f6e-8f9e-4b53-9f6b-0d1b7a8d1c11", "user_id": "u-1",
            "items": [{
                "task_id": "t-1", "title": null, "due_date": "2026-11-25T08:00:00.000Z", "priority": "LOW",
                "reminder_id": "0e5c1f6e-8f9e-4b53-9f6b-0d1b7a8d1c12", "remind_at": "2026-11-25T07:45:00.000Z",
                "rule": "offset:15", "occurrence": "2026-11-25T08:00:00.000Z", "timezone": "UTC"
            }]
        }),
        _ => json!({
            "task_id": "t-1", "user_id": null, "title": null, "due_date": "2026-11-25T08:00:00.000Z",
            "priority": "MEDIUM", "reminder_offset": 15, "reminder_id": "r-1", "timezone": "UTC",
            "remind_at": "2026-11-25T07:45:00.000Z", "occurrence": "2026-11-25T08:00:00.000Z",
            "rule": "offset:15", "tags": ["home"]
        }),
    };
    let mut event = envelope(kind, &payload);
    if kind.starts_with("reminder_") {
        event["producer"] = json!("reminder-worker");
        event["correlation_id"] = json!("c-1");
    }
    event
}

#[test]
fn each_schema_is_2020_12_and_accepts_an_event_that_uses_all_it_may() {
    let schemas = schemas();
    assert_eq!(schemas.len(), 9);
    for (name, schema) in &schemas {
        assert!(jsonschema::draft202012::meta::is_valid(schema), "{name}");
        assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
        let errors: Vec<String> =
            validator(name).iter_errors(&example(name)).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{name}: {errors:?}");
    }
}

#[test]
fn each_schema_accepts_the_least_a_publisher_may_send() {
    for (name, payload) in [
        ("task_created", json!({"task_id": "t", "user_id": "u", "title": "t"})),
        (
            "task_updated",
            json!({"task_id": "t", "changed_fields": ["title"], "changes": {"title": {"new": "x"}}}),
        ),
        ("task_completed", json!({"task_id": "t"})),
        ("task_deleted", json!({"task_id": "t"})),
        ("user_preferences_updated", json!({"user_id": "u", "quiet_hours": null})),
    ] {
        assert!(validator(name).is_valid(&json!({"event_type": name, "payload": payload})), "{name}");
    }
}

#[test]
fn each_schema_refuses_an_event_that_lacks_any_field_it_must_have() {
    for (name, schema) in &schemas() {
        let validator = validator(name);
        for path in ["", "/payload"] {
            let at = if path.is_empty() { schema.clone() } else { schema["properties"]["payload"].clone() };
            for field in at["required"].as_array().unwrap() {
                let mut event = example(name);
                event
                    .pointer_mut(path)
                    .unwrap()
                    .as_object_mut()
                    .unwrap()
                    .remove(field.as_str().unwrap())
                    .unwrap();
                assert!(!validator.is_valid(&event), "{name} without {path}/{field}");
            }
        }
    }
}

/// The data of the CloudEvent that is published for `task`.
fn published(task: &Task, reminder: &Reminder) -> Value {
    let policy = reminder_worker::app::policy(&Config::default());
    let policy = PolicyInForce {
        policy,
        generation: 1,
        since: PolicySince::all(Timestamp::from_millis(0)),
        missing: None,
        leap: None,
    };
    let bytes =
        reminder_due(&TaskId::new("t-1").unwrap(), task, reminder, &Rules { in_force: &policy, user: None });
    let mut event: Value = serde_json::from_slice(&bytes).unwrap();
    event["data"].take()
}

#[test]
fn what_the_worker_publishes_keeps_its_schema_whether_it_knows_all_or_nothing() {
    let due = Due::Instant(Timestamp::from_millis(1_764_000_000_000));
    let at = Moment::new(due, Zone::UTC);
    let mut known = Task::default();
    let event = Event {
        kind: Kind::Created,
        task_id: TaskId::new("t-1").unwrap(),
        stamps: Stamps::default(),
        offset: 0,
        message_id: None,
        producer: None,
        correlation_id: Some("c-1".to_owned()),
        trace_id: None,
        statements: vec![
            Statement::User(Some("u-1".to_owned())),
            Statement::Title(Some("Water".to_owned())),
            Statement::Due(Some(due)),
            Statement::Tags(Some(vec!["home".to_owned()])),
        ],
        refused: vec![],
    };
    known.apply(&event, Timestamp::from_millis(0));
    let by_offset = Reminder::pending(Some(at), Rule::Offset(15), Timestamp::from_millis(1_763_999_100_000));
    let stated = Reminder::pending(None, Rule::At(at), Timestamp::from_millis(1_764_000_000_000));
    let validator = validator("reminder_due");
    for (task, reminder) in [(&known, &by_offset), (&known, &stated), (&Task::default(), &stated)] {
        let event = published(task, reminder);
        let errors: Vec<String> = validator.iter_errors(&event).map(|e| e.to_string()).collect();
        assert!(errors.is_empty(), "{event:#}: {errors:?}");
    }
}

#[test]
fn a_digest_that_the_worker_publishes_keeps_its_schema() {
    let policy = reminder_worker::app::policy(&Config::default());
    let in_force = PolicyInForce {
        policy,
        generation: 1,
        since: PolicySince::all(Timestamp::from_millis(0)),
        missing: None,
        leap: None,
    };
    let (at, task_id, task) = (Timestamp::from_millis(0), TaskId::new("t-1").unwrap(), Task::default());
    let due = Moment::new(Due::Date(20_000), "Europe/Berlin".parse().unwrap());
    let reminder = Reminder::pending(Some(due), Rule::Offset(15), at);
    let items = [DigestItem { task_id: &task_id, task: &task, reminder: &reminder }];
    let id = ReminderId::of_digest("u", at, &[reminder.id(&task_id)]);
    let bytes = reminder_digest(id, "u", at, &items, &Rules { in_force: &in_force, user: None });
    let event: Value = serde_json::from_slice(&bytes).unwrap();
    let errors: Vec<String> =
        validator("reminder_digest").iter_errors(&event["data"]).map(|e| e.to_string()).collect();
    assert!(errors.is_empty(), "{event:#}: {errors:?}");
}

#[test]
fn values_outside_the_contract_are_refused() {
    for (name, path, wrong) in [
        ("task_created", "/event_type", json!("task_updated")),
        ("task_created", "/event_version", json!("1")),
        ("task_created", "/event_id", json!("e-1")),
        ("task_created", "/timestamp", json!("2026-11-24T09:00:00")),
        ("task_created", "/payload/task_id", json!("")),
        ("task_created", "/payload/title", json!(null)),
        ("task_created", "/payload/priority", json!("URGENT")),
        ("task_created", "/payload/due_date", json!("tomorrow")),
        ("task_created", "/payload/reminder_offsets", json!([-1])),
        ("task_created", "/payload/recurrence", json!({"frequency": "hourly"})),
        ("task_updated", "/payload/changed_fields", json!([])),
        ("task_updated", "/payload/changes/due_date", json!({"new": "soon"})),
        ("task_completed", "/payload/task_id", json!(null)),
        ("reminder_due", "/producer", json!("chat-api")),
        ("reminder_due", "/payload/remind_at", json!(null)),
        ("reminder_due", "/payload/priority", json!(null)),
        ("reminder_digest", "/payload/items", json!([])),
        ("reminder_digest", "/payload/items/0/reminder_id", json!(null)),
        ("user_preferences_updated", "/payload/quiet_hours/start", json!("24:00")),
        ("user_preferences_updated", "/payload/digest/below", json!("LOW")),
        ("user_preferences_updated", "/payload/mute", json!("soon")),
    ] {
        let mut event = example(name);
        *event.pointer_mut(path).unwrap() = wrong.clone();
        assert!(!validator(name).is_valid(&event), "{name}{path} = {wrong}");
    }
}

#[test]
fn one_schema_or_a_list_of_names_can_be_printed() {
    let run = |args: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_reminder-worker")).args(args).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let one: Value = serde_json::from_str(&run(&["schema", "reminder_due"])).unwrap();
    assert_eq!(one, schemas()["reminder_due"]);
    let names: Vec<String> =
        run(&["schema"]).lines().map(|line| line.split(' ').next().unwrap().to_owned()).collect();
    let tasks = ["task_created", "task_updated", "task_completed", "task_deleted"];
    let users = ["reminder_snoozed", "reminder_acknowledged", "user_preferences_updated"];
    let published = ["reminder_due", "reminder_digest"];
    assert_eq!(names, [&tasks[..], &users, &published].concat());
}
