//! A store's directory made from a file.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use super::advice::{damaged, unreachable};
use super::swap::{IMPORTED, Note, Stage};
use super::{Place, force_all, of_format, of_store, open_disk};
use crate::domain::Timestamp;
use crate::store::sled::backup::{BackupError, Beside, Contents, FileError, Shelf, read_file, stamp};
use crate::store::sled::disk::{Disk, Writes};
use crate::store::sled::memory::MemoryDisk;
use crate::store::sled::migrations::{FORMAT, MIGRATIONS, format, migrate};
use crate::store::sled::{SledStore, keys};
use crate::store::{AfterRestore, Batch, Op, OpenError, Restored, Store, StoreError};

/// Most entries of one write: what the engine takes well in one batch.
const WRITE_ENTRIES: usize = 256;
/// Bytes after which a write ends.
const WRITE_BYTES: usize = 1024 * 1024;

/// Why no store was made of a file.
#[derive(Debug, thiserror::Error)]
pub enum RestoreError {
    /// The file can't be used.
    #[error("{path}: {error}")]
    File {
        /// Which.
        path: String,
        /// Why.
        error: FileError,
    },
    /// The directory can't be made.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// Who was erased since can't be noted.
    #[error("who is to be erased of it can't be noted, so nothing was made: {0}")]
    Notes(#[from] BackupError),
}

/// What is to be kept of the origin of a restored store.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Origin {
    /// What time it is.
    pub now: Timestamp,
    /// Whether what is overdue waits.
    pub holds: bool,
    /// Where what stood there before is set aside.
    pub aside: Option<String>,
    /// How that was damaged.
    pub reason: Option<String>,
}

impl SledStore {
    /// Makes a store of the file `from` in the directory `dir`, which is not there or empty, or is set aside if `origin` says
    /// as what. Reminders stay in the states that they were in; `origin` is kept in it. Whom to erase of it by what lies
    /// beside the file is noted in `shelf`, which the worker that starts on it reads: last of what may fail, since by the same
    /// notes a worker would erase them of the store that is there.
    ///
    /// # Errors
    /// [`RestoreError`]; what is in `dir` is what was there before, and nobody is noted.
    pub fn import(
        dir: &Path,
        cache_mb: u64,
        from: &Path,
        mut origin: Origin,
        shelf: &Shelf,
    ) -> Result<(Contents, Beside), RestoreError> {
        let place = Place::new(dir)?;
        let io = |error: std::io::Error| unreachable(&place.dir, &error.to_string());
        place.is_beside_others()?;
        place.create_parents().map_err(io)?;
        let lock = place.hold()?;
        let damage = place.end_swap()?;
        if let Some(why) = &damage {
            tracing::warn!(why, "a restore that was cut off is given up for this one");
        }
        // Removes one that is empty and nothing else.
        let is_full = place.dir.try_exists().map_err(io)? && std::fs::remove_dir(&place.dir).is_err();
        if is_full && origin.aside.is_none() {
            return Err(RestoreError::Open(OpenError::Unreachable {
                path: place.dir.display().to_string(),
                reason: "something is in it".to_owned(),
                advice: "name a directory that is not there, move this one away first, or let it be set aside (--set-aside)",
            }));
        }
        origin.aside = origin.aside.filter(|_| is_full);
        let aside = origin.aside.clone().unwrap_or_else(|| format!("{}.none", place.name()));
        let now = origin.now;
        let contents = place.fill(&lock, from, cache_mb, Some(origin))?;
        let print = Some(place.print().map_err(io)?);
        // Of a file from before there were numbers the store goes on as the one that stood there.
        let mine = place.marker().map_err(io)?.and_then(|marker| marker.identity);
        let store = contents.head.store.or(mine);
        let beside = shelf.clone().of(store).note_erased_beside(from, contents.finished, now)?;
        let reason = damage.unwrap_or_else(|| IMPORTED.to_owned());
        let note = Note { stage: Stage::Ready, aside, reason, store, print };
        place.write_note(&note).map_err(io)?;
        match place.carry_out(&note)? {
            None => Ok((contents, beside)),
            Some(why) => Err(damaged(&place.dir, &why).into()),
        }
    }

    /// All that the file `from` holds, in memory, as a store restored from it would have it.
    ///
    /// # Errors
    /// [`FileError`]
    pub fn of_file(from: &Path) -> Result<(Self, Contents), FileError> {
        Self::of_reader(BufReader::new(File::open(from)?))
    }

    /// Keeps that it was `restored` from a backup, after all that it says of itself; a pause goes that is the backup's.
    pub(in crate::store::sled) fn say_restored(
        &self,
        restored: Restored,
        pause_is_of_backup: bool,
    ) -> Result<Restored, StoreError> {
        let restored = restored.after(self.restored()?.as_ref());
        let mut batch = Batch::default();
        batch.push(Op::PutRestored(Box::new(restored.clone())));
        if pause_is_of_backup {
            self.forget_pause(&mut batch)?;
        }
        self.commit(&batch)?;
        Ok(restored)
    }

    /// Forgets a pause that comes back with a backup: who has let reminders go on since then would never know that they
    /// stand still again, until they have come too late. What goes out for it is a repeat, which can be dropped by who reads
    /// it, and a person can pause again.
    fn forget_pause(&self, batch: &mut Batch) -> Result<(), StoreError> {
        let mut meta = self.meta()?;
        if let Some(paused) = meta.paused.take() {
            tracing::error!(
                since = %paused.since, reason = paused.reason,
                "reminders were paused when the backup was made; whether they were let go on since then nobody knows, so they go \
                 on: `reminder-worker pause` holds them again"
            );
            batch.push(Op::PutMeta(Box::new(meta)));
        }
        Ok(())
    }

