//! What can be read of a store of which a part can't: all its pieces, whatever lies between them.
//!
//! The reminder indexes are left out and made anew of the records, since they say nothing else. What lies between the other
//! pieces is taken from a backup, where there is one. Then the counters are raised to what is there, and what is counted and
//! not there counts as forgotten, as it does where no pass has counted yet: they never go down.
//!
//! Accepted: all of it is in memory meanwhile, some kilobyte a task.

use std::collections::{BTreeMap, BTreeSet};

use super::disk::{Bytes, Disk, Writes};
use super::memory::MemoryDisk;
use super::parts::{self, Parts};
use super::told::LeftOut;
use super::{SledStore, keys, records, values};
use crate::domain::{State, Tally, Timestamp};
use crate::store::batch::places;
use crate::store::{Batch, Meta, Op, Quarantined, Store as _, StoreError, Usage};

/// The code of a quarantined event that is lost.
const LOST: &str = "lost";

/// Keys at which it is worth while to look for a piece.
type Known = BTreeSet<Vec<u8>>;

/// The pieces of a store.
pub(super) struct Pieces {
    whole: MemoryDisk,
    /// What lies between them, but for the indexes.
    pub(super) left_out: Vec<LeftOut>,
}

impl Pieces {
    /// Those of the store on `disk`; `backup` says of more keys where one may be.
    pub(super) fn of(disk: &dyn Disk, backup: Option<&SledStore>) -> Result<Self, StoreError> {
        let mut known = Known::new();
        for space in [keys::PENDING, keys::SETTLED] {
            read(disk, space, &Known::new(), &mut |_, stored| {
                let task = parts::value(disk, &[space], stored).ok();
                known.extend(
                    task.and_then(|task| values::decode_task(&task).ok()).map(|task| keys::record(&task)),
                );
            })?;
        }
        if let Some(backup) = backup {
            backup.disk.range(&[], &[u8::MAX], &mut |key, _| {
                known.insert(key.to_vec());
                Ok(true)
            })?;
        }
        let (whole, mut left_out) = (MemoryDisk::default(), Vec::new());
        for space in (0..u8::MAX).filter(|space| ![keys::PENDING, keys::SETTLED].contains(space)) {
            let mut writes = Writes::new();
            left_out.extend(read(disk, space, &known, &mut |key, stored| {
                writes.insert(key.to_vec(), Some(stored.to_vec()));
            })?);
            whole.apply(&writes)?;
        }
        Ok(Self { whole, left_out })
    }

    /// The counters, where they are among the pieces.
    pub(super) fn counters(&self) -> Option<Meta> {
        let key = keys::single(keys::META);
        let stored = self.whole.get(&key).ok()??;
        values::decode_meta(&parts::value(&self.whole, &key, &stored).ok()?).ok()
    }

    /// Whether they are fewer reminders than they count, besides those that were forgotten; `None` where that can't be
    /// told. The engine may have gone back in some pages that it reads well.
    ///
    /// # Errors
    /// [`StoreError`], but for values that can't be read.
    pub(super) fn lack_some(&self) -> Result<Option<bool>, StoreError> {
        let counted = self.counters().and_then(|meta| Some((meta.reminders, meta.ledger.forgotten?)));
        let Some((mut counted, forgotten)) = counted else { return Ok(None) };
        counted.take_off(&forgotten);
        self.whole.range(&[keys::RECORD], &[keys::RECORD + 1], &mut |key, stored| {
            let value = parts::value(&self.whole, key, stored).ok();
            let record = value.and_then(|value| records::decode(&value).ok());
            counted.take_off(&Tally::count(&record.map(|record| record.reminders).unwrap_or_default()));
            Ok(true)
        })?;
        Ok(Some(State::ALL.iter().any(|state| counted.of(*state) > 0)))
    }

