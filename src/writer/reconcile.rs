//! Reconciliation: a recount of all there is, a step at a time between other commands, against the counters.
//!
//! What is counted and compared is [`crate::store::audit`]'s; here it is driven. Every group that is committed while a
//! recount is under way is shown to it, so that it stays exact ([`Group::finish`]).

use super::core::Core;
use super::group::Group;
use crate::store::StoreError;
use crate::store::audit::Recount;

impl Group<'_> {
    /// Counts what comes next; true while more is left of this pass.
    pub(super) fn reconcile_step(&mut self) -> Result<bool, StoreError> {
        let under_way = self.effects.recount.take().or_else(|| self.core.recount.clone());
        let mut recount = under_way.unwrap_or_default();
        recount.step(self.core.store.as_ref())?;
        let more = !recount.is_last_step();
        self.effects.recount = Some(recount);
        Ok(more)
    }
}

impl Core {
    /// Takes over how far the recount has come, and tells what a whole one has found.
    pub(super) fn take_over_recount(&mut self, recount: Option<Recount>) {
        let Some(result) = recount.as_ref().and_then(Recount::result) else {
            self.recount = recount;
            return;
        };
        self.recount = None;
        for mismatch in &result.mismatches {
            let (what, counted, there) = (mismatch.what, mismatch.counted, mismatch.there);
            tracing::error!(
                what,
                counted,
                there,
                "the store is not as it was counted, which must not be: stop the worker and look with `store verify`"
            );
        }
        if result.mismatches.is_empty() {
            tracing::debug!(tasks = result.tasks, "the store is as it was counted");
        }
        self.mismatches = result.mismatches;
    }
}
