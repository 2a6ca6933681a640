//! `dev`: the worker with a stand-in for Dapr, on a bare machine.
//!
//! The worker is the one that `serve` runs, with the same configuration; beside it runs the embedded sidecar, which
//! delivers to it and to the apps that are named. What is printed is what the two observed.

mod demo;
mod show;

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::broker::BrokerOptions;
use super::options::ConfigOptions;
use super::serve::{obeying_signals, start};
use super::sidecar::stop;
use super::{Context, Failure, resources};
use crate::app::Running;
use crate::config::{Config, Loaded, Source};
use crate::shutdown::Shutdown;
use crate::sidecar::{self, Sidecar};
use show::{Happenings, Screen};

/// Where SDKs look for gRPC unless told otherwise.
const GRPC_PORT: u16 = 50001;

/// Arguments of `dev`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Deliver to this app too, such as 127.0.0.1:8000; may be repeated
    #[arg(long = "app", value_name = "HOST:PORT", value_parser = host_and_port)]
    pub(super) apps: Vec<String>,
    /// Send a small day of tasks that fall due within seconds, and show what becomes of them
    #[arg(long)]
    pub(super) demo: bool,
    /// Port where the stand-in takes publishes over gRPC, as Dapr's SDKs send them [default: 50001, if it is free]
    #[arg(long, value_name = "PORT", value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) grpc_port: Option<u16>,
    #[command(flatten)]
    pub(super) broker: BrokerOptions,
    /// Take broker and inbound retry from the Dapr resources of this directory
    #[arg(long, value_name = "DIR", conflicts_with_all = ["profile", "kafka"])]
    pub(super) resources_path: Option<PathBuf>,
    /// Port of the stand-in for Dapr
    #[arg(long, default_value_t = 3500, value_parser = clap::value_parser!(u16).range(1..))]
    pub(super) port: u16,
    #[command(flatten)]
    pub(super) config: ConfigOptions,
}

/// What runs.
struct Stage {
    worker: Running,
    sidecar: Sidecar,
    /// Stops the sidecar, after the worker.
    curtain: CancellationToken,
    tasks: TaskTracker,
}

/// Runs until a signal stops it, or the demonstration is over.
pub(super) async fn run(args: Args, loaded: Loaded, context: &Context) -> Result<(), Failure> {
    let stored = |s: &crate::config::Setting| s.key == "store.path" && matches!(s.source, Source::Flag(_));
    if args.demo && loaded.settings.iter().any(stored) {
        return Err(Failure::usage(
            "--demo keeps its tasks in a directory of its own; leave the store's path out",
        ));
    }
    let mut config = quieter(loaded);
    let stand_in = stand_in(&args, &config)?;
    context.start_logs(&config.log)?;
    config.dapr.http_endpoint = format!("http://{}", SocketAddr::from((Ipv4Addr::LOCALHOST, args.port)));
    // A demonstration counts what it did itself: it begins on an empty store and leaves nothing behind.
    let scratch = if args.demo { Some(demo::scratch_directory()?) } else { None };
    if let Some(scratch) = &scratch {
        config.store.path = scratch.path().join("store");
    }
    let shutdown = Shutdown::new(Arc::clone(&context.clock), config.shutdown.grace);
    obeying_signals(&shutdown, play(&args, stand_in, &config, context, &shutdown)).await
}

async fn play(
    args: &Args,
    stand_in: sidecar::Settings,
    config: &Config,
    context: &Context,
    shutdown: &Shutdown,
) -> Result<(), Failure> {
    let stage = set(args, stand_in, config, context, shutdown).await?;
    let mut screen = Screen::new(context.colours.out, Arc::clone(&context.clock), &config.topics.reminders);
    let played = if args.demo {
        demo::play(&stage.worker, &stage.sidecar, config, context.clock.as_ref(), &mut screen, shutdown).await
    } else {
        screen.greet(&stage.worker, &stage.sidecar, config);
        screen.follow(&mut Happenings::new(&stage.worker, &stage.sidecar, shutdown)).await;
        Ok(())
    };
    shutdown.stop();
    let ended = stage.worker.wait().await;
    // Last: cancelling it drops deliveries that are under way.
    stop(&stage.curtain, &stage.tasks, context).await;
    played.and(ended.map_err(Failure::from))
}

/// Starts the worker, then the sidecar, which asks for ports that are open.
async fn set(
    args: &Args,
    stand_in: sidecar::Settings,
    config: &Config,
    context: &Context,
    shutdown: &Shutdown,
) -> Result<Stage, Failure> {
    let worker = start(config.clone(), context, shutdown).await?;
    let token = |secret: &Option<crate::config::Secret>| secret.as_ref().map(|s| s.expose().to_owned());
    let mut apps = vec![sidecar::App {
        app_id: resources::APP_ID.into(),
        address: worker.app_address.to_string(),
        api_token: token(&config.app.api_token),
    }];
    apps.extend(args.apps.iter().enumerate().map(|(n, address)| sidecar::App {
        app_id: format!("app-{}", n + 1),
        address: address.clone(),
        api_token: token(&config.app.api_token),
    }));
    let settings = sidecar::Settings {
        listen: (Ipv4Addr::LOCALHOST, args.port).into(),
        grpc: Some((Ipv4Addr::LOCALHOST, args.grpc_port.unwrap_or(GRPC_PORT)).into()),
        component: config.dapr.pubsub.clone(),
        apps,
        api_token: token(&config.dapr.api_token),
        ..stand_in
    };
    let (curtain, tasks) = (CancellationToken::new(), TaskTracker::new());
    let start = async |settings| {
        Sidecar::start(settings, Arc::clone(&context.clock), curtain.clone(), tasks.clone()).await
    };
    let started = match start(settings.clone()).await {
        // Nobody asked for this port by name, and without it all but SDKs can go on.
        Err(error)
            if args.grpc_port.is_none() && error.address().is_some() && error.address() == settings.grpc =>
        {
            tracing::warn!("no gRPC for SDKs: {error}; --grpc-port chooses another");
            start(sidecar::Settings { grpc: None, ..settings }).await
        }
        started => started,
    };
    match started {
        Ok(sidecar) => Ok(Stage { worker, sidecar, curtain, tasks }),
        Err(error) => {
            shutdown.stop();
            let _ = worker.wait().await;
            Err(Failure::failed(match error.address() {
                Some(address) if address.port() == args.port => format!("{error}; --port chooses another"),
                Some(_) => format!("{error}; --grpc-port chooses another"),
                None => error.to_string(),
            }))
        }
    }
}

/// Settings with the broker: the one of the resources, where there are some.
fn stand_in(args: &Args, config: &Config) -> Result<sidecar::Settings, Failure> {
    let settings = args.broker.settings()?;
    let Some(dir) = &args.resources_path else { return Ok(settings) };
    let (profile, resiliency) = resources::broker(dir, &config.dapr.pubsub)?;
    Ok(sidecar::Settings { profile, resiliency, ..settings })
}

/// Warnings only, unless a level was asked for: the screen shows what happens.
fn quieter(loaded: Loaded) -> Config {
    let mut config = loaded.config;
    if loaded.settings.iter().any(|s| s.key == "log.level" && s.source == Source::Default) {
        config.log.level = "warn".into();
    }
    config
}

/// `host:port`, the host a name or an address.
pub(super) fn host_and_port(text: &str) -> Result<String, String> {
    let valid =
        text.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok());
    if valid { Ok(text.to_owned()) } else { Err("write HOST:PORT, such as 127.0.0.1:8000".to_owned()) }
}
