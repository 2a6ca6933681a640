//! Opening a directory: who holds it, whether it can be reached, whether it is what it was.
//!
//! Beside the directory `DIR` stand `DIR.lock`, held as long as the store is open, and `DIR.marker`. The marker
//! says that a store stood here and was durable: sled's way of failing is to open empty. Creation goes
//!
//! 1. the directory, and in it sled's files;
//! 2. the number of the format, and which store it is ([`Identity`]), committed as any batch is;
//! 3. `conf`, `db`, `DIR` and the directory that holds it, forced to the disk, since sled forces none of them;
//! 4. the marker, forced;
//! 5. only then does anybody get to commit.
//!
//! A crash before 4 leaves no marker and nothing acknowledged, and the next start goes on from wherever it
//! was; after 4 the number is durable, so a store that has a marker and no number has lost something. There is
//! no moment at which the marker says more than the disk holds, or less than was acknowledged.
//!
//! Nothing is moved, deleted or created where a marker stands and the store does not, but to restore a backup
//! ([`recover`]). (sled itself writes while it recovers; what can be seen to be missing is therefore looked for first.)
//! What another directory is to take the place of a store is made beside it, whole, and swapped in by renames that a
//! crash between them does not undo ([`swap`]).

use std::ffi::OsStr;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use super::engine::{self, SledDisk};
use super::files::force;
use super::migrations::{FORMAT, FormatError, MIGRATIONS, format, migrate};
use super::panics::caught;
use super::{Identity, SledStore, StoreError};
use crate::store::{MIB, OpenError, Store as _};

mod advice;
mod around;
mod compact;
mod copy;
mod foresight;
mod fuller;
mod gone;
mod lock;
mod mend;
mod owner;
mod print;
mod reading;
mod recover;
mod restore;
mod swap;
#[cfg(test)]
mod tests;
mod unfinished;
mod witness;

pub use compact::{Compacted, size};
pub use copy::Copied;
pub use lock::START_PATIENCE;
pub use recover::Recovery;
pub use restore::{Origin, RestoreError};
pub(super) use witness::Witness;
use witness::{GoneBack, Marker};

use advice::{damaged, of_store, unreachable};
use lock::await_release;

impl SledStore {
    /// Opens the store in the directory `dir`, or creates it, with `cache_mb` MiB of cache. A swap of directories that was
    /// cut off is ended first.
    ///
    /// # Errors
    /// [`OpenError`]; nothing was deleted then.
    pub fn open(dir: &Path, cache_mb: u64) -> Result<Self, OpenError> {
        let place = Place::new(dir)?;
        let io = |error: io::Error| unreachable(&place.dir, &error.to_string());
        place.is_beside_others()?;
        place.create_parents().map_err(io)?;
        let lock = place.hold()?;
        match place.end_swap()? {
            None => Self::open_held(&place, lock, cache_mb, None),
            Some(why) => Err(damaged(&place.dir, &why)),
        }
    }

    /// Opens the store at `place`, whose `lock` is held; one without a number is given `fresh`.
    fn open_held(
        place: &Place,
        lock: File,
        cache_mb: u64,
        fresh: Option<Identity>,
    ) -> Result<Self, OpenError> {
        match Self::open_judged(place, lock, cache_mb, fresh)? {
            (store, None) => Ok(store),
            (_, Some(gone)) => Err(damaged(&place.dir, &gone.why)),
        }
    }

    /// Opens the store at `place`, whose `lock` is held, and says whether it has gone back, which is damage; one without a
    /// number is given `fresh`.
    fn open_judged(
        place: &Place,
        lock: File,
        cache_mb: u64,
        fresh: Option<Identity>,
    ) -> Result<(Self, Option<GoneBack>), OpenError> {
        let io = |error: io::Error| unreachable(&place.dir, &error.to_string());
        let marker = place.marker().map_err(io)?;
        let marked = marker.is_some();
        let disk = place.open_engine(lock, cache_mb, marked)?;
        let of_format = |error| of_format(&place.dir, error);
        migrate(&disk, MIGRATIONS, FORMAT).map_err(of_format)?;
        let of_store = |error| of_store(&place.dir, error);
        let mut store = Self::readable(Box::new(disk)).map_err(of_store)?;
        let mut told = marker.unwrap_or_default();
        place.is_of(&told, &store)?;
        if let (None, Some(identity)) = (store.identity(), told.identity.or(fresh)) {
            store.give(identity).map_err(of_store)?;
        }
        if !marked {
            place.force().map_err(io)?;
        }
        if !marked || told.identity != store.identity() {
            told.identity = store.identity();
            place.write_marker(&told).map_err(io)?;
        }
        let meta = store.meta().map_err(of_store)?;
        let gone = told.witness.and_then(|witness| witness.accuses(&meta));
        // The engine makes files as it opens.
        place.give(&place.dir);
        store.place = Some(place.clone());
        Ok((store, gone))
    }

