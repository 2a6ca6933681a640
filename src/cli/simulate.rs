//! `simulate`: what would fire, by the worker's own rules at full speed over simulated time.
//!
//! It plays a copy of a store, or a file of events, on the commit loop itself ([`crate::writer::Rehearsal`]): every
//! publish succeeds at once, and time jumps from one instant at which something happens to the next. With another
//! configuration beside it, the same input is played under both and the difference is shown.
//!
//! Nothing is published, and the store that is named is not written. Firings are printed as they come and not kept.
//!
//! With `--faults` it plays something else: made-up tasks on a worker whose disk, clock, sidecar and broker fail
//! ([`crate::faults`]), under settings of its own.

mod difference;
mod events;
mod faults;
mod play;
mod policy;
mod progress;
mod screen;
mod show;
mod world;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::options::ConfigOptions;
use super::{Context, Exit, Failure, when};
use crate::app;
use crate::config::Config;
use crate::domain::Timestamp;
use crate::store::sled::{SledStore, in_memory};
use crate::store::{OpenError, Store as _, StoreError};
use difference::Difference;
use events::Events;
use screen::Screen;
use world::World;

/// Arguments of `simulate`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Play a copy of the store in this directory, which is left as it is; no worker may hold it
    #[arg(long, value_name = "DIR", required_unless_present_any = ["events", "faults", "seeds", "seed"], conflicts_with = "events")]
    store: Option<PathBuf>,
    /// Play the events of this file, one a line, each when its `timestamp` comes; `-` reads standard input
    #[arg(long, value_name = "FILE", requires = "start")]
    events: Option<PathBuf>,
    /// When it begins: RFC 3339, or how long from now; for a store, now unless it is given
    #[arg(long, value_name = "WHEN")]
    start: Option<String>,
    /// When it ends, that instant included: RFC 3339, or how long after the start
    #[arg(long, value_name = "WHEN", required_unless_present_any = ["faults", "seeds", "seed"])]
    until: Option<String>,
    /// Show only what would differ with this configuration file laid over the configuration in force
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Print JSON: one object a reminder, or a difference
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    faults: FaultsArgs,
    #[command(flatten)]
    config: ConfigOptions,
}

/// Arguments of `simulate --faults`.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Faults")]
struct FaultsArgs {
    /// Play made-up tasks on a worker whose disk, clock, sidecar and broker fail, from crash to crash, and judge whether
    /// anything is lost, early or said in vain
    #[arg(long, conflicts_with_all = ["store", "events", "start", "until", "policy", "json", "config", "set"])]
    faults: bool,
    /// How many simulations [default: 1000]
    #[arg(
        long,
        value_name = "N",
        conflicts_with_all = ["store", "events"],
        value_parser = seeds()
    )]
    seeds: Option<u64>,
    /// The number of the first one: each is what its number says, and always the same [default: 0]
    #[arg(
        long,
        value_name = "S",
        conflicts_with_all = ["store", "events"]
    )]
    seed: Option<u64>,
}

/// How many simulations are played where it is not said: some seconds.
const SEEDS: u64 = 1_000;

fn seeds() -> clap::builder::RangedU64ValueParser {
    clap::value_parser!(u64).range(1..=faults::SEEDS_MAX)
}

/// The span that is played.
#[derive(Clone, Copy, Debug)]
struct Span {
    start: Timestamp,
    until: Timestamp,
}

pub(super) fn run(args: &Args, context: &Context) -> Result<String, Failure> {
    if args.faults.faults {
        let FaultsArgs { seed, seeds, .. } = args.faults;
        return faults::run(seed.unwrap_or(0), seeds.unwrap_or(SEEDS), context);
    }
    if args.faults.seed.is_some() || args.faults.seeds.is_some() {
        return Err(Failure::usage(
            "--seed and --seeds are of simulations with faults: `reminder-worker simulate --faults --seeds N`; without --faults \
             say what is played, with --store or --events",
        ));
    }
    of_reminders(args, context).map(|()| String::new())
}

