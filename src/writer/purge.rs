//! Forgetting tasks whose retention is over.
//!
//! A task goes when it has ended and its last planned instant is past, both for the retention. What it leaves
//! is the horizon: an event for an unknown task that is no newer is dropped, so that a replay of a topic
//! revives nothing. Its reminders stay counted in their states.
//!
//! The pass reads every record, so it looks as well whether each series that goes on has its next reminder.

use std::time::Duration;

use super::STEP_MAX;
use super::core::Core;
use super::group::Group;
use crate::domain::{Record, Rules, State, TaskId, is_silent};
use crate::store::StoreError;

impl Core {
    /// Takes over how far a pass has come, `None` for its end, and how many silent series its last step has found.
    pub(super) fn take_over_purge(&mut self, to: Option<TaskId>, silent: u64) {
        let found = self.silent_so_far + silent;
        self.silent_so_far = if to.is_some() { found } else { 0 };
        if to.is_none() {
            self.silent = found;
        }
        self.purged_to = to;
    }
}

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
            } else if self.is_silent(&task, &record)? {
                self.effects.silent += 1;
                tracing::error!(%task, "a series that goes on has no next reminder, which must not be; a change of the task plans it anew");
            }
        }
        Ok(more)
    }

    /// Whether a series is silent that is planned by all that is known.
    fn is_silent(&mut self, task: &TaskId, record: &Record) -> Result<bool, StoreError> {
        let is_planned = record.generation == self.core.policy.generation && self.meta.wishes_pass.is_none();
        if !is_planned || record.task.recurrence().is_none() {
            return Ok(false);
        }
        let user = self.preferences_of(&record.task)?;
        let rules = Rules { in_force: &self.core.policy, user: user.as_deref() };
        Ok(is_silent(task, record, &rules, self.now))
    }

    fn is_over(&self, record: &Record) -> bool {
        let Some(ended) = record.ended_at() else { return false };
        let last = ended.max(record.last_planned());
        let leapt = self.core.policy.leap.map_or(Duration::ZERO, |leap| leap.within(last, self.now));
        // Pending in an ended task means in flight: its settlement must find it.
        record.reminders.iter().all(|r| r.state != State::Pending)
            && self.now.since(last).saturating_sub(leapt) > self.core.settings.retention
    }
}
