//! Where the wishes of a user move a reminder to, and which they let go.
//!
//! Owns quiet hours and the daily digest, in the user's zone, else the default one, by the rule of [`Moment`] for gaps
//! and overlaps. They give birth to nothing: what a reminder's rule names stays its instant, whatever moved it, and a
//! reminder is never lost for being moved. Knows no clock: a reminder that the worker could not send before quiet
//! hours began is overdue, and goes out in them.
//!
//! | a reminder | goes out |
//! |---|---|
//! | HIGH, or a snooze | at its instant |
//! | below the digest's priority | with the last digest at or before its instant: that one lists what is due until the next |
//! | for which that digest has passed when it came to be | at its instant: the next one would tell of it too late |
//! | which would go out ahead while its user is mute | at its instant |
//! | in quiet hours | at their end; not at all; or just before they begin, if that is still ahead when it comes to be |
//!
//! [`Moment`]: crate::domain::Moment

use std::time::Duration;

use super::{Planned, Rules};
use crate::domain::due::Zone;
use crate::domain::event::{Field, Priority};
use crate::domain::preferences::{Preferences, Quiet, QuietMode, TimeOfDay, WishField};
use crate::domain::reminder::{Cause, Reminder, Rule};
use crate::domain::task::Task;
use crate::domain::time::Timestamp;
use crate::domain::version::short_digest;

/// How long before quiet hours a reminder goes out at least that would fall into them: a minute, so that it is with its
/// user when they begin.
const EARLIER_BY: Duration = Duration::from_secs(60);
/// The least spread of users over the end of their quiet hours: those of one user wake together and apart from most
/// others, so that they are found together.
const SPREAD_MIN: Duration = Duration::from_secs(1);

const DAY_MS: i64 = 86_400_000;

/// Moves what `user` wishes moved.
pub(super) fn move_all(planned: &mut [Planned], task: &Task, user: &Preferences, rules: &Rules<'_>) {
    if user.quiet().is_none() && user.digest().is_none() {
        return;
    }
    for planned in planned.iter_mut().filter(|planned| !planned.is_born_expired()) {
        move_one(planned, task, user, rules);
    }
}

/// Moves what `user` wishes moved of one that is where its rule names it.
pub(super) fn move_one(planned: &mut Planned, task: &Task, user: &Preferences, rules: &Rules<'_>) {
    if let Some(moved) = moved(planned, task, user, rules) {
        planned.moved_from = Some(planned.instant());
        planned.fire_at = moved.to;
    }
}

/// Whether its user is told of `planned`, which is where its rule names it, at that instant.
pub(super) fn stays(planned: &Planned, task: &Task, rules: &Rules<'_>) -> bool {
    let Some(user) = rules.user else { return true };
    moved(planned, task, user, rules).is_none() && let_go(task, &planned.pending(), rules).is_none()
}

/// Where wishes move what its rule names.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Moved {
    /// The moment at which it goes out.
    pub(super) to: Timestamp,
    /// What its rule names from here on they move elsewhere.
    pub(super) until: Timestamp,
}

/// Why a reminder of `task` that is due is not sent, by the wishes of its user; `None` where it is.
#[must_use]
pub fn let_go(task: &Task, reminder: &Reminder, rules: &Rules<'_>) -> Option<Cause> {
    let user = rules.user?;
    if user.mute().is_some_and(|mute| mute.covers(reminder.fire_at)) {
        return Some(Cause::Muted);
    }
    dropped_since(task, reminder, rules).map(|_| Cause::Quiet)
}

/// When the quiet hours began that drop a reminder of `task`; `None` where none do.
pub(in crate::domain) fn dropped_since(
    task: &Task,
    reminder: &Reminder,
    rules: &Rules<'_>,
) -> Option<Timestamp> {
    let user = rules.user?;
    let quiet = user.quiet().filter(|quiet| quiet.mode() == QuietMode::Drop)?;
    if reminder.moved_from.is_some() || !is_movable(task, reminder.rule) {
        return None;
    }
    hours_around(quiet, zone_of_user(user, rules), reminder.fire_at).map(|(start, _)| start)
}

