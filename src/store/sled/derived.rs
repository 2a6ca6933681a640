//! The reminder indexes where the engine can't read them any more.
//!
//! An index says nothing that the records do not say. So what lies in a page of an index that can't be read is derived
//! from the records once and kept in memory from then on: reads see it in its place among the rest, and what is written
//! there goes there alone, since the engine would have to read the page to write it. A process that starts anew derives
//! it again when it comes upon the page. A backup and a compaction read through here as well, so both are whole, and a
//! store that is made of either has no such place.
//!
//! Of what is nowhere else (records, counters, claims) nothing can be derived: these are errors as before.
//!
//! Accepted: of an index in which several pages can't be read, all from the first to the last is kept in memory, at worst
//! the whole index, some 150 bytes an entry. And it is derived while the commit loop waits, which for a million tasks
//! takes some seconds, once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, PoisonError, RwLock};

use super::disk::{Bytes, Disk, Visit, Writes};
use super::parts::{self, Parts};
use super::told::LeftOut;
use super::{keys, records, values};
use crate::store::batch::places;
use crate::store::{DiskSpace, StoreError};

/// A disk that knows what its reminder indexes hold where they can't be read.
pub(super) struct Derived {
    disk: Box<dyn Disk>,
    /// In the order of the keys, at most one an index.
    gaps: RwLock<Arc<Vec<Gap>>>,
}

/// A part of an index that can't be read.
#[derive(Clone)]
struct Gap {
    left_out: LeftOut,
    /// What belongs there, as it is stored.
    entries: BTreeMap<Vec<u8>, Bytes>,
}

impl Derived {
    pub(super) fn over(disk: Box<dyn Disk>) -> Self {
        Self { disk, gaps: RwLock::default() }
    }

    /// What could not be read and is derived.
    pub(super) fn left_out(&self) -> Vec<LeftOut> {
        self.gaps().iter().map(|gap| gap.left_out.clone()).collect()
    }

