//! A file for fuzzing alone: no input hits a checksum, so what its frames hold is the input's and what guards them is right.

use miniz_oxide::deflate::compress_to_vec;
use sha2::{Digest, Sha256};

use super::frame::{ENTRIES, MAGIC, TRAILER, checksum};

/// The frames that `bytes` name, one after another: a kind, a length (u16, big-endian) and what it holds. Entries are
/// deflated, and a last frame is given the hash of what is before it.
pub(in crate::store::sled) fn framed(mut bytes: &[u8]) -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    while let [kind, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low])).min(rest.len());
        let (held, behind) = rest.split_at(length);
        let payload = match *kind {
            ENTRIES => compress_to_vec(held, 1),
            TRAILER => [held, Sha256::digest(&file).as_slice()].concat(),
            _ => held.to_vec(),
        };
        let Ok(length) = u32::try_from(payload.len()).map(u32::to_be_bytes) else { return file };
        let sum = checksum(length, *kind, &payload);
        file.extend(length.iter().chain([kind]).chain(&payload).chain(&sum));
        bytes = behind;
    }
    file
}
