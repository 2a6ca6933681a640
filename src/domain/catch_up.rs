//! What becomes of reminders that fell due while nothing went out: the worker was down, or paused, or the broker was
//! out of reach.
//!
//! Missed is a pending reminder that is overdue by more than [`MISSED_AFTER`] and that nobody ever tried to send: one
//! that was tried may have gone out, and goes on being tried. What has come too late (`expire_after`) is left to
//! [`decide::begin_attempt`](super::decide::begin_attempt), whatever the choice.
//!
//! After a store was restored, of what was due by then nobody knows what went out ([`Expiry::is_in_doubt`]): a repeat can be
//! dropped by who reads it, a lost one can't. So [`CatchUp::Skip`] does with that as [`CatchUp::Coalesce`] does.
//!
//! What ends here stays ended: a plan that still calls for it would bring it back with the next change of its task. So
//! the low-water mark of its rule is raised over it, short of any other pending reminder of the rule. Accepted: where
//! that leaves it uncovered it may come back, and fires; in doubt the rules err towards firing. Where another fires instead,
//! it ends only as long as that one stands: one that leaves the plan and is not known to have gone out gives it back.

use std::time::Duration;

use serde::Deserialize;

use super::event::{Field, TaskId};
use super::expiry::Expiry;
use super::plan::{LeftOut, Planned, Rules, is_over, left_out};
use super::record::Record;
use super::reminder::{Cause, Reminder, ReminderId, Rule, State};
use super::time::Timestamp;

/// How much overdue a reminder is when it counts as missed: more than a restart or a hiccup of the broker takes, and
/// little enough that nobody takes it for one on time.
pub const MISSED_AFTER: Duration = Duration::from_secs(60);

/// Why a reminder is expired that was missed.
pub const REASON_SKIPPED: &str = "missed by more than a minute, and reminders.catch_up is skip";

/// Why a reminder is expired that was held after a restore.
pub const REASON_DROPPED: &str = "due before the store was restored from a backup, and dropped by who confirmed that: it may have gone out";

/// What becomes of missed reminders.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CatchUp {
    /// Each fires.
    Fire,
    /// Of one task's the latest fires, the others are superseded by it.
    #[default]
    Coalesce,
    /// None fires: they expire. But those in doubt since a restore are coalesced.
    Skip,
}

/// Whether a reminder is missed. One in flight is not; the caller knows which are. One that was to go out ahead of what
/// its rule names is not missed before that.
#[must_use]
pub fn is_missed(reminder: &Reminder, now: Timestamp) -> bool {
    is_caught_up(reminder, now) && now.since(reminder.late_from()) > MISSED_AFTER
}

/// Whether a reminder has waited for its first attempt since long before, as all do after a downtime: they are paced.
#[must_use]
pub fn is_caught_up(reminder: &Reminder, now: Timestamp) -> bool {
    reminder.state == State::Pending
        && reminder.attempts == 0
        && !reminder.maybe_out
        && now.since(reminder.fire_at) > MISSED_AFTER
}

/// Expires the pending reminders of `task` that were due by then; true if there are any.
pub fn drop_overdue(
    task: &TaskId,
    record: &mut Record,
    due_by: Timestamp,
    now: Timestamp,
    in_flight: &dyn Fn(&ReminderId) -> bool,
) -> bool {
    let is_dropped =
        |r: &Reminder| r.state == State::Pending && r.fire_at <= due_by && !in_flight(&r.id(task));
    let dropped: Vec<usize> =
        (0..record.reminders.len()).filter(|at| is_dropped(&record.reminders[*at])).collect();
    for at in &dropped {
        record.reminders[*at].maybe_out = true;
        record.reminders[*at].settle(State::Expired, now, Some(REASON_DROPPED.to_owned()));
    }
    for at in &dropped {
        record.leave_behind(*at);
    }
    !dropped.is_empty()
}

