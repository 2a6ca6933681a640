//! What the publishing API demands of an event: the contract's own standard, version `v1`, and nothing looser.
//!
//! Owns the tables of what an event must and may have. Finds every problem at once, so that a publisher is told
//! all of them in one answer. Fields that the tables do not name are kept as they are.

use serde::Serialize;
use serde_json::{Map, Value};
use thiserror::Error;
use uuid::Uuid;

use crate::domain::{CORRELATION_MAX_BYTES, TaskId, Timestamp};

use super::reason::excerpt;
use super::{checks, task, wrapping};

/// Most problems told at once: a screenful; the first ones are where to begin.
pub const PROBLEMS_MAX: usize = 64;
/// Longest name of a producer, in bytes: it is copied into the CloudEvent, as long as an id may be.
const PRODUCER_MAX_BYTES: usize = 256;
/// The version of an event that does not say.
const DEFAULT_VERSION: &str = "v1";

/// The kinds of the contract.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventType {
    /// `task_created`
    Created,
    /// `task_updated`
    Updated,
    /// `task_deleted`
    Deleted,
    /// `task_completed`
    Completed,
    /// `reminder_due`
    ReminderDue,
    /// `reminder_snoozed`
    Snoozed,
    /// `reminder_acknowledged`
    Acknowledged,
}

/// The topics of the contract, by what they carry.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Topic {
    /// `task-events`
    Events,
    /// `task-updates`
    Updates,
    /// `reminders`
    Reminders,
    /// `reminder-actions`
    Actions,
}

pub(super) type Row = (EventType, &'static str, Topic, &'static [&'static str]);

/// Every kind with its name, its topic and what its payload must have beside the task id.
#[rustfmt::skip]
pub(super) const EVENT_TYPES: [Row; 7] = [
    (EventType::Created,     "task_created",   Topic::Events,    &["user_id", "title"]),
    (EventType::Updated,     "task_updated",   Topic::Updates,   &["changed_fields", "changes"]),
    (EventType::Deleted,     "task_deleted",   Topic::Events,    &[]),
    (EventType::Completed,   "task_completed", Topic::Events,    &[]),
    (EventType::ReminderDue, "reminder_due",   Topic::Reminders,
        &["user_id", "title", "due_date", "priority", "reminder_offset"]),
    (EventType::Snoozed,      "reminder_snoozed",      Topic::Actions, &[]),
    (EventType::Acknowledged, "reminder_acknowledged", Topic::Actions, &[]),
];

impl EventType {
    /// The topic that events of this kind belong on.
    #[must_use]
    pub fn topic(self) -> Topic {
        self.row().2
    }

    /// The kind's name, `task_created` and so on.
    #[must_use]
    pub fn name(self) -> &'static str {
        self.row().1
    }

    fn row(self) -> &'static Row {
        // The table stands in the order of the kinds; a test holds it to that.
        &EVENT_TYPES[self as usize]
    }
}

/// One thing wrong with an event.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Problem {
    /// Where, `payload.title` for instance.
    pub field: String,
    /// What is wrong and what is allowed.
    pub error: String,
}

/// Why an event may not be published: the contract's answer to a publisher.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Error)]
#[error("{message}")]
pub struct ValidationError {
    error: &'static str,
    message: String,
    /// What is wrong, at most [`PROBLEMS_MAX`].
    pub details: Vec<Problem>,
}

/// An event that keeps the contract.
#[derive(Clone, PartialEq, Debug)]
pub struct ValidEvent {
    /// Its kind.
    pub event_type: EventType,
    /// Its task.
    pub task_id: TaskId,
    body: Map<String, Value>,
}

impl ValidEvent {
    /// The event to publish, with `event_id` and `now` in place of an id and a stamp that it does not have.
    #[must_use]
    pub fn into_json(self, event_id: Uuid, now: Timestamp) -> Value {
        let mut body = self.body;
        let defaults = [
            ("event_id", event_id.to_string()),
            ("event_version", DEFAULT_VERSION.to_owned()),
            ("timestamp", now.to_rfc3339()),
        ];
        for (key, default) in defaults {
            let value = body.entry(key).or_insert(Value::Null);
            if value.is_null() {
                *value = Value::String(default);
            }
        }
        // Nobody is made up for a producer that does not name itself: rules are kept by that name.
        if body.get("producer").is_some_and(Value::is_null) {
            body.remove("producer");
        }
        body.entry("correlation_id").or_insert(Value::Null);
        Value::Object(body)
    }
}

