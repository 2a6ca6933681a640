//! Whose the files of a store are: what is made in their place by whoever runs a command is theirs who own the store.

use std::fs::Metadata;
use std::io;
use std::path::Path;

use super::Place;
use crate::store::sled::files::give;

impl Place {
    /// Gives what is to come to the owner of the store, and the modes that its directory and files have.
    pub(super) fn hand_over(&self) -> io::Result<()> {
        if let Some(like) = self.owned() {
            give(&self.coming, &like);
        }
        if let Ok(dir) = std::fs::metadata(&self.dir) {
            std::fs::set_permissions(&self.coming, dir.permissions())?;
        }
        if let Ok(db) = std::fs::metadata(self.dir.join("db")) {
            set_files(&self.coming, &db)?;
        }
        Ok(())
    }

    /// Gives `path`, which lies beside the directory, to the owner of the store.
    pub(super) fn give(&self, path: &Path) {
        if let Some(like) = self.owned() {
            give(path, &like);
        }
    }

    /// What tells whose the store is: its directory, where that is gone its marker, and before there is any the directory
    /// that is to hold it.
    fn owned(&self) -> Option<Metadata> {
        [&self.dir, &self.marker, &self.parent].into_iter().find_map(|path| std::fs::metadata(path).ok())
    }
}

/// Gives the files in `dir` the mode of `like`.
fn set_files(dir: &Path, like: &Metadata) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            set_files(&entry.path(), like)?;
        } else {
            std::fs::set_permissions(entry.path(), like.permissions())?;
        }
    }
    Ok(())
}
