//! Erasing a user: walks through all that is kept and has what is theirs removed, a bounded part between other commands
//! at a time.
//!
//! Owns which entries of the outbox and the quarantine are a user's. Their bodies are read here and not in the commit
//! loop, which they would hold up; what it is told to remove are numbers, which are never used twice. First go the
//! entries, which are also known by their tasks, then the tasks.
//!
//! Races it accepts: what comes about the user meanwhile may stay; it would have come a moment later too. A walk that
//! breaks off has erased a part, and a new one the rest: whoever noted that it begins notes how it ended only where it
//! has, or has erased nothing.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::domain::TaskId;
use crate::reading::{mentions, names_user, task_of};
use crate::store::{Store, StoreError};
use crate::writer::{ErasePart, NotCommitted, STEP_MAX, Writer};

/// Bytes of bodies after which a page ends: one of the largest, which is milliseconds of reading between two commits.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// What was erased.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct Report {
    /// Tasks, with all that became of their reminders.
    pub tasks: u64,
    /// Reminders that will not fire.
    pub reminders_cancelled: u64,
    /// Reminders whose attempt was under way: they may go out.
    pub in_flight: u64,
    /// The user's preferences: one, or none.
    pub preferences: u64,
    /// Quarantined events.
    pub quarantined: u64,
    /// Events that an app had accepted for publishing.
    pub outbox: u64,
    /// Tasks and quarantined events that can't be read, so that it is not known whose they are.
    pub unreadable: u64,
}

impl Report {
    /// Whether nothing of the user is gone.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        let Self { tasks, reminders_cancelled, in_flight, preferences, quarantined, outbox, unreadable: _ } =
            *self;
        [tasks, reminders_cancelled, in_flight, preferences, quarantined, outbox] == [0; 6]
    }
}

