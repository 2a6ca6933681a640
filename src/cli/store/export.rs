//! `store export`: all that a store holds, in one file.

use std::path::PathBuf;

use super::{Context, Failure, bytes, named, of_open};
use crate::cli::options::ConfigOptions;
use crate::store::sled::SledStore;

/// Arguments of `store export`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The file to write; it must not be there yet
    file: PathBuf,
    #[command(flatten)]
    config: ConfigOptions,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<String, Failure> {
    let config = args.config.load(&context.env)?.config;
    let copy = SledStore::copied(&config.store.path, config.store.cache_mb).map_err(of_open)?;
    let written = copy.store.export(&args.file, context.clock.now())?;
    Ok(format!("wrote the store {} into {}, {}\n", named(&config), args.file.display(), bytes(written)))
}
