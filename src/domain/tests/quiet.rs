//! Quiet hours, digests and silence: where they move a reminder to, and which they let go.

use std::time::Duration;

use super::preferences::wishes;
use super::*;
use crate::domain::catch_up::is_missed;

const MONDAY: &str = "2026-11-23T10:00:00Z";

fn time(text: &str) -> TimeOfDay {
    text.parse().unwrap()
}

fn quiet(start: &str, end: &str, mode: QuietMode) -> (Timestamp, Wish) {
    (at("2026-01-01T00:00:00Z"), Wish::Quiet(Some(Quiet::new(time(start), time(end), mode).unwrap())))
}

fn digest(when: &str, below: Priority) -> (Timestamp, Wish) {
    (at("2026-01-01T00:00:00Z"), Wish::Digest(Some(Digest { at: time(when), below })))
}

fn in_zone(name: &str) -> (Timestamp, Wish) {
    (at("2026-01-01T00:00:00Z"), Wish::Zone(Some(zone(name))))
}

/// A task of `u`, created at `created_at`, with one reminder when it is due.
fn task_due(created_at: &str, due_at: &str, priority: Priority) -> Task {
    let user = Statement::User(Some("u".into()));
    let says = [user, Statement::Priority(Some(priority)), due(at(due_at)), offsets(&[0])];
    merged(&[created(at(created_at), &says)])
}

fn the_reminder(task: &Task, preferences: &Preferences) -> Planned {
    let record = Record { task: task.clone(), ..Record::default() };
    let planned = plan(&super::task("t"), &record, &Rules { in_force: &policy(), user: Some(preferences) });
    assert_eq!(planned.len(), 1, "{planned:?}");
    planned[0]
}

/// When the reminder of a task created on Monday goes out, to the second, and whether it was moved there.
fn fires(due_at: &str, priority: Priority, wished: &[(Timestamp, Wish)]) -> (String, bool) {
    fires_of(&task_due(MONDAY, due_at, priority), wished)
}

fn fires_of(task: &Task, wished: &[(Timestamp, Wish)]) -> (String, bool) {
    let planned = the_reminder(task, &wishes(wished));
    let second = planned.fire_at.millis().div_euclid(1000) * 1000;
    (Timestamp::from_millis(second).to_rfc3339().replace(".000Z", "Z"), planned.moved_from.is_some())
}

#[test]
fn what_falls_into_quiet_hours_waits_for_their_end() {
    let night = [quiet("22:00", "07:00", QuietMode::Defer)];
    let noon = [quiet("12:00", "14:00", QuietMode::Defer)];
    let last_minute = [quiet("00:00", "23:59", QuietMode::Defer)];
    for (wish, instant, fires_at) in [
        (&night, "2026-11-24T21:59:59Z", "2026-11-24T21:59:59Z"),
        (&night, "2026-11-24T22:00:00Z", "2026-11-25T07:00:00Z"),
        (&night, "2026-11-25T00:00:00Z", "2026-11-25T07:00:00Z"),
        (&night, "2026-11-25T06:59:59Z", "2026-11-25T07:00:00Z"),
        (&night, "2026-11-25T07:00:00Z", "2026-11-25T07:00:00Z"),
        (&noon, "2026-11-24T11:59:59Z", "2026-11-24T11:59:59Z"),
        (&noon, "2026-11-24T13:00:00Z", "2026-11-24T14:00:00Z"),
        (&noon, "2026-11-24T14:00:00Z", "2026-11-24T14:00:00Z"),
        (&last_minute, "2026-11-24T00:00:00Z", "2026-11-24T23:59:00Z"),
        (&last_minute, "2026-11-24T23:59:30Z", "2026-11-24T23:59:30Z"),
    ] {
        let moved = instant != fires_at;
        assert_eq!(fires(instant, Priority::Medium, wish), (fires_at.into(), moved), "{instant}");
        assert_eq!(fires(instant, Priority::High, wish), (instant.into(), false), "HIGH passes");
    }
}

#[test]
fn it_is_never_sent_before_their_end() {
    let planned = the_reminder(
        &task_due(MONDAY, "2026-11-24T23:00:00Z", Priority::Low),
        &wishes(&[quiet("22:00", "07:00", QuietMode::Defer)]),
    );
    assert!(planned.fire_at > at("2026-11-25T07:00:00Z") && planned.fire_at < at("2026-11-25T07:00:01Z"));
    assert_eq!(planned.moved_from, Some(at("2026-11-24T23:00:00Z")));
    assert_eq!(planned.instant(), at("2026-11-24T23:00:00Z"));
}

