//! A sidecar under test: the embedded one in this process, or a daprd as a process of its own.

use std::future::IntoFuture as _;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use reminder_worker::clock::SystemClock;
use reminder_worker::sidecar::{App, AppHealth, InboundRetry, Profile, Settings, Sidecar};
use reqwest::{Client, RequestBuilder};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use tokio_util::task::TaskTracker;

use crate::daprd::Process;
use crate::found::Daprd;
use crate::wait::until_within;

/// The name of the component, as the worker and the recordings have it.
pub(crate) const COMPONENT: &str = "kafka-pubsub";

/// Between two probes of an app's health, and bad ones that make it unhealthy.
pub(crate) const PROBE_EVERY: Duration = Duration::from_secs(1);
pub(crate) const PROBES_BAD: u32 = 2;

/// How long a sidecar may take to subscribe to everything: on a broker that makes a hundred topics meanwhile.
const SUBSCRIBED_MAX: Duration = Duration::from_secs(90);

/// Which sidecar.
#[derive(Clone)]
pub(crate) enum Kind {
    /// Playing its broker.
    Embedded,
    /// On a broker that is there; needs the feature `kafka`.
    EmbeddedOnKafka,
    Daprd(Daprd),
}

impl Kind {
    /// As the table's columns have it.
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Embedded => "embedded",
            Self::EmbeddedOnKafka => "embedded on a real",
            Self::Daprd(_) => "daprd",
        }
    }
}

/// The broker behind a sidecar: its address, unless the sidecar plays it.
#[derive(Clone, Debug)]
pub(crate) struct Broker {
    pub(crate) profile: Profile,
    pub(crate) address: String,
}

impl Broker {
    /// One that is nowhere: in-memory, or played by the embedded sidecar.
    pub(crate) fn played(profile: Profile) -> Self {
        Self { profile, address: String::new() }
    }

    pub(crate) fn at(profile: Profile, address: &str) -> Self {
        Self { profile, address: address.to_owned() }
    }

    /// Whether it is a Kafka of flesh and blood.
    pub(crate) fn is_real_kafka(&self) -> bool {
        self.profile == Profile::Kafka && !self.address.is_empty()
    }
}

/// What a sidecar is started with.
#[derive(Clone)]
pub(crate) struct Spec {
    pub(crate) broker: Broker,
    pub(crate) app_id: &'static str,
    pub(crate) app_port: u16,
    /// Consumer group on a broker that others use too.
    pub(crate) group: String,
    /// Where the HTTP API listens.
    pub(crate) port: u16,
    pub(crate) retry: Option<InboundRetry>,
    /// What is sent to the app.
    pub(crate) app_token: Option<&'static str>,
    /// What callers must show.
    pub(crate) api_token: Option<&'static str>,
    /// Whether the app's health is probed, once a second.
    pub(crate) app_health: bool,
}

/// A running sidecar.
pub(crate) struct Running {
    pub(crate) port: u16,
    client: Client,
    api_token: Option<&'static str>,
    host: Host,
}

enum Host {
    Embedded(DropGuard, TaskTracker),
    Daprd(Process),
}

impl Running {
    pub(crate) async fn start(kind: &Kind, spec: &Spec) -> Self {
        let host = match kind {
            Kind::Embedded | Kind::EmbeddedOnKafka => embedded(spec).await,
            Kind::Daprd(daprd) => Host::Daprd(Process::start(daprd, spec)),
        };
        let client = Client::builder().no_proxy().build().unwrap();
        Self { port: spec.port, client, api_token: spec.api_token, host }
    }

    /// A request to its API, with the token.
    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.authorised(self.client.post(self.url(path)))
    }

    /// The same, showing no token.
    pub(crate) fn post_without_token(&self, path: &str) -> RequestBuilder {
        self.client.post(self.url(path))
    }

    /// Waits until it is healthy and has this many subscriptions.
    pub(crate) async fn has_subscriptions(&self, count: usize) {
        let seen = until_within(SUBSCRIBED_MAX, async || {
            self.lives();
            let healthz = self.client.get(self.url("/v1.0/healthz")).send().await.ok()?;
            let ready = healthz.status() == 204 && self.subscriptions().await?.len() >= count;
            ready.then_some(())
        });
        assert!(seen.await.is_some(), "never seen: {count} subscriptions of the sidecar");
    }

    /// What its metadata lists.
    pub(crate) async fn subscriptions(&self) -> Option<Vec<Value>> {
        let asked = self.authorised(self.client.get(self.url("/v1.0/metadata"))).send().await.ok()?;
        let metadata: Value = serde_json::from_slice(&asked.bytes().await.ok()?).ok()?;
        Some(metadata["subscriptions"].as_array().cloned().unwrap_or_default())
    }

    /// Ends it in the middle of whatever it does: daprd by SIGKILL. Nothing of this process can be killed alone, so
    /// the embedded one stops, which leaves its group; `tests/kafka-stack` kills it as a process.
    pub(crate) async fn end(self) {
        match self.host {
            Host::Embedded(stop, tracker) => {
                drop(stop);
                tracker.close();
                tracker.wait().await;
            }
            Host::Daprd(process) => drop(process),
        }
    }

    fn url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    fn authorised(&self, request: RequestBuilder) -> RequestBuilder {
        match self.api_token {
            Some(token) => request.header("dapr-api-token", token),
            None => request,
        }
    }

    fn lives(&self) {
        if let Host::Daprd(process) = &self.host {
            process.assert_running();
        }
    }
}

async fn embedded(spec: &Spec) -> Host {
    let app = |id: &str, address: String| App {
        app_id: id.into(),
        address,
        api_token: spec.app_token.map(Into::into),
    };
    let address = format!("127.0.0.1:{}", spec.app_port);
    let kafka = spec.broker.is_real_kafka().then(|| spec.broker.address.clone());
    let (token, tracker) = (CancellationToken::new(), TaskTracker::new());
    let apps = match kafka {
        None => vec![app(spec.app_id, address)],
        // An app's consumer group is its id, and others on the broker have the same. The first app names the source of
        // events: one that subscribes to nothing.
        Some(_) => vec![app(spec.app_id, mute(&token, &tracker).await), app(&spec.group, address)],
    };
    let settings = Settings {
        listen: (Ipv4Addr::LOCALHOST, spec.port).into(),
        profile: spec.broker.profile,
        component: COMPONENT.into(),
        kafka,
        apps,
        api_token: spec.api_token.map(Into::into),
        resiliency: spec.retry,
        app_health: spec.app_health.then(|| AppHealth {
            interval: PROBE_EVERY,
            threshold: PROBES_BAD,
            ..AppHealth::default()
        }),
        ..Settings::default()
    };
    let started = Sidecar::start(settings, Arc::new(SystemClock::new()), token.clone(), tracker.clone());
    started.await.unwrap();
    Host::Embedded(token.drop_guard(), tracker)
}

/// The address of an app that is well and answers 404 to everything else.
async fn mute(token: &CancellationToken, tracker: &TaskTracker) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let serving = axum::serve(listener, Router::new().route("/healthz", get(|| async {}))).into_future();
    tracker.spawn(token.clone().run_until_cancelled_owned(serving));
    address
}
