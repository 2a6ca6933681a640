//! Orders about a task's reminders: `POST /api/v1/tasks/{task_id}/cancel` and `…/reschedule`.
//!
//! Answered after the commit, with what became of every reminder that the order is about.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use super::api::{Api, ReminderShown, unknown_task};
use super::problem::Problem;
use super::query::PathText;
use super::said::said;
use crate::clock::random_id;
use crate::domain::{Fate, Moment, ReminderId, Target, TaskId, Timestamp};
use crate::reading::{read_due, read_zone};
use crate::writer::{Order, Ordered, ReminderFate};

/// The largest order accepted, in bytes: a few fields, of which none is long.
const ORDER_MAX_BYTES: usize = 16 * 1024;

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
struct Cancel {
    reminder_id: Option<String>,
    occurrence: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Reschedule {
    due_date: Value,
    #[serde(default)]
    timezone: Value,
}

/// `POST /api/v1/tasks/{task_id}/cancel`
pub(super) async fn cancel(
    State(api): State<Api>,
    PathText(task_id): PathText,
    request: Request,
) -> Result<Json<Value>, Problem> {
    let cancel: Cancel = said(request, ORDER_MAX_BYTES, api.clock.as_ref()).await?.unwrap_or_default();
    let target = match cancel {
        Cancel { reminder_id: None, occurrence: None } => Target::Present,
        Cancel { reminder_id: Some(id), occurrence: None } => {
            let id = uuid::Uuid::parse_str(&id).map_err(|_| {
                wrong("`reminder_id` must be a UUID; GET /api/v1/tasks/{task_id} lists those of the task")
            })?;
            Target::Reminder(ReminderId::from(id))
        }
        Cancel { reminder_id: None, occurrence: Some(text) } => {
            Target::Occurrence(text.parse::<Moment>().map_err(wrong)?)
        }
        Cancel { .. } => return Err(wrong("name a reminder_id or an occurrence, not both")),
    };
    order(&api, task_id, Order::Cancel(target)).await
}

/// `POST /api/v1/tasks/{task_id}/reschedule`
pub(super) async fn reschedule(
    State(api): State<Api>,
    PathText(task_id): PathText,
    request: Request,
) -> Result<Json<Value>, Problem> {
    const WANTED: &str = "send {\"due_date\": …}; to take the reminders back, cancel them";
    let said = said(request, ORDER_MAX_BYTES, api.clock.as_ref()).await?;
    let Reschedule { due_date, timezone } = said.ok_or_else(|| wrong(WANTED))?;
    let due = read_due(&due_date).map_err(|why| wrong(format!("due_date: {why}")))?;
    let zone = read_zone(&timezone).map_err(|why| wrong(format!("timezone: {why}")))?;
    let due = due.ok_or_else(|| wrong(WANTED))?;
    api.has_room()?;
    order(&api, task_id, Order::Reschedule(due, zone)).await
}

fn wrong(detail: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, detail)
}

async fn order(api: &Api, task_id: String, order: Order) -> Result<Json<Value>, Problem> {
    let task_id = TaskId::new(task_id).ok_or_else(unknown_task)?;
    match api.writer.order(task_id.clone(), order, random_id().to_string()).await? {
        Ordered::Unknown => Err(unknown_task()),
        Ordered::NoSuchReminder => {
            let detail = "the task has no such reminder; GET /api/v1/tasks/{task_id} lists those it has";
            Err(Problem::new(StatusCode::NOT_FOUND, detail))
        }
        Ordered::Unreadable(why) => Err(crate::store::StoreError::Corrupt(why).into()),
        Ordered::Done { status, reminders } => {
            let (planned, told): (Vec<_>, Vec<_>) =
                reminders.into_iter().partition(|told| told.fate == Fate::Planned);
            let planned = planned.iter().map(|told| ReminderShown::of(&task_id, &told.reminder));
            Ok(Json(json!({
                "task_id": task_id.as_str(),
                "status": status,
                "reminders": told.iter().map(|told| shown(&task_id, told)).collect::<Vec<_>>(),
                "planned": planned.collect::<Vec<_>>(),
            })))
        }
    }
}

fn shown(task: &TaskId, told: &ReminderFate) -> Value {
    let ReminderFate { reminder, fate } = told;
    let at = match fate {
        Fate::Fired(at) => Some(at.to_rfc3339()),
        Fate::Planned | Fate::WillNotFire | Fate::InFlight => None,
    };
    json!({
        "reminder_id": reminder.id(task).to_string(),
        "occurrence": reminder.occurrence.map(|occurrence| occurrence.to_string()),
        "rule": reminder.rule.to_string(),
        "fire_at": Timestamp::to_rfc3339(reminder.fire_at),
        "answer": fate.name(),
        "at": at,
        "reason": reminder.reason,
    })
}
