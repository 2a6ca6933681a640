//! A series of which a reminder is held after a restore.

use super::*;

const DAY: i64 = 24 * 60;

/// A store of which the minutes 0 to 100 are missing, at which it was restored and what was due is held.
fn held() -> PolicyInForce {
    let missing = Missing { from: T0, at: minute(100), until: Timestamp::MAX, held_to: Some(minute(100)) };
    PolicyInForce { missing: Some(missing), generation: 2, ..policy() }
}

/// The same when what was held has been let go.
fn let_go() -> PolicyInForce {
    let missing = held().missing.map(|missing| Missing { until: minute(130), held_to: None, ..missing });
    PolicyInForce { missing, generation: 2, ..policy() }
}

/// A daily series that was planned in the backup, its first due at minute 60.
fn planned() -> Record {
    let daily = Statement::Recurrence(Some(r#""FREQ=DAILY""#.into()));
    let event = created(minute(-60), &[due(minute(60)), offsets(&[0]), daily]);
    let mut record = Record { task: merged(&[event]), ..Record::default() };
    replanned(&mut record, &policy(), minute(-60));
    record
}

fn waits(record: &Record) -> Vec<i64> {
    pending(record).into_iter().map(|(_, at)| at).collect()
}

#[test]
fn a_series_goes_on_without_what_is_held_until_that_has_gone_out() {
    let mut record = planned();
    for _ in 0..2 {
        replanned(&mut record, &held(), minute(110));
        assert_eq!(waits(&record), [60, 60 + DAY]);
    }
    record.reminders[1].settle(State::Published, minute(60 + DAY), None);
    replanned(&mut record, &held(), minute(60 + DAY));
    assert_eq!(waits(&record), [60, 60 + 2 * DAY]);
    replanned(&mut record, &let_go(), minute(61 + DAY));
    assert_eq!(waits(&record), [60, 60 + 2 * DAY], "it is not lost for being let go");
    record.reminders[0].settle(State::Published, minute(61 + DAY), None);
    replanned(&mut record, &let_go(), minute(61 + DAY));
    assert_eq!(waits(&record), [60 + 2 * DAY]);
}

#[test]
fn what_is_held_stays_called_for_wherever_wishes_move_it() {
    let mut record = planned();
    replanned(&mut record, &held(), minute(110));
    (record.reminders[0].fire_at, record.reminders[0].moved_from) = (minute(150), Some(minute(60)));
    record.reminders[0].maybe_out = true;
    replanned(&mut record, &held(), minute(120));
    assert_eq!(record.reminders[0].state, State::Pending);
}

#[test]
fn a_due_date_that_was_moved_sooner_in_the_missing_hours_is_held_in_its_place() {
    let mut record = planned();
    replanned(&mut record, &held(), minute(110));
    record.task.apply(&updated(minute(10), &[due(minute(50))]), minute(115));
    for _ in 0..2 {
        replanned(&mut record, &held(), minute(115));
        assert_eq!(waits(&record), [50, 50 + DAY]);
    }
}

#[test]
fn as_many_as_the_bound_are_held_of_a_series_which_then_stands_still() {
    let minutely = Statement::Recurrence(Some(r#""FREQ=MINUTELY""#.into()));
    let event = created(minute(-60), &[due(minute(1)), offsets(&[0]), minutely]);
    let mut record = Record { task: merged(&[event]), ..Record::default() };
    replanned(&mut record, &policy(), minute(-60));
    for _ in 0..3 {
        replanned(&mut record, &held(), minute(110));
    }
    let bound = i64::try_from(decide::WAITING_MAX).unwrap() + 1;
    assert_eq!(waits(&record), (1..=bound).collect::<Vec<_>>());
}
