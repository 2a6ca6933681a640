//! What of all that a task's rules name is worth a reminder.

use super::*;

fn times(minutes: &[i64]) -> Statement {
    Statement::RemindAt(Some(minutes.iter().map(|m| Due::Instant(minute(*m))).collect()))
}

fn nags(every_minutes: u32, max: u32) -> Statement {
    Statement::Nags(Some(Nags { every_minutes, max }))
}

fn snooze(at: i64, until: i64) -> Event {
    let snooze = Snooze { until: Until::At(minute(until)), of: Target::Present };
    Event { statements: vec![Statement::Snooze(Some(snooze))], ..event(Kind::Snoozed, minute(at)) }
}

fn record(events: &[Event]) -> Record {
    Record { task: merged(events), ..Record::default() }
}

fn rules_of(record: &Record) -> Vec<String> {
    let rules = &Rules { in_force: &policy(), user: None };
    plan(&task("t"), record, rules).iter().map(|p| p.rule.to_string()).collect()
}

fn left_out_of(record: &Record) -> Vec<(String, LeftOut)> {
    let rules = &Rules { in_force: &policy(), user: None };
    left_out(&task("t"), record, rules).iter().map(|(p, why)| (p.rule.to_string(), *why)).collect()
}

#[test]
fn of_rules_at_one_instant_the_first_makes_the_one_reminder() {
    let hour = || due(minute(60));
    let at_50 = "at:2026-11-24T09:50:00.000Z";
    let until_70 = "snooze:2026-11-24T10:10:00.000Z";
    for (says, events, kept, dropped) in [
        (
            "an explicit time at an offset's instant",
            vec![created(T0, &[hour(), offsets(&[10]), times(&[50])])],
            &["offset:10"][..],
            &[at_50][..],
        ),
        (
            "a snooze until an offset's instant",
            vec![created(T0, &[hour(), offsets(&[0])]), snooze(1, 60)],
            &["offset:0"],
            &["snooze:2026-11-24T10:00:00.000Z"],
        ),
        (
            "a snooze until an explicit time",
            vec![created(T0, &[hour(), offsets(&[]), times(&[50])]), snooze(1, 50)],
            &[at_50],
            &["snooze:2026-11-24T09:50:00.000Z"],
        ),
        (
            "a nag where a snooze ends",
            vec![created(T0, &[hour(), offsets(&[0]), nags(10, 2)]), snooze(61, 70)],
            &["offset:0", until_70, "nag:2"],
            &["nag:1"],
        ),
    ] {
        let record = record(&events);
        assert_eq!(rules_of(&record), kept, "{says}");
        let dropped: Vec<_> = dropped.iter().map(|rule| ((*rule).to_owned(), LeftOut::SameInstant)).collect();
        assert_eq!(left_out_of(&record), dropped, "{says}");
    }
}

#[test]
fn what_was_past_when_it_came_to_be_takes_no_others_place() {
    let told = created(T0, &[times(&[50]), offsets(&[10])]);
    let record = record(&[told, updated(minute(55), &[due(minute(60))])]);
    let planned = plan(&task("t"), &record, &Rules { in_force: &policy(), user: None });
    let live: Vec<_> = planned.iter().filter(|p| !p.is_born_expired()).map(|p| p.rule.to_string()).collect();
    assert_eq!(live, ["offset:0", "at:2026-11-24T09:50:00.000Z"], "offset:10 would be of minute 50 as well");
}

/// A task with as many reminders as it may state: offsets and times of [`LIST_MAX`] each, a snooze and so many nags.
fn crowded(nags_max: u32) -> Record {
    let count = u32::try_from(LIST_MAX).unwrap();
    let all_offsets: Vec<u32> = (0..count).collect();
    let all_times: Vec<i64> = (0..i64::from(count)).map(|n| 200 + n).collect();
    let all = [due(minute(100)), offsets(&all_offsets), times(&all_times), nags(500, nags_max)];
    record(&[created(T0, &all), snooze(1, 300)])
}

#[test]
fn a_task_has_as_many_reminders_as_the_bound_and_the_last_nags_are_left_out() {
    let room = PLANNED_MAX - 2 * LIST_MAX - 1;
    let on = crowded(u32::try_from(room).unwrap());
    assert_eq!((rules_of(&on).len(), left_out_of(&on)), (PLANNED_MAX, vec![]));
    let beyond = crowded(u32::try_from(room).unwrap() + 1);
    assert_eq!(rules_of(&beyond), rules_of(&on));
    assert_eq!(rules_of(&beyond)[0], "offset:0", "the plain reminder comes first");
    assert_eq!(left_out_of(&beyond), [(format!("nag:{}", room + 1), LeftOut::TooMany)]);
}

#[test]
fn every_reason_tells_a_person_something_of_its_own() {
    let all = [LeftOut::SameInstant, LeftOut::TooMany, LeftOut::Acknowledged, LeftOut::Snoozed];
    let reasons: std::collections::HashSet<_> = all.map(LeftOut::reason).into();
    assert_eq!(reasons.len(), all.len());
}

#[test]
fn what_was_called_off_stands_in_no_others_way() {
    let all_off = updated(minute(10), &[Statement::Cancelled(Some(Target::Present))]);
    let cases = [
        ("a snooze until then", snooze(20, 60)),
        ("an explicit time then", updated(minute(20), &[times(&[60])])),
    ];
    for (name, anew) in cases {
        let record = record(&[created(T0, &[due(minute(60)), offsets(&[0])]), all_off.clone(), anew]);
        assert_eq!(rules_of(&record).len(), 1, "{name}: {:?}", rules_of(&record));
    }
}

#[test]
fn what_is_called_off_goes_with_all_that_it_was_the_one_reminder_for() {
    let event = created(T0, &[due(minute(60)), offsets(&[0]), times(&[60])]);
    let id =
        ReminderId::of(&task("t"), Some(Moment::new(Due::Instant(minute(60)), Zone::UTC)), Rule::Offset(0));
    let off = updated(minute(10), &[Statement::Cancelled(Some(Target::Reminder(id)))]);
    assert_eq!(rules_of(&record(&[event, off])), [""; 0]);
}
