//! sled as a disk, and the recipe under which it keeps what it has acknowledged.
//!
//! sled's `flush` ends in `sync_file_range`, which survives a killed process but not a power cut: what makes a
//! commit durable is `sync_data` on a handle of our own of its one data file. That holds only as long as sled
//! writes nothing but that file, so segments are large and values short ([`super::parts`]), and nothing is
//! flushed behind our back.
//!
//! What it accepts: once a write of sled's has failed, it refuses every later flush in this process, whatever
//! became of the cause; reads go on. And a panic in one of its own threads leaves a flush waiting for ever,
//! which only a watchdog on the commit loop can see.

use std::fs::File;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

use super::disk::{Bytes, Disk, Visit, Writes};
use super::files::{disk_space, leads_to};
use super::panics::caught;
use crate::store::{DiskSpace, StoreError};

/// Four times the largest node that sled may keep in its data file; the least size at which no node of 16
/// values can exceed it.
pub(super) const SEGMENT_BYTES: usize = 4 * 1024 * 1024;

/// What the engine finds changed in its files, in our words and then in its own.
pub(super) fn changed(error: &sled::Error) -> String {
    // The engine's words for a checksum that does not match tell where alone, if that.
    let told = match error {
        sled::Error::Corruption { at: Some(at), .. } => format!("a checksum does not match at {at:?}"),
        sled::Error::Corruption { at: None, .. } => "a checksum does not match".to_owned(),
        other => other.to_string(),
    };
    format!("a part of its files is not what was written: {told}")
}

/// An open sled directory.
pub(super) struct SledDisk {
    /// `None` only while being dropped.
    db: Option<sled::Db>,
    /// The data file, for `sync_data`.
    data: File,
    /// A step of a commit failed, so memory may hold a part of a batch, and the file does not take what it is given; or
    /// that file does not lie under its name any more.
    torn: AtomicBool,
    /// Released last.
    _lock: File,
}

/// Opens or creates the sled directory `dir`. Its `mode` is left alone: sled 0.34.7 reads it nowhere.
pub(super) fn open(dir: &Path, cache_bytes: u64) -> sled::Result<sled::Db> {
    sled::Config::new()
        .path(dir)
        .segment_size(SEGMENT_BYTES)
        .cache_capacity(cache_bytes)
        .use_compression(false)
        .flush_every_ms(None)
        .open()
}

impl SledDisk {
    /// The disk on `db`, whose data file is `data`; holds `lock` as long as it lives.
    pub(super) fn new(db: sled::Db, data: File, lock: File) -> Self {
        Self { db: Some(db), data, torn: AtomicBool::new(false), _lock: lock }
    }

    fn db(&self) -> Result<&sled::Db, StoreError> {
        self.db.as_ref().ok_or_else(|| StoreError::Unavailable("it is closed".into()))
    }

    fn read<T>(&self, read: impl FnOnce(&sled::Db) -> Result<T, StoreError>) -> Result<T, StoreError> {
        let db = self.db()?;
        caught(|| read(db)).map_err(StoreError::Corrupt)?
    }

    fn written(&self, result: Result<sled::Result<()>, String>) -> Result<(), StoreError> {
        let result = result.map_err(StoreError::Unsynced).and_then(|done| done.map_err(failed));
        if result.is_err() {
            self.torn.store(true, Ordering::Relaxed);
        }
        result
    }
}

impl Disk for SledDisk {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.read(|db| db.get(key).map_err(failed))
    }

    fn range(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        self.read(|db| show(db.range(from..to), visit))
    }

    fn range_back(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        self.read(|db| show(db.range(from..to).rev(), visit))
    }

    fn apply(&self, writes: &Writes) -> Result<(), StoreError> {
        let mut batch = sled::Batch::default();
        for (key, value) in writes {
            match value {
                Some(value) => batch.insert(key.as_slice(), value.as_slice()),
                None => batch.remove(key.as_slice()),
            }
        }
        let db = self.db()?;
        self.written(caught(|| db.apply_batch(batch)))
    }

    fn flush(&self) -> Result<(), StoreError> {
        let db = self.db()?;
        self.written(caught(|| db.flush().map(drop)))
    }

    fn space(&self) -> std::io::Result<Option<DiskSpace>> {
        disk_space(&self.data)
    }

    fn lies_at(&self, file: &Path) -> std::io::Result<bool> {
        let lies_there = leads_to(file, &self.data)?;
        if !lies_there {
            // Closed as always, sled would write by names that may be another store's now.
            self.torn.store(true, Ordering::Relaxed);
        }
        Ok(lies_there)
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.data.sync_data().map_err(|error| {
            self.torn.store(true, Ordering::Relaxed);
            StoreError::Unsynced(error.to_string())
        })
    }
}

impl Drop for SledDisk {
    fn drop(&mut self) {
        let Some(db) = self.db.take() else { return };
        if self.torn.load(Ordering::Relaxed) {
            // Dropped, sled would flush the part of a batch that it holds, wait for a flush that never ends, or
            // write under names that are not its own. The process is about to end anyway.
            std::mem::forget(db);
        } else {
            // sled forces its file once more, and panics where that fails. All that was acknowledged was forced before.
            let _ = caught(|| drop(db));
        }
    }
}

fn show(
    entries: impl Iterator<Item = sled::Result<(Bytes, Bytes)>>,
    visit: &mut Visit<'_>,
) -> Result<(), StoreError> {
    for entry in entries {
        let (key, value) = entry.map_err(failed)?;
        if !visit(&key, &value)? {
            break;
        }
    }
    Ok(())
}

fn failed(error: sled::Error) -> StoreError {
    match error {
        sled::Error::Corruption { .. } => StoreError::Corrupt(changed(&error)),
        error => StoreError::Unavailable(error.to_string()),
    }
}
