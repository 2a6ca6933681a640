//! The merge, rule by rule; `domain::tests::laws` shuffles all of them.

use std::time::Duration;

use super::*;
use crate::domain::tests::{T0, created, due, event, merged, minute, offsets, title, updated, zone};
use crate::domain::{ARRIVALS_MAX, Due, Priority, STAMP_AHEAD_MAX, Stamps};

fn apply(task: &mut Task, event: &Event) -> Outcome {
    task.apply(event, event.stamps.event.unwrap().at).outcome
}

/// An event that says the time of nothing: its version comes from its arrival.
fn unstamped(id: &str, statements: &[Statement]) -> Event {
    Event { message_id: Some(id.into()), stamps: Stamps::default(), ..updated(T0, statements) }
}

fn status(status: Status) -> Statement {
    Statement::Status(Some(status))
}

#[test]
fn null_wipes_and_silence_does_not() {
    let all = [Statement::User(Some("u".into())), title("a"), due(minute(60))];
    let task = merged(&[created(T0, &all), updated(minute(1), &[Statement::Title(None)])]);
    assert_eq!((task.user(), task.title(), task.due()), (Some("u"), None, Some(Due::Instant(minute(60)))));
    let bare = merged(&[created(T0, &all), created(minute(1), &[])]);
    assert_eq!(
        (bare.title(), bare.due()),
        (Some("a"), Some(Due::Instant(minute(60)))),
        "a bare notice wipes nothing"
    );
}

#[test]
fn each_field_keeps_its_newest_statement_whatever_the_order() {
    let events = [
        created(T0, &[title("a"), due(minute(60))]),
        updated(minute(1), &[title("b")]),
        updated(minute(2), &[due(minute(90))]),
    ];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let task = merged(&order.map(|at| events[at].clone()));
        assert_eq!((task.title(), task.due()), (Some("b"), Some(Due::Instant(minute(90)))), "{order:?}");
    }
}

#[test]
fn a_completion_writes_the_status_and_nothing_else_that_it_says() {
    let done = Event { statements: vec![title("b"), due(minute(90))], ..event(Kind::Completed, minute(1)) };
    let task = merged(&[created(T0, &[title("a"), due(minute(60)), status(Status::Todo)]), done]);
    assert_eq!((task.status(), task.title()), (Status::Done, Some("a")));
    assert!(task.is_alive() && !task.is_open());
    assert_eq!(task.due(), Some(Due::Instant(minute(60))));
}

#[test]
fn an_update_may_come_alone_and_the_task_is_what_is_known() {
    let task = merged(&[updated(T0, &[due(minute(60))])]);
    assert!(task.is_open());
    assert_eq!(
        (task.user(), task.title(), task.priority(), task.status()),
        (None, None, Priority::Medium, Status::Todo)
    );
}

#[test]
fn what_is_no_newer_than_a_deletion_is_void_and_a_tombstone_goes_on_merging() {
    let mut task = merged(&[created(T0, &[title("a"), due(minute(60))]), event(Kind::Deleted, minute(2))]);
    assert!(!task.is_alive() && task.cells.is_empty() && task.created.is_none());
    assert_eq!(apply(&mut task, &updated(minute(1), &[title("late")])), Outcome::Stale);
    assert_eq!(task.title(), None);
    let same_instant = updated(minute(2), &[title("same")]);
    assert_eq!(apply(&mut task, &same_instant), Outcome::Stale, "a deletion beats an update of its instant");
    assert_eq!(apply(&mut task, &updated(minute(3), &[title("newer")])), Outcome::Applied);
    assert_eq!(task.title(), Some("newer"));
    assert!(!task.is_alive(), "only a creation revives");
}

#[test]
fn a_newer_creation_revives_with_what_it_says_alone() {
    let task = merged(&[
        created(T0, &[title("a"), due(minute(60))]),
        event(Kind::Deleted, minute(2)),
        created(minute(3), &[due(minute(90))]),
    ]);
    assert!(task.is_open());
    assert_eq!((task.title(), task.due()), (None, Some(Due::Instant(minute(90)))));
    assert_eq!(task.open_since(), minute(2), "it has been open since the deletion at the earliest");
}

#[test]
fn since_is_the_least_of_version_and_arrival_over_the_statements_of_the_present_value() {
    let mut task = Task::default();
    let stated = updated(minute(10), &[due(minute(60))]);
    task.apply(&stated, minute(8));
    assert_eq!(task.since(Field::Due), minute(8), "stamped by a clock ahead: since it arrived");
    task.apply(&updated(minute(12), &[due(minute(60))]), minute(20));
    assert_eq!(task.since(Field::Due), minute(8), "restating does not raise it");
    let late = task.apply(&updated(minute(3), &[due(minute(60))]), minute(21));
    assert_eq!((late.outcome, late.changed), (Outcome::Stale, true));
    assert_eq!(task.since(Field::Due), minute(3), "a late older statement lowers it");
    let again = task.apply(&updated(minute(4), &[due(minute(60))]), minute(22));
    assert_eq!((again.outcome, again.changed), (Outcome::Stale, false));
}

