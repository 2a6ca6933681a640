//! A stand-in for Dapr that records what is published to it and behaves as a test wants.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::atomic::{AtomicBool, AtomicU16, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::runtime::Runtime;

use crate::ports::free_port;
use crate::wait::{now, until};

/// What a request is answered.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reply {
    /// This status, at once.
    Status(u16),
    /// 204 after a while.
    Slow(Duration),
    /// Nothing, ever.
    Hang,
    /// What daprd passes on of a Kafka without the topic.
    Missing,
}

/// The metadata of a sidecar that has the worker's subscriptions.
const METADATA: &str = r#"{"id":"reminder-worker","components":[{"name":"kafka-pubsub","type":"pubsub.kafka"}],
    "subscriptions":[{"pubsubname":"kafka-pubsub","topic":"task-events"},
    {"pubsubname":"kafka-pubsub","topic":"task-updates"},{"pubsubname":"kafka-pubsub","topic":"reminders"}]}"#;

const MISSING: &str = r#"{"errorCode":"ERR_PUBSUB_PUBLISH_MESSAGE","message":"error when publishing to topic reminders in pubsub kafka-pubsub: kafka server: Request was for a topic or partition that does not exist on this broker"}"#;

/// What the broker takes.
pub(crate) const TAKE: Reply = Reply::Status(204);

/// One event of a publish.
#[derive(Clone, Debug)]
pub(crate) struct Event {
    /// As it came.
    pub(crate) raw: String,
    /// The same, read.
    pub(crate) json: Value,
    /// What it is partitioned by.
    pub(crate) key: String,
}

impl Event {
    pub(crate) fn id(&self) -> &str {
        self.json["id"].as_str().unwrap()
    }

    pub(crate) fn task(&self) -> &str {
        self.json["data"]["payload"]["task_id"].as_str().unwrap()
    }
}

/// One request that publishes.
#[derive(Clone, Debug)]
pub(crate) struct Attempt {
    /// When it came, in milliseconds since 1970.
    pub(crate) at: i64,
    pub(crate) path: String,
    pub(crate) token: Option<String>,
    pub(crate) events: Vec<Event>,
    pub(crate) reply: Reply,
}

type Behaviour = Arc<dyn Fn(&Attempt) -> Reply + Send + Sync>;

struct Shared {
    behaviour: Mutex<Behaviour>,
    health: AtomicU16,
    /// Whether it has the subscriptions from an earlier life of the worker.
    subscribed: AtomicBool,
    /// What it answers for its metadata, where a test says.
    metadata: Mutex<Option<(u16, &'static str)>>,
    probes: AtomicUsize,
    attempts: Mutex<Vec<Attempt>>,
}

/// A stand-in for Dapr on a port of its own.
pub(crate) struct Sidecar {
    pub(crate) port: u16,
    shared: Arc<Shared>,
    /// Its connections die with it; none while it is down.
    runtime: Option<Runtime>,
}

impl Sidecar {
    /// One that takes everything.
    pub(crate) fn up() -> Self {
        let mut sidecar = Self::down();
        sidecar.start();
        sidecar
    }

    /// One that does not listen yet.
    pub(crate) fn down() -> Self {
        let shared = Shared {
            behaviour: Mutex::new(Arc::new(|_| TAKE)),
            health: AtomicU16::new(204),
            subscribed: AtomicBool::new(false),
            metadata: Mutex::default(),
            probes: AtomicUsize::new(0),
            attempts: Mutex::default(),
        };
        Self { port: free_port(), shared: Arc::new(shared), runtime: None }
    }

    pub(crate) fn start(&mut self) {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let runtime = runtime.unwrap();
        let listener = TcpListener::bind(("127.0.0.1", self.port)).unwrap();
        listener.set_nonblocking(true).unwrap();
        let router = Router::new()
            .fallback(answer)
            .layer(axum::extract::DefaultBodyLimit::disable())
            .with_state(Arc::clone(&self.shared));
        runtime.spawn(async move {
            let listener = tokio::net::TcpListener::from_std(listener).unwrap();
            axum::serve(listener, router).await.unwrap();
        });
        self.runtime = Some(runtime);
    }

    /// Breaks every connection and refuses new ones.
    pub(crate) fn stop(&mut self) {
        self.runtime.take().unwrap().shutdown_background();
    }

    /// From now on publishes are answered with what `behaviour` says.
    pub(crate) fn behave(&self, behaviour: impl Fn(&Attempt) -> Reply + Send + Sync + 'static) {
        *self.shared.behaviour.lock().unwrap() = Arc::new(behaviour);
    }

    /// From now on its metadata lists the worker's subscriptions, which it never asks for again.
    pub(crate) fn has_the_subscriptions(&self) {
        self.shared.subscribed.store(true, Ordering::SeqCst);
    }

    /// From now on `/v1.0/metadata` is answered with `status` and `body`.
    pub(crate) fn tells(&self, status: u16, body: &'static str) {
        *self.shared.metadata.lock().unwrap() = Some((status, body));
    }

