//! A task's record in bytes, formats 1 and 2.
//!
//! Compact, since there are many: the few distinct versions stand in one table that cells index; instants are
//! kept as differences, cells' to their version, reminders' to their occurrence and the rest to the first
//! version; what is absent costs a bit. Differences wrap, so that any instant comes back as it was. Zones go by
//! name. Knows no key and no disk.
//!
//! Format 2 is format 1 with what it did not know: words, ids of users that are UUIDs in 16 bytes, and numbered parts
//! after it ([`extras`]). A record that needs none of it is written in format 1.

use super::codes::Coded;
use super::wire::{Malformed, Reader, flags, put_count, put_int, put_text, put_uint};
use crate::domain::history::EventId;
use crate::domain::task::{Cell, Origin, Past};
use crate::domain::{
    Due, Field, Kind, Moment, Priority, Record, Statement, Status, Task, Timestamp, Version, Zone,
};

mod actions;
mod causes;
mod extras;
mod history;
mod reminders;

/// The number of the plain encoding, the first byte of a record.
const PLAIN: u8 = 1;
/// The number of the encoding with extras.
const WITH_EXTRAS: u8 = 2;

const HAS_CREATED: u8 = 0x01;
const HAS_BORN: u8 = 0x02;
const HAS_DELETED: u8 = 0x04;
const HAS_CORRELATION: u8 = 0x08;
const HAS_TRACE: u8 = 0x10;
const HAS_TRANSPORT: u8 = 0x20;
const HAS_PAST: u8 = 0x40;
const HAS_ARRIVALS: u8 = 0x80;

const VERSION_HAS_BROKER: u8 = 0x20;
const VERSION_HAS_OFFSET: u8 = 0x40;

const CELL_IS_NULL: u8 = 0x20;
const CELL_HAS_SINCE: u8 = 0x40;
const CELL_SINCE_VERSION: u8 = 0x80;

/// In place of a cell's head: a user whose id is a UUID, in 16 bytes. Only with extras.
const USER_UUID: u8 = 0x1f;

/// The low bits of a byte that a word's number shares with flags.
const CODE: u8 = 0x1f;

/// The record in bytes.
pub(super) fn encode(record: &Record) -> Vec<u8> {
    let task = &record.task;
    let versions = distinct(record);
    let base = base(&versions);
    let mut out = Vec::with_capacity(192);
    let with_extras = extras::are_needed(record);
    out.push(if with_extras { WITH_EXTRAS } else { PLAIN });
    put_versions(&mut out, &versions);
    let index = |version: Version| versions.iter().position(|v| *v == version).unwrap_or_default();
    out.push(flags(&[
        (HAS_CREATED, task.created.is_some()),
        (HAS_BORN, task.born.is_some()),
        (HAS_DELETED, task.deleted.is_some()),
        (HAS_CORRELATION, task.due_origin.correlation_id.is_some()),
        (HAS_TRACE, task.due_origin.trace_id.is_some()),
        (HAS_TRANSPORT, task.transport.is_some()),
        (HAS_PAST, !task.past.is_empty()),
        (HAS_ARRIVALS, !task.arrivals.is_empty()),
    ]));
    for version in [task.created, task.deleted].into_iter().flatten() {
        put_count(&mut out, index(version));
    }
    for at in [task.born, task.transport].into_iter().flatten() {
        put_instant(&mut out, base, at);
    }
    if let Some(correlation) = &task.due_origin.correlation_id {
        put_text(&mut out, correlation);
    }
    if let Some(trace) = &task.due_origin.trace_id {
        out.extend_from_slice(trace);
    }
    if !task.past.is_empty() {
        put_count(&mut out, task.past.len());
        for past in &task.past {
            out.push(past.field.code());
            out.extend_from_slice(&past.value.to_be_bytes());
            put_instant(&mut out, base, past.since);
        }
    }
    if !task.arrivals.is_empty() {
        put_count(&mut out, task.arrivals.len());
        for digest in &task.arrivals {
            out.extend_from_slice(&digest.to_be_bytes());
        }
    }
    put_count(&mut out, task.cells.len());
    for cell in &task.cells {
        put_cell(&mut out, base, cell, index(cell.version), with_extras);
    }
    put_uint(&mut out, record.generation.into());
    reminders::put(&mut out, base, record);
    if with_extras {
        extras::put(&mut out, &versions, record);
    }
    out
}

