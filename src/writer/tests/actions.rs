//! Snoozes and acknowledgements through the commit loop.

use super::*;
use crate::domain::{Nags, Rule, Snooze, Target, Until};

fn snooze(at: i64, minutes: u32) -> Event {
    let snooze = Snooze { until: Until::Minutes(minutes), of: Target::Present };
    Event { statements: vec![Statement::Snooze(Some(snooze))], ..event(Kind::Snoozed, minute(at)) }
}

fn acknowledge(at: i64) -> Event {
    let statements = vec![Statement::Acknowledged(Some(Target::Present))];
    Event { statements, ..event(Kind::Acknowledged, minute(at)) }
}

/// Due at minute 10, and then every 10 minutes, three times.
fn nagging() -> Event {
    let nags = Statement::Nags(Some(Nags { every_minutes: 10, max: 3 }));
    created(T0, &[due(minute(10)), offsets(&[0]), nags])
}

async fn rules_sent(worker: &Worker) -> Vec<Rule> {
    let batch = worker.claim(10).await;
    worker.settle(&batch, Attempt::Confirmed).await;
    batch.reminders.iter().map(|claimed| claimed.reminder.rule).collect()
}

#[tokio::test(start_paused = true)]
async fn a_snooze_comes_once_at_its_time_through_crashes_and_redeliveries_and_nags_wait_for_it() {
    let worker = Worker::start().await;
    worker.tell(nagging()).await;
    worker.advance_to(10).await;
    assert_eq!(rules_sent(&worker).await, [Rule::Offset(0)]);
    worker.advance_to(12).await;
    assert_eq!(worker.tell(snooze(12, 13)).await, Verdict::Success);
    let worker = worker.restart().await;
    worker.advance_to(20).await;
    assert!(worker.claims_nothing().await, "nag:1 is held back");
    assert_eq!(worker.tell(snooze(12, 13)).await, Verdict::Success, "delivered again");
    assert_eq!(worker.meta().await.events.duplicate, 1);
    assert_eq!(worker.next_wake().await, minute(25));
    worker.advance_to(25).await;
    assert_eq!(rules_sent(&worker).await, [Rule::Snooze(minute(25))]);
    assert_eq!(worker.tell(snooze(12, 13)).await, Verdict::Success, "and after it was sent");
    assert!(worker.claims_nothing().await);
    worker.advance_to(30).await;
    assert_eq!(rules_sent(&worker).await, [Rule::Nag(2)]);
    assert_eq!(worker.tell(acknowledge(31)).await, Verdict::Success);
    worker.advance_to(60).await;
    assert!(worker.claims_nothing().await, "acknowledged");
    let nag = worker.record("t").reminders.into_iter().find(|r| r.rule == Rule::Nag(3)).unwrap();
    assert_eq!(nag.state, State::Superseded);
}

#[tokio::test(start_paused = true)]
async fn a_snooze_may_come_before_its_task_and_is_of_its_due_date_then() {
    let worker = Worker::start().await;
    worker.tell(snooze(0, 30)).await;
    assert_eq!(worker.record("t").reminders.len(), 1, "as far as is known it has no due date");
    worker.tell(created(minute(-5), &[due(minute(10)), offsets(&[0])])).await;
    worker.advance_to(10).await;
    assert_eq!(rules_sent(&worker).await, [Rule::Offset(0)]);
    worker.advance_to(30).await;
    let batch = worker.claim(10).await;
    assert_eq!(batch.reminders.len(), 1);
    assert_eq!(
        batch.reminders[0].reminder.occurrence.unwrap().due(),
        crate::domain::Due::Instant(minute(10))
    );
}

#[tokio::test(start_paused = true)]
async fn reminders_after_due_that_are_configured_anew_do_not_remind_of_the_past() {
    let worker = Worker::start().await;
    worker.tell(due_at("t", 10)).await;
    worker.advance_to(10).await;
    assert_eq!(rules_sent(&worker).await, [Rule::Offset(0)]);
    worker.advance_to(25).await;
    let mut with_nags = settings();
    with_nags.policy.nags = Some(Nags { every_minutes: 10, max: 3 });
    let worker = worker.restart_with(with_nags.clone()).await;
    let mark = worker.meta().await.policy.unwrap();
    assert_eq!((mark.generation, mark.nags.since), (2, minute(25)));
    worker.advance_to(30).await;
    assert_eq!(rules_sent(&worker).await, [Rule::Nag(2)], "nag:1 would have come before it was wanted");
    let worker = worker.restart_with(with_nags).await;
    assert_eq!(worker.meta().await.policy.unwrap(), mark, "the same policy keeps its date");
}

#[tokio::test(start_paused = true)]
async fn offsets_of_one_priority_date_that_priority_alone() {
    let worker = Worker::start().await;
    let mut other = settings();
    other.policy.priority_offsets.high = Some(vec![60]);
    let worker = worker.restart_with(other).await;
    let offsets = worker.meta().await.policy.unwrap().offsets;
    assert_eq!((offsets.high.since, offsets.medium.since), (minute(0), Timestamp::MIN));
    assert_eq!(offsets.low, offsets.medium);
}
