//! How a file is cut into frames, and what stands in its first and its last one.
//!
//! ```text
//! magic, 8 bytes
//! frame: length of the payload (u32), kind (u8), payload, CRC-32 of all three (u32); numbers big-endian
//!   H  file version, format of the store, when it was begun, the release that wrote it, which store it is if it has a number
//!   E  entries, deflated: puts and removals in the order in which they happened
//!   T  how many frames, puts and removals; of what instant it is; SHA-256 of every byte before this frame
//! the end
//! ```
//!
//! The checksum of a frame says where a file is broken; the hash in the last frame says that no frame is missing, twice
//! there or in another place. A version is believed only when its frame is whole: a flipped bit is damage and not a newer
//! release.

use std::io;

use super::super::Identity;
use super::super::wire::{Malformed, Reader, put_int, put_text, put_uint};
use crate::domain::Timestamp;

/// How a file begins. A byte above ASCII, both ends of line and a Ctrl-Z: what copies it as text breaks it here.
pub(super) const MAGIC: [u8; 8] = *b"\x89RMB\r\n\x1a\n";
/// The version of the file that this release writes, and the newest that it reads.
pub(super) const FILE_VERSION: u32 = 1;

/// Bytes of entries after which a frame is ended: enough to deflate well, few enough that a reader needs no memory
/// worth naming.
pub(super) const FRAME_FILL: usize = 64 * 1024;
/// Most bytes of entries in a frame: one entry, of a key and a value that the store keeps in one piece, may come on top.
pub(super) const FRAME_MAX: usize = FRAME_FILL + 64 * 1024;
/// Most bytes of a payload: what cannot be deflated grows by some bytes.
pub(super) const PAYLOAD_MAX: usize = FRAME_MAX + 1024;

pub(super) const HEAD: u8 = b'H';
pub(super) const ENTRIES: u8 = b'E';
pub(super) const TRAILER: u8 = b'T';

/// In front of an entry that is written.
pub(super) const PUT: u8 = 1;
/// In front of a key that goes.
pub(super) const REMOVE: u8 = 0;

/// What a file says of itself first.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Head {
    /// The format of the store's keys and values.
    pub format: u32,
    /// When it was begun.
    pub created: Timestamp,
    /// The release that wrote it.
    pub release: String,
    /// Which store it is a copy of; `None` where that had no number.
    pub store: Option<Identity>,
}

/// What a file says of itself last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Trailer {
    pub(super) frames: u64,
    pub(super) puts: u64,
    pub(super) removals: u64,
    /// All that was committed until then is in it.
    pub(super) finished: Timestamp,
    pub(super) hash: [u8; 32],
}

/// A file that can't be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The system does not give it.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is something else.
    #[error("it is no backup or export of reminder-worker")]
    Foreign,
    /// A newer release wrote it.
    #[error(
        "a newer release wrote it ({what} {found}, this release reads up to {known}); use the release that wrote it, or a \
         newer one"
    )]
    Newer {
        /// What is newer.
        what: &'static str,
        /// Its number.
        found: u32,
        /// The newest number known.
        known: u32,
    },
    /// It is cut off or changed.
    #[error("it is damaged at byte {at}: {why}; nothing of it is used, take another one")]
    Damaged {
        /// Where the frame begins that shows it.
        at: u64,
        /// How it shows.
        why: &'static str,
    },
    /// What was to be done with its entries failed.
    #[error(transparent)]
    Use(#[from] crate::store::StoreError),
}

impl Head {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = FILE_VERSION.to_be_bytes().to_vec();
        out.extend_from_slice(&self.format.to_be_bytes());
        put_int(&mut out, self.created.millis());
        put_text(&mut out, &self.release);
        out.extend(self.store.map(Identity::bytes).into_iter().flatten());
        out
    }

    /// Versions come first, so that every release can read them.
    pub(super) fn decode(bytes: &[u8], known_format: u32) -> Result<Result<Self, FileError>, Malformed> {
        let mut reader = Reader::new(bytes);
        let version = u32::from_be_bytes(reader.array()?);
        let newer = |what, found, known| Ok(Err(FileError::Newer { what, found, known }));
        if version > FILE_VERSION {
            return newer("file version", version, FILE_VERSION);
        }
        let format = u32::from_be_bytes(reader.array()?);
        if format > known_format {
            return newer("store format", format, known_format);
        }
        let created = Timestamp::from_millis(reader.int()?);
        let release = reader.text()?.to_owned();
        let store = reader.when(!reader.is_at_end(), |reader| reader.array().map(Identity::from_bytes))?;
        reader.end()?;
        Ok(Ok(Self { format, created, release, store }))
    }
}

impl Trailer {
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for count in [self.frames, self.puts, self.removals] {
            put_uint(&mut out, count);
        }
        put_int(&mut out, self.finished.millis());
        out.extend_from_slice(&self.hash);
        out
    }

    pub(super) fn decode(bytes: &[u8]) -> Result<Self, Malformed> {
        let mut reader = Reader::new(bytes);
        let (frames, puts, removals) = (reader.uint()?, reader.uint()?, reader.uint()?);
        let finished = Timestamp::from_millis(reader.int()?);
        let hash = reader.array()?;
        reader.end()?;
        Ok(Self { frames, puts, removals, finished, hash })
    }
}

/// The checksum of a frame.
pub(super) fn checksum(length: [u8; 4], kind: u8, payload: &[u8]) -> [u8; 4] {
    let mut crc = crc32fast::Hasher::new();
    crc.update(&length);
    crc.update(&[kind]);
    crc.update(payload);
    crc.finalize().to_be_bytes()
}
