//! `dev`: the worker with a stand-in for Dapr, on a bare machine.
//!
//! The worker is the one that `serve` runs, with the same configuration; beside it runs the embedded sidecar, which
//! delivers to it and to the apps that are named. What is printed is what the two observed.
//!
//! Where nobody else shares the broker, both run on one simulated clock: producers' stamps and the worker's time are then
//! the same. On a real Kafka the time is the machine's, since a reminder that others see must not come before its time; so
//! it is in a demonstration, whose steps are timed.

mod demo;
mod hints;
mod lines;
mod outcomes;
mod show;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::builder::NonEmptyStringValueParser;

use super::options::ConfigOptions;
use super::serve::{obeying_signals, start};
use super::stand_in::{self, StandIn, host_and_port};
use super::{Context, Failure, resources};
use crate::app::Running;
use crate::clock::{Clock, Scale, ScaledClock};
use crate::config::{Config, Loaded, Source};
use crate::shutdown::Shutdown;
use crate::sidecar;
use outcomes::Seen;
use show::{Happenings, Screen};

/// The topic of `publish snoozed` and `publish acknowledged`.
const ACTIONS_TOPIC: &str = "reminder-actions";

/// Arguments of `dev`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Deliver to this app too, such as 127.0.0.1:8000; may be repeated
    #[arg(long = "app", value_name = "HOST:PORT", value_parser = host_and_port)]
    apps: Vec<String>,
    /// Send a small day of tasks that fall due within seconds, and show what becomes of them; in memory only, not with
    /// --kafka
    #[arg(long)]
    demo: bool,
    /// Run the worker's time so many times as fast, 1 to 1000; the tasks are kept in a temporary directory unless a store's
    /// path is given, since they would be ahead of the time at the next start
    #[arg(long, value_name = "TIMES", conflicts_with_all = ["demo", "kafka"])]
    time_scale: Option<Scale>,
    /// The worker's app id on a real Kafka, and so its consumer group. Members of one group share its events out between
    /// them, so choose `reminder-worker`, the group in production, only where this is production [default:
    /// reminder-worker-dev-$USER]
    #[arg(long, value_name = "ID", requires = "kafka", value_parser = NonEmptyStringValueParser::new())]
    app_id: Option<String>,
    #[command(flatten)]
    stand_in: stand_in::Options,
    #[command(flatten)]
    pub(super) config: ConfigOptions,
}

/// Runs until a signal stops it, or the demonstration is over.
pub(super) async fn run(args: Args, loaded: Loaded, context: &Context) -> Result<(), Failure> {
    let context = &args.in_time(context);
    let stored = |s: &crate::config::Setting| s.key == "store.path" && matches!(s.source, Source::Flag(_));
    let by_default = loaded.settings.iter().any(|s| s.key == "store.path" && s.source == Source::Default);
    if args.demo && loaded.settings.iter().any(stored) {
        return Err(Failure::usage(
            "--demo keeps its tasks in a directory of its own; leave the store's path out",
        ));
    }
    if args.demo && args.stand_in.kafka().is_some() {
        return Err(Failure::usage(
            "--demo makes tasks up, which belong on no real Kafka: it runs in memory; leave --kafka or --demo out",
        ));
    }
    let mut config = settled(loaded, args.stand_in.kafka().is_none());
    context.start_logs(&config.log)?;
    // Resources name the worker as it is in production, whatever group this one is in.
    let in_resources = args.app_id.as_deref().unwrap_or(resources::APP_ID);
    let stand_in = args.stand_in.settings(&config, in_resources)?;
    config.dapr.http_endpoint = format!("http://{}", args.stand_in.address());
    // A demonstration counts what it did itself: it begins on an empty store and leaves nothing behind.
    let passing = args.demo || (args.time_scale.is_some() && by_default);
    let scratch = if passing { Some(scratch_directory()?) } else { None };
    if let Some(scratch) = &scratch {
        config.store.path = scratch.path().join("store");
    }
    if args.stand_in.kafka().is_some() && by_default {
        config.store.path = beside(&config.store.path, &args.worker_id(context.variable("USER")));
    }
    let shutdown = Shutdown::new(Arc::clone(&context.clock), config.shutdown.grace);
    obeying_signals(&shutdown, play(&args, stand_in, &config, context, &shutdown)).await
}

