//! One pass at a time, on the real commit loop.

use crate::dapr::{PublishOutcome, reminder_due};
use crate::domain::decide::REASON_UNKNOWN;
use crate::domain::tests::preferences::wished;
use crate::domain::tests::{event, minute, task, title, updated};
use crate::domain::{Kind, Quiet, QuietMode, State, Statement, Wish};
use crate::scheduler::tests::broker::{TIMEOUT, ambiguous, hung, refused, unreachable};
use crate::scheduler::tests::{BACKOFF, MILLI, PACE, SECOND, TOPIC, Worker, after, due_in, of};
use crate::store::Store as _;
use crate::writer::{Content, Delivery};

use super::*;

/// A worker whose scheduler does not run, one second after the instant at which `ids` are due.
async fn worker_with_due(ids: &[&str]) -> Worker {
    let worker = Worker::still().await;
    worker.tell_all(ids.iter().map(|id| due_in(id, 1_000)).collect()).await;
    worker.sleep_until(after(2_000)).await;
    worker
}

async fn claim(worker: &Worker) -> ClaimedBatch {
    worker.writer.claim(PACE.batch_max).await.unwrap().expect("nothing is due")
}

async fn pass(worker: &Worker) -> Sent {
    worker.tick().send(claim(worker).await).await
}

/// The state of a task's only reminder, how often it failed, and whether it may be out.
fn standing(worker: &Worker, id: &str) -> (State, u32, bool) {
    let reminder = worker.reminder(id);
    (reminder.state, reminder.attempts, reminder.maybe_out)
}

async fn sleep_until_next_attempt(worker: &Worker, id: &str) {
    worker.sleep_until(worker.reminder(id).wakes_at()).await;
}

#[tokio::test(start_paused = true)]
async fn a_reminder_goes_out_to_the_topic_keyed_by_its_task_as_the_envelope_that_record_and_reminder_make() {
    let worker = worker_with_due(&["a", "b"]).await;
    let batch = claim(&worker).await;
    let policy = batch.policy.clone();
    let rules = Rules { in_force: &policy, user: None };
    assert_eq!(worker.tick().send(batch).await, Sent::Some);
    let [request] = &worker.broker.requests()[..] else { panic!("one request") };
    assert_eq!(request.topic, TOPIC);
    assert_eq!(request.batch.len(), 2);
    for outgoing in &request.batch {
        let (id, record) = (task(&outgoing.key), worker.record(&outgoing.key));
        assert_eq!(outgoing.event, reminder_due(&id, &record.task, &record.reminders[0], &rules));
    }
    assert_eq!(standing(&worker, "a"), (State::Published, 0, false));
}

#[tokio::test(start_paused = true)]
async fn a_batch_of_which_a_part_failed_is_settled_entry_by_entry() {
    let worker = worker_with_due(&["out", "refused", "unknown", "nameless"]).await;
    worker.broker.answers(|request| {
        request.each(|key| match key {
            "refused" => refused(),
            "unknown" => ambiguous(),
            _ => PublishOutcome::Published,
        })
    });
    assert_eq!(pass(&worker).await, Sent::Some);
    assert_eq!(standing(&worker, "out"), (State::Published, 0, false));
    assert_eq!(standing(&worker, "refused"), (State::Pending, 1, false));
    assert_eq!(standing(&worker, "unknown"), (State::Pending, 1, true));
    assert_eq!(worker.reminder("out").settled_at, Some(after(2_000)));
    assert_eq!(worker.reminder("refused").reason.as_deref(), Some("the sidecar answered 400: as told"));
    assert_eq!(worker.store.claims().unwrap(), []);
}

