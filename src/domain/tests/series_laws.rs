//! What holds of every series, whatever its user wishes and whenever it is looked at.

use std::collections::HashSet;
use std::time::Duration;

use proptest::prelude::*;

use super::super::catch_up::{catch_up, is_missed};
use super::*;
use crate::domain::tests::preferences::wishes;

const HOUR: i64 = 60;
const DAY: i64 = 24 * HOUR;

/// What a person or the world does to the task between two looks.
#[derive(Clone, Copy, Debug)]
enum Step {
    /// So many minutes pass, and what is due goes out.
    Fire(i64),
    /// So many minutes pass, and nobody looks.
    Miss(i64),
    /// So many minutes pass, nobody looks, and of what was missed the latest goes out.
    Down(i64),
    /// The title changes, which must change nothing.
    Retitle,
    /// It is completed and reopened.
    Reopen,
    /// Its user takes the wish back, or wishes it again as before. Accepted: what a digest that went out stood for comes by
    /// itself where the wish is taken back; wished again while that is late, it is of the digest's moment once more, though
    /// it goes out now. So the moments before are forgotten.
    Wish,
}

fn any_step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..3 * DAY).prop_map(Step::Fire),
        1 => (1..3 * DAY).prop_map(Step::Miss),
        2 => (0..DAY).prop_map(Step::Down),
        1 => Just(Step::Retitle),
        1 => Just(Step::Reopen),
        1 => Just(Step::Wish),
    ]
}

/// Quiet hours, a digest that does not lie within them, both or none.
fn any_wishes() -> impl Strategy<Value = Vec<Wish>> {
    let time = |hour: i64| TimeOfDay::from_minutes(u16::try_from(hour * 60).unwrap()).unwrap();
    let mode = prop_oneof![Just(QuietMode::Defer), Just(QuietMode::Earlier), Just(QuietMode::Drop)];
    let quiet = mode.prop_map(move |mode| Wish::Quiet(Quiet::new(time(22), time(7), mode).ok()));
    let digest = prop_oneof![Just(7), Just(18)]
        .prop_map(move |at| Wish::Digest(Some(Digest { at: time(at), below: Priority::High })));
    (proptest::option::of(quiet), proptest::option::of(digest))
        .prop_map(|(quiet, digest)| quiet.into_iter().chain(digest).collect())
}

/// When the task is told of; often so that it comes again at the last minute of hours.
fn any_minute() -> impl Strategy<Value = i64> {
    prop_oneof![3 => -10 * DAY..0, 1 => (-10 * 24..0_i64).prop_map(|hour| hour * HOUR - 1)]
}