#[test]
fn quiet_hours_are_the_users_walls() {
    let wish = [in_zone("Asia/Kolkata"), quiet("22:00", "07:00", QuietMode::Defer)];
    for (instant, fires_at) in [
        ("2026-11-24T16:29:59Z", "2026-11-24T16:29:59Z"),
        ("2026-11-24T16:30:00Z", "2026-11-25T01:30:00Z"),
        ("2026-11-24T22:30:00Z", "2026-11-25T01:30:00Z"),
    ] {
        assert_eq!(fires(instant, Priority::Medium, &wish).0, fires_at, "{instant}");
    }
}

#[test]
fn on_the_nights_on_which_clocks_change_a_gap_moves_forward_and_the_first_of_two_counts() {
    let wish = [in_zone("Europe/Berlin"), quiet("01:00", "02:30", QuietMode::Defer)];
    let over_midnight = [in_zone("Europe/Berlin"), quiet("22:00", "07:00", QuietMode::Defer)];
    for (wish, says, instant, fires_at) in [
        (&wish, "the end lies in the gap", "2026-03-29T00:15:00Z", "2026-03-29T01:30:00Z"),
        (&wish, "after the gap, before the end", "2026-03-29T01:15:00Z", "2026-03-29T01:30:00Z"),
        (&wish, "the end comes twice", "2026-10-24T23:30:00Z", "2026-10-25T00:30:00Z"),
        (&wish, "after its first time", "2026-10-25T01:15:00Z", "2026-10-25T01:15:00Z"),
        (&over_midnight, "a night of eight hours", "2026-03-28T22:00:00Z", "2026-03-29T05:00:00Z"),
        (&over_midnight, "a night of ten hours", "2026-10-24T21:00:00Z", "2026-10-25T06:00:00Z"),
    ] {
        let task = task_due("2026-01-02T00:00:00Z", instant, Priority::Medium);
        assert_eq!(fires_of(&task, wish).0, fires_at, "{says}");
    }
}

#[test]
fn earlier_is_just_before_they_begin_unless_that_has_passed_when_it_comes_to_be() {
    let wish = [quiet("22:00", "07:00", QuietMode::Earlier)];
    assert_eq!(fires("2026-11-25T03:00:00Z", Priority::Medium, &wish).0, "2026-11-24T21:58:59Z");
    let late = task_due("2026-11-24T21:59:00Z", "2026-11-25T03:00:00Z", Priority::Medium);
    assert_eq!(fires_of(&late, &wish).0, "2026-11-25T07:00:00Z");
    let new_wish = [(at("2026-11-24T23:00:00Z"), wish[0].1.clone())];
    assert_eq!(fires("2026-11-25T03:00:00Z", Priority::Medium, &new_wish).0, "2026-11-25T07:00:00Z");
}

#[test]
fn silence_and_quiet_hours_that_drop_let_reminders_go() {
    let drop = quiet("22:00", "07:00", QuietMode::Drop);
    let muted = (at(MONDAY), Wish::Mute(Some(Mute::Always)));
    let until = (at(MONDAY), Wish::Mute(Some(Mute::Until(at("2026-11-24T23:00:00Z")))));
    let listed = vec![drop.clone(), digest("06:00", Priority::High)];
    for (wish, instant, priority, why) in [
        (vec![drop.clone()], "2026-11-24T23:00:00Z", Priority::Medium, Some(Cause::Quiet)),
        (vec![drop.clone()], "2026-11-24T23:00:00Z", Priority::High, None),
        (vec![drop], "2026-11-24T21:00:00Z", Priority::Medium, None),
        (listed, "2026-11-24T23:00:00Z", Priority::Medium, None),
        (vec![muted], "2026-11-24T21:00:00Z", Priority::High, Some(Cause::Muted)),
        (vec![until.clone()], "2026-11-24T22:59:59Z", Priority::Low, Some(Cause::Muted)),
        (vec![until], "2026-11-24T23:00:00Z", Priority::Low, None),
        (vec![], "2026-11-24T23:00:00Z", Priority::Low, None),
    ] {
        let (task, preferences) = (task_due(MONDAY, instant, priority), wishes(&wish));
        let planned = the_reminder(&task, &preferences);
        let reminder = Reminder {
            moved_from: planned.moved_from,
            ..Reminder::pending(planned.occurrence, planned.rule, planned.fire_at)
        };
        let rules = Rules { in_force: &policy(), user: Some(&preferences) };
        assert_eq!(let_go(&task, &reminder, &rules), why, "{wish:?} {instant}");
    }
}

