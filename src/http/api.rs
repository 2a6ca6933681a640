//! The API: what the worker knows, read between two commits; what it is told stands in `actions`.
//!
//! Instants are RFC 3339 in UTC, null where there is none. Lists are paged by key: `next` is what `after` of the
//! next page is, null on the last.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use base64::Engine as _;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::firing::FiringShown;
use super::problem::Problem;
use super::query::{Limit, PathText, Strict};
use super::stream::Streams;
use super::{actions, orders, preferences, reminders, stream, why};
use crate::backups::{Backups, BegunErasing};
use crate::clock::{Clock, millis};
use crate::domain::{Record, Reminder, Rules, State as ReminderState, TaskId, Timestamp, Zone, occurrence};
use crate::health::Health;
use crate::store::{OutboxEntry, Quarantined, StoreError};
use crate::writer::{View, Writer};

/// What the API needs. Cloning is cheap.
#[derive(Clone)]
pub struct Api {
    pub(super) writer: Writer,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) streams: Streams,
    /// Walks through the list of reminders that may be under way.
    pub(super) walks: Arc<Semaphore>,
    /// Backups of the store, where it has any.
    pub(super) backups: Option<Backups>,
    /// The worker's health, where it is known.
    pub(super) health: Option<Health>,
}

impl Api {
    /// An API over what `writer` has committed, with `live` as its stream of reminders, which ends at `stop`.
    #[must_use]
    pub fn new(
        writer: Writer,
        clock: Arc<dyn Clock>,
        live: crate::intake::Live,
        stop: tokio_util::sync::CancellationToken,
    ) -> Self {
        let walks = Arc::new(Semaphore::new(reminders::WALKS_MAX));
        Self { writer, clock, streams: Streams::new(live, stop), walks, backups: None, health: None }
    }

    /// The same with `backups` of the store.
    #[must_use]
    pub fn with_backups(self, backups: Option<Backups>) -> Self {
        Self { backups, ..self }
    }

    /// The same with the worker's `health`.
    #[must_use]
    pub fn with_health(self, health: Health) -> Self {
        Self { health: Some(health), ..self }
    }

    /// Notes beside the backups, where there are any, that the erasing of `user` begins.
    pub(super) async fn begin_erasing(&self, user: &str) -> Result<Option<BegunErasing>, Problem> {
        match &self.backups {
            Some(backups) => Ok(Some(backups.begin_erasing(user).await?)),
            None => Ok(None),
        }
    }

    /// Reads between two commits.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&View<'_>) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, Problem> {
        Ok(self.writer.read(read).await??)
    }

    /// Whether there is room for what grows the store; else 503 that says how much is missing.
    pub(super) fn has_room(&self) -> Result<(), Problem> {
        match self.writer.room() {
            Some(room) if room.short => Err(Problem::later(room.to_string())),
            _ => Ok(()),
        }
    }

    /// A task and all that became of its reminders, or 404.
    pub(super) async fn task(&self, task_id: TaskId) -> Result<Json<TaskShown>, Problem> {
        let shown = self.read(move |view| {
            let Some(record) = view.store.record(&task_id)? else { return Ok(None) };
            let user = view.preferences_of(&record.task)?;
            let rules = Rules { in_force: view.policy, user: user.as_ref() };
            Ok(Some(TaskShown::of(&task_id, &record, &rules)))
        });
        shown.await?.map(Json).ok_or_else(unknown_task)
    }
}

/// The paths of the API.
pub(super) fn api_routes(api: Api) -> Router {
    Router::new()
        .route("/api/v1/tasks/{task_id}", get(task))
        .route("/api/v1/tasks/{task_id}/why", get(why::show))
        .route("/api/v1/tasks/{task_id}/cancel", post(orders::cancel))
        .route("/api/v1/tasks/{task_id}/reschedule", post(orders::reschedule))
        .route("/api/v1/tasks/{task_id}/snooze", post(actions::snooze))
        .route("/api/v1/tasks/{task_id}/acknowledge", post(actions::acknowledge))
        .route("/api/v1/reminders", get(reminders::list))
        .route("/api/v1/reminders/stream", get(stream::stream))
        .route("/api/v1/users/{id}/preferences", preferences::preferences())
        .route("/api/v1/quarantine", get(quarantine))
        .route("/api/v1/quarantine/{number}", get(quarantined))
        .route("/api/v1/outbox", get(outbox))
        .route("/api/v1/stats", get(stats))
        .with_state(api)
}

