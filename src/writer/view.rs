//! What a read sees, between two commits.

use std::cell::RefCell;

use super::STEP_MAX;
use super::claims::pending;
use super::foreign::Foreign;
use super::pacing::{HeldBack, Pacing};
use super::restored::held_to;
use super::watch::SetBack;
use crate::domain::{PolicyInForce, Preferences, Task, Timestamp};
use crate::store::audit::Mismatch;
use crate::store::{Meta, Restored, Store, StoreError};

/// How many of the next reminders are looked at for the oldest overdue one. Failed attempts stand in the
/// index where they wake next, so the oldest need not be the first; among so many the difference is small.
pub(super) const OVERDUE_SCAN: usize = 64;

/// How many reminders that are held since a restore are counted: more are told as so many, and between two commits so many
/// are counted in some milliseconds.
pub const HELD_COUNTED_MAX: usize = 10_000;

/// What a read sees: the store and what the loop keeps beside it, between two commits.
pub struct View<'a> {
    /// The store.
    pub store: &'a dyn Store,
    /// Counters, marks and numbers.
    pub meta: &'a Meta,
    /// Where the store was restored from, if it was.
    pub restored: Option<&'a Restored>,
    /// The policy in force.
    pub policy: &'a PolicyInForce,
    /// Reminders whose attempt is under way.
    pub in_flight: usize,
    /// Series that go on and have no reminder pending, as the last pass over all tasks found them: never any.
    pub silent: u64,
    /// That the wall clock was set back in this life of the worker, the last time.
    pub set_back: Option<SetBack>,
    /// What is not as it was counted, as the last recount found it; empty where all is.
    pub mismatches: &'a [Mismatch],
    /// What another worker was seen to do.
    pub foreign: &'a Foreign,
    pub(super) pacing: &'a RefCell<Pacing>,
}

/// The planned instants of the oldest reminders that should have gone out, those in flight included; `None` where
/// there is none.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Overdue {
    /// Of all.
    pub oldest: Option<Timestamp>,
    /// Of those that no attempt has failed of yet and that no rate holds back. One that was held back counts from when
    /// it was let go; those that are count together, from when the rates let the next of them go.
    pub oldest_untried: Option<Timestamp>,
}

impl View<'_> {
    /// What the rates hold back.
    #[must_use]
    pub fn held_back(&self) -> Option<HeldBack> {
        self.pacing.borrow().held_back()
    }

    /// The preferences of the user of `task`; `None` where there are none, or they can't be read.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn preferences_of(&self, task: &Task) -> Result<Option<Preferences>, StoreError> {
        let Some(user) = task.user().filter(|_| self.meta.users > 0) else { return Ok(None) };
        match self.store.preferences(user) {
            Err(StoreError::Corrupt(_)) => Ok(None),
            found => found,
        }
    }

    /// What should have gone out by `now`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn overdue(&self, now: Timestamp) -> Result<Overdue, StoreError> {
        let pacing = self.pacing.borrow();
        let let_go = pacing.held_back().map(|held| held.next_at).filter(|at| *at < now);
        let mut overdue = Overdue { oldest: None, oldest_untried: let_go };
        // What is held since a restore waits for a person.
        for entry in self.store.pending(held_to(self.restored), OVERDUE_SCAN)? {
            let mut record = match self.store.record(&entry.task) {
                Ok(Some(record)) => record,
                // Damage is told by whoever claims; here it must not hide how late the others are.
                Ok(None) | Err(StoreError::Corrupt(_)) => continue,
                Err(other) => return Err(other),
            };
            let Some(reminder) = pending(&mut record, &entry.task, &entry.key.1) else { continue };
            let fire_at = Some(reminder.fire_at).filter(|at| *at < now);
            let untried = fire_at.filter(|_| reminder.attempts == 0);
            let untried = untried.and_then(|at| pacing.overdue_from(&entry.key, at)).filter(|at| *at < now);
            overdue.oldest = overdue.oldest.into_iter().chain(fire_at).min();
            overdue.oldest_untried = overdue.oldest_untried.into_iter().chain(untried).min();
        }
        Ok(overdue)
    }

    /// How many reminders wait since a restore, counted up to [`HELD_COUNTED_MAX`].
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn held_since_restore(&self) -> Result<usize, StoreError> {
        let Some(last) = held_to(self.restored) else { return Ok(0) };
        let (mut after, mut held) = (None, 0);
        loop {
            let page = self.store.pending(after, STEP_MAX)?;
            let waiting = page.iter().take_while(|entry| entry.key <= last).count();
            held += waiting;
            if waiting < STEP_MAX || held >= HELD_COUNTED_MAX {
                return Ok(held.min(HELD_COUNTED_MAX));
            }
            after = page.last().map(|entry| entry.key);
        }
    }
}
