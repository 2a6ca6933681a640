//! A sidecar that takes everything and notes what came when.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde::Deserialize;

/// A reminder that came.
#[derive(Clone)]
pub(crate) struct Arrival {
    /// When, in milliseconds since the epoch.
    pub(crate) at: f64,
    /// For when it was planned.
    planned: f64,
    pub(crate) priority: String,
}

impl Arrival {
    /// In milliseconds.
    pub(crate) fn lateness(&self) -> f64 {
        self.at - self.planned
    }
}

type Arrivals = Arc<Mutex<Vec<Arrival>>>;

/// The sidecar.
pub(crate) struct Sink {
    pub(crate) port: u16,
    arrivals: Arrivals,
}

#[derive(Deserialize)]
struct Entry {
    event: Event,
}

#[derive(Deserialize)]
struct Event {
    time: String,
    data: Data,
}

#[derive(Deserialize)]
struct Data {
    payload: Payload,
}

#[derive(Deserialize)]
struct Payload {
    priority: String,
}

impl Sink {
    pub(crate) async fn start() -> Self {
        let arrivals = Arrivals::default();
        let metadata = r#"{"id":"bench","components":[{"name":"kafka-pubsub","type":"pubsub.kafka"}]}"#;
        let app = Router::new()
            .route("/v1.0/publish/bulk/kafka-pubsub/reminders", post(take_many))
            .route("/v1.0/publish/kafka-pubsub/reminders", post(take_one))
            .route("/v1.0/healthz/outbound", get(|| async { StatusCode::NO_CONTENT }))
            .route("/v1.0/metadata", get(move || async move { metadata }))
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&arrivals));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { port, arrivals }
    }

    /// The reminders that have come once there are `count`.
    pub(crate) async fn wait_for(&self, count: usize, at_most: Duration) -> Vec<Arrival> {
        let until = Instant::now() + at_most;
        while self.arrivals.lock().unwrap().len() < count {
            assert!(Instant::now() < until, "only {} of {count} came", self.arrivals.lock().unwrap().len());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        self.arrivals.lock().unwrap().clone()
    }
}

/// How late `arrivals` were, sorted, in milliseconds.
pub(crate) fn lateness<'a>(arrivals: impl IntoIterator<Item = &'a Arrival>) -> Vec<f64> {
    let mut late: Vec<f64> = arrivals.into_iter().map(Arrival::lateness).collect();
    late.sort_by(f64::total_cmp);
    late
}

async fn take_many(State(arrivals): State<Arrivals>, body: bytes::Bytes) -> StatusCode {
    let entries: Vec<Entry> = serde_json::from_slice(&body).unwrap();
    note(&arrivals, entries.into_iter().map(|entry| entry.event))
}

async fn take_one(State(arrivals): State<Arrivals>, body: bytes::Bytes) -> StatusCode {
    note(&arrivals, [serde_json::from_slice(&body).unwrap()].into_iter())
}

fn note(arrivals: &Arrivals, events: impl Iterator<Item = Event>) -> StatusCode {
    let at = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() * 1e3;
    arrivals.lock().unwrap().extend(events.map(|event| Arrival {
        at,
        planned: chrono::DateTime::parse_from_rfc3339(&event.time).unwrap().timestamp_millis() as f64,
        priority: event.data.payload.priority,
    }));
    StatusCode::NO_CONTENT
}
