//! Who was erased since the backups at hand were made: they are in those still, and a restore must erase them again.
//!
//! One line each, before an erasing begins and when it has ended, in a file beside the backups, one for each store that has
//! a number: no two processes write one file. The file of the releases that gave none is read by every store. It names the users as
//! long as a backup is kept that holds all their tasks, and no longer. Of an erasing that was cut off only the beginning is
//! noted: the next start finishes it. A line that a crash has cut off or that nobody can
//! read is told and passed over: that an erasing ended is then not known, and it is done again.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::PoisonError;

use serde::{Deserialize, Serialize};

use super::super::Identity;
use super::super::files::{force, give_as, no_link, replace};
use super::hot::BackupError;
use super::shelf::Shelf;
use crate::domain::Timestamp;

/// How its name begins, and ends too where the store has no number.
const NAME: &str = "erased";

/// How far the erasing of a user is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Erasing {
    /// It begins; whoever finds no more than that finishes it.
    Begins,
    /// It has ended.
    Ended,
    /// It was refused, which whoever asked for it was told: it is theirs to ask again.
    Refused,
}

/// A line. `ended` is all that releases before said.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    user: String,
    at: Timestamp,
    ended: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    refused: bool,
}

/// What the lines say of a user.
#[derive(Clone, Copy, Default)]
struct Noted {
    /// When an erasing began of which no end is noted.
    begun: Option<Timestamp>,
    /// When the last one ended.
    ended: Option<Timestamp>,
}

impl Noted {
    /// Whether the store as it was at `from` may hold what was to be erased.
    fn concerns(self, from: Timestamp) -> bool {
        self.begun.is_some() || self.ended.is_some_and(|ended| ended >= from)
    }

    fn see(&mut self, line: &Line) {
        match (line.ended, line.refused) {
            (false, false) => self.begun = Some(line.at),
            (true, _) => *self = Self { begun: None, ended: Some(line.at) },
            (false, true) => self.begun = None,
        }
    }
}

/// A user who is to be erased.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Erased {
    /// Who.
    pub user: String,
    /// The erasing was cut off: that it has ended is yet to be noted.
    pub unfinished: bool,
}

/// What lies beside a file about users who were erased.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Beside {
    /// How many are to be erased of a store that is made of it.
    pub users: usize,
    /// Lines that can't be read: who they name stays.
    pub unread: usize,
}

