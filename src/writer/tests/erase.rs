//! Erasing a user.

use super::super::receipts::RECEIPTS_MAX;
use super::outbox::entry;
use super::*;
use crate::store::Usage;

/// The same event, of a user.
fn by(user: &str, event: Event) -> Event {
    let mut event = event;
    event.statements.push(Statement::User(Some(user.into())));
    event.statements.sort_by_key(Statement::field);
    event
}

async fn erase(worker: &Worker, user: &str) -> Erased {
    let mut sum = Erased::default();
    loop {
        let step =
            worker.writer.erase(ErasePart::Tasks { user: user.into(), after: sum.next }).await.unwrap();
        sum = Erased {
            gone: sum.gone + step.gone,
            reminders_cancelled: sum.reminders_cancelled + step.reminders_cancelled,
            in_flight: sum.in_flight + step.in_flight,
            preferences: sum.preferences + step.preferences,
            unreadable: sum.unreadable + step.unreadable,
            next: step.next,
        };
        if sum.next.is_none() {
            return sum;
        }
    }
}

fn tasks(worker: &Worker) -> Vec<String> {
    worker.store.tasks(None, 10_000).unwrap().iter().map(ToString::to_string).collect()
}

#[tokio::test(start_paused = true)]
async fn the_users_tasks_go_with_all_their_reminders_and_the_counts_stay() {
    let worker = Worker::start().await;
    worker
        .tell_all(vec![by("ann", due_at("a", 1)), by("ann", due_at("b", 60)), by("bob", due_at("c", 60))])
        .await;
    worker.tell(carried_now(by("ann", due_at("d", -1)))).await;
    worker.advance_to(1).await;
    let batch = worker.claim(1).await;
    worker.settle(&batch, Attempt::Confirmed).await;
    let horizon = worker.meta().await.horizon;
    let erased = erase(&worker, "ann").await;
    assert_eq!(erased, Erased { gone: 3, reminders_cancelled: 1, ..Erased::default() });
    assert_eq!(tasks(&worker), ["c"]);
    assert_eq!(worker.store.pending(None, 10).unwrap().len(), 1);
    assert_eq!(worker.store.settled(None, 10).unwrap(), []);
    let meta = worker.meta().await;
    assert_eq!(meta.reminders.counts(), [1, 1, 1, 0, 1]);
    assert_eq!(meta.horizon, horizon, "the horizon stays");
    assert_eq!(erase(&worker, "ann").await, Erased::default(), "again there is nothing");
    assert_eq!(worker.tell(by("ann", due_at("b", 60))).await, Verdict::Success);
    assert_eq!(worker.record("b").reminders[0].state, State::Pending, "what comes later creates anew");
}

fn carried_now(event: Event) -> Event {
    let mut event = event;
    event.stamps.broker = Some(T0);
    event
}

