//! A worker without its loops that send: store, commit loop, intake and both routers.

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, StatusCode};
use bytes::Bytes;
use futures_util::StreamExt as _;
use reminder_worker::backups::Backups;
use reminder_worker::clock::{Clock, SystemClock};
use reminder_worker::config::{Config, Secret};
use reminder_worker::dapr::Sidecar;
use reminder_worker::domain::{Backoff, Timestamp};
use reminder_worker::health::Health;
use reminder_worker::http::{Api, App, app_router, ops_router};
use reminder_worker::intake::{Intake, Live};
use reminder_worker::shutdown::Shutdown;
use reminder_worker::store::sled::{Shelf, SledStore};
use reminder_worker::telemetry::{self, Metrics};
use reminder_worker::writer::{CommitLoop, Firing, Settings, Writer};
use serde_json::{Value, json};
use tower::ServiceExt as _;

/// One recorder a process.
static METRICS: LazyLock<Metrics> = LazyLock::new(|| telemetry::start_metrics().unwrap());

/// Everything, and the directory that goes with it.
pub(crate) struct Worker {
    pub(crate) app: Router,
    pub(crate) ops: Router,
    pub(crate) writer: Writer,
    pub(crate) live: Live,
    pub(crate) shutdown: Shutdown,
    pub(crate) clock: Arc<dyn Clock>,
    /// Beside it is noted who is erased.
    pub(crate) shelf: Shelf,
    _dir: tempfile::TempDir,
}

/// An answer, whole.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) content_type: String,
    pub(crate) retry_after: Option<String>,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// Asserts that this is a problem as RFC 9457 has it.
    pub(crate) fn is_problem(&self, status: u16) {
        assert_eq!(self.status.as_u16(), status, "{self:?}");
        assert_eq!(self.content_type, "application/problem+json", "{self:?}");
        let problem = self.json();
        assert_eq!(problem["status"], status);
        assert!(problem["title"].is_string() && problem["detail"].is_string(), "{problem}");
    }
}

pub(crate) fn worker() -> Worker {
    worker_with(|_| {}, None)
}

/// A worker whose configuration `change` has changed; its ops listener demands `token`.
pub(crate) fn worker_with(change: impl FnOnce(&mut Config), token: Option<&str>) -> Worker {
    worker_on(Arc::new(SystemClock::new()), change, token)
}

/// The same on `clock`.
pub(crate) fn worker_on(
    clock: Arc<dyn Clock>,
    change: impl FnOnce(&mut Config),
    token: Option<&str>,
) -> Worker {
    let mut config = Config::default();
    config.ops.token = token.map(Secret::new);
    config.dapr.bulk_subscribe = reminder_worker::config::BulkSubscribe::Off;
    change(&mut config);
    let dir = tempfile::tempdir().unwrap();
    let store = Arc::new(SledStore::open(&dir.path().join("store"), 8).unwrap());
    let ops = config.ops.clone();
    let settings = Settings {
        policy: reminder_worker::app::policy(&config),
        retention: config.reminders.retention,
        backoff: backoff(),
        firing: Firing::default(),
        quarantine_max_entries: 100,
        quarantine_max_bytes: 64 * 1024 * 1024,
        outbox_max_bytes: config.outbox.max_mb * 1024 * 1024,
        reserve_bytes: 0,
    };
    let (writer, commit_loop) = CommitLoop::open(store.clone(), settings, clock.clone()).unwrap();
    let shutdown = Shutdown::new(clock.clone(), Duration::from_secs(5));
    let shelf = Shelf::new(dir.path().join("backups"), 3);
    let stop = shutdown.soft().clone();
    let backups = Backups::new(store, shelf, Duration::ZERO, clock.clone(), stop);
    let shelf = backups.shelf().clone();
    shutdown.spawn("commits", async move { commit_loop.run(|| {}).await.unwrap() });
    let live = Live::new();
    let health = Health::new(clock.clone(), config.health.clone(), shutdown.soft().clone());
    let api = Api::new(writer.clone(), clock.clone(), live.clone(), shutdown.soft().clone())
        .with_backups(Some(backups));
    let app = App {
        intake: Intake::new(writer.clone(), clock.clone(), live.clone(), config.reminders.receipts),
        sidecar: Arc::new(Sidecar::new(&config.dapr).unwrap()),
        health: health.clone(),
        api: api.clone(),
        clock: clock.clone(),
        config: Arc::new(config),
    };
    let ops = ops_router(api, health, METRICS.clone(), &ops);
    Worker { app: app_router(app), ops, writer, live, shutdown, clock, shelf, _dir: dir }
}

pub(crate) fn backoff() -> Backoff {
    Backoff { initial: Duration::from_millis(10), max: Duration::from_millis(50) }
}

pub(crate) async fn send(router: &Router, request: Request<Body>) -> Answer {
    let response = router.clone().oneshot(request).await.unwrap();
    let header = |name: &str| response.headers().get(name).map(|v| v.to_str().unwrap().to_owned());
    let (status, content_type, retry_after) =
        (response.status(), header("content-type").unwrap_or_default(), header("retry-after"));
    let mut body = Vec::new();
    let mut chunks = response.into_body().into_data_stream();
    while let Some(chunk) = chunks.next().await {
        body.extend_from_slice(&chunk.unwrap());
    }
    Answer { status, content_type, retry_after, body: body.into() }
}

pub(crate) async fn get(router: &Router, path: &str) -> Answer {
    send(router, Request::get(path).body(Body::empty()).unwrap()).await
}

/// Posts as daprd does a single delivery.
pub(crate) async fn deliver(router: &Router, path: &str, body: impl Into<Body>) -> Answer {
    let request = Request::post(path)
        .header("content-type", "application/cloudevents+json")
        .header("pubsubname", "kafka-pubsub");
    send(router, request.body(body.into()).unwrap()).await
}

/// Posts plain JSON, as daprd does a batch and people do everything.
pub(crate) async fn post(router: &Router, path: &str, body: impl Into<Body>) -> Answer {
    send(router, Request::post(path).header("content-type", "application/json").body(body.into()).unwrap())
        .await
}

/// So many seconds from now.
pub(crate) fn from_now(seconds: i64) -> String {
    Timestamp::from_millis(SystemClock::new().now().millis() + seconds * 1000).to_rfc3339()
}

/// A creation in Dapr's envelope.
pub(crate) fn created(task: &str, due: Option<&str>, payload: &Value) -> Value {
    let mut own = json!({"task_id": task, "user_id": "u-1", "title": "a task", "due_date": due});
    own.as_object_mut().unwrap().extend(payload.as_object().cloned().unwrap_or_default());
    wrapped(&json!({
        "event_id": "8f1d5b0e-2a67-5c3b-9d41-6e0b7c52a419", "event_type": "task_created",
        "event_version": "v1", "timestamp": from_now(0), "producer": "chat-api", "payload": own,
    }))
}

pub(crate) fn wrapped(event: &Value) -> Value {
    json!({
        "id": "8f1d5b0e-2a67-5c3b-9d41-6e0b7c52a420", "source": "chat-api", "type": "com.dapr.event.sent",
        "specversion": "1.0", "datacontenttype": "application/json", "time": from_now(0), "data": event,
    })
}
