//! The occurrences of a task: its due date, and what its recurrence rule makes of it.
//!
//! Owns which zone a due date is read in, since when it has been read so, and which occurrences a completion has
//! done with. Rules ask it for the occurrence that they make a reminder of next; a rule that does not parse, or that
//! is not to be followed, is as good as none.

use std::cell::Cell;

use chrono::NaiveTime;

use super::Rules;
use crate::domain::due::{Due, Moment, Zone};
use crate::domain::event::{Field, Status};
use crate::domain::policy::PolicySince;
use crate::domain::preferences::WishField;
use crate::domain::series::{Next, OnComplete, Series};
use crate::domain::task::Task;
use crate::domain::time::Timestamp;

/// The occurrences of a task that has a due date.
#[derive(Clone, Debug)]
pub(in crate::domain) struct Dates {
    /// The due date as stated.
    pub(in crate::domain) first: Moment,
    /// Since when the due date and what it is read by have been as they are.
    pub(in crate::domain) first_since: Timestamp,
    series: Option<Following>,
    date_only: NaiveTime,
    /// A search that found nothing within its bounds is not repeated for every rule: each costs as much.
    gave_up: Cell<bool>,
}

/// A recurrence rule that is followed.
#[derive(Clone, Debug)]
struct Following {
    series: Series,
    /// The zone in which the wall time is kept.
    zone: Zone,
    /// Since when the rule and its zone have been as they are.
    since: Timestamp,
}

impl Dates {
    /// The occurrences of `task`; `None` where it has no due date.
    pub(in crate::domain) fn of(task: &Task, rules: &Rules<'_>) -> Option<Self> {
        Self::since(task, rules, &rules.in_force.since)
    }

    /// The same where the settings are as they are `since` then.
    pub(super) fn since(task: &Task, rules: &Rules<'_>, since: &PolicySince) -> Option<Self> {
        let due = task.due()?;
        let (zone, zone_since) = zone_of(task, due, rules, since);
        let first_since = task.since(Field::Due).max(read_since(task, due, rules, since));
        let series = task
            .recurrence()
            .and_then(|rule| Following::read(rule, task, (zone, zone_since.max(since.recurrence)), rules));
        let date_only = rules.in_force.policy.date_only;
        Some(Self {
            first: Moment::new(due, zone),
            first_since,
            series,
            date_only,
            gave_up: Cell::new(false),
        })
    }

    /// When `occurrence` is due.
    pub(in crate::domain) fn instant(&self, occurrence: Moment) -> Timestamp {
        occurrence.instant(self.date_only)
    }

    /// Since when what makes the occurrences after the first has been as it is; `None` where there are none.
    pub(in crate::domain) fn later_since(&self) -> Option<Timestamp> {
        self.series.as_ref().map(|following| self.first_since.max(following.since))
    }

    /// The first occurrence that is due after `floor`.
    pub(in crate::domain) fn after(&self, floor: Timestamp) -> Option<Moment> {
        if self.instant(self.first) > floor {
            return Some(self.first);
        }
        match self.next(floor)? {
            Next::At(occurrence) => Some(occurrence),
            Next::Ended(_) | Next::GaveUp(_) => None,
        }
    }

    /// The last occurrence that is due at or before `at`.
    pub(in crate::domain) fn until(&self, at: Timestamp) -> Option<Moment> {
        if self.instant(self.first) > at {
            return None;
        }
        let is_before = |floor: Timestamp| self.after(floor).is_some_and(|o| self.instant(o) <= at);
        // From the first occurrence's own floor on there is one at or before `at`; halve what is in doubt.
        let mut below = self.instant(self.first).minus(Timestamp::FINEST);
        let mut above = at;
        while above.since(below) > Timestamp::FINEST {
            let middle = below.plus(above.since(below) / 2);
            if is_before(middle) {
                below = middle;
            } else {
                above = middle;
            }
        }
        self.after(below)
    }

