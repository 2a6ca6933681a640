//! The writer: the one commit loop through which everything changes and everything is answered.
//!
//! Every change (events, claims, settlements, the outbox, housekeeping) is a command to this loop. It takes
//! what waits up to a bound, loads, decides with `domain`, makes one batch, commits it (**invariant 1**) and only
//! then answers all. Nothing else writes, so a tick can't overwrite a completion, nor a completion a settlement;
//! and since reads are answered between commits, what they show is durable.
//!
//! It must never know HTTP, Dapr's words or how a reminder is sent.
//!
//! Races it accepts: a caller that goes away (Dapr drops the request on a time-out) leaves its command in the
//! queue; the command is carried out whole and its answer goes nowhere, and the redelivery is a duplicate.

mod answer;
mod claims;
mod core;
mod digests;
mod erase;
mod events;
mod foreign;
mod group;
mod handle;
mod import;
mod orders;
mod outbox;
mod pacing;
mod pause;
mod preferences;
mod purge;
mod queue;
mod receipts;
mod reconcile;
mod refused;
mod rehearsal;
mod replan;
mod restored;
mod run;
mod space;
#[cfg(test)]
pub(crate) mod tests;
mod view;
mod watch;

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::domain::decide::Attempt;
use crate::domain::{
    Backoff, Event, Policy, PolicyInForce, Preferences, PreferencesChange, Reminder, ReminderId, Said, Task,
    TaskId, Timestamp, Verdict,
};
use crate::store::OutboxEntry;

pub use erase::{ERASED, ErasePart, Erased};
pub use events::EXTRA_REFUSED;
pub use foreign::{Foreign, ForeignReminder};
pub use handle::Writer;
pub use import::{ImportLine, Imported};
pub use orders::{Order, Ordered, ReminderFate};
pub use pacing::{Firing, HeldBack};
pub use pause::{Switch, Switched};
pub use rehearsal::{Claiming, Rehearsal};
pub use restored::{Confirm, Confirmed};
pub use run::CommitLoop;
pub use space::FreeSpace;
pub use view::{HELD_COUNTED_MAX, Overdue, View};
pub use watch::SetBack;

/// Most events one commit takes: near the knee of the measured curve of batch size against rate, and small
/// enough that the engine's memory stays flat.
pub const GROUP_EVENTS_MAX: usize = 128;
/// Bytes of a body that weigh as much as an event: a group of poison bodies of 4 MiB ends after two.
pub const BYTES_AN_EVENT: usize = 64 * 1024;
/// Most commands that wait in the queue; beyond it callers wait, and Dapr with them.
pub const QUEUE_MAX: usize = 1024;
/// Records read by one step of planning anew, purging or listing, between other commands.
pub const STEP_MAX: usize = 256;

/// One event as delivered.
#[derive(Debug)]
pub struct Delivery {
    /// When it arrived.
    pub at: Timestamp,
    /// The topic it came on.
    pub topic: String,
    /// What it says.
    pub content: Content,
}

/// What a delivered message turned out to be.
#[derive(Debug)]
pub enum Content {
    /// A task event, and the body it was read from, should it be older than the horizon.
    Event(Box<Event>, bytes::Bytes),
    /// A change of a user's preferences, and the body it was read from.
    Preferences(Box<PreferencesChange>, bytes::Bytes),
    /// Something that is none of the worker's business.
    Ignored,
    /// Something that can't be read.
    Refused {
        /// A stable code of the reason.
        code: &'static str,
        /// The reason for a person.
        reason: String,
        /// The body as it came, or how it begins.
        body: bytes::Bytes,
        /// How long the body was as it came, in bytes.
        length: u64,
    },
}

impl Delivery {
    /// Whether it came as an event: what a person says of their preferences is none.
    fn is_event(&self) -> bool {
        !matches!(&self.content, Content::Preferences(change, _) if change.said == Said::Now)
    }

    /// How many plain events it weighs: a group is bounded in bytes as well.
    fn weight(&self) -> usize {
        let bytes = match &self.content {
            Content::Event(_, body) | Content::Preferences(_, body) | Content::Refused { body, .. } => {
                body.len()
            }
            Content::Ignored => 0,
        };
        1 + bytes / BYTES_AN_EVENT
    }
}

/// A reminder whose attempt has begun.
#[derive(Clone, Debug)]
pub struct Claimed {
    /// Its task's id.
    pub task_id: TaskId,
    /// Its identity.
    pub id: ReminderId,
    /// Its task as it was when claimed.
    pub task: Arc<Task>,
    /// The preferences of its task's user, if it has any.
    pub user: Option<Arc<Preferences>>,
    /// Itself.
    pub reminder: Reminder,
}

