//! A directory of backups: what is in it, how one is added and which make room.
//!
//! A backup is written under its name and `.partial`, forced, read back, renamed and the directory forced: what bears a
//! plain name is whole, whenever the power went. The names sort by time. Only files so named are ever removed: backups
//! beyond those to keep, the oldest first and only after a newer one is there; and what a crash left unfinished.
//!
//! A clock that was ahead leaves a name of the future, of which nobody knows how old it is. It counts as older than every
//! name that is past: it is the last to be restored and the first to make room, and what was just made never does. What
//! was made while the clock was behind bears a name that is too old and can't be told from one that is: it is restored
//! later than it should be, as long as the name lasts.
//!
//! Names end in the beginning of the number of their store ([`Identity`]): stores whose backups lie in one directory by
//! mistake neither restore, count nor remove each other's, and never write under one name. A name without a number is of a
//! release or a store that had none: it may be anybody's, is restored after a store's own, and makes room as they do.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use chrono::NaiveDateTime;

use super::super::files::{disk_space, force, give_as, no_link};
use super::super::identity::SHORT;
use super::super::{Identity, SledStore};
use super::frame::FileError;
use super::hot::BackupError;
use super::read::{Contents, read_file};
use crate::domain::Timestamp;
use crate::store::MIB;

const BEFORE: &str = "backup-";
const AFTER: &str = ".rmb";
const PARTIAL: &str = ".partial";
/// A stamp in a name: sorts as it reads, and has no character that a file system or a shell minds.
const STAMP: &str = "%Y%m%dT%H%M%S%.3fZ";

/// A directory of backups.
#[derive(Clone, Debug)]
pub struct Shelf {
    dir: PathBuf,
    keep: usize,
    /// Whose backups are looked at and written.
    store: Option<Identity>,
    /// Bytes that a backup leaves free where it is written.
    reserve: u64,
    /// Held while the file of erased users is read or written.
    pub(super) notes: Arc<Mutex<()>>,
}

/// A backup that is kept.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Kept {
    /// Its file.
    pub path: PathBuf,
    /// The name of its file.
    pub name: String,
    /// When it was begun.
    pub created: Timestamp,
    /// The beginning of the number of its store, if its name has one.
    pub store: Option<String>,
    /// Its bytes.
    pub bytes: u64,
}

impl Shelf {
    /// The backups in `dir`, of which the newest `keep` stay; the directory need not be there yet.
    #[must_use]
    pub fn new(dir: PathBuf, keep: usize) -> Self {
        Self { dir, keep, store: None, reserve: 0, notes: Arc::default() }
    }

    /// The same, which leaves `bytes` free where backups lie: the disk is most often the store's, and a store whose disk
    /// is full can't go on.
    #[must_use]
    pub fn leaving(self, bytes: u64) -> Self {
        Self { reserve: bytes, ..self }
    }

    /// The same for `store`: what others have there is left alone. Without a number it is for what has none.
    #[must_use]
    pub fn of(self, store: Option<Identity>) -> Self {
        Self { store, ..self }
    }

    /// Whose it is.
    pub(super) fn store(&self) -> Option<Identity> {
        self.store
    }

