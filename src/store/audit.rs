//! Reconciliation: whether the counters are what is there (**invariant 5**).
//!
//! A [`Recount`] walks over all there is, a step at a time, part by part, and compares each part with the counters at the
//! moment when its last step is done. Between two steps the commit loop goes on, so it shows each batch before that is
//! committed: what changes behind the cursor is added or taken off, by what the batch writes and not by what the
//! counters were told. [`audit`] is the same walk over a store that stands still.
//!
//! A recount is kept in memory alone. One that a crash, or a read that failed, cuts off begins anew.
//!
//! Accepted: a reminder index that is wrong already when it is changed (an entry without a reminder, a reminder without
//! its entry) may be told with a number that is off by that; it is told either way. What can't be read can't be counted:
//! while there are records like that, the states are not compared, and that is told instead.

mod compare;

use std::collections::BTreeMap;

use compare::{differs, forgotten_before, of_counters, of_index, of_records, whole};

pub use compare::{COMPARED, Mismatch, UNREADABLE};

use super::{Batch, IndexKey, Meta, Op, OutboxEntry, Store, StoreError, Usage};
use crate::domain::{Record, State, Tally, TaskId};

/// What is read in one step, between other commands.
pub const AUDIT_STEP: usize = 256;
/// Bodies are read until there are so many bytes: one of the largest ends a step.
const AUDIT_BODIES_BYTES: u64 = 4 * 1024 * 1024;

/// What a whole pass has found.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Audited {
    /// Records that were counted.
    pub tasks: u64,
    /// What is not as it should be; empty where all is.
    pub mismatches: Vec<Mismatch>,
}

/// How far the part under way has been counted.
#[derive(Clone, PartialEq, Debug)]
enum Seen<K> {
    Nothing,
    Through(K),
    All,
}

impl<K: Ord> Seen<K> {
    fn has(&self, key: &K) -> bool {
        match self {
            Self::Nothing => false,
            Self::Through(last) => key <= last,
            Self::All => true,
        }
    }

    fn after(&self) -> Option<&K> {
        if let Self::Through(last) = self { Some(last) } else { None }
    }

    /// What a whole page leaves seen: it has ended with `last`, of `count`.
    fn through(last: Option<K>, count: usize) -> Self {
        match last {
            Some(last) if count == AUDIT_STEP => Self::Through(last),
            _ => Self::All,
        }
    }
}

/// The part that is counted, and what of it so far.
#[derive(Clone, PartialEq, Debug)]
enum Part {
    Records(Seen<TaskId>, Tally),
    Pending(Seen<IndexKey>, i64),
    Settled(Seen<IndexKey>, i64),
    Quarantine(Seen<u64>, Held),
    Outbox(Seen<u64>, Held),
    Over,
}

/// What bounded entries hold.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
struct Held {
    entries: i64,
    bytes: i64,
    dead: i64,
}

impl Held {
    fn quarantined(bytes: u64) -> Self {
        Self { entries: 1, bytes: whole(bytes), dead: 0 }
    }

    fn waiting(entry: &OutboxEntry) -> Self {
        Self { entries: 1, bytes: whole(entry.length), dead: i64::from(entry.dead) }
    }

    fn change(&mut self, from: Option<Self>, to: Option<Self>) {
        let (from, to) = (from.unwrap_or_default(), to.unwrap_or_default());
        let change =
            |held: &mut i64, from: i64, to: i64| *held = held.saturating_sub(from).saturating_add(to);
        change(&mut self.entries, from.entries, to.entries);
        change(&mut self.bytes, from.bytes, to.bytes);
        change(&mut self.dead, from.dead, to.dead);
    }
}

/// A pass that is under way.
#[derive(Clone, PartialEq, Debug)]
pub struct Recount {
    part: Part,
    unreadable: u64,
    found: Audited,
}

impl Default for Recount {
    fn default() -> Self {
        Self {
            part: Part::Records(Seen::Nothing, Tally::default()),
            unreadable: 0,
            found: Audited::default(),
        }
    }
}

impl Recount {
    /// Reads what comes next of what is committed; nothing while the part just read is not yet compared.
    ///
    /// # Errors
    /// [`StoreError`], but for values that can't be read.
    pub fn step(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        match self.read(store) {
            Err(StoreError::Corrupt(why)) => {
                tracing::error!(
                    why,
                    "a part of the store can't be read, so it is not compared with the counters"
                );
                self.unreadable += 1;
                self.next_part();
                Ok(())
            }
            done => done,
        }
    }

