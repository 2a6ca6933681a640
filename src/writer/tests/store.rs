//! A store in memory that counts, and fails on demand.

use std::collections::HashSet;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::domain::{Preferences, Record, TaskId};
use crate::store::sled::{SledStore, in_memory};
use crate::store::{
    Batch, Claim, DiskSpace, IndexEntry, IndexKey, Meta, OutboxEntry, Quarantined, Restored, Store,
    StoreError,
};

/// See the module.
pub(super) struct TestStore {
    inner: SledStore,
    /// Every batch handed in, failed tries included.
    tried: Mutex<Vec<Batch>>,
    /// How many commits will fail.
    failing: AtomicI64,
    unsynced: AtomicBool,
    gone: AtomicBool,
    /// No record can be read.
    unreachable: AtomicBool,
    /// How many reads of the pending index succeed before one fails; negative for all.
    readable: AtomicI64,
    /// That one fails since what it reads is damaged.
    damages_pending: AtomicBool,
    /// Records read so far.
    reads: AtomicI64,
    /// How often a user's preferences were read.
    preferences_read: AtomicUsize,
    /// How many bytes are free.
    free: AtomicU64,
    /// How often that was asked.
    looks: AtomicUsize,
    /// Tasks whose records are damaged.
    damaged: Mutex<HashSet<TaskId>>,
}

impl TestStore {
    pub(super) fn new() -> Arc<Self> {
        Self::on(in_memory().unwrap())
    }

    fn on(inner: SledStore) -> Arc<Self> {
        Arc::new(Self {
            inner,
            tried: Mutex::default(),
            failing: AtomicI64::new(0),
            unsynced: AtomicBool::new(false),
            gone: AtomicBool::new(false),
            unreachable: AtomicBool::new(false),
            readable: AtomicI64::new(-1),
            damages_pending: AtomicBool::new(false),
            reads: AtomicI64::new(0),
            preferences_read: AtomicUsize::new(0),
            free: AtomicU64::new(u64::MAX),
            looks: AtomicUsize::new(0),
            damaged: Mutex::default(),
        })
    }

    /// The next `count` commits fail.
    pub(super) fn fail_commits(&self, count: i64) {
        self.failing.store(count, Ordering::SeqCst);
    }

    /// Every commit from now on ends in doubt.
    pub(super) fn stop_syncing(&self) {
        self.unsynced.store(true, Ordering::SeqCst);
    }

    /// It is taken away from its process.
    pub(super) fn take_away(&self) {
        self.gone.store(true, Ordering::SeqCst);
    }

    pub(super) fn fail_reads(&self, fail: bool) {
        self.unreachable.store(fail, Ordering::SeqCst);
    }

    /// After `count` more reads of the pending index one fails.
    pub(super) fn fail_pending_after(&self, count: i64) {
        self.readable.store(count, Ordering::SeqCst);
    }

    /// After `count` more reads of the pending index one finds damage.
    pub(super) fn damage_pending_after(&self, count: i64) {
        self.damages_pending.store(true, Ordering::SeqCst);
        self.fail_pending_after(count);
    }

    /// How many records have been read since it was asked last.
    pub(super) fn reads(&self) -> i64 {
        self.reads.swap(0, Ordering::SeqCst)
    }

    pub(super) fn damage(&self, task: &TaskId) {
        self.damaged.lock().unwrap().insert(task.clone());
    }

    /// So many bytes are free from now on.
    pub(super) fn set_free(&self, bytes: u64) {
        self.free.store(bytes, Ordering::SeqCst);
    }

    /// How often somebody has looked how much is free.
    pub(super) fn looks(&self) -> usize {
        self.looks.load(Ordering::SeqCst)
    }

    /// Forgets the batches seen so far.
    pub(super) fn forget_batches(&self) {
        self.tried.lock().unwrap().clear();
    }

    /// The batches handed in since.
    pub(super) fn batches(&self) -> Vec<Batch> {
        self.tried.lock().unwrap().clone()
    }

    /// How often a user's preferences were read.
    pub(super) fn preferences_read(&self) -> usize {
        self.preferences_read.load(Ordering::SeqCst)
    }

    fn check(&self, task: &TaskId) -> Result<(), StoreError> {
        if self.unreachable.load(Ordering::SeqCst) {
            return Err(StoreError::Unavailable("as told".into()));
        }
        if self.damaged.lock().unwrap().contains(task) {
            return Err(StoreError::Corrupt("as told".into()));
        }
        Ok(())
    }
}

impl Store for TestStore {
    fn commit(&self, batch: &Batch) -> Result<(), StoreError> {
        if self.gone.load(Ordering::SeqCst) {
            return Err(StoreError::Gone { path: "store".into(), how: "as told" });
        }
        // An empty one writes nothing that could fail.
        if batch.is_empty() {
            return self.inner.commit(batch);
        }
        self.tried.lock().unwrap().push(batch.clone());
        if self.unsynced.load(Ordering::SeqCst) {
            return Err(StoreError::Unsynced("as told".into()));
        }
        if self.failing.fetch_sub(1, Ordering::SeqCst) > 0 {
            return Err(StoreError::Unavailable("as told".into()));
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
        self.reads.fetch_add(1, Ordering::SeqCst);
        self.check(task)?;
        self.inner.record(task)
    }

    fn tasks(&self, after: Option<&TaskId>, limit: usize) -> Result<Vec<TaskId>, StoreError> {
        self.inner.tasks(after, limit)
    }

    fn preferences(&self, user: &str) -> Result<Option<Preferences>, StoreError> {
        self.preferences_read.fetch_add(1, Ordering::SeqCst);
        self.inner.preferences(user)
    }

    fn users(&self, after: Option<&str>, limit: usize) -> Result<Vec<String>, StoreError> {
        self.inner.users(after, limit)
    }

    fn pending(&self, after: Option<IndexKey>, limit: usize) -> Result<Vec<IndexEntry>, StoreError> {
        if self.readable.load(Ordering::SeqCst) >= 0 && self.readable.fetch_sub(1, Ordering::SeqCst) == 0 {
            return Err(match self.damages_pending.load(Ordering::SeqCst) {
                true => StoreError::Corrupt("as told".into()),
                false => StoreError::Unavailable("as told".into()),
            });
        }
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
        self.inner.outbox(after, limit)
    }

    fn outbox_body(&self, number: u64) -> Result<Vec<u8>, StoreError> {
        self.inner.outbox_body(number)
    }

    fn disk_space(&self) -> std::io::Result<Option<DiskSpace>> {
        self.looks.fetch_add(1, Ordering::SeqCst);
        Ok(Some(DiskSpace { free: self.free.load(Ordering::SeqCst), size: u64::MAX }))
    }

    fn syncs(&self) -> u64 {
        self.inner.syncs()
    }
}
