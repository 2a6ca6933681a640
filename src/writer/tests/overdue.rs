//! How late the oldest reminder is.

use super::super::view::{OVERDUE_SCAN, Overdue};
use super::*;

async fn overdue(worker: &Worker) -> Overdue {
    let now = worker.clock.now();
    worker.writer.read(move |view| view.overdue(now).unwrap()).await.unwrap()
}

async fn oldest(worker: &Worker) -> Option<Timestamp> {
    overdue(worker).await.oldest
}

#[tokio::test(start_paused = true)]
async fn the_oldest_overdue_reminder_counts_from_its_instant_while_it_is_tried() {
    let worker = Worker::start().await;
    worker.tell_all(vec![due_at("a", 1), due_at("b", 2), due_at("c", 9)]).await;
    worker.advance_to(1).await;
    assert_eq!(oldest(&worker).await, None, "due now is not late");
    worker.advance_to(3).await;
    assert_eq!(oldest(&worker).await, Some(minute(1)));
    let batch = worker.claim(1).await;
    assert_eq!(oldest(&worker).await, Some(minute(1)), "in flight");
    worker.settle(&batch, failed()).await;
    assert_eq!(oldest(&worker).await, Some(minute(1)), "behind the other in the index, late all the same");
    worker.store.damage(&task("a"));
    assert_eq!(oldest(&worker).await, Some(minute(2)));
}

#[tokio::test(start_paused = true)]
async fn the_oldest_untried_one_is_told_apart_from_those_that_failed() {
    let worker = Worker::start().await;
    worker.tell_all(vec![due_at("a", 1), due_at("b", 2)]).await;
    worker.advance_to(3).await;
    let batch = worker.claim(1).await;
    let (first, second) = (Some(minute(1)), Some(minute(2)));
    assert_eq!(overdue(&worker).await, Overdue { oldest: first, oldest_untried: first }, "in flight");
    worker.settle(&batch, failed()).await;
    assert_eq!(overdue(&worker).await, Overdue { oldest: first, oldest_untried: second });
    let batch = worker.claim(1).await;
    worker.settle(&batch, Attempt::Confirmed).await;
    assert_eq!(overdue(&worker).await, Overdue { oldest: first, oldest_untried: None });
}

#[tokio::test(start_paused = true)]
async fn the_oldest_is_looked_for_among_as_many_as_the_bound() {
    for (before, expected) in [(OVERDUE_SCAN - 1, minute(1)), (OVERDUE_SCAN, minute(2))] {
        let worker = Worker::start().await;
        worker.tell(due_at("oldest", 1)).await;
        worker.advance_to(2).await;
        let batch = worker.claim(1).await;
        worker.settle(&batch, failed()).await;
        worker.tell_all((0..before).map(|n| due_at(&n.to_string(), 2)).collect()).await;
        worker.advance(Duration::from_millis(1)).await;
        assert_eq!(oldest(&worker).await, Some(expected), "behind {before} others");
    }
}
