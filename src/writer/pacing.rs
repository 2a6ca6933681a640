//! How fast reminders go out: the rates, and whose turn it is while they hold reminders back.
//!
//! Held back is in memory alone: what is held is pending in the index like everything else, and a process that starts
//! anew finds it there. Tokens are taken when an attempt begins; a user's only for the first attempt of a reminder.
//!
//! Unlike the rest of the loop's state it changes while a group is folded, since a copy for each group would cost what
//! is held. A group that comes to nothing makes the loop forget the queue and read the index again from its beginning.
//!
//! What goes out together waits together, at the place of its most pressing member, and takes one token.
//!
//! Accepted: a reminder held back keeps the place that its priority gave it then; and one held back by a rate alone is
//! not missed, however long it waits, unless the worker starts anew meanwhile.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use super::digests::together;
use super::group::Group;
use super::queue::{Lane, NOBODY, Queue, Turn};
use super::restored::{LAST_ID, held_to, holds};
use super::{Claimed, STEP_MAX};
use crate::domain::catch_up::{self, is_caught_up};
use crate::domain::{
    Bucket, CatchUp, Rate, Record, Reminder, ReminderId, Rules, Task, TaskId, Timestamp, decide, let_go,
};
use crate::store::{IndexEntry, IndexKey, StoreError};

/// What a bucket of a rate a second holds is what comes in so long: a batch of a tenth of a second costs one commit,
/// and is no burst that anybody sees.
const BURST: Duration = Duration::from_millis(100);
/// The span of the rate of a user.
const USER_SPAN: Duration = Duration::from_secs(60);
/// Most users whose tokens are counted; the reminders of those beyond are not held back.
pub(super) const USERS_MAX: usize = 65_536;
/// Users whose bucket is full again are looked for at most so often.
const SWEEP_EVERY: Duration = Duration::from_secs(1);

/// How reminders are let go; a rate of 0 is none.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Firing {
    /// What becomes of missed ones.
    pub catch_up: CatchUp,
    /// Missed ones a second.
    pub catch_up_rate: u32,
    /// All a second.
    pub rate: u32,
    /// Those of one user a minute, which is also how many may go at once.
    pub user_rate: u32,
}

/// What is held back.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct HeldBack {
    /// How many.
    pub count: usize,
    /// When the rates let the next one go, or the last look at them where they let it go then.
    pub next_at: Timestamp,
}

/// See the module.
pub(super) struct Pacing {
    // Configuration.
    user_rate: Option<Rate>,
    // State.
    all: Option<Bucket>,
    missed: Option<Bucket>,
    /// Of the users who have taken a token lately: who is not here has a full bucket.
    users: HashMap<Arc<str>, Bucket>,
    queue: Queue,
    /// When those in flight went that had been held back.
    let_go: HashMap<ReminderId, Timestamp>,
    /// The clock as it was last read.
    now: Timestamp,
    swept_at: Timestamp,
}

impl Pacing {
    pub(super) fn new(firing: &Firing, now: Timestamp) -> Self {
        let a_second = |count: u32| {
            let burst = u128::from(count) * BURST.as_millis() / 1_000;
            let rate = Rate::new(count, Duration::from_secs(1), u32::try_from(burst).unwrap_or(u32::MAX));
            rate.map(|rate| Bucket::full(rate, now))
        };
        Self {
            user_rate: Rate::new(firing.user_rate, USER_SPAN, firing.user_rate),
            all: a_second(firing.rate),
            missed: a_second(firing.catch_up_rate),
            users: HashMap::new(),
            queue: Queue::default(),
            let_go: HashMap::new(),
            now,
            swept_at: now,
        }
    }

    /// Whether the reminder at this place is held back.
    pub(super) fn holds(&self, key: &IndexKey) -> bool {
        self.queue.holds(key)
    }

    /// What is held back, if anything is.
    pub(super) fn held_back(&self) -> Option<HeldBack> {
        let count = self.queue.len();
        // Where nobody has to wait for a token, they wait since the last look.
        (count > 0).then(|| HeldBack { count, next_at: self.next_at().max(self.now) })
    }

    /// When the next one that is held back may go; [`Timestamp::MAX`] where none is.
    pub(super) fn next_at(&self) -> Timestamp {
        // As many tokens as may go together, since each batch costs a commit; where the last one left some, at once.
        let waiting = u64::try_from(self.queue.turns()).unwrap_or(u64::MAX);
        let filled = |bucket: &Option<Bucket>| match bucket {
            Some(bucket) if !bucket.has_token() => bucket.holds_at(waiting),
            _ => Timestamp::MIN,
        };
        let any = filled(&self.all);
        let on_time = self.queue.opens_at(Lane::OnTime).max(any);
        let missed = self.queue.opens_at(Lane::Missed).max(any).max(filled(&self.missed));
        on_time.min(missed)
    }

