//! Claims about reading, a file a concern; what they share stands here.

mod actions;
mod bulk;
mod changes;
mod contract;
mod extras;
mod kind;
mod laws;
mod mentions;
mod names;
mod origin;
mod reminders;
mod statements;

mod stamp;
mod task;
mod wrapping;

use serde_json::{Value, json};

use super::{Ignored, Reading, Reason, Transport, WRAPPINGS_MAX, read};
use crate::domain::{Due, Event, Field, Statement, Timestamp};

/// Reads `value` as a body of its own.
pub(super) fn reading(value: &Value) -> Reading {
    read(value.to_string().as_bytes(), &Transport::default())
}

/// The event that `value` is.
pub(super) fn event(value: &Value) -> Event {
    match reading(value) {
        Reading::Event(event) => *event,
        other => panic!("{value} is no event: {other:?}"),
    }
}

/// Why `value` is refused.
pub(super) fn reason(value: &Value) -> Reason {
    match reading(value) {
        Reading::Refused(reason) => reason,
        other => panic!("{value} is not refused: {other:?}"),
    }
}

/// What `value` is ignored as.
pub(super) fn ignored(value: &Value) -> Ignored {
    match reading(value) {
        Reading::Ignored(ignored) => ignored,
        other => panic!("{value} is not ignored: {other:?}"),
    }
}

/// A bare `task_created` of task `t-1` whose payload also holds `fields`.
pub(super) fn created(fields: &Value) -> Value {
    about("task_created", fields)
}

/// A bare `task_updated` of task `t-1` whose payload also holds `fields`.
pub(super) fn updated(fields: &Value) -> Value {
    about("task_updated", fields)
}

fn about(kind: &str, fields: &Value) -> Value {
    let mut payload = json!({"task_id": "t-1"});
    for (key, value) in fields.as_object().into_iter().flatten() {
        payload[key] = value.clone();
    }
    json!({"event_type": kind, "payload": payload})
}

/// What `event` states of `field`.
pub(super) fn stated(event: &Event, field: Field) -> Option<&Statement> {
    event.statements.iter().find(|statement| statement.field() == field)
}

/// The keys whose extras `event` refused.
pub(super) fn refused(event: &Event) -> Vec<&str> {
    event.refused.iter().map(|refusal| refusal.key.as_str()).collect()
}

/// The instant that chrono reads in `text`.
pub(super) fn at(text: &str) -> Timestamp {
    let at = chrono::DateTime::parse_from_rfc3339(text).unwrap();
    Timestamp::from_millis(at.timestamp_millis())
}

/// The instant that chrono reads in `text`, as a due date.
pub(super) fn instant(text: &str) -> Due {
    Due::Instant(at(text))
}
