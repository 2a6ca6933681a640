//! How the loop ends.

use super::*;
use crate::dapr::PublishOutcome;

#[tokio::test(start_paused = true)]
async fn a_stop_waits_until_what_is_in_flight_is_settled_and_begins_nothing_new() {
    let mut worker = Worker::start().await;
    worker.broker.answers(|request| {
        let answer = request.each(|key| if key == "a" { PublishOutcome::Published } else { refused() });
        answer.after(5 * SECOND)
    });
    worker.tell_all(vec![due_in("a", 1_000), due_in("b", 1_000), due_in("new", 4_000)]).await;
    worker.sleep_until(after(3_000)).await;
    worker.stop.cancel();
    worker.scheduler.join_next().await.unwrap().unwrap();
    let ended = worker.clock.now().since(after(6_000));
    assert!(worker.clock.now() >= after(6_000) && ended <= 5 * MILLI, "{ended:?}");
    assert_eq!(worker.store.claims().unwrap(), []);
    assert_eq!(worker.reminder("a").state, State::Published);
    assert_eq!((worker.reminder("b").state, worker.reminder("b").attempts), (State::Pending, 1));
    assert_eq!((worker.reminder("new").state, worker.reminder("new").attempts), (State::Pending, 0));
    worker.sleep(60 * SECOND).await;
    assert_eq!(worker.broker.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_a_sleep_at_once() {
    let mut worker = Worker::start().await;
    worker.tell(due_in("t", 60_000)).await;
    worker.sleep(Duration::from_millis(1_300)).await;
    worker.stop.cancel();
    worker.scheduler.join_next().await.unwrap().unwrap();
    assert_eq!(worker.clock.now(), after(1_300));
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_is_being_committed_at_the_stop_is_sent_and_settled() {
    let mut worker = Worker::start().await;
    worker.tell(due_in("t", 1_000)).await;
    worker.store.fail_commits(5);
    worker.sleep_until(after(1_200)).await;
    assert_eq!(worker.broker.requests().len(), 0, "the claim is not on the disk");
    worker.stop.cancel();
    worker.scheduler.join_next().await.unwrap().unwrap();
    assert_eq!(worker.reminder("t").state, State::Published);
    assert_eq!(worker.store.claims().unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_commit_loop_that_is_gone_ends_the_sleep_for_good() {
    let mut worker = Worker::start().await;
    worker.tell(due_in("t", 60_000)).await;
    worker.commits.shutdown().await;
    worker.scheduler.join_next().await.unwrap().unwrap();
    assert_eq!(worker.clock.now(), T0);
}

#[tokio::test(start_paused = true)]
async fn a_publish_that_panics_ends_the_loop_so_that_a_new_life_takes_its_claim_back() {
    let mut worker = Worker::start().await;
    worker.broker.answers(|_| panic!("on purpose"));
    worker.tell(due_in("t", 1_000)).await;
    worker.sleep_until(after(2_000)).await;
    let ended = worker.scheduler.try_join_next().expect("the loop has ended");
    assert!(ended.unwrap_err().is_panic());
    assert_eq!(worker.store.claims().unwrap().len(), 1);
}
