//! Erasing a user: walks through all that is kept and has what is theirs removed, a bounded part between other commands
//! at a time.
//!
//! Owns which entries of the outbox and the quarantine are a user's. Their bodies are read here and not in the commit
//! loop, which they would hold up; what it is told to remove are numbers, which are never used twice. First go the
//! entries, which are also known by their tasks, then the tasks.
//!
//! What can't be read ends no erasing: it goes on behind that, and tells what it could not see, of which nobody knows whose it
//! is. It has ended all the same, and is noted so: a restore of a backup from before erases the user again, and one left
//! unfinished would at every start erase who came anew.
//!
//! Races it accepts: what comes about the user meanwhile may stay; it would have come a moment later too. A walk that
//! breaks off has erased a part, and a new one the rest: whoever noted that it begins notes how it ended only where it
//! has, or has erased nothing.

use std::collections::HashSet;

use serde::{Deserialize, Serialize};

use crate::domain::TaskId;
use crate::reading::{mentions, names_user, task_of};
use crate::store::{Store, StoreError, Stretch, Walk};
use crate::writer::{ErasePart, NotCommitted, STEP_MAX, Writer};

/// Bytes of bodies after which a page ends: one of the largest, which is milliseconds of reading between two commits.
const PAGE_BYTES: usize = 4 * 1024 * 1024;

/// What was erased.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
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
    /// Tasks, quarantined events and accepted ones that can't be read, so that it is not known whose they are, or that are the
    /// user's and stay for what can't be read beside them.
    pub unreadable: u64,
    /// What could not even be seen: where it begins and ends, and why.
    pub left_out: Vec<String>,
    /// What to do about both; null where there is neither.
    pub advice: Option<String>,
}

/// What to do where not all could be read.
const ADVICE: &str = "what can't be read may be of this user: asking again does not help. `reminder-worker store verify` tells \
    what it is; restore a backup in which it finds nothing (docs/recovery.md): of one from before now the start erases the \
    user again";

impl Report {
    /// Whether nothing of the user is gone.
    #[must_use]
    pub fn is_untouched(&self) -> bool {
        let Self { tasks, reminders_cancelled, in_flight, preferences, quarantined, outbox, .. } = *self;
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
        report.left_out.extend(step.left_out);
        after = step.next;
        if after.is_none() {
            break;
        }
    }
    let is_whole = report.unreadable == 0 && report.left_out.is_empty();
    report.advice = (!is_whole).then(|| ADVICE.to_owned());
    Ok(())
}

/// An accepted event is theirs where its task is, or where a key made for it names them.
async fn erase_outbox(writer: &Writer, user: &str, report: &mut Report) -> Result<(), EraseError> {
    let mut walk = None;
    loop {
        let page = writer.read(move |view| outbox_page(view.store, walk.as_ref())).await??;
        let tasks = page.found.iter().filter_map(|entry| entry.task.clone()).collect();
        let owned = owned(writer, tasks, user).await?;
        let name = user.to_owned();
        let entries = page.found;
        let (numbers, unreadable) = off_thread(move || {
            let theirs = |entry: &Entry| {
                entry.task.as_ref().is_some_and(|task| owned.contains(task)) || names_user(&entry.body, &name)
            };
            let (theirs, others): (Vec<_>, Vec<_>) = entries.into_iter().partition(theirs);
            let unreadable = others.iter().filter(|entry| entry.is_unreadable).count();
            (theirs.into_iter().map(|entry| entry.number).collect::<Vec<_>>(), unreadable)
        })
        .await;
        report.unreadable += page.unreadable + unreadable as u64;
        report.left_out.extend(page.left_out);
        remove(writer, ErasePart::Outbox, numbers, &mut report.outbox, &mut report.unreadable).await?;
        walk = page.next;
        if walk.is_none() {
            return Ok(());
        }
    }
}

