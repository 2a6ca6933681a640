//! A task as the join of its events.
//!
//! Owns the merge: each field keeps the greatest version that stated it, creation and deletion keep theirs,
//! and applying an event takes the maximum. So any order and any repetition of the same events ends in the
//! same task (**invariant 4**). Knows no plan and no clock.
//!
//! Deviations that are accepted: a stamp taken from the arrival depends on the arrival, and of the values
//! a field once had only the last [`PAST_MAX`] keep the instant since when they were stated. Both err towards
//! firing.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::event::{Event, Field, Kind, PRODUCER, Snooze, Stamp, Stamps, Statement, Status, Until};
use super::time::Timestamp;
use super::version::{Version, has_arrived, short_digest, stamp};

mod called_off;
mod fields;
#[cfg(test)]
mod tests;

pub use called_off::{CALLED_OFF_MAX, CalledOff};

/// How many former values a task remembers the first statement of: enough for a date moved to and fro.
pub const PAST_MAX: usize = 16;

/// What an event did to a task.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Outcome {
    /// It wrote at least one field.
    Applied,
    /// Its own version was there already.
    Duplicate,
    /// All that it says is older than what is kept.
    Stale,
    /// It says nothing that the worker keeps.
    Ignored,
}

impl Outcome {
    /// That of an event which `wrote` something or not, and whose version was `known` before.
    pub(super) fn of(wrote: bool, known: bool) -> Self {
        match (wrote, known) {
            (true, _) => Self::Applied,
            (false, true) => Self::Duplicate,
            (false, false) => Self::Stale,
        }
    }
}

/// One field's present value.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Cell {
    /// What was stated.
    pub statement: Statement,
    /// By which version.
    pub version: Version,
    /// Since when this value has been stated; only for fields on which a reminder's birth depends.
    pub since: Option<Timestamp>,
}

/// A value that a field had, or that came too late, and the first statement of it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct Past {
    /// The field.
    pub field: Field,
    /// 64-bit digest of the value.
    pub value: u64,
    /// The least of version and arrival over its statements.
    pub since: Timestamp,
}

/// The chain and trace that a statement belongs to.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Origin {
    /// The event's correlation id.
    pub correlation_id: Option<String>,
    /// The event's trace.
    pub trace_id: Option<[u8; 16]>,
}

/// The merged state of a task.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Task {
    /// The greatest creation above the deletion.
    pub created: Option<Version>,
    /// The least statement of any creation.
    pub born: Option<Timestamp>,
    /// The greatest deletion.
    pub deleted: Option<Version>,
    /// The fields stated above the deletion, sorted by field.
    pub cells: Vec<Cell>,
    /// Former values, sorted.
    pub past: Vec<Past>,
    /// Digests of the events whose version hangs on their arrival, having no stamp or one too far ahead; oldest
    /// first.
    pub arrivals: Vec<u64>,
    /// Where the present due date comes from.
    pub due_origin: Origin,
    /// Who stated the present recurrence rule, where it is told.
    pub recurrence_producer: Option<String>,
    /// What of its reminders was called off, oldest first.
    pub called_off: Vec<CalledOff>,
    /// The newest transport stamp seen: what the horizon moves to when the task is purged.
    pub transport: Option<Timestamp>,
}

/// What [`Task::apply`] did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Applied {
    /// The event's version.
    pub version: Version,
    /// How the event counts.
    pub outcome: Outcome,
    /// The task is no longer what it was: it must be kept and planned anew. A stale event can change it too,
    /// by showing that the present value was stated earlier.
    pub changed: bool,
    /// A stamp of the event was too far ahead to be believed.
    pub ahead: bool,
}

impl Task {
    /// Folds `event`, which arrived at `arrival`, into the task.
    pub fn apply(&mut self, event: &Event, arrival: Timestamp) -> Applied {
        let stamped = stamp(event, arrival).after(|| self.newest(event), &event.stamps);
        let version = stamped.version;
        let done = |outcome, changed| Applied { version, outcome, changed, ahead: stamped.ahead };
        let told_at = if stamped.from_arrival { version.ms.min(arrival.millis()) } else { version.ms };
        let states = states_of(event, Version { ms: told_at, ..version });
        if states.is_empty() && !matches!(event.kind, Kind::Created | Kind::Deleted) {
            return done(Outcome::Ignored, false);
        }
        // What the worker's own API says nobody delivers again.
        let is_own = event.producer.as_deref() == Some(PRODUCER) && event.stamps == Stamps::default();
        if !is_own && has_arrived(&mut self.arrivals, &stamped, &event.stamps, event.offset) {
            return done(Outcome::Duplicate, false);
        }
        let known = self.holds(version);
        let since = Timestamp::from_millis(version.ms).min(arrival);
        let hangs_on_arrival = stamped.hangs_on_arrival() && !is_own;
        let mut changed = hangs_on_arrival | self.note_transport(event.stamps.transport());
        let mut wrote = false;
        match event.kind {
            Kind::Created => wrote |= self.create(version, since, &mut changed),
            Kind::Deleted => wrote |= self.delete(version),
            Kind::Updated | Kind::Snoozed | Kind::Acknowledged | Kind::Completed => {}
        }
        for statement in states {
            if let Statement::Cancelled(of) = statement {
                wrote |= self.call_off(CalledOff { of, at: Timestamp::from_millis(version.ms) }, version);
            }
            wrote |= self.state(statement, version, since, event, &mut changed);
        }
        if told_at < version.ms {
            let is_action = |cell: &&mut Cell| {
                cell.version == version
                    && matches!(cell.statement.field(), Field::Snooze | Field::Acknowledged)
            };
            self.cells.iter_mut().filter(is_action).for_each(|cell| cell.since = Some(arrival));
        }
        done(Outcome::of(wrote, known), changed | wrote)
    }

