//! When reminders go out.

use super::*;

/// The lateness of everything sent whose key is its instant in milliseconds after minute 0; fails for what is early.
fn lateness(worker: &Worker) -> Vec<Duration> {
    let entries = worker.broker.entries();
    let late = |(sent, outgoing): &(Timestamp, crate::dapr::Outgoing)| {
        let planned = after(outgoing.key.parse().unwrap());
        assert!(*sent >= planned, "{planned} was sent at {sent}");
        sent.since(planned)
    };
    entries.iter().map(late).collect()
}

fn due_in_each(millis: impl Iterator<Item = i64>) -> Vec<Event> {
    millis.map(|millis| due_in(&millis.to_string(), millis)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_reminder_fires_at_its_instant_and_never_before_in_time_order_and_within_a_millisecond() {
    let worker = Worker::start().await;
    // Told in no order, some a millisecond apart, some minutes.
    worker.tell_all(due_in_each((0..400).map(|n| 1_000 + n * 7_919 % 400 * (1 + n % 3 * 700)))).await;
    worker.sleep_until(minute(20)).await;
    let late = lateness(&worker);
    assert_eq!(late.len(), worker.store.tasks(None, 1_000).unwrap().len());
    assert!(late.iter().all(|late| *late <= MILLI), "{:?}", late.iter().max());
    let order: Vec<i64> =
        worker.broker.entries().iter().map(|(_, outgoing)| outgoing.key.parse().unwrap()).collect();
    assert!(order.is_sorted(), "{order:?}");
    assert_eq!(worker.meta().await.reminders.of(State::Pending), 0);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_moves_at_every_look_makes_no_reminder_late() {
    // The second of a pair is a few milliseconds behind the first, so that the last look before the sleep may be any
    // of them early; then nothing comes for long that would end a sleep.
    const APART: i64 = 2_345;
    let mut worker = Worker::still_on(TestClock::moving(minute(-60), 1)).await;
    let pair = |n: i64| [20_000 + n * APART, 20_000 + n * APART + 1 + n % 40];
    worker.tell_all(due_in_each((0..500).flat_map(pair))).await;
    worker.run(PACE);
    worker.sleep_until(after(20_000 + 500 * APART)).await;
    let late = lateness(&worker);
    assert_eq!(late.len(), 1_000);
    // Every look on the way to the broker costs one.
    let longest = late.iter().max().unwrap();
    assert!(*longest <= 8 * MILLI, "{longest:?}");
}

#[tokio::test(start_paused = true)]
async fn with_nothing_in_flight_a_reminder_that_is_due_is_not_slept_on() {
    let worker = Worker::still().await;
    let mut scheduler = worker.scheduler(PACE);
    assert_eq!(scheduler.sleep_for(Duration::ZERO), Duration::ZERO);
    assert_eq!(scheduler.sleep_for(MILLI), MILLI);
    assert_eq!(scheduler.sleep_for(SLEEP_MAX), SLEEP_MAX);
    assert_eq!(scheduler.sleep_for(SLEEP_MAX + MILLI), SLEEP_MAX, "beyond the bound");
    scheduler.in_flight.spawn(std::future::pending());
    assert_eq!(scheduler.sleep_for(Duration::ZERO), SLEEP_MAX, "an attempt that ends will end the sleep");
    assert_eq!(scheduler.sleep_for(MILLI), MILLI);
}

#[tokio::test(start_paused = true)]
async fn a_reminder_told_during_a_sleep_ends_it() {
    let worker = Worker::start().await;
    worker.sleep(Duration::from_millis(300)).await;
    worker.tell(due_in("soon", 305)).await;
    worker.tell(due_in("300", 300)).await;
    worker.sleep(Duration::from_millis(10)).await;
    assert_eq!(worker.broker.instants_of("300"), [after(300)]);
    let [sent] = worker.broker.instants_of("soon")[..] else { panic!("sent once") };
    assert!(sent >= after(305) && sent <= after(306), "{sent}");
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_steps_forward_an_hour_fires_all_that_is_due_within_a_second() {
    const HOUR: i64 = 60 * 60 * 1_000;
    let worker = Worker::start().await;
    worker.tell_all(due_in_each((1..=3_000).map(|n| n * 1_200))).await;
    worker.tell(due_in("later", HOUR + 60_000)).await;
    worker.sleep(Duration::from_millis(300)).await;
    worker.clock.step(HOUR);
    let stepped = worker.clock.now();
    worker.sleep(2 * SECOND).await;
    let entries = worker.broker.entries();
    assert_eq!(entries.len(), 3_000);
    assert!(entries.iter().all(|(at, _)| at.since(stepped) <= SECOND), "{:?}", entries.last());
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_is_set_ahead_by_more_than_expire_after_expires_nothing_by_that() {
    const DAY: i64 = 24 * 60 * 60 * 1_000;
    let worker = Worker::start().await;
    worker.tell_all(due_in_each((1..=100).map(|n| n * 60_000))).await;
    worker.sleep(Duration::from_millis(300)).await;
    worker.clock.step(DAY);
    worker.sleep(2 * SECOND).await;
    assert_eq!(worker.broker.entries().len(), 100);
    // Set right again, it is as it ever was: what is due then is in time, and what is told too late is not.
    worker.clock.step(-DAY);
    worker.sleep(2 * SECOND).await;
    worker.tell(due_in("later", 120_000)).await;
    worker.tell(due_in("in time", 60_000)).await;
    worker.sleep(61 * SECOND).await;
    assert_eq!(worker.broker.entries().len(), 101);
}

#[tokio::test(start_paused = true)]
async fn what_a_clock_has_passed_over_is_the_sum_of_its_steps() {
    const HOUR: i64 = 60 * 60 * 1_000;
    let worker = Worker::start().await;
    worker.sleep(2 * SECOND).await;
    for (step, ahead) in [(HOUR, HOUR), (10 * HOUR, 11 * HOUR), (-600, 11 * HOUR - 600), (-20 * HOUR, 0)] {
        worker.clock.step(step);
        worker.sleep(3600 * SECOND).await;
        let leap = worker.writer.read(|view| view.policy.leap).await.unwrap();
        let span = leap.map_or(0, |leap| i64::try_from(leap.to.since(leap.from).as_millis()).unwrap());
        assert!((span - ahead).abs() <= 1_100, "{step}: {span} for {ahead}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_suspend_of_an_hour_fires_all_that_fell_due_within_a_second_of_waking() {
    const HOUR: u32 = 60 * 60 * 1_000;
    let worker = Worker::start().await;
    worker.tell_all(due_in_each((1..=2_000).map(|n| n * 1_750))).await;
    worker.tell(due_in("later", i64::from(HOUR) + 60_000)).await;
    worker.sleep(Duration::from_millis(300)).await;
    worker.clock.suspend(HOUR);
    let woke = worker.clock.now();
    worker.sleep(2 * SECOND).await;
    let entries = worker.broker.entries();
    assert_eq!(entries.len(), 2_000);
    assert!(entries.iter().all(|(at, _)| at.since(woke) <= SECOND), "{:?}", entries.last());
}

#[tokio::test(start_paused = true)]
async fn a_jump_wakes_who_sleeps_and_a_clock_that_was_set_back_is_remembered() {
    let worker = Worker::still().await;
    worker.tell(due_in("t", 60_000)).await;
    let mut next_wake = worker.writer.next_wake();
    let set_back = || async { worker.writer.read(|view| view.set_back.map(|back| back.by)).await.unwrap() };
    worker.sleep(5 * SECOND).await;
    next_wake.mark_unchanged();
    worker.sleep(5 * SECOND).await;
    assert_eq!((next_wake.has_changed().unwrap(), set_back().await), (false, None), "nothing has happened");
    worker.clock.step(30_000);
    worker.sleep(2 * SECOND).await;
    assert_eq!((next_wake.has_changed().unwrap(), set_back().await), (true, None));
    next_wake.mark_unchanged();
    worker.clock.suspend(10_000);
    worker.sleep(2 * SECOND).await;
    assert_eq!((next_wake.has_changed().unwrap(), set_back().await), (true, None));
    next_wake.mark_unchanged();
    worker.clock.step(-40_000);
    worker.sleep(2 * SECOND).await;
    assert_eq!((next_wake.has_changed().unwrap(), set_back().await), (true, Some(40 * SECOND)));
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_steps_back_fires_nothing_early_and_each_once() {
    let worker = Worker::start().await;
    worker.tell_all(due_in_each((1..=100).map(|n| n * 100))).await;
    for back in [50, 2_000, 60 * 60 * 1_000, 10 * 60 * 1_000] {
        worker.sleep(Duration::from_millis(2_950)).await;
        worker.clock.step(-back);
    }
    worker.sleep_until(after(20_000)).await;
    assert_eq!(lateness(&worker).len(), 100);
    assert_eq!(worker.meta().await.reminders.of(State::Published), 100);
}
