use std::time::Duration;

use chrono::NaiveTime;
use proptest::prelude::*;

use super::*;
use crate::domain::{
    ByPriority, CORRELATION_MAX_BYTES, Due, Event, Kind, LIST_MAX, Policy, PolicyInForce, Priority, Stamp,
    Stamps, Statement, TAG_MAX_BYTES, TASK_ID_MAX_BYTES, TEXT_MAX_BYTES, USER_ID_MAX_BYTES,
};

/// Kafka's limit for a record, key and headers included.
const RECORD_MAX_BYTES: usize = 1024 * 1024;
/// 2026-11-24T09:00:00Z
const NINE: i64 = 1_795_510_800_000;

fn in_force() -> PolicyInForce {
    PolicyInForce {
        policy: Policy {
            default_offsets: vec![0],
            windows: Vec::new(),
            priority_offsets: ByPriority::default(),
            nags: None,
            default_zone: Zone::UTC,
            date_only: NaiveTime::from_hms_opt(9, 0, 0).unwrap(),
            follow_recurrence: true,
            recurrence_not_from: Vec::new(),
            spread: Duration::ZERO,
            expire_after: Duration::from_secs(86_400),
        },
        generation: 1,
        since: crate::domain::PolicySince::all(Timestamp::from_millis(0)),
        missing: None,
        leap: None,
    }
}

fn id(text: &str) -> TaskId {
    TaskId::new(text).unwrap()
}

fn at(ms: i64) -> Timestamp {
    Timestamp::from_millis(ms)
}

fn task(statements: Vec<Statement>, correlation_id: Option<&str>, trace_id: Option<[u8; 16]>) -> Task {
    let mut task = Task::default();
    let stamp = Stamp { at: at(1), whole_second: false };
    let event = Event {
        kind: Kind::Created,
        task_id: id("t"),
        stamps: Stamps { event: Some(stamp), ..Stamps::default() },
        offset: 0,
        message_id: None,
        producer: None,
        correlation_id: correlation_id.map(str::to_owned),
        trace_id,
        statements,
        refused: Vec::new(),
    };
    task.apply(&event, at(1));
    task
}

fn due_reminder(due: Due, zone: Zone, minutes: u32) -> Reminder {
    let occurrence = Moment::new(due, zone);
    let due_at = occurrence.instant(in_force().policy.date_only);
    let fire_at = due_at.minus(Duration::from_secs(u64::from(minutes) * 60));
    Reminder::pending(Some(occurrence), Rule::Offset(minutes), fire_at)
}

fn told(task: &Task, reminder: &Reminder) -> serde_json::Value {
    serde_json::from_slice(&reminder_due(
        &id("t-1"),
        task,
        reminder,
        &Rules { in_force: &in_force(), user: None },
    ))
    .unwrap()
}

#[test]
fn a_reminder_is_published_as_its_golden_bytes() {
    let task = task(
        vec![
            Statement::User(Some("u-1".into())),
            Statement::Title(Some("Water the \"plants\"".into())),
            Statement::Priority(Some(Priority::High)),
            Statement::Due(Some(Due::Instant(at(NINE)))),
            Statement::Tags(Some(vec!["home".into()])),
        ],
        Some("chain-7"),
        Some([0xab; 16]),
    );
    let reminder = due_reminder(Due::Instant(at(NINE)), Zone::UTC, 15);
    let event_id = reminder.id(&id("t-1")).to_string();
    let golden = concat!(
        r#"{"specversion":"1.0","id":"ID","source":"reminder-worker","type":"reminder_due","subject":"t-1","#,
        r#""time":"2026-11-24T08:45:00.000Z","datacontenttype":"application/json","#,
        r#""traceid":"00-abababababababababababababababab-SPAN-01","#,
        r#""traceparent":"00-abababababababababababababababab-SPAN-01","#,
        r#""data":{"event_id":"ID","event_type":"reminder_due","event_version":"v1","#,
        r#""timestamp":"2026-11-24T08:45:00.000Z","correlation_id":"chain-7","producer":"reminder-worker","#,
        r#""payload":{"task_id":"t-1","user_id":"u-1","title":"Water the \"plants\"","#,
        r#""due_date":"2026-11-24T09:00:00.000Z","priority":"HIGH","reminder_offset":15,"#,
        r#""reminder_id":"ID","remind_at":"2026-11-24T08:45:00.000Z","#,
        r#""occurrence":"2026-11-24T09:00:00.000Z","rule":"offset:15","timezone":null,"tags":["home"]}}}"#,
    );
    let hash = Sha256::digest(event_id.as_bytes());
    let span: String = hash[16..24].iter().map(|b| format!("{b:02x}")).collect();
    let bytes = reminder_due(&id("t-1"), &task, &reminder, &Rules { in_force: &in_force(), user: None });
    assert_eq!(String::from_utf8(bytes).unwrap(), golden.replace("ID", &event_id).replace("SPAN", &span));
}

#[test]
fn what_the_task_does_not_tell_is_null_and_chain_and_trace_come_from_the_identity() {
    let task = task(vec![Statement::Due(Some(Due::Instant(at(NINE))))], None, None);
    let reminder = due_reminder(Due::Instant(at(NINE)), Zone::UTC, 0);
    let event = told(&task, &reminder);
    let payload = &event["data"]["payload"];
    assert!(payload["user_id"].is_null() && payload["title"].is_null() && payload["timezone"].is_null());
    assert_eq!(payload["priority"], "MEDIUM");
    assert_eq!(payload["reminder_offset"], 0);
    assert_eq!(payload["tags"], serde_json::json!([]));
    assert_eq!(event["data"]["correlation_id"], "t-1");
    let hash = Sha256::digest(reminder.id(&id("t-1")).to_string().as_bytes());
    let hex: String = hash[..24].iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(event["traceparent"], format!("00-{}-{}-01", &hex[..32], &hex[32..]));
    assert_eq!(event["traceid"], event["traceparent"]);
}

