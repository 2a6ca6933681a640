//! Beginning and ending attempts.
//!
//! An attempt begins with the commit of its claim, so a crash at any later moment finds the reminder named: it
//! may have gone out, and fires again under the same id. Settling deletes the claim in the same commit as it
//! writes the outcomes.

use std::collections::HashMap;
use std::sync::Arc;

use super::group::{Group, claim_record};
use super::queue::Lane;
use super::restored::holds;
use super::{Claimed, ClaimedBatch, STEP_MAX, Settlement};
use crate::domain::catch_up::MISSED_AFTER;
use crate::domain::decide::{self, Attempt};
use crate::domain::{Record, Reminder, ReminderId, Rules, State, TaskId, let_go};
use crate::store::{IndexEntry, Op, StoreError};

impl Group<'_> {
    /// Claims the earliest reminders that are due, at most `limit`, in time order; those that a rate holds back when it
    /// is their turn. While all are paused, none.
    pub(super) fn claim(&mut self, limit: usize) -> Result<Option<ClaimedBatch>, StoreError> {
        let claimed = self.claim_due(limit);
        if claimed.is_err() {
            // The group may be committed without this claim: what it had found, beyond the mark or in the queue, is in none.
            let named = self.effects.claimed.iter().flat_map(|(_, named)| named);
            self.effects.claiming = named.map(|(id, _)| *id).collect();
            self.effects.judge_anew = true;
        }
        claimed
    }

    fn claim_due(&mut self, limit: usize) -> Result<Option<ClaimedBatch>, StoreError> {
        if self.meta.paused.is_some() {
            return Ok(None);
        }
        let mut reminders: Vec<Claimed> = Vec::new();
        if self.scan(limit, &mut reminders)? {
            self.claim_held(limit, &mut reminders)?;
        }
        let digests = self.digests(&mut reminders, self.effects.scanned_to)?;
        if reminders.is_empty() && digests.is_empty() {
            return Ok(None);
        }
        let number = self.meta.next_claim;
        self.meta.next_claim += 1;
        let together = digests.iter().flat_map(|digest| &digest.members);
        let named: Vec<(ReminderId, TaskId)> =
            reminders.iter().chain(together).map(|c| (c.id, c.task_id.clone())).collect();
        self.batch.push(Op::PutClaim(claim_record(number, &named)));
        self.effects.claimed.push((number, named));
        Ok(Some(ClaimedBatch { number, reminders, digests, policy: Arc::clone(&self.core.policy) }))
    }

    /// Claims what is due and not held back, in time order, until there are `limit`; true if all that is due has been
    /// seen then. Those that have come too late end here and are not claimed, so no more than [`STEP_MAX`] are looked
    /// at: after a long outage there are as many as there are tasks.
    fn scan(&mut self, limit: usize, reminders: &mut Vec<Claimed>) -> Result<bool, StoreError> {
        let mut mark = self.scan_from(self.effects.scanned_to.or(self.core.scanned_to));
        let mut looked_at = 0;
        let mut all_seen = false;
        'scan: while reminders.len() < limit {
            let entries = self.core.store.pending(mark, limit)?;
            if entries.is_empty() {
                all_seen = true;
                break;
            }
            for entry in entries {
                all_seen = entry.key.0 > self.now;
                if all_seen || reminders.len() == limit || looked_at == STEP_MAX {
                    break 'scan;
                }
                looked_at += 1;
                mark = Some(entry.key);
                if !self.is_taken(&entry.key) {
                    reminders.extend(self.attempt(&entry, None)?);
                }
            }
        }
        self.effects.scanned_to = mark;
        Ok(all_seen)
    }

    /// Settles a claim, entry by entry. One that is settled already stays so.
    pub(super) fn settle(&mut self, claim: u64, settlements: Vec<Settlement>) -> Result<(), StoreError> {
        let Some(named) = self.core.claims.get(&claim).filter(|_| !self.effects.settled.contains(&claim))
        else {
            return Ok(());
        };
        let mut ended: HashMap<ReminderId, (Attempt, Option<ReminderId>)> =
            settlements.into_iter().map(|settled| (settled.id, (settled.attempt, settled.within))).collect();
        let mut planned_anew = Vec::new();
        for (id, task) in named {
            let (attempt, within) = ended
                .remove(id)
                .unwrap_or_else(|| (Attempt::Ambiguous("the attempt ended without a result".into()), None));
            let (now, backoff) = (self.now, self.core.settings.backoff);
            let Some(mut record) = self.readable(task)? else { continue };
            if let Some(reminder) = pending(&mut record, task, id) {
                // It may have been moved meanwhile; what it went out in is what is true of it.
                if attempt == Attempt::Confirmed {
                    reminder.within = within;
                }
                // Members of a digest stay together.
                let seed = seed(&reminder.within.unwrap_or(*id));
                decide::end_attempt(reminder, &attempt, &backoff, seed, now);
                // What certainly did not go out goes where its user has wished it meanwhile; and what has left the plan
                // gives back what it was to fire instead of.
                let is_free = reminder.state == State::Pending && !reminder.maybe_out && self.meta.users > 0;
                let has_left = reminder.state != State::Pending && attempt != Attempt::Confirmed;
                if is_free || has_left || record.task.recurrence().is_some() {
                    planned_anew.push(task);
                }
                self.put(task, record)?;
            }
        }
        self.effects.settled.insert(claim);
        // When all of the claim is known: a plan must take none of it for under way or never sent.
        for task in planned_anew {
            let Some(mut record) = self.readable(task)? else { continue };
            self.replan(task, &mut record)?;
            self.put(task, record)?;
        }
        self.batch.push(Op::RemoveClaim(claim));
        Ok(())
    }

    /// The attempts of these reminders of a task were cut off by a crash.
    pub(super) fn lose_attempts(&mut self, task: &TaskId, ids: &[ReminderId]) -> Result<(), StoreError> {
        let Some(mut record) = self.readable(task)? else { return Ok(()) };
        let mut has_left = false;
        for id in ids {
            if let Some(reminder) = pending(&mut record, task, id) {
                decide::lose_attempt(reminder, self.now);
                has_left |= reminder.state != State::Pending;
            }
        }
        // Its series goes on, or what has left the plan gives back what it was to fire instead of.
        if has_left || record.task.recurrence().is_some() {
            self.replan(task, &mut record)?;
        }
        self.put(task, record)
    }

    /// Begins the attempt of one reminder, unless it has left the plan or come too late, or is held back; one that
    /// comes out of the queue, from the lane it `was_in`, is not held back again.
    pub(super) fn attempt(
        &mut self,
        entry: &IndexEntry,
        was_in: Option<Lane>,
    ) -> Result<Option<Claimed>, StoreError> {
        let (task, id, now) = (&entry.task, entry.key.1, self.now);
        let Some(mut record) = self.record_due(entry, was_in)? else { return Ok(None) };
        let user = self.preferences_of(&record.task)?;
        let mut dirty = self.bring_up_to_date(task, &mut record, user.is_some())?;
        if now.since(entry.key.0) > MISSED_AFTER && was_in != Some(Lane::OnTime) {
            dirty |= self.catch_up(task, &mut record)?;
        }
        let mut claimed = None;
        let unwanted = user.as_deref().and_then(|user| {
            let rules = Rules { in_force: &self.core.policy, user: Some(user) };
            let reminder = record.reminders.iter().find(|r| r.state == State::Pending && r.id(task) == id)?;
            let_go(&record.task, reminder, &rules)
        });
        match pending(&mut record, task, &id) {
            Some(reminder)
                if reminder.wakes_at() <= now
                    && reminder.fire_at <= now
                    && !holds(self.restored.as_ref(), reminder) =>
            {
                if let Some(cause) = unwanted {
                    decide::release(reminder, cause, self.core.policy.expiry(), now);
                    dirty = true;
                } else if decide::begin_attempt(reminder, self.core.policy.expiry(), now) {
                    claimed = Some(reminder.clone());
                } else {
                    dirty = true;
                }
            }
            // It moved or left earlier in this very group, or under the new policy; or it is held since a restore.
            Some(_) => {}
            None if dirty || was_in.is_some() || self.is_dirty(task) => {}
            None => {
                tracing::error!(%task, %id, "the index names a reminder that its record does not; it is taken out");
                self.batch.push(Op::RemovePending(entry.key));
            }
        }
        let held = |reminder: &Reminder| {
            was_in.is_none() && self.core.pacing.borrow_mut().hold(entry, &record.task, reminder, now)
        };
        let claimed = claimed.filter(|reminder| !held(reminder)).map(|reminder| Claimed {
            task_id: task.clone(),
            id,
            task: Arc::new(if dirty { record.task.clone() } else { std::mem::take(&mut record.task) }),
            user,
            reminder,
        });
        if claimed.is_some() {
            self.effects.claiming.insert(id);
        }
        if dirty {
            self.plan_next(task, &mut record)?;
            self.put(task, record)?;
        }
        Ok(claimed)
    }

    /// The record of a reminder that is due by the index; `None` where it is gone, or can't be read.
    fn record_due(&mut self, entry: &IndexEntry, was_in: Option<Lane>) -> Result<Option<Record>, StoreError> {
        let task = &entry.task;
        match self.record(task).map(|record| record.cloned()) {
            // It was erased earlier in this very group; and what waits for its turn may leave meanwhile.
            Ok(None) if was_in.is_some() || self.is_dirty(task) => Ok(None),
            Ok(None) => {
                tracing::error!(%task, "a reminder in the index has no record; it is taken out of the index");
                self.batch.push(Op::RemovePending(entry.key));
                Ok(None)
            }
            // Left where it is, for a person to look at; what is behind it goes on.
            Err(StoreError::Corrupt(why)) => {
                tracing::error!(%task, why, "the record of a due reminder can't be read; it is passed over");
                Ok(None)
            }
            found => found,
        }
    }

    /// Plans a task anew whose plan is of an older policy, or may be of former wishes of its user; true if that changed
    /// its record.
    fn bring_up_to_date(
        &mut self,
        task: &TaskId,
        record: &mut Record,
        has_wishes: bool,
    ) -> Result<bool, StoreError> {
        if record.generation != self.core.policy.generation {
            self.replan(task, record)?;
            return Ok(true);
        }
        if !has_wishes || self.meta.wishes_pass.is_none() {
            return Ok(false);
        }
        let before = record.reminders.clone();
        self.replan(task, record)?;
        Ok(record.reminders != before)
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
