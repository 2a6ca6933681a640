//! One reminder that the broker will never take.

use super::*;
use crate::dapr::PublishOutcome;

/// Refuses `poison` by `outcome` and takes the rest.
fn refuses_poison(worker: &Worker, outcome: PublishOutcome) {
    worker.broker.answers(move |request| {
        request.each(|key| if key == "poison" { outcome.clone() } else { PublishOutcome::Published })
    });
}

/// Waits until `poison` has failed once more.
async fn next_failure(worker: &Worker) {
    let before = worker.broker.instants_of("poison").len();
    while worker.broker.instants_of("poison").len() == before {
        worker.sleep(MILLI).await;
    }
}

/// Tells of a reminder due in 5 ms and says how late it went out.
async fn lateness_of_another(worker: &Worker, id: &str) -> Duration {
    let planned = worker.clock.now().plus(5 * MILLI);
    worker.tell(of(id, created(T0, &[due(planned), offsets(&[0])]))).await;
    worker.sleep(BACKOFF.max).await;
    let [sent] = worker.broker.instants_of(id)[..] else { panic!("{id} was sent once") };
    sent.since(planned)
}

#[tokio::test(start_paused = true)]
async fn one_that_is_refused_for_ever_holds_up_no_other_and_expires_with_the_reason() {
    let worker = Worker::start().await;
    refuses_poison(&worker, refused());
    worker.tell(due_in("poison", 1_000)).await;
    let others = 1..=300;
    worker.tell_all(others.clone().map(|n| due_in(&n.to_string(), n * 11_311)).collect()).await;
    worker.sleep_until(minute(80)).await;
    for n in others {
        let [sent] = worker.broker.instants_of(&n.to_string())[..] else { panic!("{n} was sent once") };
        assert!(sent.since(after(n * 11_311)) <= MILLI, "{n} was sent at {sent}");
    }
    let attempts = worker.broker.instants_of("poison");
    assert!(attempts.len() > 100);
    assert!(attempts.last().unwrap().since(after(1_000)) <= EXPIRE_AFTER);
    let poison = worker.reminder("poison");
    assert_eq!(poison.state, State::Expired);
    let reason = "not sent within expire_after; last failure: the sidecar answered 400: as told";
    assert_eq!(poison.reason.as_deref(), Some(reason));
    assert_eq!(worker.meta().await.reminders.counts(), [0, 300, 0, 0, 1]);
}

#[tokio::test(start_paused = true)]
async fn one_that_has_failed_alone_for_long_holds_up_another_by_no_more_than_the_first_wait() {
    for outcome in [refused(), unreachable(), ambiguous()] {
        let worker = Worker::start().await;
        refuses_poison(&worker, outcome);
        worker.tell(due_in("poison", 1_000)).await;
        worker.sleep_until(minute(3)).await;
        next_failure(&worker).await;
        let first = lateness_of_another(&worker, "first").await;
        assert!(first <= BACKOFF.initial, "{first:?}");
        // Something has gone out since: the poison says nothing about the broker.
        next_failure(&worker).await;
        let second = lateness_of_another(&worker, "second").await;
        assert!(second <= MILLI, "{second:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn reminders_go_out_as_far_as_is_known_while_one_alone_is_refused_and_not_in_an_outage() {
    let mut worker = Worker::still().await;
    let scheduler = worker.scheduler(PACE);
    let held_up = scheduler.held_up();
    worker.scheduler.spawn(scheduler.run(worker.stop.clone(), || ()));
    assert!(held_up.borrow().is_none(), "nothing is known against it");
    refuses_poison(&worker, refused());
    worker.tell(due_in("poison", 1_000)).await;
    worker.sleep(60 * SECOND).await;
    assert!(worker.reminder("poison").attempts > 0);
    assert!(held_up.borrow().is_none());
    worker.broker.answers_all(unreachable());
    worker.tell(due_in("other", 70_000)).await;
    worker.sleep(60 * SECOND).await;
    assert!(
        held_up.borrow().is_some(),
        "a single one that cannot be sent is enough, though it has failed before by now"
    );
    worker.broker.answers_all(PublishOutcome::Published);
    worker.sleep(BACKOFF.max).await;
    assert!(held_up.borrow().is_none());
}
