//! `store compact`: a store rewritten into as little room as it needs.

use super::{Context, Failure, bytes, named, of_restore};
use crate::cli::options::ConfigOptions;
use crate::store::sled::SledStore;

/// Arguments of `store compact`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    config: ConfigOptions,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<String, Failure> {
    let config = args.config.load(&context.env)?.config;
    let done = SledStore::compact(&config.store.path, config.store.cache_mb, context.clock.now())
        .map_err(of_restore)?;
    if done.after == done.before {
        return Ok(format!(
            "left the store {} as it is: rewritten, its {} entries take no less than {}\n",
            named(&config),
            done.entries,
            bytes(done.before),
        ));
    }
    Ok(format!(
        "compacted the store {}: {} entries, all of them compared, in {} where it was {}\n",
        named(&config),
        done.entries,
        bytes(done.after),
        bytes(done.before),
    ))
}
