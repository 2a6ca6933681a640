//! What of a plan was called off: reminders that came to be no later than a cancel that means them. What is stated
//! anew is born later, and stays.

use super::Planned;
use super::dates::Dates;
use super::limits::{self, LeftOut};
use crate::domain::event::{Target, TaskId};
use crate::domain::record::Record;
use crate::domain::reminder::{ReminderId, Rule, State};
use crate::domain::task::{CalledOff, Task};
use crate::domain::time::Timestamp;

/// Leaves out what was called off of what `task` calls for.
pub(super) fn leave_out(
    id: &TaskId,
    task: &Task,
    planned: &mut Vec<Planned>,
    left_out: &mut Vec<(Planned, LeftOut)>,
) {
    if task.called_off.is_empty() {
        return;
    }
    let (off, mut kept): (Vec<_>, Vec<_>) = planned.drain(..).partition(|planned| is_off(id, task, planned));
    // It was the one reminder of its instant, for all that there was then.
    kept.retain(|planned| {
        let is_meant_too = |off: &Planned| {
            limits::is_one(off, planned)
                && is_off(id, task, &Planned { birth: off.birth.max(planned.birth), ..*off })
        };
        let goes_with_it = off.iter().any(is_meant_too);
        left_out.extend(goes_with_it.then_some((*planned, LeftOut::SameInstant)));
        !goes_with_it
    });
    left_out.extend(off.into_iter().map(|planned| (planned, LeftOut::CalledOff)));
    *planned = kept;
}

/// Whether it was called off.
pub(super) fn is_off(id: &TaskId, task: &Task, planned: &Planned) -> bool {
    task.called_off.iter().any(|off| is_meant(id, planned, off))
}

/// Whether it was called off, and what comes after it, born at `later_birth`, was not: it was called off by itself, or
/// with all that there was before the series came to be. There are as many of them at most as single entries, and one.
pub(super) fn is_off_alone(id: &TaskId, task: &Task, planned: &Planned, later_birth: Timestamp) -> bool {
    let ends_it = |off: &CalledOff| off.of == Some(Target::Present) && later_birth <= off.at;
    is_off(id, task, planned) && !task.called_off.iter().any(ends_it)
}

/// Leaves out what is pending of later occurrences of a series and was called off with all the rest. A plan that went on
/// behind what was called off alone does not name them any more: behind a whole series that is off nothing comes.
/// `since` says since when what makes a rule's reminders has been as it is.
pub(super) fn leave_out_later(
    record: &Record,
    dates: &Dates,
    since: impl Fn(Rule) -> Timestamp,
    left_out: &mut Vec<(Planned, LeftOut)>,
) {
    let all = record.task.called_off.iter().filter(|off| off.of == Some(Target::Present)).map(|off| off.at);
    let (Some(all), Some(later_since)) = (all.max(), dates.later_since()) else { return };
    for reminder in record.reminders.iter().filter(|r| r.state == State::Pending && r.rule.comes_again()) {
        let Some(occurrence) = reminder.occurrence.filter(|o| *o != dates.first && dates.contain(*o)) else {
            continue;
        };
        let birth = later_since.max(since(reminder.rule));
        let planned = Planned::at(Some(occurrence), reminder.rule, reminder.instant(), birth);
        if birth <= all && !left_out.iter().any(|(left, _)| left.is(reminder)) {
            left_out.push((planned, LeftOut::CalledOff));
        }
    }
}

fn is_meant(id: &TaskId, planned: &Planned, off: &CalledOff) -> bool {
    planned.birth <= off.at
        && match off.of {
            None => false,
            Some(Target::Present) => true,
            Some(Target::Occurrence(occurrence)) => planned.occurrence == Some(occurrence),
            Some(Target::Reminder(reminder)) => {
                ReminderId::of(id, planned.occurrence, planned.rule) == reminder
            }
        }
}
