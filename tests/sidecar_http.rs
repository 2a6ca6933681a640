//! The embedded sidecar over real sockets: discovery, delivery, health, invocation, tokens and the stop.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic where tests do")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, Method, StatusCode, Uri};
use axum::routing::{any, get, post};
use reminder_worker::clock::SystemClock;
use reminder_worker::sidecar::{App, Observation, REPLY_MAX_BYTES, Settings, Sidecar, Verdict};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// More than anything here takes; what takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(10);

type Delivered = (String, HeaderMap, Bytes);

struct Bench {
    sidecar: Sidecar,
    token: CancellationToken,
    tracker: TaskTracker,
    client: reqwest::Client,
    delivered: mpsc::UnboundedReceiver<Delivered>,
}

impl Bench {
    /// A sidecar with one app that subscribes to the topic `jobs`.
    async fn start(change: impl FnOnce(&mut Settings)) -> Self {
        let (app, delivered) = app().await;
        let mut settings = Settings {
            listen: ([127, 0, 0, 1], 0).into(),
            apps: vec![App {
                app_id: "worker".into(),
                address: app.to_string(),
                api_token: Some("app-secret".into()),
            }],
            ..Settings::default()
        };
        change(&mut settings);
        let (token, tracker) = (CancellationToken::new(), TaskTracker::new());
        let clock = Arc::new(SystemClock::new());
        let sidecar = Sidecar::start(settings, clock, token.clone(), tracker.clone()).await.unwrap();
        let client = reqwest::Client::new();
        Self { sidecar, token, tracker, client, delivered }
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.sidecar.address())
    }

    async fn subscribed(&self) {
        let subscribed = async {
            while self.client.get(self.url("/v1.0/healthz")).send().await.unwrap().status() != 204 {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, subscribed).await.expect("the app is asked for its subscriptions");
    }

    async fn publish(&self, path: &str, content_type: &str, body: Value) -> StatusCode {
        let request = self.client.post(self.url(path)).header("content-type", content_type);
        request.body(body.to_string()).send().await.unwrap().status()
    }

    async fn next(&mut self) -> Delivered {
        timeout(PATIENCE, self.delivered.recv()).await.expect("a delivery").unwrap()
    }
}

async fn app() -> (SocketAddr, mpsc::UnboundedReceiver<Delivered>) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let take = async |State(seen): State<mpsc::UnboundedSender<Delivered>>, uri: Uri, headers, body| {
        seen.send((uri.path().to_owned(), headers, body)).unwrap();
        Json(json!({ "status": "SUCCESS" }))
    };
    let echo = async |method: Method, uri: Uri, headers: HeaderMap, body: String| {
        let own = headers.get("x-own").map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
        let shown = headers.get("dapr-api-token").map(|v| v.to_str().unwrap().to_owned()).unwrap_or_default();
        (StatusCode::IM_A_TEAPOT, [("x-reply", own)], format!("{method} {uri} {shown} {body}"))
    };
    let hang = async |State(seen): State<mpsc::UnboundedSender<Delivered>>, uri: Uri, headers, body| {
        seen.send((uri.path().to_owned(), headers, body)).unwrap();
        std::future::pending::<()>().await;
    };
    let list = json!([{ "pubsubname": "kafka-pubsub", "topic": "jobs", "route": "/jobs" }]);
    let router = Router::new()
        .route("/dapr/subscribe", get(async move || Json(list)))
        .route("/jobs", post(take))
        .route("/echo/{*rest}", any(echo))
        .route("/size/{bytes}", get(async |Path(bytes): Path<usize>| "x".repeat(bytes)))
        .route("/hang", post(hang))
        .with_state(sender);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    #[expect(clippy::disallowed_methods, reason = "the test's own app ends with the test's runtime")]
    tokio::spawn(async move { axum::serve(listener, router).await });
    (address, receiver)
}

#[tokio::test]
async fn what_is_published_is_delivered_wrapped_and_with_the_apps_token() {
    let mut bench = Bench::start(|_| ()).await;
    bench.subscribed().await;
    let status =
        bench.publish("/v1.0/publish/kafka-pubsub/jobs", "application/json", json!({ "a": 1 })).await;
    assert_eq!(status, 204);
    let (path, headers, body) = bench.next().await;
    let event: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        (path.as_str(), &event["data"], &event["source"]),
        ("/jobs", &json!({ "a": 1 }), &json!("worker"))
    );
    assert_eq!(headers["dapr-api-token"], "app-secret");
    assert_eq!(headers["content-type"], "application/cloudevents+json");
}

