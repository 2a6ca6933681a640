//! What of all that a task's rules name is worth a reminder.
//!
//! Owns that two rules which name one instant make one reminder, and how many a task may have.

use super::Planned;
use crate::domain::event::LIST_MAX;
use crate::domain::record::Record;
use crate::domain::reminder::{Reminder, Rule, State};

/// Most reminders planned of one task at once: as many as its offsets, its explicit times and its nags may be, so that
/// a record stays far below what one value of the store may be. Plain reminders come first and nags last, so it is
/// nags that are left out.
pub const PLANNED_MAX: usize = 3 * LIST_MAX;

/// Why a rule makes no reminder.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum LeftOut {
    /// Another rule makes one at the same instant.
    SameInstant,
    /// The task has [`PLANNED_MAX`] others.
    TooMany,
    /// Its occurrence, or a later one, was acknowledged.
    Acknowledged,
    /// A snooze of its occurrence ends later.
    Snoozed,
    /// It was called off.
    CalledOff,
}

impl LeftOut {
    /// The reason for a person.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::SameInstant => "another rule reminds at the same instant",
            Self::TooMany => "the task has as many other reminders as one may have",
            Self::Acknowledged => "its due date, or a later one, was acknowledged",
            Self::CalledOff => "it was called off",
            Self::Snoozed => "it would come before the snooze ends",
        }
    }
}

/// Leaves out what would come a second time: another rule reminded at the same instant, and has gone on or lost its due
/// date since. Only what no due date moves can be left behind so.
///
/// A race it accepts: while the other's attempt is under way it may still fail, so this one comes, if only for a second
/// time.
pub(super) fn leave_what_went_out(
    record: &Record,
    planned: &mut Vec<Planned>,
    left_out: &mut Vec<(Planned, LeftOut)>,
) {
    planned.retain(|planned| {
        let twice = !planned.rule.comes_again() && another_was_it(record, planned);
        left_out.extend(twice.then_some((*planned, LeftOut::SameInstant)));
        !twice
    });
}

/// Whether another reminder was the one of an instant: it went out, or may have, or was let go for good.
fn another_was_it(record: &Record, planned: &Planned) -> bool {
    let was_it = |r: &&Reminder| {
        let is_over = r.state == State::Published || r.maybe_out || r.cause.is_some();
        // No wish moves a snooze: what went out ahead of its instant was none at that one.
        let instant = if matches!(planned.rule, Rule::Snooze(_)) { r.fire_at } else { r.instant() };
        is_over && instant == planned.instant()
    };
    let mut those = record.reminders.iter().filter(was_it).peekable();
    those.peek().is_some() && !those.any(|reminder| planned.is(reminder))
}

/// Whether one reminder does for both.
pub(super) fn is_one(other: &Planned, next: &Planned) -> bool {
    !other.is_born_expired()
        && other.instant() == next.instant()
        && (other.occurrence == next.occurrence || other.occurrence.is_none() || next.occurrence.is_none())
}

/// Keeps what is worth a reminder. Of two at one instant the first stays, if they are of one occurrence or an
/// explicit time is one of them; what was past when it came to be stands in nobody's way, nor does what its user is not
/// told of at that instant in the way of a snooze, which no wish moves.
pub(super) fn keep(
    planned: &mut Vec<Planned>,
    left_out: &mut Vec<(Planned, LeftOut)>,
    is_told_then: &dyn Fn(&Planned) -> bool,
) {
    if planned.len() < 2 {
        return;
    }
    let mut kept: Vec<Planned> = Vec::with_capacity(planned.len().min(PLANNED_MAX));
    for next in planned.drain(..) {
        let same = |other: &Planned| {
            is_one(other, &next) && (!matches!(next.rule, Rule::Snooze(_)) || is_told_then(other))
        };
        if kept.iter().any(same) {
            left_out.push((next, LeftOut::SameInstant));
        } else if kept.len() == PLANNED_MAX {
            left_out.push((next, LeftOut::TooMany));
        } else {
            kept.push(next);
        }
    }
    *planned = kept;
}
