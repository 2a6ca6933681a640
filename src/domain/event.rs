//! A task event as the worker understands it, whatever wrapping and dialect it came in.
//!
//! Owns the vocabulary between `reading`, which makes events from bytes, and the merge in `task`, which
//! folds them into a record. Knows nothing of JSON, of Dapr or of a store.

use serde::{Deserialize, Serialize};

use super::due::{Due, Moment, Zone};
use super::reminder::ReminderId;
use super::time::Timestamp;

/// What the worker calls itself in its events, as `source` and `producer`.
pub const PRODUCER: &str = "reminder-worker";
/// Longest task id accepted, in bytes: a key must stay small, and real ids are UUIDs or integers.
pub const TASK_ID_MAX_BYTES: usize = 256;
/// Longest user id kept, in bytes.
pub const USER_ID_MAX_BYTES: usize = 256;
/// Longest copied text (a title) kept and published, in bytes; a longer one is cut and marked with `…`.
pub const TEXT_MAX_BYTES: usize = 8 * 1024;
/// Most offsets, explicit reminder times or tags a task may state; more are refused as an extra.
pub const LIST_MAX: usize = 16;
/// Longest tag kept, in bytes.
pub const TAG_MAX_BYTES: usize = 128;
/// Longest correlation id kept, in bytes.
pub const CORRELATION_MAX_BYTES: usize = 256;
/// Longest recurrence rule kept, in bytes of its normalised JSON text.
pub const RECURRENCE_MAX_BYTES: usize = 1024;
/// The largest offset before due, in minutes: ten years. Longer ones are typing errors or another unit.
pub const OFFSET_MAX_MINUTES: u32 = 10 * 366 * 24 * 60;

/// Most reminders after due of one occurrence: somebody who ignored so many ignores the next one too.
pub const NAGS_MAX: u32 = 16;
/// How many reminders after due there are where it is said how often they come and not how many.
pub const NAGS_MAX_DEFAULT: u32 = 3;

/// The identity of a task: 1 to [`TASK_ID_MAX_BYTES`] bytes of text; integers are compared as text.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct TaskId(String);

impl TaskId {
    /// The id, if it is neither empty nor longer than [`TASK_ID_MAX_BYTES`].
    #[must_use]
    pub fn new(text: impl Into<String>) -> Option<Self> {
        let text = text.into();
        (1..=TASK_ID_MAX_BYTES).contains(&text.len()).then_some(Self(text))
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for TaskId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// What happened to the task. The order is that of versions with equal stamps, and part of their digests: new kinds
/// go to the end.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Kind {
    /// `task_created`
    Created,
    /// `task_updated`
    Updated,
    /// `task_completed`
    Completed,
    /// `task_deleted`
    Deleted,
    /// `reminder_snoozed`
    Snoozed,
    /// `reminder_acknowledged`
    Acknowledged,
}

impl Kind {
    /// The contract's name, `task_created` and so on.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Created => "task_created",
            Self::Updated => "task_updated",
            Self::Snoozed => "reminder_snoozed",
            Self::Acknowledged => "reminder_acknowledged",
            Self::Completed => "task_completed",
            Self::Deleted => "task_deleted",
        }
    }
}

/// How pressing a task is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Priority {
    /// `LOW`
    Low,
    /// `MEDIUM`, also where none is known.
    #[default]
    Medium,
    /// `HIGH`
    High,
}

impl Priority {
    /// The contract's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Low => "LOW",
            Self::Medium => "MEDIUM",
            Self::High => "HIGH",
        }
    }
}

/// Where a task stands.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum Status {
    /// `TODO`, also where none is known.
    #[default]
    Todo,
    /// `IN_PROGRESS`
    InProgress,
    /// `DONE`
    Done,
}

impl Status {
    /// The contract's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Todo => "TODO",
            Self::InProgress => "IN_PROGRESS",
            Self::Done => "DONE",
        }
    }

    /// Whether reminders still make sense.
    #[must_use]
    pub fn is_open(self) -> bool {
        self != Self::Done
    }
}

/// A field that an event can state.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum Field {
    /// Whose task it is.
    User,
    /// Its title.
    Title,
    /// Its priority.
    Priority,
    /// Its status.
    Status,
    /// Its due date.
    Due,
    /// The zone its wall times belong to.
    Zone,
    /// Reminder offsets before due.
    Offsets,
    /// Explicit reminder times.
    RemindAt,
    /// Its tags.
    Tags,
    /// Its recurrence rule.
    Recurrence,
    /// Reminders after due, while it is not done.
    Nags,
    /// The last snooze.
    Snooze,
    /// The last acknowledgement.
    Acknowledged,
    /// The last time that its reminders were called off.
    Cancelled,
}

/// Reminders after due: every so often, so many times.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Nags {
    /// Whole minutes between two, and between due and the first; at most [`OFFSET_MAX_MINUTES`].
    pub every_minutes: u32,
    /// How many; at most [`NAGS_MAX`].
    pub max: u32,
}

impl Nags {
    /// None at all, whatever the default is.
    pub const NONE: Self = Self { every_minutes: 0, max: 0 };

