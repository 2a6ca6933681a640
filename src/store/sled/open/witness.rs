//! What the marker beside a store says that the store held: so that one that has gone back is known.
//!
//! The engine takes newest segments that are missing for a crash in the middle of a write, and opens with what was there
//! before, whole in itself. Nothing inside the directory tells. So every now and then the marker takes down counters that
//! only ever rise, of what is durable; a store that opens with less has lost acknowledged commits, which is damage.
//!
//! A marker that was removed or replaced beside an open store is written anew.
//!
//! Where a part of an open store turns out to be unreadable the marker says so, and the next start makes it anew ([`super::mend`]).
//!
//! It also says which store it is. Each line has a checksum: one that is cut off or changed says nothing, and accuses nobody.

use std::io;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;

use serde::{Deserialize, Serialize};

use super::{MARKER, Place, SledStore};
use crate::domain::Timestamp;
use crate::store::sled::Identity;
use crate::store::sled::files::replace;
use crate::store::{Meta, Store as _, StoreError};

/// How the reason begins of a store that has gone back.
pub(super) const HAS_GONE_BACK: &str = "it has gone back to before ";

/// Counters that only rise, at an instant.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(in crate::store::sled) struct Witness {
    at: Timestamp,
    applied: u64,
    planned: u64,
    claims: u64,
    quarantined: u64,
    outbox: u64,
}

/// That a store has gone back.
pub(super) struct GoneBack {
    /// How that shows.
    pub(super) why: String,
    /// When it held more for certain.
    pub(super) at: Timestamp,
}

impl Witness {
    pub(super) fn of(meta: &Meta, at: Timestamp) -> Self {
        Self {
            at,
            applied: meta.events.applied,
            planned: meta.ledger.planned,
            claims: meta.next_claim,
            quarantined: meta.next_quarantined,
            outbox: meta.next_outbox,
        }
    }

    /// When the store held that.
    pub(super) fn at(&self) -> Timestamp {
        self.at
    }

    /// That a store with these counters has gone back, if it has.
    pub(super) fn accuses(&self, meta: &Meta) -> Option<GoneBack> {
        let is = Self::of(meta, self.at);
        let table = [
            ("events applied", self.applied, is.applied),
            ("reminders planned", self.planned, is.planned),
            ("attempts begun", self.claims, is.claims),
            ("events quarantined", self.quarantined, is.quarantined),
            ("events accepted", self.outbox, is.outbox),
        ];
        let (what, held, holds) = table.into_iter().find(|(_, held, holds)| holds < held)?;
        let why = format!(
            "{HAS_GONE_BACK}{}: its marker says that it knew of {held} {what} then, and it knows of {holds}",
            self.at
        );
        Some(GoneBack { why, at: self.at })
    }

    fn counts_as(&self, other: &Self) -> bool {
        Self { at: other.at, ..*self } == *other
    }
}

impl SledStore {
    /// Takes down in the marker, if the store lies anywhere, what is durable at `now`; nothing where that has not changed.
    ///
    /// # Errors
    /// [`StoreError::Gone`]: the store was taken away; taken down all the same, since an older copy of it may stand there
    /// now. [`StoreError::Unavailable`]: the marker can't be written. Nothing depends on it but what a later start can
    /// tell.
    pub fn take_down(&self, now: Timestamp) -> Result<(), StoreError> {
        let Some(place) = &self.place else { return Ok(()) };
        let in_place = self.is_in_place(place);
        // That has been taken down, and must stay.
        if self.torn().is_some() {
            return in_place;
        }
        let witness = {
            // Between two commits, all that can be seen is durable.
            let committing = self.committing();
            if committing.failed.is_some() || committing.unsynced.is_some() {
                return in_place;
            }
            Witness::of(&self.meta()?, now)
        };
        in_place.and(self.write_down(place, witness))
    }