    /// From now on `/v1.0/healthz/outbound` is answered with `status`.
    pub(crate) fn health(&self, status: u16) {
        self.shared.health.store(status, Ordering::SeqCst);
    }

    /// How often it was asked for its health.
    pub(crate) fn probes(&self) -> usize {
        self.shared.probes.load(Ordering::SeqCst)
    }

    /// What was published to it, whatever it answered.
    pub(crate) fn attempts(&self) -> Vec<Attempt> {
        self.shared.attempts.lock().unwrap().clone()
    }

    /// The events that it took, in order.
    pub(crate) fn taken(&self) -> Vec<Event> {
        let taken = |attempt: &Attempt| attempt.reply != Reply::Hang && attempt.reply.status() < 300;
        self.attempts().into_iter().filter(taken).flat_map(|attempt| attempt.events).collect()
    }

    /// Waits until it has seen `count` requests that publish.
    pub(crate) async fn seen(&self, count: usize) -> Vec<Attempt> {
        until("requests that publish", async || Some(self.attempts()).filter(|a| a.len() >= count)).await
    }

    /// Waits until it has taken an event of each of `tasks`; all it has taken by then, by task.
    pub(crate) async fn takes(&self, tasks: &[String]) -> BTreeMap<String, Vec<Event>> {
        until("an event of every task", async || {
            let mut by_task: BTreeMap<String, Vec<Event>> = BTreeMap::new();
            for event in self.taken() {
                by_task.entry(event.task().to_owned()).or_default().push(event);
            }
            tasks.iter().all(|task| by_task.contains_key(task)).then_some(by_task)
        })
        .await
    }
}

impl Drop for Sidecar {
    fn drop(&mut self) {
        if self.runtime.is_some() {
            self.stop();
        }
    }
}

impl Reply {
    fn status(self) -> u16 {
        match self {
            Self::Status(status) => status,
            Self::Slow(_) | Self::Hang => 204,
            Self::Missing => 500,
        }
    }
}

async fn answer(
    State(shared): State<Arc<Shared>>,
    method: Method,
    uri: Uri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let path = uri.path().to_owned();
    let told = *shared.metadata.lock().unwrap();
    if let (true, Some((status, body))) = (path == "/v1.0/metadata", told) {
        return (StatusCode::from_u16(status).unwrap(), body).into_response();
    }
    if path == "/v1.0/metadata" && shared.subscribed.load(Ordering::SeqCst) {
        return METADATA.into_response();
    }
    publish(&shared, &method, &uri, &headers, &body, path).await
}

async fn publish(
    shared: &Shared,
    method: &Method,
    uri: &Uri,
    headers: &HeaderMap,
    body: &Bytes,
    path: String,
) -> Response {
    if path == "/v1.0/healthz/outbound" {
        shared.probes.fetch_add(1, Ordering::SeqCst);
        return StatusCode::from_u16(shared.health.load(Ordering::SeqCst)).unwrap().into_response();
    }
    if method != Method::POST || !path.contains("/publish/") {
        return StatusCode::NOT_FOUND.into_response();
    }
    let token = headers.get("dapr-api-token").map(|token| token.to_str().unwrap().to_owned());
    let events = if path.contains("/publish/bulk/") { bulk(body) } else { vec![single(uri, body)] };
    let mut attempt = Attempt { at: now(), path, token, events, reply: TAKE };
    let behaviour = Arc::clone(&shared.behaviour.lock().unwrap());
    attempt.reply = behaviour(&attempt);
    let reply = attempt.reply;
    shared.attempts.lock().unwrap().push(attempt);
    match reply {
        Reply::Status(_) | Reply::Missing => {}
        Reply::Slow(wait) => tokio::time::sleep(wait).await,
        Reply::Hang => std::future::pending().await,
    }
    let told = if reply == Reply::Missing { MISSING } else { "" };
    (StatusCode::from_u16(reply.status()).unwrap(), told).into_response()
}

fn bulk(body: &[u8]) -> Vec<Event> {
    #[derive(Deserialize)]
    struct Entry<'a> {
        #[serde(borrow)]
        event: &'a RawValue,
        metadata: BTreeMap<String, String>,
    }
    let entries: Vec<Entry<'_>> = serde_json::from_slice(body).unwrap();
    entries.iter().map(|entry| event(entry.event.get(), entry.metadata["partitionKey"].clone())).collect()
}

fn single(uri: &Uri, body: &[u8]) -> Event {
    let url = reqwest::Url::parse("http://sidecar").unwrap().join(&uri.to_string()).unwrap();
    let key = url.query_pairs().find(|(name, _)| name == "metadata.partitionKey").unwrap().1.into_owned();
    event(std::str::from_utf8(body).unwrap(), key)
}

fn event(raw: &str, key: String) -> Event {
    Event { raw: raw.to_owned(), json: serde_json::from_str(raw).unwrap(), key }
}