    /// Not deleted, or created again since.
    #[must_use]
    pub fn is_alive(&self) -> bool {
        self.deleted.is_none_or(|deleted| self.created.is_some_and(|created| created > deleted))
    }

    /// Alive and not done: reminders make sense.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.is_alive() && self.status().is_open()
    }

    /// Since when the task has been open, as far as is known: one that nobody was heard to create has been there
    /// from the beginning.
    #[must_use]
    pub fn open_since(&self) -> Timestamp {
        let stated = self.cell(Field::Status).and_then(|cell| cell.since);
        let open = self.born.map_or(Timestamp::MIN, |born| stated.map_or(born, |stated| stated.min(born)));
        open.max(self.deleted_at())
    }

    /// The instant of the last deletion: nothing stated before it counts. A producer's clock may run ahead, so
    /// it is never later than the transport has come: a birth in the future would swallow reminders.
    #[must_use]
    pub fn deleted_at(&self) -> Timestamp {
        let Some(deleted) = self.deleted else { return Timestamp::MIN };
        Timestamp::from_millis(deleted.ms).min(self.transport.unwrap_or(Timestamp::MAX))
    }

    fn holds(&self, version: Version) -> bool {
        self.created == Some(version)
            || self.deleted == Some(version)
            || self.cells.iter().any(|cell| cell.version == version)
    }

    fn note_transport(&mut self, at: Option<Timestamp>) -> bool {
        let newer = at > self.transport;
        if newer {
            self.transport = at;
        }
        newer
    }

    fn create(&mut self, version: Version, since: Timestamp, changed: &mut bool) -> bool {
        if self.born.is_none_or(|born| since < born) {
            self.born = Some(since);
            *changed = true;
        }
        let wins = Some(version) > self.created && Some(version) > self.deleted;
        if wins {
            self.created = Some(version);
        }
        wins
    }

    fn delete(&mut self, version: Version) -> bool {
        if Some(version) <= self.deleted {
            return false;
        }
        self.deleted = Some(version);
        if self.created < self.deleted {
            self.created = None;
        }
        let (void, kept) = std::mem::take(&mut self.cells).into_iter().partition(|c| c.version <= version);
        self.cells = kept;
        self.called_off.retain(|off| off.at.millis() > version.ms);
        let void: Vec<Cell> = void;
        for cell in void {
            self.forget(&cell);
        }
        true
    }

    /// Merges one statement; true if it was written.
    fn state(
        &mut self,
        statement: Statement,
        version: Version,
        since: Timestamp,
        event: &Event,
        changed: &mut bool,
    ) -> bool {
        let field = statement.field();
        let dated = dated_value(&statement);
        let found = self.cells.binary_search_by_key(&field, |cell| cell.statement.field());
        let current = found.ok().map(|at| &self.cells[at]);
        let wins = Some(version) > self.deleted && current.is_none_or(|cell| version > cell.version);
        let earliest = dated.map(|value| since.min(self.stated_before(field, value, since).unwrap_or(since)));
        if !wins {
            return self.note_late(found.ok(), field, dated, since, changed);
        }
        let same = current.is_some_and(|cell| dated.is_some() && dated_value(&cell.statement) == dated);
        let since = if same { earliest.min(current.and_then(|c| c.since).or(earliest)) } else { earliest };
        let cell = Cell { statement, version, since };
        if field == Field::Due {
            self.due_origin =
                Origin { correlation_id: event.correlation_id.clone(), trace_id: event.trace_id };
        }
        if field == Field::Recurrence {
            self.recurrence_producer = event.producer.clone();
        }
        match found {
            Ok(at) => {
                let former = std::mem::replace(&mut self.cells[at], cell);
                if !same {
                    self.forget(&former);
                }
            }
            Err(at) => self.cells.insert(at, cell),
        }
        if let Some(value) = dated {
            self.past.retain(|p| (p.field, p.value) != (field, value));
        }
        true
    }

    /// An older statement writes nothing, but may show that its value was stated earlier than known.
    fn note_late(
        &mut self,
        at: Option<usize>,
        field: Field,
        dated: Option<u64>,
        since: Timestamp,
        changed: &mut bool,
    ) -> bool {
        let Some(value) = dated else { return false };
        if let Some(cell) = at.map(|at| &mut self.cells[at])
            && dated_value(&cell.statement) == Some(value)
        {
            if cell.since.is_none_or(|known| since < known) {
                cell.since = Some(since);
                *changed = true;
            }
        } else if self.past_since(field, value).is_none_or(|known| since < known) {
            self.remember(Past { field, value, since });
            *changed = true;
        }
        false
    }

    fn past_since(&self, field: Field, value: u64) -> Option<Timestamp> {
        self.past.iter().find(|p| (p.field, p.value) == (field, value)).map(|p| p.since)
    }

    fn forget(&mut self, cell: &Cell) {
        if let (Some(value), Some(since)) = (dated_value(&cell.statement), cell.since) {
            self.remember(Past { field: cell.statement.field(), value, since });
        }
        if cell.statement.field() == Field::Due && self.cell(Field::Due).is_none() {
            self.due_origin = Origin::default();
        }
        if cell.statement.field() == Field::Recurrence && self.cell(Field::Recurrence).is_none() {
            self.recurrence_producer = None;
        }
    }

    fn remember(&mut self, past: Past) {
        let since = self.past_since(past.field, past.value).map_or(past.since, |known| known.min(past.since));
        self.past.retain(|p| (p.field, p.value) != (past.field, past.value));
        self.past.push(Past { since, ..past });
        if self.past.len() > PAST_MAX
            && let Some(oldest) = (0..self.past.len()).min_by_key(|at| self.past[*at].since)
        {
            self.past.remove(oldest);
        }
        self.past.sort_unstable();
    }
}

