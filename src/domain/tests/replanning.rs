//! What becomes of reminders when the plan changes.

use std::time::Duration;

use super::super::decide::{self, REASON_BORN_EXPIRED, REASON_TOO_LATE, REASON_UNKNOWN};
use super::*;

/// A record of one task with a reminder pending at minute 45 for a due date at minute 60.
pub(super) fn with_one_pending() -> Record {
    let mut record =
        Record { task: merged(&[created(minute(-60), &[due(minute(60))])]), ..Record::default() };
    replanned(&mut record, &policy(), minute(-60));
    assert_eq!(pending(&record), [("offset:15".to_owned(), 45)]);
    record
}

pub(super) fn tell(record: &mut Record, event: &Event, in_flight: bool) {
    let now = event.stamps.event.unwrap().at;
    record.task.apply(event, now);
    decide::replan(&task("t"), record, &Rules { in_force: &policy(), user: None }, now, &|_| in_flight);
}

fn moved() -> Event {
    updated(minute(1), &[due(minute(90))])
}

#[test]
fn a_reminder_that_was_never_attempted_is_cancelled_or_superseded() {
    let explicit = |at| Statement::RemindAt(Some(vec![Due::Instant(minute(at))]));
    let cases = [
        ("completed", event(Kind::Completed, minute(1)), State::Cancelled),
        ("deleted", event(Kind::Deleted, minute(1)), State::Cancelled),
        ("lost its due date", updated(minute(1), &[Statement::Due(None)]), State::Cancelled),
        ("moved", moved(), State::Superseded),
        ("other offsets", updated(minute(1), &[offsets(&[5])]), State::Superseded),
        ("explicit times instead", updated(minute(1), &[explicit(50)]), State::Superseded),
    ];
    for (name, event, expected) in cases {
        let mut record = with_one_pending();
        tell(&mut record, &event, false);
        let old = &record.reminders[0];
        assert_eq!((old.state, old.settled_at), (expected, Some(minute(1))), "{name}");
        assert_eq!((old.leaving, old.next_attempt, old.maybe_out), (None, None, false), "{name}");
    }
}

#[test]
fn an_explicit_time_that_moves_is_superseded_even_without_a_due_date() {
    let explicit = |at| Statement::RemindAt(Some(vec![Due::Instant(minute(at))]));
    let mut record = Record { task: merged(&[created(T0, &[explicit(50)])]), ..Record::default() };
    replanned(&mut record, &policy(), T0);
    tell(&mut record, &updated(minute(1), &[explicit(55)]), false);
    assert_eq!(record.reminders[0].state, State::Superseded);
    tell(&mut record, &event(Kind::Completed, minute(2)), false);
    assert_eq!(record.reminders[1].state, State::Cancelled);
}

#[test]
fn a_reminder_in_flight_waits_for_its_result() {
    let mut record = with_one_pending();
    tell(&mut record, &event(Kind::Completed, minute(46)), true);
    let leaving = &record.reminders[0];
    assert_eq!((leaving.state, leaving.leaving), (State::Pending, Some(State::Cancelled)));
    tell(&mut record, &event(Kind::Deleted, minute(47)), true);
    assert_eq!(record.reminders[0].leaving, Some(State::Cancelled));
}

#[test]
fn a_reminder_in_flight_that_is_called_for_again_stays() {
    let mut record = with_one_pending();
    tell(&mut record, &moved(), true);
    assert_eq!(record.reminders[0].leaving, Some(State::Superseded));
    tell(&mut record, &updated(minute(2), &[due(minute(60))]), true);
    assert_eq!((record.reminders[0].state, record.reminders[0].leaving), (State::Pending, None));
}

#[test]
fn a_reminder_that_may_have_gone_out_ends_as_published_with_an_unknown_outcome() {
    let mut record = with_one_pending();
    (record.reminders[0].maybe_out, record.reminders[0].attempts) = (true, 1);
    tell(&mut record, &event(Kind::Completed, minute(46)), false);
    let gone = &record.reminders[0];
    assert_eq!((gone.state, gone.maybe_out), (State::Published, true));
    assert_eq!(gone.reason.as_deref(), Some(REASON_UNKNOWN));
}

