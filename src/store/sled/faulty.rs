//! A disk in memory that fails when it is told to, and loses what was not forced when its power goes.
//!
//! For simulations. What is applied is visible at once; flushed and synced it outlasts a power cut. Of what is not yet
//! synced a cut leaves whole batches, the first so many of them: so the engine's log does.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::backup::{BackupError, FileError};
use super::disk::{Bytes, Disk, Visit, Writes};
use super::memory::MemoryDisk;
use super::migrations::{FORMAT, MIGRATIONS, migrate};
use super::{Origin, SledStore};
use crate::domain::Timestamp;
use crate::store::{AfterRestore, StoreError};

/// What a disk does to the step at which its fuse has burnt down.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DiskFault {
    /// The power goes: this step fails, and all after it until the power is back.
    Cut,
    /// This step fails, and so many in all from it on: a disk that is full for a while. Of a batch that is not taken
    /// the first half is visible all the same.
    Fail(u32),
    /// Writes are not forced when they are to be: what is on the disk is unknown. A step before that fails.
    Unforced,
}

/// Most pages of a copy: more than any simulation fills.
const COPY_TURNS_MAX: u32 = 1_000;

/// A disk for simulations; clones are the same disk.
#[derive(Clone, Default)]
pub struct FaultyDisk(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    visible: Arc<MemoryDisk>,
    unsynced: Vec<Writes>,
    durable: MemoryDisk,
    /// After how many more steps what happens.
    fuse: Option<(u32, DiskFault)>,
    is_cut: bool,
}

impl FaultyDisk {
    /// A store on this disk, as it is found there.
    ///
    /// # Errors
    /// [`StoreError`], where the disk fails.
    pub fn store(&self) -> Result<SledStore, StoreError> {
        {
            // What a new store is given before it is used.
            let inner = self.inner();
            for disk in [&inner.durable, inner.visible.as_ref()] {
                migrate(disk, MIGRATIONS, FORMAT)
                    .map_err(|error| StoreError::Corrupt(format!("its format: {error:?}")))?;
            }
        }
        SledStore::on(Box::new(self.clone()))
    }

    /// After `steps` more steps of commits `fault` happens.
    pub fn light_fuse(&self, steps: u32, fault: DiskFault) {
        self.inner().fuse = Some((steps, fault));
    }

    /// Whether the power is out.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.inner().is_cut
    }

    /// The power goes if it has not, and comes back: of what was not synced the first `kept` batches are there. Where
    /// the process alone has ended, all of them are.
    ///
    /// # Errors
    /// [`StoreError`], though a map has no reason to fail.
    pub fn power_back(&self, kept: usize) -> Result<(), StoreError> {
        let mut inner = self.inner();
        let unsynced = std::mem::take(&mut inner.unsynced);
        for writes in unsynced.iter().take(kept) {
            inner.durable.apply(writes)?;
        }
        inner.visible = Arc::new(MemoryDisk::of(&inner.durable)?);
        inner.is_cut = false;
        inner.fuse = None;
        Ok(())
    }

    /// A file of all that `store`, which is on a disk of this kind, holds now.
    ///
    /// # Errors
    /// [`BackupError`]
    pub fn back_up(store: &SledStore, now: Timestamp) -> Result<Vec<u8>, BackupError> {
        // What has failed is made good before anything else is done, so a copy that waits would wait for ever.
        let asked = AtomicU32::new(0);
        let stops = || asked.fetch_add(1, Ordering::Relaxed) > COPY_TURNS_MAX;
        store.copying()?.copy_to(Vec::new(), &|| now, &stops).map(|(file, ..)| file)
    }

    /// What the disk held is lost, and what the file holds is in its place, as after a restore; whether what is overdue waits.
    ///
    /// # Errors
    /// [`FileError`]
    pub fn restore(&self, file: &[u8], origin: Origin, seen: Option<Timestamp>) -> Result<bool, FileError> {
        let (store, contents) = SledStore::of_reader(file)?;
        let restored = store.say_restored(origin.restored("backup", contents.finished).seen(seen), true)?;
        let mut inner = self.inner();
        inner.durable = MemoryDisk::of(&store.disk)?;
        inner.visible = Arc::new(MemoryDisk::of(&store.disk)?);
        inner.unsynced.clear();
        // Not as the worker would ask: that is what is judged.
        Ok(restored.overdue != AfterRestore::Fires)
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What can be read; nothing while the power is out.
    fn visible(&self) -> Result<Arc<MemoryDisk>, StoreError> {
        let inner = self.inner();
        if inner.is_cut { Err(no_power()) } else { Ok(Arc::clone(&inner.visible)) }
    }
}

impl Inner {
    fn step(&mut self, forces: bool) -> Result<(), StoreError> {
        if self.is_cut {
            return Err(no_power());
        }
        match self.fuse {
            Some((0, DiskFault::Cut)) => {
                self.is_cut = true;
                Err(no_power())
            }
            Some((0, DiskFault::Fail(times))) => {
                self.fuse = (times > 1).then(|| (0, DiskFault::Fail(times - 1)));
                Err(is_full())
            }
            Some((0, DiskFault::Unforced)) => {
                self.fuse = None;
                Err(if forces { StoreError::Unsynced("an error of the disk".into()) } else { is_full() })
            }
            Some((left, fault)) => {
                self.fuse = Some((left - 1, fault));
                Ok(())
            }
            None => Ok(()),
        }
    }
}

fn is_full() -> StoreError {
    StoreError::Unavailable("the disk is full".into())
}

fn no_power() -> StoreError {
    StoreError::Unavailable("the power is out".into())
}

impl Disk for FaultyDisk {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.visible()?.get(key)
    }

    fn range(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.visible()?.range(from, to, visit)
    }

    fn range_back(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.visible()?.range_back(from, to, visit)
    }

    fn apply(&self, writes: &Writes) -> Result<(), StoreError> {
        let mut inner = self.inner();
        if let Err(error) = inner.step(false) {
            if !inner.is_cut {
                let half = writes.iter().take(writes.len() / 2);
                let half: Writes = half.map(|(key, value)| (key.clone(), value.clone())).collect();
                inner.visible.apply(&half)?;
            }
            return Err(error);
        }
        inner.visible.apply(writes)?;
        inner.unsynced.push(writes.clone());
        Ok(())
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.inner().step(false)
    }

    fn sync(&self) -> Result<(), StoreError> {
        let mut inner = self.inner();
        inner.step(true)?;
        for writes in std::mem::take(&mut inner.unsynced) {
            inner.durable.apply(&writes)?;
        }
        Ok(())
    }
}
