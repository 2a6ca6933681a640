//! What the contract demands of each field, one check a rule.
//!
//! A check is given a value that is there and not null, and says what is allowed where it is not.

use serde_json::Value;

use crate::domain::{
    LIST_MAX, Moment, OFFSET_MAX_MINUTES, Priority, Status, TAG_MAX_BYTES, USER_ID_MAX_BYTES, Zone,
};

use super::wrapping::type_name;
use super::{extras, stamp, task};

/// Whether a value is allowed, else what is.
pub(super) type Check = fn(&Value) -> Result<(), String>;

/// Every payload field of the contract; the task id is checked against the path.
pub(super) const PAYLOAD: [(&str, Check); 21] = [
    ("user_id", user_id),
    ("title", filled_text),
    ("description", any_text),
    ("priority", priority),
    ("status", status),
    ("due_date", due_date),
    ("timezone", timezone),
    ("recurrence", recurrence),
    ("tags", tags),
    ("reminder_offset", offset),
    ("reminder_offsets", |value| list(value).and_then(|items| items.iter().try_for_each(offset))),
    ("remind_at", remind_at),
    ("changed_fields", changed_fields),
    ("changes", changes),
    ("created_at", time),
    ("updated_at", time),
    ("deleted_at", time),
    ("completed_at", time),
    ("occurrence", any_text),
    ("rule", any_text),
    ("overdue_reminders", |value| super::nags::nags(value).map(|_| ())),
];

/// Every payload field of what is done about a reminder.
pub(super) const ACTION_PAYLOAD: [(&str, Check); 5] = [
    ("user_id", user_id),
    ("until", aware_time),
    ("minutes", minutes),
    ("occurrence", occurrence),
    ("reminder_id", uuid),
];

fn allow(is_allowed: bool, what: &str) -> Result<(), String> {
    is_allowed.then_some(()).ok_or_else(|| what.to_owned())
}

fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| format!("must be text, not {}", type_name(value)))
}

fn list(value: &Value) -> Result<&[Value], String> {
    let items = value.as_array().ok_or_else(|| format!("must be a list, not {}", type_name(value)))?;
    allow(items.len() <= LIST_MAX, &format!("must have at most {LIST_MAX} items"))?;
    Ok(items)
}

fn any_text(value: &Value) -> Result<(), String> {
    text(value).map(|_| ())
}

/// Text of at most `max` bytes.
pub(super) fn text_within(value: &Value, max: usize) -> Result<(), String> {
    allow(text(value)?.len() <= max, &format!("must have at most {max} bytes"))
}

/// Text that is not blank.
pub(super) fn filled_text(value: &Value) -> Result<(), String> {
    allow(!text(value)?.trim().is_empty(), "must not be empty")
}

/// A UUID, hyphenated or as 32 hex digits.
pub(super) fn uuid(value: &Value) -> Result<(), String> {
    let text = text(value)?;
    let is_uuid = matches!(text.len(), 32 | 36) && uuid::Uuid::try_parse(text).is_ok();
    allow(is_uuid, "must be a UUID, hyphenated or 32 hex digits")
}

/// `v` and a number.
pub(super) fn version(value: &Value) -> Result<(), String> {
    let digits = text(value)?.strip_prefix('v').unwrap_or_default();
    let is_version = !digits.is_empty() && digits.bytes().all(|b| b.is_ascii_digit());
    allow(is_version, "must be `v` and a number, such as v1")
}

/// A zone-aware time.
pub(super) fn aware_time(value: &Value) -> Result<(), String> {
    allow(stamp::is_zone_aware(text(value)?), "must be RFC 3339 with an offset, such as 2026-11-24T09:00:00Z")
}

fn time(value: &Value) -> Result<(), String> {
    allow(
        stamp::stamp(value).is_ok_and(|stamp| stamp.is_some()),
        "must be RFC 3339, such as 2026-11-24T09:00:00Z",
    )
}

fn due_date(value: &Value) -> Result<(), String> {
    const ALLOWED: &str = "must be RFC 3339, a time without offset or a date, such as 2026-11-24T09:00:00Z";
    allow(stamp::due(value).is_ok_and(|due| due.is_some()), ALLOWED)
}

fn remind_at(value: &Value) -> Result<(), String> {
    match value {
        Value::Array(_) => list(value)?.iter().try_for_each(due_date),
        _ => due_date(value),
    }
}

fn user_id(value: &Value) -> Result<(), String> {
    let id = task::id_text(value)?;
    let fits = (1..=USER_ID_MAX_BYTES).contains(&id.len());
    allow(fits, &format!("must have 1 to {USER_ID_MAX_BYTES} bytes"))
}

fn priority(value: &Value) -> Result<(), String> {
    let names = [Priority::High, Priority::Medium, Priority::Low].map(Priority::name);
    allow(names.contains(&text(value)?), "must be HIGH, MEDIUM or LOW")
}

fn status(value: &Value) -> Result<(), String> {
    let names = [Status::Todo, Status::InProgress, Status::Done].map(Status::name);
    allow(names.contains(&text(value)?), "must be TODO, IN_PROGRESS or DONE")
}

fn timezone(value: &Value) -> Result<(), String> {
    let name = text(value)?;
    allow(name.parse::<Zone>().is_ok(), "must be an IANA zone, such as Europe/Berlin or UTC")
}

fn tags(value: &Value) -> Result<(), String> {
    let what = format!("must be texts of at most {TAG_MAX_BYTES} bytes");
    let is_tag = |tag: &Value| tag.as_str().is_some_and(|tag| tag.len() <= TAG_MAX_BYTES);
    allow(list(value)?.iter().all(is_tag), &what)
}

fn offset(value: &Value) -> Result<(), String> {
    let fits = value.as_u64().is_some_and(|minutes| minutes <= u64::from(OFFSET_MAX_MINUTES));
    allow(fits, &format!("must be whole minutes before due, 0 to {OFFSET_MAX_MINUTES}"))
}

fn minutes(value: &Value) -> Result<(), String> {
    let fits = value.as_u64().is_some_and(|minutes| (1..=u64::from(OFFSET_MAX_MINUTES)).contains(&minutes));
    allow(fits, &format!("must be whole minutes, 1 to {OFFSET_MAX_MINUTES}"))
}

fn occurrence(value: &Value) -> Result<(), String> {
    const ALLOWED: &str = "must be the text that the reminder carries as `occurrence`";
    allow(text(value)?.parse::<Moment>().is_ok(), ALLOWED)
}

fn recurrence(value: &Value) -> Result<(), String> {
    const FREQUENCIES: [&str; 5] = ["daily", "weekly", "monthly", "yearly", "cron"];
    let is_rule = match value {
        Value::Object(rule) => {
            rule.get("frequency").and_then(Value::as_str).is_some_and(|f| FREQUENCIES.contains(&f))
        }
        Value::String(rule) => !rule.trim().is_empty(),
        _ => false,
    };
    allow(
        is_rule,
        "must be an RRULE text, or an object whose frequency is daily, weekly, monthly, yearly or cron",
    )?;
    extras::recurrence(value).map(drop)
}

fn changed_fields(value: &Value) -> Result<(), String> {
    let is_list =
        value.as_array().is_some_and(|names| !names.is_empty() && names.iter().all(Value::is_string));
    allow(is_list, "must be a list of field names that is not empty")
}

fn changes(value: &Value) -> Result<(), String> {
    allow(value.is_object(), "must be an object of {\"old\", \"new\"} by field")
}
