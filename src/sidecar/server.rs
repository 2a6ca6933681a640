//! Serving the APIs: accept, serve, and end in bounded time.
//!
//! Told to stop, connections finish the requests they are in, for at most [`STOP_GRACE`].

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use hyper_util::server::conn::auto::Builder;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};

use super::runtime::Runtime;

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
    let builder = Builder::new(Tracked(Arc::clone(runtime)));
    let builder = match version {
        Version::Http1 => builder.http1_only(),
        Version::Http2 => builder.http2_only(),
    };
    let accepting = {
        let runtime = Arc::clone(runtime);
        let service = TowerToHyperService::new(router);
        async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let connection =
                            connection(Arc::clone(&runtime), builder.clone(), service.clone(), stream);
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
    service: TowerToHyperService<Router>,
    stream: TcpStream,
) {
    // Small replies wait 40 ms for an acknowledgement otherwise; a socket that refuses the option still works.
    let _ = stream.set_nodelay(true);
    let served = builder.serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    tokio::select! {
        // Errors here are clients that went away.
        _ = served.as_mut() => return,
        () = runtime.token.cancelled() => served.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = served => {}
        () = runtime.clock.wait(STOP_GRACE) => {}
    }
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
