//! How a task's series goes on.
//!
//! Only the next occurrence of each rule is kept, so what has been settled moves the rule's low-water mark up: the
//! plan then calls for the next one. What lies further back than `expire_after` could only expire, and a series that
//! nobody looked at for years would do so thousands of times: the mark skips it.

use std::time::Duration;

use super::{begin_attempt, is_too_late};
use crate::domain::event::TaskId;
use crate::domain::plan::{Planned, Rules, occurrence, plan};
use crate::domain::record::Record;
use crate::domain::reminder::{ReminderId, Rule, State};
use crate::domain::time::Timestamp;

/// Ends what has come too late and leaves behind what is settled and past.
pub(super) fn advance(
    task: &TaskId,
    record: &mut Record,
    expire_after: Duration,
    now: Timestamp,
    in_flight: &dyn Fn(&ReminderId) -> bool,
) {
    let is_pending = |state| state == State::Pending;
    for reminder in record.reminders.iter_mut().filter(|r| is_pending(r.state) && r.fire_at <= now) {
        if !in_flight(&reminder.id(task)) {
            // Whether it was still in time says its state.
            let _ = begin_attempt(reminder, expire_after, now);
        }
    }
    let settled = record.reminders.iter().filter(|r| !is_pending(r.state) && r.instant() <= now);
    let marks: Vec<_> = settled.filter(|r| comes_again(r.rule)).map(|r| (r.rule, r.instant())).collect();
    for (rule, mark) in marks {
        record.raise_low_water(rule, mark);
    }
}

/// The plan, in which no rule stands at an occurrence that could only expire.
pub(super) fn without_stale(
    task: &TaskId,
    record: &mut Record,
    rules: &Rules<'_>,
    now: Timestamp,
) -> Vec<Planned> {
    let planned = plan(task, record, rules);
    if record.task.recurrence().is_none() {
        return planned;
    }
    let expire_after = rules.in_force.policy.expire_after;
    let is_known = |record: &Record, planned: &Planned| {
        record.reminders.iter().any(|r| r.rule == planned.rule && r.occurrence == planned.occurrence)
    };
    // The stated due date always gets its reminder, if only as an expired one.
    let first = occurrence(&record.task, rules.in_force);
    let is_stale = |record: &Record, planned: &Planned| {
        comes_again(planned.rule)
            && planned.occurrence != first
            && is_too_late(planned.fire_at, expire_after, now)
            && !planned.is_born_expired()
            && !is_known(record, planned)
    };
    let stale: Vec<Rule> = planned.iter().filter(|p| is_stale(record, p)).map(|p| p.rule).collect();
    if stale.is_empty() {
        return planned;
    }
    for rule in stale {
        record.raise_low_water(rule, now.minus(expire_after));
    }
    plan(task, record, rules)
}

/// Whether `rule` makes a reminder of every occurrence.
fn comes_again(rule: Rule) -> bool {
    matches!(rule, Rule::Offset(_) | Rule::Nag(_))
}
