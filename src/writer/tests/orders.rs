//! A cancel has an answer, whatever was attempted before it; and moving a due date.

use super::*;
use crate::domain::history::Note;
use crate::domain::{Due, Fate, Target, Zone};

async fn order(worker: &Worker, order: Order) -> Ordered {
    worker.writer.order(task("t"), order, "id".into()).await.unwrap()
}

async fn cancel(worker: &Worker) -> Vec<Fate> {
    fates(order(worker, Order::Cancel(Target::Present)).await)
}

fn fates(ordered: Ordered) -> Vec<Fate> {
    let Ordered::Done { reminders, .. } = ordered else { panic!("{ordered:?}") };
    reminders.into_iter().map(|told| told.fate).collect()
}

/// A worker whose only task is due at minute 1, which it is now.
async fn with_one_due() -> Worker {
    let worker = Worker::start().await;
    worker.tell(due_at("t", 1)).await;
    worker.advance_to(1).await;
    worker
}

#[tokio::test(start_paused = true)]
async fn a_cancel_before_a_claim_is_answered_will_not_fire_as_often_as_it_is_asked() {
    let worker = with_one_due().await;
    assert_eq!(cancel(&worker).await, [Fate::WillNotFire]);
    assert!(worker.claims_nothing().await);
    assert_eq!(worker.reminder().state, State::Cancelled);
    let record = worker.record("t");
    worker.advance_to(2).await;
    assert_eq!(cancel(&worker).await, [Fate::WillNotFire]);
    assert_eq!(worker.record("t"), record, "a repeat writes nothing");
    assert_eq!(worker.meta().await.reminders.counts(), [0, 0, 1, 0, 0]);
    assert_eq!(worker.meta().await.ledger.received, 1, "an order is no event received");
}

