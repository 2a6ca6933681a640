//! `serve`: the worker beside a Dapr sidecar.

use super::options::ConfigOptions;
use super::{Context, Failure};
use crate::config::Loaded;

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) config: ConfigOptions,
}

/// Runs until a signal stops it.
pub(super) async fn run(_args: Args, loaded: Loaded, context: &Context) -> Result<(), Failure> {
    context.start_logs(&loaded.config.log)?;
    Err(Failure::failed("this build has no worker yet"))
}
