//! One scenario on the embedded sidecar: publish as recorded, answer as the app did, note what is delivered.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::http::{Request, Response};
use bytes::Bytes;
use reminder_worker::clock::{Clock, TokioClock};
use reminder_worker::domain::Timestamp;
use reminder_worker::sidecar::{App, AppChannel, BoxFuture, CallError, Chance, Profile, Runtime, Settings};
use serde_json::Value;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::recordings::app::{POLICY, Script, destination, subscriptions};
use crate::recordings::capture::{Capture, Delivery, Publish, Reply, Scenario, mask, packed};
use crate::recordings::same::Outcome;

/// Stands for the run's number, which recordings show as `RUN`.
const RUN: &str = "1234567890";

pub(crate) async fn run(capture: &Capture, profile: Profile, name: &str, recorded: &Scenario) -> Outcome {
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(Timestamp::from_millis(1_795_000_000_000)));
    let app = Arc::new(RecordedApp::new(name, recorded, Arc::clone(&clock)));
    let settings = Settings {
        profile,
        apps: vec![App { app_id: "recorder".into(), address: "app:1".into(), api_token: None }],
        resiliency: capture.name.ends_with("+resiliency").then_some(POLICY),
        ..Settings::default()
    };
    let (token, tracker) = (CancellationToken::new(), TaskTracker::new());
    let chance = Arc::new(RecordedChance::new(recorded));
    let runtime = Runtime::new(
        settings,
        Arc::clone(&clock),
        Arc::clone(&app) as Arc<dyn AppChannel>,
        chance,
        token.clone(),
        tracker.clone(),
    );
    runtime.discover();
    while send(&runtime, Request::get("/v1.0/healthz").body(Body::empty()).unwrap()).await.status != 204 {
        tokio::task::yield_now().await;
    }
    app.state.lock().unwrap().published_at = clock.monotonic().as_millis() as u64;
    let reply = send(&runtime, request(&recorded.publish, recorded)).await;
    clock.sleep(capture.watched(name)).await;
    token.cancel();
    tracker.close();
    tracker.wait().await;
    let mut state = app.state.lock().unwrap();
    assert_eq!(state.asked, capture.subscribe_request_headers, "/dapr/subscribe is asked once, as recorded");
    Outcome { reply, deliveries: std::mem::take(&mut state.deliveries) }
}

async fn send(runtime: &Arc<Runtime>, request: Request<Body>) -> Reply {
    let (parts, body) = runtime.router().oneshot(request).await.unwrap().into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    Reply { status: parts.status.as_u16(), body: String::from_utf8(body.to_vec()).unwrap() }
}

fn request(publish: &Publish, recorded: &Scenario) -> Request<Body> {
    let mut request = Request::post(publish.path_in(RUN));
    for (name, value) in &publish.headers {
        request = request.header(name, value);
    }
    let body = if publish.path.contains("/bulk/") {
        in_recorded_order(&publish.body, recorded)
    } else {
        publish.whole_body()
    };
    request.body(Body::from(body)).unwrap()
}

/// A bulk publish with its entries in the order in which the recording first delivered them, then the rest.
/// Brokers other than Kafka take the entries of a request in parallel, and Kafka's partitions race each other:
/// this puts the replay on the course that the recording took. The text of each entry is left as it is.
fn in_recorded_order(body: &str, recorded: &Scenario) -> String {
    let Ok(mut entries) = serde_json::from_str::<Vec<Box<serde_json::value::RawValue>>>(body) else {
        return body.to_owned();
    };
    let seen: Vec<String> = recorded.first.iter().flat_map(events).map(|(event, _)| event).collect();
    entries.sort_by_key(|entry| {
        let entry: Value = serde_json::from_str(entry.get()).unwrap();
        let place = |event: &String| same_payload(event, &entry["event"]);
        seen.iter().position(place).unwrap_or(usize::MAX)
    });
    serde_json::to_string(&entries).unwrap()
}

