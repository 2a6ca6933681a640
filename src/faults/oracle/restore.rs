//! What is known when the worker has gone on with a backup: of itself what was known then, of the world all.

use std::collections::{BTreeMap, BTreeSet};

use super::Oracle;
use crate::domain::{ReminderId, TaskId, Timestamp};
use crate::faults::script::{Of, Said, Says, Wishes};

impl Oracle<'_> {
    /// The worker has lost its store and knows what it knew when `then` was seen. Returns what had been delivered to it.
    pub(in crate::faults) fn restored(
        &mut self,
        then: Self,
        ended_before: BTreeSet<ReminderId>,
        held_to: Option<Timestamp>,
    ) -> Vec<usize> {
        let delivered = self.delivered.iter().copied().collect();
        let is_of_user = |number: &usize| matches!(self.script.events[*number].of, Of::User(_));
        let wishes_differ = self.delivered.difference(&then.acknowledged).any(is_of_user);
        // Other events may make up as many changes.
        let changes: BTreeMap<usize, u32> = (0..self.script.tasks.len())
            .map(|task| {
                let (now, then) = (self.changes_of(task), then.changes_of(task));
                let is_same = now == then && (self.script.tasks[task].is_plain || !wishes_differ);
                (task, if is_same { now } else { now + 1 })
            })
            .collect();
        let outside = Self {
            changes,
            held_to,
            is_restored: true,
            ended_before,
            besides: std::mem::take(&mut self.besides),
            vague: &self.vague | &then.vague,
            erased_once: std::mem::take(&mut self.erased_once),
            configured: self.configured,
            attempts: std::mem::take(&mut self.attempts),
            on_its_way: std::mem::take(&mut self.on_its_way),
            broker: std::mem::take(&mut self.broker),
            broker_told: std::mem::take(&mut self.broker_told),
            failed_at: BTreeMap::new(),
            ..then
        };
        *self = outside;
        delivered
    }

    /// Whether a reminder of the task may have gone out before its time, in a digest or ahead of quiet hours, and that is
    /// forgotten with the store that was lost.
    pub(super) fn may_have_gone_ahead(&self, task: &TaskId) -> bool {
        let moves_ahead = |said: &Said| {
            matches!(said.what, Says::Wishes(Wishes::Digest(_) | Wishes::Quiet { mode: "earlier", .. }))
        };
        let is_plain = self.task_of(task).is_ok_and(|task| self.script.tasks[task].is_plain);
        self.is_restored && !is_plain && self.script.events.iter().any(moves_ahead)
    }
}
