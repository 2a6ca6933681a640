//! What of a task's reminders was called off.
//!
//! One cell can't hold it: calling off a second reminder must not bring back the first. So the task keeps the set of
//! what was called off, each entry with its instant; what a later one covers is left out, so the set is small and the
//! same in any order of events.
//!
//! Deviations that are accepted, both towards firing: of more than [`CALLED_OFF_MAX`] single entries the oldest are
//! forgotten; and a value that a field had before its reminders were called off counts as stated anew when it comes
//! back, as far as the order of arrival shows that it was away.

use super::Task;
use crate::domain::event::{Field, Target};
use crate::domain::time::Timestamp;
use crate::domain::version::{Version, short_digest};

/// How many single occurrences and reminders may be called off at once: above what a task can have pending by its own
/// rules, sixteen offsets and sixteen times.
pub const CALLED_OFF_MAX: usize = 32;

/// Some of a task's reminders were called off.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct CalledOff {
    /// Which; `None` takes back what was called off before.
    pub of: Option<Target>,
    /// When: what was born later is not meant.
    pub at: Timestamp,
}

impl CalledOff {
    /// Whether `self` makes `other` say nothing. All before it is void for one that takes back, at the same instant
    /// too: in doubt it fires.
    fn covers(&self, other: &Self) -> bool {
        match (self.of, other.of) {
            (None, _) => other.at <= self.at,
            (Some(Target::Present), None) => other.at < self.at,
            (Some(Target::Present), Some(_)) => other.at <= self.at,
            (one, another) => one == another && other.at <= self.at,
        }
    }
}

impl Task {
    /// Adds `off`, stated by `version`; true if that is news.
    pub(super) fn call_off(&mut self, off: CalledOff, version: Version) -> bool {
        if Some(version) <= self.deleted || self.called_off.iter().any(|known| known.covers(&off)) {
            return false;
        }
        self.called_off.retain(|known| !off.covers(known));
        self.called_off.push(off);
        self.called_off.sort_by_cached_key(|off| (off.at, short_digest(&off.of)));
        if self.called_off.len() > CALLED_OFF_MAX {
            self.called_off.remove(0);
        }
        true
    }

    /// The first statement of `value`, which `field` has no more, before `since`; none where reminders were called off
    /// in between: then it is stated anew.
    pub(super) fn stated_before(&self, field: Field, value: u64, since: Timestamp) -> Option<Timestamp> {
        let known = self.past_since(field, value)?;
        let between = |off: &CalledOff| off.of.is_some() && known <= off.at && off.at < since;
        (!self.called_off.iter().any(between)).then_some(known)
    }
}