    fn gaps(&self) -> Arc<Vec<Gap>> {
        Arc::clone(&self.gaps.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Looks where the indexes can't be read, and derives what belongs there; true if that was not known.
    fn derive(&self) -> Result<bool, StoreError> {
        let (known, mut gaps) = (self.gaps(), Vec::new());
        for space in [keys::PENDING, keys::SETTLED] {
            let before = known.iter().find(|gap| gap.left_out.from.first() == Some(&space));
            match self.unread(space)? {
                Some(found) if before.is_none_or(|gap| !gap.left_out.contains(&found)) => {
                    let entries = self.entries(&found)?;
                    tracing::error!(
                        entries = entries.len(),
                        "a part of a reminder index can't be read: {found}. What belongs there is derived from the tasks, so \
                         nothing of it is lost; stop the worker when it suits and run `reminder-worker store compact`, which \
                         writes it anew (docs/recovery.md)"
                    );
                    gaps.push(Gap { left_out: found, entries });
                }
                _ => gaps.extend(before.cloned()),
            }
        }
        let is_new = gaps.iter().map(|gap| &gap.left_out).ne(known.iter().map(|gap| &gap.left_out));
        if is_new {
            *self.gaps.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(gaps);
        }
        Ok(is_new)
    }

    /// What of `space` can't be read, from its front and from its back.
    fn unread(&self, space: u8) -> Result<Option<LeftOut>, StoreError> {
        let (mut from, mut to) = (vec![space], vec![space + 1]);
        let mut last = None;
        let read = self.disk.range(&from, &to, &mut |key, _| {
            last = Some(key.to_vec());
            Ok(true)
        });
        let Err(StoreError::Corrupt(why)) = read else { return read.map(|()| None) };
        if let Some(last) = last {
            from = keys::above(&last);
        }
        let mut first = None;
        let read = self.disk.range_back(&from, &to, &mut |key, _| {
            first = Some(key.to_vec());
            Ok(true)
        });
        but_damage(read)?;
        to = first.unwrap_or(to);
        Ok(Some(LeftOut { from, to, why }))
    }

    /// What the records say that belongs into `gap`.
    fn entries(&self, gap: &LeftOut) -> Result<BTreeMap<Vec<u8>, Bytes>, StoreError> {
        let (space, mut parts, mut writes) = (gap.from[0], Parts::default(), Writes::new());
        let mut see = |key: &[u8], stored: &Bytes| {
            let Some(task) = keys::task_of(key) else { return Ok(()) };
            // A record that can't be read is told by whoever asks for it.
            let Ok(value) = parts::value(self.disk.as_ref(), key, stored) else { return Ok(()) };
            let Ok(record) = records::decode(&value) else { return Ok(()) };
            for (place, pending) in places(&task, Some(&record)) {
                let key = keys::index(if pending { keys::PENDING } else { keys::SETTLED }, &place);
                if key[0] == space && gap.has(&key) {
                    parts.put(self.disk.as_ref(), &mut writes, key, &values::encode_task(&task))?;
                }
            }
            Ok(())
        };
        let (mut from, to) = (vec![keys::RECORD], vec![keys::RECORD + 1]);
        let mut visit = |key: &[u8], stored: &Bytes| {
            from = keys::above(key);
            see(key, stored).map(|()| true)
        };
        match self.disk.range(&[keys::RECORD], &to, &mut visit) {
            Ok(()) => {}
            // Records that lie behind some that can't be read.
            Err(StoreError::Corrupt(_)) => {
                let back =
                    self.disk.range_back(&from, &to, &mut |key, stored| see(key, stored).map(|()| true));
                but_damage(back)?;
            }
            Err(error) => return Err(error),
        }
        let entries = writes.into_iter().filter_map(|(key, value)| Some((key, value?.as_slice().into())));
        Ok(entries.collect())
    }

    /// Whether `error` is of a page of an index that was not known to be damaged, and is known now.
    fn is_mended(&self, error: &StoreError) -> Result<bool, StoreError> {
        if matches!(error, StoreError::Corrupt(_)) { self.derive() } else { Ok(false) }
    }
}

/// How a walk went that may end early where something can't be read.
fn but_damage(walked: Result<(), StoreError>) -> Result<(), StoreError> {
    if let Err(StoreError::Corrupt(_)) = walked { Ok(()) } else { walked }
}

/// Whether a walk from `from` up to and without `to` comes through an index.
fn meets_index(from: &[u8], to: &[u8]) -> bool {
    [keys::PENDING, keys::SETTLED].iter().any(|space| *from < [space + 1][..] && *to > [*space][..])
}

impl Disk for Derived {
    fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StoreError> {
        if !meets_index(key, &keys::above(key)) {
            return self.disk.get(key);
        }
        loop {
            if let Some(gap) = self.gaps().iter().find(|gap| gap.left_out.has(key)) {
                return Ok(gap.entries.get(key).cloned());
            }
            match self.disk.get(key) {
                Err(error) if self.is_mended(&error)? => {}
                found => return found,
            }
        }
    }

    fn range(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        if !meets_index(from, to) {
            return self.disk.range(from, to, visit);
        }
        let mut from = from.to_vec();
        while *from < *to {
            let gaps = self.gaps();
            let gap = gaps.iter().find(|gap| *gap.left_out.from < *to && gap.left_out.to > from);
            let up_to = gap.map_or(to, |gap| &gap.left_out.from);
            let (mut goes_on, mut seen) = (Ok(true), Vec::new());
            let read = self.disk.range(&from, up_to, &mut |key, value| {
                seen.clear();
                seen.extend_from_slice(key);
                goes_on = visit(key, value);
                Ok(matches!(goes_on, Ok(true)))
            });
            if !goes_on? {
                return Ok(());
            }
            if !seen.is_empty() {
                from = keys::above(&seen);
            }
            match read {
                Err(error) if !self.is_mended(&error)? => return Err(error),
                Err(_) => continue,
                Ok(()) => {}
            }
            let Some(Gap { left_out, entries }) = gap else { return Ok(()) };
            let up_to = if *left_out.to < *to { &left_out.to[..] } else { to };
            let from_here = from.clone().max(left_out.from.clone());
            for (key, value) in entries.range(from_here..).take_while(|(key, _)| ***key < *up_to) {
                if !visit(key, value)? {
                    return Ok(());
                }
            }
            from.clone_from(&left_out.to);
        }
        Ok(())
    }

    /// As the engine has it: asked only of what could not be read forwards, which an index always can.
    fn range_back(&self, from: &[u8], to: &[u8], visit: &mut Visit<'_>) -> Result<(), StoreError> {
        self.disk.range_back(from, to, visit)
    }

    fn apply(&self, writes: &Writes) -> Result<(), StoreError> {
        loop {
            let gaps = self.gaps();
            let belongs = |gap: &Gap, key: &[u8]| gap.left_out.has(key);
            let applied = if gaps.is_empty() {
                self.disk.apply(writes)
            } else {
                let others = writes.iter().filter(|(key, _)| !gaps.iter().any(|gap| belongs(gap, key)));
                self.disk.apply(&others.map(|(key, value)| (key.clone(), value.clone())).collect())
            };
            drop(gaps);
            match applied {
                Err(error) if self.is_mended(&error)? => continue,
                Err(error) => return Err(error),
                Ok(()) => {}
            }
            let mut gaps = self.gaps.write().unwrap_or_else(PoisonError::into_inner);
            if gaps.is_empty() {
                return Ok(());
            }
            let gaps = Arc::make_mut(&mut gaps);
            for (key, value) in writes {
                let Some(gap) = gaps.iter_mut().find(|gap| belongs(gap, key)) else { continue };
                match value {
                    Some(value) => gap.entries.insert(key.clone(), value.as_slice().into()),
                    None => gap.entries.remove(key),
                };
            }
            return Ok(());
        }
    }

    fn flush(&self) -> Result<(), StoreError> {
        self.disk.flush()
    }

    fn sync(&self) -> Result<(), StoreError> {
        self.disk.sync()
    }

    fn space(&self) -> std::io::Result<Option<DiskSpace>> {
        self.disk.space()
    }

    fn lies_at(&self, path: &Path) -> std::io::Result<bool> {
        self.disk.lies_at(path)
    }
}