impl Shelf {
    /// Notes at `at` how far the erasing of `user` is; on the disk when this returns.
    ///
    /// # Errors
    /// The system's: a restore would not erase them.
    pub fn note_erasing(&self, user: &str, at: Timestamp, how: Erasing) -> Result<(), BackupError> {
        let _alone = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.notes_of(self.store());
        let io = |error| BackupError::Io { path: path.clone(), error };
        let (ended, refused) = (how == Erasing::Ended, how == Erasing::Refused);
        let line = serde_json::to_string(&Line { user: user.to_owned(), at, ended, refused });
        let line = line.map_err(|error| io(error.into()))?;
        self.create(None).map_err(io)?;
        let is_new = !path.try_exists().map_err(io)?;
        let mut file = no_link(OpenOptions::new().append(true).create(true)).open(&path).map_err(io)?;
        // What a crash has cut off before ends here.
        file.write_all(format!("\n{line}\n").as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
        if is_new {
            give_as(&path, self.dir());
            force(self.dir()).map_err(io)?;
        }
        Ok(())
    }

    /// Users whose erasing was cut off, and those who were erased after `from`, of which the store is, if it was restored.
    ///
    /// # Errors
    /// The system's.
    pub fn to_erase(&self, from: Option<Timestamp>) -> Result<Vec<Erased>, BackupError> {
        Ok(self.due(from)?.0)
    }

    /// The same, and how many lines can't be read.
    fn due(&self, from: Option<Timestamp>) -> Result<(Vec<Erased>, usize), BackupError> {
        let _alone = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let is_due = |noted: &Noted| noted.concerns(from.unwrap_or(Timestamp::MAX));
        let (noted, unread) = self.noted()?;
        let noted = noted.into_iter().filter(|(_, noted)| is_due(noted));
        let due = noted.map(|(user, noted)| Erased { user, unfinished: noted.begun.is_some() });
        Ok((due.collect(), unread))
    }

    /// Notes at `now` whom to erase of a store that is made of the file `backup` and holds all until `finished`, by what lies
    /// beside that: whoever copied a directory of backups copied that with it.
    ///
    /// # Errors
    /// The system's.
    pub fn note_erased_beside(
        &self,
        backup: &Path,
        finished: Timestamp,
        now: Timestamp,
    ) -> Result<Beside, BackupError> {
        let dir = std::path::absolute(backup).ok().and_then(|path| Some(path.parent()?.to_owned()));
        let Some(dir) = dir.filter(|dir| has_notes(dir)) else { return Ok(Beside::default()) };
        let beside = Self::new(dir, 1).of(self.store());
        // A clock that was ahead says nothing of what came later.
        let from = if finished < now { finished } else { Timestamp::MIN };
        let (due, unread) = beside.due(Some(from))?;
        if !self.is_at(beside.dir()) {
            for Erased { user, unfinished } in &due {
                let how = if *unfinished { Erasing::Begins } else { Erasing::Ended };
                self.note_erasing(user, now, how)?;
            }
        }
        Ok(Beside { users: due.len(), unread })
    }

    fn is_at(&self, dir: &Path) -> bool {
        let real = |path: &Path| std::fs::canonicalize(path).ok();
        real(self.dir()).is_some_and(|own| real(dir) == Some(own))
    }

    /// Forgets those whose erasing had ended at `oldest`.
    pub(super) fn forget_erased(&self, oldest: Timestamp) -> Result<(), BackupError> {
        let _alone = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let (noted, _) = self.noted()?;
        let stays = |user: &String| noted.get(user).is_none_or(|noted| noted.concerns(oldest));
        if noted.keys().all(stays) {
            return Ok(());
        }
        for path in self.note_files() {
            let io = |error| BackupError::Io { path: path.clone(), error };
            let mut lines = String::new();
            for line in read(&path)?.0.iter().filter(|line| stays(&line.user)) {
                lines.push_str(&serde_json::to_string(line).map_err(|error| io(error.into()))?);
                lines.push('\n');
            }
            if path.try_exists().map_err(io)? {
                replace(&path, lines.as_bytes()).map_err(io)?;
            }
        }
        Ok(())
    }

    /// What is noted of whom, and how many lines can't be read.
    fn noted(&self) -> Result<(BTreeMap<String, Noted>, usize), BackupError> {
        let (mut noted, mut unread) = (BTreeMap::<String, Noted>::new(), 0);
        for path in self.note_files() {
            let (lines, bad) = read(&path)?;
            unread += bad;
            for line in lines {
                noted.entry(line.user.clone()).or_default().see(&line);
            }
        }
        Ok((noted, unread))
    }

    /// The files that name who was erased of the store, the older one first.
    fn note_files(&self) -> Vec<PathBuf> {
        let own = self.store().map(|store| self.notes_of(Some(store)));
        [Some(self.notes_of(None)), own].into_iter().flatten().collect()
    }

    fn notes_of(&self, store: Option<Identity>) -> PathBuf {
        let store = store.map(|store| format!("-{}", store.short())).unwrap_or_default();
        self.dir().join(format!("{NAME}{store}"))
    }
}

/// Whether anybody is noted in `dir`, of whatever store.
fn has_notes(dir: &Path) -> bool {
    let names = std::fs::read_dir(dir).into_iter().flatten().flatten().map(|entry| entry.file_name());
    names.into_iter().any(|name| name.to_string_lossy().starts_with(NAME))
}

/// The lines of the file `path`, none where it is not there, and how many more can't be read.
fn read(path: &Path) -> Result<(Vec<Line>, usize), BackupError> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok((Vec::new(), 0)),
        Err(error) => return Err(BackupError::Io { path: path.to_owned(), error }),
    };
    let (mut lines, mut unread) = (Vec::new(), 0);
    for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        match serde_json::from_slice::<Line>(line) {
            Ok(line) => lines.push(line),
            Err(error) => {
                unread += 1;
                tracing::error!(path = %path.display(), %error, "a line that names an erased user can't be read");
            }
        }
    }
    Ok((lines, unread))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    fn users(shelf: &Shelf, from: Option<i64>) -> Vec<String> {
        shelf.to_erase(from.map(at)).unwrap().into_iter().map(|erased| erased.user).collect()
    }

    #[test]
    fn who_was_erased_is_told_as_long_as_a_backup_may_hold_them() {
        let room = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(room.path().join("backups"), 1);
        let since = |from| users(&shelf, Some(from));
        assert!(since(0).is_empty());
        for (user, began, ended) in [("ann", 10, Some(11)), ("b\"\n", 20, Some(25)), ("carl", 30, None)] {
            shelf.note_erasing(user, at(began), Erasing::Begins).unwrap();
            if let Some(ended) = ended {
                shelf.note_erasing(user, at(ended), Erasing::Ended).unwrap();
            }
        }
        assert_eq!(since(11), ["ann", "b\"\n", "carl"]);
        assert_eq!(
            since(12),
            ["b\"\n", "carl"],
            "who came anew after that is in a backup made after it, and stays"
        );
        shelf.forget_erased(at(26)).unwrap();
        assert_eq!(since(0), ["carl"], "what may not have ended stays");
        shelf.note_erasing("carl", at(40), Erasing::Ended).unwrap();
        shelf.forget_erased(at(41)).unwrap();
        assert!(since(0).is_empty());
    }

    #[test]
    fn an_erasing_cut_off_is_to_be_finished_once_and_one_refused_is_not() {
        let room = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(room.path().to_owned(), 1);
        for (user, how) in [("ann", Erasing::Begins), ("bob", Erasing::Refused), ("carl", Erasing::Ended)] {
            shelf.note_erasing(user, at(5), Erasing::Ended).unwrap();
            shelf.note_erasing(user, at(10), Erasing::Begins).unwrap();
            shelf.note_erasing(user, at(11), how).unwrap();
        }
        assert_eq!(shelf.to_erase(None).unwrap(), [Erased { user: "ann".into(), unfinished: true }]);
        assert_eq!(users(&shelf, Some(6)), ["ann", "carl"]);
        assert_eq!(users(&shelf, Some(5)), ["ann", "bob", "carl"], "what ended before holds");
        shelf.note_erasing("ann", at(20), Erasing::Ended).unwrap();
        assert_eq!((users(&shelf, None).len(), users(&shelf, Some(21)).len()), (0, 0), "it is finished");
    }

    #[test]
    fn who_is_noted_beside_a_copied_backup_is_noted_for_the_store_that_is_made_of_it() {
        let room = tempfile::tempdir().unwrap();
        let copied = Shelf::new(room.path().join("copied"), 9);
        let store = crate::store::sled::in_memory().unwrap();
        let backup = copied.make(&store, &|| at(10), &|| false).unwrap().path;
        for (user, ended) in [("before", 9), ("since", 11)] {
            copied.note_erasing(user, at(ended), Erasing::Ended).unwrap();
        }
        copied.note_erasing("cut off", at(5), Erasing::Begins).unwrap();
        let own = Shelf::new(room.path().join("own"), 9);
        let beside = |shelf: &Shelf| shelf.note_erased_beside(&backup, at(10), at(100)).unwrap();
        assert_eq!(beside(&own), Beside { users: 2, unread: 0 });
        assert_eq!(users(&own, Some(10)), ["cut off", "since"]);
        assert_eq!(users(&own, None), ["cut off"]);
        // Where both are one directory, nothing is noted twice.
        let before = std::fs::read(copied.notes_of(None)).unwrap();
        assert_eq!(beside(&copied), Beside { users: 2, unread: 0 });
        assert_eq!(std::fs::read(copied.notes_of(None)).unwrap(), before);
        let mut cut_off = before;
        cut_off.extend(br#"{"user":"bob","at":1"#);
        std::fs::write(copied.notes_of(None), cut_off).unwrap();
        assert_eq!(beside(&own), Beside { users: 2, unread: 1 });
    }

    #[test]
    fn a_line_cut_off_is_passed_over_and_the_next_one_is_not() {
        let room = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(room.path().to_owned(), 1);
        shelf.note_erasing("ann", at(10), Erasing::Begins).unwrap();
        let whole = std::fs::read(room.path().join(NAME)).unwrap();
        for length in 0..whole.len() {
            std::fs::write(room.path().join(NAME), &whole[..length]).unwrap();
            shelf.note_erasing("bob", at(20), Erasing::Begins).unwrap();
            assert!(users(&shelf, Some(0)).contains(&"bob".to_owned()), "{length}");
        }
    }
}
