//! The repeat of what may have gone out, where its user's wishes have changed since: the same events, byte for byte.

use std::collections::BTreeMap;

use super::preferences::{owned, quiet};
use super::*;
use crate::domain::{Digest, Mute, Priority, Status, Wish};
use crate::tick::{event_of, event_of_digest};

const DAY: i64 = 24 * 60;
/// 23:00, where minute 0 is 09:00.
const NIGHT: i64 = 14 * 60;

fn listed(at: &str) -> Wish {
    Wish::Digest(Some(Digest { at: at.parse().unwrap(), below: Priority::High }))
}

/// What goes out, by its id.
fn events(batch: &ClaimedBatch) -> BTreeMap<ReminderId, String> {
    let alone = batch.reminders.iter().map(|claimed| (claimed.id, event_of(claimed, &batch.policy)));
    let together = batch.digests.iter().map(|digest| (digest.id, event_of_digest(digest, &batch.policy)));
    alone.chain(together).map(|(id, event)| (id, String::from_utf8(event).unwrap())).collect()
}

/// When the wish changes, and what is heard of the attempt.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Fault {
    NoAnswerThenChanged,
    CrashThenChanged,
    ChangedThenNoAnswer,
    ChangedThenCrash,
    ChangedAndNotPlannedThenCrash,
}

impl Fault {
    const ALL: [Self; 5] = [
        Self::NoAnswerThenChanged,
        Self::CrashThenChanged,
        Self::ChangedThenNoAnswer,
        Self::ChangedThenCrash,
        Self::ChangedAndNotPlannedThenCrash,
    ];

    async fn strike(self, worker: Worker, batch: &ClaimedBatch, change: Wish) -> Worker {
        let change_it = async |worker: &Worker| {
            worker.wish("u", change.clone()).await;
            if self != Self::ChangedAndNotPlannedThenCrash {
                worker.planned_anew().await;
            }
        };
        match self {
            Self::NoAnswerThenChanged => {
                worker.settle(batch, ambiguous()).await;
                change_it(&worker).await;
                worker
            }
            Self::CrashThenChanged => {
                let worker = worker.restart().await;
                change_it(&worker).await;
                worker
            }
            Self::ChangedThenNoAnswer => {
                change_it(&worker).await;
                worker.settle(batch, ambiguous()).await;
                worker
            }
            Self::ChangedThenCrash | Self::ChangedAndNotPlannedThenCrash => {
                change_it(&worker).await;
                worker.restart().await
            }
        }
    }
}

/// Tasks of `u` by name and minute, claimed for the first time.
async fn tried(wish: Option<Wish>, tasks: &[(&str, i64)]) -> (Worker, ClaimedBatch) {
    let worker = Worker::start().await;
    if let Some(wish) = wish {
        worker.wish("u", wish).await;
    }
    worker.tell_all(tasks.iter().map(|(id, minutes)| owned(id, "u", *minutes)).collect()).await;
    worker.advance_to_wake().await;
    let batch = worker.claim(10).await;
    (worker, batch)
}

