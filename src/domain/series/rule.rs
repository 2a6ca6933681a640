//! Rules of several parts, as RFC 5545 has them: a frequency, an interval and BY… lists.
//!
//! Every list keeps or leaves out what a period holds (the RFC's "expand" and "limit" come to the same), and where
//! a rule names no day, that of the due date is meant. Months and years without that day are skipped. Periods are
//! years, months, weeks or days; a rule that comes more often is expanded by the day too.

use chrono::{Datelike, NaiveDate};

use super::Start;
use super::walk::{Blocks, DAY, Filled, date, first_of_month, month_of};

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

/// A rule; an empty list says nothing. Negative numbers count from the end.
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
    fn unit(self) -> Option<i64> {
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

    pub(super) fn from(&self, start: Start) -> From {
        let mut rule = self.clone();
        let of_day = start.wall.rem_euclid(DAY);
        let day = start.wall.div_euclid(DAY);
        if let Some(began) = date(day) {
            rule.take_day(Day::of(day, began));
        }
        let part = |list: &mut Vec<i32>, until: Freq, own: i64| {
            if list.is_empty() && rule.freq < until {
                list.push(i32::try_from(own).unwrap_or(0));
            }
        };
        let (mut hours, mut minutes, mut seconds) =
            (rule.hours.clone(), rule.minutes.clone(), rule.seconds.clone());
        part(&mut hours, Freq::Hourly, of_day / 3600);
        part(&mut minutes, Freq::Minutely, of_day / 60 % 60);
        part(&mut seconds, Freq::Secondly, of_day % 60);
        for list in [&mut hours, &mut minutes, &mut seconds] {
            list.sort_unstable();
            list.dedup();
        }
        let (hours, minutes, seconds) = if start.by_day && rule.freq.unit().is_none() {
            (vec![0], vec![0], vec![0])
        } else {
            (hours, minutes, seconds)
        };
        From { rule: Self { hours, minutes, seconds, ..rule }, start, day }
    }

    /// Names the day of the due date where the rule names none.
    fn take_day(&mut self, began: Day) {
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

    fn has_month(&self, month: i32) -> bool {
        self.months.is_empty() || self.months.contains(&month)
    }

    fn has_day(&self, day: Day) -> bool {
        let is_in = |list: &[i32], place: i32, length: i32| {
            list.is_empty() || list.iter().any(|n| *n == place || *n < 0 && length + 1 + n == place)
        };
        self.has_month(day.month)
            && is_in(&self.month_days, day.of_month, day.month_length)
            && is_in(&self.year_days, day.of_year, day.year_length)
            && (self.days.is_empty() || self.days.iter().any(|named| self.is_named(*named, day)))
            && (self.weeks.is_empty() || {
                let (week, weeks) = day.week(self.week_start);
                is_in(&self.weeks, week, weeks)
            })
    }

    fn is_named(&self, (n, weekday): (i32, u8), day: Day) -> bool {
        let (place, length) = if self.freq == Freq::Monthly || !self.months.is_empty() {
            (day.of_month, day.month_length)
        } else {
            (day.of_year, day.year_length)
        };
        weekday == day.of_week && (n == 0 || n == (place - 1) / 7 + 1 || n == -((length - place) / 7 + 1))
    }

    /// Keeps of the period that begins at `period` in `found` what the positions name.
    fn keep_positions(&self, found: &mut Vec<i64>, period: usize) {
        if self.positions.is_empty() {
            return;
        }
        let length = i32::try_from(found.len() - period).unwrap_or(i32::MAX);
        let is_named = |place: i32| self.positions.iter().any(|n| *n == place || length + 1 + n == place);
        let mut place = 0;
        let kept = found.drain(period..).filter(|_| {
            place += 1;
            is_named(place)
        });
        let kept: Vec<i64> = kept.collect();
        found.extend(kept);
    }
}

/// A day, and its places.
#[derive(Clone, Copy)]
struct Day {
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
    fn of(day: i64, date: NaiveDate) -> Self {
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
        // The fourth day of the last week is the last such day of the week in the year.
        let left = if fourth.leap_year() { 365 } else { 364 } - i32::try_from(fourth.ordinal0()).unwrap_or(0);
        (place(fourth), place(fourth) + left / 7)
    }
}

/// A rule from a due date on. Its blocks are its periods, every `interval`-th counted from that of the due date;
/// those of a rule that comes more often than daily are days since 1970-01-01.
pub(super) struct From {
    rule: Rule,
    start: Start,
    /// The day of the due date.
    day: i64,
}

impl From {
    fn interval(&self) -> i64 {
        i64::from(self.rule.interval)
    }

    /// The number of the period in which `day` lies.
    fn period(&self, day: i64) -> i64 {
        match self.rule.freq {
            Freq::Yearly => date(day).map_or(0, |date| i64::from(date.year())),
            Freq::Monthly => date(day).map_or(0, month_of),
            Freq::Weekly => (day - self.first_week()).div_euclid(7),
            Freq::Daily | Freq::Hourly | Freq::Minutely | Freq::Secondly => day,
        }
    }

    /// A day on which a week began, the weeks' number 0.
    fn first_week(&self) -> i64 {
        // 1970-01-01 was a Thursday.
        i64::from(self.rule.week_start) - 3
    }

    /// Adds what `days` hold; how many were looked at.
    fn add_days(&self, days: std::ops::Range<i64>, into: &mut Vec<i64>) -> usize {
        let rule = &self.rule;
        let looked = usize::try_from(days.end - days.start).unwrap_or(0);
        for day in days {
            if !date(day).is_some_and(|on| rule.has_day(Day::of(day, on))) {
                continue;
            }
            for hour in &rule.hours {
                for minute in &rule.minutes {
                    let minute = day * DAY + i64::from(*hour) * 3600 + i64::from(*minute) * 60;
                    into.extend(rule.seconds.iter().map(|second| minute + i64::from(*second)));
                }
            }
        }
        looked
    }

    fn add_month(&self, month: i64, into: &mut Vec<i64>) -> Option<usize> {
        let first = first_of_month(month)?;
        let on = date(first)?;
        if !self.rule.has_month(i32::try_from(on.month()).unwrap_or(0)) {
            return Some(1);
        }
        Some(self.add_days(first..first + i64::from(on.num_days_in_month()), into))
    }

    fn fill_period(&self, block: i64, into: &mut Vec<i64>) -> Option<Filled> {
        let period = self.period(self.day).saturating_add(block.saturating_mul(self.interval()));
        let looked = match self.rule.freq {
            Freq::Yearly => {
                let january = period.saturating_mul(12);
                let mut looked = 0;
                for month in 0..12 {
                    looked += self.add_month(january.saturating_add(month), into)?;
                }
                looked
            }
            Freq::Monthly => self.add_month(period, into)?,
            Freq::Weekly => {
                let first = period.saturating_mul(7).saturating_add(self.first_week());
                date(first)?;
                self.add_days(first..first + 7, into)
            }
            Freq::Daily | Freq::Hourly | Freq::Minutely | Freq::Secondly => {
                date(period)?;
                self.add_days(period..period + 1, into)
            }
        };
        self.rule.keep_positions(into, 0);
        Some(Filled { next: block + 1, looked })
    }

    /// The occurrences on `day` of a rule that comes every so many of `unit` seconds.
    fn fill_day(&self, unit: i64, day: i64, into: &mut Vec<i64>) -> Option<Filled> {
        let on = date(day)?;
        let (in_day, interval) = (DAY / unit, self.interval());
        let began = self.start.wall.div_euclid(unit);
        let following = |place: i64| place + (began - place).rem_euclid(interval);
        let tomorrow = following((day + 1) * in_day).div_euclid(in_day);
        let mut looked = 1;
        if self.rule.has_day(Day::of(day, on)) {
            let mut place = following(day * in_day);
            while place < (day + 1) * in_day {
                looked += 1;
                self.add_unit(place * unit, into);
                place += interval;
            }
        }
        if self.start.by_day && !into.is_empty() {
            into.clear();
            into.push(day * DAY);
        }
        Some(Filled { next: tomorrow, looked })
    }

    /// The occurrences in the hour, minute or second that begins at `wall`.
    fn add_unit(&self, wall: i64, into: &mut Vec<i64>) {
        let rule = &self.rule;
        let is_in = |list: &[i32], value: i64| list.is_empty() || list.iter().any(|n| i64::from(*n) == value);
        let of_day = wall.rem_euclid(DAY);
        let period = into.len();
        if !is_in(&rule.hours, of_day / 3600) {
            return;
        }
        match rule.freq {
            Freq::Secondly => {
                if is_in(&rule.minutes, of_day / 60 % 60) && is_in(&rule.seconds, of_day % 60) {
                    into.push(wall);
                }
            }
            Freq::Minutely => {
                if is_in(&rule.minutes, of_day / 60 % 60) {
                    into.extend(rule.seconds.iter().map(|second| wall + i64::from(*second)));
                }
            }
            _ => {
                for minute in &rule.minutes {
                    let minute = wall + i64::from(*minute) * 60;
                    into.extend(rule.seconds.iter().map(|second| minute + i64::from(*second)));
                }
            }
        }
        rule.keep_positions(into, period);
    }
}

impl Blocks for From {
    fn block_of(&self, wall: i64) -> i64 {
        let day = wall.div_euclid(DAY).max(self.day);
        match self.rule.freq.unit() {
            Some(_) => day,
            None => (self.period(day) - self.period(self.day)) / self.interval(),
        }
    }

    fn fill(&self, block: i64, into: &mut Vec<i64>) -> Option<Filled> {
        match self.rule.freq.unit() {
            Some(unit) => self.fill_day(unit, block, into),
            None => self.fill_period(block, into),
        }
    }
}
