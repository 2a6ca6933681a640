//! A broker, sidecars on it and apps that remember what they got.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use reminder_worker::clock::{Clock, SystemClock};
use reminder_worker::sidecar::{App, AppHealth, Settings, Sidecar};
use serde_json::{Value, json};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long anything may take that is not made to wait.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running broker: the one that KAFKA names, or one of the script's, which ends with its last user.
pub(crate) struct Broker {
    pub(crate) address: String,
    directory: Option<String>,
}

static SHARED: Mutex<Weak<Broker>> = Mutex::new(Weak::new());

impl Broker {
    /// The one that tests share which do it no harm.
    pub(crate) fn shared() -> Arc<Self> {
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        let broker = shared.upgrade().unwrap_or_else(|| match std::env::var("KAFKA") {
            Ok(address) => Arc::new(Self { address, directory: None }),
            Err(_) => Arc::new(Self::started("shared")),
        });
        *shared = Arc::downgrade(&broker);
        broker
    }

    /// One of the caller's own, to be killed.
    pub(crate) fn started(name: &str) -> Self {
        let directory = format!("target/kafka/{name}-{}", std::process::id());
        let address = script(&["start", "--dir", &directory]);
        Self { address, directory: Some(directory) }
    }

    /// From its next start on it makes no topics by itself.
    pub(crate) fn make_no_topics(&self) {
        let path = format!("{}/server.properties", self.directory.as_deref().expect("a broker of our own"));
        let properties = std::fs::read_to_string(&path).expect("its properties");
        let (on, off) = ("auto.create.topics.enable=true", "auto.create.topics.enable=false");
        assert!(properties.contains(on));
        std::fs::write(&path, properties.replace(on, off)).expect("its properties");
    }

    /// `kill`, `pause`, `resume` or `start`.
    pub(crate) fn tell(&self, what: &str) {
        script(&[what, "--dir", self.directory.as_deref().expect("a broker of our own")]);
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        if let Some(directory) = &self.directory {
            script(&["stop", "--erase", "--dir", directory]);
        }
    }
}

fn script(arguments: &[&str]) -> String {
    let done = Command::new("tests/kafka/broker").args(arguments).output().expect("the script runs");
    assert!(done.status.success(), "broker {arguments:?}: {}", String::from_utf8_lossy(&done.stderr));
    String::from_utf8_lossy(&done.stdout).trim().to_owned()
}

/// A name that no earlier run on the same broker had.
pub(crate) fn fresh(name: &str) -> String {
    format!("{name}-{}-{}", std::process::id(), SystemClock::new().now().millis())
}

/// One request to an app.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) at: Duration,
    pub(crate) path: String,
    /// Bytes that are no text are escaped.
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

impl Seen {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).expect("JSON")
    }

    /// `data` of a single delivery.
    pub(crate) fn data(&self) -> Value {
        self.json()["data"].clone()
    }
}

/// What an app answers to its n-th request, counted from 0.
type Answer = Box<dyn Fn(usize, &Seen) -> (u16, String) + Send + Sync>;

/// An app with its subscriptions.
#[derive(Clone)]
pub(crate) struct TestApp {
    pub(crate) address: SocketAddr,
    script: Arc<Script>,
}

/// What an app answers, and what it got.
struct Script {
    clock: SystemClock,
    subscriptions: Value,
    answer: Answer,
    seen: Mutex<Vec<Seen>>,
    hangs: watch::Sender<bool>,
    ill: AtomicBool,
}

impl TestApp {
    pub(crate) async fn start(
        subscriptions: Value,
        answer: impl Fn(usize, &Seen) -> (u16, String) + Send + Sync + 'static,
    ) -> Self {
        let script = Arc::new(Script {
            clock: SystemClock::new(),
            subscriptions,
            answer: Box::new(answer),
            seen: Mutex::default(),
            hangs: watch::Sender::new(false),
            ill: AtomicBool::new(false),
        });
        let asked = Arc::clone(&script);
        let handler = move |request: Request<Body>| {
            let script = Arc::clone(&asked);
            async move { script.answered(request).await }
        };
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        #[expect(clippy::disallowed_methods, reason = "the app of a test ends with its runtime")]
        tokio::spawn(async move { axum::serve(listener, Router::new().fallback(handler)).await });
        Self { address, script }
    }

    /// From now on it answers deliveries only once it no longer hangs.
    pub(crate) fn hang(&self, hangs: bool) {
        self.script.hangs.send_replace(hangs);
    }

