//! Walking around what the engine can't read ([`Walk`]), and whether a batch would come upon it.

use super::disk::{Bytes, Disk as _};
use super::told::told;
use super::{SledStore, keys, values, writes_of};
use crate::domain::TaskId;
use crate::store::{Around, Batch, OutboxEntry, Quarantined, StoreError, Stretch, Walk};

impl SledStore {
    /// The next keys of `space` from where `walk` stands, at most `limit`; from the front where it has not begun.
    fn stretch<K>(
        &self,
        space: u8,
        walk: Option<&Walk>,
        limit: usize,
        of_key: impl Fn(&[u8]) -> Option<K>,
    ) -> Result<Stretch<K>, StoreError> {
        let begun = || Walk { from: vec![space], to: vec![space + 1], unread: None };
        let Walk { from: start, to: end, unread } = walk.cloned().unwrap_or_else(begun);
        let (mut from, mut to) = (start.clone(), end.clone());
        let is_back = unread.is_some();
        let (mut found, mut unreadable, mut seen) = (Vec::new(), 0, 0);
        let mut visit = |key: &[u8], _: &Bytes| {
            match of_key(key) {
                Some(key) => found.push(key),
                None => unreadable += 1,
            }
            if is_back {
                to = key.to_vec()
            } else {
                from = keys::above(key)
            }
            seen += 1;
            Ok(seen < limit)
        };
        let whole = self.reading();
        let read = if is_back {
            self.disk.range_back(&start, &end, &mut visit)
        } else {
            self.disk.range(&start, &end, &mut visit)
        };
        drop(whole);
        let (left_out, next) = match (read, unread) {
            (Ok(()), before) if seen == limit => (None, Some(Walk { from, to, unread: before })),
            (Ok(()), None) => (None, None),
            (Err(StoreError::Corrupt(why)), None) => (None, Some(Walk { from, to, unread: Some(why) })),
            // From the back as well: what lies between can't be read.
            (Ok(()) | Err(StoreError::Corrupt(_)), Some(why)) => (Some(between(&from, &to, &why)), None),
            (Err(error), _) => return Err(error),
        };
        Ok(Stretch { found, unreadable, left_out, next })
    }
}

impl Around for SledStore {
    fn tasks_around(&self, walk: Option<&Walk>, limit: usize) -> Result<Stretch<TaskId>, StoreError> {
        self.stretch(keys::RECORD, walk, limit, keys::task_of)
    }

    fn tasks_behind(&self, after: Option<&TaskId>, limit: usize) -> Result<Vec<TaskId>, StoreError> {
        let mut from = after.map_or_else(|| vec![keys::RECORD], |task| keys::above(&keys::record(task)));
        let (to, mut found) = (vec![keys::RECORD + 1], Vec::new());
        let _whole = self.reading();
        while found.len() < limit {
            let start = from.clone();
            let read = self.disk.range(&start, &to, &mut |key, _| {
                found.extend(keys::task_of(key));
                from = keys::above(key);
                Ok(found.len() < limit)
            });
            let Err(StoreError::Corrupt(_)) = read else { return read.map(|()| found) };
            let mut behind = None;
            let read = self.disk.range_back(&from, &to, &mut |key, _| {
                behind = Some(key.to_vec());
                Ok(true)
            });
            match (read, behind) {
                (Ok(()) | Err(StoreError::Corrupt(_)), Some(behind)) if behind > start => from = behind,
                (Ok(()) | Err(StoreError::Corrupt(_)), _) => break,
                (Err(error), _) => return Err(error),
            }
        }
        Ok(found)
    }

    fn quarantined_around(&self, walk: Option<&Walk>, limit: usize) -> Result<Stretch<u64>, StoreError> {
        self.stretch(keys::QUARANTINED, walk, limit, keys::number_of)
    }

    fn outbox_around(&self, walk: Option<&Walk>, limit: usize) -> Result<Stretch<u64>, StoreError> {
        self.stretch(keys::OUTBOX, walk, limit, keys::number_of)
    }

    fn quarantined_at(&self, number: u64) -> Result<Option<Quarantined>, StoreError> {
        let key = keys::numbered(keys::QUARANTINED, number);
        self.get(&key, "a quarantined event", values::decode_quarantined)
    }

    fn outbox_at(&self, number: u64) -> Result<Option<OutboxEntry>, StoreError> {
        self.get(&keys::numbered(keys::OUTBOX, number), "an outbox entry", values::decode_outbox)
    }

    fn reaches(&self, batch: &Batch) -> Result<(), StoreError> {
        let mut parts = self.committing().parts.clone();
        for key in writes_of(batch, &self.disk, &mut parts)?.keys() {
            self.disk.get(key)?;
        }
        Ok(())
    }
}

/// What a walk leaves out that came to `from` in front and to `to` from behind.
fn between(from: &[u8], to: &[u8], why: &str) -> String {
    let begins = match from {
        [_] => "from the first on".to_owned(),
        [last @ .., _] => format!("after {}", told(last)),
        [] => String::new(),
    };
    let ends = if to.len() > 1 { format!("before {}", told(to)) } else { "to the last".to_owned() };
    let space = from.get(..1).map(told).unwrap_or_default();
    format!("{} {begins}, {ends}: {why}", space.trim_end())
}
