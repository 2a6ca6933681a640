use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use serde_json::{Value, json};

use super::{
    Ignored, Reading, Reason, Transport, WRAPPINGS_MAX, event, ignored, read, reading, reason, refused,
};
use crate::domain::{Event, Field, Kind, Statement};

fn task() -> Value {
    json!({"event_type": "task_created", "event_id": "e-1", "producer": "chat-api",
           "payload": {"task_id": "t-1", "title": "Tea", "due_date": "2026-11-24T09:00:00Z"}})
}

fn envelope(data: &Value) -> Value {
    json!({"specversion": "1.0", "id": "ce-1", "source": "chat-api", "type": "com.dapr.event.sent",
           "datacontenttype": "application/json", "topic": "task-events", "pubsubname": "kafka-pubsub",
           "time": "2026-11-24T06:33:35Z", "traceid": "", "traceparent": "", "tracestate": "", "data": data})
}

fn in_base64(bytes: &[u8], source: &str) -> Value {
    json!({"specversion": "1.0", "id": "ce-1", "source": source, "type": "com.dapr.event.sent",
           "datacontenttype": "application/octet-stream", "data_base64": BASE64_STANDARD.encode(bytes)})
}

/// `event` without what its wrapping adds.
fn bare(mut event: Event) -> Event {
    event.stamps.envelope = None;
    event
}

#[test]
fn every_wrapping_of_one_event_reads_to_the_same_event() {
    let plain = event(&task());
    assert_eq!(plain.kind, Kind::Created);
    assert_eq!(plain.task_id.as_str(), "t-1");
    let flat = {
        let mut flat = envelope(&Value::Null);
        flat.as_object_mut().unwrap().remove("data");
        flat["source"] = json!("Dapr");
        flat.as_object_mut().unwrap().extend(task().as_object().unwrap().clone());
        flat
    };
    let text = task().to_string();
    for wrapped in [
        envelope(&task()),
        envelope(&envelope(&task())),
        flat.clone(),
        envelope(&json!(text)),
        envelope(&json!(envelope(&task()).to_string())),
        in_base64(text.as_bytes(), "chat-api"),
        in_base64(text.as_bytes(), "Dapr"),
        in_base64(envelope(&task()).to_string().as_bytes(), "Dapr"),
        in_base64(flat.to_string().as_bytes(), "Dapr"),
        json!(text),
    ] {
        assert_eq!(bare(event(&wrapped)), plain, "{wrapped}");
    }
}

#[test]
fn a_bare_message_may_own_what_a_cloud_event_calls_its_own() {
    let bare = json!({"type": "task.created", "source": "cli", "id": "e-9", "time": "noon",
                      "data": {"id": 7, "title": "Tea"}});
    let read = event(&bare);
    assert_eq!((read.kind, read.task_id.as_str()), (Kind::Created, "7"));
    assert_eq!(read.producer.as_deref(), Some("cli"));
    assert_eq!(read.stamps.envelope, None);
}

#[test]
fn a_flat_events_own_data_is_its_task() {
    let mut wrapped = envelope(&json!({"id": 7, "due_date": null}));
    wrapped["event_type"] = json!("task_created");
    let read = event(&wrapped);
    assert_eq!(read.task_id.as_str(), "7");
    assert_eq!(read.statements, [Statement::Due(None)]);
}

#[test]
fn a_payload_may_be_json_text() {
    let body = json!({"event_type": "task_deleted", "payload": "{\"task_id\": 5}"});
    assert_eq!(event(&body).task_id.as_str(), "5");
}

#[test]
fn base64_is_read_with_and_without_padding() {
    let mut wrapped = in_base64(task().to_string().as_bytes(), "x");
    let padded = wrapped["data_base64"].as_str().unwrap().to_owned();
    wrapped["data_base64"] = json!(padded.trim_end_matches('='));
    assert_eq!(event(&wrapped).kind, Kind::Created);
    wrapped["data_base64"] = json!("%%%");
    assert_eq!(reason(&wrapped), Reason::NotBase64);
}

