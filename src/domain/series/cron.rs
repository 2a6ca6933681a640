//! Cron expressions of five fields, or of six with seconds first, on the wall.
//!
//! `croner` reads them and says whether a day matches; days and times are walked here. Its own search takes a
//! quarter of a second for a day that never comes, up to the year 5000, and knows no bound; and it does not take
//! `7L` for the last Sunday, so 7 is written as 0 there. L, W, # and names mean what they mean to it; a day of the
//! month and a day of the week widen each other where neither is `*` or `?`.

use chrono::{Datelike, NaiveDate};
use croner::parser::{CronParser, Seconds, Year};

use super::stated::shown;
use super::walk::{Blocks, DAY, Filled, date, first_of_month, month_of};
use super::{FINEST_SECONDS, Start};

/// What an expression is.
pub(super) const FORM: &str = "write minute, hour, day, month and weekday, with seconds before them or without, such as \
                               `0 9 * * MON-FRI`";

/// Days in which any expression that fires at all does so: the calendar from the year 2000 has every weekday on
/// the 29th of February within 28 years.
const CYCLE_DAYS: i64 = 28 * 365 + 7;
/// 2000-01-01, in days since 1970-01-01.
const YEAR_2000: i64 = 10_957;

#[derive(Clone, PartialEq, Debug)]
pub(super) struct Cron {
    read: croner::Cron,
    hours: Vec<i64>,
    minutes: Vec<i64>,
    second: i64,
}

impl Cron {
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut fields: Vec<String> = text.split_whitespace().map(str::to_ascii_uppercase).collect();
        if !matches!(fields.len(), 5 | 6) {
            return Err(format!("`{}` has {} fields; {FORM}", shown(text), fields.len()));
        }
        if let Some(weekdays) = fields.last_mut() {
            *weekdays = weekdays.replace("7L", "0L");
        }
        let parser = CronParser::builder().seconds(Seconds::Optional).year(Year::Disallowed).build();
        let read = parser.parse(&fields.join(" ")).map_err(|error| {
            let why = error.to_string();
            format!("`{}` is no cron expression: {}; {FORM}", shown(text), why.trim_end_matches('.'))
        })?;
        let pattern = &read.pattern;
        let all = |end: u32, is_in: &dyn Fn(u32) -> bool| -> Vec<i64> {
            (0..end).filter(|value| is_in(*value)).map(i64::from).collect()
        };
        let hours = all(24, &|hour| pattern.hour_match(hour).unwrap_or(false));
        let minutes = all(60, &|minute| pattern.minute_match(minute).unwrap_or(false));
        let seconds = all(60, &|second| pattern.second_match(second).unwrap_or(false));
        let [second] = seconds[..] else {
            return Err(format!(
                "`{}` fires more often than every {FINEST_SECONDS} seconds; write one second, such as 0, or 5 fields",
                shown(text)
            ));
        };
        let cron = Self { hours, minutes, second, read };
        if !cron.fires() {
            return Err(format!("`{}` never fires: no day is like that; {FORM}", shown(text)));
        }
        Ok(cron)
    }

    pub(super) fn from(&self, start: Start) -> From<'_> {
        From { cron: self, by_day: start.by_day }
    }

    fn fires(&self) -> bool {
        let mut day = YEAR_2000;
        while day < YEAR_2000 + CYCLE_DAYS {
            match date(day) {
                Some(date) if self.matches(date) => {
                    return !self.hours.is_empty() && !self.minutes.is_empty();
                }
                Some(date) => day = self.next(day, date),
                None => return false,
            }
        }
        false
    }

    fn matches(&self, date: NaiveDate) -> bool {
        let pattern = &self.read.pattern;
        // An error would be one of a date, which this is not.
        pattern.month_match(date.month()).unwrap_or(false)
            && pattern.day_match(date.year(), date.month(), date.day()).unwrap_or(false)
    }

    /// The next day that may match: months without any are left out at once.
    fn next(&self, day: i64, date: NaiveDate) -> i64 {
        if self.read.pattern.month_match(date.month()).unwrap_or(false) {
            return day + 1;
        }
        first_of_month(month_of(date) + 1).unwrap_or(i64::MAX)
    }
}

/// A cron expression from a due date on; its blocks are days.
pub(super) struct From<'a> {
    cron: &'a Cron,
    by_day: bool,
}

impl Blocks for From<'_> {
    fn block_of(&self, wall: i64) -> i64 {
        wall.div_euclid(DAY)
    }

    fn fill(&self, day: i64, into: &mut Vec<i64>) -> Option<Filled> {
        let on = date(day)?;
        if !self.cron.matches(on) {
            return Some(Filled { next: self.cron.next(day, on), looked: 1 });
        }
        if self.by_day {
            into.push(day * DAY);
        } else {
            for hour in &self.cron.hours {
                let second = self.cron.second;
                into.extend(
                    self.cron.minutes.iter().map(|minute| day * DAY + hour * 3600 + minute * 60 + second),
                );
            }
        }
        Some(Filled { next: day + 1, looked: 1 })
    }

    fn count(&self, day: i64) -> Option<(usize, Filled)> {
        let on = date(day)?;
        let next = self.cron.next(day, on);
        let in_day = if self.by_day { 1 } else { self.cron.hours.len() * self.cron.minutes.len() };
        Some((if self.cron.matches(on) { in_day } else { 0 }, Filled { next, looked: 1 }))
    }
}
