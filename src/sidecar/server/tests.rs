//! Clients that take their time, on real sockets and a clock that jumps to whatever is waited for.

use axum::http::StatusCode;
use axum::routing::get;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::*;
use crate::clock::TokioClock;
use crate::domain::Timestamp;
use crate::places::IDLE_MIN;
use crate::sidecar::{HttpChannel, Luck, Settings};

const ASK: &[u8] = b"GET /v1.0/healthz/outbound HTTP/1.1\r\nhost: x\r\n\r\n";
/// The preface of HTTP/2 and empty settings.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00\x00\x04\x00\x00\x00\x00\x00";
const SECOND: Duration = Duration::from_secs(1);
const SLACK: Duration = Duration::from_secs(3);

/// An API that is served: its address, the clock, and what stops it when dropped.
struct Served {
    address: std::net::SocketAddr,
    clock: Arc<TokioClock>,
    token: CancellationToken,
}

impl Drop for Served {
    fn drop(&mut self) {
        self.token.cancel();
    }
}

async fn served(version: Version) -> Served {
    let clock = Arc::new(TokioClock::starting_at(Timestamp::from_millis(0)));
    let (token, time) = (CancellationToken::new(), Arc::<TokioClock>::clone(&clock));
    let runtime = Runtime::new(
        Settings::default(),
        Arc::<TokioClock>::clone(&clock),
        Arc::new(HttpChannel::new(time)),
        Arc::new(Luck::default()),
        token.clone(),
        TaskTracker::new(),
    );
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let endless =
        async || Body::from_stream(stream::repeat(Ok::<_, std::convert::Infallible>(vec![b'x'; 64 * 1024])));
    let router = match version {
        Version::Http1 => runtime.router().route("/endless", get(endless)),
        Version::Http2 => super::super::grpc::router(&runtime),
    };
    serve(&runtime, listener, router, version);
    Served { address, clock, token }
}

/// How long it takes until `client` is told that its connection has ended, while `meanwhile` is done.
async fn ended(
    client: &mut TcpStream,
    clock: &TokioClock,
    meanwhile: impl AsyncFn(&mut TcpStream),
) -> Duration {
    while clock.monotonic() < SECOND * 600 {
        let mut some = [0; 4096];
        match client.try_read(&mut some) {
            Ok(0) => return clock.monotonic(),
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => return clock.monotonic(),
            _ => {}
        }
        meanwhile(client).await;
        clock.sleep(SECOND).await;
    }
    panic!("it is still there");
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_nothing_a_byte_a_second_or_answers_no_ping_is_dropped() {
    for (version, begun, most) in [
        (Version::Http1, &b""[..], CLIENT_TIMEOUT),
        (Version::Http1, b"GET / HTTP/1.1\r\nx: ", CLIENT_TIMEOUT),
        (Version::Http1, ASK, CLIENT_TIMEOUT),
        (Version::Http2, PREFACE, CLIENT_TIMEOUT * 2),
    ] {
        let api = served(version).await;
        let mut client = TcpStream::connect(api.address).await.unwrap();
        client.write_all(begun).await.unwrap();
        let drips = begun.starts_with(b"GET / ");
        let took = ended(&mut client, &api.clock, async |client| {
            if drips {
                let _ = client.write_all(b"x").await;
            }
        });
        let took = took.await;
        assert!(took >= CLIENT_TIMEOUT && took <= most + SLACK, "{version:?} {begun:?}: {took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_answered_over_both_apis() {
    let path = |version| match version {
        Version::Http1 => "v1.0/publish/kafka-pubsub/jobs",
        Version::Http2 => "dapr.proto.runtime.v1.Dapr/PublishEvent",
    };
    for version in [Version::Http1, Version::Http2] {
        let api = served(version).await;
        let is_grpc = matches!(version, Version::Http2);
        let client = Client::builder(TokioExecutor::new()).http2_only(is_grpc).build_http();
        // A message of a kibibyte, of which a part comes.
        let begun = stream::once(async { Ok::<_, std::io::Error>(vec![0, 0, 0, 4, 0, b'x']) });
        let request = Request::post(format!("http://{}/{}", api.address, path(version)))
            .header("content-type", if is_grpc { "application/grpc" } else { "text/plain" })
            .body(Body::from_stream(begun.chain(stream::pending())))
            .unwrap();
        let answer = tokio::time::timeout(SECOND * 600, client.request(request)).await.unwrap().unwrap();
        let took = api.clock.monotonic();
        assert!(took >= CLIENT_TIMEOUT && took <= CLIENT_TIMEOUT + SLACK, "{version:?}: {took:?}");
        match version {
            Version::Http1 => assert_eq!(answer.status(), StatusCode::INTERNAL_SERVER_ERROR),
            Version::Http2 => assert_ne!(answer.headers()["grpc-status"], "0"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_is_not_read_is_given_up() {
    let api = served(Version::Http1).await;
    let mut client = TcpStream::connect(api.address).await.unwrap();
    client.write_all(b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    api.clock.sleep(CLIENT_TIMEOUT + SLACK).await;
    // What the system holds of it is all that comes.
    let mut held = Vec::new();
    let read = tokio::time::timeout(SECOND, client.read_to_end(&mut held)).await;
    assert!(read.is_ok(), "it goes on after {} bytes", held.len());
}

#[tokio::test(start_paused = true)]
async fn a_head_may_be_as_long_as_the_bound_and_not_much_longer() {
    for (bytes, status) in [(usize::from(HEAD_MAX_BYTES), "404"), (usize::from(HEAD_MAX_BYTES) * 2, "431")] {
        let api = served(Version::Http1).await;
        let (mut read, mut write) = TcpStream::connect(api.address).await.unwrap().into_split();
        let around = "GET /nowhere HTTP/1.1\r\nhost: x\r\nx: \r\n\r\n".len();
        let head = format!("GET /nowhere HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(bytes - around));
        let mut answer = [0; 12];
        let (_, read) = tokio::join!(write.write_all(head.as_bytes()), read.read_exact(&mut answer));
        assert!(
            read.is_ok() && answer.ends_with(status.as_bytes()),
            "{bytes}: {:?}",
            String::from_utf8_lossy(&answer)
        );
    }
}

#[tokio::test(start_paused = true)]
async fn connections_that_lead_nowhere_give_their_places_to_who_asks() {
    let api = served(Version::Http2).await;
    let mut crowd = Vec::new();
    for _ in 0..CONNECTIONS_MAX {
        crowd.push(TcpStream::connect(api.address).await.unwrap());
    }
    api.clock.sleep(SECOND).await;
    let mut asking = TcpStream::connect(api.address).await.unwrap();
    asking.write_all(PREFACE).await.unwrap();
    let mut settings = [0; 9];
    tokio::time::timeout(SECOND * 600, asking.read_exact(&mut settings)).await.unwrap().unwrap();
    let took = api.clock.monotonic();
    assert!(took >= IDLE_MIN.min(CLIENT_TIMEOUT) && took <= CLIENT_TIMEOUT + SLACK, "{took:?}");
}
