//! What lies around a store's directory: another store that holds it, and what restores have set aside.

use std::io;
use std::path::Path;

use super::compact::size;
use super::{Place, unreachable};
use crate::store::{MIB, OpenError};

/// What follows a store's name in that of what was set aside for its damage.
pub(super) const DAMAGED: &str = ".damaged-";

impl Place {
    /// That the directory is not inside of another store's, whose files those of this one would lie among.
    pub(super) fn is_beside_others(&self) -> Result<(), OpenError> {
        let io = |error: io::Error| unreachable(&self.dir, &error.to_string());
        for above in self.parent.ancestors() {
            let is_store =
                above.join("db").try_exists().map_err(io)? && above.join("conf").try_exists().map_err(io)?;
            if is_store {
                return Err(OpenError::Unreachable {
                    path: self.dir.display().to_string(),
                    reason: format!("it is inside the store {}", above.display()),
                    advice: "set store.path to a directory that is its own",
                });
            }
        }
        Ok(())
    }

    /// That the directory beside the marker, if there is one, is not empty: that is what a file system leaves that is not
    /// mounted on it, and a backup restored into it would lie on the wrong disk. Damage leaves files, and who removes a
    /// store removes the directory.
    pub(super) fn is_mounted(&self) -> Result<(), OpenError> {
        let mut entries = match std::fs::read_dir(&self.dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(unreachable(&self.dir, &error.to_string())),
        };
        // What a fresh file system has.
        let is_bare =
            |entry: io::Result<std::fs::DirEntry>| entry.is_ok_and(|entry| entry.file_name() == "lost+found");
        if !entries.all(is_bare) {
            return Ok(());
        }
        Err(OpenError::Unreachable {
            path: self.dir.display().to_string(),
            reason: format!("nothing is in it, though {} says that it held a store", self.marker.display()),
            advice: "mount the file system on which the store lies, then start again; if it is really lost run \
                     `reminder-worker store import FILE` with a backup",
        })
    }

    /// Tells that a file system is mounted on the directory itself, where one is: neither a restore nor a compaction can
    /// rename it then.
    pub(super) fn tell_mounted(&self) {
        if is_mount_point(&self.dir) {
            tracing::warn!(
                store = %self.dir.display(),
                "store.path is where a file system is mounted: no backup can take the place of what lies there by itself; \
                 set store.path to a directory inside it"
            );
        }
    }

    /// Tells how many damaged directories were set aside, and how much room they take.
    pub(super) fn tell_damaged(&self) {
        match self.damaged_beside() {
            Ok((0, _)) => {}
            Ok((count, bytes)) => tracing::warn!(
                store = %self.dir.display(), count, mib = bytes.div_ceil(MIB),
                "damaged stores that were set aside lie beside it as .damaged-…; remove those of which nothing is needed any \
                 more"
            ),
            Err(error) => tracing::warn!(%error, "what lies beside the store can't be looked at"),
        }
    }

    /// How many damaged directories lie beside the store, and their bytes.
    pub(super) fn damaged_beside(&self) -> io::Result<(u64, u64)> {
        let prefix = format!("{}{DAMAGED}", self.name());
        let (mut count, mut bytes) = (0, 0);
        for entry in std::fs::read_dir(&self.parent)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(&prefix) && entry.file_type()?.is_dir() {
                count += 1;
                bytes += size(&entry.path())?;
            }
        }
        Ok((count, bytes))
    }
}

/// Whether the directory `dir` lies in another file system than the one above. A directory of the same one that is mounted
/// there again can't be told, nor one that can't be looked at.
#[cfg(unix)]
fn is_mount_point(dir: &Path) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let device = |path: &Path| std::fs::metadata(path).ok().map(|found| found.dev());
    device(dir).zip(dir.parent().and_then(device)).is_some_and(|(own, above)| own != above)
}

/// That can't be asked here.
#[cfg(not(unix))]
fn is_mount_point(_dir: &Path) -> bool {
    false
}

#[cfg(target_os = "linux")]
#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_directory_on_which_a_file_system_is_mounted_is_told_from_others() {
        let room = tempfile::tempdir().unwrap();
        let inside = room.path().join("inside");
        std::fs::create_dir(&inside).unwrap();
        assert!(is_mount_point(Path::new("/proc")));
        assert!(!is_mount_point(&inside) && !is_mount_point(&room.path().join("nowhere")));
    }
}
