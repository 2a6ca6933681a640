//! `store verify`: what is wrong with a store, a backup or an export.

use super::{Context, Exit, Failure, Looked};
use crate::cli::terminal::harmless;
use crate::store::sled::{FINDINGS_MAX, Findings};

/// Arguments of `store verify`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    looked: Looked,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<String, Failure> {
    args.looked.at(context, |store, path| {
        let findings = store
            .verify()
            .map_err(|error| Failure::new(Exit::Store, format!("{}: {error}", path.display())))?;
        if findings.count == 0 {
            let entries: u64 = findings.spaces.values().map(|space| space.entries).sum();
            return Ok(format!(
                "{} is whole: {entries} entries, all of them read and compared\n",
                path.display()
            ));
        }
        Err(Failure::failed(told(&path.display().to_string(), &findings)))
    })
}

fn told(path: &str, findings: &Findings) -> String {
    let mut text = format!("{path}: {} of what it holds does not agree or cannot be read", findings.count);
    for wrong in &findings.wrong {
        text.push_str("\n  ");
        text.push_str(&harmless(wrong));
    }
    if findings.count > FINDINGS_MAX as u64 {
        text.push_str(&format!("\n  and {} more", findings.count - FINDINGS_MAX as u64));
    }
    text.push_str("\ndocs/recovery.md says what to do");
    text
}