    /// Holds a due reminder back if it is subject to a rate: whose turn it is is decided when all that is due is known.
    pub(super) fn hold(
        &mut self,
        entry: &IndexEntry,
        task: &Task,
        reminder: &Reminder,
        now: Timestamp,
    ) -> bool {
        let lane = if is_caught_up(reminder, now) { Lane::Missed } else { Lane::OnTime };
        let first = reminder.attempts == 0 && !reminder.maybe_out;
        let counted = self.user_rate.is_some() && first;
        let user = task.user().filter(|_| counted).unwrap_or(NOBODY);
        let free = self.all.is_none() && *user == *NOBODY;
        if free && (lane == Lane::OnTime || self.missed.is_none()) {
            return false;
        }
        self.refill(now);
        self.queue.put(entry, task.priority(), lane, user, together(task, reminder));
        true
    }

    /// Whose turn it is, if the rates let anybody go at `now`.
    pub(super) fn next(&mut self, now: Timestamp) -> Option<Turn> {
        if self.queue.len() == 0 {
            return None;
        }
        self.refill(now);
        if self.all.is_some_and(|all| !all.has_token()) {
            return None;
        }
        let may_catch_up = self.missed.is_none_or(|missed| missed.has_token());
        loop {
            let on_time = self.queue.first(Lane::OnTime).map(|(rank, user)| (rank, Lane::OnTime, user));
            let missed = self.queue.first(Lane::Missed).filter(|_| may_catch_up);
            let missed = missed.map(|(rank, user)| (rank, Lane::Missed, user));
            let (_, lane, user) = on_time.into_iter().chain(missed).min_by_key(|(rank, ..)| *rank)?;
            match self.waits_until(&user) {
                Some(until) => self.queue.put_off(lane, until),
                None => return self.queue.take(lane),
            }
        }
    }

    /// Takes the tokens of the one publish in which the attempts of these begin, as it was their `turn`.
    pub(super) fn spend(&mut self, turn: &Turn, begun: impl Iterator<Item = ReminderId>) {
        self.let_go.extend(begun.map(|id| (id, self.now)));
        // There were some when it was its turn.
        if let Some(all) = &mut self.all {
            all.take();
        }
        if let Some(missed) = self.missed.as_mut().filter(|_| turn.lane == Lane::Missed) {
            missed.take();
        }
        let Some(rate) = self.user_rate.filter(|_| *turn.user != *NOBODY) else { return };
        if self.users.len() >= USERS_MAX {
            self.forget_idle_users();
        }
        if self.users.len() < USERS_MAX || self.users.contains_key(&turn.user) {
            let now = self.now;
            self.users.entry(Arc::clone(&turn.user)).or_insert_with(|| Bucket::full(rate, now)).take();
        }
    }

    /// Forgets what is held back; the rates go on, and so does what is in flight.
    pub(super) fn forget(&mut self, in_flight: &HashSet<ReminderId>) {
        self.queue = Queue::default();
        self.let_go.retain(|id, _| in_flight.contains(id));
    }

    /// The attempt of a reminder has ended.
    pub(super) fn ended(&mut self, id: &ReminderId) {
        self.let_go.remove(id);
    }

    /// From when a reminder that is to go out counts as overdue: one that a rate held back from when it was let go, and
    /// none that is held back still.
    pub(super) fn overdue_from(&self, key: &IndexKey, fire_at: Timestamp) -> Option<Timestamp> {
        (!self.holds(key)).then(|| self.let_go.get(&key.1).copied().unwrap_or(fire_at))
    }

    /// Until when a user must wait, if they must.
    fn waits_until(&mut self, user: &str) -> Option<Timestamp> {
        let bucket = self.users.get_mut(user)?;
        bucket.refill(self.now);
        (!bucket.has_token()).then(|| bucket.holds_at(1))
    }

    fn refill(&mut self, now: Timestamp) {
        self.all.iter_mut().chain(&mut self.missed).for_each(|bucket| bucket.refill(now));
        self.queue.wake(now);
        self.now = now;
    }

    fn forget_idle_users(&mut self) {
        let now = self.now;
        if now.since(self.swept_at) < SWEEP_EVERY && self.swept_at <= now {
            return;
        }
        self.swept_at = now;
        self.users.retain(|_, bucket| {
            bucket.refill(now);
            !bucket.is_full()
        });
    }
}

