//! Beginning and ending attempts.

use super::*;
use crate::store::Op;

fn named(batch: &ClaimedBatch) -> Vec<&str> {
    batch.reminders.iter().map(|claimed| claimed.task_id.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn reminders_are_claimed_in_time_order_and_at_most_as_many_as_asked_for() {
    let worker = Worker::start().await;
    worker.tell_all(vec![due_at("c", 3), due_at("a", 1), due_at("d", 4), due_at("b", 2)]).await;
    assert_eq!(worker.next_wake().await, minute(1));
    worker.advance_to(3).await;
    let first = worker.claim(2).await;
    assert_eq!(named(&first), ["a", "b"]);
    assert_eq!(worker.next_wake().await, minute(3), "those in flight do not wake anyone");
    let second = worker.claim(2).await;
    assert_eq!(named(&second), ["c"]);
    assert!(worker.claims_nothing().await);
    assert_eq!(worker.next_wake().await, minute(4));
    let claims = worker.store.claims().unwrap();
    assert_eq!(claims.iter().map(|claim| claim.reminders.len()).collect::<Vec<_>>(), [2, 1]);
    assert_eq!(claims[0].reminders[0], first.reminders[0].id);
}

#[tokio::test(start_paused = true)]
async fn a_reminder_is_never_claimed_early() {
    let worker = Worker::start().await;
    worker.tell(due_at("t", 1)).await;
    worker.advance(Duration::from_millis(59_999)).await;
    assert!(worker.claims_nothing().await);
    worker.advance(Duration::from_millis(1)).await;
    assert_eq!(named(&worker.claim(10).await), ["t"]);
}

#[tokio::test(start_paused = true)]
async fn a_claim_is_settled_entry_by_entry_and_what_is_not_named_had_no_answer() {
    let worker = Worker::start().await;
    worker.tell_all(["a", "b", "c", "d"].map(|id| due_at(id, 1)).into()).await;
    worker.advance_to(1).await;
    let batch = worker.claim(10).await;
    let attempts = [("a", Attempt::Confirmed), ("b", failed()), ("c", ambiguous())];
    let settled = batch
        .reminders
        .iter()
        .filter_map(|claimed| {
            let attempt = attempts.iter().find(|(id, _)| *id == claimed.task_id.as_str())?.1.clone();
            Some(Settlement { task_id: claimed.task_id.clone(), id: claimed.id, within: None, attempt })
        })
        .collect();
    worker.writer.settle(batch.number, settled).await.unwrap();
    let of = |id| {
        let reminder = worker.record(id).reminders.remove(0);
        (reminder.state, reminder.maybe_out, reminder.attempts)
    };
    assert_eq!(of("a"), (State::Published, false, 0));
    assert_eq!(of("b"), (State::Pending, false, 1));
    assert_eq!(of("c"), (State::Pending, true, 1));
    assert_eq!(of("d"), (State::Pending, true, 1));
    assert_eq!(worker.store.claims().unwrap(), []);
    worker.settle(&batch, Attempt::Confirmed).await;
    assert_eq!(of("b"), (State::Pending, false, 1), "a claim is settled once");
}

#[tokio::test(start_paused = true)]
async fn a_failed_attempt_leaves_the_head_and_comes_back_after_its_wait() {
    let worker = Worker::start().await;
    worker.tell_all(vec![due_at("a", 1), due_at("b", 1)]).await;
    worker.advance_to(1).await;
    let first = worker.claim(1).await;
    worker.settle(&first, failed()).await;
    let second = worker.claim(10).await;
    assert_eq!(second.reminders.len(), 1);
    assert_ne!(named(&first), named(&second), "what is behind it");
    let wakes = worker.next_wake().await;
    assert!(wakes > minute(1) && wakes <= minute(1).plus(settings().backoff.initial), "{wakes}");
    worker.advance(wakes.since(worker.clock.now())).await;
    let again = worker.claim(10).await;
    assert_eq!((named(&again), again.reminders[0].reminder.attempts), (named(&first), 1));
    assert_eq!(again.reminders[0].id, first.reminders[0].id);
}

#[tokio::test(start_paused = true)]
async fn a_failed_attempt_without_a_wait_is_due_at_once() {
    let backoff = Backoff { initial: Duration::ZERO, max: Duration::ZERO };
    let worker = Worker::start_with(Settings { backoff, ..settings() }).await;
    worker.tell(due_at("t", 1)).await;
    worker.advance_to(1).await;
    for _ in 0..3 {
        let batch = worker.claim(10).await;
        worker.settle(&batch, failed()).await;
    }
    assert_eq!(worker.next_wake().await, minute(1));
}

#[tokio::test(start_paused = true)]
async fn a_reminder_that_is_too_late_at_its_claim_expires_with_its_last_failure() {
    let worker = Worker::start().await;
    worker.tell(due_at("t", 1)).await;
    worker.advance_to(1).await;
    let batch = worker.claim(10).await;
    worker.settle(&batch, failed()).await;
    worker.advance_to(24 * 60 + 1).await;
    let on_the_bound = worker.claim(10).await;
    worker.settle(&on_the_bound, failed()).await;
    worker.advance_to(24 * 60 + 60).await;
    assert!(worker.claims_nothing().await);
    let reminder = worker.reminder();
    assert_eq!(reminder.state, State::Expired);
    assert_eq!(reminder.reason.as_deref(), Some("not sent within expire_after; last failure: refused: 400"));
    assert_eq!(worker.next_wake().await, Timestamp::MAX);
    assert_eq!(worker.meta().await.reminders.counts(), [0, 0, 0, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn after_a_long_outage_a_claim_ends_no_more_than_a_step_of_late_reminders() {
    let worker = Worker::start().await;
    let many = STEP_MAX + 10;
    worker.tell_all((0..many).map(|n| due_at(&n.to_string(), 1)).collect()).await;
    worker.tell(due_at("fresh", 3 * 24 * 60)).await;
    worker.advance_to(3 * 24 * 60).await;
    let mut claims = 0;
    worker.store.forget_batches();
    while worker.claims_nothing().await {
        claims += 1;
    }
    assert_eq!(claims, 1, "and the next one gets to what can be sent");
    let records =
        |batch: &crate::store::Batch| batch.ops().iter().filter(|op| matches!(op, Op::PutRecord(..))).count();
    let sizes: Vec<_> = worker.store.batches().iter().map(records).filter(|count| *count > 0).collect();
    assert_eq!(sizes, [STEP_MAX, many - STEP_MAX]);
}

#[tokio::test(start_paused = true)]
async fn an_overdue_event_that_lands_before_those_in_flight_is_found() {
    let worker = Worker::start().await;
    worker.tell_all(vec![due_at("a", 10), due_at("b", 20)]).await;
    worker.advance_to(20).await;
    let in_flight = worker.claim(10).await;
    assert_eq!(named(&in_flight), ["a", "b"]);
    worker.tell(due_at("late", 5)).await;
    assert_eq!(worker.next_wake().await, minute(5));
    assert_eq!(named(&worker.claim(10).await), ["late"]);
    worker.tell(due_at("between", 15)).await;
    assert_eq!(named(&worker.claim(10).await), ["between"]);
    assert!(worker.claims_nothing().await, "those in flight are passed over");
}

#[tokio::test(start_paused = true)]
async fn a_crash_with_open_claims_leaves_them_in_doubt_and_due() {
    let worker = Worker::start().await;
    worker.tell_all(vec![due_at("a", 1), due_at("b", 1), due_at("c", 1), due_at("d", 99)]).await;
    worker.advance_to(1).await;
    worker.claim(1).await;
    worker.claim(1).await;
    let worker = worker.restart().await;
    let doubtful = ["a", "b", "c", "d"].map(|id| worker.record(id).reminders[0].maybe_out);
    assert_eq!(doubtful.iter().filter(|maybe_out| **maybe_out).count(), 2);
    assert!(!doubtful[3]);
    assert_eq!(worker.store.claims().unwrap(), []);
    assert_eq!(worker.claim(10).await.reminders.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cant_be_read_holds_up_no_other() {
    let worker = Worker::start().await;
    worker.tell_all(vec![due_at("damaged", 1), due_at("t", 2)]).await;
    worker.advance_to(2).await;
    worker.store.damage(&task("damaged"));
    assert_eq!(named(&worker.claim(10).await), ["t"]);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_is_damaged_while_in_flight_holds_up_neither_its_settlement_nor_a_start() {
    let worker = Worker::start().await;
    worker.tell_all(vec![due_at("damaged", 1), due_at("t", 1)]).await;
    worker.advance_to(1).await;
    let batch = worker.claim(10).await;
    worker.store.damage(&task("damaged"));
    worker.settle(&batch, Attempt::Confirmed).await;
    assert_eq!(worker.record("t").reminders[0].state, State::Published);
    worker.tell(due_at("u", 1)).await;
    worker.claim(10).await;
    let worker = worker.restart().await;
    assert_eq!(named(&worker.claim(10).await), ["u"]);
}
