use serde_json::{Value, json};

use super::{Reading, Transport, at, event, read, refused};
use crate::domain::{CORRELATION_MAX_BYTES, Event, Stamp};

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
const NO_TRACE: &str = "00-00000000000000000000000000000000-0000000000000000-00";

fn deleted(more: &Value) -> Value {
    let mut body = json!({"event_type": "task_deleted", "task_id": 1});
    body.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    body
}

fn enveloped(attributes: &Value, body: &Value) -> Value {
    let mut envelope = json!({"specversion": "1.0", "type": "com.dapr.event.sent", "data": deleted(body)});
    envelope.as_object_mut().unwrap().extend(attributes.as_object().unwrap().clone());
    envelope
}

fn delivered(value: &Value, transport: &Transport<'_>) -> Event {
    match read(value.to_string().as_bytes(), transport) {
        Reading::Event(event) => *event,
        other => panic!("{value}: {other:?}"),
    }
}

#[test]
fn an_events_own_timestamp_is_read_in_every_form() {
    for (value, expected) in [
        (
            json!("2026-11-24T09:00:00.5Z"),
            Some(Stamp { at: at("2026-11-24T09:00:00.5Z"), whole_second: false }),
        ),
        (
            json!("2026-11-24T10:00:00+01:00"),
            Some(Stamp { at: at("2026-11-24T09:00:00Z"), whole_second: true }),
        ),
        (json!("2026-11-24T09:00:00"), Some(Stamp { at: at("2026-11-24T09:00:00Z"), whole_second: true })),
        (json!(""), None),
        (Value::Null, None),
    ] {
        let read = event(&deleted(&json!({"timestamp": value})));
        assert_eq!(read.stamps.event, expected, "{value}");
        assert_eq!(refused(&read), [""; 0]);
    }
    for value in [json!("noon"), json!(1_795_510_800), json!("2026-11-24")] {
        let read = event(&deleted(&json!({"timestamp": value})));
        assert_eq!((read.stamps.event, refused(&read)), (None, vec!["timestamp"]), "{value}");
    }
}

#[test]
fn a_timestamp_may_stand_in_metadata_or_beside_the_envelopes() {
    let stamp = Some(Stamp { at: at("2026-11-24T09:00:00Z"), whole_second: true });
    let text = "2026-11-24T09:00:00Z";
    for body in [
        deleted(&json!({"timestamp": "", "metadata": {"timestamp": text}})),
        deleted(&json!({"timestamp": "noon", "metadata": {"timestamp": text}})),
        deleted(&json!({"payload": {"timestamp": text}})),
        deleted(&json!({"eventTime": text})),
        deleted(&json!({"occurred_at": text})),
        enveloped(&json!({"timestamp": text}), &json!({})),
    ] {
        assert_eq!(event(&body).stamps.event, stamp, "{body}");
    }
}

#[test]
fn the_brokers_stamp_and_offset_come_from_the_transport() {
    let transport =
        Transport { broker_timestamp_ms: Some(1_795_502_015_271), offset: Some(7), ..Transport::default() };
    let read = delivered(&deleted(&json!({})), &transport);
    assert_eq!(read.stamps.broker.map(crate::domain::Timestamp::millis), Some(1_795_502_015_271));
    assert_eq!(read.offset, 7);
    for none in [-1, 0] {
        let transport = Transport { broker_timestamp_ms: Some(none), ..Transport::default() };
        assert_eq!(delivered(&deleted(&json!({})), &transport).stamps.broker, None);
    }
    assert_eq!(event(&deleted(&json!({}))).offset, 0);
}

#[test]
fn the_innermost_envelopes_time_and_id_are_believed() {
    let inner = enveloped(&json!({"id": "inner", "time": "2026-11-24T09:00:00Z"}), &json!({}));
    let outer = json!({"specversion": "1.0", "id": "outer", "time": "2026-11-24T09:00:07Z", "data": inner});
    let read = event(&outer);
    assert_eq!(read.stamps.envelope, Some(Stamp { at: at("2026-11-24T09:00:00Z"), whole_second: true }));
    assert_eq!(read.message_id.as_deref(), Some("inner"));
    let broken = enveloped(&json!({"time": "noon"}), &json!({}));
    let read = event(&json!({"specversion": "1.0", "time": "2026-11-24T09:00:07Z", "data": broken}));
    assert_eq!(read.stamps.envelope.map(|s| s.at), Some(at("2026-11-24T09:00:07Z")));
    assert_eq!(refused(&read), ["time"]);
}