/// A task as the API shows it.
#[derive(Serialize)]
pub(super) struct TaskShown {
    task_id: String,
    user_id: Option<String>,
    title: Option<String>,
    priority: &'static str,
    status: &'static str,
    due_at: Option<String>,
    timezone: Option<&'static str>,
    reminders: Vec<ReminderShown>,
}

impl TaskShown {
    fn of(task_id: &TaskId, record: &Record, rules: &Rules<'_>) -> Self {
        let task = &record.task;
        let due = occurrence(task, rules).map(|due| due.instant(rules.in_force.policy.date_only));
        Self {
            task_id: task_id.to_string(),
            user_id: task.user().map(str::to_owned),
            title: task.title().map(str::to_owned),
            priority: task.priority().name(),
            status: if task.is_alive() { task.status().name() } else { "DELETED" },
            due_at: due.map(Timestamp::to_rfc3339),
            timezone: task.zone().map(Zone::name),
            reminders: record.reminders.iter().map(|r| ReminderShown::of(task_id, r)).collect(),
        }
    }
}

/// A reminder as the API shows it.
#[derive(Serialize)]
pub(super) struct ReminderShown {
    reminder_id: String,
    event_id: String,
    occurrence: Option<String>,
    rule: String,
    fire_at: String,
    state: &'static str,
    published_at: Option<String>,
    late_by_ms: Option<u64>,
    reason: Option<String>,
}

impl ReminderShown {
    pub(super) fn of(task_id: &TaskId, reminder: &Reminder) -> Self {
        let id = reminder.id(task_id).to_string();
        let published_at = reminder.settled_at.filter(|_| reminder.state == ReminderState::Published);
        let goes_out_in = reminder.within.filter(|_| reminder.state != ReminderState::Superseded);
        Self {
            // What it goes out under: with others, their digest's.
            event_id: goes_out_in.map_or_else(|| id.clone(), |digest| digest.to_string()),
            reminder_id: id,
            occurrence: reminder.occurrence.map(|occurrence| occurrence.to_string()),
            rule: reminder.rule.to_string(),
            fire_at: reminder.fire_at.to_rfc3339(),
            state: reminder.state.name(),
            published_at: published_at.map(Timestamp::to_rfc3339),
            late_by_ms: reminder.lateness().map(millis),
            reason: reminder.reason.clone(),
        }
    }
}

async fn task(State(api): State<Api>, PathText(task_id): PathText) -> Result<Json<TaskShown>, Problem> {
    api.task(TaskId::new(task_id).ok_or_else(unknown_task)?).await
}

/// What is said of a task that has no record. An event is accepted a moment before it is back through the broker.
const UNKNOWN_TASK: &str = "no event of this task is kept; if it was published a moment ago ask again, and what could not \
                            be read is in /api/v1/quarantine";

pub(super) fn unknown_task() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, UNKNOWN_TASK)
}

async fn stats(State(api): State<Api>) -> Result<Json<serde_json::Value>, Problem> {
    let (meta, foreign, held_back, mismatches) = api
        .read(|view| {
            Ok((view.meta.clone(), view.foreign.clone(), view.held_back(), view.mismatches.to_vec()))
        })
        .await?;
    let mismatches = mismatches.iter().map(
        |found| serde_json::json!({ "what": found.what, "counted": found.counted, "there": found.there }),
    );
    let (events, reminders) = (meta.events, meta.reminders);
    let mut counts = serde_json::Map::from_iter([("planned".to_owned(), meta.ledger.planned.into())]);
    counts.extend(ReminderState::ALL.map(|state| (state.name().to_owned(), reminders.of(state).into())));
    Ok(Json(serde_json::json!({
        "events": {
            "received": meta.ledger.received,
            "applied": events.applied,
            "duplicate": events.duplicate,
            "stale": events.stale,
            "ignored": events.ignored,
            "quarantined": events.quarantined,
        },
        "reminders": counts,
        "firing": FiringShown::of(meta.paused.as_ref()),
        "held_back": held_back.map_or(0, |held| held.count),
        "alarms": { "counters": mismatches.collect::<Vec<_>>(), "foreign_worker": foreign.last.map(|last| serde_json::json!({
            "count": foreign.count,
            "last_at": last.at.to_rfc3339(),
            "task_id": last.task_id.as_str(),
            "reminder_id": last.id.to_string(),
        })) },
    })))
}