fn any_rule() -> impl Strategy<Value = &'static str> {
    prop_oneof![Just(r#""FREQ=HOURLY""#), Just(r#"{"frequency":"daily"}"#), Just(r#"{"frequency":"weekly"}"#)]
}

/// A series of `rule` that begins an hour after it was told, with two reminders each time.
fn series(rule: &str, told: i64) -> Record {
    let statements = [
        Statement::User(Some("u".into())),
        due(minute(told + 60)),
        offsets(&[0, 30]),
        Statement::Recurrence(Some(rule.into())),
    ];
    Record { task: merged(&[created(minute(told), &statements)]), ..Record::default() }
}

/// What was missed by `now` is caught up with, and what is due goes out; the rules of what is late. What a digest lists
/// that is still ahead is not.
fn come_back(record: &mut Record, rules: &Rules<'_>, now: Timestamp) -> Vec<Rule> {
    let (id, expire_after) = (task("t"), rules.in_force.policy.expire_after);
    let mut late = Vec::new();
    decide::replan(&id, record, rules, now, &|_| false);
    for _ in 0..400 {
        if decide::to_last_missed(&id, record, rules, now, &|_| false) {
            decide::replan(&id, record, rules, now, &|_| false);
        }
        let unwished: Vec<_> = record
            .reminders
            .iter()
            .filter(|r| let_go(&record.task, r, rules).is_some())
            .map(|r| r.id(&id))
            .collect();
        catch_up(&id, record, CatchUp::Coalesce, expire_after, now, &|id| unwished.contains(id));
        let task = record.task.clone();
        let is_due = |r: &&mut Reminder| r.state == State::Pending && r.fire_at <= now;
        let Some(due) = record.reminders.iter_mut().filter(is_due).min_by_key(|r| r.fire_at) else { break };
        match let_go(&task, due, rules) {
            Some(cause) => decide::release(due, cause, expire_after, now),
            None => {
                late.extend((is_missed(due, now) && due.instant() <= now).then_some(due.rule));
                due.settle(State::Published, now, None);
            }
        }
        decide::replan(&id, record, rules, now, &|_| false);
        record.trim(now);
    }
    late
}

fn is_each_once(rules: &[Rule]) -> bool {
    rules.iter().collect::<HashSet<_>>().len() == rules.len()
}

/// Accepted: in the night in which a series comes to be, what waits for the end of quiet hours, or falls due then, is told
/// with what a digest at that end lists (`plan::moments`).
fn is_digest_at_the_end_of_quiet(wish: &[Wish]) -> bool {
    matches!(
        wish,
        [Wish::Quiet(Some(quiet)), Wish::Digest(Some(Digest { at, .. }))]
            if quiet.end() == *at
    )
}

/// Within the quiet hours of [`any_wishes`].
fn is_at_night(at: Timestamp) -> bool {
    !(7..22).contains(&(at.millis().div_euclid(3_600_000).rem_euclid(24)))
}

fn retitle(record: &mut Record, now: i64) {
    record.task.apply(&updated(minute(now), &[title(&now.to_string())]), minute(now));
}

/// What was completed in the minute before is opened again.
fn reopen(record: &mut Record, now: i64) {
    let open = Statement::Status(Some(Status::Todo));
    let stamp = minute(now - 1).plus(Duration::from_millis(1));
    record.task.apply(&updated(stamp, &[open]), minute(now));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn an_open_series_always_has_its_next_reminder_and_sends_none_twice_and_no_two_at_one_moment(
        rule in any_rule(),
        wish in any_wishes(),
        window in prop_oneof![Just(None), Just(Some(Duration::from_secs(300)))],
        told in any_minute(),
        steps in proptest::collection::vec(any_step(), 1..30),
    ) {
        let mut in_force = policy();
        in_force.policy.windows = window.map(|window| (0, window)).into_iter().collect();
        let user = wishes(&wish.iter().map(|wish| (minute(-30 * DAY), wish.clone())).collect::<Vec<_>>());
        let rules = |wishes: bool| Rules { in_force: &in_force, user: wishes.then_some(&user) };
        let mut has_wishes = true;
        let mut record = series(rule, told);
        let mut now = 0;
        let mut sent = HashSet::new();
        let mut moments = HashSet::new();
        let is_at_their_end = is_digest_at_the_end_of_quiet(&wish);
        let plan_at = |record: &mut Record, now: i64, wishes: bool| {
            decide::replan(&task("t"), record, &rules(wishes), minute(now), &|_| false);
        };
        plan_at(&mut record, now, has_wishes);
        for step in steps {
            match step {
                Step::Fire(minutes) => {
                    let from = minute(now);
                    let mut clock = from;
                    now += minutes;
                    // A worker that looks all the time: what is due goes out before the next is.
                    for _ in 0..400 {
                        let due = record.reminders.iter_mut().filter(|r| r.state == State::Pending);
                        let Some(due) = due.filter(|r| r.fire_at <= minute(now)).min_by_key(|r| r.fire_at) else { break };
                        let at = due.fire_at.max(clock);
                        clock = at;
                        // What was overdue has its own moment, and what is due in the second of another's goes by itself.
                        let is_behind = at > from && at.since(due.fire_at) >= Duration::from_secs(1);
                        let moment = if is_behind { at } else { due.fire_at };
                        if decide::begin_attempt(due, in_force.policy.expire_after, at) {
                            prop_assert!(sent.insert((due.occurrence, due.rule)), "twice: {} {:?}", due.rule, due.occurrence);
                            let waited = is_at_their_end && is_at_night(due.instant());
                            prop_assert!(moments.insert((due.rule, moment, waited)), "two at one moment: {} {:?}", due.rule, due.occurrence);
                            due.settle(State::Published, at, None);
                        }
                        decide::replan(&task("t"), &mut record, &rules(has_wishes), at, &|_| false);
                        record.trim(at);
                    }
                }
                Step::Miss(minutes) => now += minutes,
                Step::Down(minutes) => {
                    now += minutes;
                    let late = come_back(&mut record, &rules(has_wishes), minute(now));
                    prop_assert!(is_each_once(&late), "late after {:?} at {}: {:?}", step, now, late);
                }
                Step::Retitle => retitle(&mut record, now),
                Step::Wish => {
                    has_wishes = !has_wishes;
                    moments.clear();
                }
                Step::Reopen => {
                    record.task.apply(&event(Kind::Completed, minute(now)), minute(now));
                    plan_at(&mut record, now, has_wishes);
                    now += 1;
                    reopen(&mut record, now);
                }
            }
            plan_at(&mut record, now, has_wishes);
            prop_assert!(!is_silent(&task("t"), &record, &rules(has_wishes), minute(now)));
            let next: Vec<_> = record.reminders.iter().filter(|r| r.state == State::Pending).map(|r| r.rule).collect();
            prop_assert!(next.len() == 2 && is_each_once(&next), "{:?} after {:?} at {}", next, step, now);
        }
    }
}