/// Ends what `choice` ends of the missed reminders of `task`; true if it ended any. What it leaves may fire.
pub fn catch_up(
    task: &TaskId,
    record: &mut Record,
    choice: CatchUp,
    expiry: impl Into<Expiry>,
    now: Timestamp,
    in_flight: &dyn Fn(&ReminderId) -> bool,
) -> bool {
    if choice == CatchUp::Fire {
        return false;
    }
    let expiry = expiry.into();
    let missed: Vec<usize> = (0..record.reminders.len())
        .filter(|at| {
            let reminder = &record.reminders[*at];
            is_missed(reminder, now)
                && !expiry.is_over(reminder.late_from(), now)
                && !in_flight(&reminder.id(task))
        })
        .collect();
    let is_in_doubt = |r: &Reminder| expiry.is_in_doubt(r.fire_at, r.late_from());
    let is_coalesced = |at: usize| choice == CatchUp::Coalesce || is_in_doubt(&record.reminders[at]);
    // The last of those of one instant: the order in which they were planned is the same in every life.
    let latest = missed.iter().copied().filter(|at| is_coalesced(*at)).max_by_key(|at| {
        let reminder = &record.reminders[*at];
        (reminder.fire_at, reminder.instant())
    });
    let instead = latest.map(|latest| {
        let fires = &record.reminders[latest];
        let id = fires.id(task);
        (id, format!("missed; {id} of the rule {} fires instead", fires.rule))
    });
    let ended: Vec<(usize, bool)> =
        missed.into_iter().filter(|at| Some(*at) != latest).map(|at| (at, is_coalesced(at))).collect();
    for (at, is_coalesced) in &ended {
        let reminder = &mut record.reminders[*at];
        reminder.doubt(expiry);
        match instead.clone().filter(|_| *is_coalesced) {
            Some((id, reason)) => reminder.settle_within(id, now, reason),
            None => reminder.settle(State::Expired, now, Some(REASON_SKIPPED.to_owned())),
        }
    }
    // When all have ended: none of them may keep the mark of its rule below another.
    for (at, _) in &ended {
        record.leave_behind(*at);
    }
    !ended.is_empty()
}

/// Gives back to the plan of `task` what ended because another was to fire instead, where that one has left the plan and
/// nobody knows that it went out; true if there is any. Where a person has called that one off, acknowledged or snoozed it
/// since, they meant all that it stood for.
pub fn give_back(task: &TaskId, record: &mut Record, rules: &Rules<'_>) -> bool {
    if record.reminders.iter().all(|reminder| ended_for(reminder).is_none()) || is_over(record, rules) {
        return false;
    }
    let mut given_back = false;
    // Through those that ended for others in turn.
    loop {
        let ended: Vec<(usize, usize)> = (0..record.reminders.len())
            .filter_map(|at| {
                let id = ended_for(&record.reminders[at])?;
                let instead = record.reminders.iter().position(|reminder| reminder.id(task) == id)?;
                (!stands(task, record, &record.reminders[instead])).then_some((at, instead))
            })
            .collect();
        if ended.is_empty() {
            return given_back;
        }
        let left_out = left_out(task, record, rules);
        for (at, instead) in ended {
            let (ended, instead) = (&record.reminders[at], &record.reminders[instead]);
            let (rule, instant) = (ended.rule, ended.instant());
            let last = instead.instant().max(instant);
            let is_answered = answered_at(record, instead, &left_out).is_some_and(|at| at >= instant);
            let ended = &mut record.reminders[at];
            (ended.within, ended.reason) = (None, None);
            if is_answered {
                ended.cause = Some(Cause::Answered);
                ended.reason = Some(Cause::Answered.reason().into());
            } else {
                record.lower_low_water(rule, instant, last);
                given_back = true;
            }
        }
    }
}

/// What a superseded reminder ended for.
fn ended_for(reminder: &Reminder) -> Option<ReminderId> {
    reminder.within.filter(|_| reminder.state == State::Superseded)
}

/// When a person said last what took a reminder out of the plan: that it, or what it stands for, is called off,
/// acknowledged or snoozed. [`None`] where nobody did.
fn answered_at(record: &Record, gone: &Reminder, left_out: &[(Planned, LeftOut)]) -> Option<Timestamp> {
    let said = |field| record.task.told_at(field);
    if gone.cause == Some(Cause::Answered) {
        return Some(Timestamp::MAX);
    }
    let snoozed_anew = |other: &Reminder| {
        matches!(other.rule, Rule::Snooze(_))
            && other.state == State::Pending
            && other.occurrence == gone.occurrence
    };
    if matches!(gone.rule, Rule::Snooze(_)) && record.reminders.iter().any(snoozed_anew) {
        return said(Field::Snooze);
    }
    match left_out.iter().find(|(planned, _)| planned.is(gone))?.1 {
        LeftOut::CalledOff => record.task.called_off.iter().map(|off| off.at).max(),
        LeftOut::Acknowledged => said(Field::Acknowledged),
        LeftOut::Snoozed => said(Field::Snooze),
        LeftOut::SameInstant | LeftOut::TooMany => None,
    }
}

/// Whether a reminder still stands for what ended because it was to fire instead: it may fire yet, is known to have gone
/// out, has ended for good, or another stands for it.
fn stands(task: &TaskId, record: &Record, reminder: &Reminder) -> bool {
    match reminder.state {
        State::Pending | State::Expired => true,
        State::Published => !reminder.maybe_out || reminder.cause.is_some(),
        State::Cancelled => reminder.cause.is_some(),
        State::Superseded => {
            // What it was tried in together with others is none of its task's.
            let is_known = |id| record.reminders.iter().any(|reminder| reminder.id(task) == id);
            reminder.within.is_some_and(is_known)
        }
    }
}
