//! A group: the commands that one commit carries out.
//!
//! Folds commands in their order over records that it loads once, and ends in one batch. Nothing of the loop's
//! own state changes before that batch is on the disk.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use super::core::Core;
use super::foreign::{ForeignReminder, since_forgetting};
use super::outbox::OutboxPass;
use crate::domain::{CatchUp, Preferences, Record, ReminderId, Rules, Tally, TaskId, Timestamp, decide};
use crate::store::audit::Recount;
use crate::store::{Batch, Claim, IndexKey, Meta, Op, OutboxEntry, Restored, StoreError};

/// A record as the group found it and as it will leave it.
struct Staged {
    before: Option<Box<Record>>,
    after: Option<Box<Record>>,
    dirty: bool,
}

/// A group being folded.
pub(super) struct Group<'a> {
    pub(super) core: &'a Core,
    pub(super) now: Timestamp,
    pub(super) meta: Meta,
    pub(super) batch: Batch,
    pub(super) effects: Effects,
    /// Preferences of users as the group has them so far; `None` where a user has none.
    pub(super) users: HashMap<String, Option<Arc<Preferences>>>,
    /// Where the store was restored from, as the group has it so far.
    pub(super) restored: Option<Restored>,
    /// How far dropping what was held has come in this group.
    pub(super) dropped_to: Option<Option<IndexKey>>,
    records: HashMap<TaskId, Staged>,
}

/// What changes in the loop's own state once the batch is on the disk.
#[derive(Default)]
pub(super) struct Effects {
    pub(super) claimed: Vec<(u64, Vec<(ReminderId, TaskId)>)>,
    /// Those whose attempt begins in this group, from the moment that is decided.
    pub(super) claiming: HashSet<ReminderId>,
    pub(super) settled: HashSet<u64>,
    pub(super) scanned_to: Option<IndexKey>,
    pub(super) outbox_taken: HashMap<u64, OutboxEntry>,
    /// By number, whether the entry behind it may go out.
    pub(super) outbox_settled: HashMap<u64, bool>,
    pub(super) outbox_grew: bool,
    pub(super) outbox_pass: Option<OutboxPass>,
    pub(super) purged_to: Option<Option<TaskId>>,
    /// Series that the purge found without their next reminder.
    pub(super) silent: u64,
    pub(super) receipts_written: usize,
    pub(super) foreign: Vec<ForeignReminder>,
    /// Producers of events shown in quarantine for what was refused of them, and the hour.
    pub(super) refused: Vec<(i64, String)>,
    /// Reminders that a change of settings or of the tz database moved.
    pub(super) moved: u64,
    /// Reminders were forgotten that may yet come back.
    pub(super) forgot_planned: bool,
    pub(super) judge_anew: bool,
    /// The recount under way, as this group leaves it.
    pub(super) recount: Option<Recount>,
}

/// A folded group, ready to commit.
pub(super) struct Folded {
    pub(super) batch: Batch,
    pub(super) meta: Meta,
    pub(super) effects: Effects,
    pub(super) restored: Option<Restored>,
    pub(super) dropped_to: Option<Option<IndexKey>>,
    /// Where the pending reminders of every changed record stand.
    pub(super) pending: Vec<IndexKey>,
    /// When it was folded.
    pub(super) at: Timestamp,
}

impl<'a> Group<'a> {
    /// A group that sees what `core` knows.
    pub(super) fn begin(core: &'a Core, now: Timestamp) -> Self {
        Self {
            core,
            now,
            meta: core.meta.clone(),
            batch: Batch::default(),
            effects: Effects::default(),
            users: HashMap::new(),
            restored: core.restored.clone(),
            dropped_to: None,
            records: HashMap::new(),
        }
    }

    /// The record of `task` as the group has it so far.
    pub(super) fn record(&mut self, task: &TaskId) -> Result<Option<&Record>, StoreError> {
        Ok(self.load(task)?.after.as_deref())
    }

    /// The record of `task`; `None` where there is none or it can't be read, which is logged. For work that
    /// comes back to the same record again and again: one that is damaged must not hold up the others.
    pub(super) fn readable(&mut self, task: &TaskId) -> Result<Option<Record>, StoreError> {
        match self.record(task) {
            Ok(record) => Ok(record.cloned()),
            Err(StoreError::Corrupt(why)) => {
                tracing::error!(%task, why, "the record of a task can't be read; it is passed over");
                Ok(None)
            }
            Err(other) => Err(other),
        }
    }

