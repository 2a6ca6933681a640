//! Receipts: reminders that came back through the broker.
//!
//! Noted in memory and written with a later commit, or after a while of silence: losing one loses nothing. A
//! receipt of a reminder whose attempts all ended without an answer proves that it went out.

use std::collections::HashMap;

use super::group::Group;
use crate::domain::{ReminderId, TaskId, Timestamp, decide};
use crate::store::StoreError;

/// Receipts that one commit writes; more wait for the next.
pub(super) const RECEIPTS_A_COMMIT: usize = 256;
/// Receipts noted at most; beyond it they are lost, which loses nothing.
pub(super) const RECEIPTS_MAX: usize = 20_000;

impl Group<'_> {
    /// Writes receipts into their records.
    pub(super) fn write_receipts(&mut self) -> Result<(), StoreError> {
        let count = self.core.receipts.len().min(RECEIPTS_A_COMMIT);
        let mut by_task: HashMap<&TaskId, Vec<(ReminderId, Timestamp)>> = HashMap::new();
        for (task, id, at) in &self.core.receipts[..count] {
            by_task.entry(task).or_default().push((*id, *at));
        }
        for (task, receipts) in by_task {
            let Some(mut record) = self.readable(task)? else { continue };
            let mut changed = false;
            for (id, at) in receipts {
                let in_flight = self.is_in_flight(&id);
                for reminder in record.reminders.iter_mut().filter(|r| r.id(task) == id) {
                    changed |= decide::receive(reminder, at, in_flight);
                }
            }
            if changed {
                self.put(task, record)?;
            }
        }
        self.effects.receipts_written = count;
        Ok(())
    }
}
