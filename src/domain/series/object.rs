//! Recurrence as a JSON object: `frequency`, `interval`, `count`, `end_date`, `days_of_week`, `cron_expression`,
//! `exdates`, `follow`, `on_complete`. Other keys mean nothing here, and null is as good as absent.

use serde_json::{Map, Value};

use super::cron::{Cron, FORM};
use super::plain::Plain;
use super::rule::{Freq, Rule};
use super::stated::{shown, time, weekday, weekday_number};
use super::walk::DAY;
use super::{OnComplete, Series, Steps};
use crate::domain::due::Due;

type Object = Map<String, Value>;

/// The series that `object` describes.
pub(super) fn read(object: &Object) -> Result<Series, String> {
    let frequency = text(object, "frequency")?.ok_or(UNKNOWN)?.to_ascii_lowercase();
    let interval = number(object, "interval")?.unwrap_or(1);
    let days = days_of_week(object)?;
    let steps = match frequency.as_str() {
        "daily" if days == 0 => Steps::Plain(Plain::Every(i64::from(interval) * DAY)),
        "daily" => Steps::Rule(Rule::on_days(Freq::Daily, interval, days)),
        "weekly" if days == 0 => Steps::Plain(Plain::Every(i64::from(interval) * 7 * DAY)),
        "weekly" => Steps::Plain(Plain::Weekly { weeks: interval, days }),
        "monthly" | "yearly" | "cron" if days != 0 => {
            return Err(format!("`days_of_week` says nothing to `{frequency}`; write an RRULE with BYDAY"));
        }
        "monthly" => Steps::Plain(Plain::Monthly { months: i64::from(interval) }),
        "yearly" => Steps::Plain(Plain::Monthly { months: i64::from(interval) * 12 }),
        "cron" if interval != 1 => {
            return Err("`interval` says nothing to `cron`; write it into the expression".to_owned());
        }
        "cron" => Steps::Cron(Cron::parse(
            text(object, "cron_expression")?
                .ok_or_else(|| format!("`cron_expression` is missing; {FORM}"))?,
        )?),
        other => return Err(format!("the frequency `{}` is unknown; {UNKNOWN}", shown(other))),
    };
    Ok(Series {
        steps,
        count: number(object, "count")?,
        end: text(object, "end_date")?
            .map(|end| time(end, None).map_err(|reason| format!("`end_date`: {reason}")))
            .transpose()?,
        without: exdates(object)?,
        follow: follow(object)?,
        on_complete: on_complete(object)?,
    })
}

const UNKNOWN: &str = "write a frequency: daily, weekly, monthly, yearly or cron, such as {\"frequency\": \"daily\"}; what \
                       comes more often is written as an RRULE, such as \"FREQ=HOURLY;INTERVAL=2\"";

/// A value that says something.
fn value<'a>(object: &'a Object, key: &str) -> Option<&'a Value> {
    object.get(key).filter(|value| match value {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        _ => true,
    })
}

fn text<'a>(object: &'a Object, key: &str) -> Result<Option<&'a str>, String> {
    let text = |value: &'a Value| value.as_str().ok_or_else(|| format!("`{key}` is no text"));
    value(object, key).map(|value| text(value).map(str::trim)).transpose()
}

/// A whole number above zero, also as text, as forms send it.
fn number(object: &Object, key: &str) -> Result<Option<u32>, String> {
    let Some(value) = value(object, key) else { return Ok(None) };
    let whole = match value {
        Value::String(text) => text.trim().parse().ok(),
        // A float that is whole is written with a fraction of zero.
        Value::Number(number) => number.to_string().trim_end_matches(".0").parse().ok(),
        _ => None,
    };
    let number = whole.filter(|number| *number > 0);
    let refused = || format!("`{key}` is {}; write a whole number from 1 on", shown(&value.to_string()));
    number.ok_or_else(refused).map(Some)
}

/// The items of a list, or of a text with commas between them.
fn items(object: &Object, key: &str) -> Vec<Value> {
    match value(object, key) {
        None => Vec::new(),
        Some(Value::Array(items)) => items.clone(),
        Some(Value::String(text)) => text.split(',').map(Value::from).collect(),
        Some(single) => vec![single.clone()],
    }
}

/// Bits of days, Monday being bit 0.
fn days_of_week(object: &Object) -> Result<u8, String> {
    let mut days = 0;
    for item in items(object, "days_of_week") {
        let day = match &item {
            Value::String(name) => {
                weekday(name).or_else(|| name.trim().parse().ok().and_then(weekday_number))
            }
            other => other.as_u64().and_then(weekday_number),
        };
        let refused = || {
            let item = item.to_string();
            format!("`days_of_week` has {}; write MO to SU, or 1 (Monday) to 7 (Sunday)", shown(&item))
        };
        days |= 1 << day.ok_or_else(refused)?;
    }
    Ok(days)
}

fn exdates(object: &Object) -> Result<Vec<Due>, String> {
    let read = |item: &Value| {
        let text = item.as_str().ok_or_else(|| "it is no text".to_owned());
        text.and_then(|text| time(text, None)).map_err(|reason| format!("`exdates`: {reason}"))
    };
    items(object, "exdates").iter().map(read).collect()
}

fn follow(object: &Object) -> Result<Option<bool>, String> {
    match value(object, "follow") {
        None => Ok(None),
        Some(Value::Bool(follow)) => Ok(Some(*follow)),
        Some(other) => Err(format!("`follow` is {}; write true or false", shown(&other.to_string()))),
    }
}

fn on_complete(object: &Object) -> Result<OnComplete, String> {
    match text(object, "on_complete")?.map(str::to_ascii_lowercase).as_deref() {
        None => Ok(OnComplete::default()),
        Some("end") => Ok(OnComplete::End),
        Some("next") => Ok(OnComplete::Next),
        Some(other) => Err(format!("`on_complete` is `{}`; write end or next", shown(other))),
    }
}
