//! A snapshot of its index that the engine was writing when it ended.
//!
//! sled 0.34 writes `snap.N.generating`, forces it and renames it to `snap.N`. As it opens it takes any file that begins
//! with `snap.` for a finished one, the last by name, and one that was cut off for damage (`src/config.rs`,
//! `get_snapshot_files`, passes over a suffix that no file has any more; `src/pagecache/snapshot.rs`, `read_snapshot`). It
//! holds nothing that the log does not, and the finished one before it is there until it has its name: so it goes before the
//! engine sees it. The engine also writes over one of the same number without making it shorter first.

use std::io;
use std::path::Path;

/// Removes what was not finished in `dir`, which need not be there. Only for who holds the store.
pub(super) fn clear(dir: &Path) -> io::Result<()> {
    let entries = match std::fs::read_dir(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with("snap.") && name.ends_with(".generating") {
            std::fs::remove_file(entry.path())?;
            tracing::info!(file = %entry.path().display(), "a snapshot that the engine had not finished is removed");
        }
    }
    Ok(())
}