    /// Whether there are none.
    #[must_use]
    pub fn is_none(self) -> bool {
        self.every_minutes == 0 || self.max == 0
    }
}

/// Which of a task's occurrences an action of its user is about.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Target {
    /// The one that the action did not need to name: see `plan`.
    Present,
    /// The one of this due date.
    Occurrence(Moment),
    /// That of the reminder with this id.
    Reminder(ReminderId),
}

/// When a snoozed reminder comes again.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Until {
    /// At this instant.
    At(Timestamp),
    /// So many minutes after the event's version; the merge makes an instant of it.
    Minutes(u32),
}

/// A snooze: one more reminder of an occurrence.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Snooze {
    /// When.
    pub until: Until,
    /// Of which occurrence.
    pub of: Target,
}

/// What an event says of one field; `None` is an explicit null.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Statement {
    /// User id, at most [`USER_ID_MAX_BYTES`].
    User(Option<String>),
    /// Title, at most [`TEXT_MAX_BYTES`].
    Title(Option<String>),
    /// Priority.
    Priority(Option<Priority>),
    /// Status.
    Status(Option<Status>),
    /// Due date as stated.
    Due(Option<Due>),
    /// IANA zone.
    Zone(Option<Zone>),
    /// Whole minutes before due, ascending and distinct; empty means "no reminders by offset".
    Offsets(Option<Vec<u32>>),
    /// Explicit times, ascending and distinct.
    RemindAt(Option<Vec<Due>>),
    /// Tags in the order stated.
    Tags(Option<Vec<String>>),
    /// Normalised JSON text of the rule, at most [`RECURRENCE_MAX_BYTES`].
    Recurrence(Option<String>),
    /// Reminders after due; null is the default, [`Nags::NONE`] none.
    Nags(Option<Nags>),
    /// A snooze.
    Snooze(Option<Snooze>),
    /// An acknowledgement.
    Acknowledged(Option<Target>),
    /// The reminders planned so far are called off; what is stated anew is planned again. Null takes back what was
    /// called off.
    Cancelled(Option<Target>),
}

impl Statement {
    /// The field this speaks of.
    #[must_use]
    pub fn field(&self) -> Field {
        match self {
            Self::User(_) => Field::User,
            Self::Title(_) => Field::Title,
            Self::Priority(_) => Field::Priority,
            Self::Status(_) => Field::Status,
            Self::Due(_) => Field::Due,
            Self::Zone(_) => Field::Zone,
            Self::Offsets(_) => Field::Offsets,
            Self::RemindAt(_) => Field::RemindAt,
            Self::Tags(_) => Field::Tags,
            Self::Recurrence(_) => Field::Recurrence,
            Self::Nags(_) => Field::Nags,
            Self::Snooze(_) => Field::Snooze,
            Self::Acknowledged(_) => Field::Acknowledged,
            Self::Cancelled(_) => Field::Cancelled,
        }
    }
}

/// A stamp that somebody wrote as text.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamp {
    /// The instant as written; a fraction finer than a millisecond is cut.
    pub at: Timestamp,
    /// Written without a fraction: then the event happened at some time within this second.
    pub whole_second: bool,
}

/// Every stamp an event carries, in the order in which they are believed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Stamps {
    /// The event's own `timestamp`.
    pub event: Option<Stamp>,
    /// The broker's `__timestamp`.
    pub broker: Option<Timestamp>,
    /// The CloudEvent's `time`.
    pub envelope: Option<Stamp>,
}

impl Stamps {
    /// When the transport saw the event: the broker's stamp, else the envelope's.
    #[must_use]
    pub fn transport(&self) -> Option<Timestamp> {
        self.broker.or(self.envelope.map(|s| s.at))
    }
}

/// An extra that could not be read and was left out; the event stands without it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Refusal {
    /// The key as the producer wrote it.
    pub key: String,
    /// Why it was refused, for a person to read.
    pub reason: String,
}

/// One task event.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// What happened.
    pub kind: Kind,
    /// To which task.
    pub task_id: TaskId,
    /// When, by whom it may concern.
    pub stamps: Stamps,
    /// The broker's `__offset`, zero where absent.
    pub offset: u64,
    /// The producer's `event_id`, else the CloudEvent's `id`. Only tells apart events that are otherwise
    /// equal; producers reuse ids, so nothing is looked up by it.
    pub message_id: Option<String>,
    /// Who made it, for counters by producer.
    pub producer: Option<String>,
    /// The chain of events it belongs to, at most [`CORRELATION_MAX_BYTES`].
    pub correlation_id: Option<String>,
    /// The trace it belongs to; all zeros counts as none.
    pub trace_id: Option<[u8; 16]>,
    /// What it says, at most one statement a field, sorted by field.
    pub statements: Vec<Statement>,
    /// Extras it said that could not be read.
    pub refused: Vec<Refusal>,
}

/// What became of a delivered event, as its sender is to be told.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is kept, or needs no keeping.
    Success,
    /// It can never succeed; it is in quarantine.
    Drop,
    /// The store could not commit: it should come again.
    Retry,
}
