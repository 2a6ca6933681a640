//! A task's history, in bytes: versions as their places in the record's table, arrivals as differences to them.

use super::super::codes::Coded;
use super::super::wire::{Malformed, Reader, flags, put_count, put_int, put_text, put_uint};
use super::{nth, text};
use crate::domain::history::{EventId, History, Move, Note, Noted};
use crate::domain::task::Outcome;
use crate::domain::{Field, Record, Refusal, ReminderId, Timestamp, Version};

const HAS_FORGOTTEN: u8 = 0x01;
/// Every reminder was planned by the first note of all, and has not left the plan: what most records say.
const ALL_BY_FIRST: u8 = 0x02;

const EVENT: u8 = 1;
const REPLANNED: u8 = 2;
/// The bits of a note's first byte that tell what it is; above them an event's outcome.
const WHAT: u8 = 0x03;
const OUTCOME_SHIFT: u8 = 2;
const HAS_OVERWRITTEN: u8 = 0x10;
const HAS_REFUSED: u8 = 0x20;
/// The two bits above tell the form of the event's id.
const ID_SHIFT: u8 = 6;
const ID_UUID: u8 = 1;
const ID_HEX: u8 = 2;
const ID_TEXT: u8 = 3;

/// Outcomes by their numbers, fixed for ever.
const OUTCOMES: [Outcome; 4] = [Outcome::Applied, Outcome::Duplicate, Outcome::Stale, Outcome::Ignored];

const PRODUCER_NONE: u8 = 0;
const PRODUCER_TEXT: u8 = 1;
/// Names of producers that take one byte, from this number on; fixed for ever: the contract's default, and our own.
const PRODUCER_KNOWN: u8 = 2;
const PRODUCERS: [&str; 3] = ["chat-api", "reminder-worker", "reminder-worker-cli"];

/// Whether `record` says anything of how it came to be.
pub(super) fn is_needed(record: &Record) -> bool {
    record.history != History::default()
        || record.reminders.iter().any(|r| r.planned_by.is_some() || r.ended_by.is_some())
}

/// The versions that notes name.
pub(super) fn versions(history: &History) -> impl Iterator<Item = Version> {
    history.notes.iter().filter_map(|note| match note {
        Note::Event(noted) => Some(noted.version),
        Note::Replanned { .. } => None,
    })
}

/// The part that says it.
pub(super) fn put(out: &mut Vec<u8>, versions: &[Version], record: &Record) {
    let history = &record.history;
    let all_by_first = record.reminders.iter().all(|r| (r.planned_by, r.ended_by) == (Some(0), None));
    out.push(flags(&[(HAS_FORGOTTEN, history.forgotten != 0), (ALL_BY_FIRST, all_by_first)]));
    if history.forgotten != 0 {
        put_uint(out, history.forgotten.into());
    }
    put_count(out, history.notes.len());
    for note in &history.notes {
        match note {
            Note::Event(noted) => put_event(out, versions, noted),
            Note::Replanned { at, tzdb, moved } => {
                out.push(REPLANNED);
                put_int(out, at.millis());
                put_text(out, tzdb);
                put_count(out, moved.len());
                for moved in moved {
                    out.extend_from_slice(moved.reminder.as_bytes());
                    put_int(out, moved.from.millis());
                    put_int(out, moved.to.millis().wrapping_sub(moved.from.millis()));
                }
            }
        }
    }
    if !all_by_first {
        for number in record.reminders.iter().flat_map(|r| [r.planned_by, r.ended_by]) {
            put_uint(out, number.map_or(0, |number| u64::from(number) + 1));
        }
    }
}

/// Reads what [`put`] made into `record`, whose reminders are there.
pub(super) fn read(
    part: &mut Reader<'_>,
    versions: &[Version],
    record: &mut Record,
) -> Result<(), Malformed> {
    let head = part.byte()?;
    let forgotten = part.when(head & HAS_FORGOTTEN != 0, Reader::uint32)?.unwrap_or(0);
    record.history = History { forgotten, notes: part.list(|part| note(part, versions))? };
    for reminder in &mut record.reminders {
        if head & ALL_BY_FIRST != 0 {
            reminder.planned_by = Some(0);
        } else {
            reminder.planned_by = number(part)?;
            reminder.ended_by = number(part)?;
        }
    }
    Ok(())
}

