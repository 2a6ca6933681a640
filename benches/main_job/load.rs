//! Loads: events as Dapr delivers them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use reminder_worker::domain::Timestamp;

use super::client::Client;

/// What a load saw.
pub(crate) struct Seen {
    pub(crate) rate: f64,
    pub(crate) median_ms: f64,
    pub(crate) p99_ms: f64,
}

/// A number no other task has had.
static TASKS: AtomicU64 = AtomicU64::new(0);

/// One event a call.
pub(crate) async fn single(port: u16, connections: usize, length: Duration) -> Seen {
    drive(
        connections,
        length,
        move |mut client| async move {
            let body = cloud_event(&created(far()));
            let answer =
                client.post("/events/task-events", "application/cloudevents+json", body.as_bytes()).await;
            assert!(answer.windows(7).any(|w| w == b"SUCCESS"), "{}", String::from_utf8_lossy(&answer));
            (client, 1)
        },
        port,
    )
    .await
}

/// Many events a call.
pub(crate) async fn bulk(port: u16, connections: usize, events: usize, length: Duration) -> Seen {
    drive(
        connections,
        length,
        move |mut client| async move {
            let body = bulk_body((0..events).map(|_| created(far())));
            let answer = client.post("/events/task-events", "application/json", body.as_bytes()).await;
            assert_eq!(answer.windows(9).filter(|w| w == b"\"SUCCESS\"").count(), events);
            (client, events)
        },
        port,
    )
    .await
}

/// Creates `count` tasks, the first due after `first`, then one every `every`; returns the first due instant.
pub(crate) async fn fill(port: u16, count: usize, first: Duration, every: Duration) -> i64 {
    let first = now().plus(first).millis();
    let step = i64::try_from(every.as_micros()).unwrap();
    let mut client = Client::connect(port).await;
    for chunk in (0..count).collect::<Vec<_>>().chunks(500) {
        let events = chunk
            .iter()
            .map(|n| created(Timestamp::from_millis(first + i64::try_from(*n).unwrap() * step / 1_000)));
        let body = bulk_body(events);
        client.post("/events/task-events", "application/json", body.as_bytes()).await;
    }
    first
}

/// The value below which `percent` of the sorted values lie.
pub(crate) fn quantile(sorted: &[f64], percent: usize) -> f64 {
    sorted[(sorted.len() - 1) * percent / 100]
}

async fn drive<F, W>(connections: usize, length: Duration, work: W, port: u16) -> Seen
where
    F: Future<Output = (Client, usize)> + Send + 'static,
    W: Fn(Client) -> F + Copy + Send + 'static,
{
    let began = Instant::now();
    let done = Arc::new(AtomicU64::new(0));
    let mut running = tokio::task::JoinSet::new();
    for _ in 0..connections {
        let done = Arc::clone(&done);
        running.spawn(async move {
            let mut client = Client::connect(port).await;
            let mut took = Vec::new();
            while began.elapsed() < length {
                let sent = Instant::now();
                let (back, events) = work(client).await;
                client = back;
                took.push(sent.elapsed().as_secs_f64() * 1e3);
                done.fetch_add(events as u64, Ordering::Relaxed);
            }
            took
        });
    }
    let mut took: Vec<f64> = running.join_all().await.concat();
    took.sort_by(f64::total_cmp);
    let rate = done.load(Ordering::Relaxed) as f64 / began.elapsed().as_secs_f64();
    Seen { rate, median_ms: quantile(&took, 50), p99_ms: quantile(&took, 99) }
}

fn created(due: Timestamp) -> String {
    let n = TASKS.fetch_add(1, Ordering::Relaxed);
    let task = format!("7b0d1c52-9a3e-4c11-8f00-{n:012x}");
    format!(
        r#"{{"event_id":"5d7a11d0-31c2-4c4e-9c55-{n:012x}","event_type":"task_created","event_version":"v1","timestamp":"{}","correlation_id":null,"producer":"chat-api","payload":{{"task_id":"{task}","user_id":"user-{}","title":"a task to be reminded of","priority":"HIGH","status":"TODO","due_date":"{due}"}}}}"#,
        now(),
        n % 1000,
    )
}

fn cloud_event(event: &str) -> String {
    format!(
        r#"{{"data":{event},"datacontenttype":"application/json","id":"4cb26e87-8f7f-4970-8440-4c3a978da060","pubsubname":"kafka-pubsub","source":"chat-api","specversion":"1.0","time":"{}","topic":"task-events","traceid":"","traceparent":"","tracestate":"","type":"com.dapr.event.sent"}}"#,
        now()
    )
}

fn bulk_body(events: impl Iterator<Item = String>) -> String {
    let entries: Vec<String> = events
        .enumerate()
        .map(|(n, event)| {
            format!(
                r#"{{"entryId":"{n}","event":{},"metadata":{{"__topic":"task-events"}},"contentType":"application/cloudevents+json"}}"#,
                cloud_event(&event)
            )
        })
        .collect();
    format!(
        r#"{{"entries":[{}],"id":"be61a44c-7ef1-4513-813c-8b8806aa7d1d","metadata":{{"pubsubName":"kafka-pubsub"}},"pubsubname":"kafka-pubsub","topic":"task-events","type":"com.dapr.event.sent.bulk"}}"#,
        entries.join(",")
    )
}

fn far() -> Timestamp {
    now().plus(Duration::from_secs(365 * 86_400))
}

pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    Timestamp::from_millis(i64::try_from(since.as_millis()).unwrap())
}
