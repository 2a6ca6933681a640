//! How a task's series goes on.
//!
//! What is held after a restore waits for a person, and its series goes on without it: the mark of its rule is raised over
//! it, and the plan calls for it all the same ([`crate::domain::plan`]).
//!
//! Only the next occurrence of each rule is kept, so what has been settled moves the rule's low-water mark up: the
//! plan then calls for the next one. What lies further back than `expire_after` could only expire, and a series that
//! nobody looked at for years would do so thousands of times: the mark skips it.

use super::{begin_attempt, is_released};
use crate::domain::catch_up::{MISSED_AFTER, is_missed};
use crate::domain::due::Moment;
use crate::domain::event::TaskId;
use crate::domain::expiry::Expiry;
use crate::domain::plan::dates::Dates;
use crate::domain::plan::{Planned, Rules, dropped_since, let_go, occurrence, plan, waiting};
use crate::domain::record::{Record, SETTLED_MAX};
use crate::domain::reminder::{Reminder, ReminderId, State};
use crate::domain::time::Timestamp;

/// Most rounds of planning in one go: a due date that is past, occurrences that could only expire, then the next one;
/// and room for some that are passed over one by one.
pub(super) const ROUNDS_MAX: usize = 64;

/// Most reminders of a task that wait behind their marks: as many as settled ones are kept. Where each occurrence fires,
/// however late, a series stands still beyond that until a person has spoken.
pub(in crate::domain) const WAITING_MAX: usize = SETTLED_MAX;

/// Goes on without what is held; true if it does, so that what comes next must be planned.
pub(super) fn go_on_without_held(record: &mut Record, rules: &Rules<'_>) -> bool {
    let Some(held_to) = rules.in_force.missing.and_then(|missing| missing.held_to) else { return false };
    let is_held = |r: &&Reminder| {
        r.state == State::Pending
            && r.rule.comes_again()
            && r.fire_at <= held_to
            && r.instant() > record.low_water(r.rule)
    };
    let room = WAITING_MAX.saturating_sub(waiting(record, rules).count());
    let held: Vec<_> =
        record.reminders.iter().filter(is_held).map(|r| (r.rule, r.instant())).take(room).collect();
    for (rule, instant) in &held {
        record.raise_low_water(*rule, *instant);
    }
    !held.is_empty()
}

/// Ends what has come too late and leaves behind what is settled and past.
pub(super) fn advance(
    task: &TaskId,
    record: &mut Record,
    expiry: Expiry,
    now: Timestamp,
    in_flight: &dyn Fn(&ReminderId) -> bool,
) {
    let is_pending = |state| state == State::Pending;
    for reminder in record.reminders.iter_mut().filter(|r| is_pending(r.state) && r.fire_at <= now) {
        if !in_flight(&reminder.id(task)) {
            // Whether it was still in time says its state.
            let _ = begin_attempt(reminder, expiry, now);
        }
    }
    for at in 0..record.reminders.len() {
        if is_behind(&record.reminders[at], now) {
            record.leave_behind(at);
        }
    }
}

/// Whether a reminder has settled an occurrence. One that left the plan has not: it comes back if the plan calls for it
/// again, as it does in a task that comes once. What went out, or was let go, was due then, whatever the clock says now:
/// it may have stepped back meanwhile, and nobody asks again.
fn is_behind(reminder: &Reminder, now: Timestamp) -> bool {
    let is_over = match reminder.state {
        State::Published => !reminder.maybe_out || is_released(reminder),
        State::Expired => reminder.is_past(now),
        State::Cancelled => is_released(reminder),
        State::Pending | State::Superseded => false,
    };
    is_over && reminder.rule.comes_again()
}

/// The plan, in which no rule stands at an occurrence that could only expire.
pub(super) fn without_stale(
    task: &TaskId,
    record: &mut Record,
    rules: &Rules<'_>,
    now: Timestamp,
) -> Vec<Planned> {
    let planned = plan(task, record, rules);
    let expiry = rules.in_force.expiry();
    let is_known =
        |record: &Record, planned: &Planned| record.reminders.iter().any(|reminder| planned.is(reminder));
    // The stated due date always gets its reminder, if only as an expired one.
    let first = occurrence(&record.task, rules);
    let is_stale = |record: &Record, planned: &Planned| {
        planned.rule.comes_again()
            && planned.occurrence != first
            // By its moment: one that was moved there is passed over with all that it was to be told with.
            && expiry.is_over(planned.fire_at, now)
            && !planned.is_born_expired()
            && !is_known(record, planned)
    };
    let mut planned = planned;
    // What is moved to an earlier instant is stale for longer than its rule's instant, and what is moved there with it
    // is passed over once the mark stands at one of them.
    for _ in 0..ROUNDS_MAX {
        let stale: Vec<_> =
            planned.iter().filter(|p| is_stale(record, p)).map(|p| (p.rule, p.instant())).collect();
        if stale.is_empty() {
            break;
        }
        for (rule, instant) in stale {
            record.raise_low_water(rule, instant.max(expiry.horizon(now)));
        }
        planned = plan(task, record, rules);
    }
    planned
}

