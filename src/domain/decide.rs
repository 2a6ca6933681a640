//! What becomes of a record's reminders: when the task changes, when an attempt is about to begin, and when
//! one has ended.
//!
//! Pure: the caller says what time it is and which reminders are in flight, and carries out what comes back.
//! Owns **invariant 8 (a cancel has an answer)**. The rules, by what is known of earlier attempts:
//!
//! | the reminder leaves the plan | it becomes |
//! |---|---|
//! | never attempted, or every attempt certainly failed | cancelled (task ended, or called off) or superseded (moved) |
//! | while an attempt is under way | stays pending until the attempt's result decides |
//! | after an attempt without an answer | published, outcome unknown |
//!
//! A confirmed publish is never planned again; all else comes back when the plan calls for it again.
//!
//! Where the plan puts it elsewhere (other wishes of its user, another priority), it moves there unless it may have
//! gone out: then, and while an attempt is under way, it stays where it was tried, so that its repeat is the same event.

use super::catch_up::give_back;
use super::event::TaskId;
use super::expiry::Expiry;
use super::import::was_past;
use super::plan::{LeftOut, Planned, Rules, left_out, occurrence, plan};
use super::record::{Defaults, Record};
use super::reminder::{Cause, REASON_MAX_BYTES, Reminder, ReminderId, State, cut};
use super::retry::Backoff;
use super::time::Timestamp;

mod series;

#[cfg(test)]
pub(super) use series::WAITING_MAX;
pub use series::to_last_missed;

/// Why a reminder is expired from the start.
pub const REASON_BORN_EXPIRED: &str = "its time was past when it was planned";
/// Why a reminder is expired that nobody tried to send.
pub const REASON_TOO_LATE: &str = "not sent within expire_after";
/// Why a reminder is expired that may have gone out.
pub const REASON_UNCONFIRMED: &str = "not confirmed within expire_after: it may have gone out";
/// What is said of a reminder that may have gone out.
pub const REASON_UNKNOWN: &str = "an attempt ended without an answer: it may have gone out";
/// What is said of a reminder of which the store has no attempt, and may have lost one.
pub const REASON_MISSING: &str = "due before the store was restored from a backup: it may have gone out";

/// How an attempt to publish ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Attempt {
    /// The broker has it.
    Confirmed,
    /// The broker certainly has it not: 4xx, a refused connection, an entry listed as failed.
    Failed(String),
    /// No answer, or one that says nothing: a time-out, a lost connection, 5xx.
    Ambiguous(String),
}

/// Brings the record's reminders into line with its plan. What a record need not keep is forgotten later, by
/// [`Record::trim`], when it has been counted.
pub fn replan(
    task: &TaskId,
    record: &mut Record,
    rules: &Rules<'_>,
    now: Timestamp,
    in_flight: &dyn Fn(&ReminderId) -> bool,
) {
    let since = *rules.in_force.since.offsets.of(record.task.priority());
    if record.generation == 0 {
        record.defaults.since = since;
    } else if record.defaults.since != since {
        record.defaults = Defaults { since, due: occurrence(&record.task, rules) };
    }
    replan_by(task, record, rules, now, in_flight);
    // Last: a plan asks whether there was one before.
    record.generation = rules.in_force.generation;
}

fn replan_by(
    task: &TaskId,
    record: &mut Record,
    rules: &Rules<'_>,
    now: Timestamp,
    in_flight: &dyn Fn(&ReminderId) -> bool,
) {
    let comes_again = record.task.recurrence().is_some();
    for _ in 0..series::ROUNDS_MAX {
        let planned = if comes_again {
            series::advance(task, record, rules.in_force.expiry(), now, in_flight);
            series::without_stale(task, record, rules, now)
        } else {
            plan(task, record, rules)
        };
        carry_out(task, record, &planned, rules, now, in_flight);
        let mut goes_on = comes_again && series::pass_over(record, &planned, now);
        goes_on |= comes_again && series::go_on_without_held(record, rules);
        goes_on |= give_back(task, record, rules);
        if !goes_on {
            break;
        }
    }
}

