//! Delivery over time: what waits for what, what is lost, and who hears of it. Virtual time, no sockets.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic where tests do")]

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::{Request, Response, StatusCode};
use bytes::Bytes;
use reminder_worker::clock::{Clock, TokioClock};
use reminder_worker::domain::Timestamp;
use reminder_worker::sidecar::{
    App, AppChannel, AppHealth, BoxFuture, CallError, InboundRetry, Luck, Profile, Runtime, Settings,
    TOPICS_MAX,
};
use serde_json::{Value, json};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tower::ServiceExt;

/// An app's answer: a status with a body, silence for ever, or no connection.
#[derive(Clone)]
enum Answer {
    Says(u16, &'static str),
    Hangs,
    Closed,
}

const OK: Answer = Answer::Says(200, "");
const RETRY: Answer = Answer::Says(500, "");

/// A delivery: when, to which app and path, and the `data` of the event (of each event of a batch).
type Seen = (u64, String, Value);

/// What an app answers at a path, having been called there so many times before.
type Answers = Box<dyn Fn(&str, usize) -> Answer + Send + Sync>;

/// Apps in place of the network.
struct Script {
    clock: Arc<dyn Clock>,
    subscribe: Mutex<VecDeque<Answer>>,
    answers: Answers,
    seen: Mutex<Vec<Seen>>,
    asked: Mutex<Vec<String>>,
    opens_at: u64,
    ill: Range<u64>,
}

impl AppChannel for Script {
    fn accepts<'a>(&'a self, _address: &'a str) -> BoxFuture<'a, bool> {
        Box::pin(async { self.clock.monotonic().as_millis() as u64 >= self.opens_at })
    }

    fn call(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, CallError>> {
        let answer = self.answer(&request);
        Box::pin(async move {
            match answer {
                Answer::Says(status, body) => {
                    Ok(Response::builder().status(status).body(body.into()).unwrap())
                }
                Answer::Hangs => std::future::pending().await,
                Answer::Closed => Err(CallError("connection refused".into())),
            }
        })
    }
}

impl Script {
    fn answer(&self, request: &Request<Bytes>) -> Answer {
        let path = request.uri().path();
        if path == "/healthz" {
            let ill = self.ill.contains(&(self.clock.monotonic().as_millis() as u64));
            return Answer::Says(if ill { 503 } else { 204 }, "");
        }
        if path.starts_with("/dapr/") {
            self.asked.lock().unwrap().push(path.to_owned());
            let mut answers = self.subscribe.lock().unwrap();
            return match path {
                "/dapr/config" => Answer::Says(404, ""),
                _ if answers.len() > 1 => answers.pop_front().unwrap(),
                _ => answers[0].clone(),
            };
        }
        let body: Value = serde_json::from_slice(request.body()).unwrap();
        let data = match body.get("entries") {
            Some(entries) => entries.as_array().unwrap().iter().map(|e| e["event"]["data"].clone()).collect(),
            None => body["data"].clone(),
        };
        let place = format!("{}{path}", request.uri().authority().unwrap());
        let mut seen = self.seen.lock().unwrap();
        let earlier = seen.iter().filter(|(_, to, _)| *to == place).count();
        seen.push((self.clock.monotonic().as_millis() as u64, place, data));
        (self.answers)(path, earlier)
    }
}

struct Bench {
    runtime: Arc<Runtime>,
    script: Arc<Script>,
    clock: Arc<dyn Clock>,
}

/// What a bench is made of; the defaults are one app `a`, everything taken, the port open.
struct Parts {
    profile: Profile,
    apps: &'static [&'static str],
    subscriptions: Vec<Answer>,
    answers: Answers,
    resiliency: Option<InboundRetry>,
    opens_at: u64,
    /// When health probes, one a second, are told that the app is not well; they are not sent where that is never.
    ill: Range<u64>,
}

impl Parts {
    fn new(profile: Profile, subscriptions: &'static str) -> Self {
        Self {
            profile,
            apps: &["a"],
            subscriptions: vec![Answer::Says(200, subscriptions)],
            answers: Box::new(|_, _| OK),
            resiliency: None,
            opens_at: 0,
            ill: 0..0,
        }
    }

    fn answering(self, answers: impl Fn(&str, usize) -> Answer + Send + Sync + 'static) -> Self {
        Self { answers: Box::new(answers), ..self }
    }

