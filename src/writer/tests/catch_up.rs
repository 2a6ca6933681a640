//! Reminders that were missed, at the claim.

use super::*;
use crate::domain::{CatchUp, Quiet, QuietMode, Wish};

fn choosing(catch_up: CatchUp) -> Settings {
    Settings { firing: Firing { catch_up, ..Firing::default() }, ..settings() }
}

/// A task that is reminded of 30, 10 and 0 minutes before minute 60.
fn thrice(id: &str) -> Event {
    of(id, created(T0, &[due(minute(60)), offsets(&[30, 10, 0])]))
}

/// A worker that was down until minute `until` and has chosen by then.
async fn after_downtime(events: Vec<Event>, until: i64, catch_up: CatchUp) -> Worker {
    let worker = Worker::start().await;
    worker.tell_all(events).await;
    let (store, clock) = worker.crash().await;
    tokio::time::advance(minute(until).since(clock.now())).await;
    open(&store, &clock, choosing(catch_up)).run()
}

fn rules(claimed: &[Claimed]) -> Vec<String> {
    claimed.iter().map(|claimed| claimed.reminder.rule.to_string()).collect()
}

fn states(worker: &Worker, id: &str) -> Vec<(String, State)> {
    let mut states: Vec<_> =
        worker.record(id).reminders.iter().map(|r| (r.rule.to_string(), r.state)).collect();
    states.sort_by(|a, b| a.0.cmp(&b.0));
    states
}

