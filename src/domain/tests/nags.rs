//! Reminders after due, and the default offsets of a priority.

use super::*;

fn nags(every_minutes: u32, max: u32) -> Statement {
    Statement::Nags(Some(Nags { every_minutes, max }))
}

fn with_nags(every_minutes: u32, max: u32) -> PolicyInForce {
    let mut in_force = policy();
    in_force.policy.nags = Some(Nags { every_minutes, max });
    in_force
}

/// The rules, minutes and whether born expired, of what is after due.
fn after_due(events: &[Event], in_force: &PolicyInForce) -> Vec<(String, i64, bool)> {
    planned_of(&merged(events), in_force)
        .iter()
        .filter(|p| matches!(p.rule, Rule::Nag(_)))
        .map(|p| (p.rule.to_string(), (p.fire_at.millis() - T0.millis()) / 60_000, p.is_born_expired()))
        .collect()
}

#[test]
fn an_open_task_is_reminded_of_every_so_often_after_due_and_so_many_times() {
    let nag = |n: u32, at: i64| (format!("nag:{n}"), at, false);
    let stated = |nags: Option<Nags>| created(T0, &[due(minute(60)), Statement::Nags(nags)]);
    let by_default = with_nags(10, 2);
    for (says, statement, in_force, expected) in [
        ("nothing, and none by default", None, policy(), vec![]),
        ("nothing, and a default", None, by_default.clone(), vec![nag(1, 70), nag(2, 80)]),
        ("its own", Some(Nags { every_minutes: 5, max: 1 }), by_default.clone(), vec![nag(1, 65)]),
        ("its own without a default", Some(Nags { every_minutes: 5, max: 1 }), policy(), vec![nag(1, 65)]),
        ("none", Some(Nags::NONE), by_default, vec![]),
    ] {
        assert_eq!(after_due(&[stated(statement)], &in_force), expected, "{says}");
    }
    let without_due = created(T0, &[nags(5, 3)]);
    assert_eq!(after_due(&[without_due], &policy()), []);
}

#[test]
fn nags_end_with_the_task() {
    let open = created(T0, &[due(minute(60)), nags(5, 3)]);
    for end in [Kind::Completed, Kind::Deleted] {
        let mut record = Record { task: merged(std::slice::from_ref(&open)), ..Record::default() };
        replanned(&mut record, &policy(), T0);
        assert_eq!(pending(&record).len(), 4);
        record.task.apply(&event(end, minute(62)), minute(62));
        replanned(&mut record, &policy(), minute(62));
        assert_eq!(pending(&record), [], "{end:?}");
        assert!(record.reminders.iter().all(|r| r.state == State::Cancelled), "{end:?}");
    }
}

#[test]
fn a_nag_is_of_its_due_date_and_goes_with_it() {
    let mut record =
        Record { task: merged(&[created(T0, &[due(minute(60)), nags(5, 1)])]), ..Record::default() };
    replanned(&mut record, &policy(), T0);
    record.task.apply(&updated(minute(1), &[due(minute(90))]), minute(1));
    replanned(&mut record, &policy(), minute(1));
    assert_eq!(pending(&record), [("nag:1".to_owned(), 95), ("offset:15".to_owned(), 75)]);
    assert_eq!(record.reminders.iter().filter(|r| r.state == State::Superseded).count(), 2);
}

#[test]
fn a_nag_is_born_with_what_it_depends_on() {
    let base = created(minute(1), &[due(minute(60))]);
    let expired = |events: &[Event], in_force: &PolicyInForce| {
        after_due(events, in_force).iter().map(|(.., expired)| *expired).collect::<Vec<_>>()
    };
    let own = updated(minute(70), &[nags(10, 2)]);
    assert_eq!(expired(&[base.clone(), own], &policy()), [true, false], "the statement");
    let since = PolicySince { nags: minute(70), ..PolicySince::all(Timestamp::MIN) };
    let configured = PolicyInForce { since, ..with_nags(10, 2) };
    assert_eq!(expired(std::slice::from_ref(&base), &configured), [true, false], "the configuration");
    assert_eq!(expired(&[base], &with_nags(10, 2)), [false, false]);
    let late = created(minute(75), &[due(minute(60))]);
    assert_eq!(expired(&[late], &with_nags(10, 2)), [true, false], "the due date");
}

#[test]
fn no_more_nags_are_planned_than_the_bound() {
    let task = created(T0, &[due(minute(60)), nags(5, NAGS_MAX)]);
    assert_eq!(after_due(&[task], &policy()).len(), NAGS_MAX as usize);
    let beyond = created(T0, &[due(minute(60)), nags(5, NAGS_MAX + 1)]);
    assert_eq!(after_due(&[beyond], &policy()).len(), NAGS_MAX as usize);
}

/// Reminds of tasks of high priority an hour before as well, and of those of low priority never.
fn by_priority() -> PolicyInForce {
    let mut in_force = policy();
    in_force.policy.priority_offsets =
        ByPriority { high: Some(vec![15, 60]), low: Some(vec![]), ..ByPriority::default() };
    in_force
}

fn priority(priority: Priority) -> Statement {
    Statement::Priority(Some(priority))
}

