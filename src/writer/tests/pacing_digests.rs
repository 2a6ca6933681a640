//! What the rates hold back of what wishes moved: it waits like all else, and what goes out together takes one token.

use super::preferences::{owned, quiet};
use super::*;
use crate::domain::digest::DIGEST_MEMBERS_MAX;
use crate::domain::{CatchUp, Digest, Priority, Wish};

const DAY: i64 = 24 * 60;
/// 08:00 of the day after tomorrow, where minute 0 is 09:00.
const EIGHT: i64 = 2 * DAY - 60;

async fn with_digests_of(users: &[&str], firing: Firing) -> Worker {
    let worker = Worker::start_with(Settings { firing, ..settings() }).await;
    let daily = Digest { at: "08:00".parse().unwrap(), below: Priority::High };
    for user in users {
        worker.wish(user, Wish::Digest(Some(daily))).await;
    }
    worker
}

/// `many` tasks of `user` that are listed in the digest of [`EIGHT`].
fn listed(user: &str, many: usize) -> Vec<Event> {
    (0..many).map(|n| owned(&format!("{user}-{n:03}"), user, 2 * DAY)).collect()
}

/// A task that is due at [`EIGHT`] and has no user who wishes anything.
fn alone(id: &str, priority: Priority) -> Event {
    let says = [
        Statement::User(Some("w".into())),
        due(minute(EIGHT)),
        offsets(&[0]),
        Statement::Priority(Some(priority)),
    ];
    of(id, created(T0, &says))
}

/// What goes out, each publish by its task or by its user and how many, and the milliseconds from now.
async fn drain(worker: &Worker) -> Vec<(u64, String)> {
    let began = worker.clock.now();
    let mut out = Vec::new();
    loop {
        while let Some(batch) = worker.writer.claim(10).await.unwrap() {
            let at = u64::try_from(worker.clock.now().since(began).as_millis()).unwrap();
            out.extend(batch.reminders.iter().map(|claimed| (at, claimed.task_id.to_string())));
            out.extend(batch.digests.iter().map(|d| (at, format!("{} of {}", d.members.len(), d.user))));
            worker.settle(&batch, Attempt::Confirmed).await;
        }
        let next = worker.next_wake().await;
        if next == Timestamp::MAX {
            return out;
        }
        worker.advance(next.since(worker.clock.now())).await;
    }
}

async fn to_eight(worker: &Worker) {
    worker.advance_to(EIGHT).await;
    worker.advance(Duration::from_secs(2)).await;
}