async fn play(
    args: &Args,
    settings: sidecar::Settings,
    config: &Config,
    context: &Context,
    shutdown: &Shutdown,
) -> Result<(), Failure> {
    let (worker, stand_in, seen) = set(args, settings, config, context, shutdown).await?;
    let app_id = args.worker_id(context.variable("USER"));
    let clock = Arc::clone(&context.clock);
    let is_alone = args.apps.is_empty() && args.stand_in.kafka().is_none();
    let mut screen = Screen::new(context.colours.out, clock, &app_id, &config.topics, is_alone);
    let played = if args.demo {
        let clock = context.clock.as_ref();
        demo::play(&worker, &stand_in.sidecar, config, clock, &mut screen, shutdown).await
    } else {
        screen.greet(&worker, &stand_in.sidecar, config, args.stand_in.kafka());
        screen.follow(&mut Happenings::new(&worker, &stand_in.sidecar, config, shutdown, seen)).await;
        Ok(())
    };
    shutdown.stop();
    let ended = worker.wait().await;
    // Last: stopping it drops deliveries that are under way.
    stand_in.stop(context.clock.as_ref()).await;
    screen.finish().await;
    played.and(ended.map_err(Failure::from))
}

/// Starts the worker, then the stand-in, which asks for ports that are open.
async fn set(
    args: &Args,
    settings: sidecar::Settings,
    config: &Config,
    context: &Context,
    shutdown: &Shutdown,
) -> Result<(Running, StandIn, Seen), Failure> {
    let worker = start(config.clone(), context, shutdown).await?;
    let seen = Seen::now(&worker).await;
    let worker_at = worker.app_address.to_string();
    let apps = args.named(context.variable("USER"), worker_at);
    let apps = apps.into_iter().map(|(id, address)| stand_in::app(config, id, address)).collect();
    match args.stand_in.start(sidecar::Settings { apps, ..settings }, &context.clock).await {
        Ok(stand_in) => Ok((worker, stand_in, seen)),
        Err(failure) => {
            shutdown.stop();
            // It never began: why is told already.
            let _ = worker.wait().await;
            Err(failure)
        }
    }
}

impl Args {
    /// `context` with the clock that these arguments ask for.
    fn in_time(&self, context: &Context) -> Context {
        let machine = Arc::clone(&context.clock);
        let clock: Arc<dyn Clock> = if self.demo || self.stand_in.kafka().is_some() {
            machine
        } else {
            Arc::new(ScaledClock::new(machine, self.time_scale.unwrap_or(Scale::REAL)))
        };
        Context { env: context.env.clone(), clock, colours: context.colours }
    }

    /// The worker's app id. Groups of a real Kafka are shared with whoever else is on it, so there it is one of `user`'s
    /// own unless it was chosen.
    fn worker_id(&self, user: Option<&str>) -> String {
        match (self.stand_in.kafka(), &self.app_id, user) {
            (_, Some(chosen), _) => chosen.clone(),
            (None, ..) => resources::APP_ID.to_owned(),
            (Some(_), None, Some(user)) if !user.is_empty() => format!("{}-dev-{user}", resources::APP_ID),
            (Some(_), None, _) => format!("{}-dev", resources::APP_ID),
        }
    }

    /// Every app's id and address, the worker's first.
    fn named(&self, user: Option<&str>, worker_at: String) -> Vec<(String, String)> {
        let worker = self.worker_id(user);
        // The groups of the other apps must be their own as well.
        let prefix = if self.stand_in.kafka().is_some() { format!("{worker}-") } else { String::new() };
        let others = self.apps.iter().enumerate();
        let others = others.map(|(n, address)| (format!("{prefix}app-{}", n + 1), address.clone()));
        [(worker.clone(), worker_at)].into_iter().chain(others).collect()
    }
}

/// The store of a group on a real Kafka, beside the one that trials in memory leave: what was made up for those must
/// fall due on no broker that others read.
fn beside(path: &Path, app_id: &str) -> PathBuf {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", app_id.chars().map(plain).collect::<String>()));
    name.into()
}

/// A directory that goes with the process.
fn scratch_directory() -> Result<tempfile::TempDir, Failure> {
    tempfile::Builder::new().prefix("reminder-worker-dev-").tempdir().map_err(|error| {
        Failure::failed(format!(
            "no temporary directory can be made: {error}; set TMPDIR to one that can be written"
        ))
    })
}

