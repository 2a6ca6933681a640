//! Values of any length over a disk whose values must stay short.
//!
//! sled puts a node that grows above a quarter of a segment into a file of its own, which nobody syncs: such
//! values were lost in every power cut tried. A node holds some 16 entries, so no value may be long; one that
//! is goes on in parts under consecutive keys of a space of their own.

use std::ops::Deref;

use super::disk::{Bytes, Disk, Writes};
use super::keys;
use crate::store::StoreError;

/// Longest value handed to the disk: 16 of them are an eighth of the segment, half of what a node may be.
pub(super) const VALUE_MAX: usize = 32 * 1024;

/// The first byte of a value that is all there; the rest is the value.
const WHOLE: u8 = 0;
/// The first byte of a value in parts; the rest is its length, a big-endian u32.
const PARTED: u8 = 1;

/// A value as read, without a copy where it is whole.
pub(super) enum Value {
    /// From the disk, its first byte a mark.
    Whole(Bytes),
    /// Put together.
    Joined(Vec<u8>),
}

impl Deref for Value {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Whole(bytes) => &bytes[1..],
            Self::Joined(bytes) => bytes,
        }
    }
}

/// Whether a stored value is in parts.
pub(super) fn is_parted(stored: &Bytes) -> bool {
    stored.first() == Some(&PARTED)
}

/// Reads what [`Parts::put`] wrote at `key`.
pub(super) fn get(disk: &dyn Disk, key: &[u8]) -> Result<Option<Value>, StoreError> {
    disk.get(key)?.map(|stored| value(disk, key, &stored)).transpose()
}

/// The value whose stored form at `key` is `stored`.
pub(super) fn value(disk: &dyn Disk, key: &[u8], stored: &Bytes) -> Result<Value, StoreError> {
    match stored.split_first() {
        Some((&WHOLE, _)) => Ok(Value::Whole(stored.clone())),
        Some((&PARTED, length)) => {
            let length: [u8; 4] = length.try_into().map_err(|_| corrupt("the length of a value in parts"))?;
            join(disk, key, u32::from_be_bytes(length)).map(Value::Joined)
        }
        _ => Err(corrupt("the first byte of a value")),
    }
}

fn join(disk: &dyn Disk, key: &[u8], length: u32) -> Result<Vec<u8>, StoreError> {
    let prefix = keys::parts(key);
    let mut joined = Vec::new();
    disk.range(&prefix, &keys::beyond(&prefix), &mut |_, part| {
        joined.extend_from_slice(part);
        Ok(true)
    })?;
    if u32::try_from(joined.len()) == Ok(length) { Ok(joined) } else { Err(corrupt("a value in parts")) }
}

fn corrupt(what: &str) -> StoreError {
    StoreError::Corrupt(what.to_owned())
}

/// Writes values, and knows which spaces have any in parts, so that a write in the others need not look for
/// parts that it replaces.
#[derive(Clone, Default)]
pub(super) struct Parts {
    spaces: Vec<u8>,
}

impl Parts {
    /// What `disk` holds in parts.
    pub(super) fn of(disk: &dyn Disk) -> Result<Self, StoreError> {
        let mut spaces = Vec::new();
        for space in keys::SPACES {
            let prefix = [keys::PART, space];
            disk.range(&prefix, &keys::beyond(&prefix), &mut |_, _| {
                spaces.push(space);
                Ok(false)
            })?;
        }
        Ok(Self { spaces })
    }

    /// Writes `bytes` at `key`.
    pub(super) fn put(
        &mut self,
        disk: &dyn Disk,
        writes: &mut Writes,
        key: Vec<u8>,
        bytes: &[u8],
    ) -> Result<(), StoreError> {
        self.clear(disk, writes, &key)?;
        if bytes.len() < VALUE_MAX {
            let mut stored = Vec::with_capacity(1 + bytes.len());
            stored.push(WHOLE);
            stored.extend_from_slice(bytes);
            writes.insert(key, Some(stored));
            return Ok(());
        }
        let length = u32::try_from(bytes.len())
            .map_err(|_| StoreError::Unavailable("a value of 4 GiB cannot be kept".into()))?;
        let prefix = keys::parts(&key);
        if !self.spaces.contains(&key[0]) {
            self.spaces.push(key[0]);
        }
        for (number, part) in (0..).zip(bytes.chunks(VALUE_MAX)) {
            writes.insert(keys::part(&prefix, number), Some(part.to_vec()));
        }
        let mut stored = vec![PARTED];
        stored.extend_from_slice(&length.to_be_bytes());
        writes.insert(key, Some(stored));
        Ok(())
    }

    /// Removes what is at `key`.
    pub(super) fn remove(
        &self,
        disk: &dyn Disk,
        writes: &mut Writes,
        key: Vec<u8>,
    ) -> Result<(), StoreError> {
        self.clear(disk, writes, &key)?;
        writes.insert(key, None);
        Ok(())
    }

    /// Removes the parts of `key`, on the disk or written earlier in the same batch.
    fn clear(&self, disk: &dyn Disk, writes: &mut Writes, key: &[u8]) -> Result<(), StoreError> {
        if !self.spaces.contains(&key[0]) {
            return Ok(());
        }
        let prefix = keys::parts(key);
        let beyond = keys::beyond(&prefix);
        for (_, value) in writes.range_mut(prefix.clone()..beyond.clone()) {
            *value = None;
        }
        disk.range(&prefix, &beyond, &mut |part, _| {
            writes.insert(part.to_vec(), None);
            Ok(true)
        })
    }
}
