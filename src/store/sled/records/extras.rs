//! What the plain encoding does not have, each part under a number of its own after it: most records have a history
//! there, few anything else.

use super::super::codes::Coded;
use super::super::wire::{Malformed, Reader, put_bytes, put_count, put_int, put_text, put_uint};
use super::{actions, history, moment, put_moment};
use crate::domain::task::CalledOff;
use crate::domain::{Cause, Defaults, Field, Kind, Record, Reminder, ReminderId, Rule, Timestamp, Version};

/// Who stated the recurrence rule.
const RECURRENCE_PRODUCER: u8 = 1;
/// By its place among the reminders, how far from its rule's instant one was moved.
const MOVED: u8 = 2;
/// By its place among the reminders, the event that one goes out in.
const WITHIN: u8 = 3;

/// What of its reminders was called off.
const CALLED_OFF: u8 = 4;
/// How it came to be as it is.
const HISTORY: u8 = 5;
/// By its place among the reminders, why one must not come back.
const CAUSES: u8 = 6;
/// The default offsets that it was last planned under.
const DEFAULTS: u8 = 7;

/// The greatest numbers that the plain format knows.
const PLAIN_FIELDS_MAX: u8 = 10;
const PLAIN_KINDS_MAX: u8 = 4;

/// Whether the plain format can't hold `record`.
pub(super) fn are_needed(record: &Record) -> bool {
    let task = &record.task;
    let is_new = |field: Field| field.code() > PLAIN_FIELDS_MAX;
    let newer_kind = |kind: Kind| kind.code() > PLAIN_KINDS_MAX;
    let newer_rule = |rule: Rule| matches!(rule, Rule::Nag(_) | Rule::Snooze(_));
    task.cells.iter().any(|cell| is_new(cell.statement.field()) || newer_kind(cell.version.kind))
        || task.past.iter().any(|past| is_new(past.field))
        || [task.created, task.deleted].into_iter().flatten().any(|version| newer_kind(version.kind))
        || record.reminders.iter().any(|r| newer_rule(r.rule))
        || record.low_water.iter().any(|(rule, _)| newer_rule(*rule))
        || parts(record).next().is_some()
}

/// The numbers of the parts that `record` has, in the order in which they are written.
fn parts(record: &Record) -> impl Iterator<Item = u8> {
    let any = |has: fn(&Reminder) -> bool| record.reminders.iter().any(has);
    let has = [
        (RECURRENCE_PRODUCER, record.task.recurrence_producer.is_some()),
        (MOVED, any(|reminder| reminder.moved_from.is_some())),
        (WITHIN, any(|reminder| reminder.within.is_some())),
        (CAUSES, any(|reminder| reminder.cause.is_some())),
        (CALLED_OFF, !record.task.called_off.is_empty()),
        (HISTORY, history::is_needed(record)),
        (DEFAULTS, record.defaults != Defaults::default()),
    ];
    has.into_iter().filter(|(_, has)| *has).map(|(number, _)| number)
}

/// Adds the parts that `record` has.
pub(super) fn put(out: &mut Vec<u8>, versions: &[Version], record: &Record) {
    put_count(out, parts(record).count());
    let mut part = Vec::new();
    for number in parts(record) {
        part.clear();
        put_part(&mut part, number, versions, record);
        out.push(number);
        put_bytes(out, &part);
    }
}

fn put_part(part: &mut Vec<u8>, number: u8, versions: &[Version], record: &Record) {
    match number {
        RECURRENCE_PRODUCER => put_text(part, record.task.recurrence_producer.as_deref().unwrap_or_default()),
        MOVED => by_place(part, record, |part, reminder| {
            let from = reminder.moved_from?;
            put_int(part, from.millis().wrapping_sub(reminder.fire_at.millis()));
            Some(())
        }),
        WITHIN => by_place(part, record, |part, reminder| {
            part.extend_from_slice(reminder.within?.as_bytes());
            Some(())
        }),
        CAUSES => by_place(part, record, |part, reminder| {
            part.push(reminder.cause?.code());
            Some(())
        }),
        CALLED_OFF => put_called_off(part, &record.task.called_off),
        DEFAULTS => {
            put_int(part, record.defaults.since.millis());
            part.push(u8::from(record.defaults.due.is_some()));
            if let Some(due) = record.defaults.due {
                put_moment(part, 0, due);
            }
        }
        _ => history::put(part, versions, record),
    }
}

/// Reads what [`put`] added into `record`.
pub(super) fn read(
    reader: &mut Reader<'_>,
    versions: &[Version],
    record: &mut Record,
) -> Result<(), Malformed> {
    for _ in 0..reader.count()? {
        let number = reader.byte()?;
        let mut part = Reader::new(reader.bytes()?);
        match number {
            RECURRENCE_PRODUCER => record.task.recurrence_producer = Some(part.text()?.to_owned()),
            MOVED => at_places(&mut part, record, |part, reminder| {
                let from = reminder.fire_at.millis().wrapping_add(part.int()?);
                reminder.moved_from = Some(Timestamp::from_millis(from));
                Ok(())
            })?,
            WITHIN => at_places(&mut part, record, |part, reminder| {
                reminder.within = Some(ReminderId::from_bytes(part.array()?));
                Ok(())
            })?,
            CAUSES => at_places(&mut part, record, |part, reminder| {
                reminder.cause = Some(Cause::from_code(part.byte()?)?);
                Ok(())
            })?,
            CALLED_OFF => record.task.called_off = part.list(called_off)?,
            HISTORY => history::read(&mut part, versions, record)?,
            DEFAULTS => {
                let since = Timestamp::from_millis(part.int()?);
                let is_known = part.byte()? != 0;
                record.defaults = Defaults { since, due: part.when(is_known, |part| moment(part, 0))? };
            }
            _ => return Err(Malformed("a part of it is unknown to this release")),
        }
        part.end()?;
    }
    Ok(())
}

/// Each entry's instant, whether it names reminders, and which.
fn put_called_off(part: &mut Vec<u8>, entries: &[CalledOff]) {
    put_count(part, entries.len());
    for off in entries {
        put_int(part, off.at.millis());
        part.push(u8::from(off.of.is_some()));
        if let Some(target) = off.of {
            actions::put_target(part, 0, target);
        }
    }
}

fn called_off(part: &mut Reader<'_>) -> Result<CalledOff, Malformed> {
    let at = Timestamp::from_millis(part.int()?);
    let names = part.byte()? != 0;
    Ok(CalledOff { at, of: part.when(names, |part| actions::target(part, 0))? })
}

/// A part that says something of some reminders: pairs of place and value.
fn by_place(part: &mut Vec<u8>, record: &Record, value: impl Fn(&mut Vec<u8>, &Reminder) -> Option<()>) {
    let mut pairs = Vec::new();
    let mut count = 0;
    for (place, reminder) in record.reminders.iter().enumerate() {
        let start = pairs.len();
        put_count(&mut pairs, place);
        match value(&mut pairs, reminder) {
            Some(()) => count += 1,
            None => pairs.truncate(start),
        }
    }
    put_uint(part, count);
    part.extend(pairs);
}

fn at_places(
    part: &mut Reader<'_>,
    record: &mut Record,
    read: impl Fn(&mut Reader<'_>, &mut Reminder) -> Result<(), Malformed>,
) -> Result<(), Malformed> {
    for _ in 0..part.count()? {
        let place = usize::try_from(part.uint()?).unwrap_or(usize::MAX);
        let reminder = record.reminders.get_mut(place).ok_or(Malformed("a reminder is not in its list"))?;
        read(part, reminder)?;
    }
    Ok(())
}
