//! A store in memory of which records or lists cannot be read, or which cannot commit, for a while.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::domain::{Preferences, Record, TaskId};
use crate::store::sled::{SledStore, in_memory};
use crate::store::{
    Around, Batch, Claim, IndexEntry, IndexKey, Meta, OutboxEntry, Quarantined, Restored, Store, StoreError,
    Stretch, Walk,
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
        Self::of(in_memory().unwrap())
    }

    /// A copy in which the records of the tasks from one up to another can't be read.
    pub(crate) fn torn_tasks(&self, from: &TaskId, to: &TaskId) -> Arc<Self> {
        Self::of(self.inner.torn_tasks(from, to))
    }

    fn of(inner: SledStore) -> Arc<Self> {
        let [unreadable, unlisted, uncommitted] = [0; 3].map(AtomicI64::new);
        Arc::new(Self { inner, unreadable, unlisted, uncommitted })
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

impl Around for FaultyStore {
    fn tasks_around(&self, walk: Option<&Walk>, limit: usize) -> Result<Stretch<TaskId>, StoreError> {
        self.inner.tasks_around(walk, limit)
    }

    fn tasks_behind(&self, after: Option<&TaskId>, limit: usize) -> Result<Vec<TaskId>, StoreError> {
        self.inner.tasks_behind(after, limit)
    }

    fn quarantined_around(&self, walk: Option<&Walk>, limit: usize) -> Result<Stretch<u64>, StoreError> {
        self.inner.quarantined_around(walk, limit)
    }

    fn outbox_around(&self, walk: Option<&Walk>, limit: usize) -> Result<Stretch<u64>, StoreError> {
        self.inner.outbox_around(walk, limit)
    }

    fn quarantined_at(&self, number: u64) -> Result<Option<Quarantined>, StoreError> {
        self.inner.quarantined_at(number)
    }

    fn outbox_at(&self, number: u64) -> Result<Option<OutboxEntry>, StoreError> {
        self.inner.outbox_at(number)
    }

    fn reaches(&self, batch: &Batch) -> Result<(), StoreError> {
        self.inner.reaches(batch)
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
