//! The queue of what is due and held back: HIGH before MEDIUM before LOW, then by time; and each user in a line of
//! their own, so that one who must wait is passed over as a whole, however much they wait for. Those that go out together
//! leave together, when the most pressing of them is first.
//!
//! It knows places, priorities and users, and no rates. Every bound leaves out what finds no room: the caller looks
//! for that in the index again when there is room.

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::digests::Together;
use crate::domain::digest::DIGEST_MEMBERS_MAX;
use crate::domain::{Priority, TaskId, Timestamp};
use crate::store::{IndexEntry, IndexKey};

/// Most reminders in the queue: some megabytes, and the order by priority reaches so far.
pub(super) const HELD_MAX: usize = 65_536;
/// Most reminders in a user's line: a flood of one user's leaves room for others.
pub(super) const LINE_MAX: usize = 1_024;

/// Who has no line of their own.
pub(super) const NOBODY: &str = "";

/// Who goes first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Rank {
    urgency: Reverse<Priority>,
    key: IndexKey,
}

/// Why a reminder is in the queue.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Lane {
    /// It fell due while reminders went out.
    OnTime,
    /// It was missed.
    Missed,
}

/// A reminder whose turn it is, or several that go out together; never none.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Turn {
    pub(super) entries: Vec<IndexEntry>,
    pub(super) lane: Lane,
    pub(super) user: Arc<str>,
}

/// What one user waits for.
#[derive(Default)]
struct Line {
    ranks: BTreeSet<Rank>,
    /// The user's turn comes no earlier.
    waits_until: Option<Timestamp>,
    /// Something found no room.
    left_out: bool,
}

/// The lines of one lane. Each is named in exactly one of the two sets.
#[derive(Default)]
struct Lines {
    lines: HashMap<Arc<str>, Line>,
    /// Lines that may go, by who is first in them.
    ready: BTreeSet<(Rank, Arc<str>)>,
    /// Lines that must wait.
    waiting: BTreeSet<(Timestamp, Arc<str>)>,
}

/// A reminder in the queue.
struct Held {
    task: TaskId,
    together: Option<Arc<Together>>,
}

/// Where a reminder stands in the queue: the lane and the line too.
type Place = (Rank, Lane, Arc<str>);

/// The queue.
#[derive(Default)]
pub(super) struct Queue {
    on_time: Lines,
    missed: Lines,
    held: HashMap<IndexKey, Held>,
    /// Those that go out together.
    groups: HashMap<Arc<Together>, BTreeSet<Place>>,
    /// How many of those held are in a group.
    grouped: usize,
    /// The earliest that found no room.
    left_out: Option<IndexKey>,
    /// There is room again for what was left out.
    has_room: bool,
}

impl Queue {
    pub(super) fn len(&self) -> usize {
        self.held.len()
    }

    /// How many turns they will take, unless a digest is too large for one.
    pub(super) fn turns(&self) -> usize {
        self.held.len() - self.grouped + self.groups.len()
    }

    /// Whether the reminder at this place is in the queue.
    pub(super) fn holds(&self, key: &IndexKey) -> bool {
        self.held.contains_key(key)
    }

    /// Puts a reminder into the line of `user`, if there is room, and to those it goes out `together` with.
    pub(super) fn put(
        &mut self,
        entry: &IndexEntry,
        priority: Priority,
        lane: Lane,
        user: &str,
        together: Option<Together>,
    ) {
        let rank = Rank { urgency: Reverse(priority), key: entry.key };
        let has_room = self.held.len() < HELD_MAX;
        let Some(user) = has_room.then(|| self.lane(lane).put(rank, user)).flatten() else {
            self.left_out = Some(self.left_out.map_or(entry.key, |least| least.min(entry.key)));
            return;
        };
        let together = together.map(|together| {
            let known = self.groups.get_key_value(&together).map(|(known, _)| Arc::clone(known));
            let together = known.unwrap_or_else(|| Arc::new(together));
            self.groups.entry(Arc::clone(&together)).or_default().insert((rank, lane, user));
            self.grouped += 1;
            together
        });
        self.held.insert(entry.key, Held { task: entry.task.clone(), together });
    }