#[test]
fn wrappings_are_taken_off_up_to_a_bound() {
    let mut wrapped = task();
    for _ in 0..WRAPPINGS_MAX {
        wrapped = envelope(&wrapped);
    }
    assert_eq!(event(&wrapped).kind, Kind::Created);
    assert_eq!(reason(&envelope(&wrapped)), Reason::WrappedTooOften);
}

#[test]
fn what_is_no_object_is_refused_with_its_type() {
    for (body, code) in [
        ("", "empty"),
        (" \n", "empty"),
        ("\u{feff}", "empty"),
        ("hello", "not_json"),
        ("{", "not_json"),
        ("{} {}", "not_json"),
        ("NaN", "not_json"),
        ("[]", "not_an_object"),
        ("[{}]", "not_an_object"),
        ("12", "not_an_object"),
        ("true", "not_an_object"),
        ("\"\"", "empty"),
        ("\"hello\"", "not_json"),
    ] {
        let Reading::Refused(reason) = read(body.as_bytes(), &Transport::default()) else {
            panic!("{body} is not refused");
        };
        assert_eq!(reason.code(), code, "{body}");
        if !body.is_empty() && code != "empty" {
            let wrapped = envelope(&serde_json::from_str(body).unwrap_or_else(|_| json!(body)));
            assert_eq!(super::reason(&wrapped).code(), code, "{wrapped}");
        }
    }
}

#[test]
fn a_null_is_a_tombstone() {
    assert_eq!(ignored(&Value::Null), Ignored::Tombstone);
    assert_eq!(ignored(&json!("null")), Ignored::Tombstone);
    // Nothing in an envelope is an event that says nothing.
    assert_eq!(reason(&envelope(&Value::Null)), Reason::KindMissing);
}

#[test]
fn bytes_that_are_not_utf8_are_refused_and_a_byte_order_mark_is_skipped() {
    let latin1 = b"{\"event_type\":\"task_created\",\"task_id\":\"t\",\"title\":\"Gr\xf6\xdfe\"}";
    assert_eq!(read(latin1, &Transport::default()), Reading::Refused(Reason::NotUtf8));
    let marked = [b"\xef\xbb\xbf", task().to_string().as_bytes()].concat();
    assert!(matches!(read(&marked, &Transport::default()), Reading::Event(_)));
}