/// A quarantined event is theirs where it mentions them anywhere, or speaks of a task of theirs.
async fn erase_quarantined(writer: &Writer, user: &str, report: &mut Report) -> Result<(), EraseError> {
    let mut walk = None;
    loop {
        let page = writer.read(move |view| quarantine_page(view.store, walk.as_ref())).await??;
        let unreadable = page.found.iter().filter(|entry| entry.is_unreadable).count();
        report.unreadable += page.unreadable + unreadable as u64;
        report.left_out.extend(page.left_out);
        let (name, entries) = (user.to_owned(), page.found);
        let (mut numbers, others) = off_thread(move || {
            let (theirs, others): (Vec<_>, Vec<_>) =
                entries.into_iter().partition(|entry| mentions(&entry.body, &name));
            let numbers: Vec<u64> = theirs.into_iter().map(|entry| entry.number).collect();
            let others = others.into_iter().filter_map(|entry| Some((entry.number, task_of(&entry.body)?)));
            (numbers, others.collect::<Vec<_>>())
        })
        .await;
        let owned = owned(writer, others.iter().map(|(_, task)| task.clone()).collect(), user).await?;
        numbers.extend(others.into_iter().filter(|(_, task)| owned.contains(task)).map(|(number, _)| number));
        let (gone, stay) = (&mut report.quarantined, &mut report.unreadable);
        remove(writer, ErasePart::Quarantined, numbers, gone, stay).await?;
        walk = page.next;
        if walk.is_none() {
            return Ok(());
        }
    }
}

async fn remove(
    writer: &Writer,
    part: fn(Vec<u64>) -> ErasePart,
    numbers: Vec<u64>,
    gone: &mut u64,
    stay: &mut u64,
) -> Result<(), NotCommitted> {
    if !numbers.is_empty() {
        let erased = writer.erase(part(numbers)).await?;
        *gone += erased.gone;
        *stay += erased.unreadable;
    }
    Ok(())
}

/// Entries of the outbox or the quarantine, and how the walk through them goes on.
type Page = Stretch<Entry>;

/// An entry of the outbox or the quarantine.
struct Entry {
    number: u64,
    task: Option<TaskId>,
    body: Vec<u8>,
    is_unreadable: bool,
}

fn outbox_page(store: &dyn Store, walk: Option<&Walk>) -> Result<Page, StoreError> {
    let task = |number: u64| Ok(store.outbox_at(number)?.map(|entry| entry.task));
    page(walk, |walk| store.outbox_around(walk, 1), task, |number| store.outbox_body(number))
}

fn quarantine_page(store: &dyn Store, walk: Option<&Walk>) -> Result<Page, StoreError> {
    let next = |walk: Option<&Walk>| store.quarantined_around(walk, 1);
    page(walk, next, |_| Ok(None), |number| store.quarantined_body(number))
}

/// Reads what comes from where `walk` stands, up to [`STEP_MAX`] entries, or [`PAGE_BYTES`] of bodies and one more.
fn page(
    walk: Option<&Walk>,
    next: impl Fn(Option<&Walk>) -> Result<Stretch<u64>, StoreError>,
    task: impl Fn(u64) -> Result<Option<TaskId>, StoreError>,
    body: impl Fn(u64) -> Result<Vec<u8>, StoreError>,
) -> Result<Page, StoreError> {
    let mut bytes = 0;
    let mut page = Page { found: Vec::new(), unreadable: 0, left_out: None, next: walk.cloned() };
    while page.found.len() < STEP_MAX && bytes < PAGE_BYTES {
        let step = next(page.next.as_ref())?;
        for number in step.found {
            let (task, body) = (known(task(number))?, known(body(number))?);
            let is_unreadable = task.is_none() || body.is_none();
            let body = body.unwrap_or_default();
            bytes += body.len();
            page.found.push(Entry { number, task: task.flatten(), body, is_unreadable });
        }
        page.unreadable += step.unreadable;
        (page.left_out, page.next) = (step.left_out, step.next);
        if page.next.is_none() {
            break;
        }
    }
    Ok(page)
}

