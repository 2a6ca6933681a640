//! Whether all that a store holds can be read and agrees with itself, and how much of what there is.
//!
//! Owns what must agree: values with their keys, the two indexes with the records both ways, parts with the values they
//! belong to, and the counters with what they count. Reads everything once and writes nothing.
//!
//! What the engine can't read ends no reading: each space is read from its front, and where that ends too early from its
//! back, so what is left out is told by where it begins and ends.
//!
//! Accepted: of a space in which several places can't be read, what lies between the first and the last is left out too.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use super::disk::{Bytes, Disk as _};
use super::told::{LeftOut, name, told};
use super::wire::Malformed;
use super::{SledStore, identity, keys, origin, parts, preferences, records, values};
use crate::domain::{Record, TaskId};
use crate::store::audit::{Mismatch, UNREADABLE, audit};
use crate::store::batch::places;
use crate::store::{IndexKey, Meta, Store as _, StoreError};

/// Most findings that are told one by one: who has more of them restores a backup.
pub const FINDINGS_MAX: usize = 100;

/// What was found.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Findings {
    /// What is wrong, the first [`FINDINGS_MAX`].
    pub wrong: Vec<String>,
    /// How much is wrong in all.
    pub count: u64,
    /// What there is, by what it is.
    pub spaces: BTreeMap<&'static str, Space>,
}

/// How much there is of something.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub struct Space {
    /// Entries.
    pub entries: u64,
    /// Bytes of their keys.
    pub keys: u64,
    /// Bytes of their values.
    pub values: u64,
}

/// What is counted on the way.
#[derive(Default)]
struct Counted {
    users: u64,
    /// The highest number of each numbered space.
    highest: BTreeMap<u8, u64>,
    /// Spaces of which a part can't be read.
    unread: BTreeSet<u8>,
}

type Page = Vec<(Vec<u8>, Bytes)>;

/// How the reading of a page ended.
enum Ended {
    /// It is full.
    More,
    /// There is no more.
    Over,
    /// What is next can't be read.
    Unread(String),
}

impl SledStore {
    /// Reads everything and says what is wrong, and how much there is.
    ///
    /// # Errors
    /// [`StoreError`] where the store itself can't be read on.
    pub fn verify(&self) -> Result<Findings, StoreError> {
        let mut findings = Findings::default();
        let mut counted = Counted::default();
        let whole = self.reading();
        let mut unread: Vec<LeftOut> = Vec::new();
        for space in 0..u8::MAX {
            let Some(next) = self.walk(space, &mut counted, &mut findings)? else { continue };
            counted.unread.insert(space);
            match unread.last_mut() {
                Some(last) if last.to == next.from => last.to = next.to,
                _ => unread.push(next),
            }
        }
        drop(whole);
        unread.iter().for_each(|left_out| findings.add(left_out.to_string()));
        // Counters that can't be read have been told.
        if let Ok(meta) = self.meta() {
            counted.compare(&meta, &mut findings);
            // What can't be read has been told, by its name.
            let mismatches = audit(self)?.mismatches.into_iter().filter(|found| found.what != UNREADABLE);
            for Mismatch { what, counted, there } in mismatches {
                findings.add(format!("the counters: {what}: they say {counted}, there are {there}"));
            }
        }
        Ok(findings)
    }

    /// Sees each entry of `space` that can be read, once; says what can't be.
    fn walk(
        &self,
        space: u8,
        counted: &mut Counted,
        findings: &mut Findings,
    ) -> Result<Option<LeftOut>, StoreError> {
        // An empty key, of no space, is before the first.
        let mut from = if space == 0 { Vec::new() } else { vec![space] };
        let mut to = vec![space + 1];
        let mut unread: Option<String> = None;
        loop {
            let is_back = unread.is_some();
            let (page, ended) = self.page(&from, &to, is_back)?;
            for (key, stored) in &page {
                findings.see(key, stored);
                if let Err(why) = self.agrees(key, stored, counted) {
                    findings.add(format!("{}: {why}", told(key)));
                }
            }
            match page.last() {
                Some((last, _)) if is_back => to.clone_from(last),
                Some((last, _)) => from = keys::above(last),
                None => {}
            }
            match (ended, unread.take()) {
                (Ended::Over, None) => return Ok(None),
                (Ended::More, before) => unread = before,
                (Ended::Unread(why), None) => unread = Some(why),
                // From the back as well: what lies between can't be read.
                (Ended::Unread(_) | Ended::Over, Some(why)) => {
                    return Ok(Some(LeftOut { from, to, why }));
                }
            }
        }
    }

