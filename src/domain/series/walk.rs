//! Walking through the occurrences of a rule, block by block, on the wall.
//!
//! Owns the bounds of a search. A block is what a rule is expanded by at once: a week, a month, a day.

use chrono::{Datelike, NaiveDate};

/// Seconds in a day on the wall.
pub(super) const DAY: i64 = 86_400;
/// Most steps of one search: each day or time looked at is one, and so is each occurrence laid out. None costs more
/// than another: lists are sorted, and never gone through. The rarest days that do come, such as a Monday on the 29th
/// of February across a year that is no leap year, are 40 years apart: 14,610 days.
pub(super) const STEPS_MAX: u32 = 100_000;
/// Most steps that one block takes: a day, each of its minutes, and an occurrence in each. A search that could not
/// make so many more ends, so none makes more than [`STEPS_MAX`].
pub(super) const BLOCK_STEPS_MAX: u32 = 1 + 2 * 24 * 60;
/// The last year there is: RFC 3339 writes no later one.
const YEAR_MAX: i32 = 9999;

/// Why a walk ended before it found anything.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Halt {
    /// [`STEPS_MAX`] were made.
    Steps,
    /// They were made before the count had come so far.
    Counting,
    /// The calendar ended.
    Calendar,
}

/// Occurrences in blocks that follow each other in time.
pub(super) trait Blocks {
    /// The block in which `wall` lies, or an earlier one.
    fn block_of(&self, wall: i64) -> i64;

    /// Adds the wall times in `block`, in order; `None` where the calendar ends before it.
    fn fill(&self, block: i64, into: &mut Vec<i64>) -> Option<Filled>;

    /// How many wall times are in `block`, without laying them out.
    fn count(&self, block: i64) -> Option<(usize, Filled)>;

    /// The occurrence `n` after the due date, where it can be computed at once.
    fn nth(&self, _n: u32) -> Option<i64> {
        None
    }
}

/// What it took to fill or to count a block.
pub(super) struct Filled {
    /// The next block that may hold anything.
    pub(super) next: i64,
    /// Days and times looked at, besides those that were laid out.
    pub(super) looked: usize,
}

/// Counts a block by laying it out.
pub(super) fn count_filled(blocks: &dyn Blocks, block: i64) -> Option<(usize, Filled)> {
    let mut found = Vec::new();
    let filled = blocks.fill(block, &mut found)?;
    Some((found.len(), Filled { looked: filled.looked + found.len(), ..filled }))
}

/// A walk through wall times in order, from the block of one of them on.
pub(super) struct Walk<'a> {
    pub(super) blocks: &'a dyn Blocks,
    block: i64,
    found: Vec<i64>,
    place: usize,
    pub(super) steps: u32,
}

impl<'a> Walk<'a> {
    pub(super) fn new(blocks: &'a dyn Blocks, from: i64) -> Self {
        Self { block: block_of(blocks, from), blocks, found: Vec::new(), place: 0, steps: 0 }
    }

    /// Passes over the blocks before that of `to`, counting what comes after the wall time `start`, but no more than
    /// `left`; what is left of that then.
    pub(super) fn count_to(&mut self, start: i64, to: i64, left: u32) -> Result<u32, Halt> {
        let (first, last) = (self.block, block_of(self.blocks, to));
        let mut left = usize::try_from(left).unwrap_or(usize::MAX);
        while self.block < last && left > 0 {
            if self.is_at_bound() {
                return Err(Halt::Counting);
            }
            let (counted, filled) = if self.block == first {
                let filled = self.blocks.fill(self.block, &mut self.found).ok_or(Halt::Calendar)?;
                let counted = self.found.iter().filter(|wall| **wall > start).count();
                let looked = filled.looked + self.found.len();
                self.found.clear();
                (counted, Filled { looked, ..filled })
            } else {
                self.blocks.count(self.block).ok_or(Halt::Calendar)?
            };
            left = left.saturating_sub(counted);
            self.block = filled.next;
            self.count_steps(filled.looked);
        }
        Ok(u32::try_from(left).unwrap_or(u32::MAX))
    }

    pub(super) fn next(&mut self) -> Result<i64, Halt> {
        loop {
            if let Some(wall) = self.found.get(self.place) {
                self.place += 1;
                return Ok(*wall);
            }
            if self.is_at_bound() {
                return Err(Halt::Steps);
            }
            self.found.clear();
            self.place = 0;
            let filled = self.blocks.fill(self.block, &mut self.found).ok_or(Halt::Calendar)?;
            self.block = filled.next;
            self.count_steps(filled.looked + self.found.len());
        }
    }

    /// Whether another block may not be looked at.
    fn is_at_bound(&self) -> bool {
        self.steps > STEPS_MAX - BLOCK_STEPS_MAX
    }

    fn count_steps(&mut self, looked: usize) {
        self.steps = self.steps.saturating_add(u32::try_from(looked).unwrap_or(u32::MAX));
    }
}

fn block_of(blocks: &dyn Blocks, wall: i64) -> i64 {
    blocks.block_of(wall.clamp(first_second(), last_second()))
}

/// Whether `wall` lies in the years that have rules.
pub(super) fn is_in_calendar(wall: i64) -> bool {
    (first_second()..=last_second()).contains(&wall)
}

/// The date that is `day` days after 1970-01-01, up to the last year.
pub(super) fn date(day: i64) -> Option<NaiveDate> {
    let date = NaiveDate::from_epoch_days(i32::try_from(day).ok()?)?;
    (1..=YEAR_MAX).contains(&date.year()).then_some(date)
}

/// The days since 1970-01-01 of the first of a month, counted from the year 0, up to the last year.
pub(super) fn first_of_month(month: i64) -> Option<i64> {
    let year = i32::try_from(month.div_euclid(12)).ok().filter(|year| *year <= YEAR_MAX)?;
    let month = u32::try_from(month.rem_euclid(12)).ok()? + 1;
    Some(i64::from(NaiveDate::from_ymd_opt(year, month, 1)?.to_epoch_days()))
}

/// The month of `date`, counted from the year 0.
pub(super) fn month_of(date: NaiveDate) -> i64 {
    i64::from(date.year()) * 12 + i64::from(date.month0())
}

fn first_second() -> i64 {
    // 0001-01-01.
    -719_162 * DAY
}

fn last_second() -> i64 {
    // 9999-12-31.
    2_932_897 * DAY - 1
}
