//! What a read sees, between two commits.

use super::claims::pending;
use crate::domain::{PolicyInForce, Timestamp};
use crate::store::{Meta, Store, StoreError};

/// How many of the next reminders are looked at for the oldest overdue one. Failed attempts stand in the
/// index where they wake next, so the oldest need not be the first; among so many the difference is small.
pub(super) const OVERDUE_SCAN: usize = 64;

/// What a read sees: the store and what the loop keeps beside it, between two commits.
pub struct View<'a> {
    /// The store.
    pub store: &'a dyn Store,
    /// Counters, marks and numbers.
    pub meta: &'a Meta,
    /// The policy in force.
    pub policy: &'a PolicyInForce,
    /// Reminders whose attempt is under way.
    pub in_flight: usize,
}

impl View<'_> {
    /// The planned instant of the oldest reminder that should have gone out by `now`, those in flight included.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn oldest_overdue(&self, now: Timestamp) -> Result<Option<Timestamp>, StoreError> {
        let mut oldest = None;
        for entry in self.store.pending(None, OVERDUE_SCAN)? {
            let mut record = match self.store.record(&entry.task) {
                Ok(Some(record)) => record,
                // Damage is told by whoever claims; here it must not hide how late the others are.
                Ok(None) | Err(StoreError::Corrupt(_)) => continue,
                Err(other) => return Err(other),
            };
            let fire_at = pending(&mut record, &entry.task, &entry.key.1).map(|reminder| reminder.fire_at);
            oldest = [oldest, fire_at.filter(|at| *at < now)].into_iter().flatten().min();
        }
        Ok(oldest)
    }
}