#[test]
fn a_value_that_comes_back_has_been_since_its_first_statement() {
    let (a, b) = ([due(minute(60))], [due(minute(90))]);
    let task = merged(&[updated(minute(1), &a), updated(minute(2), &b), updated(minute(3), &a)]);
    assert_eq!(task.since(Field::Due), minute(1));
    let late = merged(&[updated(minute(3), &a), updated(minute(2), &b), updated(minute(1), &a)]);
    assert_eq!(late, task);
}

#[test]
fn going_from_one_open_status_to_another_opens_nothing_anew() {
    let events = |last| [created(T0, &[status(Status::Todo)]), updated(minute(9), &[status(last)])];
    assert_eq!(merged(&events(Status::InProgress)).open_since(), T0);
    assert!(!merged(&events(Status::Done)).is_open());
}

#[test]
fn a_deletion_by_a_clock_ahead_is_no_later_than_the_transport_has_come() {
    let mut gone = event(Kind::Deleted, minute(4));
    gone.stamps.broker = Some(minute(1));
    let mut back = created(minute(4).plus(Duration::from_millis(1)), &[due(minute(60))]);
    back.stamps.broker = Some(minute(2));
    let mut task = Task::default();
    task.apply(&gone, minute(1));
    task.apply(&back, minute(2));
    assert!(task.is_open());
    assert_eq!(task.open_since(), minute(2));
}

#[test]
fn an_outcome_says_what_an_event_did() {
    let first = created(T0, &[title("a")]);
    let delete = event(Kind::Deleted, minute(5));
    let steps = [
        (first.clone(), Outcome::Applied),
        (first.clone(), Outcome::Duplicate),
        (updated(minute(2), &[title("b")]), Outcome::Applied),
        (updated(minute(1), &[title("c")]), Outcome::Stale),
        (updated(minute(1), &[title("c"), due(minute(9))]), Outcome::Applied),
        (updated(minute(3), &[]), Outcome::Ignored),
        (created(minute(3), &[]), Outcome::Applied),
        (created(minute(2), &[]), Outcome::Stale),
        (event(Kind::Completed, minute(4)), Outcome::Applied),
        (event(Kind::Completed, minute(4)), Outcome::Duplicate),
        (delete.clone(), Outcome::Applied),
        (delete, Outcome::Duplicate),
        (event(Kind::Deleted, minute(4)), Outcome::Stale),
        (first, Outcome::Stale),
    ];
    let mut task = Task::default();
    for (number, (event, expected)) in steps.into_iter().enumerate() {
        assert_eq!(apply(&mut task, &event), expected, "step {number}");
    }
}

#[test]
fn the_winning_due_statement_gives_the_chain_and_the_trace() {
    let from = |name: &str, stamp, statements: &[Statement]| Event {
        correlation_id: Some(name.into()),
        trace_id: Some([7; 16]),
        ..updated(stamp, statements)
    };
    let mut task = merged(&[from("a", minute(1), &[due(minute(60))]), from("b", minute(2), &[title("t")])]);
    assert_eq!(task.due_origin.correlation_id.as_deref(), Some("a"));
    apply(&mut task, &from("late", T0, &[due(minute(90))]));
    assert_eq!(task.due_origin.correlation_id.as_deref(), Some("a"));
    apply(&mut task, &updated(minute(3), &[due(minute(90))]));
    assert_eq!(task.due_origin, Origin::default());
    apply(&mut task, &from("c", minute(4), &[due(minute(91))]));
    apply(&mut task, &event(Kind::Deleted, minute(5)));
    assert_eq!(task.due_origin, Origin::default(), "void with its statement");
}

#[test]
fn a_redelivery_without_a_stamp_is_a_duplicate_as_long_as_it_is_remembered() {
    let events: Vec<Event> =
        (0..=ARRIVALS_MAX).map(|n| unstamped(&n.to_string(), &[title(&n.to_string())])).collect();
    let mut task = Task::default();
    for (event, at) in events.iter().zip(0..) {
        assert_eq!(task.apply(event, minute(at)).outcome, Outcome::Applied);
    }
    assert_eq!(task.arrivals.len(), ARRIVALS_MAX);
    let again = task.apply(&events[1], minute(100));
    assert_eq!((again.outcome, again.changed), (Outcome::Duplicate, false), "the oldest that is remembered");
    assert_eq!(task.apply(&events[0], minute(100)).outcome, Outcome::Applied, "one beyond the bound");
}