    /// Takes down that the store at `place` holds `witness`, where that has changed.
    pub(super) fn write_down(&self, place: &Place, witness: Witness) -> Result<(), StoreError> {
        let mut last = self.witness.lock().unwrap_or_else(PoisonError::into_inner);
        // Found since it was looked for, and perhaps taken down already.
        if let Some(why) = self.disk.torn() {
            drop(last);
            self.take_down_torn(why);
            return Ok(());
        }
        let stands = |marker: Marker| place.marker().is_ok_and(|found| found == Some(marker));
        let marker = |witness| Marker { identity: self.identity(), witness: Some(witness), torn: None };
        if last.is_some_and(|last| last.counts_as(&witness) && stands(marker(last))) {
            return Ok(());
        }
        let written = place
            .write_marker(&marker(witness))
            .map_err(|error| StoreError::Unavailable(format!("{}: {error}", place.marker.display())));
        if written.is_ok() {
            *last = Some(witness);
        }
        written
    }

    /// Takes down in the marker, if the store lies anywhere, that it is to be made anew: once.
    pub(in crate::store::sled) fn take_down_torn(&self, why: &str) {
        let Some(place) = self.place.as_ref().filter(|_| !self.told_torn.swap(true, Ordering::Relaxed))
        else {
            return;
        };
        tracing::error!(
            why,
            "a part of the store's files can't be read: nothing more is written, and the next start makes it anew"
        );
        let _last = self.witness.lock().unwrap_or_else(PoisonError::into_inner);
        let marked = place.marker().and_then(|found| {
            place.write_marker(&Marker { torn: Some(why.to_owned()), ..found.unwrap_or_default() })
        });
        if let Err(error) = marked {
            tracing::error!(%error, "that can't be taken down beside it: the next start will come upon it again");
        }
    }
}

/// What a marker says.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Marker {
    /// Of which store it is.
    pub(super) identity: Option<Identity>,
    /// What that held.
    pub(super) witness: Option<Witness>,
    /// What of it could not be read, so that it is to be made anew.
    pub(super) torn: Option<String>,
}

/// The line of a marker that says so.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct TornLine {
    torn: String,
}

impl Place {
    /// What the marker says, if there is one.
    pub(super) fn marker(&self) -> io::Result<Option<Marker>> {
        match std::fs::read(&self.marker) {
            Ok(bytes) => {
                Ok(Some(String::from_utf8(bytes).map_or_else(|_| Marker::default(), |text| read(&text))))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    pub(super) fn write_marker(&self, marker: &Marker) -> io::Result<()> {
        let mut text = format!("{MARKER}\n");
        let identity = marker.identity.map(|identity| serde_json::to_string(&identity)).transpose()?;
        let witness = marker.witness.map(|witness| serde_json::to_string(&witness)).transpose()?;
        let torn = marker.torn.clone().map(|torn| serde_json::to_string(&TornLine { torn })).transpose()?;
        for json in identity.into_iter().chain(witness).chain(torn) {
            text.push_str(&format!("{json} {:08x}\n", crc32fast::hash(json.as_bytes())));
        }
        replace(&self.marker, text.as_bytes())?;
        self.give(&self.marker);
        Ok(())
    }
}

fn read(text: &str) -> Marker {
    let mut marker = Marker::default();
    let lines = text.strip_prefix(MARKER).and_then(|text| text.strip_prefix('\n')).unwrap_or_default();
    for json in lines.split_inclusive('\n').filter_map(whole) {
        if let Ok(identity) = serde_json::from_str(json) {
            marker.identity = Some(identity);
        } else if let Ok(witness) = serde_json::from_str(json) {
            marker.witness = Some(witness);
        } else if let Ok(TornLine { torn }) = serde_json::from_str(json) {
            marker.torn = Some(torn);
        }
    }
    marker
}

/// What `line` says, if it is whole.
fn whole(line: &str) -> Option<&str> {
    let (json, sum) = line.strip_suffix('\n')?.rsplit_once(' ')?;
    let is_whole = sum.len() == 8 && u32::from_str_radix(sum, 16) == Ok(crc32fast::hash(json.as_bytes()));
    is_whole.then_some(json)
}
