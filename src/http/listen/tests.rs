//! Clients that take their time, on real sockets and a clock that jumps to whatever is waited for.

use axum::extract::Request;
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use futures_util::stream;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::*;
use crate::clock::TokioClock;
use crate::domain::Timestamp;
use crate::http::said::body;
use crate::places::IDLE_MIN;

const ASK: &[u8] = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n";
const SECOND: Duration = Duration::from_secs(1);
/// What a measured wait may be longer than the bound: the beat of what is sent, or looked for, meanwhile.
const SLACK: Duration = Duration::from_secs(3);

fn clock() -> Arc<TokioClock> {
    Arc::new(TokioClock::starting_at(Timestamp::from_millis(0)))
}

/// `/` answers at once, `/endless` without end, `/body` once a body of at most 1,000 bytes is there.
fn router(clock: &Arc<TokioClock>) -> Router {
    let endless =
        async || Body::from_stream(stream::repeat(Ok::<_, std::convert::Infallible>(vec![b'x'; 64 * 1024])));
    let clock = Arc::clone(clock);
    let whole = async move |request: Request| -> Response {
        match body(request, 1_000, &*clock).await {
            Ok(_) => "whole".into_response(),
            Err(problem) => problem.into_response(),
        }
    };
    Router::new().route("/", get(async || "here")).route("/endless", get(endless)).route("/body", post(whole))
}

/// A connection: its client, and what serves it.
async fn connected(
    patience: Patience,
    clock: &Arc<TokioClock>,
) -> (TcpStream, impl Future<Output = ()> + 'static) {
    let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(socket.local_addr().unwrap()).await.unwrap();
    let place = Places::new(1, Arc::<TokioClock>::clone(clock)).take().await;
    let served =
        converse(socket.accept().await.unwrap().0, place, router(clock), patience, CancellationToken::new());
    (client, served)
}

/// Sends `begun`, and then a byte a second for ever.
async fn drip(client: &mut TcpStream, begun: &[u8], clock: &TokioClock) {
    let mut next = begun.to_vec();
    while client.write_all(&next).await.is_ok() {
        clock.sleep(SECOND).await;
        next = b"x".to_vec();
    }
    std::future::pending::<()>().await;
}

