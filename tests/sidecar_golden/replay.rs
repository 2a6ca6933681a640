//! One scenario on the embedded sidecar: publish as recorded, answer as the app did, note what is delivered.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, Response};
use bytes::Bytes;
use reminder_worker::clock::{Clock, TokioClock};
use reminder_worker::domain::Timestamp;
use reminder_worker::sidecar::{
    App, AppChannel, BoxFuture, CallError, Chance, InboundRetry, Profile, Runtime, Settings,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

use crate::capture::{Answers, Capture, Delivery, Publish, RUN, Reply, Scenario, inner, mask};

pub(crate) struct Replayed {
    pub(crate) reply: Reply,
    pub(crate) deliveries: Vec<Delivery>,
}

/// The retry policy of the recordings that had one.
const POLICY: InboundRetry = InboundRetry { interval: Duration::from_millis(200), max_retries: 2 };

pub(crate) async fn run(capture: &Capture, profile: Profile, name: &str, recorded: &Scenario) -> Replayed {
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
    Replayed { reply, deliveries: std::mem::take(&mut state.deliveries) }
}

async fn send(runtime: &Arc<Runtime>, request: Request<Body>) -> Reply {
    let (parts, body) = runtime.router().oneshot(request).await.unwrap().into_parts();
    let body = to_bytes(body, usize::MAX).await.unwrap();
    Reply { status: parts.status.as_u16(), body: String::from_utf8(body.to_vec()).unwrap() }
}

fn request(publish: &Publish, recorded: &Scenario) -> Request<Body> {
    let mut request = Request::post(publish.path.replace("RUN", RUN));
    for (name, value) in &publish.headers {
        request = request.header(name, value);
    }
    let body = if publish.path.contains("/bulk/") {
        in_recorded_order(&publish.body, recorded)
    } else {
        whole(&publish.body)
    };
    request.body(Body::from(body)).unwrap()
}

/// A body that was recorded as its beginning and its length: both are strings of one letter in an object.
fn whole(body: &str) -> String {
    let Some((start, length)) = body.split_once("… ") else { return body.to_owned() };
    let length: usize = length.strip_suffix(" characters").unwrap().parse().unwrap();
    let end = "\"}";
    format!("{start}{}{end}", "x".repeat(length - start.len() - end.len()))
}

/// A bulk publish with its entries in the order in which the recording first delivered them, then the rest.
/// Brokers other than Kafka take the entries of a request in parallel, and Kafka's partitions race each other:
/// this puts the replay on the course that the recording took. The text of each entry is left as it is.
fn in_recorded_order(body: &str, recorded: &Scenario) -> String {
    let Ok(mut entries) = serde_json::from_str::<Vec<Box<serde_json::value::RawValue>>>(body) else {
        return body.to_owned();
    };
    let seen: Vec<String> =
        recorded.first.iter().flat_map(Delivery::events).map(|(event, _)| event).collect();
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

/// Ids in turn, and the partitions that keyless records had.
struct RecordedChance {
    ids: AtomicU64,
    partitions: BTreeMap<String, u32>,
}

impl RecordedChance {
    fn new(recorded: &Scenario) -> Self {
        let events = recorded.first.iter().filter(|d| d.to != "dead-letter").flat_map(Delivery::events);
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
    answers: Vec<(u16, String)>,
    bulk: String,
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    published_at: u64,
    asked: Vec<BTreeMap<String, String>>,
    deliveries: Vec<Delivery>,
    calls: usize,
}

impl RecordedApp {
    fn new(name: &str, recorded: &Scenario, clock: Arc<dyn Clock>) -> Self {
        let topic = format!("{name}-{RUN}");
        let mut main = recorded.subscription.clone();
        let bulk = main.contains_key("bulkSubscribe");
        main.insert("pubsubname".into(), "kafka-pubsub".into());
        main.insert("topic".into(), topic.as_str().into());
        main.entry("routes").or_insert_with(|| json!({ "default": if bulk { "/bulk" } else { "/single" } }));
        let mut subscriptions = vec![];
        if let Some(dead) = main.get_mut("deadLetterTopic") {
            *dead = dead.as_str().unwrap().replace('…', &topic).into();
            subscriptions
                .push(json!({ "pubsubname": "kafka-pubsub", "topic": dead, "route": "/dead-letter" }));
        }
        subscriptions.push(main.into());
        let (answers, bulk) = match &recorded.app_answers {
            Answers::InTurn(answers) => (answers.clone(), String::new()),
            Answers::Bulk(name) => (Vec::new(), name.clone()),
        };
        Self { subscriptions: subscriptions.into(), answers, bulk, clock, state: Mutex::default() }
    }

    fn answer(&self, request: &Request<Bytes>) -> (u16, String) {
        let mut state = self.state.lock().unwrap();
        let text = |value: &axum::http::HeaderValue| value.to_str().unwrap().to_owned();
        let headers = request.headers().iter().map(|(name, value)| (name.to_string(), text(value))).collect();
        let to = match request.uri().path() {
            "/dapr/config" => return (404, String::new()),
            "/dapr/subscribe" => {
                state.asked.push(headers);
                return (200, self.subscriptions.to_string());
            }
            "/dead-letter" => "dead-letter",
            "/bulk" => "bulk",
            // The rule of `route-cel` matches; its `/default` would be a wrong turn and stays unknown.
            "/single" | "/cel" => "single",
            other => other,
        };
        let body = String::from_utf8(request.body().to_vec()).unwrap();
        let at_ms = i64::try_from(self.clock.monotonic().as_millis() as u64 - state.published_at).unwrap();
        state.deliveries.push(Delivery { to: to.to_owned(), body: body.clone(), headers, at_ms, length: 0 });
        if to == "dead-letter" {
            return (200, r#"{"status":"SUCCESS"}"#.into());
        }
        let call = state.calls;
        state.calls += 1;
        if to == "bulk" {
            return bulk_answer(&self.bulk, call, &body);
        }
        self.answers[call.min(self.answers.len() - 1)].clone()
    }
}

/// The bulk behaviours by their names: all but `RETRYALWAYS1` misbehave in the first call only.
fn bulk_answer(behaviour: &str, call: usize, body: &str) -> (u16, String) {
    let batch: Value = serde_json::from_str(body).unwrap();
    let entries = batch["entries"].as_array().unwrap();
    let status = |word: &str, n: usize| json!({ "entryId": entries[n]["entryId"], "status": word });
    let mut statuses: Vec<Value> = (0..entries.len()).map(|n| status("SUCCESS", n)).collect();
    match (behaviour, call) {
        ("RETRYALWAYS1", _) => {
            for (n, entry) in entries.iter().enumerate() {
                if entry["event"]["data"]["n"] == 0 {
                    statuses[n] = status("RETRY", n);
                }
            }
        }
        ("RETRY1", 0) => statuses[0] = status("RETRY", 0),
        ("DROP1", 0) => statuses[0] = status("DROP", 0),
        ("WORD", 0) => statuses[0] = status("done", 0),
        ("MISSING1", 0) => drop(statuses.remove(0)),
        ("EMPTY", 0) => return (200, String::new()),
        ("SINGLE", 0) => return (200, r#"{"status":"SUCCESS"}"#.into()),
        ("500", 0) => return (500, String::new()),
        ("404", 0) => return (404, String::new()),
        _ => {}
    }
    (200, json!({ "statuses": statuses }).to_string())
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