#[test]
fn due_date_offset_and_zone_are_those_of_the_reminders_own_occurrence() {
    let berlin: Zone = "Europe/Berlin".parse().unwrap();
    let (today, tomorrow) = (Due::Wall(NINE), Due::Wall(NINE + 86_400_000));
    let moved = task(vec![Statement::Due(Some(tomorrow))], None, None);
    let payload = told(&moved, &due_reminder(today, berlin, 90))["data"]["payload"].clone();
    assert_eq!(payload["due_date"], "2026-11-24T08:00:00.000Z");
    assert_eq!(payload["remind_at"], "2026-11-24T06:30:00.000Z");
    assert_eq!(payload["occurrence"], "2026-11-24T09:00:00.000[Europe/Berlin]");
    assert_eq!(payload["timezone"], "Europe/Berlin");
    assert_eq!(payload["reminder_offset"], 90);
}

#[test]
fn an_explicit_time_tells_how_far_it_is_from_the_due_date_if_there_is_one() {
    let time = Moment::new(Due::Instant(at(NINE)), Zone::UTC);
    let reminder = Reminder::pending(None, Rule::At(time), at(NINE));
    for (due_ms, offset) in [
        (Some(NINE), Some(0)),
        (Some(NINE + 59_999), Some(0)),
        (Some(NINE + 60_000), Some(1)),
        (Some(NINE - 59_999), Some(0)),
        (Some(NINE - 120_000), Some(-2)),
        (None, None),
    ] {
        let due = due_ms.map(|ms| Due::Instant(at(ms)));
        let payload =
            told(&task(vec![Statement::Due(due)], None, None), &reminder)["data"]["payload"].clone();
        assert_eq!(payload["reminder_offset"], serde_json::json!(offset), "{due_ms:?}");
        assert_eq!(payload["due_date"], serde_json::json!(due_ms.map(|ms| at(ms).to_rfc3339())));
        assert!(payload["occurrence"].is_null());
        assert_eq!(payload["rule"], "at:2026-11-24T09:00:00.000Z");
    }
}

#[test]
fn the_largest_task_makes_a_record_that_kafka_takes() {
    // A control character takes six bytes of JSON, the most that any byte can.
    let text = |bytes: usize| "\u{1}".repeat(bytes);
    let task = task(
        vec![
            Statement::User(Some(text(USER_ID_MAX_BYTES))),
            Statement::Title(Some(text(TEXT_MAX_BYTES))),
            Statement::Due(Some(Due::Wall(NINE))),
            Statement::Tags(Some(vec![text(TAG_MAX_BYTES); LIST_MAX])),
        ],
        Some(&text(CORRELATION_MAX_BYTES)),
        Some([0xff; 16]),
    );
    let longest_zone: Zone = "America/Argentina/ComodRivadavia".parse().unwrap();
    let reminder = due_reminder(Due::Wall(NINE), longest_zone, crate::domain::OFFSET_MAX_MINUTES);
    let task_id = id(&text(TASK_ID_MAX_BYTES));
    let bytes = reminder_due(&task_id, &task, &reminder, &Rules { in_force: &in_force(), user: None });
    assert!(bytes.len() + task_id.as_str().len() < RECORD_MAX_BYTES / 8, "{}", bytes.len());
}

#[test]
fn an_accepted_event_is_carried_as_it_is_in_a_cloud_event_of_the_time_it_was_accepted() {
    let event = br#"{"event_id":"e-1", "event_type":"task_created","timestamp":"2020-01-01T00:00:00Z","producer":"shop","payload":{"task_id":"t-1","big":9007199254740993}}"#;
    let bytes = outbox_event(&id("t-1"), "e-1", at(NINE), event);
    let text = String::from_utf8(bytes).unwrap();
    assert!(text.ends_with(&format!(r#""data":{}}}"#, std::str::from_utf8(event).unwrap())), "{text}");
    let envelope: serde_json::Value = serde_json::from_str(&text).unwrap();
    for (key, value) in [
        ("id", "e-1"),
        ("type", "task_created"),
        ("source", "shop"),
        ("time", "2026-11-24T09:00:00.000Z"),
        ("subject", "t-1"),
        ("specversion", "1.0"),
        ("datacontenttype", "application/json"),
    ] {
        assert_eq!(envelope[key], value, "{key}");
    }
}

proptest! {
    #[test]
    fn the_same_record_and_reminder_give_the_same_bytes(
        title in proptest::option::of(".{0,40}"),
        user in proptest::option::of("\\PC{0,20}"),
        ms in -4_000_000_000_000_i64..9_000_000_000_000,
        minutes in 0_u32..100_000,
        trace in proptest::option::of(any::<[u8; 16]>()),
    ) {
        let make = || {
            let task = task(
                vec![
                    Statement::User(user.clone()),
                    Statement::Title(title.clone()),
                    Statement::Due(Some(Due::Instant(at(ms)))),
                ],
                None,
                trace,
            );
            reminder_due(&id("t-1"), &task, &due_reminder(Due::Instant(at(ms)), Zone::UTC, minutes), &Rules { in_force: &in_force(), user: None })
        };
        let bytes = make();
        prop_assert_eq!(&bytes, &make());
        let event: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        prop_assert_eq!(&event["id"], &event["data"]["event_id"]);
        prop_assert_eq!(&event["time"], &event["data"]["timestamp"]);
        prop_assert_eq!(&event["data"]["payload"]["title"], &serde_json::json!(title));
    }
}

mod digest;