#[test]
fn a_digest_lists_what_is_due_until_the_next_one() {
    let wish = [digest("08:00", Priority::High)];
    for (instant, fires_at) in [
        ("2026-11-25T07:59:59Z", "2026-11-24T08:00:00Z"),
        ("2026-11-25T08:00:00Z", "2026-11-25T08:00:00Z"),
        ("2026-11-25T15:00:00Z", "2026-11-25T08:00:00Z"),
    ] {
        assert_eq!(fires(instant, Priority::Low, &wish), (fires_at.into(), true), "{instant}");
        assert_eq!(fires(instant, Priority::Medium, &wish).0, fires_at, "{instant}");
        assert_eq!(fires(instant, Priority::High, &wish), (instant.into(), false), "HIGH goes alone");
    }
    let low_only = [digest("08:00", Priority::Medium)];
    assert!(fires("2026-11-25T15:00:00Z", Priority::Low, &low_only).1);
    assert!(!fires("2026-11-25T15:00:00Z", Priority::Medium, &low_only).1);
    let kolkata = [in_zone("Asia/Kolkata"), digest("08:00", Priority::High)];
    assert_eq!(fires("2026-11-25T15:00:00Z", Priority::Low, &kolkata).0, "2026-11-25T02:30:00Z");
    let berlin = [in_zone("Europe/Berlin"), digest("02:30", Priority::High)];
    let spring = task_due("2026-01-02T00:00:00Z", "2026-03-29T10:00:00Z", Priority::Low);
    assert_eq!(fires_of(&spring, &berlin).0, "2026-03-29T01:30:00Z", "a time in the gap moves forward");
}

#[test]
fn what_came_to_be_after_its_digest_goes_alone_at_its_own_instant() {
    let wish = digest("08:00", Priority::High);
    let instant = "2026-11-25T15:00:00Z";
    let late = task_due("2026-11-25T09:00:00Z", instant, Priority::Low);
    assert_eq!(fires_of(&late, std::slice::from_ref(&wish)), (instant.into(), false));
    let new_wish = (at("2026-11-25T09:00:00Z"), wish.1.clone());
    assert_eq!(fires(instant, Priority::Low, &[new_wish]), (instant.into(), false), "so does a new wish");
    let mut less = task_due(MONDAY, instant, Priority::High);
    let lowered = at("2026-11-25T09:00:00Z");
    less.apply(&updated(lowered, &[Statement::Priority(Some(Priority::Low))]), lowered);
    assert_eq!(fires_of(&less, std::slice::from_ref(&wish)), (instant.into(), false), "and a new priority");
    let mut handed_over = task_due(MONDAY, instant, Priority::Low);
    handed_over.apply(&updated(lowered, &[Statement::User(Some("v".into()))]), lowered);
    assert_eq!(fires_of(&handed_over, std::slice::from_ref(&wish)), (instant.into(), false), "a new user");
    let new_zone = (lowered, Wish::Zone(Some(zone("Europe/London"))));
    assert!(!fires(instant, Priority::Low, &[wish.clone(), new_zone]).1, "and a new zone");
    let night = [wish, quiet("14:00", "16:00", QuietMode::Defer)];
    assert_eq!(fires_of(&late, &night).0, "2026-11-25T16:00:00Z", "unless it falls into quiet hours");
    assert_eq!(fires(instant, Priority::Low, &night).0, "2026-11-25T08:00:00Z");
}

#[test]
fn restating_whose_a_task_is_and_how_pressing_moves_nothing() {
    let wish = digest("08:00", Priority::High);
    let mut task = task_due(MONDAY, "2026-11-25T15:00:00Z", Priority::Low);
    let before = fires_of(&task, std::slice::from_ref(&wish));
    let again = at("2026-11-25T09:00:00Z");
    let says = [Statement::User(Some("u".into())), Statement::Priority(Some(Priority::Low))];
    task.apply(&updated(again, &says), again);
    assert_eq!(fires_of(&task, &[wish]), before);
}

