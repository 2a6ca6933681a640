//! A store restored from a backup of minute 0, at minute 600.

use super::*;
use crate::domain::CatchUp;
use crate::domain::catch_up::REASON_DROPPED;
use crate::store::{AfterRestore, Batch, Op, Restored};

fn restored(overdue: AfterRestore) -> Restored {
    Restored { overdue, ..Restored::new(minute(600), minute(0), "b") }
}

/// A worker that took in `events`, and the store of which was then restored, since when it has not been opened.
async fn after_restore(events: Vec<Event>, overdue: AfterRestore, settings: Settings) -> Worker {
    let worker = Worker::start_with(settings.clone()).await;
    worker.tell_all(events).await;
    let (store, clock) = worker.crash().await;
    let mut batch = Batch::default();
    batch.push(Op::PutRestored(Box::new(Restored { erases: true, ..restored(overdue) })));
    store.commit(&batch).unwrap();
    tokio::time::advance(minute(600).since(clock.now())).await;
    open(&store, &clock, settings).run()
}

fn expiring(minutes: u64) -> Settings {
    let mut settings = settings();
    settings.policy.expire_after = Duration::from_secs(minutes * 60);
    settings
}

fn ids(claimed: &[Claimed]) -> Vec<&str> {
    claimed.iter().map(|claimed| claimed.task_id.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn what_fell_due_in_the_missing_hours_fires_however_old_it_is() {
    let events = vec![due_at("a", 10), due_at("b", 590), due_at("c", 700)];
    let worker = after_restore(events, AfterRestore::Fires, expiring(60)).await;
    assert_eq!(ids(&worker.claim_all().await), ["a", "b"]);
    worker.advance_to(700).await;
    assert_eq!(ids(&worker.claim_all().await), ["c"]);
}

#[tokio::test(start_paused = true)]
async fn what_fell_due_in_the_missing_hours_expires_like_any_other_once_it_can_be_sent() {
    let worker = after_restore(vec![due_at("t", 10)], AfterRestore::Fires, expiring(60)).await;
    worker.advance_to(661).await;
    assert!(worker.claims_nothing().await);
    assert_eq!(worker.reminder().state, State::Expired);
}

#[tokio::test(start_paused = true)]
async fn of_a_series_what_was_held_fires_though_its_next_occurrence_is_too_late_by_then() {
    let daily = Statement::Recurrence(Some(r#""FREQ=DAILY""#.into()));
    let event = of("t", created(T0, &[due(minute(500)), offsets(&[0]), daily]));
    let worker = after_restore(vec![event], AfterRestore::Held, expiring(60)).await;
    worker.advance_to(500 + 24 * 60 + 61).await;
    assert!(worker.claims_nothing().await);
    worker.writer.confirm_restore(Confirm::Fire).await.unwrap();
    let claimed = worker.claim_all().await;
    assert_eq!(claimed.iter().map(|c| c.reminder.fire_at).collect::<Vec<_>>(), [minute(500)]);
}

/// Every hour from minute 30 on.
fn hourly() -> Event {
    let hourly = Statement::Recurrence(Some(r#""FREQ=HOURLY""#.into()));
    of("t", created(T0, &[due(minute(30)), offsets(&[0]), hourly]))
}

fn fired(claimed: &[Claimed]) -> Vec<Timestamp> {
    claimed.iter().map(|claimed| claimed.reminder.fire_at).collect()
}

#[tokio::test(start_paused = true)]
async fn a_series_goes_on_while_the_last_that_it_missed_is_held() {
    for confirm in [Confirm::Fire, Confirm::Drop] {
        let worker = after_restore(vec![hourly()], AfterRestore::Held, settings()).await;
        // By itself: nothing is heard of the task.
        worker.meta().await;
        for hour in [630, 690, 750] {
            assert_eq!(worker.next_wake().await, minute(hour), "{confirm:?}");
            worker.advance_to(hour).await;
            let claimed = worker.claim(9).await;
            assert_eq!(fired(&claimed.reminders), [minute(hour)], "{confirm:?}");
            worker.settle(&claimed, Attempt::Confirmed).await;
        }
        let held: Vec<_> =
            worker.record("t").reminders.into_iter().filter(|r| r.fire_at == minute(570)).collect();
        assert_eq!(held.iter().map(|r| r.state).collect::<Vec<_>>(), [State::Pending], "{confirm:?}");
        worker.writer.confirm_restore(confirm).await.unwrap();
        let claimed = worker.claim_all().await;
        if confirm == Confirm::Fire {
            assert_eq!(fired(&claimed), [minute(570)]);
        } else {
            assert_eq!(fired(&claimed), []);
        }
        worker.advance_to(810).await;
        assert_eq!(fired(&worker.claim_all().await), [minute(810)], "{confirm:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_held_waits_however_long_and_others_do_not_wait_for_it() {
    let events = vec![due_at("a", 10), due_at("on the instant", 600), due_at("c", 601)];
    let worker = after_restore(events, AfterRestore::Held, expiring(60)).await;
    assert_eq!(worker.next_wake().await, minute(601));
    assert!(worker.claims_nothing().await);
    worker.advance_to(2_000).await;
    // The late one has come too late by now, and says so.
    assert!(worker.claims_nothing().await);
    assert_eq!(worker.record("c").reminders[0].state, State::Expired);
    assert_eq!(worker.record("a").reminders[0].state, State::Pending);
    let overdue = worker.writer.read(|view| view.overdue(minute(2_000))).await.unwrap().unwrap();
    assert_eq!(overdue.oldest, None, "what waits for a person is not overdue");

    let seen = worker.writer.confirm_restore(Confirm::Seen).await.unwrap();
    assert!(matches!(seen, Confirmed::Undecided(_)));
    let Confirmed::Done(fires) = worker.writer.confirm_restore(Confirm::Fire).await.unwrap() else {
        panic!()
    };
    assert_eq!(
        (fires.overdue, fires.let_go, fires.confirmed),
        (AfterRestore::Fires, Some(minute(2_000)), Some(minute(2_000)))
    );
    assert_eq!(ids(&worker.claim_all().await), ["a", "on the instant"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_held_outlasts_a_restart_and_a_later_one_of_its_task_that_is_missed() {
    let twice = of("t", created(T0, &[due(minute(650)), offsets(&[640, 0])]));
    let settings =
        Settings { firing: Firing { catch_up: CatchUp::Coalesce, ..Firing::default() }, ..settings() };
    let worker = after_restore(vec![twice], AfterRestore::Held, settings.clone()).await;
    worker.advance_to(700).await;
    let worker = worker.restart_with(settings).await;
    let claimed = worker.claim_all().await;
    assert_eq!(claimed.len(), 1);
    assert_eq!(claimed[0].reminder.fire_at, minute(650));
    let states: Vec<State> = worker.record("t").reminders.iter().map(|r| r.state).collect();
    assert_eq!(states, [State::Pending; 2]);
}

#[tokio::test(start_paused = true)]
async fn what_is_dropped_expires_with_its_reason_and_does_not_come_back() {
    let many = STEP_MAX + 3;
    let mut events: Vec<Event> = (0..many).map(|n| due_at(&format!("t{n}"), 10)).collect();
    events.extend([due_at("t", 10), due_at("later", 610)]);
    let worker = after_restore(events, AfterRestore::Held, settings()).await;
    let Confirmed::Done(dropping) = worker.writer.confirm_restore(Confirm::Drop).await.unwrap() else {
        panic!()
    };
    assert_eq!(dropping.overdue, AfterRestore::Dropping);
    // Between other commands, one step each.
    for _ in 0..4 {
        worker.meta().await;
        worker.advance(Duration::from_secs(1)).await;
    }
    let dropped = worker.reminder();
    assert_eq!((dropped.state, dropped.reason.as_deref()), (State::Expired, Some(REASON_DROPPED)));
    let meta = worker.meta().await.reminders;
    assert_eq!((meta.of(State::Expired), meta.of(State::Pending)), (i64::try_from(many).unwrap() + 1, 1));
    assert_eq!(worker.store.restored().unwrap().unwrap().overdue, AfterRestore::Fires);
    worker.tell(updated(minute(5), &[title("another")])).await;
    assert_eq!(worker.reminder().state, State::Expired, "a change of its task does not bring it back");
    worker.advance_to(611).await;
    assert_eq!(ids(&worker.claim_all().await), ["later"]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_was_never_restored_has_nothing_to_confirm() {
    let worker = Worker::start().await;
    for confirm in [Confirm::Seen, Confirm::Fire, Confirm::Drop, Confirm::ErasedAgain] {
        assert_eq!(worker.writer.confirm_restore(confirm).await.unwrap(), Confirmed::Never);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_said_of_held_reminders_confirms_nothing_where_none_is_held() {
    use AfterRestore::{Dropping, Fires};
    for (overdue, said) in [(Fires, Confirm::Fire), (Fires, Confirm::Drop), (Dropping, Confirm::Fire)] {
        let worker = after_restore(Vec::new(), overdue, settings()).await;
        let told = worker.writer.confirm_restore(said).await.unwrap();
        let Confirmed::NotHeld(as_before) = told else { panic!("{overdue:?} {said:?}: {told:?}") };
        assert_eq!(as_before.confirmed, None);
        assert_eq!(worker.store.restored().unwrap().unwrap().confirmed, None);
    }
}

#[tokio::test(start_paused = true)]
async fn where_nothing_is_held_a_restore_is_confirmed_without_a_word_of_what_becomes_of_it() {
    // Due as late as is held, and later.
    for (due, is_held) in [(600, true), (601, false)] {
        let worker = after_restore(vec![due_at("t", due)], AfterRestore::Held, settings()).await;
        let told = worker.writer.confirm_restore(Confirm::Seen).await.unwrap();
        let restored = worker.store.restored().unwrap().unwrap();
        assert_eq!(matches!(told, Confirmed::Undecided(_)), is_held, "{told:?}");
        assert_eq!(matches!(told, Confirmed::Done(_)), !is_held, "{told:?}");
        assert_eq!((restored.confirmed.is_some(), restored.holds_to().is_some()), (!is_held, is_held));
    }
}

#[tokio::test(start_paused = true)]
async fn a_restore_is_confirmed_once_and_stays_so() {
    let worker = after_restore(vec![due_at("t", 10)], AfterRestore::Fires, settings()).await;
    let Confirmed::Done(first) = worker.writer.confirm_restore(Confirm::Seen).await.unwrap() else {
        panic!()
    };
    assert_eq!(first.confirmed, Some(minute(600)));
    worker.advance_to(700).await;
    let Confirmed::Done(again) = worker.writer.confirm_restore(Confirm::Seen).await.unwrap() else {
        panic!()
    };
    assert_eq!(again, first);
    let worker = worker.restart().await;
    assert_eq!(worker.writer.read(|view| view.restored.cloned()).await.unwrap(), Some(*first));
}