fn carry_out(
    task: &TaskId,
    record: &mut Record,
    planned: &[Planned],
    rules: &Rules<'_>,
    now: Timestamp,
    in_flight: &dyn Fn(&ReminderId) -> bool,
) {
    let expiry = rules.in_force.expiry();
    let called_off =
        if record.task.called_off.is_empty() { Vec::new() } else { left_out(task, record, rules) };
    let by = record.history.latest();
    let (open, dated) = (record.task.is_open(), record.task.due().is_some());
    for reminder in &mut record.reminders {
        let called_for = planned.iter().any(|planned| planned.is(reminder));
        if !called_for && reminder.state == State::Pending {
            let off = called_off.iter().any(|(p, why)| *why == LeftOut::CalledOff && p.is(reminder));
            let moved = open && !off && (dated || reminder.occurrence.is_none());
            let gone = if moved { State::Superseded } else { State::Cancelled };
            // One that is leaving already goes for the reason it was given first.
            reminder.ended_by = reminder.leaving.map_or(by, |_| reminder.ended_by);
            reminder.doubt(expiry);
            leave(reminder, gone, now, in_flight(&reminder.id(task)));
        }
    }
    for planned in planned {
        let known = record.reminders.iter_mut().find(|reminder| planned.is(reminder));
        let planned = &not_gone_back(planned, known.as_deref(), now);
        match known {
            Some(reminder) => {
                let may_be_out = |reminder: &Reminder| reminder.maybe_out || in_flight(&reminder.id(task));
                call_for(reminder, planned, by, expiry, now, &may_be_out);
            }
            None => {
                let mut reminder = Reminder { planned_by: by, ..planned.pending() };
                if planned.is_born_expired() {
                    reminder.settle(State::Expired, now, Some(REASON_BORN_EXPIRED.into()));
                } else if expiry.is_over(planned.late_from(), now) {
                    reminder.settle(State::Expired, now, Some(REASON_TOO_LATE.into()));
                }
                reminder.maybe_out = reminder.state == State::Expired
                    && expiry.is_in_doubt(planned.instant(), planned.late_from());
                record.reminders.push(reminder);
            }
        }
    }
}

/// Where a planned reminder is to go out: a moment ahead of its instant that has passed is not gone back to, or it would
/// go out at once, too soon or out of that moment's turn. What is late already stays where it waits.
fn not_gone_back(planned: &Planned, known: Option<&Reminder>, now: Timestamp) -> Planned {
    let instant = planned.instant();
    if planned.fire_at > now || planned.fire_at >= instant {
        return *planned;
    }
    let at = |fire_at, moved_from| Planned { fire_at, moved_from, ..*planned };
    match known.filter(|reminder| reminder.state == State::Pending) {
        Some(waits) if waits.fire_at <= now && waits.instant() == instant => {
            at(waits.fire_at, waits.moved_from)
        }
        Some(_) => at(instant, None),
        None if now < instant => at(instant, None),
        // Its own instant has passed as well: it goes out now, with what is told at that moment.
        None => *planned,
    }
}

/// Whether a pending reminder may be attempted now; otherwise it ends as expired, and this says so.
#[must_use]
pub fn begin_attempt(reminder: &mut Reminder, expiry: impl Into<Expiry>, now: Timestamp) -> bool {
    let expiry = expiry.into();
    if !expiry.is_over(reminder.late_from(), now) {
        return true;
    }
    reminder.doubt(expiry);
    let sent = if reminder.maybe_out { REASON_UNCONFIRMED } else { REASON_TOO_LATE };
    let reason = match reminder.reason.take() {
        Some(last) => format!("{sent}; last failure: {last}"),
        None => sent.into(),
    };
    reminder.settle(State::Expired, now, Some(reason));
    false
}

/// A reminder that is due is not sent, because its user does not wish it: for good, whatever the user wishes later.
pub fn release(reminder: &mut Reminder, cause: Cause, expiry: impl Into<Expiry>, now: Timestamp) {
    reminder.doubt(expiry.into());
    if reminder.maybe_out {
        reminder.settle_for(State::Published, now, cause, Some(unknown(reminder)));
    } else {
        reminder.settle_for(State::Cancelled, now, cause, None);
    }
}

/// Whether [`release`] has ended a reminder.
fn is_released(reminder: &Reminder) -> bool {
    matches!(reminder.cause, Some(Cause::Muted | Cause::Quiet))
}

/// Settles one attempt of a pending reminder.
pub fn end_attempt(reminder: &mut Reminder, attempt: &Attempt, backoff: &Backoff, seed: u64, now: Timestamp) {
    let (reason, ambiguous) = match attempt {
        Attempt::Confirmed => {
            reminder.maybe_out = false;
            return reminder.settle(State::Published, now, None);
        }
        Attempt::Failed(reason) => (reason, false),
        Attempt::Ambiguous(reason) => (reason, true),
    };
    reminder.maybe_out |= ambiguous;
    reminder.attempts = reminder.attempts.saturating_add(1);
    if came_back(reminder) {
        return reminder.settle(State::Published, now, None);
    }
    reminder.next_attempt = Some(now.plus(backoff.delay(reminder.attempts, seed)));
    match reminder.leaving {
        Some(gone) => leave(reminder, gone, now, false),
        None => reminder.reason = Some(cut(reason.clone(), REASON_MAX_BYTES)),
    }
}