    /// How many entries there are, and the hash of them all.
    pub(super) fn fingerprint(&self) -> Result<(u64, [u8; 32]), StoreError> {
        let (mut hash, mut entries) = (Sha256::new(), 0);
        self.disk.range(&[], &[u8::MAX], &mut |key, value| {
            entries += 1;
            for bytes in [key, value] {
                hash.update((bytes.len() as u64).to_be_bytes());
                hash.update(bytes);
            }
            Ok(true)
        })?;
        Ok((entries, hash.finalize().into()))
    }

    /// The next entries between `from` and `to`, and how that ended. Looked at outside of the walk, since that reads as well.
    fn page(&self, from: &[u8], to: &[u8], is_back: bool) -> Result<(Page, Ended), StoreError> {
        const PAGE: usize = 256;
        let mut page = Page::new();
        let mut visit = |key: &[u8], value: &Bytes| {
            page.push((key.to_vec(), value.clone()));
            Ok(page.len() < PAGE)
        };
        let read = if is_back {
            self.disk.range_back(from, to, &mut visit)
        } else {
            self.disk.range(from, to, &mut visit)
        };
        let ended = match read {
            Ok(()) if page.len() < PAGE => Ended::Over,
            Ok(()) => Ended::More,
            Err(StoreError::Corrupt(why)) => Ended::Unread(why),
            Err(error) => return Err(error),
        };
        Ok((page, ended))
    }

    fn agrees(&self, key: &[u8], stored: &Bytes, counted: &mut Counted) -> Result<(), String> {
        let space = *key.first().ok_or("it has no key")?;
        if space == keys::FORMAT {
            return if stored.len() == 4 { Ok(()) } else { Err("it is no number of a format".into()) };
        }
        if space == keys::IDENTITY {
            return identity::of(&self.disk).map(drop).map_err(|error| error.to_string());
        }
        if space == keys::PART {
            return self.belongs(key);
        }
        if !keys::SPACES.contains(&space) {
            return Err("its key is of no kind that is known".into());
        }
        let value = parts::value(&self.disk, key, stored).map_err(unreadable)?;
        let unread = |why: Malformed| why.0.to_owned();
        let number = || keys::number_of(key).ok_or_else(|| "its key cannot be read".to_owned());
        match space {
            keys::META => values::decode_meta(&value).map(drop).map_err(unread),
            keys::RESTORED => origin::decode(&value).map(drop).map_err(unread),
            keys::RECORD => {
                let task = keys::task_of(key).ok_or("its key cannot be read")?;
                self.is_indexed(&task, &records::decode(&value).map_err(unread)?)
            }
            keys::PENDING | keys::SETTLED => {
                let place = keys::index_of(key).ok_or("its key cannot be read")?;
                let task = values::decode_task(&value).map_err(unread)?;
                self.is_recorded(&task, place, space == keys::PENDING)
            }
            keys::USER => {
                counted.users += 1;
                keys::user_of(key).ok_or("its key cannot be read")?;
                preferences::decode(&value).map(drop).map_err(unread)
            }
            keys::CLAIM => {
                counted.number(space, number()?);
                values::decode_claim(number()?, &value).map(drop).map_err(unread)
            }
            keys::QUARANTINED => {
                counted.number(space, number()?);
                values::decode_quarantined(&value).map_err(unread)?;
                self.has_body(keys::QUARANTINED_BODY, number()?)
            }
            keys::OUTBOX => {
                counted.number(space, number()?);
                values::decode_outbox(&value).map_err(unread)?;
                self.has_body(keys::OUTBOX_BODY, number()?)
            }
            keys::QUARANTINED_BODY => self.has_entry(keys::QUARANTINED, number()?),
            _ => self.has_entry(keys::OUTBOX, number()?),
        }
    }

