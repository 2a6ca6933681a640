//! What a task's user did about its reminders: snoozed or acknowledged them.
//!
//! Owns which occurrence an action is about, and how far it reaches: both die with their occurrence. A function of
//! the merged task, and of what went out where an action does not name its occurrence: what had gone out by then
//! depends, as it must, on when events came.

use std::cmp::Reverse;

use super::dates::Dates;
use super::limits::LeftOut;
use super::{Planned, Rules};
use crate::domain::due::{Due, Moment};
use crate::domain::event::{Field, Target, TaskId, Until};
use crate::domain::record::Record;
use crate::domain::reminder::{ReminderId, Rule, State};
use crate::domain::task::Task;
use crate::domain::time::Timestamp;

/// Whether an action that names what it is about would come to something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Aim {
    /// It names none, or one of the task's.
    Present,
    /// It names a reminder of a due date that the task no longer has.
    Gone,
    /// The task has no such due date, and keeps no such reminder.
    Unknown,
}

/// What an action about `target` would be about, by what is kept of the task now.
#[must_use]
pub fn aim(id: &TaskId, record: &Record, target: Target, rules: &Rules<'_>) -> Aim {
    let dates = Dates::of(&record.task, rules);
    let is_one = |occurrence: Moment| dates.as_ref().is_some_and(|dates| dates.contain(occurrence));
    let mut kept = record.reminders.iter();
    let occurrence = match target {
        Target::Present => return Aim::Present,
        Target::Occurrence(occurrence) if is_one(occurrence) => return Aim::Present,
        Target::Occurrence(occurrence) => {
            kept.find(|r| r.occurrence == Some(occurrence)).map(|r| r.occurrence)
        }
        Target::Reminder(reminder) => kept.find(|r| r.id(id) == reminder).map(|r| r.occurrence),
    };
    match occurrence {
        None => Aim::Unknown,
        Some(Some(occurrence)) if !is_one(occurrence) => Aim::Gone,
        Some(_) => Aim::Present,
    }
}

/// What an action is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Meant {
    /// An occurrence, or none: an explicit time, or a task without a due date.
    Of(Option<Moment>),
    /// An occurrence that is no longer one.
    Gone,
}

/// What a task's user did, as far as it still counts.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Actions {
    /// The reminder that a snooze makes.
    pub(super) snoozed: Option<Planned>,
    /// Occurrences due at or before this are acknowledged.
    pub(super) acknowledged: Option<Timestamp>,
}

impl Actions {
    /// The actions on the task of `record`, for which `planned` is called for besides.
    pub(super) fn of(id: &TaskId, record: &Record, dates: Option<&Dates>, planned: &[Planned]) -> Self {
        let task = &record.task;
        let (snooze, acknowledgement) = (task.snooze(), task.acknowledged());
        if snooze.is_none() && acknowledgement.is_none() {
            return Self::default();
        }
        let aims = Aims { id, record, dates, planned };
        let acknowledged = acknowledgement.and_then(|(target, version)| {
            let at = task.told_at(Field::Acknowledged)?;
            Some((aims.meant(target, at), version, at))
        });
        let snoozed = snooze.and_then(|(snooze, version)| {
            let at = task.told_at(Field::Snooze)?;
            let meant = aims.meant(snooze.of, at);
            let Meant::Of(occurrence) = meant else { return None };
            if acknowledged.is_some_and(|(of, by, _)| of == meant && by > version) {
                return None;
            }
            // The merge makes instants of minutes.
            let Until::At(until) = snooze.until else { return None };
            let birth = at.max(task.open_since());
            Some(Planned::at(occurrence, Rule::Snooze(until), until, birth))
        });
        let acknowledged = acknowledged.and_then(|(meant, _, at)| {
            let last = match meant {
                Meant::Of(Some(occurrence)) => occurrence,
                // Of no occurrence: then of all that were due by then.
                Meant::Of(None) => dates?.until(at)?,
                Meant::Gone => return None,
            };
            Some(dates?.instant(last))
        });
        Self { snoozed, acknowledged }
    }

    /// Whether a reminder after due is still called for; one that is not goes into `left_out`.
    pub(super) fn lets_pass(
        &self,
        nag: &Planned,
        dates: &Dates,
        left_out: &mut Vec<(Planned, LeftOut)>,
    ) -> bool {
        let held = self.holds(nag, dates);
        left_out.extend(held.map(|why| (*nag, why)));
        held.is_none()
    }

