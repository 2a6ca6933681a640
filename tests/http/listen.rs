//! Listeners on real sockets.

use std::time::Duration;

use reminder_worker::http::{Listener, Patience};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::fixture::{Worker, worker};

/// How long to wait for what must happen soon.
const SOON: Duration = Duration::from_secs(10);

async fn serve(worker: &Worker, connections_max: usize) -> std::net::SocketAddr {
    let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), "app.port").await.unwrap();
    let address = listener.address();
    let serving = listener.serve(
        worker.app.clone(),
        connections_max,
        Patience::Unlimited,
        worker.shutdown.soft().clone(),
        worker.shutdown.clone(),
        worker.clock.clone(),
    );
    worker.shutdown.spawn("listener", serving);
    address
}

async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = [0; 1024];
    let length = tokio::time::timeout(SOON, stream.read(&mut answer)).await.unwrap().unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[tokio::test]
async fn a_port_in_use_is_told_with_its_setting() {
    let taken = Listener::bind("127.0.0.1:0".parse().unwrap(), "app.port").await.unwrap();
    let error = Listener::bind(taken.address(), "ops.port").await.unwrap_err().to_string();
    assert!(error.contains(&taken.address().port().to_string()), "{error}");
    assert!(error.contains("ops.port"), "{error}");
}

#[tokio::test]
async fn a_soft_stop_ends_idle_connections_and_takes_no_new_ones() {
    let worker = worker();
    let address = serve(&worker, 8).await;
    let mut stream = TcpStream::connect(address).await.unwrap();
    assert!(ask(&mut stream).await.starts_with("HTTP/1.1 204"));
    assert!(ask(&mut stream).await.starts_with("HTTP/1.1 204"), "the connection is kept");
    worker.shutdown.stop();
    let end = tokio::time::timeout(SOON, stream.read(&mut [0; 1])).await.unwrap();
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    worker.shutdown.stop_now();
    worker.shutdown.drain().await;
    assert!(TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn connections_beyond_the_bound_wait_until_one_ends() {
    let worker = worker();
    let address = serve(&worker, 1).await;
    let mut first = TcpStream::connect(address).await.unwrap();
    assert!(ask(&mut first).await.starts_with("HTTP/1.1 204"));
    let mut second = TcpStream::connect(address).await.unwrap();
    second.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
    let mut answer = [0; 12];
    // The first one is answered again and again while the second one waits.
    for _ in 0..20 {
        assert!(ask(&mut first).await.starts_with("HTTP/1.1 204"));
        assert!(second.try_read(&mut answer).is_err());
    }
    drop(first);
    tokio::time::timeout(SOON, second.read_exact(&mut answer)).await.unwrap().unwrap();
    assert_eq!(&answer, b"HTTP/1.1 204");
}