#[test]
fn the_events_own_id_is_believed_before_its_envelopes() {
    let read = event(&enveloped(&json!({"id": "ce"}), &json!({"eventId": "own"})));
    assert_eq!(read.message_id.as_deref(), Some("own"));
    assert_eq!(event(&enveloped(&json!({"id": "ce"}), &json!({}))).message_id.as_deref(), Some("ce"));
    assert_eq!(event(&deleted(&json!({}))).message_id, None);
    assert_eq!(
        event(&deleted(&json!({"event_id": "x".repeat(256)}))).message_id.map(|id| id.len()),
        Some(256)
    );
    assert_eq!(event(&deleted(&json!({"event_id": "x".repeat(257)}))).message_id, None);
}

/// daprd draws that id anew for every redelivery, so it would make one event look like many.
#[test]
fn the_id_of_a_raw_subscriptions_envelope_names_nothing() {
    use base64::Engine as _;
    let data = base64::prelude::BASE64_STANDARD.encode(deleted(&json!({})).to_string());
    let mut raw = json!({"specversion": "1.0", "id": "random", "source": "Dapr", "data_base64": data});
    assert_eq!(event(&raw).message_id, None);
    raw["source"] = json!("chat-api");
    assert_eq!(event(&raw).message_id.as_deref(), Some("random"));
}

#[test]
fn the_producer_is_the_events_own_word_or_the_innermost_source() {
    let read = event(&enveloped(&json!({"source": "app"}), &json!({"producer": "chat-api"})));
    assert_eq!(read.producer.as_deref(), Some("chat-api"));
    let read = event(&enveloped(&json!({"source": "app"}), &json!({"producer": ""})));
    assert_eq!(read.producer.as_deref(), Some("app"));
    let read = event(&enveloped(&json!({"source": "app"}), &json!({"task": {"source": "email"}})));
    assert_eq!(read.producer.as_deref(), Some("app"));
    let read = event(&enveloped(&json!({"source": "reminder-worker"}), &json!({})));
    assert_eq!(read.producer, None, "what the worker only passes on is not its own");
    let read = event(&enveloped(&json!({"source": "x"}), &json!({"producer": "reminder-worker"})));
    assert_eq!(read.producer.as_deref(), Some("reminder-worker"));
    assert_eq!(event(&deleted(&json!({"producer": 7}))).producer, None);
    assert_eq!(event(&deleted(&json!({"producer": "p".repeat(128)}))).producer.map(|p| p.len()), Some(128));
    assert_eq!(event(&deleted(&json!({"producer": "p".repeat(129)}))).producer, None);
}

#[test]
fn a_correlation_id_is_kept_up_to_its_bound() {
    for (value, expected) in
        [(json!("c-1"), Some("c-1")), (json!(7), Some("7")), (json!(""), None), (json!(null), None)]
    {
        let read = event(&deleted(&json!({"correlation_id": value})));
        assert_eq!(read.correlation_id.as_deref(), expected, "{value}");
    }
    let on = "c".repeat(CORRELATION_MAX_BYTES);
    assert_eq!(event(&deleted(&json!({"correlationId": on}))).correlation_id, Some(on.clone()));
    let beyond = event(&deleted(&json!({"correlationId": format!("{on}c")})));
    assert_eq!((beyond.correlation_id.as_ref(), refused(&beyond)), (None, vec!["correlationId"]));
}

#[test]
fn the_trace_is_the_headers_else_an_envelopes_and_zeros_are_none() {
    let id = Some(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c_u128.to_be_bytes());
    let other = TRACE.replace('f', "e");
    let other = other.as_str();
    for (header, attributes, expected) in [
        (Some(TRACE), json!({"traceparent": other}), id),
        (Some(NO_TRACE), json!({"traceparent": TRACE}), id),
        (Some(""), json!({"traceparent": "", "traceid": TRACE}), id),
        (None, json!({"traceid": "0af7651916cd43dd8448eb211c80319c"}), id),
        (None, json!({"traceparent": "nonsense", "traceid": TRACE}), id),
        (None, json!({"traceparent": NO_TRACE, "traceid": ""}), None),
        (None, json!({"traceparent": 7}), None),
        (None, json!({"traceid": "+af7651916cd43dd8448eb211c80319c"}), None),
        (Some("00-short-b7ad6b7169203331-01"), json!({}), None),
    ] {
        let transport = Transport { traceparent: header, ..Transport::default() };
        let read = delivered(&enveloped(&attributes, &json!({})), &transport);
        assert_eq!(read.trace_id, expected, "{header:?} {attributes}");
    }
}
