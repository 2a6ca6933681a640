//! A store rewritten into as little room as it needs: the engine gives none back by itself.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::advice::{is_full, unreachable};
use super::restore::RestoreError;
use super::swap::{COMPACTED, Note, Stage};
use super::{Place, SledStore, await_release, damaged, force_all, open_disk};
use crate::domain::Timestamp;
use crate::store::OpenError;
use crate::store::sled::backup::{BackupError, stamp, write};
use crate::store::sled::files::disk_space;

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
        let before = size(&place.dir).map_err(io)?;
        // The engine takes room as it opens.
        let store = Self::open_held(&place, again()?, cache_mb, None)
            .map_err(|error| with_room(error.into(), before, &place))?;
        place.tell_leftovers().map_err(io)?;
        let (was, identity) = (store.fingerprint().map_err(of_store)?, store.identity());
        let file = place.beside(COMPACTING);
        let made = write(&store, &file, &|| now, &|| false)
            .map_err(|error| RestoreError::Open(of_backup(&place, error)));
        store.close();
        let made = made.and_then(|_| place.make_compact(&lock, &file, cache_mb, &was));
        // It has served, or never will.
        let _ = std::fs::remove_file(&file);
        made.map_err(|error| with_room(error, before, &place))?;
        let entries = was.0;
        // The engine takes room ahead: a small store may come out larger.
        if size(&place.coming).map_err(io)? >= before {
            place.clear().map_err(io)?;
            return Ok(Compacted { entries, before, after: before });
        }
        let aside = format!("{}{LEFTOVER}{}", place.name(), stamp(now));
        let print = Some(place.print().map_err(io)?);
        let reason = COMPACTED.to_owned();
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
        Ok(Compacted { entries, before, after: size(&place.dir).map_err(io)? })
    }
}

/// What follows a store's name in that of the file through which it is rewritten.
pub(super) const COMPACTING: &str = ".compacting";
/// What an earlier compaction leaves that was cut off after its swap.
const LEFTOVER: &str = ".before-compact-";

impl Place {
    /// Makes what is to come of `file`, which holds all that there `was`, and compares them. Nothing is left of what is no
    /// good.
    pub(super) fn make_compact(
        &self,
        lock: &File,
        file: &Path,
        cache_mb: u64,
        was: &Fingerprint,
    ) -> Result<(), RestoreError> {
        let made = self.fill_and_compare(lock, file, cache_mb, was);
        if made.is_err() {
            // What can't be removed now is removed by whoever opens the store next.
            let _ = self.clear();
        }
        made
    }

    fn fill_and_compare(
        &self,
        lock: &File,
        file: &Path,
        cache_mb: u64,
        was: &Fingerprint,
    ) -> Result<(), RestoreError> {
        let io = |error: std::io::Error| unreachable(&self.coming, &error.to_string());
        self.fill(lock, file, cache_mb, None)?;
        await_release(&self.coming);
        let (disk, _) = open_disk(&self.coming, lock.try_clone().map_err(io)?, cache_mb)?;
        let of_store = |error| super::of_store(&self.coming, error);
        let coming = SledStore::on(Box::new(disk)).map_err(of_store)?;
        is_same(&self.coming, was, &coming)?;
        coming.close();
        await_release(&self.coming);
        Ok(self.hand_over().and_then(|()| force_all(&self.coming)).map_err(io)?)
    }

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

/// `error` with how much room a compaction of a store of `bytes` takes, where that was missing.
fn with_room(error: RestoreError, bytes: u64, place: &Place) -> RestoreError {
    const MIB: u64 = 1 << 20;
    match error {
        RestoreError::Open(OpenError::Unreachable { path, reason, advice }) if is_full(&reason) => {
            let free = File::open(&place.parent)
                .and_then(|parent| disk_space(&parent))
                .ok()
                .flatten()
                .map(|space| space.free);
            let free = free.map_or(String::new(), |free| format!(", and {} MiB are free now", free / MIB));
            let reason = format!(
                "{reason}. The store is as it was; to compact it takes up to {} MiB beside it, twice its size{free}",
                (bytes * 2).div_ceil(MIB)
            );
            RestoreError::Open(OpenError::Unreachable { path, reason, advice })
        }
        other => other,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_room_was_missing_it_is_told_how_much_is_needed() {
        let room = tempfile::tempdir().unwrap();
        let place = Place::new(&room.path().join("store")).unwrap();
        let told = |error: &str| {
            let error = RestoreError::Open(unreachable(&place.coming, error));
            with_room(error, 3 << 20, &place).to_string()
        };
        let full = told("No space left on device (os error 28)");
        for word in ["up to 6 MiB", "MiB are free now", "free space on its file system"] {
            assert!(full.contains(word), "{word}: {full}");
        }
        assert!(!told("Permission denied (os error 13)").contains("MiB"));
    }
}
