//! Putting a policy into force; planning anew under a new one or another tz database, a step at a time behind a durable
//! cursor; and telling what that moved.

use super::STEP_MAX;
use super::group::Group;
use crate::domain::history::{NOTED_MOVES_MAX, Note, moves};
use crate::domain::{ByPriority, Policy, PolicyInForce, PolicySince, Record, TaskId, Timestamp};
use crate::store::{Dated, Meta, PolicyMark, Restored, StoreError};
use crate::telemetry;

/// Moved reminders that are told one by one in the log of a process; the others are counted.
const MOVES_LOGGED_MAX: u64 = 100;

/// Puts the policy into force: one that this store has not had before gets a new generation, and every task
/// is planned anew behind a cursor. Each setting keeps the instant since when it has been as it is: what depends
/// on another one is not born anew. The first policy of a store has always been: events that waited for the worker
/// (a first start, a store that was lost) are late, not past.
///
/// So is every task of a store that holds what was due when it was restored: series go on.
pub(super) fn put_in_force(
    meta: &mut Meta,
    policy: &Policy,
    now: Timestamp,
    empty: bool,
    restored: Option<&Restored>,
) -> PolicyInForce {
    let digests = policy.digests();
    let former = meta.policy;
    let holds = restored.is_some_and(|restored| restored.holds_to().is_some());
    let dated = |before: Option<Dated>, digest| match before {
        None => Dated { digest, since: Timestamp::MIN },
        // It may have come while the clock was ahead.
        Some(dated) if dated.digest == digest => Dated { since: dated.since.min(now), ..dated },
        Some(_) => Dated { digest, since: now },
    };
    let since = |of: fn(&PolicyMark) -> Dated, digest| dated(former.map(|mark| of(&mark)), digest);
    let generation = former.map_or(1, |mark| mark.generation);
    let mut mark = PolicyMark {
        digest: digests.whole,
        generation,
        offsets: ByPriority::each(|priority| {
            dated(former.map(|mark| *mark.offsets.of(priority)), *digests.offsets.of(priority))
        }),
        nags: since(|mark| mark.nags, digests.nags),
        zone: since(|mark| mark.zone, digests.zone),
        date_only: since(|mark| mark.date_only, digests.date_only),
        recurrence: Some(since(|mark| mark.recurrence.unwrap_or_default(), digests.recurrence)),
    };
    if former.map(|mark| mark.digest) != Some(mark.digest) || holds {
        mark.generation += u32::from(former.is_some());
        meta.replanning_after = (!empty).then_some(None);
    }
    meta.policy = Some(mark);
    PolicyInForce {
        policy: policy.clone(),
        generation: mark.generation,
        since: PolicySince {
            offsets: ByPriority::each(|priority| mark.offsets.of(priority).since),
            nags: mark.nags.since,
            zone: mark.zone.since,
            date_only: mark.date_only.since,
            recurrence: mark.recurrence.unwrap_or_default().since,
        },
        missing: restored.map(Restored::missing),
        leap: None,
    }
}

impl Group<'_> {
    /// Plans the next [`STEP_MAX`] tasks that were planned under an older policy.
    pub(super) fn replan_step(&mut self) -> Result<(), StoreError> {
        let Some(after) = self.meta.replanning_after.clone() else { return Ok(()) };
        let page = self.core.store.tasks(after.as_ref(), STEP_MAX)?;
        let last = page.last().cloned();
        self.meta.replanning_after = if page.len() < STEP_MAX { None } else { Some(last) };
        for task in page {
            let Some(mut record) = self.readable(&task)? else { continue };
            if record.generation != self.core.policy.generation {
                self.replan(&task, &mut record)?;
                self.put(&task, record)?;
            }
        }
        let moved = self.core.moved + self.effects.moved;
        if self.meta.replanning_after.is_none() && moved > 0 {
            tracing::info!(
                moved,
                "all tasks are planned under the present settings; so many reminders moved"
            );
        }
        Ok(())
    }

    /// Plans a task that was planned under an older policy, and notes what that changes.
    pub(super) fn replan_anew(&mut self, task: &TaskId, record: &mut Record) -> Result<(), StoreError> {
        let before = record.reminders.clone();
        let mut noted = record.history.clone();
        noted.add(Note::Replanned { at: self.now, tzdb: String::new(), moved: Vec::new() });
        let former = std::mem::replace(&mut record.history, noted);
        self.plan(task, record)?;
        if before == record.reminders {
            record.history = former;
            return Ok(());
        }
        let mut moved = moves(&before, &record.reminders, |reminder| reminder.id(task));
        let logged = self.core.moved + self.effects.moved;
        self.effects.moved += u64::try_from(moved.len()).unwrap_or(u64::MAX);
        telemetry::reminders_moved(moved.len());
        let tzdb = chrono_tz::IANA_TZDB_VERSION;
        for (moved, _) in moved.iter().zip(logged..MOVES_LOGGED_MAX) {
            let (from, to) = (moved.from, moved.to);
            tracing::info!(%task, reminder = %moved.reminder, %from, %to, tzdb, "a reminder moved with the settings or the tz database");
        }
        moved.truncate(NOTED_MOVES_MAX);
        if let Some(note) = record.history.notes.last_mut() {
            *note = Note::Replanned { at: self.now, tzdb: tzdb.to_owned(), moved };
        }
        Ok(())
    }
}
