//! Opening a store that may be damaged: where it is proven to be, the newest good backup takes its place.
//!
//! Proven is [`OpenError::Damaged`]: it opens empty though marked, checksums do not match, the engine panics on it, or what
//! every start needs can't be read. What is held, unreadable, full, out of descriptors or of a newer release is not
//! damaged: nothing is moved then, and a person must see to it. All of this happens under the lock beside the directory.
//!
//! A store that has only gone back and is whole is held against the backup first, and the fuller one goes on ([`super::fuller`]).
//!
//! Nothing is ever deleted but what was being made and was cut off. What is damaged keeps its directory under another name,
//! so that what is missing may yet be found in it; not with every byte that it had, since the engine writes as it opens and
//! most damage shows only then. Without a good backup it stays where it is.

use std::time::Duration;

use super::around::DAMAGED;
use super::restore::{Origin, RestoreError};
use super::swap::{Note, Stage};
use super::witness::HAS_GONE_BACK;
use super::{Place, SledStore, damaged, unreachable};
use crate::domain::Timestamp;
use crate::store::OpenError;
use crate::store::sled::Identity;
use crate::store::sled::backup::{BackupError, FileError, Kept, Shelf, check_file, stamp};

/// What is done about a damaged store.
#[derive(Clone, Debug)]
pub struct Recovery {
    /// Where backups are.
    pub shelf: Shelf,
    /// Whether one is restored; if not, a person does.
    pub auto: bool,
    /// Whether reminders that are overdue then wait.
    pub holds: bool,
    /// What time it is.
    pub now: Timestamp,
    /// The number of a store that has none yet, drawn at random.
    pub fresh: Identity,
    /// How long to wait for a store that another process holds.
    pub patience: Duration,
}

impl SledStore {
    /// Opens the store in the directory `dir` as [`SledStore::open`] does; one that is proven damaged is set aside and
    /// the newest good backup restored in its place. That it was says [`Store::restored`](crate::store::Store::restored).
    ///
    /// # Errors
    /// [`OpenError`]; nothing was deleted then.
    pub fn open_or_restore(
        dir: &std::path::Path,
        cache_mb: u64,
        recovery: &Recovery,
    ) -> Result<Self, OpenError> {
        let place = Place::new(dir)?;
        let io = |error: std::io::Error| unreachable(&place.dir, &error.to_string());
        place.is_beside_others()?;
        place.create_parents().map_err(io)?;
        let lock = place.hold_patiently(recovery.patience, std::thread::park_timeout)?;
        let again = || lock.try_clone().map_err(io);
        place.tell_damaged();
        place.tell_mounted();
        let reason = match place.end_swap()? {
            Some(reason) => reason,
            None => {
                place.is_not_elsewhere(recovery)?;
                match place
                    .mend(&lock, cache_mb, recovery)
                    .and_then(|()| Self::open_judged(&place, again()?, cache_mb, Some(recovery.fresh)))
                {
                    Ok((store, None)) => return Ok(store),
                    Ok((store, Some(gone))) if recovery.auto => {
                        match place.keep_fuller(store, &gone, recovery)? {
                            Some(store) => return Ok(store),
                            None => gone.why,
                        }
                    }
                    Ok((_, Some(gone))) => gone.why,
                    Err(OpenError::Damaged { reason, .. }) => reason,
                    Err(error) => return Err(error),
                }
            }
        };
        if !recovery.auto {
            return Err(damaged(&place.dir, &format!("{reason}; restore.auto is off")));
        }
        place.restore_newest(&lock, cache_mb, recovery, &reason)?;
        Self::open_held(&place, lock, cache_mb, Some(recovery.fresh))
    }
}

impl SledStore {
    /// Whether a store stands in the directory `dir`, or is known to have stood there: where none does, opening makes one.
    ///
    /// # Errors
    /// [`OpenError`]: that can't be told.
    pub fn stands_at(dir: &std::path::Path) -> Result<bool, OpenError> {
        Place::new(dir)?.stands()
    }
}

impl Recovery {
    /// The same for the store of that number.
    pub(super) fn of(&self, store: Option<Identity>) -> Self {
        Self { shelf: self.shelf.clone().of(store), ..self.clone() }
    }

    /// The origin of a store that takes the place of one that is set aside as `aside`, for that `reason`.
    pub(super) fn origin(&self, aside: Option<String>, reason: &str) -> Origin {
        Origin { now: self.now, holds: self.holds, aside, reason: Some(reason.to_owned()) }
    }

    /// The backups, in the order in which they are tried.
    pub(super) fn listed(&self) -> Result<Vec<Kept>, OpenError> {
        self.shelf.list_at(self.now).map_err(|error| self.unlisted(error))
    }

    fn unlisted(&self, error: BackupError) -> OpenError {
        match error {
            BackupError::Io { path, error } => unreachable(&path, &error.to_string()),
            other => unreachable(self.shelf.dir(), &other.to_string()),
        }
    }
}

impl Place {
    /// Whether a store or what says that there was one is there.
    fn stands(&self) -> Result<bool, OpenError> {
        let io = |error: std::io::Error| unreachable(&self.dir, &error.to_string());
        Ok(self.marker.try_exists().map_err(io)? || self.dir.join("db").try_exists().map_err(io)?)
    }

