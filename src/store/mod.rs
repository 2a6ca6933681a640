//! The store: every due date, durably.
//!
//! Owns the verbs by which the commit loop reads and writes, and what a batch does to the indexes. Only this
//! room names a database. It decides nothing about tasks: `domain` decides, the commit loop carries out.
//!
//! **Invariant 1 (durable before acknowledged)** rests on [`Store::commit`]: when it returns `Ok`, the batch
//! and everything committed before it is on the disk, whole.

pub mod audit;
mod batch;
mod ledger;
mod meta;
mod restored;
pub mod sled;

use crate::domain::{Preferences, Record, ReminderId, TaskId, Timestamp};

pub use batch::{Batch, Op};
pub use ledger::Ledger;
pub use meta::{Dated, EventTally, Meta, Paused, PolicyMark, Usage, WishesPass};
pub use restored::{AfterRestore, Restored};

/// How the reason begins for which a store is made anew that can be read and from which reminders are gone.
pub const HOLDS_LESS: &str = "it holds less than it has counted";

/// A place in one of the two reminder indexes: the instant first, then the id.
pub type IndexKey = (Timestamp, ReminderId);

/// An entry of a reminder index.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct IndexEntry {
    /// When it wakes (pending) or was to fire (settled), and whose id it is.
    pub key: IndexKey,
    /// The task whose record holds the reminder.
    pub task: TaskId,
}

/// The reminders of one batch whose attempt is under way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Claim {
    /// Its number, never used twice.
    pub number: u64,
    /// The reminders it names.
    pub reminders: Vec<ReminderId>,
}

/// An event that was dropped, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Quarantined {
    /// When it arrived.
    pub at: Timestamp,
    /// The topic it came on.
    pub topic: String,
    /// A stable code of the reason.
    pub code: String,
    /// The reason for a person.
    pub reason: String,
    /// Its length in bytes as it came; the body kept may be shorter.
    pub length: u64,
}

/// An event that an app asked the worker to publish.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct OutboxEntry {
    /// The topic it goes to.
    pub topic: String,
    /// The task it is about: entries of one task go out one after another.
    pub task: TaskId,
    /// Its `event_id`.
    pub event_id: String,
    /// When it was accepted.
    pub at: Timestamp,
    /// Failed attempts so far.
    pub attempts: u32,
    /// When the next attempt is due, after a failed one.
    pub next_attempt: Option<Timestamp>,
    /// The last failure.
    pub reason: Option<String>,
    /// Refused for good: it stays listed and lets the next one through.
    pub dead: bool,
    /// The length of its body in bytes.
    pub length: u64,
}

/// What rooms, reserves and caches are told in.
pub const MIB: u64 = 1024 * 1024;

/// The room of a file system, in bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct DiskSpace {
    /// What is free.
    pub free: u64,
    /// All of it.
    pub size: u64,
}

