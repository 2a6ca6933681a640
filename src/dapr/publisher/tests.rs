//! The publisher against a stub that answers as a table says. Real sockets, so real time: nothing here waits for
//! more than an answer, but for the one that hangs on purpose.

use std::sync::Mutex;

use axum::Router;
use axum::body::Bytes as Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::IntoResponse;
use serde_json::{Value, json};

use super::*;
use crate::clock::SystemClock;
use crate::config::{Config, Secret};

type Script = Arc<dyn Fn(&Asked) -> Option<(u16, Value)> + Send + Sync>;

/// A request as the stub saw it.
#[derive(Clone, Debug)]
struct Asked {
    path: String,
    query: String,
    content_type: String,
    token: String,
    body: Value,
}

impl Asked {
    /// The keys of the events in it.
    fn keys(&self) -> Vec<String> {
        match self.body.as_array() {
            Some(entries) => {
                entries.iter().map(|e| e["metadata"]["partitionKey"].as_str().unwrap().to_owned()).collect()
            }
            None => vec![self.body["k"].as_str().unwrap_or_default().to_owned()],
        }
    }
}

#[derive(Clone)]
struct Stub {
    asked: Arc<Mutex<Vec<Asked>>>,
    script: Script,
}

struct Fixture {
    asked: Arc<Mutex<Vec<Asked>>>,
    publisher: Publisher,
}

/// A stub that answers what `script` says; `None` never answers.
async fn stub(script: impl Fn(&Asked) -> Option<(u16, Value)> + Send + Sync + 'static) -> Fixture {
    let asked = Arc::default();
    let state = Stub { asked: Arc::clone(&asked), script: Arc::new(script) };
    let router = Router::new().fallback(answer_by_script).with_state(state);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    #[expect(clippy::disallowed_methods, reason = "the stub ends with the test's runtime")]
    tokio::spawn(async move { axum::serve(listener, router).await });
    Fixture { asked, publisher: publisher(endpoint) }
}

fn publisher(endpoint: String) -> Publisher {
    patient_publisher(endpoint, Duration::from_millis(300))
}

fn patient_publisher(endpoint: String, timeout: Duration) -> Publisher {
    let mut dapr = Config::default().dapr;
    dapr.http_endpoint = endpoint;
    dapr.api_token = Some(Secret::new("s3cret"));
    dapr.publish_timeout = timeout;
    Publisher::new(&dapr, Arc::new(SystemClock::new())).unwrap()
}

async fn answer_by_script(
    State(stub): State<Stub>,
    uri: Uri,
    headers: HeaderMap,
    body: Body,
) -> axum::response::Response {
    let header = |name: &str| headers.get(name).map_or("", |v| v.to_str().unwrap()).to_owned();
    let asked = Asked {
        path: uri.path().to_owned(),
        query: uri.query().unwrap_or_default().to_owned(),
        content_type: header("content-type"),
        token: header("dapr-api-token"),
        body: serde_json::from_slice(&body).unwrap(),
    };
    stub.asked.lock().unwrap().push(asked.clone());
    let Some((status, body)) = (stub.script)(&asked) else { return std::future::pending().await };
    let status = StatusCode::from_u16(status).unwrap();
    if body.is_null() { status.into_response() } else { (status, axum::Json(body)).into_response() }
}

fn batch(keys: &[&str]) -> Vec<Outgoing> {
    keys.iter()
        .map(|key| Outgoing { key: (*key).to_owned(), event: json!({"k": key}).to_string().into() })
        .collect()
}

fn paths(fixture: &Fixture) -> Vec<String> {
    fixture.asked.lock().unwrap().iter().map(|asked| asked.path.clone()).collect()
}

/// `P`ublished, `A`mbiguous, `R`efused, `X` refused for good.
fn letters(outcomes: &[PublishOutcome]) -> String {
    let letter = |outcome: &PublishOutcome| match outcome {
        PublishOutcome::Published => 'P',
        PublishOutcome::Ambiguous { .. } => 'A',
        PublishOutcome::Refused { for_good: false, .. } => 'R',
        PublishOutcome::Refused { for_good: true, .. } => 'X',
    };
    outcomes.iter().map(letter).collect()
}

const BULK: &str = "/v1.0/publish/bulk/kafka-pubsub/reminders";
const ALPHA: &str = "/v1.0-alpha1/publish/bulk/kafka-pubsub/reminders";
const SINGLE: &str = "/v1.0/publish/kafka-pubsub/reminders";

