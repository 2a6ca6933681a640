//! The list of reminders, over all tasks, in the order of their instants.
//!
//! It walks the two indexes, pending and settled, a bounded step between two commits at a time. A page is no
//! snapshot: a reminder that settles or is put off while pages are read may be on two of them, or on none. A store
//! that no worker holds is walked by the same steps.

use axum::Json;
use axum::extract::State;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::access::{Scope, others};
use super::api::{Api, ReminderShown};
use super::problem::Problem;
use super::query::{Instant, Limit, Strict, from_str};
use crate::domain::{Record, Reminder, ReminderId, State as ReminderState, TaskId, Timestamp, is_canary};
use crate::store::{IndexEntry, IndexKey, Store, StoreError};
use crate::writer::STEP_MAX;

/// Steps a page may take, each of [`STEP_MAX`] index entries: a filter that hardly matches must not read the whole
/// store for one answer. A page that ends for this reason is short and has a `next`.
const STEPS_MAX: usize = 16;
/// Walks at once; more wait for their turn. Each step of a walk holds up the commit loop, and so events and reminders.
pub(super) const WALKS_MAX: usize = 2;
/// How far after now a put-off reminder may wake: no wait between attempts may be configured longer.
const PUT_OFF_MAX: std::time::Duration = std::time::Duration::from_secs(60 * 60);

/// What to list. `from` and `to` bound the instant a reminder is planned for; `to` is not included.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Filter {
    #[serde(default, deserialize_with = "from_str")]
    state: Option<ReminderState>,
    user: Option<String>,
    from: Option<Instant>,
    to: Option<Instant>,
    #[serde(default)]
    limit: Limit,
    #[serde(default, deserialize_with = "from_str")]
    after: Option<Cursor>,
}

/// A place in the list: what `next` tells and `after` takes, `MILLISECONDS_REMINDER-ID`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Cursor(IndexKey);

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (at, id) = self.0;
        write!(f, "{}_{id}", at.millis())
    }
}

impl std::str::FromStr for Cursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let read = |text: &str| {
            let (at, id) = text.split_once('_')?;
            Some((Timestamp::from_millis(at.parse().ok()?), ReminderId::from(Uuid::parse_str(id).ok()?)))
        };
        read(text).map(Self).ok_or_else(|| format!("after={text} is no `next` of an earlier page"))
    }
}

/// A reminder as the list shows it, with what is known of its task.
#[derive(Serialize)]
pub struct ListedReminder {
    task_id: String,
    user_id: Option<String>,
    title: Option<String>,
    #[serde(flatten)]
    reminder: ReminderShown,
}

#[derive(Serialize)]
pub(super) struct Page {
    /// What time it is with the worker.
    now: String,
    reminders: Vec<ListedReminder>,
    next: Option<String>,
}

/// Which reminders of a store are wanted.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Wanted {
    /// In this state.
    pub state: Option<ReminderState>,
    /// Of this user.
    pub user: Option<String>,
    /// Planned for this instant or later.
    pub from: Option<Timestamp>,
    /// Planned for an instant before this one.
    pub to: Option<Timestamp>,
}

/// What one step found, and where the next one goes on; `None` at the end.
struct Step {
    found: Vec<ListedReminder>,
    next: Option<IndexKey>,
}

/// `GET /api/v1/reminders`
pub(super) async fn list(
    State(api): State<Api>,
    scope: Scope,
    Strict(filter): Strict<Filter>,
) -> Result<Json<Page>, Problem> {
    let Filter { state, user, from, to, limit: Limit(limit), after } = filter;
    let user = match (scope, user) {
        (Scope::All, user) => user,
        (Scope::User(own), Some(user)) if *own != *user => return Err(others()),
        (Scope::User(own), _) => Some(own.to_string()),
    };
    let wanted = Wanted { state, user, from: from.map(|at| at.0), to: to.map(|at| at.0) };
    // The semaphore is never closed.
    let _turn = api.walks.acquire().await.ok();
    let now = api.clock.now();
    let mut walk = Walk::new(wanted, after.map(|cursor| cursor.0), now);
    let mut reminders = Vec::new();
    for _ in 0..STEPS_MAX {
        walk.room = limit - reminders.len();
        let this = walk.clone();
        let step = api.read(move |view| this.step(view.store)).await?;
        reminders.extend(step.found);
        walk.after = step.next;
        if step.next.is_none() || reminders.len() == limit {
            break;
        }
    }
    Ok(Json(Page { now: now.to_rfc3339(), reminders, next: walk.after.map(|key| Cursor(key).to_string()) }))
}

/// The first `limit` wanted reminders of a store that nobody else changes meanwhile.
///
/// # Errors
/// [`StoreError`]
pub fn list_reminders(
    store: &dyn Store,
    wanted: Wanted,
    limit: usize,
    now: Timestamp,
) -> Result<Vec<ListedReminder>, StoreError> {
    let mut walk = Walk::new(wanted, None, now);
    let mut found = Vec::new();
    while found.len() < limit {
        walk.room = limit - found.len();
        let step = walk.step(store)?;
        found.extend(step.found);
        let Some(next) = step.next else { break };
        walk.after = Some(next);
    }
    Ok(found)
}

