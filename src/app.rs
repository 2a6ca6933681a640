//! The worker, put together: builds the parts, spawns the loops, waits and drains. The only wiring.
//!
//! Order matters in two places. The app port opens after the store is open and its interrupted attempts are taken
//! back, since Dapr asks for the subscriptions once in its life. And the commit loop ends last: it ends when the
//! last handle to it is gone, so whoever still has something to settle can.

mod before;
mod settings;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::backups::{Backups, TakenAway};
use crate::canary::Canary;
use crate::clock::Clock;
use crate::config::Config;
use crate::dapr::{Fault, NoClient, Publish, Publisher, Sidecar};
use crate::gauges;
use crate::health::{Health, Heart};
use crate::housekeeping;
use crate::http::{
    APP_CONNECTIONS_MAX, Api, App, BindError, Listener, OPS_CONNECTIONS_MAX, Patience, app_router, ops_router,
};
use crate::intake::{Intake, Live};
use crate::outbox;
use crate::scheduler::{Pace, Scheduler};
use crate::shutdown::Shutdown;
use crate::store::{Store, StoreError};
use crate::telemetry::Metrics;
use crate::tick::Tick;
use crate::writer::{CommitLoop, Writer};

pub use settings::{policy, settings};

use before::before_all;
use settings::backoff;

/// How often a loop that waits for the sidecar shows that it lives.
const WAIT_TURN: Duration = Duration::from_secs(1);

