//! One commit a group, and answers only after it.

use futures_util::future::join_all;

use super::*;

async fn opened() -> Opened {
    let clock = Arc::new(TokioClock::starting_at(T0));
    let opened = open(&TestStore::new(), &clock, settings());
    opened.worker.store.forget_batches();
    opened
}

/// Begins to ask without an answer to wait for: the command is in the queue.
macro_rules! asked {
    ($future:expr) => {{
        let mut future = Box::pin($future);
        assert!(futures_util::poll!(&mut future).is_pending());
        future
    }};
}

#[tokio::test(start_paused = true)]
async fn whatever_waits_is_one_commit_and_then_all_are_answered() {
    let opened = opened().await;
    let writer = opened.worker.writer.clone();
    let mut told = Vec::new();
    for n in 0..50 {
        let event = delivery(due_at(&n.to_string(), 60), T0);
        let writer = writer.clone();
        told.push(asked!(async move { writer.deliver(vec![event]).await }));
    }
    let entry = outbox::entry("t");
    let accepted = asked!(writer.accept(entry, b"{}".to_vec()));
    let claimed = asked!(writer.claim(10));
    let worker = opened.run();
    assert!(join_all(told).await.into_iter().all(|verdicts| verdicts == [Verdict::Success]));
    assert_eq!(accepted.await, Ok(Acceptance::Kept));
    assert!(claimed.await.unwrap().is_none());
    assert_eq!(worker.store.batches().len(), 1);
    assert_eq!(worker.meta().await.events.applied, 50);
}

#[tokio::test(start_paused = true)]
async fn a_group_is_as_large_as_its_bound() {
    for (events, commits) in [(GROUP_EVENTS_MAX, 1), (GROUP_EVENTS_MAX + 1, 2)] {
        let opened = opened().await;
        let writer = opened.worker.writer.clone();
        let mut told = Vec::new();
        for n in 0..events {
            let event = delivery(due_at(&n.to_string(), 60), T0);
            let writer = writer.clone();
            told.push(asked!(async move { writer.deliver(vec![event]).await }));
        }
        let worker = opened.run();
        join_all(told).await;
        assert_eq!(worker.store.batches().len(), commits, "{events}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_call_beyond_the_bound_is_committed_in_parts_and_answered_in_order() {
    let worker = Worker::start().await;
    worker.store.forget_batches();
    let deliveries = (0..2 * GROUP_EVENTS_MAX + 1)
        .map(|n| if n % 100 == 7 { refused(T0, "x") } else { delivery(due_at(&n.to_string(), 60), T0) })
        .collect();
    let verdicts = worker.writer.deliver(deliveries).await;
    assert_eq!(verdicts.len(), 2 * GROUP_EVENTS_MAX + 1);
    for (n, verdict) in verdicts.into_iter().enumerate() {
        let expected = if n % 100 == 7 { Verdict::Drop } else { Verdict::Success };
        assert_eq!(verdict, expected, "{n}");
    }
    assert_eq!(worker.store.batches().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn duplicates_and_drops_are_answered_only_after_the_sync_of_their_group() {
    let opened = opened().await;
    let writer = opened.worker.writer.clone();
    let new = asked!(writer.deliver(vec![delivery(due_at("t", 60), T0)]));
    let duplicate = asked!(writer.deliver(vec![delivery(due_at("t", 60), T0)]));
    let dropped = asked!(writer.deliver(vec![refused(T0, "x")]));
    let worker = opened.run();
    worker.store.fail_commits(5);
    let answered = |verdict: Vec<Verdict>| (verdict[0], worker.clock.now().since(T0));
    let (new, duplicate, dropped) =
        tokio::join!(async { answered(new.await) }, async { answered(duplicate.await) }, async {
            answered(dropped.await)
        });
    let after = Duration::from_millis(500);
    assert_eq!((new.0, duplicate.0, dropped.0), (Verdict::Success, Verdict::Success, Verdict::Drop));
    assert!(
        new.1 >= after && duplicate.1 >= after && dropped.1 >= after,
        "{new:?} {duplicate:?} {dropped:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_group_that_changes_nothing_needs_no_commit() {
    let worker = Worker::start().await;
    worker.tell(due_at("t", 60)).await;
    worker.store.forget_batches();
    assert_eq!(worker.tell(due_at("t", 60)).await, Verdict::Success);
    assert_eq!(worker.store.batches(), []);
    worker.clock.sleep(Duration::from_secs(3)).await;
    let counted = worker.meta().await.events;
    assert_eq!(worker.store.meta().unwrap().events, counted, "an idle moment writes the counters");
    assert_eq!(worker.store.batches().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_read_sees_only_what_is_durable() {
    let opened = opened().await;
    let writer = opened.worker.writer.clone();
    let seen = |view: &View<'_>| (view.meta.events.applied, view.store.record(&task("t")).unwrap().is_some());
    let before = asked!(writer.read(seen));
    let told = asked!(writer.deliver(vec![delivery(due_at("t", 60), T0)]));
    let worker = opened.run();
    worker.store.fail_commits(3);
    let (before, told) = tokio::join!(before, told);
    assert_eq!(before, Ok((1, true)), "a read in a group waits for its commit");
    assert_eq!(told, [Verdict::Success]);
    assert!(worker.clock.now() >= T0.plus(Duration::from_millis(300)));
}

#[tokio::test(start_paused = true)]
async fn the_command_of_a_caller_that_went_away_is_carried_out_whole() {
    let opened = opened().await;
    let writer = opened.worker.writer.clone();
    let events = ["a", "b", "c"].map(|id| delivery(due_at(id, 60), T0));
    drop(asked!(writer.deliver(events.into())));
    let worker = opened.run();
    assert_eq!(worker.meta().await.events.applied, 3);
    assert_eq!(worker.tell(due_at("b", 60)).await, Verdict::Success);
    assert_eq!(worker.meta().await.events.duplicate, 1);
}

#[tokio::test(start_paused = true)]
async fn when_its_last_handle_is_gone_the_loop_ends_with_all_carried_out() {
    let opened = opened().await;
    let writer = opened.worker.writer.clone();
    let told = asked!(async move { writer.deliver(vec![delivery(due_at("t", 60), T0)]).await });
    let Worker { mut running, writer, store, .. } = opened.run();
    drop(writer);
    assert_eq!(told.await, [Verdict::Success]);
    assert!(matches!(running.join_next().await, Some(Ok(Ok(())))));
    assert!(store.record(&task("t")).unwrap().is_some());
}
