//! Members that come, go, fall ill and fall behind: who gets what, and what is committed.

use std::collections::BTreeSet;
use std::time::Duration;

use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::DefaultClientContext;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::{ClientConfig, Offset, TopicPartitionList};
use reminder_worker::clock::{Clock, SystemClock};
use serde_json::json;

use crate::stage::{Broker, Seen, TestApp, TestSidecar, fresh, taken, to};
use crate::{all_taken, events_of, numbers};

/// Publishes the numbers from `from` on under nine keys, which reach every partition.
async fn burst(sidecar: &TestSidecar, topic: &str, numbers: std::ops::Range<i64>) {
    for n in numbers.clone().step_by(100) {
        let chunk = n..numbers.end.min(n + 100);
        let events: Vec<_> = chunk.map(|n| (format!("key-{}", n % 9), json!({"n": n}))).collect();
        assert_eq!(sidecar.publish_bulk(topic, &events).await.0, 204);
    }
}

fn different(seen: &[Seen]) -> BTreeSet<i64> {
    numbers(seen).into_iter().collect()
}

/// Whether these are the numbers up to `end`.
fn all_to(end: i64, seen: BTreeSet<i64>) -> bool {
    seen.into_iter().eq(0..end)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_sidecar_of_the_group_shares_a_burst_and_nothing_is_lost() {
    // What a member has under way comes twice when a rebalance takes it away: a record of each partition. What it has
    // passed is committed before, and does not.
    const REPEATS_MAX: usize = 20;
    let broker = Broker::shared();
    let topic = fresh("share");
    let list = json!([to(&topic, &json!({}))]);
    let (one, other) =
        (TestApp::start(list.clone(), |_, _| taken()).await, TestApp::start(list, |_, _| taken()).await);
    let first = TestSidecar::start(&broker.address, &topic, &one).await;
    burst(&first, &topic, 0..1000).await;
    one.until("the burst has begun", |seen| seen.len() > 10).await;
    let second = TestSidecar::start(&broker.address, &topic, &other).await;
    // Until the second has its share: the first keeps some of three partitions, since each is given one at least.
    let mut end = 1000;
    while other.seen().is_empty() {
        burst(&first, &topic, end..end + 100).await;
        end += 100;
        SystemClock::new().sleep(Duration::from_millis(100)).await;
    }
    let before = one.seen().len();
    burst(&first, &topic, end..end + 1000).await;
    end += 1000;
    one.until("the first goes on too", |seen| seen.len() > before).await;
    let both = || one.seen().into_iter().chain(other.seen()).collect::<Vec<Seen>>();
    one.until("all, from both", |_| all_to(end, different(&both()))).await;
    first.stop().await;
    burst(&second, &topic, end..end + 1000).await;
    end += 1000;
    other.until("all after one has left", |_| all_to(end, different(&both()))).await;
    let repeats = both().len() - different(&both()).len();
    println!("{end} events, {repeats} twice over two rebalances");
    assert!(repeats < REPEATS_MAX, "{repeats}");
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_partition_that_was_paused_is_read_on_when_it_comes_back_to_the_same_member() {
    // Each of three partitions has more than may wait for its delivery.
    const EVENTS: i64 = 9_000;
    let broker = Broker::shared();
    let topic = fresh("paused");
    let bulk = json!({"bulkSubscribe": {"enabled": true, "maxAwaitDurationMs": 20}});
    let list = json!([to(&topic, &bulk)]);
    let answer = |_: usize, seen: &Seen| (200, all_taken(&seen.json()));
    let (one, other) = (TestApp::start(list.clone(), answer).await, TestApp::start(list, answer).await);
    one.hang(true);
    other.hang(true);
    let first = TestSidecar::start(&broker.address, &topic, &one).await;
    burst(&first, &topic, 0..EVENTS).await;
    one.until("the first hangs", |seen| !seen.is_empty()).await;
    let second = TestSidecar::start(&broker.address, &topic, &other).await;
    other.until("the second hangs", |seen| !seen.is_empty()).await;
    second.stop().await;
    one.hang(false);
    let all = |seen: &[Seen]| {
        let events = seen.iter().flat_map(events_of);
        all_to(EVENTS, events.filter_map(|(_, event)| event["data"]["n"].as_i64()).collect())
    };
    let clock = SystemClock::new();
    let since = clock.monotonic();
    while !all(&one.seen()) {
        assert!(clock.monotonic() - since < Duration::from_secs(40), "{} deliveries", one.seen().len());
        clock.sleep(Duration::from_millis(200)).await;
    }
    first.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn where_a_topic_was_made_anew_the_group_stands_where_it_has_read_to() {
    let broker = Broker::shared();
    let topic = fresh("anew");
    let app = TestApp::start(json!([to(&topic, &json!({}))]), |_, _| taken()).await;
    let sidecar = TestSidecar::start(&broker.address, &topic, &app).await;
    let publish = async |numbers: std::ops::Range<i64>| {
        for n in numbers {
            assert_eq!(sidecar.publish(&topic, "metadata.partitionNumber=0", &json!({"n": n})).await.0, 204);
        }
    };
    publish(0..50).await;
    committed(&broker, &topic, 50).await;
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &broker.address);
    let admin: AdminClient<DefaultClientContext> = config.create().unwrap();
    admin.delete_topics(&[&topic], &AdminOptions::new()).await.unwrap();
    let anew = NewTopic::new(&topic, 3, TopicReplication::Fixed(1));
    let (clock, reader) = (SystemClock::new(), reader(&broker, &topic));
    // A deleted topic goes a little after it was said to be, and its readers may make it anew first.
    while reader.fetch_watermarks(&topic, 0, Duration::from_secs(10)).ok() != Some((0, 0)) {
        admin.create_topics([&anew], &AdminOptions::new()).await.unwrap();
        clock.sleep(Duration::from_millis(100)).await;
    }
    publish(50..75).await;
    app.until("what the new topic has", |seen| different(seen).len() == 75).await;
    committed(&broker, &topic, 25).await;
    sidecar.stop().await;
}

fn reader(broker: &Broker, group: &str) -> BaseConsumer {
    let mut config = ClientConfig::new();
    config.set("bootstrap.servers", &broker.address).set("group.id", group).create().unwrap()
}

/// Waits until the group called like the topic stands at `offset` of its first partition.
async fn committed(broker: &Broker, topic: &str, offset: i64) {
    let (clock, reader) = (SystemClock::new(), reader(broker, topic));
    let since = clock.monotonic();
    loop {
        let mut list = TopicPartitionList::new();
        list.add_partition(topic, 0);
        let told = reader.committed_offsets(list, Duration::from_secs(10)).unwrap();
        let stands = told.find_partition(topic, 0).unwrap().offset();
        if stands == Offset::Offset(offset) {
            return;
        }
        assert!(clock.monotonic() - since < Duration::from_secs(20), "{stands:?} and not {offset}");
        clock.sleep(Duration::from_millis(100)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_ill_app_would_get_goes_to_a_healthy_replica_until_it_is_well() {
    let broker = Broker::shared();
    let topic = fresh("ill");
    let list = json!([to(&topic, &json!({}))]);
    let (one, other) =
        (TestApp::start(list.clone(), |_, _| taken()).await, TestApp::start(list, |_, _| taken()).await);
    let first = TestSidecar::start(&broker.address, &topic, &one).await;
    burst(&first, &topic, 0..100).await;
    one.until("the first has read", |seen| different(seen).len() == 100).await;
    one.fall_ill(true);
    let second = TestSidecar::start(&broker.address, &topic, &other).await;
    // Until its sidecar has noticed, the first is delivered its share.
    let mut sent = 100..200;
    loop {
        burst(&first, &topic, sent.clone()).await;
        let all: BTreeSet<i64> = sent.clone().collect();
        let by_first = || different(&one.seen());
        let by_both = |seen: &[Seen]| different(seen).union(&by_first()).copied().collect::<BTreeSet<_>>();
        other.until("the burst by either", |seen| by_both(seen).is_superset(&all)).await;
        if by_first().is_disjoint(&all) {
            break;
        }
        sent = sent.end..sent.end + 100;
    }
    second.stop().await;
    one.fall_ill(false);
    let after = sent.end..sent.end + 100;
    burst(&first, &topic, after.clone()).await;
    one.until("the first goes on", |seen| different(seen).is_superset(&after.clone().collect())).await;
    first.stop().await;
}
