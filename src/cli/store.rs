//! `store`: a store at rest, which no worker holds: written into a file and made of one, looked through, rewritten.

mod compact;
mod export;
mod import;
mod stats;
mod verify;

use std::path::{Path, PathBuf};

use clap::Subcommand;

use super::options::ConfigOptions;
use super::{Context, Exit, Failure, backup};
use crate::config::Config;
use crate::store::OpenError;
use crate::store::sled::{BackupError, FileError, RestoreError, SledStore};

/// Arguments of `store`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Write all that a store holds into a file; the store is not written
    Export(export::Args),
    /// Make a store of a backup or an export, in a directory that is not there or empty
    Import(import::Args),
    /// Read everything in a store, a backup or an export, and tell what is wrong with it
    Verify(verify::Args),
    /// Rewrite a store into as little room as it needs
    Compact(compact::Args),
    /// Tell how much of what a store, a backup or an export holds
    Stats(stats::Args),
}

pub(super) fn run(args: Args, context: &Context) -> Result<String, Failure> {
    match args.command {
        Command::Export(args) => export::run(&args, context),
        Command::Import(args) => import::run(&args, context),
        Command::Verify(args) => verify::run(&args, context),
        Command::Compact(args) => compact::run(&args, context),
        Command::Stats(args) => stats::run(&args, context),
    }
}

/// What is looked at: a store or a file.
#[derive(Debug, clap::Args)]
struct Looked {
    /// Directory of a store, a backup or an export; without one, the store of the configuration
    #[arg(value_name = "DIR|FILE")]
    path: Option<PathBuf>,
    #[command(flatten)]
    config: ConfigOptions,
}

impl Looked {
    /// Runs `look` on a copy, and says what it was.
    fn at<T>(
        &self,
        context: &Context,
        look: impl FnOnce(&SledStore, &Path) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut config = self.config.load(&context.env)?.config;
        if let Some(path) = &self.path {
            // Whoever starts a worker on it gives it this path, and its backups lie beside it.
            config.store.path.clone_from(path);
        }
        let path = &config.store.path;
        if path.is_file() {
            let (store, _) = SledStore::of_file(path).map_err(|error| of_file(path, &error))?;
            return look(&store, path);
        }
        let copied = SledStore::copied(path, config.store.cache_mb).map_err(|error| match error {
            OpenError::Damaged { ref reason, .. } => {
                let foreseen = backup::recovery(&config, context).foresee(path, reason);
                Failure::new(Exit::Store, format!("{error}\nas it is, {foreseen}"))
            }
            error => of_open(error),
        })?;
        look(&copied.store, path)
    }
}

/// The store is held, most likely by its worker.
fn of_open(error: OpenError) -> Failure {
    match error {
        OpenError::Held { path, holder } => Failure::new(
            Exit::Store,
            format!(
                "the store {path} is held by {holder}; stop that process first, or run `reminder-worker backup`, which the \
                 running worker carries out, and look at that file"
            ),
        ),
        other => Failure::from(other),
    }
}

fn of_file(path: &Path, error: &FileError) -> Failure {
    Failure::failed(format!("{}: {error}", path.display()))
}

fn of_restore(error: RestoreError) -> Failure {
    match error {
        RestoreError::Open(error) => of_open(error),
        error @ (RestoreError::File { .. } | RestoreError::Notes(_)) => Failure::failed(error.to_string()),
    }
}

impl From<BackupError> for Failure {
    fn from(error: BackupError) -> Self {
        Self::failed(error.to_string())
    }
}

/// The store of the configuration, as a person would name it.
fn named(config: &Config) -> String {
    config.store.path.display().to_string()
}

/// Bytes for a person.
fn bytes(count: u64) -> String {
    const UNITS: [&str; 4] = ["B", "kB", "MB", "GB"];
    let mut value = count as f64;
    let mut unit = 0;
    while value >= 1000.0 && unit + 1 < UNITS.len() {
        value /= 1000.0;
        unit += 1;
    }
    if unit == 0 { format!("{count} B") } else { format!("{value:.1} {}", UNITS[unit]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_told_in_the_unit_that_fits() {
        for (count, told) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (25_449_000, "25.4 MB"),
            (u64::MAX, "18446744073.7 GB"),
        ] {
            assert_eq!(bytes(count), told);
        }
    }
}
