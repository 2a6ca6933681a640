//! A store in memory of which records or lists cannot be read, or which cannot commit, for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::domain::{Preferences, Record, TaskId};
use crate::store::sled::{SledStore, in_memory};
use crate::store::{
    Batch, Claim, IndexEntry, IndexKey, Meta, OutboxEntry, Quarantined, Restored, Store, StoreError,
};

/// See the module.
pub(crate) struct FaultyStore {
    inner: SledStore,
    unreadable: AtomicI64,
    unlisted: AtomicI64,
    uncommitted: AtomicI64,
}

impl FaultyStore {
    pub(crate) fn new() -> Arc<Self> {
        let [unreadable, unlisted, uncommitted] = [0; 3].map(AtomicI64::new);
        Arc::new(Self { inner: in_memory().unwrap(), unreadable, unlisted, uncommitted })
    }

    /// The next `count` reads of a record fail.
    pub(crate) fn fail_reads(&self, count: i64) {
        self.unreadable.store(count, Ordering::SeqCst);
    }

    /// How many of them have not failed yet.
    pub(crate) fn reads_to_fail(&self) -> i64 {
        self.unreadable.load(Ordering::SeqCst).max(0)
    }

    /// The next `count` reads of the list of pending reminders or of the outbox find damage.
    pub(crate) fn damage_lists(&self, count: i64) {
        self.unlisted.store(count, Ordering::SeqCst);
    }

    fn listed(&self) -> Result<(), StoreError> {
        fail_one(&self.unlisted).map_err(|_| StoreError::Corrupt("as told".into()))
    }

    /// The next `count` commits fail.
    pub(crate) fn fail_commits(&self, count: i64) {
        self.uncommitted.store(count, Ordering::SeqCst);
    }
}

fn fail_one(left: &AtomicI64) -> Result<(), StoreError> {
    match left.fetch_sub(1, Ordering::SeqCst) {
        ..=0 => Ok(()),
        _ => Err(StoreError::Unavailable("as told".into())),
    }
}

impl Store for FaultyStore {
    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        // An empty one writes nothing that could fail.
        if !batch.is_empty() {
            fail_one(&self.uncommitted)?;
        }
        self.inner.commit(batch)
    }

    fn meta(&self) -> Result<Meta, StoreError> {
        self.inner.meta()
    }

    fn restored(&self) -> Result<Option<Restored>, StoreError> {
        self.inner.restored()
    }

    fn record(&self, task: &TaskId) -> Result<Option<Record>, StoreError> {
        fail_one(&self.unreadable)?;
        self.inner.record(task)
    }

    fn tasks(&self, after: Option<&TaskId>, limit: usize) -> Result<Vec<TaskId>, StoreError> {
        self.inner.tasks(after, limit)
    }

    fn preferences(&self, user: &str) -> Result<Option<Preferences>, StoreError> {
        self.inner.preferences(user)
    }

    fn users(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>, StoreError> {
        self.inner.users(after, limit)
    }

    fn pending(&self, after: Option<IndexKey>, limit: usize) -> Result<Vec<IndexEntry>, StoreError> {
        self.listed()?;
        self.inner.pending(after, limit)
    }

    fn settled(&self, after: Option<IndexKey>, limit: usize) -> Result<Vec<IndexEntry>, StoreError> {
        self.inner.settled(after, limit)
    }

    fn claims(&self) -> Result<Vec<Claim>, StoreError> {
        self.inner.claims()
    }

    fn quarantined(&self, after: Option<u64>, limit: usize) -> Result<Vec<(u64, Quarantined)>, StoreError> {
        self.inner.quarantined(after, limit)
    }

    fn quarantined_body(&self, number: u64) -> Result<Vec<u8>, StoreError> {
        self.inner.quarantined_body(number)
    }

    fn outbox(&self, after: Option<u64>, limit: usize) -> Result<Vec<(u64, OutboxEntry)>, StoreError> {
        self.listed()?;
        self.inner.outbox(after, limit)
    }

    fn outbox_body(&self, number: u64) -> Result<Vec<u8>, StoreError> {
        self.inner.outbox_body(number)
    }

    fn syncs(&self) -> u64 {
        self.inner.syncs()
    }
}
