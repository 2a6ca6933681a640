//! Events that apps asked the worker to publish.

use futures_util::future::join_all;

use super::super::outbox::{OUTBOX_DEAD_MAX, SCAN_MAX};
use super::*;
use crate::store::{OutboxEntry, Usage};

/// An entry about the task `id` with a body of two bytes.
pub(crate) fn entry(id: &str) -> OutboxEntry {
    OutboxEntry {
        topic: "task-events".into(),
        task: task(id),
        event_id: format!("event-of-{id}"),
        at: T0,
        attempts: 0,
        next_attempt: None,
        reason: None,
        dead: false,
        length: 2,
    }
}

async fn accept(worker: &Worker, ids: &[&str]) {
    for id in ids {
        assert_eq!(worker.writer.accept(entry(id), b"{}".to_vec()).await, Ok(Acceptance::Kept));
    }
}

async fn take(worker: &Worker, limit: usize) -> Vec<u64> {
    worker.writer.take_outbox(limit, Vec::new()).await.unwrap().into_iter().map(|item| item.number).collect()
}

async fn settle(worker: &Worker, number: u64, result: OutboxResult) {
    worker.writer.settle_outbox(vec![(number, result)]).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn entries_of_one_task_go_out_one_after_another_and_others_pass_them() {
    let worker = Worker::start().await;
    accept(&worker, &["a", "a", "b"]).await;
    assert_eq!(take(&worker, 10).await, [0, 2]);
    assert_eq!(take(&worker, 10).await, [0_u64; 0], "one in flight a task");
    settle(&worker, 0, OutboxResult::Published).await;
    let items = worker.writer.take_outbox(10, Vec::new()).await.unwrap();
    assert_eq!((items.len(), items[0].number, items[0].body.as_slice()), (1, 1, &b"{}"[..]));
    settle(&worker, 1, OutboxResult::Published).await;
    settle(&worker, 2, OutboxResult::Published).await;
    assert_eq!(worker.meta().await.outbox, Usage::default());
    assert_eq!(worker.store.outbox(None, 10).unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn at_most_as_many_as_asked_for_are_taken_oldest_first() {
    let worker = Worker::start().await;
    accept(&worker, &["a", "b", "c"]).await;
    assert_eq!(take(&worker, 2).await, [0, 1]);
    assert_eq!(take(&worker, 2).await, [2]);
}

#[tokio::test(start_paused = true)]
async fn a_failed_entry_waits_and_blocks_only_its_task() {
    let worker = Worker::start().await;
    accept(&worker, &["a", "a", "b"]).await;
    assert_eq!(take(&worker, 1).await, [0]);
    settle(&worker, 0, OutboxResult::Failed("no broker".into())).await;
    assert_eq!(take(&worker, 10).await, [2]);
    let waiting = worker.store.outbox(None, 1).unwrap().remove(0).1;
    assert_eq!((waiting.attempts, waiting.reason.as_deref()), (1, Some("no broker")));
    worker.advance(waiting.next_attempt.unwrap().since(worker.clock.now())).await;
    assert_eq!(take(&worker, 10).await, [0]);
}

#[tokio::test(start_paused = true)]
async fn a_failure_in_the_group_of_a_take_blocks_its_task_all_the_same() {
    let worker = Worker::start().await;
    accept(&worker, &["a", "a", "b"]).await;
    take(&worker, 1).await;
    let settled = worker.writer.settle_outbox(vec![(0, OutboxResult::Failed("no broker".into()))]);
    let (settled, taken) = tokio::join!(settled, worker.writer.take_outbox(10, Vec::new()));
    assert_eq!(settled, Ok(()));
    assert_eq!(taken.unwrap().iter().map(|item| item.number).collect::<Vec<_>>(), [2]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_entry_is_set_aside_and_lets_the_next_one_through() {
    let worker = Worker::start().await;
    accept(&worker, &["a", "a"]).await;
    take(&worker, 10).await;
    settle(&worker, 0, OutboxResult::Refused("too large".into())).await;
    assert_eq!(take(&worker, 10).await, [1]);
    let dead = worker.store.outbox(None, 1).unwrap().remove(0).1;
    assert_eq!((dead.dead, dead.reason.as_deref()), (true, Some("too large")));
    let meta = worker.meta().await;
    assert_eq!(
        (meta.outbox_dead, meta.outbox),
        (Usage { entries: 1, bytes: 2 }, Usage { entries: 2, bytes: 4 })
    );
}

#[tokio::test(start_paused = true)]
async fn a_full_outbox_says_so_and_keeps_what_it_has() {
    let worker = Worker::start_with(Settings { outbox_max_bytes: 4, ..settings() }).await;
    accept(&worker, &["a", "b"]).await;
    assert_eq!(worker.writer.accept(entry("c"), b"{}".to_vec()).await, Ok(Acceptance::Full));
    assert_eq!(worker.meta().await.outbox, Usage { entries: 2, bytes: 4 });
    take(&worker, 1).await;
    settle(&worker, 0, OutboxResult::Published).await;
    accept(&worker, &["c"]).await;
}

#[tokio::test(start_paused = true)]
async fn as_many_dead_entries_as_the_bound_are_kept_and_the_oldest_goes() {
    let worker = Worker::start().await;
    let many = OUTBOX_DEAD_MAX + 1;
    for _ in 0..many {
        worker.writer.accept(entry("a"), b"{}".to_vec()).await.unwrap();
    }
    for number in 0..many {
        assert_eq!(worker.meta().await.outbox_dead.entries, number);
        assert_eq!(take(&worker, 1).await, [number]);
        settle(&worker, number, OutboxResult::Refused("too large".into())).await;
    }
    let meta = worker.meta().await;
    assert_eq!((meta.outbox_dead.entries, meta.outbox.entries), (OUTBOX_DEAD_MAX, OUTBOX_DEAD_MAX));
    assert_eq!(worker.store.outbox(None, 1).unwrap()[0].0, 1);
}

#[tokio::test(start_paused = true)]
async fn a_take_looks_at_no_more_entries_than_its_bound() {
    let worker = Worker::start().await;
    for _ in 0..SCAN_MAX / STEP_MAX {
        join_all((0..STEP_MAX).map(|_| worker.writer.accept(entry("a"), b"{}".to_vec()))).await;
    }
    accept(&worker, &["b"]).await;
    let last = u64::try_from(SCAN_MAX).unwrap();
    assert_eq!(take(&worker, 256).await, [0], "the other task's entry is just beyond it");
    settle(&worker, 0, OutboxResult::Published).await;
    assert_eq!(take(&worker, 256).await, [last], "the next look goes on from there");
    assert_eq!(take(&worker, 256).await, [1]);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_goes_on_and_finds_only_busy_tasks_begins_anew() {
    let worker = Worker::start().await;
    accept(&worker, &["a", "b", "a", "b"]).await;
    assert_eq!(take(&worker, 2).await, [0, 1]);
    settle(&worker, 0, OutboxResult::Published).await;
    settle(&worker, 1, OutboxResult::Published).await;
    assert_eq!(take(&worker, 2).await, [2, 3]);
}

#[tokio::test(start_paused = true)]
async fn what_was_in_flight_at_a_crash_goes_out_again_in_order() {
    let worker = Worker::start().await;
    accept(&worker, &["a", "a"]).await;
    take(&worker, 10).await;
    let worker = worker.restart().await;
    assert_eq!(take(&worker, 10).await, [0]);
}

#[tokio::test(start_paused = true)]
async fn whoever_sends_is_woken_by_what_is_accepted() {
    let worker = Worker::start().await;
    let mut waiting = worker.writer.outbox_waiting();
    waiting.mark_unchanged();
    accept(&worker, &["a"]).await;
    assert!(waiting.has_changed().unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_long_backlog_of_one_task_hides_nothing_behind_it() {
    let worker = Worker::start_with(Settings { outbox_max_bytes: u64::MAX, ..settings() }).await;
    accept(&worker, &vec!["a"; SCAN_MAX + 10]).await;
    accept(&worker, &["b"]).await;
    assert_eq!(take(&worker, 1).await, [0]);
    settle(&worker, 0, OutboxResult::Failed("no broker".into())).await;
    let last = u64::try_from(SCAN_MAX).unwrap() + 10;
    let looks = [take(&worker, 64).await, take(&worker, 64).await, take(&worker, 64).await].concat();
    assert_eq!(looks, [last], "within a few bounded looks, and the backlog keeps its order");
}
