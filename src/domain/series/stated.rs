//! Times, counts and words as rules state them, in JSON and in RFC 5545.

use chrono::{DateTime, NaiveDate, NaiveDateTime};

use crate::domain::due::{Due, Moment, Zone};
use crate::domain::reminder::cut;
use crate::domain::time::Timestamp;

/// Most bytes of a text that a reason repeats: enough to find it.
const SHOWN_MAX_BYTES: usize = 40;

/// Days of the week in the order of the calendar, Monday first.
const WEEKDAYS: [&str; 7] = ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"];

/// `text` as a reason shows it.
pub(super) fn shown(text: &str) -> String {
    cut(text.trim().to_owned(), SHOWN_MAX_BYTES)
}

/// The instant, wall time or day that `text` states; a wall time is in `zone`, where it has one of its own.
pub(super) fn time(text: &str, zone: Option<Zone>) -> Result<Due, String> {
    let text = text.trim();
    if let Ok(at) = DateTime::parse_from_rfc3339(text) {
        return Ok(Due::Instant(Timestamp::from_millis(at.timestamp_millis())));
    }
    let (naive, utc) = match text.strip_suffix(['Z', 'z']) {
        Some(naive) => (naive, true),
        None => (text, false),
    };
    const DATES: [&str; 2] = ["%Y-%m-%d", "%Y%m%d"];
    const TIMES: [&str; 5] =
        ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y%m%dT%H%M%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"];
    let day = DATES.iter().find_map(|format| NaiveDate::parse_from_str(naive, format).ok());
    if let (Some(day), false) = (day, utc) {
        return Ok(Due::date(day));
    }
    let wall = TIMES.iter().find_map(|format| NaiveDateTime::parse_from_str(naive, format).ok());
    let wall = wall.map(Due::wall).ok_or_else(|| {
        format!("`{}` is no date; write 2026-11-24, 2026-11-24T09:00:00 or 2026-11-24T09:00:00Z", shown(text))
    })?;
    Ok(match (wall, utc, zone) {
        (Due::Wall(ms), true, _) => Due::Instant(Timestamp::from_millis(ms)),
        (wall, _, Some(zone)) => Due::Instant(Moment::new(wall, zone).instant(chrono::NaiveTime::MIN)),
        (wall, _, None) => wall,
    })
}

/// The day of the week that `name` is or begins, Monday being 0; two letters are enough.
pub(super) fn weekday(name: &str) -> Option<u8> {
    let name = name.trim().to_ascii_lowercase();
    let place = WEEKDAYS.iter().position(|day| name.len() >= 2 && day.starts_with(&name))?;
    u8::try_from(place).ok()
}

/// The day of the week of a number: 1 is Monday and 6 Saturday, 0 and 7 are Sunday.
pub(super) fn weekday_number(number: u64) -> Option<u8> {
    let number = u8::try_from(number).ok().filter(|number| *number <= 7)?;
    Some((number + 6) % 7)
}
