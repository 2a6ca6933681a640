//! Reminders after due: how often they come, and how many.
//!
//! `{"every": "1d", "max": 3}` with minutes or text, `"every 1 d, at most 3"`, or how often alone; null is the default,
//! `false`, 0 and words such as `none` are none at all.

use serde_json::{Map, Value};

use crate::domain::{NAGS_MAX, NAGS_MAX_DEFAULT, Nags};

use super::extras;
use super::reason::excerpt;
use super::wrapping::type_name;

/// Words for none at all.
const NONE: [&str; 5] = ["none", "never", "off", "no", "false"];
/// Longest text that is read, in bytes: `every 1 week and 2 days, at most 16 times` has 41.
const TEXT_MAX_BYTES: usize = 64;
const ALLOWED: &str = "write {\"every\": \"1d\", \"max\": 3}, \"every 1 d, at most 3\" or false";

/// The reminders after due that `value` states.
pub(super) fn nags(value: &Value) -> Result<Option<Nags>, String> {
    match value {
        Value::Null | Value::Bool(true) => Ok(None),
        Value::Bool(false) => Ok(Some(Nags::NONE)),
        Value::Number(_) => of(extras::minutes(value)?, NAGS_MAX_DEFAULT.into()),
        Value::String(text) => of_text(text),
        Value::Object(map) => of_object(map),
        Value::Array(_) => Err(format!("it is {}; {ALLOWED}", type_name(value))),
    }
}

fn of(every_minutes: u32, max: u64) -> Result<Option<Nags>, String> {
    let max = u32::try_from(max).ok().filter(|max| *max <= NAGS_MAX);
    let max = max.ok_or_else(|| {
        format!("more than {NAGS_MAX} reminders after due; write {NAGS_MAX} at most, such as \"every 1 d, at most 3\"")
    })?;
    let nags = Nags { every_minutes, max };
    Ok(Some(if nags.is_none() { Nags::NONE } else { nags }))
}

fn of_object(map: &Map<String, Value>) -> Result<Option<Nags>, String> {
    let said = |names: [&str; 2]| names.into_iter().find_map(|name| map.get(name)).filter(|v| !v.is_null());
    let Some(every) = said(["every", "every_minutes"]) else {
        return Err(format!("it does not say how often; {ALLOWED}"));
    };
    let max = match said(["max", "at_most"]) {
        None => NAGS_MAX_DEFAULT.into(),
        Some(max) => {
            // Bulk deliveries write whole numbers with a fraction of zero.
            let whole = extras::minutes(max).ok().filter(|_| max.is_number());
            whole
                .ok_or_else(|| format!("{} is no number of reminders; {ALLOWED}", excerpt(&max.to_string())))?
                .into()
        }
    };
    match every {
        Value::Bool(false) => Ok(Some(Nags::NONE)),
        every => of(extras::minutes(every)?, max),
    }
}

fn of_text(text: &str) -> Result<Option<Nags>, String> {
    let text = text.trim().to_ascii_lowercase();
    if text.is_empty() {
        return Ok(None);
    }
    if NONE.contains(&text.as_str()) {
        return Ok(Some(Nags::NONE));
    }
    let unreadable = || format!("`{}` does not say how often; {ALLOWED}", excerpt(&text));
    if text.len() > TEXT_MAX_BYTES {
        return Err(unreadable());
    }
    let (every, max) = match text.split_once("at most").or_else(|| text.split_once("max")) {
        None => (text.as_str(), NAGS_MAX_DEFAULT.into()),
        Some((every, max)) => {
            let max = max.trim().trim_end_matches("times").trim_end();
            (every, max.parse::<u64>().map_err(|_| unreadable())?)
        }
    };
    let every = every.trim().trim_end_matches(',').trim_end();
    let every = every.strip_prefix("every").unwrap_or(every).trim_start();
    of(extras::minutes(&Value::from(every)).map_err(|_| unreadable())?, max)
}
