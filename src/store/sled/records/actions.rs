//! What a task's user did about its reminders, in bytes.

use super::super::wire::{Malformed, Reader, put_uint};
use super::{instant, moment, put_instant, put_moment};
use crate::domain::{Nags, ReminderId, Snooze, Target, Until};

const UNTIL_AT: u8 = 1;
const UNTIL_MINUTES: u8 = 2;

const TARGET_PRESENT: u8 = 1;
const TARGET_OCCURRENCE: u8 = 2;
const TARGET_REMINDER: u8 = 3;

pub(super) fn put_nags(out: &mut Vec<u8>, nags: Nags) {
    put_uint(out, nags.every_minutes.into());
    put_uint(out, nags.max.into());
}

pub(super) fn nags(reader: &mut Reader<'_>) -> Result<Nags, Malformed> {
    Ok(Nags { every_minutes: reader.uint32()?, max: reader.uint32()? })
}

pub(super) fn put_snooze(out: &mut Vec<u8>, base: i64, snooze: Snooze) {
    match snooze.until {
        Until::At(at) => {
            out.push(UNTIL_AT);
            put_instant(out, base, at);
        }
        Until::Minutes(minutes) => {
            out.push(UNTIL_MINUTES);
            put_uint(out, minutes.into());
        }
    }
    put_target(out, base, snooze.of);
}

pub(super) fn snooze(reader: &mut Reader<'_>, base: i64) -> Result<Snooze, Malformed> {
    let until = match reader.byte()? {
        UNTIL_AT => Until::At(instant(reader, base)?),
        UNTIL_MINUTES => Until::Minutes(reader.uint32()?),
        _ => return Err(Malformed("a number stands for no end of a snooze")),
    };
    Ok(Snooze { until, of: target(reader, base)? })
}

pub(super) fn put_target(out: &mut Vec<u8>, base: i64, target: Target) {
    match target {
        Target::Present => out.push(TARGET_PRESENT),
        Target::Occurrence(occurrence) => {
            out.push(TARGET_OCCURRENCE);
            put_moment(out, base, occurrence);
        }
        Target::Reminder(id) => {
            out.push(TARGET_REMINDER);
            out.extend_from_slice(id.as_bytes());
        }
    }
}

pub(super) fn target(reader: &mut Reader<'_>, base: i64) -> Result<Target, Malformed> {
    match reader.byte()? {
        TARGET_PRESENT => Ok(Target::Present),
        TARGET_OCCURRENCE => Ok(Target::Occurrence(moment(reader, base)?)),
        TARGET_REMINDER => Ok(Target::Reminder(ReminderId::from_bytes(reader.array()?))),
        _ => Err(Malformed("a number stands for no occurrence")),
    }
}