/// Why the worker did not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum AppError {
    /// A port is in use.
    #[error(transparent)]
    Bind(#[from] BindError),
    /// The store opened and can't be read or written: exit code 74.
    #[error("the store opened, but {0}")]
    Unusable(StoreError),
    /// The store has been failing.
    #[error(transparent)]
    Failing(StoreError),
    /// The store was taken away while the worker ran: exit code 74.
    #[error(transparent)]
    TakenAway(TakenAway),
    /// Users erased since the backup that was restored, or whose erasing was cut off, could not be erased: exit code 74.
    #[error("users who are to be erased before anything else could not be: {0}; start again")]
    Erasing(String),
    /// No HTTP client can be made.
    #[error(transparent)]
    Client(#[from] NoClient),
    /// A loop crashed or was cut off.
    #[error("the worker did not stop cleanly: crashed {crashed:?}, cut off {cut_off:?}")]
    Unclean {
        /// Loops that crashed.
        crashed: Vec<&'static str>,
        /// Loops that outlived the grace.
        cut_off: Vec<&'static str>,
    },
}

/// A worker that runs.
pub struct Running {
    /// Where Dapr calls it.
    pub app_address: SocketAddr,
    /// Where people and probes call it.
    pub ops_address: SocketAddr,
    /// Reminders as they come back through the broker.
    pub live: Live,
    /// The commit loop. Holding it keeps the loop from ending.
    pub writer: Writer,
    shutdown: Shutdown,
    failed: Failed,
}

/// Why the worker has to end, if it has.
type Failed = Arc<Mutex<Option<AppError>>>;

impl Running {
    /// Waits for the soft stop and the drain.
    ///
    /// # Errors
    /// [`AppError`] unless all ended well.
    pub async fn wait(self) -> Result<(), AppError> {
        let Self { shutdown, failed, writer, .. } = self;
        shutdown.soft().cancelled().await;
        drop(writer);
        let drained = shutdown.drain().await;
        if let Some(error) = failed.lock().unwrap_or_else(PoisonError::into_inner).take() {
            return Err(error);
        }
        match drained.is_clean() {
            true => Ok(()),
            false => Err(AppError::Unclean { crashed: drained.crashed, cut_off: drained.cut_off }),
        }
    }
}

/// Starts every part on `store`, of which `backups` are made.
///
/// # Errors
/// [`AppError`]; then nothing runs that `shutdown` does not stop.
pub async fn start(
    config: Config,
    store: Arc<dyn Store>,
    backups: Option<Backups>,
    metrics: Metrics,
    clock: Arc<dyn Clock>,
    shutdown: Shutdown,
) -> Result<Running, AppError> {
    let config = Arc::new(config);
    let health = Health::new(Arc::clone(&clock), config.health.clone(), shutdown.soft().clone());
    let settings = settings(&config);
    let opened = Arc::clone(&clock);
    // Blocks on the disk, longer where a crash left much to take back.
    let (writer, commits) = tokio::task::spawn_blocking(move || CommitLoop::open(store, settings, opened))
        .await
        .unwrap_or_else(|panic| Err(StoreError::Corrupt(panic.to_string())))
        .map_err(AppError::Unusable)?;
    // Whatever can fail comes before the first task: a start that fails leaves nothing at work on the store.
    let ops =
        Listener::bind(config.ops.address(), "ops.port (--ops-port, REMINDER_WORKER__OPS__PORT)").await?;
    let app = Listener::bind(config.app.address(), "app.port (--app-port, APP_PORT)").await?;
    let (app_address, ops_address) = (app.address(), ops.address());

    let sidecar = Arc::new(Sidecar::new(&config.dapr)?);
    let publisher: Arc<dyn Publish> = Arc::new(Publisher::new(&config.dapr, Arc::clone(&clock))?);

    let failed = spawn_commit_loop(commits, &health, &shutdown);
    before_all(&writer, backups.as_ref(), &health).await?;
    let live = Live::new();
    let api = Api::new(writer.clone(), Arc::clone(&clock), live.clone(), shutdown.soft().clone())
        .with_backups(backups.clone())
        .with_health(health.clone());
    let intake = Intake::new(writer.clone(), Arc::clone(&clock), live.clone(), config.reminders.receipts);
    let canary = Canary::new(
        &config.canary,
        config.topics.task_events.clone(),
        writer.clone(),
        Arc::clone(&publisher),
        Arc::clone(&clock),
        health.clone(),
        intake.canary(),
    );
    let up = spawn_sidecar_watch(&config, &sidecar, &clock, &health, &shutdown);
    spawn_subscription_watch(&config, &sidecar, &clock, &health, &shutdown);
    spawn_canary(canary, &health, &clock, up.clone(), &shutdown);
    let sent = spawn_senders(&config, &writer, &publisher, &clock, &health, up, &shutdown);
    spawn_background(&writer, &clock, &health, &metrics, &shutdown);
    if let Some(backups) = backups {
        spawn_backups(backups, &health, &failed, &shutdown);
    }

    let ops_router = ops_router(api.clone(), health.clone(), metrics, &config.ops);
    let app_router = app_router(App { config, intake, sidecar, health, api, clock: Arc::clone(&clock) });
    let (stop, all, time) = (shutdown.soft().clone(), shutdown.clone(), Arc::clone(&clock));
    shutdown.spawn("ops listener", async move {
        ops.serve(ops_router, OPS_CONNECTIONS_MAX, Patience::Limited, stop, all, time).await;
    });
    let all = shutdown.clone();
    shutdown.spawn("app listener", async move {
        app.serve(app_router, APP_CONNECTIONS_MAX, Patience::Unlimited, sent, all, clock).await;
    });
    tracing::info!(app = %app_address, ops = %ops_address, "the worker listens");
    Ok(Running { app_address, ops_address, live, writer, shutdown, failed })
}

fn spawn_commit_loop(commits: CommitLoop, health: &Health, shutdown: &Shutdown) -> Failed {
    let failed = Failed::default();
    let (heart, stop, told) = (health.heart("commit loop"), shutdown.clone(), Arc::clone(&failed));
    let commits = commits.stopping_with(shutdown.soft().clone());
    shutdown.spawn("commit loop", async move {
        if let Err(error) = commits.run(move || heart.beat()).await {
            tracing::error!(%error, "the commit loop gave up; the worker ends so that a new start can tell what is kept");
            *told.lock().unwrap_or_else(PoisonError::into_inner) =
                Some(AppError::Failing(error));
            stop.stop_now();
        }
    });
    failed
}

fn spawn_backups(backups: Backups, health: &Health, failed: &Failed, shutdown: &Shutdown) {
    let (health, failed, stop) = (health.clone(), Arc::clone(failed), shutdown.clone());
    shutdown.spawn("backups", async move {
        if let Err(error) = backups.run(health).await {
            tracing::error!(%error, "the worker ends");
            *failed.lock().unwrap_or_else(PoisonError::into_inner) = Some(AppError::TakenAway(error));
            stop.stop_now();
        }
    });
}

/// True while the sidecar is there, takes the token and has the component: until then nothing is attempted.
fn spawn_sidecar_watch(
    config: &Arc<Config>,
    sidecar: &Arc<Sidecar>,
    clock: &Arc<dyn Clock>,
    health: &Health,
    shutdown: &Shutdown,
) -> watch::Receiver<bool> {
    let (told, up) = watch::channel(false);
    let (sidecar, clock, stop) = (Arc::clone(sidecar), Arc::clone(clock), shutdown.soft().clone());
    let (heart, health, config) = (health.heart("sidecar watch"), health.clone(), Arc::clone(config));
    shutdown.spawn("sidecar watch", async move {
        let turned = move |fault: Option<&Fault>| {
            heart.beat();
            health.sidecar(fault.map(ToString::to_string));
        };
        sidecar.watch(&config.dapr.pubsub, clock, told, stop, turned).await;
    });
    up
}

/// While the sidecar is not known to have the subscriptions, looks whether it has them from an earlier life of the
/// worker, or in spite of a call that was refused.
fn spawn_subscription_watch(
    config: &Arc<Config>,
    sidecar: &Arc<Sidecar>,
    clock: &Arc<dyn Clock>,
    health: &Health,
    shutdown: &Shutdown,
) {
    let (config, sidecar, clock) = (Arc::clone(config), Arc::clone(sidecar), Arc::clone(clock));
    let (health, stop) = (health.clone(), shutdown.soft().clone());
    shutdown.spawn("subscription watch", async move {
        let topics: Vec<&str> = config.topics.heard().collect();
        while !stop.is_cancelled() {
            if !health.is_subscribed() && sidecar.delivers(&config.dapr.pubsub, &topics).await {
                tracing::info!("the sidecar has the subscriptions from before");
                health.subscribed();
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = clock.wait(WAIT_TURN) => {}
            }
        }
    });
}

/// The two loops that publish; they begin once the sidecar has answered. The token is cancelled when both have
/// ended: until then the app listener stays open, since a broker that hands a message on while it takes it would
/// wait for the listener, and the publish for the broker.
fn spawn_senders(
    config: &Config,
    writer: &Writer,
    publisher: &Arc<dyn Publish>,
    clock: &Arc<dyn Clock>,
    health: &Health,
    up: watch::Receiver<bool>,
    shutdown: &Shutdown,
) -> CancellationToken {
    let pace = Pace {
        batch_max: config.publish.batch_max,
        in_flight_max: config.publish.in_flight_max,
        probe: backoff(config),
    };
    let tick =
        Tick::new(writer.clone(), Arc::clone(publisher), Arc::clone(clock), config.topics.reminders.clone());
    let (sent, (scheduling, mut ended)) = (CancellationToken::new(), mpsc::channel::<()>(1));
    let sending = scheduling.clone();
    let scheduler = Scheduler::new(writer.clone(), tick, Arc::clone(clock), pace);
    let (stop, time, heart, answers) =
        (shutdown.soft().clone(), Arc::clone(clock), health.heart("scheduler"), up.clone());
    let told = health.clone();
    shutdown.spawn_yielding("scheduler", async move {
        let _ended = scheduling;
        wait_for_sidecar(answers, &time, &heart, &stop).await;
        let held_up = scheduler.held_up();
        let turned = move || {
            heart.beat();
            told.held_up(held_up.borrow().clone());
        };
        scheduler.run(stop, turned).await;
    });
    let sender =
        outbox::OutboxSender::new(writer.clone(), Arc::clone(publisher), Arc::clone(clock), backoff(config));
    let (stop, time, heart) = (shutdown.soft().clone(), Arc::clone(clock), health.heart("outbox"));
    shutdown.spawn_yielding("outbox", async move {
        let _ended = sending;
        wait_for_sidecar(up, &time, &heart, &stop).await;
        sender.run(stop, move || heart.beat()).await;
    });
    let all = sent.clone();
    shutdown.spawn("senders", async move {
        // Both ends are dropped with their tasks, however those end.
        let _ = ended.recv().await;
        all.cancel();
    });
    sent
}

fn spawn_canary(
    canary: Option<Canary>,
    health: &Health,
    clock: &Arc<dyn Clock>,
    up: watch::Receiver<bool>,
    shutdown: &Shutdown,
) {
    let Some(canary) = canary else { return };
    let (heart, time, stop) = (health.heart("canary"), Arc::clone(clock), shutdown.soft().clone());
    shutdown.spawn_yielding("canary", async move {
        wait_for_sidecar(up, &time, &heart, &stop).await;
        canary.run(heart, stop).await;
    });
}

fn spawn_background(
    writer: &Writer,
    clock: &Arc<dyn Clock>,
    health: &Health,
    metrics: &Metrics,
    shutdown: &Shutdown,
) {
    let (commands, stop) = (writer.clone(), shutdown.soft().clone());
    shutdown.spawn("housekeeping", async move {
        if let Err(error) = housekeeping::run(commands, stop).await {
            tracing::error!(%error, "housekeeping could not start; old tasks are not forgotten until a restart");
        }
    });
    let (reads, time, stop) = (writer.clone(), Arc::clone(clock), shutdown.soft().clone());
    let (health, metrics) = (health.clone(), metrics.clone());
    shutdown.spawn("gauges", async move { gauges::run(reads, time, health, metrics, stop).await });
}

async fn wait_for_sidecar(
    mut up: watch::Receiver<bool>,
    clock: &Arc<dyn Clock>,
    heart: &Heart,
    stop: &CancellationToken,
) {
    while !*up.borrow_and_update() && !stop.is_cancelled() {
        heart.beat();
        tokio::select! {
            _ = up.changed() => {}
            () = clock.wait(WAIT_TURN) => {}
            () = stop.cancelled() => {}
        }
    }
}

#[cfg(test)]
mod tests;
