//! What the rates hold back, and whose turn it is.

use std::collections::BTreeSet;

use super::super::queue::LINE_MAX;
use super::*;
use crate::domain::{CatchUp, Priority};

fn paced(firing: Firing) -> Settings {
    Settings { firing, ..settings() }
}

fn user(id: &str) -> Statement {
    Statement::User(Some(id.into()))
}

/// A task of `user` that is due `millis` after minute 1.
fn due_in(id: &str, millis: i64, priority: Priority, owner: &str) -> Event {
    let due_at = Timestamp::from_millis(minute(1).millis() + millis);
    let priority = Statement::Priority(Some(priority));
    of(id, created(T0, &[due(due_at), offsets(&[0]), priority, user(owner)]))
}

fn named(claimed: &[Claimed]) -> Vec<&str> {
    claimed.iter().map(|claimed| claimed.task_id.as_str()).collect()
}

/// Claims what may go, waiting from one token to the next until nothing is left; the instants in milliseconds from now.
async fn drain(worker: &Worker) -> Vec<(u64, String)> {
    let began = worker.clock.now();
    let mut out = Vec::new();
    loop {
        for claimed in worker.claim_all().await {
            let at = u64::try_from(worker.clock.now().since(began).as_millis()).unwrap();
            out.push((at, claimed.task_id.to_string()));
        }
        let next = worker.next_wake().await;
        if next == Timestamp::MAX {
            return out;
        }
        assert!(next > worker.clock.now(), "a claim that finds nothing must not be called for again at once");
        worker.advance(next.since(worker.clock.now())).await;
    }
}

#[tokio::test(start_paused = true)]
async fn without_a_rate_what_is_due_goes_in_time_order_in_full_batches_and_each_record_is_read_once() {
    for firing in [Firing::default(), Firing { catch_up_rate: 1, ..Firing::default() }] {
        let worker = Worker::start_with(paced(firing)).await;
        let priority =
            |n: i64| [Priority::High, Priority::Low, Priority::Medium][usize::try_from(n % 3).unwrap()];
        let millis = |n: i64| n * 7_919 % 100 * 500;
        worker
            .tell_all((0..100).map(|n| due_in(&n.to_string(), millis(n), priority(n), "ann")).collect())
            .await;
        worker.advance_to(2).await;
        let expected: Vec<TaskId> =
            worker.store.pending(None, 1_000).unwrap().into_iter().map(|entry| entry.task).collect();
        worker.store.reads();
        let mut claimed = Vec::new();
        for size in [30, 30, 30, 10] {
            let batch = worker.claim(30).await;
            assert_eq!(batch.reminders.len(), size, "{firing:?}");
            claimed.extend(batch.reminders.into_iter().map(|claimed| claimed.task_id));
        }
        assert_eq!(claimed, expected, "{firing:?}");
        assert_eq!(worker.store.reads(), 100, "{firing:?}");
        assert!(worker.claims_nothing().await);
    }
}

#[tokio::test(start_paused = true)]
async fn under_a_rate_the_more_pressing_goes_first_and_each_within_a_token() {
    let worker = Worker::start_with(paced(Firing { rate: 10, ..Firing::default() })).await;
    let tasks = [
        ("low", 0, Priority::Low),
        ("medium", 1, Priority::Medium),
        ("high-late", 3, Priority::High),
        ("high", 2, Priority::High),
        ("medium-late", 4, Priority::Medium),
    ];
    worker.tell_all(tasks.map(|(id, at, priority)| due_in(id, at, priority, "ann")).into()).await;
    worker.advance_to(1).await;
    worker.advance(Duration::from_millis(10)).await;
    let out = drain(&worker).await;
    let expected = [(0, "high"), (100, "high-late"), (200, "medium"), (300, "medium-late"), (400, "low")];
    assert_eq!(out, expected.map(|(at, id)| (at, id.to_owned())));
}

