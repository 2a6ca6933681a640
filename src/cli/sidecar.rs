//! `sidecar`: the stand-in for Dapr alone, beside apps that run on their own.
//!
//! Several of them on one Kafka are members of one consumer group for each app id, as the sidecars of an app's
//! replicas are.

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;

use super::options::ConfigOptions;
use super::serve::obeying_signals;
use super::stand_in::{self, host_and_port};
use super::{Context, Failure};
use crate::config::Loaded;
use crate::shutdown::Shutdown;
use crate::sidecar;

/// Arguments of `sidecar`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Deliver to this app under this id, its consumer group, such as orders=127.0.0.1:8000; may be repeated, the first is
    /// the publisher
    #[arg(long = "app", value_name = "ID=HOST:PORT", value_parser = app, required = true)]
    apps: Vec<(String, String)>,
    #[command(flatten)]
    stand_in: stand_in::Options,
    #[command(flatten)]
    pub(super) config: ConfigOptions,
}

/// Runs until a signal stops it.
pub(super) async fn run(args: Args, loaded: Loaded, context: &Context) -> Result<(), Failure> {
    let config = loaded.config;
    context.start_logs(&config.log)?;
    if let Some(id) = repeated(&args.apps) {
        return Err(Failure::usage(format!("--app: two apps are called `{id}`; give each an id of its own")));
    }
    // Arguments without an app are refused.
    let first = args.apps.first().map_or("", |(id, _)| id);
    let apps = args.apps.iter().map(|(id, address)| stand_in::app(&config, id.clone(), address.clone()));
    let settings = sidecar::Settings { apps: apps.collect(), ..args.stand_in.settings(&config, first)? };
    let shutdown = Shutdown::new(Arc::clone(&context.clock), config.shutdown.grace);
    let until_stopped = async {
        let running = args.stand_in.start(settings, &context.clock).await?;
        greet(running.sidecar.address());
        shutdown.soft().cancelled().await;
        running.stop(context.clock.as_ref()).await;
        Ok(())
    };
    obeying_signals(&shutdown, until_stopped).await
}

fn greet(address: SocketAddr) {
    // Whoever has gone away needs no address.
    let _ = writeln!(std::io::stdout(), "http://{address}");
}

/// An id that was given twice: the apps of one group would share its messages between them.
fn repeated(apps: &[(String, String)]) -> Option<&str> {
    let mut seen = BTreeSet::new();
    apps.iter().map(|(id, _)| id.as_str()).find(|id| !seen.insert(*id))
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
    fn an_app_is_an_id_of_its_own_and_an_address() {
        assert_eq!(app("a=h:1"), Ok(("a".to_owned(), "h:1".to_owned())));
        let two = |first: &str, second: &str| [first, second].map(|id| (id.to_owned(), "h:1".to_owned()));
        assert_eq!((repeated(&two("a", "b")), repeated(&two("a", "a"))), (None, Some("a")));
        for bad in ["h:1", "=h:1", "a=h", "a="] {
            assert!(app(bad).is_err(), "{bad}");
        }
    }
}