/// A walk through the indexes.
#[derive(Clone)]
struct Walk {
    state: Option<ReminderState>,
    user: Option<String>,
    from: Timestamp,
    to: Timestamp,
    /// Nothing behind this instant can match.
    end: Timestamp,
    after: Option<IndexKey>,
    room: usize,
}

impl Walk {
    fn new(wanted: Wanted, after: Option<IndexKey>, now: Timestamp) -> Self {
        let Wanted { state, user, from, to } = wanted;
        // Indexes are sorted by when a reminder wakes, which is never before the instant it was planned for, and
        // is later only for those put off.
        let end = to.unwrap_or(Timestamp::MAX).max(now.plus(PUT_OFF_MAX));
        let start = from.map(|from| {
            (from.minus(std::time::Duration::from_millis(1)), ReminderId::from_bytes([u8::MAX; 16]))
        });
        let (from, to) = (from.unwrap_or(Timestamp::MIN), to.unwrap_or(Timestamp::MAX));
        Self { state, user, from, to, end, after: after.max(start), room: 0 }
    }

    fn step(&self, store: &dyn Store) -> Result<Step, StoreError> {
        let entries = self.entries(store)?;
        let mut last = entries.last().filter(|_| entries.len() == STEP_MAX).map(|entry| entry.key);
        let mut found = Vec::new();
        for entry in &entries {
            if entry.key.0 > self.end {
                last = None;
                break;
            }
            if is_canary(&entry.task) {
                continue;
            }
            let Some(record) = readable(&entry.task, store.record(&entry.task))? else { continue };
            let reminder = record.reminders.iter().find(|r| r.id(&entry.task) == entry.key.1);
            let Some(reminder) = reminder.filter(|r| self.matches(&record, r)) else { continue };
            found.push(listed(&entry.task, &record, reminder));
            if found.len() == self.room {
                last = Some(entry.key);
                break;
            }
        }
        Ok(Step { found, next: last })
    }

    /// The next entries of the indexes that can hold what is looked for, merged in order.
    fn entries(&self, store: &dyn Store) -> Result<Vec<IndexEntry>, StoreError> {
        let pending = self.state.is_none_or(|state| state == ReminderState::Pending);
        let settled = self.state != Some(ReminderState::Pending);
        let mut entries = Vec::new();
        if pending {
            entries.extend(store.pending(self.after, STEP_MAX)?);
        }
        if settled {
            entries.extend(store.settled(self.after, STEP_MAX)?);
        }
        entries.sort_unstable_by_key(|entry| entry.key);
        entries.truncate(STEP_MAX);
        Ok(entries)
    }

    fn matches(&self, record: &Record, reminder: &Reminder) -> bool {
        self.state.is_none_or(|state| reminder.state == state)
            && self.user.as_deref().is_none_or(|user| record.task.user() == Some(user))
            && (self.from..self.to).contains(&reminder.fire_at)
    }
}

/// A record as read, or none where it is damaged: that must not cost the list of all others.
fn readable(task: &TaskId, read: Result<Option<Record>, StoreError>) -> Result<Option<Record>, StoreError> {
    if let Err(StoreError::Corrupt(why)) = read {
        tracing::error!(%task, why, "the record of a task can't be read; the list leaves its reminders out");
        return Ok(None);
    }
    read
}

fn listed(task_id: &TaskId, record: &Record, reminder: &Reminder) -> ListedReminder {
    ListedReminder {
        task_id: task_id.to_string(),
        user_id: record.task.user().map(str::to_owned),
        title: record.task.title().map(str::to_owned),
        reminder: ReminderShown::of(task_id, reminder),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_that_is_damaged_is_left_out_and_a_store_out_of_reach_is_told() {
        let task = TaskId::new("t-1".to_owned()).unwrap();
        assert!(matches!(readable(&task, Ok(Some(Record::default()))), Ok(Some(_))));
        assert!(matches!(readable(&task, Err(StoreError::Corrupt("x".into()))), Ok(None)));
        let away = Err(StoreError::Unavailable("x".into()));
        assert!(matches!(readable(&task, away), Err(StoreError::Unavailable(_))));
    }

    #[test]
    fn a_cursor_comes_back_as_it_went() {
        for ms in [i64::MIN, -1, 0, 1_764_000_000_000, i64::MAX] {
            let cursor = Cursor((Timestamp::from_millis(ms), ReminderId::from_bytes([7; 16])));
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for text in ["", "_", "1", "x_07070707-0707-0707-0707-070707070707", "1_x"] {
            assert!(text.parse::<Cursor>().is_err(), "{text}");
        }
    }
}
