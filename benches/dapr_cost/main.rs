//! What Dapr costs: `cargo bench --features kafka --bench dapr_cost`.
//!
//! Measures three ways to one Kafka broker, one after the other in one run: an ordinary client, the embedded sidecar
//! with the worker, and a real daprd with the worker where one is found (`DAPRD`, then `PATH`, then `~/.dapr/bin`).
//! Everything shares the machine. Nothing here passes or fails: compare the ratios of one run. `tests/kafka/broker
//! fetch` brings the broker.
//!
//! The ordinary client has no worker behind it: a relay consumes each event and publishes it on as a reminder, which
//! is the least that any reminder costs on this broker: two publishes and two deliveries.
#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(clippy::unwrap_used, reason = "a benchmark that breaks should say where")]

#[expect(dead_code, reason = "the other benchmark asks with GET")]
#[path = "../main_job/client.rs"]
mod client;
mod event;
#[path = "../../tests/conformance/found.rs"]
mod found;
mod kafka;
#[path = "../../tests/kafka/broker.rs"]
mod kafka_process;
mod marks;
mod publish;
mod subject;

use std::sync::Arc;
use std::time::Duration;

use kafka::{Audience, Broker, Topics};
use marks::Marks;
use publish::Publisher;
use subject::{Kind, Subject};

/// Events a second while latency is measured: far from any limit, so that nothing waits in a queue.
const PACE: usize = 100;
/// Events of the latency measurement: 20 s of them, so that 20 lie above the 99th percentile.
const PACED: usize = 2_000;
/// Events of each rate measurement.
const MANY: usize = 20_000;
/// Longest wait for what was sent to be seen.
const PATIENCE: Duration = Duration::from_secs(120);
/// Rounds of warming up, of a second and at most two of waiting each, before the subject counts as broken.
const WARM_UP_ROUNDS: usize = 20;

fn main() {
    // `cargo bench` hands over flags of the standard harness; what is left are the subjects, all if none.
    let asked: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let daprd = found::daprd().unwrap_or_else(|why| panic!("{why}"));
    let broker = Broker::start();
    println!("librdkafka {}, 3 partitions a topic, {PACE} events/s for latency", kafka::client_version());
    println!(
        "{:30} {:>15} {:>17} {:>11} {:>13}",
        "", "publish p50/p99", "reminder p50/p99", "publishes/s", "reminders/s"
    );
    let is_asked = |name: &str| asked.is_empty() || asked.iter().any(|asked| asked == name);
    let version = daprd.as_ref().map(|daprd| daprd.version.clone()).unwrap_or_default();
    let subjects = [(Kind::Client, ""), (Kind::Embedded, "")];
    for (kind, version) in subjects.into_iter().chain(daprd.map(|daprd| (Kind::Daprd(daprd), &*version))) {
        if is_asked(kind.name()) {
            runtime.block_on(measure(&kind, version, &broker));
        }
    }
    if version.is_empty() && is_asked("daprd") {
        println!("{:30} not found in DAPRD, PATH or ~/.dapr/bin", "daprd");
    }
}

/// One row of the table.
async fn measure(kind: &Kind, version: &str, broker: &Broker) {
    let topics = broker.topics(kind.name()).await;
    let subject = Subject::start(kind, broker, &topics);
    let audience = Audience::start(broker, &topics);
    let publisher = subject.publisher(broker).await;
    warm_up(&publisher, &topics, &audience).await;

    let paced = Arc::new(Marks::new(PACED));
    audience.watch(&paced);
    publisher.paced(&topics.events, PACE, &paced).await;
    paced.wait_until_seen(PATIENCE).await;

    let unread = Arc::new(Marks::new(MANY));
    publisher.many(&topics.unread, &unread).await;

    let many = Arc::new(Marks::new(MANY));
    audience.watch(&many);
    publisher.many(&topics.events, &many).await;
    many.wait_until_seen(PATIENCE).await;

    let (published, reminded) = (paced.published(), paced.reminded());
    println!(
        "{:30} {:>6.2} / {:>6.2} {:>8.2} / {:>6.2} {:>11.0} {:>13.0}",
        format!("{} {version}", kind.name()),
        published.median,
        published.p99,
        reminded.median,
        reminded.p99,
        unread.done_per_second(),
        many.seen_per_second(),
    );
}

/// Publishes until reminders are seen: subscriptions and rebalances take their time. Then a little more, so that code
/// and connections are warm.
async fn warm_up(publisher: &Publisher, topics: &Topics, audience: &Audience) {
    for round in 0.. {
        let marks = Arc::new(Marks::new(PACE));
        audience.watch(&marks);
        publisher.paced(&topics.events, PACE, &marks).await;
        let until = std::time::Instant::now() + Duration::from_secs(2);
        while marks.seen() < marks.len() && std::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        if marks.seen() == marks.len() {
            return;
        }
        assert!(round < WARM_UP_ROUNDS, "no reminders are seen; look at the log of the worker or of daprd");
    }
}
