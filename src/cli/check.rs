//! `check`: the configuration in force, secrets redacted, and where each value comes from.

use std::fmt::Write as _;

use serde_json::json;

use super::options::ConfigOptions;
use super::terminal::Paint;
use super::{Context, Failure};
use crate::config::Setting;

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print JSON: one object a setting
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigOptions,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<String, Failure> {
    let settings = args.config.load(&context.env)?.settings;
    Ok(if args.json { as_json(&settings) } else { as_toml(&settings, context.colours.out) })
}

/// A TOML file that makes this configuration, with each value's source as a comment.
fn as_toml(settings: &[Setting], paint: Paint) -> String {
    let lines: Vec<_> = settings
        .iter()
        .filter_map(|setting| {
            let (section, key) = setting.key.split_once('.')?;
            Some((section, format!("{key} = {}", setting.value), &setting.source))
        })
        .collect();
    let width = lines.iter().map(|(_, line, _)| line.chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    let mut current = "";
    // Writing to a String cannot fail.
    for (section, line, source) in lines {
        if section != current {
            let gap = if current.is_empty() { "" } else { "\n" };
            let _ = writeln!(text, "{gap}{}", paint.bold(format!("[{section}]")));
            current = section;
        }
        let _ = writeln!(text, "{line:width$}  {}", paint.dim(format!("# {source}")));
    }
    text
}

fn as_json(settings: &[Setting]) -> String {
    let values: Vec<_> = settings
        .iter()
        .map(|s| json!({ "key": s.key, "value": s.value, "source": s.source.to_string() }))
        .collect();
    format!("{:#}\n", json!({ "settings": values }))
}
