//! The answer to why, from a record.

use super::super::history::{History, Note};
use super::super::why::{Nothing, nothing, timeline};
use super::history::noted;
use super::*;

/// What happened and at which minute.
fn told(record: &Record) -> Vec<(&'static str, i64)> {
    let minutes = |at: Timestamp| (at.millis() - T0.millis()) / 60_000;
    timeline(record).iter().map(|entry| (entry.what.name(), minutes(entry.at))).collect()
}

fn one_at_60() -> Record {
    let mut record = Record::default();
    noted(&mut record, &created(T0, &[due(minute(60)), offsets(&[0])]), T0);
    record
}

#[test]
fn a_timeline_goes_from_cause_to_effect() {
    let mut record = one_at_60();
    assert_eq!(told(&record), [("task_created", 0), ("planned", 0)]);
    let reminder = &mut record.reminders[0];
    let backoff =
        Backoff { initial: std::time::Duration::from_secs(1), max: std::time::Duration::from_secs(1) };
    decide::end_attempt(reminder, &decide::Attempt::Failed("x".into()), &backoff, 0, minute(60));
    decide::end_attempt(reminder, &decide::Attempt::Confirmed, &backoff, 0, minute(61));
    decide::receive(reminder, minute(61), false);
    let fired = [("task_created", 0), ("planned", 0), ("failed", 60), ("published", 61), ("received", 61)];
    assert_eq!(told(&record), fired);
}

#[test]
fn what_ends_a_reminder_stands_after_its_cause() {
    for (event, outcome) in [
        (event(Kind::Completed, minute(5)), vec![("task_completed", 5), ("cancelled", 5)]),
        (event(Kind::Deleted, minute(5)), vec![("task_deleted", 5), ("cancelled", 5)]),
        (
            updated(minute(5), &[Statement::Cancelled(Some(Target::Present))]),
            vec![("task_updated", 5), ("cancelled", 5)],
        ),
        (
            updated(minute(5), &[due(minute(90))]),
            vec![("task_updated", 5), ("superseded", 5), ("planned", 5)],
        ),
        (
            updated(minute(5), &[due(minute(4))]),
            vec![("task_updated", 5), ("superseded", 5), ("planned", 5), ("expired", 5)],
        ),
    ] {
        let mut record = one_at_60();
        noted(&mut record, &event, minute(5));
        assert_eq!(told(&record)[2..], outcome);
        let ended = record.reminders[0].ended_by.and_then(|number| record.history.get(number));
        assert!(matches!(ended, Some(Note::Event(noted)) if noted.version.kind == event.kind));
    }
}

#[test]
fn a_record_without_notes_tells_what_its_versions_say() {
    let mut record = one_at_60();
    record.history = History::default();
    record.reminders[0].planned_by = None;
    assert_eq!(told(&record), [("task_created", 0), ("planned", 0)]);
    let mut record = one_at_60();
    record.history.forgotten = 2;
    assert_eq!(told(&record)[0], ("forgotten", 0));
}

#[test]
fn why_there_is_no_reminder_at_all() {
    let none = Policy { default_offsets: Vec::new(), ..policy().policy };
    let due = || due(minute(60));
    let cancelled = Statement::Cancelled(Some(Target::Present));
    for (policy, events, expected) in [
        (policy().policy, vec![created(T0, &[title("a")])], Nothing::NoDue),
        (policy().policy, vec![created(T0, &[due(), offsets(&[])])], Nothing::NoOffsets),
        (none, vec![created(T0, &[due()])], Nothing::NoDefault),
        (policy().policy, vec![event(Kind::Completed, T0)], Nothing::Done),
        (policy().policy, vec![created(T0, &[due()]), event(Kind::Deleted, minute(1))], Nothing::Deleted),
        (policy().policy, vec![created(T0, &[due()]), updated(minute(1), &[cancelled])], Nothing::CalledOff),
        (policy().policy, vec![created(T0, &[due()])], Nothing::Forgotten),
    ] {
        let record = Record { task: merged(&events), ..Record::default() };
        assert_eq!(nothing(&record, &policy), Some(expected));
    }
    assert_eq!(nothing(&one_at_60(), &policy().policy), None, "each has an answer of its own");
}