/// What is known of an attempt that a crash cut off: it may have gone out, and is due again at once.
pub fn lose_attempt(reminder: &mut Reminder, now: Timestamp) {
    reminder.maybe_out = true;
    reminder.attempts = reminder.attempts.saturating_add(1);
    if came_back(reminder) {
        reminder.settle(State::Published, now, None);
    } else if let Some(gone) = reminder.leaving {
        leave(reminder, gone, now, false);
    }
}

/// A reminder came back through the broker at `at`: true if that is news. It settles one whose attempts all
/// ended without an answer; one that is in flight is left to its own result.
pub fn receive(reminder: &mut Reminder, at: Timestamp, in_flight: bool) -> bool {
    if reminder.received_at.is_some() {
        return false;
    }
    reminder.received_at = Some(at);
    if !in_flight && came_back(reminder) {
        reminder.settle(State::Published, at, None);
    }
    true
}

/// Whether an attempt that ended without an answer is known to have succeeded, by a receipt: then it is
/// confirmed.
fn came_back(reminder: &mut Reminder) -> bool {
    let confirmed = reminder.maybe_out && reminder.received_at.is_some();
    if confirmed {
        reminder.maybe_out = false;
    }
    confirmed
}

/// The plan no longer calls for a pending reminder.
fn leave(reminder: &mut Reminder, gone: State, now: Timestamp, in_flight: bool) {
    if in_flight {
        reminder.leaving = Some(gone);
    } else if reminder.maybe_out {
        let with_others = reminder.next_attempt;
        reminder.settle(State::Published, now, Some(unknown(reminder).into()));
        reminder.next_attempt = with_others;
    } else {
        reminder.settle(gone, now, None);
        reminder.within = None;
    }
}

/// Why nobody knows whether a reminder went out.
fn unknown(reminder: &Reminder) -> &'static str {
    if reminder.attempts == 0 { REASON_MISSING } else { REASON_UNKNOWN }
}

/// The plan calls for a reminder that is known already.
fn call_for(
    reminder: &mut Reminder,
    planned: &Planned,
    by: Option<u32>,
    expiry: Expiry,
    now: Timestamp,
    may_be_out: &dyn Fn(&Reminder) -> bool,
) {
    let too_late = expiry.is_over(planned.late_from(), now);
    match reminder.state {
        State::Pending => {
            // A birth that rises later never expires what is pending: in doubt it fires.
            reminder.leaving = None;
            reminder.ended_by = None;
            let (from, to) = (reminder.fire_at, planned.fire_at);
            // What may have gone out is repeated as it was: at its instant, in its digest.
            if (from, reminder.moved_from) == (to, planned.moved_from) || may_be_out(reminder) {
                return;
            }
            reminder.moved_from = planned.moved_from;
            if from != to {
                reminder.fire_at = to;
                reminder.next_attempt = None;
                // It leaves the others there, and what they are tried in without it must not be repeated with it.
                reminder.within = None;
            }
        }
        State::Published if !reminder.maybe_out => {}
        State::Published | State::Cancelled | State::Superseded | State::Expired => {
            let is_over = was_past(reminder, planned.instant())
                || is_released(reminder)
                || reminder.cause == Some(Cause::Answered);
            if planned.is_born_expired() || too_late || is_over {
                return;
            }
            // Back again. What is known of earlier attempts stays with it.
            let again = Reminder {
                maybe_out: reminder.maybe_out,
                attempts: reminder.attempts,
                planned_by: by,
                ..planned.pending()
            };
            let is_repeat = reminder.maybe_out && !expiry.is_over(reminder.fire_at, now);
            *reminder = if is_repeat { as_it_was(reminder, again, now) } else { again };
        }
    }
}

/// What may have gone out comes `again` as it was: at its instant, and in its digest while the others there still wait
/// for their next attempt. Had they been repeated without it, whoever knows that event would take it for known too.
fn as_it_was(was: &Reminder, again: Reminder, now: Timestamp) -> Reminder {
    let with_others = was.next_attempt.filter(|at| was.within.is_some() && *at > now);
    Reminder {
        fire_at: was.fire_at,
        moved_from: was.moved_from,
        next_attempt: with_others,
        within: was.within.filter(|_| with_others.is_some()),
        ..again
    }
}
