//! What a user does about a reminder: `POST /api/v1/tasks/{task_id}/snooze` and `…/acknowledge`.
//!
//! Each is an event of the worker's own, read by the rules of all events and merged by the commit loop; the answer
//! is given after the commit. A client that repeats a call makes another event: a snooze for so many minutes begins
//! anew then. JSON is demanded by its content type, which a page of a foreign site cannot send.
//!
//! Race it accepts: a task that is forgotten between the look whether it is known and the commit is known again by
//! what was done about it, and calls for nothing.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::api::{Api, TaskShown, unknown_task};
use super::body::{Arrived, arrive};
use super::problem::Problem;
use super::query::PathText;
use crate::clock::random_id;
use crate::domain::{Event, Kind, PRODUCER, TaskId, Verdict};
use crate::reading::{Reading, Transport, read};
use crate::writer::{Content, Delivery};

/// The largest body taken, in bytes: the fields and the longest zone have a few hundred.
const BODY_MAX_BYTES: usize = 16 * 1024;
/// Where the quarantine says that such an event came from.
const TOPIC: &str = "api";

/// A reminder that is to come again; one of `until` and `minutes`.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Snooze {
    /// RFC 3339 with an offset.
    #[serde(skip_serializing_if = "Option::is_none")]
    until: Option<Value>,
    /// From now.
    #[serde(skip_serializing_if = "Option::is_none")]
    minutes: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    occurrence: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reminder_id: Option<Value>,
}

/// A reminder that was seen.
#[derive(Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Acknowledgement {
    #[serde(skip_serializing_if = "Option::is_none")]
    occurrence: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reminder_id: Option<Value>,
}

/// `POST /api/v1/tasks/{task_id}/snooze`
pub(super) async fn snooze(
    State(api): State<Api>,
    PathText(task_id): PathText,
    request: Request,
) -> Result<Json<TaskShown>, Problem> {
    let said: Snooze = said(&api, request).await?;
    act(&api, Kind::Snoozed, task_id, &said).await
}

/// `POST /api/v1/tasks/{task_id}/acknowledge`
pub(super) async fn acknowledge(
    State(api): State<Api>,
    PathText(task_id): PathText,
    request: Request,
) -> Result<Json<TaskShown>, Problem> {
    let said: Acknowledgement = said(&api, request).await?;
    act(&api, Kind::Acknowledged, task_id, &said).await
}

/// The body as `T`; an empty one says nothing.
async fn said<T: DeserializeOwned>(api: &Api, request: Request) -> Result<T, Problem> {
    let is_json =
        request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).is_some_and(|value| {
            value.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case("application/json")
        });
    if !is_json {
        let detail = "send JSON, with `content-type: application/json`";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    let body = match arrive(request.into_body(), BODY_MAX_BYTES, api.clock.as_ref()).await {
        Arrived::Whole(body) => body,
        Arrived::TooLarge(..) => {
            let detail = format!("the body may have at most {BODY_MAX_BYTES} bytes");
            return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail));
        }
        Arrived::Broken => return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body broke off")),
    };
    let body = if body.trim_ascii().is_empty() { &b"{}"[..] } else { &body };
    serde_json::from_slice(body).map_err(|wrong| Problem::new(StatusCode::BAD_REQUEST, wrong.to_string()))
}

async fn act(
    api: &Api,
    kind: Kind,
    task_id: String,
    said: &impl Serialize,
) -> Result<Json<TaskShown>, Problem> {
    let task_id = TaskId::new(task_id).ok_or_else(unknown_task)?;
    let asked = task_id.clone();
    let is_open =
        api.read(move |view| Ok(view.store.record(&asked)?.map(|record| record.task.is_open()))).await?;
    if !is_open.ok_or_else(unknown_task)? && kind == Kind::Snoozed {
        let detail = "the task is done or deleted: it has no reminders to snooze";
        return Err(Problem::new(StatusCode::CONFLICT, detail));
    }
    let now = api.clock.now();
    let mut payload = json!(said);
    payload["task_id"] = json!(task_id.as_str());
    let event = json!({
        "event_id": random_id().to_string(),
        "event_type": kind.name(),
        "event_version": "v1",
        "timestamp": now.to_rfc3339(),
        "producer": PRODUCER,
        "payload": payload,
    });
    let body = event.to_string();
    let event = understood(read(body.as_bytes(), &Transport::default()))?;
    let delivery = Delivery { at: now, topic: TOPIC.into(), content: Content::Event(event, body.into()) };
    match api.writer.deliver(vec![delivery]).await.first() {
        Some(Verdict::Success) => api.task(task_id).await,
        Some(Verdict::Drop) => {
            let detail = "the record of the task can't be read; the quarantine has the event and the reason";
            Err(Problem::new(StatusCode::INTERNAL_SERVER_ERROR, detail))
        }
        Some(Verdict::Retry) | None => Err(Problem::later("the store could not commit; try again")),
    }
}

/// The event, if all of it could be read: whoever waits for the answer can mend what could not.
fn understood(reading: Reading) -> Result<Box<Event>, Problem> {
    let wrong = match reading {
        Reading::Event(event) if event.refused.is_empty() => return Ok(event),
        Reading::Event(event) => {
            let refused =
                event.refused.iter().map(|refusal| format!("`{}`: {}", refusal.key, refusal.reason));
            refused.collect::<Vec<_>>().join("; ")
        }
        Reading::Refused(reason) => reason.to_string(),
        Reading::Ignored(ignored) => ignored.code().to_owned(),
    };
    Err(Problem::new(StatusCode::BAD_REQUEST, wrong))
}
