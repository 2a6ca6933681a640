//! What becomes of a task's reminders when the task is erased with its user.
//!
//! The record goes, so nothing that is learnt later can be written: each reminder gets its last state here, and stays
//! counted in it.

use super::event::TaskId;
use super::expiry::Expiry;
use super::reminder::{Reminder, ReminderId, State};
use super::time::Timestamp;

/// What became of the reminders that were pending.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Ended {
    /// Will not fire.
    pub cancelled: usize,
    /// An attempt is under way: they may fire.
    pub in_flight: usize,
}

/// Ends every pending reminder of `task` at `now`. One that may go out, or may have, counts as published: it is not
/// certain that it did not.
pub fn end_all(
    task: &TaskId,
    reminders: &mut [Reminder],
    expiry: Expiry,
    now: Timestamp,
    in_flight: &dyn Fn(&ReminderId) -> bool,
) -> Ended {
    let mut ended = Ended::default();
    for reminder in reminders.iter_mut().filter(|r| r.state == State::Pending) {
        reminder.doubt(expiry);
        let goes_out = in_flight(&reminder.id(task));
        let state = if goes_out || reminder.maybe_out { State::Published } else { State::Cancelled };
        ended.in_flight += usize::from(goes_out);
        ended.cancelled += usize::from(state == State::Cancelled);
        reminder.settle(state, now, None);
    }
    ended
}
