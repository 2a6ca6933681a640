//! `store verify`: what is wrong with a store, a backup or an export.

use std::path::Path;

use super::{Context, Exit, Failure, Looked};
use crate::cli::terminal::harmless;
use crate::store::StoreError;
use crate::store::sled::{FINDINGS_MAX, Findings};

/// Arguments of `store verify`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    looked: Looked,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<String, Failure> {
    args.looked.at(context, |store, path| {
        let findings = store.verify().map_err(|error| of_store(path, error))?;
        if findings.count == 0 {
            let entries: u64 = findings.spaces.values().map(|space| space.entries).sum();
            return Ok(format!(
                "{} is whole: {entries} entries, all of them read and compared\n",
                path.display()
            ));
        }
        Err(Failure::failed(told(path, &findings)))
    })
}

/// A reading that did not come to its end; without the advice to do what was just done.
pub(super) fn of_store(path: &Path, error: StoreError) -> Failure {
    let path = path.display();
    match error {
        StoreError::Corrupt(why) => {
            Failure::failed(format!("{path} cannot be read: {why}\ndocs/recovery.md says what to do"))
        }
        error => Failure::new(Exit::Store, format!("{path}: {error}")),
    }
}

fn told(path: &Path, findings: &Findings) -> String {
    let mut text =
        format!("{}: {} of what it holds does not agree or cannot be read", path.display(), findings.count);
    for wrong in &findings.wrong {
        text.push_str("\n  ");
        text.push_str(&harmless(wrong));
    }
    if findings.count > FINDINGS_MAX as u64 {
        text.push_str(&format!("\n  and {} more", findings.count - FINDINGS_MAX as u64));
    }
    text.push_str(if path.is_file() {
        "\na store made of it holds that too; take an older one, or go on as docs/recovery.md (section 1) says"
    } else {
        "\na worker starts on it and passes over what cannot be read; docs/recovery.md (section 1) says what to do"
    });
    text
}
