//! A restored store's origin in bytes.

use super::wire::{Malformed, Reader, flags, put_int, put_text};
use crate::domain::Timestamp;
use crate::store::{AfterRestore, Restored};

/// The number of this encoding.
const FORMAT: u8 = 1;

const HELD: u8 = 0x01;
const DROPPING: u8 = 0x02;
const HAS_ASIDE: u8 = 0x04;
const HAS_REASON: u8 = 0x08;
const HAS_LET_GO: u8 = 0x10;
const ERASES: u8 = 0x20;
const CONFIRMED: u8 = 0x40;
/// The clock was ahead: without it what is in doubt ends when it was restored.
const WAS_AHEAD: u8 = 0x80;

pub(super) fn encode(restored: &Restored) -> Vec<u8> {
    let Restored { at, from, in_doubt_to, backup, aside, reason, overdue, let_go, erases, confirmed } =
        restored;
    let ahead = (in_doubt_to > at).then_some(in_doubt_to);
    let mut out = vec![FORMAT];
    out.push(flags(&[
        (HELD, *overdue == AfterRestore::Held),
        (DROPPING, *overdue == AfterRestore::Dropping),
        (HAS_ASIDE, aside.is_some()),
        (HAS_REASON, reason.is_some()),
        (HAS_LET_GO, let_go.is_some()),
        (ERASES, *erases),
        (CONFIRMED, confirmed.is_some()),
        (WAS_AHEAD, ahead.is_some()),
    ]));
    for at in [Some(at), Some(from), let_go.as_ref(), confirmed.as_ref(), ahead].into_iter().flatten() {
        put_int(&mut out, at.millis());
    }
    for text in [Some(backup), aside.as_ref(), reason.as_ref()].into_iter().flatten() {
        put_text(&mut out, text);
    }
    out
}

pub(super) fn decode(bytes: &[u8]) -> Result<Restored, Malformed> {
    let mut reader = Reader::new(bytes);
    if reader.byte()? != FORMAT {
        return Err(Malformed("its format is unknown"));
    }
    let present = reader.byte()?;
    let has = |flag| present & flag != 0;
    let overdue = match (has(HELD), has(DROPPING)) {
        (false, false) => AfterRestore::Fires,
        (true, false) => AfterRestore::Held,
        (false, true) => AfterRestore::Dropping,
        (true, true) => return Err(Malformed("it holds reminders and drops them")),
    };
    let instant = |reader: &mut Reader<'_>| reader.int().map(Timestamp::from_millis);
    let text = |reader: &mut Reader<'_>| reader.text().map(str::to_owned);
    let (at, from) = (instant(&mut reader)?, instant(&mut reader)?);
    let let_go = reader.when(has(HAS_LET_GO), instant)?;
    let confirmed = reader.when(has(CONFIRMED), instant)?;
    let in_doubt_to = reader.when(has(WAS_AHEAD), instant)?.unwrap_or(at);
    let backup = text(&mut reader)?;
    let aside = reader.when(has(HAS_ASIDE), text)?;
    let reason = reader.when(has(HAS_REASON), text)?;
    reader.end()?;
    Ok(Restored {
        at,
        from,
        in_doubt_to,
        backup,
        aside,
        reason,
        overdue,
        let_go,
        erases: has(ERASES),
        confirmed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_keeps_its_bytes() {
        let at = Timestamp::from_millis;
        let least = Restored::new(at(2), at(1), "b");
        let all = Restored {
            aside: Some("a".into()),
            reason: Some("r".into()),
            overdue: AfterRestore::Held,
            let_go: Some(at(3)),
            erases: true,
            confirmed: Some(at(4)),
            ..least.clone()
        };
        let ahead = least.clone().seen(Some(at(5)));
        let dropping = Restored { overdue: AfterRestore::Dropping, ..least.clone() };
        for (origin, bytes) in [
            (least, b"\x01\x00\x04\x02\x01b".as_slice()),
            (all, b"\x01\x7d\x04\x02\x06\x08\x01b\x01a\x01r"),
            (ahead, b"\x01\x80\x04\x02\x0a\x01b"),
            (dropping, b"\x01\x02\x04\x02\x01b"),
        ] {
            assert_eq!(encode(&origin), bytes);
            assert_eq!(decode(bytes), Ok(origin));
            for length in 0..bytes.len() {
                assert!(decode(&bytes[..length]).is_err());
            }
        }
        assert!(decode(b"\x01\x03\x04\x02\x01b").is_err() && decode(b"\x02\x00\x04\x02\x01b").is_err());
    }
}
