//! Schedules that would lose a reminder, fire one twice, or answer a cancel wrongly.

use super::*;

#[tokio::test(start_paused = true)]
async fn a_restated_due_date_that_overtakes_its_create_across_a_downtime() {
    let worker = Worker::start().await;
    let (store, clock) = worker.crash().await;
    tokio::time::advance(minute(55).since(clock.now())).await;
    let worker = open(&store, &clock, settings()).run();
    worker.tell(updated(minute(50), &[due(minute(60))])).await;
    assert!(worker.claims_nothing().await, "as far as is known minute 45 was past when it was planned");
    worker.tell(created(T0, &[due(minute(60))])).await;
    let batch = worker.claim(10).await;
    assert_eq!(batch.reminders.len(), 1);
    assert_eq!(
        batch.reminders[0].reminder.fire_at,
        minute(45),
        "it was planned in good time and fires at once"
    );
    worker.settle(&batch, Attempt::Confirmed).await;
    worker.advance_to(61).await;
    assert!(worker.claims_nothing().await, "the reminder that stood in for it is gone");
}

#[tokio::test(start_paused = true)]
async fn a_producers_clock_three_minutes_ahead() {
    let worker = Worker::start().await;
    worker.tell(created(minute(3), &[due(minute(2)), offsets(&[0])])).await;
    assert_eq!(worker.next_wake().await, minute(2), "it was stated before it was due: when it arrived");
    worker.advance_to(2).await;
    assert_eq!(worker.claim(10).await.reminders[0].reminder.fire_at, minute(2));
}

#[tokio::test(start_paused = true)]
async fn redelivery_of_what_is_applied_but_not_yet_durable() {
    let worker = Worker::start().await;
    worker.store.fail_commits(30);
    let event = due_at("t", 60);
    assert_eq!(worker.tell(event.clone()).await, Verdict::Retry);
    assert_eq!(worker.tell(event.clone()).await, Verdict::Retry, "still not on the disk");
    assert!(worker.store.record(&task("t")).unwrap().is_none());
    worker.clock.sleep(Duration::from_secs(3)).await;
    assert_eq!(worker.tell(event).await, Verdict::Success);
    let events = worker.meta().await.events;
    assert_eq!((events.applied, events.duplicate, events.total()), (1, 1, 2));
    assert_eq!(worker.reminder().state, State::Pending);
}

#[tokio::test(start_paused = true)]
async fn completion_during_an_unsettled_attempt() {
    for (attempt, state, maybe_out) in [
        (Attempt::Confirmed, State::Published, false),
        (failed(), State::Cancelled, false),
        (ambiguous(), State::Published, true),
    ] {
        let worker = Worker::start().await;
        worker.tell(due_at("t", 1)).await;
        worker.advance_to(1).await;
        let batch = worker.claim(10).await;
        worker.tell(event(Kind::Completed, minute(1))).await;
        assert_eq!(
            (worker.reminder().state, worker.reminder().leaving),
            (State::Pending, Some(State::Cancelled))
        );
        worker.settle(&batch, attempt.clone()).await;
        assert_eq!((worker.reminder().state, worker.reminder().maybe_out), (state, maybe_out), "{attempt:?}");
        worker.advance_to(100).await;
        assert!(worker.claims_nothing().await, "{attempt:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn published_but_killed_before_settling() {
    let worker = Worker::start().await;
    worker.tell(due_at("t", 1)).await;
    worker.advance_to(1).await;
    let first = worker.claim(10).await;
    let worker = worker.restart().await;
    assert_eq!(worker.store.claims().unwrap(), []);
    let again = worker.claim(10).await;
    assert_eq!(again.reminders[0].id, first.reminders[0].id, "once as far as a consumer can tell");
    assert!(again.reminders[0].reminder.maybe_out);
    assert_ne!(again.number, first.number);
    let worker = worker.restart().await;
    worker.tell(event(Kind::Completed, minute(1))).await;
    assert_eq!(worker.reminder().state, State::Published, "a cancel can't say that it will not fire");
    assert!(worker.reminder().maybe_out && worker.claims_nothing().await);
}

#[tokio::test(start_paused = true)]
async fn delete_and_re_create() {
    let worker = Worker::start().await;
    worker.tell(due_at("t", 60)).await;
    worker.tell(event(Kind::Deleted, minute(1))).await;
    assert_eq!(worker.reminder().state, State::Cancelled);
    let back = created(minute(2), &[due(minute(60)), offsets(&[0])]);
    worker.tell(back.clone()).await;
    assert_eq!(worker.reminder().state, State::Pending);
    worker.tell(event(Kind::Deleted, minute(1))).await;
    assert_eq!(worker.reminder().state, State::Pending, "the old deletion again");
    worker.advance_to(60).await;
    let batch = worker.claim(10).await;
    worker.settle(&batch, Attempt::Confirmed).await;
    worker.tell(event(Kind::Deleted, minute(61))).await;
    worker.tell(created(minute(62), &[due(minute(60)), offsets(&[0])])).await;
    assert_eq!(worker.reminder().state, State::Published, "it has gone out under this id");
}

#[tokio::test(start_paused = true)]
async fn a_to_b_to_a() {
    let worker = Worker::start().await;
    let say = |at, to| updated(minute(at), &[due(minute(to))]);
    let waiting = |worker: &Worker| -> Vec<Timestamp> {
        let pending = |r: &Reminder| r.state == State::Pending;
        worker.record("t").reminders.iter().filter(|r| pending(r)).map(|r| r.fire_at).collect()
    };
    worker.tell(due_at("t", 60)).await;
    worker.tell(say(1, 90)).await;
    assert_eq!(waiting(&worker), [minute(90)]);
    worker.tell(say(2, 60)).await;
    assert_eq!(waiting(&worker), [minute(60)]);
    worker.advance_to(60).await;
    let batch = worker.claim(10).await;
    worker.tell(say(3, 90)).await;
    worker.tell(say(4, 60)).await;
    worker.settle(&batch, ambiguous()).await;
    assert_eq!(waiting(&worker), [minute(60)], "moved and moved back while in flight: it is tried again");
    worker.tell(say(5, 90)).await;
    worker.tell(say(6, 60)).await;
    assert_eq!(waiting(&worker), [minute(60)], "back again also from an unknown outcome");
    let batch = worker.claim(10).await;
    worker.settle(&batch, Attempt::Confirmed).await;
    worker.tell(say(7, 90)).await;
    worker.tell(say(8, 60)).await;
    assert_eq!(waiting(&worker), [] as [Timestamp; 0], "a confirmed one is never planned again");
}
