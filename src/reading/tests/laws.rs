//! What holds for any bytes, and our own reminders read back.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::super::{Receipt, read_bulk, read_receipts};
use super::{Reading, Transport, read};
use crate::domain::{LIST_MAX, NAGS_MAX, OFFSET_MAX_MINUTES, TEXT_MAX_BYTES};

const EVENT_ID: &str = "0ac3833b-0567-58af-b541-cad61ecb23b7";

#[test]
fn our_own_reminder_is_read_back_in_any_wrapping() {
    let body = json!({"event_id": EVENT_ID, "event_type": "reminder_due", "payload": {"task_id": 7}});
    let envelope = json!({"specversion": "1.0", "id": EVENT_ID, "type": "reminder_due", "data": body});
    let again = json!({"specversion": "1.0", "id": "x", "type": "com.dapr.event.sent", "data": envelope});
    let text =
        json!({"specversion": "1.0", "id": "x", "type": "com.dapr.event.sent", "data": body.to_string()});
    let by_envelope = json!({"specversion": "1.0", "id": EVENT_ID, "type": "reminder_due",
                             "data": {"payload": {"task_id": "7"}}});
    for value in [&body, &envelope, &again, &text, &by_envelope] {
        let [receipt] = &read_receipts(value.to_string().as_bytes())[..] else { panic!("{value}") };
        assert_eq!(receipt.digest_id, None);
        assert_eq!((receipt.event_id, receipt.task_id.as_str()), (EVENT_ID.parse().unwrap(), "7"), "{value}");
    }
}

#[test]
fn a_receipt_tells_when_it_was_planned_for_where_a_worker_says_so() {
    let event = |producer: &str, stamp: &str| {
        json!({"event_id": EVENT_ID, "event_type": "reminder_due", "producer": producer, "timestamp": stamp,
               "payload": {"task_id": 7}})
    };
    let at = "2026-11-24T09:00:00.250Z";
    for (producer, stamp, planned) in
        [("reminder-worker", at, true), ("chat-api", at, false), ("reminder-worker", "soon", false)]
    {
        let receipt = read_receipts(event(producer, stamp).to_string().as_bytes()).remove(0);
        let planned = planned.then(|| crate::domain::Timestamp::from_millis(1_795_510_800_250));
        assert_eq!(receipt.planned_at, planned, "{producer} {stamp}");
    }
}

/// A digest's own.
const DIGEST_ID: &str = "0d9b3f3e-7c1a-5f7e-8a52-3f6a1d1b9c77";

#[test]
fn a_digest_is_read_back_as_the_reminders_in_it() {
    let item = |n: usize| json!({"task_id": format!("{n}"), "reminder_id": EVENT_ID});
    let digest = |items: usize| {
        json!({"event_id": DIGEST_ID, "event_type": "reminder_digest", "producer": "reminder-worker",
               "timestamp": "2026-11-24T09:00:00.250Z", "payload": {"items": (0..items).map(item).collect::<Vec<_>>()}})
    };
    let receipts = read_receipts(digest(2).to_string().as_bytes());
    let planned_at = Some(crate::domain::Timestamp::from_millis(1_795_510_800_250));
    let of = |task: &str| Receipt {
        event_id: EVENT_ID.parse().unwrap(),
        task_id: crate::domain::TaskId::new(task).unwrap(),
        planned_at,
        digest_id: Some(DIGEST_ID.parse().unwrap()),
    };
    assert_eq!(receipts, [of("0"), of("1")]);
    assert_eq!(read_receipts(digest(101).to_string().as_bytes()).len(), 100, "no digest has more");
}

#[test]
fn nothing_else_is_a_receipt() {
    let payload = json!({"task_id": 7});
    for value in [
        json!(null),
        json!({"event_id": EVENT_ID, "event_type": "task_created", "payload": payload}),
        json!({"event_id": "7", "event_type": "reminder_due", "payload": payload}),
        json!({"event_type": "reminder_due", "payload": payload}),
        json!({"event_id": DIGEST_ID, "event_type": "reminder_digest", "payload": {"items": [{"task_id": "7"}, 1]}}),
        json!({"event_id": DIGEST_ID, "event_type": "reminder_digest", "payload": {"items": {}}}),
        json!({"event_id": "7", "event_type": "reminder_digest",
               "payload": {"items": [{"task_id": "7", "reminder_id": EVENT_ID}]}}),
        json!({"event_id": EVENT_ID, "event_type": "reminder_due", "payload": {}}),
    ] {
        assert_eq!(read_receipts(value.to_string().as_bytes()), [] as [Receipt; 0], "{value}");
    }
}

