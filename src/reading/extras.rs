//! Extras of a task: priority, status, tags, recurrence, offsets before due and explicit reminder times.
//!
//! Owns their words and units. Each reads alone: `Err` says why it was refused, `Ok(None)` is an explicit null.

use serde_json::Value;

use crate::domain::{
    Due, LIST_MAX, OFFSET_MAX_MINUTES, Priority, RECURRENCE_MAX_BYTES, Series, Status, TAG_MAX_BYTES,
};

use super::changes::Claim;
use super::names::Says;
use super::reason::excerpt;
use super::stamp;
use super::wrapping::{parse, type_name};

#[rustfmt::skip]
const PRIORITIES: [(Priority, &[&str]); 3] = [
    (Priority::High,   &["high", "highest", "urgent", "critical", "p0", "p1"]),
    (Priority::Medium, &["medium", "med", "normal", "default", "p2"]),
    (Priority::Low,    &["low", "lowest", "none", "p3", "p4"]),
];

/// A cancelled task is ended like a finished one: nobody wants to be reminded of it.
#[rustfmt::skip]
const STATUSES: [(Status, &[&str]); 3] = [
    (Status::Todo,       &["todo", "open", "pending", "new", "notstarted", "incomplete", "backlog"]),
    (Status::InProgress, &["inprogress", "started", "doing", "active"]),
    (Status::Done,       &["done", "completed", "complete", "finished", "closed", "cancelled", "canceled"]),
];

/// Longest word looked up, in bytes: no word of the tables comes near it.
const WORD_MAX_BYTES: usize = 32;

/// Units of offsets, in seconds.
#[rustfmt::skip]
const UNITS: [(u64, &[&str]); 5] = [
    (1,       &["s", "sec", "secs", "second", "seconds"]),
    (60,      &["m", "min", "mins", "minute", "minutes"]),
    (3600,    &["h", "hr", "hrs", "hour", "hours"]),
    (86_400,  &["d", "day", "days"]),
    (604_800, &["w", "wk", "wks", "week", "weeks"]),
];
/// Longest text read as an offset, in bytes: `1 week, 2 days and 3 hours before due` has 38.
const OFFSET_TEXT_MAX_BYTES: usize = 64;
/// What an offset is.
const OFFSET_FORM: &str = "write how long before due, from 0 minutes to ten years: a number of minutes such as 15, or text such as \"1h 30m\" or \
     \"1 day\"";
/// Words that offsets end in or hold, which say nothing more.
const OFFSET_FILLERS: [&str; 6] = ["before", "prior", "due", "earlier", "and", "to"];

/// The word of `value`, if it has one, looked up in `table`.
fn word<T: Copy>(value: &Value, table: &[(T, &[&str])], allowed: &str) -> Result<Option<T>, String> {
    let text = match value {
        Value::Null => return Ok(None),
        Value::String(text) => text,
        other => return Err(format!("it is {}; write {allowed}", type_name(other))),
    };
    if text.trim().is_empty() {
        return Ok(None);
    }
    if text.len() > WORD_MAX_BYTES {
        return Err(format!("it is longer than {WORD_MAX_BYTES} bytes; write {allowed}"));
    }
    let normal: String =
        text.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect();
    let found = table.iter().find(|(_, words)| words.contains(&normal.as_str())).map(|(meant, _)| *meant);
    found.map(Some).ok_or_else(|| format!("`{}` is unknown; write {allowed}", excerpt(text)))
}

/// A priority, by any of its words. Numbers are refused: 1 is the highest for some and the lowest for others.
pub(super) fn priority(value: &Value) -> Result<Option<Priority>, String> {
    word(value, &PRIORITIES, "HIGH, MEDIUM or LOW")
}

/// A status, by any of its words.
pub(super) fn status(value: &Value) -> Result<Option<Status>, String> {
    word(value, &STATUSES, "TODO, IN_PROGRESS or DONE")
}

/// A status told as "is it completed".
pub(super) fn completed(value: &Value) -> Result<Option<Status>, String> {
    let of = |done| Some(if done { Status::Done } else { Status::Todo });
    match value {
        Value::Null => Ok(None),
        Value::Bool(done) => Ok(of(*done)),
        Value::String(text) if text.eq_ignore_ascii_case("true") => Ok(of(true)),
        Value::String(text) if text.eq_ignore_ascii_case("false") => Ok(of(false)),
        other => Err(format!("it is {}; write true or false", type_name(other))),
    }
}

