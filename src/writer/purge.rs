//! Forgetting tasks whose retention is over.
//!
//! A task goes when it has ended and its last planned instant is past, both for the retention. What it leaves
//! is the horizon: an event for an unknown task that is no newer is dropped, so that a replay of a topic
//! revives nothing. Its reminders stay counted in their states.

use super::STEP_MAX;
use super::group::Group;
use crate::domain::{Record, State};
use crate::store::StoreError;

impl Group<'_> {
    /// Looks at the next [`STEP_MAX`] tasks; true while more are left in this round.
    pub(super) fn purge_step(&mut self) -> Result<bool, StoreError> {
        let page = self.core.store.tasks(self.core.purged_to.as_ref(), STEP_MAX)?;
        let more = page.len() == STEP_MAX;
        self.effects.purged_to = Some(page.last().filter(|_| more).cloned());
        for task in page {
            let Some(record) = self.readable(&task)? else { continue };
            if self.is_over(&record) {
                self.meta.horizon = self.meta.horizon.max(record.task.transport);
                self.remove(&task)?;
            }
        }
        Ok(more)
    }

    fn is_over(&self, record: &Record) -> bool {
        let Some(ended) = record.ended_at() else { return false };
        let last = ended.max(record.last_planned());
        // Pending in an ended task means in flight: its settlement must find it.
        record.reminders.iter().all(|r| r.state != State::Pending)
            && self.now.since(last) > self.core.settings.retention
    }
}