#[test]
fn back_again_it_is_pending_again_and_keeps_what_is_known_of_its_attempts() {
    for (state, maybe_out) in [
        (State::Cancelled, false),
        (State::Superseded, false),
        (State::Expired, false),
        (State::Expired, true),
        (State::Published, true),
    ] {
        let mut record = with_one_pending();
        let old = &mut record.reminders[0];
        (old.maybe_out, old.attempts) = (maybe_out, 3);
        old.settle(state, minute(1), Some("why".into()));
        replanned(&mut record, &policy(), minute(2));
        let back = &record.reminders[0];
        assert_eq!((back.state, back.fire_at), (State::Pending, minute(45)), "{state:?}");
        assert_eq!((back.maybe_out, back.attempts), (maybe_out, 3), "{state:?}");
        assert_eq!((back.settled_at, &back.reason), (None, &None), "{state:?}");
    }
}

#[test]
fn a_confirmed_publish_is_never_planned_again() {
    let mut record = with_one_pending();
    record.reminders[0].settle(State::Published, minute(45), None);
    let published = record.reminders[0].clone();
    tell(&mut record, &updated(minute(46), &[due(minute(90))]), false);
    tell(&mut record, &updated(minute(47), &[due(minute(60))]), false);
    assert_eq!(record.reminders[0], published);
    assert_eq!(pending(&record), []);
}

#[test]
fn nothing_comes_back_that_is_past_its_time_to_send() {
    let too_late = minute(45).plus(policy().policy.expire_after).plus(Duration::from_millis(1));
    for (now, expected) in [(too_late, State::Cancelled), (minute(45), State::Pending)] {
        let mut record = with_one_pending();
        record.reminders[0].settle(State::Cancelled, minute(1), None);
        replanned(&mut record, &policy(), now);
        assert_eq!(record.reminders[0].state, expected, "at {now}");
    }
}

#[test]
fn a_birth_that_rises_later_expires_nothing_that_is_pending() {
    let mut record = with_one_pending();
    let in_force = PolicyInForce { since: PolicySince::all(minute(50)), generation: 2, ..policy() };
    replanned(&mut record, &in_force, minute(50));
    assert!(pending(&record).contains(&("offset:15".to_owned(), 45)));
}

#[test]
fn a_reminder_at_or_before_its_birth_is_born_expired() {
    let mut record = Record {
        task: merged(&[created(minute(45), &[due(minute(60)), offsets(&[0, 15])])]),
        ..Record::default()
    };
    replanned(&mut record, &policy(), minute(45));
    assert_eq!(pending(&record), [("offset:0".to_owned(), 60)]);
    let expired = record.reminders.iter().find(|r| r.rule == Rule::Offset(15)).unwrap();
    assert_eq!((expired.state, expired.reason.as_deref()), (State::Expired, Some(REASON_BORN_EXPIRED)));
}

#[test]
fn a_late_older_statement_brings_back_what_was_born_expired() {
    let mut record = Record::default();
    tell(&mut record, &updated(minute(50), &[due(minute(60)), offsets(&[15])]), false);
    assert_eq!(pending(&record), [("offset:0".to_owned(), 60)], "offset:15 would remind of the past");
    record.task.apply(&created(minute(1), &[due(minute(60)), offsets(&[15])]), minute(51));
    replanned(&mut record, &policy(), minute(51));
    assert_eq!(pending(&record), [("offset:15".to_owned(), 45)], "overdue: it fires at once");
}

