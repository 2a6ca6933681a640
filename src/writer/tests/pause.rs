//! Pausing all reminders and letting them go on.

use super::*;
use crate::domain::{CatchUp, REASON_MAX_BYTES};
use crate::store::Paused;

async fn pause(worker: &Worker, reason: Option<&str>) -> Switched {
    worker.writer.switch(Switch::Pause { reason: reason.map(str::to_owned) }).await.unwrap()
}

async fn resume(worker: &Worker) -> Switched {
    worker.writer.switch(Switch::Resume).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn while_paused_nothing_is_claimed_events_are_merged_and_what_is_under_way_ends() {
    let worker = Worker::start().await;
    worker.tell_all(vec![due_at("a", 1), due_at("b", 1)]).await;
    worker.advance_to(1).await;
    let under_way = worker.claim(1).await;
    pause(&worker, None).await;
    assert!(worker.claims_nothing().await);
    assert_eq!(worker.next_wake().await, Timestamp::MAX, "nobody is woken for what is paused");
    worker.settle(&under_way, failed()).await;
    worker.tell(due_at("c", 2)).await;
    worker.advance_to(2).await;
    assert!(worker.claims_nothing().await, "a retry waits too");
    assert_eq!(worker.record("c").reminders[0].state, State::Pending);
    resume(&worker).await;
    assert_eq!(worker.next_wake().await, minute(1));
    assert_eq!(worker.claim_all().await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn a_pause_keeps_its_first_instant_and_reason_and_outlasts_a_restart() {
    let worker = Worker::start().await;
    worker.tell(due_at("t", 1)).await;
    let first = Some(Paused { since: minute(0), reason: Some("a migration".into()) });
    assert_eq!(pause(&worker, Some("a migration")).await, Switched { before: None, after: first.clone() });
    worker.advance_to(1).await;
    assert_eq!(
        pause(&worker, Some("another")).await,
        Switched { before: first.clone(), after: first.clone() }
    );
    let worker = worker.restart().await;
    assert_eq!(worker.meta().await.paused, first);
    assert!(worker.claims_nothing().await);
    assert_eq!(worker.next_wake().await, Timestamp::MAX);
    assert_eq!(resume(&worker).await, Switched { before: first, after: None });
    assert_eq!(resume(&worker).await, Switched { before: None, after: None }, "once more does nothing");
    let worker = worker.restart().await;
    assert_eq!(worker.claim_all().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_on_the_disk_when_it_is_answered() {
    let worker = Worker::start().await;
    pause(&worker, None).await;
    assert!(worker.store.meta().unwrap().paused.is_some());
    resume(&worker).await;
    assert!(worker.store.meta().unwrap().paused.is_none());
    worker.store.fail_commits(30);
    let refused = worker.writer.switch(Switch::Pause { reason: None }).await;
    assert_eq!(refused, Err(NotCommitted));
}

#[tokio::test(start_paused = true)]
async fn a_reason_is_kept_up_to_its_bound() {
    let worker = Worker::start().await;
    let kept = |switched: Switched| switched.after.unwrap().reason.unwrap();
    let on_the_bound = "x".repeat(REASON_MAX_BYTES);
    assert_eq!(kept(pause(&worker, Some(&on_the_bound)).await), on_the_bound);
    resume(&worker).await;
    let cut = kept(pause(&worker, Some(&"x".repeat(REASON_MAX_BYTES + 1))).await);
    assert!(cut.len() <= REASON_MAX_BYTES && cut.ends_with('…'), "{cut}");
}

#[tokio::test(start_paused = true)]
async fn what_fell_due_meanwhile_is_caught_up_as_was_chosen_and_what_is_fresh_fires() {
    for (catch_up, fired) in [
        (CatchUp::Fire, &["offset:30", "offset:10", "offset:0"][..]),
        (CatchUp::Coalesce, &["offset:10", "offset:0"]),
        (CatchUp::Skip, &["offset:0"]),
    ] {
        let firing = Firing { catch_up, ..Firing::default() };
        let worker = Worker::start_with(Settings { firing, ..settings() }).await;
        worker.tell(created(T0, &[due(minute(60)), offsets(&[30, 10, 0])])).await;
        pause(&worker, None).await;
        worker.advance_to(61).await;
        resume(&worker).await;
        let rules: Vec<String> =
            worker.claim_all().await.iter().map(|claimed| claimed.reminder.rule.to_string()).collect();
        assert_eq!(rules, fired, "{catch_up:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_rate_held_back_before_a_pause_is_judged_anew_after_it() {
    let firing = Firing { catch_up: CatchUp::Skip, rate: 1, ..Firing::default() };
    let worker = Worker::start_with(Settings { firing, ..settings() }).await;
    worker.tell_all((0..5).map(|n| due_at(&n.to_string(), 1)).collect()).await;
    worker.advance_to(1).await;
    assert_eq!(worker.claim_all().await.len(), 1);
    pause(&worker, None).await;
    worker.advance_to(3).await;
    resume(&worker).await;
    assert_eq!(worker.claim_all().await.len(), 0);
    assert_eq!(worker.meta().await.reminders.of(State::Expired), 4);
}
