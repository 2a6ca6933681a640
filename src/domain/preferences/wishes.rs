//! The values of wishes.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::domain::event::Priority;
use crate::domain::time::Timestamp;

/// A time of day on the user's walls, to the minute.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    const DAY_MINUTES: u16 = 24 * 60;

    /// The time so many minutes after midnight, if the day has it.
    #[must_use]
    pub fn from_minutes(minutes: u16) -> Option<Self> {
        (minutes < Self::DAY_MINUTES).then_some(Self(minutes))
    }

    /// Minutes after midnight.
    #[must_use]
    pub fn minutes(self) -> u16 {
        self.0
    }

    /// Milliseconds after midnight.
    #[must_use]
    pub fn millis(self) -> i64 {
        i64::from(self.0) * 60_000
    }
}

impl FromStr for TimeOfDay {
    type Err = String;

    /// Reads `22:00`; seconds may follow where they are zero.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let time = text.strip_suffix(":00").filter(|time| time.len() == "22:00".len()).unwrap_or(text);
        let read = || {
            let (hours, minutes) = time.split_once(':')?;
            let two = |digits: &str| {
                let is_two = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
                is_two.then(|| digits.parse::<u16>().ok())?
            };
            let minutes = two(minutes).filter(|minutes| *minutes < 60)?;
            Self::from_minutes(two(hours)? * 60 + minutes)
        };
        read().ok_or_else(|| "it is no time of day; write one such as 22:00".to_owned())
    }
}

impl fmt::Display for TimeOfDay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:02}:{:02}", self.0 / 60, self.0 % 60)
    }
}

/// What becomes of a reminder in quiet hours.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default, Serialize, Deserialize)]
pub enum QuietMode {
    /// It waits for their end.
    #[default]
    Defer,
    /// It is not sent.
    Drop,
    /// It is sent just before they begin, if it can be.
    Earlier,
}

impl QuietMode {
    /// Every mode.
    pub const ALL: [Self; 3] = [Self::Defer, Self::Drop, Self::Earlier];

    /// Its word.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Defer => "defer",
            Self::Drop => "drop",
            Self::Earlier => "earlier",
        }
    }
}

/// Hours in which nothing but what is HIGH is sent, from `start` until `end`, perhaps over midnight.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Quiet {
    start: TimeOfDay,
    end: TimeOfDay,
    mode: QuietMode,
}

impl Quiet {
    /// The hours, unless they last all day.
    ///
    /// # Errors
    /// What to write instead.
    pub fn new(start: TimeOfDay, end: TimeOfDay, mode: QuietMode) -> Result<Self, String> {
        if start == end {
            return Err("quiet hours that begin when they end last all day; mute the user instead".to_owned());
        }
        Ok(Self { start, end, mode })
    }

    /// When they begin.
    #[must_use]
    pub fn start(self) -> TimeOfDay {
        self.start
    }

    /// When they end.
    #[must_use]
    pub fn end(self) -> TimeOfDay {
        self.end
    }

    /// What becomes of what falls into them.
    #[must_use]
    pub fn mode(self) -> QuietMode {
        self.mode
    }
}

/// Silence.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Mute {
    /// Until it is taken back.
    Always,
    /// Until this instant.
    Until(Timestamp),
}

impl Mute {
    /// Whether what is planned for `at` is not sent.
    #[must_use]
    pub fn covers(self, at: Timestamp) -> bool {
        match self {
            Self::Always => true,
            Self::Until(end) => at < end,
        }
    }
}

/// What is due, in one event a day.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub struct Digest {
    /// When, on the user's walls.
    pub at: TimeOfDay,
    /// What is of a lower priority than this; the rest is sent alone.
    pub below: Priority,
}