/// Leaves behind what was called for and has come to nothing, being past: expired at once, or ended before and not to
/// come back. True if it left anything behind, so that the next one must be planned.
pub(super) fn pass_over(record: &mut Record, planned: &[Planned], now: Timestamp) -> bool {
    let mut changed = false;
    for planned in planned.iter().filter(|planned| planned.rule.comes_again()) {
        let Some(at) = record.reminders.iter().position(|reminder| planned.is(reminder)) else { continue };
        let reminder = &record.reminders[at];
        if reminder.state != State::Pending && reminder.is_past(now) {
            let before = record.low_water(planned.rule);
            record.leave_behind(at);
            changed |= record.low_water(planned.rule) > before;
        }
    }
    changed
}

/// Takes each rule that has missed its reminder on to the last occurrence that it has missed and whose reminder goes out
/// by now; true if it changed anything. What is planned of an earlier one is superseded by it, and those in between were
/// never planned.
pub fn to_last_missed(
    task: &TaskId,
    record: &mut Record,
    rules: &Rules<'_>,
    now: Timestamp,
    in_flight: &dyn Fn(&ReminderId) -> bool,
) -> bool {
    let Some(dates) = Dates::of(&record.task, rules).filter(|dates| dates.later_since().is_some()) else {
        return false;
    };
    let mut changed = false;
    for at in 0..record.reminders.len() {
        let reminder = &record.reminders[at];
        if !reminder.rule.comes_again() || !is_missed(reminder, now) || in_flight(&reminder.id(task)) {
            continue;
        }
        let rule = reminder.rule;
        let Some(last) = last_missed(task, record, at, &dates, rules, now) else { continue };
        let Some(occurrence) = last.occurrence else { continue };
        record.raise_low_water(rule, last.instant().minus(Timestamp::FINEST));
        let instead = ReminderId::of(task, last.occurrence, rule);
        let reason = format!("missed; {instead} of the occurrence {occurrence} comes instead");
        record.reminders[at].doubt(rules.in_force.expiry());
        record.reminders[at].settle_within(instead, now, reason);
        changed = true;
    }
    changed
}

/// The last that the rule of a missed reminder has missed behind it, of those that go out by now; where quiet hours drop
/// the last ones, the one before these hours. One that they drop stands for none but one that is not wished either.
fn last_missed(
    task: &TaskId,
    record: &mut Record,
    missed: usize,
    dates: &Dates,
    rules: &Rules<'_>,
    now: Timestamp,
) -> Option<Planned> {
    let (mut until, mut named_by, mut dropped) = (now.minus(MISSED_AFTER), now, None);
    let let_out = |record: &mut Record, until| last_let_out(task, record, missed, dates, rules, (until, now));
    while let Some(found) = let_out(record, until).filter(|found| found.instant() <= named_by) {
        if let Some(start) = dropped_since(&record.task, &found.pending(), rules) {
            until = start.minus(Timestamp::FINEST);
            named_by = until;
            dropped.get_or_insert(found);
            continue;
        }
        // It would only expire, and so would all before it but those that are excused, which go out by themselves.
        return Some(found).filter(|found| !rules.in_force.expiry().is_over(found.late_from(), now));
    }
    dropped.filter(|_| let_go(&record.task, &record.reminders[missed], rules).is_some())
}

/// The last that the rule of a missed reminder names behind it and by `until`, of those that the plan lets go out by `now`.
///
/// The last one due may wait for the end of quiet hours, as all others that fall into them do, or be called off: then
/// what is in doubt is halved, since those that wait lie behind those that do not.
fn last_let_out(
    task: &TaskId,
    record: &mut Record,
    missed: usize,
    dates: &Dates,
    rules: &Rules<'_>,
    (until, now): (Timestamp, Timestamp),
) -> Option<Planned> {
    let reminder = &record.reminders[missed];
    let (rule, mut below) = (reminder.rule, reminder.instant());
    // How long after due the rule reminds; negative before.
    let after = below.millis().saturating_sub(dates.instant(reminder.occurrence?).millis());
    let sooner = |at: Timestamp| Timestamp::from_millis(at.millis().saturating_sub(after));
    let instant = |of: Moment| Timestamp::from_millis(dates.instant(of).millis().saturating_add(after));
    let mut goes_out = |instant: Timestamp| {
        let former = record.low_water.clone();
        record.raise_low_water(rule, instant.minus(Timestamp::FINEST));
        let planned = plan(task, record, rules);
        record.low_water = former;
        let is_one = |p: &Planned| p.rule == rule && p.instant() >= instant && !p.is_born_expired();
        planned.into_iter().find(|p| is_one(p) && p.fire_at <= now)
    };
    let last = instant(dates.until(sooner(until))?);
    if last <= below {
        return None;
    }
    let mut found = goes_out(last);
    if found.is_some() {
        return found;
    }
    let mut above = last.minus(Timestamp::FINEST);
    while above > below {
        let middle = below.plus(above.since(below) / 2);
        match dates.after(sooner(middle)).map(instant).filter(|next| *next <= above) {
            None => above = middle,
            Some(next) => match goes_out(next) {
                None => above = next.minus(Timestamp::FINEST),
                Some(planned) => {
                    below = next.max(planned.instant());
                    found = Some(planned);
                }
            },
        }
    }
    found
}
