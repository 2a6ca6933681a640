//! What of all that a task's rules name is worth a reminder.
//!
//! Owns that two rules which name one instant make one reminder, and how many a task may have.

use super::Planned;
use crate::domain::event::LIST_MAX;
use crate::domain::record::Record;
use crate::domain::reminder::{Reminder, State};

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

/// Leaves out what would come a second time: of a series the rule that reminded at the same instant has gone on since.
pub(super) fn leave_what_went_out(
    record: &Record,
    planned: &mut Vec<Planned>,
    left_out: &mut Vec<(Planned, LeftOut)>,
) {
    if record.task.recurrence().is_none() {
        return;
    }
    let went_out = |planned: &Planned| {
        let mut sent = record
            .reminders
            .iter()
            .filter(|r| r.state == State::Published && r.instant() == planned.instant())
            .peekable();
        let is_it = |r: &Reminder| r.rule == planned.rule && r.occurrence == planned.occurrence;
        !planned.rule.comes_again() && sent.peek().is_some() && !sent.any(is_it)
    };
    let (twice, once): (Vec<_>, Vec<_>) = planned.drain(..).partition(went_out);
    left_out.extend(twice.into_iter().map(|planned| (planned, LeftOut::SameInstant)));
    *planned = once;
}

/// Keeps what is worth a reminder. Of two at one instant the first stays, if they are of one occurrence or an
/// explicit time is one of them; what was past when it came to be stands in nobody's way.
pub(super) fn keep(planned: &mut Vec<Planned>, left_out: &mut Vec<(Planned, LeftOut)>) {
    if planned.len() < 2 {
        return;
    }
    let mut kept: Vec<Planned> = Vec::with_capacity(planned.len().min(PLANNED_MAX));
    for next in planned.drain(..) {
        let same = |other: &Planned| {
            !other.is_born_expired()
                && other.instant() == next.instant()
                && (other.occurrence == next.occurrence
                    || other.occurrence.is_none()
                    || next.occurrence.is_none())
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
