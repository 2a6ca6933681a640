//! Walking through what is kept, around what can't be read: for who must see all there is and can't wait until it is whole.
//!
//! From the front, and where that comes upon what can't be read from the back: what lies between is left out, and told by
//! where it begins and ends. Accepted: of several such places, what lies between the first and the last is left out too.

use super::{Batch, OutboxEntry, Quarantined, StoreError};
use crate::domain::TaskId;

/// What is kept around what can't be read: at most `limit` from where `walk` stands, from the front where it has not begun,
/// in no order.
pub trait Around {
    /// The tasks that have a record.
    ///
    /// # Errors
    /// [`StoreError`], but for what can't be read.
    fn tasks_around(&self, walk: Option<&Walk>, limit: usize) -> Result<Stretch<TaskId>, StoreError>;

    /// The tasks that have a record and can be read, in the order of their ids: at most `limit` behind `after`, and fewer
    /// only at the end. What can't be read is passed over without a word, and costs a look at all that lies behind it: for
    /// who comes by again and again, and leaves the telling to the recount.
    ///
    /// # Errors
    /// [`StoreError`], but for what can't be read.
    fn tasks_behind(&self, after: Option<&TaskId>, limit: usize) -> Result<Vec<TaskId>, StoreError>;

    /// The numbers of quarantined events.
    ///
    /// # Errors
    /// [`StoreError`], but for what can't be read.
    fn quarantined_around(&self, walk: Option<&Walk>, limit: usize) -> Result<Stretch<u64>, StoreError>;

    /// The numbers of outbox entries.
    ///
    /// # Errors
    /// [`StoreError`], but for what can't be read.
    fn outbox_around(&self, walk: Option<&Walk>, limit: usize) -> Result<Stretch<u64>, StoreError>;

    /// The quarantined event of that number, whatever lies beside it.
    ///
    /// # Errors
    /// [`StoreError`]
    fn quarantined_at(&self, number: u64) -> Result<Option<Quarantined>, StoreError>;

    /// The outbox entry of that number, whatever lies beside it.
    ///
    /// # Errors
    /// [`StoreError`]
    fn outbox_at(&self, number: u64) -> Result<Option<OutboxEntry>, StoreError>;

    /// That all can be read that `batch` writes to: what can't be read can't be written either, and a commit that fails for
    /// that reason may fail for ever. For who can leave it undone.
    ///
    /// # Errors
    /// [`StoreError`]
    fn reaches(&self, batch: &Batch) -> Result<(), StoreError>;
}

/// Where a walk stands, in the store's own terms.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Walk {
    pub(super) from: Vec<u8>,
    pub(super) to: Vec<u8>,
    /// Why it did not come further from the front, and comes from the back.
    pub(super) unread: Option<String>,
}

/// A step of a walk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Stretch<K> {
    /// What is there.
    pub found: Vec<K>,
    /// Keys that say nothing.
    pub unreadable: u64,
    /// At the end of the walk: what it could not see, if anything.
    pub left_out: Option<String>,
    /// Where to go on; `None` at the end.
    pub next: Option<Walk>,
}
