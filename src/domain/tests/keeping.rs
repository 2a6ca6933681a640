//! What a record keeps, what it forgets, and what is counted.

use super::*;

fn settled(rule: Rule, fire_at: i64, state: State) -> Reminder {
    let occurrence = Some(Moment::new(Due::Instant(minute(fire_at)), Zone::UTC));
    let mut reminder = Reminder::pending(occurrence, rule, minute(fire_at));
    reminder.settle(state, minute(fire_at), None);
    reminder
}

fn fires(record: &Record) -> Vec<i64> {
    record.reminders.iter().map(|r| (r.fire_at.millis() - T0.millis()) / 60_000).collect()
}

/// [`SETTLED_MAX`].
const MANY: i64 = 32;

#[test]
fn many_is_the_bound() {
    assert_eq!(usize::try_from(MANY), Ok(SETTLED_MAX));
}

#[test]
fn as_many_settled_reminders_as_the_bound_are_kept_and_the_oldest_goes_behind_a_mark() {
    let rule = Rule::Offset(0);
    let mut record = Record {
        reminders: (0..MANY).rev().map(|n| settled(rule, n, State::Published)).collect(),
        ..Record::default()
    };
    record.trim(minute(1000));
    assert_eq!((record.reminders.len(), record.low_water(rule)), (SETTLED_MAX, Timestamp::MIN));
    record.reminders.push(settled(rule, 500, State::Published));
    record.trim(minute(1000));
    assert_eq!(record.reminders.len(), SETTLED_MAX);
    assert!(!fires(&record).contains(&0));
    assert_eq!(record.low_water(rule), T0);
    assert_eq!(record.low_water(Rule::Offset(1)), Timestamp::MIN, "a mark is its rule's alone");
}

#[test]
fn what_was_taken_back_before_it_was_due_goes_without_a_mark() {
    let rule = Rule::Offset(0);
    let reminders = (0..=MANY).map(|n| settled(rule, 100 + n, State::Superseded)).collect();
    let mut record = Record { reminders, ..Record::default() };
    record.trim(minute(99));
    assert_eq!((record.reminders.len(), record.low_water(rule)), (SETTLED_MAX, Timestamp::MIN));
}

#[test]
fn a_mark_never_covers_what_is_pending() {
    let rule = Rule::Offset(0);
    let mut record = Record {
        reminders: (1..=MANY + 1).map(|n| settled(rule, n, State::Published)).collect(),
        ..Record::default()
    };
    record.reminders.push(Reminder::pending(None, rule, minute(1)));
    record.trim(minute(1000));
    assert_eq!(record.reminders.len(), SETTLED_MAX + 2, "all lie at or behind a pending one of their rule");
    let last = record.reminders.len() - 1;
    record.reminders[last].fire_at = minute(2);
    record.trim(minute(1000));
    assert_eq!(record.reminders.len(), SETTLED_MAX + 1);
    assert_eq!(record.low_water(rule), minute(1));
}

#[test]
fn a_forgotten_reminder_that_was_published_is_never_planned_again() {
    let rule = Rule::Offset(0);
    let mut record =
        Record { task: merged(&[updated(minute(-1), &[due(T0), offsets(&[0])])]), ..Record::default() };
    replanned(&mut record, &policy(), minute(-1));
    record.reminders[0].settle(State::Published, T0, None);
    record.reminders.extend((1..=MANY).map(|n| settled(rule, n, State::Published)));
    record.trim(minute(50));
    assert_eq!((record.reminders.len(), record.low_water(rule)), (SETTLED_MAX, T0));
    record.task.apply(&updated(minute(50), &[due(minute(600))]), minute(50));
    record.task.apply(&updated(minute(60), &[due(T0)]), minute(60));
    assert!(!planned_of(&record.task, &policy())[0].is_born_expired(), "it was stated before it was due");
    replanned(&mut record, &policy(), minute(60));
    assert_eq!(pending(&record), []);
    assert_eq!(record.reminders.len(), SETTLED_MAX);
}

