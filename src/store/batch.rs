//! A batch: everything one commit writes, in order.
//!
//! Owns how a change of a record moves its reminders between the indexes, so that no caller can change one
//! without the other.

use super::{Claim, IndexKey, Meta, OutboxEntry, Quarantined, Restored};
use crate::domain::{Preferences, Record, Reminder, State, TaskId};

/// One write.
#[derive(Clone, PartialEq, Debug)]
pub enum Op {
    /// Counters, marks and numbers.
    PutMeta(Box<Meta>),
    /// Where a restored store comes from.
    PutRestored(Box<Restored>),
    /// A record.
    PutRecord(TaskId, Box<Record>),
    /// A record goes.
    RemoveRecord(TaskId),
    /// A user's preferences.
    PutPreferences(String, Box<Preferences>),
    /// A user's wishes go.
    RemovePreferences(String),
    /// A pending reminder's place.
    PutPending(IndexKey, TaskId),
    /// It is no longer there.
    RemovePending(IndexKey),
    /// A settled reminder's place.
    PutSettled(IndexKey, TaskId),
    /// It is no longer there.
    RemoveSettled(IndexKey),
    /// An attempt begins.
    PutClaim(Claim),
    /// It has ended.
    RemoveClaim(u64),
    /// An event is dropped.
    PutQuarantined(u64, Quarantined, Vec<u8>),
    /// Its place is needed.
    RemoveQuarantined(u64),
    /// An event is accepted for publishing.
    PutOutbox(u64, OutboxEntry, Vec<u8>),
    /// An attempt failed; the body stays as it is.
    UpdateOutbox(u64, OutboxEntry),
    /// It is published.
    RemoveOutbox(u64),
}

/// What one commit writes; a later write of the same key wins.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Batch {
    ops: Vec<Op>,
}

impl Batch {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ops.is_empty()
    }

    /// The writes.
    #[must_use]
    pub fn ops(&self) -> &[Op] {
        &self.ops
    }

    /// Adds a write.
    pub fn push(&mut self, op: Op) {
        self.ops.push(op);
    }

    /// Replaces the record of `task`, moving its reminders in the indexes; `after` of `None` removes it. Returns
    /// where its pending reminders stand then.
    pub fn replace(
        &mut self,
        task: &TaskId,
        before: Option<&Record>,
        after: Option<Box<Record>>,
    ) -> Vec<IndexKey> {
        let old = places(task, before);
        let new = places(task, after.as_deref());
        for (place, pending) in old.iter().filter(|place| new.binary_search(place).is_err()) {
            self.push(if *pending { Op::RemovePending(*place) } else { Op::RemoveSettled(*place) });
        }
        for (place, pending) in new.iter().filter(|place| old.binary_search(place).is_err()) {
            let task = task.clone();
            self.push(if *pending { Op::PutPending(*place, task) } else { Op::PutSettled(*place, task) });
        }
        self.push(match after {
            Some(record) => Op::PutRecord(task.clone(), record),
            None => Op::RemoveRecord(task.clone()),
        });
        new.into_iter().filter(|(_, pending)| *pending).map(|(place, _)| place).collect()
    }
}

/// Where a record's reminders stand in the indexes, and whether that is the index of pending ones; sorted.
pub(super) fn places(task: &TaskId, record: Option<&Record>) -> Vec<(IndexKey, bool)> {
    let reminders = record.map(|record| record.reminders.as_slice()).unwrap_or_default();
    let place = |reminder: &Reminder| {
        let pending = reminder.state == State::Pending;
        let at = if pending { reminder.wakes_at() } else { reminder.fire_at };
        ((at, reminder.id(task)), pending)
    };
    let mut places: Vec<_> = reminders.iter().map(place).collect();
    places.sort_unstable();
    places
}
