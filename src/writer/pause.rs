//! Pausing all reminders, and letting them go on.
//!
//! While they are paused nothing is claimed; what is under way ends, and events go on being merged. What falls due
//! meanwhile is missed like anything else that was not sent in time: what was held back is forgotten, so that it is
//! judged anew when reminders go on.

use super::group::Group;
use crate::store::{Op, Paused};

/// What is to be.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Switch {
    /// No reminder goes out.
    Pause {
        /// Why, for people.
        reason: Option<String>,
    },
    /// They do.
    Resume,
}

/// What was and what is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Switched {
    /// The pause before.
    pub before: Option<Paused>,
    /// The pause now.
    pub after: Option<Paused>,
}

impl Group<'_> {
    /// Pauses or resumes. A pause that is in force stays as it is.
    pub(super) fn switch(&mut self, switch: Switch) -> Switched {
        let before = self.meta.paused.clone();
        match switch {
            Switch::Pause { reason } => self.meta.pause(self.now, reason),
            Switch::Resume => self.meta.paused = None,
        }
        let after = self.meta.paused.clone();
        if before != after {
            match &after {
                Some(_) => tracing::warn!("reminders are paused; `reminder-worker resume` lets them go on"),
                None => tracing::info!("reminders go on"),
            }
            self.batch.push(Op::PutMeta(Box::new(self.meta.clone())));
            self.effects.judge_anew = true;
        }
        Switched { before, after }
    }
}