/// What the event states, by its kind: a completion only the status, a deletion nothing. Minutes of a snooze count
/// from the version, so that a redelivery says the same.
fn states_of(event: &Event, version: Version) -> Vec<Statement> {
    let mut states = match event.kind {
        Kind::Created | Kind::Updated | Kind::Snoozed | Kind::Acknowledged => event.statements.clone(),
        Kind::Completed => vec![Statement::Status(Some(Status::Done))],
        Kind::Deleted => Vec::new(),
    };
    for statement in &mut states {
        if let Statement::Snooze(Some(Snooze { until, .. })) = statement
            && let Until::Minutes(minutes) = *until
        {
            let wait = Duration::from_secs(u64::from(minutes) * 60);
            *until = Until::At(written_at(event, version).plus(wait));
        }
    }
    states
}

/// The believed stamp of an event as it was written: a version counts a whole second from its end.
fn written_at(event: &Event, version: Version) -> Timestamp {
    let counted = Timestamp::from_millis(version.ms);
    let is_it = |stamp: &Stamp| stamp.whole_second && counted.since(stamp.at) < Duration::from_secs(1);
    let stamps = [event.stamps.event, event.stamps.envelope].into_iter().flatten();
    stamps.filter(|stamp| stamp.at <= counted).find(is_it).map_or(counted, |stamp| stamp.at)
}

/// The digest of a value on which a reminder's birth depends; `None` for all other statements. Open statuses
/// are one value: going from TODO to IN_PROGRESS gives birth to nothing.
fn dated_value(statement: &Statement) -> Option<u64> {
    match statement {
        Statement::Status(status) => {
            status.unwrap_or_default().is_open().then(|| short_digest(&Statement::Status(None)))
        }
        // Defaults hang on it. The value itself tells it apart from others.
        Statement::Priority(Some(priority)) => Some(u64::from(*priority as u8) + 1),
        // What a field says nothing of, it has said nothing of from the beginning.
        Statement::Priority(None)
        | Statement::Due(None)
        | Statement::Zone(None)
        | Statement::Offsets(None)
        | Statement::RemindAt(None)
        | Statement::Recurrence(None)
        | Statement::Nags(None)
        | Statement::User(None) => None,
        Statement::User(_)
        | Statement::Due(_)
        | Statement::Zone(_)
        | Statement::Offsets(_)
        | Statement::RemindAt(_)
        | Statement::Recurrence(_)
        | Statement::Nags(_) => Some(short_digest(statement)),
        Statement::Title(_)
        | Statement::Tags(_)
        | Statement::Snooze(_)
        | Statement::Acknowledged(_)
        | Statement::Cancelled(_) => None,
    }
}
