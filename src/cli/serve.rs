//! `serve`: the worker beside a Dapr sidecar.

use std::sync::Arc;

use super::options::ConfigOptions;
use super::{Context, Exit, Failure, backup};
use crate::app::{self, AppError, Running};
use crate::backups::Backups;
use crate::config::{Config, Loaded};
use crate::http::{APP_CONNECTIONS_MAX, OPS_CONNECTIONS_MAX};
use crate::shutdown::{ProcessSignals, Shutdown};
use crate::store::sled::SledStore;
use crate::telemetry;

/// Arguments of `serve`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Let the system keep the memory of a crash, and who runs as the same user look into it: it holds every token
    #[arg(long)]
    core_dumps: bool,
    #[command(flatten)]
    pub(super) config: ConfigOptions,
}

/// Runs until a signal stops it.
pub(super) async fn run(args: Args, loaded: Loaded, context: &Context) -> Result<(), Failure> {
    context.start_logs(&loaded.config.log)?;
    if !args.core_dumps {
        keep_memory_to_itself();
    }
    let shutdown = Shutdown::new(Arc::clone(&context.clock), loaded.config.shutdown.grace);
    obeying_signals(&shutdown, async {
        start(loaded.config, context, &shutdown).await?.wait().await.map_err(Failure::from)
    })
    .await
}

/// Leaves no core behind in a crash, and lets nobody of the same user trace the process or read its environment: tokens
/// are in both. A core that is piped to a collector heeds no limit, so on Linux the process is none to be dumped at all.
fn keep_memory_to_itself() {
    const ADVICE: &str =
        "a crash may leave the tokens in a core dump; keep the system from writing one (ulimit -c 0)";
    let limit = rlimit::Resource::CORE.get().and_then(|(_, hard)| rlimit::Resource::CORE.set(0, hard));
    if let Err(error) = limit {
        tracing::warn!(%error, "{ADVICE}");
    }
    #[cfg(target_os = "linux")]
    if let Err(error) = rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable)
    {
        tracing::warn!(%error, "{ADVICE}");
    }
}

/// Descriptors that the worker may need at once: one a connection, and a hundred for the store, what it sends, and the
/// runtime.
const DESCRIPTORS_MAX: u64 = (APP_CONNECTIONS_MAX + OPS_CONNECTIONS_MAX + 100) as u64;

/// Asks for as many descriptors as the system allows: the usual soft limit of 1,024 is below what the listeners take.
fn raise_descriptors() {
    match rlimit::increase_nofile_limit(u64::MAX) {
        Ok(limit) if limit >= DESCRIPTORS_MAX => {}
        Ok(limit) => tracing::warn!(
            limit,
            wanted = DESCRIPTORS_MAX,
            "too few open files are allowed for all connections; raise the hard limit (ulimit -Hn)"
        ),
        Err(error) => {
            tracing::warn!(%error, wanted = DESCRIPTORS_MAX, "the limit of open files cannot be raised; raise it (ulimit -n)");
        }
    }
}

/// Opens the store and starts the worker on it.
pub(super) async fn start(
    config: Config,
    context: &Context,
    shutdown: &Shutdown,
) -> Result<Running, Failure> {
    raise_descriptors();
    let (path, cache_mb) = (config.store.path.clone(), config.store.cache_mb);
    let recovery = backup::recovery(&config, context);
    let shelf = recovery.shelf.clone();
    // Blocks on the disk.
    let store = tokio::task::spawn_blocking(move || SledStore::open_or_restore(&path, cache_mb, &recovery))
        .await
        .map_err(|panic| Failure::new(Exit::Store, format!("opening the store broke off: {panic}")))??;
    let metrics = telemetry::start_metrics()
        .map_err(|error| Failure::failed(format!("metrics cannot be started: {error}")))?;
    let (clock, store) = (Arc::clone(&context.clock), Arc::new(store));
    let stop = shutdown.soft().clone();
    let backups = Backups::new(Arc::clone(&store), shelf, config.backup.every, Arc::clone(&clock), stop);
    Ok(app::start(config, store, Some(backups), metrics, clock, shutdown.clone()).await?)
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
        let exit = match error {
            AppError::Unusable(_) | AppError::Erasing(_) | AppError::TakenAway(_) => Exit::Store,
            _ => Exit::Failed,
        };
        Self::new(exit, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use rlimit::Resource;

    use super::*;

    #[test]
    fn the_soft_limit_of_descriptors_is_raised_to_the_hard_one() {
        let (_, hard) = Resource::NOFILE.get().unwrap();
        Resource::NOFILE.set(hard - 1, hard).unwrap();
        raise_descriptors();
        assert_eq!(Resource::NOFILE.get().unwrap(), (hard, hard));
    }
}
