//! What is done with files and directories whoever they belong to: forced, replaced whole, and how much room is left
//! where they lie.

use std::fs::File;
use std::io::{self, Write as _};
use std::path::Path;

use crate::store::DiskSpace;

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

/// How much room the file system of `at` has, to who is not root; a quota that it counts as its size counts too. `None`
/// where that can't be asked.
#[cfg(unix)]
pub(super) fn disk_space(at: &File) -> io::Result<Option<DiskSpace>> {
    let found = rustix::fs::fstatvfs(at)?;
    let bytes = |blocks: u64| blocks.saturating_mul(found.f_frsize);
    Ok(Some(DiskSpace { free: bytes(found.f_bavail), size: bytes(found.f_blocks) }))
}

/// `None`: that can't be asked here.
#[cfg(not(unix))]
pub(super) fn disk_space(_at: &File) -> io::Result<Option<DiskSpace>> {
    Ok(None)
}
