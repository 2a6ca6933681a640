//! `serve`: the worker beside a Dapr sidecar.

use std::sync::Arc;

use super::options::ConfigOptions;
use super::{Context, Exit, Failure};
use crate::app::{self, AppError, Running};
use crate::config::{Config, Loaded};
use crate::shutdown::{ProcessSignals, Shutdown};
use crate::store::sled::SledStore;
use crate::telemetry;

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) config: ConfigOptions,
}

/// Runs until a signal stops it.
pub(super) async fn run(_args: Args, loaded: Loaded, context: &Context) -> Result<(), Failure> {
    context.start_logs(&loaded.config.log)?;
    let shutdown = Shutdown::new(Arc::clone(&context.clock), loaded.config.shutdown.grace);
    obeying_signals(&shutdown, async {
        start(loaded.config, context, &shutdown).await?.wait().await.map_err(Failure::from)
    })
    .await
}

/// Opens the store and starts the worker on it.
pub(super) async fn start(
    config: Config,
    context: &Context,
    shutdown: &Shutdown,
) -> Result<Running, Failure> {
    let (path, cache_mb) = (config.store.path.clone(), config.store.cache_mb);
    // Blocks on the disk.
    let store = tokio::task::spawn_blocking(move || SledStore::open(&path, cache_mb))
        .await
        .map_err(|panic| Failure::new(Exit::Store, format!("opening the store broke off: {panic}")))??;
    let metrics = telemetry::start_metrics()
        .map_err(|error| Failure::failed(format!("metrics cannot be started: {error}")))?;
    let clock = Arc::clone(&context.clock);
    Ok(app::start(config, Arc::new(store), metrics, clock, shutdown.clone()).await?)
}

/// Runs `work` to its end while signals stop `shutdown`. Listening is none of the drain's tasks: it must be
/// there for a second signal.
pub(super) async fn obeying_signals<T>(
    shutdown: &Shutdown,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let signals = ProcessSignals::listen()
        .map_err(|error| Failure::failed(format!("the system lets nobody listen for signals: {error}")))?;
    let obey = async {
        shutdown.obey(signals).await;
        std::future::pending().await
    };
    tokio::select! {
        done = work => done,
        never = obey => never,
    }
}

impl From<AppError> for Failure {
    fn from(error: AppError) -> Self {
        let exit = if matches!(error, AppError::Unusable(_)) { Exit::Store } else { Exit::Failed };
        Self::new(exit, error.to_string())
    }
}