/// Plays a store or a file of events, and prints as it goes.
fn of_reminders(args: &Args, context: &Context) -> Result<(), Failure> {
    let span = span(args, context.clock.now())?;
    let config = args.config.load(&context.env)?;
    let other = match &args.policy {
        Some(file) => Some(policy::load(args, file, &config, context)?),
        None => None,
    };
    // Where a record is damaged, or a part of an event is left out, the rules tell the log alone.
    context.start_logs(&config.config.log)?;
    let mut screen = Screen::new(context, span, args.json);
    let (store, events) = input(args, &config.config)?;
    screen.tell_unread(&events);
    if events.is_unreadable() {
        return Err(Failure::failed(
            "no line of the file could be read; an event stands on one line, with its `timestamp`: `jq -c .` puts each on \
             one",
        ));
    }
    let open = |store: SledStore, config: &Config| {
        let world = World::open(Arc::new(store), config, Arc::clone(&events), span);
        world.map_err(|error| unusable(&error))
    };
    let Some(other) = other else {
        return play::alone(open(store, &config.config)?, screen);
    };
    let file = args.policy.as_deref().map(|file| file.display().to_string()).unwrap_or_default();
    let expire_after = config.config.reminders.expire_after.max(other.reminders.expire_after);
    let twin = store.to_memory().map_err(|error| unusable(&error))?;
    let worlds = [open(store, &config.config)?, open(twin, &other)?];
    play::compared(worlds, Difference::new(expire_after), &file, screen)
}

fn span(args: &Args, now: Timestamp) -> Result<Span, Failure> {
    let told = |flag: &str, why: String| Failure::usage(format!("{flag}: {why}"));
    let start = args.start.as_deref().map(|text| when::instant(text, now)).transpose();
    let start = start.map_err(|why| told("--start", why))?.unwrap_or(now);
    let until = args.until.as_deref().unwrap_or_default();
    let until = when::instant(until, start).map_err(|why| told("--until", why))?;
    if until < start {
        return Err(told("--until", format!("{until} is before the start, {start}")));
    }
    Ok(Span { start, until })
}

/// The store to begin with, and the events to come.
fn input(args: &Args, config: &Config) -> Result<(SledStore, Arc<Events>), Failure> {
    let (store, events) = match (&args.store, &args.events) {
        (Some(dir), _) => {
            let store = copied(dir, config)?;
            if is_of_other_rules(&store, config).map_err(|error| unusable(&error))? {
                tracing::warn!(
                    "the store was last used under other rules of reminders; its tasks are planned anew at the start, \
                     under this configuration: name the worker's own with --config to see what it will do"
                );
            }
            (store, Events::default())
        }
        (None, Some(file)) => {
            let events = Events::open(file)?;
            (in_memory().map_err(|error| unusable(&error))?, events)
        }
        (None, None) => return Err(Failure::usage("name a store with --store or a file with --events")),
    };
    Ok((store, Arc::new(events)))
}

/// Whether a worker with another policy has had the store last.
fn is_of_other_rules(store: &SledStore, config: &Config) -> Result<bool, StoreError> {
    let mine = app::policy(config).digests().whole;
    Ok(store.meta()?.policy.is_some_and(|mark| mark.digest != mine))
}

fn copied(dir: &Path, config: &Config) -> Result<SledStore, Failure> {
    SledStore::copied_to_memory(dir, config.store.cache_mb).map_err(|error| match error {
        OpenError::Held { path, holder } => {
            let message = format!(
                "the store {path} is held by {holder}, and a copy made while it changes would be of no instant; stop \
                 that process first, or simulate a copy of the directory and of what lies beside it"
            );
            Failure::new(Exit::Store, message)
        }
        other => Failure::from(other),
    })
}

/// The store that is played can't be read.
fn unusable(error: &StoreError) -> Failure {
    Failure::new(Exit::Store, format!("the simulation broke off: {error}"))
}
