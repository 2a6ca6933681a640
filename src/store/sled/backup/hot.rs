//! Copying a store while it is written.
//!
//! Pages of its keys are read one after another, each under the lock under which batches are committed, so that every
//! commit is wholly before or wholly after a page. What is committed between two pages is handed on with the next one,
//! in front of it. The order of all this is the order of time, and the copy ends under that lock: it is the store as it
//! was then, to the commit.
//!
//! A commit is held up by the reading of one page at most; it writes nothing to the copy and waits for nobody: its
//! writes are put into memory, up to [`BEHIND_MAX`]. A copy that lags further is given up. While a commit has failed and
//! not been made good, nothing is read: what the engine shows then may never have been.

use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use super::super::disk::{Bytes, Disk as _, Writes};
use super::super::migrations::FORMAT;
use super::super::told::told;
use super::super::{Committing, SledStore, keys};
use super::frame::{FileError, Head};
use super::write::FileWriter;
use crate::domain::Timestamp;
use crate::store::StoreError;

/// Most entries of a page: a fraction of a millisecond from memory.
pub(super) const PAGE_ENTRIES: usize = 256;
/// Bytes after which a page ends: some milliseconds from a disk.
pub(super) const PAGE_BYTES: usize = 1024 * 1024;
/// Most bytes of commits that wait to be written to the copy: seconds of the fastest ingest, where a disk writes them in
/// less than one.
pub(super) const BEHIND_MAX: usize = 64 * 1024 * 1024;
/// How long a copy waits for a commit that has failed.
const WAIT: Duration = Duration::from_millis(50);

/// Commits that a copy under way has not taken yet.
#[derive(Default)]
pub(in crate::store::sled) struct Behind {
    commits: Vec<Writes>,
    bytes: usize,
    /// There were too many.
    given_up: bool,
}

/// Why there is no backup.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// One is being made.
    #[error("a backup is being made already; wait for it")]
    Busy,
    /// The worker stops.
    #[error("it was broken off, since the worker stops")]
    Stopped,
    /// The disk that it is written to is too slow.
    #[error(
        "what is committed comes faster than it can be written to the backup's disk; try again when there is less"
    )]
    Behind,
    /// It would take from what is kept free for the store.
    #[error(
        "{free_mb} MiB are free where backups lie, and {reserve_mb} MiB are kept in reserve (store.reserve_mb); free some \
         space, or set backup.dir to another disk"
    )]
    Short {
        /// MiB that are free.
        free_mb: u64,
        /// MiB to be left.
        reserve_mb: u64,
    },
    /// A part of the store can't be read: a backup would be without it.
    #[error(
        "the store cannot be read after {after} ({why}); no backup is made without that, and those from before are kept: stop \
         the worker, run `reminder-worker store verify`, and restore the newest backup as docs/recovery.md says"
    )]
    Torn {
        /// The last entry that was read.
        after: String,
        /// How it shows.
        why: String,
    },
    /// The store can't be reached.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file or a directory.
    #[error("{path}: {error}")]
    Io {
        /// Which.
        path: PathBuf,
        /// What the system says.
        error: std::io::Error,
    },
    /// It was written, and is not what is found there.
    #[error("{path} was written and does not read back: {error}")]
    Unread {
        /// Which.
        path: PathBuf,
        /// How that shows.
        error: FileError,
    },
}

/// What is next in a copy.
enum Piece {
    /// Commits, and the page behind them; true with the last one.
    Next(Vec<Writes>, Vec<(Vec<u8>, Bytes)>, bool),
    /// A commit has failed.
    Wait,
}

/// A copy under way; when it goes, commits are no longer kept for it.
pub(in crate::store::sled) struct Copying<'a> {
    store: &'a SledStore,
    after: Vec<u8>,
}

impl SledStore {
    /// Begins a copy: from now on what is committed is kept for it.
    ///
    /// # Errors
    /// [`BackupError::Busy`]
    pub(in crate::store::sled) fn copying(&self) -> Result<Copying<'_>, BackupError> {
        let mut committing = self.committing();
        if committing.behind.is_some() {
            return Err(BackupError::Busy);
        }
        committing.behind = Some(Behind::default());
        Ok(Copying { store: self, after: Vec::new() })
    }
}