/// A durable store of records and what surrounds them.
///
/// One commit loop writes; reads see every committed batch whole. Lists are in key order and return keys
/// strictly greater than `after`, at most `limit` of them.
pub trait Store: Send + Sync + 'static {
    /// Commits `batch`: all of it or nothing, on the disk when this returns.
    ///
    /// # Errors
    /// [`StoreError`]. After one, reads may show some of `batch` though it is not durable, so nothing may be
    /// answered from them and nothing else be committed before `batch` itself has been committed again.
    fn commit(&self, batch: &Batch) -> Result<(), StoreError>;

    /// Counters, marks and numbers.
    ///
    /// # Errors
    /// [`StoreError`]
    fn meta(&self) -> Result<Meta, StoreError>;

    /// Its origin, if it was restored from a backup.
    ///
    /// # Errors
    /// [`StoreError`]
    fn restored(&self) -> Result<Option<Restored>, StoreError>;

    /// The record of `task`.
    ///
    /// # Errors
    /// [`StoreError`]
    fn record(&self, task: &TaskId) -> Result<Option<Record>, StoreError>;

    /// The tasks that have a record, in the order of their ids.
    ///
    /// # Errors
    /// [`StoreError`]
    fn tasks(&self, after: Option<&TaskId>, limit: usize) -> Result<Vec<TaskId>, StoreError>;

    /// The preferences of `user`.
    ///
    /// # Errors
    /// [`StoreError`]
    fn preferences(&self, user: &str) -> Result<Option<Preferences>, StoreError>;

    /// The users whose preferences are kept, in the order of their ids.
    ///
    /// # Errors
    /// [`StoreError`]
    fn users(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>, StoreError>;

    /// Pending reminders in the order in which they wake.
    ///
    /// # Errors
    /// [`StoreError`]
    fn pending(&self, after: Option<IndexKey>, limit: usize) -> Result<Vec<IndexEntry>, StoreError>;

    /// Settled reminders in the order of the instants at which they were to fire.
    ///
    /// # Errors
    /// [`StoreError`]
    fn settled(&self, after: Option<IndexKey>, limit: usize) -> Result<Vec<IndexEntry>, StoreError>;

    /// Attempts under way, or cut off by a crash.
    ///
    /// # Errors
    /// [`StoreError`]
    fn claims(&self) -> Result<Vec<Claim>, StoreError>;

    /// Quarantined events, oldest first.
    ///
    /// # Errors
    /// [`StoreError`]
    fn quarantined(&self, after: Option<u64>, limit: usize) -> Result<Vec<(u64, Quarantined)>, StoreError>;

    /// The kept body of a quarantined event; empty if there is none.
    ///
    /// # Errors
    /// [`StoreError`]
    fn quarantined_body(&self, number: u64) -> Result<Vec<u8>, StoreError>;

    /// Outbox entries, oldest first, dead ones included.
    ///
    /// # Errors
    /// [`StoreError`]
    fn outbox(&self, after: Option<u64>, limit: usize) -> Result<Vec<(u64, OutboxEntry)>, StoreError>;

    /// The body of an outbox entry; empty if there is none.
    ///
    /// # Errors
    /// [`StoreError`]
    fn outbox_body(&self, number: u64) -> Result<Vec<u8>, StoreError>;

    /// That a part of it can't be read ([`StoreError::Torn`]), once anybody has come upon it: the process must end.
    fn torn(&self) -> Option<StoreError> {
        None
    }

    /// That it is torn though each part of it can be read, since it holds less than it should.
    fn tear(&self, _why: String) {}

    /// How much room there is where it lies; `None` where that means nothing.
    ///
    /// # Errors
    /// [`std::io::Error`]
    fn disk_space(&self) -> std::io::Result<Option<DiskSpace>> {
        Ok(None)
    }

    /// How many times this store has forced the disk.
    fn syncs(&self) -> u64;
}

/// A read or a commit that failed.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk or the engine refused; the same call may succeed later (space freed, descriptors freed).
    #[error("the store cannot be reached: {0}")]
    Unavailable(String),
    /// The disk took a write and could not say that it is durable. What is on it is unknown until the store
    /// is opened again, so the process must end.
    #[error(
        "the store could not force its writes to the disk ({0}); the process must restart to know what is kept"
    )]
    Unsynced(String),
    /// Its directory was removed, moved away or replaced while it was open. What it holds is in this process alone, which
    /// commits nothing any more and must end.
    #[error("the store {path} was taken away from its process: the file `db` in it {how}")]
    Gone {
        /// The directory.
        path: String,
        /// How that shows.
        how: &'static str,
    },
    /// A part of its files can't be read. Nothing more is written, and the process must end: the next start makes it anew.
    #[error(
        "a part of the store's files can't be read ({0}); the process ends, and the next start makes the store anew of what can \
         be read, with the rest as it was in the newest good backup (docs/recovery.md)"
    )]
    Torn(String),
    /// A value cannot be read.
    #[error(
        "the store holds a value that cannot be read ({0}); `reminder-worker store verify` tells what else, and \
         docs/recovery.md how to restore a backup"
    )]
    Corrupt(String),
}

/// A store that did not open: exit code 74. Nothing was deleted, and what was there is still there.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process holds it.
    #[error("the store {path} is held by {holder}; stop that process, or give this one another store.path")]
    Held {
        /// The directory.
        path: String,
        /// What is known of the holder, `process 4711` at best.
        holder: String,
    },
    /// The directory or a file in it cannot be reached.
    #[error("the store {path} cannot be opened: {reason}; {advice}")]
    Unreachable {
        /// The directory.
        path: String,
        /// The system's reason.
        reason: String,
        /// What to do.
        advice: &'static str,
    },
    /// What is in it is not what was put there.
    #[error(
        "the store {path} is damaged: {reason}; to restore a backup run \
         `reminder-worker store import BACKUP --store-path {path} --set-aside`, which keeps what is there (docs/recovery.md); only to give up on purpose all that \
         it held, move {path}.marker, {path}.lock and the backups away too"
    )]
    Damaged {
        /// The directory.
        path: String,
        /// How that shows.
        reason: String,
    },
    /// A newer release wrote it.
    #[error(
        "the store {path} has format {found}, this release reads up to {known}; run the release that wrote it, or a newer one"
    )]
    Newer {
        /// The directory.
        path: String,
        /// Its format.
        found: u32,
        /// The newest format known.
        known: u32,
    },
}
