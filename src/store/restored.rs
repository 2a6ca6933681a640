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
    /// The same of a store that says `before` of itself: what that misses, and nobody has confirmed, is still missing, what
    /// waits for a person goes on waiting, and who was not yet erased again is still to be.
    #[must_use]
    pub fn after(mut self, before: Option<&Self>) -> Self {
        let Some(before) = before else { return self };
        if before.confirmed.is_none() || before.erases {
            self.from = self.from.min(before.from);
        }
        if before.overdue != AfterRestore::Fires {
            // What was to be dropped, too: some of it may be gone for good, and all of it is asked about again.
            self.overdue = AfterRestore::Held;
        }
        self.erases |= before.erases;
        self
    }

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

#[cfg(test)]
mod tests {
    use super::*;

    fn restored(from: i64, at: i64) -> Restored {
        Restored {
            at: Timestamp::from_millis(at),
            from: Timestamp::from_millis(from),
            backup: "b".into(),
            aside: None,
            reason: None,
            overdue: AfterRestore::Fires,
            let_go: None,
            erases: false,
            confirmed: None,
        }
    }

    #[test]
    fn a_second_restore_forgets_nothing_of_the_first_that_nobody_has_confirmed() {
        use AfterRestore::{Dropping, Fires, Held};
        let confirmed = Some(Timestamp::from_millis(25));
        let first = restored(10, 20);
        let table = [
            (None, 30, Fires, false),
            (Some(first.clone()), 10, Fires, false),
            (Some(Restored { from: Timestamp::from_millis(35), ..first.clone() }), 30, Fires, false),
            (Some(Restored { confirmed, ..first.clone() }), 30, Fires, false),
            (Some(Restored { overdue: Held, ..first.clone() }), 10, Held, false),
            (Some(Restored { overdue: Dropping, confirmed, ..first.clone() }), 30, Held, false),
            (Some(Restored { erases: true, confirmed, ..first }), 10, Fires, true),
        ];
        for (before, from, overdue, erases) in table {
            let merged = restored(30, 40).after(before.as_ref());
            let is = Restored { from: Timestamp::from_millis(from), overdue, erases, ..restored(30, 40) };
            assert_eq!(merged, is, "{before:?}");
        }
    }
}
