use chrono::{DateTime, FixedOffset, SecondsFormat, TimeZone};
use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::stamp::{due, is_zone_aware, stamp};
use super::instant;
use crate::domain::{Due, Timestamp};

fn wall(utc: &str) -> Due {
    match instant(utc) {
        Due::Instant(at) => Due::Wall(at.millis()),
        other => other,
    }
}

#[test]
fn a_due_date_is_read_in_every_form() {
    for (text, expected) in [
        ("2026-11-24T09:00:00Z", instant("2026-11-24T09:00:00Z")),
        ("2026-11-24t09:00:00z", instant("2026-11-24T09:00:00Z")),
        ("2026-11-24 09:00:00Z", instant("2026-11-24T09:00:00Z")),
        (" 2026-11-24T09:00Z\n", instant("2026-11-24T09:00:00Z")),
        ("2026-11-24 09:00:00 UTC", instant("2026-11-24T09:00:00Z")),
        ("2026-11-24T09:00:00 GMT", instant("2026-11-24T09:00:00Z")),
        ("2026-11-24T09:00:00+05:30", instant("2026-11-24T03:30:00Z")),
        ("2026-11-24T09:00:00+0530", instant("2026-11-24T03:30:00Z")),
        ("2026-11-24T09:00:00-08", instant("2026-11-24T17:00:00Z")),
        ("2026-11-24 09:00:00 +01:00", instant("2026-11-24T08:00:00Z")),
        ("2026-11-24T09:00:00-00:00", instant("2026-11-24T09:00:00Z")),
        ("2026-11-24T09:00:00.5Z", instant("2026-11-24T09:00:00.500Z")),
        ("2026-11-24T09:00:00,25Z", instant("2026-11-24T09:00:00.250Z")),
        ("2026-11-24T09:00:00.123456Z", instant("2026-11-24T09:00:00.124Z")),
        ("2026-11-24T09:00:00.123000000Z", instant("2026-11-24T09:00:00.123Z")),
        ("2026-11-24T09:00:00.0000000000000001Z", instant("2026-11-24T09:00:00.001Z")),
        ("2026-12-31T23:59:59.9991Z", instant("2027-01-01T00:00:00Z")),
        ("2026-12-31T23:59:60Z", instant("2027-01-01T00:00:00Z")),
        ("2026-12-31T23:59:60.5Z", instant("2027-01-01T00:00:00.500Z")),
        ("2026-11-24T09:00:00", wall("2026-11-24T09:00:00Z")),
        ("2026-11-24T09:00", wall("2026-11-24T09:00:00Z")),
        ("2026-11-24 09:00:00.0001", wall("2026-11-24T09:00:00.001Z")),
        ("2026-11-24", Due::Date(20_781)),
        ("1970-01-01", Due::Date(0)),
        ("0001-01-01T00:00:00Z", instant("0001-01-01T00:00:00Z")),
    ] {
        assert_eq!(due(&json!(text)), Ok(Some(expected)), "{text}");
    }
}

#[test]
fn no_date_is_null_or_empty() {
    for value in [Value::Null, json!(""), json!("  ")] {
        assert_eq!(due(&value), Ok(None));
        assert_eq!(stamp(&value), Ok(None));
    }
}

#[test]
fn what_is_not_certain_is_no_due_date() {
    for value in [
        json!(1_795_502_015),
        json!(1_795_502_015_271_i64),
        json!(0),
        json!(true),
        json!([]),
        json!({}),
        json!("1795502015"),
        json!("tomorrow"),
        json!("None"),
        json!("24.11.2026"),
        json!("11/24/2026"),
        json!("2026-11"),
        json!("2026-1-4"),
        json!("2026-02-30"),
        json!("2026-13-01"),
        json!("2026-11-24T"),
        json!("2026-11-24T9:00"),
        json!("2026-11-24T24:00:00Z"),
        json!("2026-11-24T09:60Z"),
        json!("2026-11-24T09:00:61Z"),
        json!("2026-11-24T09:00:00.Z"),
        json!("2026-11-24T09:00:00+24:00"),
        json!("2026-11-24T09:00:00+01:60"),
        json!("2026-11-24T09:00:00 CET"),
        json!("2026-11-24T09:00:00+1"),
        json!("2026-11-24T09:00:00Z Z"),
        json!("2026-11-24Z"),
        json!("12026-11-24"),
        json!("２０２６-11-24"),
    ] {
        assert!(due(&value).is_err(), "{value}");
    }
}

#[test]
fn a_stamp_is_cut_and_knows_whether_it_has_a_fraction() {
    for (text, at, whole_second) in [
        ("2026-11-24T09:00:00Z", "2026-11-24T09:00:00Z", true),
        ("2026-11-24T09:00:00.000Z", "2026-11-24T09:00:00Z", false),
        ("2026-11-24T09:00:00.1239+01:00", "2026-11-24T08:00:00.123Z", false),
        ("2026-11-24T09:00:00.5", "2026-11-24T09:00:00.500Z", false),
        ("2026-11-24 09:00:00", "2026-11-24T09:00:00Z", true),
    ] {
        let read = stamp(&json!(text)).unwrap().unwrap();
        assert_eq!((read.at, read.whole_second), (super::at(at), whole_second), "{text}");
    }
    for value in [json!("2026-11-24"), json!("noon"), json!(1_795_502_015_271_i64), json!(false)] {
        assert!(stamp(&value).is_err(), "{value}");
    }
}

#[test]
fn a_time_is_zone_aware_only_with_an_offset() {
    assert!(is_zone_aware("2026-11-24T09:00:00Z"));
    assert!(!is_zone_aware("2026-11-24T09:00:00"));
    assert!(!is_zone_aware("2026-11-24"));
    assert!(!is_zone_aware("noon"));
}

proptest! {
    #[test]
    fn a_rendered_instant_reads_back(
        ms in -62_135_596_800_000_i64..253_402_214_400_000,
        offset_minutes in -23 * 60..=23 * 60_i32,
    ) {
        let zone = FixedOffset::east_opt(offset_minutes * 60).unwrap();
        let local: DateTime<FixedOffset> = zone.timestamp_millis_opt(ms).unwrap();
        let text = local.to_rfc3339_opts(SecondsFormat::AutoSi, true);
        let four_digits = text.len() > 4 && text.as_bytes()[4] == b'-' && !text.starts_with('-');
        prop_assume!(four_digits);
        prop_assert_eq!(due(&json!(text)), Ok(Some(Due::Instant(Timestamp::from_millis(ms)))));
    }

    #[test]
    fn a_due_instant_is_never_before_what_was_written(ns in 0_u32..1_000_000_000) {
        let text = format!("2026-11-24T09:00:00.{ns:09}Z");
        let start = super::at("2026-11-24T09:00:00Z").millis();
        let Ok(Some(Due::Instant(at))) = due(&json!(text)) else { return Err(TestCaseError::fail(text)) };
        prop_assert_eq!(at.millis() - start, i64::from(ns.div_ceil(1_000_000)));
    }

    #[test]
    fn no_text_panics(text in "[0-9TtZz:. +,-]{0,40}") {
        let _ = (due(&json!(text)), stamp(&json!(text)));
    }
}
