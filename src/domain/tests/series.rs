//! How a task that comes again is planned, one occurrence after the other.

use std::time::Duration;

use super::super::plan::dates::Dates;
use super::*;

const DAY: i64 = 24 * 60;

fn recurs(rule: &str) -> Statement {
    Statement::Recurrence(Some(rule.into()))
}

const DAILY: &str = r#"{"frequency":"daily"}"#;

/// A task due at minute 60 with a reminder then, stated at `told`.
fn daily(told: i64, rule: &str) -> Record {
    let event = created(minute(told), &[due(minute(60)), offsets(&[0]), recurs(rule)]);
    let mut record = Record { task: merged(&[event]), ..Record::default() };
    replanned(&mut record, &policy(), minute(told));
    record
}

/// Everything that is due by `now` goes out, again and again until nothing is; the minutes it was for.
fn fire_until(record: &mut Record, now: Timestamp) -> Vec<i64> {
    let mut fired = Vec::new();
    while let Some(due) =
        record.reminders.iter_mut().find(|r| r.state == State::Pending && r.wakes_at() <= now)
    {
        fired.push((due.fire_at.millis() - T0.millis()) / 60_000);
        due.settle(State::Published, now, None);
        replanned(record, &policy(), now);
    }
    fired
}

fn next(record: &Record) -> Vec<i64> {
    pending(record).into_iter().map(|(_, minute)| minute).collect()
}

#[test]
fn only_the_next_occurrence_is_planned_and_the_one_after_it_when_it_is_settled() {
    let mut record = daily(0, DAILY);
    assert_eq!(next(&record), [60]);
    for day in 0..3 {
        assert_eq!(fire_until(&mut record, minute(60 + day * DAY)), [60 + day * DAY]);
        assert_eq!(next(&record), [60 + (day + 1) * DAY]);
    }
    let ids: std::collections::HashSet<_> = record.reminders.iter().map(|r| r.id(&task("t"))).collect();
    assert_eq!(ids.len(), 4, "each occurrence has an identity of its own");
}

#[test]
fn a_rule_whose_interval_begins_with_the_due_date_goes_on_from_there() {
    for (began, rule, expected) in [
        ("24T09:00", "FREQ=HOURLY;INTERVAL=2;BYHOUR=9,11,13,15,17", "2026-11-24T11:00:00Z"),
        ("24T09:00", "FREQ=MONTHLY;INTERVAL=3;BYMONTH=2,5,8,11", "2027-02-24T09:00:00Z"),
        ("24T09:00", "FREQ=MONTHLY;INTERVAL=12;BYMONTH=11", "2027-11-24T09:00:00Z"),
        ("24T09:15", "FREQ=MINUTELY;INTERVAL=30;BYMINUTE=15,45", "2026-11-24T09:45:00Z"),
        ("25T09:00", "FREQ=DAILY;INTERVAL=14;BYDAY=WE", "2026-12-09T09:00:00Z"),
    ] {
        let (told, began) = (minute(-60), at(&format!("2026-11-{began}:00Z")));
        let says = [due(began), offsets(&[0]), recurs(&format!("\"{rule}\""))];
        let mut record = Record { task: merged(&[created(told, &says)]), ..Record::default() };
        replanned(&mut record, &policy(), told);
        assert_eq!(fire_until(&mut record, began).len(), 1, "{rule}");
        let next: Vec<_> = record.reminders.iter().filter(|r| r.state == State::Pending).collect();
        assert_eq!(next.iter().map(|r| r.fire_at).collect::<Vec<_>>(), [at(expected)], "{rule}");
        let rules = Rules { in_force: &policy(), user: None };
        assert_eq!(series_end(&record.task, &rules, began), None, "{rule}");
    }
}

#[test]
fn every_rule_goes_on_by_itself_even_where_its_offset_is_longer_than_the_period() {
    let event = created(minute(0), &[due(minute(60)), offsets(&[0, 15, 3 * 24 * 60]), recurs(DAILY)]);
    let mut record = Record { task: merged(&[event]), ..Record::default() };
    replanned(&mut record, &policy(), minute(0));
    // The offset of three days would remind of the past for three occurrences; the fourth is an hour away.
    assert_eq!(next(&record), [60, 45, 60]);
    assert_eq!(fire_until(&mut record, minute(60)), [60, 45, 60]);
    assert_eq!(next(&record), [60 + DAY, 45 + DAY, 60 + DAY]);
}

#[test]
fn a_series_begun_years_ago_expires_its_due_date_and_nothing_else() {
    let told = 3 * 365 * DAY;
    let mut record = daily(told, DAILY);
    assert_eq!(next(&record), [told + 60]);
    assert_eq!(record.reminders.len(), 2);
    assert_eq!((record.reminders[0].state, record.reminders[0].fire_at), (State::Expired, minute(60)));
    replanned(&mut record, &policy(), minute(told + 1));
    assert_eq!(
        (record.reminders.len(), next(&record)),
        (2, vec![told + 60]),
        "planning again changes nothing"
    );
}

