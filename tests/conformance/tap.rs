//! What stands between sidecar and worker: it passes every request on, notes what was said on both sides, and holds a
//! delivery open where a test wants it, so that the worker can be stopped in the middle of one.
//!
//! To the sidecar it is the app: where the worker is gone, its connections break as the worker's would.

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use axum::body::{Body, to_bytes};
use axum::http::{Request, Response, StatusCode};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::sidecar::COMPONENT;
use crate::wait::now;

/// Where dead letters are delivered.
const DEAD_LETTERS: &str = "/tap/dead-letters";

/// What becomes of deliveries of task events.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Hold {
    Nothing,
    /// The worker gets half of the body and no more.
    Body,
    /// The worker gets all and its answer goes no further.
    Answer,
}

/// One request that came through.
#[derive(Clone, Debug)]
pub(crate) struct Passed {
    pub(crate) path: String,
    /// When it came, in milliseconds since 1970.
    pub(crate) at: i64,
    pub(crate) headers: BTreeMap<String, String>,
    /// As JSON, where it is.
    pub(crate) body: Value,
    /// The worker's answer; 0 where there was none.
    pub(crate) status: u16,
    pub(crate) reply: Value,
}

struct Shared {
    worker: u16,
    client: reqwest::Client,
    dead_letter: Option<String>,
    hold: watch::Sender<Hold>,
    healthy: watch::Sender<bool>,
    passed: Mutex<Vec<Passed>>,
}

/// A listener of its own; it closes when dropped.
pub(crate) struct Tap {
    shared: Arc<Shared>,
    accepting: JoinHandle<()>,
}

impl Tap {
    /// Listens on `port` in front of the worker on port `worker`, and asks for the dead letters of a topic too.
    pub(crate) async fn open(port: u16, worker: u16, dead_letter: Option<String>) -> Self {
        let shared = Arc::new(Shared {
            worker,
            client: reqwest::Client::builder().no_proxy().build().unwrap(),
            dead_letter,
            hold: watch::Sender::new(Hold::Nothing),
            healthy: watch::Sender::new(true),
            passed: Mutex::default(),
        });
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let accepting = tokio::spawn(accept(listener, Arc::clone(&shared)));
        Self { shared, accepting }
    }

    /// From now on; what was held breaks off when it changes.
    pub(crate) fn hold(&self, hold: Hold) {
        self.shared.hold.send_replace(hold);
    }

    /// What health probes are told from now on.
    pub(crate) fn healthy(&self, healthy: bool) {
        self.shared.healthy.send_replace(healthy);
    }

    /// What came through to a path, or was held there.
    pub(crate) fn passed(&self, path: &str) -> Vec<Passed> {
        self.shared.passed.lock().unwrap().iter().filter(|passed| passed.path == path).cloned().collect()
    }

    pub(crate) fn dead_letters(&self) -> Vec<Passed> {
        self.passed(DEAD_LETTERS)
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    while let Ok((stream, _)) = listener.accept().await {
        let shared = Arc::clone(&shared);
        tokio::spawn(async move {
            let answer = service_fn(|request: Request<hyper::body::Incoming>| {
                let shared = Arc::clone(&shared);
                async move { pass(&shared, request.map(Body::new)).await }
            });
            // An error here is how a connection breaks.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

async fn pass(shared: &Shared, request: Request<Body>) -> io::Result<Response<Body>> {
    let (head, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.map_err(io::Error::other)?;
    let text = |value: &axum::http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let mut passed = Passed {
        path: head.uri.path().to_owned(),
        at: now(),
        headers: head.headers.iter().map(|(name, value)| (name.to_string(), text(value))).collect(),
        body: serde_json::from_slice(&body).unwrap_or_default(),
        status: 0,
        reply: Value::Null,
    };
    let note = |passed: Passed| shared.passed.lock().unwrap().push(passed);
    if passed.path == "/healthz" && !*shared.healthy.borrow() {
        note(passed);
        return Ok(plain(StatusCode::SERVICE_UNAVAILABLE));
    }
    if passed.path == DEAD_LETTERS {
        note(passed);
        return Ok(plain(StatusCode::OK));
    }
    let is_task = passed.path.starts_with("/events/task-");
    let hold = if is_task { *shared.hold.borrow() } else { Hold::Nothing };
    if hold == Hold::Body {
        let half = half_sent(shared.worker, &head, &body).await?;
        note(passed);
        return Err(broken(half).await);
    }
    let url = format!("http://127.0.0.1:{}{}", shared.worker, head.uri);
    let request = shared.client.request(head.method, url).headers(head.headers).body(body);
    let answer = request.send().await.map_err(io::Error::other)?;
    let status = answer.status();
    let mut reply = answer.bytes().await.map_err(io::Error::other)?;
    if passed.path == "/dapr/subscribe" && status.is_success() {
        reply = with_dead_letters(&reply, shared.dead_letter.as_deref()).into();
    }
    passed.status = status.as_u16();
    passed.reply = serde_json::from_slice(&reply).unwrap_or_default();
    note(passed);
    if hold == Hold::Answer {
        // The sender is never dropped while this runs.
        let _ = shared.hold.subscribe().wait_for(|hold| *hold != Hold::Answer).await;
        return Err(io::ErrorKind::ConnectionAborted.into());
    }
    let response = Response::builder().status(status).header("content-type", "application/json");
    Ok(response.body(Body::from(reply)).unwrap())
}

/// A request of which half the body has been sent.
async fn half_sent(worker: u16, head: &axum::http::request::Parts, body: &[u8]) -> io::Result<TcpStream> {
    let mut stream = TcpStream::connect(("127.0.0.1", worker)).await?;
    let mut text = format!("{} {} HTTP/1.1\r\n", head.method, head.uri);
    for (name, value) in &head.headers {
        text.push_str(&format!("{name}: {}\r\n", String::from_utf8_lossy(value.as_bytes())));
    }
    text.push_str("\r\n");
    stream.write_all(text.as_bytes()).await?;
    stream.write_all(&body[..body.len() / 2]).await?;
    stream.flush().await?;
    Ok(stream)
}

/// Waits until the worker hangs up.
async fn broken(mut stream: TcpStream) -> io::Error {
    let mut answer = Vec::new();
    // Whatever it says to half a body is not the delivery's answer.
    let _ = stream.read_to_end(&mut answer).await;
    io::ErrorKind::ConnectionAborted.into()
}

fn with_dead_letters(list: &[u8], topic: Option<&str>) -> Vec<u8> {
    let mut list: Vec<Value> = serde_json::from_slice(list).unwrap();
    list.extend(topic.map(|topic| json!({"pubsubname": COMPONENT, "topic": topic, "route": DEAD_LETTERS})));
    serde_json::to_vec(&list).unwrap()
}

fn plain(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}
