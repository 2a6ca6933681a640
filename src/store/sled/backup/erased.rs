//! Who was erased since the backups at hand were made: they are in those still, and a restore must erase them again.
//!
//! One line each, before an erasing begins and when it has ended, in a file beside the backups. It names the users as
//! long as a backup is kept that holds all their tasks, and no longer. A line that a crash has cut off or that nobody can
//! read is told and passed over: that an erasing ended is then not known, and it is done again.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Write as _};
use std::path::PathBuf;
use std::sync::PoisonError;

use serde::{Deserialize, Serialize};

use super::super::files::{force, replace};
use super::hot::BackupError;
use super::shelf::Shelf;
use crate::domain::Timestamp;

const NAME: &str = "erased";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    user: String,
    at: Timestamp,
    ended: bool,
}

impl Shelf {
    /// Notes that the erasing of `user` begins at `at`, or has `ended` then; on the disk when this returns.
    ///
    /// # Errors
    /// The system's: a restore would not erase them.
    pub fn note_erasing(&self, user: &str, at: Timestamp, ended: bool) -> Result<(), BackupError> {
        let _alone = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let path = self.dir().join(NAME);
        let io = |error| BackupError::Io { path: path.clone(), error };
        let line = serde_json::to_string(&Line { user: user.to_owned(), at, ended });
        let line = line.map_err(|error| io(error.into()))?;
        std::fs::create_dir_all(self.dir()).map_err(io)?;
        let is_new = !path.try_exists().map_err(io)?;
        let mut file = OpenOptions::new().append(true).create(true).open(&path).map_err(io)?;
        // What a crash has cut off before ends here.
        file.write_all(format!("\n{line}\n").as_bytes()).and_then(|()| file.sync_all()).map_err(io)?;
        if is_new {
            force(self.dir()).map_err(io)?;
        }
        Ok(())
    }

    /// Users whose erasing had not ended at `from`.
    ///
    /// # Errors
    /// The system's.
    pub fn erased_since(&self, from: Timestamp) -> Result<Vec<String>, BackupError> {
        let _alone = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(self.noted()?.into_iter().filter(|(_, ended)| *ended >= from).map(|(user, _)| user).collect())
    }

    /// Forgets those whose erasing had ended at `oldest`.
    pub(super) fn forget_erased(&self, oldest: Timestamp) -> Result<(), BackupError> {
        let _alone = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        let noted = self.noted()?;
        if noted.values().all(|ended| *ended >= oldest) {
            return Ok(());
        }
        let io = |error| BackupError::Io { path: self.dir().join(NAME), error };
        let mut lines = String::new();
        for (user, ended) in noted.into_iter().filter(|(_, ended)| *ended >= oldest) {
            let line = serde_json::to_string(&Line { user, at: ended, ended: ended < Timestamp::MAX });
            lines.push_str(&line.map_err(|error| io(error.into()))?);
            lines.push('\n');
        }
        replace(&self.dir().join(NAME), lines.as_bytes()).map_err(io)
    }

    /// Users, and when their erasing ended; [`Timestamp::MAX`] where that is not known.
    fn noted(&self) -> Result<BTreeMap<String, Timestamp>, BackupError> {
        let path: PathBuf = self.dir().join(NAME);
        let bytes = match std::fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
            Err(error) => return Err(BackupError::Io { path, error }),
        };
        let mut noted = BTreeMap::new();
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            match serde_json::from_slice::<Line>(line) {
                Ok(Line { user, at, ended }) => {
                    noted.insert(user, if ended { at } else { Timestamp::MAX });
                }
                Err(error) => {
                    tracing::error!(path = %path.display(), %error, "a line that names an erased user can't be read");
                }
            }
        }
        Ok(noted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: i64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn who_was_erased_is_told_as_long_as_a_backup_may_hold_them() {
        let room = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(room.path().join("backups"), 1);
        assert!(shelf.erased_since(at(0)).unwrap().is_empty());
        for (user, began, ended) in [("ann", 10, Some(11)), ("b\"\n", 20, Some(25)), ("carl", 30, None)] {
            shelf.note_erasing(user, at(began), false).unwrap();
            if let Some(ended) = ended {
                shelf.note_erasing(user, at(ended), true).unwrap();
            }
        }
        let since = |from| shelf.erased_since(at(from)).unwrap();
        assert_eq!(since(11), ["ann", "b\"\n", "carl"]);
        assert_eq!(since(12), ["b\"\n", "carl"]);
        shelf.forget_erased(at(26)).unwrap();
        assert_eq!(since(0), ["carl"], "what may not have ended stays");
        shelf.note_erasing("carl", at(40), true).unwrap();
        shelf.forget_erased(at(41)).unwrap();
        assert!(since(0).is_empty());
    }

    #[test]
    fn a_line_cut_off_is_passed_over_and_the_next_one_is_not() {
        let room = tempfile::tempdir().unwrap();
        let shelf = Shelf::new(room.path().to_owned(), 1);
        shelf.note_erasing("ann", at(10), false).unwrap();
        let whole = std::fs::read(room.path().join(NAME)).unwrap();
        for length in 0..whole.len() {
            std::fs::write(room.path().join(NAME), &whole[..length]).unwrap();
            shelf.note_erasing("bob", at(20), false).unwrap();
            assert!(shelf.erased_since(at(0)).unwrap().contains(&"bob".to_owned()), "{length}");
        }
    }
}