#[test]
fn nobody_is_told_ahead_while_they_wish_to_hear_nothing() {
    let mute = |until: &str| (at("2026-11-24T00:00:00Z"), Wish::Mute(Some(Mute::Until(at(until)))));
    let instant = "2026-11-25T15:00:00Z";
    let daily = digest("08:00", Priority::High);
    let silent = [daily.clone(), mute("2026-11-25T08:30:00Z")];
    assert_eq!(fires(instant, Priority::Low, &silent), (instant.into(), false));
    let silent = [daily, mute("2026-11-25T07:30:00Z")];
    assert_eq!(fires(instant, Priority::Low, &silent).0, "2026-11-25T08:00:00Z", "it has ended by then");
    let early = [quiet("14:00", "16:00", QuietMode::Earlier), mute("2026-11-25T14:30:00Z")];
    assert_eq!(fires(instant, Priority::Low, &early).0, "2026-11-25T16:00:00Z", "quiet hours defer it");
}

/// A reminder of 15:00 that a digest of 08:00 tells of, planned at 07:00.
fn told_ahead() -> (Record, Preferences) {
    let preferences = wishes(&[digest("08:00", Priority::High)]);
    let task = task_due(MONDAY, "2026-11-25T15:00:00Z", Priority::Low);
    let mut record = Record { task, ..Record::default() };
    plan_anew(&mut record, &preferences, "2026-11-25T07:00:00Z");
    assert!(record.reminders[0].fire_at < at("2026-11-25T08:00:01Z"));
    (record, preferences)
}

fn plan_anew(record: &mut Record, preferences: &Preferences, now: &str) {
    let rules = Rules { in_force: &policy(), user: Some(preferences) };
    decide::replan(&task("t"), record, &rules, at(now), &|_| false);
}

#[test]
fn a_moment_ahead_that_has_passed_is_not_gone_back_to() {
    let (record, preferences) = told_ahead();
    let mut waits = record.clone();
    plan_anew(&mut waits, &preferences, "2026-11-25T08:10:00Z");
    assert_eq!(waits, record, "what waits for its turn there goes out late");
    let mut new = Record { task: record.task, ..Record::default() };
    for now in ["2026-11-25T08:10:00Z", "2026-11-25T14:00:00Z"] {
        plan_anew(&mut new, &preferences, now);
        let reminder = &new.reminders[0];
        assert_eq!((reminder.fire_at, reminder.moved_from), (at("2026-11-25T15:00:00Z"), None), "at {now}");
    }
}

#[test]
fn what_is_told_ahead_is_neither_missed_nor_too_late_before_its_own_time() {
    let (record, _) = told_ahead();
    let day = Duration::from_secs(24 * 60 * 60);
    for (now, missed, fires) in [
        ("2026-11-25T14:59:00Z", false, true),
        ("2026-11-25T15:01:00Z", false, true),
        ("2026-11-25T15:01:00.001Z", true, true),
        ("2026-11-26T15:00:00Z", true, true),
        ("2026-11-26T15:00:00.001Z", true, false),
    ] {
        let mut reminder = record.reminders[0].clone();
        assert_eq!(is_missed(&reminder, at(now)), missed, "{now}");
        assert_eq!(decide::begin_attempt(&mut reminder, day, at(now)), fires, "{now}");
    }
}

#[test]
fn far_away_instants_are_planned_without_a_panic() {
    let wish = [
        in_zone("Europe/Berlin"),
        digest("08:00", Priority::Medium),
        quiet("22:00", "07:00", QuietMode::Earlier),
    ];
    for millis in [i64::MAX, i64::MAX - 1, i64::MIN + 1, 8_210_266_876_799_999, -8_334_601_228_800_000] {
        for priority in [Priority::Low, Priority::Medium] {
            let says =
                [Statement::Priority(Some(priority)), due(Timestamp::from_millis(millis)), offsets(&[0])];
            the_reminder(&merged(&[created(T0, &says)]), &wishes(&wish));
        }
    }
}