    /// The store that they make, with what is left out as `backup` has it; and, where they `lack` some, each record of it
    /// that is not there.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]: neither has the counters.
    pub(super) fn joined(self, backup: Option<&SledStore>, lack: bool) -> Result<SledStore, StoreError> {
        let Self { whole, left_out } = self;
        if let Some(backup) = backup {
            let mut writes = Writes::new();
            for space in [keys::RECORD, keys::PART].into_iter().filter(|_| lack) {
                backup.disk.range(&[space], &[space + 1], &mut |key, stored| {
                    if whole.get(key)?.is_none() {
                        writes.insert(key.to_vec(), Some(stored.to_vec()));
                    }
                    Ok(true)
                })?;
            }
            for LeftOut { from, to, .. } in &left_out {
                backup.disk.range(from, to, &mut |key, stored| {
                    writes.insert(key.to_vec(), Some(stored.to_vec()));
                    Ok(true)
                })?;
            }
            whole.apply(&writes)?;
        }
        let kept = index(&whole)?;
        let store = SledStore::on(Box::new(whole))?;
        let meta = store.get(&keys::single(keys::META), "the counters", values::decode_meta)?;
        let mut meta = meta.ok_or_else(|| StoreError::Corrupt("the counters".into()))?;
        count(&store, &mut meta, &kept)?;
        let mut batch = Batch::default();
        batch.push(Op::PutMeta(Box::new(meta)));
        store.commit(&batch)?;
        Ok(store)
    }
}

/// Shows all of `space` that can be read; what can't be.
fn read(
    disk: &dyn Disk,
    space: u8,
    known: &Known,
    see: &mut dyn FnMut(&[u8], &Bytes),
) -> Result<Vec<LeftOut>, StoreError> {
    // An empty key, of no space, is before the first.
    let mut from = if space == 0 { Vec::new() } else { vec![space] };
    let (end, mut left_out) = (vec![space + 1], Vec::new());
    loop {
        let start = from.clone();
        let walked = disk.range(&start, &end, &mut |key, stored| {
            see(key, stored);
            from = keys::above(key);
            Ok(true)
        });
        let Err(StoreError::Corrupt(why)) = walked else { return walked.map(|()| left_out) };
        let next = behind(disk, &from, &end, known)?.filter(|next| *next > from);
        let to = next.clone().unwrap_or_else(|| end.clone());
        left_out.push(LeftOut { from, to, why });
        match next {
            Some(next) => from = next,
            None => return Ok(left_out),
        }
    }
}

/// The least key from `from` on that can be read, as far as it can be found: by what is known, or from the end.
fn behind(disk: &dyn Disk, from: &[u8], end: &[u8], known: &Known) -> Result<Option<Vec<u8>>, StoreError> {
    for known in known.range(from.to_vec()..).take_while(|known| ***known < *end) {
        let mut first = None;
        let found = disk.range(known, end, &mut |key, _| {
            first = Some(key.to_vec());
            Ok(false)
        });
        match found {
            // What lies before it in its page can be read as well.
            Ok(()) => return Ok(least(disk, from, known)?.or(first)),
            Err(StoreError::Corrupt(_)) => {}
            Err(error) => return Err(error),
        }
    }
    least(disk, from, end)
}

/// How far it can be read back from `to` on.
fn least(disk: &dyn Disk, from: &[u8], to: &[u8]) -> Result<Option<Vec<u8>>, StoreError> {
    let mut least = None;
    let read = disk.range_back(from, to, &mut |key, _| {
        least = Some(key.to_vec());
        Ok(true)
    });
    match read {
        Ok(()) | Err(StoreError::Corrupt(_)) => Ok(least),
        Err(error) => Err(error),
    }
}

