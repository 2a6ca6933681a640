//! `restore`: what a restore from a backup has left to decide, told to the running worker, which holds the store.

use clap::{Subcommand, ValueEnum};
use serde::Deserialize;
use serde_json::json;

use super::options::ConfigOptions;
use super::terminal::harmless;
use super::{Context, Failure, http, ops};
use crate::config::Config;

/// Arguments of `restore`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tell what the store was restored from, what is missing and what is held
    Show(Show),
    /// Say that a restore is known, and what becomes of reminders that are held since then
    Confirm(Confirm),
}

#[derive(Debug, clap::Args)]
struct Show {
    #[command(flatten)]
    config: ConfigOptions,
}

#[derive(Debug, clap::Args)]
struct Confirm {
    /// What becomes of reminders that are held
    #[arg(long, value_enum)]
    overdue: Option<Overdue>,
    #[command(flatten)]
    config: ConfigOptions,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Overdue {
    /// They go out, perhaps a second time under the same ids
    Fire,
    /// They expire
    Drop,
}

#[derive(Deserialize)]
struct Told {
    restored: Option<Restored>,
}

#[derive(Deserialize)]
struct Restored {
    restored_at: String,
    backup: String,
    missing_from: String,
    set_aside: Option<String>,
    reason: Option<String>,
    overdue: String,
    confirmed_at: Option<String>,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<String, Failure> {
    let told = match args.command {
        Command::Show(Show { config }) => {
            let config = config.load(&context.env)?.config;
            let url = http::url(config.ops.address(), "ops.port", &["api", "v1", "restore"])?;
            ask(&config, http::client()?.get(url)).await?
        }
        Command::Confirm(Confirm { overdue, config }) => {
            let config = config.load(&context.env)?.config;
            let url = http::url(config.ops.address(), "ops.port", &["api", "v1", "restore", "confirm"])?;
            let said = match overdue {
                None => json!({}),
                Some(Overdue::Fire) => json!({ "overdue": "fire" }),
                Some(Overdue::Drop) => json!({ "overdue": "drop" }),
            };
            let request = http::client()?.post(url).header("content-type", "application/json");
            ask(&config, request.body(said.to_string())).await?
        }
    };
    Ok(told.restored.map_or_else(|| "the store was never restored from a backup\n".to_owned(), |r| shown(&r)))
}

async fn ask(config: &Config, request: reqwest::RequestBuilder) -> Result<Told, Failure> {
    let answer = ops::ask(config, request).await?.ok_or_else(|| ops::nobody(config))?;
    ops::told(config, &answer)
}

fn shown(restored: &Restored) -> String {
    let mut text = format!(
        "restored at {} from {}\n  missing    what was committed from {} on\n",
        harmless(&restored.restored_at),
        harmless(&restored.backup),
        harmless(&restored.missing_from),
    );
    for (name, told) in [("damage", &restored.reason), ("set aside", &restored.set_aside)] {
        if let Some(told) = told {
            text.push_str(&format!("  {name:<9}  {}\n", harmless(told)));
        }
    }
    let overdue = match restored.overdue.as_str() {
        "held" => "held until `reminder-worker restore confirm --overdue fire` or `--overdue drop`",
        "dropping" => "being dropped",
        _ => "not held",
    };
    text.push_str(&format!("  what was due by then  {overdue}\n"));
    text.push_str(&match &restored.confirmed_at {
        Some(at) => format!("  confirmed  {}\n", harmless(at)),
        None => "  confirmed  not yet: `reminder-worker restore confirm`\n".to_owned(),
    });
    text
}