/// What was read; `None` where it can't be.
fn known<T>(read: Result<T, StoreError>) -> Result<Option<T>, StoreError> {
    match read {
        Ok(read) => Ok(Some(read)),
        Err(StoreError::Corrupt(why)) => {
            tracing::error!(why, "what is to be looked through for an erased user can't be read; it is told");
            Ok(None)
        }
        Err(other) => Err(other),
    }
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
    use std::sync::Arc;

    use super::*;
    use crate::clock::TokioClock;
    use crate::domain::tests::{T0, created, due, minute, offsets, task};
    use crate::domain::{Event, Statement};
    use crate::store::Around as _;
    use crate::store::sled::{SledStore, in_memory};
    use crate::writer::tests::{outbox::entry, settings};
    use crate::writer::{CommitLoop, Content, Delivery};

    /// A commit loop on `store`, at minute 0.
    fn run(store: &Arc<SledStore>) -> (Writer, tokio::task::JoinHandle<Result<(), StoreError>>) {
        let clock = Arc::new(TokioClock::starting_at(minute(0)));
        let store: Arc<dyn Store> = Arc::<SledStore>::clone(store);
        let (writer, commits) = CommitLoop::open(store, settings(), clock).unwrap();
        (writer, tokio::spawn(commits.run(|| ())))
    }

    /// What a worker has taken in: ten tasks with a reminder each, of which the sixth is bob's and all others ann's, and
    /// five accepted events that name ann.
    async fn filled() -> Arc<SledStore> {
        let store = Arc::new(in_memory().unwrap());
        let (writer, running) = run(&store);
        let delivery = |number: i64| {
            let user = Statement::User(Some(if number == 5 { "bob" } else { "ann" }.into()));
            let event = created(T0, &[due(minute(60 + number)), offsets(&[0]), user]);
            let event = Event { task_id: task(&number.to_string()), ..event };
            let content = Content::Event(Box::new(event), bytes::Bytes::new());
            Delivery { at: T0, topic: "task-events".into(), content }
        };
        writer.deliver((0..10).map(delivery).collect()).await;
        for number in 0..5 {
            let body = br#"{"user_id":"ann"}"#.to_vec();
            writer.accept(entry(&format!("other {number}")), body).await.unwrap();
        }
        drop(writer);
        running.await.unwrap().unwrap();
        store
    }

    #[tokio::test(start_paused = true)]
    async fn an_erasing_goes_on_behind_what_cant_be_read_and_tells_what_may_be_left_and_what_to_do() {
        let store = filled().await;
        type Case = (SledStore, [u64; 3], Option<&'static str>);
        let table: [Case; 4] = [
            (store.to_memory().unwrap(), [9, 5, 0], None),
            (store.torn_tasks(&task("3"), &task("5")), [7, 5, 0], Some(", before tasks 5: ")),
            // Of an index nothing is missing.
            (store.torn_pending(minute(62), minute(63)), [9, 5, 0], None),
            (store.torn_outbox(1, 3), [9, 3, 0], Some(", before outbox 3: ")),
        ];
        for (number, (store, gone, left_out)) in table.into_iter().enumerate() {
            let store = Arc::new(store);
            let (writer, running) = run(&store);
            for again in [false, true] {
                let report = erase_user(&writer, "ann").await.unwrap();
                let [tasks, outbox, unreadable] = if again { [0, 0, gone[2]] } else { gone };
                let told = (report.tasks, report.outbox, report.unreadable);
                assert_eq!(told, (tasks, outbox, unreadable), "{number} {again}");
                assert_eq!(report.left_out.len(), usize::from(left_out.is_some()), "{number}");
                assert!(
                    report.left_out.iter().all(|told| again || told.contains(left_out.unwrap())),
                    "{report:?}"
                );
                let is_whole = unreadable == 0 && left_out.is_none();
                let says = |advice: &String| advice.contains("store verify") && !advice.contains("try again");
                assert_eq!(report.advice.as_ref().map(says), (!is_whole).then_some(true), "{number}");
            }
            assert!(store.record(&task("5")).unwrap().is_some(), "bob's stays");
            drop(writer);
            running.await.unwrap().unwrap();
        }
    }

    /// A store with so many accepted events.
    fn whole(count: u64) -> SledStore {
        let store = in_memory().unwrap();
        let mut batch = crate::store::Batch::default();
        (0..count).for_each(|number| {
            batch.push(crate::store::Op::PutOutbox(number, entry("a"), Vec::new()));
        });
        store.commit(&batch).unwrap();
        store
    }

    #[test]
    fn a_page_ends_with_the_body_that_fills_it_and_one_that_cant_be_read_is_told() {
        let four = whole(4);
        let numbers = |walk: Option<&Walk>| four.outbox_around(walk, 1);
        let read =
            |body: &dyn Fn() -> Result<Vec<u8>, StoreError>| page(None, numbers, |_| Ok(None), |_| body());
        let count = |length: usize| read(&|| Ok(vec![0; length])).unwrap().found.len();
        assert_eq!([count(PAGE_BYTES), count(PAGE_BYTES - 1), count(0)], [1, 2, 4]);
        let corrupt = read(&|| Err(StoreError::Corrupt("x".into()))).unwrap();
        assert!(corrupt.found.iter().all(|entry| entry.is_unreadable));
        assert!(read(&|| Err(StoreError::Unavailable("x".into()))).is_err());
        for (count, read) in [(STEP_MAX - 1, STEP_MAX - 1), (STEP_MAX, STEP_MAX), (STEP_MAX + 1, STEP_MAX)] {
            let store = whole(count as u64);
            let page = outbox_page(&store, None).unwrap();
            assert_eq!((page.found.len(), page.next.is_some()), (read, count >= STEP_MAX), "{count}");
        }
    }
}