#[test]
fn what_nobody_looked_at_for_days_expires_once_and_goes_on_within_the_time_worth_sending() {
    let mut record = daily(0, DAILY);
    let now = minute(60 + 10 * DAY + 30);
    replanned(&mut record, &policy(), now);
    assert_eq!(record.reminders[0].state, State::Expired);
    assert_eq!(next(&record), [60 + 10 * DAY], "the one of half an hour ago");
    assert_eq!(record.reminders.len(), 2, "those in between were never planned");
}

#[test]
fn a_series_that_has_ended_plans_nothing_more() {
    let mut record = daily(0, r#"{"frequency":"daily","count":2}"#);
    assert_eq!(fire_until(&mut record, minute(60)), [60]);
    assert_eq!(fire_until(&mut record, minute(60 + DAY)), [60 + DAY]);
    assert!(next(&record).is_empty());
    let never = daily(0, r#""FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30""#);
    assert_eq!(next(&never), [60], "the due date is the first occurrence whatever the rule names");
}

#[test]
fn who_asks_why_a_series_ends_is_told_where_its_count_could_not_be_followed() {
    let record = daily(0, r#""FREQ=DAILY;BYHOUR=8,9;COUNT=4294967295""#);
    let in_force = policy();
    let end =
        |day: i64| series_end(&record.task, &Rules { in_force: &in_force, user: None }, minute(day * DAY));
    assert_eq!(end(250 * 365), None, "a life later");
    assert!(end(280 * 365).unwrap().starts_with("its count of 4294967295 could not be followed"));
}

#[test]
fn a_rule_that_cannot_be_read_costs_the_due_reminder_nothing() {
    for rule in ["{}", "[]", "\"\"", "\"FREQ=SOMETIMES\"", r#"{"frequency":"fortnightly"}"#, "no json"] {
        assert_eq!(next(&daily(0, rule)), [60], "{rule}");
    }
}

#[test]
fn who_follows_a_series_is_decided_by_the_rule_then_by_its_producer_then_by_the_configuration() {
    let tell = |rule: &str, producer: Option<&str>, follow: bool| {
        let mut event = created(minute(0), &[due(minute(60)), offsets(&[0]), recurs(rule)]);
        event.producer = producer.map(str::to_owned);
        let mut record = Record { task: merged(&[event]), ..Record::default() };
        let mut in_force = policy();
        in_force.policy.follow_recurrence = follow;
        in_force.policy.recurrence_not_from = vec!["makes-its-own".to_owned()];
        replanned(&mut record, &in_force, minute(0));
        record.reminders[0].settle(State::Published, minute(60), None);
        replanned(&mut record, &in_force, minute(60));
        next(&record)
    };
    let (on, off) = (vec![60 + DAY], Vec::<i64>::new());
    let no = r#"{"follow":false,"frequency":"daily"}"#;
    let yes = r#"{"follow":true,"frequency":"daily"}"#;
    for (rule, producer, follow, expected) in [
        (DAILY, None, true, &on),
        (DAILY, Some("any"), true, &on),
        (DAILY, Some("makes-its-own"), true, &off),
        (DAILY, None, false, &off),
        (no, Some("any"), true, &off),
        (yes, Some("makes-its-own"), true, &on),
        (yes, None, false, &on),
    ] {
        assert_eq!(&tell(rule, producer, follow), expected, "{rule} of {producer:?}, follow = {follow}");
    }
}

#[test]
fn completing_ends_a_series_unless_it_says_next_and_then_what_was_done_is_left_behind() {
    let rule = r#"{"frequency":"daily","on_complete":"next"}"#;
    let completed = |rule: &str, at: i64| {
        let mut record = daily(0, rule);
        fire_until(&mut record, minute(at));
        record.task.apply(&event(Kind::Completed, minute(at)), minute(at));
        replanned(&mut record, &policy(), minute(at));
        next(&record)
    };
    assert!(completed(DAILY, 70).is_empty());
    for (says, at, expected) in [
        ("before it was ever due", 10, 60 + DAY),
        ("at once", 60, 60 + DAY),
        ("half a day late", 60 + DAY / 2, 60 + DAY),
        ("just before the last quarter", 60 + DAY * 3 / 4 - 1, 60 + DAY),
        ("early for the next, on the bound", 60 + DAY * 3 / 4, 60 + 2 * DAY),
        ("an hour early for the next", DAY, 60 + 2 * DAY),
    ] {
        assert_eq!(completed(rule, at), [expected], "{says}");
    }
    let mut deleted = daily(0, rule);
    deleted.task.apply(&event(Kind::Deleted, minute(1)), minute(1));
    replanned(&mut deleted, &policy(), minute(1));
    assert!(next(&deleted).is_empty(), "what is deleted is deleted");
}

#[test]
fn a_moved_due_date_begins_the_series_anew() {
    let mut record = daily(0, DAILY);
    fire_until(&mut record, minute(60));
    record.task.apply(&updated(minute(90), &[due(minute(120))]), minute(90));
    replanned(&mut record, &policy(), minute(90));
    assert_eq!(next(&record), [120]);
    assert_eq!(fire_until(&mut record, minute(120)), [120]);
    assert_eq!(next(&record), [120 + DAY]);
}

#[test]
fn the_wall_time_is_kept_over_a_change_of_the_clocks() {
    let berlin = Statement::Zone(Some(zone("Europe/Berlin")));
    let told = at("2027-03-26T00:00:00Z");
    let nine = Statement::Due(Some(wall("2027-03-27T09:00:00")));
    let mut record = Record {
        task: merged(&[created(told, &[nine, berlin, offsets(&[0]), recurs(DAILY)])]),
        ..Record::default()
    };
    replanned(&mut record, &policy(), told);
    let mut fired = Vec::new();
    for _ in 0..3 {
        let reminder = record.reminders.iter_mut().find(|r| r.state == State::Pending).unwrap();
        let now = reminder.fire_at;
        fired.push(now.to_rfc3339());
        reminder.settle(State::Published, now, None);
        replanned(&mut record, &policy(), now);
    }
    assert_eq!(fired, ["2027-03-27T08:00:00.000Z", "2027-03-28T07:00:00.000Z", "2027-03-29T07:00:00.000Z"]);
}

#[test]
fn a_series_goes_on_though_the_clock_steps_back_while_a_reminder_goes_out() {
    for twice in [false, true] {
        let mut record = daily(0, if twice { r#"{"frequency":"daily","count":2}"# } else { DAILY });
        record.reminders[0].settle(State::Published, minute(50), None);
        replanned(&mut record, &policy(), minute(50));
        assert_eq!(next(&record), [60 + DAY]);
        record.reminders[1].settle(State::Published, minute(51), None);
        let policy = policy();
        let is_lost = |record: &Record| {
            is_silent(&task("t"), record, &Rules { in_force: &policy, user: None }, minute(52))
        };
        assert_eq!(is_lost(&record), !twice, "the last one is out");
        replanned(&mut record, &policy, minute(52));
        assert_eq!((next(&record).len(), is_lost(&record)), (usize::from(!twice), false));
    }
}

#[test]
fn a_record_of_a_series_stays_bounded() {
    let mut record = daily(0, r#"{"frequency":"daily"}"#);
    for day in 0..400 {
        let now = minute(60 + day * DAY);
        assert_eq!(fire_until(&mut record, now), [60 + day * DAY]);
        record.trim(now.plus(Duration::from_secs(1)));
    }
    assert!(record.reminders.len() <= SETTLED_MAX + 1, "{}", record.reminders.len());
    assert_eq!(record.low_water.len(), 1);
}

#[test]
fn the_last_occurrence_before_an_instant_is_found() {
    let record = daily(0, DAILY);
    let policy = policy();
    let dates = Dates::of(&record.task, &Rules { in_force: &policy, user: None }).unwrap();
    let until = |at: Timestamp| dates.until(at).map(|o| (dates.instant(o).millis() - T0.millis()) / 60_000);
    assert_eq!(until(minute(59)), None);
    for (at, last) in
        [(60, 60), (61, 60), (59 + DAY, 60), (60 + DAY, 60 + DAY), (60 + 4000 * DAY, 60 + 4000 * DAY)]
    {
        assert_eq!(until(minute(at)), Some(last), "{at}");
    }
    assert!(dates.contain(dates.after(minute(60)).unwrap()));
    assert!(!dates.contain(Moment::new(Due::Instant(minute(61)), Zone::UTC)));
}

#[test]
fn an_explicit_time_at_the_instant_of_an_occurrence_reminds_no_second_time() {
    let at = Statement::RemindAt(Some(vec![Due::Instant(minute(60 + DAY))]));
    let event = created(minute(0), &[due(minute(60)), offsets(&[0]), at, recurs(DAILY)]);
    let mut record = Record { task: merged(&[event]), ..Record::default() };
    replanned(&mut record, &policy(), minute(0));
    assert_eq!(fire_until(&mut record, minute(60)), [60]);
    assert_eq!(fire_until(&mut record, minute(60 + DAY)), [60 + DAY]);
    assert_eq!(fire_until(&mut record, minute(60 + DAY + 1)), Vec::<i64>::new());
    assert_eq!(next(&record), [60 + 2 * DAY]);
}