#[test]
fn an_overdue_reminder_is_pending_up_to_expire_after_and_expired_beyond() {
    let expire_after = policy().policy.expire_after;
    let bound = minute(45).plus(expire_after);
    for (now, expected) in [(bound, State::Pending), (bound.plus(Duration::from_millis(1)), State::Expired)] {
        let mut record =
            Record { task: merged(&[created(minute(-60), &[due(minute(60))])]), ..Record::default() };
        replanned(&mut record, &policy(), now);
        let only = &record.reminders[0];
        assert_eq!(only.state, expected, "at {now}");
        let reason = (expected == State::Expired).then_some(REASON_TOO_LATE);
        assert_eq!(only.reason.as_deref(), reason, "at {now}");
    }
}

#[test]
fn a_pending_reminder_whose_instant_moves_starts_anew_with_its_waits() {
    let day = Statement::Due(Some(Due::date("2026-11-25".parse().unwrap())));
    let mut record = Record { task: merged(&[created(T0, &[day, offsets(&[0])])]), ..Record::default() };
    replanned(&mut record, &policy(), T0);
    record.reminders[0].next_attempt = Some(minute(9999));
    let mut in_force = PolicyInForce { generation: 2, ..policy() };
    in_force.policy.date_only = NaiveTime::from_hms_opt(10, 0, 0).unwrap();
    replanned(&mut record, &in_force, T0);
    assert_eq!(record.generation, 2);
    assert_eq!(record.reminders[0].fire_at, at("2026-11-25T10:00:00Z"));
    assert_eq!(record.reminders[0].wakes_at(), at("2026-11-25T10:00:00Z"));
}

#[test]
fn planning_again_changes_nothing() {
    let mut record = with_one_pending();
    tell(&mut record, &moved(), false);
    let once = record.clone();
    replanned(&mut record, &policy(), minute(2));
    assert_eq!(record, once);
}

#[test]
fn what_another_rule_reminded_of_at_its_instant_does_not_come_when_that_one_has_left() {
    let explicit = Statement::RemindAt(Some(vec![Due::Instant(minute(60))]));
    let task_at_60 = || {
        let says = [due(minute(60)), offsets(&[0]), explicit.clone()];
        let mut record = Record { task: merged(&[created(T0, &says)]), ..Record::default() };
        replanned(&mut record, &policy(), T0);
        assert_eq!(pending(&record), [("offset:0".to_owned(), 60)]);
        record
    };
    let later = |at: i64| {
        [
            (vec![due(minute(at + 180))], vec![("offset:0".to_owned(), at + 180)]),
            (vec![offsets(&[])], vec![]),
            (vec![Statement::Due(None)], vec![]),
        ]
    };
    for (says, end) in [
        (
            "it went out",
            &(|r: &mut Reminder| r.settle(State::Published, minute(60), None)) as &dyn Fn(&mut Reminder),
        ),
        ("it may have gone out", &|r| decide::lose_attempt(r, minute(60))),
        ("its user was muted", &|r| decide::release(r, Cause::Muted, policy().expiry(), minute(60))),
        ("it was past at its import", &|r| {
            r.settle_for(State::Expired, minute(60), Cause::PastAtImport, None);
        }),
    ] {
        for (statements, expected) in later(120) {
            let mut record = task_at_60();
            end(&mut record.reminders[0]);
            for at in [120, 121] {
                tell(&mut record, &updated(minute(at), &statements), false);
                assert_eq!(pending(&record), expected, "{says}, {statements:?}");
            }
        }
    }
    for (statements, mut expected) in later(30) {
        let mut record = task_at_60();
        tell(&mut record, &updated(minute(30), &statements), false);
        expected.insert(0, ("at:2026-11-24T10:00:00.000Z".to_owned(), 60));
        assert_eq!(pending(&record), expected, "nobody has reminded yet, {statements:?}");
    }
}

