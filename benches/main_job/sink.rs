//! A sidecar that takes everything and notes how late it came.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use axum::Router;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use serde::Deserialize;

/// The sidecar.
pub(crate) struct Sink {
    pub(crate) port: u16,
    late_ms: Late,
}

type Late = Arc<Mutex<Vec<f64>>>;

#[derive(Deserialize)]
struct Entry {
    event: Event,
}

#[derive(Deserialize)]
struct Event {
    time: String,
}

impl Sink {
    pub(crate) async fn start() -> Self {
        let late_ms = Late::default();
        let metadata = r#"{"id":"bench","components":[{"name":"kafka-pubsub","type":"pubsub.kafka"}]}"#;
        let app = Router::new()
            .route("/v1.0/publish/bulk/kafka-pubsub/reminders", post(take_many))
            .route("/v1.0/publish/kafka-pubsub/reminders", post(take_one))
            .route("/v1.0/healthz/outbound", get(|| async { StatusCode::NO_CONTENT }))
            .route("/v1.0/metadata", get(move || async move { metadata }))
            .layer(DefaultBodyLimit::disable())
            .with_state(Arc::clone(&late_ms));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        tokio::spawn(async move { axum::serve(listener, app).await });
        Self { port, late_ms }
    }

    /// How late each of `count` reminders came, sorted, in milliseconds.
    pub(crate) async fn wait_for(&self, count: usize, at_most: Duration) -> Vec<f64> {
        let until = Instant::now() + at_most;
        while self.late_ms.lock().unwrap().len() < count {
            assert!(Instant::now() < until, "only {} of {count} came", self.late_ms.lock().unwrap().len());
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let mut late = self.late_ms.lock().unwrap().clone();
        late.sort_by(f64::total_cmp);
        late
    }
}

async fn take_many(State(late): State<Late>, body: bytes::Bytes) -> StatusCode {
    let entries: Vec<Entry> = serde_json::from_slice(&body).unwrap();
    note(&late, entries.into_iter().map(|entry| entry.event))
}

async fn take_one(State(late): State<Late>, body: bytes::Bytes) -> StatusCode {
    note(&late, [serde_json::from_slice(&body).unwrap()].into_iter())
}

fn note(late: &Late, events: impl Iterator<Item = Event>) -> StatusCode {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64() * 1e3;
    late.lock().unwrap().extend(events.map(|event| {
        let planned = chrono::DateTime::parse_from_rfc3339(&event.time).unwrap();
        now - planned.timestamp_millis() as f64
    }));
    StatusCode::NO_CONTENT
}
