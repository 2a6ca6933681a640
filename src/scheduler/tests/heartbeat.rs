//! The loop shows that it lives.

use super::*;

/// The longest time between two turns since `from`, up to now.
fn longest_silence(worker: &Worker, from: Duration) -> Duration {
    let mut turns = worker.turns.lock().unwrap().clone();
    turns.retain(|turn| *turn >= from);
    turns.insert(0, from);
    turns.push(worker.clock.monotonic());
    turns.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap()
}

/// What the timer's grain may add.
const GRAIN: Duration = Duration::from_millis(2);

#[tokio::test(start_paused = true)]
async fn it_turns_at_least_once_a_second_with_nothing_to_do_and_no_oftener_than_it_must() {
    let worker = Worker::start().await;
    let from = worker.clock.monotonic();
    worker.tell(due_in("t", 24 * 60 * 60_000)).await;
    worker.sleep_until(minute(60)).await;
    let silence = longest_silence(&worker, from);
    assert!(silence <= SECOND + GRAIN, "{silence:?}");
    let turns = worker.turns.lock().unwrap().len();
    assert!(turns <= 3_610, "{turns} in an hour");
}

#[tokio::test(start_paused = true)]
async fn it_turns_at_least_once_a_second_while_all_that_may_be_in_flight_hangs() {
    let worker = Worker::start_with(Pace { batch_max: 1, ..PACE }).await;
    worker.broker.answers(hung);
    let from = worker.clock.monotonic();
    worker.tell_all((0..8).map(|n| due_in(&n.to_string(), 500)).collect()).await;
    worker.sleep_until(after(9_000)).await;
    assert_eq!(worker.broker.requests().len(), PACE.in_flight_max);
    let silence = longest_silence(&worker, from);
    assert!(silence <= SECOND + GRAIN, "{silence:?}");
}

#[tokio::test(start_paused = true)]
async fn it_turns_at_least_once_a_second_during_an_outage_and_does_not_spin() {
    let worker = Worker::start().await;
    worker.broker.answers_all(unreachable());
    let from = worker.clock.monotonic();
    worker.tell_all((0..300).map(|n| due_in(&n.to_string(), n * 300)).collect()).await;
    worker.sleep_until(minute(2)).await;
    let silence = longest_silence(&worker, from);
    assert!(silence <= SECOND + GRAIN, "{silence:?}");
    let turns = worker.turns.lock().unwrap().len();
    assert!(turns <= 1_000, "{turns} in two minutes");
}