/// A page of entries that are numbered.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Numbered {
    #[serde(default)]
    limit: Limit,
    after: Option<u64>,
}

#[derive(Serialize)]
struct QuarantinedShown {
    number: u64,
    received_at: String,
    topic: String,
    code: String,
    reason: String,
    /// Of the body as it came.
    length: u64,
}

impl QuarantinedShown {
    fn of(number: u64, kept: Quarantined) -> Self {
        let Quarantined { at, topic, code, reason, length } = kept;
        Self { number, received_at: at.to_rfc3339(), topic, code, reason, length }
    }
}

#[derive(Serialize)]
struct QuarantinePage {
    quarantine: Vec<QuarantinedShown>,
    next: Option<u64>,
}

async fn quarantine(
    State(api): State<Api>,
    Strict(page): Strict<Numbered>,
) -> Result<Json<QuarantinePage>, Problem> {
    let Numbered { limit: Limit(limit), after } = page;
    let kept = api.read(move |view| view.store.quarantined(after, limit)).await?;
    let next = next_number(&kept, limit);
    let quarantine = kept.into_iter().map(|(number, kept)| QuarantinedShown::of(number, kept)).collect();
    Ok(Json(QuarantinePage { quarantine, next }))
}

/// A quarantined event with what is kept of its body: as text where it is text, else in base64.
#[derive(Serialize)]
struct QuarantinedWhole {
    #[serde(flatten)]
    entry: QuarantinedShown,
    body: Option<String>,
    body_base64: Option<String>,
}

async fn quarantined(
    State(api): State<Api>,
    PathText(number): PathText,
) -> Result<Json<QuarantinedWhole>, Problem> {
    let unknown = Problem::new(StatusCode::NOT_FOUND, "no quarantined event of this number is kept");
    let Ok(number) = number.parse::<u64>() else { return Err(unknown) };
    let found = api
        .read(move |view| {
            let page = view.store.quarantined(number.checked_sub(1), 1)?;
            let Some((_, kept)) = page.into_iter().find(|(found, _)| *found == number) else {
                return Ok(None);
            };
            Ok(Some((kept, view.store.quarantined_body(number)?)))
        })
        .await?;
    let (kept, body) = found.ok_or(unknown)?;
    let (body, body_base64) = match String::from_utf8(body) {
        Ok(text) => (Some(text), None),
        Err(bytes) => (None, Some(base64::engine::general_purpose::STANDARD.encode(bytes.as_bytes()))),
    };
    Ok(Json(QuarantinedWhole { entry: QuarantinedShown::of(number, kept), body, body_base64 }))
}

#[derive(Serialize)]
struct OutboxShown {
    number: u64,
    event_id: String,
    task_id: String,
    topic: String,
    /// `waiting`, or `dead` where the sidecar refused it for good.
    state: &'static str,
    accepted_at: String,
    attempts: u32,
    next_attempt_at: Option<String>,
    reason: Option<String>,
    length: u64,
}

#[derive(Serialize)]
struct OutboxPage {
    outbox: Vec<OutboxShown>,
    next: Option<u64>,
}

async fn outbox(State(api): State<Api>, Strict(page): Strict<Numbered>) -> Result<Json<OutboxPage>, Problem> {
    let Numbered { limit: Limit(limit), after } = page;
    let entries = api.read(move |view| view.store.outbox(after, limit)).await?;
    let next = next_number(&entries, limit);
    let shown = |(number, entry): (u64, OutboxEntry)| OutboxShown {
        number,
        event_id: entry.event_id,
        task_id: entry.task.to_string(),
        topic: entry.topic,
        state: if entry.dead { "dead" } else { "waiting" },
        accepted_at: entry.at.to_rfc3339(),
        attempts: entry.attempts,
        next_attempt_at: entry.next_attempt.map(Timestamp::to_rfc3339),
        reason: entry.reason,
        length: entry.length,
    };
    Ok(Json(OutboxPage { outbox: entries.into_iter().map(shown).collect(), next }))
}

/// The number to go on after; `None` where the page was not filled.
fn next_number<T>(page: &[(u64, T)], limit: usize) -> Option<u64> {
    page.last().filter(|_| page.len() == limit).map(|(number, _)| *number)
}