    fn start(self) -> Bench {
        let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(Timestamp::from_millis(0)));
        let script = Arc::new(Script {
            clock: Arc::clone(&clock),
            subscribe: Mutex::new(self.subscriptions.into()),
            answers: self.answers,
            seen: Mutex::default(),
            asked: Mutex::default(),
            opens_at: self.opens_at,
            ill: self.ill.clone(),
        });
        let app = |id: &&str| App { app_id: (*id).into(), address: format!("{id}:1"), api_token: None };
        let settings = Settings {
            profile: self.profile,
            component: "pubsub".into(),
            apps: self.apps.iter().map(app).collect(),
            resiliency: self.resiliency,
            app_health: (!self.ill.is_empty()).then(|| AppHealth {
                interval: Duration::from_secs(1),
                threshold: 2,
                ..AppHealth::default()
            }),
            ..Settings::default()
        };
        let channel = Arc::clone(&script) as Arc<dyn AppChannel>;
        let runtime = Runtime::new(
            settings,
            Arc::clone(&clock),
            channel,
            Arc::new(Luck::default()),
            CancellationToken::new(),
            TaskTracker::new(),
        );
        runtime.discover();
        Bench { runtime, script, clock }
    }
}

impl Bench {
    async fn publish(&self, place: &str, content_type: &str, body: impl Into<Body>) {
        let request =
            Request::post(format!("/v1.0/publish/pubsub/{place}")).header("content-type", content_type);
        let reply = self.runtime.router().oneshot(request.body(body.into()).unwrap()).await.unwrap();
        assert_eq!(reply.status(), StatusCode::NO_CONTENT, "{place}");
    }

    async fn publish_keyed(&self, topic: &str, key: &str, data: u32) {
        let place = format!("{topic}?metadata.partitionKey={key}");
        self.publish(&place, "application/json", data.to_string()).await;
    }

    /// What was delivered by `seconds` from now on.
    async fn after(&self, seconds: u64) -> Vec<Seen> {
        self.clock.sleep(Duration::from_millis(seconds * 1000 + 1)).await;
        self.script.seen.lock().unwrap().clone()
    }
}

fn seen(at_ms: u64, place: &str, data: impl Into<Value>) -> Seen {
    (at_ms, place.into(), data.into())
}

const ONE: &str = r#"[{"pubsubname":"pubsub","topic":"t","route":"/t"}]"#;
const WITH_DEAD: &str = r#"[{"pubsubname":"pubsub","topic":"t","route":"/t","deadLetterTopic":"dead"},
    {"pubsubname":"pubsub","topic":"dead","route":"/dead"}]"#;

