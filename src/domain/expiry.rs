//! When a reminder that could not be sent is given up.
//!
//! After a store was restored from a backup nobody knows what went out in the hours that are missing. A repeat can be
//! dropped by who reads it, a lost reminder can't: so those hours, and the time for which what was overdue then was held,
//! do not count against what was due by then. It has as long as any other from the moment on at which it can be sent.

use std::time::Duration;

use super::time::Timestamp;

/// How long a reminder may be late.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Expiry {
    /// After so long it is given up.
    pub after: Duration,
    /// What does not count, if the store was restored.
    pub missing: Option<Missing>,
}

/// The hours that a restored store knows nothing of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Missing {
    /// Of when the backup is.
    pub from: Timestamp,
    /// When it was restored: what was due later is not concerned.
    pub at: Timestamp,
    /// When what was overdue could be sent again; [`Timestamp::MAX`] while it is held.
    pub until: Timestamp,
}

impl Expiry {
    /// Whether a reminder that is late from then on is given up at `now`.
    #[must_use]
    pub fn is_over(&self, late_from: Timestamp, now: Timestamp) -> bool {
        let excused = self
            .missing
            .filter(|missing| late_from <= missing.at)
            .map_or(Duration::ZERO, |missing| now.min(missing.until).since(late_from.max(missing.from)));
        now.since(late_from).saturating_sub(excused) > self.after
    }

    /// Whether what was planned for `fire_at` and is late from `late_from` on may have gone out in the hours of which the
    /// store knows nothing, also where it is planned for the first time: it may have been planned there. What was too late
    /// already when they began was given up.
    #[must_use]
    pub fn is_in_doubt(&self, fire_at: Timestamp, late_from: Timestamp) -> bool {
        self.missing
            .is_some_and(|missing| fire_at <= missing.at && missing.from.since(late_from) <= self.after)
    }

    /// The earliest instant from which on a reminder may be late at `now` and not be given up.
    #[must_use]
    pub fn horizon(&self, now: Timestamp) -> Timestamp {
        let excused = self.missing.filter(|missing| now.since(missing.until) <= self.after);
        let excused = excused.map_or(Duration::ZERO, |missing| now.min(missing.until).since(missing.from));
        now.minus(self.after).minus(excused)
    }
}

impl From<Duration> for Expiry {
    fn from(after: Duration) -> Self {
        Self { after, missing: None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hour: i64) -> Timestamp {
        Timestamp::from_millis(hour * 3_600_000)
    }

    fn expiry(missing: Option<(i64, i64, i64)>) -> Expiry {
        let missing = missing.map(|(from, restored, until)| Missing {
            from: at(from),
            at: at(restored),
            until: at(until),
        });
        Expiry { after: Duration::from_secs(24 * 3600), missing }
    }

    #[test]
    fn missing_hours_do_not_count_against_what_was_due_by_then() {
        // Backup at 100, restored at 130; of each the last hour at which it is not given up.
        let (fired, held) = (Some((100, 130, 130)), Some((100, 130, 140)));
        for (missing, late_from, last) in [
            (None, 110, 134),
            (fired, 110, 154),
            (fired, 100, 154),
            (fired, 130, 154),
            // It had been late for ten hours when the backup was made.
            (fired, 90, 144),
            // It would have been given up an hour after the backup's.
            (fired, 76, 130),
            // Due after that it is like any other.
            (fired, 131, 155),
            (held, 110, 164),
            (held, 131, 155),
        ] {
            let expiry = expiry(missing);
            assert!(!expiry.is_over(at(late_from), at(last)), "{missing:?} {late_from}");
            assert!(
                expiry.is_over(at(late_from), at(last).plus(Timestamp::FINEST)),
                "{missing:?} {late_from}"
            );
        }
    }

    #[test]
    fn while_it_is_held_nothing_of_the_missing_hours_is_given_up() {
        let held = Expiry {
            missing: Some(Missing { from: at(100), at: at(130), until: Timestamp::MAX }),
            ..expiry(None)
        };
        assert!(!held.is_over(at(101), at(100_000)));
        assert!(!held.is_over(at(76), at(100_000)) && held.is_over(at(75), at(100_000)));
        assert_eq!(held.horizon(at(1_000)), at(76));
    }

    #[test]
    fn nothing_behind_the_horizon_is_in_time() {
        for missing in [None, Some((100, 130, 130)), Some((100, 130, 150))] {
            let expiry = expiry(missing);
            for now in 90..200 {
                let horizon = expiry.horizon(at(now));
                assert!(expiry.is_over(horizon.minus(Timestamp::FINEST), at(now)), "{missing:?} {now}");
                assert!(missing.is_some() || !expiry.is_over(horizon, at(now)), "{missing:?} {now}");
            }
        }
    }
}
