//! Listening: binding a port, serving its connections, and ending them.
//!
//! Each way in which a client can take its time is bounded: a head by [`HEAD_TIMEOUT`], a body by `body`'s, an answer left
//! unread by [`UNREAD_TIMEOUT`]; where daprd calls, by the place that it takes from others ([`crate::places`]).
//!
//! When it is told to stop no connection is taken any more, those that are idle end, and a request that is under way gets
//! its answer. The hard stop drops what is left.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutStream;
use tokio_util::sync::CancellationToken;
use tower::ServiceExt as _;

use crate::clock::Clock;
use crate::places::{Place, Places};
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
/// Largest head of a request on the ops listener, in bytes: a path, a query and a token have a few hundred.
const OPS_HEAD_MAX_BYTES: usize = 16 * 1024;
/// The same on the app listener: daprd puts the headers of a broker's message into a single delivery's head, and what is
/// refused here it would deliver again for ever. All connections may hold one at once.
const APP_HEAD_MAX_BYTES: usize = 256 * 1024;
/// Most headers on the app listener, for the same reason; on the ops listener there are the hundred that the server holds
/// without asking for memory.
const APP_HEADERS_MAX: usize = 1_000;
/// The wait after the system refused a connection, as it does when descriptors run out.
const ACCEPT_AGAIN: Duration = Duration::from_millis(100);

/// How long a listener waits for a request's head, and for an answer to be read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Patience {
    /// Thirty seconds, idle connections included.
    Limited,
    /// For ever, unless all places are taken: for daprd, which keeps connections to use them again. Closing one just as it
    /// sends a delivery would fail the delivery, and on some brokers that loses it.
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
        let places = Places::new(connections_max, Arc::clone(&clock));
        loop {
            // One connection may wait for a place; more wait with the system.
            let taken = tokio::select! {
                () = stop.cancelled() => return,
                taken = async { Ok((self.socket.accept().await?.0, places.take().await)) } => taken,
            };
            match taken {
                Ok((stream, place)) => {
                    let router = router.clone();
                    let stop = stop.clone();
                    shutdown.spawn_yielding("connection", async move {
                        converse(stream, place, router, patience, stop).await;
                    });
                }
                Err(error) => {
                    let error: std::io::Error = error;
                    tracing::warn!(address = %self.address, %error, "a connection could not be taken");
                    clock.wait(ACCEPT_AGAIN).await;
                }
            }
        }
    }
}

async fn converse(
    stream: TcpStream,
    place: Place,
    router: Router,
    patience: Patience,
    stop: CancellationToken,
) {
    // Answers are small and waited for; without it the answer is merely later.
    let _ = stream.set_nodelay(true);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new());
    let unread = match patience {
        Patience::Limited => {
            http.header_read_timeout(HEAD_TIMEOUT);
            // The number is the server's own: to say it costs memory with every request.
            http.max_header_size(OPS_HEAD_MAX_BYTES);
            Some(UNREAD_TIMEOUT)
        }
        Patience::Unlimited => {
            http.header_read_timeout(None);
            http.max_header_size(APP_HEAD_MAX_BYTES).max_headers(APP_HEADERS_MAX);
            None
        }
    };
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(unread);
    let requests = place.requests();
    let service = service_fn(move |request: hyper::Request<Incoming>| {
        requests.answered(router.clone().oneshot(request.map(Body::new)))
    });
    let connection = http.serve_connection(TokioIo::new(Box::pin(stream)), service);
    let mut connection = std::pin::pin!(connection);
    // An error is the client's going away; it has its own log.
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = place.given_up() => {
            tracing::debug!("a connection without requests made room for another");
            return;
        }
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
mod tests;
