//! Other settings and other zones: what fell due by the former ones, and what was never planned by them.

use super::preferences::wishes;
use super::*;

/// `policy` under other settings that are in force since minute `at`.
fn since(at: i64, change: impl Fn(&mut Policy)) -> PolicyInForce {
    let mut other = PolicyInForce { since: PolicySince::all(minute(at)), generation: 2, ..policy() };
    change(&mut other.policy);
    other
}

fn daily(at: i64) -> Event {
    created(minute(-60), &[due(minute(at)), Statement::Recurrence(Some(r#""FREQ=DAILY""#.into()))])
}

#[test]
fn what_a_series_missed_by_former_defaults_goes_out_and_it_goes_on_by_those_of_now() {
    let mut record = Record { task: merged(&[daily(60)]), ..Record::default() };
    replanned(&mut record, &policy(), minute(-60));
    // Of each day: minute 45 by the former, 55 by the new ones.
    for (now, of_now) in [
        (50, vec![("offset:15", 45), ("offset:5", 55)]),
        (70, vec![("offset:15", 45), ("offset:5", 55 + 24 * 60)]),
    ] {
        let mut record = record.clone();
        let defaults = since(now, |policy| policy.default_offsets = vec![5]);
        replanned(&mut record, &defaults, minute(now));
        let is: Vec<_> = pending(&record);
        let is: Vec<_> =
            is.iter().map(|(rule, at)| (rule.as_str(), *at)).filter(|(_, at)| *at < 9_000).collect();
        for one in of_now {
            assert!(is.contains(&one), "{one:?} of {is:?}");
        }
    }
}

/// A date alone, at nine in the morning of the zone.
fn on_a_date() -> Event {
    let day = Due::date(chrono::NaiveDate::from_ymd_opt(2026, 11, 25).unwrap());
    created(T0, &[Statement::User(Some("u".into())), Statement::Due(Some(day)), offsets(&[0])])
}

#[test]
fn what_waits_for_a_date_in_one_zone_and_is_past_in_another_is_late_and_not_past() {
    let nine = at("2026-11-25T09:00:00Z");
    for (moved_at, fires_at) in
        [("2026-11-25T07:30:00Z", "2026-11-25T08:00:00Z"), ("2026-11-25T08:30:00Z", "2026-11-25T08:00:00Z")]
    {
        let (now, fires_at) = (at(moved_at), at(fires_at));
        let mut record = Record { task: merged(&[on_a_date()]), ..Record::default() };
        replanned(&mut record, &policy(), T0);
        assert_eq!(record.reminders[0].fire_at, nine);
        let user = wishes(&[(now, Wish::Zone(Some(zone("Europe/Berlin"))))]);
        let (in_force, id) = (policy(), task("t"));
        let rules = Rules { in_force: &in_force, user: Some(&user) };
        // Whatever is planned after that.
        for _ in 0..2 {
            decide::replan(&id, &mut record, &rules, now, &|_| false);
            let states: Vec<_> = record.reminders.iter().map(|r| (r.fire_at, r.state)).collect();
            assert_eq!(states, [(nine, State::Superseded), (fires_at, State::Pending)], "{moved_at}");
        }
    }
}

#[test]
fn what_went_out_in_one_zone_is_past_in_another() {
    let mut record = Record { task: merged(&[on_a_date()]), ..Record::default() };
    replanned(&mut record, &policy(), T0);
    let now = at("2026-11-25T09:30:00Z");
    record.reminders[0].settle(State::Published, now, None);
    let user = wishes(&[(now, Wish::Zone(Some(zone("Europe/Berlin"))))]);
    let in_force = policy();
    decide::replan(&task("t"), &mut record, &Rules { in_force: &in_force, user: Some(&user) }, now, &|_| {
        false
    });
    assert!(record.reminders.iter().all(|r| r.state != State::Pending), "{:?}", record.reminders);
}

#[test]
fn what_is_heard_of_for_the_first_time_was_never_planned_by_former_settings() {
    let naive = created(T0, &[Statement::Due(Some(wall("2026-11-24T09:20:00"))), offsets(&[0])]);
    let date = Due::date(chrono::NaiveDate::from_ymd_opt(2026, 11, 24).unwrap());
    let date = created(minute(-5), &[Statement::Due(Some(date)), offsets(&[0])]);
    let nagged = created(minute(-5), &[due(T0), offsets(&[0])]);
    let nags = |policy: &mut Policy| policy.nags = Some(Nags { every_minutes: 20, max: 1 });
    for (name, event, in_force, fires) in [
        ("a wall time", naive, since(30, |_| ()), 20),
        ("a date", date, since(30, |_| ()), 0),
        ("a nag", nagged, since(30, nags), 20),
    ] {
        let mut record = Record { task: merged(&[event]), ..Record::default() };
        replanned(&mut record, &in_force, minute(31));
        let late = record.reminders.iter().find(|r| r.fire_at == minute(fires)).expect(name);
        assert_eq!(late.state, State::Pending, "{name}");
    }
}
