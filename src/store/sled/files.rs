//! What is done with files and directories whoever they belong to: forced, replaced whole, and how much room is left
//! where they lie.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

/// Forces the file or directory `path` to the disk.
pub(super) fn force(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Puts `bytes` in the place of the file `path`, whole or not at all, forced.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let parent = path.parent().unwrap_or(path);
    let mut coming = tempfile::NamedTempFile::new_in(parent)?;
    coming.write_all(bytes)?;
    coming.as_file().sync_all()?;
    coming.persist(path).map_err(|error| error.error)?;
    force(parent)
}

/// How many bytes are free on the file system of `at`, to who is not root; a quota that it counts as its size counts too.
/// `None` where that can't be asked.
#[cfg(unix)]
pub(super) fn free_bytes(at: &File) -> io::Result<Option<u64>> {
    let found = rustix::fs::fstatvfs(at)?;
    Ok(Some(found.f_bavail.saturating_mul(found.f_frsize)))
}

/// `None`: that can't be asked here.
#[cfg(not(unix))]
pub(super) fn free_bytes(_at: &File) -> io::Result<Option<u64>> {
    Ok(None)
}
