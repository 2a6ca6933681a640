//! The store on sled, in one directory held by one process.
//!
//! Owns the layout: which keys there are ([`keys`]), what their values mean ([`records`], [`values`]), that a
//! commit is one atomic write made durable before it returns, and what must hold before a directory is trusted
//! ([`open`]). The engine stays behind [`disk::Disk`].
//!
//! After a commit that failed, reads may show the batch though it is not durable, or a part of it. So nothing
//! else is committed until that batch is: the same batch again, or a new process.

mod backup;
mod codes;
mod disk;
mod engine;
mod faulty;
mod files;
#[cfg(fuzzing)]
#[doc(hidden)]
pub mod fuzzing;
mod identity;
mod keys;
mod ledger;
mod memory;
mod migrations;
mod open;
mod origin;
mod panics;
mod parts;
mod pieces;
mod preferences;
mod records;
mod told;
mod values;
mod verify;
mod watched;
mod wire;
mod writes;

#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};

use disk::{Bytes, Disk, Writes};
pub use faulty::{DiskFault, FaultyDisk};
pub use identity::Identity;
use open::{Place, Witness};
use parts::{Parts, Value};
use watched::Watched;
use wire::Malformed;
use writes::writes_of;

pub use backup::{BackupError, Beside, Contents, Erased, Erasing, FileError, Head, Kept, Shelf, check_file};
pub use open::{Compacted, Copied, Origin, Recovery, RestoreError, START_PATIENCE, size};
pub use verify::{FINDINGS_MAX, Findings, Space};

use super::{
    Batch, Claim, DiskSpace, IndexEntry, IndexKey, Meta, OutboxEntry, Quarantined, Restored, Store,
    StoreError,
};
use crate::domain::{Preferences, Record, TaskId};

/// A store whose entries are keys and values on a disk.
pub struct SledStore {
    disk: Watched,
    /// Which store it is, once it has been given a number.
    identity: Option<Identity>,
    /// Held for writing while a batch is applied, so that a read of several keys sees all of it or nothing.
    gate: RwLock<()>,
    committing: Mutex<Committing>,
    syncs: AtomicU64,
    /// Where it lies, if it lies anywhere.
    place: Option<Place>,
    /// What was last taken down in its marker, and whether it was that it is torn.
    witness: Mutex<Option<Witness>>,
    told_torn: AtomicBool,
}

#[derive(Default)]
struct Committing {
    parts: Parts,
    /// The batch whose commit failed, and its writes.
    failed: Option<(Batch, Writes)>,
    /// Why nothing can be committed any more.
    unsynced: Option<String>,
    /// The directory that was taken away from it, and how that shows.
    gone: Option<(String, &'static str)>,
    /// What a copy under way has yet to take.
    behind: Option<backup::Behind>,
}

impl Committing {
    fn is_in_place(&self) -> Result<(), StoreError> {
        match &self.gone {
            None => Ok(()),
            Some((path, how)) => Err(StoreError::Gone { path: path.clone(), how }),
        }
    }
}

/// A store that lasts as long as the process and forces nothing: for tests and simulations.
///
/// # Errors
/// [`StoreError`], though a map has no reason to fail.
pub fn in_memory() -> Result<SledStore, StoreError> {
    SledStore::on(Box::new(memory::MemoryDisk::default()))
}

impl SledStore {
    fn on(disk: Box<dyn Disk>) -> Result<Self, StoreError> {
        let disk = Watched::over(disk);
        let committing = Committing { parts: Parts::of(&disk)?, ..Committing::default() };
        Ok(Self {
            identity: identity::of(&disk)?,
            disk,
            gate: RwLock::new(()),
            committing: Mutex::new(committing),
            syncs: AtomicU64::new(0),
            place: None,
            witness: Mutex::default(),
            told_torn: AtomicBool::new(false),
        })
    }

    /// A copy of all it holds, which lasts as long as the process and forces nothing.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn to_memory(&self) -> Result<Self, StoreError> {
        let _whole = self.reading();
        Self::on(Box::new(memory::MemoryDisk::of(&self.disk)?))
    }

