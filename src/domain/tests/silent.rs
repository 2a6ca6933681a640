//! Whether a series that goes on has lost its next reminder.

use super::*;

const DAY: i64 = 24 * 60;

fn recurs(rule: &str) -> Statement {
    Statement::Recurrence(Some(rule.into()))
}

const DAILY: &str = r#"{"frequency":"daily"}"#;

/// A task due at minute 60 of which nothing is pending any more, a minute after that.
fn quiet_since_due(statements: &[Statement], later: &[Event]) -> Record {
    let told = created(minute(0), &[&[due(minute(60)), offsets(&[30])], statements].concat());
    let mut record = Record { task: merged(&[&[told], later].concat()), generation: 1, ..Record::default() };
    let sent = Reminder::pending(
        Some(Moment::new(Due::Instant(minute(60)), Zone::UTC)),
        Rule::Offset(30),
        minute(30),
    );
    record.reminders = vec![Reminder { state: State::Published, ..sent }];
    record
}

fn is_lost(record: &Record, in_force: &PolicyInForce) -> bool {
    is_silent(&task("t"), record, &Rules { in_force, user: None }, minute(61))
}

#[test]
fn a_series_that_goes_on_without_a_pending_reminder_is_silent() {
    let cancelled = |of| updated(minute(40), &[Statement::Cancelled(Some(of))]);
    let second = Target::Occurrence(Moment::new(wall("2026-11-25T10:00:00"), Zone::UTC));
    let cases: [(&str, &[Statement], &[Event], bool); 12] = [
        ("a series", &[recurs(DAILY)], &[], true),
        ("a plain task", &[], &[], false),
        ("a rule that nobody can read", &[recurs("{}")], &[], false),
        ("one that has ended", &[recurs(r#"{"frequency":"daily","count":1}"#)], &[], false),
        ("one with a last occurrence ahead", &[recurs(r#"{"frequency":"daily","count":2}"#)], &[], true),
        ("one that never comes", &[recurs(r#""FREQ=MONTHLY;BYMONTH=2;BYMONTHDAY=30""#)], &[], false),
        ("one without reminders", &[recurs(DAILY)], &[updated(minute(1), &[offsets(&[])])], false),
        ("one that was completed", &[recurs(DAILY)], &[event(Kind::Completed, minute(50))], false),
        ("one that was deleted", &[recurs(DAILY)], &[event(Kind::Deleted, minute(50))], false),
        ("one that was called off", &[recurs(DAILY)], &[cancelled(Target::Present)], false),
        ("one whose next was called off alone", &[recurs(DAILY)], &[cancelled(second)], true),
        (
            "one whose last was called off alone",
            &[recurs(r#"{"frequency":"daily","count":2}"#)],
            &[cancelled(second)],
            false,
        ),
    ];
    for (says, statements, later, lost) in cases {
        assert_eq!(is_lost(&quiet_since_due(statements, later), &policy()), lost, "{says}");
    }
}

#[test]
fn a_series_with_a_pending_reminder_or_one_that_is_not_followed_is_not_silent() {
    let mut record = quiet_since_due(&[recurs(DAILY)], &[]);
    let mut left_to_others = policy();
    left_to_others.policy.follow_recurrence = false;
    assert!(!is_lost(&record, &left_to_others));
    replanned(&mut record, &policy(), minute(61));
    assert_eq!(pending(&record), [("offset:30".to_owned(), 30 + DAY)]);
    assert!(!is_lost(&record, &policy()));
}

#[test]
fn an_occurrence_ahead_whose_reminder_is_past_is_nothing_to_remind_of() {
    let twice = recurs(r#"{"frequency":"daily","count":2}"#);
    let record = quiet_since_due(&[twice], &[]);
    let lost_at =
        |at: i64| is_silent(&task("t"), &record, &Rules { in_force: &policy(), user: None }, minute(at));
    assert_eq!((lost_at(29 + DAY), lost_at(30 + DAY), lost_at(59 + DAY)), (true, false, false));
}
