//! What the recordings do not show of the wrapping; the rest is replayed by `tests/sidecar_golden.rs`.

use super::*;

const TRACE: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

fn to(trace_parent: &str) -> Publication<'_> {
    Publication {
        pubsub: "kafka-pubsub",
        topic: "t",
        app_id: "app",
        trace_parent,
        trace_state: "",
        now: Timestamp::from_millis(1_767_225_600_999),
    }
}

fn wrapped(content_type: &str, body: &str, metadata: &[(&str, &str)]) -> serde_json::Value {
    let payload = Payload { content_type, bytes: body.as_bytes(), numbers: Numbers::AsWritten };
    let metadata = metadata.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
    let message = envelope(&to(TRACE), &payload, Some(&metadata), || "fresh".into()).unwrap();
    serde_json::from_slice(&message.value).unwrap()
}

#[test]
fn an_envelope_without_traceid_takes_the_trace_of_the_request() {
    let event = wrapped("application/cloudevents+json", r#"{"traceparent":"mine","id":"1"}"#, &[]);
    assert_eq!((event["traceid"].as_str(), event["traceparent"].as_str()), (Some(TRACE), Some(TRACE)));
}

#[test]
fn an_envelope_with_traceid_keeps_its_own_trace() {
    let event =
        wrapped("application/cloudevents+json", r#"{"traceparent":"mine","traceid":"x","id":"1"}"#, &[]);
    assert_eq!((event["traceid"].as_str(), event["traceparent"].as_str()), (Some("x"), Some("mine")));
}

#[test]
fn members_of_an_own_envelope_stay_sorted_and_single() {
    let payload = Payload {
        content_type: "application/cloudevents+json; charset=utf-8",
        bytes: br#"{"zeta":1.0,"topic":"other","alpha":{"b":1,"a":2},"source":null}"#,
        numbers: Numbers::AsWritten,
    };
    let message = envelope(&to(""), &payload, None, || unreachable!("an own envelope gets no id")).unwrap();
    assert_eq!(
        message.value,
        r#"{"alpha":{"a":2,"b":1},"pubsubname":"kafka-pubsub","source":"Dapr","specversion":"1.0","time":"2026-01-01T00:00:00Z","topic":"t","traceid":"","traceparent":"","tracestate":"","type":"com.dapr.event.sent","zeta":1.0}"#
    );
}

#[test]
fn a_time_to_live_becomes_the_expiration_of_either_kind_of_envelope() {
    for content_type in ["application/json", "application/cloudevents+json"] {
        let event = wrapped(content_type, "{}", &[("TTL", "60")]);
        assert_eq!(event["expiration"], "2026-01-01T00:01:00Z", "{content_type}");
    }
    assert_eq!(wrapped("application/json", "{}", &[("ttl", "0")])["expiration"], serde_json::Value::Null);
}

#[test]
fn publish_metadata_overrides_what_daprd_would_have_put() {
    let event = wrapped(
        "text/plain",
        "x",
        &[("cloudevent.subject", "s"), ("cloudevent.traceparent", "p"), ("cloudevent.tracestate", "k=v")],
    );
    assert_eq!(
        (&event["subject"], &event["traceparent"], &event["tracestate"]),
        (&"s".into(), &"p".into(), &"k=v".into())
    );
}

#[test]
fn an_envelope_that_is_no_object_is_refused() {
    for body in ["[]", "1", "null", "\"x\"", "{bad", ""] {
        let payload = Payload {
            content_type: "application/cloudevents+json",
            bytes: body.as_bytes(),
            numbers: Numbers::AsWritten,
        };
        assert!(envelope(&to(""), &payload, None, String::new).is_err(), "{body}");
    }
}

#[test]
fn the_head_tells_what_delivery_needs() {
    for (value, head) in [
        ("[]", Head::default()),
        ("nonsense", Head::default()),
        ("5", Head::default()),
        ("", Head::default()),
        (" null\n", Head { event: true, ..Head::default() }),
        ("{}", Head { event: true, ..Head::default() }),
        (
            r#"{"traceid":""}"#,
            Head { event: true, trace: Some(NO_TRACE.into()), expires: None, settled: false },
        ),
        (r#"{"traceid":7}"#, Head { event: true, ..Head::default() }),
        (
            r#"{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01","traceid":""}"#,
            Head { event: true, trace: Some(TRACE.into()), expires: None, settled: false },
        ),
        (
            r#"{"expiration":"1970-01-01T00:00:01Z"}"#,
            Head { event: true, trace: None, expires: Some(Timestamp::from_millis(1000)), settled: false },
        ),
    ] {
        assert_eq!(Head::read(value.as_bytes()), head, "{value}");
    }
}

#[test]
fn a_number_that_no_float_holds_is_kept_alone_and_refused_in_bulk() {
    let with = |numbers| {
        let payload = Payload { content_type: "application/json", bytes: b"1e400", numbers };
        envelope(&to(""), &payload, None, String::new)
    };
    assert!(with(Numbers::AsWritten).is_ok_and(|m| m.value.starts_with(b"{\"data\":1e400,")));
    assert!(with(Numbers::Float64).is_err());
}
