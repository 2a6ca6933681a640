//! Serving the API: accept, serve, and end in bounded time.
//!
//! Told to stop, connections finish the request they are in, for at most [`STOP_GRACE`].

use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};

use super::runtime::Runtime;

/// How long a connection may go on once the sidecar is told to stop.
const STOP_GRACE: Duration = Duration::from_secs(1);

/// The pause after a failed accept: out of descriptors, mostly, which passes as others close.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Serves the API on `listener` until the runtime's token is cancelled.
pub(crate) fn serve(runtime: &Arc<Runtime>, listener: TcpListener) {
    let accepting = {
        let runtime = Arc::clone(runtime);
        let service = TowerToHyperService::new(runtime.router());
        async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        let connection = connection(Arc::clone(&runtime), service.clone(), stream);
                        runtime.tracker.spawn(connection);
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a connection was not accepted");
                        runtime.clock.sleep(ACCEPT_PAUSE).await;
                    }
                }
            }
        }
    };
    runtime.spawn(accepting);
}

async fn connection(runtime: Arc<Runtime>, service: TowerToHyperService<axum::Router>, stream: TcpStream) {
    // Small replies wait 40 ms for an acknowledgement otherwise; a socket that refuses the option still works.
    let _ = stream.set_nodelay(true);
    let served = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::pin!(served);
    tokio::select! {
        // Errors here are clients that went away.
        _ = served.as_mut() => return,
        () = runtime.token.cancelled() => served.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        _ = served => {}
        () = runtime.clock.sleep(STOP_GRACE) => {}
    }
}
