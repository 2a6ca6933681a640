//! Beginning and ending attempts.
//!
//! An attempt begins with the commit of its claim, so a crash at any later moment finds the reminder named: it
//! may have gone out, and fires again under the same id. Settling deletes the claim in the same commit as it
//! writes the outcomes.

use std::collections::HashMap;
use std::sync::Arc;

use super::group::{Group, claim_record};
use super::{Claimed, ClaimedBatch, STEP_MAX, Settlement};
use crate::domain::decide::{self, Attempt};
use crate::domain::{Record, Reminder, ReminderId, State, TaskId};
use crate::store::{IndexEntry, Op, StoreError};

impl Group<'_> {
    /// Claims the earliest reminders that are due, at most `limit`, in time order. Those that have come too late
    /// end here and are not claimed, so no more than [`STEP_MAX`] are looked at: after a long outage there are
    /// as many as there are tasks.
    pub(super) fn claim(&mut self, limit: usize) -> Result<Option<ClaimedBatch>, StoreError> {
        let mut reminders: Vec<Claimed> = Vec::new();
        let mut mark = self.effects.scanned_to.or(self.core.scanned_to);
        let mut looked_at = 0;
        'scan: while reminders.len() < limit {
            let entries = self.core.store.pending(mark, limit)?;
            if entries.is_empty() {
                break;
            }
            for entry in entries {
                if entry.key.0 > self.now || reminders.len() == limit || looked_at == STEP_MAX {
                    break 'scan;
                }
                looked_at += 1;
                mark = Some(entry.key);
                if !self.is_in_flight(&entry.key.1) {
                    reminders.extend(self.attempt(&entry)?);
                }
            }
        }
        self.effects.scanned_to = mark;
        if reminders.is_empty() {
            return Ok(None);
        }
        let number = self.meta.next_claim;
        self.meta.next_claim += 1;
        let named: Vec<(ReminderId, TaskId)> = reminders.iter().map(|c| (c.id, c.task_id.clone())).collect();
        self.batch.push(Op::PutClaim(claim_record(number, &named)));
        self.effects.claimed.push((number, named));
        Ok(Some(ClaimedBatch { number, reminders, policy: Arc::clone(&self.core.policy) }))
    }

    /// Settles a claim, entry by entry. One that is settled already stays so.
    pub(super) fn settle(&mut self, claim: u64, settlements: Vec<Settlement>) -> Result<(), StoreError> {
        let Some(named) = self.core.claims.get(&claim).filter(|_| !self.effects.settled.contains(&claim))
        else {
            return Ok(());
        };
        let mut ended: HashMap<ReminderId, Attempt> =
            settlements.into_iter().map(|settlement| (settlement.id, settlement.attempt)).collect();
        for (id, task) in named {
            let attempt = ended
                .remove(id)
                .unwrap_or_else(|| Attempt::Ambiguous("the attempt ended without a result".into()));
            let (now, backoff) = (self.now, self.core.settings.backoff);
            let Some(mut record) = self.readable(task)? else { continue };
            if let Some(reminder) = pending(&mut record, task, id) {
                decide::end_attempt(reminder, &attempt, &backoff, seed(id), now);
                self.plan_next(task, &mut record);
                self.put(task, record)?;
            }
        }
        self.effects.settled.insert(claim);
        self.batch.push(Op::RemoveClaim(claim));
        Ok(())
    }

    /// Begins the attempt of one reminder, unless it has left the plan or come too late.
    fn attempt(&mut self, entry: &IndexEntry) -> Result<Option<Claimed>, StoreError> {
        let (task, id) = (&entry.task, entry.key.1);
        let mut record = match self.record(task).map(|record| record.cloned()) {
            Ok(Some(record)) => record,
            // It was erased earlier in this very group.
            Ok(None) if self.is_dirty(task) => return Ok(None),
            Ok(None) => {
                tracing::error!(%task, "a reminder in the index has no record; it is taken out of the index");
                self.batch.push(Op::RemovePending(entry.key));
                return Ok(None);
            }
            // Left where it is, for a person to look at; what is behind it goes on.
            Err(StoreError::Corrupt(why)) => {
                tracing::error!(%task, why, "the record of a due reminder can't be read; it is passed over");
                return Ok(None);
            }
            Err(other) => return Err(other),
        };
        let mut dirty = false;
        if record.generation != self.core.policy.generation {
            self.replan_anew(task, &mut record);
            dirty = true;
        }
        let now = self.now;
        let mut claimed = None;
        match pending(&mut record, task, &id) {
            Some(reminder) if reminder.wakes_at() <= now && reminder.fire_at <= now => {
                if decide::begin_attempt(reminder, self.core.policy.policy.expire_after, now) {
                    claimed = Some(reminder.clone());
                } else {
                    dirty = true;
                }
            }
            // It moved or left earlier in this very group, or under the new policy.
            Some(_) => {}
            None if dirty || self.is_dirty(task) => {}
            None => {
                tracing::error!(%task, %id, "the index names a reminder that its record does not; it is taken out");
                self.batch.push(Op::RemovePending(entry.key));
            }
        }
        let claimed = claimed.map(|reminder| Claimed {
            task_id: task.clone(),
            id,
            task: Arc::new(if dirty { record.task.clone() } else { std::mem::take(&mut record.task) }),
            reminder,
        });
        if dirty {
            self.plan_next(task, &mut record);
            self.put(task, record)?;
        }
        Ok(claimed)
    }
}

/// The pending reminder `id` of a record.
pub(super) fn pending<'r>(
    record: &'r mut Record,
    task: &TaskId,
    id: &ReminderId,
) -> Option<&'r mut Reminder> {
    record.reminders.iter_mut().find(|r| r.state == State::Pending && r.id(task) == *id)
}

/// Jitter differs from reminder to reminder and is the same in every replay.
fn seed(id: &ReminderId) -> u64 {
    let mut first = [0; 8];
    first.copy_from_slice(&id.as_bytes()[..8]);
    u64::from_be_bytes(first)
}
