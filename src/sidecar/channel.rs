//! The way to the apps: one pooled HTTP client behind a seam that replays can fill with an app of their own.
//!
//! Knows no subscriptions and no retries. Redirects are not followed, as in daprd.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, to_bytes};
use axum::http::{Request, Response};
use bytes::Bytes;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use tokio::net::TcpStream;

use crate::clock::Clock;

/// Connections that are kept idle for each app, as in daprd.
const IDLE_CONNECTIONS_MAX: usize = 64;

/// The largest reply that is read from an app: answers of invoked services are held in memory.
pub const REPLY_MAX_BYTES: usize = 16 << 20;

/// How long a connection to an app may take to open.
const CONNECT_TIMEOUT: Duration = Duration::from_millis(500);

/// A boxed future.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A call that brought no answer: the app is not there, hung up, or took too long. May be tried again.
#[derive(Debug, thiserror::Error)]
#[error("the app did not answer: {0}")]
pub struct CallError(pub String);

/// How the sidecar reaches apps.
pub trait AppChannel: Send + Sync + 'static {
    /// Whether something accepts connections at `address` (`host:port`).
    fn accepts<'a>(&'a self, address: &'a str) -> BoxFuture<'a, bool>;

    /// Makes one call; the URI is absolute. Any status is an answer.
    fn call(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, CallError>>;
}

/// HTTP/1.1 over TCP.
pub struct HttpChannel {
    client: Client<HttpConnector, Body>,
    clock: Arc<dyn Clock>,
}

impl HttpChannel {
    /// A channel with its own pool of connections.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_nodelay(true);
        connector.set_connect_timeout(Some(CONNECT_TIMEOUT));
        let client = Client::builder(TokioExecutor::new())
            .pool_max_idle_per_host(IDLE_CONNECTIONS_MAX)
            .build(connector);
        Self { client, clock }
    }
}

impl AppChannel for HttpChannel {
    fn accepts<'a>(&'a self, address: &'a str) -> BoxFuture<'a, bool> {
        Box::pin(async move {
            tokio::select! {
                connected = TcpStream::connect(address) => connected.is_ok(),
                () = self.clock.wait(CONNECT_TIMEOUT) => false,
            }
        })
    }

    fn call(&self, request: Request<Bytes>) -> BoxFuture<'_, Result<Response<Bytes>, CallError>> {
        let sent = self.client.request(request.map(Body::from));
        Box::pin(async move {
            let (parts, body) = sent.await.map_err(|e| CallError(told(&e)))?.into_parts();
            let body = to_bytes(Body::new(body), REPLY_MAX_BYTES).await.map_err(|e| CallError(told(&e)))?;
            Ok(Response::from_parts(parts, body))
        })
    }
}

/// An error with its causes: hyper's own text is "client error (Connect)".
fn told(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text.push_str(": ");
        text.push_str(&inner.to_string());
        cause = inner.source();
    }
    text
}
