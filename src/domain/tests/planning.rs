//! Which reminders a task calls for, and when each was born.

use super::*;

const BEFORE: i64 = -600;

/// What a task calls for that a creation at minute `told` states: rule, minute, whether born expired.
fn planned(told: i64, statements: &[Statement]) -> Vec<(String, i64, bool)> {
    planned_of(&merged(&[created(minute(told), statements)]), &policy())
        .iter()
        .map(|p| (p.rule.to_string(), (p.fire_at.millis() - T0.millis()) / 60_000, p.is_born_expired()))
        .collect()
}

fn remind_at(minutes: &[i64]) -> Statement {
    Statement::RemindAt(Some(minutes.iter().map(|m| Due::Instant(minute(*m))).collect()))
}

/// A name, what is stated, and what it calls for.
type Case = (&'static str, Vec<Statement>, Vec<(String, i64, bool)>);

#[test]
fn the_nearest_rule_wins() {
    let hour = due(minute(60));
    let off = |n: u32, at: i64| (format!("offset:{n}"), at, false);
    let at_50 = ("at:2026-11-24T09:50:00.000Z".to_owned(), 50, false);
    let cases: Vec<Case> = vec![
        ("nothing without a due date", vec![title("a")], vec![]),
        ("nothing for a due date of null", vec![Statement::Due(None)], vec![]),
        ("the default", vec![hour.clone()], vec![off(15, 45)]),
        ("the default for a null", vec![hour.clone(), Statement::Offsets(None)], vec![off(15, 45)]),
        ("its own", vec![hour.clone(), offsets(&[0, 30])], vec![off(0, 60), off(30, 30)]),
        ("its own, none", vec![hour.clone(), offsets(&[])], vec![]),
        ("explicit times alone", vec![hour.clone(), remind_at(&[50])], vec![at_50.clone()]),
        ("no explicit times: the default", vec![hour.clone(), remind_at(&[])], vec![off(15, 45)]),
        (
            "offsets and times",
            vec![hour.clone(), offsets(&[30]), remind_at(&[50])],
            vec![off(30, 30), at_50.clone()],
        ),
        ("times without offsets", vec![hour, offsets(&[]), remind_at(&[50])], vec![at_50.clone()]),
        ("times without a due date", vec![remind_at(&[50])], vec![at_50]),
    ];
    for (name, mut statements, expected) in cases {
        statements.sort_by_key(Statement::field);
        assert_eq!(planned(BEFORE, &statements), expected, "{name}");
    }
}

#[test]
fn a_task_that_has_ended_calls_for_nothing() {
    let open = created(minute(BEFORE), &[due(minute(60))]);
    for end in [Kind::Completed, Kind::Deleted] {
        assert_eq!(planned_of(&merged(&[open.clone(), event(end, minute(1))]), &policy()), vec![], "{end:?}");
    }
}

#[test]
fn what_was_past_when_it_came_to_be_is_born_expired_and_the_bound_is_past() {
    let off = |n: u32, at: i64, expired| (format!("offset:{n}"), at, expired);
    let both = [due(minute(60)), offsets(&[5, 30])];
    assert_eq!(planned(29, &both), [off(5, 55, false), off(30, 30, false)]);
    assert_eq!(planned(30, &both), [off(5, 55, false), off(30, 30, true)]);
}

#[test]
fn if_every_offset_is_past_one_reminder_at_the_due_date_remains() {
    let off = |n: u32, at: i64, expired| (format!("offset:{n}"), at, expired);
    let long = [due(minute(60)), offsets(&[30, 90])];
    assert_eq!(planned(50, &long), [off(30, 30, true), off(90, -30, true), off(0, 60, false)]);
    assert_eq!(planned(59, &long).last(), Some(&off(0, 60, false)));
    assert_eq!(planned(60, &long), [off(30, 30, true), off(90, -30, true)], "due is past too");
    assert_eq!(
        planned(50, &[due(minute(60))]),
        [off(15, 45, true), off(0, 60, false)],
        "the default as well"
    );
    assert_eq!(planned(50, &[due(minute(60)), offsets(&[])]), [], "none wanted, none made");
    assert_eq!(planned(BEFORE, &[due(minute(60)), offsets(&[OFFSET_MAX_MINUTES])]).len(), 2);
}

#[test]
fn a_birth_is_the_latest_of_all_that_a_reminder_depends_on() {
    let berlin = Statement::Zone(Some(zone("Europe/Berlin")));
    let naive = Statement::Due(Some(wall("2026-11-24T12:00:00")));
    let base = created(minute(1), &[due(minute(180)), offsets(&[0])]);
    let birth = |events: &[Event]| planned_of(&merged(events), &policy())[0].birth;
    assert_eq!(birth(std::slice::from_ref(&base)), minute(1));
    assert_eq!(birth(&[base.clone(), updated(minute(2), &[due(minute(181))])]), minute(2), "due");
    assert_eq!(birth(&[base.clone(), updated(minute(3), &[offsets(&[1])])]), minute(3), "rule");
    assert_eq!(
        birth(&[base.clone(), updated(minute(4), std::slice::from_ref(&berlin))]),
        minute(1),
        "no zone for an instant"
    );
    let local = created(minute(1), &[naive, offsets(&[0])]);
    assert_eq!(birth(&[local, updated(minute(4), &[berlin])]), minute(4), "zone of a wall time");
    let gone = event(Kind::Deleted, minute(5));
    let back = created(minute(6), &[due(minute(180)), offsets(&[0])]);
    assert_eq!(birth(&[base.clone(), gone, back]), minute(5), "open again");
    let status = |at, status| updated(minute(at), &[Statement::Status(Some(status))]);
    assert_eq!(birth(&[base, status(7, Status::InProgress)]), minute(1), "another open status");
}

#[test]
fn nothing_that_depends_on_the_configuration_is_born_before_it() {
    let in_force = PolicyInForce { since: PolicySince::all(minute(20)), ..policy() };
    let by =
        |statements: &[Statement]| planned_of(&merged(&[created(minute(1), statements)]), &in_force)[0].birth;
    assert_eq!(by(&[due(minute(60))]), minute(20));
    let never = planned_under(&merged(&[created(minute(1), &[due(minute(60))])]), &in_force, 0);
    assert_eq!(never[0].birth, minute(1), "of what was never planned no former settings know");
    assert_eq!(by(&[due(minute(60)), offsets(&[0])]), minute(1));
    assert_eq!(by(&[remind_at(&[50])]), minute(1));
}

#[test]
fn naive_times_belong_to_the_tasks_zone_else_to_the_default() {
    let naive = [Statement::Due(Some(wall("2026-11-24T12:00:00"))), offsets(&[0])];
    let fires = |statements: &[Statement], in_force: &PolicyInForce| {
        planned_of(&merged(&[created(minute(BEFORE), statements)]), in_force)[0].fire_at
    };
    assert_eq!(fires(&naive, &policy()), at("2026-11-24T12:00:00Z"));
    let mut in_force = policy();
    in_force.policy.default_zone = zone("Asia/Kolkata");
    assert_eq!(fires(&naive, &in_force), at("2026-11-24T06:30:00Z"));
    let [naive, none] = naive;
    let berlin = Statement::Zone(Some(zone("Europe/Berlin")));
    assert_eq!(fires(&[naive.clone(), berlin, none.clone()], &in_force), at("2026-11-24T11:00:00Z"));
    assert_eq!(fires(&[naive, Statement::Zone(None), none], &in_force), at("2026-11-24T06:30:00Z"));
}

#[test]
fn a_date_alone_fires_at_the_configured_time_of_day_in_its_zone() {
    let day = Statement::Due(Some(Due::date("2026-11-25".parse().unwrap())));
    let berlin = Statement::Zone(Some(zone("Europe/Berlin")));
    let planned = planned_of(&merged(&[created(T0, &[day, berlin, offsets(&[0])])]), &policy());
    assert_eq!(planned[0].fire_at, at("2026-11-25T08:00:00Z"));
}

#[test]
fn explicit_times_have_no_occurrence_so_that_no_due_date_moves_them() {
    let task = merged(&[created(minute(BEFORE), &[due(minute(60)), remind_at(&[50])])]);
    let moved = {
        let mut task = task.clone();
        task.apply(&updated(minute(1), &[due(minute(90))]), minute(1));
        task
    };
    assert_eq!(planned_of(&task, &policy()), planned_of(&moved, &policy()));
    assert_eq!(planned_of(&task, &policy())[0].occurrence, None);
}

#[test]
fn policies_that_plan_alike_have_one_digest() {
    let base = policy().policy;
    let others = [
        Policy { default_offsets: vec![0], ..base.clone() },
        Policy { default_zone: zone("Asia/Kolkata"), ..base.clone() },
        Policy { date_only: NaiveTime::MIN, ..base.clone() },
        Policy { spread: std::time::Duration::from_secs(7), ..base.clone() },
    ];
    for other in others {
        assert_ne!(other.digests().whole, base.digests().whole);
    }
    let patient = Policy { expire_after: std::time::Duration::ZERO, ..base.clone() };
    assert_eq!(
        patient.digests().whole,
        base.digests().whole,
        "when a reminder expires is no part of the plan"
    );
}

#[test]
fn a_new_default_zone_or_time_of_day_gives_birth_to_what_is_read_by_it_and_to_nothing_else() {
    let since = PolicySince { zone: minute(50), date_only: minute(70), ..PolicySince::all(Timestamp::MIN) };
    let in_force = PolicyInForce { since, ..policy() };
    let own_zone = Statement::Zone(Some(zone("Europe/Berlin")));
    let day = Due::date(chrono::NaiveDate::from_ymd_opt(2030, 1, 1).unwrap());
    for (says, statements, born) in [
        ("an instant", vec![due(minute(99))], minute(0)),
        ("a wall time", vec![Statement::Due(Some(wall("2030-01-01T09:00:00")))], minute(50)),
        (
            "with a zone of its own",
            vec![Statement::Due(Some(wall("2030-01-01T09:00:00"))), own_zone.clone()],
            minute(0),
        ),
        ("a date", vec![Statement::Due(Some(day))], minute(70)),
        ("a date with a zone", vec![Statement::Due(Some(day)), own_zone], minute(70)),
    ] {
        let task = merged(&[created(minute(0), &statements)]);
        assert_eq!(planned_of(&task, &in_force)[0].birth, born, "{says}");
    }
}
