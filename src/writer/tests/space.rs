//! Little free space: what grows the store waits, what is due goes out.

use super::super::run::RETRY_AFTER;
use super::super::space::{PARKED_MAX, RESUME_MORE};
use super::outbox::entry;
use super::*;
use crate::domain::{Due, Target};

const RESERVE: u64 = 100;
const SECOND: Duration = Duration::from_secs(1);

fn with_reserve() -> Settings {
    Settings { reserve_bytes: RESERVE, ..settings() }
}

/// A worker that has seen that `free` bytes are free.
async fn with_free(free: u64) -> Worker {
    let worker = Worker::start_with(with_reserve()).await;
    becomes(&worker, free).await;
    worker
}

async fn becomes(worker: &Worker, free: u64) {
    worker.store.set_free(free);
    worker.clock.sleep(SECOND + SECOND / 2).await;
}

fn reschedule() -> Order {
    Order::Reschedule(Due::Instant(minute(90)), None)
}

#[tokio::test(start_paused = true)]
async fn below_the_reserve_what_grows_the_store_is_refused_and_what_is_due_goes_out() {
    let worker = Worker::start_with(with_reserve()).await;
    worker.tell_all(vec![due_at("due", 1), due_at("off", 60), due_at("t", 60)]).await;
    worker.writer.accept(entry("t"), b"{}".to_vec()).await.unwrap();
    becomes(&worker, RESERVE - 1).await;
    let started = worker.clock.now();
    assert_eq!(worker.tell(due_at("new", 60)).await, Verdict::Retry);
    let held = worker.clock.now().since(started);
    assert!(held >= RETRY_AFTER && held <= RETRY_AFTER + SECOND, "it was held a little first: {held:?}");
    assert_eq!(worker.writer.accept(entry("t"), b"{}".to_vec()).await, Err(NotCommitted));
    assert_eq!(worker.writer.import(Vec::new(), T0).await, Err(NotCommitted));
    assert_eq!(worker.writer.order(task("t"), reschedule(), "a".into()).await, Err(NotCommitted));
    let room = worker.writer.room().unwrap();
    assert!(room.short && room.to_string().contains("store.reserve_mb"), "{room}");

    worker.advance_to(1).await;
    let batch = worker.claim(10).await;
    worker.settle(&batch, Attempt::Confirmed).await;
    assert_eq!(worker.record("due").reminders[0].state, State::Published);
    let cancelled = worker.writer.order(task("off"), Order::Cancel(Target::Present), "b".into()).await;
    assert!(matches!(cancelled, Ok(Ordered::Done { .. })), "{cancelled:?}");
    assert_eq!(worker.record("off").reminders[0].state, State::Cancelled);
    let [item] = &worker.writer.take_outbox(9, Vec::new()).await.unwrap()[..] else { panic!("one waits") };
    worker.writer.settle_outbox(vec![(item.number, OutboxResult::Published)]).await.unwrap();
    assert_eq!(worker.meta().await.outbox.entries, 0);
    assert_eq!(worker.writer.purge().await, Ok(false));

    becomes(&worker, RESERVE + RESUME_MORE).await;
    assert_eq!(worker.tell(due_at("new", 60)).await, Verdict::Success, "by itself");
    assert_eq!(worker.writer.accept(entry("t"), b"{}".to_vec()).await, Ok(Acceptance::Kept));
}

#[tokio::test(start_paused = true)]
async fn it_does_not_flap_around_the_reserve_and_none_is_none() {
    let worker = with_free(RESERVE).await;
    assert_eq!(worker.tell(due_at("a", 60)).await, Verdict::Success, "on the bound");
    becomes(&worker, RESERVE - 1).await;
    assert_eq!(worker.tell(due_at("b", 60)).await, Verdict::Retry);
    becomes(&worker, RESERVE + RESUME_MORE - 1).await;
    assert_eq!(worker.tell(due_at("b", 60)).await, Verdict::Retry, "not yet");
    becomes(&worker, RESERVE + RESUME_MORE).await;
    assert_eq!(worker.tell(due_at("b", 60)).await, Verdict::Success);
    let worker = Worker::start().await;
    becomes(&worker, 0).await;
    assert_eq!(worker.tell(due_at("a", 60)).await, Verdict::Success, "no reserve is kept");
}

#[tokio::test(start_paused = true)]
async fn deliveries_that_wait_are_taken_when_there_is_room_within_their_wait() {
    let worker = with_free(0).await;
    let told = worker.tell_all((0..300).map(|n| due_at(&n.to_string(), 60)).collect());
    let freed = async {
        worker.clock.sleep(SECOND / 10).await;
        worker.store.set_free(u64::MAX);
    };
    let (verdicts, ()) = tokio::join!(told, freed);
    assert_eq!(verdicts, vec![Verdict::Success; 300]);
}

#[tokio::test(start_paused = true)]
async fn only_so_many_wait_for_room() {
    let worker = with_free(0).await;
    let started = worker.clock.now();
    let mut waiting = JoinSet::new();
    for n in 0..=PARKED_MAX {
        let (writer, delivery) = (worker.writer.clone(), worker.delivery(due_at(&n.to_string(), 60)));
        let clock = Arc::clone(&worker.clock);
        waiting.spawn(async move {
            assert_eq!(writer.deliver(vec![delivery]).await, [Verdict::Retry]);
            clock.now().since(started) < SECOND
        });
    }
    let at_once = waiting.join_all().await.into_iter().filter(|at_once| *at_once).count();
    assert_eq!(at_once, 1, "all but one waited");
}

#[tokio::test(start_paused = true)]
async fn free_space_is_looked_at_every_second_and_before_as_much_as_a_group_takes() {
    let worker = Worker::start_with(with_reserve()).await;
    worker.clock.sleep(3 * SECOND).await;
    let before = worker.store.looks();
    worker.clock.sleep(10 * SECOND).await;
    let idle = worker.store.looks() - before;
    assert!((9..=11).contains(&idle), "{idle}");
    let before = worker.store.looks();
    for _ in 0..10 {
        worker.tell(updated(minute(0), &[])).await;
    }
    assert!(worker.store.looks() - before <= 1, "small groups share a look");
    worker.store.set_free(0);
    let many = (0..GROUP_EVENTS_MAX).map(|n| due_at(&n.to_string(), 60)).collect();
    assert_eq!(
        worker.tell_all(many).await[0],
        Verdict::Retry,
        "a large one is looked at before it is written"
    );
}

#[tokio::test(start_paused = true)]
async fn planning_anew_waits_for_room_without_spinning() {
    let worker = Worker::start_with(with_reserve()).await;
    worker.tell_all((0..5).map(|n| due_at(&n.to_string(), 60)).collect()).await;
    worker.store.set_free(0);
    let other = Policy { default_offsets: vec![30], ..settings().policy };
    let worker = worker.restart_with(Settings { policy: other, ..with_reserve() }).await;
    let looks = worker.store.looks();
    worker.clock.sleep(5 * SECOND).await;
    assert!(worker.meta().await.replanning_after.is_some(), "it waits");
    assert!(worker.store.looks() - looks <= 7, "and turns no more often than an idle loop");
    becomes(&worker, u64::MAX).await;
    assert_eq!(worker.meta().await.replanning_after, None);
}
