//! `users`: what is kept of a user, erased by the running worker; where none runs, by this process.

use std::time::Duration;

use clap::Subcommand;
use serde_json::json;

use super::options::ConfigOptions;
use super::terminal::harmless;
use super::{Context, Failure, backup, http, ops};
use crate::erasing::{Report, erase_user};

/// How long an erasing may take: it walks through every task, step by step between other commands.
const TIMEOUT: Duration = Duration::from_secs(600);

/// Arguments of `users`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Erase what is kept of a user: tasks, reminders, preferences, quarantined events, events not yet published
    Erase(Erase),
}

#[derive(Debug, clap::Args)]
struct Erase {
    /// The user's id
    #[arg(value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    id: String,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigOptions,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<String, Failure> {
    let Command::Erase(Erase { id, json, config }) = args.command;
    let config = config.load(&context.env)?.config;
    let url = http::url(config.ops.address(), "ops.port", &["api", "v1", "users", &id])?;
    let report = match ops::ask(&config, http::client()?.delete(url).timeout(TIMEOUT)).await? {
        Some(answer) => ops::told(&config, &answer)?,
        None => {
            let erase = async |writer| {
                let shelf = backup::shelf(&config);
                shelf.note_erasing(&id, context.clock.now(), false)?;
                let report =
                    erase_user(&writer, &id).await.map_err(|error| Failure::failed(error.to_string()))?;
                shelf.note_erasing(&id, context.clock.now(), true)?;
                Ok(report)
            };
            ops::with_writer(&config, context, erase).await?
        }
    };
    Ok(if json { format!("{:#}\n", json!(report)) } else { shown(&id, &report) })
}

fn shown(id: &str, report: &Report) -> String {
    let Report { tasks, reminders_cancelled, in_flight, preferences, quarantined, outbox, unreadable } =
        *report;
    if [tasks, reminders_cancelled, in_flight, preferences, quarantined, outbox, unreadable]
        .iter()
        .all(|n| *n == 0)
    {
        return format!("nothing is kept of a user {}: nobody of that id was found\n", harmless(id));
    }
    let mut text = format!(
        "erased user {}\n  tasks                {tasks}\n  reminders cancelled  {reminders_cancelled}\n  preferences          {preferences}\n  \
         quarantined events   {quarantined}\n  unpublished events   {outbox}\n",
        harmless(id)
    );
    if in_flight > 0 {
        text.push_str(&format!("  in flight            {in_flight}, which may still go out\n"));
    }
    if unreadable > 0 {
        text.push_str(&format!(
            "  unreadable           {unreadable}, which may be this user's; see the log\n"
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_of_nobody_is_not_told_as_erased() {
        assert_eq!(
            shown("carl", &Report::default()),
            "nothing is kept of a user carl: nobody of that id was found\n"
        );
        let one = Report { preferences: 1, ..Report::default() };
        assert!(shown("ann", &one).starts_with("erased user ann\n"));
    }
}