/// The record that [`encode`] put into `bytes`.
pub(super) fn decode(bytes: &[u8]) -> Result<Record, Malformed> {
    let mut reader = Reader::new(bytes);
    let with_extras = match reader.byte()? {
        PLAIN => false,
        WITH_EXTRAS => true,
        _ => return Err(Malformed("its format is unknown")),
    };
    let versions = versions(&mut reader)?;
    let base = base(&versions);
    let present = reader.byte()?;
    let has = |flag| present & flag != 0;
    let version = |reader: &mut Reader<'_>| nth(&versions, reader.uint()?);
    let created = reader.when(has(HAS_CREATED), version)?;
    let deleted = reader.when(has(HAS_DELETED), version)?;
    let born = reader.when(has(HAS_BORN), |r| instant(r, base))?;
    let transport = reader.when(has(HAS_TRANSPORT), |r| instant(r, base))?;
    let due_origin = Origin {
        correlation_id: reader.when(has(HAS_CORRELATION), |r| r.text().map(str::to_owned))?,
        trace_id: reader.when(has(HAS_TRACE), Reader::array)?,
    };
    let past = reader.when(has(HAS_PAST), |r| r.list(|r| past(r, base)))?.unwrap_or_default();
    let arrivals = reader.when(has(HAS_ARRIVALS), |r| r.list(digest))?.unwrap_or_default();
    let cells = reader.list(|r| cell(r, base, &versions))?;
    let recurrence_producer = None;
    let called_off = Vec::new();
    let task = Task {
        created,
        born,
        deleted,
        cells,
        past,
        arrivals,
        due_origin,
        recurrence_producer,
        called_off,
        transport,
    };
    let generation = reader.uint32()?;
    let (reminders, low_water) = reminders::read(&mut reader, base)?;
    let mut record = Record { task, generation, reminders, low_water, ..Record::default() };
    if with_extras {
        extras::read(&mut reader, &versions, &mut record)?;
    }
    causes::read_from_texts(&mut record.reminders);
    reader.end()?;
    Ok(record)
}

/// The versions in the order of their first use.
fn distinct(record: &Record) -> Vec<Version> {
    let task = &record.task;
    let mut versions = Vec::with_capacity(4);
    let all = task.created.into_iter().chain(task.deleted).chain(task.cells.iter().map(|c| c.version));
    for version in all.chain(history::versions(&record.history)) {
        if !versions.contains(&version) {
            versions.push(version);
        }
    }
    versions
}

/// What instants are kept as differences to.
fn base(versions: &[Version]) -> i64 {
    versions.first().map_or(0, |version| version.ms)
}

fn nth(versions: &[Version], index: u64) -> Result<Version, Malformed> {
    usize::try_from(index)
        .ok()
        .and_then(|at| versions.get(at))
        .copied()
        .ok_or(Malformed("a version is not in its table"))
}

fn put_versions(out: &mut Vec<u8>, versions: &[Version]) {
    put_count(out, versions.len());
    let mut before = 0;
    for version in versions {
        let mut head = version.kind.code();
        if version.broker != 0 {
            head |= VERSION_HAS_BROKER;
        }
        if version.offset != 0 {
            head |= VERSION_HAS_OFFSET;
        }
        out.push(head);
        put_int(out, version.ms.wrapping_sub(before));
        before = version.ms;
        if version.broker != 0 {
            put_int(out, version.broker.wrapping_sub(version.ms));
        }
        if version.offset != 0 {
            put_uint(out, version.offset);
        }
        out.extend_from_slice(&version.digest.to_be_bytes());
    }
}

