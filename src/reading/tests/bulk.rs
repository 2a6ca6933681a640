use base64::Engine as _;
use serde_json::{Value, json};

use super::super::{BulkEntry, ENTRIES_MAX, Ignored, Reading, Reason, read_bulk};

/// A batch as a real sidecar delivered it, one entry of each sort added.
fn batch() -> Value {
    let event = json!({"data": {"event_type": "task_deleted", "task_id": 1}, "datacontenttype": "application/json",
                       "id": "0e74cdec", "pubsubname": "kafka-pubsub", "source": "recorder", "specversion": "1.0",
                       "time": "2026-11-24T06:35:44Z", "topic": "t", "traceid": "", "traceparent": "",
                       "tracestate": "", "type": "com.dapr.event.sent"});
    let raw = base64::prelude::BASE64_STANDARD
        .encode(r#"{"event_type":"task_deleted","task_id":9007199254740993}"#);
    json!({"entries": [
        {"entryId": "0", "event": event, "contentType": "application/cloudevents+json",
         "metadata": {"__offset": "3", "__partition": "0", "__timestamp": "1795502144824", "__topic": "t",
                      "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}},
        {"entryId": "1", "event": raw, "contentType": "application/octet-stream", "metadata": {"__offset": "4"}},
        {"entryId": "2", "event": "hello", "contentType": "text/plain", "metadata": null},
        {"entryId": "3", "event": null, "contentType": "application/cloudevents+json"},
        {"entryId": "4", "event": {"event_type": "task_deleted", "task_id": 9_007_199_254_740_992_u64}, "metadata": 7},
        {"entryId": "5", "event": "{\"event_type\":\"task_deleted\",\"task_id\":5}", "metadata": {"__offset": 5}},
    ], "id": "3e019290", "metadata": {"pubsubName": "kafka-pubsub"}, "pubsubname": "kafka-pubsub", "topic": "t",
       "type": "com.dapr.event.sent.bulk"})
}

fn outcome(entry: &BulkEntry<'_>) -> String {
    match entry.read() {
        Reading::Preferences(change) => format!("preferences of {}", change.user),
        Reading::Event(event) => format!("task {} at offset {}", event.task_id, event.offset),
        Reading::Ignored(ignored) => ignored.code().to_owned(),
        Reading::Refused(reason) => reason.code().to_owned(),
    }
}

#[test]
fn every_entry_is_read_by_itself() {
    let body = batch().to_string();
    let entries = read_bulk(body.as_bytes()).unwrap();
    let ids: Vec<_> = entries.iter().map(|entry| entry.entry_id.as_str()).collect();
    assert_eq!(ids, ["0", "1", "2", "3", "4", "5"]);
    let outcomes: Vec<_> = entries.iter().map(outcome).collect();
    assert_eq!(
        outcomes,
        [
            "task 1 at offset 3",
            "task 9007199254740993 at offset 4",
            "not_json",
            Ignored::Tombstone.code(),
            // The sidecar's float may have made this of 2^53 + 1.
            "task_id_unreadable",
            "task 5 at offset 0",
        ]
    );
    let Reading::Event(first) = entries[0].read() else { panic!("no event") };
    assert_eq!(first.stamps.broker.map(crate::domain::Timestamp::millis), Some(1_795_502_144_824));
    assert!(first.trace_id.is_some());
}

#[test]
fn an_entrys_bytes_are_kept_as_they_stood() {
    let event = r#"{ "a" : 1.0, "b":[ ] , "a":2}"#;
    let body = format!(r#"{{"entries":[{{"entryId":"0","event":{event}}}]}}"#);
    assert_eq!(read_bulk(body.as_bytes()).unwrap()[0].event, event.as_bytes());
}

#[test]
fn an_event_that_is_poison_does_not_cost_its_batch() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let body =
        format!(r#"{{"entries":[{{"entryId":"0","event":{deep}}},{{"entryId":"1","event":"\ud800"}}]}}"#);
    let entries = read_bulk(body.as_bytes()).unwrap();
    assert_eq!(entries.iter().map(outcome).collect::<Vec<_>>(), ["not_json", "not_json"]);
}

#[test]
fn what_is_no_batch_is_refused() {
    for body in [
        "",
        "null",
        "[]",
        "{}",
        r#"{"entries":{}}"#,
        r#"{"entries":[{"event":{}}]}"#,
        r#"{"entries":[{"entryId":"0"}]}"#,
        r#"{"entries":[{"entryId":0,"event":{}}]}"#,
        "{\"entries\":[\u{0}",
    ] {
        assert!(matches!(read_bulk(body.as_bytes()), Err(Reason::NotABulk { .. })), "{body}");
    }
    assert!(read_bulk(br#"{"entries":[]}"#).unwrap().is_empty());
}

#[test]
fn as_many_entries_as_the_bound_are_read_and_one_more_costs_the_batch() {
    let batch = |entries: usize| {
        let list = vec![r#"{"entryId":"0","event":{}}"#; entries].join(",");
        format!(r#"{{"entries":[{list}]}}"#)
    };
    assert_eq!(read_bulk(batch(ENTRIES_MAX).as_bytes()).unwrap().len(), ENTRIES_MAX);
    let Err(Reason::NotABulk { detail }) = read_bulk(batch(ENTRIES_MAX + 1).as_bytes()) else {
        panic!("read all the same")
    };
    assert!(detail.contains("more than 10000 entries"), "{detail}");
}

#[test]
fn metadata_on_their_bound_are_read_and_longer_ones_left_out() {
    for (length, offset) in [(64 * 1024, Some(7)), (64 * 1024 + 1, None)] {
        let around = r#"{"__offset":"7","x":""}"#.len();
        let metadata = format!(r#"{{"__offset":"7","x":"{}"}}"#, "x".repeat(length - around));
        let body = format!(r#"{{"entries":[{{"entryId":"0","event":{{}},"metadata":{metadata}}}]}}"#);
        assert_eq!(read_bulk(body.as_bytes()).unwrap()[0].transport().offset, offset, "{length}");
    }
}

#[test]
fn text_on_the_bound_is_tried_as_base64_and_longer_text_is_left_as_it_is() {
    const ENCODED_MAX_BYTES: usize = 8 * 1024 * 1024;
    for (length, decoded) in [(ENCODED_MAX_BYTES, true), (ENCODED_MAX_BYTES + 1, false)] {
        // Four letters are three bytes; the quotes and white space within are the rest.
        let body = format!(r#"{{"entries":[{{"entryId":"0","event":"{}"}}]}}"#, "A".repeat(length - 2));
        let event = &read_bulk(body.as_bytes()).unwrap()[0].event;
        assert_eq!(event.len() < length, decoded, "{length}");
    }
}
