//! What the counters should be, by what was counted of each part; pure.

use crate::domain::{State, Tally};
use crate::store::Meta;

/// What is compared, as metrics and messages name it.
pub const COMPARED: [&str; 15] = [
    "received",
    "planned",
    "pending",
    "published",
    "cancelled",
    "superseded",
    "expired",
    "pending_index",
    "settled_index",
    "quarantine_entries",
    "quarantine_bytes",
    "outbox_entries",
    "outbox_bytes",
    "dead_letter_entries",
    UNREADABLE,
];
/// Values that can't be read.
pub const UNREADABLE: &str = "unreadable";

/// Something that is not what was counted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Mismatch {
    /// One of [`COMPARED`].
    pub what: &'static str,
    /// By the counters.
    pub counted: i64,
    /// What is there.
    pub there: i64,
}

impl Mismatch {
    /// Whether reminders, or their places, are gone: what no release leaves out by itself. Where the newest of the engine's
    /// files is hurt, it takes that for a write that was cut off, and goes back to what the page held before.
    #[must_use]
    pub fn lacks(&self) -> bool {
        let is_of_reminders = ["pending_index", "settled_index"].contains(&self.what)
            || State::ALL.iter().any(|state| state.name() == self.what);
        is_of_reminders && self.there < self.counted
    }
}

/// The counters among themselves.
pub(super) fn of_counters(meta: &Meta) -> Vec<Mismatch> {
    let received = differs("received", whole(meta.ledger.received), whole(meta.events.total()));
    let planned = differs("planned", whole(meta.ledger.planned), meta.reminders.total());
    received.into_iter().chain(planned).collect()
}

/// What was forgotten before that was counted: what is counted and not there. More cannot be there than was counted,
/// so that shows.
pub(super) fn forgotten_before(meta: &Meta, kept: &Tally) -> Tally {
    let mut missing = meta.reminders;
    missing.take_off(kept);
    Tally::from_counts(missing.counts().map(|count| count.max(0)))
}

pub(super) fn of_records(meta: &Meta, kept: &Tally) -> Vec<Mismatch> {
    let forgotten = meta.ledger.forgotten.unwrap_or_default();
    let compare = |state: State| {
        differs(state.name(), meta.reminders.of(state).saturating_sub(forgotten.of(state)), kept.of(state))
    };
    State::ALL.into_iter().filter_map(compare).collect()
}

/// An index has an entry for each reminder that is counted and not forgotten. Until that is known, nothing is told.
pub(super) fn of_index(
    what: &'static str,
    meta: &Meta,
    there: i64,
    is_in: impl Fn(State) -> bool,
) -> Vec<Mismatch> {
    let Some(forgotten) = meta.ledger.forgotten else { return Vec::new() };
    let states = State::ALL.into_iter().filter(|state| is_in(*state));
    let counted = states.map(|state| meta.reminders.of(state).saturating_sub(forgotten.of(state)));
    let counted = counted.fold(0, i64::saturating_add);
    differs(what, counted, there).into_iter().collect()
}

pub(super) fn differs(what: &'static str, counted: i64, there: i64) -> Option<Mismatch> {
    (counted != there).then_some(Mismatch { what, counted, there })
}

pub(super) fn whole(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}
