//! Series: the occurrences of a task that comes again, from its recurrence rule and its due date.
//!
//! Owns what a rule means. The due date is always the first occurrence: no rule, end or exception takes it away,
//! and it counts in `count`. Everything is expanded in wall time, as if there were no zones, and each wall time
//! becomes an instant by [`Moment::instant`]: an occurrence in a gap moves forward by the gap, one in an overlap
//! is the first of the two. Knows no task, no reminder and no clock.
//!
//! - `object`, `rfc5545`: what is read, from JSON objects and from RFC 5545 texts.
//! - `plain`, `rule` with `expand`, `cron`: three ways to expand, each a sequence of blocks in which occurrences lie; a
//!   walk (`walk`) starts at any block, so a series begun years ago costs no more than one begun today. Only `count`
//!   with a rule of several parts or a cron expression has to be counted from the start, a day at a time.
//!
//! RFC 5545 is expanded here and not by a package. `rrule` 0.14 starts at DTSTART whatever is asked, bounds its
//! search by nothing a caller can set (two seconds in a debug build for a day that never comes), refuses an UNTIL
//! without `Z`, and takes a first week for what is left of it where BYSETPOS counts. Of `croner` only the reading of
//! an expression and its test of a day are used, for the same reason; see `cron`.

mod cron;
mod exceptions;
mod expand;
mod object;
mod plain;
mod rfc5545;
mod rule;
mod stated;
mod walk;

#[cfg(test)]
mod tests;

use chrono::NaiveTime;
use serde_json::Value;

use super::due::{Due, Moment, Zone};
use super::event::RECURRENCE_MAX_BYTES;
use super::time::Timestamp;
use cron::Cron;
use exceptions::Exceptions;
use plain::Plain;
use rule::Rule;
use walk::{Blocks, DAY, Halt, STEPS_MAX, Walk};

/// A series never comes more often than this: a reminder a minute is a nuisance already, and finer ones would be
/// a load.
const FINEST_SECONDS: u32 = 60;

const DAY_MS: i64 = DAY * 1000;

/// A recurrence rule that was understood.
#[derive(Clone, PartialEq, Debug)]
pub struct Series {
    steps: Steps,
    /// How many occurrences there are, the due date among them.
    count: Option<u32>,
    /// The last instant, wall time or day an occurrence may fall on.
    end: Option<Due>,
    /// Occurrences that do not take place.
    without: Vec<Due>,
    follow: Option<bool>,
    on_complete: OnComplete,
}

/// What becomes of a series when its task is completed.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum OnComplete {
    /// It ends.
    #[default]
    End,
    /// It goes on with its next occurrence.
    Next,
}

/// What comes after an instant.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Next {
    /// This occurrence.
    At(Moment),
    /// None: the count is used up or the end is past, as the reason says.
    Ended(String),
    /// None was found within the bounds of the search, as the reason says.
    GaveUp(String),
}

#[derive(Clone, PartialEq, Debug)]
enum Steps {
    Plain(Plain),
    Rule(Rule),
    Cron(Cron),
}

/// Where a series begins.
#[derive(Clone, Copy)]
struct Start {
    /// The wall time of the due date, in whole seconds since 1970-01-01T00:00; midnight for a date alone.
    wall: i64,
    /// Whether occurrences are dates alone.
    by_day: bool,
}

/// What turns a wall time into an occurrence.
struct Frame {
    start: Start,
    /// What the due date has beyond whole seconds; its repetitions have it too.
    millis: i64,
    zone: Zone,
    date_only: NaiveTime,
}

