//! The clock guard: whether the wall clock has jumped between two looks at it.
//!
//! Three clocks are compared. The monotonic one runs while the machine does; the boot-time one runs on in a suspend as
//! well; the wall clock is what somebody sets. So a suspend is what boot time is ahead of monotonic time by, and a step
//! what the wall clock is ahead of boot time by. The decision is pure; [`Guard`] only remembers the look before.
//!
//! Accepted: a step smaller than a clock that is slewed may gain or lose meanwhile is not told from that. It makes
//! nothing early, since the wall clock is read again after every sleep, and nothing later than the sleep's own bound.

use std::fmt;
use std::time::Duration;

use super::{Clock, millis};
use crate::domain::Timestamp;

/// What is no step yet: more than any daemon slews within a look's usual second.
pub const STEP_MIN: Duration = Duration::from_millis(500);
/// The part of the time between two looks that slewing may gain or lose: chrony takes a twelfth at most.
const SLEWED: u32 = 10;
/// The clocks are read one after another: a look that took longer says nothing, since the process was stopped within.
const LOOK_MAX: Duration = Duration::from_millis(50);

/// The three clocks at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Reading {
    /// The wall clock.
    pub wall: Timestamp,
    /// The machine's time while it runs.
    pub monotonic: Duration,
    /// The machine's time with its suspends.
    pub boot: Duration,
    /// Whether they belong to one moment and follow one another at all.
    pub sound: bool,
}

impl Reading {
    /// Reads `clock`. It is not sound where that took too long, or where the wall time is simulated and means to jump.
    #[must_use]
    pub fn of(clock: &dyn Clock) -> Self {
        let monotonic = clock.monotonic();
        let boot = clock.boot();
        let wall = clock.now();
        let took = clock.boot().saturating_sub(boot).max(clock.monotonic().saturating_sub(monotonic));
        Self { wall, monotonic, boot, sound: took <= LOOK_MAX && clock.simulated().is_none() }
    }
}

/// How the wall clock has jumped.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Jump {
    /// It was set ahead.
    Ahead(Duration),
    /// It was set back.
    Back(Duration),
    /// The machine was suspended: the wall clock is right, and nobody waited as long as they meant to.
    Suspended(Duration),
}

impl Jump {
    /// Its name, for a metric.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Ahead(_) => "ahead",
            Self::Back(_) => "back",
            Self::Suspended(_) => "suspended",
        }
    }
}

impl fmt::Display for Jump {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let span = |by: Duration| humantime::format_duration(Duration::from_millis(millis(by))).to_string();
        match self {
            Self::Ahead(by) => write!(f, "the wall clock was set ahead by {}", span(*by)),
            Self::Back(by) => write!(f, "the wall clock was set back by {}", span(*by)),
            Self::Suspended(by) => write!(f, "the machine was suspended for {}", span(*by)),
        }
    }
}

/// How the wall clock has jumped between two looks. A step counts before a suspend: it changes what is due.
#[must_use]
pub fn jump(before: &Reading, after: &Reading) -> Option<Jump> {
    let ran = after.monotonic.saturating_sub(before.monotonic);
    let passed = after.boot.saturating_sub(before.boot);
    let least = STEP_MIN.max(ran / SLEWED);
    let expected = before.wall.plus(passed);
    let (ahead, back) = (after.wall.since(expected), expected.since(after.wall));
    let suspended = passed.saturating_sub(ran);
    // Slewing never turns a clock back.
    if back >= least || after.wall < before.wall {
        return Some(Jump::Back(back));
    }
    if ahead >= least {
        return Some(Jump::Ahead(ahead));
    }
    (suspended >= STEP_MIN).then_some(Jump::Suspended(suspended))
}

/// Who remembers the look before.
#[derive(Default, Debug)]
pub struct Guard {
    before: Option<Reading>,
}

impl Guard {
    /// How the wall clock has jumped since the look before; a reading that is not sound is passed over.
    pub fn look(&mut self, now: &Reading) -> Option<Jump> {
        if !now.sound {
            return None;
        }
        let before = self.before.replace(*now);
        jump(&before?, now)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn reading(wall: u64, monotonic: u64, boot: u64) -> Reading {
        let wall = Timestamp::from_millis(1_000_000_000_000 + i64::try_from(wall).unwrap());
        Reading {
            wall,
            monotonic: Duration::from_millis(monotonic),
            boot: Duration::from_millis(boot),
            sound: true,
        }
    }

    #[test]
    fn a_step_and_a_suspend_are_told_apart_and_slewing_is_neither() {
        let ms = Duration::from_millis;
        let before = reading(2 * HOUR, 0, 0);
        let at = |wall: u64, monotonic, boot| reading(2 * HOUR + wall, monotonic, boot);
        for (after, expected) in [
            (at(1_000, 1_000, 1_000), None),
            (at(1_499, 1_000, 1_000), None),
            (at(1_500, 1_000, 1_000), Some(Jump::Ahead(ms(500)))),
            (at(501, 1_000, 1_000), None),
            (at(500, 1_000, 1_000), Some(Jump::Back(ms(500)))),
            // However little, if it is less than before.
            (reading(2 * HOUR - 1, 10, 10), Some(Jump::Back(ms(11)))),
            (at(HOUR + 1_000, 1_000, 1_000), Some(Jump::Ahead(ms(HOUR)))),
            (reading(HOUR + 1_000, 1_000, 1_000), Some(Jump::Back(ms(HOUR)))),
            // Suspended for an hour, and the wall clock is right.
            (at(HOUR, 1_000, HOUR), Some(Jump::Suspended(ms(HOUR - 1_000)))),
            (at(1_499, 1_000, 1_499), None),
            (at(1_500, 1_000, 1_500), Some(Jump::Suspended(ms(500)))),
            // Suspended, and set meanwhile.
            (at(2 * HOUR, 1_000, HOUR), Some(Jump::Ahead(ms(HOUR)))),
            (reading(HOUR, 1_000, HOUR), Some(Jump::Back(ms(2 * HOUR)))),
            // Stopped for a minute: the machine went on. A clock that is slewed gains or loses up to a tenth.
            (at(60_000, 60_000, 60_000), None),
            (at(65_999, 60_000, 60_000), None),
            (at(66_000, 60_000, 60_000), Some(Jump::Ahead(ms(6_000)))),
            (at(54_000, 60_000, 60_000), Some(Jump::Back(ms(6_000)))),
        ] {
            assert_eq!(jump(&before, &after), expected, "{after:?}");
        }
    }

    #[test]
    fn each_jump_is_noticed_once_and_a_look_that_says_nothing_hides_none() {
        let mut guard = Guard::default();
        assert_eq!(guard.look(&reading(0, 0, 0)), None, "the first look knows nothing");
        assert_eq!(guard.look(&Reading { sound: false, ..reading(HOUR, 500, 500) }), None);
        let hour = Some(Jump::Ahead(Duration::from_millis(HOUR)));
        assert_eq!(guard.look(&reading(HOUR + 1_000, 1_000, 1_000)), hour);
        assert_eq!(guard.look(&reading(HOUR + 2_000, 2_000, 2_000)), None);
        assert_eq!(
            Jump::Back(Duration::from_millis(90_000)).to_string(),
            "the wall clock was set back by 1m 30s"
        );
    }
}