#[test]
fn a_redelivery_of_an_event_from_the_future_is_a_duplicate_when_its_stamp_has_become_believable() {
    for broker in [None, Some(T0)] {
        let mut early = updated(minute(6), &[due(minute(60))]);
        early.stamps.broker = broker;
        let mut task = Task::default();
        let first = task.apply(&early, T0);
        assert_eq!((first.outcome, first.ahead), (Outcome::Applied, true));
        task.apply(&updated(minute(1), &[due(minute(90))]), minute(1));
        assert!(minute(2).plus(STAMP_AHEAD_MAX) > minute(6));
        assert_eq!(task.apply(&early, minute(2)).outcome, Outcome::Duplicate, "{broker:?}");
        assert_eq!(task.due(), Some(Due::Instant(minute(90))), "{broker:?}");
    }
}

#[test]
fn one_saying_with_two_stamps_is_two_events_even_from_a_clock_far_ahead() {
    let say = |stamp, at| Event { message_id: Some("reused".into()), ..updated(stamp, &[due(at)]) };
    let mut task = Task::default();
    task.apply(&say(minute(60), minute(500)), T0);
    task.apply(&say(minute(61), minute(600)), minute(1));
    let back = task.apply(&say(minute(62), minute(500)), minute(2));
    assert_eq!(back.outcome, Outcome::Applied);
    assert_eq!(task.due(), Some(Due::Instant(minute(500))));
}

#[test]
fn the_first_statements_of_as_many_former_values_as_the_bound_are_remembered() {
    let distinct = i64::try_from(PAST_MAX).unwrap();
    let stated = |n: i64| updated(minute(n), &[due(minute(1000 + n))]);
    let mut task = merged(&(0..=distinct).map(stated).collect::<Vec<_>>());
    assert_eq!(task.past.len(), PAST_MAX);
    apply(&mut task, &updated(minute(200), &[due(minute(1000))]));
    assert_eq!(task.since(Field::Due), T0, "the oldest is there still");
    let mut task = merged(&(0..=distinct + 1).map(stated).collect::<Vec<_>>());
    assert_eq!(task.past.len(), PAST_MAX);
    apply(&mut task, &updated(minute(200), &[due(minute(1000))]));
    assert_eq!(task.since(Field::Due), minute(200), "one more and it is forgotten");
}

#[test]
fn only_what_a_birth_depends_on_keeps_its_first_statement() {
    let all = [
        Statement::User(None),
        title("a"),
        Statement::Priority(None),
        Statement::Tags(None),
        status(Status::Done),
        Statement::Due(None),
    ];
    assert!(merged(&[created(T0, &all)]).cells.iter().all(|cell| cell.since.is_none()));
    let user = Statement::User(Some("u".into()));
    let dated =
        [user, due(T0), Statement::Zone(Some(zone("Asia/Kolkata"))), offsets(&[]), status(Status::Todo)];
    assert!(merged(&[created(T0, &dated)]).cells.iter().all(|cell| cell.since == Some(T0)));
}

#[test]
fn saying_that_nothing_is_stated_or_that_a_task_is_open_gives_birth_to_nothing() {
    let nulls = [
        Statement::Zone(None),
        Statement::Offsets(None),
        Statement::RemindAt(None),
        Statement::Recurrence(None),
    ];
    for null in nulls {
        let task =
            merged(&[updated(T0, &[due(minute(60))]), updated(minute(50), std::slice::from_ref(&null))]);
        assert_eq!(task.since(null.field()), Timestamp::MIN, "{null:?}");
    }
    let open = merged(&[updated(T0, &[due(minute(60))]), updated(minute(50), &[status(Status::Todo)])]);
    assert_eq!(open.open_since(), Timestamp::MIN);
}

#[test]
fn the_newest_transport_stamp_is_kept() {
    let carried = |stamp, broker| {
        let mut event = updated(stamp, &[title("a")]);
        event.stamps.broker = Some(broker);
        event
    };
    let task = merged(&[carried(minute(1), minute(5)), carried(minute(2), minute(3))]);
    assert_eq!(task.transport, Some(minute(5)));
}

#[test]
fn minutes_of_a_snooze_count_from_the_stamp_as_it_was_written() {
    let snooze = |stamp: Stamp| {
        let told =
            Statement::Snooze(Some(Snooze { until: Until::Minutes(10), of: crate::domain::Target::Present }));
        let mut told = Event { statements: vec![told], ..event(Kind::Snoozed, T0) };
        told.stamps.event = Some(stamp);
        merged(&[told]).snooze().unwrap().0.until
    };
    assert_eq!(snooze(Stamp { at: T0, whole_second: true }), Until::At(minute(10)));
    assert_eq!(snooze(Stamp { at: T0, whole_second: false }), Until::At(minute(10)));
}