#[tokio::test(start_paused = true)]
async fn a_failing_record_holds_its_partition_and_no_other() {
    let bench =
        Parts::new(Profile::Kafka, ONE).answering(|_, earlier| if earlier == 0 { RETRY } else { OK }).start();
    // `k` and `task` hash to different partitions of three.
    for (key, data) in [("k", 1), ("k", 2), ("task", 3)] {
        bench.publish_keyed("t", key, data).await;
    }
    let expected = [seen(0, "a:1/t", 1), seen(0, "a:1/t", 3), seen(5000, "a:1/t", 1), seen(5000, "a:1/t", 2)];
    assert_eq!(bench.after(9).await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_closed_port_loses_nothing_on_kafka_and_everything_elsewhere() {
    for (profile, delivered) in [(Profile::Kafka, 2), (Profile::Redis, 1), (Profile::InMemory, 1)] {
        let bench = Parts::new(profile, ONE)
            .answering(|_, earlier| if earlier == 0 { Answer::Closed } else { OK })
            .start();
        bench.after(0).await;
        bench.publish("t", "application/json", "1").await;
        assert_eq!(bench.after(20).await.len(), delivered, "{profile:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_hangs_is_given_up_after_the_time_it_has() {
    let bench = Parts::new(Profile::Kafka, ONE)
        .answering(|_, earlier| if earlier == 0 { Answer::Hangs } else { OK })
        .start();
    bench.publish("t", "application/json", "1").await;
    assert_eq!(bench.after(70).await, [seen(0, "a:1/t", 1), seen(65_000, "a:1/t", 1)]);
}

#[tokio::test(start_paused = true)]
async fn redis_has_ten_messages_in_flight_and_no_more() {
    let bench = Parts::new(Profile::Redis, ONE).answering(|_, _| Answer::Hangs).start();
    for n in 0..11 {
        bench.publish("t", "application/json", n.to_string()).await;
    }
    assert_eq!(bench.after(1).await.len(), 10);
    assert_eq!(bench.after(60).await.len(), 11);
}

#[tokio::test(start_paused = true)]
async fn in_memory_has_one_message_in_flight() {
    let bench = Parts::new(Profile::InMemory, ONE).answering(|_, _| Answer::Hangs).start();
    bench.after(0).await;
    for n in 0..2 {
        bench.publish("t", "application/json", n.to_string()).await;
    }
    assert_eq!(bench.after(1).await.len(), 1);
    assert_eq!(bench.after(60).await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn one_failing_bulk_handler_holds_back_the_other_bulk_topics_of_its_app_on_kafka() {
    const TWO: &str = r#"[
        {"pubsubname":"pubsub","topic":"bad","route":"/bad","bulkSubscribe":{"enabled":true,"maxMessagesCount":1}},
        {"pubsubname":"pubsub","topic":"good","route":"/good","bulkSubscribe":{"enabled":true,"maxMessagesCount":1}}]"#;
    const DONE: Answer = Answer::Says(200, r#"{"statuses":[{"entryId":"0","status":"SUCCESS"}]}"#);
    let bench = Parts { apps: &["a", "b"], ..Parts::new(Profile::Kafka, TWO) }
        .answering(|path, earlier| if path == "/bad" && earlier < 2 { RETRY } else { DONE })
        .start();
    bench.publish("bad", "application/json", "1").await;
    bench.after(1).await;
    bench.publish("good", "application/json", "2").await;
    let good: Vec<u64> =
        bench.after(30).await.iter().filter(|(_, to, _)| to == "a:1/good").map(|(at, ..)| *at).collect();
    assert_eq!(good, [10_000], "it waits for the two redeliveries");
}

#[tokio::test(start_paused = true)]
async fn every_app_is_a_consumer_group_of_its_own() {
    let bench = Parts { apps: &["a", "b"], ..Parts::new(Profile::Kafka, ONE) }.start();
    bench.publish("t", "application/json", "1").await;
    let mut delivered = bench.after(1).await;
    delivered.sort_by(|x, y| x.1.cmp(&y.1));
    assert_eq!(delivered, [seen(0, "a:1/t", 1), seen(0, "b:1/t", 1)]);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_event_is_never_put_to_the_app_and_blocks_its_partition_on_kafka() {
    let bench = Parts::new(Profile::Kafka, ONE).start();
    bench.publish("t?metadata.rawPayload=true&metadata.partitionKey=k", "text/plain", "not json").await;
    bench.publish_keyed("t", "k", 1).await;
    assert_eq!(bench.after(60).await, []);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_event_goes_to_the_dead_letters_where_there_are_some() {
    const RAW_DEAD: &str = r#"[{"pubsubname":"pubsub","topic":"t","route":"/t","deadLetterTopic":"dead"},
        {"pubsubname":"pubsub","topic":"dead","route":"/dead","metadata":{"rawPayload":"true"}}]"#;
    let bench = Parts::new(Profile::Redis, RAW_DEAD).start();
    bench.publish("t?metadata.rawPayload=true", "text/plain", "not json").await;
    assert_eq!(bench.after(1).await, [seen(0, "a:1/dead", Value::Null)]);
}

#[tokio::test(start_paused = true)]
async fn an_expired_message_is_a_dead_letter_at_once() {
    let bench = Parts { opens_at: 3000, ..Parts::new(Profile::Kafka, WITH_DEAD) }.start();
    bench.publish("t?metadata.ttlInSeconds=2", "application/json", "1").await;
    bench.publish("t?metadata.ttlInSeconds=60", "application/json", "2").await;
    let delivered = bench.after(4).await;
    // The dead letter has expired just as much: nobody is given it either.
    assert_eq!(delivered, [seen(3000, "a:1/t", 2)]);
}

#[tokio::test(start_paused = true)]
async fn a_message_that_no_route_wants_is_dropped_alone_and_put_to_the_root_in_bulk() {
    const SINGLE: &str = r#"[{"pubsubname":"pubsub","topic":"t",
        "routes":{"rules":[{"match":"event.type == 'x'","path":"/x"}]}}]"#;
    const BULK: &str = r#"[{"pubsubname":"pubsub","topic":"t",
        "routes":{"rules":[{"match":"event.type == 'x'","path":"/x"}]},
        "bulkSubscribe":{"enabled":true,"maxMessagesCount":1}}]"#;
    for (subscriptions, delivered) in [(SINGLE, vec![]), (BULK, vec![seen(0, "a:1/", json!([1]))])] {
        let bench = Parts::new(Profile::Redis, subscriptions).answering(|_, _| Answer::Says(404, "")).start();
        bench.publish("t", "application/json", "1").await;
        assert_eq!(bench.after(20).await, delivered);
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_tries_first_and_the_dead_letter_comes_last() {
    let resiliency = Some(InboundRetry { interval: Duration::from_millis(200), max_retries: 2 });
    let bench = Parts { resiliency, ..Parts::new(Profile::Redis, WITH_DEAD) }
        .answering(|path, _| if path == "/t" { RETRY } else { OK })
        .start();
    bench.publish("t", "application/json", "1").await;
    let places: Vec<(u64, String)> = bench.after(20).await.into_iter().map(|(at, to, _)| (at, to)).collect();
    let expected = [(0, "a:1/t"), (200, "a:1/t"), (400, "a:1/t"), (400, "a:1/dead")];
    assert_eq!(places, expected.map(|(at, to)| (at, to.to_owned())));
}

#[tokio::test(start_paused = true)]
async fn an_app_is_asked_once_it_listens_and_never_again() {
    let bench = Parts { opens_at: 5000, ..Parts::new(Profile::Kafka, ONE) }.start();
    bench.publish("t", "application/json", "1").await;
    assert_eq!(bench.after(4).await, []);
    assert_eq!(bench.after(2).await, [seen(5000, "a:1/t", 1)]);
    bench.after(600).await;
    assert_eq!(*bench.script.asked.lock().unwrap(), ["/dapr/config", "/dapr/subscribe"]);
}

#[tokio::test(start_paused = true)]
async fn only_a_broken_connection_makes_the_sidecar_ask_again() {
    for (first, asked, delivered) in [(Answer::Closed, 2, 1), (Answer::Says(500, ""), 1, 0)] {
        let subscriptions = vec![first, Answer::Says(200, ONE)];
        let bench = Parts { subscriptions, ..Parts::new(Profile::Kafka, "") }.start();
        bench.publish("t", "application/json", "1").await;
        assert_eq!(bench.after(60).await.len(), delivered);
        let asks =
            bench.script.asked.lock().unwrap().iter().filter(|path| *path == "/dapr/subscribe").count();
        assert_eq!(asks, asked);
    }
}

#[tokio::test(start_paused = true)]
async fn an_app_that_falls_ill_is_given_nothing_until_it_is_well_and_what_came_meanwhile_waits_but_on_in_memory()
 {
    for (profile, delivered) in [
        (Profile::Kafka, &[(1000, 1), (8000, 2), (12_000, 3)][..]),
        (Profile::Redis, &[(1000, 1), (8000, 2), (12_000, 3)]),
        (Profile::InMemory, &[(1000, 1), (12_000, 3)]),
    ] {
        let bench = Parts { ill: 1500..7500, ..Parts::new(profile, ONE) }.start();
        for (data, pause) in [(1, 1000), (2, 4000), (3, 7000)] {
            bench.clock.sleep(Duration::from_millis(pause)).await;
            bench.publish_keyed("t", "k", data).await;
        }
        let seen: Vec<(u64, Value)> =
            bench.after(5).await.into_iter().map(|(at, _, data)| (at / 100 * 100, data)).collect();
        let expected: Vec<(u64, Value)> = delivered.iter().map(|(at, data)| (*at, (*data).into())).collect();
        assert_eq!(seen, expected, "{profile:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_app_is_asked_for_its_subscriptions_once_it_is_well() {
    let bench = Parts { ill: 0..2500, ..Parts::new(Profile::Kafka, ONE) }.start();
    assert!(bench.after(2).await.is_empty() && bench.script.asked.lock().unwrap().is_empty());
    bench.after(1).await;
    assert_eq!(*bench.script.asked.lock().unwrap(), ["/dapr/config", "/dapr/subscribe"]);
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_fails_is_not_shown_as_one() {
    let bench = Parts { opens_at: 1000, ..Parts::new(Profile::Kafka, ONE) }.start();
    for n in 0..TOPICS_MAX {
        bench.publish(&n.to_string(), "application/json", "1").await;
    }
    bench.after(2).await;
    let get = async |path: &str| {
        bench.runtime.router().oneshot(Request::get(path).body(Body::empty()).unwrap()).await.unwrap()
    };
    assert_eq!(get("/v1.0/healthz").await.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let told = axum::body::to_bytes(get("/v1.0/metadata").await.into_body(), 1 << 20).await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&told).unwrap()["subscriptions"], json!([]));
}
