//! `store stats`: how much of what a store, a backup or an export holds.

use super::{Context, Failure, Looked, bytes};
use crate::domain::State;
use crate::store::sled::size;
use crate::store::{Store as _, StoreError};

/// Arguments of `store stats`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    looked: Looked,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<String, Failure> {
    args.looked.at(context, |store, path| {
        let failed = |error: StoreError| super::verify::of_store(path, error);
        let (meta, findings) = (store.meta().map_err(failed)?, store.verify().map_err(failed)?);
        let on_disk = if path.is_file() { path.metadata().map(|found| found.len()) } else { size(path) };
        let on_disk = on_disk.map_err(|error| Failure::failed(format!("{}: {error}", path.display())))?;
        let mut text = format!("{}: {} on disk\n\n", path.display(), bytes(on_disk));
        text.push_str(&format!("{:<30}{:>12}{:>12}{:>12}\n", "", "entries", "keys", "values"));
        for (name, space) in &findings.spaces {
            text.push_str(&format!(
                "{name:<30}{:>12}{:>12}{:>12}\n",
                space.entries,
                bytes(space.keys),
                bytes(space.values)
            ));
        }
        text.push_str(&format!("\nreminders ever planned: {}", meta.ledger.planned));
        for state in State::ALL {
            text.push_str(&format!(", {} {}", meta.reminders.of(state), state.name()));
        }
        text.push_str(&format!("\nevents received: {}\n", meta.ledger.received));
        if let Some(restored) = store.restored().map_err(failed)? {
            text.push_str(&format!(
                "restored at {} from {}, of {}\n",
                restored.at, restored.backup, restored.from
            ));
        }
        if findings.count > 0 {
            text.push_str(&format!("{} findings: run `reminder-worker store verify`\n", findings.count));
        }
        Ok(text)
    })
}