#[tokio::test]
async fn what_is_published_before_the_app_subscribes_waits_for_it() {
    let mut bench = Bench::start(|_| ()).await;
    let status = bench.publish("/v1.0/publish/kafka-pubsub/jobs", "text/plain", json!("early")).await;
    assert_eq!(status, 204);
    bench.next().await;
}

#[tokio::test]
async fn both_bulk_paths_publish_and_observers_see_what_happened() {
    let mut bench = Bench::start(|_| ()).await;
    let mut happened = bench.sidecar.observe();
    for path in ["/v1.0/publish/bulk/kafka-pubsub/jobs", "/v1.0-alpha1/publish/bulk/kafka-pubsub/jobs"] {
        let entry = |id| {
            json!({ "entryId": id, "event": { "n": id }, "contentType": "application/json",
                    "metadata": { "partitionKey": "same" } })
        };
        assert_eq!(bench.publish(path, "application/json", json!([entry("1"), entry("2")])).await, 204);
    }
    let mut order = Vec::new();
    for _ in 0..4 {
        let event: Value = serde_json::from_slice(&bench.next().await.2).unwrap();
        order.push(event["data"]["n"].as_str().unwrap().to_owned());
    }
    assert_eq!(order, ["1", "2", "1", "2"], "one key keeps its order");
    let (mut published, mut delivered) = (0, 0);
    while delivered < 4 {
        match timeout(PATIENCE, happened.recv()).await.expect("an observation").unwrap() {
            Observation::Published { key, .. } => {
                assert_eq!(key.as_deref(), Some("same"));
                published += 1;
            }
            Observation::Delivered { reply, .. } => {
                assert_eq!(reply, Verdict::Success);
                delivered += 1;
            }
        }
    }
    assert_eq!(published, 4);
}

#[tokio::test]
async fn metadata_names_the_component_and_the_subscriptions() {
    let bench = Bench::start(|_| ()).await;
    bench.subscribed().await;
    let text = bench.client.get(bench.url("/v1.0/metadata")).send().await.unwrap().text().await.unwrap();
    let told: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(told["id"], "worker");
    assert_eq!(told["components"][0]["name"], "kafka-pubsub");
    assert_eq!(told["components"][0]["type"], "pubsub.kafka");
    assert_eq!(told["subscriptions"][0]["topic"], "jobs");
    assert_eq!(told["subscriptions"][0]["rules"], json!([{ "path": "/jobs" }]));
}

#[tokio::test]
async fn an_invocation_passes_method_path_query_headers_body_and_status() {
    let bench = Bench::start(|_| ()).await;
    let request = bench.client.put(bench.url("/v1.0/invoke/worker/method/echo/a%2Fb?c=d%20e"));
    let reply = request.header("x-own", "mine").body("hello").send().await.unwrap();
    assert_eq!((reply.status().as_u16(), reply.headers()["x-reply"].to_str().unwrap()), (418, "mine"));
    assert_eq!(reply.text().await.unwrap(), "PUT /echo/a%2Fb?c=d%20e app-secret hello");
    let unknown = bench.client.get(bench.url("/v1.0/invoke/nobody/method/x")).send().await.unwrap();
    assert_eq!(unknown.status(), 500);
    assert!(unknown.text().await.unwrap().contains("ERR_DIRECT_INVOKE"));
}

#[tokio::test]
async fn a_reply_to_an_invocation_is_passed_on_up_to_the_bound() {
    let bench = Bench::start(|_| ()).await;
    for (bytes, status) in [(REPLY_MAX_BYTES, 200), (REPLY_MAX_BYTES + 1, 500)] {
        let url = bench.url(&format!("/v1.0/invoke/worker/method/size/{bytes}"));
        assert_eq!(bench.client.get(url).send().await.unwrap().status(), status, "{bytes}");
    }
}

#[tokio::test]
async fn a_bulk_publish_names_the_entries_that_failed_and_takes_the_others() {
    let mut bench = Bench::start(|_| ()).await;
    let entry = |id, event| json!({ "entryId": id, "event": event, "contentType": "text/plain" });
    let body = json!([entry("small", "x".into()), entry("large", "x".repeat(1 << 20))]).to_string();
    let request = bench.client.post(bench.url("/v1.0/publish/bulk/kafka-pubsub/jobs"));
    let reply = request.header("content-type", "application/json").body(body).send().await.unwrap();
    assert_eq!(reply.status(), 500);
    let told: Value = serde_json::from_str(&reply.text().await.unwrap()).unwrap();
    assert_eq!(told["errorCode"], "ERR_PUBSUB_PUBLISH_MESSAGE");
    assert_eq!(told["failedEntries"][0]["entryId"], "large");
    assert_eq!(told["failedEntries"].as_array().unwrap().len(), 1);
    let event: Value = serde_json::from_slice(&bench.next().await.2).unwrap();
    assert_eq!(event["data"], "x");
}

