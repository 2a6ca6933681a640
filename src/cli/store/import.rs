//! `store import`: a store made of a backup or an export.

use std::path::PathBuf;

use super::{Context, Failure, named, of_restore};
use crate::cli::backup;
use crate::cli::options::ConfigOptions;
use crate::config::OverdueThen;
use crate::store::sled::{Origin, SledStore};

/// Arguments of `store import`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A backup or an export
    file: PathBuf,
    #[command(flatten)]
    config: ConfigOptions,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<String, Failure> {
    let config = args.config.load(&context.env)?.config;
    let holds = config.restore.overdue == OverdueThen::Hold;
    let origin = Origin { now: context.clock.now(), holds, aside: None, reason: None };
    // First: the worker that starts on the store must find them.
    let erased = backup::shelf(&config).note_erased_beside(&args.file, context.clock.now())?;
    let contents = SledStore::import(&config.store.path, config.store.cache_mb, &args.file, origin)
        .map_err(of_restore)?;
    let overdue = if holds {
        "what was due by now waits until `reminder-worker restore confirm`"
    } else {
        "what was due by now goes out when the worker starts"
    };
    let erased = match erased {
        0 => String::new(),
        some => format!(
            "users erased since, or whose erasing was cut off: {some}; the worker's start erases them\n"
        ),
    };
    Ok(format!(
        "made the store {} of {}: it is of {}, and what was committed later is missing; {overdue}\n{erased}",
        named(&config),
        args.file.display(),
        contents.finished,
    ))
}