impl Group<'_> {
    /// Whether the reminder at this place of the index needs no look: it is on its way, or waits for its turn.
    pub(super) fn is_taken(&self, key: &IndexKey) -> bool {
        self.is_in_flight(&key.1) || self.core.pacing.borrow().holds(key)
    }

    /// Where the index is to be read from, at the latest: what found no room in the queue is there.
    pub(super) fn scan_from(&self, mark: Option<IndexKey>) -> Option<IndexKey> {
        let again = self.core.pacing.borrow_mut().queue.look_again_from();
        // Keys after the mark are read, so the mark lies before that place.
        let before = again.map(|(at, _)| (Timestamp::from_millis(at.millis().saturating_sub(1)), LAST_ID));
        let mark = before.map_or(mark, |before| mark.min(Some(before)));
        // What is held since a restore is not looked at.
        mark.max(held_to(self.restored.as_ref()))
    }

    /// Claims those whose turn it is, until there are `limit`; those that go out together whole, beyond it. When
    /// [`STEP_MAX`] have been looked at, it ends with that turn.
    pub(super) fn claim_held(
        &mut self,
        limit: usize,
        reminders: &mut Vec<Claimed>,
    ) -> Result<(), StoreError> {
        let mut looked_at = 0;
        while looked_at < STEP_MAX && reminders.len() < limit {
            let Some(turn) = self.core.pacing.borrow_mut().next(self.now) else { break };
            looked_at += turn.entries.len();
            let others = reminders.len();
            for entry in &turn.entries {
                if !self.is_in_flight(&entry.key.1) {
                    reminders.extend(self.attempt(entry, Some(turn.lane))?);
                }
            }
            if reminders.len() > others {
                let begun = reminders[others..].iter().map(|claimed| claimed.id);
                self.core.pacing.borrow_mut().spend(&turn, begun);
            }
        }
        Ok(())
    }

    /// Ends what the choice in force ends of the missed reminders of `task`; true if it ended any.
    pub(super) fn catch_up(&mut self, task: &TaskId, record: &mut Record) -> Result<bool, StoreError> {
        let choice = self.core.settings.firing.catch_up;
        if choice == CatchUp::Fire {
            return Ok(false);
        }
        let now = self.now;
        // What is held since a restore is not missed: it waits for a person.
        let held: Vec<ReminderId> = record
            .reminders
            .iter()
            .filter(|reminder| holds(self.restored.as_ref(), reminder))
            .map(|reminder| reminder.id(task))
            .collect();
        let is_spared = |group: &Self, id: &ReminderId| group.is_in_flight(id) || held.contains(id);
        let user = self.preferences_of(&record.task)?;
        let rules = Rules { in_force: &self.core.policy, user: user.as_deref() };
        let mut changed = false;
        if record.task.recurrence().is_some() {
            changed = decide::to_last_missed(task, record, &rules, now, &|id| is_spared(self, id));
            if changed {
                self.replan(task, record)?;
            }
        }
        // No other may end for what its user does not wish, which does not go out.
        let rules = Rules { in_force: &self.core.policy, user: user.as_deref() };
        let unwished: Vec<ReminderId> = record
            .reminders
            .iter()
            .filter(|reminder| let_go(&record.task, reminder, &rules).is_some())
            .map(|reminder| reminder.id(task))
            .collect();
        let is_apart = |id: &ReminderId| is_spared(self, id) || unwished.contains(id);
        Ok(changed | catch_up::catch_up(task, record, choice, self.core.policy.expiry(), now, &is_apart))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::tests::{minute, task};

    fn turn(n: usize) -> Turn {
        let id = ReminderId::from_bytes(u128::try_from(n).unwrap().to_be_bytes());
        let entry = IndexEntry { key: (minute(0), id), task: task("t") };
        Turn { entries: vec![entry], lane: Lane::OnTime, user: format!("user-{n}").into() }
    }

    #[test]
    fn users_beyond_the_bound_are_not_held_back_until_others_are_forgotten() {
        let mut pacing = Pacing::new(&Firing { user_rate: 1, ..Firing::default() }, minute(0));
        (0..USERS_MAX).for_each(|n| pacing.spend(&turn(n), std::iter::empty()));
        assert_eq!(pacing.waits_until("user-0"), Some(minute(1)));
        let last = format!("user-{}", USERS_MAX - 1);
        assert_eq!(pacing.waits_until(&last), Some(minute(1)), "on the bound");
        let beyond = turn(USERS_MAX);
        pacing.spend(&beyond, std::iter::empty());
        assert_eq!(pacing.waits_until(&beyond.user), None);
        pacing.refill(minute(1));
        pacing.spend(&beyond, std::iter::empty());
        assert_eq!(pacing.waits_until(&beyond.user), Some(minute(2)));
        assert_eq!(pacing.users.len(), 1, "those whose bucket is full again are forgotten");
    }
}
