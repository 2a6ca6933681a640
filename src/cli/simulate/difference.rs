//! What fires under one of two configurations only, or at another instant.
//!
//! Reminders are told apart by their identity: task, due date as it is stated, and rule. Of the same reminder the two
//! instants can't lie further apart than [`MOVED_MAX`] and `expire_after`, so what has waited longer for its like has
//! none, and no more than that span is remembered.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use crate::domain::{ReminderId, Timestamp};
use crate::writer::Claimed;

/// How far a configuration can move a reminder that stays the same: the time of day that a date alone means, by less
/// than a day; and a zone that skips a whole day, as Samoa's did, by one more.
const MOVED_MAX: Duration = Duration::from_secs(48 * 60 * 60);

/// The two configurations.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Side {
    /// The one in force.
    InForce,
    /// The other one.
    Other,
}

/// A reminder that fires differently, and when under each.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Pair {
    pub(super) task_id: String,
    pub(super) occurrence: Option<String>,
    pub(super) rule: String,
    pub(super) title: Option<String>,
    pub(super) in_force: Option<Timestamp>,
    pub(super) other: Option<Timestamp>,
}

/// Differences, as they come to be known.
pub(super) struct Difference {
    /// How long a reminder waits for its like.
    window: Duration,
    /// By the first of its instants.
    found: BTreeMap<(Timestamp, ReminderId), Pair>,
    first: HashMap<ReminderId, Timestamp>,
}

impl Difference {
    /// Nothing yet; `expire_after` is the longer one of the two.
    pub(super) fn new(expire_after: Duration) -> Self {
        Self { window: MOVED_MAX + expire_after, found: BTreeMap::new(), first: HashMap::new() }
    }

    /// A reminder fires at `at`.
    pub(super) fn note(&mut self, side: Side, at: Timestamp, claimed: &Claimed) {
        let key = (*self.first.entry(claimed.id).or_insert(at), claimed.id);
        let pair = self.found.entry(key).or_insert_with(|| Pair {
            task_id: claimed.task_id.to_string(),
            occurrence: claimed.reminder.occurrence.map(|occurrence| occurrence.to_string()),
            rule: claimed.reminder.rule.to_string(),
            title: claimed.task.title().map(str::to_owned),
            in_force: None,
            other: None,
        });
        let mine = match side {
            Side::InForce => &mut pair.in_force,
            Side::Other => &mut pair.other,
        };
        mine.get_or_insert(at);
        if pair.in_force == pair.other {
            self.found.remove(&key);
            self.first.remove(&claimed.id);
        }
    }

    /// The earliest difference that is certain by `now`; the order is that of the first instants.
    pub(super) fn decided(&mut self, now: Timestamp) -> Option<Pair> {
        let earliest = self.found.first_entry()?;
        let (at, id) = *earliest.key();
        let pair = earliest.get();
        let paired = pair.in_force.is_some() && pair.other.is_some();
        if !paired && now.since(at) <= self.window {
            return None;
        }
        self.first.remove(&id);
        Some(earliest.remove())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::domain::{Reminder, Rule, Task, TaskId};

    const EXPIRE_AFTER: Duration = Duration::from_secs(60);

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn claimed(task: &str) -> Claimed {
        let task_id = TaskId::new(task).unwrap();
        let reminder = Reminder::pending(None, Rule::Offset(0), at(0));
        Claimed { id: reminder.id(&task_id), task_id, task: Arc::new(Task::default()), reminder }
    }

    fn instants(pair: &Pair) -> (&str, Option<i64>, Option<i64>) {
        (&pair.task_id, pair.in_force.map(Timestamp::millis), pair.other.map(Timestamp::millis))
    }

    #[test]
    fn what_fires_at_the_same_instant_under_both_is_no_difference_and_is_forgotten() {
        let mut difference = Difference::new(EXPIRE_AFTER);
        difference.note(Side::InForce, at(1), &claimed("a"));
        difference.note(Side::Other, at(1), &claimed("a"));
        assert_eq!(difference.decided(Timestamp::MAX), None);
        assert!(difference.first.is_empty() && difference.found.is_empty());
    }

    #[test]
    fn what_moved_is_told_with_both_instants_in_the_order_of_the_first() {
        let mut difference = Difference::new(EXPIRE_AFTER);
        difference.note(Side::InForce, at(1), &claimed("a"));
        difference.note(Side::Other, at(2), &claimed("b"));
        difference.note(Side::InForce, at(3), &claimed("b"));
        assert_eq!(difference.decided(at(3)), None, "the first one may still have its like");
        difference.note(Side::Other, at(4), &claimed("a"));
        let told: Vec<Pair> = std::iter::from_fn(|| difference.decided(at(4))).collect();
        let told: Vec<_> = told.iter().map(instants).collect();
        assert_eq!(told, [("a", Some(1), Some(4)), ("b", Some(3), Some(2))]);
    }

    #[test]
    fn what_fires_under_one_only_waits_for_its_like_until_the_bound_and_no_longer() {
        let mut difference = Difference::new(EXPIRE_AFTER);
        difference.note(Side::Other, at(0), &claimed("a"));
        let bound = at(0).plus(MOVED_MAX).plus(EXPIRE_AFTER);
        assert_eq!(difference.decided(bound), None);
        let told = difference.decided(at(bound.millis() + 1)).unwrap();
        assert_eq!(instants(&told), ("a", None, Some(0)));
        assert!(difference.first.is_empty());
    }
}
