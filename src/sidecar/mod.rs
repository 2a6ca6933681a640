//! The embedded stand-in for Dapr: what `dev` and the tests run in place of daprd and a broker.
//!
//! Owns the publish API (HTTP and gRPC), CloudEvent wrapping, subscriptions, delivery with retries and dead letters,
//! service invocation, and a broker in memory, or a client of a real Kafka or Redpanda. It behaves as recordings of
//! daprd 1.18.1 show (`tests/captures/`, replayed by `tests/sidecar_golden.rs`), with a [`Profile`] per broker,
//! since they differ in what they lose.
//!
//! Must never know: the worker. It speaks HTTP to apps, of which the worker is one, and shares with the rest of
//! the crate only the clock and the instant.
//!
//! Where it differs from daprd, on purpose:
//! - one sidecar serves several apps, each of them its own consumer group; daprd has one per app;
//! - a new group on Kafka begins at the oldest record, as daprd's does with `initialOffset: oldest`;
//! - a client has half a minute for each of a head, a body and an unread answer, and a place among 256; daprd waits for ever;
//! - an app has [`DELIVERY_TIMEOUT`] for one delivery; daprd waits for ever;
//! - a subscription that fails is tried again, and shown by the metadata only once it is there;
//! - a publish on in-memory never waits for a handler, so a handler may publish to its own topic;
//! - what an app on Redis misses while its health checks fail comes when it is well again; of daprd's, the first
//!   message of each topic comes only after the component's `processingTimeout`, 60 s later;
//! - in memory, a topic without subscribers keeps a short tail (on Kafka and Redis), which subscribers to come receive,
//!   and nothing survives a restart;
//! - on a real Kafka, publishers hear of a stopped broker after two minutes; of daprd's it is known that they hang for
//!   45 s and then succeed;
//! - on a real Kafka, a record may still be written after its publisher has read that no broker answers, if a broker
//!   returns while others publish;
//! - in a bulk delivery, metadata that is no UTF-8 has one U+FFFD for each part that cannot be read, with daprd for each
//!   of its bytes.
//!
//! Races accepted: what is in flight when the sidecar is told to stop is dropped with its connection, and an
//! app may then have taken a message whose answer nobody read; a real sidecar that is killed does the same.

mod api;
mod app_health;
mod batch;
mod broker;
mod bulk;
mod chance;
mod channel;
mod deliver;
mod errors;
mod grpc;
mod invoke;
mod json;
mod observe;
mod publish;
mod reply;
pub mod resources;
mod route;
mod runtime;
mod server;
mod subscriptions;
mod wrap;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use app_health::AppHealth;
use broker::Broker;
pub use broker::{LOG_MAX_BYTES, TOPICS_MAX, UNREAD_MAX_BYTES};
pub use chance::{Chance, Luck};
pub use channel::{AppChannel, BoxFuture, CallError, HttpChannel, REPLY_MAX_BYTES};
pub use observe::{OBSERVATIONS_MAX, Observation};
pub use reply::Verdict;
pub use runtime::Runtime;

use crate::clock::Clock;
use crate::secret::Secret;
use server::Version;

/// The body limit of daprd: 4 MiB.
pub const BODY_MAX_BYTES: usize = 4 << 20;

/// How long an app may take for one delivery. daprd waits for ever; a minute is more than any handler here
/// needs, and frees the partition of an app that hangs.
pub const DELIVERY_TIMEOUT: Duration = Duration::from_secs(60);

/// Whether this build can speak to a real Kafka (the feature `kafka`).
pub const KAFKA_BUILT_IN: bool = cfg!(feature = "kafka");

/// Which broker the sidecar behaves like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Profile {
    /// Partitions, order by key, redelivery every 5 s until the app takes it.
    #[default]
    Kafka,
    /// No order, ten messages in flight; what an app does not take is lost without a retry policy.
    Redis,
    /// One message in flight; what an app does not take is lost, and so is what nobody subscribed to.
    InMemory,
}

impl Profile {
    /// The component type in `/v1.0/metadata`.
    #[must_use]
    pub fn component_type(self) -> &'static str {
        match self {
            Self::Kafka => "pubsub.kafka",
            Self::Redis => "pubsub.redis",
            Self::InMemory => "pubsub.in-memory",
        }
    }

    /// The profile of a component type; `None` where no recording tells how the broker behaves.
    #[must_use]
    pub fn of(component_type: &str) -> Option<Self> {
        [Self::Kafka, Self::Redis, Self::InMemory].into_iter().find(|p| p.component_type() == component_type)
    }

    /// Partitions of a topic; only Kafka has more than one.
    #[must_use]
    pub fn partitions(self) -> u32 {
        if self == Self::Kafka { 3 } else { 1 }
    }
}

