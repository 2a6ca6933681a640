//! The counters are compared with what is there, while it changes.

use super::counters::{Choices, any_event};
use super::outbox::entry;
use super::*;
use crate::store::audit::{AUDIT_STEP, Mismatch, audit};
use crate::store::{Batch, Ledger, Op, Usage};

/// A whole pass, and what it has found.
async fn reconcile(worker: &Worker) -> Vec<Mismatch> {
    while worker.writer.reconcile().await.unwrap() {}
    found(worker).await
}

async fn found(worker: &Worker) -> Vec<Mismatch> {
    worker.writer.read(|view| view.mismatches.to_vec()).await.unwrap()
}

fn is_not(what: &'static str, counted: i64, there: i64) -> Mismatch {
    Mismatch { what, counted, there }
}

/// Writes behind the worker's back.
fn tamper(worker: &Worker, ops: Vec<Op>) {
    let mut batch = Batch::default();
    ops.into_iter().for_each(|op| batch.push(op));
    worker.store.commit(&batch).unwrap();
}

const MANY: u64 = 2 * AUDIT_STEP as u64 + 30;

/// Whatever may be asked of a worker, about one of [`MANY`] tasks.
async fn anything(worker: &Worker, choices: &mut Choices, step: i64, open: &mut Vec<ClaimedBatch>) {
    let id = choices.below(MANY).to_string();
    match choices.below(12) {
        0..=3 => {
            let events = (0..choices.below(5)).map(|_| {
                let event = any_event(choices, step);
                of(&choices.below(MANY).to_string(), event)
            });
            let events: Vec<Event> = events.collect();
            worker.tell_all(events).await;
        }
        4 => drop(worker.writer.deliver(vec![refused(minute(step), "body")]).await),
        5 => open.extend(worker.writer.claim(7).await.unwrap()),
        6 if !open.is_empty() => {
            let attempts = [Attempt::Confirmed, failed(), ambiguous()];
            let which = usize::try_from(choices.below(3)).unwrap();
            worker.settle(&open.remove(0), attempts[which].clone()).await;
        }
        7 => {
            let accepted = worker.writer.accept(entry(&id), b"{}".to_vec()).await;
            assert_eq!(accepted, Ok(Acceptance::Kept));
        }
        8 => {
            let taken = worker.writer.take_outbox(2, Vec::new()).await.unwrap();
            let result = |n: i64| match n {
                0 => OutboxResult::Published,
                1 => OutboxResult::Failed("no".into()),
                _ => OutboxResult::Refused("no".into()),
            };
            let results = taken.iter().map(|item| (item.number, result(choices.below(3)))).collect();
            worker.writer.settle_outbox(results).await.unwrap();
        }
        9 => drop(worker.writer.purge().await),
        10 => {
            let numbers = worker.store.quarantined(None, 3).unwrap().into_iter().map(|(n, _)| n).collect();
            worker.writer.erase(ErasePart::Quarantined(numbers)).await.unwrap();
        }
        _ => {
            let order = Order::Cancel(crate::domain::Target::Present);
            worker.writer.order(task(&id), order, step.to_string()).await.unwrap();
            worker.advance_to(step).await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_recount_in_steps_is_exact_whatever_is_done_between_them() {
    // Short, so that tasks are purged and quarantined events make room within the run.
    let settings =
        || Settings { retention: Duration::from_secs(30 * 60), quarantine_max_entries: 5, ..settings() };
    let (mut passes, mut purged) = (0, false);
    for seed in 1..=1 {
        let mut choices = Choices(seed);
        let mut worker = Worker::start_with(settings()).await;
        let mut open = Vec::new();
        for part in 0..6 {
            let ids = (0..MANY / 6).map(|n| (part * MANY / 6 + n).to_string());
            worker.tell_all(ids.map(|id| due_at(&id, 5 + choices.below(60))).collect()).await;
        }
        for step in 1..=160 {
            anything(&worker, &mut choices, step, &mut open).await;
            if step == 80 {
                worker.clock.sleep(Duration::from_secs(3)).await;
                worker = worker.restart_with(settings()).await;
                open.clear();
            }
            if !worker.writer.reconcile().await.unwrap() {
                assert_eq!(found(&worker).await, [], "seed {seed}, step {step}");
                passes += 1;
            }
        }
        purged |= worker.meta().await.ledger.forgotten.unwrap().total() > 0;
        worker.clock.sleep(Duration::from_secs(3)).await;
        assert_eq!(audit(worker.store.as_ref()).unwrap().mismatches, [], "offline it is the same");
    }
    assert!(passes >= 15 && purged, "the run was worth it: {passes} passes");
}

#[tokio::test(start_paused = true)]
async fn a_reminder_that_vanishes_is_told_and_so_is_one_that_nobody_planned() {
    let worker = Worker::start().await;
    worker.tell_all(vec![due_at("a", 60), due_at("b", 60)]).await;
    assert_eq!(reconcile(&worker).await, []);
    let (kept, mut odd) = (worker.record("a"), worker.record("a"));
    odd.reminders.clear();
    tamper(&worker, vec![Op::PutRecord(task("a"), Box::new(odd))]);
    assert_eq!(reconcile(&worker).await, [is_not("pending", 2, 1)]);
    let mut odd = kept.clone();
    odd.reminders.push(Reminder { rule: crate::domain::Rule::Offset(7), ..odd.reminders[0].clone() });
    tamper(&worker, vec![Op::PutRecord(task("a"), Box::new(odd))]);
    assert_eq!(reconcile(&worker).await, [is_not("pending", 2, 3)]);
    tamper(&worker, vec![Op::PutRecord(task("a"), Box::new(kept))]);
    assert_eq!(reconcile(&worker).await, [], "what was mended is told no more");
}

#[tokio::test(start_paused = true)]
async fn each_thing_that_is_counted_is_compared() {
    let worker = Worker::start().await;
    worker.tell_all(vec![due_at("a", 60), due_at("b", 1)]).await;
    worker.advance_to(1).await;
    let batch = worker.claim(1).await;
    worker.settle(&batch, Attempt::Confirmed).await;
    worker.writer.deliver(vec![refused(T0, "body")]).await;
    worker.writer.accept(entry("t"), b"{}".to_vec()).await.unwrap();
    assert_eq!(reconcile(&worker).await, []);
    let pending = worker.store.pending(None, 1).unwrap().remove(0);
    let settled = worker.store.settled(None, 1).unwrap().remove(0);
    let (number, waiting) = worker.store.outbox(None, 1).unwrap().remove(0);
    let (dropped, kept) = worker.store.quarantined(None, 1).unwrap().remove(0);
    for (tampering, mending, expected) in [
        (
            Op::RemovePending(pending.key),
            Op::PutPending(pending.key, pending.task),
            vec![is_not("pending_index", 1, 0)],
        ),
        (
            Op::RemoveSettled(settled.key),
            Op::PutSettled(settled.key, settled.task),
            vec![is_not("settled_index", 1, 0)],
        ),
        (
            Op::PutQuarantined(dropped, kept.clone(), b"bo".to_vec()),
            Op::PutQuarantined(dropped, kept, b"body".to_vec()),
            vec![is_not("quarantine_bytes", 4, 2)],
        ),
        (
            Op::UpdateOutbox(number, OutboxEntry { dead: true, length: 3, ..waiting.clone() }),
            Op::UpdateOutbox(number, waiting.clone()),
            vec![is_not("outbox_bytes", 2, 3), is_not("dead_letter_entries", 0, 1)],
        ),
        (
            Op::RemoveOutbox(number),
            Op::PutOutbox(number, waiting, b"{}".to_vec()),
            vec![is_not("outbox_entries", 1, 0), is_not("outbox_bytes", 2, 0)],
        ),
    ] {
        tamper(&worker, vec![tampering]);
        assert_eq!(reconcile(&worker).await, expected);
        assert_eq!(audit(worker.store.as_ref()).unwrap().mismatches, expected);
        tamper(&worker, vec![mending]);
        assert_eq!(reconcile(&worker).await, []);
    }
}

#[tokio::test(start_paused = true)]
async fn counters_that_disagree_among_themselves_are_told() {
    let worker = Worker::start().await;
    worker.tell(due_at("a", 60)).await;
    let mut meta = worker.store.meta().unwrap();
    meta.ledger.received += 1;
    meta.ledger.planned += 2;
    meta.quarantine = Usage { entries: 1, bytes: 3 };
    tamper(&worker, vec![Op::PutMeta(Box::new(meta))]);
    let worker = worker.restart().await;
    let expected = [
        is_not("received", 2, 1),
        is_not("planned", 3, 1),
        is_not("quarantine_entries", 1, 0),
        is_not("quarantine_bytes", 3, 0),
    ];
    assert_eq!(reconcile(&worker).await, expected);
    assert_eq!(audit(worker.store.as_ref()).unwrap().mismatches, expected);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_forgot_before_that_was_counted_raises_no_alarm_and_is_held_to_it_from_then_on() {
    const DAY: i64 = 24 * 60;
    let worker = Worker::start().await;
    worker.tell_all(vec![due_at("gone", 1), due_at("kept", 60 * DAY)]).await;
    worker.tell(of("gone", event(Kind::Deleted, minute(0)))).await;
    worker.advance_to(9 * DAY).await;
    worker.writer.purge().await.unwrap();
    // As the release before wrote it.
    let mut meta = worker.store.meta().unwrap();
    meta.ledger = Ledger::from_here_on(&meta.events, &meta.reminders);
    tamper(&worker, vec![Op::PutMeta(Box::new(meta))]);
    assert_eq!(audit(worker.store.as_ref()).unwrap().mismatches, [], "taken for right");
    let worker = worker.restart().await;
    // Before the first pass is over, more is forgotten; and a crash forgets the pass.
    worker.tell(of("late", event(Kind::Deleted, minute(9 * DAY)))).await;
    worker.tell(of("other", created(minute(9 * DAY), &[due(minute(9 * DAY + 5)), offsets(&[0])]))).await;
    worker.writer.reconcile().await.unwrap();
    let worker = worker.restart().await;
    assert_eq!(reconcile(&worker).await, []);
    assert_eq!(worker.meta().await.ledger.forgotten.unwrap().of(State::Cancelled), 1);
    worker.clock.sleep(Duration::from_secs(3)).await;
    assert!(worker.store.meta().unwrap().ledger.forgotten.is_some(), "it is written by itself");
    // From now on what is forgotten must be counted.
    worker.tell(of("other", event(Kind::Deleted, minute(9 * DAY + 1)))).await;
    worker.advance_to(18 * DAY).await;
    worker.writer.purge().await.unwrap();
    assert_eq!(reconcile(&worker).await, []);
    assert_eq!(worker.meta().await.ledger.forgotten.unwrap().of(State::Cancelled), 2);
    let record = worker.record("kept");
    let mut batch = Batch::default();
    batch.replace(&task("kept"), Some(&record), None);
    worker.store.commit(&batch).unwrap();
    assert_eq!(reconcile(&worker).await, [is_not("pending", 1, 0), is_not("pending_index", 1, 0)]);
}

#[tokio::test(start_paused = true)]
async fn a_first_count_that_finds_more_than_was_counted_is_told() {
    let worker = Worker::start().await;
    worker.tell(due_at("a", 60)).await;
    let mut meta = worker.store.meta().unwrap();
    meta.reminders = crate::domain::Tally::default();
    meta.ledger = Ledger::from_here_on(&meta.events, &meta.reminders);
    tamper(&worker, vec![Op::PutMeta(Box::new(meta))]);
    let worker = worker.restart().await;
    assert_eq!(reconcile(&worker).await, [is_not("pending", 0, 1), is_not("pending_index", 0, 1)]);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_is_told_and_the_states_are_not_guessed() {
    let worker = Worker::start().await;
    worker.tell_all(vec![due_at("a", 60), due_at("b", 60)]).await;
    worker.store.damage(&task("a"));
    assert_eq!(reconcile(&worker).await, [is_not("unreadable", 0, 1)]);
}

#[tokio::test(start_paused = true)]
async fn a_recount_that_the_store_cuts_off_goes_on_where_it_was() {
    let worker = Worker::start().await;
    worker.tell(due_at("a", 60)).await;
    worker.store.fail_reads(true);
    assert_eq!(worker.writer.reconcile().await, Err(NotCommitted));
    worker.store.fail_reads(false);
    assert_eq!(reconcile(&worker).await, []);
}

#[tokio::test(start_paused = true)]
async fn a_plain_task_costs_no_write_and_no_read_for_being_counted() {
    let worker = Worker::start().await;
    worker.store.forget_batches();
    worker.store.reads();
    worker.tell(due_at("a", 60)).await;
    let ops: usize = worker.store.batches().iter().map(|batch| batch.ops().len()).sum();
    assert_eq!((ops, worker.store.reads()), (3, 1), "its record, its place in the index, and the counters");
}