/// Where `user` wishes one to go out whose rule names its instant; `None` where it stays there.
pub(super) fn moved(planned: &Planned, task: &Task, user: &Preferences, rules: &Rules<'_>) -> Option<Moved> {
    if !is_movable(task, planned.rule) {
        return None;
    }
    let (instant, zone) = (planned.instant(), zone_of_user(user, rules));
    // What comes after due must not come before it.
    let may_be_earlier = !matches!(planned.rule, Rule::Nag(_));
    let after = |wish: WishField| came_to_be(planned, task, user, rules).max(user.since(wish));
    let spread = offset(task.user().unwrap_or_default(), rules.in_force.policy.spread);
    // Nobody is told ahead at a moment at which they wish to hear nothing.
    let is_heard = |at: Timestamp| !user.mute().is_some_and(|mute| mute.covers(at));
    let digest = user.digest().filter(|digest| task.priority() < digest.below);
    let listed = digest.map(|digest| {
        let at = last_at_or_before(digest.at, zone, instant);
        Moved { to: at.plus(spread), until: first_after(digest.at, zone, at) }
    });
    if let Some(listed) =
        listed.filter(|at| may_be_earlier && at.to > after(WishField::Digest) && is_heard(at.to))
    {
        return Some(listed);
    }
    let quiet = user.quiet()?;
    let (start, end) = hours_around(quiet, zone, instant)?;
    let before = start.minus(EARLIER_BY).minus(spread);
    match quiet.mode() {
        QuietMode::Drop => None,
        QuietMode::Earlier if may_be_earlier && before > after(WishField::Quiet) && is_heard(before) => {
            Some(Moved { to: before, until: end })
        }
        QuietMode::Earlier | QuietMode::Defer => Some(Moved { to: end.plus(spread), until: end }),
    }
}

/// What is pressing, and what its user asked for at that very instant, stays where it is.
fn is_movable(task: &Task, rule: Rule) -> bool {
    task.priority() != Priority::High && !matches!(rule, Rule::Snooze(_))
}

fn zone_of_user(user: &Preferences, rules: &Rules<'_>) -> Zone {
    user.zone().unwrap_or(rules.in_force.policy.default_zone)
}

/// Since when all but the wish itself has been so that a reminder may be moved to an earlier instant.
fn came_to_be(planned: &Planned, task: &Task, user: &Preferences, rules: &Rules<'_>) -> Timestamp {
    let zone = match user.zone() {
        Some(_) => user.since(WishField::Zone),
        None => rules.in_force.since.zone,
    };
    planned.birth.max(zone).max(task.since(Field::Priority)).max(task.since(Field::User))
}

/// How long after the end of quiet hours or the time of the digest, or before quiet hours, a user's turn is: within `spread`, the same
/// every day, and never on a whole second, where most other reminders are.
fn offset(user: &str, spread: Duration) -> Duration {
    let window = u64::try_from(spread.max(SPREAD_MIN).as_millis()).unwrap_or(u64::MAX);
    let millis = 1 + short_digest(&user) % (window - 1);
    Duration::from_millis(if millis.is_multiple_of(1_000) { millis - 1 } else { millis })
}

/// The last instant at or before `at` at which walls in `zone` come to `time`.
fn last_at_or_before(time: TimeOfDay, zone: Zone, at: Timestamp) -> Timestamp {
    let today = zone.wall_at(at).div_euclid(DAY_MS);
    let of = |days: i64| zone.instant_of(on(today.saturating_add(days), time));
    // A day that an island skipped lies between two that it did not.
    (-2..=1).rev().map(of).find(|found| *found <= at).unwrap_or(at)
}

/// The first instant after `at` at which walls in `zone` come to `time`.
fn first_after(time: TimeOfDay, zone: Zone, at: Timestamp) -> Timestamp {
    let today = zone.wall_at(at).div_euclid(DAY_MS);
    let of = |days: i64| zone.instant_of(on(today.saturating_add(days), time));
    (-1..=2).map(of).find(|found| *found > at).unwrap_or(Timestamp::MAX)
}

/// The quiet hours that `at` falls into: from when until when.
fn hours_around(quiet: Quiet, zone: Zone, at: Timestamp) -> Option<(Timestamp, Timestamp)> {
    let today = zone.wall_at(at).div_euclid(DAY_MS);
    let over_midnight = i64::from(quiet.end() < quiet.start());
    (-1..=0).rev().find_map(|days| {
        let day = today.saturating_add(days);
        let start = zone.instant_of(on(day, quiet.start()));
        let end = zone.instant_of(on(day.saturating_add(over_midnight), quiet.end()));
        (start <= at && at < end).then_some((start, end))
    })
}

fn on(day: i64, time: TimeOfDay) -> i64 {
    day.saturating_mul(DAY_MS).saturating_add(time.millis())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_users_turn_is_within_the_spread_and_never_on_a_whole_second() {
        for spread in [Duration::ZERO, SPREAD_MIN, Duration::from_secs(300)] {
            let window = spread.max(SPREAD_MIN);
            let turns: std::collections::BTreeSet<_> =
                (0..2_000).map(|n| offset(&format!("user-{n}"), spread)).collect();
            assert!(turns.iter().all(|turn| *turn < window && !turn.is_zero()), "{spread:?}");
            assert!(turns.iter().all(|turn| turn.subsec_millis() != 0), "{spread:?}");
            assert!(turns.len() > 700, "{} turns in {spread:?}", turns.len());
        }
        assert_eq!(offset("u", SPREAD_MIN), offset("u", SPREAD_MIN));
    }
}