    fn read(&mut self, store: &dyn Store) -> Result<(), StoreError> {
        match &mut self.part {
            Part::Records(seen, kept) if *seen != Seen::All => {
                let page = store.tasks(seen.after(), AUDIT_STEP)?;
                for task in &page {
                    match store.record(task) {
                        Ok(record) => {
                            kept.add(&Tally::count(record.as_ref().map_or(&[], |record| &record.reminders)));
                        }
                        Err(StoreError::Corrupt(_)) => self.unreadable += 1,
                        Err(other) => return Err(other),
                    }
                    self.found.tasks += 1;
                }
                *seen = Seen::through(page.last().cloned(), page.len());
            }
            Part::Pending(seen, count) if *seen != Seen::All => {
                let page = store.pending(seen.after().copied(), AUDIT_STEP)?;
                *count += length(page.len());
                *seen = Seen::through(page.last().map(|entry| entry.key), page.len());
            }
            Part::Settled(seen, count) if *seen != Seen::All => {
                let page = store.settled(seen.after().copied(), AUDIT_STEP)?;
                *count += length(page.len());
                *seen = Seen::through(page.last().map(|entry| entry.key), page.len());
            }
            Part::Quarantine(seen, held) if *seen != Seen::All => {
                let page = store.quarantined(seen.after().copied(), AUDIT_STEP)?;
                let (mut bytes, is_last) = (0, page.len() < AUDIT_STEP);
                let (mut last, count) = (None, page.len());
                let mut read = 0;
                for (number, _) in page {
                    let body = length_of(&store.quarantined_body(number)?);
                    held.change(None, Some(Held::quarantined(body)));
                    (last, read, bytes) = (Some(number), read + 1, bytes + body);
                    if bytes >= AUDIT_BODIES_BYTES {
                        break;
                    }
                }
                *seen = match last {
                    Some(last) if !is_last || read < count => Seen::Through(last),
                    _ => Seen::All,
                };
            }
            Part::Outbox(seen, held) if *seen != Seen::All => {
                let page = store.outbox(seen.after().copied(), AUDIT_STEP)?;
                page.iter().for_each(|(_, entry)| held.change(None, Some(Held::waiting(entry))));
                *seen = Seen::through(page.last().map(|(number, _)| *number), page.len());
            }
            _ => {}
        }
        Ok(())
    }

    /// What the commit under way makes of the record of `task`.
    pub fn follow_record(&mut self, task: &TaskId, before: Option<&Record>, after: Option<&Record>) {
        let Part::Records(seen, kept) = &mut self.part else { return };
        if seen.has(task) {
            let count =
                |record: Option<&Record>| Tally::count(record.map_or(&[], |record| &record.reminders));
            kept.add(&count(after));
            kept.take_off(&count(before));
        }
    }

    /// What the commit under way makes of the rest; `store` is as it was before. Where it can't be read the pass begins
    /// anew.
    pub fn follow(&mut self, batch: &Batch, store: &dyn Store) {
        if self.follow_ops(batch, store).is_err() {
            *self = Self::default();
        }
    }

    fn follow_ops(&mut self, batch: &Batch, store: &dyn Store) -> Result<(), StoreError> {
        let ops = batch.ops();
        match &mut self.part {
            Part::Pending(seen, count) => {
                *count += entries_gained(seen, ops, |op| match op {
                    Op::PutPending(key, _) => Some((*key, true)),
                    Op::RemovePending(key) => Some((*key, false)),
                    _ => None,
                });
            }
            Part::Settled(seen, count) => {
                *count += entries_gained(seen, ops, |op| match op {
                    Op::PutSettled(key, _) => Some((*key, true)),
                    Op::RemoveSettled(key) => Some((*key, false)),
                    _ => None,
                });
            }
            Part::Quarantine(seen, held) => {
                let last = last_of(seen, ops, |op| match op {
                    Op::PutQuarantined(number, _, body) => {
                        Some((*number, Some(Held::quarantined(length_of(body)))))
                    }
                    Op::RemoveQuarantined(number) => Some((*number, None)),
                    _ => None,
                });
                for (number, after) in last {
                    let page = store.quarantined(number.checked_sub(1), 1)?;
                    let is_there = page.first().is_some_and(|(at, _)| *at == number);
                    let body = if is_there { store.quarantined_body(number)? } else { Vec::new() };
                    held.change(is_there.then(|| Held::quarantined(length_of(&body))), after);
                }
            }
            Part::Outbox(seen, held) => {
                let last = last_of(seen, ops, |op| match op {
                    Op::PutOutbox(number, entry, _) | Op::UpdateOutbox(number, entry) => {
                        Some((*number, Some(Held::waiting(entry))))
                    }
                    Op::RemoveOutbox(number) => Some((*number, None)),
                    _ => None,
                });
                for (number, after) in last {
                    let page = store.outbox(number.checked_sub(1), 1)?;
                    let before = page.first().filter(|(at, _)| *at == number);
                    held.change(before.map(|(_, entry)| Held::waiting(entry)), after);
                }
            }
            Part::Records(..) | Part::Over => {}
        }
        Ok(())
    }

