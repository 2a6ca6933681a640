//! What a task's fields say, typed. Absent and null read the same here; the merge tells them apart.

use super::{Cell, Task};
use crate::domain::due::{Due, Zone};
use crate::domain::event::{Event, Field, Kind, Nags, Priority, Snooze, Statement, Status, Target};
use crate::domain::time::Timestamp;
use crate::domain::version::Version;

impl Task {
    /// The cell of `field`.
    #[must_use]
    pub fn cell(&self, field: Field) -> Option<&Cell> {
        self.cells.binary_search_by_key(&field, |cell| cell.statement.field()).ok().map(|at| &self.cells[at])
    }

    /// Since when `field` has had its present value; before everything where it was never stated.
    #[must_use]
    pub fn since(&self, field: Field) -> Timestamp {
        self.cell(field).and_then(|cell| cell.since).unwrap_or(Timestamp::MIN)
    }

    /// Whose task it is.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        match self.cell(Field::User).map(|c| &c.statement) {
            Some(Statement::User(user)) => user.as_deref(),
            _ => None,
        }
    }

    /// Its title.
    #[must_use]
    pub fn title(&self) -> Option<&str> {
        match self.cell(Field::Title).map(|c| &c.statement) {
            Some(Statement::Title(title)) => title.as_deref(),
            _ => None,
        }
    }

    /// Its priority, MEDIUM where none is known.
    #[must_use]
    pub fn priority(&self) -> Priority {
        match self.cell(Field::Priority).map(|c| &c.statement) {
            Some(Statement::Priority(priority)) => priority.unwrap_or_default(),
            _ => Priority::default(),
        }
    }

    /// Its status, TODO where none is known.
    #[must_use]
    pub fn status(&self) -> Status {
        match self.cell(Field::Status).map(|c| &c.statement) {
            Some(Statement::Status(status)) => status.unwrap_or_default(),
            _ => Status::default(),
        }
    }

    /// Its due date as stated.
    #[must_use]
    pub fn due(&self) -> Option<Due> {
        match self.cell(Field::Due).map(|c| &c.statement) {
            Some(Statement::Due(due)) => *due,
            _ => None,
        }
    }

    /// Its zone.
    #[must_use]
    pub fn zone(&self) -> Option<Zone> {
        match self.cell(Field::Zone).map(|c| &c.statement) {
            Some(Statement::Zone(zone)) => *zone,
            _ => None,
        }
    }

    /// Its own offsets, if it states any.
    #[must_use]
    pub fn offsets(&self) -> Option<&[u32]> {
        match self.cell(Field::Offsets).map(|c| &c.statement) {
            Some(Statement::Offsets(offsets)) => offsets.as_deref(),
            _ => None,
        }
    }

    /// Its explicit reminder times, if it states any.
    #[must_use]
    pub fn remind_at(&self) -> Option<&[Due]> {
        match self.cell(Field::RemindAt).map(|c| &c.statement) {
            Some(Statement::RemindAt(times)) => times.as_deref(),
            _ => None,
        }
    }

    /// Its tags.
    #[must_use]
    pub fn tags(&self) -> &[String] {
        match self.cell(Field::Tags).map(|c| &c.statement) {
            Some(Statement::Tags(tags)) => tags.as_deref().unwrap_or_default(),
            _ => &[],
        }
    }

    /// Its recurrence rule, as normalised JSON text.
    #[must_use]
    pub fn recurrence(&self) -> Option<&str> {
        match self.cell(Field::Recurrence).map(|c| &c.statement) {
            Some(Statement::Recurrence(rule)) => rule.as_deref(),
            _ => None,
        }
    }

    /// Its reminders after due, if it states any.
    #[must_use]
    pub fn nags(&self) -> Option<Nags> {
        match self.cell(Field::Nags).map(|c| &c.statement) {
            Some(Statement::Nags(nags)) => *nags,
            _ => None,
        }
    }

    /// Its last snooze, and by which version.
    #[must_use]
    pub fn snooze(&self) -> Option<(Snooze, Version)> {
        let cell = self.cell(Field::Snooze)?;
        match cell.statement {
            Statement::Snooze(snooze) => Some((snooze?, cell.version)),
            _ => None,
        }
    }

    /// Of which occurrence its reminders were last acknowledged, and by which version.
    #[must_use]
    pub fn acknowledged(&self) -> Option<(Target, Version)> {
        let cell = self.cell(Field::Acknowledged)?;
        match cell.statement {
            Statement::Acknowledged(target) => Some((target?, cell.version)),
            _ => None,
        }
    }

    /// The latest version of what `event` states.
    pub(super) fn newest(&self, event: &Event) -> Option<i64> {
        let is_stated = |cell: &&Cell| {
            let field = cell.statement.field();
            match event.kind {
                Kind::Deleted => true,
                Kind::Completed => field == Field::Status,
                _ => event.statements.iter().any(|statement| statement.field() == field),
            }
        };
        let created = self.created.filter(|_| matches!(event.kind, Kind::Created | Kind::Deleted));
        let cells = self.cells.iter().filter(is_stated).map(|cell| cell.version);
        cells.chain(created).chain(self.deleted).map(|version| version.ms).max()
    }

    /// When an action was told: its version's instant, unless that had to be lifted over another's.
    pub(in crate::domain) fn told_at(&self, field: Field) -> Option<Timestamp> {
        let cell = self.cell(field)?;
        Some(cell.since.unwrap_or(Timestamp::from_millis(cell.version.ms)))
    }
}