fn number(part: &mut Reader<'_>) -> Result<Option<u32>, Malformed> {
    let read = part.uint()?.checked_sub(1);
    read.map(|number| u32::try_from(number).map_err(|_| Malformed("a number is too large"))).transpose()
}

fn put_event(out: &mut Vec<u8>, versions: &[Version], noted: &Noted) {
    let outcome = OUTCOMES.iter().position(|outcome| *outcome == noted.outcome).unwrap_or_default();
    let form = match &noted.id {
        None => 0,
        Some(EventId::Uuid(_)) => ID_UUID,
        Some(EventId::Hex(_)) => ID_HEX,
        Some(EventId::Text(_)) => ID_TEXT,
    };
    let marks =
        flags(&[(HAS_OVERWRITTEN, !noted.overwritten.is_empty()), (HAS_REFUSED, !noted.refused.is_empty())]);
    // There are four outcomes.
    out.push(EVENT | u8::try_from(outcome).unwrap_or_default() << OUTCOME_SHIFT | marks | form << ID_SHIFT);
    put_count(out, versions.iter().position(|version| *version == noted.version).unwrap_or_default());
    put_int(out, noted.at.millis().wrapping_sub(noted.version.ms));
    match &noted.id {
        None => {}
        Some(EventId::Uuid(bytes) | EventId::Hex(bytes)) => out.extend_from_slice(bytes),
        Some(EventId::Text(id)) => put_text(out, id),
    }
    match noted.producer.as_deref().map(|name| (name, (PRODUCER_KNOWN..).zip(PRODUCERS))) {
        None => out.push(PRODUCER_NONE),
        Some((name, mut known)) => match known.find(|(_, known)| *known == name) {
            Some((code, _)) => out.push(code),
            None => {
                out.push(PRODUCER_TEXT);
                put_text(out, name);
            }
        },
    }
    if !noted.overwritten.is_empty() {
        put_count(out, noted.overwritten.len());
        out.extend(noted.overwritten.iter().map(|field| field.code()));
    }
    if !noted.refused.is_empty() {
        put_count(out, noted.refused.len());
        for refusal in &noted.refused {
            put_text(out, &refusal.key);
            put_text(out, &refusal.reason);
        }
    }
}

fn note(part: &mut Reader<'_>, versions: &[Version]) -> Result<Note, Malformed> {
    let head = part.byte()?;
    match head & WHAT {
        EVENT => event(part, head, versions).map(Note::Event),
        REPLANNED => {
            let at = Timestamp::from_millis(part.int()?);
            let tzdb = text(part)?;
            let moved = part.list(|part| {
                let reminder = ReminderId::from_bytes(part.array()?);
                let from = part.int()?;
                let to = from.wrapping_add(part.int()?);
                let (from, to) = (Timestamp::from_millis(from), Timestamp::from_millis(to));
                Ok(Move { reminder, from, to })
            })?;
            Ok(Note::Replanned { at, tzdb, moved })
        }
        _ => Err(Malformed("a number stands for no kind of note")),
    }
}

fn event(part: &mut Reader<'_>, head: u8, versions: &[Version]) -> Result<Noted, Malformed> {
    let outcome = OUTCOMES[usize::from(head >> OUTCOME_SHIFT & WHAT)];
    let version = nth(versions, part.uint()?)?;
    let at = Timestamp::from_millis(version.ms.wrapping_add(part.int()?));
    let id = match head >> ID_SHIFT {
        ID_UUID => Some(EventId::Uuid(part.array()?)),
        ID_HEX => Some(EventId::Hex(part.array()?)),
        ID_TEXT => Some(EventId::Text(text(part)?)),
        _ => None,
    };
    let producer = match part.byte()? {
        PRODUCER_NONE => None,
        PRODUCER_TEXT => Some(text(part)?),
        code => {
            let known = PRODUCERS.get(usize::from(code - PRODUCER_KNOWN));
            Some((*known.ok_or(Malformed("a number stands for no producer"))?).to_owned())
        }
    };
    let fields = |part: &mut Reader<'_>| part.list(|part| Field::from_code(part.byte()?));
    let overwritten = part.when(head & HAS_OVERWRITTEN != 0, fields)?.unwrap_or_default();
    let refusal =
        |part: &mut Reader<'_>| Ok(Refusal { key: part.text()?.to_owned(), reason: part.text()?.to_owned() });
    let refused = part.when(head & HAS_REFUSED != 0, |part| part.list(refusal))?.unwrap_or_default();
    Ok(Noted { at, version, outcome, id, producer, overwritten, refused })
}
