//! What is done with files and directories whoever they belong to: forced, replaced whole, given to whom they are for, and
//! how much room is left where they lie.

use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;

use crate::store::DiskSpace;

/// Forces the file or directory `path` to the disk.
pub(super) fn force(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// `options` that open no link: what a worker owns is written by root too, and a link that was put there would lead it to
/// any file of the system.
#[cfg(unix)]
pub(super) fn no_link(options: &mut OpenOptions) -> &OpenOptions {
    use std::os::unix::fs::OpenOptionsExt as _;
    options.custom_flags(rustix::fs::OFlags::NOFOLLOW.bits().cast_signed())
}

/// As they are: links are not refused here.
#[cfg(not(unix))]
pub(super) fn no_link(options: &mut OpenOptions) -> &OpenOptions {
    options
}

/// Puts `bytes` in the place of the file `path`, whole or not at all, forced.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let parent = path.parent().unwrap_or(path);
    let mut coming = tempfile::NamedTempFile::new_in(parent)?;
    coming.write_all(bytes)?;
    match std::fs::metadata(path) {
        Ok(before) => {
            coming.as_file().set_permissions(before.permissions())?;
            give(coming.path(), &before);
        }
        Err(_) => give_as(coming.path(), parent),
    }
    coming.as_file().sync_all()?;
    coming.persist(path).map_err(|error| error.error)?;
    force(parent)
}

/// Gives `path`, with all that is in it, to the owner and the group of `like`, where this process is root: what root makes in
/// the place of a worker's files the worker must be able to use. What can't be given is told; the worker's start tells more.
#[cfg(unix)]
pub(super) fn give(path: &Path, like: &Metadata) {
    use std::os::unix::fs::MetadataExt as _;
    if rustix::process::geteuid().is_root()
        && let Err(error) = give_all(path, (like.uid(), like.gid()))
    {
        tracing::warn!(path = %path.display(), uid = like.uid(), %error, "it can't be given to the store's owner; do that by hand");
    }
}

#[cfg(unix)]
fn give_all(path: &Path, (uid, gid): (u32, u32)) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, lchown};
    let found = std::fs::symlink_metadata(path)?;
    if (found.uid(), found.gid()) != (uid, gid) {
        lchown(path, Some(uid), Some(gid))?;
    }
    if found.is_dir() {
        for entry in std::fs::read_dir(path)? {
            give_all(&entry?.path(), (uid, gid))?;
        }
    }
    Ok(())
}

/// Nothing: files have no such owner here.
#[cfg(not(unix))]
pub(super) fn give(_path: &Path, _like: &Metadata) {}

/// Gives `path` to the owner of `like`, if that is there.
pub(super) fn give_as(path: &Path, like: &Path) {
    if let Ok(like) = std::fs::metadata(like) {
        give(path, &like);
    }
}

/// Whether the name `path` leads to the very file `held`, links followed; false where nothing is there.
#[cfg(unix)]
pub(super) fn leads_to(path: &Path, held: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt as _;
    let held = held.metadata()?;
    match std::fs::metadata(path) {
        Ok(found) => Ok((found.dev(), found.ino()) == (held.dev(), held.ino())),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(false)
        }
        Err(error) => Err(error),
    }
}

/// Whether anything is there: which file it is can't be asked here.
#[cfg(not(unix))]
pub(super) fn leads_to(path: &Path, _held: &File) -> io::Result<bool> {
    path.try_exists()
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
