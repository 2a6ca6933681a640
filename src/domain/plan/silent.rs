//! The check that a series goes on: an open one that has an occurrence to remind of has a reminder pending.
//!
//! Holds always, by how plans are made; a series for which it does not would be silent from then on, and nobody would
//! notice. So it is asked apart from the plan and its low-water marks, which may be what is wrong. Knows only records
//! that were planned under the rules it is given.

use super::dates::Dates;
use super::{Offsets, Planned, Rules, before, cancelled, offsets};
use crate::domain::event::TaskId;
use crate::domain::record::Record;
use crate::domain::reminder::{Rule, State};
use crate::domain::time::Timestamp;

/// Whether the series of `record` has an occurrence to remind of after `now` and no reminder pending. Costs a plain task
/// and a series that waits for its next reminder no more than a look.
#[must_use]
pub fn is_silent(id: &TaskId, record: &Record, rules: &Rules<'_>, now: Timestamp) -> bool {
    let task = &record.task;
    if task.recurrence().is_none()
        || !task.is_open()
        || record.reminders.iter().any(|reminder| reminder.state == State::Pending)
    {
        return false;
    }
    let Some((dates, since)) =
        Dates::of(task, rules).and_then(|dates| dates.later_since().map(|since| (dates, since)))
    else {
        return false;
    };
    let Some(Offsets { minutes, since: rule_since, .. }) = offsets(record, rules) else { return false };
    let birth = since.max(rule_since).max(task.open_since());
    minutes.iter().any(|minutes| {
        let wait = before(*minutes);
        let mut floor = now.max(birth).plus(wait);
        // Those called off alone are as many at most as entries. A clock that stepped back has some ahead that are out.
        for _ in 0..=task.called_off.len() + record.reminders.len() {
            let Some(next) = dates.after(floor) else { return false };
            let due = dates.instant(next);
            let one = Planned::at(Some(next), Rule::Offset(*minutes), due.minus(wait), birth);
            let is_out =
                record.reminders.iter().find(|r| one.is(r)).is_some_and(|r| r.state == State::Published);
            if !is_out && !cancelled::is_off(id, task, &one) {
                return true;
            }
            floor = due;
        }
        false
    })
}
