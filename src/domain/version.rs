//! Versions: the total order in which a task's events count, whatever order they arrive in.
//!
//! Owns which of an event's stamps is believed and how ties break. Knows no record. The one thing that
//! depends on the arrival is which stamp is too far ahead of it, or missing; the record remembers the digests of
//! such events, so that their redelivery is still seen as a duplicate.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::event::{Event, Kind, Stamp, Stamps};
use super::time::Timestamp;

/// How far ahead of the arrival a stamp may be and still be believed: well above what NTP leaves, well below
/// what would block later changes of the same field for long.
pub const STAMP_AHEAD_MAX: Duration = Duration::from_secs(5 * 60);

/// How many events whose version hangs on their arrival a record remembers: redeliveries come within a handful
/// of events.
pub const ARRIVALS_MAX: usize = 16;

/// The place of an event in a task's history; greater wins, field by field.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Version {
    /// The believed stamp, milliseconds of UTC.
    pub ms: i64,
    /// Created < updated < completed < deleted within one stamp.
    pub kind: Kind,
    /// The broker's stamp, 0 where absent.
    pub broker: i64,
    /// The broker's offset, 0 where absent.
    pub offset: u64,
    /// The first 64 bits of SHA-256 of the normalised event: the last tie-break, and what makes two versions equal.
    pub digest: u64,
}

/// An event's version and how it was come by.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stamped {
    /// The version.
    pub version: Version,
    /// No stamp could be believed: `version.ms` is the arrival.
    pub from_arrival: bool,
    /// Some stamp was too far ahead of the arrival.
    pub ahead: bool,
}

impl Stamped {
    /// The same after what was known before of what it states, of which the `newest` version is given, where no stamp could be
    /// believed: the clock of the arrival may have been set back since then, and must not make what is told now older than
    /// that. What its stamps say to be older stays so. Only the order is lifted, never when it was told.
    #[must_use]
    pub(super) fn after(mut self, newest: impl FnOnce() -> Option<i64>, stamps: &Stamps) -> Self {
        if self.from_arrival
            && let Some(newest) = newest()
        {
            let after = newest.saturating_add(1);
            let said = [stamps.event.map(|s| s.at), stamps.broker, stamps.envelope.map(|s| s.at)];
            let said = said.into_iter().flatten().map(Timestamp::millis).min();
            self.version.ms = self.version.ms.max(said.map_or(after, |said| said.min(after)));
        }
        self
    }

    /// Whether a redelivery would be stamped otherwise.
    pub(super) fn hangs_on_arrival(&self) -> bool {
        self.from_arrival || self.ahead
    }
}

/// The version of `event`, which arrived at `arrival`.
#[must_use]
pub fn stamp(event: &Event, arrival: Timestamp) -> Stamped {
    stamp_of(&event.stamps, event.kind, event.offset, digest(event), arrival)
}

/// The version of what arrived at `arrival` with `stamps` and an offset, and is told apart by `digest`.
pub(super) fn stamp_of(stamps: &Stamps, kind: Kind, offset: u64, digest: u64, arrival: Timestamp) -> Stamped {
    let latest = arrival.plus(STAMP_AHEAD_MAX);
    let all = [
        stamps.event.map(|s| within_second(s, kind)),
        stamps.broker,
        stamps.envelope.map(|s| within_second(s, kind)),
    ];
    let ahead = all.iter().flatten().any(|at| *at > latest);
    let believed = all.into_iter().flatten().find(|at| *at <= latest);
    let version = Version {
        ms: believed.unwrap_or(arrival).millis(),
        kind,
        broker: stamps.broker.map_or(0, Timestamp::millis),
        offset,
        digest,
    };
    Stamped { version, from_arrival: believed.is_none(), ahead }
}

/// A stamp of whole seconds says only that the event lies in that second: a creation counts from its
/// start and everything else from its end, so that a change in the same second is never older than it.
fn within_second(stamp: Stamp, kind: Kind) -> Timestamp {
    if stamp.whole_second && kind != Kind::Created {
        stamp.at.plus(Duration::from_millis(999))
    } else {
        stamp.at
    }
}

/// Whether an event that hangs on its arrival is among `arrivals`; one that is not now is.
pub(super) fn has_arrived(arrivals: &mut Vec<u64>, stamped: &Stamped, stamps: &Stamps, offset: u64) -> bool {
    let hangs_on_arrival = stamped.hangs_on_arrival();
    if !hangs_on_arrival && arrivals.is_empty() {
        return false;
    }
    let arrived = arrived_digest(stamps, offset, stamped.version.digest);
    if arrivals.contains(&arrived) {
        return true;
    }
    if hangs_on_arrival {
        arrivals.push(arrived);
        if arrivals.len() > ARRIVALS_MAX {
            arrivals.remove(0);
        }
    }
    false
}

/// Tells apart events whose version hangs on their arrival: what they say, by its `digest`, and every stamp they
/// carry, since a producer may say the same thing twice under one id.
fn arrived_digest(stamps: &Stamps, offset: u64, digest: u64) -> u64 {
    let written = |stamp: Option<Stamp>| stamp.map(|s| (s.at, s.whole_second));
    short_digest(&(digest, offset, written(stamps.event), stamps.broker, written(stamps.envelope)))
}

fn digest(event: &Event) -> u64 {
    let normalised = (event.kind, event.task_id.as_str(), &event.message_id, &event.statements);
    short_digest(&normalised)
}

/// The first 64 bits of SHA-256 over the stable encoding of `value`.
pub(super) fn short_digest(value: &impl Serialize) -> u64 {
    // Encoding plain values into a growing buffer has no way to fail; an empty text would still be a digest.
    let bytes = postcard::to_stdvec(value).unwrap_or_default();
    let hash = Sha256::digest(&bytes);
    let mut first = [0; 8];
    first.copy_from_slice(&hash[..8]);
    u64::from_be_bytes(first)
}