#[test]
fn half_a_surrogate_pair_costs_a_character_and_not_the_event() {
    for (title, read_as) in [
        (r"cut \ud83d", "cut \u{fffd}"),
        (r"\ude00 cut", "\u{fffd} cut"),
        (r"\ud83d\ud83d\ude00", "\u{fffd}\u{1f600}"),
        (r"\ud83d\u0041", "\u{fffd}A"),
        (r"\\ud83d\ud83d", "\\ud83d\u{fffd}"),
        (r"\u005cud83d\uD83D", "\\ud83d\u{fffd}"),
    ] {
        let body = format!(r#"{{"event_type":"task_created","task_id":"t","title":"{title}"}}"#);
        let Reading::Event(event) = read(body.as_bytes(), &Transport::default()) else { panic!("{title}") };
        assert_eq!(event.statements, [Statement::Title(Some(read_as.to_owned()))], "{title}");
    }
    let damaged = br#"{"event_type":"task_created","task_id":"t\ud83d"}"#;
    let Reading::Refused(reason) = read(damaged, &Transport::default()) else {
        panic!("an id must be certain")
    };
    assert_eq!(reason.code(), "task_id_unreadable");
}

#[test]
fn nesting_beyond_the_parsers_depth_is_refused() {
    for depth in [127, 128, 200_000] {
        let open = "{\"a\":".repeat(depth);
        let body = format!("{open}1{}", "}".repeat(depth));
        let Reading::Refused(reason) = read(body.as_bytes(), &Transport::default()) else {
            panic!("{depth}")
        };
        assert_eq!(reason.code(), if depth < 128 { "kind_missing" } else { "not_json" });
    }
}

#[test]
fn of_a_key_that_stands_twice_the_last_counts() {
    let body = br#"{"event_type":"task_created","task_id":"a","task_id":"b"}"#;
    let Reading::Event(event) = read(body, &Transport::default()) else { panic!("no event") };
    assert_eq!(event.task_id.as_str(), "b");
}

#[test]
fn numbers_too_large_for_any_type_are_refused_where_they_matter() {
    let huge = r#"{"event_type":"task_created","task_id":1,"reminder_offset":1e400}"#;
    let Reading::Refused(reason) = read(huge.as_bytes(), &Transport::default()) else { panic!("1e400") };
    assert_eq!(reason.code(), "not_json");
    let large = json!({"event_type": "task_created", "task_id": 1, "reminder_offset": 1e300});
    assert_eq!(refused(&event(&large)), ["reminder_offset"]);
    assert!(super::stated(&event(&large), Field::Offsets).is_none());
}

/// Bodies as a real sidecar delivered them.
#[test]
fn recorded_deliveries_of_other_things_are_no_task_events() {
    for body in [
        r#"{"data":{"a":1,"big":9007199254740993,"f":1.0,"nested":{"x":[1,null]}},"datacontenttype":"application/json","id":"4cb26e87-8f7f-4970-8440-4c3a978da060","pubsubname":"kafka-pubsub","source":"recorder","specversion":"1.0","time":"2026-11-24T06:33:35Z","topic":"t","traceid":"","traceparent":"","tracestate":"","type":"com.dapr.event.sent"}"#,
        r#"{"a":1,"pubsubname":"kafka-pubsub","source":"Dapr","specversion":"1.0","time":"2026-11-24T06:33:35Z","topic":"t","traceid":"","traceparent":"","tracestate":"","type":"com.dapr.event.sent"}"#,
        r#"{"data_base64":"eyJyYXciOnRydWV9","datacontenttype":"application/octet-stream","id":"ade71bc8-48db-415c-9353-b44f433e58f2","pubsubname":"kafka-pubsub","source":"Dapr","specversion":"1.0","topic":"t","type":"com.dapr.event.sent"}"#,
        r#"{"data":"{\"x\":1}","datacontenttype":"application/json","id":"2fadba8c-459f-497e-9dc4-42897f1736d2","pubsubname":"kafka-pubsub","source":"recorder","specversion":"1.0","time":"2026-11-24T06:33:35Z","topic":"t","traceid":"","traceparent":"","tracestate":"","type":"com.dapr.event.sent"}"#,
        r#"{"raw":true}"#,
    ] {
        let read = reading(&serde_json::from_str(body).unwrap());
        assert_eq!(read, Reading::Refused(Reason::KindMissing), "{body}");
    }
}

/// A recorded envelope in an envelope, and its kind told by the inner one alone.
#[test]
fn recorded_envelopes_name_the_kind() {
    let body = r#"{"data":{"data":{"a":1,"taskId":"t-1"},"id":"fixed-id","source":"/producer","specversion":"1.0","type":"task_created"},"datacontenttype":"application/json","id":"0ac3833b-0567-48af-b541-cad61ecb23b7","pubsubname":"kafka-pubsub","source":"recorder","specversion":"1.0","time":"2026-11-24T06:33:35Z","topic":"t","traceid":"","traceparent":"","tracestate":"","type":"com.dapr.event.sent"}"#;
    let read = event(&serde_json::from_str(body).unwrap());
    assert_eq!((read.kind, read.message_id.as_deref()), (Kind::Created, Some("fixed-id")));
    assert_eq!(read.producer.as_deref(), Some("/producer"));
    assert_eq!(read.stamps.envelope.map(|stamp| stamp.at), Some(super::at("2026-11-24T06:33:35Z")));
}