/// Whether a delivered event carries what a bulk entry published, by any of the ways it is wrapped.
fn same_payload(delivered: &str, published: &Value) -> bool {
    let delivered: Value = serde_json::from_str(delivered).unwrap();
    let floats = |value: &Value| value.as_f64().map_or_else(|| value.to_string(), |f| f.to_string());
    let same = |a: &Value, b: &Value| match (a.as_object(), b.as_object()) {
        (Some(a), Some(b)) => {
            a.len() == b.len() && a.iter().all(|(k, v)| b.get(k).is_some_and(|w| floats(v) == floats(w)))
        }
        _ => a == b,
    };
    let wraps = |name: &str| delivered.get(name).is_some_and(|data| same(data, published));
    let is_it = published.as_object().is_some_and(|p| {
        !p.is_empty() && p.iter().all(|(k, v)| delivered.get(k).is_some_and(|w| same(v, w)))
    });
    wraps("data") || wraps("data_base64") || is_it
}

/// The masked events a delivery carries, each with its partition where the broker has some.
fn events(delivery: &Delivery) -> Vec<(String, Option<u32>)> {
    let partition = |pairs: &Value| pairs["__partition"].as_str().and_then(|p| p.parse().ok());
    if delivery.to != "bulk" {
        let headers = serde_json::to_value(&delivery.headers).unwrap();
        return vec![(mask(&inner(&delivery.body)), partition(&headers))];
    }
    let batch: Value = serde_json::from_str(&delivery.body).unwrap();
    let entries = batch["entries"].as_array().unwrap();
    entries.iter().map(|e| (mask(&e["event"].to_string()), partition(&e["metadata"]))).collect()
}

/// What a raw subscriber's envelope was made around; other bodies as they are.
fn inner(body: &str) -> String {
    packed(body).map_or_else(|| body.to_owned(), |(_, text)| text)
}

/// Ids in turn, and the partitions that keyless records had.
struct RecordedChance {
    ids: AtomicU64,
    partitions: BTreeMap<String, u32>,
}

impl RecordedChance {
    fn new(recorded: &Scenario) -> Self {
        let events = recorded.first.iter().filter(|d| d.to != "dead-letter").flat_map(events);
        let partitions = events.filter_map(|(event, partition)| Some((event, partition?))).collect();
        Self { ids: AtomicU64::default(), partitions }
    }
}

impl Chance for RecordedChance {
    fn id(&self) -> String {
        format!("00000000-0000-0000-0000-{:012}", self.ids.fetch_add(1, Ordering::Relaxed))
    }

    fn partition(&self, _topic: &str, value: &[u8], partitions: u32) -> u32 {
        let known = self.partitions.get(&mask(&inner(&String::from_utf8_lossy(value)))).copied();
        // What was never delivered lay where nothing else did, or behind what was.
        known.unwrap_or_else(|| {
            (0..partitions).find(|p| !self.partitions.values().any(|q| q == p)).unwrap_or(0)
        })
    }
}

/// The app of the recording, in place of the network.
struct RecordedApp {
    subscriptions: Value,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

struct State {
    script: Script,
    published_at: u64,
    asked: Vec<BTreeMap<String, String>>,
    deliveries: Vec<Delivery>,
}

impl RecordedApp {
    fn new(name: &str, recorded: &Scenario, clock: Arc<dyn Clock>) -> Self {
        let state = State {
            script: Script::of(recorded),
            published_at: 0,
            asked: Vec::new(),
            deliveries: Vec::new(),
        };
        let subscriptions = subscriptions(name, recorded, RUN, "").into();
        Self { subscriptions, clock, state: Mutex::new(state) }
    }

    fn answer(&self, request: &Request<Bytes>) -> (u16, String) {
        let mut state = self.state.lock().unwrap();
        let text = |value: &axum::http::HeaderValue| value.to_str().unwrap().to_owned();
        let headers = request.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        match request.uri().path() {
            "/dapr/config" => return (404, String::new()),
            "/dapr/subscribe" => {
                state.asked.push(headers);
                return (200, self.subscriptions.to_string());
            }
            _ => {}
        }
        let to = destination(request.uri().path());
        let body = String::from_utf8(request.body().to_vec()).unwrap();
        let at_ms = i64::try_from(self.clock.monotonic().as_millis() as u64 - state.published_at).unwrap();
        let answer = state.script.answer(to, &body);
        state.deliveries.push(Delivery { to: to.to_owned(), body, headers, at_ms, length: 0 });
        answer
    }
}

impl AppChannel for RecordedApp {
    fn accepts<'a>(&'a self, _address: &'a str) -> BoxFuture<'a, bool> {
        Box::pin(async { true })
    }

    fn call(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, CallError>> {
        let (status, body) = self.answer(&request);
        Box::pin(async move { Ok(Response::builder().status(status).body(body.into()).unwrap()) })
    }
}