    /// Why a reminder after due is not called for any more.
    pub(super) fn holds(&self, nag: &Planned, dates: &Dates) -> Option<LeftOut> {
        let due = nag.occurrence.map(|occurrence| dates.instant(occurrence));
        let held_back = |snooze: Planned| {
            !snooze.is_born_expired()
                && snooze.occurrence == nag.occurrence
                && nag.instant() < snooze.instant()
        };
        if self.acknowledged.is_some_and(|to| due <= Some(to)) {
            return Some(LeftOut::Acknowledged);
        }
        self.snoozed.is_some_and(held_back).then_some(LeftOut::Snoozed)
    }
}

/// What an action may be about.
struct Aims<'a> {
    id: &'a TaskId,
    record: &'a Record,
    dates: Option<&'a Dates>,
    planned: &'a [Planned],
}

impl Aims<'_> {
    fn meant(&self, target: Target, at: Timestamp) -> Meant {
        match target {
            Target::Occurrence(occurrence) => self.present_or_gone(Some(occurrence)),
            Target::Reminder(reminder) => match self.reminder(reminder) {
                Some(occurrence) => self.present_or_gone(occurrence),
                None => self.unnamed(at),
            },
            Target::Present => self.unnamed(at),
        }
    }

    fn is_one(&self, occurrence: Moment) -> bool {
        self.dates.is_some_and(|dates| dates.contain(occurrence))
    }

    fn present_or_gone(&self, occurrence: Option<Moment>) -> Meant {
        match occurrence {
            Some(occurrence) if !self.is_one(occurrence) => Meant::Gone,
            occurrence => Meant::Of(occurrence),
        }
    }

    /// What went out, and the plan: occurrence, rule and instant. What was superseded before it went out nobody saw,
    /// and whether it was ever planned depends on the order of events.
    fn seen(&self) -> impl Iterator<Item = (Option<Moment>, Rule, Timestamp)> {
        let sent = self.record.reminders.iter().filter(|r| r.state == State::Published);
        let sent = sent.map(|r| (r.occurrence, r.rule, r.fire_at));
        let live = self.planned.iter().filter(|planned| !planned.is_born_expired());
        sent.chain(live.map(|p| (p.occurrence, p.rule, p.instant())))
    }

    fn reminder(&self, id: ReminderId) -> Option<Option<Moment>> {
        let mut named = self.seen().map(|(occurrence, rule, _)| (occurrence, rule)).chain(
            // One that was past from the start has an id as well.
            self.planned.iter().map(|planned| (planned.occurrence, planned.rule)),
        );
        named
            .find(|(occurrence, rule)| ReminderId::of(self.id, *occurrence, *rule) == id)
            .map(|found| found.0)
    }

    /// That of the last reminder by then, else the first due date.
    fn unnamed(&self, at: Timestamp) -> Meant {
        let due = |occurrence: Option<Moment>| Some(self.dates?.instant(occurrence?));
        let last = self
            .seen()
            .filter(|(occurrence, _, instant)| *instant <= at && occurrence.is_none_or(|o| self.is_one(o)))
            // Of two at one instant the one that is due first.
            .max_by_key(|(occurrence, _, instant)| (*instant, due(*occurrence).map(Reverse)));
        let task = &self.record.task;
        match (last, self.dates) {
            (Some((occurrence, ..)), _) => Meant::Of(occurrence),
            // Another due date than the one that was there to be meant.
            (None, Some(dates)) if dated_since(task, dates.first) > at => Meant::Gone,
            (None, Some(dates)) => Meant::Of(Some(dates.first)),
            (None, None) if lost_its_date_after(task, at) => Meant::Gone,
            (None, None) => Meant::Of(None),
        }
    }
}

/// Since when the task's due date has been this occurrence.
fn dated_since(task: &Task, first: Moment) -> Timestamp {
    let zone = if matches!(first.due(), Due::Instant(_)) { Timestamp::MIN } else { task.since(Field::Zone) };
    task.since(Field::Due).max(zone)
}

/// Whether the task had a due date at `at`, and none since.
fn lost_its_date_after(task: &Task, at: Timestamp) -> bool {
    let had_one = task.past.iter().any(|past| past.field == Field::Due && past.since <= at);
    had_one && task.cell(Field::Due).is_some_and(|cell| cell.version.ms > at.millis())
}
