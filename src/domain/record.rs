//! A task's record: its merged state and all that became of its plan.
//!
//! Owns how many settled reminders a record keeps, and the low-water marks that make forgetting safe: at or
//! below a rule's mark nothing is planned again. Knows no encoding.

use super::due::Moment;
use super::event::Event;
use super::history::History;
use super::reminder::{Reminder, Rule, State};
use super::task::{Applied, Task};
use super::time::Timestamp;

/// How many settled reminders an open task keeps for answers and against planning them again. Above it the
/// oldest go, behind a low-water mark; a record stays far below what one value of the store may be.
pub const SETTLED_MAX: usize = 32;
/// How many settled reminders a record keeps at most, where those that may be forgotten are not enough: one
/// that hangs for a day must not let the record grow with every move of its task.
pub const SETTLED_HARD_MAX: usize = 4 * SETTLED_MAX;
/// How many rules keep a low-water mark; twice what a task can state at once.
pub const LOW_WATER_MAX: usize = 64;

/// What the store keeps of a task.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Record {
    /// The join of its events.
    pub task: Task,
    /// The policy it was last planned under; 0 means never.
    pub generation: u32,
    /// Under which default offsets, and what was known when they came.
    pub defaults: Defaults,
    /// Its reminders, in the order in which they were first planned.
    pub reminders: Vec<Reminder>,
    /// Per rule, the instant at or below which nothing is planned any more.
    pub low_water: Vec<(Rule, Timestamp)>,
    /// How it came to be as it is.
    pub history: History,
}

/// The default offsets that a task was last planned under.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Defaults {
    /// When they came into force; [`Timestamp::MIN`] where the store has had no others.
    pub since: Timestamp,
    /// The due date that the task had then; `None` where none was known.
    pub due: Option<Moment>,
}

impl Default for Defaults {
    fn default() -> Self {
        Self { since: Timestamp::MIN, due: None }
    }
}

impl Record {
    /// Merges an event that arrived at `at` into the task. One that hands it over to another user takes its reminders
    /// out of the digests they were tried in: those are their former user's.
    pub fn apply(&mut self, event: &Event, at: Timestamp) -> Applied {
        let is_tried_together = |r: &Reminder| r.state == State::Pending && r.within.is_some();
        if !self.reminders.iter().any(is_tried_together) {
            return self.task.apply(event, at);
        }
        let user = self.task.user().map(str::to_owned);
        let applied = self.task.apply(event, at);
        if self.task.user() != user.as_deref() {
            let together = self.reminders.iter_mut().filter(|r| is_tried_together(r));
            together.for_each(|r| r.within = None);
        }
        applied
    }

    /// The mark of `rule`.
    #[must_use]
    pub fn low_water(&self, rule: Rule) -> Timestamp {
        self.low_water.iter().find(|(r, _)| *r == rule).map_or(Timestamp::MIN, |(_, at)| *at)
    }

    /// The latest instant of any reminder.
    #[must_use]
    pub fn last_planned(&self) -> Timestamp {
        self.reminders.iter().map(|r| r.fire_at).max().unwrap_or(Timestamp::MIN)
    }

    /// When the task ended, by its events; `None` while it is open.
    #[must_use]
    pub fn ended_at(&self) -> Option<Timestamp> {
        if self.task.is_open() {
            return None;
        }
        let completed =
            self.task.cell(super::event::Field::Status).map(|c| Timestamp::from_millis(c.version.ms));
        [completed, Some(self.task.deleted_at()), self.task.transport].into_iter().flatten().max()
    }

    /// Forgets settled reminders above [`SETTLED_MAX`], oldest first, and marks what must not come back.
    /// Reminders still ahead, or not behind every pending one of their rule, are kept: the mark must never
    /// cover what is yet to fire. Says what went.
    pub fn trim(&mut self, now: Timestamp) -> Tally {
        let mut gone = Tally::default();
        while self.reminders.iter().filter(|r| r.state != State::Pending).count() > SETTLED_MAX {
            let Some(at) = self.oldest_forgettable(now).or_else(|| self.oldest_above_hard_max()) else {
                break;
            };
            if self.reminders[at].is_past(now) {
                self.leave_behind(at);
            }
            gone.0[slot(self.reminders.remove(at).state)] += 1;
        }
        gone
    }

    /// Marks the settled reminder at this place as one that must not be planned again, short of any pending one of its
    /// rule. The mark is the instant that the rule names, wherever the reminder was moved: that is what a plan compares.
    pub(super) fn leave_behind(&mut self, at: usize) {
        let (rule, instant) = (self.reminders[at].rule, self.reminders[at].instant());
        let before_pending = self.ahead_of_mark(rule).map(|r| r.instant().minus(Timestamp::FINEST)).min();
        self.raise_low_water(rule, instant.min(before_pending.unwrap_or(Timestamp::MAX)));
    }