/// Warnings only, unless a level was asked for: the screen shows what happens. And where the broker is `in_memory`, whose
/// topics nobody has to make, one for what users do about reminders, unless it was named.
fn settled(loaded: Loaded, in_memory: bool) -> Config {
    let mut config = loaded.config;
    let by_default = |key| loaded.settings.iter().any(|s| s.key == key && s.source == Source::Default);
    if by_default("log.level") {
        config.log.level = "warn".into();
    }
    if in_memory && by_default("topics.reminder_actions") {
        let is_taken = config.topics.heard().any(|topic| topic == ACTIONS_TOPIC);
        config.topics.reminder_actions = Some(ACTIONS_TOPIC.to_owned()).filter(|_| !is_taken);
    }
    config
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(clap::Parser)]
    struct Cli {
        #[command(flatten)]
        args: Args,
    }

    fn ids(flags: &[&str], user: Option<&str>) -> Vec<String> {
        let flags = [&["dev", "--app", "a:1", "--app", "b:2"], flags].concat();
        let named = Cli::try_parse_from(flags).unwrap().args.named(user, "w:1".into());
        named.into_iter().map(|(id, _)| id).collect()
    }

    #[test]
    fn on_a_real_kafka_no_group_is_productions_or_a_colleagues_unless_it_was_chosen() {
        let dev = ["reminder-worker-dev", "reminder-worker-dev-app-1", "reminder-worker-dev-app-2"];
        assert_eq!(ids(&["--kafka", "k:9092"], None), dev);
        assert_eq!(ids(&["--kafka", "k:9092"], Some("")), dev);
        let anns =
            ["reminder-worker-dev-ann", "reminder-worker-dev-ann-app-1", "reminder-worker-dev-ann-app-2"];
        assert_eq!(ids(&["--kafka", "k:9092"], Some("ann")), anns);
        let chosen = ["reminder-worker", "reminder-worker-app-1", "reminder-worker-app-2"];
        assert_eq!(ids(&["--kafka", "k:9092", "--app-id", "reminder-worker"], Some("ann")), chosen);
    }

    #[test]
    fn time_is_simulated_where_nobody_else_shares_the_broker_and_no_demonstration_is_timed() {
        let colours = crate::cli::terminal::Colours::of_process(&[]);
        let clock = Arc::new(crate::clock::SystemClock::new());
        let context = Context { env: Vec::new(), clock, colours };
        let scale = |flags: &[&str]| {
            let args = Cli::try_parse_from([&["dev"], flags].concat()).unwrap().args;
            args.in_time(&context).clock.simulated().map(|clock| clock.scale().factor().to_string())
        };
        assert_eq!(scale(&[]).as_deref(), Some("1"));
        assert_eq!(scale(&["--time-scale", "2.5"]).as_deref(), Some("2.5"));
        assert_eq!(scale(&["--demo"]), None);
        assert_eq!(scale(&["--kafka", "k:9092"]), None, "reminders there are seen by others");
    }

    #[test]
    fn a_topic_of_actions_is_there_in_memory_unless_one_is_named_or_it_is_anothers() {
        let topic = |flags: &[&str], in_memory: bool| {
            let args = Cli::try_parse_from([&["dev"], flags].concat()).unwrap().args;
            settled(args.config.load(&[]).unwrap(), in_memory).topics.reminder_actions
        };
        assert_eq!(topic(&[], true).as_deref(), Some(ACTIONS_TOPIC));
        assert_eq!(topic(&[], false), None);
        assert_eq!(topic(&["--set", "topics.reminder_actions=acts"], true).as_deref(), Some("acts"));
        assert_eq!(topic(&["--set", "topics.reminder_actions="], true), None);
        assert_eq!(topic(&["--set", "topics.task_updates=reminder-actions"], true), None);
    }

    #[test]
    fn a_group_on_a_real_kafka_has_a_store_of_its_own() {
        assert_eq!(beside(Path::new("./data"), "w-dev-ann"), Path::new("./data.w-dev-ann"));
        assert_eq!(beside(Path::new("data"), "a/../b c"), Path::new("data.a-..-b-c"));
    }

    #[test]
    fn in_memory_the_worker_has_the_app_id_that_dapr_gives_it() {
        assert_eq!(ids(&[], Some("ann")), ["reminder-worker", "app-1", "app-2"]);
        assert!(Cli::try_parse_from(["dev", "--app-id", "x"]).is_err(), "nothing is shared there");
        assert!(Cli::try_parse_from(["dev", "--kafka", "k:1", "--app-id", ""]).is_err());
    }
}
