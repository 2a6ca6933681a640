//! A store that fails.

use super::super::run::{RETRY_AFTER, STUCK_MAX};
use super::preferences::{owned, quiet};
use super::*;

#[tokio::test(start_paused = true)]
async fn while_the_store_fails_deliveries_are_told_to_come_again_and_what_is_inside_waits() {
    let worker = Worker::start().await;
    worker.tell(due_at("due", 1)).await;
    worker.advance_to(1).await;
    worker.store.forget_batches();
    worker.store.fail_commits(25);
    let started = worker.clock.now();
    let waited = |clock: &TokioClock| clock.now().since(started);
    let told = async { (worker.tell(due_at("t", 60)).await, waited(&worker.clock)) };
    let claimed = async {
        // Taken from the queue only while the commit is failing.
        worker.advance(Duration::from_millis(1)).await;
        (worker.writer.claim(10).await.unwrap(), waited(&worker.clock))
    };
    let late = async {
        worker.clock.sleep(Duration::from_millis(2_300)).await;
        (worker.tell(due_at("u", 60)).await, worker.writer.is_usable())
    };
    let ((verdict, after), (batch, claimed_after), late) = tokio::join!(told, claimed, late);
    assert_eq!(verdict, Verdict::Retry);
    assert!(after >= RETRY_AFTER && after < RETRY_AFTER + Duration::from_millis(500), "{after:?}");
    assert_eq!(late, (Verdict::Retry, false));
    assert!(batch.is_some() && claimed_after >= Duration::from_millis(2_500), "{claimed_after:?}");
    let batches = worker.store.batches();
    assert!(batches.len() >= 26, "{}", batches.len());
    assert!(batches[..26].iter().all(|batch| *batch == batches[0]), "the same batch until it is on the disk");
    assert_eq!(worker.record("t").reminders.len(), 1, "what was told to come again is kept all the same");
    assert_eq!(worker.tell(due_at("t", 60)).await, Verdict::Success);
    assert!(worker.writer.is_usable());
    assert!(worker.store.record(&task("u")).unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_done_twice_by_a_commit_that_is_tried_again() {
    let worker = Worker::start().await;
    worker.store.fail_commits(3);
    assert_eq!(worker.tell(due_at("t", 1)).await, Verdict::Success);
    worker.advance_to(1).await;
    worker.store.fail_commits(3);
    let batch = worker.claim(10).await;
    worker.store.fail_commits(3);
    worker.settle(&batch, failed()).await;
    assert_eq!(worker.reminder().attempts, 1);
    let meta = worker.meta().await;
    assert_eq!((meta.events.applied, meta.ledger.received, meta.next_claim), (1, 1, batch.number + 1));
    assert_eq!(meta.reminders.counts(), [1, 0, 0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_fails_for_too_long_ends_the_loop() {
    let mut worker = Worker::start().await;
    worker.store.fail_commits(i64::MAX);
    let started = worker.clock.now();
    assert_eq!(worker.tell(due_at("t", 60)).await, Verdict::Retry);
    let ended = worker.running.join_next().await.unwrap().unwrap();
    assert!(matches!(ended, Err(StoreError::Unavailable(_))), "{ended:?}");
    let after = worker.clock.now().since(started);
    assert!(after >= STUCK_MAX && after < STUCK_MAX + Duration::from_secs(1), "{after:?}");
    assert_eq!(worker.tell(due_at("t", 60)).await, Verdict::Retry);
    assert_eq!(worker.writer.claim(1).await.unwrap_err(), NotCommitted.into());
}

#[tokio::test(start_paused = true)]
async fn a_disk_that_cant_say_what_it_holds_ends_the_loop_at_once() {
    let mut worker = Worker::start().await;
    worker.store.stop_syncing();
    let started = worker.clock.now();
    assert_eq!(worker.tell(due_at("t", 60)).await, Verdict::Retry);
    let ended = worker.running.join_next().await.unwrap().unwrap();
    assert!(matches!(ended, Err(StoreError::Unsynced(_))), "{ended:?}");
    assert_eq!(worker.clock.now(), started);
}

#[tokio::test(start_paused = true)]
async fn a_store_that_was_taken_away_acknowledges_not_even_what_it_knows_and_its_loop_waits_to_be_ended() {
    let mut worker = Worker::start().await;
    assert_eq!(worker.tell(due_at("t", 60)).await, Verdict::Success);
    worker.store.take_away();
    assert_eq!(worker.tell(due_at("t", 60)).await, Verdict::Retry, "a repeat");
    worker.advance(STUCK_MAX * 2).await;
    assert!(worker.running.try_join_next().is_none(), "what it holds is being saved");
    assert!(!worker.writer.is_usable());
    assert_eq!(worker.tell(due_at("u", 60)).await, Verdict::Retry);
}

#[tokio::test(start_paused = true)]
async fn a_group_that_cant_be_read_is_refused_whole_and_nothing_of_it_is_done() {
    let worker = Worker::start().await;
    worker.store.fail_reads(true);
    assert_eq!(worker.tell_all(vec![due_at("a", 60), due_at("b", 60)]).await, [Verdict::Retry; 2]);
    worker.store.fail_reads(false);
    assert_eq!(worker.meta().await.ledger.received, 0);
    assert_eq!(worker.tell_all(vec![due_at("a", 60), due_at("b", 60)]).await, [Verdict::Success; 2]);
}

#[tokio::test(start_paused = true)]
async fn what_is_committed_is_answered_though_the_store_cant_say_what_is_next() {
    let worker = Worker::start().await;
    worker.tell_all(vec![due_at("a", 1), due_at("b", 2)]).await;
    worker.advance_to(1).await;
    assert_eq!(worker.next_wake().await, minute(1));
    // The claim itself reads once.
    worker.store.fail_pending_after(1);
    let batch = worker.claim(1).await;
    assert_eq!(*worker.writer.next_wake().borrow(), Timestamp::MIN, "it is time to look");
    worker.settle(&batch, Attempt::Confirmed).await;
    assert_eq!(worker.next_wake().await, minute(2));
}

/// A worker under `firing`, and three reminders of one user that are due and go out in one digest.
async fn with_a_digest_due(firing: Firing) -> Worker {
    let worker = Worker::start_with(Settings { firing, ..settings() }).await;
    worker.wish("ann", quiet()).await;
    worker.tell_all(["a", "b", "c"].map(|id| owned(id, "ann", 15 * 60)).into()).await;
    worker.advance_to(22 * 60).await;
    worker.advance(Duration::from_secs(2)).await;
    worker
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_finds_damage_behind_what_it_has_found_leaves_that_to_the_next() {
    // The claim reads once up to its limit, or twice to the end where a rate holds all back; then for the digest.
    for (firing, limit, reads) in
        [(Firing::default(), 1, 1), (Firing { rate: 1, ..Firing::default() }, 10, 2)]
    {
        let worker = with_a_digest_due(firing).await;
        worker.store.damage_pending_after(reads);
        let unread = worker.writer.claim(limit).await.unwrap_err();
        assert!(matches!(unread, NotTaken::Unread(_)), "{unread:?}");
        worker.advance(Duration::from_secs(1)).await;
        let batch = worker.claim(10).await;
        let members: Vec<usize> = batch.digests.iter().map(|digest| digest.members.len()).collect();
        assert_eq!((batch.reminders.len(), members), (0, vec![3]), "{firing:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_a_claim_that_found_damage_had_found_is_not_on_its_way_for_the_others_of_its_group() {
    let worker = with_a_digest_due(Firing::default()).await;
    worker.store.damage_pending_after(1);
    let at = worker.clock.now();
    let completed = ["a", "b", "c"].map(|id| of(id, event(Kind::Completed, at)));
    let (unread, verdicts) = tokio::join!(worker.writer.claim(1), worker.tell_all(completed.into()));
    assert!(matches!(unread, Err(NotTaken::Unread(_))), "{unread:?}");
    assert_eq!(verdicts, [Verdict::Success; 3]);
    assert!(worker.claims_nothing().await);
    let states = ["a", "b", "c"].map(|id| worker.record(id).reminders[0].state);
    assert_eq!(states, [State::Cancelled; 3]);
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_stops_waits_for_a_failing_store_as_long_as_a_delivery_does_and_ends_well() {
    let clock = Arc::new(TokioClock::starting_at(minute(-60)));
    let Opened { mut worker, ready } = open(&TestStore::new(), &clock, settings());
    let stopping = tokio_util::sync::CancellationToken::new();
    worker.running.spawn(ready.stopping_with(stopping.clone()).run(|| ()));
    stopping.cancel();
    assert_eq!(worker.tell(due_at("t", 60)).await, Verdict::Success, "a store that commits is waited for");
    worker.store.fail_commits(i64::MAX);
    let started = worker.clock.now();
    assert_eq!(worker.tell(due_at("u", 60)).await, Verdict::Retry);
    let ended = worker.running.join_next().await.unwrap().unwrap();
    assert!(ended.is_ok(), "{ended:?}");
    let after = worker.clock.now().since(started);
    assert!(after >= RETRY_AFTER && after < RETRY_AFTER + Duration::from_millis(500), "{after:?}");
    assert_eq!(worker.writer.claim(1).await.unwrap_err(), NotCommitted.into());
}
