//! A store's copy in memory, to try things on.
//!
//! sled writes as it opens a directory, so the directory itself is never opened: its files are copied first, and the
//! copy is opened, read into memory and removed. That is safe only while nobody writes: sled changes its files in
//! place, and a copy made meanwhile is of no instant. So a store that is held is refused, and while its files are copied
//! it can't be opened by another; nothing is written for that, neither in the directory nor beside it, so who tries
//! meanwhile is told the name of the last holder.

use std::fs::{File, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use super::advice::{FREE_SPACE, unreachable};
use super::{Place, SledStore, await_release, of_store};
use crate::store::OpenError;

impl SledStore {
    /// All that the store in the directory `dir` holds, in memory. Nothing is written in `dir` nor beside it; as much
    /// room as it takes is needed among the temporary files meanwhile.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn copied_to_memory(dir: &Path, cache_mb: u64) -> Result<Self, OpenError> {
        let copy = Self::copied(dir, cache_mb)?;
        copy.store.to_memory().map_err(|error| told_of(of_store(&copy.at, error), &copy.at, dir))
    }

    /// A copy of the store in the directory `dir`, opened. Nothing is written in `dir` nor beside it.
    ///
    /// # Errors
    /// [`OpenError`]
    pub fn copied(dir: &Path, cache_mb: u64) -> Result<Copied, OpenError> {
        let place = Place::new(dir)?;
        let io = |error: io::Error| unreachable(&place.dir, &error.to_string());
        let is_noted = place.swap.try_exists().map_err(io)?;
        if is_noted && place.is_being_replaced() {
            return Err(OpenError::Unreachable {
                path: place.dir.display().to_string(),
                reason: "a restore of it was cut off".to_owned(),
                advice: "start the worker, which ends it",
            });
        }
        let marked = place.marker.try_exists().map_err(io)?;
        place.inspect(marked)?;
        place.exists()?;
        let room = tempfile::tempdir().map_err(|error| no_room(&place.dir, &error.to_string()))?;
        let copy = Place::new(&room.path().join("store"))?;
        {
            let _held = place.hold_as_it_is()?;
            copy_all(&place.dir, &copy.dir).map_err(|error| match error.kind() {
                io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                    no_room(&place.dir, &error.to_string())
                }
                _ => io(error),
            })?;
            if marked && is_noted {
                // What the marker says may be of what stood there before.
                copy.mark(None).map_err(io)?;
            } else if marked {
                std::fs::copy(&place.marker, &copy.marker).map_err(io)?;
            }
        }
        let store = Self::open(&copy.dir, cache_mb).map_err(|error| told_of(error, &copy.dir, &place.dir))?;
        Ok(Copied { store, at: copy.dir, _room: room })
    }
}

/// A copy of a store, which goes with this.
pub struct Copied {
    /// It, opened.
    pub store: SledStore,
    at: PathBuf,
    /// Goes last.
    _room: tempfile::TempDir,
}

impl Place {
    /// Whether a note that can be believed says that what lies there is to be replaced. Where one can't be, a person is to
    /// look.
    fn is_being_replaced(&self) -> bool {
        self.note().is_ok_and(|note| note.is_some_and(|note| self.is_noted(&note).is_ok()))
    }

    /// Keeps every other process from opening it, and writes nothing.
    fn hold_as_it_is(&self) -> Result<Vec<File>, OpenError> {
        let mut held = Vec::new();
        // The second is sled's own lock: a store of which the lock file was lost may be held all the same.
        for path in [&self.lock, &self.dir.join("db")] {
            if *path != self.lock {
                await_release(&self.dir);
            }
            let mut file = match File::open(path) {
                Ok(file) => file,
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => return Err(unreachable(path, &error.to_string())),
            };
            match file.try_lock_shared() {
                Ok(()) => held.push(file),
                Err(TryLockError::Error(error)) => return Err(unreachable(path, &error.to_string())),
                Err(TryLockError::WouldBlock) if *path == self.lock => return Err(self.held_by(&mut file)),
                Err(TryLockError::WouldBlock) => {
                    let path = self.dir.display().to_string();
                    return Err(OpenError::Held { path, holder: "another process".to_owned() });
                }
            }
        }
        Ok(held)
    }
}

/// Copies the files and directories of `from` into `to`, which is made.
fn copy_all(from: &Path, to: &Path) -> io::Result<()> {
    std::fs::create_dir_all(to)?;
    for entry in std::fs::read_dir(from)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy_all(&entry.path(), &to)?;
        } else {
            std::fs::copy(entry.path(), to)?;
        }
    }
    Ok(())
}

/// That there is no room for a copy of the store in `dir`.
fn no_room(dir: &Path, reason: &str) -> OpenError {
    OpenError::Unreachable {
        path: dir.display().to_string(),
        reason: format!(
            "it is looked at in a copy, and {} has no room for one: {reason}",
            std::env::temp_dir().display()
        ),
        advice: "set TMPDIR to a directory that can be written and has as much room as the store takes",
    }
}

/// `error` as it is told of the store itself: nobody knows the copy.
fn told_of(error: OpenError, copy: &Path, dir: &Path) -> OpenError {
    let (copy, told) = (copy.display().to_string(), dir.display().to_string());
    let renamed = |text: String| text.replace(&copy, &told);
    match error {
        OpenError::Held { path, holder } => OpenError::Held { path: renamed(path), holder },
        // It is the copy's file system that is full.
        OpenError::Unreachable { reason, advice, .. } if advice == FREE_SPACE => {
            no_room(dir, &renamed(reason))
        }
        OpenError::Unreachable { path, reason, advice } => {
            OpenError::Unreachable { path: renamed(path), reason: renamed(reason), advice }
        }
        OpenError::Damaged { path, reason } => {
            OpenError::Damaged { path: renamed(path), reason: renamed(reason) }
        }
        OpenError::Newer { path, found, known } => OpenError::Newer { path: renamed(path), found, known },
    }
}
