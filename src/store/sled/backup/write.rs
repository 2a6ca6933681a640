//! Writing a file: entries into frames, frames into bytes, all of them into the hash.

use std::io::{self, Write};

use miniz_oxide::deflate::compress_to_vec;
use sha2::{Digest, Sha256};

use super::super::wire::put_bytes;
use super::frame::{
    ENTRIES, FRAME_FILL, FRAME_MAX, HEAD, Head, MAGIC, PUT, REMOVE, TRAILER, Trailer, checksum,
};
use crate::domain::Timestamp;

/// How hard to deflate. Of 100,000 plain tasks, whose ids and hashes no coder shortens, 21.6 MB become 12.8 MB at level 1
/// and 12.5 MB at level 6 in more than twice the time; lz4, in a third of it, leaves 16.4 MB.
const LEVEL: u8 = 1;

/// A file being written; of use only once it is finished.
pub(in crate::store::sled) struct FileWriter<W> {
    out: W,
    hash: Sha256,
    entries: Vec<u8>,
    bytes: u64,
    frames: u64,
    puts: u64,
    removals: u64,
}

impl<W: Write> FileWriter<W> {
    /// Begins a file.
    pub(in crate::store::sled) fn begin(out: W, head: &Head) -> io::Result<Self> {
        let entries = Vec::with_capacity(FRAME_MAX);
        let mut file = Self { out, hash: Sha256::new(), entries, bytes: 0, frames: 0, puts: 0, removals: 0 };
        file.write(&MAGIC)?;
        file.frame(HEAD, &head.encode())?;
        Ok(file)
    }

    /// Adds an entry, or that it goes.
    pub(in crate::store::sled) fn add(&mut self, key: &[u8], value: Option<&[u8]>) -> io::Result<()> {
        let before = self.entries.len();
        self.entries.push(if value.is_some() { PUT } else { REMOVE });
        put_bytes(&mut self.entries, key);
        match value {
            Some(value) => {
                put_bytes(&mut self.entries, value);
                self.puts += 1;
            }
            None => self.removals += 1,
        }
        if self.entries.len() - before > FRAME_MAX - FRAME_FILL {
            return Err(io::Error::other("an entry is larger than the store ever writes"));
        }
        if self.entries.len() >= FRAME_FILL { self.end_entries() } else { Ok(()) }
    }

    /// Ends the file: it holds what was committed until `finished`. Returns what it was written to and how many bytes.
    pub(in crate::store::sled) fn finish(mut self, finished: Timestamp) -> io::Result<(W, u64)> {
        self.end_entries()?;
        let Self { frames, puts, removals, .. } = self;
        let hash = self.hash.clone().finalize().into();
        self.frame(TRAILER, &Trailer { frames, puts, removals, finished, hash }.encode())?;
        self.out.flush()?;
        Ok((self.out, self.bytes))
    }

    fn end_entries(&mut self) -> io::Result<()> {
        if self.entries.is_empty() {
            return Ok(());
        }
        let deflated = compress_to_vec(&self.entries, LEVEL);
        self.entries.clear();
        self.frame(ENTRIES, &deflated)
    }

    fn frame(&mut self, kind: u8, payload: &[u8]) -> io::Result<()> {
        let length = u32::try_from(payload.len()).map_err(io::Error::other)?.to_be_bytes();
        self.frames += 1;
        for part in [length.as_slice(), &[kind], payload, &checksum(length, kind, payload)] {
            self.write(part)?;
        }
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hash.update(bytes);
        self.bytes += bytes.len() as u64;
        self.out.write_all(bytes)
    }
}
