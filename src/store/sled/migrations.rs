//! The format of a store, and the steps from one format to the next.
//!
//! A step is one batch together with the number of its new format, so it happens once, whole, or not at all. A
//! store without a number has just been created, or was when the process ended; it holds nothing then.

use super::disk::{Disk, Writes};
use super::keys;
use crate::store::StoreError;

/// The format that this release writes.
pub(super) const FORMAT: u32 = 4;

/// The steps of this release, one a format from the second on.
pub(super) const MIGRATIONS: &[Migration] = &[
    // Records may be of an encoding that the releases before did not know. This one reads both: nothing is rewritten.
    Migration { to: 2, run: |_, _| Ok(()) },
    // So may the values of the reminder indexes.
    Migration { to: 3, run: |_, _| Ok(()) },
    // The counters may have sections, and the store a number of its own, both of which a release before would take for
    // damage. The number is drawn by who opens the store for a worker.
    Migration { to: 4, run: |_, _| Ok(()) },
];

/// A step to the next format.
pub(super) struct Migration {
    /// The format it makes.
    pub(super) to: u32,
    /// Adds what is to be written to bring the disk there.
    pub(super) run: fn(&dyn Disk, &mut Writes) -> Result<(), StoreError>,
}

/// Why a store could not be brought to the newest format.
#[derive(Debug)]
pub(super) enum FormatError {
    /// It has one that is not known.
    Newer(u32),
    /// It holds something that is no store of ours.
    Foreign,
    /// It failed.
    Store(StoreError),
}

impl From<StoreError> for FormatError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// The format of what is on `disk`; `None` if nothing is.
pub(super) fn format(disk: &dyn Disk) -> Result<Option<u32>, FormatError> {
    if let Some(stored) = disk.get(&keys::single(keys::FORMAT))? {
        let bytes: [u8; 4] = stored.as_ref().try_into().map_err(|_| FormatError::Foreign)?;
        return Ok(Some(u32::from_be_bytes(bytes)));
    }
    let mut empty = true;
    disk.range(&[], &[u8::MAX], &mut |_, _| {
        empty = false;
        Ok(false)
    })?;
    if empty { Ok(None) } else { Err(FormatError::Foreign) }
}

/// Brings `disk` to format `newest` by the steps of `table`.
pub(super) fn migrate(disk: &dyn Disk, table: &[Migration], newest: u32) -> Result<(), FormatError> {
    let found = match format(disk)? {
        None => return Ok(disk.write(&stamped(Writes::new(), newest))?),
        Some(found) if found > newest => return Err(FormatError::Newer(found)),
        Some(found) => found,
    };
    for step in table.iter().filter(|step| step.to > found) {
        let mut writes = Writes::new();
        (step.run)(disk, &mut writes)?;
        disk.write(&stamped(writes, step.to))?;
    }
    Ok(())
}

fn stamped(mut writes: Writes, format: u32) -> Writes {
    writes.insert(keys::single(keys::FORMAT), Some(format.to_be_bytes().to_vec()));
    writes
}
