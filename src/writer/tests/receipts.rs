//! Reminders that came back through the broker.

use super::super::core::Core;
use super::super::receipts::{RECEIPTS_A_COMMIT, RECEIPTS_MAX};
use super::*;

fn receipt(claimed: &Claimed) -> Receipt {
    let planned_at = Some(claimed.reminder.fire_at);
    Receipt { task_id: claimed.task_id.clone(), id: claimed.id, planned_at }
}

fn of_task(id: &str, reminder: ReminderId) -> Receipt {
    Receipt { task_id: task(id), id: reminder, planned_at: None }
}

#[tokio::test(start_paused = true)]
async fn a_receipt_waits_for_an_idle_moment_and_is_then_written() {
    let worker = Worker::start().await;
    worker.tell(due_at("t", 1)).await;
    worker.advance_to(1).await;
    let batch = worker.claim(10).await;
    worker.settle(&batch, ambiguous()).await;
    worker.store.forget_batches();
    worker.writer.received(vec![receipt(&batch.reminders[0])], minute(1));
    worker.meta().await;
    assert_eq!(worker.store.batches(), [], "it is worth no commit of its own");
    worker.clock.sleep(Duration::from_secs(3)).await;
    worker.meta().await;
    let reminder = worker.reminder();
    assert_eq!((reminder.state, reminder.received_at), (State::Published, Some(minute(1))));
    assert!(!reminder.maybe_out);
    worker.advance_to(60).await;
    assert!(worker.claims_nothing().await, "it is known to have gone out");
}

#[tokio::test(start_paused = true)]
async fn many_receipts_are_written_a_commit_at_a_time() {
    let worker = Worker::start().await;
    let many = RECEIPTS_A_COMMIT + 1;
    worker.tell_all((0..many).map(|n| due_at(&n.to_string(), 1)).collect()).await;
    worker.advance_to(1).await;
    let batch = worker.claim(many).await;
    assert_eq!(batch.reminders.len(), STEP_MAX.min(many));
    let rest = worker.claim(many).await;
    for batch in [&batch, &rest] {
        worker.settle(batch, Attempt::Confirmed).await;
    }
    let receipts: Vec<_> = batch.reminders.iter().chain(&rest.reminders).map(receipt).collect();
    worker.writer.received(receipts, minute(1));
    worker.clock.sleep(Duration::from_secs(3)).await;
    worker.meta().await;
    let written = (0..many).filter(|n| worker.record(&n.to_string()).reminders[0].received_at.is_some());
    assert_eq!(written.count(), many);
}

#[tokio::test(start_paused = true)]
async fn a_receipt_of_a_record_that_cant_be_read_holds_up_nothing() {
    let worker = Worker::start().await;
    worker.tell_all(vec![due_at("damaged", 1), due_at("t", 1)]).await;
    worker.advance_to(1).await;
    let batch = worker.claim(10).await;
    worker.settle(&batch, Attempt::Confirmed).await;
    worker.store.damage(&task("damaged"));
    worker.writer.received(batch.reminders.iter().map(receipt).collect(), minute(1));
    worker.clock.sleep(Duration::from_secs(3)).await;
    assert_eq!(worker.tell(due_at("u", 60)).await, Verdict::Success);
    assert!(worker.record("t").reminders[0].received_at.is_some());
}

#[tokio::test(start_paused = true)]
async fn as_many_receipts_as_the_bound_are_noted() {
    let clock = Arc::new(TokioClock::starting_at(T0));
    let store = TestStore::new();
    let mut core = Core::open(store, settings(), T0).unwrap();
    let unknown = of_task("t", ReminderId::from_bytes([0; 16]));
    let noted = |receipts| Command::Receipts { receipts, at: clock.now() };
    core.fold(vec![noted(vec![unknown.clone(); RECEIPTS_MAX + 1])], T0, false)
        .map_err(|(error, ..)| error)
        .unwrap();
    assert_eq!(core.receipts.len(), RECEIPTS_MAX);
}

#[tokio::test(start_paused = true)]
async fn a_receipt_that_finds_the_queue_full_is_lost_and_a_delivery_waits() {
    let worker = Worker::start().await;
    worker.tell(due_at("t", 1)).await;
    let id = worker.reminder().id(&task("t"));
    let (store, clock) = worker.crash().await;
    let opened = open(&store, &clock, settings());
    let writer = opened.worker.writer.clone();
    let mut reads: Vec<_> = (0..QUEUE_MAX).map(|_| Box::pin(writer.read(|_| ()))).collect();
    for read in &mut reads {
        assert!(futures_util::poll!(read).is_pending());
    }
    assert_eq!(writer.waiting(), QUEUE_MAX, "the gauge says so");
    writer.received(vec![of_task("t", id)], T0);
    let mut told = Box::pin(writer.deliver(vec![delivery(due_at("u", 60), T0)]));
    assert!(futures_util::poll!(&mut told).is_pending());
    let worker = opened.run();
    assert_eq!(told.await, [Verdict::Success]);
    worker.clock.sleep(Duration::from_secs(3)).await;
    assert_eq!(worker.reminder().received_at, None);
    worker.writer.received(vec![of_task("t", id)], T0);
    worker.clock.sleep(Duration::from_secs(3)).await;
    assert_eq!(worker.reminder().received_at, Some(T0));
}

#[tokio::test(start_paused = true)]
async fn a_receipt_of_what_is_unknown_changes_nothing() {
    let worker = Worker::start().await;
    worker.tell(due_at("t", 60)).await;
    let before = worker.record("t");
    let other = ReminderId::from_bytes([7; 16]);
    worker.writer.received(vec![of_task("t", other), of_task("nobody", other)], T0);
    worker.clock.sleep(Duration::from_secs(3)).await;
    assert_eq!(worker.record("t"), before);
    assert!(worker.store.record(&task("nobody")).unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn a_reminder_that_was_never_planned_here_raises_the_alarm_and_own_ones_do_not() {
    let worker = Worker::start().await;
    worker.tell_all(vec![due_at("t", 1), due_at("damaged", 1)]).await;
    worker.advance_to(1).await;
    let batch = worker.claim(10).await;
    worker.settle(&batch, Attempt::Confirmed).await;
    worker.writer.received(batch.reminders.iter().map(receipt).collect(), minute(1));
    worker.clock.sleep(Duration::from_secs(3)).await;
    let foreign = async || worker.writer.read(|view| view.foreign.clone()).await.unwrap();
    assert_eq!(foreign().await, Foreign::default());

    let other = ReminderId::from_bytes([7; 16]);
    let seen = |id| Receipt { planned_at: Some(minute(1)), ..of_task(id, other) };
    worker.store.damage(&task("damaged"));
    worker.writer.received(vec![seen("damaged")], minute(1));
    worker.clock.sleep(Duration::from_secs(3)).await;
    assert_eq!(foreign().await.count, 0, "nothing is known of a record that cannot be read");

    worker.writer.received(vec![seen("t"), seen("nobody")], minute(2));
    worker.clock.sleep(Duration::from_secs(3)).await;
    let alarm = foreign().await;
    assert_eq!(alarm.count, 2);
    assert_eq!(alarm.last.map(|last| (last.id, last.at)), Some((other, minute(2))));
    assert!(worker.store.record(&task("nobody")).unwrap().is_none());
}