#[tokio::test]
async fn a_batch_goes_in_one_request_with_its_keys_and_the_token() {
    let stub = stub(|_| Some((204, Value::Null))).await;
    let outcomes = stub.publisher.publish("reminders", &batch(&["a", "b"])).await;
    assert_eq!(letters(&outcomes), "PP");
    let asked = stub.asked.lock().unwrap().clone();
    assert_eq!(asked.len(), 1);
    assert_eq!(
        (asked[0].path.as_str(), asked[0].content_type.as_str(), asked[0].token.as_str()),
        (BULK, "application/json", "s3cret")
    );
    assert_eq!(asked[0].keys(), ["a", "b"]);
    assert_eq!(asked[0].body[1]["event"], json!({"k": "b"}));
}

#[tokio::test]
async fn an_event_alone_goes_as_it_is_with_its_key_in_the_query() {
    let stub = stub(|_| Some((204, Value::Null))).await;
    let outcomes = stub.publisher.publish("reminders", &batch(&["a b&c/ü"])).await;
    assert_eq!(letters(&outcomes), "P");
    let asked = stub.asked.lock().unwrap()[0].clone();
    assert_eq!((asked.path.as_str(), asked.content_type.as_str()), (SINGLE, "application/cloudevents+json"));
    assert_eq!(asked.query, "metadata.partitionKey=a+b%26c%2F%C3%BC");
    assert_eq!(asked.body, json!({"k": "a b&c/ü"}));
}

#[tokio::test]
async fn nothing_to_publish_asks_nobody() {
    let stub = stub(|_| Some((500, Value::Null))).await;
    assert!(stub.publisher.publish("reminders", &[]).await.is_empty());
    assert!(paths(&stub).is_empty());
}

#[tokio::test]
async fn entries_listed_as_failed_are_ambiguous_and_the_others_published() {
    let listed = json!({"failedEntries": [{"entryId": "1", "error": "no"}], "errorCode": "E"});
    let stub = stub(move |_| Some((500, listed.clone()))).await;
    assert_eq!(letters(&stub.publisher.publish("reminders", &batch(&["a", "b", "c"])).await), "PAP");
}

#[tokio::test]
async fn a_list_that_names_what_was_not_sent_says_nothing() {
    let listed = json!({"failedEntries": [{"entryId": "7", "error": "no"}]});
    let stub = stub(move |_| Some((500, listed.clone()))).await;
    assert_eq!(letters(&stub.publisher.publish("reminders", &batch(&["a", "b"])).await), "AA");
}

#[tokio::test]
async fn an_answer_that_never_comes_is_ambiguous() {
    let stub = stub(|_| None).await;
    let outcomes = stub.publisher.publish("reminders", &batch(&["a", "b"])).await;
    let reason = "no answer from the sidecar within 300 ms".to_owned();
    assert_eq!(outcomes, vec![PublishOutcome::Ambiguous { reason }; 2]);
}

#[tokio::test]
async fn a_closed_port_is_a_certain_failure_that_passes() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    drop(listener);
    assert_eq!(letters(&publisher(endpoint).publish("reminders", &batch(&["a", "b"])).await), "RR");
}

#[tokio::test]
async fn a_connection_that_is_never_made_is_a_certain_failure_that_passes() {
    let socket = tokio::net::TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    // Nobody accepts: once its queue is full, the system drops whoever knocks.
    let mut queue = Vec::new();
    let knock = || tokio::time::timeout(Duration::from_millis(500), tokio::net::TcpStream::connect(address));
    while let Ok(stream) = knock().await {
        queue.push(stream.unwrap());
    }
    let publisher = patient_publisher(format!("http://{address}"), Duration::from_secs(10));
    assert_eq!(letters(&publisher.publish("reminders", &batch(&["a", "b"])).await), "RR");
}

#[tokio::test]
async fn a_connection_that_is_cut_is_ambiguous() {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    #[expect(clippy::disallowed_methods, reason = "the stub ends with the test's runtime")]
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut some = [0; 16];
            tokio::io::AsyncReadExt::read_exact(&mut stream, &mut some).await.unwrap();
        }
    });
    assert_eq!(letters(&publisher(endpoint).publish("reminders", &batch(&["a", "b"])).await), "AA");
}

