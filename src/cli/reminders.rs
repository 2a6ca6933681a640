//! `reminders`: what is to come and what became of it, asked of the running worker, which holds the store. Where none
//! runs, or one of another store than the one that is named, the command reads a copy of the store: opening it would write, and bring it to this release's format.

mod query;
mod show;
mod task;

use clap::Subcommand;
use serde_json::json;

use super::http::{self, Silence};
use super::ops::OtherStore;
use super::options::ConfigOptions;
use super::{Context, Exit, Failure, ops, when};
use crate::config::Config;
use crate::domain::{State, Timestamp};
use crate::http::{Wanted, list_reminders};

pub(crate) use query::{Page, Query, Reminder};
pub(super) use show::cell;

/// Arguments of `reminders`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List reminders in the order of their time
    List(List),
    /// Show the next reminders to fire
    Next(Next),
    /// Tell why a task's reminders fire, have fired or will not
    Why(task::Why),
    /// Call off what is planned for a task, or one reminder of it; needs a running worker
    Cancel(task::Cancel),
    /// Move a task's due date; needs a running worker
    Reschedule(task::Reschedule),
}

#[derive(Debug, clap::Args)]
struct List {
    /// Only those in this state: pending, published, cancelled, superseded or expired
    #[arg(long)]
    state: Option<State>,
    /// Only those of this user
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Only those at or after this instant: RFC 3339, or how long from now
    #[arg(long, value_name = "WHEN")]
    from: Option<String>,
    /// Only those before this instant: RFC 3339, or how long from now
    #[arg(long, value_name = "WHEN")]
    to: Option<String>,
    /// At most so many
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Next {
    /// At most so many
    #[arg(short = 'n', long = "limit", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    limit: u32,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
struct Common {
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigOptions,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<String, Failure> {
    let (query, json, store) = match args.command {
        Command::List(list) => {
            let store = Named::by(&list.common, context).await?;
            let now = list.now(&store, context).await?;
            let instant = |text: Option<String>| text.map(|text| when::instant(&text, now)).transpose();
            let from = instant(list.from).map_err(Failure::usage)?;
            let to = instant(list.to).map_err(Failure::usage)?;
            let Common { json, .. } = list.common;
            let query = Query { state: list.state, user: list.user, from, to, limit: list.limit as usize };
            (query, json, store)
        }
        Command::Next(next) => {
            let query = Query { state: Some(State::Pending), limit: next.limit as usize, ..Query::default() };
            (query, next.common.json, Named::by(&next.common, context).await?)
        }
        Command::Why(why) => return task::show_why(why, context).await,
        Command::Cancel(cancel) => return task::cancel(cancel, context).await,
        Command::Reschedule(reschedule) => return task::reschedule(reschedule, context).await,
    };
    let told = match store.other {
        None => online(&store.config, &query).await?,
        Some(_) => None,
    };
    let (reminders, now) = match told {
        Some(told) => told,
        None => {
            let now = context.clock.now();
            (offline(&store, query, now)?, now)
        }
    };
    if json {
        return Ok(format!("{:#}\n", json!({ "reminders": reminders })));
    }
    Ok(show::table(&reminders, now, context.colours.out))
}

/// The store that a question is about.
struct Named {
    config: Config,
    /// That the worker which answers runs on another one, which is not asked then.
    other: Option<OtherStore>,
}

impl Named {
    async fn by(common: &Common, context: &Context) -> Result<Self, Failure> {
        let loaded = common.config.load(&context.env)?;
        Ok(Self { other: ops::other_store(&loaded).await?, config: loaded.config })
    }
}

impl List {
    /// The worker's time, if it is asked for.
    async fn now(&self, store: &Named, context: &Context) -> Result<Timestamp, Failure> {
        let is_asked_for = self.from.iter().chain(&self.to).any(|text| when::is_relative(text));
        match store.other {
            None if is_asked_for => ops::now(&store.config, context).await,
            _ => Ok(context.clock.now()),
        }
    }
}

/// The reminders as the running worker tells them, and its time; `None` where none is running.
async fn online(config: &Config, query: &Query) -> Result<Option<(Vec<Reminder>, Timestamp)>, Failure> {
    let client = http::client()?;
    let base = http::url(config.ops.address(), "ops.port", &["api", "v1", "reminders"])?;
    let mut found: Vec<Reminder> = Vec::new();
    let mut after = None;
    loop {
        let url = query.page(base.clone(), query.limit - found.len(), after.as_deref());
        let answer = match http::ask(ops::with_token(config, client.get(url))).await {
            Ok(answer) => answer,
            Err(Silence::Refused) if found.is_empty() => return Ok(None),
            Err(Silence::Refused) => return Err(Failure::failed("the worker went away while it was asked")),
            Err(Silence::Broken(reason)) => return Err(Failure::failed(format!("{base}: {reason}"))),
        };
        if answer.status != 200 {
            let advice = if answer.status == 401 { "\nset ops.token to the worker's own token" } else { "" };
            let told = http::complaint(&answer);
            return Err(Failure::failed(format!("{base} ({}): {told}{advice}", answer.status)));
        }
        let page: Page = serde_json::from_str(&answer.body).map_err(|error| {
            Failure::failed(format!("{base} is no reminder-worker of this release: {error}"))
        })?;
        let now = when::instant(&page.now, Timestamp::MIN).map_err(Failure::failed)?;
        found.extend(page.reminders);
        if page.next.is_none() || found.len() >= query.limit {
            found.truncate(query.limit);
            return Ok(Some((found, now)));
        }
        // A page may be empty while its cursor goes on: the worker bounds what it reads for one answer.
        if page.next == after {
            return Err(Failure::failed(format!("{base} goes round in circles; is it a reminder-worker?")));
        }
        after = page.next;
    }
}

/// The reminders as a copy of the store tells them, since no worker of it answers.
fn offline(named: &Named, query: Query, now: Timestamp) -> Result<Vec<Reminder>, Failure> {
    let store = ops::copied_store(&named.config, named.other.as_ref())?;
    let path = &named.config.store.path;
    let Query { state, user, from, to, limit } = query;
    let found = list_reminders(&store, Wanted { state, user, from, to }, limit, now).map_err(|error| {
        Failure::new(Exit::Store, format!("the store {} cannot be read: {error}", path.display()))
    })?;
    // The one shape of a listed reminder, whether it comes over the wire or from beside.
    let listed = serde_json::to_value(found).and_then(serde_json::from_value);
    listed.map_err(|error| Failure::failed(format!("a reminder cannot be shown: {error}")))
}

impl Reminder {
    /// Its instant, where the worker wrote one that can be read.
    fn fires_at(&self) -> Option<Timestamp> {
        when::instant(&self.fire_at, Timestamp::MIN).ok()
    }
}
