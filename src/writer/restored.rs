//! What a person says of a store that was restored from a backup, and what becomes of reminders held since then.
//!
//! Held are reminders whose instant was past when it was restored: they stay pending and stand at the front of the index,
//! which is read from behind them. Dropping them goes a bounded step at a time between other commands, and a process
//! that starts anew begins it again with what is left.
//!
//! Accepted: a change of its task may move a held reminder or call it off, as it may any other.

use std::sync::Arc;

use super::STEP_MAX;
use super::core::Core;
use super::group::Group;
use crate::domain::catch_up::drop_overdue;
use crate::domain::{Reminder, ReminderId, Timestamp};
use crate::store::{AfterRestore, IndexKey, Op, Restored, StoreError};

/// What is said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Confirm {
    /// It is known, and nothing is held.
    Seen,
    /// What is held goes out.
    Fire,
    /// What is held is dropped: it expires.
    Drop,
    /// Users erased after the backup have been erased again.
    ErasedAgain,
}

/// What became of that.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Confirmed {
    /// The store was never restored.
    Never,
    /// Reminders are held, and whether they fire must be said.
    Undecided(Box<Restored>),
    /// No reminder waits for what was said: nothing is confirmed, since who says it takes them for held.
    NotHeld(Box<Restored>),
    /// It is so.
    Done(Box<Restored>),
}

/// Above every other id of its instant.
pub(super) const LAST_ID: ReminderId = ReminderId::from_bytes([u8::MAX; 16]);
/// How much later than its instant a reminder may wake: the longest wait after a failed attempt.
const WAKES_LATER_MAX: std::time::Duration = std::time::Duration::from_secs(60 * 60);

/// The last place of the index at which reminders are held, if any are.
pub(super) fn held_to(restored: Option<&Restored>) -> Option<IndexKey> {
    restored.and_then(Restored::holds_to).map(|at| (at, LAST_ID))
}

/// Whether a reminder is held.
pub(super) fn holds(restored: Option<&Restored>, reminder: &Reminder) -> bool {
    restored.and_then(Restored::holds_to).is_some_and(|at| reminder.fire_at <= at)
}

impl Core {
    /// Takes over what a committed group has made of the store's origin.
    pub(super) fn take_over_origin(
        &mut self,
        restored: Option<Restored>,
        dropped_to: Option<Option<IndexKey>>,
    ) {
        if self.restored != restored {
            self.restored = restored;
            Arc::make_mut(&mut self.policy).missing = self.restored.as_ref().map(Restored::missing);
        }
        self.dropped_to = dropped_to.unwrap_or(self.dropped_to);
    }
}

impl Group<'_> {
    /// Takes what a person says.
    pub(super) fn confirm(&mut self, confirm: Confirm) -> Confirmed {
        let Some(mut restored) = self.restored.clone() else { return Confirmed::Never };
        let is_held = restored.overdue == AfterRestore::Held;
        // Where nothing is held there is nothing to say of it.
        let confirm =
            if confirm == Confirm::Seen && is_held && !self.holds_any() { Confirm::Fire } else { confirm };
        match confirm {
            Confirm::ErasedAgain => restored.erases = false,
            Confirm::Seen if is_held => return Confirmed::Undecided(restored.into()),
            Confirm::Seen => {}
            Confirm::Fire if is_held => {
                restored.overdue = AfterRestore::Fires;
                restored.let_go = Some(self.now);
                self.effects.judge_anew = true;
            }
            Confirm::Drop if is_held => restored.overdue = AfterRestore::Dropping,
            Confirm::Drop if restored.overdue == AfterRestore::Dropping => {}
            Confirm::Fire | Confirm::Drop => return Confirmed::NotHeld(restored.into()),
        }
        if confirm != Confirm::ErasedAgain {
            restored.confirmed.get_or_insert(self.now);
        }
        self.put_restored(restored.clone());
        Confirmed::Done(restored.into())
    }

    /// Whether any reminder is held; so it is where that can't be read.
    fn holds_any(&self) -> bool {
        let last = held_to(self.restored.as_ref());
        let first = self.core.store.pending(None, 1);
        first.map_or(true, |page| page.first().is_some_and(|entry| Some(entry.key) <= last))
    }

    /// Drops the next of the held reminders, if they are being dropped.
    pub(super) fn drop_step(&mut self) -> Result<(), StoreError> {
        let Some(restored) = self.restored.clone().filter(|r| r.overdue == AfterRestore::Dropping) else {
            return Ok(());
        };
        let last = restored.at.plus(WAKES_LATER_MAX);
        let page = self.core.store.pending(self.core.dropped_to, STEP_MAX)?;
        let is_last = page.len() < STEP_MAX || page.last().is_some_and(|entry| entry.key.0 > last);
        for entry in page.iter().filter(|entry| entry.key.0 <= last) {
            let Some(mut record) = self.readable(&entry.task)? else { continue };
            let now = self.now;
            if drop_overdue(&entry.task, &mut record, restored.at, now, &|id| self.is_in_flight(id)) {
                self.plan_next(&entry.task, &mut record)?;
                self.put(&entry.task, record)?;
            }
        }
        self.dropped_to = Some(page.last().map(|entry| entry.key).filter(|_| !is_last));
        if is_last {
            let now: Timestamp = self.now;
            tracing::warn!(
                "what was held since the restore has been dropped; other reminders are not concerned"
            );
            self.put_restored(Restored { overdue: AfterRestore::Fires, let_go: Some(now), ..restored });
            self.effects.judge_anew = true;
        }
        Ok(())
    }

    fn put_restored(&mut self, restored: Restored) {
        self.batch.push(Op::PutRestored(Box::new(restored.clone())));
        self.restored = Some(restored);
    }
}