    /// The pending reminders of `rule` that its series has not gone on without.
    fn ahead_of_mark(&self, rule: Rule) -> impl Iterator<Item = &Reminder> {
        let mark = self.low_water(rule);
        self.reminders
            .iter()
            .filter(move |r| r.state == State::Pending && r.rule == rule && r.instant() > mark)
    }

    /// The pending reminders that their series have gone on without.
    pub(super) fn behind_mark(&self) -> impl Iterator<Item = &Reminder> {
        let is_behind = |r: &&Reminder| r.state == State::Pending && r.instant() <= self.low_water(r.rule);
        self.reminders.iter().filter(is_behind)
    }

    fn oldest_forgettable(&self, now: Timestamp) -> Option<usize> {
        let forgettable = |r: &Reminder| match r.state {
            State::Pending => false,
            // Taken back before it was due: planned again it is simply new.
            State::Cancelled | State::Superseded if !r.is_past(now) => true,
            _ => r.is_past(now) && self.ahead_of_mark(r.rule).all(|p| p.instant() > r.instant()),
        };
        (0..self.reminders.len())
            .filter(|at| forgettable(&self.reminders[*at]))
            .min_by_key(|at| self.reminders[*at].fire_at)
    }

    /// The oldest settled one, where there are too many whatever they mean.
    fn oldest_above_hard_max(&self) -> Option<usize> {
        let settled = || (0..self.reminders.len()).filter(|at| self.reminders[*at].state != State::Pending);
        if settled().count() <= SETTLED_HARD_MAX {
            return None;
        }
        settled().min_by_key(|at| self.reminders[*at].fire_at)
    }

    /// Plans again what `rule` makes at `of`, unless something later than `last` has raised its mark since.
    pub(super) fn lower_low_water(&mut self, rule: Rule, of: Timestamp, last: Timestamp) {
        let mark = self.low_water.iter_mut().find(|(r, at)| *r == rule && *at <= last);
        if let Some((_, at)) = mark {
            *at = of.minus(Timestamp::FINEST).min(*at);
        }
    }

    /// Plans nothing of `rule` at or below `to` any more.
    pub(super) fn raise_low_water(&mut self, rule: Rule, to: Timestamp) {
        if let Some((_, at)) = self.low_water.iter_mut().find(|(r, _)| *r == rule) {
            *at = to.max(*at);
            return;
        }
        if self.low_water.len() == LOW_WATER_MAX
            // A mark of a rule that comes again is needed as long as its series goes on.
            && let Some(oldest) =
                (0..LOW_WATER_MAX).min_by_key(|at| (self.low_water[*at].0.comes_again(), self.low_water[*at].1))
        {
            self.low_water.remove(oldest);
        }
        self.low_water.push((rule, to));
    }
}

/// How many reminders are in each state, in the order of [`State::ALL`]; signed, so that it is also the
/// difference that a change makes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tally([i64; State::ALL.len()]);

impl Tally {
    /// How many are in `state`.
    #[must_use]
    pub fn of(&self, state: State) -> i64 {
        self.0[slot(state)]
    }

    /// How many `reminders` are in each state.
    #[must_use]
    pub fn count(reminders: &[Reminder]) -> Self {
        let mut tally = Self::default();
        reminders.iter().for_each(|reminder| tally.0[slot(reminder.state)] += 1);
        tally
    }

    /// The sum over all states.
    #[must_use]
    pub fn total(&self) -> i64 {
        self.0.into_iter().fold(0, i64::saturating_add)
    }

    /// The counts in the order of [`State::ALL`].
    #[must_use]
    pub fn counts(&self) -> [i64; State::ALL.len()] {
        self.0
    }

    /// A tally of given counts.
    #[must_use]
    pub fn from_counts(counts: [i64; State::ALL.len()]) -> Self {
        Self(counts)
    }

    /// Adds `other`.
    pub fn add(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine = mine.saturating_add(theirs);
        }
    }

    /// Takes `other` off.
    pub fn take_off(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine = mine.saturating_sub(theirs);
        }
    }

    /// What going from `before` to `after` changes, and how many reminders are new. Those that are forgotten stay
    /// counted where they were.
    #[must_use]
    pub fn difference(before: &[Reminder], after: &[Reminder]) -> (Self, u64) {
        let (mut tally, mut planned) = (Self::default(), 0);
        for new in after {
            let old = before.iter().find(|old| old.is(new));
            planned += u64::from(old.is_none());
            if old.map(|r| r.state) == Some(new.state) {
                continue;
            }
            if let Some(old) = old {
                tally.0[slot(old.state)] -= 1;
            }
            tally.0[slot(new.state)] += 1;
        }
        (tally, planned)
    }
}

fn slot(state: State) -> usize {
    State::ALL.iter().position(|s| *s == state).unwrap_or(0)
}