/// Why a user is not wholly erased.
#[derive(Debug, thiserror::Error)]
pub enum EraseError {
    /// The store could not commit, or the loop has ended.
    #[error(transparent)]
    NotCommitted(#[from] NotCommitted),
    /// What is kept can't be read.
    #[error(transparent)]
    Unread(#[from] StoreError),
}

/// Erases what is kept of `user`, who has a name. Done again, it finds nothing.
///
/// # Errors
/// [`EraseError`]: part of it may be erased.
pub async fn erase_user(writer: &Writer, user: &str) -> Result<Report, EraseError> {
    let mut report = Report::default();
    erase_into(writer, user, &mut report).await?;
    Ok(report)
}

/// Does as [`erase_user`] and tells in `report` what is erased also where it breaks off.
///
/// # Errors
/// [`EraseError`]
pub async fn erase_into(writer: &Writer, user: &str, report: &mut Report) -> Result<(), EraseError> {
    erase_outbox(writer, user, report).await?;
    erase_quarantined(writer, user, report).await?;
    let mut after = None;
    loop {
        let step = writer.erase(ErasePart::Tasks { user: user.to_owned(), after }).await?;
        report.tasks += step.gone;
        report.reminders_cancelled += step.reminders_cancelled;
        report.in_flight += step.in_flight;
        report.preferences += step.preferences;
        report.unreadable += step.unreadable;
        after = step.next;
        if after.is_none() {
            return Ok(());
        }
    }
}

/// An accepted event is theirs where its task is, or where a key made for it names them.
async fn erase_outbox(writer: &Writer, user: &str, report: &mut Report) -> Result<(), EraseError> {
    let mut after = None;
    loop {
        let page = writer.read(move |view| outbox_page(view.store, after)).await??;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.number);
        let tasks = page.iter().filter_map(|entry| entry.task.clone()).collect();
        let owned = owned(writer, tasks, user).await?;
        let name = user.to_owned();
        let numbers = off_thread(move || {
            let theirs = |entry: &Entry| {
                entry.task.as_ref().is_some_and(|task| owned.contains(task)) || names_user(&entry.body, &name)
            };
            page.iter().filter(|entry| theirs(entry)).map(|entry| entry.number).collect::<Vec<_>>()
        });
        report.outbox += remove(writer, ErasePart::Outbox, numbers.await).await?;
    }
}

/// A quarantined event is theirs where it mentions them anywhere, or speaks of a task of theirs.
async fn erase_quarantined(writer: &Writer, user: &str, report: &mut Report) -> Result<(), EraseError> {
    let mut after = None;
    loop {
        let page = writer.read(move |view| quarantine_page(view.store, after)).await??;
        let Some(last) = page.last() else { return Ok(()) };
        after = Some(last.number);
        report.unreadable += page.iter().filter(|entry| entry.is_unreadable).count() as u64;
        let name = user.to_owned();
        let (mut numbers, others) = off_thread(move || {
            let (theirs, others): (Vec<_>, Vec<_>) =
                page.into_iter().partition(|entry| mentions(&entry.body, &name));
            let numbers: Vec<u64> = theirs.into_iter().map(|entry| entry.number).collect();
            let others = others.into_iter().filter_map(|entry| Some((entry.number, task_of(&entry.body)?)));
            (numbers, others.collect::<Vec<_>>())
        })
        .await;
        let owned = owned(writer, others.iter().map(|(_, task)| task.clone()).collect(), user).await?;
        numbers.extend(others.into_iter().filter(|(_, task)| owned.contains(task)).map(|(number, _)| number));
        report.quarantined += remove(writer, ErasePart::Quarantined, numbers).await?;
    }
}

async fn remove(
    writer: &Writer,
    part: fn(Vec<u64>) -> ErasePart,
    numbers: Vec<u64>,
) -> Result<u64, NotCommitted> {
    if numbers.is_empty() {
        return Ok(0);
    }
    Ok(writer.erase(part(numbers)).await?.gone)
}

/// An entry of the outbox or the quarantine.
struct Entry {
    number: u64,
    task: Option<TaskId>,
    body: Vec<u8>,
    is_unreadable: bool,
}

fn outbox_page(store: &dyn Store, after: Option<u64>) -> Result<Vec<Entry>, StoreError> {
    let listed = store.outbox(after, STEP_MAX)?.into_iter();
    page(listed.map(|(number, entry)| (number, Some(entry.task))), |number| store.outbox_body(number))
}

fn quarantine_page(store: &dyn Store, after: Option<u64>) -> Result<Vec<Entry>, StoreError> {
    let listed = store.quarantined(after, STEP_MAX)?.into_iter();
    page(listed.map(|(number, _)| (number, None)), |number| store.quarantined_body(number))
}

/// Reads the bodies of what is listed, up to [`PAGE_BYTES`] and one more.
fn page(
    listed: impl Iterator<Item = (u64, Option<TaskId>)>,
    body: impl Fn(u64) -> Result<Vec<u8>, StoreError>,
) -> Result<Vec<Entry>, StoreError> {
    let mut bytes = 0;
    let mut entries = Vec::new();
    for (number, task) in listed {
        let (body, is_unreadable) = match body(number) {
            Ok(body) => (body, false),
            Err(StoreError::Corrupt(_)) => (Vec::new(), true),
            Err(other) => return Err(other),
        };
        bytes += body.len();
        entries.push(Entry { number, task, body, is_unreadable });
        if bytes >= PAGE_BYTES {
            break;
        }
    }
    Ok(entries)
}

/// Those of at most [`STEP_MAX`] tasks that are the user's.
async fn owned(writer: &Writer, tasks: Vec<TaskId>, user: &str) -> Result<HashSet<TaskId>, EraseError> {
    if tasks.is_empty() {
        return Ok(HashSet::new());
    }
    let user = user.to_owned();
    let found = writer.read(move |view| {
        let mut owned = HashSet::new();
        for task in tasks {
            match view.store.record(&task) {
                Ok(Some(record)) if record.task.user() == Some(&user) => drop(owned.insert(task)),
                // Damage is told by the walk through the tasks.
                Ok(_) | Err(StoreError::Corrupt(_)) => {}
                Err(other) => return Err(other),
            }
        }
        Ok(owned)
    });
    Ok(found.await??)
}

/// Reads bodies where that holds up nobody.
async fn off_thread<T: Send + 'static>(read: impl FnOnce() -> T + Send + 'static) -> T {
    match tokio::task::spawn_blocking(read).await {
        Ok(found) => found,
        Err(error) => match error.try_into_panic() {
            // It goes the way it would have gone here.
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and this future with it.
            Err(_) => std::future::pending().await,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_ends_with_the_body_that_fills_it_and_one_that_cant_be_read_is_told() {
        let listed = || (0..4).map(|number| (number, None));
        let count = |length: usize| page(listed(), |_| Ok(vec![0; length])).unwrap().len();
        assert_eq!([count(PAGE_BYTES), count(PAGE_BYTES - 1), count(0)], [1, 2, 4]);
        let corrupt = page(listed(), |_| Err(StoreError::Corrupt("x".into()))).unwrap();
        assert!(corrupt.iter().all(|entry| entry.is_unreadable));
        assert!(page(listed(), |_| Err(StoreError::Unavailable("x".into()))).is_err());
    }
}
