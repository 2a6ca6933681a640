//! Disks that tell what was done to them, fail when told to, and lose what was not forced.

use std::sync::{Arc, Mutex};

use crate::domain::{ReminderId, TaskId, Timestamp};
use crate::store::StoreError;
use crate::store::sled::disk::{Bytes, Disk, Visit, Writes};
use crate::store::sled::memory::MemoryDisk;
use crate::store::sled::{SledStore, keys};

/// One step of a commit.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(in crate::store::sled) enum Step {
    Apply,
    /// An apply of which a part stays visible.
    HalfApply,
    Flush,
    Sync,
}

#[derive(Default)]
struct Inner {
    visible: MemoryDisk,
    /// Applied and not yet flushed, then flushed and not yet synced.
    applied: Writes,
    flushed: Writes,
    durable: MemoryDisk,
    fail: Option<Step>,
    steps: Vec<Step>,
    longest: usize,
}

/// A map with a device behind it: what is applied is visible, what is flushed and synced outlasts a power cut.
#[derive(Clone, Default)]
pub(in crate::store::sled) struct TestDisk(Arc<Mutex<Inner>>);

impl TestDisk {
    /// The next step of this kind fails, once.
    pub(in crate::store::sled) fn fail_next(&self, step: Step) {
        self.0.lock().unwrap().fail = Some(step);
    }

    /// The steps taken since last asked.
    pub(in crate::store::sled) fn steps(&self) -> Vec<Step> {
        std::mem::take(&mut self.0.lock().unwrap().steps)
    }

    /// The longest value ever written.
    pub(in crate::store::sled) fn longest(&self) -> usize {
        self.0.lock().unwrap().longest
    }

    /// What is found after the power went.
    pub(in crate::store::sled) fn after_power_cut(&self) -> Self {
        let all = entries(&self.0.lock().unwrap().durable);
        let disk = Self::default();
        disk.write(&all).unwrap();
        disk.steps();
        disk
    }

    /// Everything visible.
    pub(in crate::store::sled) fn entries(&self) -> Writes {
        entries(&self.0.lock().unwrap().visible)
    }
}

fn entries(disk: &MemoryDisk) -> Writes {
    let mut all = Writes::new();
    disk.range(&[], &[u8::MAX; 2], &mut |key, value| {
        all.insert(key.to_vec(), Some(value.to_vec()));
        Ok(true)
    })
    .unwrap();
    all
}

impl Inner {
    fn begin(&mut self, step: Step) -> Result<(), StoreError> {
        self.steps.push(step);
        if self.fail != Some(step) {
            return Ok(());
        }
        self.fail = None;
        match step {
            Step::Sync => Err(StoreError::Unsynced("told to".into())),
            _ => Err(StoreError::Unavailable("told to".into())),
        }
    }
}

impl Disk for TestDisk {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        self.0.lock().unwrap().visible.get(key)
    }

    fn range(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        // Taken out first, since a visitor may read in between.
        let mut found = Vec::new();
        self.0.lock().unwrap().visible.range(from, to, &mut |key, value| {
            found.push((key.to_vec(), value.clone()));
            Ok(true)
        })?;
        for (key, value) in found {
            if !visit(&key, &value)? {
                break;
            }
        }
        Ok(())
    }

    fn range_back(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.0.lock().unwrap().visible.range_back(from, to, visit)
    }

    fn apply(&self, writes: &Writes) -> Result<(), StoreError> {
        let mut inner = self.0.lock().unwrap();
        inner.begin(Step::Apply)?;
        if inner.fail == Some(Step::HalfApply) {
            let half = writes.iter().step_by(2).map(|(key, value)| (key.clone(), value.clone())).collect();
            inner.visible.apply(&half)?;
            return inner.begin(Step::HalfApply);
        }
        let longest = writes.values().flatten().map(Vec::len).max().unwrap_or(0);
        inner.longest = inner.longest.max(longest);
        inner.applied.extend(writes.clone());
        inner.visible.apply(writes)
    }

    fn flush(&self) -> Result<(), StoreError> {
        let mut inner = self.0.lock().unwrap();
        inner.begin(Step::Flush)?;
        let applied = std::mem::take(&mut inner.applied);
        inner.flushed.extend(applied);
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        let mut inner = self.0.lock().unwrap();
        inner.begin(Step::Sync)?;
        let flushed = std::mem::take(&mut inner.flushed);
        inner.durable.apply(&flushed)
    }
}