    /// All that the bytes of a file hold, in memory, as a store restored from it would have it.
    ///
    /// # Errors
    /// [`FileError`]
    pub(in crate::store::sled) fn of_reader(from: impl Read) -> Result<(Self, Contents), FileError> {
        let disk = MemoryDisk::default();
        let contents = read_file(from, &mut |key, value| {
            disk.apply(&Writes::from([(key.to_vec(), value.map(<[u8]>::to_vec))]))
        })?;
        has_format(&disk, contents.head.format)?;
        let store = Self::on(Box::new(disk))?;
        is_of(&store, &contents)?;
        Ok((store, contents))
    }
}

impl Place {
    /// Makes what is to come of the file `from`, whole and forced; what was left of an earlier one goes. It is not this
    /// place's yet.
    pub(super) fn fill(
        &self,
        lock: &File,
        from: &Path,
        cache_mb: u64,
        origin: Option<Origin>,
    ) -> Result<Contents, RestoreError> {
        let io = |error: std::io::Error| unreachable(&self.coming, &error.to_string());
        self.clear().map_err(io)?;
        let filled = self.write_coming(lock, from, cache_mb, origin);
        if filled.is_err() {
            // What can't be removed now is removed by the next one.
            let _ = self.clear();
        }
        let contents = filled?;
        self.hand_over().and_then(|()| force_all(&self.coming)).map_err(io)?;
        Ok(contents)
    }

    /// Removes what is to come.
    pub(super) fn clear(&self) -> std::io::Result<()> {
        match std::fs::remove_dir_all(&self.coming) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The latest that the clock is known to have shown to the store that stands there. A marker that can't be read says
    /// nothing: more goes out a second time then.
    fn clock_seen(&self) -> Option<Timestamp> {
        self.marker().ok().flatten()?.witness.map(|witness| witness.at())
    }

    fn write_coming(
        &self,
        lock: &File,
        from: &Path,
        cache_mb: u64,
        origin: Option<Origin>,
    ) -> Result<Contents, RestoreError> {
        let of_file = |error| RestoreError::File { path: from.display().to_string(), error };
        let file = File::open(from).map_err(|error| of_file(error.into()))?;
        let lock = lock.try_clone().map_err(|error| unreachable(&self.lock, &error.to_string()))?;
        let (disk, _) = open_disk(&self.coming, lock, cache_mb)?;
        let failed = |error: StoreError| RestoreError::Open(of_store(&self.coming, error));
        let (mut writes, mut bytes) = (Writes::new(), 0);
        let write = |writes: &Writes| disk.apply(writes).and_then(|()| disk.flush());
        let contents = read_file(BufReader::new(file), &mut |key, value| {
            bytes += key.len() + value.map_or(0, <[u8]>::len);
            writes.insert(key.to_vec(), value.map(<[u8]>::to_vec));
            if writes.len() < WRITE_ENTRIES && bytes < WRITE_BYTES {
                return Ok(());
            }
            bytes = 0;
            write(&std::mem::take(&mut writes))
        });
        let contents = contents.map_err(|error| match error {
            // Of the directory and not of the file.
            FileError::Use(error) => failed(error),
            error => of_file(error),
        })?;
        disk.write(&writes).map_err(failed)?;
        has_format(&disk, contents.head.format).map_err(of_file)?;
        migrate(&disk, MIGRATIONS, FORMAT).map_err(|error| of_format(&self.coming, error))?;
        // From here on what can't be read is the file's fault.
        let unread = |error: StoreError| match error {
            StoreError::Corrupt(_) => of_file(error.into()),
            error => failed(error),
        };
        let store = SledStore::readable(Box::new(disk)).map_err(unread)?;
        is_of(&store, &contents).map_err(of_file)?;
        if let Some(origin) = origin {
            let name = from.file_name().unwrap_or_default().to_string_lossy();
            let restored = origin.restored(name, contents.finished).seen(self.clock_seen());
            store.say_restored(restored, true).map_err(unread)?;
        }
        store.close();
        Ok(contents)
    }
}

impl Origin {
    /// The name under which what stands in `dir` is set aside at `now`.
    #[must_use]
    pub fn name_aside(dir: &Path, now: Timestamp) -> String {
        let name = dir.file_name().unwrap_or_default().to_string_lossy();
        format!("{name}.damaged-{}", stamp(now))
    }

    /// That of a store that holds what was committed until `finished`, by the file of that name.
    pub(in crate::store::sled) fn restored(self, name: impl Into<String>, finished: Timestamp) -> Restored {
        Restored {
            aside: self.aside,
            reason: self.reason,
            overdue: if self.holds { AfterRestore::Held } else { AfterRestore::Fires },
            erases: true,
            ..Restored::new(self.now, finished, name)
        }
    }
}

/// Whether `disk` holds a store of the format that its file says.
fn has_format(disk: &dyn Disk, said: u32) -> Result<(), FileError> {
    match format(disk) {
        Ok(Some(found)) if found == said => Ok(()),
        _ => {
            let key = keys::single(keys::FORMAT);
            Err(StoreError::Corrupt(format!("the format at the key {key:?} is not that of its file, {said}"))
                .into())
        }
    }
}

/// That `store`, made of a file, is the one that the file says: else no start on it would believe its marker.
fn is_of(store: &SledStore, contents: &Contents) -> Result<(), FileError> {
    if store.identity() == contents.head.store {
        return Ok(());
    }
    Err(StoreError::Corrupt("it says in two places which store it is of, and not the same".into()).into())
}
