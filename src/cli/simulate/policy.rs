//! The other configuration of a what-if: the one in force with a file laid over it.
//!
//! The file may differ in what reminders are made by. Where it differs in anything else it is refused: whoever wrote
//! that expects to see what it does, and a simulation would show nothing.

use std::path::Path;

use super::Args;
use crate::cli::{Context, Exit, Failure};
use crate::config::{Config, Loaded};

/// Sections that no rule of reminders is in.
const BESIDE_THE_RULES: [&str; 9] =
    ["store", "app", "ops", "dapr", "topics", "health", "shutdown", "replica", "log"];

/// The configuration `in_force` with `file` laid over it.
pub(super) fn load(
    args: &Args,
    file: &Path,
    in_force: &Loaded,
    context: &Context,
) -> Result<Config, Failure> {
    let other = args.config.load_over(&context.env, file)?;
    let beside: Vec<&str> = in_force
        .settings
        .iter()
        .zip(&other.settings)
        .filter(|(mine, theirs)| mine.value != theirs.value && is_beside(mine.key))
        .map(|(mine, _)| mine.key)
        .collect();
    if beside.is_empty() {
        return Ok(other.config);
    }
    let told = format!(
        "file {}: {} would change nothing of what fires; take it out, --policy compares the rules of reminders",
        file.display(),
        beside.join(", ")
    );
    Err(Failure::new(Exit::Configuration, told))
}

fn is_beside(key: &str) -> bool {
    key.split('.').next().is_some_and(|section| BESIDE_THE_RULES.contains(&section))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_section_named_here_exists_and_the_rules_are_not_among_them() {
        let settings = Config::load(&crate::config::Inputs::default()).unwrap().settings;
        let sections: Vec<&str> = settings.iter().filter_map(|s| s.key.split('.').next()).collect();
        for section in BESIDE_THE_RULES {
            assert!(sections.contains(&section), "{section}");
        }
        assert!(is_beside("store.path") && !is_beside("reminders.default_offsets"));
    }
}
