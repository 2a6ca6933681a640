//! The probing app: plays the apps of many recorded scenarios at once, each below a path of its own, and notes
//! what is delivered.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use axum::Router;
use axum::body::Bytes;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::recordings::app::{Script, destination, subscriptions};
use crate::recordings::capture::{Capture, Delivery};

/// Headers of the connection; the recordings left them out.
const OF_THE_CONNECTION: [&str; 4] = ["accept-encoding", "content-length", "host", "user-agent"];

/// One scenario being played.
struct Part {
    script: Script,
    published: Instant,
    deliveries: Vec<Delivery>,
}

struct Shared {
    parts: Mutex<BTreeMap<String, Part>>,
    subscriptions: Value,
    asked: Mutex<Vec<BTreeMap<String, String>>>,
}

/// The app on a port of its own, until it is dropped.
pub(crate) struct Probe {
    pub(crate) port: u16,
    shared: Arc<Shared>,
    serving: JoinHandle<()>,
}

impl Probe {
    pub(crate) async fn start(capture: &Capture, scenarios: &[&str], run: &str) -> Self {
        let chosen = || capture.scenarios.iter().filter(|(name, _)| scenarios.contains(&name.as_str()));
        let list =
            chosen().flat_map(|(name, recorded)| subscriptions(name, recorded, run, &format!("/{name}")));
        let part = |recorded| Part {
            script: Script::of(recorded),
            published: Instant::now(),
            deliveries: Vec::new(),
        };
        let shared = Arc::new(Shared {
            subscriptions: list.collect(),
            parts: Mutex::new(chosen().map(|(name, recorded)| (name.clone(), part(recorded))).collect()),
            asked: Mutex::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let router =
            Router::new().fallback(answer).layer(DefaultBodyLimit::disable()).with_state(Arc::clone(&shared));
        let serving = tokio::spawn(async move { axum::serve(listener, router).await.unwrap() });
        Self { port, shared, serving }
    }

    /// How many subscriptions it asks for.
    pub(crate) fn subscriptions(&self) -> usize {
        self.shared.subscriptions.as_array().unwrap().len()
    }

    /// The topics of its subscriptions.
    pub(crate) fn topics(&self) -> Vec<String> {
        let topic = |one: &Value| one["topic"].as_str().unwrap().to_owned();
        self.shared.subscriptions.as_array().unwrap().iter().map(topic).collect()
    }

    /// The headers of the requests for its subscriptions.
    pub(crate) fn asked(&self) -> Vec<BTreeMap<String, String>> {
        self.shared.asked.lock().unwrap().clone()
    }

    /// The scenario's event is sent now.
    pub(crate) fn publishes(&self, scenario: &str) {
        self.shared.parts.lock().unwrap().get_mut(scenario).unwrap().published = Instant::now();
    }

    /// Looks at a scenario's deliveries so far.
    pub(crate) fn seen<T>(&self, scenario: &str, look: impl FnOnce(&[Delivery]) -> T) -> T {
        look(&self.shared.parts.lock().unwrap()[scenario].deliveries)
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, uri: Uri, headers: HeaderMap, body: Bytes) -> Response {
    let told = headers.iter().map(|(name, value)| (name.to_string(), value.to_str().unwrap().to_owned()));
    let told: BTreeMap<String, String> =
        told.filter(|(name, _)| !OF_THE_CONNECTION.contains(&name.as_str())).collect();
    if uri.path() == "/dapr/subscribe" {
        shared.asked.lock().unwrap().push(told);
        return axum::Json(&shared.subscriptions).into_response();
    }
    let mut parts = shared.parts.lock().unwrap();
    let below = uri.path().strip_prefix('/').unwrap_or_default();
    let (scenario, _) = below.split_once('/').unwrap_or((below, ""));
    let Some(part) = parts.get_mut(scenario) else { return StatusCode::NOT_FOUND.into_response() };
    let to = destination(&below[scenario.len()..]).to_owned();
    let body = String::from_utf8(body.to_vec()).unwrap();
    let at_ms = i64::try_from(part.published.elapsed().as_millis()).unwrap();
    let (status, reply) = part.script.answer(&to, &body);
    part.deliveries.push(Delivery { to, body, headers: told, at_ms, length: 0 });
    (StatusCode::from_u16(status).unwrap(), reply).into_response()
}