#[tokio::test]
async fn refusals_carry_the_codes_of_daprd() {
    let bench = Bench::start(|settings| settings.body_max_bytes = 16).await;
    for (path, body, status, code) in [
        ("/v1.0/publish/other/jobs", "{}", 404, "ERR_PUBSUB_NOT_FOUND"),
        ("/v1.0/publish/kafka-pubsub", "{}", 404, "ERR_TOPIC_NAME_EMPTY"),
        ("/v1.0/publish/kafka-pubsub/", "{}", 404, "ERR_TOPIC_NAME_EMPTY"),
        ("/v1.0/publish/kafka-pubsub/jobs?metadata.rawPayload=yes", "{}", 400, "ERR_PUBSUB_REQUEST_METADATA"),
        ("/v1.0/publish/kafka-pubsub/jobs", "{\"a\":\"12345678\"}", 204, ""),
        ("/v1.0/publish/kafka-pubsub/jobs", "{\"a\":\"123456789\"}", 500, "stream too large"),
        ("/v1.0/publish/bulk/kafka-pubsub/jobs", "[{\"a\":1},{\"b\":2}]", 400, "stream too large"),
    ] {
        let request = bench.client.post(bench.url(path)).header("content-type", "application/json");
        let reply = request.body(body).send().await.unwrap();
        assert_eq!(reply.status().as_u16(), status, "{path} {body}");
        assert!(reply.text().await.unwrap().contains(code), "{path} {body}");
    }
}

#[tokio::test]
async fn a_topic_may_have_slashes_and_blanks() {
    let bench = Bench::start(|_| ()).await;
    let mut happened = bench.sidecar.observe();
    bench.publish("/v1.0/publish/kafka-pubsub/a/b+c%2Bd", "text/plain", json!(1)).await;
    match timeout(PATIENCE, happened.recv()).await.expect("an observation").unwrap() {
        Observation::Published { topic, .. } => assert_eq!(&*topic, "a/b c+d"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_api_token_is_asked_for_everywhere_but_at_health() {
    let bench = Bench::start(|settings| settings.api_token = Some("secret".into())).await;
    let status = async |path: &str, token: &str| {
        let request = bench.client.get(bench.url(path)).header("dapr-api-token", token);
        request.send().await.unwrap().status().as_u16()
    };
    assert_eq!(status("/v1.0/metadata", "wrong").await, 401);
    assert_eq!(status("/v1.0/invoke/worker/method/echo/x", "").await, 401);
    assert_eq!(status("/v1.0/metadata", "secret").await, 200);
    assert_eq!(status("/v1.0/healthz/outbound", "").await, 204);
}

#[tokio::test]
async fn health_waits_for_the_app_but_outbound_health_does_not() {
    let closed = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let bench = Bench::start(|settings| settings.apps[0].address = closed.to_string()).await;
    let status = async |path: &str| bench.client.get(bench.url(path)).send().await.unwrap().status().as_u16();
    assert_eq!(status("/v1.0/healthz").await, 500);
    assert_eq!(status("/v1.0/healthz/outbound").await, 204);
}

#[tokio::test]
async fn cancelling_ends_everything_in_bounded_time() {
    let mut bench = Bench::start(|_| ()).await;
    bench.subscribed().await;
    bench.publish("/v1.0/publish/kafka-pubsub/jobs", "text/plain", json!("x")).await;
    bench.next().await;
    bench.token.cancel();
    bench.tracker.close();
    timeout(PATIENCE, bench.tracker.wait()).await.expect("every task of the sidecar ends");
    assert!(bench.client.get(bench.url("/v1.0/healthz")).send().await.is_err());
}

#[tokio::test]
async fn a_request_that_hangs_does_not_hold_up_the_stop() {
    let mut bench = Bench::start(|_| ()).await;
    let hanging = bench.client.post(bench.url("/v1.0/invoke/worker/method/hang")).send();
    let stopping = async {
        bench.next().await;
        bench.token.cancel();
        bench.tracker.close();
        bench.tracker.wait().await;
    };
    let ended = timeout(PATIENCE, async { tokio::join!(hanging, stopping).0 }).await;
    assert!(ended.expect("the connection is cut").is_err());
}