    /// Lets go of the directory. Dropping does the same; all that was acknowledged is durable already.
    pub fn close(self) {
        drop(self);
    }

    fn reading(&self) -> RwLockReadGuard<'_, ()> {
        self.gate.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn get<T>(
        &self,
        key: &[u8],
        what: &str,
        decode: impl FnOnce(&[u8]) -> Result<T, Malformed>,
    ) -> Result<Option<T>, StoreError> {
        let _whole = self.reading();
        let value = parts::get(&self.disk, key)?;
        value.map(|value| decode(&value)).transpose().map_err(|why| corrupt(what, why))
    }

    fn body(&self, key: &[u8]) -> Result<Vec<u8>, StoreError> {
        let _whole = self.reading();
        let value = parts::get(&self.disk, key)?;
        Ok(value.map_or_else(Vec::new, |value| match value {
            Value::Joined(bytes) => bytes,
            whole @ Value::Whole(_) => whole.to_vec(),
        }))
    }

    /// The entries of `space` after the key `after`, at most `limit`.
    fn list<K, T>(
        &self,
        space: u8,
        after: Option<Vec<u8>>,
        limit: usize,
        what: &str,
        entry: impl Fn(&[u8], &[u8]) -> Result<(K, T), Malformed>,
    ) -> Result<Vec<(K, T)>, StoreError> {
        let mut found = Vec::new();
        if limit == 0 {
            return Ok(found);
        }
        let from = after.map_or_else(|| vec![space], |key| keys::above(&key));
        let _whole = self.reading();
        self.disk.range(&from, &[space + 1], &mut |key, stored: &Bytes| {
            let value = parts::value(&self.disk, key, stored)?;
            found.push(entry(key, &value).map_err(|why| corrupt(what, why))?);
            Ok(found.len() < limit)
        })?;
        Ok(found)
    }

    fn numbered<T>(
        &self,
        space: u8,
        after: Option<u64>,
        limit: usize,
        what: &str,
        decode: impl Fn(&[u8]) -> Result<T, Malformed>,
    ) -> Result<Vec<(u64, T)>, StoreError> {
        let after = after.map(|number| keys::numbered(space, number));
        self.list(space, after, limit, what, |key, value| {
            Ok((keys::number_of(key).ok_or(BAD_KEY)?, decode(value)?))
        })
    }

    fn index(&self, space: u8, after: Option<IndexKey>, limit: usize) -> Result<Vec<IndexEntry>, StoreError> {
        let after = after.map(|key| keys::index(space, &key));
        let entries = self.list(space, after, limit, "a reminder index", |key, value| {
            Ok((keys::index_of(key).ok_or(BAD_KEY)?, values::decode_task(value)?))
        })?;
        Ok(entries.into_iter().map(|(key, task)| IndexEntry { key, task }).collect())
    }

    fn committing(&self) -> MutexGuard<'_, Committing> {
        self.committing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn force(&self, writes: &Writes) -> Result<(), StoreError> {
        {
            let _alone = self.gate.write().unwrap_or_else(PoisonError::into_inner);
            self.disk.apply(writes)?;
        }
        self.disk.flush()?;
        self.disk.sync()
    }
}

const BAD_KEY: Malformed = Malformed("its key cannot be read");

fn corrupt(what: &str, why: Malformed) -> StoreError {
    StoreError::Corrupt(format!("{what}: {}", why.0))
}

