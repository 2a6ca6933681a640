//! Serving the APIs: accept, serve, and end in bounded time.
//!
//! A client that takes its time is bounded: while it sends a head or a body, reads an answer, or keeps a connection that
//! others wait for ([`crate::places`]).
//!
//! Told to stop, connections finish the requests they are in, for at most [`STOP_GRACE`].

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use futures_util::{StreamExt as _, stream};
use hyper::body::Incoming;
use hyper::rt::Executor;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use tokio::net::{TcpListener, TcpStream};
use tokio_io_timeout::TimeoutStream;
use tower::ServiceExt as _;

use super::runtime::Runtime;
use crate::clock::Clock;
use crate::places::{Place, Places};

/// Most connections of each API: apps on one machine keep a few.
const CONNECTIONS_MAX: usize = 256;
/// Most streams of a connection of the gRPC API at once, so many publishes of one client.
const STREAMS_MAX: u32 = 200;
/// Largest head of a request, in bytes, and on the gRPC API largest list of headers: far more than SDKs send.
const HEAD_MAX_BYTES: u16 = 16 * 1024;
/// How long a head may take, a body, and an answer that is left unread, on loopback; over HTTP also how long a connection
/// may be idle. A gRPC connection must answer a ping as often.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(30);

/// How long a connection may go on once the sidecar is told to stop.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// The pause after a failed accept: out of descriptors, mostly, which passes as others close.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What is spoken on a port.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Version {
    /// The HTTP API.
    Http1,
    /// gRPC, without TLS.
    Http2,
}

/// Serves `router` on `listener` until the runtime's token is cancelled.
pub(crate) fn serve(runtime: &Arc<Runtime>, listener: TcpListener, router: Router, version: Version) {
    let mut builder = Builder::new(Tracked(Arc::clone(runtime)));
    let mut http1 = builder.http1();
    http1.timer(TokioTimer::new()).header_read_timeout(CLIENT_TIMEOUT).max_buf_size(HEAD_MAX_BYTES.into());
    let mut http2 = http1.http2();
    http2.timer(TokioTimer::new()).keep_alive_interval(CLIENT_TIMEOUT).keep_alive_timeout(CLIENT_TIMEOUT);
    http2.max_header_list_size(HEAD_MAX_BYTES.into()).max_concurrent_streams(STREAMS_MAX);
    let builder = match version {
        Version::Http1 => builder.http1_only(),
        Version::Http2 => builder.http2_only(),
    };
    let accepting = {
        let runtime = Arc::clone(runtime);
        let places = Places::new(CONNECTIONS_MAX, Arc::clone(&runtime.clock));
        async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let place = places.take().await;
                        let connection =
                            connection(Arc::clone(&runtime), builder.clone(), router.clone(), stream, place);
                        runtime.tracker.spawn(connection);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection was not accepted");
                        runtime.clock.wait(ACCEPT_PAUSE).await;
                    }
                }
            }
        }
    };
    runtime.spawn(accepting);
}

async fn connection(
    runtime: Arc<Runtime>,
    builder: Builder<Tracked>,
    router: Router,
    stream: TcpStream,
    place: Place,
) {
    // Small replies wait 40 ms for an acknowledgement otherwise; a socket that refuses the option still works.
    let _ = stream.set_nodelay(true);
    let mut stream = TimeoutStream::new(stream);
    stream.set_write_timeout(Some(CLIENT_TIMEOUT));
    let (requests, clock) = (place.requests(), Arc::clone(&runtime.clock));
    let service = service_fn(move |request: Request<Incoming>| {
        let request = request.map(|body| in_time(body, Arc::clone(&clock)));
        requests.answered(router.clone().oneshot(request))
    });
    let served = builder.serve_connection(TokioIo::new(Box::pin(stream)), service);
    tokio::pin!(served);
    tokio::select! {
        // Errors here are clients that went away.
        _ = served.as_mut() => return,
        () = place.given_up() => return,
        () = runtime.token.cancelled() => served.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = served => {}
        () = runtime.clock.wait(STOP_GRACE) => {}
    }
}

/// A body that breaks off where it takes too long.
fn in_time(body: Incoming, clock: Arc<dyn Clock>) -> Body {
    let late = Box::pin(async move { clock.wait(CLIENT_TIMEOUT).await });
    let begun = Some((Body::new(body).into_data_stream(), late));
    Body::from_stream(stream::unfold(begun, async |state| {
        let (mut chunks, mut late) = state?;
        tokio::select! {
            chunk = chunks.next() => Some((chunk?, Some((chunks, late)))),
            () = &mut late => {
                let told = format!("the body did not come within {CLIENT_TIMEOUT:?}");
                Some((Err(axum::Error::new(std::io::Error::other(told))), None))
            }
        }
    }))
}

/// Runs the streams of HTTP/2 connections as tasks that the sidecar's end waits for, no longer than for a
/// connection.
#[derive(Clone)]
struct Tracked(Arc<Runtime>);

impl<F> Executor<F> for Tracked
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    fn execute(&self, stream: F) {
        let runtime = Arc::clone(&self.0);
        self.0.tracker.spawn(async move {
            let over = async {
                runtime.token.cancelled().await;
                runtime.clock.wait(STOP_GRACE).await;
            };
            tokio::select! {
                _ = stream => {}
                () = over => {}
            }
        });
    }
}

#[cfg(test)]
mod tests;