#[tokio::test(start_paused = true)]
async fn a_cancel_during_an_attempt_is_in_flight_until_its_result_decides() {
    for (attempt, fate) in [
        (Attempt::Confirmed, Fate::Fired(minute(1))),
        (failed(), Fate::WillNotFire),
        (ambiguous(), Fate::InFlight),
    ] {
        let worker = with_one_due().await;
        let batch = worker.claim(10).await;
        assert_eq!(cancel(&worker).await, [Fate::InFlight]);
        worker.settle(&batch, attempt).await;
        assert_eq!(cancel(&worker).await, [fate]);
        worker.advance_to(60).await;
        assert!(worker.claims_nothing().await, "no new attempt starts");
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancel_after_an_attempt_is_answered_by_how_it_ended() {
    for (attempt, fate) in [
        (Attempt::Confirmed, Fate::Fired(minute(1))),
        (failed(), Fate::WillNotFire),
        (ambiguous(), Fate::InFlight),
    ] {
        let worker = with_one_due().await;
        let batch = worker.claim(10).await;
        worker.settle(&batch, attempt).await;
        assert_eq!(cancel(&worker).await, [fate]);
        worker.advance_to(60).await;
        assert!(worker.claims_nothing().await);
        assert_eq!(cancel(&worker).await, [fate]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_cancel_in_the_very_group_of_a_claim_is_decided_by_their_order() {
    let worker = with_one_due().await;
    let (claim, cancelled) = tokio::join!(worker.writer.claim(10), cancel(&worker));
    assert_eq!((claim.unwrap().is_some(), cancelled), (true, vec![Fate::InFlight]));
    let worker = with_one_due().await;
    let (cancelled, claim) = tokio::join!(cancel(&worker), worker.writer.claim(10));
    assert_eq!((claim.unwrap().is_some(), cancelled), (false, vec![Fate::WillNotFire]));
}

#[tokio::test(start_paused = true)]
async fn one_reminder_is_called_off_alone_and_another_one_too() {
    let worker = Worker::start().await;
    worker.tell(created(T0, &[due(minute(60)), offsets(&[0, 15, 30])])).await;
    let id = |n: usize| worker.record("t").reminders[n].id(&task("t"));
    for (n, left) in [(0, 2), (1, 1)] {
        let ordered = order(&worker, Order::Cancel(Target::Reminder(id(n)))).await;
        let told = fates(ordered);
        assert_eq!(told.iter().filter(|fate| **fate == Fate::Planned).count(), left);
        assert_eq!(told.iter().filter(|fate| **fate == Fate::WillNotFire).count(), 1, "only the one meant");
    }
    let unknown = Target::Reminder(ReminderId::from_bytes([1; 16]));
    assert_eq!(order(&worker, Order::Cancel(unknown)).await, Ordered::NoSuchReminder);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_task_is_told_and_an_ended_one_says_what_became_of_each() {
    let worker = with_one_due().await;
    let elsewhere = worker.writer.order(task("u"), Order::Cancel(Target::Present), "id".into()).await;
    assert_eq!(elsewhere, Ok(Ordered::Unknown));
    worker.tell(event(Kind::Completed, minute(1))).await;
    let record = worker.record("t");
    let due = Order::Reschedule(Due::Instant(minute(90)), None);
    for asked in [Order::Cancel(Target::Present), due] {
        let Ordered::Done { status, reminders } = order(&worker, asked).await else { panic!() };
        assert_eq!((status, reminders.len(), reminders[0].fate), ("DONE", 1, Fate::WillNotFire));
    }
    assert_eq!(worker.record("t"), record);
}

#[tokio::test(start_paused = true)]
async fn a_rescheduled_task_fires_at_its_new_due_date_alone() {
    let worker = Worker::start().await;
    worker.tell(due_at("t", 60)).await;
    let to = Order::Reschedule(
        crate::domain::tests::wall("2026-11-24T12:00:00"),
        Some("Europe/Berlin".parse().unwrap()),
    );
    for _ in 0..2 {
        assert_eq!(fates(order(&worker, to).await), [Fate::WillNotFire, Fate::Planned]);
    }
    assert_eq!(worker.next_wake().await, crate::domain::tests::at("2026-11-24T11:00:00Z"));
    assert_eq!(worker.record("t").task.zone().map(Zone::name), Some("Europe/Berlin"));
    assert_eq!(worker.record("t").history.notes.len(), 2, "a repeat writes nothing");
}

#[tokio::test(start_paused = true)]
async fn an_order_wins_over_a_producer_whose_clock_is_ahead() {
    let worker = Worker::start().await;
    worker.tell(created(minute(4), &[due(minute(60)), offsets(&[0])])).await;
    let to = Order::Reschedule(Due::Instant(minute(2)), None);
    assert_eq!(fates(order(&worker, to).await), [Fate::WillNotFire, Fate::Planned]);
    assert_eq!(worker.next_wake().await, minute(2));
    assert_eq!(cancel(&worker).await, [Fate::WillNotFire, Fate::WillNotFire]);
}

#[tokio::test(start_paused = true)]
async fn an_order_wins_over_what_was_told_before_the_clock_went_back() {
    let worker = Worker::start().await;
    let event = created(minute(30), &[due(minute(60)), offsets(&[0])]);
    worker.writer.deliver(vec![delivery(event, minute(30))]).await;
    let to = Order::Reschedule(Due::Instant(minute(90)), None);
    assert_eq!(fates(order(&worker, to).await), [Fate::WillNotFire, Fate::Planned]);
    assert_eq!(cancel(&worker).await, [Fate::WillNotFire, Fate::WillNotFire]);
}

#[tokio::test(start_paused = true)]
async fn a_series_that_goes_on_after_an_occurrence_was_done_is_called_off() {
    let worker = Worker::start().await;
    let daily = Statement::Recurrence(Some(r#"{"frequency":"daily","on_complete":"next"}"#.into()));
    worker.tell(created(T0, &[due(minute(60)), offsets(&[0]), daily])).await;
    worker.advance_to(5).await;
    worker.tell(event(Kind::Completed, minute(5))).await;
    assert!(worker.next_wake().await < Timestamp::MAX, "the next occurrence is planned");
    assert!(cancel(&worker).await.iter().all(|fate| *fate == Fate::WillNotFire));
    assert_eq!(worker.next_wake().await, Timestamp::MAX);
}

#[tokio::test(start_paused = true)]
async fn rescheduling_to_the_same_date_takes_a_cancel_back() {
    let worker = Worker::start().await;
    worker.tell(due_at("t", 60)).await;
    cancel(&worker).await;
    let to = Order::Reschedule(Due::Instant(minute(60)), None);
    assert_eq!(fates(order(&worker, to).await), [Fate::Planned]);
    assert_eq!(worker.next_wake().await, minute(60));
}

#[tokio::test(start_paused = true)]
async fn an_order_for_a_record_that_cant_be_read_says_so() {
    let worker = with_one_due().await;
    worker.store.damage(&task("t"));
    assert!(matches!(order(&worker, Order::Cancel(Target::Present)).await, Ordered::Unreadable(_)));
}

#[tokio::test(start_paused = true)]
async fn a_plain_task_has_one_note_and_a_redelivery_writes_nothing() {
    let worker = Worker::start().await;
    worker.tell(due_at("t", 60)).await;
    let record = worker.record("t");
    assert_eq!(record.history.notes.len(), 1);
    worker.store.forget_batches();
    for _ in 0..3 {
        worker.tell(due_at("t", 60)).await;
    }
    assert!(
        worker
            .store
            .batches()
            .iter()
            .all(|batch| { !batch.ops().iter().any(|op| matches!(op, crate::store::Op::PutRecord(..))) })
    );
    assert_eq!(worker.record("t"), record);
}

#[tokio::test(start_paused = true)]
async fn what_other_settings_move_is_noted_with_its_times() {
    let worker = Worker::start().await;
    worker.tell(created(T0, &[Statement::Due(Some(Due::date("2026-12-24".parse().unwrap())))])).await;
    let mut settings = settings();
    settings.policy.date_only = chrono::NaiveTime::from_hms_opt(10, 0, 0).unwrap();
    let worker = worker.restart_with(settings).await;
    worker.meta().await;
    worker.advance_to(1).await;
    worker.meta().await;
    let history = worker.record("t").history;
    let Some(Note::Replanned { tzdb, moved, .. }) = history.notes.last() else { panic!("{history:?}") };
    assert_eq!(tzdb, chrono_tz::IANA_TZDB_VERSION);
    let times = ["2026-12-24T08:45:00Z", "2026-12-24T09:45:00Z"].map(crate::domain::tests::at);
    assert_eq!((moved.len(), [moved[0].from, moved[0].to]), (1, times));
}

/// An event of which one extra could not be read.
fn with_refused(id: &str, n: usize, producer: &str) -> Event {
    let refusal = crate::domain::Refusal { key: "priority".into(), reason: "`hgh` is unknown".into() };
    Event {
        message_id: Some(n.to_string()),
        producer: Some(producer.into()),
        refused: vec![refusal],
        ..of(id, created(T0, &[due(minute(60))]))
    }
}

#[tokio::test(start_paused = true)]
async fn what_was_refused_of_an_event_is_shown_in_quarantine_and_counted_as_applied() {
    let worker = Worker::start().await;
    assert_eq!(worker.tell(with_refused("t", 0, "p")).await, Verdict::Success);
    let kept = worker.store.quarantined(None, 10).unwrap();
    assert_eq!(kept.len(), 1);
    assert_eq!(kept[0].1.code, "extra_refused");
    assert!(kept[0].1.reason.contains("`priority`: `hgh` is unknown"), "{}", kept[0].1.reason);
    let events = worker.meta().await.events;
    assert_eq!((events.applied, events.quarantined), (1, 0));
    worker.tell(with_refused("t", 0, "p")).await;
    assert_eq!(worker.meta().await.quarantine.entries, 1, "a redelivery shows nothing again");
    let history = worker.record("t").history;
    assert!(matches!(&history.notes[..], [Note::Event(noted)] if noted.refused.len() == 1));
}

#[tokio::test(start_paused = true)]
async fn of_one_producer_so_many_are_shown_an_hour_and_others_still_are() {
    use super::super::refused::{REFUSED_AN_HOUR, REFUSED_PRODUCERS_MAX};
    let worker = Worker::start().await;
    let bound = REFUSED_AN_HOUR as usize;
    let shown = async || worker.meta().await.quarantine.entries as usize;
    worker.tell_all((0..=bound).map(|n| with_refused(&format!("a{n}"), n, "p")).collect()).await;
    assert_eq!(shown().await, bound);
    worker.tell(with_refused("b", 0, "p")).await;
    assert_eq!(shown().await, bound, "in a later commit too");
    worker.tell(with_refused("c", 0, "q")).await;
    assert_eq!(shown().await, bound + 1);
    worker.advance_to(60).await;
    worker.tell(with_refused("d", 0, "p")).await;
    assert_eq!(shown().await, bound + 2);
    worker.advance_to(120).await;
    let many =
        (0..REFUSED_PRODUCERS_MAX).map(|n| with_refused(&format!("e{n}"), n, &format!("e{n}"))).collect();
    worker.tell_all(many).await;
    let full = bound + 2 + REFUSED_PRODUCERS_MAX;
    assert_eq!(shown().await, full);
    worker.tell_all((0..=bound).map(|n| with_refused(&format!("f{n}"), n, &format!("f{n}"))).collect()).await;
    assert_eq!(shown().await, full + bound, "those beyond the table share one count");
}