/// An app that the sidecar delivers to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct App {
    /// Its id: name for service invocation and consumer group.
    pub app_id: String,
    /// Where it listens, `host:port`.
    pub address: String,
    /// What it wants to see as `dapr-api-token` (its `APP_API_TOKEN`).
    pub api_token: Option<Secret>,
}

/// The inbound retry policy of a Resiliency resource: constant interval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboundRetry {
    /// The pause before each further try.
    pub interval: Duration,
    /// Further tries after the first.
    pub max_retries: u32,
}

/// What the sidecar runs with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where the HTTP API listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// Where the gRPC API listens, if anywhere; port 0 takes a free one.
    pub grpc: Option<SocketAddr>,
    /// The broker to behave like.
    pub profile: Profile,
    /// The brokers of a real Kafka in place of the one in memory, `host:port` separated by commas; goes with
    /// [`Profile::Kafka`], and needs [`KAFKA_BUILT_IN`].
    pub kafka: Option<String>,
    /// The name of the one pubsub component.
    pub component: String,
    /// The apps; the first is the one whose sidecar this is (source of events, `id` of the metadata).
    pub apps: Vec<App>,
    /// What callers must send as `dapr-api-token`, if anything.
    pub api_token: Option<Secret>,
    /// The inbound retry policy, if any.
    pub resiliency: Option<InboundRetry>,
    /// How the apps' health is probed; `None`: it is not, and they are taken for healthy.
    pub app_health: Option<AppHealth>,
    /// The largest body that is taken.
    pub body_max_bytes: usize,
    /// How long an app may take for one delivery.
    pub delivery_timeout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            listen: (Ipv4Addr::LOCALHOST, 3500).into(),
            grpc: None,
            profile: Profile::default(),
            kafka: None,
            component: "kafka-pubsub".into(),
            apps: Vec::new(),
            api_token: None,
            resiliency: None,
            app_health: None,
            body_max_bytes: BODY_MAX_BYTES,
            delivery_timeout: DELIVERY_TIMEOUT,
        }
    }
}

/// Why a sidecar did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The listener could not be opened.
    #[error("the embedded sidecar cannot listen on {address}: {source}; stop what holds it")]
    Listen {
        /// The address that was asked for.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// The build has no client for Kafka.
    #[error("this build cannot speak to Kafka: build it with `cargo build --release --features kafka`")]
    NoKafka,
    /// The client library took exception to its settings.
    #[error("the Kafka client cannot be made: {0}; see that the brokers are given as HOST:PORT[,HOST:PORT]")]
    Kafka(String),
}

impl StartError {
    /// The address that could not be had, if it is about one.
    #[must_use]
    pub fn address(&self) -> Option<SocketAddr> {
        match self {
            Self::Listen { address, .. } => Some(*address),
            Self::NoKafka | Self::Kafka(_) => None,
        }
    }
}

/// A running sidecar; it stops when its token is cancelled, and the tracker then waits for it.
pub struct Sidecar {
    address: SocketAddr,
    grpc: Option<SocketAddr>,
    runtime: Arc<Runtime>,
}

impl Sidecar {
    /// Opens the APIs, then asks the apps what they subscribe to, in the background.
    pub async fn start(
        settings: Settings,
        clock: Arc<dyn Clock>,
        token: CancellationToken,
        tracker: TaskTracker,
    ) -> Result<Self, StartError> {
        if settings.kafka.is_some() && !KAFKA_BUILT_IN {
            return Err(StartError::NoKafka);
        }
        let (listener, address) = listen(settings.listen).await?;
        let grpc = match settings.grpc {
            Some(wanted) => Some(listen(wanted).await?),
            None => None,
        };
        let channel = Arc::new(HttpChannel::new(Arc::clone(&clock)));
        let chance: Arc<dyn Chance> = Arc::new(Luck::default());
        let broker = Broker::open(&settings, &clock, &chance);
        let broker = broker.map_err(|error| StartError::Kafka(error.to_string()))?;
        let runtime = Runtime::over(broker, settings, clock, channel, chance, token, tracker);
        server::serve(&runtime, listener, runtime.router(), Version::Http1);
        let grpc = grpc.map(|(listener, address)| {
            server::serve(&runtime, listener, grpc::router(&runtime), Version::Http2);
            address
        });
        runtime.discover();
        tracing::info!(%address, grpc = grpc.map(tracing::field::display), "the embedded sidecar listens");
        Ok(Self { address, grpc, runtime })
    }

    /// The address the HTTP API is bound to.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address the gRPC API is bound to, if there is one.
    #[must_use]
    pub fn grpc_address(&self) -> Option<SocketAddr> {
        self.grpc
    }

    /// Everything that happens from now on.
    #[must_use]
    pub fn observe(&self) -> broadcast::Receiver<Observation> {
        self.runtime.observe()
    }
}

async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let refused = |source| StartError::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    Ok((listener, bound))
}
