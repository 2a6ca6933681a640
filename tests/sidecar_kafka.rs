//! The embedded sidecar on a real Kafka: the one that KAFKA names, else one that `tests/kafka/broker` starts.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic where tests do")]

#[path = "sidecar_kafka/group.rs"]
mod group;
#[path = "sidecar_kafka/outage.rs"]
mod outage;
#[path = "process/ports.rs"]
mod ports;
#[path = "sidecar_kafka/stage.rs"]
mod stage;

use std::collections::BTreeMap;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::consumer::{Consumer as _, StreamConsumer};
use rdkafka::message::{Header, Message as _, OwnedHeaders, ToBytes};
use rdkafka::producer::{FutureProducer, FutureRecord};
use serde_json::{Value, json};
use stage::{Broker, Seen, TestApp, TestSidecar, fresh, refused, taken, to};

/// A record of an ordinary client's making.
async fn produce<K: ToBytes + ?Sized>(
    broker: &Broker,
    topic: &str,
    key: &K,
    value: Option<&str>,
    header: Option<(&str, &[u8])>,
) {
    let client: FutureProducer =
        ClientConfig::new().set("bootstrap.servers", &broker.address).create().unwrap();
    let headers = header
        .into_iter()
        .fold(OwnedHeaders::new(), |all, (key, value)| all.insert(Header { key, value: Some(value) }));
    let record = FutureRecord { payload: value, ..FutureRecord::to(topic).key(key).headers(headers) };
    client.send(record, Duration::from_secs(10)).await.map_err(|(error, _)| error).unwrap();
}

