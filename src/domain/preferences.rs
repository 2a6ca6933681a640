//! What a user wishes of all reminders of its tasks: zone, offsets, quiet hours, silence, a daily digest.
//!
//! Owns the merge of what is said of them, which is that of a task's fields: each keeps the greatest version that
//! stated it, so that any order and any repetition ends in the same wishes (**invariant 4**). Knows no task, no plan
//! and no clock. The deviations accepted are those of a task: a stamp taken from the arrival depends on the arrival,
//! and only the last [`PAST_MAX`] former values keep the instant since when they were stated.

use serde::{Deserialize, Serialize};

use super::due::Zone;
use super::event::{Kind, Refusal, Stamps};
use super::task::{Applied, Outcome, PAST_MAX};
use super::time::Timestamp;
use super::version::{Stamped, Version, has_arrived, short_digest, stamp_of};

mod wishes;

pub use wishes::{Digest, Mute, Quiet, QuietMode, TimeOfDay};

/// A wish that can be stated.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub enum WishField {
    /// The zone that dates belong to.
    Zone,
    /// Reminder offsets before due.
    Offsets,
    /// Hours in which nothing is sent.
    Quiet,
    /// Nothing is sent at all.
    Mute,
    /// What is due, once a day.
    Digest,
}

impl WishField {
    /// Every wish.
    pub const ALL: [Self; 5] = [Self::Zone, Self::Offsets, Self::Quiet, Self::Mute, Self::Digest];
}

/// What is said of one wish; `None` is an explicit null and clears it.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Wish {
    /// IANA zone.
    Zone(Option<Zone>),
    /// Whole minutes before due, ascending and distinct; empty means "no reminders by offset".
    Offsets(Option<Vec<u32>>),
    /// Quiet hours.
    Quiet(Option<Quiet>),
    /// Silence.
    Mute(Option<Mute>),
    /// A daily digest.
    Digest(Option<Digest>),
}

impl Wish {
    /// The wish that this speaks of.
    #[must_use]
    pub fn field(&self) -> WishField {
        match self {
            Self::Zone(_) => WishField::Zone,
            Self::Offsets(_) => WishField::Offsets,
            Self::Quiet(_) => WishField::Quiet,
            Self::Mute(_) => WishField::Mute,
            Self::Digest(_) => WishField::Digest,
        }
    }

    /// That `field` is no longer wished.
    #[must_use]
    pub fn cleared(field: WishField) -> Self {
        match field {
            WishField::Zone => Self::Zone(None),
            WishField::Offsets => Self::Offsets(None),
            WishField::Quiet => Self::Quiet(None),
            WishField::Mute => Self::Mute(None),
            WishField::Digest => Self::Digest(None),
        }
    }

    fn is_null(&self) -> bool {
        matches!(
            self,
            Self::Zone(None)
                | Self::Offsets(None)
                | Self::Quiet(None)
                | Self::Mute(None)
                | Self::Digest(None)
        )
    }

    /// Tells a value from others; `None` for a null, which has been so from the beginning.
    fn value(&self) -> Option<u64> {
        (!self.is_null()).then(|| short_digest(self))
    }
}

/// When a change of wishes was said.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Said {
    /// In an event, by its stamps.
    Event {
        /// Every stamp that it carries.
        stamps: Stamps,
        /// The broker's `__offset`, zero where absent.
        offset: u64,
        /// Its id, which only tells apart events that are otherwise equal.
        message_id: Option<String>,
        /// Who made it, for counters by producer.
        producer: Option<String>,
    },
    /// Just now, by somebody who is told what holds: it counts after all that was said before.
    Now,
}

/// A change of a user's wishes.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PreferencesChange {
    /// The user, 1 to [`super::USER_ID_MAX_BYTES`] bytes.
    pub user: String,
    /// When it was said.
    pub said: Said,
    /// What is said, at most one wish a field, sorted by field.
    pub wishes: Vec<Wish>,
    /// What could not be read and was left out; the others stand.
    pub refused: Vec<Refusal>,
}

/// One wish as it stands.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct WishCell {
    /// What was said.
    pub wish: Wish,
    /// By which version.
    pub version: Version,
    /// Since when it has been said; `None` for a null.
    pub since: Option<Timestamp>,
}

/// A value that a wish had, or that came too late, and the first time it was said.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct PastWish {
    /// The wish.
    pub field: WishField,
    /// 64-bit digest of the value.
    pub value: u64,
    /// The least of version and arrival over all that said it.
    pub since: Timestamp,
}

/// The merged wishes of a user.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Preferences {
    /// What was said, sorted by field.
    pub cells: Vec<WishCell>,
    /// Former values, sorted.
    pub past: Vec<PastWish>,
    /// Digests of the events whose version hangs on their arrival; oldest first.
    pub arrivals: Vec<u64>,
}

impl Preferences {
    /// Folds `change`, which arrived at `arrival`, into the wishes.
    pub fn apply(&mut self, change: &PreferencesChange, arrival: Timestamp) -> Applied {
        let stamped = self.stamp(change, arrival);
        let (version, since) = (stamped.version, Timestamp::from_millis(stamped.version.ms).min(arrival));
        let done = |outcome, changed| Applied { version, outcome, changed, ahead: stamped.ahead };
        if change.wishes.is_empty() {
            return done(Outcome::Ignored, false);
        }
        // Said twice it is said twice: only an event comes again.
        if let Said::Event { stamps, offset, .. } = &change.said
            && has_arrived(&mut self.arrivals, &stamped, stamps, *offset)
        {
            return done(Outcome::Duplicate, false);
        }
        let known = self.cells.iter().any(|cell| cell.version == version);
        let mut changed = stamped.hangs_on_arrival();
        let mut wrote = false;
        for wish in &change.wishes {
            wrote |= self.state(wish, version, since, &mut changed);
        }
        done(Outcome::of(wrote, known), changed | wrote)
    }

