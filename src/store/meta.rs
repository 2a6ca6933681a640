//! What the store knows besides records: counters, marks and numbers, all in one small value that every
//! commit rewrites.

use super::Ledger;
use crate::domain::{ByPriority, Outcome, REASON_MAX_BYTES, Tally, TaskId, Timestamp, cut};

/// Every event received, by what became of it (**invariant 5**).
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct EventTally {
    /// Wrote at least one field.
    pub applied: u64,
    /// Had been applied already.
    pub duplicate: u64,
    /// Older than what is kept.
    pub stale: u64,
    /// Nothing for the worker.
    pub ignored: u64,
    /// Dropped with a reason.
    pub quarantined: u64,
}

impl EventTally {
    /// Counts one event that was read.
    pub fn count(&mut self, outcome: Outcome) {
        *match outcome {
            Outcome::Applied => &mut self.applied,
            Outcome::Duplicate => &mut self.duplicate,
            Outcome::Stale => &mut self.stale,
            Outcome::Ignored => &mut self.ignored,
        } += 1;
    }

    /// All that something became of: as many as were [received](super::Ledger::received).
    #[must_use]
    pub fn total(&self) -> u64 {
        let counts = [self.applied, self.duplicate, self.stale, self.ignored, self.quarantined];
        counts.into_iter().fold(0, u64::saturating_add)
    }
}

/// Entries and bytes of something bounded.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Usage {
    /// How many.
    pub entries: u64,
    /// Their bodies' bytes.
    pub bytes: u64,
}

/// The policy this store was last committed under.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PolicyMark {
    /// Of all of it.
    pub digest: u64,
    /// Counts policies, from 1.
    pub generation: u32,
    /// The offsets of tasks that name none.
    pub offsets: ByPriority<Dated>,
    /// The reminders after due.
    pub nags: Dated,
    /// The default zone.
    pub zone: Dated,
    /// The time of day that a date alone means.
    pub date_only: Dated,
    /// Whose recurrence rules are followed; `None` where a release that followed none wrote it.
    pub recurrence: Option<Dated>,
}

/// One setting of a policy.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Dated {
    /// Tells its value from others.
    pub digest: u64,
    /// When it was first committed as it is; [`Timestamp::MIN`] for a store's first.
    pub since: Timestamp,
}

/// All reminders are paused.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Paused {
    /// Since when.
    pub since: Timestamp,
    /// Why, for people; at most [`REASON_MAX_BYTES`].
    pub reason: Option<String>,
}

/// A pass over all tasks that plans anew those of users with preferences, some of which have changed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct WishesPass {
    /// The last task done.
    pub after: Option<TaskId>,
    /// Preferences have changed since it began: another one must follow.
    pub again: bool,
}

/// Counters, marks and numbers.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Meta {
    /// Events by outcome.
    pub events: EventTally,
    /// Reminders by state.
    pub reminders: Tally,
    /// The newest transport stamp among purged tasks.
    pub horizon: Option<Timestamp>,
    /// The policy in force.
    pub policy: Option<PolicyMark>,
    /// How far the planning anew under the policy in force has come: the last task done. `None` when it is done.
    pub replanning_after: Option<Option<TaskId>>,
    /// Users whose preferences are kept.
    pub users: u64,
    /// The planning anew after a change of preferences. `None` when it is done.
    pub wishes_pass: Option<WishesPass>,
    /// The next claim's number.
    pub next_claim: u64,
    /// The next quarantined event's number.
    pub next_quarantined: u64,
    /// The next outbox entry's number.
    pub next_outbox: u64,
    /// What the quarantine holds.
    pub quarantine: Usage,
    /// What the outbox holds, dead entries included.
    pub outbox: Usage,
    /// Dead entries of the outbox.
    pub outbox_dead: Usage,
    /// Whether reminders are paused.
    pub paused: Option<Paused>,
    /// What the counters above must agree with.
    pub ledger: Ledger,
}

impl Meta {
    /// Pauses all reminders at `now`; a pause that is in force stays as it is.
    pub fn pause(&mut self, now: Timestamp, reason: Option<String>) {
        self.paused.get_or_insert_with(|| Paused {
            since: now,
            reason: reason.map(|text| cut(text, REASON_MAX_BYTES)),
        });
    }
}