/// Whether the event in `body` may be published for the task named in the path.
///
/// # Errors
/// Everything that is wrong with it.
pub fn validate(task_id_from_path: &str, body: &[u8]) -> Result<ValidEvent, ValidationError> {
    let mut problems = Problems::default();
    let task_id = task::task_id(task_id_from_path.to_owned());
    if let Err(why) = &task_id {
        problems.add("task_id", why);
    }
    let mut body = match wrapping::parse(body) {
        Ok(Value::Object(map)) => map,
        Ok(other) => {
            problems.add("body", &format!("must be an object, not {}", wrapping::type_name(&other)));
            return Err(problems.into_error());
        }
        Err(reason) => {
            problems.add("body", &reason.to_string());
            return Err(problems.into_error());
        }
    };
    check_envelope(&body, &mut problems);
    let event_type = event_type(&body, &mut problems);
    match body.get_mut("payload") {
        Some(Value::Object(payload)) => {
            check_task_id(payload, task_id_from_path, &mut problems);
            check_payload(payload, event_type, &mut problems);
        }
        Some(other) => {
            problems.add("payload", &format!("must be an object, not {}", wrapping::type_name(other)));
        }
        None => problems.add("payload", "is required"),
    }
    match (event_type, task_id) {
        (Some(event_type), Ok(task_id)) if problems.0.is_empty() => {
            Ok(ValidEvent { event_type, task_id, body })
        }
        _ => Err(problems.into_error()),
    }
}

#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, field: &str, error: &str) {
        if self.0.len() < PROBLEMS_MAX {
            self.0.push(Problem { field: field.to_owned(), error: error.to_owned() });
        }
    }

    fn check(&mut self, field: &str, checked: Result<(), String>) {
        if let Err(error) = checked {
            self.add(field, &error);
        }
    }

    fn into_error(self) -> ValidationError {
        let message = match self.0.len() {
            1 => "the event has 1 problem".to_owned(),
            count => format!("the event has {count} problems"),
        };
        ValidationError { error: "validation_error", message, details: self.0 }
    }
}

/// What an envelope may have; a null is as good as nothing there.
const ENVELOPE: [(&str, checks::Check); 5] = [
    ("event_id", checks::uuid),
    ("event_version", checks::version),
    ("timestamp", checks::aware_time),
    ("correlation_id", |value| checks::text_within(value, CORRELATION_MAX_BYTES)),
    ("producer", |value| {
        checks::filled_text(value).and_then(|()| checks::text_within(value, PRODUCER_MAX_BYTES))
    }),
];

fn check_envelope(body: &Map<String, Value>, problems: &mut Problems) {
    for (key, check) in ENVELOPE {
        if let Some(value) = body.get(key).filter(|value| !value.is_null()) {
            problems.check(key, check(value));
        }
    }
}

fn event_type(body: &Map<String, Value>, problems: &mut Problems) -> Option<EventType> {
    let Some(value) = body.get("event_type").filter(|value| !value.is_null()) else {
        problems.add("event_type", "is required");
        return None;
    };
    let found = EVENT_TYPES.iter().find(|(_, name, _, _)| value.as_str() == Some(name));
    if found.is_none() {
        let names: Vec<_> = EVENT_TYPES.iter().map(|(_, name, _, _)| *name).collect();
        problems.add("event_type", &format!("must be one of {}", names.join(", ")));
    }
    found.map(|(event_type, ..)| *event_type)
}

/// The payload's task id must be the path's; one that is left out is filled in.
fn check_task_id(payload: &mut Map<String, Value>, from_path: &str, problems: &mut Problems) {
    let value = payload.entry("task_id").or_insert(Value::Null);
    if value.is_null() {
        *value = Value::String(from_path.to_owned());
        return;
    }
    match task::id_text(value) {
        Ok(id) if id == from_path => {}
        Ok(id) => {
            let (id, path) = (excerpt(&id), excerpt(from_path));
            problems.add("payload.task_id", &format!("is `{id}`, but the path names the task `{path}`"));
        }
        Err(why) => problems.add("payload.task_id", &why),
    }
}

fn check_payload(payload: &Map<String, Value>, event_type: Option<EventType>, problems: &mut Problems) {
    let required = event_type.map_or(&[][..], |event_type| event_type.row().3);
    for key in required {
        if payload.get(*key).is_none_or(Value::is_null) {
            problems.add(&format!("payload.{key}"), "is required");
        }
    }
    let is_told = |key: &str| payload.get(key).is_some_and(|value| !value.is_null());
    if event_type == Some(EventType::Snoozed) && !is_told("until") && !is_told("minutes") {
        problems.add("payload.until", "is required, or payload.minutes is");
    }
    let fields = match event_type {
        Some(EventType::Snoozed | EventType::Acknowledged) => &checks::ACTION_PAYLOAD[..],
        _ => &checks::PAYLOAD,
    };
    for (key, check) in fields {
        if let Some(value) = payload.get(*key).filter(|value| !value.is_null()) {
            problems.check(&format!("payload.{key}"), check(value));
        }
    }
    let Some(Value::Object(changes)) = payload.get("changes") else { return };
    for (key, change) in changes {
        let at = format!("payload.changes.{}", excerpt(key));
        let Some(new) = change.get("new") else {
            problems.add(&at, "must be {\"old\", \"new\"}");
            continue;
        };
        let check = checks::PAYLOAD.iter().find(|(name, _)| name == key);
        if let (Some((_, check)), false) = (check, new.is_null()) {
            problems.check(&format!("{at}.new"), check(new));
        }
    }
}
