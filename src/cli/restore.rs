//! `restore`: what a restore from a backup has left to decide, told to the running worker, which holds the store.

use clap::{Subcommand, ValueEnum};
use serde::Deserialize;
use serde_json::{Value, json};

use super::options::ConfigOptions;
use super::terminal::harmless;
use super::{Context, Failure, http, ops};
use crate::config::Config;
use crate::writer::HELD_COUNTED_MAX;

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
    held: usize,
    confirmed_at: Option<String>,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<String, Failure> {
    match args.command {
        Command::Show(Show { config }) => {
            let told = show(&reached(&config, context).await?).await?;
            Ok(told.restored.map_or_else(|| format!("{NEVER}\n"), |restored| shown(&restored)))
        }
        Command::Confirm(Confirm { overdue, config }) => {
            let config = reached(&config, context).await?;
            let restored = show(&config).await?.restored;
            let said = said(restored.as_ref(), overdue).map_err(Failure::failed)?;
            let url = http::url(config.ops.address(), "ops.port", &["api", "v1", "restore", "confirm"])?;
            let request = http::client()?.post(url).header("content-type", "application/json");
            let told = ask(&config, request.body(said.to_string())).await?;
            Ok(told.restored.as_ref().map(shown).unwrap_or_default())
        }
    }
}

const NEVER: &str = "the store was never restored from a backup";

/// What is sent for what a person says, or why there is nothing to say.
fn said(restored: Option<&Restored>, overdue: Option<Overdue>) -> Result<Value, String> {
    let Some(restored) = restored else { return Err(format!("{NEVER}; there is nothing to confirm")) };
    match (restored.overdue.as_str(), overdue) {
        // It may be none by now, which the worker knows.
        ("held", None) if restored.held == 0 => Ok(json!({})),
        ("held", None) => Err(format!(
            "{} since the restore of {}: say what becomes of them, --overdue fire or --overdue drop",
            held(restored.held),
            harmless(&restored.restored_at)
        )),
        ("held", Some(Overdue::Fire)) => Ok(json!({ "overdue": "fire" })),
        ("held" | "dropping", Some(Overdue::Drop)) => Ok(json!({ "overdue": "drop" })),
        ("dropping", Some(Overdue::Fire)) => {
            Err("what was held is being dropped already: a change of its task plans it anew".into())
        }
        (_, Some(_)) => {
            Err("no reminder is held, so there is nothing to fire or to drop; leave out --overdue".into())
        }
        (_, None) => Ok(json!({})),
    }
}

/// How many wait, for a person.
fn held(count: usize) -> String {
    match count {
        0 => "nothing is held".to_owned(),
        1 => "1 reminder is held".to_owned(),
        HELD_COUNTED_MAX.. => format!("{HELD_COUNTED_MAX} reminders or more are held"),
        _ => format!("{count} reminders are held"),
    }
}

/// The configuration that `named` makes, of which the worker that answers has the store.
async fn reached(named: &ConfigOptions, context: &Context) -> Result<Config, Failure> {
    let loaded = named.load(&context.env)?;
    ops::has_named_store(&loaded).await?;
    Ok(loaded.config)
}

async fn show(config: &Config) -> Result<Told, Failure> {
    let url = http::url(config.ops.address(), "ops.port", &["api", "v1", "restore"])?;
    ask(config, http::client()?.get(url)).await
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
        "held" if restored.held > 0 => format!(
            "{}, until `reminder-worker restore confirm --overdue fire` or `--overdue drop`",
            held(restored.held)
        ),
        "dropping" => format!("being dropped, {} to go", restored.held),
        "held" => format!("{} until now; what comes of it later is, until you confirm", held(0)),
        _ => held(0),
    };
    text.push_str(&format!("  what was due by then  {overdue}\n"));
    text.push_str(&match &restored.confirmed_at {
        Some(at) => format!("  confirmed  {}\n", harmless(at)),
        None => "  confirmed  not yet: `reminder-worker restore confirm`\n".to_owned(),
    });
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn restored(overdue: &str) -> Restored {
        Restored {
            restored_at: "2026-11-25T09:00:00.000Z".into(),
            backup: "b".into(),
            missing_from: "2026-11-25T08:00:00.000Z".into(),
            set_aside: None,
            reason: None,
            overdue: overdue.into(),
            held: 3,
            confirmed_at: None,
        }
    }

    #[test]
    fn what_is_confirmed_is_there_to_be_confirmed_or_it_is_said_what_to_type() {
        use Overdue::{Drop, Fire};
        type Case = (Option<&'static str>, Option<Overdue>, Result<Value, &'static str>);
        let table: [Case; 10] = [
            (None, None, Err("never restored")),
            (None, Some(Fire), Err("nothing to confirm")),
            (Some("fires"), None, Ok(json!({}))),
            (Some("fires"), Some(Fire), Err("leave out --overdue")),
            (Some("fires"), Some(Drop), Err("no reminder is held")),
            (Some("held"), None, Err("3 reminders are held since the restore of 2026-11-25T09:00:00.000Z")),
            (Some("held"), Some(Fire), Ok(json!({"overdue": "fire"}))),
            (Some("held"), Some(Drop), Ok(json!({"overdue": "drop"}))),
            (Some("dropping"), Some(Fire), Err("being dropped already")),
            (Some("dropping"), Some(Drop), Ok(json!({"overdue": "drop"}))),
        ];
        for (state, overdue, expected) in table {
            let told = said(state.map(restored).as_ref(), overdue);
            match (&told, expected) {
                (Ok(sent), Ok(expected)) => assert_eq!(*sent, expected),
                (Err(why), Err(words)) => assert!(why.contains(words), "{why}"),
                _ => panic!("{state:?} {overdue:?}: {told:?}"),
            }
        }
    }

    #[test]
    fn where_nothing_is_held_confirming_is_said_without_a_word_and_told_so() {
        let none = Restored { held: 0, ..restored("held") };
        assert_eq!(said(Some(&none), None), Ok(json!({})));
        let after = Restored { held: 0, confirmed_at: Some("then".into()), ..restored("fires") };
        for told in [shown(&none), shown(&after)] {
            assert!(told.contains("nothing is held") && !told.contains("--overdue"), "{told}");
        }
    }

    #[test]
    fn how_many_are_held_is_told_up_to_what_is_counted() {
        for (count, told) in [
            (0, "nothing is held"),
            (1, "1 reminder is held"),
            (HELD_COUNTED_MAX - 1, "9999 reminders are held"),
            (HELD_COUNTED_MAX, "10000 reminders or more are held"),
        ] {
            assert_eq!(held(count), told);
        }
    }
}
