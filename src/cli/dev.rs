//! `dev`: the worker with a stand-in for Dapr.

use clap::ValueEnum;

use super::options::ConfigOptions;
use super::{Context, Failure};
use crate::config::Loaded;

/// Arguments of `dev`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Deliver to this app too, such as 127.0.0.1:8000; may be repeated
    #[arg(long = "app", value_name = "HOST:PORT", value_parser = host_and_port)]
    pub(super) apps: Vec<String>,
    /// Send a small day of tasks that fall due within seconds, and show what becomes of them
    #[arg(long)]
    pub(super) demo: bool,
    /// The broker whose habits the stand-in has
    #[arg(long, value_enum, default_value_t = Profile::Kafka)]
    pub(super) profile: Profile,
    /// Port of the stand-in for Dapr
    #[arg(long, default_value_t = 3500)]
    pub(super) port: u16,
    #[command(flatten)]
    pub(super) config: ConfigOptions,
}

/// The broker whose habits the stand-in has.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
pub(super) enum Profile {
    Kafka,
    Redis,
    InMemory,
}

/// Runs until a signal stops it, or the demonstration is over.
pub(super) async fn run(_args: Args, loaded: Loaded, context: &Context) -> Result<(), Failure> {
    context.start_logs(&loaded.config.log)?;
    Err(Failure::failed("this build has no worker yet"))
}

/// `host:port`, the host a name or an address.
fn host_and_port(text: &str) -> Result<String, String> {
    let valid =
        text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if valid { Ok(text.to_owned()) } else { Err("write HOST:PORT, such as 127.0.0.1:8000".to_owned()) }
}