#[test]
fn the_default_offsets_of_the_priority_hold_where_the_task_says_nothing_nearer() {
    let off = |n: u32, at: i64| (format!("offset:{n}"), at);
    let remind_at = Statement::RemindAt(Some(vec![Due::Instant(minute(110))]));
    let hour = || due(minute(120));
    for (says, statements, expected) in [
        ("high", vec![priority(Priority::High), hour()], vec![off(15, 105), off(60, 60)]),
        ("medium", vec![priority(Priority::Medium), hour()], vec![off(15, 105)]),
        ("none", vec![hour()], vec![off(15, 105)]),
        ("low", vec![priority(Priority::Low), hour()], vec![]),
        ("its own", vec![priority(Priority::High), hour(), offsets(&[5])], vec![off(5, 115)]),
        (
            "explicit times",
            vec![priority(Priority::High), hour(), remind_at],
            vec![("at:2026-11-24T10:50:00.000Z".to_owned(), 110)],
        ),
    ] {
        let mut record = Record { task: merged(&[created(T0, &statements)]), ..Record::default() };
        replanned(&mut record, &by_priority(), T0);
        let mut expected = expected;
        expected.sort();
        assert_eq!(pending(&record), expected, "{says}");
    }
}

#[test]
fn another_priority_plans_by_its_offsets_and_supersedes_the_former() {
    let task = merged(&[created(T0, &[priority(Priority::High), due(minute(120))])]);
    let mut record = Record { task, ..Record::default() };
    replanned(&mut record, &by_priority(), T0);
    record.task.apply(&updated(minute(1), &[priority(Priority::Low)]), minute(1));
    replanned(&mut record, &by_priority(), minute(1));
    assert!(record.reminders.iter().all(|r| r.state == State::Superseded), "{:?}", record.reminders);
    record.task.apply(&updated(minute(90), &[priority(Priority::High)]), minute(90));
    replanned(&mut record, &by_priority(), minute(90));
    let expected = [("offset:15".to_owned(), 105), ("offset:60".to_owned(), 60)];
    assert_eq!(pending(&record), expected, "high since minute 0: what fell due meanwhile is late, not past");
}

#[test]
fn a_priority_gives_birth_only_where_the_configuration_minds_it() {
    let birth = |in_force: &PolicyInForce| {
        let raised = updated(minute(90), &[priority(Priority::High)]);
        planned_of(&merged(&[created(T0, &[due(minute(120))]), raised]), in_force)[0].birth
    };
    assert_eq!(birth(&by_priority()), minute(90));
    assert_eq!(birth(&policy()), T0);
    let since = PolicySince {
        offsets: ByPriority { high: minute(95), ..PolicySince::all(Timestamp::MIN).offsets },
        ..PolicySince::all(Timestamp::MIN)
    };
    assert_eq!(birth(&PolicyInForce { since, ..by_priority() }), minute(95), "and when it was configured");
}

#[test]
fn a_policy_that_plans_as_before_keeps_its_digest() {
    let base = policy().policy;
    let same = ByPriority { high: Some(base.default_offsets.clone()), ..ByPriority::default() };
    let spelled_out = Policy { priority_offsets: same, ..base.clone() };
    assert_eq!(spelled_out.digests(), base.digests());
    for other in [by_priority().policy, with_nags(10, 2).policy, with_nags(10, 3).policy] {
        assert_ne!(other.digests().whole, base.digests().whole);
    }
    assert_ne!(with_nags(10, 2).policy.digests().nags, with_nags(10, 3).policy.digests().nags);
}

#[test]
fn nags_of_a_series_come_after_each_occurrence_and_before_the_next() {
    const HOUR: u32 = 60;
    let series = Statement::Recurrence(Some(r#"{"frequency":"daily"}"#.into()));
    // The third would come after the next day's due date.
    let event = created(T0, &[due(minute(60)), offsets(&[0]), series, nags(10 * HOUR, 3)]);
    let mut record = Record { task: merged(&[event]), ..Record::default() };
    replanned(&mut record, &policy(), T0);
    let mut fired = Vec::new();
    for _ in 0..6 {
        let next =
            record.reminders.iter_mut().filter(|r| r.state == State::Pending).min_by_key(|r| r.fire_at);
        let next = next.unwrap();
        let now = next.fire_at;
        fired.push((next.rule.to_string(), (now.millis() - T0.millis()) / 3_600_000));
        next.settle(State::Published, now, None);
        replanned(&mut record, &policy(), now);
    }
    let rule = |rule: &str, hour| (rule.to_owned(), hour);
    let days =
        [0, 24].map(|day| [rule("offset:0", 1 + day), rule("nag:1", 11 + day), rule("nag:2", 21 + day)]);
    assert_eq!(fired, days.concat());
    assert_eq!(pending(&record).len(), 3, "the next occurrence alone: {:?}", pending(&record));
}

#[test]
fn an_acknowledged_occurrence_has_no_more_nags_and_the_next_one_has() {
    let series = Statement::Recurrence(Some(r#"{"frequency":"daily"}"#.into()));
    let event = created(T0, &[due(minute(60)), offsets(&[0]), series, nags(10, 1)]);
    let mut record = Record { task: merged(&[event]), ..Record::default() };
    replanned(&mut record, &policy(), T0);
    record.reminders.iter_mut().find(|r| r.rule == Rule::Offset(0)).unwrap().settle(
        State::Published,
        minute(60),
        None,
    );
    let seen = Event {
        statements: vec![Statement::Acknowledged(Some(Target::Present))],
        ..super::event(Kind::Acknowledged, minute(61))
    };
    record.task.apply(&seen, minute(61));
    replanned(&mut record, &policy(), minute(61));
    let day = 24 * 60;
    assert_eq!(pending(&record), [("nag:1".to_owned(), 70 + day), ("offset:0".to_owned(), 60 + day)]);
}