    /// That this is a first start, or not one: where backups lie and neither a store nor its marker does, a file system is
    /// missing or a path is wrong, and an empty store would count its own backups against those of the one that is lost.
    fn is_not_elsewhere(&self, recovery: &Recovery) -> Result<(), OpenError> {
        if self.stands()? {
            return Ok(());
        }
        let listed = recovery.shelf.list().map_err(|error| recovery.unlisted(error))?;
        let Some(newest) = listed.first() else { return Ok(()) };
        Err(OpenError::Unreachable {
            path: self.dir.display().to_string(),
            reason: format!(
                "no store and no marker is there, but backups of one are, the newest {}",
                newest.path.display()
            ),
            advice: "see whether its file system is mounted and store.path and backup.dir are right; to have that one back \
                     run `reminder-worker store import FILE` with it, to begin anew move the backups away or set backup.dir to a \
                     directory of this store's own",
        })
    }

    /// That no backup of the store is there that is any good.
    fn no_backup(&self, recovery: &Recovery, reason: &str) -> OpenError {
        let shelf = recovery.shelf.dir().display();
        let others = match recovery.shelf.others() {
            Ok(0) | Err(_) => String::new(),
            Ok(others) => format!(
                " ({others} of another store are; by hand one may be taken all the same, and backup.dir should be each \
                 store's own)"
            ),
        };
        let as_it_is = if reason.starts_with(HAS_GONE_BACK) {
            format!(
                "; to go on with it as it was then remove {}: what it knew since is missing, and what fell due since fires, \
                 perhaps once more",
                self.marker.display()
            )
        } else {
            String::new()
        };
        damaged(
            &self.dir,
            &format!(
                "{reason}; and no good backup of it is in {shelf}{others}, so it was left as it is{as_it_is}"
            ),
        )
    }

    fn restore_newest(
        &self,
        lock: &std::fs::File,
        cache_mb: u64,
        recovery: &Recovery,
        reason: &str,
    ) -> Result<(), OpenError> {
        let io = |error: std::io::Error| unreachable(&self.dir, &error.to_string());
        // What the store itself says can't be asked any more.
        let mine = self.marker().map_err(io)?.and_then(|marker| marker.identity);
        let recovery = &recovery.of(mine);
        let mut kept = recovery.listed()?.into_iter();
        let none = || self.no_backup(recovery, reason);
        let (mut backup, mut found) = next_good(&recovery.shelf, &mut kept)?.ok_or_else(none)?;
        tracing::error!(
            store = %self.dir.display(), reason, backup = backup.name,
            "the store is damaged; this backup, the newest good one, takes its place"
        );
        let (aside, print) = match self.note()? {
            Some(note) => (note.aside, note.print),
            None => (format!("{}{DAMAGED}{}", self.name(), stamp(recovery.now)), None),
        };
        let print = print.map_or_else(|| self.print(), Ok).map_err(io)?;
        let (reason, print) = (reason.to_owned(), Some(print));
        let mut note = Note { stage: Stage::Damaged, aside, reason, store: mine, print };
        self.write_note(&note).map_err(io)?;
        if backup.created > recovery.now {
            tracing::error!(
                backup = backup.name,
                "the clock was ahead when this backup was made, or is behind now: more may be missing than is said, \
                 refill from well before"
            );
        }
        let is_there = self.dir.try_exists().map_err(io)?;
        let origin = recovery.origin(is_there.then(|| note.aside.clone()), &note.reason);
        loop {
            match self.fill(lock, &backup.path, cache_mb, Some(origin.clone())) {
                Ok(_) => break,
                Err(RestoreError::Open(error)) => return Err(error),
                Err(RestoreError::Notes(error)) => return Err(recovery.unlisted(error)),
                Err(RestoreError::File { path, error }) => {
                    tracing::error!(path, %error, "a backup that read well makes no store; the one before it is tried");
                    (backup, found) = next_good(&recovery.shelf, &mut kept)?.ok_or_else(none)?;
                }
            }
        }
        note.stage = Stage::Ready;
        note.store = mine.or(found);
        self.write_note(&note).map_err(io)?;
        match self.carry_out(&note)? {
            None => Ok(()),
            Some(_) => Err(unreachable(&self.coming, "it was made and is gone")),
        }
    }
}

/// The next one of the store of `shelf` that reads to its end, and which store it says it is of. One that can't be reached, or that a newer release wrote, is not passed over:
/// the one before it misses more.
pub(super) fn next_good(
    shelf: &Shelf,
    kept: &mut impl Iterator<Item = Kept>,
) -> Result<Option<(Kept, Option<Identity>)>, OpenError> {
    for kept in kept {
        match check_file(&kept.path) {
            Ok(contents) if shelf.may_be(contents.head.store) => {
                return Ok(Some((kept, contents.head.store)));
            }
            Ok(_) => {
                tracing::warn!(path = %kept.path.display(), "a backup is of another store; the one before it is tried");
            }
            Err(FileError::Io(error)) => return Err(unreachable(&kept.path, &error.to_string())),
            Err(error @ FileError::Newer { .. }) => {
                return Err(OpenError::Unreachable {
                    path: kept.path.display().to_string(),
                    reason: error.to_string(),
                    advice: "or move it away to restore the one before it, which misses more",
                });
            }
            Err(error) => {
                tracing::error!(path = %kept.path.display(), %error, "a backup is no good; the one before it is tried");
            }
        }
    }
    Ok(None)
}
