//! Rules of several parts, as RFC 5545 has them: a frequency, an interval and BY… lists.
//!
//! Owns which days a rule names. Every list keeps or leaves out what a period holds (the RFC's "expand" and "limit" come
//! to the same), and where a rule names no day, that of the due date is meant. Months and years without that day are
//! skipped. Lists are sorted, so that however long one is, a look into it costs next to nothing.

use chrono::{Datelike, NaiveDate};

use super::walk::date;

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Freq {
    Yearly,
    Monthly,
    Weekly,
    Daily,
    Hourly,
    Minutely,
    Secondly,
}

/// A rule; an empty list says nothing. Negative numbers count from the end. Lists are sorted, with nothing twice.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Rule {
    pub(super) freq: Freq,
    pub(super) interval: u32,
    /// The day that weeks begin on; 0 is Monday, as in all days of the week here.
    pub(super) week_start: u8,
    pub(super) months: Vec<i32>,
    pub(super) weeks: Vec<i32>,
    pub(super) year_days: Vec<i32>,
    pub(super) month_days: Vec<i32>,
    /// Days of the week, each the n-th of its month or year; 0 is every one.
    pub(super) days: Vec<(i32, u8)>,
    pub(super) hours: Vec<i32>,
    pub(super) minutes: Vec<i32>,
    pub(super) seconds: Vec<i32>,
    /// Which of a period's occurrences are meant, the first being 1.
    pub(super) positions: Vec<i32>,
}

impl Freq {
    /// The seconds of one, for those that come more often than daily.
    pub(super) fn unit(self) -> Option<i64> {
        match self {
            Self::Hourly => Some(3600),
            Self::Minutely => Some(60),
            Self::Secondly => Some(1),
            Self::Yearly | Self::Monthly | Self::Weekly | Self::Daily => None,
        }
    }
}

impl Rule {
    pub(super) fn new(freq: Freq, interval: u32) -> Self {
        Self {
            freq,
            interval,
            week_start: 0,
            months: Vec::new(),
            weeks: Vec::new(),
            year_days: Vec::new(),
            month_days: Vec::new(),
            days: Vec::new(),
            hours: Vec::new(),
            minutes: Vec::new(),
            seconds: Vec::new(),
            positions: Vec::new(),
        }
    }

    /// On the `days` (bits, Monday first) only.
    pub(super) fn on_days(freq: Freq, interval: u32, days: u8) -> Self {
        let days = (0..7).filter(|day| days & (1 << day) != 0).map(|day| (0, day)).collect();
        Self { days, ..Self::new(freq, interval) }
    }

    /// The same with its lists in order.
    pub(super) fn sorted(mut self) -> Self {
        let lists = [
            &mut self.months,
            &mut self.weeks,
            &mut self.year_days,
            &mut self.month_days,
            &mut self.hours,
            &mut self.minutes,
            &mut self.seconds,
            &mut self.positions,
        ];
        for list in lists {
            list.sort_unstable();
            list.dedup();
        }
        self.days.sort_unstable();
        self.days.dedup();
        self
    }

    /// A rule that comes wherever the parts of this one meet, whatever its interval is; of the seconds one stands for all,
    /// since a block would have too many.
    pub(super) fn without_interval(&self) -> Self {
        let mut rule = Self { interval: 1, ..self.clone() };
        if rule.freq == Freq::Secondly {
            rule.freq = Freq::Minutely;
            rule.seconds.truncate(1);
        }
        rule
    }

    /// Names the day of the due date where the rule names none.
    pub(super) fn take_day(&mut self, began: Day) {
        let named = [&self.weeks, &self.year_days, &self.month_days].iter().any(|list| !list.is_empty());
        if named || !self.days.is_empty() {
            return;
        }
        match self.freq {
            Freq::Yearly | Freq::Monthly => {
                if self.freq == Freq::Yearly && self.months.is_empty() {
                    self.months.push(began.month);
                }
                self.month_days.push(began.of_month);
            }
            Freq::Weekly => self.days.push((0, began.of_week)),
            Freq::Daily | Freq::Hourly | Freq::Minutely | Freq::Secondly => {}
        }
    }

    pub(super) fn has_month(&self, month: i32) -> bool {
        has(&self.months, month)
    }

    pub(super) fn has_day(&self, day: Day) -> bool {
        let is_in = |list: &[i32], place: i32, length: i32| {
            has(list, place) || list.binary_search(&(place - length - 1)).is_ok()
        };
        self.has_month(day.month)
            && is_in(&self.month_days, day.of_month, day.month_length)
            && is_in(&self.year_days, day.of_year, day.year_length)
            && (self.days.is_empty() || self.names(day))
            && (self.weeks.is_empty() || {
                let (week, weeks) = day.week(self.week_start);
                is_in(&self.weeks, week, weeks)
            })
    }

    /// Whether the days of the week have it.
    fn names(&self, day: Day) -> bool {
        let (place, length) = if self.freq == Freq::Monthly || !self.months.is_empty() {
            (day.of_month, day.month_length)
        } else {
            (day.of_year, day.year_length)
        };
        let from_end = -((length - place) / 7 + 1);
        let is_named = |n: i32| self.days.binary_search(&(n, day.of_week)).is_ok();
        is_named(0) || is_named((place - 1) / 7 + 1) || is_named(from_end)
    }
}

/// Whether a sorted list has `value`; one that is empty says nothing.
pub(super) fn has(list: &[i32], value: i32) -> bool {
    list.is_empty() || list.binary_search(&value).is_ok()
}

/// A day, and its places.
#[derive(Clone, Copy)]
pub(super) struct Day {
    /// Days since 1970-01-01.
    day: i64,
    date: NaiveDate,
    month: i32,
    of_month: i32,
    month_length: i32,
    of_year: i32,
    year_length: i32,
    of_week: u8,
}

impl Day {
    pub(super) fn of(day: i64, date: NaiveDate) -> Self {
        let number = |n: u32| i32::try_from(n).unwrap_or(0);
        Self {
            day,
            date,
            month: number(date.month()),
            of_month: number(date.day()),
            month_length: i32::from(date.num_days_in_month()),
            of_year: number(date.ordinal()),
            year_length: if date.leap_year() { 366 } else { 365 },
            of_week: u8::try_from(date.weekday().num_days_from_monday()).unwrap_or(0),
        }
    }

    /// The number of its week and how many weeks the year of that week has: a week belongs to the year that has
    /// at least four of its days.
    fn week(self, week_start: u8) -> (i32, i32) {
        let begins = i64::from((self.of_week + 7 - week_start) % 7);
        let fourth = date(self.day - begins + 3).unwrap_or(self.date);
        let place = |date: NaiveDate| i32::try_from(date.ordinal0() / 7 + 1).unwrap_or(0);
        // Each later one of these fourth days in the year is another week of it.
        let left = if fourth.leap_year() { 365 } else { 364 } - i32::try_from(fourth.ordinal0()).unwrap_or(0);
        (place(fourth), place(fourth) + left / 7)
    }
}
