//! A store of which a part can't be read, made anew.
//!
//! Whoever comes upon such a part takes that down in the marker and ends ([`super::super::watched`]). The next start makes
//! the store anew of its pieces, with what lies between them as the newest good backup has it ([`Pieces`]), and swaps it in
//! as a compaction does. What stood there is set aside. Where anything but the indexes was left out, whose entries are made
//! of the tasks, or where its counters say that it has gone back as well, the store says so of itself as after a restore:
//! what was committed since that backup may be missing of it.
//!
//! Where reminders are gone and nothing tells which, as a recount finds where the engine took what was hurt for a write that
//! was cut off, each record is taken of the backup that the store does not have.
//!
//! Where the counters are among what can't be read and no backup has them, where they have gone back and no backup is older than
//! they, or where the engine does not open it any more, the store is damaged as any other is ([`super::recover`]).

use std::fs::File;

use super::advice::{of_store, unreachable};
use super::around::DAMAGED;
use super::compact::COMPACTING;
use super::fuller::ITSELF;
use super::recover::{Recovery, next_good};
use super::restore::RestoreError;
use super::swap::{Note, Stage};
use super::witness::Witness;
use super::{Place, SledStore, await_release, damaged};
use crate::domain::Timestamp;
use crate::store::sled::backup::{Contents, Kept, stamp, write};
use crate::store::sled::migrations::FORMAT;
use crate::store::sled::pieces::Pieces;
use crate::store::{HOLDS_LESS, OpenError, Store as _, StoreError};

impl Place {
    /// Makes the store anew, if its marker says that a part of it can't be read.
    ///
    /// # Errors
    /// [`OpenError`]; what stands there is as it was, or whole and set aside.
    pub(super) fn mend(&self, lock: &File, cache_mb: u64, recovery: &Recovery) -> Result<(), OpenError> {
        let io = |error: std::io::Error| unreachable(&self.dir, &error.to_string());
        let Some(marker) = self.marker().map_err(io)? else { return Ok(()) };
        let Some(why) = marker.torn else { return Ok(()) };
        if !recovery.auto {
            return Err(damaged(&self.dir, &why));
        }
        let recovery = &recovery.of(marker.identity);
        let backup = self.backup(recovery)?;
        let failed = |error| of_store(&self.dir, error);
        let pieces = self.pieces(lock, cache_mb, backup.as_ref().map(|(_, store, _)| store))?;
        let counters = pieces.counters();
        let counters_are_gone = counters.is_none();
        let gone = counters.and_then(|counters| {
            let gone = marker.witness.and_then(|witness| witness.accuses(&counters))?;
            Some((gone, counters))
        });
        let mut why = why;
        if let Some((gone, counters)) = &gone {
            why = format!("{why}; and {}", gone.why);
            let is_later = |(_, store, contents): &(Kept, SledStore, Contents)| {
                Ok(Witness::of(&store.meta()?, contents.finished).accuses(counters).is_none())
            };
            if !backup.as_ref().map(is_later).transpose().map_err(failed)?.unwrap_or(false) {
                return Err(damaged(&self.dir, &why));
            }
        }
        let left_out = pieces.left_out.len();
        for left_out in &pieces.left_out {
            tracing::error!(%left_out, "a part of the store");
        }
        let lack = pieces.lack_some().map_err(failed)?;
        let holds_less = why.starts_with(HOLDS_LESS) || lack == Some(true);
        let of = backup.as_ref().map(|(_, store, _)| store);
        let mut store = pieces.joined(of, holds_less || lack.is_none()).map_err(failed)?;
        if let (None, Some(identity)) = (store.identity(), marker.identity) {
            store.give(identity).map_err(failed)?;
        }
        let aside = format!("{}{DAMAGED}{}", self.name(), stamp(recovery.now));
        tracing::error!(
            store = %self.dir.display(), why, left_out, aside,
            backup = backup.as_ref().map(|(kept, ..)| kept.name.as_str()),
            "a part of the store could not be read, so it is made anew of what can be, with the rest as that backup has it"
        );
        let is_of_backup = left_out > 0 || holds_less;
        if is_of_backup || gone.is_some() {
            let (name, finished) = backup.as_ref().map_or((ITSELF, Timestamp::MIN), |(kept, _, contents)| {
                (if is_of_backup { kept.name.as_str() } else { ITSELF }, contents.finished)
            });
            let seen = marker.witness.map(|witness| witness.at());
            let mut restored = recovery.origin(Some(aside.clone()), &why).restored(name, finished).seen(seen);
            restored.from = gone.as_ref().map_or(restored.from, |(gone, _)| restored.from.min(gone.at));
            // A pause is kept with the counters.
            store.say_restored(restored, counters_are_gone).map_err(failed)?;
        }
        let print = Some(self.print().map_err(io)?);
        let note = Note { stage: Stage::Ready, aside, reason: why, store: store.identity(), print };
        self.swap_in(lock, cache_mb, recovery.now, &store, &note)
    }

    /// The newest good backup that this release can take pieces of, in memory.
    fn backup(&self, recovery: &Recovery) -> Result<Option<(Kept, SledStore, Contents)>, OpenError> {
        let mut listed = recovery.listed()?.into_iter();
        while let Some((kept, _)) = next_good(&recovery.shelf, &mut listed)? {
            match SledStore::of_file(&kept.path) {
                Ok((store, contents)) if contents.head.format == FORMAT => {
                    return Ok(Some((kept, store, contents)));
                }
                Ok(_) => tracing::warn!(
                    backup = kept.name,
                    "an older release made this backup; nothing is taken of it"
                ),
                Err(error) => {
                    tracing::error!(backup = kept.name, %error, "a backup that read well makes no store");
                }
            }
        }
        Ok(None)
    }

    /// What can be read of what stands there.
    fn pieces(&self, lock: &File, cache_mb: u64, backup: Option<&SledStore>) -> Result<Pieces, OpenError> {
        let lock = lock.try_clone().map_err(|error| unreachable(&self.lock, &error.to_string()))?;
        let disk = self.open_engine(lock, cache_mb, true)?;
        let pieces = Pieces::of(&disk, backup).map_err(|error| of_store(&self.dir, error))?;
        drop(disk);
        await_release(&self.dir);
        Ok(pieces)
    }

    /// Puts `store` in the place of what stands there, which is set aside.
    fn swap_in(
        &self,
        lock: &File,
        cache_mb: u64,
        now: Timestamp,
        store: &SledStore,
        note: &Note,
    ) -> Result<(), OpenError> {
        let failed = |error: StoreError| of_store(&self.dir, error);
        let (was, file) = (store.fingerprint().map_err(failed)?, self.beside(COMPACTING));
        let made = write(store, &file, &|| now, &|| false)
            .map_err(|error| unreachable(&file, &error.to_string()))
            .and_then(|_| self.make_compact(lock, &file, cache_mb, &was).map_err(of_restore));
        // It has served, or never will.
        let _ = std::fs::remove_file(&file);
        made?;
        self.write_note(note).map_err(|error| unreachable(&self.swap, &error.to_string()))?;
        match self.carry_out(note)? {
            None => Ok(()),
            Some(_) => Err(unreachable(&self.coming, "it was made and is gone")),
        }
    }
}

fn of_restore(error: RestoreError) -> OpenError {
    match error {
        RestoreError::Open(error) => error,
        RestoreError::File { path, error } => unreachable(path.as_ref(), &error.to_string()),
        RestoreError::Notes(error) => unreachable("".as_ref(), &error.to_string()),
    }
}
