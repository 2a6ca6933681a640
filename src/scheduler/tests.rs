use std::sync::{Mutex, PoisonError};

use bytes::Bytes;

use super::*;
use crate::clock::TokioClock;
use crate::dapr::{Outgoing, Publish, PublishOutcome, Publishing};
use crate::domain::Timestamp;
use crate::domain::tests::{created, due, minute, offsets, policy, task};
use crate::domain::{Event, Verdict};
use crate::shutdown::Shutdown;
use crate::store::sled::in_memory;
use crate::writer::{CommitLoop, Content, Delivery, Settings};

const BATCH_MAX: usize = 10;

type Script = Box<dyn Fn(&str) -> PublishOutcome + Send + Sync>;

/// A broker that answers each task's reminder as a script says, and knows what it took when.
struct Broker {
    clock: Arc<TokioClock>,
    script: Mutex<Script>,
    taken: Mutex<Vec<(String, Timestamp)>>,
    requests: Mutex<usize>,
}

impl Publish for Broker {
    fn publish<'a>(&'a self, _topic: &'a str, batch: &'a [Outgoing]) -> Publishing<'a> {
        *self.requests.lock().unwrap() += 1;
        let script = self.script.lock().unwrap_or_else(PoisonError::into_inner);
        let outcomes: Vec<_> = batch.iter().map(|outgoing| script(&outgoing.key)).collect();
        let taken = batch.iter().zip(&outcomes).filter(|(_, outcome)| **outcome == PublishOutcome::Published);
        let now = self.clock.now();
        self.taken.lock().unwrap().extend(taken.map(|(outgoing, _)| (outgoing.key.clone(), now)));
        Box::pin(std::future::ready(outcomes))
    }
}

struct Worker {
    clock: Arc<TokioClock>,
    writer: Writer,
    broker: Arc<Broker>,
    _running: Shutdown,
}

fn start(script: impl Fn(&str) -> PublishOutcome + Send + Sync + 'static) -> Worker {
    let clock = Arc::new(TokioClock::starting_at(minute(0)));
    let backoff = Backoff { initial: Duration::from_millis(200), max: Duration::from_secs(5) };
    let settings = Settings {
        policy: policy().policy,
        retention: Duration::from_secs(8 * 24 * 3600),
        backoff,
        quarantine_max_entries: 1_000,
        quarantine_max_bytes: 1_000_000,
        outbox_max_bytes: 1_000_000,
    };
    let store = Arc::new(in_memory().unwrap());
    let (writer, commits) = CommitLoop::open(store, settings, Arc::<TokioClock>::clone(&clock)).unwrap();
    let broker = Arc::new(Broker {
        clock: Arc::clone(&clock),
        script: Mutex::new(Box::new(script)),
        taken: Mutex::default(),
        requests: Mutex::default(),
    });
    let publisher: Arc<dyn Publish> = Arc::<Broker>::clone(&broker);
    let tick = Tick::new(writer.clone(), publisher, Arc::<TokioClock>::clone(&clock), "reminders".into());
    let pace = Pace { batch_max: BATCH_MAX, in_flight_max: 4, probe: backoff };
    let scheduler = Scheduler::new(writer.clone(), tick, Arc::<TokioClock>::clone(&clock), pace);
    let shutdown = Shutdown::new(Arc::<TokioClock>::clone(&clock), Duration::from_secs(1));
    let stop = shutdown.soft().clone();
    shutdown.spawn("commit loop", async move { commits.run(|| ()).await.unwrap() });
    shutdown.spawn("scheduler", scheduler.run(stop, || ()));
    Worker { clock, writer, broker, _running: shutdown }
}

impl Worker {
    /// A task that is due at `at`, with one reminder then.
    async fn tell(&self, id: &str, at: Timestamp) {
        let now = self.clock.now();
        let event = Event { task_id: task(id), ..created(now, &[due(at), offsets(&[0])]) };
        let content = Content::Event(Box::new(event), Bytes::new());
        let delivery = Delivery { at: now, topic: "task-events".into(), content };
        assert_eq!(self.writer.deliver(vec![delivery]).await, [Verdict::Success]);
    }

    async fn sleep_until(&self, at: Timestamp) {
        self.clock.sleep(at.since(self.clock.now())).await;
    }

    fn taken(&self) -> Vec<(String, Timestamp)> {
        self.broker.taken.lock().unwrap().clone()
    }

    fn requests(&self) -> usize {
        *self.broker.requests.lock().unwrap()
    }
}

fn refused() -> PublishOutcome {
    PublishOutcome::Refused { reason: "the sidecar answered 400".into(), for_good: true }
}

fn ambiguous() -> PublishOutcome {
    PublishOutcome::Ambiguous { reason: "the sidecar answered 500".into() }
}

/// How late the reminder of a task is taken that falls due ten minutes after one that fails with `failure` for
/// ever.
async fn lateness_beside(failure: fn() -> PublishOutcome) -> Duration {
    let worker = start(move |id| if id == "fails" { failure() } else { PublishOutcome::Published });
    worker.tell("fails", minute(1)).await;
    let mut worst = Duration::ZERO;
    for n in 1..=20_i64 {
        // At ever other moments of the waits between attempts.
        let at = minute(10 + n).plus(Duration::from_millis(n.unsigned_abs() * 237));
        worker.tell(&format!("task {n}"), at).await;
        worker.sleep_until(at.plus(Duration::from_secs(30))).await;
        let (_, taken) = worker.taken().pop().unwrap();
        worst = worst.max(taken.since(at));
    }
    assert_eq!(worker.taken().len(), 20);
    worst
}

#[tokio::test(start_paused = true)]
async fn a_reminder_refused_for_good_holds_up_nobody() {
    assert!(lateness_beside(refused).await < Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn a_reminder_that_always_fails_holds_up_the_next_one_by_a_probes_wait_at_most() {
    let lateness = lateness_beside(ambiguous).await;
    assert!(lateness <= PROBE_MAX + Duration::from_millis(10), "{lateness:?}");
}

#[tokio::test(start_paused = true)]
async fn an_outage_costs_a_request_a_probe_and_then_all_goes_out() {
    const COUNT: usize = 20 * BATCH_MAX;
    let worker = start(|_| ambiguous());
    for n in 0..COUNT {
        worker.tell(&format!("task {n}"), minute(1)).await;
    }
    worker.sleep_until(minute(2)).await;
    let outage = usize::try_from(60_000 / PROBE_MAX.as_millis()).unwrap();
    // The first batches go out before the first one's failure is known, and the first waits are short.
    assert!((outage..outage + 12).contains(&worker.requests()), "{} requests in a minute", worker.requests());
    *worker.broker.script.lock().unwrap() = Box::new(|_| PublishOutcome::Published);
    worker.sleep_until(minute(3)).await;
    let mut taken: Vec<String> = worker.taken().into_iter().map(|(id, _)| id).collect();
    taken.sort_unstable();
    taken.dedup();
    assert_eq!((taken.len(), worker.taken().len()), (COUNT, COUNT));
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_is_refused_as_a_whole_is_no_reason_to_send_the_next_at_once() {
    const COUNT: usize = 20 * BATCH_MAX;
    let worker = start(|_| refused());
    for n in 0..COUNT {
        worker.tell(&format!("task {n}"), minute(1)).await;
    }
    worker.sleep_until(minute(2)).await;
    assert!(worker.requests() < 80, "{} requests in a minute", worker.requests());
}