/// Keys that this module knows.
#[rustfmt::skip]
const KEYS: [&str; 42] = [
    "specversion", "data", "data_base64", "type", "event_type", "payload", "task", "task_id", "id",
    "changes", "changed_fields", "before", "after", "old", "new", "due_date", "due_at", "timezone",
    "reminder_offset", "reminder_offsets", "remind_at", "priority", "status", "completed", "tags",
    "recurrence", "title", "user_id", "timestamp", "time", "traceparent", "metadata", "entries", "entryId",
    "event", "until", "minutes", "occurrence", "reminder_id", "overdue_reminders", "every", "max",
];

/// JSON that speaks the words this module knows, so that it goes deep.
fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        "\\PC{0,12}".prop_map(Value::from),
        prop::sample::select(vec![
            "task_created",
            "task_updated",
            "reminder_snoozed",
            "reminder_acknowledged",
            "every 1 d, at most 3",
            "created",
            "2026-11-24T09:00:00.1234Z",
            "2026-11-24",
            "Europe/Berlin",
            "15min",
            "P1D",
            "HIGH",
            "DONE",
            "{\"task_id\":1}",
            "e30=",
            "",
        ])
        .prop_map(Value::from),
    ];
    let key = prop::sample::select(&KEYS[..]);
    leaf.prop_recursive(5, 64, 8, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..8)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// What every event must keep to, whatever it was made of.
fn check(reading: &Reading) {
    let Reading::Event(event) = reading else { return };
    let fields: Vec<_> = event.statements.iter().map(crate::domain::Statement::field).collect();
    assert!(fields.windows(2).all(|pair| pair[0] < pair[1]), "{fields:?}");
    for statement in &event.statements {
        use crate::domain::Statement as S;
        match statement {
            S::Title(Some(title)) => assert!(title.len() <= TEXT_MAX_BYTES),
            S::Offsets(Some(all)) => assert!(all.is_sorted() && all.len() <= LIST_MAX),
            S::Nags(Some(nags)) => assert!(nags.max <= NAGS_MAX && nags.every_minutes <= OFFSET_MAX_MINUTES),
            S::RemindAt(Some(all)) => assert!(all.is_sorted() && all.len() <= LIST_MAX),
            _ => {}
        }
    }
}

proptest! {
    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&read(&bytes, &Transport::default()));
        let _ = (read_bulk(&bytes), read_receipts(&bytes));
    }

    #[test]
    fn no_json_panics(value in json()) {
        let bytes = value.to_string();
        check(&read(bytes.as_bytes(), &Transport::default()));
        let _ = (read_bulk(bytes.as_bytes()), read_receipts(bytes.as_bytes()));
    }

    #[test]
    fn no_task_event_panics_and_each_reads_the_same_twice(
        kind in prop::sample::select(vec!["task_created", "task_updated", "task_completed", "reminder_snoozed", "reminder_acknowledged"]),
        fields in json(),
    ) {
        let body = super::about(kind, &fields).to_string();
        let first = read(body.as_bytes(), &Transport::default());
        check(&first);
        prop_assert_eq!(first, read(body.as_bytes(), &Transport::default()));
    }

    #[test]
    fn a_damaged_event_never_panics(at in 0_usize..200, byte in any::<u8>()) {
        let mut body = super::created(&json!({"title": "T\u{e9}a", "due_date": "2026-11-24T09:00:00Z",
                                              "reminder_offset": "1h"})).to_string().into_bytes();
        let length = body.len();
        body[at % length] = byte;
        check(&read(&body, &Transport::default()));
        check(&read(&body[..at % length], &Transport::default()));
    }
}