#[test]
fn a_reminder_that_was_let_go_does_not_come_back_and_one_that_was_moved_does() {
    let task_id = task("t");
    let preferences = wishes(&[quiet("22:00", "07:00", QuietMode::Defer)]);
    let mut record =
        Record { task: task_due(MONDAY, "2026-11-24T23:00:00Z", Priority::Low), ..Record::default() };
    let now = at("2026-11-24T22:00:00Z");
    let plan_anew = |record: &mut Record, user: Option<&Preferences>| {
        decide::replan(&task_id, record, &Rules { in_force: &policy(), user }, now, &|_| false);
    };
    plan_anew(&mut record, Some(&preferences));
    assert!(record.reminders[0].fire_at > at("2026-11-25T07:00:00Z"));
    record.reminders[0].within = Some(ReminderId::from_bytes([1; 16]));
    plan_anew(&mut record, None);
    let reminder = &record.reminders[0];
    assert_eq!((reminder.fire_at, reminder.moved_from), (at("2026-11-24T23:00:00Z"), None));
    assert_eq!(reminder.within, None, "it has left what it was tried in");
    decide::release(
        &mut record.reminders[0],
        Cause::Muted,
        Duration::from_secs(24 * 60 * 60),
        at("2026-11-24T23:00:00Z"),
    );
    plan_anew(&mut record, None);
    assert_eq!(record.reminders[0].state, State::Cancelled);
    let mut maybe_out =
        Reminder { maybe_out: true, attempts: 1, ..Reminder::pending(None, Rule::Nag(1), T0) };
    decide::release(&mut maybe_out, Cause::Muted, policy().expiry(), minute(1));
    assert_eq!(maybe_out.state, State::Published, "a cancel has an answer");
    assert_eq!(
        maybe_out.reason.as_deref(),
        Some("an attempt ended without an answer: it may have gone out; muted by its user")
    );
}

#[test]
fn a_snooze_until_an_instant_that_wishes_move_or_drop_what_is_due_at_comes_then() {
    let until = at("2026-11-24T17:00:00Z");
    let digest = [digest("08:00", Priority::High)];
    let dropped = [quiet("16:00", "18:00", QuietMode::Drop)];
    for (name, wished, told_at) in [
        ("before its digest", &digest, "2026-11-24T07:00:00Z"),
        ("after its digest has told of it", &digest, "2026-11-24T09:00:00Z"),
        ("in quiet hours that drop", &dropped, "2026-11-24T09:00:00Z"),
    ] {
        let preferences = wishes(wished);
        let task = task_due(MONDAY, "2026-11-24T17:00:00Z", Priority::Medium);
        let mut record = Record { task, ..Record::default() };
        plan_anew(&mut record, &preferences, MONDAY);
        if record.reminders[0].fire_at < at(told_at) {
            record.reminders[0].settle(State::Published, at(told_at), None);
        }
        let snooze = Snooze { of: Target::Present, until: Until::At(until) };
        record.task.apply(
            &Event { statements: vec![Statement::Snooze(Some(snooze))], ..event(Kind::Snoozed, at(told_at)) },
            at(told_at),
        );
        plan_anew(&mut record, &preferences, told_at);
        let snoozed = record.reminders.iter().find(|r| matches!(r.rule, Rule::Snooze(_)));
        assert_eq!(snoozed.map(|r| (r.fire_at, r.state)), Some((until, State::Pending)), "{name}");
    }
}

#[test]
fn a_series_that_was_told_ahead_of_a_due_date_reminds_of_a_sooner_one_that_is_stated_since() {
    let says = [Statement::User(Some("u".into())), due(at("2026-11-24T17:00:00Z")), offsets(&[0])];
    let daily = Statement::Recurrence(Some(r#""FREQ=DAILY""#.into()));
    let created = created(at(MONDAY), &[&says[..], &[daily]].concat());
    let preferences = wishes(&[digest("08:00", Priority::High)]);
    let mut record = Record { task: merged(&[created]), ..Record::default() };
    plan_anew(&mut record, &preferences, MONDAY);
    record.reminders[0].settle(State::Published, at("2026-11-24T08:00:01Z"), None);
    plan_anew(&mut record, &preferences, "2026-11-24T08:00:01Z");
    let sooner = at("2026-11-24T16:00:00Z");
    record.task.apply(&updated(at("2026-11-24T09:00:00Z"), &[due(sooner)]), at("2026-11-24T09:00:00Z"));
    for _ in 0..2 {
        plan_anew(&mut record, &preferences, "2026-11-24T09:00:00Z");
        let told = record.reminders.iter().find(|r| r.instant() == sooner);
        assert_eq!(told.map(|r| (r.fire_at, r.state)), Some((sooner, State::Pending)));
    }
    let at_sooner = record.reminders.iter_mut().find(|r| r.instant() == sooner).unwrap();
    at_sooner.settle(State::Published, sooner, None);
    plan_anew(&mut record, &preferences, "2026-11-24T16:00:01Z");
    let again =
        record.reminders.iter().filter(|r| r.state == State::Pending && r.instant() <= sooner).count();
    assert_eq!(again, 0, "once");
}
