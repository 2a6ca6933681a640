//! Nothing vanishes (**invariant 5**): after any run of commands the counters are what is there.

use super::*;
use crate::domain::Tally;

/// A source of choices that is the same in every run.
pub(super) struct Choices(pub(super) u64);

impl Choices {
    /// One of `0..below`.
    pub(super) fn below(&mut self, below: u64) -> i64 {
        // Knuth's MMIX generator; the high bits are the good ones.
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        i64::try_from((self.0 >> 33) % below).unwrap()
    }
}

pub(super) fn any_event(choices: &mut Choices, now: i64) -> Event {
    let stamp = minute(now - choices.below(30));
    let to = due(minute(now + choices.below(90) - 30));
    let event = match choices.below(8) {
        0 => event(Kind::Completed, stamp),
        1 => event(Kind::Deleted, stamp),
        2 => created(stamp, &[to]),
        3 => updated(stamp, &[Statement::Due(None)]),
        4 => updated(stamp, &[Statement::Status(Some(crate::domain::Status::Todo))]),
        5 => updated(stamp, &[]),
        _ => updated(stamp, &[to, offsets(&[0, 10])]),
    };
    of(&choices.below(6).to_string(), event)
}

/// What the records hold, by state.
fn held(worker: &Worker) -> Tally {
    let mut tally = Tally::default();
    for task in worker.store.tasks(None, 100).unwrap() {
        let record = worker.store.record(&task).unwrap().unwrap();
        tally.add(&Tally::count(&record.reminders));
    }
    tally
}

async fn check(worker: &Worker, told: u64) {
    let meta = worker.meta().await;
    let held = held(worker);
    assert_eq!(meta.ledger.received, told);
    assert_eq!(meta.reminders.of(State::Pending), held.of(State::Pending));
    let indexed = worker.store.pending(None, 1000).unwrap().len();
    assert_eq!(usize::try_from(held.of(State::Pending)).unwrap(), indexed);
    for state in State::ALL {
        // What is forgotten or purged stays counted.
        assert!(meta.reminders.of(state) >= held.of(state), "{state:?}: {meta:?} {held:?}");
    }
    assert_eq!(meta.reminders.total(), meta.reminders.counts().iter().sum::<i64>());
}

#[tokio::test(start_paused = true)]
async fn the_counters_are_what_is_there_after_any_run_of_commands() {
    // Short, so that tasks are purged within the run.
    let settings = || Settings { retention: Duration::from_secs(20 * 60), ..settings() };
    let mut seen = [false; State::ALL.len()];
    for seed in 1..=8 {
        let mut choices = Choices(seed);
        let mut worker = Worker::start_with(settings()).await;
        let (mut told, mut open) = (0, Vec::new());
        for step in 1..=150 {
            match choices.below(10) {
                0..=4 => {
                    let count = choices.below(5);
                    let events = (0..count).map(|_| any_event(&mut choices, step)).collect();
                    worker.tell_all(events).await;
                    told += u64::try_from(count).unwrap();
                }
                5 => {
                    worker.writer.deliver(vec![refused(minute(step), "x")]).await;
                    told += 1;
                }
                6 => open.extend(worker.writer.claim(3).await.unwrap()),
                7 if !open.is_empty() => {
                    let batch: ClaimedBatch = open.remove(0);
                    let attempts = [Attempt::Confirmed, failed(), ambiguous()];
                    let which = usize::try_from(choices.below(3)).unwrap();
                    worker.settle(&batch, attempts[which].clone()).await;
                }
                8 if choices.below(4) == 0 => {
                    check(&worker, told).await;
                    // Counters alone are written in an idle moment.
                    worker.clock.sleep(Duration::from_secs(3)).await;
                    worker = worker.restart_with(settings()).await;
                    open.clear();
                }
                _ => {
                    worker.writer.purge().await.unwrap();
                    worker.advance_to(step).await;
                }
            }
            check(&worker, told).await;
            for (seen, count) in seen.iter_mut().zip(worker.meta().await.reminders.counts()) {
                *seen |= count > 0;
            }
        }
    }
    assert_eq!(seen, [true; State::ALL.len()], "the run was worth it");
}

#[tokio::test(start_paused = true)]
async fn every_event_is_exactly_one_of_applied_duplicate_stale_ignored_and_quarantined() {
    let worker = Worker::start().await;
    worker.tell(due_at("t", 60)).await;
    worker.tell(due_at("t", 60)).await;
    worker.tell(updated(minute(-1), &[due(minute(5))])).await;
    worker.tell(updated(minute(1), &[])).await;
    worker.writer.deliver(vec![refused(T0, "x")]).await;
    let meta = worker.meta().await;
    let events = meta.events;
    let counted = [events.applied, events.duplicate, events.stale, events.ignored, events.quarantined];
    assert_eq!((counted, meta.ledger.received), ([1; 5], 5));
}
