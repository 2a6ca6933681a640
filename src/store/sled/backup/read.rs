//! Reading a file, to its last byte: whoever is shown its entries must drop them all if the reading ends in an error.

use std::io::{self, Read};

use miniz_oxide::inflate::decompress_to_vec_with_limit;
use sha2::{Digest, Sha256};

use super::super::migrations::FORMAT;
use super::super::wire::{Malformed, Reader};
use super::frame::{
    ENTRIES, FRAME_MAX, FileError, HEAD, Head, MAGIC, PAYLOAD_MAX, PUT, REMOVE, TRAILER, Trailer, checksum,
};
use crate::domain::Timestamp;
use crate::store::StoreError;

/// What a whole file is.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Contents {
    /// What it says of itself.
    pub head: Head,
    /// It holds what was committed until then; for an export, when that was made.
    pub finished: Timestamp,
    /// Its bytes.
    pub bytes: u64,
}

/// Sees an entry, or a key that goes.
pub(in crate::store::sled) type See<'a> = dyn FnMut(&[u8], Option<&[u8]>) -> Result<(), StoreError> + 'a;

/// Reads `from` to its end, shows each entry in the order of the file and says what the file is.
///
/// # Errors
/// [`FileError`]: what was shown must not be used.
pub(in crate::store::sled) fn read_file(from: impl Read, see: &mut See<'_>) -> Result<Contents, FileError> {
    let mut file = Frames { from, hash: Sha256::new(), at: 0, frames: 0, payload: Vec::new() };
    let mut magic = [0; MAGIC.len()];
    match file.from.read_exact(&mut magic) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Err(FileError::Foreign),
        Err(error) => return Err(error.into()),
        Ok(()) if magic != MAGIC => return Err(FileError::Foreign),
        Ok(()) => file.hash.update(magic),
    }
    file.at = MAGIC.len() as u64;
    let head = match file.next()? {
        (HEAD, at, _) => Head::decode(&file.payload, FORMAT).map_err(|why| damaged(at, why))??,
        (_, at, _) => return Err(damaged(at, Malformed("it does not begin with its head"))),
    };
    let (mut puts, mut removals) = (0, 0);
    loop {
        let (kind, at, hash) = file.next()?;
        let result = match kind {
            ENTRIES => show(&file.payload, see, &mut puts, &mut removals),
            TRAILER => {
                let trailer = Trailer::decode(&file.payload).map_err(|why| damaged(at, why))?;
                let told = (trailer.frames, trailer.puts, trailer.removals);
                if told != (file.frames - 1, puts, removals) || trailer.hash != hash {
                    return Err(damaged(
                        at,
                        Malformed("it is not what was written: a part is missing or changed"),
                    ));
                }
                file.end()?;
                return Ok(Contents { head, finished: trailer.finished, bytes: file.at });
            }
            _ => Err(Unshown::Malformed(Malformed("a frame is of no kind that is known"))),
        };
        result.map_err(|why| match why {
            Unshown::Malformed(why) => damaged(at, why),
            Unshown::Use(error) => FileError::Use(error),
        })?;
    }
}

enum Unshown {
    Malformed(Malformed),
    Use(StoreError),
}

impl From<Malformed> for Unshown {
    fn from(why: Malformed) -> Self {
        Self::Malformed(why)
    }
}

fn show(deflated: &[u8], see: &mut See<'_>, puts: &mut u64, removals: &mut u64) -> Result<(), Unshown> {
    let entries = decompress_to_vec_with_limit(deflated, FRAME_MAX)
        .map_err(|_| Malformed("the entries of a frame cannot be inflated"))?;
    let mut reader = Reader::new(&entries);
    while reader.end().is_err() {
        let mark = reader.byte()?;
        let key = reader.bytes()?;
        // The store's own keys stay below the byte that ends its walks.
        if key.first().is_none_or(|space| *space == u8::MAX) {
            return Err(Malformed("an entry has no key of a store").into());
        }
        let value = match mark {
            PUT => Some(reader.bytes()?),
            REMOVE => None,
            _ => return Err(Malformed("an entry is neither written nor removed").into()),
        };
        *(if value.is_some() { &mut *puts } else { &mut *removals }) += 1;
        see(key, value).map_err(Unshown::Use)?;
    }
    Ok(())
}

fn damaged(at: u64, why: Malformed) -> FileError {
    FileError::Damaged { at, why: why.0 }
}

struct Frames<R> {
    from: R,
    hash: Sha256,
    at: u64,
    frames: u64,
    payload: Vec<u8>,
}

impl<R: Read> Frames<R> {
    /// Reads the next frame into `payload`: its kind, where it began, and the hash of all before it.
    fn next(&mut self) -> Result<(u8, u64, [u8; 32]), FileError> {
        let began = self.at;
        let before = self.hash.clone();
        let mut front = [0; 5];
        self.fill(&mut front, began)?;
        let [l0, l1, l2, l3, kind] = front;
        let bytes = [l0, l1, l2, l3];
        let length = usize::try_from(u32::from_be_bytes(bytes)).ok().filter(|length| *length <= PAYLOAD_MAX);
        let length = length.ok_or(damaged(began, Malformed("a frame is longer than any is")))?;
        let mut payload = std::mem::take(&mut self.payload);
        payload.resize(length, 0);
        self.fill(&mut payload, began)?;
        let mut sum = [0; 4];
        self.fill(&mut sum, began)?;
        if sum != checksum(bytes, kind, &payload) {
            return Err(damaged(began, Malformed("a frame does not match its checksum")));
        }
        self.payload = payload;
        self.frames += 1;
        let hash = if kind == TRAILER { before.finalize().into() } else { [0; 32] };
        Ok((kind, began, hash))
    }

    fn fill(&mut self, bytes: &mut [u8], began: u64) -> Result<(), FileError> {
        match self.from.read_exact(bytes) {
            Ok(()) => {
                self.hash.update(&*bytes);
                self.at += bytes.len() as u64;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                Err(damaged(began, Malformed("it is cut off")))
            }
            Err(error) => Err(error.into()),
        }
    }

    fn end(&mut self) -> Result<(), FileError> {
        let mut more = [0];
        match self.from.read_exact(&mut more) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(()),
            Err(error) => Err(error.into()),
            Ok(()) => Err(damaged(self.at, Malformed("something follows its end"))),
        }
    }
}
