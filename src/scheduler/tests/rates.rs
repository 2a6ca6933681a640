//! Reminders under a rate, and paused.

use super::*;
use crate::domain::{CatchUp, Priority, Statement};
use crate::writer::Switch;

async fn paced(firing: Firing) -> Worker {
    Worker::still_with(TestClock::starting_at(minute(-60)), firing).await
}

fn due_with(id: &str, millis: i64, priority: Priority, user: &str) -> Event {
    let (priority, user) = (Statement::Priority(Some(priority)), Statement::User(Some(user.into())));
    of(id, created(T0, &[due(after(millis)), offsets(&[0]), priority, user]))
}

fn priority(n: i64) -> Priority {
    [Priority::Low, Priority::High, Priority::Medium][usize::try_from(n % 3).unwrap()]
}

/// What was sent, in milliseconds after minute 0, by key.
fn sent(worker: &Worker) -> Vec<(i64, String)> {
    let at = |at: Timestamp| at.millis() - T0.millis();
    worker.broker.entries().into_iter().map(|(sent, outgoing)| (at(sent), outgoing.key)).collect()
}

#[tokio::test(start_paused = true)]
async fn under_a_rate_the_pressing_go_first_each_within_a_token_and_nobody_spins() {
    let mut worker = paced(Firing { rate: 10, ..Firing::default() }).await;
    worker.tell_all((0..90).map(|n| due_with(&n.to_string(), 1_000, priority(n), "ann")).collect()).await;
    worker.run(PACE);
    worker.sleep(20 * SECOND).await;
    let sent = sent(&worker);
    assert_eq!(sent.len(), 90);
    for ((at, id), n) in sent.iter().zip(0..) {
        let planned = 1_000 + n * 100;
        assert!((planned..=planned + 10).contains(at), "{id} went as number {n} at {at}");
    }
    let lanes: Vec<i64> = sent.iter().map(|(_, id)| id.parse::<i64>().unwrap() % 3).collect();
    assert_eq!(lanes, [[1; 30], [2; 30], [0; 30]].concat(), "HIGH, MEDIUM, LOW");
    let turns = worker.turns.lock().unwrap().len();
    assert!(turns < 90 * 10, "{turns} turns");
}

#[tokio::test(start_paused = true)]
async fn one_users_flood_makes_nobody_else_late() {
    let mut worker = paced(Firing { user_rate: 30, ..Firing::default() }).await;
    let mut events: Vec<Event> =
        (0..200).map(|n| due_with(&format!("flood-{n}"), 1_000, Priority::High, "ann")).collect();
    events.extend(
        (0..50).map(|n| due_with(&(n * 100 + 1_000).to_string(), n * 100 + 1_000, Priority::Low, "bob")),
    );
    // Bob's own rate is thirty a minute as well; as many as that go on time.
    events.truncate(200 + 30);
    worker.tell_all(events).await;
    worker.run(PACE);
    worker.sleep(120 * SECOND).await;
    let sent = sent(&worker);
    for (at, id) in sent.iter().filter(|(_, id)| !id.starts_with("flood")) {
        assert!(*at - id.parse::<i64>().unwrap() <= 2, "{id} went at {at}");
    }
    let floods: Vec<i64> = sent.iter().filter(|(_, id)| id.starts_with("flood")).map(|(at, _)| *at).collect();
    let by = |millis| floods.iter().filter(|at| **at <= millis).count();
    assert_eq!((by(1_990), by(61_010), by(119_000)), (30, 60, 89));
    assert!(worker.turns.lock().unwrap().len() < 2_000);
}

#[tokio::test(start_paused = true)]
async fn while_paused_nothing_goes_out_and_what_was_missed_is_caught_up_at_its_rate() {
    let firing = Firing { catch_up: CatchUp::Fire, catch_up_rate: 10, ..Firing::default() };
    let mut worker = paced(firing).await;
    worker.run(PACE);
    let mut events: Vec<Event> =
        (0..30).map(|n| due_with(&format!("missed-{n}"), 1_000, priority(n), "ann")).collect();
    events.push(due_in("119000", 119_000));
    events.push(due_in("121000", 121_000));
    worker.tell_all(events).await;
    worker.writer.switch(Switch::Pause { reason: None }).await.unwrap();
    worker.sleep_until(after(120_000)).await;
    assert_eq!(sent(&worker), []);
    assert!(worker.turns.lock().unwrap().len() < 200, "{:?}", worker.turns.lock().unwrap().len());
    worker.writer.switch(Switch::Resume).await.unwrap();
    worker.sleep(20 * SECOND).await;
    let sent = sent(&worker);
    let at = |id: &str| sent.iter().find(|(_, sent)| sent == id).unwrap().0;
    assert!(at("119000") <= 120_010 && (121_000..=121_010).contains(&at("121000")), "{sent:?}");
    let missed: Vec<i64> =
        sent.iter().filter(|(_, id)| id.starts_with("missed")).map(|(at, _)| *at).collect();
    assert_eq!(missed.len(), 30);
    for (at, n) in missed.iter().zip(0..) {
        assert!((120_000 + n * 100..=120_010 + n * 100).contains(at), "{n} at {at}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_steps_neither_stops_what_is_held_back_nor_sends_anything_early() {
    const HOUR: i64 = 60 * 60 * 1_000;
    let mut worker = paced(Firing { rate: 5, user_rate: 60, ..Firing::default() }).await;
    worker
        .tell_all((1..=60).map(|n| due_with(&(n * 20).to_string(), n * 20, priority(n), "ann")).collect())
        .await;
    worker.run(PACE);
    worker.sleep(2 * SECOND).await;
    worker.clock.step(-1_000);
    worker.sleep(2 * SECOND).await;
    worker.clock.step(HOUR);
    worker.sleep(SECOND).await;
    worker.clock.step(-HOUR);
    worker.sleep(60 * SECOND).await;
    let sent = sent(&worker);
    assert_eq!(sent.len(), 60);
    assert!(sent.iter().all(|(at, id)| *at >= id.parse().unwrap()), "{sent:?}");
    assert_eq!(worker.meta().await.reminders.of(State::Published), 60);
}

#[tokio::test(start_paused = true)]
async fn an_outage_of_the_broker_under_a_rate_loses_nothing() {
    let mut worker = paced(Firing { rate: 20, user_rate: 600, ..Firing::default() }).await;
    worker.broker.answers(|request| request.all(&unreachable()).after(MILLI));
    worker.tell_all((0..100).map(|n| due_with(&n.to_string(), 1_000, priority(n), "ann")).collect()).await;
    worker.run(PACE);
    worker.sleep(30 * SECOND).await;
    assert_eq!(worker.meta().await.reminders.of(State::Published), 0);
    worker.broker.answers(|request| request.all(&crate::dapr::PublishOutcome::Published).after(MILLI));
    worker.sleep(30 * SECOND).await;
    assert_eq!(worker.meta().await.reminders.of(State::Published), 100);
}