    /// Whether every reminder of a record stands in the index where it belongs.
    fn is_indexed(&self, task: &TaskId, record: &Record) -> Result<(), String> {
        for (place, pending) in places(task, Some(record)) {
            let space = if pending { keys::PENDING } else { keys::SETTLED };
            // An index that can't be read is told itself.
            let Ok(found) = self.get(&keys::index(space, &place), "an index", values::decode_task) else {
                continue;
            };
            if found.as_ref() != Some(task) {
                return Err(format!("its reminder {} is not in the index of {}", place.1, of(pending)));
            }
        }
        Ok(())
    }

    /// Whether an entry of an index stands for a reminder of a record.
    fn is_recorded(&self, task: &TaskId, place: IndexKey, pending: bool) -> Result<(), String> {
        // A record that can't be read is told itself.
        let Ok(record) = self.get(&keys::record(task), "a task", records::decode) else { return Ok(()) };
        if places(task, record.as_ref()).contains(&(place, pending)) {
            return Ok(());
        }
        Err(format!("the task {task} has no reminder {} there that is {}", place.1, of(pending)))
    }

    /// Whether a part belongs to a value that is in parts.
    fn belongs(&self, key: &[u8]) -> Result<(), String> {
        let cut = || "its key cannot be read".to_owned();
        let (space, rest) = key.get(1..).and_then(<[u8]>::split_first).ok_or_else(cut)?;
        let (length, rest) = rest.split_first_chunk::<2>().ok_or_else(cut)?;
        let name = rest.get(..usize::from(u16::from_be_bytes(*length))).ok_or_else(cut)?;
        let whole = [&[*space], name].concat();
        match self.disk.get(&whole) {
            Ok(Some(stored)) if parts::is_parted(&stored) => Ok(()),
            Ok(_) => Err("a part of a value that is not there, or not in parts".into()),
            // It is told itself.
            Err(_) => Ok(()),
        }
    }

    fn has_body(&self, space: u8, number: u64) -> Result<(), String> {
        self.has(space, number, "it has no body")
    }

    fn has_entry(&self, space: u8, number: u64) -> Result<(), String> {
        self.has(space, number, "a body of nothing")
    }

    fn has(&self, space: u8, number: u64, else_told: &str) -> Result<(), String> {
        match self.disk.get(&keys::numbered(space, number)) {
            Ok(Some(_)) => Ok(()),
            Ok(None) => Err(else_told.to_owned()),
            // It is told itself.
            Err(_) => Ok(()),
        }
    }
}

fn of(pending: bool) -> &'static str {
    if pending { "pending" } else { "settled" }
}

impl Counted {
    fn number(&mut self, space: u8, number: u64) {
        let highest = self.highest.entry(space).or_default();
        *highest = number.max(*highest);
    }

    /// Holds against what is there what no audit counts.
    fn compare(&self, meta: &Meta, findings: &mut Findings) {
        if meta.users != self.users && !self.unread.contains(&keys::USER) {
            findings.add(format!("the counters: users: they say {}, there are {}", meta.users, self.users));
        }
        for (space, next) in [
            (keys::CLAIM, meta.next_claim),
            (keys::QUARANTINED, meta.next_quarantined),
            (keys::OUTBOX, meta.next_outbox),
        ] {
            if let Some(highest) = self.highest.get(&space).filter(|highest| **highest >= next) {
                findings.add(format!(
                    "the counters: the next of {} is {next}, and {highest} is there",
                    name(&[space])
                ));
            }
        }
    }
}

impl Findings {
    fn add(&mut self, what: String) {
        self.count += 1;
        if self.wrong.len() < FINDINGS_MAX {
            self.wrong.push(what);
        }
    }

    fn see(&mut self, key: &[u8], stored: &Bytes) {
        let space = self.spaces.entry(name(key)).or_default();
        space.entries += 1;
        space.keys += key.len() as u64;
        space.values += stored.len() as u64;
    }
}

fn unreadable(error: StoreError) -> String {
    match error {
        StoreError::Corrupt(why) => format!("it cannot be read: {why}"),
        error => error.to_string(),
    }
}
