//! The digest: several reminders of one user in one event.

use serde::Serialize;

use super::{CloudEvent, EVENT_VERSION, Event, to_json, traceparent};
use crate::domain::{
    Moment, PRODUCER, Reminder, ReminderId, Rule, Rules, Task, TaskId, Timestamp, Zone, occurrence,
};

/// The contract's kind of a digest.
const REMINDER_DIGEST: &str = "reminder_digest";

/// A reminder in a digest.
#[derive(Clone, Copy, Debug)]
pub struct DigestItem<'a> {
    /// Its task's id.
    pub task_id: &'a TaskId,
    /// Its task.
    pub task: &'a Task,
    /// Itself.
    pub reminder: &'a Reminder,
}

#[derive(Serialize)]
struct Payload<'a> {
    digest_id: &'a str,
    user_id: &'a str,
    items: Vec<Item<'a>>,
}

#[derive(Serialize)]
struct Item<'a> {
    task_id: &'a str,
    title: Option<&'a str>,
    due_date: Option<String>,
    priority: &'static str,
    reminder_id: String,
    remind_at: String,
    rule: String,
    occurrence: Option<String>,
    timezone: Option<&'static str>,
}

impl<'a> Item<'a> {
    fn of(item: &DigestItem<'a>, rules: &Rules<'_>) -> Self {
        let DigestItem { task_id, task, reminder } = *item;
        let due = reminder.occurrence.or_else(|| occurrence(task, rules));
        let own = match reminder.rule {
            Rule::At(time) => Some(time),
            Rule::Offset(_) | Rule::Nag(_) | Rule::Snooze(_) => due,
        };
        Self {
            task_id: task_id.as_str(),
            title: task.title(),
            due_date: due.map(|due| due.instant(rules.in_force.policy.date_only).to_rfc3339()),
            priority: task.priority().name(),
            reminder_id: reminder.id(task_id).to_string(),
            remind_at: reminder.instant().to_rfc3339(),
            rule: reminder.rule.to_string(),
            occurrence: reminder.occurrence.map(|occurrence| occurrence.to_string()),
            timezone: own.and_then(Moment::zone).or_else(|| task.zone()).map(Zone::name),
        }
    }
}

/// The `reminder_digest` that the reminders of `items` are published in, planned for `at`: a JSON CloudEvent, byte for
/// byte the same for the same arguments.
#[must_use]
pub fn reminder_digest(
    id: ReminderId,
    user: &str,
    at: Timestamp,
    items: &[DigestItem<'_>],
    rules: &Rules<'_>,
) -> Vec<u8> {
    let (id, at) = (id.to_string(), at.to_rfc3339());
    let trace = traceparent(&id, None);
    let event = Event {
        event_id: &id,
        event_type: REMINDER_DIGEST,
        event_version: EVENT_VERSION,
        timestamp: &at,
        correlation_id: &id,
        producer: PRODUCER,
        payload: Payload {
            digest_id: &id,
            user_id: user,
            items: items.iter().map(|item| Item::of(item, rules)).collect(),
        },
    };
    to_json(&CloudEvent {
        specversion: "1.0",
        id: &id,
        source: PRODUCER,
        r#type: REMINDER_DIGEST,
        subject: user,
        time: &at,
        datacontenttype: "application/json",
        traceid: &trace,
        traceparent: &trace,
        data: event,
    })
}
