//! The embedded sidecar's gRPC API over real sockets: what an SDK publishes is delivered as if it came over HTTP.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic where tests do")]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::http::{HeaderMap, Uri};
use axum::routing::{get, post};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use prost::Message;
use reminder_worker::clock::SystemClock;
use reminder_worker::sidecar::{App, BODY_MAX_BYTES, Settings, Sidecar};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tonic::{Code, Request, Status};
use tonic_prost::ProstCodec;

/// More than anything here takes; what takes longer hangs.
const PATIENCE: Duration = Duration::from_secs(10);

#[derive(Clone, PartialEq, Message)]
struct Publish {
    #[prost(string, tag = "1")]
    pubsub_name: String,
    #[prost(string, tag = "2")]
    topic: String,
    #[prost(bytes = "vec", tag = "3")]
    data: Vec<u8>,
    #[prost(string, tag = "4")]
    data_content_type: String,
    #[prost(btree_map = "string, string", tag = "5")]
    metadata: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
struct Bulk {
    #[prost(string, tag = "1")]
    pubsub_name: String,
    #[prost(string, tag = "2")]
    topic: String,
    #[prost(message, repeated, tag = "3")]
    entries: Vec<Entry>,
    #[prost(btree_map = "string, string", tag = "4")]
    metadata: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
struct Entry {
    #[prost(string, tag = "1")]
    entry_id: String,
    #[prost(bytes = "vec", tag = "2")]
    event: Vec<u8>,
    #[prost(string, tag = "3")]
    content_type: String,
    #[prost(btree_map = "string, string", tag = "4")]
    metadata: BTreeMap<String, String>,
}

#[derive(Clone, PartialEq, Message)]
struct Answer {}

fn pairs(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn publish(data: impl Into<Vec<u8>>, content_type: &str, metadata: &[(&str, &str)]) -> Publish {
    Publish {
        pubsub_name: "kafka-pubsub".into(),
        topic: "jobs".into(),
        data: data.into(),
        data_content_type: content_type.into(),
        metadata: pairs(metadata),
    }
}

/// Id, event, content type and metadata.
type Sent<'a> = (&'a str, &'a str, &'a str, &'a [(&'a str, &'a str)]);

fn bulk(entries: &[Sent<'_>], metadata: &[(&str, &str)]) -> Bulk {
    let entry = |(id, event, content_type, metadata): &Sent<'_>| Entry {
        entry_id: (*id).into(),
        event: (*event).into(),
        content_type: (*content_type).into(),
        metadata: pairs(metadata),
    };
    Bulk {
        pubsub_name: "kafka-pubsub".into(),
        topic: "jobs".into(),
        entries: entries.iter().map(entry).collect(),
        metadata: pairs(metadata),
    }
}

type Delivered = (HeaderMap, Bytes);

struct Bench {
    sidecar: Sidecar,
    token: CancellationToken,
    tracker: TaskTracker,
    http: reqwest::Client,
    grpc: tonic::client::Grpc<Client<HttpConnector, tonic::body::Body>>,
    delivered: mpsc::UnboundedReceiver<Delivered>,
}

impl Bench {
    /// A sidecar with one app that subscribes to the topic `jobs`.
    async fn start(change: impl FnOnce(&mut Settings)) -> Self {
        let (sender, delivered) = mpsc::unbounded_channel();
        let take = async move |headers: HeaderMap, body: Bytes| {
            sender.send((headers, body)).unwrap();
            Json(json!({ "status": "SUCCESS" }))
        };
        let list = json!([{ "pubsubname": "kafka-pubsub", "topic": "jobs", "route": "/jobs" }]);
        let app =
            Router::new().route("/dapr/subscribe", get(async move || Json(list))).route("/jobs", post(take));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        #[expect(clippy::disallowed_methods, reason = "the test's own app ends with the test's runtime")]
        tokio::spawn(async move { axum::serve(listener, app).await });
        let mut settings = Settings {
            listen: ([127, 0, 0, 1], 0).into(),
            grpc: Some(([127, 0, 0, 1], 0).into()),
            apps: vec![App { app_id: "worker".into(), address, api_token: None }],
            ..Settings::default()
        };
        change(&mut settings);
        let (token, tracker) = (CancellationToken::new(), TaskTracker::new());
        let clock = Arc::new(SystemClock::new());
        let sidecar = Sidecar::start(settings, clock, token.clone(), tracker.clone()).await.unwrap();
        let origin: Uri = format!("http://{}", sidecar.grpc_address().unwrap()).parse().unwrap();
        let client = Client::builder(TokioExecutor::new()).http2_only(true).build_http();
        let grpc = tonic::client::Grpc::with_origin(client, origin);
        Self { sidecar, token, tracker, http: reqwest::Client::new(), grpc, delivered }
    }

    async fn call<Q: Message + Default + 'static>(&mut self, method: &str, request: Q) -> Result<(), Status> {
        self.send(method, Request::new(request)).await
    }

    async fn send<Q>(&mut self, method: &str, request: Request<Q>) -> Result<(), Status>
    where
        Q: Message + Default + 'static,
    {
        let path = format!("/dapr.proto.runtime.v1.Dapr/{method}").parse().unwrap();
        self.grpc.ready().await.unwrap();
        let called = self.grpc.unary(request, path, ProstCodec::<Q, Answer>::default());
        timeout(PATIENCE, called).await.expect("an answer").map(|_| ())
    }

    async fn over_http(&self, query: &str, content_type: &str, body: &[u8]) {
        let url = format!("http://{}/v1.0/publish/kafka-pubsub/jobs?{query}", self.sidecar.address());
        let request = self.http.post(url).header("content-type", content_type).body(body.to_vec());
        assert_eq!(request.send().await.unwrap().status(), 204);
    }

    async fn next(&mut self) -> Delivered {
        timeout(PATIENCE, self.delivered.recv()).await.expect("a delivery").unwrap()
    }

    async fn next_event(&mut self) -> Value {
        serde_json::from_slice(&self.next().await.1).unwrap()
    }
}

/// What differs between any two deliveries of the same publish.
fn without_circumstances((mut headers, body): Delivered) -> (HeaderMap, Vec<u8>) {
    for name in ["__offset", "__partition", "__timestamp", "content-length"] {
        headers.remove(name);
    }
    let Ok(Value::Object(mut event)) = serde_json::from_slice(&body) else { return (headers, body.to_vec()) };
    for name in ["time", "expiration"] {
        if let Some(value) = event.get_mut(name) {
            *value = json!("some time");
        }
    }
    (headers, serde_json::to_vec(&event).unwrap())
}

#[tokio::test]
async fn what_is_published_is_delivered_as_if_it_came_over_http() {
    let mut bench = Bench::start(|_| ()).await;
    let envelope = r#"{"id":"own","source":"me","type":"t","specversion":"1.0","data":{"b":1,"a":"<"}}"#;
    type Case<'a> = (&'a [u8], &'a str, &'a [(&'a str, &'a str)]);
    let own_id: &[_] = &[("cloudevent.id", "same")];
    let all: &[_] = &[("cloudevent.id", "same"), ("partitionKey", "k"), ("ttlInSeconds", "60")];
    let cases: [Case<'_>; 8] = [
        (br#"{"n":9007199254740993}"#, "application/json", own_id),
        (br#"{"b":[1.50],"a":null}"#, "application/json; charset=utf-8", all),
        (b"{nope", "application/json", own_id),
        (b"", "application/json", own_id),
        (b"hello", "text/plain", own_id),
        (b"\x00\x01\xff", "application/octet-stream", own_id),
        (envelope.as_bytes(), "application/cloudevents+json", &[("partitionKey", "k")]),
        (br#"{ "as": "it is" }"#, "text/plain", &[("rawPayload", "true")]),
    ];
    for (data, content_type, metadata) in cases {
        bench.call("PublishEvent", publish(data, content_type, metadata)).await.unwrap();
        let over_grpc = without_circumstances(bench.next().await);
        let query: Vec<String> = metadata.iter().map(|(n, v)| format!("metadata.{n}={v}")).collect();
        bench.over_http(&query.join("&"), content_type, data).await;
        let over_http = without_circumstances(bench.next().await);
        assert_eq!(over_grpc, over_http, "{content_type} {}", String::from_utf8_lossy(data));
        assert_eq!(
            over_grpc.0.get("partitionkey").is_some(),
            metadata.iter().any(|(n, _)| *n == "partitionKey")
        );
    }
}

#[tokio::test]
async fn a_publish_without_a_content_type_is_text_and_keeps_its_trace() {
    let mut bench = Bench::start(|_| ()).await;
    let trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let mut request = Request::new(publish("hello", "", &[]));
    request.metadata_mut().insert("traceparent", trace.parse().unwrap());
    bench.send("PublishEvent", request).await.unwrap();
    let (headers, body) = bench.next().await;
    let event: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!((&event["data"], &event["datacontenttype"]), (&json!("hello"), &json!("text/plain")));
    assert_eq!((&event["traceparent"], headers["traceparent"].to_str().unwrap()), (&json!(trace), trace));
}

#[tokio::test]
async fn both_bulk_names_publish_every_entry_with_its_json_as_written() {
    let mut bench = Bench::start(|_| ()).await;
    for method in ["BulkPublishEvent", "BulkPublishEventAlpha1"] {
        let key: &[_] = &[("partitionKey", "k")];
        let entries: [Sent<'_>; 3] = [
            ("1", r#"{"n":9007199254740993}"#, "application/json", key),
            ("2", "<a/>", "application/xml", key),
            ("3", "{nope", "application/json", key),
        ];
        bench.call(method, bulk(&entries, &[("ttlInSeconds", "60")])).await.unwrap();
        for data in [json!({ "n": 9_007_199_254_740_993_u64 }), json!("<a/>"), json!("{nope")] {
            let event = bench.next_event().await;
            assert_eq!(event["data"], data, "one key keeps its order");
            assert!(event["expiration"].is_string(), "the request's metadata joins the entry's");
        }
    }
    let raw: [Sent<'_>; 1] = [("1", r#"{ "b": 1, "a": 2 }"#, "application/json", &[])];
    bench.call("BulkPublishEvent", bulk(&raw, &[("rawPayload", "true")])).await.unwrap();
    assert_eq!(bench.next().await.1, r#"{ "b": 1, "a": 2 }"#);
}

#[tokio::test]
async fn a_bulk_publish_with_an_entry_that_failed_is_an_error_but_the_others_go_out() {
    let mut bench = Bench::start(|_| ()).await;
    let large = "x".repeat(1 << 20);
    let entries: [Sent<'_>; 2] = [("small", "x", "text/plain", &[]), ("large", &large, "text/plain", &[])];
    let refused = bench.call("BulkPublishEvent", bulk(&entries, &[])).await.unwrap_err();
    assert_eq!(refused.code(), Code::Internal);
    assert!(refused.message().contains("Failed to deliver 1 messages"), "{refused}");
    assert!(String::from_utf8_lossy(refused.details()).contains("DAPR_PUBSUB_PUBLISH_MESSAGE"));
    assert_eq!(bench.next_event().await["data"], "x");
}

#[tokio::test]
async fn refusals_carry_the_codes_and_reasons_of_daprd() {
    let mut bench = Bench::start(|_| ()).await;
    let fine = || publish("1", "application/json", &[]);
    let large = publish("x".repeat(1 << 20), "text/plain", &[]);
    for (request, code, reason) in [
        (Publish { pubsub_name: "nope".into(), ..fine() }, Code::InvalidArgument, "DAPR_PUBSUB_NOT_FOUND"),
        (Publish { topic: String::new(), ..fine() }, Code::InvalidArgument, "DAPR_PUBSUB_TOPIC_NAME_EMPTY"),
        (
            publish("1", "", &[("rawPayload", "maybe")]),
            Code::InvalidArgument,
            "DAPR_PUBSUB_METADATA_DESERIALIZATION",
        ),
        (
            publish("nope", "application/cloudevents+json", &[]),
            Code::InvalidArgument,
            "DAPR_PUBSUB_CLOUD_EVENT_CREATION",
        ),
        (large, Code::Internal, "DAPR_PUBSUB_PUBLISH_MESSAGE"),
    ] {
        let refused = bench.call("PublishEvent", request).await.unwrap_err();
        assert_eq!(refused.code(), code, "{reason}");
        assert!(String::from_utf8_lossy(refused.details()).contains(reason), "{refused:?}");
    }
    let envelope = "application/cloudevents+json";
    let (one, none, broken) =
        (("1", "1", "", &[][..]), ("", "1", "", &[][..]), ("2", "nope", envelope, &[][..]));
    for (entries, reason) in [
        (vec![one, one], "DAPR_PUBSUB_MARSHAL_EVENTS"),
        (vec![none], "DAPR_PUBSUB_MARSHAL_EVENTS"),
        (vec![one, broken], "DAPR_PUBSUB_CLOUD_EVENT_CREATION"),
    ] {
        let refused = bench.call("BulkPublishEvent", bulk(&entries, &[])).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{reason}");
        assert!(String::from_utf8_lossy(refused.details()).contains(reason), "{refused:?}");
    }
    let unknown = bench.call("GetState", fine()).await.unwrap_err();
    assert_eq!(unknown.code(), Code::Unimplemented);
    assert!(bench.delivered.try_recv().is_err(), "nothing of what was refused went out");
}

#[tokio::test]
async fn a_message_over_the_bound_is_refused_and_one_on_it_is_not() {
    let mut bench =
        Bench::start(|settings| settings.profile = reminder_worker::sidecar::Profile::InMemory).await;
    let of = |bytes: usize| {
        let mut request = publish(vec![b'x'; bytes], "text/plain", &[]);
        let over = request.encoded_len() - bytes;
        request.data.truncate(bytes - over);
        assert_eq!(request.encoded_len(), bytes);
        request
    };
    bench.call("PublishEvent", of(BODY_MAX_BYTES)).await.unwrap();
    let refused = bench.call("PublishEvent", of(BODY_MAX_BYTES + 1)).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    bench.call("PublishEvent", publish("after it", "text/plain", &[])).await.unwrap();
}

#[tokio::test]
async fn the_api_token_is_asked_for() {
    let mut bench = Bench::start(|settings| settings.api_token = Some("secret".into())).await;
    for (shown, code) in
        [(None, Code::Unauthenticated), (Some("wrong"), Code::Unauthenticated), (Some("secret"), Code::Ok)]
    {
        let mut request = Request::new(publish("1", "application/json", &[]));
        if let Some(shown) = shown {
            request.metadata_mut().insert("dapr-api-token", shown.parse().unwrap());
        }
        let sent = bench.send("PublishEvent", request).await;
        assert_eq!(sent.map_or_else(|status| status.code(), |()| Code::Ok), code, "{shown:?}");
    }
}

#[tokio::test]
async fn cancelling_ends_open_connections_in_bounded_time() {
    let mut bench = Bench::start(|_| ()).await;
    bench.call("PublishEvent", publish("1", "application/json", &[])).await.unwrap();
    bench.token.cancel();
    bench.tracker.close();
    timeout(PATIENCE, bench.tracker.wait()).await.expect("every task of the sidecar ends");
    assert!(bench.call("PublishEvent", publish("1", "application/json", &[])).await.is_err());
}

#[tokio::test]
async fn a_port_that_is_taken_is_named() {
    let taken = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = taken.local_addr().unwrap();
    let settings =
        Settings { listen: ([127, 0, 0, 1], 0).into(), grpc: Some(address), ..Settings::default() };
    let clock = Arc::new(SystemClock::new());
    let started = Sidecar::start(settings, clock, CancellationToken::new(), TaskTracker::new()).await;
    assert_eq!(started.err().unwrap().address(), Some(address));
}
