//! Users' preferences: merging what is said of them, handing them to plans, and planning anew when they change.
//!
//! Where nobody has any, nothing is read. A change begins a pass over all tasks, a step at a time behind a durable
//! cursor, that plans anew those of users with preferences; one that comes while a pass is under way makes another
//! follow it, so that each pass serves all changes that were there when it began. Until no pass is left a claim plans
//! such a task anew before it attempts, as it does after a change of policy: nothing is sent by wishes that have
//! changed.

use std::sync::Arc;

use super::STEP_MAX;
use super::group::Group;
use crate::domain::{Outcome, Preferences, PreferencesChange, Said, Task, Timestamp};
use crate::store::{Op, StoreError, WishesPass};
use crate::telemetry::{self, EventOutcome};

impl Group<'_> {
    /// The preferences of the user of `task`; `None` where there are none or they can't be read, which is logged:
    /// reminders then go out as if there were none.
    pub(super) fn preferences_of(&mut self, task: &Task) -> Result<Option<Arc<Preferences>>, StoreError> {
        // Before the user is looked for: where nobody has preferences a plain task costs nothing more.
        if self.meta.users == 0 {
            return Ok(None);
        }
        let Some(user) = task.user() else { return Ok(None) };
        if let Some(known) = self.users.get(user) {
            return Ok(known.clone());
        }
        let found = match self.core.store.preferences(user) {
            Ok(found) => found.map(Arc::new),
            Err(StoreError::Corrupt(why)) => {
                tracing::error!(user, why, "the preferences of a user can't be read; they are passed over");
                None
            }
            Err(other) => return Err(other),
        };
        self.users.insert(user.to_owned(), found.clone());
        Ok(found)
    }

    /// Merges a change that arrived at `at`.
    pub(super) fn merge_preferences(
        &mut self,
        change: &PreferencesChange,
        at: Timestamp,
    ) -> Result<Outcome, StoreError> {
        let known = match self.users.get(&change.user) {
            Some(Some(known)) => Some(Arc::clone(known)),
            Some(None) if self.has_erased(&change.user) => None,
            // What could not be read is not to be overwritten unseen.
            Some(None) | None => self.core.store.preferences(&change.user)?.map(Arc::new),
        };
        let mut preferences = known.as_deref().cloned().unwrap_or_default();
        let applied = preferences.apply(change, at);
        if let Said::Event { producer, .. } = &change.said {
            self.meta.events.count(applied.outcome);
            telemetry::event(None, EventOutcome::Merged(applied.outcome));
            if applied.ahead {
                telemetry::stamp_ahead(producer.as_deref());
            }
        }
        if !change.refused.is_empty() {
            telemetry::extras_refused(change.refused.len());
            tracing::debug!(user = change.user, refused = ?change.refused, "parts of a user's preferences can't be read and are left out");
        }
        if !applied.changed {
            return Ok(applied.outcome);
        }
        let plans_as_before = preferences.plans_like(known.as_deref().unwrap_or(&Preferences::default()));
        if known.is_none() {
            self.meta.users += 1;
        }
        if !plans_as_before {
            let pass = self.meta.wishes_pass.get_or_insert_default();
            pass.again |= pass.after.is_some();
        }
        self.batch.push(Op::PutPreferences(change.user.clone(), Box::new(preferences.clone())));
        self.users.insert(change.user.clone(), Some(Arc::new(preferences)));
        Ok(applied.outcome)
    }

    /// Whether this very group has removed the wishes of `user`: the store still has them.
    fn has_erased(&self, user: &str) -> bool {
        self.batch.ops().iter().any(|op| matches!(op, Op::RemovePreferences(erased) if erased == user))
    }

    /// Looks at the next [`STEP_MAX`] tasks of the pass and plans anew those whose users have preferences.
    pub(super) fn wishes_step(&mut self) -> Result<(), StoreError> {
        let Some(pass) = self.meta.wishes_pass.clone() else { return Ok(()) };
        let page = self.core.store.tasks(pass.after.as_ref(), STEP_MAX)?;
        let last = page.last().cloned();
        self.meta.wishes_pass = match (page.len() < STEP_MAX, pass.again) {
            (false, again) => Some(WishesPass { after: last, again }),
            (true, true) => Some(WishesPass::default()),
            (true, false) => None,
        };
        for task in page {
            let Some(mut record) = self.readable(&task)? else { continue };
            if self.preferences_of(&record.task)?.is_none() {
                continue;
            }
            let before = record.clone();
            self.replan(&task, &mut record)?;
            if record != before {
                self.put(&task, record)?;
            }
        }
        Ok(())
    }
}
