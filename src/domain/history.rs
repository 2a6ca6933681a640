//! What a task's record keeps of how it came to be as it is: one note an event that changed it, or a change of
//! settings that changed its plan.
//!
//! Owns what is worth a note and the bounds of one. What the record says anyway (versions, values, reminders) is not
//! kept a second time: `why` puts both together. A task with one event has one note, of its id and its arrival.

use uuid::Uuid;

use super::event::{Event, Field, Refusal, Statement};
use super::record::Record;
use super::reminder::{Reminder, ReminderId, State, cut};
use super::task::{Applied, Outcome, Task};
use super::time::Timestamp;
use super::version::Version;

/// How many notes a record keeps; the oldest go. Enough for the life of a task, and little beside its other bounds.
pub const HISTORY_MAX: usize = 16;
/// Longest event id kept that is no UUID, in bytes.
pub const NOTED_ID_MAX_BYTES: usize = 64;
/// Longest producer's name kept, in bytes.
pub const NOTED_PRODUCER_MAX_BYTES: usize = 64;
/// How many refused extras of one event are kept: the first ones say what its producer does wrong.
pub const NOTED_REFUSALS_MAX: usize = 3;
/// Longest key of a refused extra kept, in bytes.
pub const NOTED_KEY_MAX_BYTES: usize = 48;
/// Longest reason of a refused extra kept, in bytes.
pub const NOTED_REASON_MAX_BYTES: usize = 160;
/// How many reminders that one change of settings moved are kept.
pub const NOTED_MOVES_MAX: usize = 4;
/// Longest name of a tz database's release kept, in bytes; they are such as `2026b`.
pub const NOTED_RELEASE_MAX_BYTES: usize = 16;

/// The notes of a task, oldest first, numbered from its beginning on.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct History {
    /// How many notes went before the first one kept: that one's number.
    pub forgotten: u32,
    /// At most [`HISTORY_MAX`].
    pub notes: Vec<Note>,
}

/// One thing that happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Note {
    /// An event was merged.
    Event(Noted),
    /// The task was planned anew under other settings or another tz database, and its plan changed.
    Replanned {
        /// When.
        at: Timestamp,
        /// The tz database's release from then on.
        tzdb: String,
        /// Reminders that fire at another time since, at most [`NOTED_MOVES_MAX`].
        moved: Vec<Move>,
    },
}

/// An event, as far as the record does not say it elsewhere.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Noted {
    /// When it arrived.
    pub at: Timestamp,
    /// Its version, by which the cells it wrote are known.
    pub version: Version,
    /// What it did.
    pub outcome: Outcome,
    /// Its id.
    pub id: Option<EventId>,
    /// Who made it.
    pub producer: Option<String>,
    /// Fields that it stated and that events stated later wrote again, or had written when it came.
    pub overwritten: Vec<Field>,
    /// What of it was refused.
    pub refused: Vec<Refusal>,
}

/// An event's id; most are UUIDs, which are short.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum EventId {
    /// A UUID, as it is written with hyphens.
    Uuid([u8; 16]),
    /// A UUID written as 32 hexadecimal digits.
    Hex([u8; 16]),
    /// Any other text, at most [`NOTED_ID_MAX_BYTES`].
    Text(String),
}

impl EventId {
    /// The id that `text` is.
    #[must_use]
    pub fn of(text: &str) -> Self {
        if let Ok(uuid) = Uuid::try_parse(text) {
            let mut buffer = Uuid::encode_buffer();
            if uuid.hyphenated().encode_lower(&mut buffer) == text {
                return Self::Uuid(*uuid.as_bytes());
            }
            if uuid.simple().encode_lower(&mut buffer) == text {
                return Self::Hex(*uuid.as_bytes());
            }
        }
        Self::Text(cut(text.to_owned(), NOTED_ID_MAX_BYTES))
    }
}

impl std::fmt::Display for EventId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Uuid(bytes) => Uuid::from_bytes(*bytes).hyphenated().fmt(f),
            Self::Hex(bytes) => Uuid::from_bytes(*bytes).simple().fmt(f),
            Self::Text(text) => f.write_str(text),
        }
    }
}

/// A pending reminder fires at another time than before, and nothing that its task says has changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Move {
    /// Which.
    pub reminder: ReminderId,
    /// When it was to fire.
    pub from: Timestamp,
    /// When it fires now.
    pub to: Timestamp,
}

/// The cells of a task before an event, by which is seen what it overwrites.
#[derive(Debug, Default)]
pub struct Before(Vec<(Field, Version)>);

impl Before {
    /// What `task` holds; a task without history has nothing to remember it by.
    #[must_use]
    pub fn of(task: &Task, history: &History) -> Self {
        if history.notes.is_empty() {
            return Self::default();
        }
        Self(task.cells.iter().map(|cell| (cell.statement.field(), cell.version)).collect())
    }
}