#[tokio::test(start_paused = true)]
async fn whatever_becomes_of_its_users_wishes_a_repeat_is_the_same_bytes() {
    let nobody = &[("a", NIGHT)][..];
    let night = &[("a", NIGHT), ("b", NIGHT + 5)][..];
    let day = &[("a", 2 * DAY), ("b", 2 * DAY + 5), ("c", 2 * DAY + 9)][..];
    let berlin = Wish::Zone(Some("Europe/Berlin".parse().unwrap()));
    for (says, wish, tasks, change) in [
        ("quiet hours that begin", None, nobody, quiet()),
        ("a digest that begins", None, nobody, listed("08:00")),
        ("quiet hours that one waited for alone", Some(quiet()), nobody, Wish::Quiet(None)),
        ("quiet hours that two waited for", Some(quiet()), night, Wish::Quiet(None)),
        ("a digest instead of quiet hours", Some(quiet()), night, listed("08:00")),
        ("a digest that ends", Some(listed("08:00")), day, Wish::Digest(None)),
        ("a digest at another time", Some(listed("08:00")), day, listed("07:30")),
        ("a digest in another zone", Some(listed("08:00")), day, berlin),
        ("quiet hours beside a digest", Some(listed("23:00")), day, quiet()),
    ] {
        for fault in Fault::ALL {
            let (worker, first) = tried(wish.clone(), tasks).await;
            let worker = fault.strike(worker, &first, change.clone()).await;
            for _ in 0..2 {
                let wake = worker.next_wake().await.max(worker.clock.now());
                assert!(
                    wake.since(worker.clock.now()) <= Duration::from_secs(60),
                    "{says}, {fault:?}: {wake}"
                );
                worker.advance(wake.since(worker.clock.now())).await;
                let again = worker.claim(10).await;
                assert_eq!(events(&again), events(&first), "{says}, {fault:?}");
                worker.settle(&again, ambiguous()).await;
            }
            worker.advance_to_wake().await;
            let last = worker.claim(10).await;
            worker.settle(&last, Attempt::Confirmed).await;
            assert_eq!(worker.next_wake().await, Timestamp::MAX, "{says}, {fault:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_its_user_no_longer_wants_at_all_is_not_repeated() {
    for fault in Fault::ALL {
        let (worker, first) = tried(Some(listed("08:00")), &[("a", 2 * DAY), ("b", 2 * DAY)]).await;
        let worker = fault.strike(worker, &first, Wish::Mute(Some(Mute::Always))).await;
        worker.advance(Duration::from_secs(60)).await;
        assert!(worker.claims_nothing().await, "{fault:?}");
        for id in ["a", "b"] {
            let reminder = worker.record(id).reminders.remove(0);
            assert_eq!(reminder.state, State::Published, "it may have gone out, {fault:?}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_certainly_did_not_go_out_goes_where_its_user_wishes_it_meanwhile() {
    let (worker, first) = tried(None, &[("a", NIGHT)]).await;
    worker.wish("u", quiet()).await;
    worker.planned_anew().await;
    assert_eq!(worker.record("a").reminders[0].fire_at, minute(NIGHT), "while it is under way");
    worker.settle(&first, failed()).await;
    let reminder = worker.record("a").reminders.remove(0);
    assert!(reminder.fire_at > minute(22 * 60), "{}", reminder.fire_at);
    assert_eq!((reminder.moved_from, reminder.next_attempt), (Some(minute(NIGHT)), None));
}

#[tokio::test(start_paused = true)]
async fn what_is_handed_over_after_its_digest_was_tried_goes_alone_to_its_new_user() {
    for in_flight in [false, true] {
        let (worker, first) = tried(Some(listed("08:00")), &[("a", 2 * DAY), ("b", 2 * DAY)]).await;
        if !in_flight {
            worker.settle(&first, ambiguous()).await;
        }
        let hand_over = updated(worker.clock.now(), &[Statement::User(Some("v".into()))]);
        worker.tell(of("a", hand_over)).await;
        if in_flight {
            worker.settle(&first, ambiguous()).await;
        }
        let mut alone = Vec::new();
        let mut together = Vec::new();
        while worker.next_wake().await < Timestamp::MAX {
            worker.advance_to_wake().await;
            let again = worker.claim(10).await;
            alone.extend(again.reminders.iter().map(|c| (c.id, c.task.user().unwrap().to_owned())));
            let members = |digest: &ClaimedDigest| {
                digest.members.iter().map(|m| m.task_id.to_string()).collect::<Vec<_>>()
            };
            together.extend(again.digests.iter().map(|d| (d.id, d.user.clone(), members(d))));
            worker.settle(&again, Attempt::Confirmed).await;
        }
        let a = worker.record("a").reminders.remove(0).id(&task("a"));
        assert_eq!(alone, [(a, "v".to_owned())]);
        assert_eq!(together, [(first.digests[0].id, "u".to_owned(), vec!["b".to_owned()])]);
    }
}

/// When a task ends and is taken up again.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Away {
    WhileItWaits,
    WhileUnderWay,
    /// It ends while the attempt is under way, and is taken up again when that has had no answer.
    AcrossTheAnswer,
}

async fn end(worker: &Worker, id: &str) {
    worker.tell(of(id, event(Kind::Completed, worker.clock.now()))).await;
}

async fn take_up_again(worker: &Worker, id: &str) {
    worker.advance(Duration::from_millis(1)).await;
    worker.tell(of(id, updated(worker.clock.now(), &[Statement::Status(Some(Status::Todo))]))).await;
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_before_its_next_attempt_is_repeated_as_it_was() {
    let alone = &[("a", NIGHT)][..];
    let day = &[("a", 2 * DAY), ("b", 2 * DAY + 5), ("c", 2 * DAY + 9)][..];
    for (says, wish, tasks) in [
        ("alone", None, alone),
        ("alone, at the end of quiet hours", Some(quiet()), alone),
        ("in a digest", Some(listed("08:00")), day),
    ] {
        for away in [Away::WhileItWaits, Away::WhileUnderWay, Away::AcrossTheAnswer] {
            let (worker, first) = tried(wish.clone(), tasks).await;
            if away != Away::WhileItWaits {
                end(&worker, "a").await;
            }
            if away == Away::WhileUnderWay {
                take_up_again(&worker, "a").await;
            }
            worker.settle(&first, ambiguous()).await;
            if away == Away::WhileItWaits {
                end(&worker, "a").await;
            }
            if away != Away::WhileUnderWay {
                take_up_again(&worker, "a").await;
            }
            for _ in 0..2 {
                worker.advance_to_wake().await;
                let again = worker.claim(10).await;
                assert_eq!(events(&again), events(&first), "{says}, {away:?}");
                worker.settle(&again, ambiguous()).await;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn what_comes_back_when_its_digest_was_repeated_without_it_goes_out_alone() {
    let (worker, first) =
        tried(Some(listed("08:00")), &[("a", 2 * DAY), ("b", 2 * DAY), ("c", 2 * DAY)]).await;
    worker.settle(&first, ambiguous()).await;
    end(&worker, "a").await;
    worker.advance_to_wake().await;
    let without = worker.claim(10).await;
    assert_eq!((without.digests[0].id, without.digests[0].members.len()), (first.digests[0].id, 2));
    worker.settle(&without, Attempt::Confirmed).await;
    take_up_again(&worker, "a").await;
    let alone = worker.claim(10).await;
    let a = worker.record("a").reminders.remove(0).id(&task("a"));
    assert_eq!(events(&alone).into_keys().collect::<Vec<_>>(), [a], "its digest is known as what was in it");
}