#[test]
fn what_fell_due_by_former_defaults_goes_out_and_what_was_never_planned_goes_by_those_of_now() {
    let since = |at| PolicyInForce { since: PolicySince::all(minute(at)), generation: 2, ..policy() };
    let of_now = |at| {
        let mut policy = since(at);
        policy.policy.default_offsets = vec![5];
        policy
    };
    let planned = |record: &Record| -> Vec<(String, State)> {
        record.reminders.iter().map(|r| (r.rule.to_string(), r.state)).collect()
    };
    // Due at minute 60, reminded at 45 by the former defaults; the new ones are in force since minute 50, or 40.
    let events = [created(T0, &[due(minute(60))])];
    for (in_force, now, then) in [
        (50, 50, vec![("offset:15", State::Pending), ("offset:5", State::Pending)]),
        (40, 40, vec![("offset:15", State::Superseded), ("offset:5", State::Pending)]),
        (70, 70, vec![("offset:15", State::Pending), ("offset:5", State::Expired)]),
    ] {
        let mut record = Record { task: merged(&events), ..Record::default() };
        replanned(&mut record, &policy(), T0);
        replanned(&mut record, &of_now(in_force), minute(now));
        let then: Vec<_> = then.into_iter().map(|(rule, state)| (rule.to_owned(), state)).collect();
        assert_eq!(planned(&record), then, "in force since {in_force}");
        // Whatever is heard of it but another due date changes nothing about that.
        record.task.apply(&updated(minute(now), &[title("a")]), minute(now));
        replanned(&mut record, &of_now(in_force), minute(now));
        assert_eq!(planned(&record), then, "in force since {in_force}");
        record.task.apply(&updated(minute(now), &[due(minute(900))]), minute(now));
        replanned(&mut record, &of_now(in_force), minute(now));
        assert_eq!(pending(&record), [("offset:5".to_owned(), 895)]);
    }
    let mut never = Record { task: merged(&events), ..Record::default() };
    replanned(&mut never, &of_now(70), minute(70));
    assert_eq!(
        planned(&never),
        [("offset:5".to_owned(), State::Pending)],
        "it was created while nobody was there"
    );
}

#[test]
fn a_due_date_that_is_heard_of_under_new_defaults_is_late_and_not_past_and_stays_so() {
    let in_force = |offsets: Vec<u32>| {
        let mut in_force = PolicyInForce { since: PolicySince::all(minute(70)), generation: 2, ..policy() };
        in_force.policy.default_offsets = offsets;
        in_force
    };
    // Created, and moved, while the worker was away to get them; due before they were in force, and after it.
    for due_at in [65, 75] {
        let rules = in_force(vec![5, 15]);
        for known_before in [true, false] {
            let mut record = Record { task: merged(&[created(T0, &[due(minute(60))])]), ..Record::default() };
            if known_before {
                replanned(&mut record, &policy(), T0);
            }
            replanned(&mut record, &rules, minute(70));
            for (at, heard) in
                [(71, updated(minute(20), &[due(minute(due_at))])), (72, updated(minute(21), &[title("a")]))]
            {
                record.task.apply(&heard, minute(at));
                replanned(&mut record, &rules, minute(at));
                let late = [("offset:15".to_owned(), due_at - 15), ("offset:5".to_owned(), due_at - 5)];
                assert_eq!(pending(&record), late, "{due_at}, {known_before}, at {at}");
            }
        }
    }
    // What was known before is not late by offsets that come to be when they are past.
    let explicit = |times: Option<Vec<Due>>| Statement::RemindAt(times);
    let own = created(T0, &[due(minute(100)), explicit(Some(vec![Due::Instant(minute(200))]))]);
    for (says, before, event) in [
        ("no offsets", in_force(vec![]).policy, created(T0, &[due(minute(100))])),
        ("its own times", policy().policy, own),
    ] {
        let mut record = Record { task: merged(&[event]), ..Record::default() };
        replanned(&mut record, &PolicyInForce { policy: before, ..policy() }, T0);
        replanned(&mut record, &in_force(vec![60]), minute(70));
        record.task.apply(&updated(minute(71), &[explicit(None)]), minute(71));
        replanned(&mut record, &in_force(vec![60]), minute(71));
        assert_eq!(pending(&record), [("offset:0".to_owned(), 100)], "{says}");
    }
}