    /// Where they are.
    #[must_use]
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// What is kept there, of all stores, the newest first.
    ///
    /// # Errors
    /// The system's, with the directory.
    pub fn list(&self) -> Result<Vec<Kept>, BackupError> {
        let io = |error| BackupError::Io { path: self.dir.clone(), error };
        let entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(io(error)),
        };
        let mut kept = Vec::new();
        for entry in entries {
            let entry = entry.map_err(io)?;
            let Ok(name) = entry.file_name().into_string() else { continue };
            let Some((created, store)) = read_name(&name) else { continue };
            // Of the entry and not of what it may lead to: only a regular file is a backup, whatever else bears such a name.
            let found = entry.metadata().map_err(io)?;
            if !found.is_file() {
                continue;
            }
            let bytes = found.len();
            kept.push(Kept { path: entry.path(), name, created, store, bytes });
        }
        kept.sort_unstable_by(|a, b| (b.created, &b.name).cmp(&(a.created, &a.name)));
        Ok(kept)
    }

    /// What is kept of the store, in the order in which it is to be restored at `now`: its own, the newest first, then what
    /// bears no number, and names of the future last.
    ///
    /// # Errors
    /// The system's, with the directory.
    pub fn list_at(&self, now: Timestamp) -> Result<Vec<Kept>, BackupError> {
        let mut kept = self.list()?;
        kept.retain(|kept| self.may_own(kept.store.as_deref()));
        kept.sort_by_key(|kept| (kept.created > now, kept.store.is_none()));
        Ok(kept)
    }

    /// How many backups of other stores are there.
    ///
    /// # Errors
    /// The system's, with the directory.
    pub fn others(&self) -> Result<usize, BackupError> {
        Ok(self.list()?.iter().filter(|kept| !self.may_own(kept.store.as_deref())).count())
    }

    /// Whether what bears the number `short`, or none, may be the store's.
    fn may_own(&self, short: Option<&str>) -> bool {
        short.is_none_or(|short| self.store.is_some_and(|store| store.short() == short))
    }

    /// Whether a file whose head says `found` is the store's, or may be.
    pub(in crate::store::sled) fn may_be(&self, found: Option<Identity>) -> bool {
        found.is_none() || found == self.store
    }

    /// Makes a backup of `store`, which goes on meanwhile, and removes those beyond what is to be kept. Blocks for as
    /// long as it takes to read the store; asks `now` what time it is and `stops` whether to break off.
    ///
    /// # Errors
    /// [`BackupError`]: nothing of it is left then, and the backups before it are still there.
    pub fn make(
        &self,
        store: &SledStore,
        now: &dyn Fn() -> Timestamp,
        stops: &dyn Fn() -> bool,
    ) -> Result<Kept, BackupError> {
        let io = |error| BackupError::Io { path: self.dir.clone(), error };
        self.create(store.dir()).map_err(io)?;
        let created = now();
        let name = name(created, store.identity());
        let path = self.dir.join(&name);
        match write_whole(store, &path, now, &|| stops() || self.short().is_some()) {
            Ok(bytes) => {
                give_as(&path, &self.dir);
                self.clone().of(store.identity()).make_room(created);
                let store = store.identity().map(Identity::short);
                Ok(Kept { path, name, created, store, bytes })
            }
            Err(BackupError::Stopped) if !stops() => Err(self.short().unwrap_or(BackupError::Stopped)),
            Err(error) => Err(error),
        }
    }

    /// Makes the directory, if it is not there, for who owns the directory of the store or else the one above.
    pub(super) fn create(&self, store: Option<&Path>) -> io::Result<()> {
        let is_new = !self.dir.try_exists()?;
        std::fs::create_dir_all(&self.dir)?;
        if is_new && let Some(like) = store.or(self.dir.parent()) {
            give_as(&self.dir, like);
        }
        Ok(())
    }

    /// That too little is free, if it is. Space that can't be told is taken for enough: writing will tell.
    fn short(&self) -> Option<BackupError> {
        let free = File::open(&self.dir).and_then(|dir| disk_space(&dir)).ok().flatten()?.free;
        let short = BackupError::Short { free_mb: free / MIB, reserve_mb: self.reserve / MIB };
        (free < self.reserve).then_some(short)
    }

    /// Removes what is beyond what is to be kept now that one was `made`, and what was left unfinished. What can't be
    /// removed is told and stays.
    fn make_room(&self, made: Timestamp) {
        let kept = self.list_at(made).unwrap_or_default();
        // Of when one is that bears a name of the future nobody knows: as long as it is kept, nobody is forgotten.
        let stay = || kept.iter().take(self.keep.max(1)).map(|kept| kept.created);
        if let (Some(oldest), Some(newest)) = (stay().min(), stay().max())
            && newest <= made
            && let Err(error) = self.forget_erased(oldest)
        {
            tracing::warn!(%error, "who was erased before the oldest backup can't be forgotten");
        }
        let beyond = kept.into_iter().skip(self.keep.max(1)).map(|kept| kept.path);
        let unfinished = std::fs::read_dir(&self.dir).into_iter().flatten().flatten().filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let (_, store) = read_name(name.strip_suffix(PARTIAL)?)?;
            self.may_own(store.as_deref()).then(|| entry.path())
        });
        for path in beyond.chain(unfinished) {
            if let Err(error) = std::fs::remove_file(&path) {
                tracing::warn!(path = %path.display(), %error, "an old backup can't be removed");
            }
        }
    }
}

impl SledStore {
    /// Writes all that it holds into the new file `to`, which appears whole or not at all; its bytes.
    ///
    /// # Errors
    /// [`BackupError`]
    pub fn export(&self, to: &Path, now: Timestamp) -> Result<u64, BackupError> {
        let io = |error| BackupError::Io { path: to.to_owned(), error };
        if to.try_exists().map_err(io)? {
            return Err(io(io::ErrorKind::AlreadyExists.into()));
        }
        write_whole(self, to, &|| now, &|| false)
    }
}

