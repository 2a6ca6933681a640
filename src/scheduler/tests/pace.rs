//! How much goes out at once.

use super::*;
use crate::dapr::PublishOutcome;

const SLOW: Pace = Pace { batch_max: 3, in_flight_max: 2, ..PACE };

fn slow(request: &broker::Request) -> broker::Answer {
    request.all(&PublishOutcome::Published).after(3 * SECOND)
}

#[tokio::test(start_paused = true)]
async fn batches_are_full_where_they_can_be_and_never_fuller_and_no_more_are_in_flight_than_may_be() {
    let worker = Worker::start_with(SLOW).await;
    worker.broker.answers(slow);
    worker.tell_all((0..20).map(|n| due_in(&n.to_string(), 1_000)).collect()).await;
    worker.sleep(20 * SECOND).await;
    let requests = worker.broker.requests();
    assert_eq!(requests.iter().map(|r| r.batch.len()).collect::<Vec<_>>(), [3, 3, 3, 3, 3, 3, 2]);
    assert_eq!(requests.iter().map(|r| r.under_way).max(), Some(2));
    assert_eq!(worker.meta().await.reminders.of(State::Published), 20);
}

#[tokio::test(start_paused = true)]
async fn the_end_of_an_attempt_lets_the_next_one_begin_at_once() {
    let worker = Worker::start_with(SLOW).await;
    worker.broker.answers(slow);
    worker.tell_all((0..12).map(|n| due_in(&n.to_string(), 1_000)).collect()).await;
    worker.sleep(10 * SECOND).await;
    let begun: Vec<i64> =
        worker.broker.requests().iter().map(|r| (r.at.millis() - T0.millis()) / 10 * 10).collect();
    assert_eq!(begun, [1_000, 1_000, 4_000, 4_000]);
}

#[tokio::test(start_paused = true)]
async fn while_batches_are_in_flight_another_one_goes_out_at_its_instant() {
    let worker = Worker::start_with(SLOW).await;
    worker.broker.answers(slow);
    worker.tell_all(vec![due_in("a", 1_000), due_in("b", 2_345)]).await;
    worker.sleep(3 * SECOND).await;
    let [sent] = worker.broker.instants_of("b")[..] else { panic!("sent once") };
    assert!(sent.since(after(2_345)) <= MILLI, "{sent}");
    assert_eq!(worker.broker.requests()[1].under_way, 2);
}
