//! The publishing API: `POST /api/tasks/{task_id}/events`.
//!
//! An event that keeps the contract is answered 202 once it is kept; sending it is the outbox's business, so a
//! publisher is never slowed by the broker.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::app::App;
use super::problem::Problem;
use super::query::PathText;
use super::said;
use crate::clock::random_id;
use crate::dapr::outbox_event;
use crate::domain::TaskId;
use crate::reading::{Reading, Topic, Transport, ValidEvent, read, validate};
use crate::store::OutboxEntry;
use crate::writer::Acceptance;

/// The largest event accepted, in bytes as it comes: Kafka's limit of 1 MiB for a record, less what wraps the event.
pub(super) const ACCEPTED_MAX_BYTES: usize = 900 * 1024;
/// The largest event accepted, in bytes as it is sent: Kafka's limit, less key, headers and the names that the sidecar
/// adds. An event can grow on its way: `1e15` is written out.
const SENT_MAX_BYTES: usize = 1000 * 1024;

/// Keeps the event in the body for publishing.
pub(super) async fn accept(
    State(app): State<App>,
    PathText(task_id): PathText,
    request: Request,
) -> Result<Response, Problem> {
    let body = said::body(request, ACCEPTED_MAX_BYTES, app.clock.as_ref()).await?;
    match validate(&task_id, &body) {
        Ok(event) => keep(&app, event).await,
        Err(invalid) => Ok((StatusCode::BAD_REQUEST, Json(invalid)).into_response()),
    }
}

async fn keep(app: &App, event: ValidEvent) -> Result<Response, Problem> {
    let now = app.clock.now();
    let topics = &app.config.topics;
    let topic = match event.event_type.topic() {
        Topic::Events => &topics.task_events,
        Topic::Updates => &topics.task_updates,
        Topic::Reminders => &topics.reminders,
        Topic::Actions => topics.reminder_actions.as_ref().ok_or_else(no_topic)?,
    };
    let kind = event.event_type.topic();
    let task: TaskId = event.task_id.clone();
    let event = event.into_json(random_id(), now);
    let event_id = event["event_id"].as_str().unwrap_or_default().to_owned();
    let body = event.to_string().into_bytes();
    // What an action says can be wrong in ways that no single field is, such as a snooze that ends in the past.
    if kind == Topic::Actions
        && let Reading::Refused(reason) = read(&body, &Transport::default())
    {
        return Err(Problem::new(StatusCode::BAD_REQUEST, reason.to_string()));
    }
    let sent = outbox_event(&task, &event_id, now, &body).len();
    if sent > SENT_MAX_BYTES {
        let detail =
            format!("the event would have {sent} bytes when it is sent, {SENT_MAX_BYTES} are allowed");
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
    }
    let entry = OutboxEntry {
        topic: topic.clone(),
        task,
        event_id: event_id.clone(),
        at: now,
        attempts: 0,
        next_attempt: None,
        reason: None,
        dead: false,
        // Below a mebibyte.
        length: body.len() as u64,
    };
    app.api.has_room()?;
    match app.api.writer.accept(entry, body).await? {
        Acceptance::Kept => {
            let told = json!({"status": "accepted", "event_id": event_id});
            Ok((StatusCode::ACCEPTED, Json(told)).into_response())
        }
        Acceptance::Full => {
            Err(Problem::later("the outbox is full, the broker has been out of reach for long; come again"))
        }
    }
}

fn no_topic() -> Problem {
    let detail = "topics.reminder_actions names no topic to publish this on; start the worker with `--set \
                  topics.reminder_actions=reminder-actions` (or REMINDER_WORKER__TOPICS__REMINDER_ACTIONS), or use the \
                  API, which needs none: POST /api/v1/tasks/{task_id}/snooze and …/acknowledge";
    Problem::new(StatusCode::CONFLICT, detail)
}
