use serde_json::{Value, json};

use super::{created, event, instant, refused, stated, updated};
use crate::domain::{Due, Field, LIST_MAX, OFFSET_MAX_MINUTES, Statement};

fn offsets(fields: &Value) -> Option<Vec<u32>> {
    let read = event(&created(fields));
    assert_eq!(refused(&read), [""; 0], "{fields}");
    match stated(&read, Field::Offsets) {
        Some(Statement::Offsets(offsets)) => offsets.clone(),
        other => panic!("{fields} states {other:?}"),
    }
}

fn refuses(fields: &Value) {
    let read = event(&created(fields));
    assert_eq!(read.statements, [], "{fields}");
    assert_eq!(refused(&read), fields.as_object().unwrap().keys().collect::<Vec<_>>(), "{fields}");
}

#[test]
fn an_offset_is_whole_minutes_or_text_with_a_unit() {
    for (value, minutes) in [
        (json!(0), 0),
        (json!(15), 15),
        (json!(15.0), 15),
        (json!("15"), 15),
        (json!("0"), 0),
        (json!("15min"), 15),
        (json!("15m"), 15),
        (json!("1h"), 60),
        (json!("1 day"), 1440),
        (json!("30 minutes"), 30),
        (json!("1 hour before"), 60),
        (json!("1 Hour Before"), 60),
        (json!("2 hours prior"), 120),
        (json!("1 week"), 10_080),
        (json!("90 mins before due"), 90),
        (json!("1h30m"), 90),
        (json!("1h 30min"), 90),
        (json!("1 day, 2 hours and 5 minutes before"), 1565),
        (json!("120s"), 2),
        (json!("0 minutes"), 0),
        (json!("PT15M"), 15),
        (json!("P1D"), 1440),
        (json!("P1DT2H30M"), 1590),
        (json!("P2W"), 20_160),
        (json!("PT0S"), 0),
        (json!("pt1h"), 60),
        (json!(OFFSET_MAX_MINUTES), OFFSET_MAX_MINUTES),
    ] {
        assert_eq!(offsets(&json!({"reminder_offset": value})), Some(vec![minutes]), "{value}");
    }
}

#[test]
fn what_is_no_offset_is_refused_and_the_event_stands() {
    for value in [
        json!(-15),
        json!("-15"),
        json!("-PT15M"),
        json!(1.5),
        json!("1.5h"),
        json!("soon"),
        json!("before"),
        json!("at 9"),
        json!("15 parsecs"),
        json!("15 15"),
        json!("90s"),
        json!("P"),
        json!("PT"),
        json!("P1M"),
        json!("P1H"),
        json!("PT1"),
        json!(true),
        json!({"minutes": 15}),
        json!([15, -1]),
        json!([[15]]),
        json!(OFFSET_MAX_MINUTES + 1),
        json!(u64::MAX),
        json!("99999999999999999999 days"),
        json!("18446744073709551615w"),
        json!(1e300),
        json!("1m".repeat(33)),
    ] {
        refuses(&json!({"reminder_offset": value}));
    }
    for value in [json!(-15), json!("90s"), json!(true), json!(OFFSET_MAX_MINUTES + 1)] {
        let read = event(&created(&json!({"reminder_offset": value})));
        let reason = &read.refused[0].reason;
        assert!(
            reason.contains("from 0 minutes to ten years: a number of minutes such as 15"),
            "{value}: {reason}"
        );
    }
}

#[test]
fn an_offset_text_is_read_up_to_its_bound() {
    let padded = |length: usize| format!("1 {}min", " ".repeat(length - "1 min".len()));
    assert_eq!(offsets(&json!({"reminder_offset": padded(64)})), Some(vec![1]));
    refuses(&json!({"reminder_offset": padded(65)}));
}