fn versions(reader: &mut Reader<'_>) -> Result<Vec<Version>, Malformed> {
    let mut before = 0i64;
    reader.list(|reader| {
        let head = reader.byte()?;
        let kind = Kind::from_code(head & CODE)?;
        let ms = before.wrapping_add(reader.int()?);
        before = ms;
        let broker = reader.when(head & VERSION_HAS_BROKER != 0, Reader::int)?;
        let broker = broker.map_or(0, |delta| ms.wrapping_add(delta));
        let offset = reader.when(head & VERSION_HAS_OFFSET != 0, Reader::uint)?.unwrap_or(0);
        Ok(Version { ms, kind, broker, offset, digest: digest(reader)? })
    })
}

fn put_cell(out: &mut Vec<u8>, base: i64, cell: &Cell, version: usize, with_extras: bool) {
    let (value, field) = (&cell.statement, cell.statement.field().code());
    let since = match cell.since {
        None => 0,
        Some(at) if at.millis() == cell.version.ms => CELL_SINCE_VERSION,
        Some(_) => CELL_HAS_SINCE,
    };
    let uuid = match value {
        Statement::User(Some(user)) if with_extras => match EventId::of(user) {
            EventId::Uuid(bytes) => Some(bytes),
            _ => None,
        },
        _ => None,
    };
    let head = out.len();
    out.push(since | if uuid.is_some() { USER_UUID } else { field });
    put_count(out, version);
    if let (CELL_HAS_SINCE, Some(at)) = (since, cell.since) {
        put_instant(out, cell.version.ms, at);
    }
    if let Some(uuid) = uuid {
        out.extend_from_slice(&uuid);
    } else if put_statement(out, base, value).is_none() {
        out[head] |= CELL_IS_NULL;
    }
}

/// Adds what is stated; `None` for an explicit null, which adds nothing.
fn put_statement(out: &mut Vec<u8>, base: i64, statement: &Statement) -> Option<()> {
    match statement {
        Statement::User(text) | Statement::Title(text) | Statement::Recurrence(text) => {
            put_text(out, text.as_ref()?);
        }
        Statement::Priority(priority) => out.push((*priority)?.code()),
        Statement::Status(status) => out.push((*status)?.code()),
        Statement::Due(due) => put_due(out, base, (*due)?),
        Statement::Zone(zone) => put_text(out, (*zone)?.name()),
        Statement::Offsets(offsets) => {
            let offsets = offsets.as_ref()?;
            put_count(out, offsets.len());
            offsets.iter().for_each(|minutes| put_uint(out, (*minutes).into()));
        }
        Statement::RemindAt(times) => {
            let times = times.as_ref()?;
            put_count(out, times.len());
            times.iter().for_each(|due| put_due(out, base, *due));
        }
        Statement::Tags(tags) => {
            let tags = tags.as_ref()?;
            put_count(out, tags.len());
            tags.iter().for_each(|tag| put_text(out, tag));
        }
        Statement::Nags(nags) => actions::put_nags(out, (*nags)?),
        Statement::Snooze(snooze) => actions::put_snooze(out, base, (*snooze)?),
        Statement::Acknowledged(target) | Statement::Cancelled(target) => {
            actions::put_target(out, base, (*target)?);
        }
    }
    Some(())
}

