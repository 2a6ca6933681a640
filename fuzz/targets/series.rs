//! A recurrence rule (RFC 5545, cron or an object): it is refused with a reason, or each occurrence comes after the one
//! before it, and is one.

#![no_main]

use chrono::NaiveTime;
use libfuzzer_sys::fuzz_target;
use reminder_worker::domain::{Due, Moment, Next, Series, Timestamp, Zone};

/// Occurrences followed: enough to come over a gap and an overlap of an hourly rule's day.
const FOLLOWED: usize = 30;

/// The shape of an input: a byte each for zone and kind of due date, eight for the instant, and the rule.
fn parts(bytes: &[u8]) -> Option<(Zone, Due, &str)> {
    const ZONES: [&str; 5] =
        ["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia", "Australia/Lord_Howe"];
    let ([zone, kind], rest) = bytes.split_first_chunk()?;
    let (ms, rule) = rest.split_first_chunk()?;
    let zone = ZONES[usize::from(*zone) % ZONES.len()].parse().ok()?;
    let ms = i64::from_be_bytes(*ms);
    let due = match kind % 3 {
        0 => Due::Instant(Timestamp::from_millis(ms)),
        1 => Due::Wall(ms),
        _ => Due::Date(i32::try_from(ms / 86_400_000).ok()?),
    };
    Some((zone, due, std::str::from_utf8(rule).ok()?))
}

fuzz_target!(|bytes: &[u8]| {
    let Some((zone, due, rule)) = parts(bytes) else { return };
    let text = if rule.starts_with('{') { rule.to_owned() } else { serde_json::json!(rule).to_string() };
    let series = match Series::parse(&text) {
        Ok(series) => series,
        Err(why) => return assert!(!why.is_empty()),
    };
    series.never_comes();
    let (first, date_only) = (Moment::new(due, zone), NaiveTime::MIN);
    let mut after = first.instant(date_only);
    for _ in 0..FOLLOWED {
        let Next::At(moment) = series.next_after(first, zone, date_only, after) else { return };
        let at = moment.instant(date_only);
        assert!(at > after, "{text} from {first}: {at:?} is not after {after:?}");
        assert!(
            series.is_occurrence(first, zone, date_only, moment),
            "{text} from {first}: {moment} is none"
        );
        after = at;
    }
});
