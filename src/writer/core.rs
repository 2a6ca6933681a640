//! What the commit loop keeps between two commits.
//!
//! Everything here is either a copy of what is on the disk or can be derived from it: a process that starts
//! anew loses nothing. Changed only when a group has been committed.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::watch;

use super::claims::pending;
use super::group::Group;
use super::{STEP_MAX, Settings, View};
use crate::domain::decide::lose_attempt;
use crate::domain::{PolicyInForce, ReminderId, TaskId, Timestamp};
use crate::store::{Batch, IndexKey, Meta, Op, OutboxEntry, PolicyMark, Store, StoreError};

/// State of the loop.
pub(super) struct Core {
    // Dependencies.
    pub(super) store: Arc<dyn Store>,
    pub(super) settings: Settings,
    pub(super) policy: Arc<PolicyInForce>,
    // Copies of what is on the disk.
    pub(super) meta: Meta,
    pub(super) claims: HashMap<u64, Vec<(ReminderId, TaskId)>>,
    pub(super) in_flight: HashSet<ReminderId>,
    /// Every pending reminder at or before this place of the index is in flight.
    pub(super) scanned_to: Option<IndexKey>,
    // Kept in memory alone: losing it repeats work and loses nothing.
    pub(super) outbox_taken: HashMap<u64, OutboxEntry>,
    pub(super) receipts: Vec<(TaskId, ReminderId, Timestamp)>,
    pub(super) purged_to: Option<TaskId>,
    pub(super) counters_unwritten: bool,
    // What other loops look at.
    pub(super) next_wake: watch::Sender<Timestamp>,
    pub(super) outbox_waiting: watch::Sender<u64>,
}

impl Core {
    /// Reads what the store knows, takes back the attempts that a crash cut off and commits the policy.
    pub(super) fn open(
        store: Arc<dyn Store>,
        settings: Settings,
        now: Timestamp,
    ) -> Result<Self, StoreError> {
        let mut meta = store.meta()?;
        let empty = match store.records(None, 1) {
            Ok(page) => page.is_empty(),
            // One record that can't be read keeps no other from being reminded of.
            Err(StoreError::Corrupt(_)) => false,
            Err(other) => return Err(other),
        };
        let mark = mark_policy(&mut meta, &settings, now, empty);
        let policy =
            PolicyInForce { policy: settings.policy.clone(), generation: mark.generation, since: mark.since };
        let mut core = Self {
            store,
            settings,
            policy: Arc::new(policy),
            meta,
            claims: HashMap::new(),
            in_flight: HashSet::new(),
            scanned_to: None,
            outbox_taken: HashMap::new(),
            receipts: Vec::new(),
            purged_to: None,
            counters_unwritten: false,
            next_wake: watch::Sender::new(Timestamp::MAX),
            outbox_waiting: watch::Sender::new(0),
        };
        let mut batch = Batch::default();
        batch.push(Op::PutMeta(Box::new(core.meta.clone())));
        core.store.commit(&batch)?;
        core.take_back_claims(now)?;
        core.tell_what_waits();
        Ok(core)
    }

    /// What a read sees.
    pub(super) fn view(&self) -> View<'_> {
        View {
            store: self.store.as_ref(),
            meta: &self.meta,
            policy: &self.policy,
            in_flight: self.in_flight.len(),
        }
    }

    /// Shows the other loops when the earliest reminder wakes. Where the store can't say, it is time to look: the
    /// commit before has succeeded all the same, and must be answered.
    pub(super) fn tell_what_waits(&mut self) {
        let next = self.earliest().unwrap_or_else(|error| {
            tracing::error!(%error, "the store can't say when the next reminder wakes");
            Timestamp::MIN
        });
        self.next_wake.send_if_modified(|known| std::mem::replace(known, next) != next);
    }

    /// When the earliest pending reminder wakes that is not in flight.
    fn earliest(&self) -> Result<Timestamp, StoreError> {
        let mut after = self.scanned_to;
        loop {
            // Rarely more than one is read: those in flight lie at or before `scanned_to`.
            let entries = self.store.pending(after, 8)?;
            let Some(last) = entries.last() else { return Ok(Timestamp::MAX) };
            if let Some(free) = entries.iter().find(|e| !self.in_flight.contains(&e.key.1)) {
                return Ok(free.key.0);
            }
            after = Some(last.key);
        }
    }

    /// Attempts that a crash cut off may have succeeded: their reminders are due again at once under the same
    /// ids, and a cancel is no longer answered with "will not fire".
    fn take_back_claims(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let claims = self.store.claims()?;
        let mut lost: HashSet<ReminderId> = claims.iter().flat_map(|c| c.reminders.iter().copied()).collect();
        let mut after = None;
        while !lost.is_empty() {
            let entries = self.store.pending(after, STEP_MAX)?;
            let Some(last) = entries.last() else { break };
            after = Some(last.key);
            let mut group = Group::begin(self, now);
            for entry in entries.iter().filter(|e| lost.remove(&e.key.1)) {
                let Some(mut record) = group.readable(&entry.task)? else { continue };
                if let Some(reminder) = pending(&mut record, &entry.task, &entry.key.1) {
                    lose_attempt(reminder, now);
                    group.put(&entry.task, record)?;
                }
            }
            let staged = group.finish();
            self.store.commit(&staged.batch)?;
            self.apply(staged);
        }
        let mut batch = Batch::default();
        for claim in &claims {
            batch.push(Op::RemoveClaim(claim.number));
        }
        if !batch.is_empty() {
            self.store.commit(&batch)?;
        }
        Ok(())
    }
}

/// Puts the policy into force: one that this store has not had before gets a new generation, and every task
/// is planned anew behind a cursor.
fn mark_policy(meta: &mut Meta, settings: &Settings, now: Timestamp, empty: bool) -> PolicyMark {
    let digest = settings.policy.digest();
    if let Some(mark) = meta.policy.filter(|mark| mark.digest == digest) {
        return mark;
    }
    let generation = meta.policy.map_or(1, |mark| mark.generation + 1);
    let mark = PolicyMark { digest, generation, since: now };
    meta.policy = Some(mark);
    meta.replanning_after = (!empty).then_some(None);
    mark
}
