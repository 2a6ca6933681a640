//! What the store knows besides records: counters, marks and numbers, all in one small value that every
//! commit rewrites.

use crate::domain::{ByPriority, Outcome, Tally, TaskId, Timestamp};

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

    /// All events received.
    #[must_use]
    pub fn received(&self) -> u64 {
        self.applied + self.duplicate + self.stale + self.ignored + self.quarantined
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
}
