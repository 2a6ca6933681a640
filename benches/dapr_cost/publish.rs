//! Publishing events: as an ordinary client does, and through a sidecar.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use super::client::Client;
use super::event;
use super::kafka::{Broker, Producer};
use super::marks::Marks;

/// Connections that single publishes are spread over: enough that none waits for another at the pace.
const SINGLE_CONNECTIONS: usize = 8;
/// Connections of bulk publishes, and events a call.
const BULK_CONNECTIONS: usize = 4;
const BULK_EVENTS: usize = 100;
/// Longest wait for the broker's acknowledgements.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where events are published.
pub(crate) enum Publisher {
    /// At the broker.
    Client {
        /// Sends at once.
        prompt: Producer,
        /// Waits a little for more, as the client comes.
        patient: Producer,
    },
    /// At a sidecar's HTTP API.
    Sidecar {
        /// Its port.
        port: u16,
    },
}

impl Publisher {
    pub(crate) fn client(broker: &Broker) -> Self {
        Self::Client { prompt: broker.producer(0), patient: broker.producer(5) }
    }

    /// All events of `marks`, at `pace` a second. An event's time starts when it should have been sent.
    pub(crate) async fn paced(&self, topic: &str, pace: usize, marks: &Arc<Marks>) {
        let (queue, waiting) = mpsc::unbounded_channel();
        let waiting = Arc::new(Mutex::new(waiting));
        let mut senders = JoinSet::new();
        if let Self::Sidecar { port } = self {
            for _ in 0..SINGLE_CONNECTIONS {
                let mut client = Client::connect(*port).await;
                let (waiting, marks, topic) = (Arc::clone(&waiting), Arc::clone(marks), topic.to_owned());
                senders.spawn(async move {
                    while let Some(n) = next(&waiting).await {
                        post(&mut client, &topic, n, &marks).await;
                    }
                });
            }
        }
        let began = Instant::now();
        for n in 0..marks.len() {
            let at =
                began + Duration::from_secs(1) * u32::try_from(n).unwrap() / u32::try_from(pace).unwrap();
            tokio::time::sleep_until(at.into()).await;
            // Not `at`: a timer's millisecond is not the subject's fault.
            marks.send(n);
            match self {
                Self::Client { prompt, .. } => put(prompt, topic, n, marks),
                Self::Sidecar { .. } => queue.send(n).unwrap(),
            }
        }
        drop(queue);
        senders.join_all().await;
        marks.wait_until_done(PATIENCE).await;
    }

    /// All events of `marks`, as fast as it goes.
    pub(crate) async fn many(&self, topic: &str, marks: &Arc<Marks>) {
        match self {
            Self::Client { patient, .. } => {
                for n in 0..marks.len() {
                    marks.send(n);
                    put(patient, topic, n, marks);
                }
            }
            Self::Sidecar { port } => {
                let mut senders = JoinSet::new();
                for connection in 0..BULK_CONNECTIONS {
                    let mut client = Client::connect(*port).await;
                    let (marks, topic) = (Arc::clone(marks), topic.to_owned());
                    senders.spawn(async move {
                        let numbers: Vec<usize> =
                            (connection..marks.len()).step_by(BULK_CONNECTIONS).collect();
                        for batch in numbers.chunks(BULK_EVENTS) {
                            post_many(&mut client, &topic, batch, &marks).await;
                        }
                    });
                }
                senders.join_all().await;
            }
        }
        marks.wait_until_done(PATIENCE).await;
    }
}

async fn next(waiting: &Mutex<mpsc::UnboundedReceiver<usize>>) -> Option<usize> {
    waiting.lock().await.recv().await
}

fn put(producer: &Producer, topic: &str, n: usize, marks: &Arc<Marks>) {
    let (key, event) = (event::key(marks.run, n), event::due_now(marks.run, n));
    producer.send(topic, key.as_bytes(), event.as_bytes(), Some((Arc::clone(marks), n)));
}

async fn post(client: &mut Client, topic: &str, n: usize, marks: &Marks) {
    let path =
        format!("/v1.0/publish/kafka-pubsub/{topic}?metadata.partitionKey={}", event::key(marks.run, n));
    client.post(&path, "application/json", event::due_now(marks.run, n).as_bytes()).await;
    marks.done(n);
}

async fn post_many(client: &mut Client, topic: &str, batch: &[usize], marks: &Marks) {
    let entry = |n: &usize| {
        let (key, event) = (event::key(marks.run, *n), event::due_now(marks.run, *n));
        format!(
            r#"{{"entryId":"{n}","contentType":"application/json","metadata":{{"partitionKey":"{key}"}},"event":{event}}}"#
        )
    };
    let path = format!("/v1.0/publish/bulk/kafka-pubsub/{topic}");
    batch.iter().for_each(|n| marks.send(*n));
    let body = format!("[{}]", batch.iter().map(entry).collect::<Vec<_>>().join(","));
    client.post(&path, "application/json", body.as_bytes()).await;
    batch.iter().for_each(|n| marks.done(*n));
}
