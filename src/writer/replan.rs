//! Planning anew under a new policy, a step at a time behind a durable cursor.

use super::STEP_MAX;
use super::group::Group;
use crate::store::StoreError;

impl Group<'_> {
    /// Plans the next [`STEP_MAX`] tasks that were planned under an older policy.
    pub(super) fn replan_step(&mut self) -> Result<(), StoreError> {
        let Some(after) = self.meta.replanning_after.clone() else { return Ok(()) };
        let page = self.core.store.tasks(after.as_ref(), STEP_MAX)?;
        let last = page.last().cloned();
        self.meta.replanning_after = if page.len() < STEP_MAX { None } else { Some(last) };
        for task in page {
            let Some(mut record) = self.readable(&task)? else { continue };
            if record.generation != self.core.policy.generation {
                self.replan(&task, &mut record)?;
                self.put(&task, record)?;
            }
        }
        Ok(())
    }
}