/// A map of which the entries from one key up to another can't be read, as when a page of the engine's is damaged: who
/// comes upon them from either side gets what lies before them, and then an error.
pub(in crate::store::sled) struct TornDisk {
    pub(in crate::store::sled) whole: MemoryDisk,
    pub(in crate::store::sled) from: Vec<u8>,
    pub(in crate::store::sled) to: Vec<u8>,
}

impl TornDisk {
    /// Shows by `show` what of a walk lies in front of the tear, where it comes upon it, and all of it where it does not.
    fn up_to_the_tear(
        &self,
        (from, to): (&[u8], &[u8]),
        in_front: (&[u8], &[u8]),
        visit: &mut Visit<'_>,
        show: impl Fn(&[u8], &[u8], &mut Visit<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        if *to <= *self.from || *self.to <= *from {
            return show(from, to, visit);
        }
        let mut goes_on = true;
        show(in_front.0, in_front.1, &mut |key, value| {
            goes_on = visit(key, value)?;
            Ok(goes_on)
        })?;
        if goes_on { Err(StoreError::Corrupt("the page is torn".into())) } else { Ok(()) }
    }
}

impl Disk for TornDisk {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        let mut found = None;
        self.range(key, &[key, &[0]].concat(), &mut |_, value| {
            found = Some(value.clone());
            Ok(true)
        })?;
        Ok(found)
    }

    fn range(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let show = |from: &[u8], to: &[u8], visit: &mut Visit<'_>| self.whole.range(from, to, visit);
        self.up_to_the_tear((from, to), (from, &self.from), visit, show)
    }

    fn range_back(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let show = |from: &[u8], to: &[u8], visit: &mut Visit<'_>| self.whole.range_back(from, to, visit);
        self.up_to_the_tear((from, to), (&self.to, to), visit, show)
    }

    /// A page has to be read to be written. What comes before it in a batch is visible then.
    fn apply(&self, writes: &Writes) -> Result<(), StoreError> {
        let is_in = |key: &[u8]| *self.from <= *key && *key < *self.to;
        let before = writes.iter().take_while(|(key, _)| !is_in(key));
        self.whole.apply(&before.map(|(key, value)| (key.clone(), value.clone())).collect())?;
        if writes.keys().any(|key| is_in(key)) {
            return Err(StoreError::Corrupt("the page is torn".into()));
        }
        self.whole.apply(writes)
    }

    fn flush(&self) -> Result<(), StoreError> {
        Ok(())
    }

    fn sync(&self) -> Result<(), StoreError> {
        Ok(())
    }
}

/// Where `needle` begins in `hay`.
pub(in crate::store::sled) fn places_of(needle: &[u8], hay: &[u8]) -> Vec<usize> {
    hay.windows(needle.len()).enumerate().filter(|(_, here)| *here == needle).map(|(at, _)| at).collect()
}

impl SledStore {
    /// A copy in memory in which what lies from one key up to another can't be read.
    pub(in crate::store::sled) fn torn(&self, from: Vec<u8>, to: Vec<u8>) -> Self {
        let whole = MemoryDisk::of(&self.disk).unwrap();
        Self::on(Box::new(TornDisk { whole, from, to })).unwrap()
    }

    /// The same of the records of the tasks from one up to another.
    pub(crate) fn torn_tasks(&self, from: &TaskId, to: &TaskId) -> Self {
        self.torn(keys::record(from), keys::record(to))
    }

    /// The same of the places of pending reminders from one instant up to another.
    pub(crate) fn torn_pending(&self, from: Timestamp, to: Timestamp) -> Self {
        let place = |at| keys::index(keys::PENDING, &(at, ReminderId::from_bytes([0; 16])));
        self.torn(place(from), place(to))
    }

    /// The same of entries of the outbox from one up to another.
    pub(crate) fn torn_outbox(&self, from: u64, to: u64) -> Self {
        self.torn(keys::numbered(keys::OUTBOX, from), keys::numbered(keys::OUTBOX, to))
    }
}
