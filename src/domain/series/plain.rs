//! Rules without parts, whose occurrences are computed: every so often, weekdays of every so many weeks, and the
//! day of the month it began on.
//!
//! The last falls back to the last day of shorter months and takes its own day again after them.

use chrono::Datelike;

use super::Start;
use super::walk::{Blocks, DAY, Filled, count_filled, date, first_of_month, month_of};

/// The day of the week of 1970-01-01, Monday being 0.
const EPOCH_WEEKDAY: i64 = 3;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Plain {
    /// Every so many seconds on the wall.
    Every(i64),
    /// On weekdays (bit 0 is Monday, at least one) of every so many weeks, which begin on Monday.
    Weekly { weeks: u32, days: u8 },
    /// On the day of the month it began on, or the last one, of every so many months.
    Monthly { months: i64 },
}

impl Plain {
    pub(super) fn blocks(self, start: Start) -> Box<dyn Blocks> {
        match self {
            // On dates alone nothing comes more often than daily.
            Self::Every(step) if start.by_day => {
                Box::new(Every { start: start.wall, step: step.max(DAY), by_day: true })
            }
            Self::Every(step) => Box::new(Every { start: start.wall, step, by_day: false }),
            Self::Weekly { weeks, days } => Box::new(Weekly::new(start.wall, i64::from(weeks), days)),
            Self::Monthly { months } => Box::new(Monthly { start: start.wall, months }),
        }
    }
}

struct Every {
    start: i64,
    step: i64,
    by_day: bool,
}

impl Every {
    fn wall(&self, n: i64) -> i64 {
        let wall = self.start.saturating_add(n.saturating_mul(self.step));
        if self.by_day { wall.div_euclid(DAY) * DAY } else { wall }
    }
}

impl Blocks for Every {
    fn block_of(&self, wall: i64) -> i64 {
        ((wall - self.start) / self.step).max(0)
    }

    fn fill(&self, block: i64, into: &mut Vec<i64>) -> Option<Filled> {
        let wall = self.wall(block);
        date(wall.div_euclid(DAY))?;
        into.push(wall);
        Some(Filled { next: block + 1, looked: 0 })
    }

    fn count(&self, block: i64) -> Option<(usize, Filled)> {
        count_filled(self, block)
    }

    fn nth(&self, n: u32) -> Option<i64> {
        Some(self.wall(i64::from(n)))
    }
}

struct Weekly {
    start: i64,
    /// The days since 1970-01-01 of the Monday before the start.
    monday: i64,
    of_day: i64,
    weeks: i64,
    /// Days after Monday, in order.
    days: Vec<i64>,
}

impl Weekly {
    fn new(start: i64, weeks: i64, days: u8) -> Self {
        let day = start.div_euclid(DAY);
        let monday = day - (day + EPOCH_WEEKDAY).rem_euclid(7);
        let days = (0..7).filter(|day| days & (1 << day) != 0).collect();
        Self { start, monday, of_day: start.rem_euclid(DAY), weeks, days }
    }

    fn wall(&self, block: i64, day: i64) -> i64 {
        let monday = self.monday.saturating_add(block.saturating_mul(self.weeks * 7));
        monday.saturating_add(day).saturating_mul(DAY).saturating_add(self.of_day)
    }
}

impl Blocks for Weekly {
    fn block_of(&self, wall: i64) -> i64 {
        ((wall.div_euclid(DAY) - self.monday) / (self.weeks * 7)).max(0)
    }

    fn fill(&self, block: i64, into: &mut Vec<i64>) -> Option<Filled> {
        into.extend(self.days.iter().map(|day| self.wall(block, *day)));
        // A week that ends behind the calendar may still begin within it.
        into.retain(|wall| date(wall.div_euclid(DAY)).is_some());
        (!into.is_empty()).then_some(Filled { next: block + 1, looked: 0 })
    }

    fn count(&self, block: i64) -> Option<(usize, Filled)> {
        count_filled(self, block)
    }

    fn nth(&self, n: u32) -> Option<i64> {
        if n == 0 {
            return Some(self.start);
        }
        let in_first_week = self.days.iter().filter(|day| self.wall(0, **day) > self.start).count();
        let skipped = self.days.len() - in_first_week;
        // The due date is the occurrence 0, whether it is on one of the days or not.
        let place = usize::try_from(n).ok()? - 1 + skipped;
        let block = i64::try_from(place / self.days.len()).ok()?;
        Some(self.wall(block, self.days[place % self.days.len()]))
    }
}

struct Monthly {
    start: i64,
    months: i64,
}

impl Monthly {
    fn wall(&self, n: i64) -> Option<i64> {
        let began = date(self.start.div_euclid(DAY))?;
        let month = month_of(began).saturating_add(n.saturating_mul(self.months));
        let first = first_of_month(month)?;
        let length = date(first)?.num_days_in_month();
        let day = first + i64::from(began.day().min(u32::from(length))) - 1;
        Some(day * DAY + self.start.rem_euclid(DAY))
    }
}

impl Blocks for Monthly {
    fn block_of(&self, wall: i64) -> i64 {
        let month = |wall: i64| date(wall.div_euclid(DAY)).map_or(0, month_of);
        ((month(wall) - month(self.start)) / self.months).max(0)
    }

    fn fill(&self, block: i64, into: &mut Vec<i64>) -> Option<Filled> {
        into.push(self.wall(block)?);
        Some(Filled { next: block + 1, looked: 0 })
    }

    fn count(&self, block: i64) -> Option<(usize, Filled)> {
        count_filled(self, block)
    }

    fn nth(&self, n: u32) -> Option<i64> {
        // Behind the calendar there is no last one to stop at: the walk ends there by itself.
        Some(self.wall(i64::from(n)).unwrap_or(i64::MAX))
    }
}
