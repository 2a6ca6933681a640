//! The occurrences of a task: its due date.
//!
//! Owns which zone a due date is read in, and since when it has been read so. Rules ask it for the occurrence that
//! they make a reminder of next.

use chrono::NaiveTime;

use super::Rules;
use crate::domain::due::{Due, Moment, Zone};
use crate::domain::event::Field;
use crate::domain::task::Task;
use crate::domain::time::Timestamp;

/// The occurrences of a task that has a due date.
#[derive(Clone, Debug)]
pub(super) struct Dates {
    /// The due date as stated.
    pub(super) first: Moment,
    /// The latest of the instants since when the due date and what it is read by have been as they are.
    pub(super) since: Timestamp,
    date_only: NaiveTime,
}

impl Dates {
    /// The occurrences of `task`; `None` where it has no due date.
    pub(super) fn of(task: &Task, rules: &Rules<'_>) -> Option<Self> {
        let due = task.due()?;
        let since = task.since(Field::Due).max(read_since(task, due, rules));
        let date_only = rules.in_force.policy.date_only;
        Some(Self { first: Moment::new(due, zone_of(task, due, rules)), since, date_only })
    }

    /// When `occurrence` is due.
    pub(super) fn instant(&self, occurrence: Moment) -> Timestamp {
        occurrence.instant(self.date_only)
    }

    /// The first occurrence that is due after `floor`.
    pub(super) fn after(&self, floor: Timestamp) -> Option<Moment> {
        Some(self.first).filter(|first| self.instant(*first) > floor)
    }

    /// The last occurrence that is due at or before `at`.
    pub(super) fn until(&self, at: Timestamp) -> Option<Moment> {
        Some(self.first).filter(|first| self.instant(*first) <= at)
    }

    /// Whether `occurrence` is one of them.
    pub(super) fn contain(&self, occurrence: Moment) -> bool {
        occurrence == self.first
    }
}

/// The zone that `stated` of `task` is read in.
pub(super) fn zone_of(task: &Task, _stated: Due, rules: &Rules<'_>) -> Zone {
    task.zone().unwrap_or(rules.in_force.policy.default_zone)
}

/// Since when what reads `stated` as an instant has been as it is: its zone matters to wall times and dates, the
/// task's own or the default one, and the time of day to dates.
pub(super) fn read_since(task: &Task, stated: Due, rules: &Rules<'_>) -> Timestamp {
    let since = &rules.in_force.since;
    let zone = match task.zone() {
        Some(_) => task.since(Field::Zone),
        None => since.zone.max(task.since(Field::Zone)),
    };
    match stated {
        Due::Instant(_) => Timestamp::MIN,
        Due::Wall(_) => zone,
        Due::Date(_) => zone.max(since.date_only),
    }
}
