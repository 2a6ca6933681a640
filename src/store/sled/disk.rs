//! The seam between what the store means and what carries it: ordered keys, one atomic write at a time, and
//! the two steps that make it durable. The engine is behind it in a running worker, a map in tests, and a
//! failing disk in the tests of what a failure leaves.

use std::collections::BTreeMap;
use std::path::Path;

pub(super) use sled::IVec as Bytes;

use crate::store::{DiskSpace, StoreError};

/// Key → value, or `None` where the key goes.
pub(super) type Writes = BTreeMap<Vec<u8>, Option<Vec<u8>>>;

/// Sees one entry of a range; false ends the reading.
pub(super) type Visit<'a> = dyn FnMut(&[u8], &Bytes) -> Result<bool, StoreError> + 'a;

/// Ordered keys and values on something durable.
pub(super) trait Disk: Send + Sync {
    /// The value of `key`.
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError>;

    /// Shows the entries from `from` up to and without `to`, in order.
    fn range(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError>;

    /// The same, from the last to the first.
    fn range_back(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError>;

    /// Writes all of `writes` or nothing, visible at once and durable after [`Disk::flush`] and [`Disk::sync`].
    fn apply(&self, writes: &Writes) -> Result<(), StoreError>;

    /// Hands what was applied to the operating system.
    fn flush(&self) -> Result<(), StoreError>;

    /// Waits until the device has what was flushed. Once this has failed nothing says what is durable.
    fn sync(&self) -> Result<(), StoreError>;

    /// How much room it has; `None` where that means nothing.
    fn space(&self) -> std::io::Result<Option<DiskSpace>> {
        Ok(None)
    }

    /// Whether `file` is the very file that it is kept in; always where it is kept in none.
    fn lies_at(&self, _file: &Path) -> std::io::Result<bool> {
        Ok(true)
    }

    /// The three steps of one commit.
    fn write(&self, writes: &Writes) -> Result<(), StoreError> {
        self.apply(writes)?;
        self.flush()?;
        self.sync()
    }
}