#[tokio::test]
async fn one_poison_entry_fails_alone() {
    let stub = stub(|asked| match asked.keys().iter().any(|key| key == "poison") {
        true => Some((400, json!({"message": "no"}))),
        false => Some((204, Value::Null)),
    })
    .await;
    let keys = ["a", "b", "c", "poison", "d", "e", "f", "g"];
    let outcomes = stub.publisher.publish("reminders", &batch(&keys)).await;
    assert_eq!(letters(&outcomes), "PPPXPPPP");
    assert_eq!(paths(&stub).len(), 7, "a path down the halves, not one request an entry");
}

#[tokio::test]
async fn a_refusal_of_the_topic_or_the_token_may_yet_be_put_right_and_is_not_split() {
    for status in [401, 403, 429] {
        let stub = stub(move |_| Some((status, Value::Null))).await;
        assert_eq!(letters(&stub.publisher.publish("reminders", &batch(&["a", "b"])).await), "RR");
        assert_eq!(paths(&stub).len(), 1, "{status}");
    }
}

#[tokio::test]
async fn an_older_sidecar_is_asked_its_own_way_and_the_way_is_kept() {
    for (has, first, then) in [
        (vec![BULK, ALPHA, SINGLE], vec![BULK], vec![BULK]),
        (vec![ALPHA, SINGLE], vec![BULK, ALPHA], vec![ALPHA]),
        (vec![SINGLE], vec![BULK, ALPHA, SINGLE, SINGLE], vec![SINGLE, SINGLE]),
    ] {
        let stub = stub(move |asked| match has.contains(&asked.path.as_str()) {
            true => Some((204, Value::Null)),
            false => Some((404, json!({"errorCode": "ERR_PUBSUB_NOT_FOUND"}))),
        })
        .await;
        assert_eq!(letters(&stub.publisher.publish("reminders", &batch(&["a", "b"])).await), "PP");
        assert_eq!(paths(&stub), first);
        stub.asked.lock().unwrap().clear();
        assert_eq!(letters(&stub.publisher.publish("reminders", &batch(&["a", "b"])).await), "PP");
        assert_eq!(paths(&stub), then);
    }
}

#[tokio::test]
async fn an_unknown_component_is_no_older_sidecar() {
    let stub = stub(|_| Some((404, json!({"message": "pubsub kafka-pubsub is not found"})))).await;
    assert_eq!(letters(&stub.publisher.publish("reminders", &batch(&["a", "b"])).await), "RR");
    stub.asked.lock().unwrap().clear();
    assert_eq!(letters(&stub.publisher.publish("reminders", &batch(&["a", "b"])).await), "RR");
    assert_eq!(paths(&stub), [BULK, ALPHA, SINGLE], "the newest way is tried again");
}

#[tokio::test]
async fn a_large_batch_is_split_and_its_outcomes_stay_in_order() {
    let stub = stub(|asked| match asked.keys().iter().any(|key| key == "600") {
        true => Some((503, Value::Null)),
        false => Some((204, Value::Null)),
    })
    .await;
    let keys: Vec<String> = (0..REQUEST_MAX_ENTRIES * 2).map(|n| n.to_string()).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    let outcomes = stub.publisher.publish("reminders", &batch(&keys)).await;
    assert_eq!(
        letters(&outcomes),
        format!("{}{}", "P".repeat(REQUEST_MAX_ENTRIES), "A".repeat(REQUEST_MAX_ENTRIES))
    );
    assert_eq!(paths(&stub).len(), 2);
}

#[tokio::test]
async fn a_refused_connection_makes_the_newest_way_be_tried_again() {
    let publisher = publisher("http://127.0.0.1:1".into());
    publisher.path.store(Path::Single as u8, Ordering::Relaxed);
    assert_eq!(letters(&publisher.publish("reminders", &batch(&["a", "b"])).await), "RR");
    assert_eq!(Path::from_number(publisher.path.load(Ordering::Relaxed)), Path::Bulk);
}

#[tokio::test]
async fn an_answer_that_is_too_long_to_be_read_is_none() {
    let shell = json!({"failedEntries": [{"entryId": "0", "error": ""}]}).to_string().len();
    for (length, letter) in [(ANSWER_MAX_BYTES, "AP"), (ANSWER_MAX_BYTES + 1, "AA")] {
        let listed = json!({"failedEntries": [{"entryId": "0", "error": "x".repeat(length - shell)}]});
        let stub = stub(move |_| Some((500, listed.clone()))).await;
        assert_eq!(letters(&stub.publisher.publish("reminders", &batch(&["a", "b"])).await), letter);
    }
}
