//! That a store was restored from a backup, and what has become of that since: kept in the store itself, so that it is
//! told until a person has seen it.

use crate::domain::{Missing, Timestamp};

/// A restored store's origin.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Restored {
    /// When it was restored.
    pub at: Timestamp,
    /// Of when the backup is: what was committed after that is missing.
    pub from: Timestamp,
    /// The file it was restored from.
    pub backup: String,
    /// The directory beside it in which lies what stood there before.
    pub aside: Option<String>,
    /// How that was damaged.
    pub reason: Option<String>,
    /// What becomes of the reminders whose instant was past when it was restored.
    pub overdue: AfterRestore,
    /// Since when they may go out, where they were held until then.
    pub let_go: Option<Timestamp>,
    /// Users who were erased after the backup are to be erased again.
    pub erases: bool,
    /// When a person said that it is seen.
    pub confirmed: Option<Timestamp>,
}

/// What becomes of the reminders whose instant was past when a store was restored.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum AfterRestore {
    /// They fire.
    Fires,
    /// They wait until somebody says what becomes of them.
    Held,
    /// They are being expired, step by step.
    Dropping,
}

impl Restored {
    /// The instant up to which reminders are held back; `None` where none is.
    #[must_use]
    pub fn holds_to(&self) -> Option<Timestamp> {
        (self.overdue != AfterRestore::Fires).then_some(self.at)
    }

    /// Since when users who were erased are in it: of a backup made while the clock was ahead nobody knows, so all are.
    #[must_use]
    pub fn erased_from(&self) -> Timestamp {
        if self.from < self.at { self.from } else { Timestamp::MIN }
    }

    /// What does not count against what was due by then.
    #[must_use]
    pub fn missing(&self) -> Missing {
        let until = if self.holds_to().is_some() { Timestamp::MAX } else { self.let_go.unwrap_or(self.at) };
        Missing { from: self.from, at: self.at, until }
    }
}