    /// Who is first in `lane`, of those who need not wait.
    pub(super) fn first(&self, lane: Lane) -> Option<(Rank, Arc<str>)> {
        let lines = if lane == Lane::OnTime { &self.on_time } else { &self.missed };
        lines.ready.first().cloned()
    }

    /// Takes the first of `lane` out, and with it those it goes out together with: as many as a digest has.
    pub(super) fn take(&mut self, lane: Lane) -> Option<Turn> {
        let (rank, user) = self.first(lane)?;
        let first = self.leave(&(rank, lane, Arc::clone(&user)))?;
        let mut entries = vec![IndexEntry { key: rank.key, task: first.task }];
        let together = first.together;
        let next = |queue: &Self| queue.groups.get(together.as_ref()?)?.first().cloned();
        while entries.len() < DIGEST_MEMBERS_MAX
            && let Some(place) = next(self)
            && let Some(held) = self.leave(&place)
        {
            entries.push(IndexEntry { key: place.0.key, task: held.task });
        }
        Some(Turn { entries, lane, user })
    }

    fn leave(&mut self, place: &Place) -> Option<Held> {
        let (rank, lane, user) = place;
        let leaves_half = self.held.len() == HELD_MAX / 2 + 1;
        let line_has_room = self.lane(*lane).remove(*rank, user);
        let held = self.held.remove(&rank.key)?;
        self.has_room |= leaves_half || line_has_room;
        if let Some(together) = &held.together
            && let Some(group) = self.groups.get_mut(together)
        {
            group.remove(place);
            self.grouped -= 1;
            if group.is_empty() {
                self.groups.remove(together);
            }
        }
        Some(held)
    }

    /// Lets the whole line that is first in `lane` wait.
    pub(super) fn put_off(&mut self, lane: Lane, until: Timestamp) {
        self.lane(lane).put_off(until);
    }

    /// Ends the waits that are over at `now`.
    pub(super) fn wake(&mut self, now: Timestamp) {
        self.on_time.wake(now);
        self.missed.wake(now);
    }

    /// When somebody in `lane` may go: at once where one need not wait, never where it is empty.
    pub(super) fn opens_at(&self, lane: Lane) -> Timestamp {
        let lines = if lane == Lane::OnTime { &self.on_time } else { &self.missed };
        match (lines.ready.is_empty(), lines.waiting.first()) {
            (false, _) => Timestamp::MIN,
            (true, Some((until, _))) => *until,
            (true, None) => Timestamp::MAX,
        }
    }

    /// The earliest that was left out and may find room now; told once.
    pub(super) fn look_again_from(&mut self) -> Option<IndexKey> {
        if !std::mem::take(&mut self.has_room) {
            return None;
        }
        self.left_out.take()
    }

    fn lane(&mut self, lane: Lane) -> &mut Lines {
        match lane {
            Lane::OnTime => &mut self.on_time,
            Lane::Missed => &mut self.missed,
        }
    }
}

impl Lines {
    /// Whose line it is; `None` where that is full.
    fn put(&mut self, rank: Rank, user: &str) -> Option<Arc<str>> {
        let user: Arc<str> = match self.lines.get_key_value(user) {
            Some((user, _)) => Arc::clone(user),
            None => user.into(),
        };
        let line = self.lines.entry(Arc::clone(&user)).or_default();
        if *user != *NOBODY && line.ranks.len() == LINE_MAX {
            line.left_out = true;
            return None;
        }
        let before = line.ranks.first().copied();
        line.ranks.insert(rank);
        if line.waits_until.is_none() && before.is_none_or(|before| rank < before) {
            if let Some(before) = before {
                self.ready.remove(&(before, Arc::clone(&user)));
            }
            self.ready.insert((rank, Arc::clone(&user)));
        }
        Some(user)
    }