impl Series {
    /// The series that `text` describes: the normalised JSON of a task's recurrence, an object or a string that
    /// holds an RFC 5545 text.
    ///
    /// # Errors
    ///
    /// Why it describes none, and what to write.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.len() > RECURRENCE_MAX_BYTES {
            return Err(format!("it is longer than {RECURRENCE_MAX_BYTES} bytes"));
        }
        match serde_json::from_str(text) {
            Ok(Value::Object(object)) => object::read(&object),
            Ok(Value::String(text)) => rfc5545::read(&text),
            _ => Err("it is neither an object with a frequency nor an RFC 5545 text".to_owned()),
        }
    }

    /// Whether it is to be followed, where it says so itself.
    #[must_use]
    pub fn follow(&self) -> Option<bool> {
        self.follow
    }

    /// What becomes of it when the task is completed.
    #[must_use]
    pub fn on_complete(&self) -> OnComplete {
        self.on_complete
    }

    /// The occurrence with the least instant after `after`, the due date `first` being the first of all; of two
    /// at one instant, which a gap makes, the earlier on the wall. `zone` is the task's, in which the wall time of
    /// `first` is kept; a date alone means `date_only` on its day.
    #[must_use]
    pub fn next_after(&self, first: Moment, zone: Zone, date_only: NaiveTime, after: Timestamp) -> Next {
        let first_at = first.instant(date_only);
        if after < first_at {
            return Next::At(first);
        }
        let Some(frame) = Frame::new(first, zone, date_only, !matches!(self.steps, Steps::Cron(_))) else {
            return Next::GaveUp("the due date is beyond the years 1 to 9999".to_owned());
        };
        let mut best = None;
        let blocks = self.blocks(frame.start);
        let mut walk = self.walk(blocks.as_ref(), &frame, after);
        let stop = self.search(&frame, &mut walk, first_at, after, &mut best);
        best.map_or_else(|| stop.told(self), |(_, moment)| Next::At(moment))
    }

    /// Whether the parts of the rule never meet, as far as a search from a leap year finds out. Its interval is left out
    /// of that: whether it meets them depends on the due date.
    #[must_use]
    pub fn never_comes(&self) -> bool {
        const LEAP_YEAR: Timestamp = Timestamp::from_millis(946_684_800_000);
        // The others have no parts, or were refused already.
        let Steps::Rule(rule) = &self.steps else { return false };
        let series = Self { steps: Steps::Rule(rule.without_interval()), ..self.clone() };
        let first = Moment::new(Due::Instant(LEAP_YEAR), Zone::UTC);
        matches!(series.next_after(first, Zone::UTC, NaiveTime::MIN, LEAP_YEAR), Next::GaveUp(_))
    }

    /// Whether `moment` is an occurrence of the series that began with `first`.
    #[must_use]
    pub fn is_occurrence(&self, first: Moment, zone: Zone, date_only: NaiveTime, moment: Moment) -> bool {
        let before = moment.instant(date_only).minus(Timestamp::FINEST);
        moment == first || self.next_after(first, zone, date_only, before) == Next::At(moment)
    }

    /// A walk that begins where what comes after `after` is to be looked for; or, where a count has no last one that can
    /// be computed, at the due date.
    fn walk<'b>(&self, blocks: &'b dyn Blocks, frame: &Frame, after: Timestamp) -> Walk<'b> {
        let is_counted = self.count.is_some_and(|count| blocks.nth(count.saturating_sub(1)).is_none());
        Walk::new(blocks, if is_counted { frame.start.wall } else { frame.soonest_after(after) })
    }

    /// Looks through the occurrences behind the due date for the `best`: the soonest after `after`.
    fn search(
        &self,
        frame: &Frame,
        walk: &mut Walk<'_>,
        first_at: Timestamp,
        after: Timestamp,
        best: &mut Option<(Timestamp, Moment)>,
    ) -> Stop {
        let last = self.count.map_or(Some(i64::MAX), |count| walk.blocks.nth(count.saturating_sub(1)));
        let soonest = frame.soonest_after(after);
        let mut left = None;
        if let (None, Some(count)) = (last, self.count) {
            match walk.count_to(frame.start.wall, soonest, count.saturating_sub(1)) {
                Ok(rest) => left = Some(rest),
                Err(halt) => return Stop::Halted(halt),
            }
        }
        let without = Exceptions::of(&self.without, frame);
        loop {
            if left == Some(0) {
                return Stop::UsedUp;
            }
            let wall = match walk.next() {
                Ok(wall) if wall <= frame.start.wall => continue,
                Ok(wall) if last.is_some_and(|last| wall > last) => return Stop::UsedUp,
                Ok(wall) => wall,
                Err(halt) => return Stop::Halted(halt),
            };
            left = left.map(|left| left - 1);
            if wall < soonest {
                continue;
            }
            let moment = frame.moment(wall);
            let at = moment.instant(frame.date_only);
            // Where a gap moved it forward, later wall times may come sooner.
            let moved = frame.zone.wall_at(at) > frame.wall_of(moment);
            let over = self.end.is_some_and(|end| frame.is_beyond(end, moment, at));
            let counts = at > after && at > first_at && !over;
            if counts && !without.have(frame, moment, at) {
                *best = Some(best.filter(|(sooner, _)| *sooner <= at).unwrap_or((at, moment)));
            }
            if over && !moved {
                return Stop::Past;
            }
            if best.is_some() && !moved {
                return Stop::Found;
            }
        }
    }

    fn blocks(&self, start: Start) -> Box<dyn Blocks + '_> {
        match &self.steps {
            Steps::Plain(plain) => plain.blocks(start),
            Steps::Rule(rule) => Box::new(expand::From::new(rule, start)),
            Steps::Cron(cron) => Box::new(cron.from(start)),
        }
    }
}