#[test]
fn the_key_names_the_unit_of_a_bare_number() {
    for (key, minutes) in [
        ("reminder_offset", 60),
        ("reminder_offsets", 60),
        ("reminderOffset", 60),
        ("reminder_offset_minutes", 60),
        ("reminder_minutes_before", 60),
        ("reminder_offset_seconds", 1),
        ("reminder_offset_hours", 3600),
        ("reminder_offset_days", 86_400),
    ] {
        assert_eq!(offsets(&json!({key: 60})), Some(vec![minutes]), "{key}");
        assert_eq!(offsets(&json!({key: "60"})), Some(vec![minutes]), "{key}");
        assert_eq!(offsets(&json!({key: "60 min"})), Some(vec![60]), "{key}");
    }
}

#[test]
fn offsets_are_ascending_and_distinct_and_every_key_adds_to_them() {
    assert_eq!(offsets(&json!({"reminder_offsets": [60, "1h", 0, 15]})), Some(vec![0, 15, 60]));
    assert_eq!(offsets(&json!({"reminder_offsets": []})), Some(Vec::new()));
    assert_eq!(offsets(&json!({"reminder_offset": null})), None);
    // An empty list that a model filled in must not silence the offset that was said.
    assert_eq!(offsets(&json!({"reminder_offsets": [], "reminder_offset": 15})), Some(vec![15]));
    assert_eq!(offsets(&json!({"reminder_offsets": [60], "reminder_offset": 15})), Some(vec![15, 60]));
    let half = event(&created(&json!({"reminder_offsets": ["soon"], "reminder_offset": 15})));
    assert_eq!(half.statements, [Statement::Offsets(Some(vec![15]))]);
    assert_eq!(refused(&half), ["reminder_offsets"]);
}

#[test]
fn lists_are_read_up_to_their_bound() {
    let many = |count: usize| (0..count).collect::<Vec<_>>();
    assert_eq!(offsets(&json!({"reminder_offsets": many(LIST_MAX)})).map(|o| o.len()), Some(LIST_MAX));
    refuses(&json!({"reminder_offsets": many(LIST_MAX + 1)}));
    let times = |count: usize| (0..count).map(|n| format!("2026-11-24T09:{n:02}:00Z")).collect::<Vec<_>>();
    let read = event(&created(&json!({"remind_at": times(LIST_MAX)})));
    assert!(matches!(&read.statements[..], [Statement::RemindAt(Some(all))] if all.len() == LIST_MAX));
    refuses(&json!({"remind_at": times(LIST_MAX + 1)}));
    let two_keys =
        event(&created(&json!({"remind_at": times(LIST_MAX), "trigger_at": "2026-11-25T09:00:00Z"})));
    assert_eq!((two_keys.statements.as_slice(), refused(&two_keys)), (&[][..], vec!["trigger_at"]));
}

#[test]
fn explicit_times_go_by_many_names_and_may_be_lists() {
    let nine = instant("2026-11-24T09:00:00Z");
    let ten = instant("2026-11-24T10:00:00Z");
    for key in ["remind_at", "remindAt", "reminder_time", "scheduled_time", "trigger_at", "reminder_at"] {
        let one = event(&created(&json!({key: "2026-11-24T09:00:00Z"})));
        assert_eq!(one.statements, [Statement::RemindAt(Some(vec![nine]))], "{key}");
        let list = ["2026-11-24T10:00:00Z", "2026-11-24T10:00:00+01:00", "2026-11-24T10:00:00Z"];
        let two = event(&created(&json!({key: list})));
        assert_eq!(two.statements, [Statement::RemindAt(Some(vec![nine, ten]))], "{key}");
    }
    let naive = event(&updated(&json!({"changes": {"remind_at": {"old": null, "new": ["2026-11-24"]}}})));
    assert_eq!(naive.statements, [Statement::RemindAt(Some(vec![Due::Date(20_781)]))]);
    let cleared = event(&updated(&json!({"changes": {"remind_at": {"old": "x", "new": null}}})));
    assert_eq!(cleared.statements, [Statement::RemindAt(None)]);
}