/// Tags: a list of texts.
pub(super) fn tags(value: &Value) -> Result<Option<Vec<String>>, String> {
    let items = match value {
        Value::Null => return Ok(None),
        Value::Array(items) => items,
        other => return Err(format!("it is {}; write a list of texts", type_name(other))),
    };
    if items.len() > LIST_MAX {
        return Err(too_many(items.len()));
    }
    let tag = |item: &Value| match item {
        Value::String(tag) if tag.len() <= TAG_MAX_BYTES => Ok(tag.clone()),
        Value::String(_) => Err(format!("a tag is longer than {TAG_MAX_BYTES} bytes")),
        other => Err(format!("a tag is {}, not text", type_name(other))),
    };
    items.iter().map(tag).collect::<Result<_, _>>().map(Some)
}

/// Words that forms send for a task that does not come again.
const NO_RECURRENCE: [&str; 4] = ["none", "never", "no", "once"];

/// A recurrence rule as compact JSON with sorted keys: an object, the same as JSON text, or a text such as RRULE. One
/// that means nothing is refused.
pub(super) fn recurrence(value: &Value) -> Result<Option<String>, String> {
    let rule = match value {
        Value::Null => return Ok(None),
        Value::String(text) if text.trim().is_empty() => return Ok(None),
        Value::String(text) if NO_RECURRENCE.iter().any(|no| text.trim().eq_ignore_ascii_case(no)) => {
            return Ok(None);
        }
        Value::Object(rule) if is_no_rule(rule) => return Ok(None),
        Value::String(text) if text.trim_start().starts_with('{') => {
            parse(text.as_bytes()).map_err(|reason| reason.to_string())?.to_string()
        }
        // `Value` keeps its keys sorted and writes no white space.
        Value::String(_) | Value::Object(_) => value.to_string(),
        other => return Err(format!("it is {}; write an object or an RRULE text", type_name(other))),
    };
    if rule.len() > RECURRENCE_MAX_BYTES {
        return Err(format!("it is longer than {RECURRENCE_MAX_BYTES} bytes"));
    }
    if Series::parse(&rule)?.never_comes() {
        return Err("it never comes: no day is as it says".to_owned());
    }
    Ok(Some(rule))
}

/// Whether an object says that there is no rule: it has no frequency, or a word for none.
fn is_no_rule(rule: &serde_json::Map<String, Value>) -> bool {
    match rule.get("frequency") {
        Some(Value::String(word)) => NO_RECURRENCE.iter().any(|no| word.trim().eq_ignore_ascii_case(no)),
        Some(Value::Null) => true,
        _ => false,
    }
}

/// What is said of a list with more than [`LIST_MAX`] items.
pub(super) fn too_many(count: usize) -> String {
    format!("{count} are more than {LIST_MAX}")
}

/// `value` as a list of items: a list as it is, anything else as its only item.
fn items(value: &Value) -> Result<Option<&[Value]>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.trim().is_empty() => Ok(None),
        // Bounded before it is read; duplicates count, for nobody sends as many.
        Value::Array(items) if items.len() > LIST_MAX => Err(too_many(items.len())),
        Value::Array(items) => Ok(Some(items)),
        single => Ok(Some(std::slice::from_ref(single))),
    }
}

/// Explicit reminder times, one or a list; wall times of a zone that cannot be read (`zone_trouble`) are refused.
pub(super) fn remind_at(_: Claim<'_>, value: &Value, zone_trouble: bool) -> Result<Option<Vec<Due>>, String> {
    let time = |item| match stamp::due(item)? {
        None => Err("an item is empty".to_owned()),
        Some(Due::Wall(_) | Due::Date(_)) if zone_trouble => {
            Err("it is wall time in a zone that cannot be read".to_owned())
        }
        Some(due) => Ok(due),
    };
    items(value)?.map(|items| items.iter().map(time).collect()).transpose()
}

/// Offsets before due in whole minutes, one or a list, as numbers of the key's unit or as text with its own.
pub(super) fn offsets(claim: Claim<'_>, value: &Value) -> Result<Option<Vec<u32>>, String> {
    let unit_s = match claim.says {
        Says::OffsetsOf(seconds) => u64::from(seconds),
        Says::Plain(_) | Says::Completed => 60,
    };
    items(value)?.map(|items| items.iter().map(|item| offset(item, unit_s)).collect()).transpose()
}

/// Whole minutes, as a number or as text with a unit of its own.
pub(super) fn minutes(value: &Value) -> Result<u32, String> {
    offset(value, 60).map_err(|_| {
        let shown = excerpt(&value.to_string());
        format!(
            "{shown} is not whole minutes, up to ten years; write a number of minutes, or text such as 2h"
        )
    })
}