#[tokio::test(start_paused = true)]
async fn each_choice_lets_go_what_it_says() {
    use State::{Expired, Pending, Superseded};
    for (choice, fired, states_then) in [
        (CatchUp::Fire, &["offset:30", "offset:10", "offset:0"][..], [Pending; 3]),
        (CatchUp::Coalesce, &["offset:0"], [Pending, Superseded, Superseded]),
        (CatchUp::Skip, &[], [Expired; 3]),
    ] {
        let worker = after_downtime(vec![thrice("t")], 90, choice).await;
        let claimed = worker.claim_all().await;
        assert_eq!(rules(&claimed), fired, "{choice:?}");
        let names = ["offset:0", "offset:10", "offset:30"].map(str::to_owned);
        assert_eq!(
            states(&worker, "t"),
            names.into_iter().zip(states_then).collect::<Vec<_>>(),
            "{choice:?}"
        );
        assert_eq!(worker.next_wake().await, Timestamp::MAX);
        let tally = worker.meta().await.reminders;
        assert_eq!(tally.total(), 3, "{choice:?}");
        for state in State::ALL {
            let held = states_then.iter().filter(|s| **s == state).count();
            assert_eq!(tally.of(state), i64::try_from(held).unwrap(), "{choice:?} {state:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_late_by_no_more_than_the_bound_fires_whatever_the_choice() {
    for choice in [CatchUp::Coalesce, CatchUp::Skip] {
        // The one at minute 60 is on the bound.
        let worker = after_downtime(vec![thrice("t")], 61, choice).await;
        let fired: &[&str] = if choice == CatchUp::Skip { &["offset:0"] } else { &["offset:10", "offset:0"] };
        assert_eq!(rules(&worker.claim_all().await), fired, "{choice:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_missed_in_one_task_says_nothing_of_another() {
    let worker = after_downtime(vec![thrice("a"), thrice("b"), due_at("c", 5)], 90, CatchUp::Coalesce).await;
    let claimed = worker.claim_all().await;
    assert_eq!(rules(&claimed), ["offset:0"; 3]);
    assert_eq!(claimed[0].task_id, task("c"), "in time order");
}

#[tokio::test(start_paused = true)]
async fn what_was_tried_goes_on_being_tried() {
    let worker = Worker::start_with(choosing(CatchUp::Skip)).await;
    worker.tell_all(vec![due_at("failed", 1), due_at("doubtful", 1)]).await;
    worker.advance_to(1).await;
    let batch = worker.claim(10).await;
    let attempts = [("failed", failed()), ("doubtful", ambiguous())];
    let settled = |c: &Claimed| Settlement {
        within: None,
        task_id: c.task_id.clone(),
        id: c.id,
        attempt: attempts.iter().find(|(id, _)| *id == c.task_id.as_str()).unwrap().1.clone(),
    };
    worker.writer.settle(batch.number, batch.reminders.iter().map(settled).collect()).await.unwrap();
    worker.advance_to(100).await;
    assert_eq!(worker.claim_all().await.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn what_has_come_too_late_expires_and_fires_for_no_other() {
    let day = 24 * 60;
    // Due 29 minutes within expire_after; the earlier ones are beyond it.
    let worker = after_downtime(vec![thrice("t")], day + 45, CatchUp::Coalesce).await;
    assert_eq!(rules(&worker.claim_all().await), ["offset:0"]);
    let record = worker.record("t");
    let reason = |offset| {
        let rule = crate::domain::Rule::Offset(offset);
        record.reminders.iter().find(|r| r.rule == rule).unwrap().reason.clone().unwrap_or_default()
    };
    assert_eq!(reason(30), "not sent within expire_after");
    assert!(reason(10).contains("offset:0 fires instead"), "{}", reason(10));
}

#[tokio::test(start_paused = true)]
async fn a_choice_takes_effect_at_the_next_claim_and_what_it_ended_stays_ended() {
    let worker = after_downtime(vec![thrice("t"), thrice("u")], 90, CatchUp::Fire).await;
    let first = worker.claim(1).await;
    worker.settle(&first, Attempt::Confirmed).await;
    let worker = worker.restart_with(choosing(CatchUp::Skip)).await;
    assert_eq!(worker.claim_all().await.len(), 0);
    let worker = worker.restart_with(choosing(CatchUp::Fire)).await;
    worker.tell_all(vec![of("t", updated(minute(91), &[title("new")]))]).await;
    worker.tell_all(vec![of("u", updated(minute(91), &[title("new")]))]).await;
    assert_eq!(worker.claim_all().await.len(), 0, "no change of its task brings it back");
    let tally = worker.meta().await.reminders;
    assert_eq!((tally.of(State::Published), tally.of(State::Expired)), (1, 5));
}

#[tokio::test(start_paused = true)]
async fn of_a_series_that_was_missed_for_days_the_last_occurrence_counts() {
    const DAY: i64 = 24 * 60;
    let hourly = Statement::Recurrence(Some(r#""FREQ=HOURLY""#.into()));
    let series = of("t", created(T0, &[due(minute(60)), offsets(&[0]), hourly]));
    let fired_at = |claimed: &[Claimed]| -> Vec<i64> {
        claimed.iter().map(|c| (c.reminder.fire_at.millis() - T0.millis()) / 60_000).collect()
    };
    let until = 3 * DAY + 30;
    for (choice, fired, next) in [
        (CatchUp::Coalesce, vec![3 * DAY], 3 * DAY),
        (CatchUp::Skip, vec![], 3 * DAY + 60),
        (CatchUp::Fire, vec![2 * DAY + 60], 2 * DAY + 60),
    ] {
        let worker = after_downtime(vec![series.clone()], until, choice).await;
        assert_eq!(fired_at(&worker.claim_all().await), fired, "{choice:?}");
        let pending: Vec<_> =
            worker.record("t").reminders.into_iter().filter(|r| r.state == State::Pending).collect();
        assert_eq!(pending.len(), 1, "{choice:?}");
        assert_eq!(pending[0].fire_at, minute(next), "{choice:?}");
        assert!(worker.record("t").reminders.len() <= 3, "what lies between was never planned");
    }
}

/// Offset 0 fires instead of the others, is under way, and leaves the plan by an update that was held up.
async fn leaves_under_way() -> (Worker, ClaimedBatch) {
    let worker = after_downtime(vec![thrice("t")], 90, CatchUp::Coalesce).await;
    let batch = worker.claim(10).await;
    assert_eq!(rules(&batch.reminders), ["offset:0"]);
    worker.tell_all(vec![of("t", updated(minute(1), &[offsets(&[30, 10])]))]).await;
    assert!(worker.claims_nothing().await, "it may go out yet");
    (worker, batch)
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_fires_when_the_one_instead_of_it_has_left_and_did_not_go_out() {
    for (attempt, fires) in [(failed(), true), (ambiguous(), true), (Attempt::Confirmed, false)] {
        let (worker, batch) = leaves_under_way().await;
        worker.settle(&batch, attempt.clone()).await;
        let fired = rules(&worker.claim_all().await);
        assert_eq!(fired, if fires { &["offset:10"][..] } else { &[] }, "{attempt:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_missed_fires_when_a_crash_cut_off_the_one_instead_of_it_that_has_left() {
    let (worker, _batch) = leaves_under_way().await;
    let worker = worker.restart_with(choosing(CatchUp::Coalesce)).await;
    assert_eq!(rules(&worker.claim_all().await), ["offset:10"]);
}

#[tokio::test(start_paused = true)]
async fn no_other_ends_for_one_that_its_user_does_not_wish() {
    const HOUR: i64 = 60;
    let night = Quiet::new("22:00".parse().unwrap(), "07:00".parse().unwrap(), QuietMode::Drop);
    // Minute 0 is 09:00: due at 22:30, reminded at 21:30 as well; and each hour from 20:30 on.
    let user = || Statement::User(Some("u".into()));
    let once = of("t", created(T0, &[user(), due(minute(13 * HOUR + 30)), offsets(&[60, 0])]));
    let hourly = Statement::Recurrence(Some(r#""FREQ=HOURLY""#.into()));
    let series = of("t", created(T0, &[user(), due(minute(11 * HOUR + 30)), offsets(&[0]), hourly]));
    // At 23:00, which is dropped, and 11:00.
    let twice_a_day = Statement::Recurrence(Some(r#""FREQ=HOURLY;INTERVAL=12""#.into()));
    let twice_a_day = of("t", created(T0, &[user(), due(minute(14 * HOUR)), offsets(&[0]), twice_a_day]));
    for (event, until, fires) in [
        (once, 15 * HOUR, 12 * HOUR + 30),
        (series, 15 * HOUR, 12 * HOUR + 30),
        (twice_a_day, 38 * HOUR + 30, 26 * HOUR),
    ] {
        let worker = Worker::start().await;
        worker.wish("u", Wish::Quiet(night.clone().ok())).await;
        let mut event = event;
        event.statements.sort_by_key(Statement::field);
        worker.tell(event).await;
        let (store, clock) = worker.crash().await;
        tokio::time::advance(minute(until).since(clock.now())).await;
        let worker = open(&store, &clock, choosing(CatchUp::Coalesce)).run();
        let fired: Vec<_> = worker.claim_all().await.iter().map(|c| c.reminder.fire_at).collect();
        assert_eq!(fired, [minute(fires)]);
    }
}