    /// Takes one out of its line; whether that makes room where something was left out.
    fn remove(&mut self, rank: Rank, user: &Arc<str>) -> bool {
        let Some(line) = self.lines.get_mut(user) else { return false };
        line.ranks.remove(&rank);
        let has_room = line.left_out && line.ranks.len() == LINE_MAX / 2;
        line.left_out &= !has_room;
        let was_first = self.ready.remove(&(rank, Arc::clone(user)));
        match line.ranks.first() {
            Some(next) if was_first => drop(self.ready.insert((*next, Arc::clone(user)))),
            Some(_) => {}
            None => {
                let until = line.waits_until;
                self.lines.remove(user);
                until.map(|until| self.waiting.remove(&(until, Arc::clone(user))));
            }
        }
        has_room
    }

    fn put_off(&mut self, until: Timestamp) {
        let Some((_, user)) = self.ready.pop_first() else { return };
        if let Some(line) = self.lines.get_mut(&user) {
            line.waits_until = Some(until);
            self.waiting.insert((until, user));
        }
    }

    fn wake(&mut self, now: Timestamp) {
        while self.waiting.first().is_some_and(|(until, _)| *until <= now) {
            let Some((_, user)) = self.waiting.pop_first() else { return };
            let Some(line) = self.lines.get_mut(&user) else { continue };
            line.waits_until = None;
            if let Some(first) = line.ranks.first() {
                self.ready.insert((*first, user));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::ReminderId;
    use crate::domain::tests::{minute, task};

    fn entry(n: usize) -> IndexEntry {
        let id = ReminderId::from_bytes(u128::try_from(n).unwrap().to_be_bytes());
        IndexEntry { key: (minute(i64::try_from(n).unwrap()), id), task: task(&n.to_string()) }
    }

    fn put(queue: &mut Queue, n: usize, priority: Priority, user: &str) {
        queue.put(&entry(n), priority, Lane::OnTime, user, None);
    }

    fn take(queue: &mut Queue) -> Option<String> {
        queue.take(Lane::OnTime).map(|turn| turn.entries[0].task.to_string())
    }

    #[test]
    fn the_more_pressing_goes_first_then_the_earlier_whoever_waits_for_it() {
        let mut queue = Queue::default();
        for (n, priority, user) in [
            (3, Priority::Low, "a"),
            (4, Priority::High, "b"),
            (2, Priority::Medium, NOBODY),
            (1, Priority::High, "a"),
            (0, Priority::Low, "b"),
        ] {
            put(&mut queue, n, priority, user);
        }
        let order: Vec<String> = std::iter::from_fn(|| take(&mut queue)).collect();
        assert_eq!(order, ["1", "4", "2", "0", "3"]);
        assert_eq!((queue.len(), queue.opens_at(Lane::OnTime)), (0, Timestamp::MAX));
        assert!(queue.on_time.lines.is_empty() && queue.on_time.ready.is_empty());
    }

    #[test]
    fn a_line_that_must_wait_is_passed_over_as_a_whole_until_then() {
        let mut queue = Queue::default();
        (0..3).for_each(|n| put(&mut queue, n, Priority::High, "a"));
        queue.put_off(Lane::OnTime, minute(9));
        assert_eq!(queue.opens_at(Lane::OnTime), minute(9));
        put(&mut queue, 7, Priority::Low, "b");
        put(&mut queue, 4, Priority::High, "a");
        assert_eq!(queue.opens_at(Lane::OnTime), Timestamp::MIN);
        assert_eq!((take(&mut queue).as_deref(), take(&mut queue)), (Some("7"), None));
        queue.wake(Timestamp::from_millis(minute(9).millis() - 1));
        assert_eq!(take(&mut queue), None);
        queue.wake(minute(9));
        assert_eq!(take(&mut queue).as_deref(), Some("0"));
        assert_eq!(queue.opens_at(Lane::Missed), Timestamp::MAX, "the lanes are apart");
    }

    #[test]
    fn a_user_whose_line_is_full_leaves_room_for_others_and_is_looked_for_again_at_half() {
        let mut queue = Queue::default();
        (0..LINE_MAX).for_each(|n| put(&mut queue, n, Priority::Low, "a"));
        assert!(queue.left_out.is_none(), "on the bound");
        put(&mut queue, LINE_MAX + 1, Priority::High, "a");
        put(&mut queue, LINE_MAX, Priority::High, "a");
        put(&mut queue, LINE_MAX + 2, Priority::Low, "b");
        assert_eq!(queue.len(), LINE_MAX + 1);
        assert!(!queue.holds(&entry(LINE_MAX).key) && queue.holds(&entry(LINE_MAX + 2).key));
        (1..LINE_MAX / 2).for_each(|_| drop(take(&mut queue)));
        assert_eq!(queue.look_again_from(), None);
        drop(take(&mut queue));
        assert_eq!(queue.look_again_from(), Some(entry(LINE_MAX).key), "the earliest of those left out");
        assert_eq!(queue.look_again_from(), None, "told once");
    }

    #[test]
    fn those_that_go_together_leave_with_the_most_pressing_of_them_as_many_as_a_digest_has() {
        let mut queue = Queue::default();
        let together = |user: &str| Some((minute(0), user.to_owned(), None));
        let mut put = |n: usize, priority, lane, user: &str| {
            queue.put(&entry(n), priority, lane, NOBODY, together(user));
        };
        put(9, Priority::Medium, Lane::Missed, "a");
        put(2, Priority::Low, Lane::OnTime, "a");
        put(1, Priority::Low, Lane::OnTime, "b");
        (10..9 + DIGEST_MEMBERS_MAX).for_each(|n| put(n, Priority::Low, Lane::OnTime, "a"));
        assert_eq!((queue.len(), queue.turns()), (DIGEST_MEMBERS_MAX + 2, 2));
        let turn = queue.take(Lane::Missed).unwrap();
        assert_eq!((turn.entries.len(), turn.entries[0].task.as_str()), (DIGEST_MEMBERS_MAX, "9"));
        assert!(turn.entries.iter().all(|gone| !queue.holds(&gone.key)));
        assert_eq!((queue.len(), queue.turns()), (2, 2), "one more than a digest has, and the other user's");
        assert_eq!((take(&mut queue).as_deref(), queue.len()), (Some("1"), 1));
        assert!(take(&mut queue).is_some());
        assert_eq!((queue.turns(), queue.groups.len(), queue.missed.lines.len()), (0, 0, 0));
        assert!(queue.on_time.lines.is_empty() && queue.on_time.ready.is_empty());
    }

    #[test]
    fn who_must_wait_and_leaves_with_others_is_waited_for_no_more() {
        let mut queue = Queue::default();
        let together = Some((minute(0), "a".to_owned(), None));
        queue.put(&entry(1), Priority::Low, Lane::OnTime, "a", together.clone());
        queue.put_off(Lane::OnTime, minute(9));
        queue.put(&entry(2), Priority::Low, Lane::Missed, "a", together);
        assert_eq!(queue.take(Lane::Missed).unwrap().entries.len(), 2);
        assert_eq!((queue.len(), queue.opens_at(Lane::OnTime)), (0, Timestamp::MAX));
    }

    #[test]
    fn a_full_queue_leaves_out_what_comes_and_looks_for_it_again_at_half() {
        let mut queue = Queue::default();
        (0..HELD_MAX).for_each(|n| put(&mut queue, n, Priority::Low, NOBODY));
        assert!(queue.left_out.is_none(), "on the bound");
        put(&mut queue, HELD_MAX, Priority::High, "b");
        assert_eq!(queue.len(), HELD_MAX);
        (1..HELD_MAX / 2).for_each(|_| drop(take(&mut queue)));
        assert_eq!(queue.look_again_from(), None);
        drop(take(&mut queue));
        assert_eq!(queue.len(), HELD_MAX / 2);
        assert_eq!(queue.look_again_from(), Some(entry(HELD_MAX).key));
    }
}
