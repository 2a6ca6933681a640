//! The sender beside a broker that hangs, on virtual time.

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use super::*;
use crate::clock::TokioClock;
use crate::dapr::{Publishing, outcomes_of};
use crate::domain::tests::T0;
use crate::scheduler::tests::errors::Errors;
use crate::scheduler::tests::store::FaultyStore;
use crate::store::OutboxEntry;
use crate::store::sled::in_memory;
use crate::writer::tests::{outbox::entry, settings};
use crate::writer::{Acceptance, CommitLoop, Settings};

/// How long the broker hangs.
const HANGS: Duration = Duration::from_secs(80);

/// Takes everything, after a while.
struct Hanging(Arc<dyn Clock>);

impl Publish for Hanging {
    fn publish<'a>(&'a self, _: &'a str, batch: &'a [Outgoing]) -> Publishing<'a> {
        Box::pin(async move {
            self.0.sleep(HANGS).await;
            vec![PublishOutcome::Published; batch.len()]
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_sender_whose_broker_hangs_shows_that_it_lives() {
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(T0));
    let backoff = Backoff { initial: Duration::from_millis(200), max: Duration::from_secs(5) };
    let (writer, commits) =
        CommitLoop::open(Arc::new(in_memory().unwrap()), settings(), Arc::clone(&clock)).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { commits.run(|| ()).await.map_err(|e| e.to_string()) });
    assert_eq!(writer.accept(entry("t"), b"{}".to_vec()).await, Ok(Acceptance::Kept));
    let beats = Arc::new(AtomicUsize::new(0));
    let (counted, stop) = (Arc::clone(&beats), CancellationToken::new());
    let sender =
        OutboxSender::new(writer.clone(), Arc::new(Hanging(Arc::clone(&clock))), Arc::clone(&clock), backoff);
    let sending = sender.run(stop.clone(), move || {
        counted.fetch_add(1, Ordering::Relaxed);
    });
    let watching = async {
        while writer.read(|view| view.meta.outbox.entries).await.unwrap() > 0 {
            clock.sleep(Duration::from_millis(500)).await;
        }
        stop.cancel();
    };
    tokio::join!(sending, watching);
    assert!(clock.now().since(T0) >= HANGS);
    assert!(beats.load(Ordering::Relaxed) >= 79, "{beats:?} in 80 seconds");
}

/// Takes everything at once.
struct Ready;

impl Publish for Ready {
    fn publish<'a>(&'a self, _: &'a str, batch: &'a [Outgoing]) -> Publishing<'a> {
        Box::pin(async move { vec![PublishOutcome::Published; batch.len()] })
    }
}

#[tokio::test(start_paused = true)]
async fn an_outbox_that_cant_be_read_is_logged_once_and_goes_out_when_it_can_be() {
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(T0));
    let backoff = Backoff { initial: Duration::from_millis(200), max: Duration::from_secs(5) };
    let store = FaultyStore::new();
    let (writer, commits) = CommitLoop::open(store.clone(), settings(), Arc::clone(&clock)).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { commits.run(|| ()).await.map_err(|e| e.to_string()) });
    let stop = CancellationToken::new();
    let sender = OutboxSender::new(writer.clone(), Arc::new(Ready), Arc::clone(&clock), backoff);
    let errors = Errors::counted();
    let watching = async {
        for round in 1..=2 {
            store.damage_lists(i64::MAX);
            assert_eq!(writer.accept(entry("t"), b"{}".to_vec()).await, Ok(Acceptance::Kept));
            clock.sleep(Duration::from_secs(10)).await;
            assert_eq!(writer.read(|view| view.meta.outbox.entries).await, Ok(1));
            store.damage_lists(0);
            clock.sleep(Duration::from_secs(10)).await;
            assert_eq!(writer.read(|view| view.meta.outbox.entries).await, Ok(0));
            assert_eq!(errors.count(), round, "once each time that it begins");
        }
        stop.cancel();
    };
    tokio::join!(sender.run(stop.clone(), || ()), watching);
}

/// Answers for one topic as a sidecar does whose component does not allow it yet, and takes all for others.
struct Scoped {
    forbids: AtomicBool,
    requests: AtomicUsize,
    taken: Mutex<Vec<String>>,
}

impl Publish for Scoped {
    fn publish<'a>(&'a self, topic: &'a str, batch: &'a [Outgoing]) -> Publishing<'a> {
        let forbids = topic == "task-updates" && self.forbids.load(Ordering::Relaxed);
        let outcomes = if forbids {
            self.requests.fetch_add(1, Ordering::Relaxed);
            outcomes_of(403, None, batch.len()).unwrap()
        } else {
            self.taken.lock().unwrap().extend(batch.iter().map(|outgoing| outgoing.key.clone()));
            outcomes_of(204, None, batch.len()).unwrap()
        };
        Box::pin(std::future::ready(outcomes))
    }
}

#[tokio::test(start_paused = true)]
async fn a_topic_that_is_not_allowed_keeps_its_events_until_it_is_and_holds_up_no_other() {
    const TASKS: usize = 10 * TAKE_MAX;
    let clock: Arc<dyn Clock> = Arc::new(TokioClock::starting_at(T0));
    let backoff = Backoff { initial: Duration::from_millis(200), max: Duration::from_secs(5) };
    let settings = Settings { backoff, ..settings() };
    let (writer, commits) =
        CommitLoop::open(Arc::new(in_memory().unwrap()), settings, Arc::clone(&clock)).unwrap();
    let mut tasks = tokio::task::JoinSet::new();
    tasks.spawn(async move { commits.run(|| ()).await.map_err(|e| e.to_string()) });
    let accept = async |topic: &str, id: &str, event_id: &str| {
        let entry = OutboxEntry { topic: topic.into(), event_id: event_id.into(), ..entry(id) };
        assert_eq!(writer.accept(entry, b"{}".to_vec()).await, Ok(Acceptance::Kept));
    };
    let usage =
        async || writer.read(|view| (view.meta.outbox.entries, view.meta.outbox_dead.entries)).await.unwrap();
    for n in 0..TASKS {
        accept("task-updates", &format!("forbidden-{n}"), "1").await;
    }
    accept("task-events", "forbidden-0", "2").await;
    let sidecar = Arc::new(Scoped {
        forbids: AtomicBool::new(true),
        requests: AtomicUsize::new(0),
        taken: Mutex::default(),
    });
    let stop = CancellationToken::new();
    let sender = OutboxSender::new(writer.clone(), sidecar.clone(), Arc::clone(&clock), backoff);
    let watching = async {
        clock.sleep(Duration::from_secs(60)).await;
        for n in 0..5 {
            accept("task-events", &format!("free-{n}"), "1").await;
            clock.sleep(Duration::from_secs(2)).await;
            assert_eq!(sidecar.taken.lock().unwrap().len(), n + 1, "it does not wait for those");
        }
        let many = u64::try_from(TASKS).unwrap();
        assert_eq!(usage().await, (many + 1, 0), "none is dead, and none overtakes another of its task");
        let requests = sidecar.requests.load(Ordering::Relaxed);
        assert!((15..40).contains(&requests), "{requests} in 70 seconds");
        sidecar.forbids.store(false, Ordering::Relaxed);
        clock.sleep(Duration::from_secs(20)).await;
        assert_eq!(usage().await, (0, 0));
        let taken = sidecar.taken.lock().unwrap().clone();
        assert_eq!(taken.len(), TASKS + 6);
        assert_eq!(taken.iter().filter(|key| *key == "forbidden-0").count(), 2);
        stop.cancel();
    };
    tokio::join!(sender.run(stop.clone(), || ()), watching);
}
