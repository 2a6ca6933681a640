//! A store rewritten into as little room as it needs: the engine gives none back by itself.

use std::path::{Path, PathBuf};

use super::advice::unreachable;
use super::restore::RestoreError;
use super::swap::{Note, Stage};
use super::{Place, SledStore, await_release, damaged, force_all, open_disk};
use crate::domain::Timestamp;
use crate::store::OpenError;
use crate::store::sled::backup::{BackupError, stamp, write};

/// What a compaction did.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Compacted {
    /// Entries, which are all still there.
    pub entries: u64,
    /// Bytes of its files before.
    pub before: u64,
    /// And now.
    pub after: u64,
}

impl SledStore {
    /// Rewrites the store in `dir`, which nobody holds: it is written into a file, made anew of that beside itself,
    /// compared entry by entry, swapped in, opened and compared again; only then what stood there goes. As much room as
    /// it needs is needed twice more meanwhile.
    ///
    /// # Errors
    /// [`RestoreError`]; the store is as it was, or as it is to be.
    pub fn compact(dir: &Path, cache_mb: u64, now: Timestamp) -> Result<Compacted, RestoreError> {
        let place = Place::new(dir)?;
        let io = |error: std::io::Error| unreachable(&place.dir, &error.to_string());
        place.exists()?;
        let lock = place.hold()?;
        if let Some(why) = place.end_swap()? {
            return Err(damaged(&place.dir, &why).into());
        }
        let again = || lock.try_clone().map_err(io);
        let of_store = |error| super::of_store(&place.dir, error);
        let store = Self::open_held(&place, again()?, cache_mb, None)?;
        let before = size(&place.dir).map_err(io)?;
        place.tell_leftovers().map_err(io)?;
        let (was, identity) = (store.fingerprint().map_err(of_store)?, store.identity());
        let file = place.beside(COMPACTING);
        let written = write(&store, &file, &|| now, &|| false);
        store.close();
        let filled = written
            .map_err(|error| RestoreError::Open(of_backup(&place, error)))
            .and_then(|_| place.fill(&lock, &file, cache_mb, None));
        // It has served, or never will.
        let _ = std::fs::remove_file(&file);
        filled?;
        await_release(&place.coming);
        let (disk, _) = open_disk(&place.coming, again()?, cache_mb)?;
        let coming = Self::on(Box::new(disk)).map_err(of_store)?;
        is_same(&place.coming, &was, &coming)?;
        coming.close();
        await_release(&place.coming);
        place.hand_over().and_then(|()| force_all(&place.coming)).map_err(io)?;
        let aside = format!("{}{LEFTOVER}{}", place.name(), stamp(now));
        let print = Some(place.print().map_err(io)?);
        let reason = "it was being compacted".to_owned();
        let note = Note { stage: Stage::Ready, aside: aside.clone(), reason, store: identity, print };
        place.write_note(&note).map_err(io)?;
        if let Some(why) = place.carry_out(&note)? {
            return Err(damaged(&place.dir, &why).into());
        }
        let aside = place.parent.join(aside);
        let store =
            Self::open_held(&place, again()?, cache_mb, None).map_err(|error| kept_aside(&error, &aside))?;
        is_same(&place.dir, &was, &store).map_err(|error| kept_aside(&error, &aside))?;
        store.close();
        std::fs::remove_dir_all(aside).map_err(io)?;
        Ok(Compacted { entries: was.0, before, after: size(&place.dir).map_err(io)? })
    }
}

/// What follows a store's name in that of the file through which it is rewritten.
pub(super) const COMPACTING: &str = ".compacting";
/// What an earlier compaction leaves that was cut off after its swap.
const LEFTOVER: &str = ".before-compact-";

impl Place {
    /// Tells what a compaction left that was cut off after its swap, or found that what it made is not the same. Only who
    /// made and compared it could say that nobody needs it, so it stays.
    fn tell_leftovers(&self) -> std::io::Result<()> {
        let prefix = format!("{}{LEFTOVER}", self.name());
        for entry in std::fs::read_dir(&self.parent)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(&prefix) {
                tracing::warn!(
                    path = %entry.path().display(),
                    "an earlier compaction was cut off and left the store as it was before; remove that when the store \
                     verifies"
                );
            }
        }
        Ok(())
    }
}

/// How many entries there are, and the hash of them all.
type Fingerprint = (u64, [u8; 32]);

/// Whether `store`, which lies in `dir`, holds what there was.
fn is_same(dir: &Path, was: &Fingerprint, store: &SledStore) -> Result<(), OpenError> {
    let is = store.fingerprint().map_err(|error| super::of_store(dir, error))?;
    if is == *was { Ok(()) } else { Err(unreachable(dir, "it does not hold what the store held")) }
}

/// `error` of what was swapped in, with where the store is that it was made of: no later run removes that.
fn kept_aside(error: &OpenError, aside: &Path) -> OpenError {
    OpenError::Unreachable {
        path: aside.display().to_string(),
        reason: format!("the store is kept under this name, since its compacted copy is no good: {error}"),
        advice: "move the copy away and this one back to its name, then start again",
    }
}

fn of_backup(place: &Place, error: BackupError) -> OpenError {
    match error {
        BackupError::Store(error) => super::of_store(&place.dir, error),
        other => unreachable(&place.dir, &other.to_string()),
    }
}

/// The bytes of the files in `dir`.
pub fn size(dir: &Path) -> std::io::Result<u64> {
    let mut bytes = 0;
    let mut dirs: Vec<PathBuf> = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir)? {
            let entry = entry?;
            let found = entry.metadata()?;
            if found.is_dir() {
                dirs.push(entry.path());
            } else {
                bytes += found.len();
            }
        }
    }
    Ok(bytes)
}