    /// The directory in which it lies, if it lies in any.
    #[must_use]
    pub fn dir(&self) -> Option<&Path> {
        self.place.as_ref().map(|place| place.dir.as_path())
    }

    /// A store on `disk`, of which all that a start needs can be read: otherwise no worker ever starts on it.
    fn readable(disk: Box<SledDisk>) -> Result<Self, StoreError> {
        let store = Self::on(disk)?;
        store.meta()?;
        store.restored()?;
        store.claims()?;
        Ok(store)
    }
}

/// sled in the directory `dir`, made if it is not there, and whether it was. `lock` is held as long as it is open.
fn open_disk(dir: &Path, lock: File, cache_mb: u64) -> Result<(SledDisk, bool), OpenError> {
    unfinished::clear(dir).map_err(|error| unreachable(dir, &error.to_string()))?;
    let db = caught(|| engine::open(dir, cache_mb.saturating_mul(MIB)));
    let db = db.map_err(|panic| advice::of_text(dir, &panic))?;
    let db = db.map_err(|error| advice::of_engine(dir, &error))?;
    let recovered = db.was_recovered();
    let data = OpenOptions::new().read(true).write(true).open(dir.join("db"));
    let data = data.map_err(|error| unreachable(dir, &error.to_string()))?;
    Ok((SledDisk::new(db, data, lock), recovered))
}

/// What a marker says in its first line; which store it is and what it held then may follow ([`witness`]).
const MARKER: &str = "A store of reminder-worker stands beside this file; the two belong together.";
/// What a marker says of the store in `dir` that is not there.
fn lost(dir: &Path) -> String {
    let dir = dir.display();
    format!("{dir}.marker says that it held a store")
}

fn of_format(dir: &Path, error: FormatError) -> OpenError {
    match error {
        FormatError::Newer(found) => {
            OpenError::Newer { path: dir.display().to_string(), found, known: FORMAT }
        }
        FormatError::Foreign => damaged(dir, "it holds keys, but no store of this program"),
        FormatError::Store(error) => of_store(dir, error),
    }
}

/// A store's directory and what stands beside it.
#[derive(Clone)]
pub(super) struct Place {
    dir: PathBuf,
    parent: PathBuf,
    lock: PathBuf,
    marker: PathBuf,
    /// A store being made, to take this one's place.
    coming: PathBuf,
    /// What is being done about that.
    swap: PathBuf,
}

impl Place {
    fn new(dir: &Path) -> Result<Self, OpenError> {
        let dir = std::path::absolute(dir).map_err(|error| unreachable(dir, &error.to_string()))?;
        let (Some(parent), Some(name)) = (dir.parent(), dir.file_name()) else {
            return Err(unreachable(
                &dir,
                "it is the root of a file system, and a store needs room beside it",
            ));
        };
        let beside = |suffix: &str| beside(parent, name, suffix);
        let (parent, lock, marker) = (parent.to_owned(), beside(".lock"), beside(".marker"));
        let (coming, swap) = (beside(".coming"), beside(".swap"));
        Ok(Self { dir, parent, lock, marker, coming, swap })
    }

