//! A disk that is watched for what it can't read.
//!
//! A page that was changed behind the engine's back can be read around for a while, and no longer: the engine merges a page
//! that has few entries left with the one beside it, and where it can't read that one it loses its way to all the others.
//! So once any page can't be read nothing more is written ([`StoreError::Torn`]), and the process ends; the next start
//! makes the store anew ([`super::open`]). What the engine reads well and no release can make sense of is another matter:
//! that is one value, and hurts nothing else.

use std::sync::OnceLock;

use super::disk::{Bytes, Disk, Visit, Writes};
use crate::store::{DiskSpace, StoreError};

/// See the module.
pub(super) struct Watched {
    disk: Box<dyn Disk>,
    torn: OnceLock<String>,
}

impl Watched {
    pub(super) fn over(disk: Box<dyn Disk>) -> Self {
        Self { disk, torn: OnceLock::new() }
    }

    /// What could not be read first, if anything.
    pub(super) fn torn(&self) -> Option<&str> {
        self.torn.get().map(String::as_str)
    }

    /// Takes it for torn, as one that could not be read.
    pub(super) fn tear(&self, why: String) {
        self.torn.get_or_init(|| why);
    }

    fn watch<T>(&self, done: Result<T, StoreError>) -> Result<T, StoreError> {
        if let Err(StoreError::Corrupt(why)) = &done {
            self.torn.get_or_init(|| why.clone());
        }
        done
    }

    /// Watches a walk by `read`, but for what its visitor finds.
    fn walk(
        &self,
        visit: &mut Visit<'_>,
        read: impl FnOnce(&mut Visit<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut found = Ok(true);
        let read = read(&mut |key, value| {
            found = visit(key, value);
            Ok(matches!(found, Ok(true)))
        });
        found.map(drop).and(self.watch(read))
    }
}

impl Disk for Watched {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.watch(self.disk.get(key))
    }

    fn range(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.walk(visit, |visit| self.disk.range(from, to, visit))
    }

    fn range_back(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.walk(visit, |visit| self.disk.range_back(from, to, visit))
    }

    fn apply(&self, writes: &Writes) -> Result<(), StoreError> {
        self.watch(self.disk.apply(writes))
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.watch(self.disk.flush())
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.disk.sync()
    }

    fn space(&self) -> std::io::Result<Option<DiskSpace>> {
        self.disk.space()
    }

    fn lies_at(&self, file: &std::path::Path) -> std::io::Result<bool> {
        self.disk.lies_at(file)
    }
}