    /// Whether `occurrence` is one of them.
    pub(in crate::domain) fn contain(&self, occurrence: Moment) -> bool {
        let following = self.series.as_ref();
        occurrence == self.first
            || following.is_some_and(|Following { series, zone, .. }| {
                series.is_occurrence(self.first, *zone, self.date_only, occurrence)
            })
    }

    /// Why nothing comes after `floor`, where the rule ends or never fires again.
    pub(in crate::domain) fn end_after(&self, floor: Timestamp) -> Option<String> {
        match self.next(floor.max(self.instant(self.first)))? {
            Next::At(_) => None,
            Next::Ended(reason) | Next::GaveUp(reason) => Some(reason),
        }
    }

    /// The instant up to which occurrences are done with; `None` where the task calls for no reminder at all.
    ///
    /// Completing a task ends it, unless its rule says `on_complete: next`: then the occurrence that was done is the
    /// last one due, or the one to come where the completion lies in the last quarter of the time between the two:
    /// people finish a little early more often than most of a period late.
    pub(in crate::domain) fn done_with(&self, task: &Task) -> Option<Timestamp> {
        if task.is_open() {
            return Some(Timestamp::MIN);
        }
        let goes_on = |following: &Following| following.series.on_complete() == OnComplete::Next;
        if !task.is_alive() || task.status() != Status::Done || !self.series.as_ref().is_some_and(goes_on) {
            return None;
        }
        let completed = Timestamp::from_millis(task.cell(Field::Status)?.version.ms);
        let Some(last) = self.until(completed).map(|last| self.instant(last)) else {
            return Some(self.instant(self.first));
        };
        let next = self.after(last).map(|next| self.instant(next));
        let is_early = |next: &Timestamp| next.since(completed) <= next.since(last) / 4;
        Some(next.filter(is_early).unwrap_or(last))
    }

    fn next(&self, floor: Timestamp) -> Option<Next> {
        let Following { series, zone, .. } = self.series.as_ref()?;
        if self.gave_up.get() {
            return None;
        }
        let next = series.next_after(self.first, *zone, self.date_only, floor);
        self.gave_up.set(matches!(next, Next::GaveUp(_)));
        Some(next)
    }
}

impl Following {
    fn read(
        rule: &str,
        task: &Task,
        (zone, read_since): (Zone, Timestamp),
        rules: &Rules<'_>,
    ) -> Option<Self> {
        let policy = &rules.in_force.policy;
        let series = Series::parse(rule).ok()?;
        let is_followed = || policy.follows(task.recurrence_producer.as_deref());
        if !series.follow().unwrap_or_else(is_followed) {
            return None;
        }
        // Even an instant comes again by the wall.
        let since = task.since(Field::Recurrence).max(read_since);
        Some(Self { series, zone, since })
    }
}

/// The zone that `stated` is read in, and since when that is so: the task's, else for a date alone the user's, else the
/// default one. A naive time is never the user's: many producers write UTC that way.
pub(super) fn zone_of(task: &Task, stated: Due, rules: &Rules<'_>, since: &PolicySince) -> (Zone, Timestamp) {
    let of_task = task.since(Field::Zone);
    if let Some(zone) = task.zone() {
        return (zone, of_task);
    }
    let user = rules.user.filter(|_| matches!(stated, Due::Date(_)));
    if let Some((zone, of_user)) = user.and_then(|user| Some((user.zone()?, user.since(WishField::Zone)))) {
        return (zone, of_user.max(of_task));
    }
    (rules.in_force.policy.default_zone, since.zone.max(of_task))
}

/// Since when what reads `stated` as an instant has been as it is: its zone matters to wall times and dates, and the
/// time of day to dates.
pub(super) fn read_since(task: &Task, stated: Due, rules: &Rules<'_>, since: &PolicySince) -> Timestamp {
    match stated {
        Due::Instant(_) => Timestamp::MIN,
        Due::Wall(_) => zone_of(task, stated, rules, since).1,
        Due::Date(_) => zone_of(task, stated, rules, since).1.max(since.date_only),
    }
}