    /// Changes the record of `task`, making one if there is none.
    pub(super) fn change<T>(
        &mut self,
        task: &TaskId,
        change: impl FnOnce(&mut Record) -> T,
    ) -> Result<T, StoreError> {
        let mut record = self.record(task)?.cloned().unwrap_or_default();
        let changed = change(&mut record);
        self.put(task, record)?;
        Ok(changed)
    }

    /// Replaces the record of `task` with what the caller made of it. Step by step the change is counted, and only
    /// then what the record need not keep is forgotten: it stays counted in the state it was in.
    pub(super) fn put(&mut self, task: &TaskId, mut record: Record) -> Result<(), StoreError> {
        let now = self.now;
        let staged = self.load(task)?;
        staged.dirty = true;
        let before = staged.after.as_ref().map(|record| record.reminders.as_slice()).unwrap_or_default();
        let (difference, planned) = Tally::difference(before, &record.reminders);
        let forgotten = record.trim(now);
        staged.after = Some(Box::new(record));
        self.meta.reminders.add(&difference);
        self.meta.ledger.planned += planned;
        self.meta.ledger.forget(&forgotten);
        Ok(())
    }

    /// Forgets `task`.
    pub(super) fn remove(&mut self, task: &TaskId) -> Result<(), StoreError> {
        let staged = self.load(task)?;
        let gone = staged.after.take().map(|record| Tally::count(&record.reminders));
        staged.dirty = true;
        self.meta.ledger.forget(&gone.unwrap_or_default());
        Ok(())
    }

    /// Whether this group has changed the record of `task`.
    pub(super) fn is_dirty(&self, task: &TaskId) -> bool {
        self.records.get(task).is_some_and(|staged| staged.dirty)
    }

    /// Whether an attempt of `reminder` is under way, as far as this group goes.
    pub(super) fn is_in_flight(&self, reminder: &ReminderId) -> bool {
        if self.effects.claiming.contains(reminder) {
            return true;
        }
        self.core.in_flight.contains(reminder)
            && !self.effects.settled.iter().any(|number| {
                self.core
                    .claims
                    .get(number)
                    .is_some_and(|claimed| claimed.iter().any(|(id, _)| id == reminder))
            })
    }

    /// Brings a record's reminders into line with its plan, and notes what that changes if it was planned under an older
    /// policy.
    pub(super) fn replan(&mut self, task: &TaskId, record: &mut Record) -> Result<(), StoreError> {
        if self.is_of_older_policy(record) {
            return self.replan_anew(task, record);
        }
        self.plan(task, record)
    }

    /// Whether a record was last planned under an older policy.
    fn is_of_older_policy(&self, record: &Record) -> bool {
        ![0, self.core.policy.generation].contains(&record.generation)
    }

    /// Plans a record anew that was last planned under an older policy, before anything else becomes of it: what it hears next
    /// is new to the settings in force, and all that was known before is not. True if it was.
    pub(super) fn replan_if_older(&mut self, task: &TaskId, record: &mut Record) -> Result<bool, StoreError> {
        let is_older = self.is_of_older_policy(record);
        if is_older {
            self.replan(task, record)?;
        }
        Ok(is_older)
    }

    pub(super) fn plan(&mut self, task: &TaskId, record: &mut Record) -> Result<(), StoreError> {
        let user = self.preferences_of(&record.task)?;
        let rules = Rules { in_force: &self.core.policy, user: user.as_deref() };
        let is_in_flight = |reminder: &ReminderId| self.is_in_flight(reminder);
        let plan = |record: &mut Record| decide::replan(task, record, &rules, self.now, &is_in_flight);
        let held_to = self.core.policy.missing.and_then(|missing| missing.held_to);
        let Some(held_to) = held_to.filter(|_| {
            self.core.settings.firing.catch_up != CatchUp::Fire && record.task.recurrence().is_some()
        }) else {
            plan(record);
            return Ok(());
        };
        // Of what a series has missed when it is held the last one waits, as that fires which was never held; of what a plan
        // finds only now, too.
        let go_on_to_the_last = |record: &mut Record| {
            decide::to_last_missed(task, record, &rules, held_to.min(self.now), &is_in_flight)
        };
        go_on_to_the_last(record);
        plan(record);
        if go_on_to_the_last(record) {
            plan(record);
        }
        Ok(())
    }

