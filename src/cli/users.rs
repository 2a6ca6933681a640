//! `users`: what is kept of a user, erased by the running worker or, where none runs, by this process; and a user's token.

use std::time::Duration;

use clap::Subcommand;
use humantime::parse_duration;
use serde_json::json;

use super::options::ConfigOptions;
use super::terminal::harmless;
use super::{Context, Exit, Failure, backup, http, ops};
use crate::erasing::{Report, erase_into};
use crate::secret::user_token;
use crate::store::sled::Erasing;

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
    /// Make a token that reads and acts on the reminders of one user alone, from ops.user_key; no worker is asked
    Token(Token),
}

/// How long a token holds unless another time is asked for: it cannot be taken back alone.
const TOKEN_DEFAULT: &str = "30d";
/// The longest: who wants more is better served by making a new one.
const TOKEN_MAX: Duration = Duration::from_secs(366 * 24 * 60 * 60);

#[derive(Debug, clap::Args)]
struct Token {
    /// The user's id
    #[arg(value_name = "ID", value_parser = clap::builder::NonEmptyStringValueParser::new())]
    id: String,
    /// How long it holds, at most 366d
    #[arg(long = "for", value_name = "SPAN", default_value = TOKEN_DEFAULT, value_parser = lifetime)]
    lifetime: Duration,
    #[command(flatten)]
    config: ConfigOptions,
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let span = parse_duration(text).map_err(|error| format!("{error}; write a span such as 12h or 30d"))?;
    if (Duration::from_secs(1)..=TOKEN_MAX).contains(&span) {
        Ok(span)
    } else {
        Err("write 1s to 366d".to_owned())
    }
}

fn token(Token { id, lifetime, config }: Token, context: &Context) -> Result<String, Failure> {
    let config = config.load(&context.env)?.config;
    let key = config.ops.user_key.as_ref().ok_or_else(|| {
        Failure::new(
            Exit::Configuration,
            "there is no ops.user_key; set the worker's, which makes and takes these tokens",
        )
    })?;
    let expires = context.clock.now().plus(lifetime).millis().div_euclid(1000);
    Ok(format!("{}\n", user_token::sign(key, &id, expires)))
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
    let Erase { id, json, config } = match args.command {
        Command::Erase(erase) => erase,
        Command::Token(wanted) => return token(wanted, context),
    };
    let loaded = config.load(&context.env)?;
    ops::has_named_store(&loaded).await?;
    let config = loaded.config;
    let url = http::url(config.ops.address(), "ops.port", &["api", "v1", "users", &id])?;
    let report = match ops::ask(&config, http::client()?.delete(url).timeout(TIMEOUT)).await? {
        Some(answer) => ops::told(&config, &answer)?,
        None => {
            let erase = async |writer, store| {
                let shelf = backup::shelf(&config).of(store);
                shelf.note_erasing(&id, context.clock.now(), Erasing::Begins)?;
                let mut report = Report::default();
                let erased = erase_into(&writer, &id, &mut report).await;
                // What is half erased is left to the next start.
                if erased.is_ok() || report.is_untouched() {
                    let how = if erased.is_ok() { Erasing::Ended } else { Erasing::Refused };
                    shelf.note_erasing(&id, context.clock.now(), how)?;
                }
                erased.map(|()| report).map_err(|error| Failure::failed(error.to_string()))
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
    fn a_token_holds_a_second_to_a_year() {
        for (text, taken) in
            [("1s", true), ("30d", true), ("366d", true), ("366d 1s", false), ("0s", false), ("soon", false)]
        {
            assert_eq!(lifetime(text).is_ok(), taken, "{text}");
        }
    }

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
