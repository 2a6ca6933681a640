//! Of a series one reminder a moment: wishes may move many occurrences of a rule to one instant.
//!
//! Owns which of them is told of, the one next to that moment: the last of those that waited for it, else the first of
//! those that are still ahead. The others are passed over; one that was planned already is superseded by it.
//!
//! The last is chosen at once. Of those ahead the first is chosen by planning as ever, and the ones behind it must not
//! follow it to a moment that is past: that it has been told is known by the low-water mark of its rule. Accepted: a
//! wish that comes late, by its stamp from before the moment, finds the occurrence at the mark told at its own instant
//! and takes that for the moment's.
//!
//! Only the next one is planned: where its moment lies before the instant of one that goes out by itself, in the last
//! minute before quiet hours, that moment has passed when it comes to be, and it waits for their end. Accepted: what
//! waits for the end of quiet hours with a digest within or at the end of them is followed at once by what that digest
//! lists: once, in the night in which it comes to be, and passing over either would lose it.

use super::actions::Actions;
use super::cancelled::is_off_alone;
use super::dates::Dates;
use super::nags::{LOOK_AHEAD, is_before_next};
use super::quiet::{move_one, moved};
use super::window::whole_second;
use super::{Planned, Rules};
use crate::domain::due::Moment;
use crate::domain::event::TaskId;
use crate::domain::preferences::Preferences;
use crate::domain::record::Record;
use crate::domain::reminder::Rule;
use crate::domain::time::Timestamp;

/// When one of a series was told of.
enum Told {
    /// At a moment that wishes moved it to.
    At(Timestamp),
    /// At the instant that its rule names.
    ByItself(Timestamp),
}

/// The moments at which a user wishes the reminders of a task.
pub(super) struct Moments<'a> {
    pub(super) id: &'a TaskId,
    pub(super) record: &'a Record,
    pub(super) dates: &'a Dates,
    pub(super) user: &'a Preferences,
    pub(super) rules: &'a Rules<'a>,
    pub(super) actions: &'a Actions,
}

impl Moments<'_> {
    /// Leaves of each rule that comes again what is to be told at its moment.
    pub(super) fn one_each(&self, planned: &mut Vec<Planned>) {
        if self.dates.later_since().is_none() {
            return;
        }
        planned.retain_mut(|planned| {
            if !planned.rule.comes_again() {
                return true;
            }
            let is_ahead = planned.fire_at < planned.instant();
            match is_ahead.then(|| self.last_told(planned)).flatten() {
                Some(Told::At(moment)) if moment == planned.fire_at => match self.behind(planned) {
                    Some(next) => *planned = next,
                    None => return false,
                },
                Some(Told::ByItself(at)) if at >= planned.fire_at => self.come_to_be(planned, at),
                _ => {}
            }
            if planned.fire_at > planned.instant() {
                self.go_on_to_the_last(planned);
            }
            true
        });
    }

    /// When the one at the mark of its rule was told of.
    fn last_told(&self, planned: &Planned) -> Option<Told> {
        let mark = self.record.low_water(planned.rule);
        if mark == Timestamp::MIN {
            return None;
        }
        let at_mark = Planned { fire_at: mark, moved_from: None, ..*planned };
        let told = match moved(&at_mark, &self.record.task, self.user, self.rules) {
            Some(moved) => Told::At(moved.to),
            None => Told::ByItself(mark),
        };
        // A mark that was raised to no occurrence tells of none.
        let due = sooner(mark, self.after_due(planned)?);
        let next = self.dates.after(due.minus(Timestamp::FINEST))?;
        (self.dates.instant(next) == due).then_some(told)
    }

    /// Moves what goes out ahead of what its rule names as if it came to be at `at`.
    fn come_to_be(&self, planned: &mut Planned, at: Timestamp) {
        let birth = planned.birth;
        *planned = Planned { fire_at: planned.instant(), moved_from: None, birth: birth.max(at), ..*planned };
        move_one(planned, &self.record.task, self.user, self.rules);
        planned.birth = birth;
    }

    /// The first one of the same rule that goes out at a later moment.
    fn behind(&self, planned: &Planned) -> Option<Planned> {
        let after = self.after_due(planned)?;
        let here = Planned { fire_at: planned.instant(), moved_from: None, ..*planned };
        let until = moved(&here, &self.record.task, self.user, self.rules)?.until;
        let mut floor = sooner(until, after).minus(Timestamp::FINEST);
        loop {
            let next = self.dates.after(floor)?;
            let mut one = self.of(planned, next, after);
            if !is_off_alone(self.id, &self.record.task, &one, one.birth) {
                move_one(&mut one, &self.record.task, self.user, self.rules);
                return Some(one);
            }
            floor = self.dates.instant(next);
        }
    }

    /// Of those that wait for the same moment the last is told of that was not called off.
    fn go_on_to_the_last(&self, planned: &mut Planned) {
        let Some(after) = self.after_due(planned) else { return };
        // What is due within the second of the moment goes out by itself.
        let mut end = sooner(whole_second(planned.fire_at), after);
        let mut without = 0;
        while let Some(last) = self.dates.until(end.minus(Timestamp::FINEST)) {
            let one = self.of(planned, last, after);
            if one.instant() <= planned.instant() || without == LOOK_AHEAD {
                return;
            }
            let is_called_for = self.is_called_for(&one);
            if is_called_for && !is_off_alone(self.id, &self.record.task, &one, one.birth) {
                *planned = Planned { fire_at: planned.fire_at, moved_from: Some(one.instant()), ..one };
                return;
            }
            without += usize::from(!is_called_for);
            end = self.dates.instant(last);
        }
    }

    /// Whether its rule makes one of its occurrence: there may be no time for a nag, or none be wished any more.
    fn is_called_for(&self, one: &Planned) -> bool {
        let is_nag = matches!(one.rule, Rule::Nag(_));
        !is_nag || is_before_next(one, self.dates) && self.actions.holds(one, self.dates).is_none()
    }

    /// The same rule's one of another occurrence, where the rule names it.
    fn of(&self, planned: &Planned, occurrence: Moment, after: i64) -> Planned {
        let at = sooner(self.dates.instant(occurrence), after.saturating_neg());
        let later_since = self.dates.later_since().unwrap_or(Timestamp::MIN);
        Planned::at(Some(occurrence), planned.rule, at, planned.birth.max(later_since))
    }

    /// How many milliseconds after due its rule reminds; negative before.
    fn after_due(&self, planned: &Planned) -> Option<i64> {
        let due = self.dates.instant(planned.occurrence?);
        Some(planned.instant().millis().saturating_sub(due.millis()))
    }
}

fn sooner(at: Timestamp, millis: i64) -> Timestamp {
    Timestamp::from_millis(at.millis().saturating_sub(millis))
}
