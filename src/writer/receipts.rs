//! Receipts: reminders that came back through the broker.
//!
//! Noted in memory and written with a later commit, or after a while of silence: losing one loses nothing. A
//! receipt of a reminder whose attempts all ended without an answer proves that it went out; one of a reminder that was
//! never planned here proves another worker.

use std::collections::HashMap;

use super::Receipt;
use super::foreign::{ForeignReminder, is_foreign, since_forgetting};
use super::group::Group;
use crate::domain::{Record, TaskId, Timestamp, decide};
use crate::store::StoreError;

/// Receipts that one commit writes; more wait for the next.
pub(super) const RECEIPTS_A_COMMIT: usize = 256;
/// Receipts noted at most; beyond it they are lost, which loses nothing.
pub(super) const RECEIPTS_MAX: usize = 20_000;

impl Group<'_> {
    /// Writes receipts into their records.
    pub(super) fn write_receipts(&mut self) -> Result<(), StoreError> {
        let count = self.core.receipts.len().min(RECEIPTS_A_COMMIT);
        let mut by_task: HashMap<&TaskId, Vec<&(Receipt, Timestamp)>> = HashMap::new();
        for noted in &self.core.receipts[..count] {
            by_task.entry(&noted.0.task_id).or_default().push(noted);
        }
        for (task, receipts) in by_task {
            let known = self.readable(task)?;
            // Of a record that can't be read nothing is known.
            if known.is_some() || self.record(task).is_ok() {
                self.note_foreign(known.as_ref(), &receipts);
            }
            let Some(mut record) = known else { continue };
            let mut changed = false;
            for (receipt, at) in receipts {
                let in_flight = self.is_in_flight(&receipt.id);
                for reminder in record.reminders.iter_mut().filter(|r| r.id(task) == receipt.id) {
                    changed |= decide::receive(reminder, *at, in_flight);
                }
            }
            if changed {
                self.plan_next(task, &mut record)?;
                self.put(task, record)?;
            }
        }
        self.effects.receipts_written = count;
        Ok(())
    }

    fn note_foreign(&mut self, record: Option<&Record>, receipts: &[&(Receipt, Timestamp)]) {
        let mut memory = self.core.memory();
        // Its task may be gone by this very group.
        if self.effects.forgot_planned {
            memory.since = since_forgetting(self.now);
        }
        let foreign = receipts.iter().filter(|(receipt, at)| is_foreign(receipt, *at, record, memory));
        let found = foreign.map(|(receipt, at)| ForeignReminder {
            task_id: receipt.task_id.clone(),
            id: receipt.id,
            at: *at,
        });
        self.effects.foreign.extend(found);
    }
}
