//! What a user does about a reminder: `POST /api/v1/tasks/{task_id}/snooze` and `…/acknowledge`.
//!
//! Each is an event of the worker's own, read by the rules of all events and merged by the commit loop; the answer
//! is given after the commit. A client that repeats a call makes another event: a snooze for so many minutes begins
//! anew then.
//!
//! Races it accepts: a task that is forgotten between the look whether it is known and the commit is known again by
//! what was done about it, and calls for nothing; one whose due date moves in between is answered 200 though the action
//! comes to nothing, as it would have a moment later.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::api::{Api, TaskShown, unknown_task};
use super::problem::Problem;
use super::query::PathText;
use super::said::said;
use crate::clock::random_id;
use crate::domain::{Aim, Event, Kind, PRODUCER, Rules, Stamps, Statement, Target, TaskId, Verdict, aim};
use crate::reading::{Reading, Transport, read};
use crate::writer::{Content, Delivery};

/// The largest body taken, in bytes: the fields and the longest zone have a few hundred.
const BODY_MAX_BYTES: usize = 16 * 1024;
/// Where the quarantine says that such an event came from.
const TOPIC: &str = "api";

/// A reminder that is to come again; one of `until` and `minutes`.
#[derive(Default, Deserialize, Serialize)]
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
#[derive(Default, Deserialize, Serialize)]
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
    let said: Snooze = said(request, BODY_MAX_BYTES, api.clock.as_ref()).await?.unwrap_or_default();
    if said.until.is_some() && said.minutes.is_some() {
        let detail = "it says both `until` and `minutes`; send one of them";
        return Err(Problem::new(StatusCode::BAD_REQUEST, detail));
    }
    act(&api, Kind::Snoozed, task_id, &said).await
}

/// `POST /api/v1/tasks/{task_id}/acknowledge`
pub(super) async fn acknowledge(
    State(api): State<Api>,
    PathText(task_id): PathText,
    request: Request,
) -> Result<Json<TaskShown>, Problem> {
    let said: Acknowledgement = said(request, BODY_MAX_BYTES, api.clock.as_ref()).await?.unwrap_or_default();
    act(&api, Kind::Acknowledged, task_id, &said).await
}

async fn act(
    api: &Api,
    kind: Kind,
    task_id: String,
    said: &impl Serialize,
) -> Result<Json<TaskShown>, Problem> {
    let task_id = TaskId::new(task_id).ok_or_else(unknown_task)?;
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
    let mut event = understood(read(body.as_bytes(), &Transport::default()))?;
    // Whoever acts now means what is known now, whatever the clock has shown before: it counts from its arrival.
    event.stamps = Stamps::default();
    is_wanted(api, &event).await?;
    api.has_room()?;
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

/// Refuses what would come to nothing: whoever waits for the answer can mend it. An event from a topic is taken all the
/// same, since what it means may still be on its way.
async fn is_wanted(api: &Api, event: &Event) -> Result<(), Problem> {
    let (task_id, kind) = (event.task_id.clone(), event.kind);
    let target = event.statements.iter().find_map(|statement| match statement {
        Statement::Snooze(Some(snooze)) => Some(snooze.of),
        Statement::Acknowledged(target) => *target,
        _ => None,
    });
    let known = api.read(move |view| {
        let Some(record) = view.store.record(&task_id)? else { return Ok(None) };
        let user = view.preferences_of(&record.task)?;
        let rules = Rules { in_force: view.policy, user: user.as_ref() };
        Ok(Some((record.task.is_open(), aim(&task_id, &record, target.unwrap_or(Target::Present), &rules))))
    });
    match known.await?.ok_or_else(unknown_task)? {
        (false, _) if kind == Kind::Snoozed => {
            let detail = "the task is done or deleted: it has no reminders to snooze";
            Err(Problem::new(StatusCode::CONFLICT, detail))
        }
        (_, Aim::Unknown) => {
            let detail = "the task has no such due date or reminder; GET /api/v1/tasks/{task_id} lists its reminders, \
                          each with its `reminder_id` and `occurrence`. Leave both out to mean the last one that came";
            Err(Problem::new(StatusCode::NOT_FOUND, detail))
        }
        (true, Aim::Gone) => {
            let detail = "that reminder is of a due date which the task no longer has; leave `occurrence` and \
                          `reminder_id` out to mean the last one that came of the present due date";
            Err(Problem::new(StatusCode::CONFLICT, detail))
        }
        _ => Ok(()),
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
        // The kind is the worker's own.
        Reading::Preferences(_) => "it is about a user's preferences".to_owned(),
    };
    Err(Problem::new(StatusCode::BAD_REQUEST, wrong))
}
