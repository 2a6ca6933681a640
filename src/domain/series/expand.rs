//! A rule from a due date on, expanded block by block.
//!
//! A block is a day since 1970-01-01, so that none holds more than its minutes. Only where positions count in longer
//! periods it is such a period, the `interval`-th counted from that of the due date; of its occurrences the days alone
//! are laid out, and the named ones are computed.

use std::cell::RefCell;

use chrono::Datelike;

use super::Start;
use super::rule::{Day, Freq, Rule, has};
use super::walk::{Blocks, DAY, Filled, count_filled, date, first_of_month, month_of};

/// In a table of how many occurrences days have: not counted yet. A day has 1,440 at most.
const UNCOUNTED: u16 = u16::MAX;

/// A rule from a due date on.
pub(super) struct From {
    rule: Rule,
    start: Start,
    /// The day of the due date.
    day: i64,
    /// The seconds at which occurrences lie in a day, or in an hour, minute or second of a rule that comes so often.
    times: Vec<i64>,
    /// Of a rule that comes more often than daily, how many occurrences a day has, by how far into it its interval
    /// begins anew: days that begin alike are counted once.
    counts: RefCell<Vec<u16>>,
}

impl From {
    pub(super) fn new(rule: &Rule, start: Start) -> Self {
        let mut rule = rule.clone();
        let of_day = start.wall.rem_euclid(DAY);
        let day = start.wall.div_euclid(DAY);
        if let Some(began) = date(day) {
            rule.take_day(Day::of(day, began));
        }
        let freq = rule.freq;
        let part = |list: &mut Vec<i32>, until: Freq, own: i64| {
            if list.is_empty() && freq < until {
                list.push(i32::try_from(own).unwrap_or(0));
            }
        };
        part(&mut rule.hours, Freq::Hourly, of_day / 3600);
        part(&mut rule.minutes, Freq::Minutely, of_day / 60 % 60);
        part(&mut rule.seconds, Freq::Secondly, of_day % 60);
        let mut times = times(&rule, start.by_day);
        if freq.unit().is_some() && !rule.positions.is_empty() {
            times = picked(&rule.positions, times.len()).into_iter().map(|place| times[place]).collect();
        }
        Self { rule, start, day, times, counts: RefCell::default() }
    }

    fn interval(&self) -> i64 {
        i64::from(self.rule.interval)
    }