#[tokio::test(start_paused = true)]
async fn an_erasing_goes_step_by_step_through_all_tasks() {
    let worker = Worker::start().await;
    let ids: Vec<String> = (0..2 * STEP_MAX).map(|n| format!("{n:04}")).collect();
    let user = |n: usize| if n.is_multiple_of(2) { "ann" } else { "bob" };
    worker.tell_all(ids.iter().enumerate().map(|(n, id)| by(user(n), due_at(id, 60))).collect()).await;
    let first = worker.writer.erase(ErasePart::Tasks { user: "ann".into(), after: None }).await.unwrap();
    assert_eq!((first.gone, first.next), (STEP_MAX as u64 / 2, Some(task(&ids[STEP_MAX - 1]))));
    assert_eq!(erase(&worker, "ann").await.gone, STEP_MAX as u64 / 2);
    assert_eq!(tasks(&worker).len(), STEP_MAX);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_under_way_settles_without_harm_and_counts_as_published() {
    for attempt in [Attempt::Confirmed, failed(), ambiguous()] {
        let worker = Worker::start().await;
        worker.tell(by("ann", due_at("t", 1))).await;
        worker.advance_to(1).await;
        let batch = worker.claim(10).await;
        let erased = erase(&worker, "ann").await;
        assert_eq!((erased.gone, erased.in_flight, erased.reminders_cancelled), (1, 1, 0));
        worker.settle(&batch, attempt).await;
        assert_eq!(worker.meta().await.reminders.counts(), [0, 1, 0, 0, 0]);
        assert_eq!(worker.store.claims().unwrap(), []);
        assert!(tasks(&worker).is_empty());
        assert!(worker.claims_nothing().await);
    }
}

#[tokio::test(start_paused = true)]
async fn a_crash_after_the_erasing_finds_a_claim_without_a_reminder_and_drops_it() {
    let worker = Worker::start().await;
    worker.tell_all(vec![by("ann", due_at("t", 1)), by("bob", due_at("u", 1))]).await;
    worker.advance_to(1).await;
    worker.claim(10).await;
    erase(&worker, "ann").await;
    let worker = worker.restart().await;
    assert_eq!(worker.store.claims().unwrap(), []);
    assert_eq!(worker.claim(10).await.reminders[0].task_id, task("u"));
}

#[tokio::test(start_paused = true)]
async fn a_claim_in_one_group_with_an_erasing_finds_nothing_of_it() {
    let worker = Worker::start().await;
    worker.tell_all(vec![by("ann", due_at("t", 1)), by("bob", due_at("u", 1))]).await;
    worker.advance_to(1).await;
    let part = ErasePart::Tasks { user: "ann".into(), after: None };
    let (erased, claimed) = tokio::join!(worker.writer.erase(part), worker.writer.claim(10));
    assert_eq!(erased.unwrap().reminders_cancelled, 1);
    let claimed = claimed.unwrap().unwrap();
    assert_eq!((claimed.reminders.len(), &claimed.reminders[0].task_id), (1, &task("u")));
    assert!(worker.store.record(&task("t")).unwrap().is_none());
}

/// A worker of whose task of ann's a reminder went out at minute 1; the receipt of that, as one of another instant too.
async fn reminded() -> (Worker, impl Fn(i64) -> Receipt) {
    let worker = Worker::start().await;
    worker.tell(by("ann", due_at("t", 1))).await;
    worker.advance_to(1).await;
    let batch = worker.claim(10).await;
    worker.settle(&batch, Attempt::Confirmed).await;
    let id = batch.reminders[0].id;
    (worker, move |minutes| Receipt { task_id: task("t"), id, planned_at: Some(minute(minutes)) })
}

#[tokio::test(start_paused = true)]
async fn a_reminder_of_an_erased_task_that_comes_back_is_no_other_workers() {
    let (worker, receipt) = reminded().await;
    erase(&worker, "ann").await;
    worker.writer.received(vec![receipt(1)], worker.clock.now());
    worker.advance_to(2).await;
    worker.meta().await;
    worker.advance_to(3).await;
    assert_eq!(worker.writer.read(|view| view.foreign.count).await, Ok(0));
    worker.writer.received(vec![receipt(2)], worker.clock.now());
    worker.advance_to(4).await;
    worker.meta().await;
    worker.advance_to(5).await;
    assert_eq!(worker.writer.read(|view| view.foreign.count).await, Ok(1), "what is planned later still is");
}

#[tokio::test(start_paused = true)]
async fn one_that_is_written_in_the_group_in_which_its_task_is_erased_is_not_either() {
    let (worker, receipt) = reminded().await;
    // So many do not wait for a quiet moment.
    worker.writer.received(vec![receipt(1); RECEIPTS_MAX / 2], worker.clock.now());
    erase(&worker, "ann").await;
    assert_eq!(worker.writer.read(|view| view.foreign.count).await, Ok(0));
}

#[tokio::test(start_paused = true)]
async fn a_record_that_cant_be_read_is_told_and_the_others_go() {
    let worker = Worker::start().await;
    worker.tell_all(vec![by("ann", due_at("damaged", 60)), by("ann", due_at("t", 60))]).await;
    worker.store.damage(&task("damaged"));
    let erased = erase(&worker, "ann").await;
    assert_eq!((erased.gone, erased.unreadable), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn an_outbox_entry_goes_whatever_it_waits_for_and_its_result_finds_none() {
    for result in
        [OutboxResult::Published, OutboxResult::Failed("x".into()), OutboxResult::Refused("x".into())]
    {
        let worker = Worker::start().await;
        for id in ["a", "a", "b"] {
            worker.writer.accept(entry(id), b"{}".to_vec()).await.unwrap();
        }
        assert_eq!(worker.writer.take_outbox(1, Vec::new()).await.unwrap()[0].number, 0);
        let erased = worker.writer.erase(ErasePart::Outbox(vec![0, 0, 7])).await.unwrap();
        assert_eq!(erased.gone, 1);
        worker.writer.settle_outbox(vec![(0, result)]).await.unwrap();
        assert_eq!(worker.meta().await.outbox, Usage { entries: 2, bytes: 4 });
        assert_eq!(worker.meta().await.outbox_dead, Usage::default());
        let mut next = Vec::new();
        for _ in 0..2 {
            next.extend(
                worker.writer.take_outbox(9, Vec::new()).await.unwrap().iter().map(|item| item.number),
            );
        }
        assert_eq!(next, [2, 1], "the next of its task may go");
    }
}

#[tokio::test(start_paused = true)]
async fn an_outbox_entry_is_erased_in_one_group_with_its_taking_and_its_settling() {
    let worker = Worker::start().await;
    for id in ["a", "b", "c", "d"] {
        worker.writer.accept(entry(id), b"{}".to_vec()).await.unwrap();
    }
    worker.writer.take_outbox(3, Vec::new()).await.unwrap();
    let results = vec![
        (0, OutboxResult::Published),
        (1, OutboxResult::Failed("x".into())),
        (2, OutboxResult::Refused("x".into())),
    ];
    let (settled, taken, erased) = tokio::join!(
        worker.writer.settle_outbox(results),
        worker.writer.take_outbox(9, Vec::new()),
        worker.writer.erase(ErasePart::Outbox(vec![0, 1, 2, 3])),
    );
    assert_eq!((settled, taken.unwrap().len(), erased.unwrap().gone), (Ok(()), 1, 3));
    worker.writer.settle_outbox(vec![(3, OutboxResult::Published)]).await.unwrap();
    let meta = worker.meta().await;
    assert_eq!((meta.outbox, meta.outbox_dead), (Usage::default(), Usage::default()));
    assert_eq!(worker.store.outbox(None, 9).unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn a_quarantined_event_is_emptied_and_its_place_stays() {
    let worker = Worker::start_with(Settings { quarantine_max_entries: 3, ..settings() }).await;
    for body in ["aaaa", "bbb", "cc"] {
        worker.writer.deliver(vec![refused(T0, body)]).await;
    }
    let ask = async || worker.writer.erase(ErasePart::Quarantined(vec![1, 1, 9])).await.unwrap().gone;
    assert_eq!((ask().await, ask().await), (1, 0));
    assert!(worker.store.quarantined_body(1).unwrap().is_empty());
    let (_, emptied) = worker.store.quarantined(Some(0), 1).unwrap().remove(0);
    assert_eq!((emptied.code.as_str(), emptied.length), (ERASED, 0));
    assert_eq!(worker.meta().await.quarantine, Usage { entries: 3, bytes: 6 });
    // The oldest still make room one after another.
    for _ in 0..2 {
        worker.writer.deliver(vec![refused(T0, "d")]).await;
    }
    let kept: Vec<u64> = worker.store.quarantined(None, 9).unwrap().into_iter().map(|(n, _)| n).collect();
    assert_eq!(kept, [2, 3, 4]);
    assert_eq!(worker.meta().await.quarantine, Usage { entries: 3, bytes: 4 });
}

#[tokio::test(start_paused = true)]
async fn a_quarantined_event_is_erased_in_one_group_with_its_making_room() {
    for erase_first in [true, false] {
        let worker = Worker::start_with(Settings { quarantine_max_entries: 1, ..settings() }).await;
        worker.writer.deliver(vec![refused(T0, "aaaa")]).await;
        let deliver = worker.writer.deliver(vec![refused(T0, "bb")]);
        let erase = worker.writer.erase(ErasePart::Quarantined(vec![0]));
        if erase_first {
            tokio::join!(erase, deliver).0.unwrap();
        } else {
            tokio::join!(deliver, erase).1.unwrap();
        }
        assert_eq!(worker.meta().await.quarantine, Usage { entries: 1, bytes: 2 });
        assert_eq!(worker.store.quarantined(None, 9).unwrap()[0].0, 1);
        assert!(worker.store.quarantined_body(0).unwrap().is_empty());
    }
}
