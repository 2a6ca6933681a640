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

pub(super) fn encode(restored: &Restored) -> Vec<u8> {
    let Restored { at, from, backup, aside, reason, overdue, let_go, erases, confirmed } = restored;
    let mut out = vec![FORMAT];
    out.push(flags(&[
        (HELD, *overdue == AfterRestore::Held),
        (DROPPING, *overdue == AfterRestore::Dropping),
        (HAS_ASIDE, aside.is_some()),
        (HAS_REASON, reason.is_some()),
        (HAS_LET_GO, let_go.is_some()),
        (ERASES, *erases),
        (CONFIRMED, confirmed.is_some()),
    ]));
    for at in [Some(at), Some(from), let_go.as_ref(), confirmed.as_ref()].into_iter().flatten() {
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
    let backup = text(&mut reader)?;
    let aside = reader.when(has(HAS_ASIDE), text)?;
    let reason = reader.when(has(HAS_REASON), text)?;
    reader.end()?;
    Ok(Restored { at, from, backup, aside, reason, overdue, let_go, erases: has(ERASES), confirmed })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_origin_keeps_its_bytes() {
        let at = Timestamp::from_millis;
        let least = Restored {
            at: at(2),
            from: at(1),
            backup: "b".into(),
            aside: None,
            reason: None,
            overdue: AfterRestore::Fires,
            let_go: None,
            erases: false,
            confirmed: None,
        };
        let all = Restored {
            aside: Some("a".into()),
            reason: Some("r".into()),
            overdue: AfterRestore::Held,
            let_go: Some(at(3)),
            erases: true,
            confirmed: Some(at(4)),
            ..least.clone()
        };
        let dropping = Restored { overdue: AfterRestore::Dropping, ..least.clone() };
        for (origin, bytes) in [
            (least, b"\x01\x00\x04\x02\x01b".as_slice()),
            (all, b"\x01\x7d\x04\x02\x06\x08\x01b\x01a\x01r"),
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