    /// After a reminder of a task that comes again was settled its next one is planned.
    pub(super) fn plan_next(&mut self, task: &TaskId, record: &mut Record) -> Result<(), StoreError> {
        if record.task.recurrence().is_some() {
            self.replan(task, record)?;
        }
        Ok(())
    }

    /// Ends the group in one batch. Counters alone are no reason to write: they go out with the next change.
    pub(super) fn finish(mut self) -> Folded {
        let mut pending = Vec::new();
        let mut recount = self.effects.recount.take().or_else(|| self.core.recount.clone());
        for (task, staged) in self.records.drain().filter(|(_, staged)| staged.dirty) {
            if let Some(recount) = &mut recount {
                recount.follow_record(&task, staged.before.as_deref(), staged.after.as_deref());
            }
            pending.extend(self.batch.replace(&task, staged.before.as_deref(), staged.after));
        }
        if let Some(recount) = &mut recount {
            recount.follow(&self.batch, self.core.store.as_ref());
            recount.compare(&mut self.meta);
        }
        self.effects.recount = recount;
        if !self.batch.is_empty() {
            self.batch.push(Op::PutMeta(Box::new(self.meta.clone())));
        }
        let Self { batch, meta, effects, restored, dropped_to, now: at, .. } = self;
        Folded { batch, meta, effects, restored, dropped_to, pending, at }
    }

    fn load(&mut self, task: &TaskId) -> Result<&mut Staged, StoreError> {
        // Looked up twice where it is absent: the entry API would clone the id each time.
        if !self.records.contains_key(task) {
            let before = self.core.store.record(task)?.map(Box::new);
            let staged = Staged { after: before.clone(), before, dirty: false };
            self.records.insert(task.clone(), staged);
        }
        self.records.get_mut(task).ok_or_else(|| StoreError::Corrupt("a staged record is gone".into()))
    }
}

impl Core {
    /// Takes over what a committed group changed.
    pub(super) fn apply(&mut self, folded: Folded) {
        let Effects {
            claimed,
            claiming: _,
            settled,
            scanned_to,
            outbox_taken,
            outbox_settled,
            outbox_grew,
            outbox_pass,
            purged_to,
            silent,
            receipts_written,
            foreign,
            refused,
            moved,
            forgot_planned,
            judge_anew,
            recount,
        } = folded.effects;
        self.counters_unwritten =
            folded.batch.is_empty() && (self.counters_unwritten || self.meta != folded.meta);
        self.meta = folded.meta;
        self.take_over_origin(folded.restored, folded.dropped_to);
        for number in settled {
            for (reminder, _) in self.claims.remove(&number).unwrap_or_default() {
                self.in_flight.remove(&reminder);
                self.pacing.get_mut().ended(&reminder);
            }
        }
        for (number, reminders) in claimed {
            self.in_flight.extend(reminders.iter().map(|(reminder, _)| *reminder));
            self.claims.insert(number, reminders);
        }
        self.scanned_to = scanned_to.or(self.scanned_to);
        // A reminder before the mark that is not in flight must be found: scan from the start again. Its place
        // need not have changed: it may have been passed over and taken back, or its attempt may have failed.
        let behind = |key: &IndexKey| self.scanned_to.is_some_and(|mark| *key <= mark);
        let pacing = self.pacing.get_mut();
        let known = |key: &IndexKey| self.in_flight.contains(&key.1) || pacing.holds(key);
        if folded.pending.iter().any(|key| behind(key) && !known(key)) {
            self.scanned_to = None;
        }
        if judge_anew {
            self.judge_anew();
        }
        self.take_over_recount(recount);
        self.outbox_taken.retain(|number, _| !outbox_settled.contains_key(number));
        self.outbox_taken.extend(outbox_taken);
        if let Some(pass) = outbox_pass {
            self.outbox_pass = pass;
        }
        if let Some(to) = purged_to {
            self.take_over_purge(to, silent);
        }
        self.receipts.drain(..receipts_written);
        self.foreign.note(foreign);
        self.refused.extend(refused);
        self.moved += moved;
        if forgot_planned {
            self.since = since_forgetting(folded.at);
        }
        if outbox_grew {
            self.outbox_waiting.send_modify(|turn| *turn += 1);
        }
    }
}

/// The claim record of a batch.
pub(super) fn claim_record(number: u64, reminders: &[(ReminderId, TaskId)]) -> Claim {
    Claim { number, reminders: reminders.iter().map(|(id, _)| *id).collect() }
}
