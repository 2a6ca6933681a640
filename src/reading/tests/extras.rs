use serde_json::{Value, json};

use super::super::extras::{completed, priority, recurrence, status, tags};
use crate::domain::{LIST_MAX, Priority, RECURRENCE_MAX_BYTES, Status, TAG_MAX_BYTES};

#[test]
fn a_priority_goes_by_many_words() {
    for (expected, words) in [
        (Priority::High, &["HIGH", "high", "High", "urgent", "CRITICAL", "P1", "p0"][..]),
        (Priority::Medium, &["MEDIUM", "medium", "normal", "P2"]),
        (Priority::Low, &["LOW", "low", "none", "None", "P3"]),
    ] {
        for word in words {
            assert_eq!(priority(&json!(word)), Ok(Some(expected)), "{word}");
        }
    }
    for none in [Value::Null, json!("")] {
        assert_eq!(priority(&none), Ok(None));
    }
    for value in [json!(1), json!("P9"), json!("?"), json!(true), json!("high ".repeat(1000))] {
        assert!(priority(&value).is_err(), "{value}");
    }
}

#[test]
fn a_status_goes_by_many_words() {
    for (expected, words) in [
        (Status::Todo, &["TODO", "todo", "to_do", "To Do", "pending", "open", "not-started"][..]),
        (Status::InProgress, &["IN_PROGRESS", "in-progress", "In Progress", "inProgress", "started"]),
        (Status::Done, &["DONE", "done", "Completed", "complete", "closed", "cancelled"]),
    ] {
        for word in words {
            assert_eq!(status(&json!(word)), Ok(Some(expected)), "{word}");
        }
    }
    assert!(status(&json!("asleep")).is_err());
    let padded = |length: usize| json!(format!("done{}", " ".repeat(length - "done".len())));
    assert_eq!(status(&padded(32)), Ok(Some(Status::Done)));
    assert!(status(&padded(33)).is_err());
}

#[test]
fn completed_stands_in_for_a_status() {
    for (value, expected) in [
        (json!(true), Some(Status::Done)),
        (json!("True"), Some(Status::Done)),
        (json!(false), Some(Status::Todo)),
        (json!("false"), Some(Status::Todo)),
        (Value::Null, None),
    ] {
        assert_eq!(completed(&value), Ok(expected), "{value}");
    }
    assert!(completed(&json!(1)).is_err());
    let both = super::created(&json!({"status": "IN_PROGRESS", "completed": false}));
    let in_progress = crate::domain::Statement::Status(Some(Status::InProgress));
    assert_eq!(super::event(&both).statements, [in_progress]);
    let done = super::updated(&json!({"changes": {"isCompleted": {"old": false, "new": true}}}));
    assert_eq!(super::event(&done).statements, [crate::domain::Statement::Status(Some(Status::Done))]);
}

#[test]
fn tags_are_kept_in_order_up_to_their_bounds() {
    assert_eq!(tags(&json!(["b", "a"])), Ok(Some(vec!["b".to_owned(), "a".to_owned()])));
    assert_eq!(tags(&json!([])), Ok(Some(Vec::new())));
    assert_eq!(tags(&Value::Null), Ok(None));
    let many = |count| json!((0..count).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(tags(&many(LIST_MAX)).unwrap().unwrap().len(), LIST_MAX);
    assert!(tags(&many(LIST_MAX + 1)).is_err());
    assert!(tags(&json!(["t".repeat(TAG_MAX_BYTES)])).is_ok());
    assert!(tags(&json!(["t".repeat(TAG_MAX_BYTES + 1)])).is_err());
}

#[test]
fn a_recurrence_is_refused_where_its_parts_never_meet_and_not_for_where_its_interval_begins() {
    for rule in [
        "FREQ=HOURLY;INTERVAL=2;BYHOUR=9,11,13,15,17",
        "FREQ=MONTHLY;INTERVAL=3;BYMONTH=2,5,8,11",
        "FREQ=MONTHLY;INTERVAL=12;BYMONTH=11",
        "FREQ=MINUTELY;INTERVAL=30;BYMINUTE=15,45",
        "FREQ=DAILY;INTERVAL=14;BYDAY=WE",
        "FREQ=SECONDLY;INTERVAL=3600;BYMINUTE=30;BYSECOND=10,20",
        "FREQ=YEARLY;INTERVAL=4;BYMONTH=2;BYMONTHDAY=29",
    ] {
        assert_eq!(recurrence(&json!(rule)), Ok(Some(format!("\"{rule}\""))));
    }
    for rule in [
        "FREQ=MONTHLY;INTERVAL=12;BYMONTH=2;BYMONTHDAY=30",
        "FREQ=HOURLY;INTERVAL=2;BYHOUR=9;BYSETPOS=2",
        "FREQ=SECONDLY;INTERVAL=60;BYSECOND=10,20;BYSETPOS=2",
        "FREQ=MINUTELY;INTERVAL=30;BYYEARDAY=366;BYMONTH=1",
    ] {
        let refused = recurrence(&json!(rule)).expect_err(rule);
        assert!(refused.contains("never comes"), "{refused}");
    }
}

#[test]
fn a_recurrence_is_compact_json_with_sorted_keys() {
    let expected = Ok(Some(r#"{"days_of_week":["MO"],"frequency":"weekly","interval":2}"#.to_owned()));
    let text = r#" { "interval": 2, "frequency": "weekly", "days_of_week": [ "MO" ] }"#;
    assert_eq!(recurrence(&serde_json::from_str(text).unwrap()), expected);
    assert_eq!(recurrence(&json!(text)), expected);
    let rule = "RRULE:FREQ=DAILY;COUNT=3";
    assert_eq!(recurrence(&json!(rule)), Ok(Some(format!("\"{rule}\""))));
    let no = [
        json!("none"),
        json!("Never"),
        json!({"frequency": "none"}),
        json!({"frequency": null, "interval": 1}),
    ];
    for none in [Value::Null, json!(""), json!(" ")].into_iter().chain(no) {
        assert_eq!(recurrence(&none), Ok(None));
    }
    let nonsense =
        [json!("sometimes"), json!({"frequency": "hourly"}), json!({"frequency": "daily", "interval": 0})];
    for value in [json!(3), json!([]), json!(false), json!("{broken")].into_iter().chain(nonsense) {
        assert!(recurrence(&value).is_err(), "{value}");
    }
    let of_length = |length: usize| {
        let empty = r#"{"frequency":"daily","note":""}"#.len();
        json!({"frequency": "daily", "note": "x".repeat(length - empty)})
    };
    let on = recurrence(&of_length(RECURRENCE_MAX_BYTES)).unwrap().unwrap();
    assert_eq!(on.len(), RECURRENCE_MAX_BYTES);
    assert!(recurrence(&of_length(RECURRENCE_MAX_BYTES + 1)).is_err());
}