#[tokio::test(start_paused = true)]
async fn a_client_that_leaves_its_answer_unread_is_dropped_by_the_ops_listener_alone() {
    for (patience, is_dropped) in [(Patience::Limited, true), (Patience::Unlimited, false)] {
        let clock = clock();
        let (mut client, served) = connected(patience, &clock).await;
        client.write_all(b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        tokio::select! {
            () = served => assert!(is_dropped && clock.monotonic() >= UNREAD_TIMEOUT),
            () = clock.sleep(UNREAD_TIMEOUT * 10) => assert!(!is_dropped),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_nothing_or_a_byte_a_second_is_dropped_by_the_ops_listener_alone() {
    for (patience, is_dropped) in [(Patience::Limited, true), (Patience::Unlimited, false)] {
        for begun in [&b""[..], b"GET / HTTP/1.1\r\nx: ", ASK] {
            let clock = clock();
            let (mut client, served) = connected(patience, &clock).await;
            client.write_all(begun).await.unwrap();
            let dripping = async {
                match begun {
                    b"" | ASK => std::future::pending().await,
                    _ => drip(&mut client, b"", &clock).await,
                }
            };
            tokio::select! {
                () = served => {
                    assert!(is_dropped, "{begun:?}");
                    let took = clock.monotonic();
                    assert!(took >= HEAD_TIMEOUT && took <= HEAD_TIMEOUT + SLACK, "{begun:?}: {took:?}");
                }
                () = dripping => unreachable!(),
                () = clock.sleep(HEAD_TIMEOUT * 10) => assert!(!is_dropped, "{begun:?}"),
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_never_ends_is_answered_and_its_connection_closed_by_both_listeners() {
    const POST: &str = "POST /body HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    for patience in [Patience::Limited, Patience::Unlimited] {
        for framing in ["content-length: 900\r\n\r\n", "transfer-encoding: chunked\r\n\r\n1f4\r\n"] {
            let clock = clock();
            let (client, served) = connected(patience, &clock).await;
            let (mut read, mut write) = client.into_split();
            let begun = format!("{POST}{framing}");
            let dripping = async {
                let mut next = begun.into_bytes();
                while write.write_all(&next).await.is_ok() {
                    clock.sleep(SECOND).await;
                    next = b"x".to_vec();
                }
                std::future::pending::<()>().await;
            };
            let reading = async {
                let mut answer = Vec::new();
                // It may end in a reset, since what is still sent is read by nobody.
                let _ = read.read_to_end(&mut answer).await;
                answer
            };
            let ended = async { tokio::join!(served, reading).1 };
            let answer = tokio::select! {
                answer = ended => answer,
                () = dripping => unreachable!(),
                () = clock.sleep(SECOND * 600) => panic!("{patience:?} {framing}: still there"),
            };
            let took = clock.monotonic();
            assert!(took >= 30 * SECOND && took <= 30 * SECOND + HEAD_TIMEOUT + SLACK, "{took:?}");
            assert!(answer.starts_with(b"HTTP/1.1 408"), "{patience:?} {framing}: {answer:?}");
        }
    }
}

/// What a listener answers to `request`: how its first line begins.
async fn answer_to(patience: Patience, request: &[u8]) -> String {
    let clock = clock();
    let (client, served) = connected(patience, &clock).await;
    let (mut read, mut write) = client.into_split();
    let mut answer = [0; 12];
    // A head that is refused need not be read to its end.
    let asking = async { tokio::join!(write.write_all(request), read.read_exact(&mut answer)).1.is_ok() };
    let (answered, ()) = tokio::join!(asking, async {
        // A connection that is kept has answered.
        let _ = tokio::time::timeout(HEAD_TIMEOUT, served).await;
    });
    assert!(answered, "{patience:?}: no answer");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(start_paused = true)]
async fn a_head_may_be_as_long_as_the_bound_and_no_longer() {
    for (patience, bound) in
        [(Patience::Limited, OPS_HEAD_MAX_BYTES), (Patience::Unlimited, APP_HEAD_MAX_BYTES)]
    {
        let head = |bytes: usize| {
            let around = b"GET / HTTP/1.1\r\nhost: x\r\nx: \r\n\r\n".len();
            format!("GET / HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n", "y".repeat(bytes - around)).into_bytes()
        };
        assert_eq!(head(bound).len(), bound);
        assert_eq!(answer_to(patience, &head(bound)).await, "HTTP/1.1 200", "{patience:?}");
        assert_eq!(answer_to(patience, &head(bound + 1)).await, "HTTP/1.1 431", "{patience:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_head_may_have_as_many_headers_as_the_bound_and_no_more() {
    for (patience, bound) in [(Patience::Limited, 100), (Patience::Unlimited, APP_HEADERS_MAX)] {
        let head =
            |headers: usize| format!("GET / HTTP/1.1\r\n{}\r\n", "x: y\r\n".repeat(headers)).into_bytes();
        assert_eq!(answer_to(patience, &head(bound)).await, "HTTP/1.1 200", "{patience:?}");
        assert_eq!(answer_to(patience, &head(bound + 1)).await, "HTTP/1.1 431", "{patience:?}");
    }
}

/// Serves on a real listener with so many places, patiently.
async fn listener(most: usize, clock: &Arc<TokioClock>) -> (SocketAddr, Shutdown) {
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), "app.port").await.unwrap();
    let address = listener.address();
    let shutdown = Shutdown::new(Arc::<TokioClock>::clone(clock), SECOND);
    let (stop, all, time) = (shutdown.soft().clone(), shutdown.clone(), Arc::<TokioClock>::clone(clock));
    let router = router(clock);
    shutdown.spawn("listener", async move {
        listener.serve(router, most, Patience::Unlimited, stop, all, time).await;
    });
    (address, shutdown)
}

#[tokio::test(start_paused = true)]
async fn who_fills_the_app_listener_with_what_leads_nowhere_loses_a_place_to_who_asks() {
    for wasted in [&b""[..], b"GET / HT", ASK, b"GET /endless HTTP/1.1\r\nhost: x\r\n\r\n"] {
        let clock = clock();
        let (address, shutdown) = listener(8, &clock).await;
        let mut crowd = Vec::new();
        for _ in 0..8 {
            let mut client = TcpStream::connect(address).await.unwrap();
            client.write_all(wasted).await.unwrap();
            crowd.push(client);
        }
        // A second later, so that all of them have a place before.
        clock.sleep(SECOND).await;
        let mut asking = TcpStream::connect(address).await.unwrap();
        asking.write_all(ASK).await.unwrap();
        let mut answer = [0; 12];
        tokio::select! {
            read = asking.read_exact(&mut answer) => assert!(read.is_ok(), "{wasted:?}"),
            () = clock.sleep(IDLE_MIN * 10) => panic!("{wasted:?}: no answer"),
        }
        assert_eq!(&answer, b"HTTP/1.1 200");
        let took = clock.monotonic();
        assert!(took >= IDLE_MIN && took <= IDLE_MIN + SLACK, "{wasted:?}: {took:?}");
        shutdown.stop_now();
        shutdown.drain().await;
    }
}
