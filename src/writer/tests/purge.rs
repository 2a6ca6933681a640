//! Forgetting, and what must not come back.

use super::*;
use crate::store::Batch;

const DAY: i64 = 24 * 60;

/// An event that the broker stamped.
fn carried(event: Event, at: Timestamp) -> Event {
    let mut event = event;
    event.stamps.broker = Some(at);
    event
}

fn known(worker: &Worker, id: &str) -> bool {
    worker.store.record(&task(id)).unwrap().is_some()
}

#[tokio::test(start_paused = true)]
async fn a_task_goes_when_it_has_ended_and_its_last_reminder_is_past_for_the_retention() {
    let worker = Worker::start().await;
    worker
        .tell_all(vec![due_at("open", 1), due_at("done", 1), due_at("ahead", DAY), due_at("gone", 1)])
        .await;
    for id in ["done", "ahead"] {
        worker.tell(of(id, event(Kind::Completed, minute(0)))).await;
    }
    worker.tell(of("gone", event(Kind::Deleted, minute(0)))).await;
    worker.advance_to(8 * DAY + 1).await;
    assert_eq!(worker.writer.purge().await, Ok(false));
    assert!(["open", "done", "ahead", "gone"].iter().all(|id| known(&worker, id)), "on the bound");
    worker.advance(Duration::from_millis(1)).await;
    worker.writer.purge().await.unwrap();
    assert_eq!(["open", "done", "ahead", "gone"].map(|id| known(&worker, id)), [true, false, true, false]);
    worker.advance_to(9 * DAY + 1).await;
    worker.writer.purge().await.unwrap();
    assert_eq!(["open", "ahead"].map(|id| known(&worker, id)), [true, false]);
    let counts = worker.meta().await.reminders;
    assert_eq!(counts.of(State::Cancelled), 3, "what was purged stays counted");
    assert_eq!(worker.store.settled(None, 10).unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_purge_goes_on_where_its_last_step_ended() {
    let worker = Worker::start().await;
    let many = STEP_MAX + 10;
    let ids: Vec<String> = (0..many).map(|n| n.to_string()).collect();
    worker.tell_all(ids.iter().map(|id| due_at(id, 1)).collect()).await;
    worker.tell_all(ids.iter().map(|id| of(id, event(Kind::Deleted, minute(0)))).collect()).await;
    worker.advance_to(10 * DAY).await;
    assert_eq!(worker.writer.purge().await, Ok(true));
    assert_eq!(worker.store.tasks(None, many).unwrap().len(), 10);
    assert_eq!(worker.writer.purge().await, Ok(false));
    assert_eq!(worker.store.tasks(None, many).unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_whole_pass_counts_the_series_that_have_lost_their_next_reminder() {
    let worker = Worker::start().await;
    let daily = Statement::Recurrence(Some(r#"{"frequency":"daily"}"#.into()));
    let series = |id: &str| of(id, created(minute(0), &[due(minute(1)), offsets(&[0]), daily.clone()]));
    let last = "~";
    let ids: Vec<String> = (0..STEP_MAX).map(|n| n.to_string()).collect();
    worker.tell_all(ids.iter().map(|id| due_at(id, 1)).collect()).await;
    worker.tell_all(vec![series("0"), series(last), series("sound")]).await;
    let silent = || async { worker.writer.read(|view| view.silent).await.unwrap() };
    for id in ["0", last] {
        let before = worker.record(id);
        let mut after = before.clone();
        after.reminders[0].settle(State::Published, minute(0), None);
        let mut batch = Batch::default();
        batch.replace(&task(id), Some(&before), Some(Box::new(after)));
        worker.store.commit(&batch).unwrap();
    }
    assert_eq!((worker.writer.purge().await, silent().await), (Ok(true), 0), "the pass is not over");
    assert_eq!((worker.writer.purge().await, silent().await), (Ok(false), 2));
    // Any change of a task plans it anew.
    for id in ["0", last] {
        worker.tell(of(id, updated(minute(1), &[title("b")]))).await;
    }
    while worker.writer.purge().await.unwrap() {}
    assert_eq!(silent().await, 0);
}

#[tokio::test(start_paused = true)]
async fn behind_the_horizon_an_event_of_an_unknown_task_is_quarantined_and_a_newer_one_is_kept() {
    let worker = Worker::start().await;
    worker.tell(carried(due_at("t", 1), minute(-5))).await;
    worker.tell(carried(event(Kind::Completed, minute(0)), minute(-3))).await;
    worker.advance_to(9 * DAY).await;
    worker.writer.purge().await.unwrap();
    assert_eq!(worker.meta().await.horizon, Some(minute(-3)));
    let worker = worker.restart().await;
    let replayed = carried(due_at("t", 1), minute(-5));
    assert_eq!(worker.tell(replayed).await, Verdict::Drop);
    assert_eq!(worker.tell(carried(due_at("bound", 1), minute(-3))).await, Verdict::Drop, "on the bound");
    assert!(!known(&worker, "t") && !known(&worker, "bound"));
    let codes: Vec<_> =
        worker.store.quarantined(None, 9).unwrap().into_iter().map(|(_, entry)| entry.code).collect();
    assert_eq!(codes, ["older_than_horizon"; 2]);
    let newer = carried(due_at("new", 10 * DAY), minute(-3).plus(Duration::from_millis(1)));
    assert_eq!(worker.tell(newer).await, Verdict::Success);
    assert_eq!(worker.tell(due_at("unstamped", 10 * DAY)).await, Verdict::Success, "no transport says when");
    assert_eq!(
        worker.tell(carried(of("new", updated(T0, &[title("a")])), minute(-5))).await,
        Verdict::Success
    );
}

#[tokio::test(start_paused = true)]
async fn a_task_with_an_attempt_under_way_is_not_purged() {
    let worker = Worker::start().await;
    worker.tell(due_at("t", 1)).await;
    worker.advance_to(1).await;
    let batch = worker.claim(10).await;
    worker.tell(event(Kind::Completed, minute(1))).await;
    worker.advance_to(20 * DAY).await;
    worker.writer.purge().await.unwrap();
    assert!(known(&worker, "t"));
    worker.settle(&batch, Attempt::Confirmed).await;
    worker.writer.purge().await.unwrap();
    assert!(!known(&worker, "t"));
    assert_eq!(worker.meta().await.reminders.counts(), [0, 1, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cant_be_read_ends_a_purge_and_nothing_else() {
    let worker = Worker::start().await;
    worker.tell_all(vec![due_at("damaged", 1), due_at("t", 60)]).await;
    worker.store.damage(&task("damaged"));
    let (purged, told) = tokio::join!(worker.writer.purge(), worker.tell(due_at("u", 60)));
    assert_eq!((purged, told), (Ok(false), Verdict::Success));
}
