//! Who takes an answer and does not read it: on paused time, so that waiting costs nothing.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use futures_util::stream;
use reminder_worker::clock::Clock;
use reminder_worker::http::{Listener, Patience};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::fixture::{Worker, worker};

/// What the listener allows, and what its timer may add.
const UNREAD: Duration = Duration::from_secs(30);
const SLACK: Duration = Duration::from_secs(5);

/// A listener whose one answer never ends, and a client that has asked for it.
async fn asked(worker: &Worker, patience: Patience) -> TcpStream {
    let endless = || async {
        let chunk = bytes::Bytes::from(vec![b'x'; 1 << 20]);
        Body::from_stream(stream::repeat_with(move || Ok::<_, std::io::Error>(chunk.clone())))
    };
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), "ops.port").await.unwrap();
    let address = listener.address();
    let serving = listener.serve(
        Router::new().route("/", get(endless)),
        1,
        patience,
        worker.shutdown.soft().clone(),
        worker.shutdown.clone(),
        worker.clock.clone(),
    );
    worker.shutdown.spawn("listener", serving);
    let mut client = TcpStream::connect(address).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut begun = [0; 15];
    client.read_exact(&mut begun).await.unwrap();
    assert_eq!(&begun, b"HTTP/1.1 200 OK");
    client
}

/// Whether the connection ends within the time that an answer may stay unread.
async fn ends(mut client: TcpStream, clock: &dyn Clock) -> bool {
    tokio::time::pause();
    clock.sleep(UNREAD + SLACK).await;
    tokio::time::resume();
    // What was on its way is read first; it is some megabytes.
    let rest = async {
        let mut read = vec![0; 1 << 20];
        loop {
            match client.read(&mut read).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    };
    tokio::time::timeout(Duration::from_secs(2), rest).await.is_ok()
}

#[tokio::test]
async fn a_client_of_the_ops_listener_that_reads_nothing_loses_its_connection() {
    let worker = worker();
    assert!(ends(asked(&worker, Patience::Limited).await, worker.clock.as_ref()).await);
    assert!(
        !ends(asked(&worker, Patience::Unlimited).await, worker.clock.as_ref()).await,
        "daprd is waited for"
    );
}
