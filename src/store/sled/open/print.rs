//! What lies in a store's directory, in one hash: a note about it is believed only as long as it is that.
//!
//! Names, lengths and times would not do: a copy that is put back keeps them, and a bit that flips changes none.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::reading::BUFFER_BYTES;
use super::swap::Note;
use super::{Place, await_release, unreachable};
use crate::store::OpenError;

/// What is noted where nothing lies there.
const NOTHING: &str = "nothing";

impl Place {
    /// The hash of all files in the directory, which nobody has open any more. Reads them once.
    pub(super) fn print(&self) -> io::Result<String> {
        if !self.dir.try_exists()? {
            return Ok(NOTHING.to_owned());
        }
        await_release(&self.dir);
        let mut files = Vec::new();
        walk(&self.dir, &mut files)?;
        files.sort_unstable();
        let (mut hash, mut buffer) = (Sha256::new(), vec![0; BUFFER_BYTES]);
        for path in files {
            let name = path.strip_prefix(&self.dir).unwrap_or(&path).as_os_str().as_encoded_bytes();
            hash.update((name.len() as u64).to_be_bytes());
            hash.update(name);
            let mut file = File::open(&path)?;
            hash.update(file.metadata()?.len().to_be_bytes());
            loop {
                match file.read(&mut buffer)? {
                    0 => break,
                    length => hash.update(&buffer[..length]),
                }
            }
        }
        Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// That what lies in the directory, if anything does, is what `note` was written about; one of a release that noted no
    /// hash is believed.
    pub(super) fn is_noted(&self, note: &Note) -> Result<(), OpenError> {
        let io = |error: io::Error| unreachable(&self.dir, &error.to_string());
        let Some(noted) = &note.print else { return Ok(()) };
        if !self.dir.try_exists().map_err(io)? || self.print().map_err(io)? == *noted {
            return Ok(());
        }
        Err(OpenError::Unreachable {
            path: self.dir.display().to_string(),
            reason: format!(
                "what lies there is not what {} was written about, which says that it is to be replaced: somebody has put \
                 it there since",
                self.swap.display()
            ),
            advice: "look at it with `reminder-worker store verify`; if it is to stay remove that file, if not move the \
                     directory elsewhere; then start again",
        })
    }
}

fn walk(dir: &Path, files: &mut Vec<PathBuf>) -> io::Result<()> {
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            walk(&entry.path(), files)?;
        } else {
            files.push(entry.path());
        }
    }
    Ok(())
}
