//! Reminders after due: every so often, while the task is not done.
//!
//! Owns until when they come: never at or after the next occurrence's due date, which reminds by itself.

use std::time::Duration;

use super::actions::Actions;
use super::cancelled::is_off_alone;
use super::dates::Dates;
use super::{Planned, Rules, settings_since};
use crate::domain::due::Moment;
use crate::domain::event::{Field, NAGS_MAX, Nags, TaskId};
use crate::domain::record::Record;
use crate::domain::reminder::Rule;
use crate::domain::time::Timestamp;

/// Occurrences that are looked at for one which leaves time for a nag before the next: every week has such a one if
/// any has.
pub(super) const LOOK_AHEAD: usize = 8;

/// What the task calls for after due: of each number the stated due date's, and the next that is not behind. Occurrences
/// due up to `done_with` are done, and those that were acknowledged need no look ahead.
pub(super) fn after_due(
    id: &TaskId,
    record: &Record,
    dates: &Dates,
    done_with: Timestamp,
    actions: &Actions,
    rules: &Rules<'_>,
) -> Vec<Planned> {
    let task = &record.task;
    let Some((nags, rule_since)) = stated(record, rules) else { return Vec::new() };
    if nags.is_none() {
        return Vec::new();
    }
    let common = task.open_since().max(rule_since);
    let birth = dates.later_since().unwrap_or(dates.first_since).max(common);
    let mut planned = Vec::new();
    for number in 1..=nags.max.min(NAGS_MAX) {
        let rule = Rule::Nag(number);
        let wait = Duration::from_secs(u64::from(nags.every_minutes) * u64::from(number) * 60);
        let of = |occurrence: Moment| {
            let due = dates.instant(occurrence);
            let birth = if occurrence == dates.first { dates.first_since.max(common) } else { birth };
            let nag = Planned::at(Some(occurrence), rule, due.plus(wait), birth);
            (due > done_with && is_before_next(&nag, dates)).then_some(nag)
        };
        let floor = birth
            .max(record.low_water(rule))
            .minus(wait)
            .max(done_with)
            .max(actions.acknowledged.unwrap_or(done_with));
        let later = |occurrence: &Moment| dates.after(dates.instant(*occurrence));
        planned.extend(of(dates.first));
        // Of occurrences called off alone there are as many at most as entries; the series goes on behind them.
        let look_ahead = LOOK_AHEAD + task.called_off.len();
        for nag in std::iter::successors(dates.after(floor), later).take(look_ahead).filter_map(of) {
            planned.extend(Some(nag).filter(|nag| nag.occurrence != Some(dates.first)));
            if !is_off_alone(id, task, &nag, birth) && actions.holds(&nag, dates).is_none() {
                break;
            }
        }
    }
    planned
}

/// Whether a nag comes before the occurrence after its own is due.
pub(super) fn is_before_next(nag: &Planned, dates: &Dates) -> bool {
    let next = nag.occurrence.and_then(|occurrence| dates.after(dates.instant(occurrence)));
    next.is_none_or(|next| nag.instant() < dates.instant(next))
}

/// The task's own reminders after due, else the configured default, and since when they have been so.
pub(super) fn stated(record: &Record, rules: &Rules<'_>) -> Option<(Nags, Timestamp)> {
    match record.task.nags() {
        Some(own) => Some((own, record.task.since(Field::Nags))),
        None => rules.in_force.policy.nags.map(|default| (default, settings_since(record, rules).nags)),
    }
}
