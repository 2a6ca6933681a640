//! What was counted independently, behind everything else in the counters.
//!
//! What follows there is in sections, each with its number and its length first. A store from before has none; a section
//! that says no more than the counters before it is not written.

use super::values::STATES;
use super::wire::{Malformed, Reader, put_bytes, put_int, put_uint};
use crate::domain::{State, Tally};
use crate::store::{Ledger, Meta};

/// The number of the section.
pub(super) const SECTION: u8 = 1;

pub(super) fn put(out: &mut Vec<u8>, meta: &Meta) {
    let ledger = meta.ledger;
    if ledger == Ledger::from_here_on(&meta.events, &meta.reminders) {
        return;
    }
    let mut section = Vec::new();
    put_uint(&mut section, ledger.received);
    put_uint(&mut section, ledger.planned);
    section.push(u8::from(ledger.forgotten.is_some()));
    if let Some(forgotten) = ledger.forgotten {
        STATES.iter().for_each(|state| put_int(&mut section, forgotten.of(*state)));
    }
    out.push(SECTION);
    put_bytes(out, &section);
}

pub(super) fn read(section: &[u8]) -> Result<Ledger, Malformed> {
    let mut reader = Reader::new(section);
    let (received, planned) = (reader.uint()?, reader.uint()?);
    let is_known = reader.byte()? != 0;
    let ledger = Ledger { received, planned, forgotten: reader.when(is_known, tally)? };
    reader.end()?;
    Ok(ledger)
}

/// The counts of the states, in the order in which they are written.
pub(super) fn tally(reader: &mut Reader<'_>) -> Result<Tally, Malformed> {
    let mut counts = [0; State::ALL.len()];
    for state in STATES {
        let count = reader.int()?;
        State::ALL.iter().zip(&mut counts).filter(|(s, _)| **s == state).for_each(|(_, c)| *c = count);
    }
    Ok(Tally::from_counts(counts))
}