fn cell(reader: &mut Reader<'_>, base: i64, versions: &[Version]) -> Result<Cell, Malformed> {
    let head = reader.byte()?;
    let version = nth(versions, reader.uint()?)?;
    let since = match head & (CELL_HAS_SINCE | CELL_SINCE_VERSION) {
        0 => None,
        CELL_SINCE_VERSION => Some(Timestamp::from_millis(version.ms)),
        _ => Some(instant(reader, version.ms)?),
    };
    if head & CODE == USER_UUID {
        let user = EventId::Uuid(reader.array()?).to_string();
        return Ok(Cell { statement: Statement::User(Some(user)), version, since });
    }
    let stated = head & CELL_IS_NULL == 0;
    let statement = match Field::from_code(head & CODE)? {
        Field::User => Statement::User(reader.when(stated, text)?),
        Field::Title => Statement::Title(reader.when(stated, text)?),
        Field::Recurrence => Statement::Recurrence(reader.when(stated, text)?),
        Field::Priority => Statement::Priority(reader.when(stated, |r| Priority::from_code(r.byte()?))?),
        Field::Status => Statement::Status(reader.when(stated, |r| Status::from_code(r.byte()?))?),
        Field::Due => Statement::Due(reader.when(stated, |r| due(r, base))?),
        Field::Zone => Statement::Zone(reader.when(stated, zone)?),
        Field::Offsets => Statement::Offsets(reader.when(stated, |r| r.list(Reader::uint32))?),
        Field::RemindAt => Statement::RemindAt(reader.when(stated, |r| r.list(|r| due(r, base)))?),
        Field::Tags => Statement::Tags(reader.when(stated, |r| r.list(text))?),
        Field::Nags => Statement::Nags(reader.when(stated, actions::nags)?),
        Field::Snooze => Statement::Snooze(reader.when(stated, |r| actions::snooze(r, base))?),
        Field::Acknowledged => Statement::Acknowledged(reader.when(stated, |r| actions::target(r, base))?),
        Field::Cancelled => Statement::Cancelled(reader.when(stated, |r| actions::target(r, base))?),
    };
    Ok(Cell { statement, version, since })
}

fn text(reader: &mut Reader<'_>) -> Result<String, Malformed> {
    reader.text().map(str::to_owned)
}

pub(super) fn zone(reader: &mut Reader<'_>) -> Result<Zone, Malformed> {
    reader.text()?.parse().map_err(|_| Malformed("a zone is not in this release's tz database"))
}

fn digest(reader: &mut Reader<'_>) -> Result<u64, Malformed> {
    reader.array().map(u64::from_be_bytes)
}

fn past(reader: &mut Reader<'_>, base: i64) -> Result<Past, Malformed> {
    let field = Field::from_code(reader.byte()?)?;
    Ok(Past { field, value: digest(reader)?, since: instant(reader, base)? })
}

fn put_instant(out: &mut Vec<u8>, base: i64, at: Timestamp) {
    put_int(out, at.millis().wrapping_sub(base));
}

fn instant(reader: &mut Reader<'_>, base: i64) -> Result<Timestamp, Malformed> {
    Ok(Timestamp::from_millis(base.wrapping_add(reader.int()?)))
}

const DUE_INSTANT: u8 = 1;
const DUE_WALL: u8 = 2;
const DUE_DATE: u8 = 3;

fn put_due(out: &mut Vec<u8>, base: i64, due: Due) {
    match due {
        Due::Instant(at) => {
            out.push(DUE_INSTANT);
            put_instant(out, base, at);
        }
        Due::Wall(ms) => {
            out.push(DUE_WALL);
            put_int(out, ms.wrapping_sub(base));
        }
        Due::Date(days) => {
            out.push(DUE_DATE);
            put_int(out, days.into());
        }
    }
}

fn due(reader: &mut Reader<'_>, base: i64) -> Result<Due, Malformed> {
    match reader.byte()? {
        DUE_INSTANT => Ok(Due::Instant(instant(reader, base)?)),
        DUE_WALL => Ok(Due::Wall(base.wrapping_add(reader.int()?))),
        DUE_DATE => {
            i32::try_from(reader.int()?).map(Due::Date).map_err(|_| Malformed("a date is too far away"))
        }
        _ => Err(Malformed("a number stands for no kind of due date")),
    }
}

/// A due date and, unless it is an instant, its zone.
fn put_moment(out: &mut Vec<u8>, base: i64, moment: Moment) {
    put_due(out, base, moment.due());
    if !matches!(moment.due(), Due::Instant(_)) {
        put_text(out, moment.zone().unwrap_or(Zone::UTC).name());
    }
}

fn moment(reader: &mut Reader<'_>, base: i64) -> Result<Moment, Malformed> {
    match due(reader, base)? {
        due @ Due::Instant(_) => Ok(Moment::new(due, Zone::UTC)),
        due => Ok(Moment::new(due, zone(reader)?)),
    }
}