    /// The name of the directory.
    fn name(&self) -> String {
        self.dir.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// What lies beside the directory under its name and `suffix`.
    fn beside(&self, suffix: &str) -> PathBuf {
        beside(&self.parent, self.dir.file_name().unwrap_or_default(), suffix)
    }

    /// Whether a store is there at all.
    fn exists(&self) -> Result<(), OpenError> {
        let io = |error: io::Error| unreachable(&self.dir, &error.to_string());
        if self.dir.join("db").try_exists().map_err(io)? || self.swap.try_exists().map_err(io)? {
            return Ok(());
        }
        Err(OpenError::Unreachable {
            path: self.dir.display().to_string(),
            reason: "there is none".to_owned(),
            advice: "name the directory of a store, or a file that is a backup or an export",
        })
    }

    /// Makes the directories above, each forced into the one that holds it.
    fn create_parents(&self) -> io::Result<()> {
        let missing: Vec<&Path> = self.parent.ancestors().take_while(|dir| !dir.is_dir()).collect();
        std::fs::create_dir_all(&self.parent)?;
        for made in missing.iter().rev() {
            force(made.parent().unwrap_or(made))?;
        }
        Ok(())
    }

    /// Opens the engine on what stands there, or begins it; where a marker says that a store does, nothing of it may be
    /// missing and all of it must be readable, since the engine writes as it opens.
    fn open_engine(&self, lock: File, cache_mb: u64, marked: bool) -> Result<SledDisk, OpenError> {
        self.inspect(marked)?;
        await_release(&self.dir);
        if marked {
            reading::read_all(&self.dir)?;
        }
        let (disk, recovered) = open_disk(&self.dir, lock, cache_mb)?;
        let is_empty =
            || Ok(!recovered || format(&disk).map_err(|error| of_format(&self.dir, error))?.is_none());
        if marked && is_empty()? {
            return Err(damaged(&self.dir, &format!("it opened empty, though {}", lost(&self.dir))));
        }
        Ok(disk)
    }

    /// Finds what sled would paper over: it creates what is missing.
    fn inspect(&self, marked: bool) -> Result<(), OpenError> {
        match std::fs::metadata(&self.dir) {
            Ok(found) if !found.is_dir() => return Err(unreachable(&self.dir, "it is not a directory")),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound && marked => {
                return Err(damaged(&self.dir, &format!("it is not there, though {}", lost(&self.dir))));
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unreachable(&self.dir, &error.to_string())),
        }
        if marked {
            self.is_mounted()?;
        }
        for file in ["conf", "db"].iter().filter(|_| marked) {
            match std::fs::metadata(self.dir.join(file)) {
                Ok(found) if found.len() > 0 => {}
                Ok(_) => {
                    return Err(damaged(
                        &self.dir,
                        &format!("its file `{file}` is empty, though {}", lost(&self.dir)),
                    ));
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    return Err(damaged(
                        &self.dir,
                        &format!("it has no file `{file}`, though {}", lost(&self.dir)),
                    ));
                }
                Err(error) => return Err(unreachable(&self.dir, &error.to_string())),
            }
        }
        Ok(())
    }

    /// Forces what sled has created and never forces.
    fn force(&self) -> io::Result<()> {
        force_all(&self.dir)?;
        force(&self.parent)
    }

    /// Marks that the store `identity` stands there, of which nothing more is known yet.
    fn mark(&self, identity: Option<Identity>) -> io::Result<()> {
        self.write_marker(&Marker { identity, ..Marker::default() })
    }

    /// That `store` is the one of which its marker tells.
    fn is_of(&self, told: &Marker, store: &SledStore) -> Result<(), OpenError> {
        match (told.identity, store.identity()) {
            (Some(told), Some(is)) if told != is => Err(OpenError::Unreachable {
                path: self.dir.display().to_string(),
                reason: format!(
                    "the store {is} lies there, and {} is of the store {told}",
                    self.marker.display()
                ),
                advice: "put the store back that was there, or, if this one is to stand there, remove that file",
            }),
            _ => Ok(()),
        }
    }
}

fn beside(parent: &Path, name: &OsStr, suffix: &str) -> PathBuf {
    let mut beside = name.to_owned();
    beside.push(suffix);
    parent.join(beside)
}

/// Forces the files of sled's directory `dir` and itself.
fn force_all(dir: &Path) -> io::Result<()> {
    for path in [dir.join("conf"), dir.join("db"), dir.to_owned()] {
        force(&path)?;
    }
    Ok(())
}
