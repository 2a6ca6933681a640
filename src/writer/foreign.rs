//! Another worker on the same topics: how a receipt gives it away.
//!
//! Every reminder of this worker's is in its store before it goes out. So one that comes back and was never planned
//! here was another worker's, with a store and a plan of its own: a second replica, or one that somebody forgot.
//!
//! An alarm that cries wolf is turned off, so in doubt there is none. Not counted is what this worker may have planned
//! and forgotten since (retention, low-water marks), or planned in a store that it no longer has (planned for before
//! this start: a restored backup, a new volume, the topic replayed), or erased with a user.
//!
//! What it cannot see: another worker with the same configuration that hears the same events plans the same reminders
//! under the same ids, which consumers drop as repeats; and one that shares the consumer group takes part of the
//! receipts along with part of the events.

use std::time::Duration;

use super::Receipt;
use crate::domain::{Record, ReminderId, TaskId, Timestamp};
use crate::telemetry;

/// The log tells of it at most so often; every one is counted.
pub(super) const TOLD_EVERY: Duration = Duration::from_secs(600);

/// Reminders that came back and were never planned here, since this start.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Foreign {
    /// How many.
    pub count: u64,
    /// The last of them.
    pub last: Option<ForeignReminder>,
    told_at: Option<Timestamp>,
}

/// A reminder that this worker never planned.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ForeignReminder {
    /// Its task.
    pub task_id: TaskId,
    /// Its identity.
    pub id: ReminderId,
    /// When it came back.
    pub at: Timestamp,
}

/// The span in which a worker remembers all that it planned.
#[derive(Clone, Copy, Debug)]
pub(super) struct Memory {
    /// When this life of the worker began, or a user was last erased.
    pub(super) since: Timestamp,
    /// How long an ended task is kept.
    pub(super) retention: Duration,
}

/// Since when a worker remembers all that it planned that has erased some of it at `at`: what was planned for that very
/// instant may be among it.
pub(super) fn since_forgetting(at: Timestamp) -> Timestamp {
    at.plus(Timestamp::FINEST)
}

/// Whether a receipt of a task with this `record`, if any is kept, was never planned here.
pub(super) fn is_foreign(receipt: &Receipt, at: Timestamp, record: Option<&Record>, memory: Memory) -> bool {
    let Some(planned_at) = receipt.planned_at else { return false };
    if planned_at < memory.since || at.since(planned_at) >= memory.retention {
        return false;
    }
    record.is_none_or(|record| {
        record.reminders.iter().all(|reminder| reminder.id(&receipt.task_id) != receipt.id)
            && record.low_water.iter().all(|(_, mark)| *mark < planned_at)
    })
}

impl Foreign {
    /// Notes what a group found, and tells the log where it has not been told lately.
    pub(super) fn note(&mut self, found: Vec<ForeignReminder>) {
        let count = u64::try_from(found.len()).unwrap_or(u64::MAX);
        let Some(last) = found.into_iter().next_back() else { return };
        self.count = self.count.saturating_add(count);
        telemetry::foreign_reminders(count);
        if self.told_at.is_none_or(|told| last.at.since(told) >= TOLD_EVERY) {
            self.told_at = Some(last.at);
            tracing::warn!(
                alarm = "foreign_worker",
                task = %last.task_id,
                reminder = %last.id,
                seen = self.count,
                "a reminder came back that this worker never planned: another worker publishes to the same topic. Run one \
                 only: scale to one replica, stop the other deployment, or give it topics of its own"
            );
        }
        self.last = Some(last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::tests::{minute, task};
    use crate::domain::{Reminder, Rule};

    #[test]
    fn a_receipt_is_foreign_only_where_the_worker_would_know_it() {
        let memory = Memory { since: minute(10), retention: Duration::from_secs(3_600) };
        let own = Reminder::pending(None, Rule::Offset(0), minute(20));
        let other = ReminderId::from_bytes([7; 16]);
        let record = Record { reminders: vec![own.clone()], ..Record::default() };
        let marked = Record { low_water: vec![(Rule::Offset(0), minute(20))], ..record.clone() };
        let known = own.id(&task("t"));
        for (what, id, planned, at, record, foreign) in [
            ("its own", known, Some(20), 20, Some(&record), false),
            ("another of a task it knows", other, Some(20), 20, Some(&record), true),
            ("of a task it does not know", other, Some(20), 20, None, true),
            ("on the start", other, Some(10), 20, None, true),
            ("from before the start", other, Some(9), 20, None, false),
            ("just inside the retention", other, Some(20), 79, None, true),
            ("perhaps purged since", other, Some(20), 80, None, false),
            ("perhaps forgotten since", other, Some(20), 20, Some(&marked), false),
            ("above what was forgotten", other, Some(21), 21, Some(&marked), true),
            ("no word of a worker", other, None, 20, None, false),
        ] {
            let receipt = Receipt { task_id: task("t"), id, planned_at: planned.map(minute) };
            assert_eq!(is_foreign(&receipt, minute(at), record, memory), foreign, "{what}");
        }
    }
}