/// Makes the indexes of the records; how many reminders these hold.
fn index(whole: &MemoryDisk) -> Result<Tally, StoreError> {
    let (mut writes, mut kept, mut parts) = (Writes::new(), Tally::default(), Parts::default());
    let mut records = Vec::new();
    whole.range(&[keys::RECORD], &[keys::RECORD + 1], &mut |key, stored| {
        records.push((key.to_vec(), stored.clone()));
        Ok(true)
    })?;
    for (key, stored) in records {
        let Some(task) = keys::task_of(&key) else { continue };
        // Of one that lacks a part nothing can ever be made.
        let Ok(value) = parts::value(whole, &key, &stored) else {
            writes.insert(key, None);
            continue;
        };
        let Ok(record) = records::decode(&value) else { continue };
        kept.add(&Tally::count(&record.reminders));
        for (place, pending) in places(&task, Some(&record)) {
            let key = keys::index(if pending { keys::PENDING } else { keys::SETTLED }, &place);
            parts.put(whole, &mut writes, key, &values::encode_task(&task))?;
        }
    }
    whole.apply(&writes)?;
    Ok(kept)
}

/// Makes the counters agree with what is there.
fn count(store: &SledStore, meta: &mut Meta, kept: &Tally) -> Result<(), StoreError> {
    let counts = State::ALL.map(|state| meta.reminders.of(state).max(kept.of(state)));
    meta.reminders = Tally::from_counts(counts);
    meta.ledger.planned = meta.ledger.planned.max(u64::try_from(meta.reminders.total()).unwrap_or(0));
    meta.ledger.forgotten = None;
    meta.users = store.users(None, usize::MAX)?.len() as u64;
    meta.next_claim = meta.next_claim.max(store.claims()?.last().map_or(0, |claim| claim.number + 1));
    count_quarantine(store, meta)?;
    count_outbox(store, meta)
}

/// Counts what is in the quarantine, whose places have no gaps: where one is missing, that is what is in its place.
fn count_quarantine(store: &SledStore, meta: &mut Meta) -> Result<(), StoreError> {
    let kept: BTreeMap<u64, Quarantined> = store.quarantined(None, usize::MAX)?.into_iter().collect();
    meta.quarantine = Usage::default();
    let (Some((&first, _)), Some((&last, _))) = (kept.first_key_value(), kept.last_key_value()) else {
        return Ok(());
    };
    meta.next_quarantined = meta.next_quarantined.max(last + 1);
    let mut batch = Batch::default();
    for number in first..meta.next_quarantined {
        meta.quarantine.entries += 1;
        let body = store.quarantined_body(number);
        if kept.contains_key(&number) && body.is_ok() {
            meta.quarantine.bytes += body?.len() as u64;
            continue;
        }
        let lost = kept.get(&number).cloned().unwrap_or_else(|| Quarantined {
            at: Timestamp::MIN,
            topic: String::new(),
            code: LOST.into(),
            reason: "what stood here could not be read any more".into(),
            length: 0,
        });
        batch.push(Op::PutQuarantined(number, lost, Vec::new()));
    }
    store.commit(&batch)
}

/// Counts what is in the outbox; what has lost its body can't be sent, and is listed as what the sidecar has refused is.
fn count_outbox(store: &SledStore, meta: &mut Meta) -> Result<(), StoreError> {
    (meta.outbox, meta.outbox_dead) = (Usage::default(), Usage::default());
    let mut batch = Batch::default();
    for (number, mut entry) in store.outbox(None, usize::MAX)? {
        meta.next_outbox = meta.next_outbox.max(number + 1);
        let is_there = store.outbox_body(number).is_ok_and(|body| body.len() as u64 == entry.length);
        if !is_there && !entry.dead {
            (entry.dead, entry.reason) = (true, Some("its body could not be read any more".into()));
            batch.push(Op::PutOutbox(number, entry.clone(), Vec::new()));
        }
        for usage in [&mut meta.outbox, &mut meta.outbox_dead].into_iter().take(1 + usize::from(entry.dead)) {
            usage.entries += 1;
            usage.bytes += entry.length;
        }
    }
    store.commit(&batch)
}
