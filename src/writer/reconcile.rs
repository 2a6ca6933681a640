//! Reconciliation: a recount of all there is, a step at a time between other commands, against the counters.
//!
//! What is counted and compared is [`crate::store::audit`]'s; here it is driven. Every group that is committed while a
//! recount is under way is shown to it, so that it stays exact ([`Group::finish`]). Where it finds that reminders are gone,
//! the store is torn as one is of which a part can't be read: the process ends, and the next start makes it anew.

use super::core::Core;
use super::group::Group;
use crate::store::audit::{Mismatch, Recount};
use crate::store::{HOLDS_LESS, StoreError};

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
        // Once: what is made anew of it and is still not as it was counted is for a person.
        let is_made_anew = self.restored.as_ref().is_some_and(|restored| {
            restored.reason.as_ref().is_some_and(|reason| reason.starts_with(HOLDS_LESS))
        });
        if let Some(Mismatch { what, counted, there }) =
            result.mismatches.iter().find(|mismatch| mismatch.lacks() && !is_made_anew)
        {
            self.store.tear(format!("{HOLDS_LESS}: {what}, {counted} counted and {there} there"));
        }
        if result.mismatches.is_empty() {
            tracing::debug!(tasks = result.tasks, "the store is as it was counted");
        }
        self.mismatches = result.mismatches;
    }
}
