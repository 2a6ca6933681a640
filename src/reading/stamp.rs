//! Dates and times as producers write them.
//!
//! Reads ISO 8601 as far as it is certain: with any offset, `Z` or none; `T`, `t` or a space between; seconds and
//! a fraction of any length optional; a date alone. Numbers are never dates: 1795502015 may be seconds or
//! milliseconds of any epoch. A due instant finer than a millisecond is rounded up, so that nothing fires early; a
//! stamp is cut.

use chrono::{NaiveDate, NaiveDateTime, NaiveTime, TimeDelta};
use serde_json::Value;

use crate::domain::{Due, Stamp, Timestamp};

use super::reason::excerpt;
use super::wrapping::type_name;

/// What a stamp may be.
const STAMP_FORM: &str = "RFC 3339 such as 2026-11-24T09:00:00Z";
/// What a due date may be.
const DUE_FORMS: &str = "RFC 3339 such as 2026-11-24T09:00:00Z, a time without an offset such as 2026-11-24T09:00, or a \
                         date such as 2026-11-24";

/// A date, or a date and a time, as written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Written {
    date: NaiveDate,
    time: Option<WrittenTime>,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct WrittenTime {
    /// The time cut to whole milliseconds, on that day or, for a leap second, at the start of the next minute.
    at: NaiveDateTime,
    /// Whether digits beyond the millisecond say more than zero.
    finer: bool,
    /// Whether there is a fraction at all.
    fraction: bool,
    /// Seconds east of UTC, where the time is zone-aware.
    offset: Option<i32>,
}

/// The due date or reminder time that `value` states; `None` for null and for text that is empty, which forms
/// send for "no date".
pub(super) fn due(value: &Value) -> Result<Option<Due>, String> {
    due_in(value, DUE_FORMS)
}

/// The instant that `value` states, with its offset; one that is another form of due date is told by that.
pub(super) fn due_instant(value: &Value) -> Result<Option<Due>, String> {
    due_in(value, STAMP_FORM)
}

fn due_in(value: &Value, forms: &str) -> Result<Option<Due>, String> {
    let text = match value {
        Value::Null => return Ok(None),
        Value::String(text) => text.trim(),
        Value::Number(_) => return Err("a number may be seconds or milliseconds; write RFC 3339".to_owned()),
        other => return Err(format!("it is {}; write RFC 3339 text", type_name(other))),
    };
    if text.is_empty() {
        return Ok(None);
    }
    let written = written(text).ok_or_else(|| unreadable(text, forms))?;
    let Some(time) = written.time else { return Ok(Some(Due::date(written.date))) };
    let at = time.at.checked_add_signed(TimeDelta::milliseconds(i64::from(time.finer)));
    let at = at.ok_or_else(|| unreadable(text, forms))?;
    Ok(Some(match time.offset {
        Some(offset) => Due::Instant(instant(at, offset)),
        None => Due::wall(at),
    }))
}

/// The stamp that `value` states; `None` for null and for empty text. A naive one is UTC.
pub(super) fn stamp(value: &Value) -> Result<Option<Stamp>, String> {
    let text = match value {
        Value::Null => return Ok(None),
        Value::String(text) => text.trim(),
        other => return Err(format!("it is {}; write RFC 3339 text", type_name(other))),
    };
    if text.is_empty() {
        return Ok(None);
    }
    let time = written(text).and_then(|w| w.time).ok_or_else(|| unreadable(text, STAMP_FORM))?;
    Ok(Some(Stamp { at: instant(time.at, time.offset.unwrap_or(0)), whole_second: !time.fraction }))
}

/// Whether `text` is a date and time that names its offset from UTC.
pub(super) fn is_zone_aware(text: &str) -> bool {
    written(text).and_then(|w| w.time).is_some_and(|time| time.offset.is_some())
}

fn unreadable(text: &str, forms: &str) -> String {
    format!("`{}` is no date; write {forms}", excerpt(text))
}

