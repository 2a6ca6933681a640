//! `check`: the configuration in force, secrets redacted, and where each value comes from; and Dapr's resources
//! beside it.

use std::fmt::Write as _;
use std::path::PathBuf;

use serde_json::{Value, json};

use super::options::ConfigOptions;
use super::terminal::Paint;
use super::{Context, Failure, resources};
use crate::config::{Loaded, Setting};

/// Arguments of `check`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Print JSON: one object a setting
    #[arg(long)]
    json: bool,
    /// Check the Dapr resources of this directory too, as nothing in Dapr does
    #[arg(long, value_name = "DIR")]
    resources_path: Option<PathBuf>,
    /// The app id of the worker's sidecar, which scopes are about
    #[arg(long, value_name = "ID", default_value = resources::APP_ID, requires = "resources_path")]
    app_id: String,
    #[command(flatten)]
    config: ConfigOptions,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<String, Failure> {
    let Loaded { config, settings } = args.config.load(&context.env)?;
    let checked = match &args.resources_path {
        Some(dir) => Some(resources::check(dir, &config.dapr.pubsub, &args.app_id)?),
        None => None,
    };
    if args.json {
        let mut told = json!({ "settings": as_json(&settings) });
        if let Some(checked) = checked {
            told["resources"] = checked.json();
        }
        return Ok(format!("{told:#}\n"));
    }
    let mut text = as_toml(&settings, context.colours.out);
    // As comments: what is printed stays a file that makes this configuration.
    for line in
        checked.iter().flat_map(|checked| checked.lines().lines().map(str::to_owned).collect::<Vec<_>>())
    {
        let _ = writeln!(text, "# {line}");
    }
    Ok(text)
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

fn as_json(settings: &[Setting]) -> Vec<Value> {
    settings
        .iter()
        .map(|s| json!({ "key": s.key, "value": s.value, "source": s.source.to_string() }))
        .collect()
}