impl Store for SledStore {
    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        if let Some(torn) = self.torn() {
            return Err(torn);
        }
        let mut committing = self.committing();
        committing.is_in_place()?;
        if let Some(reason) = &committing.unsynced {
            return Err(StoreError::Unsynced(reason.clone()));
        }
        let writes = match committing.failed.take() {
            Some((failed, writes)) if failed == *batch => writes,
            Some(failed) => {
                committing.failed = Some(failed);
                return Err(StoreError::Unavailable(
                    "a commit failed and must be repeated before anything else is committed".into(),
                ));
            }
            None if batch.is_empty() => return Ok(()),
            None => writes_of(batch, &self.disk, &mut committing.parts)?,
        };
        match self.force(&writes) {
            Ok(()) => {
                self.syncs.fetch_add(1, Ordering::Relaxed);
                committing.keep(writes);
                Ok(())
            }
            Err(StoreError::Unsynced(reason)) => {
                committing.unsynced = Some(reason.clone());
                Err(StoreError::Unsynced(reason))
            }
            Err(error) => {
                committing.failed = Some((batch.clone(), writes));
                Err(error)
            }
        }
    }

    fn meta(&self) -> Result<Meta, StoreError> {
        let meta = self.get(&keys::single(keys::META), "the counters", values::decode_meta)?;
        Ok(meta.unwrap_or_default())
    }

    fn restored(&self) -> Result<Option<Restored>, StoreError> {
        self.get(&keys::single(keys::RESTORED), "where it was restored from", origin::decode)
    }

    fn record(&self, task: &TaskId) -> Result<Option<Record>, StoreError> {
        self.get(&keys::record(task), "a task", records::decode)
    }

    fn tasks(&self, after: Option<&TaskId>, limit: usize) -> Result<Vec<TaskId>, StoreError> {
        let mut found = Vec::new();
        if limit == 0 {
            return Ok(found);
        }
        let from = after.map_or_else(|| vec![keys::RECORD], |task| keys::above(&keys::record(task)));
        let _whole = self.reading();
        self.disk.range(&from, &[keys::RECORD + 1], &mut |key, _| {
            found.push(keys::task_of(key).ok_or(BAD_KEY).map_err(|why| corrupt("a task", why))?);
            Ok(found.len() < limit)
        })?;
        Ok(found)
    }

    fn preferences(&self, user: &str) -> Result<Option<Preferences>, StoreError> {
        self.get(&keys::user(user), "a user's preferences", preferences::decode)
    }

    fn users(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>, StoreError> {
        let after = after.map(keys::user);
        let users = self.list(keys::USER, after, limit, "a user", |key, _| {
            Ok((keys::user_of(key).ok_or(BAD_KEY)?, ()))
        })?;
        Ok(users.into_iter().map(|(user, ())| user).collect())
    }

    fn pending(&self, after: Option<IndexKey>, limit: usize) -> Result<Vec<IndexEntry>, StoreError> {
        self.index(keys::PENDING, after, limit)
    }

    fn settled(&self, after: Option<IndexKey>, limit: usize) -> Result<Vec<IndexEntry>, StoreError> {
        self.index(keys::SETTLED, after, limit)
    }

    fn claims(&self) -> Result<Vec<Claim>, StoreError> {
        let claims = self.list(keys::CLAIM, None, usize::MAX, "a claim", |key, value| {
            Ok(((), values::decode_claim(keys::number_of(key).ok_or(BAD_KEY)?, value)?))
        })?;
        Ok(claims.into_iter().map(|((), claim)| claim).collect())
    }

    fn quarantined(&self, after: Option<u64>, limit: usize) -> Result<Vec<(u64, Quarantined)>, StoreError> {
        self.numbered(keys::QUARANTINED, after, limit, "a quarantined event", values::decode_quarantined)
    }

    fn quarantined_body(&self, number: u64) -> Result<Vec<u8>, StoreError> {
        self.body(&keys::numbered(keys::QUARANTINED_BODY, number))
    }

    fn outbox(&self, after: Option<u64>, limit: usize) -> Result<Vec<(u64, OutboxEntry)>, StoreError> {
        self.numbered(keys::OUTBOX, after, limit, "an outbox entry", values::decode_outbox)
    }

    fn outbox_body(&self, number: u64) -> Result<Vec<u8>, StoreError> {
        self.body(&keys::numbered(keys::OUTBOX_BODY, number))
    }

    fn torn(&self) -> Option<StoreError> {
        let why = self.disk.torn()?;
        self.take_down_torn(why);
        Some(StoreError::Torn(why.to_owned()))
    }

    fn tear(&self, why: String) {
        self.disk.tear(why);
    }

    fn disk_space(&self) -> std::io::Result<Option<DiskSpace>> {
        self.disk.space()
    }

    fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }
}