fn numbers(seen: &[Seen]) -> Vec<i64> {
    seen.iter().filter_map(|s| s.data()["n"].as_i64()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_published_is_delivered_with_its_place_its_key_and_its_metadata() {
    let broker = Broker::shared();
    let topic = fresh("place");
    let app = TestApp::start(json!([to(&topic, &json!({}))]), |_, _| taken()).await;
    let sidecar = TestSidecar::start(&broker.address, &topic, &app).await;
    let metadata = "metadata.partitionKey=k&metadata.color=blue";
    assert_eq!(sidecar.publish(&topic, metadata, &json!({"n": 1})).await.0, 204);
    let seen = app.until("a delivery", |seen| !seen.is_empty()).await;
    let header = |name: &str| seen[0].headers.get(name).cloned().unwrap_or_default();
    let told = ["__key", "__topic", "__offset", "partitionkey", "color", "content-type"].map(header);
    assert_eq!(told, ["k", topic.as_str(), "0", "k", "blue", "application/cloudevents+json"]);
    // The partition that daprd's hash gives this key among three.
    assert_eq!(header("__partition"), "1");
    assert!(header("__timestamp").parse::<i64>().unwrap() > 1_600_000_000_000);
    assert_eq!((seen[0].data(), seen[0].json()["topic"].as_str()), (json!({"n": 1}), Some(topic.as_str())));
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_ordinary_client_wrote_before_is_delivered_as_it_is() {
    let broker = Broker::shared();
    let topic = fresh("plain");
    let plain = r#"{"b": 9007199254740993,  "a":"ä"}"#;
    produce(&broker, &topic, "schlüssel", Some(plain), Some(("source", b"batch"))).await;
    let app = TestApp::start(json!([to(&topic, &json!({}))]), |_, _| taken()).await;
    let sidecar = TestSidecar::start(&broker.address, &topic, &app).await;
    let seen = app.until("a delivery", |seen| !seen.is_empty()).await;
    assert_eq!(seen[0].body, plain);
    assert_eq!((&*seen[0].headers["__key"], &*seen[0].headers["source"]), ("schlüssel", "batch"));
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tombstone_and_a_null_are_delivered_as_null_and_hold_up_nothing() {
    let broker = Broker::shared();
    for bulk in [json!({}), json!({"bulkSubscribe": {"enabled": true, "maxAwaitDurationMs": 20}})] {
        let topic = fresh("null");
        let app = TestApp::start(json!([to(&topic, &bulk)]), |_, seen| (200, all_taken(&seen.json()))).await;
        for value in [None, Some(" null\n"), Some(r#"{"data":1}"#)] {
            produce(&broker, &topic, "k", value, None).await;
        }
        let sidecar = TestSidecar::start(&broker.address, &topic, &app).await;
        let all = |seen: &[Seen]| seen.iter().flat_map(events_of).count() == 3;
        let seen = app.until("all three", all).await;
        let events: Vec<Value> = seen.iter().flat_map(events_of).map(|(_, event)| event).collect();
        assert_eq!(events, [Value::Null, Value::Null, json!({"data": 1})]);
        sidecar.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_and_a_header_that_are_no_text_arrive_as_they_are_and_stay_so_in_a_dead_letter() {
    let broker = Broker::shared();
    let (topic, dead) = (fresh("bytes"), fresh("bytes-dead"));
    let (key, value) = (&b"\xff\xfe"[..], r#"{"data":1}"#);
    produce(&broker, &topic, key, Some(value), Some(("odd", b"\xc3"))).await;
    let list = json!([to(&topic, &json!({"deadLetterTopic": dead})), to(&dead, &json!({}))]);
    let living = format!("/{topic}");
    let app =
        TestApp::start(list, move |_, seen| if seen.path == living { refused() } else { taken() }).await;
    let sidecar = TestSidecar::start(&broker.address, &topic, &app).await;
    let seen = app.until("the dead letter", |seen| seen.len() == 2).await;
    for seen in &seen {
        assert_eq!(
            (&*seen.headers["__key"], &*seen.headers["odd"]),
            ("\\xff\\xfe", "\\xc3"),
            "{}",
            seen.path
        );
    }
    let keys = keys_of(&broker, &dead).await;
    assert_eq!(keys, [key]);
    sidecar.stop().await;
}

/// The keys of a topic's records, of which there is one at least.
async fn keys_of(broker: &Broker, topic: &str) -> Vec<Vec<u8>> {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &broker.address).set("group.id", fresh("reader"));
    let reader: StreamConsumer = config.set("auto.offset.reset", "earliest").create().unwrap();
    reader.subscribe(&[topic]).unwrap();
    let record = reader.recv().await.unwrap();
    vec![record.key().unwrap_or_default().to_vec()]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_number_that_is_none_refuses_as_daprd_does() {
    let broker = Broker::shared();
    let topic = fresh("number");
    let app = TestApp::start(json!([]), |_, _| taken()).await;
    let sidecar = TestSidecar::start(&broker.address, &topic, &app).await;
    let event = json!({"n": 1});
    for (number, status, told) in [
        ("2", 204, ""),
        ("3", 500, "partition number 3 is out of range"),
        ("-1", 500, "partitionNumber must be non-negative, got -1"),
        ("x", 500, r#"invalid partitionNumber metadata value \"x\": strconv.ParseInt"#),
    ] {
        let (got, body) =
            sidecar.publish(&topic, &format!("metadata.partitionNumber={number}"), &event).await;
        assert_eq!(got, status, "{number}: {body}");
        assert!(body.contains(told), "{number}: {body}");
    }
    for (number, failed) in [("7", &["0"][..]), ("x", &["0", "1"])] {
        let entry = |n: usize, metadata: Value| json!({"entryId": n.to_string(), "contentType": "application/json", "event": event, "metadata": metadata});
        let entries = json!([entry(0, json!({"partitionNumber": number})), entry(1, json!({}))]);
        let (status, body) = sidecar.post(&format!("/v1.0/publish/bulk/pubsub/{topic}"), &entries).await;
        let told: Value = serde_json::from_str(&body).unwrap();
        let ids: Vec<_> = told["failedEntries"]
            .as_array()
            .unwrap()
            .iter()
            .map(|e| e["entryId"].as_str().unwrap())
            .collect();
        assert_eq!((status, &ids[..]), (500, failed), "{number}: {body}");
    }
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_keeps_its_partition_and_its_order_in_bulk_too() {
    let broker = Broker::shared();
    for bulk in [json!({}), json!({"bulkSubscribe": {"enabled": true, "maxAwaitDurationMs": 20}})] {
        let topic = fresh("order");
        let app = TestApp::start(json!([to(&topic, &bulk)]), |_, seen| (200, all_taken(&seen.json()))).await;
        let sidecar = TestSidecar::start(&broker.address, &topic, &app).await;
        let events: Vec<_> = (0..600).map(|n| (format!("key-{}", n % 7), json!({"n": n}))).collect();
        for events in events.chunks(100) {
            assert_eq!(sidecar.publish_bulk(&topic, events).await.0, 204);
        }
        let count = |seen: &[Seen]| seen.iter().map(|s| events_of(s).len()).sum::<usize>() >= 600;
        let seen = app.until("600 deliveries", count).await;
        let mut by_key: BTreeMap<String, Vec<(String, i64)>> = BTreeMap::new();
        for (metadata, event) in seen.iter().flat_map(events_of) {
            let text = |name: &str| metadata[name].as_str().unwrap().to_owned();
            let n = event["data"]["n"].as_i64().unwrap();
            by_key.entry(text("__key")).or_default().push((text("__partition"), n));
        }
        assert_eq!(by_key.len(), 7);
        for (key, got) in by_key {
            assert!(got.windows(2).all(|w| w[0].0 == w[1].0 && w[0].1 < w[1].1), "{key}: {got:?}");
        }
        sidecar.stop().await;
    }
}

/// The events of a delivery, single or bulk, with their metadata.
fn events_of(seen: &Seen) -> Vec<(Value, Value)> {
    let body = seen.json();
    match body["entries"].as_array() {
        Some(list) => list.iter().map(|e| (e["metadata"].clone(), e["event"].clone())).collect(),
        None => vec![(json!(seen.headers), body)],
    }
}

fn all_taken(body: &Value) -> String {
    let entries = body["entries"].as_array().cloned().unwrap_or_default();
    let statuses: Vec<Value> =
        entries.iter().map(|e| json!({"entryId": e["entryId"], "status": "SUCCESS"})).collect();
    if statuses.is_empty() { String::new() } else { json!({ "statuses": statuses }).to_string() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failed_record_comes_again_after_five_seconds_while_only_its_partition_waits() {
    let broker = Broker::shared();
    let topic = fresh("again");
    let failing = |_: usize, seen: &Seen| if seen.data()["n"] == 1 { refused() } else { taken() };
    let app = TestApp::start(json!([to(&topic, &json!({}))]), failing).await;
    let sidecar = TestSidecar::start(&broker.address, &topic, &app).await;
    for (n, partition) in [(1, 0), (2, 0), (3, 1)] {
        let metadata = format!("metadata.partitionNumber={partition}");
        assert_eq!(sidecar.publish(&topic, &metadata, &json!({"n": n})).await.0, 204);
    }
    let twice = |seen: &[Seen]| numbers(seen).iter().filter(|n| **n == 1).count() == 3;
    let seen = app.until("the third try", twice).await;
    let tries: Vec<&Seen> = seen.iter().filter(|s| s.data()["n"] == 1).collect();
    for pair in tries.windows(2) {
        let pause = pair[1].at - pair[0].at;
        assert!((Duration::from_millis(4_900)..Duration::from_secs(7)).contains(&pause), "{pause:?}");
        assert_eq!(pair[0].body, pair[1].body);
    }
    assert!(numbers(&seen).contains(&3) && !numbers(&seen).contains(&2), "{:?}", numbers(&seen));
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_tells_of_its_origin_and_frees_the_partition() {
    let broker = Broker::shared();
    let (topic, dead) = (fresh("origin"), fresh("dead"));
    let list = json!([to(&topic, &json!({"deadLetterTopic": dead})), to(&dead, &json!({}))]);
    let living = format!("/{topic}");
    let app = TestApp::start(list, move |_, seen| match seen.data()["n"].as_i64() {
        Some(1) if seen.path == living => refused(),
        Some(2) if seen.path == living => (200, r#"{"status":"DROP"}"#.into()),
        _ => taken(),
    })
    .await;
    let sidecar = TestSidecar::start(&broker.address, &topic, &app).await;
    for n in 1..=3 {
        let metadata = "metadata.partitionKey=k";
        assert_eq!(sidecar.publish(&topic, metadata, &json!({"n": n})).await.0, 204);
    }
    let seen = app.until("three and two dead letters", |seen| seen.len() == 5).await;
    let (dead, living): (Vec<_>, Vec<_>) = seen.into_iter().partition(|s| s.path == format!("/{dead}"));
    assert_eq!((numbers(&living), numbers(&dead)), (vec![1, 2, 3], vec![1, 2]));
    for (letter, original) in dead.iter().zip(&living) {
        assert_eq!(letter.body, original.body);
        for name in ["__topic", "__offset", "__partition", "__key"] {
            assert_eq!(letter.headers[name], original.headers[name], "{name}");
        }
    }
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn drop_goes_on_and_a_restart_resumes_where_the_group_stood() {
    let broker = Broker::shared();
    let topic = fresh("resume");
    let dropping = |_: usize, seen: &Seen| match seen.data()["n"].as_i64() {
        Some(2) => (200, r#"{"status":"DROP"}"#.into()),
        Some(3) => (200, r#"{"status":"RETRY"}"#.into()),
        _ => taken(),
    };
    let app = TestApp::start(json!([to(&topic, &json!({}))]), dropping).await;
    let sidecar = TestSidecar::start(&broker.address, &topic, &app).await;
    for n in 1..=4 {
        assert_eq!(sidecar.publish(&topic, "metadata.partitionKey=k", &json!({"n": n})).await.0, 204);
    }
    app.until("the third", |seen| numbers(seen).contains(&3)).await;
    sidecar.stop().await;
    assert_eq!(numbers(&app.seen()), [1, 2, 3]);
    let app = TestApp::start(json!([to(&topic, &json!({}))]), |_, _| taken()).await;
    let sidecar = TestSidecar::start(&broker.address, &topic, &app).await;
    let seen = app.until("the fourth", |seen| numbers(seen).contains(&4)).await;
    assert_eq!(numbers(&seen), [3, 4]);
    sidecar.stop().await;
}
