//! The loops that keep due dates, on the real commit loop, a store in memory and tokio's paused time.

pub(crate) mod broker;
pub(crate) mod clock;
pub(crate) mod errors;
mod heartbeat;
mod outage;
mod pace;
mod poison;
mod rates;
mod stopping;
pub(crate) mod store;
mod timing;
mod unread;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::*;
use crate::domain::tests::{T0, created, due, minute, offsets, policy, task};
use crate::domain::{Event, Policy, Record, Reminder, State, Timestamp, Verdict};
use crate::store::{Meta, Store as _, StoreError};
use crate::writer::{CommitLoop, Content, Delivery, Firing, Settings};
use broker::{Broker, TIMEOUT, ambiguous, hung, refused, unreachable};
use clock::TestClock;
use store::FaultyStore;

/// As shipped.
pub(crate) const PACE: Pace = Pace { batch_max: 256, in_flight_max: 4, probe: BACKOFF };
pub(crate) const BACKOFF: Backoff =
    Backoff { initial: Duration::from_millis(200), max: Duration::from_secs(5) };
/// Short, so that a test can wait for it.
pub(crate) const EXPIRE_AFTER: Duration = Duration::from_secs(75 * 60);
pub(crate) const TOPIC: &str = "reminders";
pub(crate) const SECOND: Duration = Duration::from_secs(1);
pub(crate) const MILLI: Duration = Duration::from_millis(1);

/// A worker without sockets.
pub(crate) struct Worker {
    pub(crate) store: Arc<FaultyStore>,
    pub(crate) clock: Arc<TestClock>,
    pub(crate) writer: Writer,
    pub(crate) broker: Arc<Broker>,
    pub(crate) commits: JoinSet<Result<(), StoreError>>,
    pub(crate) scheduler: JoinSet<()>,
    pub(crate) stop: CancellationToken,
    /// When the scheduler turned, on the monotonic clock.
    pub(crate) turns: Arc<Mutex<Vec<Duration>>>,
}

impl Worker {
    /// A worker at minute 0 whose configuration has long been in force and whose scheduler does not run.
    pub(crate) async fn still() -> Self {
        Self::still_on(TestClock::starting_at(minute(-60))).await
    }

    async fn still_on(clock: TestClock) -> Self {
        Self::still_with(clock, Firing::default()).await
    }

    pub(crate) async fn still_with(clock: TestClock, firing: Firing) -> Self {
        let clock = Arc::new(clock);
        let settings = Settings {
            policy: Policy { expire_after: EXPIRE_AFTER, ..policy().policy },
            retention: Duration::from_secs(8 * 24 * 3600),
            backoff: BACKOFF,
            firing,
            quarantine_max_entries: 1_000,
            quarantine_max_bytes: 1_000_000,
            outbox_max_bytes: 1_000_000,
            reserve_bytes: 0,
        };
        let store = FaultyStore::new();
        let (writer, commit_loop) = CommitLoop::open(store.clone(), settings, clock.clone()).unwrap();
        let mut commits = JoinSet::new();
        commits.spawn(commit_loop.run(|| ()));
        let broker = Broker::new(clock.clone());
        let (scheduler, stop, turns) = (JoinSet::new(), CancellationToken::new(), Arc::default());
        let worker = Self { store, clock, writer, broker, commits, scheduler, stop, turns };
        worker.sleep_until(T0).await;
        worker
    }

    /// A worker at minute 0 that runs.
    async fn start() -> Self {
        Self::start_with(PACE).await
    }

    async fn start_with(pace: Pace) -> Self {
        let mut worker = Self::still().await;
        worker.run(pace);
        worker
    }

    fn scheduler(&self, pace: Pace) -> Scheduler {
        Scheduler::new(self.writer.clone(), self.tick(), self.clock.clone(), pace)
    }

    pub(crate) fn tick(&self) -> Tick {
        Tick::new(self.writer.clone(), self.broker.clone(), self.clock.clone(), TOPIC.into())
    }

    pub(crate) fn run(&mut self, pace: Pace) {
        let (clock, turns) = (self.clock.clone(), self.turns.clone());
        let turned = move || turns.lock().unwrap().push(clock.monotonic());
        self.scheduler.spawn(self.scheduler(pace).run(self.stop.clone(), turned));
    }

    pub(crate) async fn sleep(&self, duration: Duration) {
        self.clock.sleep(duration).await;
    }

    pub(crate) async fn sleep_until(&self, at: Timestamp) {
        loop {
            let left = at.since(self.clock.now());
            if left.is_zero() {
                return;
            }
            self.sleep(left).await;
        }
    }

    pub(crate) async fn tell(&self, event: Event) {
        self.tell_all(vec![event]).await;
    }

    pub(crate) async fn tell_all(&self, events: Vec<Event>) {
        let at = self.clock.now();
        let delivery = |event| {
            let content = Content::Event(Box::new(event), Bytes::new());
            Delivery { at, topic: "task-events".into(), content }
        };
        let verdicts = self.writer.deliver(events.into_iter().map(delivery).collect()).await;
        assert!(verdicts.iter().all(|verdict| *verdict == Verdict::Success), "{verdicts:?}");
    }

    pub(crate) async fn meta(&self) -> Meta {
        self.writer.read(|view| view.meta.clone()).await.unwrap()
    }

    pub(crate) fn record(&self, id: &str) -> Record {
        self.store.record(&task(id)).unwrap().expect("no such task")
    }

    /// The only reminder of a task.
    pub(crate) fn reminder(&self, id: &str) -> Reminder {
        let mut reminders = self.record(id).reminders;
        assert_eq!(reminders.len(), 1, "{reminders:?}");
        reminders.remove(0)
    }
}

/// The same event for another task.
pub(crate) fn of(id: &str, event: Event) -> Event {
    Event { task_id: task(id), ..event }
}

/// A creation at minute 0 of a task with one reminder, `millis` after that.
pub(crate) fn due_in(id: &str, millis: i64) -> Event {
    of(id, created(T0, &[due(after(millis)), offsets(&[0])]))
}

/// So many milliseconds after minute 0.
pub(crate) fn after(millis: i64) -> Timestamp {
    Timestamp::from_millis(T0.millis() + millis)
}