impl History {
    /// The number of the newest note.
    #[must_use]
    pub fn latest(&self) -> Option<u32> {
        let count = u32::try_from(self.notes.len()).ok()?;
        count.checked_sub(1).map(|last| self.forgotten.saturating_add(last))
    }

    /// The note of this number, if it is still kept.
    #[must_use]
    pub fn get(&self, number: u32) -> Option<&Note> {
        self.notes.get(usize::try_from(number.checked_sub(self.forgotten)?).ok()?)
    }

    /// Adds a note.
    pub fn add(&mut self, note: Note) {
        self.notes.push(note);
        if self.notes.len() > HISTORY_MAX {
            self.notes.remove(0);
            self.forgotten = self.forgotten.saturating_add(1);
        }
    }

    fn overwrite(&mut self, version: Version, field: Field) {
        let wrote = self.notes.iter_mut().rev().find_map(|note| match note {
            Note::Event(noted) if noted.version == version => Some(noted),
            _ => None,
        });
        if let Some(noted) = wrote
            && !noted.overwritten.contains(&field)
        {
            noted.overwritten.push(field);
        }
    }
}

impl Record {
    /// Notes `event`, which arrived at `at` and has been applied to what was `before`. A duplicate is no news, nor is an
    /// event that its producer published again, and of stale events in a row that planned nothing only the last is
    /// kept: no flood of one event may flush out the others.
    pub fn note(&mut self, event: &Event, at: Timestamp, applied: &Applied, before: &Before) {
        for (field, version) in &before.0 {
            if self.task.cell(*field).is_none_or(|cell| cell.version != *version) {
                self.history.overwrite(*version, *field);
            }
        }
        match applied.outcome {
            Outcome::Duplicate => return,
            Outcome::Stale if self.ends_in_an_idle_stale_note() => {
                self.history.notes.pop();
            }
            Outcome::Applied if self.is_noted_again(applied.version) => return,
            Outcome::Applied | Outcome::Stale | Outcome::Ignored => {}
        }
        let refusal = |refusal: &Refusal| Refusal {
            key: cut(refusal.key.clone(), NOTED_KEY_MAX_BYTES),
            reason: cut(refusal.reason.clone(), NOTED_REASON_MAX_BYTES),
        };
        // What another event has stated later, which came before it.
        let is_older =
            |field: &Field| self.task.cell(*field).is_some_and(|cell| cell.version > applied.version);
        let stated = event.statements.iter().map(Statement::field).filter(is_older);
        let overwritten = if applied.outcome == Outcome::Applied { stated.collect() } else { Vec::new() };
        self.history.add(Note::Event(Noted {
            at,
            version: applied.version,
            outcome: applied.outcome,
            id: event.message_id.as_deref().map(EventId::of),
            producer: event.producer.clone().map(|name| cut(name, NOTED_PRODUCER_MAX_BYTES)),
            overwritten,
            refused: event.refused.iter().take(NOTED_REFUSALS_MAX).map(refusal).collect(),
        }));
    }

    /// Whether there is a note of the same event, published earlier; then it speaks for `version` too.
    fn is_noted_again(&mut self, version: Version) -> bool {
        let same = |noted: &Noted| {
            let told = noted.version;
            (told.ms, told.kind, told.digest) == (version.ms, version.kind, version.digest)
        };
        let noted = self.history.notes.iter_mut().find_map(|note| match note {
            Note::Event(noted) if same(noted) => Some(noted),
            _ => None,
        });
        let Some(noted) = noted else { return false };
        noted.version = version;
        noted.overwritten.retain(|field| self.task.cell(*field).is_none_or(|cell| cell.version != version));
        true
    }

    /// Whether the newest note is of a stale event, and no reminder names it as its reason.
    fn ends_in_an_idle_stale_note(&self) -> bool {
        let latest = self.history.latest();
        let is_named = |r: &Reminder| r.planned_by == latest || r.ended_by == latest;
        matches!(self.history.notes.last(), Some(Note::Event(noted)) if noted.outcome == Outcome::Stale)
            && !self.reminders.iter().any(is_named)
    }
}

impl Note {
    /// When it happened.
    #[must_use]
    pub fn at(&self) -> Timestamp {
        match self {
            Self::Event(noted) => noted.at,
            Self::Replanned { at, .. } => *at,
        }
    }
}

/// The reminders that were pending before and are after, at another time; `id` names them.
#[must_use]
pub fn moves(before: &[Reminder], after: &[Reminder], id: impl Fn(&Reminder) -> ReminderId) -> Vec<Move> {
    let pending = |reminder: &&Reminder| reminder.state == State::Pending;
    let moved = |new: &Reminder| {
        let old =
            before.iter().filter(pending).find(|old| old.is(new)).filter(|old| old.fire_at != new.fire_at)?;
        Some(Move { reminder: id(new), from: old.fire_at, to: new.fire_at })
    };
    after.iter().filter(pending).filter_map(moved).collect()
}
