//! Disks that tell what was done to them, fail when told to, and lose what was not forced.

use std::sync::{Arc, Mutex};

use crate::store::StoreError;
use crate::store::sled::disk::{Bytes, Disk, Visit, Writes};
use crate::store::sled::memory::MemoryDisk;

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

/// A map in which there are tears, from one key up to another: what lies there can't be read, as when a page of the engine's
/// is damaged. Who comes upon one from either side gets what lies before it, and then an error.
pub(in crate::store::sled) struct TornDisk {
    pub(in crate::store::sled) whole: MemoryDisk,
    pub(in crate::store::sled) tears: Vec<(Vec<u8>, Vec<u8>)>,
}

impl TornDisk {
    /// Shows by `show` what of a walk lies in front of a tear, or all of it where there is none.
    fn up_to_the_tear(
        in_front: (&[u8], &[u8]),
        is_torn: bool,
        visit: &mut Visit<'_>,
        show: impl Fn(&[u8], &[u8], &mut Visit<'_>) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        let mut goes_on = true;
        show(in_front.0, in_front.1, &mut |key, value| {
            goes_on = visit(key, value)?;
            Ok(goes_on)
        })?;
        if goes_on && is_torn { Err(StoreError::Corrupt("the page is torn".into())) } else { Ok(()) }
    }

    /// The tears between `from` and `to`.
    fn met(&self, from: &[u8], to: &[u8]) -> impl Iterator<Item = &(Vec<u8>, Vec<u8>)> {
        self.tears.iter().filter(move |(begins, ends)| *to > **begins && **ends > *from)
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
        let tear = self.met(from, to).map(|(begins, _)| begins.as_slice()).min();
        Self::up_to_the_tear((from, tear.unwrap_or(to)), tear.is_some(), visit, show)
    }

    fn range_back(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        let show = |from: &[u8], to: &[u8], visit: &mut Visit<'_>| self.whole.range_back(from, to, visit);
        let tear = self.met(from, to).map(|(_, ends)| ends.as_slice()).max();
        Self::up_to_the_tear((tear.unwrap_or(from), to), tear.is_some(), visit, show)
    }

    fn apply(&self, writes: &Writes) -> Result<(), StoreError> {
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
