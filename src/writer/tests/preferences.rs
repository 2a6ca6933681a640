//! Users' preferences: kept, planned by, and what they put together.

use super::*;
use crate::domain::digest::DIGEST_MEMBERS_MAX;
use crate::domain::tests::preferences::wished;
use crate::domain::{Digest, Mute, Priority, Quiet, QuietMode, Wish};
use crate::store::Op;
use crate::writer::digests::GATHER_MAX;

const DAY: i64 = 24 * 60;
/// 23:00 and 07:00 of the next day, where minute 0 is 09:00.
const NIGHT: i64 = 14 * 60;
const MORNING: i64 = 22 * 60;

pub(super) fn quiet() -> Wish {
    let night = Quiet::new("22:00".parse().unwrap(), "07:00".parse().unwrap(), QuietMode::Defer);
    Wish::Quiet(Some(night.unwrap()))
}

pub(super) fn owned(id: &str, user: &str, minutes: i64) -> Event {
    of(id, created(T0, &[Statement::User(Some(user.into())), due(minute(minutes)), offsets(&[0])]))
}

impl Worker {
    pub(super) async fn wish(&self, user: &str, wish: Wish) -> Verdict {
        let change = PreferencesChange { user: user.into(), ..wished(self.clock.now(), &[wish]) };
        let content = Content::Preferences(Box::new(change), Bytes::new());
        let delivery = Delivery { at: self.clock.now(), topic: "user-preferences".into(), content };
        self.writer.deliver(vec![delivery]).await[0]
    }

    /// Until nothing is left to be planned anew.
    pub(super) async fn planned_anew(&self) {
        while self.meta().await.wishes_pass.is_some() {
            tokio::task::yield_now().await;
        }
    }

    pub(super) async fn advance_to_wake(&self) {
        let wake = self.next_wake().await;
        self.advance(wake.since(self.clock.now())).await;
    }
}

fn members(digest: &ClaimedDigest) -> Vec<&str> {
    digest.members.iter().map(|member| member.task_id.as_str()).collect()
}

#[tokio::test(start_paused = true)]
async fn where_nobody_has_preferences_none_are_read() {
    let worker = Worker::start().await;
    worker.tell(owned("t", "u", 1)).await;
    worker.advance_to(1).await;
    worker.claim(10).await;
    assert_eq!(worker.store.preferences_read(), 0);
    worker.wish("u", quiet()).await;
    let reads = worker.store.preferences_read();
    worker.tell_all((0..50).map(|n| owned(&n.to_string(), "u", 5)).collect()).await;
    assert!(worker.store.preferences_read() <= reads + 3, "once a group and once for what it began");
    assert_eq!(worker.meta().await.users, 1);
}

#[tokio::test(start_paused = true)]
async fn preferences_are_counted_as_events_and_kept_for_users_of_whom_nothing_is_known() {
    let worker = Worker::start().await;
    assert_eq!(worker.wish("u", quiet()).await, Verdict::Success);
    let meta = worker.meta().await;
    assert_eq!((meta.events.applied, meta.ledger.received), (1, 1));
    let worker = worker.restart().await;
    assert!(worker.store.preferences("u").unwrap().unwrap().quiet().is_some());
    worker.tell(owned("t", "u", NIGHT)).await;
    assert!(worker.reminder().fire_at > minute(MORNING));
}

#[tokio::test(start_paused = true)]
async fn a_change_plans_all_tasks_of_its_user_anew_behind_a_cursor_that_outlives_a_crash() {
    let worker = Worker::start().await;
    let many = STEP_MAX + 10;
    worker.tell_all((0..many).map(|n| owned(&format!("{n:03}"), "u", NIGHT)).collect()).await;
    worker.tell(owned("other", "v", NIGHT)).await;
    worker.wish("u", quiet()).await;
    let (store, clock) = worker.crash().await;
    assert!(store.meta().unwrap().wishes_pass.is_some(), "its beginning is on the disk with the wish");
    let worker = open(&store, &clock, settings()).run();
    worker.planned_anew().await;
    let moved =
        (0..many).filter(|n| worker.record(&format!("{n:03}")).reminders[0].fire_at > minute(MORNING));
    assert_eq!(moved.count(), many);
    assert_eq!(worker.record("other").reminders[0].fire_at, minute(NIGHT));
}

