//! The work on paused time; the library that rings for it knows the machine's time alone.

use std::time::Duration;

use super::*;
use crate::domain::Kind;
use crate::domain::tests::{event, minute, task};
use crate::scheduler::tests::{SECOND, Worker, due_in, of};
use crate::store::{Batch, Op, Store as _};
use crate::writer::STEP_MAX;

const MANY: usize = 2 * STEP_MAX + 10;

/// A worker with [`MANY`] tasks whose retention is over and one that is open.
async fn worker_with_old_tasks() -> Worker {
    let worker = Worker::still().await;
    let ids: Vec<String> = (0..MANY).map(|n| n.to_string()).collect();
    worker.tell_all(ids.iter().map(|id| due_in(id, 60_000)).collect()).await;
    worker.tell_all(ids.iter().map(|id| of(id, event(Kind::Completed, minute(0)))).collect()).await;
    worker.tell(due_in("open", 60_000)).await;
    worker.clock.suspend(9 * 24 * 60 * 60 * 1_000);
    worker
}

fn tasks(worker: &Worker) -> usize {
    worker.store.tasks(None, 2 * MANY).unwrap().len()
}

#[tokio::test(start_paused = true)]
async fn one_purge_forgets_every_task_whose_retention_is_over_and_no_other() {
    let worker = worker_with_old_tasks().await;
    assert_eq!(tasks(&worker), MANY + 1);
    purge(&worker.writer, &worker.stop).await;
    assert_eq!(tasks(&worker), 1);
    assert!(worker.store.record(&task("open")).unwrap().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_purge_takes_no_further_step_after_a_stop() {
    let worker = worker_with_old_tasks().await;
    worker.stop.cancel();
    purge(&worker.writer, &worker.stop).await;
    assert_eq!(tasks(&worker), MANY + 1);
}

#[tokio::test(start_paused = true)]
async fn a_purge_that_cannot_be_committed_breaks_off_and_leaves_the_rest_to_the_next() {
    let mut worker = worker_with_old_tasks().await;
    worker.store.fail_reads(1);
    purge(&worker.writer, &worker.stop).await;
    assert_eq!(tasks(&worker), MANY + 1);
    purge(&worker.writer, &worker.stop).await;
    assert_eq!(tasks(&worker), 1);
    worker.commits.shutdown().await;
    purge(&worker.writer, &worker.stop).await;
}

#[tokio::test(start_paused = true)]
async fn the_jobs_as_shipped_are_accepted_and_end_with_a_stop() {
    let worker = Worker::still().await;
    let stop = worker.stop.clone();
    let stopping = async {
        worker.sleep(5 * SECOND).await;
        stop.cancel();
    };
    let (ended, ()) = tokio::join!(run(worker.writer.clone(), worker.stop.clone()), stopping);
    ended.unwrap();
}

#[tokio::test(start_paused = true)]
async fn what_a_store_lacks_is_told_soon_after_a_start() {
    let worker = worker_with_old_tasks().await;
    let first = worker.store.tasks(None, 1).unwrap().remove(0);
    let mut batch = Batch::default();
    batch.push(Op::RemoveRecord(first));
    worker.store.commit(&batch).unwrap();
    let told = async {
        while worker.writer.read(|view| view.mismatches.is_empty()).await.unwrap() {
            worker.sleep(Duration::from_millis(20)).await;
        }
        worker.stop.cancel();
    };
    let both = async { tokio::join!(run(worker.writer.clone(), worker.stop.clone()), told).0 };
    tokio::time::timeout(20 * SECOND, both).await.expect("it is told within seconds").unwrap();
}

#[tokio::test(start_paused = true)]
async fn the_bell_that_the_library_rings_begins_a_purge() {
    let worker = worker_with_old_tasks().await;
    // The library compares with the machine's clock.
    tokio::time::resume();
    let every_second = run_at("* * * * * *", PURGE, worker.writer.clone(), worker.stop.clone());
    let purged = async {
        while tasks(&worker) > 1 {
            worker.sleep(Duration::from_millis(20)).await;
        }
        worker.stop.cancel();
    };
    let both = async { tokio::join!(every_second, purged).0 };
    tokio::time::timeout(20 * SECOND, both).await.expect("a purge within seconds").unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_reconciliation_looks_at_all_there_is_and_takes_no_further_step_after_a_stop() {
    let worker = worker_with_old_tasks().await;
    let first = worker.store.tasks(None, 1).unwrap().remove(0);
    let mut batch = Batch::default();
    batch.push(Op::RemoveRecord(first));
    worker.store.commit(&batch).unwrap();
    let found = || async { worker.writer.read(|view| view.mismatches.len()).await.unwrap() };
    let stopped = CancellationToken::new();
    stopped.cancel();
    reconcile(&worker.writer, &stopped).await;
    assert_eq!(found().await, 0);
    reconcile(&worker.writer, &worker.stop).await;
    assert_eq!(found().await, 1);
    purge(&worker.writer, &worker.stop).await;
}
