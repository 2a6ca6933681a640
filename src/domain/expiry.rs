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
    /// What does not count, if the clock was set ahead.
    pub leap: Option<Leap>,
}

/// The time that a clock which was set ahead has passed over, all its steps together up to the last one: nobody could have
/// sent anything in it, and it may be set back as it was set ahead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Leap {
    /// So much before `to`.
    pub from: Timestamp,
    /// What the clock showed after the last step.
    pub to: Timestamp,
}

impl Leap {
    /// How much of the time from `since` on it is, until `now`.
    #[must_use]
    pub fn within(&self, since: Timestamp, now: Timestamp) -> Duration {
        now.min(self.to).since(since.max(self.from))
    }
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
    /// What is to go out by then is held; `None` where nothing is.
    pub held_to: Option<Timestamp>,
}

impl Expiry {
    /// Whether a reminder that is late from then on is given up at `now`.
    #[must_use]
    pub fn is_over(&self, late_from: Timestamp, now: Timestamp) -> bool {
        let excused = self
            .missing
            .filter(|missing| late_from <= missing.at)
            .map_or(Duration::ZERO, |missing| now.min(missing.until).since(late_from.max(missing.from)));
        let leapt = self.leap.map_or(Duration::ZERO, |leap| leap.within(late_from, now));
        now.since(late_from).saturating_sub(excused).saturating_sub(leapt) > self.after
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
        let leap = self.leap.filter(|leap| now.since(leap.to) <= self.after);
        let leapt = leap.map_or(Duration::ZERO, |leap| leap.within(leap.from, now));
        now.minus(self.after).minus(excused).minus(leapt)
    }
}

impl From<Duration> for Expiry {
    fn from(after: Duration) -> Self {
        Self { after, missing: None, leap: None }
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
            held_to: None,
        });
        Expiry { after: Duration::from_secs(24 * 3600), missing, leap: None }
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
            missing: Some(Missing {
                from: at(100),
                at: at(130),
                until: Timestamp::MAX,
                held_to: Some(at(130)),
            }),
            ..expiry(None)
        };
        assert!(!held.is_over(at(101), at(100_000)));
        assert!(!held.is_over(at(76), at(100_000)) && held.is_over(at(75), at(100_000)));
        assert_eq!(held.horizon(at(1_000)), at(76));
    }

    #[test]
    fn what_a_clock_that_was_set_ahead_has_passed_over_does_not_count() {
        // Set from 100 to 200; of each the last hour at which it is not given up.
        let leapt = Expiry { leap: Some(Leap { from: at(100), to: at(200) }), ..expiry(None) };
        for (late_from, last) in [(90, 214), (100, 224), (150, 224), (200, 224), (201, 225)] {
            assert!(!leapt.is_over(at(late_from), at(last)), "{late_from}");
            assert!(leapt.is_over(at(late_from), at(last).plus(Timestamp::FINEST)), "{late_from}");
        }
        assert!(leapt.is_over(at(70), at(200)), "it was too late before");
    }

    #[test]
    fn nothing_behind_the_horizon_is_in_time() {
        let leap = Some(Leap { from: at(100), to: at(130) });
        for (missing, leap) in
            [(None, None), (Some((100, 130, 130)), None), (Some((100, 130, 150)), None), (None, leap)]
        {
            let expiry = Expiry { leap, ..expiry(missing) };
            for now in 90..200 {
                let horizon = expiry.horizon(at(now));
                assert!(expiry.is_over(horizon.minus(Timestamp::FINEST), at(now)), "{missing:?} {now}");
                let all_count = missing.is_none() && leap.is_none();
                assert!(!all_count || !expiry.is_over(horizon, at(now)), "{missing:?} {now}");
            }
        }
    }
}