    /// Whether blocks are periods and no days.
    fn is_by_period(&self) -> bool {
        self.rule.freq.unit().is_none() && !self.rule.positions.is_empty()
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

    /// The first day of a period; `None` behind the calendar.
    fn first_of(&self, period: i64) -> Option<i64> {
        match self.rule.freq {
            Freq::Yearly => first_of_month(period.saturating_mul(12)),
            Freq::Monthly => first_of_month(period),
            Freq::Weekly => Some(period.saturating_mul(7).saturating_add(self.first_week())),
            Freq::Daily | Freq::Hourly | Freq::Minutely | Freq::Secondly => Some(period),
        }
    }

    /// A day on which a week began, the weeks' number 0.
    fn first_week(&self) -> i64 {
        // 1970-01-01 was a Thursday.
        i64::from(self.rule.week_start) - 3
    }

    /// Whether the rule has `day`, and the next one that it may have; `None` behind the calendar.
    fn look(&self, day: i64) -> Option<(bool, i64)> {
        let on = date(day)?;
        let mut next = day + 1;
        if let Some(unit) = self.rule.freq.unit() {
            next = self.following(next * (DAY / unit), unit).div_euclid(DAY / unit);
        } else {
            let period = self.period(day);
            let wait = (self.period(self.day) - period).rem_euclid(self.interval());
            if wait > 0 {
                return Some((false, self.first_of(period.saturating_add(wait)).unwrap_or(i64::MAX)));
            }
        }
        if !self.rule.has_month(i32::try_from(on.month()).unwrap_or(0)) {
            // A month without any is left out at once.
            return Some((false, next.max(first_of_month(month_of(on) + 1).unwrap_or(i64::MAX))));
        }
        Some((self.rule.has_day(Day::of(day, on)), next))
    }

    /// From the `place`-th unit on, the first one at which the interval begins anew.
    fn following(&self, place: i64, unit: i64) -> i64 {
        place + (self.start.wall.div_euclid(unit) - place).rem_euclid(self.interval())
    }

    fn fill_day(&self, day: i64, into: &mut Vec<i64>) -> Option<Filled> {
        let (is_one, next) = self.look(day)?;
        if is_one {
            into.extend(self.times.iter().map(|time| day * DAY + time));
        }
        Some(Filled { next, looked: 1 })
    }

    /// The occurrences on `day` of a rule that comes every so many of `unit` seconds.
    fn fill_units(&self, unit: i64, day: i64, into: &mut Vec<i64>) -> Option<Filled> {
        let (is_one, next) = self.look(day)?;
        let in_day = DAY / unit;
        let mut looked = 1;
        let mut place = if is_one { self.following(day * in_day, unit) } else { i64::MAX };
        while place < (day + 1) * in_day {
            looked += 1;
            let wall = place * unit;
            let hour = wall.div_euclid(3600);
            if !has_part(&self.rule.hours, hour.rem_euclid(24)) {
                place = self.following((hour + 1) * 3600 / unit, unit);
                continue;
            }
            if self.has_unit(wall) {
                into.extend(self.times.iter().map(|time| wall + time));
            }
            if self.start.by_day && !into.is_empty() {
                break;
            }
            place += self.interval();
        }
        if self.start.by_day && !into.is_empty() {
            into.clear();
            into.push(day * DAY);
        }
        Some(Filled { next, looked })
    }

    /// Whether the minute or second that begins at `wall` is one of the rule's, in an hour that is.
    fn has_unit(&self, wall: i64) -> bool {
        let (minute, second) = (wall.rem_euclid(3600) / 60, wall.rem_euclid(60));
        match self.rule.freq {
            Freq::Minutely => has_part(&self.rule.minutes, minute),
            Freq::Secondly => has_part(&self.rule.minutes, minute) && has_part(&self.rule.seconds, second),
            _ => true,
        }
    }

    fn count_units(&self, unit: i64, day: i64) -> Option<(usize, Filled)> {
        let (is_one, next) = self.look(day)?;
        let in_day = DAY / unit;
        let begins = self.following(day * in_day, unit) - day * in_day;
        let place = usize::try_from(begins).unwrap_or(usize::MAX);
        if !is_one || begins >= in_day {
            return Some((0, Filled { next, looked: 1 }));
        }
        let mut counts = self.counts.borrow_mut();
        if counts.is_empty() {
            let begin = usize::try_from(in_day.min(self.interval())).unwrap_or(0);
            counts.resize(begin, UNCOUNTED);
        }
        if let Some(count) = counts.get(place).filter(|count| **count != UNCOUNTED) {
            return Some((usize::from(*count), Filled { next, looked: 1 }));
        }
        let mut found = Vec::new();
        let filled = self.fill_units(unit, day, &mut found)?;
        if let Some(count) = counts.get_mut(place) {
            *count = u16::try_from(found.len()).unwrap_or(UNCOUNTED);
        }
        Some((found.len(), Filled { looked: filled.looked + found.len(), ..filled }))
    }

    /// The named ones of a period's occurrences.
    fn fill_period(&self, block: i64, into: &mut Vec<i64>) -> Option<Filled> {
        let period = self.period(self.day).saturating_add(block.saturating_mul(self.interval()));
        let (mut day, end) = (self.first_of(period)?, self.first_of(period.saturating_add(1)));
        date(day)?;
        let (mut days, mut looked) = (Vec::new(), 0);
        // Where the calendar ends within the period, it holds what is left of it.
        while end.is_none_or(|end| day < end)
            && let Some((is_one, next)) = self.look(day)
        {
            looked += 1;
            days.extend(is_one.then_some(day));
            day = next;
        }
        let places = picked(&self.rule.positions, days.len() * self.times.len());
        looked += self.rule.positions.len();
        let each = self.times.len();
        into.extend(places.into_iter().map(|place| days[place / each] * DAY + self.times[place % each]));
        Some(Filled { next: block + 1, looked })
    }
}

/// Whether the list of hours, minutes or seconds has `value`.
fn has_part(list: &[i32], value: i64) -> bool {
    has(list, i32::try_from(value).unwrap_or(-1))
}

/// The seconds at which the lists of `rule` let occurrences lie in a unit of its, in order.
fn times(rule: &Rule, by_day: bool) -> Vec<i64> {
    const WHOLE: &[i32] = &[0];
    let (hours, minutes, seconds) = match rule.freq {
        Freq::Secondly => (WHOLE, WHOLE, WHOLE),
        Freq::Minutely => (WHOLE, WHOLE, &rule.seconds[..]),
        Freq::Hourly => (WHOLE, &rule.minutes[..], &rule.seconds[..]),
        _ if by_day => (WHOLE, WHOLE, WHOLE),
        _ => (&rule.hours[..], &rule.minutes[..], &rule.seconds[..]),
    };
    let mut times = Vec::with_capacity(hours.len() * minutes.len() * seconds.len());
    for hour in hours {
        for minute in minutes {
            let minute = i64::from(*hour) * 3600 + i64::from(*minute) * 60;
            times.extend(seconds.iter().map(|second| minute + i64::from(*second)));
        }
    }
    times
}

/// The places, from 0, of the `positions` that there are among `length`.
fn picked(positions: &[i32], length: usize) -> Vec<usize> {
    let place = |position: &i32| {
        let distance = usize::try_from(position.unsigned_abs()).unwrap_or(usize::MAX);
        let place = if *position > 0 { distance.checked_sub(1) } else { length.checked_sub(distance) };
        place.filter(|place| *place < length)
    };
    let mut places: Vec<usize> = positions.iter().filter_map(place).collect();
    places.sort_unstable();
    places.dedup();
    places
}

impl Blocks for From {
    fn block_of(&self, wall: i64) -> i64 {
        let day = wall.div_euclid(DAY).max(self.day);
        if self.is_by_period() { (self.period(day) - self.period(self.day)) / self.interval() } else { day }
    }

    fn fill(&self, block: i64, into: &mut Vec<i64>) -> Option<Filled> {
        match self.rule.freq.unit() {
            Some(unit) => self.fill_units(unit, block, into),
            None if self.is_by_period() => self.fill_period(block, into),
            None => self.fill_day(block, into),
        }
    }

    fn count(&self, block: i64) -> Option<(usize, Filled)> {
        match self.rule.freq.unit() {
            Some(unit) => self.count_units(unit, block),
            None if self.is_by_period() => count_filled(self, block),
            None => {
                let (is_one, next) = self.look(block)?;
                Some((if is_one { self.times.len() } else { 0 }, Filled { next, looked: 1 }))
            }
        }
    }
}
