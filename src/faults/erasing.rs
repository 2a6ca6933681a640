//! Erasing users in a simulation: the worker's own steps, and the notes beside its backups, which outlast a store.
//!
//! As in the worker's start, what was cut off is finished, and what a restored backup may hold is erased again, before
//! anything goes out.

use super::script::user_name;
use super::world::{Broken, World};
use crate::faults::script::What;
use crate::writer::Confirm;

impl World<'_> {
    /// Who asks while nobody is there asks again; what is cut off the next start finishes.
    pub(super) fn erase(&mut self, user: usize) -> Result<(), Broken> {
        if self.worker.is_none() {
            self.again_if(true, What::Erased(user));
            return Ok(());
        }
        let now = self.clock();
        self.erased.insert(user, None);
        self.oracle.erasing(user);
        if self.ask(|worker| worker.erase(&user_name(user), now))?.is_some() {
            self.seen.erasings += 1;
            self.erased.insert(user, Some(now));
            self.oracle.erased(user);
        }
        Ok(())
    }

    /// What a start does before anything else.
    pub(super) fn finish_erasing(&mut self) -> Result<(), Broken> {
        let Some(worker) = &self.worker else { return Ok(()) };
        let from = worker.view().restored.filter(|restored| restored.erases).map(|r| r.erased_from());
        for (user, ended) in self.erased.clone() {
            let is_due = ended.is_none_or(|ended| from.is_some_and(|from| ended >= from));
            if is_due && self.worker.is_some() {
                self.erase(user)?;
            }
        }
        let now = self.clock();
        if from.is_some() {
            self.ask(|worker| worker.confirm(Confirm::ErasedAgain, now))?;
        }
        Ok(())
    }
}