#[tokio::test(start_paused = true)]
async fn an_entry_without_an_outcome_is_ambiguous() {
    let worker = worker_with_due(&["a", "b", "c"]).await;
    worker.broker.answers(|request| request.all(&PublishOutcome::Published).cut_to(2));
    pass(&worker).await;
    let mut found = ["a", "b", "c"].map(|id| standing(&worker, id));
    found.sort_by_key(|(_, attempts, _)| *attempts);
    let out = (State::Published, 0, false);
    assert_eq!(found, [out, out, (State::Pending, 1, true)]);
}

#[tokio::test(start_paused = true)]
async fn a_pass_says_whether_the_broker_was_reached_and_a_lone_repeat_that_fails_does_not() {
    let worker = worker_with_due(&["a", "b"]).await;
    worker.broker.answers_all(unreachable());
    assert!(matches!(pass(&worker).await, Sent::None(_)));
    worker.sleep(BACKOFF.initial).await;
    assert!(matches!(pass(&worker).await, Sent::None(_)), "two that had failed before");
    worker
        .broker
        .answers(|r| r.each(|key| if key == "a" { unreachable() } else { PublishOutcome::Published }));
    worker.sleep(2 * BACKOFF.initial).await;
    assert_eq!(pass(&worker).await, Sent::Some);
    sleep_until_next_attempt(&worker, "a").await;
    assert_eq!(pass(&worker).await, Sent::Itself);
    worker.tell(due_in("fresh", 1_000)).await;
    worker.broker.answers_all(unreachable());
    assert!(matches!(pass(&worker).await, Sent::None(_)), "one alone that had not failed before");
    worker.broker.answers_all(PublishOutcome::Published);
    sleep_until_next_attempt(&worker, "a").await;
    assert_eq!(pass(&worker).await, Sent::Some);
}

#[tokio::test(start_paused = true)]
async fn a_publish_that_hangs_is_repeated_byte_for_byte() {
    let worker = worker_with_due(&["t", "u"]).await;
    worker.broker.answers(hung);
    assert!(matches!(pass(&worker).await, Sent::None(_)));
    assert_eq!(worker.clock.now(), after(2_000).plus(TIMEOUT));
    assert_eq!(standing(&worker, "t"), (State::Pending, 1, true));
    worker.broker.answers_all(PublishOutcome::Published);
    // What happens to another task changes nothing, nor does the time that passes.
    worker.tell(of("u", updated(after(2_000), &[title("another")]))).await;
    worker.sleep(3_600 * SECOND).await;
    pass(&worker).await;
    let sent = |key: &str| -> Vec<Bytes> {
        let entries = worker.broker.entries().into_iter();
        entries.filter(|(_, outgoing)| outgoing.key == key).map(|(_, outgoing)| outgoing.event).collect()
    };
    let [first, second] = &sent("t")[..] else { panic!("two attempts") };
    assert_eq!(first, second);
    let [first, second] = &sent("u")[..] else { panic!("two attempts") };
    assert_ne!(first, second, "a task that has changed is told as it is now");
    assert_eq!(standing(&worker, "t"), (State::Published, 1, false));
}

/// What becomes of a reminder whose task is completed while its attempt is under way, which ends in `outcome`.
async fn completed_in_flight(outcome: PublishOutcome) -> Worker {
    let worker = worker_with_due(&["t"]).await;
    worker.broker.answers(move |request| request.all(&outcome).after(SECOND));
    let completion = async {
        worker.sleep(SECOND / 2).await;
        assert_eq!(worker.broker.requests().len(), 1, "it is in flight");
        worker.tell(event(Kind::Completed, after(2_500))).await;
        assert_eq!(worker.reminder("t").state, State::Pending, "until the result decides");
    };
    tokio::join!(pass(&worker), completion);
    worker
}