    /// Whether plans made by `other` hold by these too.
    #[must_use]
    pub fn plans_like(&self, other: &Self) -> bool {
        WishField::ALL.into_iter().all(|field| {
            let of = |all: &Self| {
                let cell = all.cell(field).filter(|cell| !cell.wish.is_null())?;
                Some((cell.wish.clone(), cell.since))
            };
            of(self) == of(other)
        })
    }

    /// The cell of `field`.
    #[must_use]
    pub fn cell(&self, field: WishField) -> Option<&WishCell> {
        self.cells.iter().find(|cell| cell.wish.field() == field)
    }

    /// Since when `field` has been wished as it is; before everything where it is not.
    #[must_use]
    pub fn since(&self, field: WishField) -> Timestamp {
        self.cell(field).and_then(|cell| cell.since).unwrap_or(Timestamp::MIN)
    }

    /// The zone that dates belong to.
    #[must_use]
    pub fn zone(&self) -> Option<Zone> {
        match self.cell(WishField::Zone)?.wish {
            Wish::Zone(zone) => zone,
            _ => None,
        }
    }

    /// Offsets for tasks that name none.
    #[must_use]
    pub fn offsets(&self) -> Option<&[u32]> {
        match &self.cell(WishField::Offsets)?.wish {
            Wish::Offsets(offsets) => offsets.as_deref(),
            _ => None,
        }
    }

    /// Hours in which nothing is sent.
    #[must_use]
    pub fn quiet(&self) -> Option<Quiet> {
        match self.cell(WishField::Quiet)?.wish {
            Wish::Quiet(quiet) => quiet,
            _ => None,
        }
    }

    /// Silence.
    #[must_use]
    pub fn mute(&self) -> Option<Mute> {
        match self.cell(WishField::Mute)?.wish {
            Wish::Mute(mute) => mute,
            _ => None,
        }
    }

    /// The daily digest.
    #[must_use]
    pub fn digest(&self) -> Option<Digest> {
        match self.cell(WishField::Digest)?.wish {
            Wish::Digest(digest) => digest,
            _ => None,
        }
    }

    fn stamp(&self, change: &PreferencesChange, arrival: Timestamp) -> Stamped {
        let newest = || self.cells.iter().map(|cell| cell.version.ms).max();
        let said_by = |id: &Option<String>| short_digest(&(change.user.as_str(), id, &change.wishes));
        match &change.said {
            Said::Event { stamps, offset, message_id, .. } => {
                stamp_of(stamps, Kind::Updated, *offset, said_by(message_id), arrival).after(newest, stamps)
            }
            Said::Now => {
                let ms = arrival.millis().max(newest().map_or(i64::MIN, |newest| newest.saturating_add(1)));
                let version =
                    Version { ms, kind: Kind::Updated, broker: 0, offset: 0, digest: said_by(&None) };
                // Nothing delivers it again.
                Stamped { version, from_arrival: false, ahead: false }
            }
        }
    }

    /// Merges one wish; true if it was written.
    fn state(&mut self, wish: &Wish, version: Version, since: Timestamp, changed: &mut bool) -> bool {
        let (field, value) = (wish.field(), wish.value());
        let found = self.cells.binary_search_by_key(&field, |cell| cell.wish.field());
        let current = found.ok().map(|at| self.cells[at].clone());
        let same = current.as_ref().is_some_and(|cell| cell.wish.value() == value);
        if current.as_ref().is_some_and(|cell| version <= cell.version) {
            if let (Ok(at), true, Some(_)) = (found, same, value) {
                let cell = &mut self.cells[at];
                *changed |= cell.since.is_none_or(|known| since < known);
                cell.since = Some(cell.since.map_or(since, |known| known.min(since)));
            } else if let Some(value) = value {
                *changed |= self.remember(PastWish { field, value, since });
            }
            return false;
        }
        let earliest = value.map(|value| {
            let known = self.past.iter().find(|past| (past.field, past.value) == (field, value));
            let known = known.map(|past| past.since).into_iter();
            known
                .chain(current.as_ref().filter(|_| same).and_then(|cell| cell.since))
                .fold(since, Timestamp::min)
        });
        let cell = WishCell { wish: wish.clone(), version, since: earliest };
        match found {
            Ok(at) => self.cells[at] = cell,
            Err(at) => self.cells.insert(at, cell),
        }
        if let Some(former) = current.filter(|_| !same)
            && let (Some(value), Some(since)) = (former.wish.value(), former.since)
        {
            self.remember(PastWish { field, value, since });
        }
        if let Some(value) = value {
            self.past.retain(|past| (past.field, past.value) != (field, value));
        }
        true
    }

    /// Keeps the first time that a value was said; true if that is news.
    fn remember(&mut self, past: PastWish) -> bool {
        let is = |other: &PastWish| (other.field, other.value) == (past.field, past.value);
        if self.past.iter().any(|other| is(other) && other.since <= past.since) {
            return false;
        }
        self.past.retain(|other| !is(other));
        self.past.push(past);
        if self.past.len() > PAST_MAX
            && let Some(oldest) = (0..self.past.len()).min_by_key(|at| self.past[*at].since)
        {
            self.past.remove(oldest);
        }
        self.past.sort_unstable();
        true
    }
}
