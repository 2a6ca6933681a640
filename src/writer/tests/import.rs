//! Tasks from before the installation.

use proptest::prelude::*;

use super::preferences::owned;
use super::*;
use crate::domain::tests::preferences::wished;
use crate::domain::{Cause, Digest, PreferencesChange, Priority, Wish};

fn lines(events: &[Event]) -> Vec<ImportLine> {
    events.iter().map(|event| ImportLine::Event(Box::new(event.clone()))).collect()
}

async fn import(worker: &Worker, events: &[Event]) -> Imported {
    worker.writer.import(lines(events), worker.clock.now()).await.unwrap()
}

fn carried(event: Event, at: Timestamp) -> Event {
    let mut event = event;
    event.stamps.broker = Some(at);
    event
}

/// A creation an hour before minute 0 of a task with one reminder, at the due date.
fn old(id: &str, minutes: i64) -> Event {
    of(id, created(minute(-60), &[due(minute(minutes)), offsets(&[0])]))
}

#[tokio::test(start_paused = true)]
async fn what_is_past_never_fires_and_what_is_ahead_does() {
    let worker = Worker::start().await;
    let imported = import(&worker, &[old("past", -1), old("now", 0), old("ahead", 1)]).await;
    assert_eq!((imported.applied, imported.planned, imported.past), (3, 3, 2));
    assert!(worker.claims_nothing().await);
    assert_eq!(worker.record("past").reminders[0].cause, Some(Cause::PastAtImport));
    // The same, by the topic: late, so it fires.
    worker.tell(old("late", -1)).await;
    worker.advance_to(1).await;
    let batch = worker.claim(10).await;
    let claimed: Vec<_> = batch.reminders.iter().map(|c| c.task_id.as_str()).collect();
    assert_eq!(claimed, ["late", "ahead"]);
    assert_eq!(worker.meta().await.reminders.counts(), [2, 0, 0, 0, 2]);
}

#[tokio::test(start_paused = true)]
async fn what_falls_due_between_the_arrival_of_an_import_and_its_last_line_fires() {
    let worker = Worker::start().await;
    let arrived = worker.clock.now();
    worker.advance_to(5).await;
    let imported = worker.writer.import(lines(&[old("a", 0), old("b", 1)]), arrived).await.unwrap();
    assert_eq!(imported.past, 1);
    assert_eq!(worker.claim(10).await.reminders[0].task_id, task("b"));
}