fn owned_names(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
    expected.iter().map(|(at, name)| (*at, (*name).to_owned())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_digest_takes_one_token_of_the_rate_at_the_place_of_its_most_pressing_member() {
    let worker = with_digests_of(&["ann", "bob"], Firing { rate: 10, ..Firing::default() }).await;
    worker.tell_all([listed("ann", 3), listed("bob", 4)].concat()).await;
    for id in ["bob-000", "bob-001", "bob-002", "ann-000", "ann-001", "ann-002"] {
        worker.tell(of(id, updated(T0, &[Statement::Priority(Some(Priority::Low))]))).await;
    }
    worker
        .tell_all(vec![
            alone("high", Priority::High),
            alone("medium", Priority::Medium),
            alone("low", Priority::Low),
        ])
        .await;
    to_eight(&worker).await;
    let expected = [(0, "high"), (100, "medium"), (200, "4 of bob"), (300, "low"), (400, "3 of ann")];
    assert_eq!(drain(&worker).await, owned_names(&expected));
}

#[tokio::test(start_paused = true)]
async fn a_digest_counts_as_one_publish_of_its_user() {
    let worker = with_digests_of(&["ann"], Firing { user_rate: 1, ..Firing::default() }).await;
    worker.tell_all(listed("ann", 5)).await;
    let says = [
        Statement::User(Some("ann".into())),
        due(minute(EIGHT)),
        offsets(&[0]),
        Statement::Priority(Some(Priority::High)),
    ];
    worker.tell(of("high", created(T0, &says))).await;
    to_eight(&worker).await;
    assert_eq!(drain(&worker).await, owned_names(&[(0, "high"), (60_000, "5 of ann")]));
}

#[tokio::test(start_paused = true)]
async fn more_than_a_digest_holds_takes_a_token_for_each() {
    let worker = with_digests_of(&["ann"], Firing { user_rate: 1, ..Firing::default() }).await;
    worker.tell_all(listed("ann", DIGEST_MEMBERS_MAX + 1)).await;
    to_eight(&worker).await;
    let out = drain(&worker).await;
    let expected = [(0, format!("{DIGEST_MEMBERS_MAX} of ann")), (60_000, "ann".to_owned())];
    assert_eq!(out[0], expected[0]);
    assert!(out.len() == 2 && out[1].0 == expected[1].0 && out[1].1.starts_with("ann-"), "{out:?}");
}

#[tokio::test(start_paused = true)]
async fn what_waited_alone_for_the_end_of_quiet_hours_takes_its_turn() {
    let worker =
        Worker::start_with(Settings { firing: Firing { rate: 1, ..Firing::default() }, ..settings() }).await;
    for user in ["ann", "bob", "cid"] {
        worker.wish(user, quiet()).await;
        worker.tell(owned(user, user, 15 * 60)).await;
    }
    worker.advance_to(22 * 60).await;
    worker.advance(Duration::from_secs(2)).await;
    let at: Vec<u64> = drain(&worker).await.into_iter().map(|(at, _)| at).collect();
    assert_eq!(at, [0, 1_000, 2_000]);
}

#[tokio::test(start_paused = true)]
async fn a_missed_digest_goes_out_whole_for_one_token() {
    let firing = Firing { catch_up: CatchUp::Fire, catch_up_rate: 1, ..Firing::default() };
    let worker = with_digests_of(&["ann", "bob"], firing).await;
    worker.tell_all([listed("ann", 3), listed("bob", 2)].concat()).await;
    worker.advance_to(EIGHT + 30).await;
    let out = drain(&worker).await;
    assert_eq!(out.iter().map(|(at, _)| *at).collect::<Vec<_>>(), [0, 1_000]);
    let mut names: Vec<_> = out.into_iter().map(|(_, name)| name).collect();
    names.sort();
    assert_eq!(names, ["2 of bob", "3 of ann"]);
}

#[tokio::test(start_paused = true)]
async fn the_repeat_of_a_digest_waits_for_the_rate_whole_and_takes_no_second_token_of_its_user() {
    let worker = with_digests_of(&["ann"], Firing { rate: 1, user_rate: 1, ..Firing::default() }).await;
    worker.tell_all(listed("ann", 3)).await;
    to_eight(&worker).await;
    let first = worker.claim(10).await;
    worker.settle(&first, ambiguous()).await;
    let wake = worker.next_wake().await;
    worker
        .tell_all(
            (0..2)
                .map(|n| {
                    of(
                        &format!("w-{n}"),
                        created(T0, &[due(wake), offsets(&[0]), Statement::Priority(Some(Priority::High))]),
                    )
                })
                .collect(),
        )
        .await;
    worker.advance_to_wake().await;
    let out = drain(&worker).await;
    assert_eq!(out.len(), 3);
    assert_eq!(out[2], (2_000, "3 of ann".to_owned()), "{out:?}");
}

#[tokio::test(start_paused = true)]
async fn what_leaves_a_digest_that_is_held_back_takes_no_token_and_holds_nobody_up() {
    let worker = with_digests_of(&["ann"], Firing { rate: 1, ..Firing::default() }).await;
    worker.tell_all(listed("ann", 3)).await;
    worker.tell_all(vec![alone("high", Priority::High)]).await;
    to_eight(&worker).await;
    let first = worker.claim(10).await;
    assert_eq!((first.reminders.len(), first.digests.len()), (1, 0));
    worker.settle(&first, Attempt::Confirmed).await;
    let held = worker.writer.read(|view| view.held_back()).await.unwrap().unwrap();
    assert_eq!(held.count, 3);
    worker.tell(of("ann-001", event(Kind::Completed, worker.clock.now()))).await;
    assert_eq!(drain(&worker).await, owned_names(&[(1_000, "2 of ann")]));
    assert!(worker.writer.read(|view| view.held_back()).await.unwrap().is_none());
}

#[tokio::test(start_paused = true)]
async fn any_mixture_of_digests_and_others_goes_out_once_and_never_above_the_rate() {
    let users = ["ann", "bob", "cid", "dan"];
    for batch in [1, 3, 10] {
        let worker = with_digests_of(&users, Firing { rate: 20, user_rate: 4, ..Firing::default() }).await;
        let many = [150, 1, 7, 40];
        worker.tell_all(users.iter().zip(many).flat_map(|(user, many)| listed(user, many)).collect()).await;
        let priority = |n: usize| [Priority::High, Priority::Low, Priority::Medium][n % 3];
        worker.tell_all((0..90).map(|n| alone(&format!("w-{n}"), priority(n))).collect()).await;
        to_eight(&worker).await;
        let (began, mut publishes, mut tasks) = (worker.clock.now(), Vec::new(), Vec::new());
        while worker.next_wake().await < Timestamp::MAX {
            let wake = worker.next_wake().await.max(worker.clock.now());
            worker.advance(wake.since(worker.clock.now())).await;
            let Some(out) = worker.writer.claim(batch).await.unwrap() else { continue };
            let at = worker.clock.now().since(began).as_millis();
            publishes.extend(std::iter::repeat_n(at, out.reminders.len() + out.digests.len()));
            let together = out.digests.iter().flat_map(|digest| &digest.members);
            tasks.extend(out.reminders.iter().chain(together).map(|claimed| claimed.task_id.to_string()));
            worker.settle(&out, Attempt::Confirmed).await;
        }
        assert_eq!((publishes.len(), tasks.len()), (90 + 5, 90 + 198), "two for the 150");
        assert_eq!(tasks.iter().collect::<std::collections::BTreeSet<_>>().len(), tasks.len());
        let within = |from: u128| publishes.iter().filter(|at| (from..from + 1_000).contains(*at)).count();
        let most = publishes.iter().map(|from| within(*from)).max().unwrap();
        assert!(most <= 20 + 2, "{most} in a second");
    }
}
