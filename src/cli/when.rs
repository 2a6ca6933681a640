//! Points in time as a person types them.

use chrono::{DateTime, NaiveDate, NaiveDateTime};

use crate::domain::Timestamp;

/// What may be typed.
const FORMS: &str = "write RFC 3339 such as 2026-11-25T09:00:00Z, a wall time such as 2026-11-25T09:00, a date \
                     such as 2026-11-25, or how long from now in s, m, h or d, such as 10m, `in 90s` or `in 2h 30m`";

/// `text` as an event states a due date: relative forms become an instant, all others stay as typed.
pub(super) fn due(text: &str, now: Timestamp) -> Result<String, String> {
    let text = text.trim();
    if let Some(at) = relative(text, now) {
        return Ok(at.to_rfc3339());
    }
    let absolute = DateTime::parse_from_rfc3339(text).is_ok()
        || text.parse::<NaiveDate>().is_ok()
        || text.parse::<NaiveDateTime>().is_ok()
        || NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M").is_ok();
    if absolute { Ok(text.to_owned()) } else { Err(format!("`{text}` is no time; {FORMS}")) }
}

/// `text` as an instant: RFC 3339 or relative.
pub(super) fn instant(text: &str, now: Timestamp) -> Result<Timestamp, String> {
    let text = text.trim();
    relative(text, now)
        .or_else(|| Some(Timestamp::from_millis(DateTime::parse_from_rfc3339(text).ok()?.timestamp_millis())))
        .ok_or_else(|| {
            format!(
                "`{text}` is no instant; write RFC 3339 such as 2026-11-25T09:00:00Z, or how long from now in s, m, h or \
                 d, such as 10m or `in 2h 30m`"
            )
        })
}

/// `text` as whole minutes.
pub(super) fn minutes(text: &str) -> Result<u32, String> {
    let text = text.trim();
    text.parse().map_err(|_| {
        let meant = humantime::parse_duration(text).ok().map(|span| span.as_secs()).filter(|s| s % 60 == 0);
        let example = meant.map_or(15, |seconds| seconds / 60);
        format!("`{text}` is no whole number of minutes; write a number such as {example}")
    })
}

/// Whether what `text` says depends on the time it is.
pub(super) fn is_relative(text: &str) -> bool {
    relative(text.trim(), Timestamp::MIN).is_some()
}

/// `10m` and `in 10m`.
fn relative(text: &str, now: Timestamp) -> Option<Timestamp> {
    let span = text.strip_prefix("in ").unwrap_or(text);
    humantime::parse_duration(span.trim()).ok().map(|span| now.plus(span))
}

/// How far `at` is from `now`, for a person: `in 5m 3s`, `2h ago`; seconds, and no more than two units.
pub(super) fn distance(at: Timestamp, now: Timestamp) -> String {
    let (span, past) = if at >= now { (at.since(now), false) } else { (now.since(at), true) };
    let whole = std::time::Duration::from_secs(span.as_secs());
    let text = humantime::format_duration(whole).to_string();
    let text = text.split(' ').take(2).collect::<Vec<_>>().join(" ");
    if past { format!("{text} ago") } else { format!("in {text}") }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);

    #[test]
    fn relative_times_become_instants_and_others_stay_as_typed() {
        for (typed, stated) in [
            ("in 10s", "2025-11-24T16:00:10.000Z"),
            ("10m", "2025-11-24T16:10:00.000Z"),
            (" in 2h 30m ", "2025-11-24T18:30:00.000Z"),
            ("1day", "2025-11-25T16:00:00.000Z"),
            ("2026-11-25T09:00:00+01:00", "2026-11-25T09:00:00+01:00"),
            ("2026-11-25T09:00", "2026-11-25T09:00"),
            ("2026-11-25T09:00:00.5", "2026-11-25T09:00:00.5"),
            ("2026-11-25", "2026-11-25"),
        ] {
            assert_eq!(due(typed, NOW).as_deref(), Ok(stated), "{typed}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_the_forms_there_are() {
        for typed in ["", "tomorrow", "10", "in", "2026-13-01", "2026-11-25T25:00", "-5m"] {
            assert!(due(typed, NOW).unwrap_err().contains("write RFC 3339 such as"), "{typed}");
        }
        assert!(instant("2026-11-25", NOW).is_err(), "a date alone is no instant");
        assert_eq!(instant("2025-11-24T17:00:01+01:00", NOW).unwrap().since(NOW).as_secs(), 1);
    }

    #[test]
    fn minutes_are_a_number_and_a_span_is_told_as_one() {
        assert_eq!(minutes(" 15 "), Ok(15));
        for (typed, told) in [("1h", "such as 60"), ("90s", "such as 15"), ("abc", "such as 15")] {
            assert!(minutes(typed).unwrap_err().ends_with(told), "{typed}");
        }
    }

    #[test]
    fn a_distance_has_at_most_two_units() {
        for (seconds, text) in [(0, "in 0s"), (59, "in 59s"), (3_723, "in 1h 2m"), (-61, "1m 1s ago")] {
            assert_eq!(distance(Timestamp::from_millis(NOW.millis() + seconds * 1_000), NOW), text);
        }
    }
}
