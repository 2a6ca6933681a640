//! What is counted where it happens, beside the counters that it must agree with (**invariant 5**).
//!
//! The counters of [`super::Meta`] say what became of events and reminders; these say that they came at all, and which
//! reminders are in no record any more. So a step that is counted twice, or not at all, shows: [`super::audit`]
//! compares. All of it is in the one value that every commit rewrites: a plain task costs no key and no read.

use super::EventTally;
use crate::domain::Tally;

/// Counted independently of outcomes and states.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ledger {
    /// Events that entered the commit loop.
    pub received: u64,
    /// Reminders that entered a record.
    pub planned: u64,
    /// Reminders that are in no record any more (trimmed, purged, erased), by the state they were in when they went.
    /// `None` until a pass over all records has found out how many went before they were counted.
    pub forgotten: Option<Tally>,
}

impl Default for Ledger {
    /// That of a store in which nothing has happened.
    fn default() -> Self {
        Self { received: 0, planned: 0, forgotten: Some(Tally::default()) }
    }
}

impl Ledger {
    /// That of a store which counted no more than outcomes and states so far: they are taken at their word, and what
    /// is counted from here on must agree.
    #[must_use]
    pub fn from_here_on(events: &EventTally, reminders: &Tally) -> Self {
        let planned = u64::try_from(reminders.total()).unwrap_or(0);
        Self { received: events.total(), planned, forgotten: None }
    }

    /// Counts reminders that leave their record.
    pub fn forget(&mut self, gone: &Tally) {
        if let Some(forgotten) = &mut self.forgotten {
            forgotten.add(gone);
        }
    }
}
