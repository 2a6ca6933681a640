//! The CloudEvents the worker publishes, as pure functions of what they tell.
//!
//! Owns half of **invariant 3 (one identity)**: a repeat carries the same ids always, and the same bytes as long
//! as the task has not changed. So nothing here reads a clock, and the trace and span ids that nobody gave are cut
//! from a hash of the event's id. Accepted: an explicit time is told with the task's due date as it is read now, and a
//! date alone is read in its user's zone.
//!
//! `timestamp` is when a reminder was to go out, `remind_at` the instant that its rule names, alone and in a digest: they
//! differ where quiet hours, a digest or a window moved it.
//!
//! The CloudEvent's `type` is the event's own `event_type`: consumers route on it (`event.type == 'reminder_due'`),
//! and readers that look for the kind in the envelope find the same word there. `traceid` is set beside
//! `traceparent` because daprd overwrites both where `traceid` is missing (`pubsub/envelope.go`, FromCloudEvent).

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};

use crate::domain::{
    CANARY_EVENT, Moment, PRODUCER, Reminder, Rule, Rules, Task, TaskId, Timestamp, Zone, is_canary,
    occurrence,
};

/// The contract's kind of a reminder.
const REMINDER_DUE: &str = "reminder_due";
const EVENT_VERSION: &str = "v1";

mod digest;

pub use digest::{DigestItem, reminder_digest};

/// CloudEvents 1.0 in its JSON format, with the extensions that daprd knows.
#[derive(Serialize)]
struct CloudEvent<'a, T> {
    specversion: &'static str,
    id: &'a str,
    source: &'a str,
    r#type: &'a str,
    subject: &'a str,
    time: &'a str,
    datacontenttype: &'static str,
    traceid: &'a str,
    traceparent: &'a str,
    data: T,
}

#[derive(Serialize)]
struct Event<'a, P> {
    event_id: &'a str,
    event_type: &'static str,
    event_version: &'static str,
    timestamp: &'a str,
    correlation_id: &'a str,
    producer: &'static str,
    payload: P,
}

#[derive(Serialize)]
struct Payload<'a> {
    task_id: &'a str,
    user_id: Option<&'a str>,
    title: Option<&'a str>,
    due_date: Option<String>,
    priority: &'static str,
    reminder_offset: Option<i64>,
    reminder_id: &'a str,
    remind_at: String,
    occurrence: Option<String>,
    rule: String,
    timezone: Option<&'static str>,
    tags: &'a [String],
}

/// The `reminder_due` that `reminder` of `task` is published as: a JSON CloudEvent, byte for byte the same for the
/// same arguments. What the task does not tell is null.
#[must_use]
pub fn reminder_due(task_id: &TaskId, task: &Task, reminder: &Reminder, rules: &Rules<'_>) -> Vec<u8> {
    let id = reminder.id(task_id).to_string();
    let kind = if is_canary(task_id) { CANARY_EVENT } else { REMINDER_DUE };
    let at = reminder.fire_at.to_rfc3339();
    let trace = traceparent(&id, task.due_origin.trace_id);
    // An explicit time belongs to no occurrence: it is told with the task's present due date.
    let due = reminder.occurrence.or_else(|| occurrence(task, rules));
    let due_at = due.map(|due| due.instant(rules.in_force.policy.date_only));
    let (offset, own) = match reminder.rule {
        Rule::Offset(minutes) => (Some(i64::from(minutes)), due),
        Rule::At(time) => (before(due_at, reminder), Some(time)),
        Rule::Nag(_) | Rule::Snooze(_) => (before(due_at, reminder), due),
    };
    let event = Event {
        event_id: &id,
        event_type: kind,
        event_version: EVENT_VERSION,
        timestamp: &at,
        correlation_id: task.due_origin.correlation_id.as_deref().unwrap_or(task_id.as_str()),
        producer: PRODUCER,
        payload: Payload {
            task_id: task_id.as_str(),
            user_id: task.user(),
            title: task.title(),
            due_date: due_at.map(Timestamp::to_rfc3339),
            priority: task.priority().name(),
            reminder_offset: offset,
            reminder_id: &id,
            remind_at: reminder.instant().to_rfc3339(),
            occurrence: reminder.occurrence.map(|occurrence| occurrence.to_string()),
            rule: reminder.rule.to_string(),
            timezone: own.and_then(Moment::zone).or_else(|| task.zone()).map(Zone::name),
            tags: task.tags(),
        },
    };
    to_json(&CloudEvent {
        specversion: "1.0",
        id: &id,
        source: PRODUCER,
        r#type: kind,
        subject: task_id.as_str(),
        time: &at,
        datacontenttype: "application/json",
        traceid: &trace,
        traceparent: &trace,
        data: event,
    })
}

/// The CloudEvent around an event that an app asked the worker to publish. `event` is a JSON object that the
/// contract's rules accepted; it is carried as it is.
///
/// Its `time` is when it was accepted, not the producer's own `timestamp`: where the broker stamps nothing, readers
/// take `time` for when the event was on its way, and one dated back would count as older than what they forgot.
#[must_use]
pub fn outbox_event(task_id: &TaskId, event_id: &str, accepted: Timestamp, event: &[u8]) -> Vec<u8> {
    #[derive(Deserialize, Default)]
    struct Told {
        event_type: Option<String>,
        producer: Option<String>,
    }
    let told: Told = serde_json::from_slice(event).unwrap_or_default();
    let trace = traceparent(event_id, None);
    // What was accepted was JSON; `null` in its place would be refused by every reader, not lost in silence.
    let data: &RawValue = serde_json::from_slice(event).unwrap_or(RawValue::NULL);
    to_json(&CloudEvent {
        specversion: "1.0",
        id: event_id,
        source: told.producer.as_deref().filter(|name| !name.is_empty()).unwrap_or(PRODUCER),
        r#type: told.event_type.as_deref().unwrap_or("task_event"),
        subject: task_id.as_str(),
        time: &accepted.to_rfc3339(),
        datacontenttype: "application/json",
        traceid: &trace,
        traceparent: &trace,
        data,
    })
}

/// W3C Trace Context, version 00, sampled: a tracer downstream that follows its parent then records.
fn traceparent(event_id: &str, trace_id: Option<[u8; 16]>) -> String {
    let hash = Sha256::digest(event_id);
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let trace = trace_id.map_or_else(|| hex(&hash[..16]), |id| hex(&id));
    format!("00-{trace}-{}-01", hex(&hash[16..24]))
}

/// Whole minutes from the instant of `reminder` to `due`; negative after it.
fn before(due: Option<Timestamp>, reminder: &Reminder) -> Option<i64> {
    Some(due?.millis().saturating_sub(reminder.instant().millis()) / 60_000)
}

fn to_json(event: &impl Serialize) -> Vec<u8> {
    // Plain structs of text and numbers, written into memory: there is nothing that can fail.
    serde_json::to_vec(event).unwrap_or_default()
}

#[cfg(test)]
mod tests;