/// Reads the file `path` to its end; nothing is kept of it.
///
/// # Errors
/// [`FileError`]: it is not whole, or not to be read here.
pub fn check_file(path: &Path) -> Result<Contents, FileError> {
    read_file(BufReader::new(File::open(path)?), &mut |_, _| Ok(()))
}

/// Writes a copy of `store` into the new file `to`, which appears whole or not at all; its bytes.
fn write_whole(
    store: &SledStore,
    to: &Path,
    now: &dyn Fn() -> Timestamp,
    stops: &dyn Fn() -> bool,
) -> Result<u64, BackupError> {
    let io = |error| BackupError::Io { path: to.to_owned(), error };
    let mut partial = to.as_os_str().to_owned();
    partial.push(PARTIAL);
    let partial = PathBuf::from(partial);
    let written = write(store, &partial, now, stops).and_then(|bytes| {
        std::fs::rename(&partial, to).map_err(io)?;
        let dir = to.parent().filter(|dir| !dir.as_os_str().is_empty()).unwrap_or(Path::new("."));
        force(dir).map_err(io)?;
        Ok(bytes)
    });
    // One that is busy made none, and the one under way may bear the same name.
    if written.is_err() && !matches!(written, Err(BackupError::Busy)) {
        // What can't be removed now is removed by the next one.
        let _ = std::fs::remove_file(&partial);
    }
    written
}

/// Writes a copy of `store` into the new file `path`, forces it and reads it back; its bytes.
pub(in crate::store::sled) fn write(
    store: &SledStore,
    path: &Path,
    now: &dyn Fn() -> Timestamp,
    stops: &dyn Fn() -> bool,
) -> Result<u64, BackupError> {
    let io = |error| BackupError::Io { path: path.to_owned(), error };
    let copied = store.copying().and_then(|copying| {
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        let out = BufWriter::new(no_link(&mut options).open(path).map_err(io)?);
        copying.copy_to(out, now, stops)
    });
    let (out, _, bytes) = copied.map_err(|error| match error {
        BackupError::Io { error, .. } => io(error),
        other => other,
    })?;
    let file = out.into_inner().map_err(|error| io(error.into_error()))?;
    file.sync_all().map_err(io)?;
    match check_file(path) {
        Ok(_) => Ok(bytes),
        Err(error) => Err(BackupError::Unread { path: path.to_owned(), error }),
    }
}

fn name(at: Timestamp, store: Option<Identity>) -> String {
    let store = store.map(|store| format!("-{}", store.short())).unwrap_or_default();
    format!("{BEFORE}{}{store}{AFTER}", stamp(at))
}

/// An instant as a part of a file's name: `20261124T090000.000Z`.
pub(in crate::store::sled) fn stamp(at: Timestamp) -> String {
    at.to_rfc3339().replace(['-', ':'], "")
}

/// When the backup of that name was begun, and the beginning of its store's number.
fn read_name(name: &str) -> Option<(Timestamp, Option<String>)> {
    let inner = name.strip_prefix(BEFORE)?.strip_suffix(AFTER)?;
    let (stamp, store) = inner.split_once('-').map_or((inner, None), |(stamp, store)| (stamp, Some(store)));
    let is_number =
        |store: &str| store.len() == SHORT && store.bytes().all(|digit| digit.is_ascii_hexdigit());
    if store.is_some_and(|store| !is_number(store)) {
        return None;
    }
    let at = NaiveDateTime::parse_from_str(stamp, STAMP).ok()?;
    Some((Timestamp::from_millis(at.and_utc().timestamp_millis()), store.map(str::to_owned)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_tells_when_its_backup_was_begun_and_other_files_are_not_ours() {
        let at = Timestamp::from_millis(1_795_510_800_123);
        let store = Identity::from_bytes([0x1a; 16]);
        assert_eq!(name(at, None), "backup-20261124T090000.123Z.rmb");
        assert_eq!(name(at, Some(store)), "backup-20261124T090000.123Z-1a1a1a1a.rmb");
        assert_eq!(read_name(&name(at, None)), Some((at, None)));
        assert_eq!(read_name(&name(at, Some(store))), Some((at, Some("1a1a1a1a".into()))));
        for other in [
            "erased",
            "backup-x.rmb",
            "backup-20261124T090000.123Z.rmb.partial",
            "mine.rmb",
            "backup-20261124T090000.123Z-mine.rmb",
            "backup-20261124T090000.123Z-1a1a1a1a1.rmb",
        ] {
            assert_eq!(read_name(other), None, "{other}");
        }
    }
}
