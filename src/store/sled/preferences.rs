//! A user's preferences in bytes, format 1: each wish with its version, former values, arrivals. There are few, and
//! they are read seldom, so nothing is shared between them.

use super::codes::Coded;
use super::wire::{Malformed, Reader, flags, put_count, put_int, put_text, put_uint};
use crate::domain::{
    Digest, Kind, Mute, PastWish, Preferences, Priority, Quiet, QuietMode, TimeOfDay, Timestamp, Version,
    Wish, WishCell, WishField,
};

/// The number of this encoding.
const FORMAT: u8 = 1;

const IS_NULL: u8 = 0x20;
const HAS_SINCE: u8 = 0x40;
/// The low bits of a byte that a field's number shares with flags.
const CODE: u8 = 0x1f;

const MUTE_ALWAYS: u8 = 1;
const MUTE_UNTIL: u8 = 2;

/// The preferences in bytes.
pub(super) fn encode(preferences: &Preferences) -> Vec<u8> {
    let mut out = vec![FORMAT];
    put_count(&mut out, preferences.cells.len());
    for cell in &preferences.cells {
        let head = out.len();
        out.push(cell.wish.field().code() | flags(&[(HAS_SINCE, cell.since.is_some())]));
        put_version(&mut out, cell.version);
        if let Some(since) = cell.since {
            put_int(&mut out, since.millis());
        }
        if put_wish(&mut out, &cell.wish).is_none() {
            out[head] |= IS_NULL;
        }
    }
    put_count(&mut out, preferences.past.len());
    for past in &preferences.past {
        out.push(past.field.code());
        out.extend_from_slice(&past.value.to_be_bytes());
        put_int(&mut out, past.since.millis());
    }
    put_count(&mut out, preferences.arrivals.len());
    for digest in &preferences.arrivals {
        out.extend_from_slice(&digest.to_be_bytes());
    }
    out
}

/// The preferences that [`encode`] put into `bytes`.
pub(super) fn decode(bytes: &[u8]) -> Result<Preferences, Malformed> {
    let mut reader = Reader::new(bytes);
    if reader.byte()? != FORMAT {
        return Err(Malformed("its format is unknown"));
    }
    let cells = reader.list(cell)?;
    let past = reader.list(|reader| {
        let field = WishField::from_code(reader.byte()?)?;
        Ok(PastWish { field, value: digest(reader)?, since: instant(reader)? })
    })?;
    let arrivals = reader.list(digest)?;
    reader.end()?;
    Ok(Preferences { cells, past, arrivals })
}

fn put_version(out: &mut Vec<u8>, version: Version) {
    out.push(version.kind.code());
    put_int(out, version.ms);
    put_int(out, version.broker);
    put_uint(out, version.offset);
    out.extend_from_slice(&version.digest.to_be_bytes());
}

fn version(reader: &mut Reader<'_>) -> Result<Version, Malformed> {
    Ok(Version {
        kind: Kind::from_code(reader.byte()?)?,
        ms: reader.int()?,
        broker: reader.int()?,
        offset: reader.uint()?,
        digest: digest(reader)?,
    })
}

/// Adds what is wished; `None` for a null, which adds nothing.
fn put_wish(out: &mut Vec<u8>, wish: &Wish) -> Option<()> {
    match wish {
        Wish::Zone(zone) => put_text(out, (*zone)?.name()),
        Wish::Offsets(offsets) => {
            let offsets = offsets.as_ref()?;
            put_count(out, offsets.len());
            offsets.iter().for_each(|minutes| put_uint(out, (*minutes).into()));
        }
        Wish::Quiet(quiet) => {
            let quiet = (*quiet)?;
            put_uint(out, quiet.start().minutes().into());
            put_uint(out, quiet.end().minutes().into());
            out.push(quiet.mode().code());
        }
        Wish::Mute(mute) => match (*mute)? {
            Mute::Always => out.push(MUTE_ALWAYS),
            Mute::Until(end) => {
                out.push(MUTE_UNTIL);
                put_int(out, end.millis());
            }
        },
        Wish::Digest(digest) => {
            let digest = (*digest)?;
            put_uint(out, digest.at.minutes().into());
            out.push(digest.below.code());
        }
    }
    Some(())
}

fn cell(reader: &mut Reader<'_>) -> Result<WishCell, Malformed> {
    let head = reader.byte()?;
    let version = version(reader)?;
    let since = reader.when(head & HAS_SINCE != 0, instant)?;
    let said = head & IS_NULL == 0;
    let wish = match WishField::from_code(head & CODE)? {
        WishField::Zone => Wish::Zone(reader.when(said, super::records::zone)?),
        WishField::Offsets => Wish::Offsets(reader.when(said, |r| r.list(Reader::uint32))?),
        WishField::Quiet => Wish::Quiet(reader.when(said, |reader| {
            let (start, end) = (time_of_day(reader)?, time_of_day(reader)?);
            let mode = QuietMode::from_code(reader.byte()?)?;
            Quiet::new(start, end, mode).map_err(|_| Malformed("quiet hours last all day"))
        })?),
        WishField::Mute => Wish::Mute(reader.when(said, |reader| match reader.byte()? {
            MUTE_ALWAYS => Ok(Mute::Always),
            MUTE_UNTIL => Ok(Mute::Until(instant(reader)?)),
            _ => Err(Malformed("a number stands for no silence")),
        })?),
        WishField::Digest => Wish::Digest(reader.when(said, |reader| {
            Ok(Digest { at: time_of_day(reader)?, below: Priority::from_code(reader.byte()?)? })
        })?),
    };
    Ok(WishCell { wish, version, since })
}

fn time_of_day(reader: &mut Reader<'_>) -> Result<TimeOfDay, Malformed> {
    let minutes = u16::try_from(reader.uint()?).ok().and_then(TimeOfDay::from_minutes);
    minutes.ok_or(Malformed("a day has no such time"))
}

fn digest(reader: &mut Reader<'_>) -> Result<u64, Malformed> {
    reader.array().map(u64::from_be_bytes)
}

fn instant(reader: &mut Reader<'_>) -> Result<Timestamp, Malformed> {
    reader.int().map(Timestamp::from_millis)
}