/// Reminders of one user whose attempt in one event has begun.
#[derive(Clone, Debug)]
pub struct ClaimedDigest {
    /// The event's identity.
    pub id: ReminderId,
    /// Whose they are.
    pub user: String,
    /// When they are planned for.
    pub at: Timestamp,
    /// The reminders in the order of their own instants; never empty.
    pub members: Vec<Claimed>,
}

/// A batch of reminders whose attempt has begun: its claim is on the disk.
#[derive(Clone, Debug)]
pub struct ClaimedBatch {
    /// The claim's number.
    pub number: u64,
    /// The reminders that go out alone, in time order.
    pub reminders: Vec<Claimed>,
    /// Those that go out together; there is at least one of either.
    pub digests: Vec<ClaimedDigest>,
    /// The policy they were planned under.
    pub policy: Arc<PolicyInForce>,
}

/// A reminder that came back through the broker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// Its task's id.
    pub task_id: TaskId,
    /// Its identity.
    pub id: ReminderId,
    /// When it was planned for, by a worker's own word; `None` where the event does not claim to be a worker's.
    pub planned_at: Option<Timestamp>,
}

/// How a claimed reminder's attempt ended.
#[derive(Clone, Debug)]
pub struct Settlement {
    /// Its task's id.
    pub task_id: TaskId,
    /// Its identity.
    pub id: ReminderId,
    /// The digest that it was tried in, if it was.
    pub within: Option<ReminderId>,
    /// How it ended.
    pub attempt: Attempt,
}

/// An outbox entry whose attempt has begun.
#[derive(Clone, Debug)]
pub struct OutboxItem {
    /// Its number.
    pub number: u64,
    /// What is known of it.
    pub entry: OutboxEntry,
    /// The event, as JSON.
    pub body: Vec<u8>,
}

/// How an outbox entry's attempt ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum OutboxResult {
    /// The broker has it.
    Published,
    /// It may succeed later.
    Failed(String),
    /// It never will.
    Refused(String),
}

/// What an app that publishes is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Acceptance {
    /// It is kept and will be sent.
    Kept,
    /// The outbox is full.
    Full,
}

/// The store could not commit, or the loop has ended: nothing of the command was done, as far as is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error("the store could not commit; try again")]
pub struct NotCommitted;

/// Why nothing was taken to be sent.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum NotTaken {
    /// As for any other command.
    #[error(transparent)]
    NotCommitted(#[from] NotCommitted),
    /// What comes next can't be read, for as long as the store is what it is.
    #[error(
        "what is to go out next can't be read ({0}); `reminder-worker store verify` tells what else, and docs/recovery.md how \
         to restore a backup"
    )]
    Unread(String),
}

/// What the loop needs to know.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The policy that plans are made with.
    pub policy: Policy,
    /// How long a task is kept after it has ended and its last reminder is past.
    pub retention: Duration,
    /// The waits between attempts.
    pub backoff: Backoff,
    /// How reminders are let go.
    pub firing: Firing,
    /// Most quarantined events kept.
    pub quarantine_max_entries: u64,
    /// Most bytes of quarantined bodies kept.
    pub quarantine_max_bytes: u64,
    /// Most bytes of events waiting in the outbox.
    pub outbox_max_bytes: u64,
    /// While fewer bytes are free nothing is taken in that grows the store; 0 for no such limit.
    pub reserve_bytes: u64,
}

type Reply<T> = oneshot::Sender<T>;
type ReadFn = Box<dyn FnOnce(&View<'_>) + Send>;

/// A command to the loop.
enum Command {
    Deliver { deliveries: Vec<Delivery>, reply: Reply<Vec<Verdict>> },
    Claim { limit: usize, reply: Reply<Result<Option<ClaimedBatch>, NotTaken>> },
    Settle { claim: u64, settlements: Vec<Settlement>, reply: Reply<Result<(), NotCommitted>> },
    Accept { entry: OutboxEntry, body: Vec<u8>, reply: Reply<Result<Acceptance, NotCommitted>> },
    TakeOutbox { limit: usize, held: Vec<String>, reply: Reply<Result<Vec<OutboxItem>, NotTaken>> },
    SettleOutbox { results: Vec<(u64, OutboxResult)>, reply: Reply<Result<(), NotCommitted>> },
    Import { lines: Vec<ImportLine>, arrived: Timestamp, reply: Reply<Result<Imported, NotCommitted>> },
    Erase { part: ErasePart, reply: Reply<Result<Erased, NotCommitted>> },
    Receipts { receipts: Vec<Receipt>, at: Timestamp },
    Order { task: TaskId, order: Order, id: String, reply: Reply<Result<Ordered, NotCommitted>> },
    Purge { reply: Reply<Result<bool, NotCommitted>> },
    Reconcile { reply: Reply<Result<bool, NotCommitted>> },
    Switch { switch: Switch, reply: Reply<Result<Switched, NotCommitted>> },
    Confirm { confirm: Confirm, reply: Reply<Result<Confirmed, NotCommitted>> },
    Read(ReadFn),
}
