//! `backup`: a backup now, made by the running worker; where none runs, by this process.

use serde::Deserialize;

use super::options::ConfigOptions;
use super::terminal::harmless;
use super::{Context, Failure, http, ops};
use crate::clock::random_id;
use crate::config::{Config, OverdueThen};
use crate::store::sled::{Identity, Recovery, START_PATIENCE, Shelf};

/// How long a backup may take: it reads the whole store.
const TIMEOUT: std::time::Duration = std::time::Duration::from_secs(3600);

/// Arguments of `backup`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigOptions,
}

#[derive(Deserialize)]
struct Told {
    name: String,
    bytes: u64,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<String, Failure> {
    let loaded = args.config.load(&context.env)?;
    ops::has_named_store(&loaded).await?;
    let config = loaded.config;
    let url = http::url(config.ops.address(), "ops.port", &["api", "v1", "backups"])?;
    let request = http::client()?.post(url).timeout(TIMEOUT).header("content-type", "application/json");
    let told = match ops::ask(&config, request).await? {
        Some(answer) => ops::told(&config, &answer)?,
        None => {
            let store = ops::open_store(&config)?;
            let kept = shelf(&config).make(&store, &|| context.clock.now(), &|| false)?;
            Told { name: kept.name, bytes: kept.bytes }
        }
    };
    Ok(format!("made the backup {}, {} bytes\n", harmless(&told.name), told.bytes))
}

/// What a worker of the configuration does about a damaged store.
pub(super) fn recovery(config: &Config, context: &Context) -> Recovery {
    Recovery {
        shelf: shelf(config),
        auto: config.restore.auto,
        holds: config.restore.overdue == OverdueThen::Hold,
        now: context.clock.now(),
        fresh: Identity::from_bytes(random_id().into_bytes()),
        patience: START_PATIENCE,
    }
}

/// The backups of the configuration.
pub(super) fn shelf(config: &Config) -> Shelf {
    Shelf::new(config.backup_dir(), config.backup.keep).leaving(config.store.reserve_bytes())
}