/// Why a search stopped.
enum Stop {
    Found,
    UsedUp,
    Past,
    Halted(Halt),
}

impl Stop {
    /// What is told where nothing was found.
    fn told(self, series: &Series) -> Next {
        match self {
            Self::UsedUp => Next::Ended(format!("all {} occurrences are past", series.count.unwrap_or(1))),
            Self::Found | Self::Past => Next::Ended("its end is past".to_owned()),
            Self::Halted(Halt::Steps) => Next::GaveUp(format!(
                "no occurrence within {STEPS_MAX} steps; write a rule that comes sooner"
            )),
            Self::Halted(Halt::Counting) => Next::GaveUp(format!(
                "its count of {} could not be followed within {STEPS_MAX} steps from the due date; write an end date \
                 (UNTIL), or state a later due date",
                series.count.unwrap_or(1)
            )),
            Self::Halted(Halt::Calendar) => Next::GaveUp("no occurrence before the year 10000".to_owned()),
        }
    }
}

impl Frame {
    fn new(first: Moment, zone: Zone, date_only: NaiveTime, millis: bool) -> Option<Self> {
        let zone = first.zone().unwrap_or(zone);
        let (wall_ms, by_day) = match first.due() {
            Due::Instant(at) => (zone.wall_at(at), false),
            Due::Wall(ms) => (ms, false),
            Due::Date(day) => (i64::from(day).saturating_mul(DAY_MS), true),
        };
        let wall = wall_ms.div_euclid(1000);
        let millis = if millis { wall_ms.rem_euclid(1000) } else { 0 };
        walk::is_in_calendar(wall).then_some(Self { start: Start { wall, by_day }, millis, zone, date_only })
    }

    fn moment(&self, wall: i64) -> Moment {
        let ms = wall * 1000 + self.millis;
        let due = if self.start.by_day {
            Due::Date(i32::try_from(wall.div_euclid(DAY)).unwrap_or(i32::MAX))
        } else {
            Due::Wall(ms)
        };
        Moment::new(due, self.zone)
    }

    /// The wall time that an occurrence states, in milliseconds.
    fn wall_of(&self, moment: Moment) -> i64 {
        match moment.due() {
            Due::Instant(at) => self.zone.wall_at(at),
            Due::Wall(ms) => ms,
            Due::Date(day) => {
                let of_day = self.date_only.signed_duration_since(NaiveTime::MIN).num_milliseconds();
                i64::from(day) * DAY_MS + of_day
            }
        }
    }

    /// A wall time below which no occurrence comes after `after`.
    fn soonest_after(&self, after: Timestamp) -> i64 {
        // The longest gaps are the days that islands skipped, which push a wall time forward by 24 hours.
        let window = std::time::Duration::from_secs(25 * 3600);
        let earlier = after.minus(window);
        let offset = |at: Timestamp| self.zone.wall_at(at).saturating_sub(at.millis());
        let gap = offset(after).saturating_sub(offset(earlier)).max(0);
        let whole = self.zone.wall_at(after).saturating_sub(gap).div_euclid(1000);
        if self.start.by_day { whole.saturating_sub(DAY) } else { whole }
    }

    /// Whether an occurrence lies beyond the end of its series.
    fn is_beyond(&self, end: Due, moment: Moment, at: Timestamp) -> bool {
        match end {
            Due::Instant(end) if !self.start.by_day => at > end,
            Due::Wall(end) if !self.start.by_day => self.wall_of(moment) > end,
            _ => self.day_of(moment) > self.day_stated(end),
        }
    }

    fn day_of(&self, moment: Moment) -> i64 {
        self.wall_of(moment).div_euclid(DAY_MS)
    }

    fn day_stated(&self, stated: Due) -> i64 {
        match stated {
            Due::Instant(at) => self.zone.wall_at(at).div_euclid(DAY_MS),
            Due::Wall(ms) => ms.div_euclid(DAY_MS),
            Due::Date(day) => i64::from(day),
        }
    }
}
