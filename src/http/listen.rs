//! Listening: binding a port, serving its connections, and ending them.
//!
//! When it is told to stop no connection is taken any more, those that are idle end, and a request that is under way gets
//! its answer. The hard stop drops what is left.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::shutdown::Shutdown;

/// Most connections of the app listener: daprd opens at most 1,024, and something must be left for a person.
pub const APP_CONNECTIONS_MAX: usize = 1_088;
/// Most connections of the ops listener: probes, scrapers, and readers of the live stream.
pub const OPS_CONNECTIONS_MAX: usize = 256;
/// How long a client of the ops listener may take to send a request's head, or keep an idle connection.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long a client of the ops listener may leave an answer unread: a reader of the live stream that is slow loses its
/// place only when it takes something, so one that takes nothing must lose its connection.
const UNREAD_TIMEOUT: Duration = Duration::from_secs(30);
/// The wait after the system refused a connection, as it does when descriptors run out.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// How long a listener waits for a request's head, and for an answer to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Patience {
    /// Thirty seconds, idle connections included.
    Limited,
    /// For ever: for daprd, which keeps connections to use them again. Closing one just as it sends a delivery
    /// would fail the delivery, and on some brokers that loses it.
    Unlimited,
}

/// A port that could not be bound: exit code 1.
#[derive(Debug, thiserror::Error)]
#[error("cannot listen on {address}: {reason}; set {setting} to another one, or stop what uses it")]
pub struct BindError {
    /// The address.
    pub address: SocketAddr,
    /// The setting it comes from.
    pub setting: &'static str,
    /// The system's reason.
    pub reason: std::io::Error,
}

/// A port that is bound.
#[derive(Debug)]
pub struct Listener {
    socket: TcpListener,
    address: SocketAddr,
}

impl Listener {
    /// Binds `address`, which `setting` gave.
    ///
    /// # Errors
    /// [`BindError`], which names the address and the setting.
    pub async fn bind(address: SocketAddr, setting: &'static str) -> Result<Self, BindError> {
        let wrong = |reason| BindError { address, setting, reason };
        let socket = TcpListener::bind(address).await.map_err(wrong)?;
        let address = socket.local_addr().map_err(wrong)?;
        Ok(Self { socket, address })
    }

    /// Where it listens: the port that the system chose where 0 was asked for.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves at most `connections_max` connections at a time until `stop`; each is a task of `shutdown`.
    pub async fn serve(
        self,
        router: Router,
        connections_max: usize,
        patience: Patience,
        stop: CancellationToken,
        shutdown: Shutdown,
        clock: Arc<dyn Clock>,
    ) {
        let places = Arc::new(Semaphore::new(connections_max));
        loop {
            let taken = tokio::select! {
                () = stop.cancelled() => return,
                taken = async {
                    // The semaphore is never closed.
                    let place = places.clone().acquire_owned().await.ok();
                    (self.socket.accept().await, place)
                } => taken,
            };
            match taken {
                (Ok((stream, _)), place) => {
                    let router = router.clone();
                    let stop = stop.clone();
                    shutdown.spawn_yielding("connection", async move {
                        converse(stream, router, patience, stop).await;
                        drop(place);
                    });
                }
                (Err(error), _) => {
                    tracing::warn!(address = %self.address, %error, "a connection could not be taken");
                    clock.wait(ACCEPT_AGAIN).await;
                }
            }
        }
    }
}

async fn converse(stream: TcpStream, router: Router, patience: Patience, stop: CancellationToken) {
    // Answers are small and waited for; without it the answer is merely later.
    let _ = stream.set_nodelay(true);
    let (head, unread) = match patience {
        Patience::Limited => (Some(HEAD_TIMEOUT), Some(UNREAD_TIMEOUT)),
        Patience::Unlimited => (None, None),
    };
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(unread);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(head);
    let connection = http.serve_connection(TokioIo::new(Box::pin(stream)), TowerToHyperService::new(router));
    let mut connection = std::pin::pin!(connection);
    // An error is the client's going away; it has its own log.
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection broke off");
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::routing::get;
    use futures_util::stream;
    use tokio::io::AsyncWriteExt as _;

    use super::*;
    use crate::clock::TokioClock;
    use crate::domain::Timestamp;

    /// A connection whose client asks for an answer without end and reads none of it.
    async fn unread() -> (TcpStream, TcpStream, Router) {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut client = TcpStream::connect(socket.local_addr().unwrap()).await.unwrap();
        client.write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let endless = async || {
            Body::from_stream(stream::repeat(Ok::<_, std::convert::Infallible>(vec![b'x'; 64 * 1024])))
        };
        (client, socket.accept().await.unwrap().0, Router::new().route("/", get(endless)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_leaves_its_answer_unread_is_dropped_by_the_ops_listener_alone() {
        let clock = TokioClock::starting_at(Timestamp::from_millis(0));
        for (patience, is_dropped) in [(Patience::Limited, true), (Patience::Unlimited, false)] {
            let (_client, server, router) = unread().await;
            let conversation = converse(server, router, patience, CancellationToken::new());
            let started = clock.monotonic();
            tokio::select! {
                () = conversation => assert!(is_dropped && clock.monotonic() >= started + UNREAD_TIMEOUT),
                () = clock.sleep(UNREAD_TIMEOUT * 10) => assert!(!is_dropped),
            }
        }
    }
}
