//! Copies of a store in one file: backups that a running worker makes, and exports.
//!
//! Owns the format of the file ([`frame`]: how it is cut and checked; [`write`] and [`read`]), how a store that is being
//! written is copied to it ([`hot`]), and which files a directory of backups keeps ([`shelf`]).
//!
//! A file holds the keys and values of the store's own layout in the order in which they were written or seen: **the
//! last mention of a key wins**. So a copy of a store at work is a walk through its keys with all that is committed
//! meanwhile put between, and is exactly the store as it was at the end of the walk. A file is whole or it is nothing:
//! one that was cut off or changed anywhere is refused, never half believed.

mod erased;
mod frame;
#[cfg(fuzzing)]
pub(super) mod fuzzing;
mod hot;
mod read;
mod shelf;
mod write;

pub use erased::{Beside, Erased, Erasing};
pub use frame::{FileError, Head};
pub use hot::BackupError;
pub(super) use hot::Behind;
pub use read::Contents;
pub(super) use read::read_file;
pub use shelf::{Kept, Shelf, check_file};
pub(super) use shelf::{stamp, write};

#[cfg(test)]
mod tests;
