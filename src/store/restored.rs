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
    /// What was due by then may have gone out before: when it was restored or, where the clock was ahead until then, the
    /// latest that it is known to have shown. Only what was due when it was restored is held: what the clock has yet to
    /// reach fires at its time, perhaps a second time.
    pub in_doubt_to: Timestamp,
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
    /// That of a store restored at `at` from the file `backup`, which holds what was committed until the clock showed
    /// `finished`: nothing is held, nobody is to be erased.
    #[must_use]
    pub fn new(at: Timestamp, finished: Timestamp, backup: impl Into<String>) -> Self {
        Self {
            at,
            // A backup made while the clock was ahead must not make the missing hours begin after they ended.
            from: finished.min(at),
            in_doubt_to: finished.max(at),
            backup: backup.into(),
            aside: None,
            reason: None,
            overdue: AfterRestore::Fires,
            let_go: None,
            erases: false,
            confirmed: None,
        }
    }

    /// The same where the clock is known to have shown `seen` before.
    #[must_use]
    pub fn seen(mut self, seen: Option<Timestamp>) -> Self {
        self.in_doubt_to = self.in_doubt_to.max(seen.unwrap_or(Timestamp::MIN));
        self
    }

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
        self.seen(Some(before.in_doubt_to))
    }

    /// The instant up to which reminders are held back; `None` where none is.
    #[must_use]
    pub fn holds_to(&self) -> Option<Timestamp> {
        (self.overdue != AfterRestore::Fires).then_some(self.at)
    }

    /// Whether the clock was ahead before it was restored.
    #[must_use]
    pub fn was_ahead(&self) -> bool {
        self.in_doubt_to > self.at
    }

    /// Since when users who were erased are in it: of a backup made while the clock was ahead nobody knows, so all are.
    #[must_use]
    pub fn erased_from(&self) -> Timestamp {
        if self.from < self.at && !self.was_ahead() { self.from } else { Timestamp::MIN }
    }

    /// What does not count against what was due by then.
    #[must_use]
    pub fn missing(&self) -> Missing {
        let held_to = self.holds_to();
        let until = held_to.map_or(self.let_go.unwrap_or(self.at), |_| Timestamp::MAX);
        Missing { from: self.from, at: self.in_doubt_to, until, held_to }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restored(from: i64, at: i64) -> Restored {
        Restored::new(Timestamp::from_millis(at), Timestamp::from_millis(from), "b")
    }

    #[test]
    fn what_was_due_by_the_latest_that_the_clock_has_shown_is_in_doubt_and_no_more_than_was_due_then_is_held()
    {
        // Of a restore at 20: until when the backup is, what a marker says, what an earlier restore says; from when
        // it misses, to when it doubts, and since when it erases.
        let table = [
            (10, None, None, 10, 20, 10),
            (20, None, None, 20, 20, i64::MIN),
            (30, None, None, 20, 30, i64::MIN),
            (10, Some(19), None, 10, 20, 10),
            (10, Some(40), None, 10, 40, i64::MIN),
            (30, Some(40), None, 20, 40, i64::MIN),
            (10, None, Some(15), 10, 20, 10),
            (10, None, Some(50), 10, 50, i64::MIN),
        ];
        let at = Timestamp::from_millis;
        for (finished, seen, before, from, to, erased_from) in table {
            let earlier = before.map(|before| restored(12, 15).seen(Some(at(before))));
            let held = Restored { overdue: AfterRestore::Held, ..restored(finished, 20) };
            let told = held.seen(seen.map(at)).after(earlier.as_ref());
            let missing = told.missing();
            let case = (finished, seen, before);
            assert_eq!((told.at, missing.from, missing.at), (at(20), at(from), at(to)), "{case:?}");
            assert_eq!((told.holds_to(), told.was_ahead()), (Some(at(20)), to > 20), "{case:?}");
            assert_eq!(told.erased_from().millis().max(0), erased_from.max(0), "{case:?}");
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
