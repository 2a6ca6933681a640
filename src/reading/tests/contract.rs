use serde_json::{Value, json};
use uuid::Uuid;

use super::super::contract::{EVENT_TYPES, EventType, PROBLEMS_MAX, Topic, ValidEvent, validate};
use crate::domain::CORRELATION_MAX_BYTES;

use super::{Reading, Transport, at, read};

const EVENT_ID: Uuid = Uuid::from_u128(0x0ac3_833b_0567_48af_b541_cad6_1ecb_23b7);

fn valid(body: &Value) -> ValidEvent {
    validate("t-1", body.to_string().as_bytes()).unwrap_or_else(|error| panic!("{body}: {:?}", error.details))
}

/// The fields that `body` is told are wrong.
fn wrong(body: &Value) -> Vec<String> {
    let error = validate("t-1", body.to_string().as_bytes()).unwrap_err();
    error.details.into_iter().map(|problem| problem.field).collect()
}

fn created(fields: &Value) -> Value {
    let mut body = json!({"event_type": "task_created", "payload": {"user_id": "u-1", "title": "Tea"}});
    body["payload"].as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

#[test]
fn every_kind_is_known_by_its_name_and_goes_to_its_topic() {
    for (index, (event_type, name, topic, _)) in EVENT_TYPES.iter().enumerate() {
        assert_eq!(*event_type as usize, index);
        assert_eq!((event_type.name(), event_type.topic()), (*name, *topic));
    }
    let payload = json!({"user_id": "u", "title": "t", "due_date": "2026-11-24", "priority": "LOW",
                         "reminder_offset": 0, "changed_fields": ["title"], "changes": {"title": {"new": "t"}}, "minutes": 5});
    for (name, topic) in [
        ("task_created", Topic::Events),
        ("task_updated", Topic::Updates),
        ("task_deleted", Topic::Events),
        ("task_completed", Topic::Events),
        ("reminder_due", Topic::Reminders),
        ("reminder_snoozed", Topic::Actions),
        ("reminder_acknowledged", Topic::Actions),
    ] {
        let event = valid(&json!({"event_type": name, "payload": payload}));
        assert_eq!((event.event_type.name(), event.event_type.topic()), (name, topic));
    }
}

#[test]
fn what_is_left_out_is_filled_in_and_what_is_unknown_is_kept() {
    let mut body = created(&json!({"colour": "red"}));
    body["trace"] = json!([1]);
    let now = at("2026-11-24T09:00:00.007Z");
    assert_eq!(
        valid(&body).into_json(EVENT_ID, now),
        json!({"event_id": "0ac3833b-0567-48af-b541-cad61ecb23b7", "event_type": "task_created",
               "event_version": "v1", "timestamp": "2026-11-24T09:00:00.007Z", "correlation_id": null,
               "trace": [1],
               "payload": {"task_id": "t-1", "user_id": "u-1", "title": "Tea", "colour": "red"}})
    );
    let whole = json!({"event_id": "0ac3833b056748afb541cad61ecb23b8", "event_type": "task_deleted",
                       "event_version": "v12", "timestamp": "2026-11-24T10:00:00+01:00", "correlation_id": "c",
                       "producer": "cli", "payload": {"task_id": "t-1"}});
    assert_eq!(valid(&whole).into_json(EVENT_ID, now), whole);
    let nulls = json!({"event_id": null, "event_type": "task_deleted", "event_version": null, "timestamp": null,
                       "producer": null, "payload": {"task_id": null}});
    let filled = valid(&nulls).into_json(EVENT_ID, now);
    assert_eq!((filled.get("producer"), &filled["payload"]["task_id"]), (None, &json!("t-1")));
}

#[test]
fn all_problems_are_told_at_once() {
    let body = json!({"event_id": "7", "event_type": "task_created", "event_version": "1", "timestamp": "noon",
                      "correlation_id": 4, "producer": "",
                      "payload": {"task_id": "t-2", "title": " ", "priority": "high", "due_date": "soon"}});
    assert_eq!(
        wrong(&body),
        [
            "event_id",
            "event_version",
            "timestamp",
            "correlation_id",
            "producer",
            "payload.task_id",
            "payload.user_id",
            "payload.title",
            "payload.priority",
            "payload.due_date"
        ]
    );
    let error = validate("t-1", br#"{"event_type":"task_deleted","payload":{"task_id":5}}"#).unwrap_err();
    assert_eq!(
        serde_json::to_value(&error).unwrap(),
        json!({"error": "validation_error", "message": "the event has 1 problem", "details": [
            {"field": "payload.task_id", "error": "is `5`, but the path names the task `t-1`"}]})
    );
}

#[test]
fn what_is_copied_around_an_event_is_bounded() {
    let of = |key: &str, text: &str| json!({"event_type": "task_deleted", key: text, "payload": {}});
    for (key, max) in [("producer", 256), ("correlation_id", CORRELATION_MAX_BYTES)] {
        valid(&of(key, &"p".repeat(max)));
        assert_eq!(wrong(&of(key, &"p".repeat(max + 1))), [key]);
    }
    valid(&of("event_id", &EVENT_ID.to_string()));
    assert_eq!(wrong(&of("event_id", &format!("{EVENT_ID}0"))), ["event_id"]);
}

#[test]
fn each_kind_demands_its_fields() {
    for (kind, missing) in [
        ("task_created", &["payload.user_id", "payload.title"][..]),
        ("task_updated", &["payload.changed_fields", "payload.changes"]),
        (
            "reminder_due",
            &[
                "payload.user_id",
                "payload.title",
                "payload.due_date",
                "payload.priority",
                "payload.reminder_offset",
            ],
        ),
        ("reminder_snoozed", &["payload.until"]),
    ] {
        assert_eq!(wrong(&json!({"event_type": kind, "payload": {}})), missing, "{kind}");
    }
    for kind in ["task_deleted", "task_completed", "reminder_acknowledged"] {
        assert_eq!(valid(&json!({"event_type": kind, "payload": {}})).task_id.as_str(), "t-1");
    }
    assert_eq!(wrong(&json!({"payload": {}})), ["event_type"]);
    assert_eq!(wrong(&json!({"event_type": "task-created", "payload": {}})), ["event_type"]);
    assert_eq!(wrong(&json!({"event_type": "task_deleted"})), ["payload"]);
    assert_eq!(wrong(&json!({"event_type": "task_deleted", "payload": []})), ["payload"]);
}

#[test]
fn a_field_is_allowed_as_the_contract_says() {
    for (key, good, bad) in [
        ("user_id", json!(["u", 7]), json!(["", 1.5, [], "u".repeat(257)])),
        ("title", json!(["x"]), json!(["", 5])),
        ("description", json!(["", null]), json!([5])),
        ("priority", json!(["HIGH", "MEDIUM", "LOW", null]), json!(["high", "urgent", 1])),
        ("status", json!(["TODO", "IN_PROGRESS", "DONE"]), json!(["done", true])),
        (
            "due_date",
            json!(["2026-11-24T09:00:00.1+01:00", "2026-11-24T09:00:00", "2026-11-24", null]),
            json!(["", "soon", 5]),
        ),
        ("timezone", json!(["UTC", "Europe/Berlin"]), json!(["utc", "CEST?", ""])),
        (
            "recurrence",
            json!([
                {"frequency": "daily"},
                {"frequency": "cron", "cron_expression": "0 9 * * 1-5"},
                "FREQ=DAILY",
                null
            ]),
            json!([{}, {"frequency": "hourly"}, {"frequency": "cron"}, "FREQ=NOW", "", 5, [], "x".repeat(1025)]),
        ),
        ("tags", json!([[], ["a"]]), json!(["a", [1], ["t".repeat(129)], vec!["t"; 17]])),
        ("reminder_offset", json!([0, 15]), json!([-1, 1.5, "15min", [15], 5_270_401])),
        ("reminder_offsets", json!([[], [0, 15]]), json!([15, [-1], vec![1; 17]])),
        ("remind_at", json!(["2026-11-24T09:00:00Z", ["2026-11-24T09:00:00Z"]]), json!(["9", ["9"], 9])),
        (
            "overdue_reminders",
            json!([{"every": "1d", "max": 3}, "every 1 d, at most 3", 30, false, null]),
            json!([{}, "now and then", [1], {"every": 1, "max": 17}]),
        ),
        ("created_at", json!(["2026-11-24T09:00:00Z", null]), json!(["", "noon", 5])),
    ] {
        for value in good.as_array().unwrap() {
            // What must be there is refused as null elsewhere.
            valid(&created(&json!({key: value})));
        }
        for value in bad.as_array().unwrap() {
            assert_eq!(wrong(&created(&json!({key: value}))), [format!("payload.{key}")], "{value}");
        }
    }
}

#[test]
fn an_action_is_checked_by_fields_of_its_own() {
    let snoozed = |fields: &Value| {
        let mut body = json!({"event_type": "reminder_snoozed", "payload": {"minutes": 5}});
        body["payload"].as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        body
    };
    for (key, good, bad) in [
        ("until", json!(["2026-11-24T09:00:00Z", null]), json!(["2026-11-24T09:00:00", "2026-11-24", 5])),
        ("minutes", json!([1, 5_270_400]), json!([0, 5_270_401, 1.5, "5"])),
        ("occurrence", json!(["2026-11-24[Europe/Berlin]", null]), json!(["2026-11-24", 5])),
        ("reminder_id", json!([EVENT_ID.to_string(), null]), json!(["r-1", 5])),
        ("user_id", json!(["u"]), json!([""])),
    ] {
        for value in good.as_array().unwrap() {
            valid(&snoozed(&json!({key: value})));
        }
        for value in bad.as_array().unwrap() {
            assert_eq!(wrong(&snoozed(&json!({key: value}))), [format!("payload.{key}")], "{value}");
        }
    }
    valid(
        &json!({"event_type": "reminder_due", "payload": {"user_id": "u", "title": "t", "due_date": "2026-11-24",
        "priority": "LOW", "reminder_offset": 0, "reminder_id": "r-1", "occurrence": "any"}}),
    );
}

#[test]
fn changes_are_checked_field_by_field() {
    let updated = |fields: &Value, changes: &Value| json!({"event_type": "task_updated", "payload": {"changed_fields": fields, "changes": changes}});
    let listed = json!(["due_date"]);
    valid(&updated(&listed, &json!({"due_date": {"old": 5, "new": null}, "colour": {"old": 1, "new": 2}})));
    for (fields, changes, problems) in [
        (&json!([]), json!({}), &["payload.changed_fields"][..]),
        (&json!([1]), json!({}), &["payload.changed_fields"]),
        (&listed, json!([]), &["payload.changes"]),
        (&listed, json!({"due_date": "2026-11-24"}), &["payload.changes.due_date"]),
        (&listed, json!({"due_date": {"old": null}}), &["payload.changes.due_date"]),
        (
            &listed,
            json!({"due_date": {"new": "soon"}, "status": {"new": "done"}}),
            &["payload.changes.due_date.new", "payload.changes.status.new"],
        ),
    ] {
        assert_eq!(wrong(&updated(fields, &changes)), problems, "{changes}");
    }
    let many: serde_json::Map<_, _> = (0..=PROBLEMS_MAX).map(|n| (n.to_string(), json!(1))).collect();
    assert_eq!(wrong(&updated(&listed, &many.into())).len(), PROBLEMS_MAX);
}

#[test]
fn a_body_that_is_no_object_is_one_problem() {
    for body in ["", "{", "[]", "null", "5", "\u{0}"] {
        let error = validate("t-1", body.as_bytes()).unwrap_err();
        assert_eq!(error.details.iter().map(|p| p.field.as_str()).collect::<Vec<_>>(), ["body"], "{body}");
    }
}

#[test]
fn the_path_must_name_a_task() {
    let body = json!({"event_type": "task_deleted", "payload": {}}).to_string();
    assert!(validate(&"x".repeat(256), body.as_bytes()).is_ok());
    for path in ["", "a\nb", &"x".repeat(257)] {
        assert_eq!(validate(path, body.as_bytes()).unwrap_err().details[0].field, "task_id");
    }
    let integer = json!({"event_type": "task_deleted", "payload": {"task_id": 7}}).to_string();
    assert_eq!(validate("7", integer.as_bytes()).unwrap().task_id.as_str(), "7");
}

#[test]
fn what_may_be_published_can_be_read_back() {
    let body = created(&json!({"due_date": "2026-11-24T09:00:00Z", "priority": "HIGH", "status": "TODO",
                               "timezone": "Europe/Berlin", "tags": ["a"], "reminder_offsets": [0, 15],
                               "remind_at": ["2026-11-24"], "recurrence": {"frequency": "daily"}}));
    let event = valid(&body);
    assert_eq!(event.event_type, EventType::Created);
    let published = event.into_json(EVENT_ID, at("2026-11-24T08:00:00Z")).to_string();
    let Reading::Event(event) = read(published.as_bytes(), &Transport::default()) else {
        panic!("{published}")
    };
    assert_eq!((event.statements.len(), event.refused.len()), (10, 0));
}