impl Copying<'_> {
    /// Writes all that the store holds to `out`, while it goes on; asks `now` what time it is and `stops` whether to
    /// break off. Returns `out`, of when the copy is and how many bytes it has.
    ///
    /// # Errors
    /// [`BackupError`]; what `out` holds is of no use then.
    pub(in crate::store::sled) fn copy_to<W: Write>(
        mut self,
        out: W,
        now: &dyn Fn() -> Timestamp,
        stops: &dyn Fn() -> bool,
    ) -> Result<(W, Timestamp, u64), BackupError> {
        let io = |error| BackupError::Io { path: "the copy".into(), error };
        let head = Head {
            format: FORMAT,
            created: now(),
            release: env!("CARGO_PKG_VERSION").to_owned(),
            store: self.store.identity(),
        };
        let mut file = FileWriter::begin(out, &head).map_err(io)?;
        loop {
            if stops() {
                return Err(BackupError::Stopped);
            }
            // Before the lock: what is committed later than that may be in it, what was committed earlier is.
            let finished = now();
            match self.next()? {
                Piece::Wait => std::thread::park_timeout(WAIT),
                Piece::Next(commits, page, is_last) => {
                    for (key, value) in commits.iter().flatten() {
                        file.add(key, value.as_deref()).map_err(io)?;
                    }
                    for (key, value) in &page {
                        file.add(key, Some(value)).map_err(io)?;
                    }
                    if is_last {
                        let (out, bytes) = file.finish(finished).map_err(io)?;
                        return Ok((out, finished, bytes));
                    }
                }
            }
        }
    }

    fn next(&mut self) -> Result<Piece, BackupError> {
        let mut committing = self.store.committing();
        if let Some(why) = &committing.unsynced {
            return Err(StoreError::Unsynced(why.clone()).into());
        }
        if committing.failed.is_some() {
            // Of a store that was taken away it is never made good.
            committing.is_in_place()?;
            return Ok(Piece::Wait);
        }
        let behind = committing.behind.get_or_insert_default();
        if behind.given_up {
            return Err(BackupError::Behind);
        }
        behind.bytes = 0;
        let commits = std::mem::take(&mut behind.commits);
        let (mut page, mut bytes, mut is_last) = (Vec::new(), 0, true);
        self.store
            .disk
            .range(&self.after, &[u8::MAX], &mut |key, value| {
                is_last = page.len() < PAGE_ENTRIES && bytes < PAGE_BYTES;
                if is_last {
                    bytes += key.len() + value.len();
                    page.push((key.to_vec(), value.clone()));
                }
                Ok(is_last)
            })
            .map_err(|error| torn(error, page.last().map_or(&self.after, |(key, _)| key)))?;
        if let Some((last, _)) = page.last() {
            self.after = keys::above(last);
        }
        Ok(Piece::Next(commits, page, is_last))
    }
}

/// `error` with the last key that was read before it.
fn torn(error: StoreError, last: &[u8]) -> BackupError {
    match error {
        StoreError::Corrupt(why) if last.is_empty() => {
            BackupError::Torn { after: "its beginning".into(), why }
        }
        StoreError::Corrupt(why) => {
            BackupError::Torn { after: told(last.strip_suffix(&[0]).unwrap_or(last)), why }
        }
        error => error.into(),
    }
}

impl Drop for Copying<'_> {
    fn drop(&mut self) {
        self.store.committing().behind = None;
    }
}

impl Committing {
    /// Keeps what was committed for a copy under way.
    pub(in crate::store::sled) fn keep(&mut self, writes: Writes) {
        let Some(behind) = &mut self.behind else { return };
        behind.bytes +=
            writes.iter().map(|(key, value)| key.len() + value.as_ref().map_or(0, Vec::len)).sum::<usize>();
        if behind.bytes > BEHIND_MAX {
            behind.given_up = true;
            behind.commits = Vec::new();
        }
        if !behind.given_up {
            behind.commits.push(writes);
        }
    }
}