#[tokio::test(start_paused = true)]
async fn what_is_ahead_is_not_told_at_a_moment_that_had_passed_when_it_was_imported() {
    const EIGHT: i64 = 23 * 60;
    let daily = |id: &str| {
        let says = [Statement::Recurrence(Some(r#"{"frequency":"daily"}"#.into()))];
        [owned(id, "u", EIGHT + 600), of(id, updated(minute(1), &says))]
    };
    let digest = Digest { at: "08:00".parse().unwrap(), below: Priority::High };
    let wish = PreferencesChange { user: "u".into(), ..wished(T0, &[Wish::Digest(Some(digest))]) };
    let told = || vec![ImportLine::Preferences(Box::new(wish.clone()))];
    let tasks = || lines(&[daily("series").to_vec(), vec![owned("plain", "u", EIGHT + 600)]].concat());
    for (first, then) in [(told(), tasks()), (tasks(), told())] {
        let all = first.into_iter().chain(then).collect();
        let worker = Worker::start().await;
        worker.advance_to(EIGHT + 170).await;
        worker.writer.import(all, worker.clock.now()).await.unwrap();
        worker.planned_anew().await;
        worker.tell(of("plain", updated(minute(EIGHT + 171), &[title("b")]))).await;
        assert!(worker.claims_nothing().await);
        for id in ["series", "plain"] {
            assert_eq!(worker.record(id).reminders[0].fire_at, minute(EIGHT + 600), "{id}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_reminder_that_was_overdue_before_the_import_still_fires() {
    let worker = Worker::start().await;
    worker.tell(due_at("t", 1)).await;
    worker.advance_to(2).await;
    let again = updated(minute(1), &[title("b")]);
    assert_eq!(import(&worker, &[again]).await.past, 0);
    assert_eq!(worker.claim(10).await.reminders.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_past_reminder_stays_so_through_later_events_a_restart_and_another_policy() {
    let worker = Worker::start().await;
    import(&worker, &[old("t", -1)]).await;
    worker.tell(updated(minute(0), &[title("b")])).await;
    let mut other = settings();
    other.policy.default_offsets = vec![5];
    let worker = worker.restart_with(other).await;
    worker.advance_to(1).await;
    assert!(worker.claims_nothing().await);
    assert_eq!(worker.reminder().state, State::Expired);
}

#[tokio::test(start_paused = true)]
async fn the_same_import_again_changes_nothing_and_is_told_as_duplicates() {
    let worker = Worker::start().await;
    let unstamped = Event { stamps: Default::default(), ..old("none", 60) };
    let events = [old("past", -1), old("ahead", 60), unstamped];
    import(&worker, &events).await;
    let records = ["past", "ahead", "none"].map(|id| worker.record(id));
    worker.advance_to(1).await;
    let again = import(&worker, &events).await;
    assert_eq!(again, Imported { duplicate: 3, ..Imported::default() });
    assert_eq!(["past", "ahead", "none"].map(|id| worker.record(id)), records);
}

#[tokio::test(start_paused = true)]
async fn an_unknown_task_older_than_the_horizon_is_imported_all_the_same() {
    let worker = Worker::start().await;
    worker.tell(carried(due_at("t", 1), minute(-5))).await;
    worker.tell(carried(event(Kind::Deleted, minute(0)), minute(-3))).await;
    worker.advance_to(20 * 24 * 60).await;
    worker.writer.purge().await.unwrap();
    assert_eq!(worker.meta().await.horizon, Some(minute(-3)));
    let older = carried(old("u", 30 * 24 * 60), minute(-60));
    assert_eq!(import(&worker, &[older]).await.applied, 1);
    assert_eq!(worker.record("u").reminders[0].state, State::Pending);
    assert_eq!(worker.meta().await.horizon, Some(minute(-3)));
}

#[tokio::test(start_paused = true)]
async fn every_line_is_counted_once_and_one_that_cant_be_kept_is_told_and_not_counted() {
    let worker = Worker::start().await;
    worker.store.damage(&task("damaged"));
    let mut all = lines(&[old("a", 60), old("damaged", 60), old("a", 60)]);
    all.push(ImportLine::Ignored);
    all.extend(lines(&[
        updated(minute(-90), &[due(minute(1))]),
        of("a", updated(minute(-90), &[title("x")])),
    ]));
    let imported = worker.writer.import(all, T0).await.unwrap();
    assert_eq!(imported.unreadable, [(1, "as told".to_owned())]);
    let counts = (imported.applied, imported.duplicate, imported.stale, imported.ignored);
    assert_eq!(counts, (3, 1, 0, 1));
    let meta = worker.meta().await;
    assert_eq!(meta.ledger.received, 5);
    assert_eq!(meta.quarantine.entries, 0);
}

#[tokio::test(start_paused = true)]
async fn an_import_that_cant_be_committed_is_refused_and_may_come_again() {
    let worker = Worker::start().await;
    worker.store.fail_reads(true);
    assert_eq!(worker.writer.import(lines(&[old("t", 60)]), T0).await, Err(NotCommitted));
    worker.store.fail_reads(false);
    assert_eq!(import(&worker, &[old("t", 60)]).await.applied, 1);
    worker.store.fail_commits(i64::MAX);
    let (stuck, behind) = tokio::join!(
        worker.writer.import(lines(&[old("u", 60)]), T0),
        worker.writer.erase(ErasePart::Outbox(vec![])),
    );
    assert_eq!((stuck, behind), (Err(NotCommitted), Err(NotCommitted)));
}

/// What happens to one of three tasks: at which minute it is said, and what.
fn happening() -> impl Strategy<Value = Event> {
    (0..3_u8, -90..0_i64, 0..5_u8, -30..30_i64).prop_map(|(id, said, what, minutes)| {
        let said = minute(said);
        let told = match what {
            0 => created(said, &[due(minute(minutes)), offsets(&[0, 10])]),
            1 => updated(said, &[due(minute(minutes))]),
            2 => updated(
                said,
                &[Statement::RemindAt(Some(vec![crate::domain::Due::Instant(minute(minutes))]))],
            ),
            3 => event(Kind::Completed, said),
            _ => updated(said, &[Statement::Status(Some(crate::domain::Status::Todo))]),
        };
        of(["a", "b", "c"][usize::from(id)], told)
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn an_import_ends_in_the_same_records_however_it_is_cut(
        events in prop::collection::vec(happening(), 1..24),
        size in 1_usize..24,
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build().unwrap();
        let records = |size: usize| runtime.block_on(async {
            let worker = Worker::start().await;
            let (mut planned, mut past) = (0, 0);
            for part in events.chunks(size) {
                let imported = worker.writer.import(lines(part), T0).await.unwrap();
                planned += imported.planned;
                past += imported.past;
            }
            prop_assert!(worker.claims_nothing().await, "an import fires nothing");
            let records = ["a", "b", "c"].map(|id| worker.store.record(&task(id)).unwrap());
            let meta = worker.meta().await;
            prop_assert_eq!(i64::try_from(planned), Ok(meta.reminders.total()));
            Ok((records, meta.events, meta.reminders, planned, past))
        });
        prop_assert_eq!(records(size)?, records(events.len())?);
    }
}
