//! Reading a store's files through once before the engine does.
//!
//! The engine takes a read that fails while it recovers for the end of what was written: it opens empty or with what was
//! there before, and writes that over its files. Afterwards nothing tells a disk that did not answer from a store that has
//! lost something. So a store that is known to have held something is first read to its end by handles of our own, and any
//! error means that it is out of reach: nothing is moved and nothing is written.
//!
//! That costs one sequential reading of the files: about 1.4 s a GB where the engine's own opening takes several times as
//! long, and most of it is given back, since the engine then reads from memory. What remains is an error that comes only
//! with the second reading.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use super::advice::unreachable;
use crate::store::OpenError;

/// What is read at once: enough for a disk to read ahead.
pub(super) const BUFFER_BYTES: usize = 1 << 20;

/// Reads all that the engine may read of its directory `dir`.
///
/// # Errors
/// [`OpenError::Unreachable`]: some of it can't be read.
pub(super) fn read_all(dir: &Path) -> Result<(), OpenError> {
    let mut buffer = vec![0; BUFFER_BYTES];
    for path in files(dir).map_err(|error| unreachable(dir, &error.to_string()))? {
        let read = File::open(&path).and_then(|file| read_through(file, &mut buffer));
        read.map_err(|error| unreachable(&path, &error.to_string()))?;
    }
    Ok(())
}

/// The engine's files; others that lie there are not read.
fn files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name == "blobs" {
            for blob in std::fs::read_dir(entry.path())? {
                files.push(blob?.path());
            }
        } else if name == "db" || name == "conf" || name.starts_with("snap.") {
            files.push(entry.path());
        }
    }
    Ok(files)
}

fn read_through(mut file: impl Read, buffer: &mut [u8]) -> io::Result<()> {
    loop {
        match file.read(buffer) {
            Ok(0) => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a byte each time, and an error at one turn.
    struct Flaky {
        turn: usize,
        fails_at: usize,
        error: i32,
    }

    impl Read for Flaky {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.turn += 1;
            if self.turn == self.fails_at {
                return Err(io::Error::from_raw_os_error(self.error));
            }
            Ok(if self.turn > 5 { 0 } else { buffer.len().min(1) })
        }
    }

    #[test]
    fn an_error_at_any_read_is_told_and_an_interrupted_one_is_repeated() {
        const EIO: i32 = 5;
        const EINTR: i32 = 4;
        let read = |fails_at, error| read_through(Flaky { turn: 0, fails_at, error }, &mut [0; 8]);
        for turn in 1..=6 {
            assert_eq!(read(turn, EIO).unwrap_err().raw_os_error(), Some(EIO), "{turn}");
            assert!(read(turn, EINTR).is_ok(), "{turn}");
        }
        assert!(read(7, EIO).is_ok(), "it is not read behind its end");
    }

    #[test]
    fn what_the_engine_reads_is_read_and_nothing_else() {
        let room = tempfile::tempdir().unwrap();
        std::fs::create_dir(room.path().join("blobs")).unwrap();
        for name in ["db", "conf", "snap.01", "blobs/7", "mine"] {
            std::fs::write(room.path().join(name), "x").unwrap();
        }
        let mut names: Vec<_> = files(room.path())
            .unwrap()
            .iter()
            .map(|path| path.strip_prefix(room.path()).unwrap().to_string_lossy().into_owned())
            .collect();
        names.sort_unstable();
        assert_eq!(names, ["blobs/7", "conf", "db", "snap.01"]);
    }
}
