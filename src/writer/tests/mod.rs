//! A commit loop on a store in memory and on tokio's paused time.

mod actions;
mod catch_up;
mod claims;
mod commits;
mod counters;
mod erase;
mod failing;
mod groups;
mod import;
mod orders;
pub(crate) mod outbox;
mod overdue;
mod pacing;
mod pacing_digests;
mod pause;
mod planning;
mod preferences;
mod purge;
mod quarantine;
mod receipts;
mod reconcile;
mod rehearsal;
mod repeats;
mod restored;
mod schedules;
mod space;
mod store;

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinSet;

use super::*;
use crate::clock::{Clock, TokioClock};
use crate::domain::tests::{T0, created, due, event, minute, offsets, policy, task, title, updated};
use crate::domain::{Kind, Record, State, Statement};
use crate::store::{Meta, Store, StoreError};
use store::TestStore;

pub(crate) fn settings() -> Settings {
    Settings {
        policy: policy().policy,
        retention: Duration::from_secs(8 * 24 * 3600),
        backoff: Backoff { initial: Duration::from_secs(10), max: Duration::from_secs(600) },
        firing: Firing::default(),
        quarantine_max_entries: 1_000,
        quarantine_max_bytes: 1_000_000,
        outbox_max_bytes: 1_000_000,
        reserve_bytes: 0,
    }
}

/// A loop that runs, and its handle.
struct Worker {
    store: Arc<TestStore>,
    clock: Arc<TokioClock>,
    writer: Writer,
    running: JoinSet<Result<(), StoreError>>,
}

/// A loop that has been opened and does not run yet: what is asked of it waits.
struct Opened {
    worker: Worker,
    ready: CommitLoop,
}

fn open(store: &Arc<TestStore>, clock: &Arc<TokioClock>, settings: Settings) -> Opened {
    let (writer, ready) =
        CommitLoop::open(Arc::<TestStore>::clone(store), settings, Arc::<TokioClock>::clone(clock)).unwrap();
    let (store, clock) = (Arc::clone(store), Arc::clone(clock));
    Opened { worker: Worker { store, clock, writer, running: JoinSet::new() }, ready }
}

impl Opened {
    fn run(mut self) -> Worker {
        self.worker.running.spawn(self.ready.run(|| ()));
        self.worker
    }
}

impl Worker {
    /// A worker whose configuration has been in force since an hour before minute 0, which it is now.
    async fn start() -> Self {
        Self::start_with(settings()).await
    }

    async fn start_with(settings: Settings) -> Self {
        let clock = Arc::new(TokioClock::starting_at(minute(-60)));
        let worker = open(&TestStore::new(), &clock, settings).run();
        worker.advance_to(0).await;
        worker
    }

    /// Ends the loop wherever it is; what is on the disk stays.
    async fn crash(mut self) -> (Arc<TestStore>, Arc<TokioClock>) {
        self.running.shutdown().await;
        (self.store, self.clock)
    }

    async fn restart(self) -> Self {
        self.restart_with(settings()).await
    }

    async fn restart_with(self, settings: Settings) -> Self {
        let (store, clock) = self.crash().await;
        open(&store, &clock, settings).run()
    }

    async fn advance_to(&self, to: i64) {
        self.advance(minute(to).since(self.clock.now())).await;
    }

    async fn advance(&self, by: Duration) {
        tokio::time::advance(by).await;
    }

    fn delivery(&self, event: Event) -> Delivery {
        delivery(event, self.clock.now())
    }

    async fn tell(&self, event: Event) -> Verdict {
        self.tell_all(vec![event]).await[0]
    }

    async fn tell_all(&self, events: Vec<Event>) -> Vec<Verdict> {
        self.writer.deliver(events.into_iter().map(|event| self.delivery(event)).collect()).await
    }

    /// Everything that may be claimed now, in the order in which it is.
    async fn claim_all(&self) -> Vec<Claimed> {
        let mut claimed = Vec::new();
        loop {
            // One that finds nothing may have ended at its bound, and says so.
            claimed
                .extend(self.writer.claim(10).await.unwrap().into_iter().flat_map(|batch| batch.reminders));
            if self.next_wake().await > self.clock.now() {
                return claimed;
            }
        }
    }

    async fn claim(&self, limit: usize) -> ClaimedBatch {
        self.writer.claim(limit).await.unwrap().expect("nothing is due")
    }

    async fn claims_nothing(&self) -> bool {
        self.writer.claim(10).await.unwrap().is_none()
    }

    async fn settle(&self, batch: &ClaimedBatch, attempt: Attempt) {
        self.writer.settle(batch.number, settlements(batch, &attempt)).await.unwrap();
    }

    async fn meta(&self) -> Meta {
        self.writer.read(|view| view.meta.clone()).await.unwrap()
    }

    async fn next_wake(&self) -> Timestamp {
        // Through a command, so that all before it is done.
        self.meta().await;
        *self.writer.next_wake().borrow()
    }

    fn record(&self, id: &str) -> Record {
        self.store.record(&task(id)).unwrap().expect("no such task")
    }

    /// The only reminder of `t`.
    fn reminder(&self) -> Reminder {
        let mut reminders = self.record("t").reminders;
        assert_eq!(reminders.len(), 1, "{reminders:?}");
        reminders.remove(0)
    }
}

fn delivery(event: Event, at: Timestamp) -> Delivery {
    Delivery { at, topic: "task-events".into(), content: Content::Event(Box::new(event), Bytes::new()) }
}

fn refused(at: Timestamp, body: &'static str) -> Delivery {
    let body = Bytes::from(body);
    let length = u64::try_from(body.len()).unwrap();
    let content = Content::Refused { code: "not_json", reason: "why".into(), body, length };
    Delivery { at, topic: "task-events".into(), content }
}

fn settlements(batch: &ClaimedBatch, attempt: &Attempt) -> Vec<Settlement> {
    let of = |c: &Claimed| Settlement {
        task_id: c.task_id.clone(),
        id: c.id,
        within: c.reminder.within,
        attempt: attempt.clone(),
    };
    let together = batch.digests.iter().flat_map(|digest| &digest.members);
    batch.reminders.iter().chain(together).map(of).collect()
}

fn failed() -> Attempt {
    Attempt::Failed("refused: 400".into())
}

fn ambiguous() -> Attempt {
    Attempt::Ambiguous("timed out".into())
}

/// The same event for another task.
fn of(id: &str, event: Event) -> Event {
    Event { task_id: task(id), ..event }
}

/// A creation at minute 0 of a task with one reminder, at the due date.
fn due_at(id: &str, minutes: i64) -> Event {
    of(id, created(T0, &[due(minute(minutes)), offsets(&[0])]))
}