#[tokio::test(start_paused = true)]
async fn a_change_during_a_pass_makes_another_follow_it() {
    let worker = Worker::start().await;
    let many = 3 * STEP_MAX;
    worker
        .tell_all(
            (0..many).map(|n| owned(&format!("{n:03}"), if n % 2 == 0 { "u" } else { "v" }, NIGHT)).collect(),
        )
        .await;
    worker.wish("u", quiet()).await;
    worker.wish("v", quiet()).await;
    worker.planned_anew().await;
    let left = (0..many).filter(|n| worker.record(&format!("{n:03}")).reminders[0].fire_at == minute(NIGHT));
    assert_eq!(left.count(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_claim_goes_by_wishes_that_its_task_has_not_been_planned_by_yet() {
    let worker = Worker::start().await;
    // Behind more tasks than one step takes.
    worker.tell_all((0..2 * STEP_MAX).map(|n| due_at(&format!("{n:03}"), 10 * DAY)).collect()).await;
    worker.tell(owned("z", "u", NIGHT)).await;
    worker.advance_to(NIGHT).await;
    let change = PreferencesChange { user: "u".into(), ..wished(minute(NIGHT), &[quiet()]) };
    let content = Content::Preferences(Box::new(change), Bytes::new());
    let delivery = Delivery { at: minute(NIGHT), topic: "user-preferences".into(), content };
    // Both in one group: the pass has only begun.
    let (told, claimed) = tokio::join!(worker.writer.deliver(vec![delivery]), worker.writer.claim(10));
    assert_eq!(told, [Verdict::Success]);
    assert!(claimed.unwrap().is_none());
    assert!(worker.record("z").reminders[0].fire_at > minute(MORNING));
}

#[tokio::test(start_paused = true)]
async fn users_wake_apart_at_the_end_of_their_quiet_hours_and_each_gets_one_event() {
    let policy = Policy { spread: Duration::from_secs(300), ..settings().policy };
    let worker = Worker::start_with(Settings { policy, ..settings() }).await;
    let users: Vec<String> = (0..20).map(|n| format!("user-{n}")).collect();
    for user in &users {
        worker.wish(user, quiet()).await;
    }
    let of_user = |user: &String| (0..3).map(|n| owned(&format!("{user}/{n}"), user, NIGHT + n)).collect();
    worker.tell_all(users.iter().flat_map(|user| -> Vec<Event> { of_user(user) }).collect()).await;
    worker.tell(owned("user-0/high", "user-0", NIGHT)).await;
    worker.tell(of("user-0/high", updated(minute(1), &[Statement::Priority(Some(Priority::High))]))).await;
    worker.advance_to(NIGHT + 2).await;
    let pressing = worker.claim(100).await;
    assert_eq!((pressing.reminders.len(), pressing.digests.len()), (1, 0), "HIGH passes");
    worker.settle(&pressing, Attempt::Confirmed).await;
    let mut instants = std::collections::BTreeSet::new();
    let mut seen = Vec::new();
    while seen.len() < users.len() {
        worker.advance_to_wake().await;
        let batch = worker.claim(100).await;
        assert!(batch.reminders.is_empty());
        for digest in &batch.digests {
            assert_eq!(digest.members.len(), 3, "{digest:?}");
            assert!(digest.at > minute(MORNING) && digest.at < minute(MORNING + 5));
            instants.insert(digest.at);
            seen.push(digest.user.clone());
        }
        worker.settle(&batch, Attempt::Confirmed).await;
    }
    assert!(instants.len() > 15, "{instants:?}");
    let record = worker.record("user-3/1");
    assert_eq!(record.reminders[0].state, State::Published);
    assert!(record.reminders[0].within.is_some());
    assert_eq!(worker.next_wake().await, Timestamp::MAX);
}

#[tokio::test(start_paused = true)]
async fn one_that_waits_alone_goes_out_as_itself() {
    let worker = Worker::start().await;
    worker.wish("u", quiet()).await;
    worker.tell(owned("t", "u", NIGHT)).await;
    worker.advance_to_wake().await;
    let batch = worker.claim(10).await;
    assert_eq!((batch.reminders.len(), batch.digests.len()), (1, 0));
    assert_eq!(batch.reminders[0].reminder.within, None);
}

async fn with_digest_due(ids: &[&str]) -> Worker {
    let worker = Worker::start().await;
    let daily = Digest { at: "08:00".parse().unwrap(), below: Priority::High };
    worker.wish("u", Wish::Digest(Some(daily))).await;
    worker.tell_all(ids.iter().map(|id| owned(id, "u", 2 * DAY)).collect()).await;
    if !ids.is_empty() {
        worker.advance_to_wake().await;
    }
    worker
}

#[tokio::test(start_paused = true)]
async fn a_claim_takes_a_digest_whole_whatever_its_limit() {
    let worker = with_digest_due(&["a", "b", "c", "d"]).await;
    let batch = worker.claim(1).await;
    assert_eq!((batch.reminders.len(), batch.digests.len()), (0, 1));
    assert_eq!(batch.digests[0].members.len(), 4);
    assert_eq!(worker.store.claims().unwrap()[0].reminders.len(), 4);
    assert!(worker.claims_nothing().await);
    worker.settle(&batch, Attempt::Confirmed).await;
    for id in ["a", "b", "c", "d"] {
        let reminder = worker.record(id).reminders.remove(0);
        assert_eq!((reminder.state, reminder.within), (State::Published, Some(batch.digests[0].id)), "{id}");
    }
    assert_eq!(worker.next_wake().await, Timestamp::MAX);
}

#[tokio::test(start_paused = true)]
async fn after_a_crash_the_same_members_go_out_under_the_same_id() {
    let worker = with_digest_due(&["a", "b", "c"]).await;
    let first = worker.claim(10).await;
    let worker = worker.restart().await;
    worker.tell(owned("late", "u", 2 * DAY)).await;
    let again = worker.claim(10).await;
    let tried = again.digests.iter().find(|digest| digest.id == first.digests[0].id).expect("the same id");
    assert_eq!(members(tried), members(&first.digests[0]));
    assert_eq!((tried.at, &tried.user), (first.digests[0].at, &first.digests[0].user));
    assert!(tried.members.iter().all(|member| member.reminder.maybe_out));
    assert_eq!((again.digests.len(), again.reminders.len()), (1, 0), "nothing joins what has been tried");
    assert_eq!(
        worker.record("late").reminders[0].fire_at,
        minute(2 * DAY),
        "what comes late has its own time"
    );
}

#[tokio::test(start_paused = true)]
async fn a_failed_digest_comes_back_together_without_those_that_have_left() {
    let worker = with_digest_due(&["a", "b", "c"]).await;
    let first = worker.claim(10).await;
    worker.settle(&first, failed()).await;
    assert!(worker.claims_nothing().await, "all wait for the next attempt");
    worker.tell(of("b", event(Kind::Completed, worker.clock.now()))).await;
    for attempts in 1..4 {
        worker.advance_to_wake().await;
        let again = worker.claim(10).await;
        assert_eq!((again.reminders.len(), again.digests.len()), (0, 1));
        assert_eq!(again.digests[0].id, first.digests[0].id);
        assert_eq!(again.digests[0].members.len(), 2);
        assert!(again.digests[0].members.iter().all(|member| member.reminder.attempts == attempts));
        worker.settle(&again, ambiguous()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_moves_away_from_a_digest_that_certainly_failed_goes_alone() {
    let worker = with_digest_due(&["a", "b"]).await;
    let first = worker.claim(10).await;
    worker.settle(&first, failed()).await;
    worker.tell(of("a", updated(worker.clock.now(), &[Statement::Priority(Some(Priority::High))]))).await;
    let moved = worker.record("a").reminders.remove(0);
    assert_eq!((moved.fire_at, moved.within), (minute(2 * DAY), None));
    worker.advance_to_wake().await;
    let again = worker.claim(10).await;
    assert_eq!(again.digests[0].id, first.digests[0].id, "the other one stays");
    assert_eq!(members(&again.digests[0]), ["b"]);
}

#[tokio::test(start_paused = true)]
async fn what_a_muted_user_is_not_sent_is_cancelled_when_it_is_due_and_stays_so() {
    let worker = Worker::start().await;
    worker.tell(owned("t", "u", 10)).await;
    worker.wish("u", Wish::Mute(Some(Mute::Always))).await;
    worker.planned_anew().await;
    assert_eq!(worker.reminder().state, State::Pending, "it may be unmuted before");
    worker.advance_to(10).await;
    assert!(worker.claims_nothing().await);
    let reminder = worker.reminder();
    assert_eq!((reminder.state, reminder.reason.as_deref()), (State::Cancelled, Some("muted by its user")));
    worker.wish("u", Wish::Mute(None)).await;
    worker.planned_anew().await;
    worker.tell(of("t", updated(minute(10), &[title("b")]))).await;
    assert_eq!(worker.reminder().state, State::Cancelled);
    assert_eq!(worker.next_wake().await, Timestamp::MAX);
}

#[tokio::test(start_paused = true)]
async fn restating_a_wish_plans_nothing_anew() {
    let worker = Worker::start().await;
    worker.wish("u", quiet()).await;
    worker.planned_anew().await;
    worker.advance_to(1).await;
    worker.store.forget_batches();
    worker.wish("u", quiet()).await;
    assert!(worker.meta().await.wishes_pass.is_none());
    let kept = |op: &Op| matches!(op, Op::PutPreferences(..));
    assert!(worker.store.batches().iter().any(|batch| batch.ops().iter().any(kept)));
}

#[tokio::test(start_paused = true)]
async fn beyond_its_limit_a_claim_looks_at_so_many_entries_and_leaves_the_rest_to_the_next() {
    let worker = with_digest_due(&[]).await;
    let many = 1 + GATHER_MAX + 3;
    worker.tell_all((0..many).map(|n| owned(&format!("{n:05}"), "u", 2 * DAY)).collect()).await;
    worker.advance_to_wake().await;
    let sizes =
        |batch: &ClaimedBatch| batch.digests.iter().map(|digest| digest.members.len()).collect::<Vec<_>>();
    let first = sizes(&worker.claim(1).await);
    assert_eq!(first.iter().sum::<usize>(), 1 + GATHER_MAX);
    assert!(first.iter().rev().skip(1).all(|size| *size == DIGEST_MEMBERS_MAX), "{first:?}");
    assert_eq!(sizes(&worker.claim(1).await), [3]);
}

#[tokio::test(start_paused = true)]
async fn a_claim_beyond_its_limit_takes_nothing_of_others_and_loses_nothing() {
    let worker = with_digest_due(&[]).await;
    worker.tell_all(["a", "b", "c"].map(|id| owned(id, "u", 2 * DAY)).into()).await;
    let same_instant = worker.next_wake().await;
    for n in 0..5 {
        let single =
            created(T0, &[Statement::Due(Some(crate::domain::Due::Instant(same_instant))), offsets(&[0])]);
        worker.tell(of(&format!("single-{n}"), single)).await;
    }
    worker.advance_to_wake().await;
    let (mut singles, mut together) = (0, Vec::new());
    while let Some(batch) = worker.writer.claim(1).await.unwrap() {
        singles += batch.reminders.len();
        together.extend(batch.digests.iter().map(|digest| digest.members.len()));
    }
    assert_eq!((singles, together), (5, vec![3]));
}

#[tokio::test(start_paused = true)]
async fn a_digest_that_came_back_is_not_sent_again_though_its_attempt_had_no_answer() {
    let worker = with_digest_due(&["a", "b"]).await;
    let batch = worker.claim(10).await;
    worker.settle(&batch, ambiguous()).await;
    let digest = &batch.digests[0];
    let receipt = |member: &Claimed| Receipt {
        task_id: member.task_id.clone(),
        id: member.id,
        planned_at: Some(digest.at),
    };
    worker.writer.received(digest.members.iter().map(receipt).collect(), worker.clock.now());
    worker.clock.sleep(Duration::from_secs(3)).await;
    for id in ["a", "b"] {
        let reminder = worker.record(id).reminders.remove(0);
        assert_eq!((reminder.state, reminder.within), (State::Published, Some(digest.id)), "{id}");
    }
    assert_eq!(worker.writer.read(|view| view.foreign.count).await.unwrap(), 0);
    assert_eq!(worker.next_wake().await, Timestamp::MAX);
}

#[tokio::test(start_paused = true)]
async fn what_would_move_while_its_digest_is_in_flight_went_out_in_it_all_the_same() {
    let worker = with_digest_due(&["a", "b"]).await;
    let batch = worker.claim(10).await;
    worker.tell(of("a", updated(worker.clock.now(), &[Statement::Priority(Some(Priority::High))]))).await;
    assert_eq!(worker.record("a").reminders[0].fire_at, batch.digests[0].at);
    worker.settle(&batch, Attempt::Confirmed).await;
    let reminder = worker.record("a").reminders.remove(0);
    assert_eq!((reminder.state, reminder.within), (State::Published, Some(batch.digests[0].id)));
    assert_eq!(worker.next_wake().await, Timestamp::MAX);
}
