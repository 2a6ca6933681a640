//! A disk that is none: a map, for tests and simulations.

use std::collections::BTreeMap;
use std::sync::{PoisonError, RwLock};

use super::disk::{Bytes, Disk, Visit, Writes};
use crate::store::StoreError;

/// Keys and values that last as long as the process.
#[derive(Default)]
pub(super) struct MemoryDisk {
    entries: RwLock<BTreeMap<Vec<u8>, Bytes>>,
}

impl MemoryDisk {
    /// All that `disk` holds.
    pub(super) fn of(disk: &dyn Disk) -> Result<Self, StoreError> {
        let mut entries = BTreeMap::new();
        disk.range(&[], &[u8::MAX], &mut |key, value| {
            // A copy: the engine's own would hold on to the page that it was read from.
            entries.insert(key.to_vec(), Bytes::from(value.as_ref()));
            Ok(true)
        })?;
        Ok(Self { entries: RwLock::new(entries) })
    }
}

impl Disk for MemoryDisk {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        Ok(self.entries.read().unwrap_or_else(PoisonError::into_inner).get(key).cloned())
    }

    fn range(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in entries.range(from.to_vec()..to.to_vec()) {
            if !visit(key, value)? {
                break;
            }
        }
        Ok(())
    }

    fn range_back(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        if from >= to {
            return Ok(());
        }
        let entries = self.entries.read().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in entries.range(from.to_vec()..to.to_vec()).rev() {
            if !visit(key, value)? {
                break;
            }
        }
        Ok(())
    }

    fn apply(&self, writes: &Writes) -> Result<(), StoreError> {
        let mut entries = self.entries.write().unwrap_or_else(PoisonError::into_inner);
        for (key, value) in writes {
            match value {
                Some(value) => entries.insert(key.clone(), value.as_slice().into()),
                None => entries.remove(key),
            };
        }
        Ok(())
    }

    fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
