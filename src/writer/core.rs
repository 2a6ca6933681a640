//! What the commit loop keeps between two commits.
//!
//! Everything here is either a copy of what is on the disk or can be derived from it: a process that starts
//! anew loses nothing. Changed only when a group has been committed; but for `pacing`, which says why.

use std::cell::RefCell;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use tokio::sync::watch;

use super::foreign::{Foreign, Memory};
use super::group::Group;
use super::outbox::OutboxPass;
use super::pacing::Pacing;
use super::refused::RefusedShown;
use super::replan::put_in_force;
use super::restored::held_to;
use super::space::Space;
use super::watch::SetBack;
use super::{Receipt, STEP_MAX, Settings, View};
use crate::clock::Guard;
use crate::domain::{PolicyInForce, ReminderId, TaskId, Timestamp};
use crate::store::audit::{Mismatch, Recount};
use crate::store::{Batch, IndexEntry, IndexKey, Meta, Op, OutboxEntry, Restored, Store, StoreError};

/// State of the loop.
pub(super) struct Core {
    // Dependencies.
    pub(super) store: Arc<dyn Store>,
    pub(super) settings: Settings,
    pub(super) policy: Arc<PolicyInForce>,
    // Copies of what is on the disk.
    pub(super) meta: Meta,
    pub(super) restored: Option<Restored>,
    pub(super) claims: HashMap<u64, Vec<(ReminderId, TaskId)>>,
    pub(super) in_flight: HashSet<ReminderId>,
    /// Every pending reminder at or before this place of the index is in flight.
    pub(super) scanned_to: Option<IndexKey>,
    // Kept in memory alone: losing it repeats work and loses nothing.
    pub(super) pacing: RefCell<Pacing>,
    pub(super) outbox_taken: HashMap<u64, OutboxEntry>,
    pub(super) outbox_pass: OutboxPass,
    pub(super) receipts: Vec<(Receipt, Timestamp)>,
    /// Since when it remembers all that it planned: since this life began, or since a user was erased.
    pub(super) since: Timestamp,
    pub(super) foreign: Foreign,
    pub(super) refused: RefusedShown,
    /// Reminders that this life's settings or tz database moved.
    pub(super) moved: u64,
    pub(super) purged_to: Option<TaskId>,
    pub(super) dropped_to: Option<IndexKey>,
    /// Series that the purge under way has found silent, and those that the last whole one found.
    pub(super) silent_so_far: u64,
    pub(super) silent: u64,
    pub(super) counters_unwritten: bool,
    /// The recount under way, and what the last whole one has found.
    pub(super) recount: Option<Recount>,
    pub(super) mismatches: Vec<Mismatch>,
    pub(super) space: Space,
    pub(super) guard: Guard,
    pub(super) set_back: Option<SetBack>,
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
        let empty = store.tasks(None, 1)?.is_empty();
        let restored = store.restored()?;
        let policy = put_in_force(&mut meta, &settings.policy, now, empty, restored.as_ref());
        let mut core = Self {
            store,
            pacing: RefCell::new(Pacing::new(&settings.firing, now)),
            space: Space::new(settings.reserve_bytes),
            guard: Guard::default(),
            set_back: None,
            settings,
            policy: Arc::new(policy),
            meta,
            restored,
            claims: HashMap::new(),
            in_flight: HashSet::new(),
            scanned_to: None,
            outbox_taken: HashMap::new(),
            outbox_pass: OutboxPass::default(),
            receipts: Vec::new(),
            since: now,
            foreign: Foreign::default(),
            refused: RefusedShown::default(),
            moved: 0,
            purged_to: None,
            dropped_to: None,
            silent_so_far: 0,
            silent: 0,
            counters_unwritten: false,
            recount: None,
            mismatches: Vec::new(),
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
            restored: self.restored.as_ref(),
            policy: &self.policy,
            in_flight: self.in_flight.len(),
            silent: self.silent,
            pacing: &self.pacing,
            foreign: &self.foreign,
            mismatches: &self.mismatches,
            set_back: self.set_back,
        }
    }

    /// What it would remember having planned.
    pub(super) fn memory(&self) -> Memory {
        Memory { since: self.since, retention: self.settings.retention }
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

    /// When the earliest pending reminder wakes that is not in flight, or the rates let one go that they hold back.
    fn earliest(&self) -> Result<Timestamp, StoreError> {
        const PAGE: usize = 8;
        if self.meta.paused.is_some() {
            return Ok(Timestamp::MAX);
        }
        let pacing = self.pacing.borrow();
        let next = pacing.next_at();
        let mut after = self.scanned_to.max(held_to(self.restored.as_ref()));
        // Rarely more than one is read: those in flight or held back lie at or before `scanned_to`. Where the index is
        // to be read again there may be many of them, and a claim is what gets past them.
        for _ in 0..STEP_MAX / PAGE {
            let entries = self.store.pending(after, PAGE)?;
            let Some(last) = entries.last() else { return Ok(next) };
            let free = |e: &&IndexEntry| !self.in_flight.contains(&e.key.1) && !pacing.holds(&e.key);
            if let Some(free) = entries.iter().find(free) {
                return Ok(free.key.0.min(next));
            }
            after = Some(last.key);
        }
        Ok(after.map_or(next, |(at, _)| at.min(next)))
    }

    /// Forgets what the rates hold back: the index is read again from its beginning.
    pub(super) fn judge_anew(&mut self) {
        self.pacing.get_mut().forget(&self.in_flight);
        self.scanned_to = None;
    }

    /// Attempts that a crash cut off may have succeeded: their reminders are due again at once under the same
    /// ids, and a cancel is no longer answered with "will not fire".
    fn take_back_claims(&mut self, now: Timestamp) -> Result<(), StoreError> {
        let claims = self.store.claims()?;
        let mut lost: HashSet<ReminderId> = claims.iter().flat_map(|c| c.reminders.iter().copied()).collect();
        let (mut after, mut tasks) = (None, BTreeMap::<TaskId, Vec<ReminderId>>::new());
        while !lost.is_empty() {
            let entries = self.store.pending(after, STEP_MAX)?;
            let Some(last) = entries.last() else { break };
            after = Some(last.key);
            for entry in entries.iter().filter(|entry| lost.remove(&entry.key.1)) {
                tasks.entry(entry.task.clone()).or_default().push(entry.key.1);
            }
        }
        // A task's at once: a plan must not take one of them for never sent, and what it makes of them is not to be forgotten
        // by another crash.
        let tasks: Vec<_> = tasks.into_iter().collect();
        for tasks in tasks.chunks(STEP_MAX) {
            let mut group = Group::begin(self, now);
            for (task, reminders) in tasks {
                group.lose_attempts(task, reminders)?;
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