#[tokio::test(start_paused = true)]
async fn a_completion_during_an_attempt_is_answered_by_its_result_and_nothing_is_sent_again() {
    for (outcome, state, maybe_out, reason) in [
        (PublishOutcome::Published, State::Published, false, None),
        (refused(), State::Cancelled, false, None),
        (ambiguous(), State::Published, true, Some(REASON_UNKNOWN)),
    ] {
        let mut worker = completed_in_flight(outcome.clone()).await;
        let reminder = worker.reminder("t");
        assert_eq!((reminder.state, reminder.maybe_out), (state, maybe_out), "{outcome:?}");
        assert_eq!(reminder.reason.as_deref(), reason, "{outcome:?}");
        worker.run(PACE);
        worker.sleep_until(minute(60)).await;
        assert_eq!(worker.broker.requests().len(), 1, "{outcome:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_settlement_that_the_store_cannot_commit_is_tried_again_and_nothing_is_sent_again_meanwhile() {
    let mut worker = Worker::still().await;
    worker.tell(due_in("t", 1_000)).await;
    worker.broker.answers(|request| request.all(&PublishOutcome::Published).after(SECOND));
    worker.run(PACE);
    worker.sleep_until(after(1_500)).await;
    worker.store.fail_reads(7);
    worker.sleep_until(after(2_500)).await;
    assert!(worker.store.reads_to_fail() > 0, "it fails still");
    assert_eq!(worker.store.claims().unwrap().len(), 1);
    worker.sleep_until(minute(1)).await;
    assert_eq!(standing(&worker, "t"), (State::Published, 0, false));
    assert_eq!(worker.store.claims().unwrap(), []);
    assert_eq!(worker.broker.requests().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn lateness_is_from_the_planned_instant_until_the_broker_had_it() {
    let worker = worker_with_due(&["t"]).await;
    worker.broker.answers(|request| request.all(&PublishOutcome::Published).after(250 * MILLI));
    pass(&worker).await;
    assert_eq!(worker.reminder("t").lateness(), Some(Duration::from_millis(1_250)));
}

#[tokio::test(start_paused = true)]
async fn a_digest_is_one_event_of_its_user_and_a_repeat_has_the_same_bytes() {
    let worker = Worker::still().await;
    let quiet = Quiet::new("08:00".parse().unwrap(), "09:30".parse().unwrap(), QuietMode::Defer).unwrap();
    let change = wished(minute(0), &[Wish::Quiet(Some(quiet))]);
    let content = Content::Preferences(Box::new(change), Bytes::new());
    worker.writer.deliver(vec![Delivery { at: minute(0), topic: TOPIC.into(), content }]).await;
    let owned = |id: &str| {
        let mut event = due_in(id, 1_000);
        event.statements.insert(0, Statement::User(Some("u".into())));
        event
    };
    worker.tell_all(["a", "b"].map(owned).into()).await;
    worker.sleep_until(minute(31)).await;
    worker.broker.answers(|request| request.each(|_| ambiguous()));
    assert!(matches!(pass(&worker).await, Sent::None(_)));
    assert_eq!(standing(&worker, "a"), (State::Pending, 1, true));
    worker.broker.answers(|request| request.each(|_| PublishOutcome::Published));
    sleep_until_next_attempt(&worker, "a").await;
    assert_eq!(pass(&worker).await, Sent::Some);
    let [first, again] = &worker.broker.requests()[..] else { panic!("two requests") };
    assert_eq!(first.batch, again.batch, "byte for byte");
    let [outgoing] = &first.batch[..] else { panic!("one event") };
    assert_eq!(outgoing.key, "u");
    for id in ["a", "b"] {
        assert_eq!(standing(&worker, id), (State::Published, 1, false));
    }
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_outlives_the_commit_loop_ends_and_is_left_to_the_next_start() {
    let mut worker = worker_with_due(&["t"]).await;
    let batch = claim(&worker).await;
    worker.commits.shutdown().await;
    let sent = tokio::time::timeout(60 * SECOND, worker.tick().send(batch)).await;
    assert_eq!(sent, Ok(Sent::Some));
    assert_eq!(worker.store.claims().unwrap().len(), 1, "the next start takes it back");
}