/// Offsets before due in whole minutes, ascending and distinct; null states none.
pub(super) fn offset_list(value: &Value) -> Result<Option<Vec<u32>>, String> {
    let Some(items) = items(value)? else { return Ok(None) };
    let mut minutes = items.iter().map(|item| offset(item, 60)).collect::<Result<Vec<_>, _>>()?;
    minutes.sort_unstable();
    minutes.dedup();
    Ok(Some(minutes))
}

fn offset(item: &Value, unit_s: u64) -> Result<u32, String> {
    let seconds = match item {
        Value::Number(n) => whole(n).and_then(|n| n.checked_mul(unit_s)),
        Value::String(text) => duration_s(text, unit_s),
        other => return Err(format!("an offset is {}; {OFFSET_FORM}", type_name(other))),
    };
    let Some(seconds) = seconds else {
        let shown = excerpt(&item.to_string());
        return Err(format!("{shown} is no offset; {OFFSET_FORM}"));
    };
    if seconds % 60 != 0 {
        return Err(format!("{seconds} seconds are not whole minutes; {OFFSET_FORM}"));
    }
    u32::try_from(seconds / 60)
        .ok()
        .filter(|minutes| *minutes <= OFFSET_MAX_MINUTES)
        .ok_or_else(|| format!("{} minutes are more than ten years; {OFFSET_FORM}", seconds / 60))
}

/// A number that is whole and not negative, written with a fraction of zero or without.
fn whole(n: &serde_json::Number) -> Option<u64> {
    const EXACT_END: f64 = 9_007_199_254_740_992.0;
    n.as_u64().or_else(|| {
        let float = n.as_f64().filter(|f| f.fract() == 0.0 && (0.0..EXACT_END).contains(f))?;
        // Within the range just checked the text of a float without its fraction is an integer's.
        format!("{float:.0}").parse().ok()
    })
}

/// The seconds that `text` says: `15`, `15min`, `1 hour 30 minutes before`, `PT15M`, `P1DT2H`.
fn duration_s(text: &str, unit_s: u64) -> Option<u64> {
    let text = text.trim().to_ascii_lowercase();
    if text.len() > OFFSET_TEXT_MAX_BYTES {
        return None;
    }
    if let Some(iso) = text.strip_prefix('p') {
        return iso_duration_s(iso);
    }
    let mut total: Option<u64> = None;
    let mut rest = text.as_str();
    while !rest.is_empty() {
        let (digits, after) = split_while(rest, |c| c.is_ascii_digit());
        let (unit, after) = split_while(after.trim_start(), |c| c.is_ascii_alphabetic());
        let seconds = match (digits, unit) {
            ("", filler) if total.is_some() && OFFSET_FILLERS.contains(&filler) => 0,
            ("", _) => return None,
            // A bare number is the whole text, in the unit of its key.
            (_, "") if total.is_none() && after.is_empty() => {
                digits.parse::<u64>().ok()?.checked_mul(unit_s)?
            }
            (_, unit) => digits.parse::<u64>().ok()?.checked_mul(unit_seconds(unit)?)?,
        };
        total = total.unwrap_or(0).checked_add(seconds);
        total?;
        rest = after.trim_start_matches([' ', ',']);
    }
    total
}

/// An ISO 8601 duration after its `p`: weeks and days, then, after a `t`, hours, minutes and seconds.
fn iso_duration_s(iso: &str) -> Option<u64> {
    let (date, time) = iso.split_once('t').unwrap_or((iso, ""));
    let parts = |mut rest: &str, units: &[&str]| {
        let mut total = 0_u64;
        let mut count = 0;
        while !rest.is_empty() {
            let (digits, after) = split_while(rest, |c| c.is_ascii_digit());
            let (unit, after) = split_while(after, |c| c.is_ascii_alphabetic());
            let unit = units.contains(&unit).then(|| unit_seconds(unit))??;
            total = total.checked_add(digits.parse::<u64>().ok()?.checked_mul(unit)?)?;
            count += 1;
            rest = after;
        }
        Some((total, count))
    };
    let (date_s, date_parts) = parts(date, &["w", "d"])?;
    let (time_s, time_parts) = parts(time, &["h", "m", "s"])?;
    (date_parts + time_parts > 0).then(|| date_s.checked_add(time_s))?
}

fn unit_seconds(unit: &str) -> Option<u64> {
    UNITS.iter().find(|(_, words)| words.contains(&unit)).map(|(seconds, _)| *seconds)
}

fn split_while(text: &str, is_in: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(|c| !is_in(c)).unwrap_or(text.len()))
}
