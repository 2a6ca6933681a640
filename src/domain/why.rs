//! Why a task's reminders fired, will fire or will not: what happened to it, in causal order.
//!
//! Pure: derives from a record what it says already (values, versions, reminders) and adds what only its history knows.
//! What it makes are facts; sentences are made elsewhere.

use super::event::{Field, Statement};
use super::history::{Note, Noted};
use super::policy::Policy;
use super::record::Record;
use super::reminder::{Reminder, State};
use super::time::Timestamp;
use super::version::Version;

/// Something that happened.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry<'a> {
    /// When.
    pub at: Timestamp,
    /// What.
    pub what: What<'a>,
}

/// What happened.
#[derive(Clone, PartialEq, Debug)]
pub enum What<'a> {
    /// So many earlier notes are no longer kept.
    Forgotten(u32),
    /// An event was merged.
    Event(&'a Noted, Vec<Wrote<'a>>),
    /// An event was merged of which only its version is known.
    Unnoted(Version, Vec<Wrote<'a>>),
    /// Other settings or another tz database changed the plan.
    Replanned(&'a Note),
    /// A reminder was planned, because of this note; and, of a series, because this one before it was settled.
    Planned(&'a Reminder, Option<&'a Note>, Option<&'a Reminder>),
    /// Attempts to publish it failed; their instants are not kept, so it stands where they began.
    Failed(&'a Reminder),
    /// It went out, or may have.
    Published(&'a Reminder),
    /// It came back through the broker.
    Received(&'a Reminder),
    /// It left the plan, because of this note: cancelled or superseded.
    Left(&'a Reminder, Option<&'a Note>),
    /// It was too late.
    Expired(&'a Reminder),
}

/// A field that an event wrote, and its value where that is the present one.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Wrote<'a> {
    /// Which.
    pub field: Field,
    /// The value; `None` where a later event wrote it again.
    pub value: Option<&'a Statement>,
}

/// Why a task has no reminder at all.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Nothing {
    /// It is deleted.
    Deleted,
    /// It is done.
    Done,
    /// It has neither a due date nor times of its own.
    NoDue,
    /// It states that it wants none.
    NoOffsets,
    /// It states nothing, and the settings remind of nothing by default.
    NoDefault,
    /// All it had were called off.
    CalledOff,
    /// What it calls for lies behind what was forgotten.
    Forgotten,
}

/// What happened to the task, in causal order. Events that share a commit share its instant, and what the second ended
/// the first had planned: so what one note caused stands together.
#[must_use]
pub fn timeline(record: &Record) -> Vec<Entry<'_>> {
    let mut entries: Vec<(u8, Entry<'_>)> = Vec::new();
    let mut add = |rank: u8, at: Timestamp, what| entries.push((rank, Entry { at, what }));
    for (version, wrote) in unnoted(record) {
        add(1, Timestamp::from_millis(version.ms), What::Unnoted(version, wrote));
    }
    for note in &record.history.notes {
        let what = match note {
            Note::Event(noted) => What::Event(noted, wrote(record, noted)),
            Note::Replanned { .. } => What::Replanned(note),
        };
        add(1, note.at(), what);
    }
    for reminder in &record.reminders {
        let by = reminder.planned_by.and_then(|number| record.history.get(number));
        let noted = by.map(Note::at).or_else(|| known_since(record, reminder));
        let before = settled_before(record, reminder).filter(|(at, _)| noted.is_none_or(|noted| noted < *at));
        match (before, noted) {
            // What went before is told first.
            (Some((at, before)), _) => add(5, at, What::Planned(reminder, by, Some(before))),
            (None, Some(at)) => add(3, at, What::Planned(reminder, by, None)),
            (None, None) => {}
        }
        if reminder.attempts > 0 {
            add(4, reminder.fire_at, What::Failed(reminder));
        }
        if let Some(at) = reminder.settled_at {
            let ended = reminder.ended_by.and_then(|number| record.history.get(number));
            match reminder.state {
                State::Pending => {}
                State::Published => add(5, at, What::Published(reminder)),
                State::Cancelled | State::Superseded => add(2, at, What::Left(reminder, ended)),
                State::Expired => add(5, at, What::Expired(reminder)),
            }
        }
        if let Some(at) = reminder.received_at {
            add(6, at, What::Received(reminder));
        }
    }
    if record.history.forgotten > 0 {
        // No note is older than those that went before it.
        let first = record.history.notes.first().map_or(record.task.deleted_at(), Note::at);
        add(0, first, What::Forgotten(record.history.forgotten));
    }
    entries.sort_by_key(|(rank, entry)| (entry.at, cause(record, &entry.what), *rank));
    entries.into_iter().map(|(_, entry)| entry).collect()
}

/// The place among the notes of the one that caused this; after all of them what no note did.
fn cause(record: &Record, what: &What<'_>) -> usize {
    let notes = &record.history.notes;
    let place = |wanted: &Note| notes.iter().position(|note| std::ptr::eq(note, wanted));
    let place = match what {
        What::Forgotten(_) | What::Unnoted(..) => return 0,
        What::Event(noted, _) => {
            notes.iter().position(|note| matches!(note, Note::Event(n) if std::ptr::eq(n, *noted)))
        }
        What::Replanned(note) | What::Planned(_, Some(note), None) | What::Left(_, Some(note)) => place(note),
        What::Planned(_, None, None) | What::Left(_, None) => None,
        What::Planned(_, _, Some(_))
        | What::Failed(_)
        | What::Published(_)
        | What::Received(_)
        | What::Expired(_) => return usize::MAX,
    };
    place.unwrap_or(notes.len())
}

/// What an event wrote: what is still there of it, and what was written again.
#[must_use]
pub fn wrote<'a>(record: &'a Record, noted: &Noted) -> Vec<Wrote<'a>> {
    let mut wrote = of_version(record, noted.version);
    wrote.extend(noted.overwritten.iter().map(|field| Wrote { field: *field, value: None }));
    wrote.sort_by_key(|wrote| wrote.field);
    wrote
}

/// Why there is no reminder at all; `None` where there are some, of which each has its own answer.
#[must_use]
pub fn nothing(record: &Record, policy: &Policy) -> Option<Nothing> {
    let task = &record.task;
    if !record.reminders.is_empty() {
        return None;
    }
    let timed = task.remind_at().is_some_and(|times| !times.is_empty());
    Some(match (task.due(), task.offsets()) {
        _ if !task.is_alive() => Nothing::Deleted,
        _ if !task.is_open() => Nothing::Done,
        (None, _) if !timed => Nothing::NoDue,
        (Some(_), Some([])) if !timed => Nothing::NoOffsets,
        (Some(_), None) if !timed && policy.default_offsets.is_empty() => Nothing::NoDefault,
        _ if task.called_off.iter().any(|off| off.of.is_some()) => Nothing::CalledOff,
        _ => Nothing::Forgotten,
    })
}

fn of_version(record: &Record, version: Version) -> Vec<Wrote<'_>> {
    let cells = record.task.cells.iter().filter(|cell| cell.version == version);
    cells.map(|cell| Wrote { field: cell.statement.field(), value: Some(&cell.statement) }).collect()
}

/// Versions that the record names and its history does not: of an older release, or whose notes are forgotten.
fn unnoted(record: &Record) -> Vec<(Version, Vec<Wrote<'_>>)> {
    let task = &record.task;
    let named = task.created.into_iter().chain(task.deleted).chain(task.cells.iter().map(|c| c.version));
    let is_noted = |version: &Version| {
        record
            .history
            .notes
            .iter()
            .any(|note| matches!(note, Note::Event(noted) if noted.version == *version))
    };
    let mut versions: Vec<Version> = named.filter(|version| !is_noted(version)).collect();
    versions.sort_unstable();
    versions.dedup();
    versions.into_iter().map(|version| (version, of_version(record, version))).collect()
}

/// Since when what a reminder was planned for is known to be so, where no note says it: only of the present due date.
fn known_since(record: &Record, reminder: &Reminder) -> Option<Timestamp> {
    let present = reminder.occurrence.map(|occurrence| occurrence.due()) == record.task.due();
    let since = record.task.since(Field::Due).max(record.task.open_since());
    (present && since > Timestamp::MIN).then_some(since)
}

/// The reminder of an earlier occurrence that made place for `reminder` in its series, and when it was settled: of each
/// rule the next one is planned then.
fn settled_before<'a>(record: &'a Record, reminder: &Reminder) -> Option<(Timestamp, &'a Reminder)> {
    if record.task.recurrence().is_none() || !reminder.rule.comes_again() {
        return None;
    }
    let earlier =
        record.reminders.iter().filter(|r| r.rule == reminder.rule && r.occurrence != reminder.occurrence);
    let last = earlier.filter(|r| r.instant() < reminder.instant()).max_by_key(|r| r.instant())?;
    Some((last.settled_at?, last))
}

impl What<'_> {
    /// The reminder that it happened to.
    #[must_use]
    pub fn reminder(&self) -> Option<&Reminder> {
        match self {
            Self::Forgotten(_) | Self::Event(..) | Self::Unnoted(..) | Self::Replanned(_) => None,
            Self::Planned(reminder, ..)
            | Self::Failed(reminder)
            | Self::Published(reminder)
            | Self::Received(reminder)
            | Self::Left(reminder, _)
            | Self::Expired(reminder) => Some(reminder),
        }
    }

    /// A stable name, for machines.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Forgotten(_) => "forgotten",
            Self::Event(noted, _) => noted.version.kind.name(),
            Self::Unnoted(version, _) => version.kind.name(),
            Self::Replanned(_) => "settings_changed",
            Self::Planned(..) => "planned",
            Self::Failed(_) => "failed",
            Self::Published(reminder) if reminder.maybe_out => "in_doubt",
            Self::Published(_) => "published",
            Self::Received(_) => "received",
            Self::Left(reminder, _) => reminder.state.name(),
            Self::Expired(_) => "expired",
        }
    }
}
