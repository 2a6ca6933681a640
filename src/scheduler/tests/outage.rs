//! A broker that cannot be reached.

use std::collections::BTreeMap;

use super::*;

#[tokio::test(start_paused = true)]
async fn an_outage_of_a_minute_costs_a_few_attempts_and_lateness_and_nothing_else() {
    const MANY: i64 = 5_000;
    let worker = Worker::start().await;
    worker.tell_all((0..MANY).map(|n| due_in(&n.to_string(), 1_000 + n * 12)).collect()).await;
    worker.broker.answers_all(unreachable());
    worker.sleep_until(minute(1)).await;
    let probes = worker.broker.requests().len();
    // 200 ms doubling to PROBE_MAX, and then one every half to whole PROBE_MAX; those in flight at the start besides.
    assert!((60..=120 + PACE.in_flight_max).contains(&probes), "{probes}");
    assert!(worker.broker.requests().iter().skip(PACE.in_flight_max).all(|r| r.under_way == 1));
    worker.broker.answers(|request| request.all(&crate::dapr::PublishOutcome::Published));
    let restored = worker.clock.now();
    worker.sleep(Duration::from_secs(30)).await;

    let mut sent: BTreeMap<String, Vec<(Timestamp, Bytes)>> = BTreeMap::new();
    for (at, outgoing) in worker.broker.entries() {
        sent.entry(outgoing.key).or_default().push((at, outgoing.event));
    }
    assert_eq!(sent.len(), 5_000);
    let mut repeated = 0;
    for (key, attempts) in &sent {
        let planned = after(1_000 + key.parse::<i64>().unwrap() * 12);
        assert!(attempts.iter().all(|(at, _)| *at >= planned), "{key} was early: {attempts:?}");
        let delivered: Vec<_> = attempts.iter().filter(|(at, _)| *at >= restored).collect();
        assert_eq!(delivered.len(), 1, "{key} is delivered once: {attempts:?}");
        let late = delivered[0].0.since(restored.max(planned));
        assert!(late <= BACKOFF.max + SECOND, "{key} came {late:?} after the outage");
        let id = worker.reminder(key).id(&task(key)).to_string();
        let same = |(_, event): &(Timestamp, Bytes)| *event == attempts[0].1;
        assert!(attempts.iter().all(same), "{key} changed");
        assert!(String::from_utf8_lossy(&attempts[0].1).contains(&id), "{key} goes out as {id}");
        repeated += attempts.len() - 1;
    }
    assert!(repeated > 1_000, "the outage was one: {repeated}");
    assert_eq!(worker.meta().await.reminders.counts(), [0, MANY, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn batches_that_fail_together_hold_back_no_longer_than_one_would() {
    let worker = Worker::start_with(Pace { batch_max: 1, ..PACE }).await;
    worker.broker.answers(|request| request.all(&unreachable()).after(50 * MILLI));
    worker.tell_all((0..8).map(|n| due_in(&n.to_string(), 1_000)).collect()).await;
    worker.sleep(Duration::from_millis(1_600)).await;
    let requests = worker.broker.requests();
    assert_eq!(requests.iter().filter(|r| r.at <= after(1_002)).count(), PACE.in_flight_max);
    let probe = requests[PACE.in_flight_max].at.since(after(1_050));
    assert!(probe >= BACKOFF.initial / 2 && probe <= BACKOFF.initial + 5 * MILLI, "{probe:?}");
}

#[tokio::test(start_paused = true)]
async fn a_probe_that_gets_through_ends_the_holding_back_and_the_next_outage_begins_anew() {
    let worker = Worker::start().await;
    let again = async |from: i64| {
        worker.broker.answers_all(unreachable());
        worker.tell_all((0..30).map(|n| due_in(&format!("{from}/{n}"), from + n * 1_000)).collect()).await;
        worker.sleep_until(after(from + 29_000)).await;
        worker.broker.answers_all(crate::dapr::PublishOutcome::Published);
        worker.sleep_until(after(from + 59_000)).await;
        worker.tell(due_in(&format!("{from}/last"), from + 59_500)).await;
        worker.sleep_until(after(from + 60_000)).await;
        let [sent] = worker.broker.instants_of(&format!("{from}/last"))[..] else { panic!("sent once") };
        assert!(sent.since(after(from + 59_500)) <= MILLI, "{sent}");
        let second = worker.broker.requests().into_iter().filter(|r| r.at >= after(from)).nth(1).unwrap();
        assert!(second.at.since(after(from)) <= BACKOFF.initial + 5 * MILLI, "{}", second.at);
    };
    again(60_000).await;
    again(180_000).await;
}

#[tokio::test(start_paused = true)]
async fn a_broker_that_hangs_costs_one_time_out_after_another_and_everything_goes_out_afterwards() {
    let worker = Worker::start().await;
    worker.tell_all((0..600).map(|n| due_in(&n.to_string(), 1_000 + n * 100)).collect()).await;
    worker.broker.answers(hung);
    worker.sleep_until(minute(1)).await;
    let requests = worker.broker.requests();
    assert!(requests.len() <= PACE.in_flight_max + 6, "{}", requests.len());
    let restored = worker.clock.now();
    worker.broker.answers_all(crate::dapr::PublishOutcome::Published);
    // The probe that hangs is waited for.
    worker.sleep(TIMEOUT + 2 * BACKOFF.max + SECOND).await;
    let meta = worker.meta().await;
    assert_eq!(meta.reminders.counts(), [0, 600, 0, 0, 0], "since {restored}");
}
