//! The stand-in for Dapr as commands run it: its arguments, what they make of it, how it starts and how it stops.
//!
//! Owns the flags for its ports, its broker and its retry, and what is said where they cannot be had. Must never know
//! who the apps are: a command names them.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{Failure, resources};
use crate::clock::Clock;
use crate::config::Config;
use crate::sidecar::{self, Sidecar, StartError};

/// Where SDKs look for gRPC unless told otherwise.
const GRPC_PORT: u16 = 50001;

/// How long it may take to tell a broker what was passed, and that it goes: several round trips to one that answers,
/// and short beside the grace of whatever waits for the process to end.
const PARTING_MAX: Duration = Duration::from_secs(5);

/// The arguments about the stand-in.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Port of the stand-in for Dapr
    #[arg(long, default_value_t = 3500, value_parser = clap::value_parser!(u16).range(1..))]
    port: u16,
    /// Port where the stand-in takes publishes over gRPC, as Dapr's SDKs send them [default: 50001, if it is free]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    grpc_port: Option<u16>,
    /// The broker whose habits the stand-in has
    #[arg(long, value_enum, default_value_t = Profile::Kafka)]
    profile: Profile,
    /// Brokers of a real Kafka or Redpanda to run on, in place of one in memory
    #[arg(long, value_name = "HOST:PORT[,HOST:PORT]", value_parser = hosts_and_ports, conflicts_with = "profile")]
    kafka: Option<String>,
    /// Take the broker's habits and the inbound retry from the Dapr resources of this directory; the broker stays one in
    /// memory, whatever `brokers` they name, unless --kafka is given too
    #[arg(long, value_name = "DIR", conflicts_with = "profile")]
    resources_path: Option<PathBuf>,
}

/// The broker whose habits the stand-in has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Profile {
    Kafka,
    Redis,
    InMemory,
}

/// A stand-in that runs.
pub(super) struct StandIn {
    pub(super) sidecar: Sidecar,
    token: CancellationToken,
    tasks: TaskTracker,
}

impl Options {
    /// Where its HTTP API will listen.
    pub(super) fn address(&self) -> SocketAddr {
        (Ipv4Addr::LOCALHOST, self.port).into()
    }

    /// The brokers of the real Kafka that it runs on, if it does.
    pub(super) fn kafka(&self) -> Option<&str> {
        self.kafka.as_deref()
    }

    /// What these arguments make, without apps; resources are read as the sidecar of `app_id` would.
    pub(super) fn settings(&self, config: &Config, app_id: &str) -> Result<sidecar::Settings, Failure> {
        let (profile, resiliency) = match &self.resources_path {
            Some(dir) => resources::broker(dir, &config.dapr.pubsub, app_id)?,
            None => (self.profile.into(), None),
        };
        if self.kafka.is_some() && profile != sidecar::Profile::Kafka {
            return Err(Failure::usage(format!(
                "--kafka: component `{}` of --resources-path is {}; leave --kafka out, or name resources in which it is {}",
                config.dapr.pubsub,
                profile.component_type(),
                sidecar::Profile::Kafka.component_type(),
            )));
        }
        if self.kafka.is_some() && !sidecar::KAFKA_BUILT_IN {
            return Err(Failure::usage(format!("--kafka: {}", StartError::NoKafka)));
        }
        Ok(sidecar::Settings {
            listen: self.address(),
            grpc: Some((Ipv4Addr::LOCALHOST, self.grpc_port.unwrap_or(GRPC_PORT)).into()),
            profile,
            kafka: self.kafka.clone(),
            component: config.dapr.pubsub.clone(),
            api_token: config.dapr.api_token.clone(),
            resiliency,
            ..sidecar::Settings::default()
        })
    }

    /// Starts it; without gRPC where nobody named a port for that and the usual one is taken.
    pub(super) async fn start(
        &self,
        settings: sidecar::Settings,
        clock: &Arc<dyn Clock>,
    ) -> Result<StandIn, Failure> {
        let (token, tasks) = (CancellationToken::new(), TaskTracker::new());
        let start =
            async |settings| Sidecar::start(settings, Arc::clone(clock), token.clone(), tasks.clone()).await;
        let started = match start(settings.clone()).await {
            // All but SDKs can go on.
            Err(error)
                if self.grpc_port.is_none()
                    && error.address().is_some()
                    && error.address() == settings.grpc =>
            {
                tracing::warn!("no gRPC for SDKs: {}", advised(&error, settings.listen));
                start(sidecar::Settings { grpc: None, ..settings.clone() }).await
            }
            started => started,
        };
        match started {
            Ok(sidecar) => Ok(StandIn { sidecar, token, tasks }),
            Err(error) => Err(Failure::failed(advised(&error, settings.listen))),
        }
    }
}

impl StandIn {
    /// Stops it; a broker that does not answer holds up nobody.
    pub(super) async fn stop(self, clock: &dyn Clock) {
        self.token.cancel();
        self.tasks.close();
        tokio::select! {
            () = self.tasks.wait() => {}
            () = clock.wait(PARTING_MAX) => {
                tracing::warn!("the broker does not answer: what was read last will be delivered again");
            }
        }
    }
}

impl From<Profile> for sidecar::Profile {
    fn from(profile: Profile) -> Self {
        match profile {
            Profile::Kafka => Self::Kafka,
            Profile::Redis => Self::Redis,
            Profile::InMemory => Self::InMemory,
        }
    }
}

/// An app that the stand-in delivers to, with the token of the configuration.
pub(super) fn app(config: &Config, app_id: String, address: String) -> sidecar::App {
    sidecar::App { app_id, address, api_token: config.app.api_token.clone() }
}

/// `host:port`, the host a name or an address.
pub(super) fn host_and_port(text: &str) -> Result<String, String> {
    let valid =
        text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if valid { Ok(text.to_owned()) } else { Err("write HOST:PORT, such as 127.0.0.1:8000".to_owned()) }
}

fn hosts_and_ports(text: &str) -> Result<String, String> {
    text.split(',').map(host_and_port).collect::<Result<Vec<_>, _>>().map(|list| list.join(","))
}

/// The error, with the flag that helps where one does.
fn advised(error: &StartError, http: SocketAddr) -> String {
    match error.address() {
        Some(address) if address == http => format!("{error}, or choose another port with --port"),
        Some(_) => format!("{error}, or choose another port with --grpc-port"),
        None => error.to_string(),
    }
}

#[cfg(test)]
mod tests;