    /// Compares the part whose last step is done with the counters that are committed with it, and goes on to the next;
    /// nothing where it is not done. The first whole count of the records tells what was forgotten before that was
    /// counted.
    pub fn compare(&mut self, meta: &mut Meta) {
        let found = match &self.part {
            Part::Records(Seen::All, kept) => {
                let mut found = of_counters(meta);
                if self.unreadable == 0 {
                    let before = forgotten_before(meta, kept);
                    meta.ledger.forgotten.get_or_insert(before);
                    found.extend(of_records(meta, kept));
                }
                found
            }
            Part::Pending(Seen::All, there) => {
                of_index("pending_index", meta, *there, |state| state == State::Pending)
            }
            Part::Settled(Seen::All, there) => {
                of_index("settled_index", meta, *there, |state| state != State::Pending)
            }
            Part::Quarantine(Seen::All, held) => {
                let Usage { entries, bytes } = meta.quarantine;
                let pairs =
                    [("quarantine_entries", entries, held.entries), ("quarantine_bytes", bytes, held.bytes)];
                pairs
                    .into_iter()
                    .filter_map(|(what, counted, there)| differs(what, whole(counted), there))
                    .collect()
            }
            Part::Outbox(Seen::All, held) => {
                let Usage { entries, bytes } = meta.outbox;
                let pairs = [
                    ("outbox_entries", entries, held.entries),
                    ("outbox_bytes", bytes, held.bytes),
                    ("dead_letter_entries", meta.outbox_dead.entries, held.dead),
                ];
                pairs
                    .into_iter()
                    .filter_map(|(what, counted, there)| differs(what, whole(counted), there))
                    .collect()
            }
            _ => return,
        };
        self.found.mismatches.extend(found);
        self.next_part();
    }

    /// Whether the step under way is the last one of the pass.
    #[must_use]
    pub fn is_last_step(&self) -> bool {
        matches!(self.part, Part::Outbox(Seen::All, _) | Part::Over)
    }

    /// What was found, once the pass is over.
    #[must_use]
    pub fn result(&self) -> Option<Audited> {
        (self.part == Part::Over).then(|| {
            let mut found = self.found.clone();
            found.mismatches.extend(differs(UNREADABLE, 0, whole(self.unreadable)));
            found
        })
    }

    fn next_part(&mut self) {
        self.part = match self.part {
            Part::Records(..) => Part::Pending(Seen::Nothing, 0),
            Part::Pending(..) => Part::Settled(Seen::Nothing, 0),
            Part::Settled(..) => Part::Quarantine(Seen::Nothing, Held::default()),
            Part::Quarantine(..) => Part::Outbox(Seen::Nothing, Held::default()),
            Part::Outbox(..) | Part::Over => Part::Over,
        };
    }
}

/// Compares the counters of a store that nobody writes to with what is in it, and changes nothing. What was forgotten
/// before that was counted is taken for right.
///
/// # Errors
/// [`StoreError`]
pub fn audit(store: &dyn Store) -> Result<Audited, StoreError> {
    let mut recount = Recount::default();
    let mut meta = store.meta()?;
    loop {
        recount.step(store)?;
        recount.compare(&mut meta);
        if let Some(result) = recount.result() {
            return Ok(result);
        }
    }
}

/// What the last write of each key that has been seen leaves there.
fn last_of<K: Ord, T>(seen: &Seen<K>, ops: &[Op], of: impl Fn(&Op) -> Option<(K, T)>) -> BTreeMap<K, T> {
    ops.iter().filter_map(of).filter(|(key, _)| seen.has(key)).collect()
}

/// How many entries more an index has: an entry that is put was not there, and one that is removed was.
fn entries_gained(seen: &Seen<IndexKey>, ops: &[Op], of: impl Fn(&Op) -> Option<(IndexKey, bool)>) -> i64 {
    let mut changed: BTreeMap<IndexKey, (bool, bool)> = BTreeMap::new();
    for (key, put) in ops.iter().filter_map(of).filter(|(key, _)| seen.has(key)) {
        changed.entry(key).and_modify(|(_, last)| *last = put).or_insert((put, put));
    }
    changed.values().map(|(first, last)| i64::from(*last) - i64::from(!*first)).sum()
}

fn length(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn length_of(body: &[u8]) -> u64 {
    u64::try_from(body.len()).unwrap_or(u64::MAX)
}
