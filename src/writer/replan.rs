//! Planning anew under a new policy, a step at a time behind a durable cursor.

use super::STEP_MAX;
use super::group::Group;
use crate::store::StoreError;

impl Group<'_> {
    /// Plans the next [`STEP_MAX`] tasks that were planned under an older policy.
    pub(super) fn replan_step(&mut self) -> Result<(), StoreError> {
        let Some(after) = self.meta.replanning_after.clone() else { return Ok(()) };
        let page = match self.core.store.records(after.as_ref(), STEP_MAX) {
            // Nothing else may wait for a record that will never be read. Its successors are planned anew by the
            // next event or attempt of theirs.
            Err(StoreError::Corrupt(why)) => {
                tracing::error!(
                    why,
                    "planning anew ends early at a record that can't be read; restore a backup"
                );
                self.meta.replanning_after = None;
                return Ok(());
            }
            page => page?,
        };
        let last = page.last().map(|(task, _)| task.clone());
        self.meta.replanning_after = if page.len() < STEP_MAX { None } else { Some(last) };
        for (task, _) in page {
            // Not the page's record: this very group may have changed it.
            let Some(mut record) = self.readable(&task)? else { continue };
            if record.generation != self.core.policy.generation {
                self.replan(&task, &mut record);
                self.put(&task, record)?;
            }
        }
        Ok(())
    }
}