#[tokio::test(start_paused = true)]
async fn a_higher_rate_goes_in_batches_of_a_tenth_of_a_second_and_never_above_it() {
    let worker = Worker::start_with(paced(Firing { rate: 200, ..Firing::default() })).await;
    worker.tell_all((0..100).map(|n| due_in(&n.to_string(), 0, Priority::Low, "ann")).collect()).await;
    worker.advance_to(1).await;
    let out = drain(&worker).await;
    assert_eq!(out.len(), 100);
    for (n, (at, _)) in out.iter().enumerate() {
        assert_eq!(*at, u64::try_from(n / 20).unwrap() * 100, "{n}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_users_flood_waits_for_its_own_tokens_and_holds_up_nobody() {
    let worker = Worker::start_with(paced(Firing { user_rate: 6, ..Firing::default() })).await;
    let mut events: Vec<Event> =
        (0..20).map(|n| due_in(&format!("flood-{n:02}"), n, Priority::High, "ann")).collect();
    events.extend((0..5).map(|n| due_in(&format!("other-{n}"), 50, Priority::Low, &format!("user-{n}"))));
    worker.tell_all(events).await;
    worker.tell(of("nobody", created(T0, &[due(minute(1)), offsets(&[0])]))).await;
    worker.advance_to(1).await;
    worker.advance(Duration::from_millis(100)).await;
    let out = drain(&worker).await;
    let at_once: BTreeSet<&str> = out.iter().filter(|(at, _)| *at == 0).map(|(_, id)| id.as_str()).collect();
    let floods = at_once.iter().filter(|id| id.starts_with("flood")).count();
    assert_eq!((floods, at_once.len()), (6, 12), "{at_once:?}");
    let later: Vec<u64> = out.iter().map(|(at, _)| *at).filter(|at| *at > 0).collect();
    assert_eq!(later, (1..=14).map(|n| n * 10_000).collect::<Vec<_>>(), "one every ten seconds");
}

#[tokio::test(start_paused = true)]
async fn a_retry_takes_no_second_token_of_its_user() {
    let worker = Worker::start_with(paced(Firing { user_rate: 1, ..Firing::default() })).await;
    worker.tell_all(vec![due_in("a", 0, Priority::Low, "ann"), due_in("b", 1, Priority::Low, "ann")]).await;
    worker.advance_to(1).await;
    let first = worker.claim(10).await;
    worker.settle(&first, failed()).await;
    worker.advance(settings().backoff.initial).await;
    assert_eq!(named(&worker.claim_all().await), ["a"], "b waits for its user's token");
}

#[tokio::test(start_paused = true)]
async fn missed_reminders_are_paced_the_pressing_first_and_fresh_ones_do_not_wait_for_them() {
    let firing = Firing { catch_up: CatchUp::Fire, catch_up_rate: 10, ..Firing::default() };
    let worker = Worker::start_with(paced(firing)).await;
    let mut events: Vec<Event> =
        (0..30).map(|n| due_in(&format!("missed-{n:02}"), n, Priority::Low, "ann")).collect();
    events.push(due_in("pressing", 900, Priority::High, "ann"));
    events.push(due_in("fresh", 10 * 60_000 + 150, Priority::Low, "ann"));
    worker.tell_all(events).await;
    worker.advance_to(11).await;
    let out = drain(&worker).await;
    let ids: Vec<&str> = out.iter().map(|(_, id)| id.as_str()).collect();
    assert_eq!(ids[..4], ["pressing", "missed-00", "fresh", "missed-01"]);
    assert_eq!((out[1].0, out[2].0, out[3].0, out.last().unwrap().0), (100, 150, 200, 3_000));
}

#[tokio::test(start_paused = true)]
async fn all_that_is_due_is_known_before_the_first_is_chosen() {
    let worker = Worker::start_with(paced(Firing { rate: 1, ..Firing::default() })).await;
    let many = i64::try_from(STEP_MAX + 10).unwrap();
    worker.tell_all((0..many).map(|n| due_in(&n.to_string(), n, Priority::Low, "ann")).collect()).await;
    worker.tell(due_in("pressing", many, Priority::High, "ann")).await;
    worker.advance_to(2).await;
    assert!(worker.claims_nothing().await, "the first look ends at its bound");
    assert!(worker.next_wake().await <= worker.clock.now(), "and is called for again");
    assert_eq!(named(&worker.claim(10).await.reminders), ["pressing"]);
    assert!(worker.claims_nothing().await);
    assert_eq!(worker.next_wake().await, minute(2).plus(Duration::from_secs(1)));
}

#[tokio::test(start_paused = true)]
async fn what_leaves_or_moves_while_it_is_held_back_takes_no_token() {
    let worker = Worker::start_with(paced(Firing { rate: 1, ..Firing::default() })).await;
    let ids = ["a", "b", "c", "d"];
    worker.tell_all(ids.iter().zip(0..).map(|(id, n)| due_in(id, n, Priority::Low, "ann")).collect()).await;
    worker.advance_to(1).await;
    worker.advance(Duration::from_millis(10)).await;
    assert_eq!(named(&worker.claim_all().await), ["a"]);
    worker.tell(of("b", event(Kind::Completed, minute(1)))).await;
    worker.tell(of("c", updated(minute(1), &[due(minute(9))]))).await;
    assert_eq!(drain(&worker).await, [(1_000, "d".to_owned()), (479_990, "c".to_owned()),]);
    assert_eq!(worker.record("b").reminders[0].state, State::Cancelled);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_is_overdue_when_it_comes_takes_its_place_among_those_held_back() {
    let worker = Worker::start_with(paced(Firing { rate: 1, ..Firing::default() })).await;
    worker.tell_all((0..5).map(|n| due_in(&n.to_string(), n, Priority::Low, "ann")).collect()).await;
    worker.advance_to(1).await;
    worker.advance(Duration::from_millis(500)).await;
    assert_eq!(named(&worker.claim_all().await), ["0"]);
    worker.tell(due_in("late", 2, Priority::High, "ann")).await;
    worker.advance(Duration::from_secs(1)).await;
    assert_eq!(named(&worker.claim_all().await), ["late"]);
    assert_eq!(drain(&worker).await.len(), 4);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_fails_or_a_crash_loses_nothing_of_what_is_held_back() {
    let worker = Worker::start_with(paced(Firing { rate: 2, ..Firing::default() })).await;
    worker.tell_all((0..9).map(|n| due_in(&n.to_string(), n, Priority::Low, "ann")).collect()).await;
    worker.advance_to(1).await;
    worker.advance(Duration::from_millis(500)).await;
    assert_eq!(named(&worker.claim_all().await), ["0"]);
    worker.advance(Duration::from_secs(1)).await;
    worker.store.fail_reads(true);
    assert!(worker.writer.claim(10).await.is_err());
    worker.store.fail_reads(false);
    assert_eq!(worker.claim_all().await.len(), 1);
    let worker = worker.restart_with(paced(Firing { rate: 2, ..Firing::default() })).await;
    assert_eq!(drain(&worker).await.len(), 9, "the two in flight are in doubt");
}

#[tokio::test(start_paused = true)]
async fn what_the_rates_hold_back_is_overdue_from_when_they_let_it_go() {
    let worker = Worker::start_with(paced(Firing { rate: 1, ..Firing::default() })).await;
    worker.tell_all((0..200).map(|n| due_in(&n.to_string(), n, Priority::Low, "ann")).collect()).await;
    worker.advance_to(1).await;
    worker.advance(Duration::from_secs(1)).await;
    worker.claim_all().await;
    let look = async |worker: &Worker| {
        let now = worker.clock.now();
        worker.writer.read(move |view| (view.overdue(now).unwrap(), view.held_back())).await.unwrap()
    };
    let (overdue, held) = look(&worker).await;
    let held = held.expect("some are held back");
    assert_eq!((held.count, held.next_at), (199, minute(1).plus(Duration::from_secs(2))));
    assert_eq!(overdue.oldest_untried, None, "the one in flight has just been let go");
    worker.advance(Duration::from_millis(500)).await;
    let overdue = look(&worker).await.0;
    assert_eq!(overdue.oldest_untried, Some(minute(1).plus(Duration::from_secs(1))), "which is when it was");
    let batch = worker.store.claims().unwrap();
    worker.writer.settle(batch[0].number, vec![]).await.unwrap();
    assert_eq!(look(&worker).await.0.oldest_untried, None, "none that is not held back");
    worker.advance(Duration::from_secs(90)).await;
    let overdue = look(&worker).await.0;
    assert_eq!(overdue.oldest_untried, Some(held.next_at), "nobody has come for them");
    let first = minute(1).plus(Duration::from_millis(1));
    assert_eq!(overdue.oldest, Some(first), "which is how late they are");
}

#[tokio::test(start_paused = true)]
async fn any_mixture_goes_out_once_in_time_and_never_above_its_rates() {
    let firing = Firing { catch_up: CatchUp::Fire, catch_up_rate: 20, rate: 50, user_rate: 30 };
    let worker = Worker::start_with(paced(firing)).await;
    let priority =
        |n: i64| [Priority::High, Priority::Low, Priority::Medium][usize::try_from(n % 3).unwrap()];
    let owner = |n: i64| format!("user-{}", n % 7);
    let events =
        (0..400).map(|n| due_in(&n.to_string(), n * 7_919 % 400 * 1_000, priority(n), &owner(n))).collect();
    worker.tell_all(events).await;
    worker.advance_to(4).await;
    let out = drain(&worker).await;
    let ids: BTreeSet<&str> = out.iter().map(|(_, id)| id.as_str()).collect();
    assert_eq!((out.len(), ids.len()), (400, 400));
    for (at, id) in &out {
        let planned = id.parse::<u64>().unwrap() * 7_919 % 400 * 1_000;
        assert!(*at + 180_000 >= planned, "{id} went at {at}");
    }
    let most = |span: u64, of: &dyn Fn(&str) -> bool| {
        let at: Vec<u64> = out.iter().filter(|(_, id)| of(id)).map(|(at, _)| *at).collect();
        at.iter().map(|from| at.iter().filter(|at| (*from..from + span).contains(at)).count()).max().unwrap()
    };
    assert!(most(1_000, &|_| true) <= 50 + 5, "{}", most(1_000, &|_| true));
    let of_one = |id: &str| id.parse::<i64>().unwrap() % 7 == 0;
    assert!(most(60_000, &of_one) <= 30 + 30, "{}", most(60_000, &of_one));
}

#[tokio::test(start_paused = true)]
async fn what_finds_no_room_in_its_users_line_goes_out_all_the_same_and_others_before_it() {
    const MANY: usize = 2 * LINE_MAX + 100;
    let worker = Worker::start_with(paced(Firing { user_rate: 600, ..Firing::default() })).await;
    let flood = |n: usize| due_in(&format!("flood-{n}"), 0, Priority::High, "ann");
    worker.tell_all((0..MANY).map(flood).collect()).await;
    worker.tell(due_in("other", 1, Priority::Low, "bob")).await;
    worker.advance_to(2).await;
    let out = drain(&worker).await;
    let ids: BTreeSet<&str> = out.iter().map(|(_, id)| id.as_str()).collect();
    assert_eq!((out.len(), ids.len()), (MANY + 1, MANY + 1));
    let (at, _) = out.iter().find(|(_, id)| id == "other").unwrap();
    assert_eq!(*at, 0, "it does not wait for the flood");
    let last = u64::try_from(MANY - 600).unwrap() * 100;
    assert_eq!(out.last().unwrap().0, last, "no token of the flood's is lost");
}