    /// From now on its health is probed with this success.
    pub(crate) fn fall_ill(&self, ill: bool) {
        self.script.ill.store(ill, Ordering::SeqCst);
    }

    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.script.seen.lock().expect("whole").clone()
    }

    /// Waits until `enough` holds of what was seen.
    pub(crate) async fn until(&self, what: &str, enough: impl Fn(&[Seen]) -> bool) -> Vec<Seen> {
        let clock = SystemClock::new();
        loop {
            let seen = self.seen();
            if enough(&seen) {
                return seen;
            }
            assert!(clock.monotonic() < PATIENCE, "{what}: {} requests so far: {seen:#?}", seen.len());
            clock.sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Script {
    async fn answered(&self, request: Request<Body>) -> Response {
        let at = self.clock.monotonic();
        let (parts, body) = request.into_parts();
        match parts.uri.path() {
            "/dapr/subscribe" => return axum::Json(&self.subscriptions).into_response(),
            "/dapr/config" => return StatusCode::NOT_FOUND.into_response(),
            "/healthz" if self.ill.load(Ordering::SeqCst) => {
                return StatusCode::SERVICE_UNAVAILABLE.into_response();
            }
            "/healthz" => return StatusCode::NO_CONTENT.into_response(),
            _ => {}
        }
        let text = |value: &axum::http::HeaderValue| match std::str::from_utf8(value.as_bytes()) {
            Ok(text) => text.to_owned(),
            Err(_) => value.as_bytes().escape_ascii().to_string(),
        };
        let body = to_bytes(body, 4 << 20).await.expect("a body");
        let request = Seen {
            at,
            path: parts.uri.path().to_owned(),
            headers: parts.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
            body: String::from_utf8_lossy(&body).into_owned(),
        };
        let (status, reply) = {
            let mut seen = self.seen.lock().expect("whole");
            let number = seen.len();
            seen.push(request);
            (self.answer)(number, &seen[number])
        };
        let _ = self.hangs.subscribe().wait_for(|hangs| !*hangs).await;
        (StatusCode::from_u16(status).expect("a status"), reply).into_response()
    }
}

/// How often apps are probed; one bad probe is enough.
const PROBED: Duration = Duration::from_millis(200);

/// A sidecar of one app.
pub(crate) struct TestSidecar {
    url: String,
    token: CancellationToken,
    tasks: TaskTracker,
}

impl TestSidecar {
    pub(crate) async fn start(broker: &str, group: &str, app: &TestApp) -> Self {
        let settings = Settings {
            listen: ([127, 0, 0, 1], 0).into(),
            kafka: Some(broker.to_owned()),
            component: "pubsub".into(),
            apps: vec![App { app_id: group.into(), address: app.address.to_string(), api_token: None }],
            app_health: Some(AppHealth { interval: PROBED, threshold: 1, ..AppHealth::default() }),
            ..Settings::default()
        };
        let (token, tasks) = (CancellationToken::new(), TaskTracker::new());
        let clock = Arc::new(SystemClock::new());
        let sidecar = Sidecar::start(settings, clock, token.clone(), tasks.clone()).await.expect("it starts");
        Self { url: format!("http://{}", sidecar.address()), token, tasks }
    }

    /// Status and body of a publish of `event`, with the query `metadata`.
    pub(crate) async fn publish(&self, topic: &str, metadata: &str, event: &Value) -> (u16, String) {
        self.post(&format!("/v1.0/publish/pubsub/{topic}?{metadata}"), event).await
    }

    /// Publishes events under keys in one request.
    pub(crate) async fn publish_bulk(&self, topic: &str, events: &[(String, Value)]) -> (u16, String) {
        let entries: Vec<Value> = events
            .iter()
            .enumerate()
            .map(|(n, (key, event))| {
                json!({"entryId": n.to_string(), "contentType": "application/json", "event": event,
                       "metadata": {"partitionKey": key}})
            })
            .collect();
        self.post(&format!("/v1.0/publish/bulk/pubsub/{topic}"), &Value::Array(entries)).await
    }

    pub(crate) async fn post(&self, path: &str, body: &Value) -> (u16, String) {
        let request = reqwest::Client::new().post(format!("{}{path}", self.url));
        let request = request.header("content-type", "application/json").body(body.to_string());
        let reply = request.send().await.expect("an answer");
        (reply.status().as_u16(), reply.text().await.expect("a body"))
    }

    pub(crate) async fn stop(self) {
        self.token.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }
}

impl Drop for TestSidecar {
    /// A test that fails must not wait for the reading thread for ever.
    fn drop(&mut self) {
        self.token.cancel();
    }
}

/// A subscription to a topic, with more fields.
pub(crate) fn to(topic: &str, more: &Value) -> Value {
    let mut subscription = json!({"pubsubname": "pubsub", "topic": topic, "route": format!("/{topic}")});
    let fields = subscription.as_object_mut().expect("an object");
    fields.extend(more.as_object().cloned().unwrap_or_default());
    subscription
}

/// The answer that takes a message.
pub(crate) fn taken() -> (u16, String) {
    (200, String::new())
}

/// The answer that does not.
pub(crate) fn refused() -> (u16, String) {
    (500, String::new())
}
