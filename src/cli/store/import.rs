//! `store import`: a store made of a backup or an export.

use std::path::{Path, PathBuf};

use super::{Context, Failure, named, of_restore};
use crate::cli::backup;
use crate::cli::options::ConfigOptions;
use crate::config::OverdueThen;
use crate::store::sled::{Origin, Shelf, SledStore};

/// Arguments of `store import`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// A backup or an export
    file: PathBuf,
    /// Where a store is there already, keep it as NAME.damaged-WHEN beside the new one
    #[arg(long)]
    set_aside: bool,
    #[command(flatten)]
    config: ConfigOptions,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<String, Failure> {
    let config = args.config.load(&context.env)?.config;
    is_there(&args.file)?;
    let holds = config.restore.overdue == OverdueThen::Hold;
    let now = context.clock.now();
    let aside = args.set_aside.then(|| Origin::name_aside(&config.store.path, now));
    let origin = Origin { now, holds, aside, reason: None };
    let shelf = backup::shelf(&config);
    let imported = SledStore::import(&config.store.path, config.store.cache_mb, &args.file, origin, &shelf);
    let (contents, beside) = imported.map_err(of_restore)?;
    let overdue = if holds {
        "what was due by now waits until `reminder-worker restore confirm`"
    } else {
        "what was due by now goes out when the worker starts"
    };
    let mut made = format!(
        "made the store {} of {}: it is of {}, and what was committed later is missing; {overdue}\n",
        named(&config),
        args.file.display(),
        contents.finished,
    );
    if beside.users > 0 {
        made.push_str(&format!(
            "users erased since, or whose erasing was cut off: {}; the worker's start erases them\n",
            beside.users
        ));
    }
    if beside.unread > 0 {
        // Made all the same: who was erased is no reason to keep everybody's reminders back.
        return Err(Failure::failed(format!(
            "{made}but {} lines beside the file that name users who were erased can't be read: who they name is in the \
             store again; erase them once more (reminder-worker users erase)",
            beside.unread
        )));
    }
    Ok(made)
}

/// That there is a file to be read, before anything is made.
fn is_there(file: &Path) -> Result<(), Failure> {
    let shown = file.display();
    if file.is_dir() {
        let kept = Shelf::new(file.to_owned(), 1).list()?;
        let names: Vec<&str> = kept.iter().map(|kept| kept.name.as_str()).collect();
        let holds = match names.as_slice() {
            [] => "no backup is in it".to_owned(),
            names => format!("in it, the newest first: {}", names.join(", ")),
        };
        return Err(Failure::usage(format!("{shown} is a directory; name a backup or an export; {holds}")));
    }
    match std::fs::File::open(file) {
        Ok(_) => Ok(()),
        Err(error) => Err(Failure::failed(format!(
            "{shown} cannot be read: {error}; name a backup (they lie in backup.dir, by default NAME.backups beside the store) \
             or an export"
        ))),
    }
}