fn instant(local: NaiveDateTime, offset_s: i32) -> Timestamp {
    Timestamp::from_millis(local.and_utc().timestamp_millis() - i64::from(offset_s) * 1000)
}

fn written(text: &str) -> Option<Written> {
    let mut rest = Cursor(text.as_bytes());
    let year = rest.digits(4)?;
    rest.expect(b'-')?;
    let month = rest.digits(2)?;
    rest.expect(b'-')?;
    let day = rest.digits(2)?;
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    if rest.is_empty() {
        return Some(Written { date, time: None });
    }
    rest.one_of(b"Tt ")?;
    Some(Written { date, time: Some(time(date, &mut rest)?) })
}

fn time(date: NaiveDate, rest: &mut Cursor<'_>) -> Option<WrittenTime> {
    let hour = rest.digits(2)?;
    rest.expect(b':')?;
    let minute = rest.digits(2)?;
    let second = if rest.expect(b':').is_some() { Some(rest.digits(2)?) } else { None };
    let fraction = match second.and_then(|_| rest.one_of(b".,")) {
        Some(_) => Some(rest.fraction()?),
        None => None,
    };
    let offset = offset(rest)?;
    let (millis, finer) = fraction.unwrap_or((0, false));
    // A leap second is the start of the next minute: no clock that the worker reads shows it.
    let (second, leap) = match second.unwrap_or(0) {
        60 => (59, 1),
        second => (second, 0),
    };
    let at = date.and_time(NaiveTime::from_hms_milli_opt(hour, minute, second, millis)?);
    let at = at.checked_add_signed(TimeDelta::seconds(leap))?;
    Some(WrittenTime { at, finer, fraction: fraction.is_some(), offset })
}

/// What follows the time: nothing, `Z`, `UTC`, `GMT` or an offset, perhaps after a space.
fn offset(rest: &mut Cursor<'_>) -> Option<Option<i32>> {
    const DAY_S: i32 = 86_400;
    let _ = rest.expect(b' ');
    if rest.is_empty() {
        return Some(None);
    }
    if [&b"z"[..], b"utc", b"gmt"].iter().any(|name| rest.0.eq_ignore_ascii_case(name)) {
        return Some(Some(0));
    }
    let sign = if rest.one_of(b"+-")? == b'-' { -1 } else { 1 };
    let hours = rest.digits(2)?;
    let minutes = if rest.is_empty() {
        0
    } else {
        let _ = rest.expect(b':');
        rest.digits(2)?
    };
    let seconds = i32::try_from(hours * 3600 + minutes * 60).ok()?;
    (rest.is_empty() && minutes < 60 && seconds < DAY_S).then_some(Some(sign * seconds))
}

struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn expect(&mut self, byte: u8) -> Option<()> {
        self.one_of(&[byte]).map(|_| ())
    }

    fn one_of(&mut self, bytes: &[u8]) -> Option<u8> {
        let (first, rest) = self.0.split_first()?;
        bytes.contains(first).then(|| {
            self.0 = rest;
            *first
        })
    }

    /// A number of exactly `count` digits.
    fn digits(&mut self, count: usize) -> Option<u32> {
        let (digits, rest) = self.0.split_at_checked(count)?;
        self.0 = rest;
        digits.iter().try_fold(0, |n, b| b.is_ascii_digit().then(|| n * 10 + u32::from(b - b'0')))
    }

    /// One or more digits of a fraction: its milliseconds, and whether anything finer is not zero.
    fn fraction(&mut self) -> Option<(u32, bool)> {
        let length = self.0.iter().take_while(|b| b.is_ascii_digit()).count();
        let (digits, rest) = self.0.split_at(length);
        self.0 = rest;
        let (coarse, fine) = digits.split_at(length.min(3));
        let millis = coarse.iter().fold(0, |n, b| n * 10 + u32::from(b - b'0'));
        let scale = [1000, 100, 10, 1][coarse.len()];
        (length > 0).then(|| (millis * scale, fine.iter().any(|b| *b != b'0')))
    }
}
