//! `sidecar`: the stand-in for Dapr alone, beside apps that run on their own.
//!
//! Several of them on one Kafka are members of one consumer group for each app id, as the sidecars of an app's
//! replicas are.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::broker::BrokerOptions;
use super::dev::host_and_port;
use super::options::ConfigOptions;
use super::serve::obeying_signals;
use super::{Context, Failure};
use crate::config::{Loaded, Secret};
use crate::shutdown::Shutdown;
use crate::sidecar::{self, Sidecar};

/// Arguments of `sidecar`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Deliver to this app under this id, such as orders=127.0.0.1:8000; may be repeated, the first is the publisher
    #[arg(long = "app", value_name = "ID=HOST:PORT", value_parser = app, required = true)]
    apps: Vec<(String, String)>,
    #[command(flatten)]
    broker: BrokerOptions,
    /// Port of the HTTP API; 0 takes a free one, which is printed
    #[arg(long, default_value_t = 3500)]
    port: u16,
    #[command(flatten)]
    pub(super) config: ConfigOptions,
}

/// Runs until a signal stops it.
pub(super) async fn run(args: Args, loaded: Loaded, context: &Context) -> Result<(), Failure> {
    let config = loaded.config;
    context.start_logs(&config.log)?;
    let token = |secret: &Option<Secret>| secret.as_ref().map(|s| s.expose().to_owned());
    let settings = sidecar::Settings {
        listen: (Ipv4Addr::LOCALHOST, args.port).into(),
        component: config.dapr.pubsub.clone(),
        apps: args
            .apps
            .iter()
            .map(|(id, address)| sidecar::App {
                app_id: id.clone(),
                address: address.clone(),
                api_token: token(&config.app.api_token),
            })
            .collect(),
        api_token: token(&config.dapr.api_token),
        ..args.broker.settings()?
    };
    let shutdown = Shutdown::new(Arc::clone(&context.clock), config.shutdown.grace);
    obeying_signals(&shutdown, until_stopped(settings, context, &shutdown)).await
}

async fn until_stopped(
    settings: sidecar::Settings,
    context: &Context,
    shutdown: &Shutdown,
) -> Result<(), Failure> {
    let (token, tasks) = (CancellationToken::new(), TaskTracker::new());
    let started = Sidecar::start(settings, Arc::clone(&context.clock), token.clone(), tasks.clone()).await;
    let sidecar = started.map_err(|error| Failure::failed(format!("{error}; --port chooses another")))?;
    greet(sidecar.address());
    shutdown.soft().cancelled().await;
    stop(&token, &tasks, context).await;
    Ok(())
}

/// How long the stand-in may take to tell a broker what was passed, and that it goes.
const PARTING_MAX: Duration = Duration::from_secs(5);

/// Stops a sidecar; a broker that does not answer holds up nobody.
pub(super) async fn stop(token: &CancellationToken, tasks: &TaskTracker, context: &Context) {
    token.cancel();
    tasks.close();
    tokio::select! {
        () = tasks.wait() => {}
        () = context.clock.sleep(PARTING_MAX) => {
            tracing::warn!("the broker does not answer: what was read last will be delivered again");
        }
    }
}

fn greet(address: SocketAddr) {
    // Whoever has gone away needs no address.
    let _ = writeln!(std::io::stdout(), "http://{address}");
}

/// `ID=HOST:PORT`.
fn app(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((id, address)) if !id.is_empty() => Ok((id.to_owned(), host_and_port(address)?)),
        _ => Err("write ID=HOST:PORT, such as orders=127.0.0.1:8000".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_an_id_and_an_address() {
        assert_eq!(app("a=h:1"), Ok(("a".to_owned(), "h:1".to_owned())));
        for bad in ["h:1", "=h:1", "a=h", "a="] {
            assert!(app(bad).is_err(), "{bad}");
        }
    }
}