#[test]
fn as_many_marks_as_the_bound_are_kept() {
    let mut record = Record::default();
    for n in 0..=u32::try_from(LOW_WATER_MAX).unwrap() {
        for _ in 0..=SETTLED_MAX {
            record.reminders.push(settled(Rule::Offset(n), i64::from(n) + 1, State::Published));
        }
        record.trim(minute(1000));
        record.reminders.clear();
    }
    assert_eq!(record.low_water.len(), LOW_WATER_MAX);
    assert_eq!(record.low_water(Rule::Offset(0)), Timestamp::MIN, "the oldest made room");
    assert_eq!(record.low_water(Rule::Offset(1)), minute(2));
}

#[test]
fn a_tally_moves_what_changed_and_leaves_what_was_forgotten_where_it_was() {
    let rule = Rule::Offset(0);
    let mut changing = settled(rule, 1, State::Published);
    changing.state = State::Pending;
    let before = [changing.clone(), settled(rule, 2, State::Published), settled(rule, 3, State::Expired)];
    changing.settle(State::Cancelled, minute(1), None);
    let after = [changing, settled(rule, 3, State::Expired), settled(rule, 4, State::Superseded)];
    let (tally, planned) = Tally::difference(&before, &after);
    let of = State::ALL.map(|state| tally.of(state));
    assert_eq!(of, [-1, 0, 1, 1, 0], "pending, published, cancelled, superseded, expired");
    assert_eq!((tally.total(), planned), (1, 1), "one was new");
    let mut sum = Tally::from_counts([5, 4, 3, 2, 1]);
    sum.add(&tally);
    assert_eq!(sum.counts(), [4, 4, 4, 3, 1]);
    assert_eq!(Tally::difference(&after, &after), (Tally::default(), 0));
}

#[test]
fn a_task_has_ended_when_it_was_done_or_deleted_or_last_heard_of() {
    let ended = |events: &[Event]| Record { task: merged(events), ..Record::default() }.ended_at();
    let open = created(T0, &[due(minute(60))]);
    assert_eq!(ended(std::slice::from_ref(&open)), None);
    assert_eq!(ended(&[open.clone(), event(Kind::Completed, minute(5))]), Some(minute(5)));
    assert_eq!(ended(&[open.clone(), event(Kind::Deleted, minute(6))]), Some(minute(6)));
    let mut late = event(Kind::Completed, minute(5));
    late.stamps.broker = Some(minute(50));
    assert_eq!(ended(&[open, late]), Some(minute(50)));
}

#[test]
fn the_last_planned_instant_counts_reminders_of_every_state() {
    let mut record = Record::default();
    assert_eq!(record.last_planned(), Timestamp::MIN);
    record.reminders =
        vec![settled(Rule::Offset(0), 7, State::Cancelled), settled(Rule::Offset(1), 3, State::Published)];
    assert_eq!(record.last_planned(), minute(7));
}

#[test]
fn a_record_keeps_no_more_settled_reminders_than_its_hard_bound_whatever_hangs() {
    const HARD: i64 = 4 * MANY;
    let rule = Rule::Offset(0);
    let mut record = Record {
        reminders: (1..=HARD).map(|n| settled(rule, n, State::Published)).collect(),
        ..Record::default()
    };
    record.reminders.push(Reminder::pending(None, rule, minute(1)));
    record.trim(minute(1000));
    assert_eq!(record.reminders.len(), 4 * SETTLED_MAX + 1, "as many as the bound stay");
    record.reminders.insert(0, settled(rule, HARD + 1, State::Published));
    record.trim(minute(1000));
    assert_eq!(record.reminders.len(), 4 * SETTLED_MAX + 1);
    assert!(record.low_water(rule) < minute(1), "the mark lies before what is pending");
}
