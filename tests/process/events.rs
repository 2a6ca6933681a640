//! Task events, and the wrapping in which daprd delivers them.

use std::sync::atomic::{AtomicUsize, Ordering};

use reminder_worker::domain::Timestamp;
use serde_json::{Value, json};

use crate::wait::now;

pub(crate) const TASK_EVENTS: &str = "/events/task-events";
pub(crate) const TASK_UPDATES: &str = "/events/task-updates";
pub(crate) const REMINDERS: &str = "/events/reminders";
/// Days that no test lasts, in milliseconds.
pub(crate) const FAR: i64 = 30 * 24 * 60 * 60 * 1_000;

/// A task id that no other task has.
pub(crate) fn task() -> String {
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    format!("task-{}", NEXT.fetch_add(1, Ordering::SeqCst))
}

/// An instant as text.
pub(crate) fn rfc3339(ms: i64) -> String {
    Timestamp::from_millis(ms).to_rfc3339()
}

/// A task that is due `in_ms` from now, and was created a second before the earlier of the two.
pub(crate) fn created(task: &str, in_ms: i64) -> Value {
    titled(task, in_ms, "Water the plants")
}

pub(crate) fn titled(task: &str, in_ms: i64, title: &str) -> Value {
    let at = now() + in_ms.min(0) - 1_000;
    let payload =
        json!({"task_id": task, "user_id": "ann", "title": title, "due_date": rfc3339(now() + in_ms)});
    event("task_created", at, &payload)
}

fn event(kind: &str, at: i64, payload: &Value) -> Value {
    json!({
        "event_id": format!("{}-{kind}-{at}", payload["task_id"].as_str().unwrap()), "event_type": kind,
        "event_version": "v1", "timestamp": rfc3339(at), "correlation_id": null, "producer": "chat-api",
        "payload": payload
    })
}

/// As daprd wraps what is published to it.
pub(crate) fn cloud_event(event: &Value) -> Value {
    json!({
        "specversion": "1.0", "id": "4cb26e87-8f7f-4970-8440-4c3a978da060", "source": "chat-api",
        "type": "com.dapr.event.sent", "datacontenttype": "application/json", "pubsubname": "kafka-pubsub",
        "topic": "task-events", "time": rfc3339(now()), "traceid": "", "traceparent": "", "tracestate": "",
        "data": event
    })
}

/// As daprd batches what is subscribed to in bulk.
pub(crate) fn bulk(events: &[Value]) -> Value {
    let entries: Vec<Value> = events
        .iter()
        .enumerate()
        .map(|(n, event)| {
            json!({
                "entryId": n.to_string(), "event": cloud_event(event), "metadata": {"__topic": "task-events"},
                "contentType": "application/cloudevents+json"
            })
        })
        .collect();
    json!({
        "entries": entries, "id": "be61a44c-7ef1-4513-813c-8b8806aa7d1d", "metadata": {"pubsubName": "kafka-pubsub"},
        "pubsubname": "kafka-pubsub", "topic": "task-events", "type": "com.dapr.event.sent.bulk"
    })
}
