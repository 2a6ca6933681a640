//! What was past when it was imported stays past.

use super::import::keep_past;
use super::*;

/// A record that `events`, imported at `arrived`, have made of `record`.
fn imported(mut record: Record, events: &[Event], arrived: Timestamp) -> (Record, usize) {
    let mut past = 0;
    for event in events {
        record.task.apply(event, arrived);
        let before = record.reminders.clone();
        replanned(&mut record, &policy(), arrived);
        past += keep_past(&before, &mut record, policy().expiry(), arrived);
    }
    (record, past)
}

fn told(mut record: Record, event: &Event, now: Timestamp) -> Record {
    record.task.apply(event, now);
    replanned(&mut record, &policy(), now);
    record
}

#[test]
fn an_instant_at_or_before_the_arrival_is_past_and_a_later_one_fires() {
    for (minutes, is_past) in [(-1, true), (0, true), (1, false)] {
        let event = created(minute(-100), &[due(minute(minutes)), offsets(&[0])]);
        let (record, past) = imported(Record::default(), &[event], T0);
        assert_eq!(past, usize::from(is_past), "{minutes}");
        let reminder = &record.reminders[0];
        let (state, cause) = (reminder.state, reminder.cause);
        let expected =
            if is_past { (State::Expired, Some(Cause::PastAtImport)) } else { (State::Pending, None) };
        assert_eq!((state, cause), expected, "{minutes}");
    }
}

#[test]
fn what_is_expired_for_another_reason_is_told_to_be_past_at_the_import_too() {
    let born_late = created(minute(-5), &[due(minute(-10)), offsets(&[0])]);
    let long_ago = created(minute(-9_000), &[due(minute(-8_000)), offsets(&[0])]);
    for event in [born_late, long_ago] {
        let (record, past) = imported(Record::default(), &[event], T0);
        assert_eq!((past, record.reminders[0].cause), (1, Some(Cause::PastAtImport)));
    }
}

#[test]
fn a_reminder_that_was_pending_before_an_import_is_not_touched_by_it() {
    let event = created(minute(-100), &[due(minute(-1)), offsets(&[0])]);
    let known = told(Record::default(), &event, minute(-50));
    let again = updated(minute(-40), &[title("b"), due(minute(-1))]);
    let (record, past) = imported(known, &[again], T0);
    assert_eq!((past, pending(&record)), (0, vec![("offset:0".to_owned(), -1)]));
}

#[test]
fn a_past_reminder_that_an_import_calls_for_again_does_not_fire() {
    let known = told(
        told(Record::default(), &created(minute(-100), &[due(minute(-1)), offsets(&[0])]), minute(-50)),
        &event(Kind::Completed, minute(-40)),
        minute(-40),
    );
    assert_eq!(known.reminders[0].state, State::Cancelled);
    let reopened = updated(minute(-30), &[Statement::Status(Some(Status::Todo))]);
    let (record, past) = imported(known.clone(), std::slice::from_ref(&reopened), T0);
    assert_eq!((past, record.reminders[0].state), (1, State::Expired));
    let delivered = told(known, &reopened, T0);
    assert_eq!(delivered.reminders[0].state, State::Pending, "by the topic it is late and fires");
}

#[test]
fn what_is_heard_of_a_task_later_does_not_bring_a_past_reminder_back() {
    let event = created(minute(-100), &[due(minute(-10)), offsets(&[0])]);
    let (record, _) = imported(Record::default(), &[event], T0);
    for later in [
        updated(minute(5), &[title("b")]),
        updated(minute(5), &[due(minute(-10))]),
        updated(minute(5), &[Statement::Status(Some(Status::InProgress))]),
        created(minute(-200), &[due(minute(-10))]),
    ] {
        let record = told(record.clone(), &later, minute(10));
        assert_eq!(pending(&record), [], "{later:?}");
        assert_eq!(record.reminders[0].cause, Some(Cause::PastAtImport));
    }
    let moved = told(record, &updated(minute(5), &[due(minute(30))]), minute(10));
    assert_eq!(pending(&moved), [("offset:0".to_owned(), 30)], "a new due date is a new reminder");
}

#[test]
fn a_past_reminder_whose_instant_moves_behind_the_import_fires_then() {
    let event = created(minute(-100), &[Statement::Due(Some(Due::Date(0))), offsets(&[0])]);
    let day = Timestamp::from_millis(9 * 3_600_000);
    let (mut record, past) = imported(Record::default(), &[event], day);
    assert_eq!(past, 1);
    let mut later = policy();
    later.policy.date_only = NaiveTime::from_hms_opt(10, 0, 0).unwrap();
    replanned(&mut record, &later, day);
    assert_eq!(record.reminders[0].state, State::Pending);
}

#[test]
fn of_a_series_only_what_is_ahead_of_the_import_is_planned() {
    let hourly = Statement::Recurrence(Some(r#""FREQ=HOURLY""#.into()));
    let event = created(minute(0), &[due(minute(60)), offsets(&[0]), hourly]);
    let arrived = minute(60 * 24 * 365 + 30);
    let mut record = Record::default();
    record.task.apply(&event, arrived);
    replanned(&mut record, &policy(), arrived);
    keep_past(&[], &mut record, policy().expiry(), arrived);
    replanned(&mut record, &policy(), arrived);
    assert_eq!(pending(&record), [("offset:0".to_owned(), 60 * 24 * 365 + 60)]);
    assert!(record.reminders.len() <= 3, "what lies between was never planned: {}", record.reminders.len());
}
