//! What becomes of missed reminders.

use std::time::Duration;

use super::super::catch_up::{MISSED_AFTER, REASON_SKIPPED, catch_up, is_missed};
use super::super::decide::to_last_missed;
use super::super::expiry::{Expiry, Missing};
use super::*;

const EXPIRE_AFTER: Duration = Duration::from_secs(24 * 3600);

/// A record with a pending reminder `offset` minutes before minute 100, for each offset.
fn record(offsets: &[u32]) -> Record {
    let occurrence = Some(Moment::new(Due::Instant(minute(100)), Zone::UTC));
    let reminder =
        |offset: &u32| Reminder::pending(occurrence, Rule::Offset(*offset), minute(100 - i64::from(*offset)));
    Record { reminders: offsets.iter().map(reminder).collect(), ..Record::default() }
}

fn at_minute(record: &mut Record, choice: CatchUp, now: i64) -> bool {
    catch_up(&task("t"), record, choice, EXPIRE_AFTER, minute(now), &|_| false)
}

fn states(record: &Record) -> Vec<State> {
    record.reminders.iter().map(|r| r.state).collect()
}

#[test]
fn a_reminder_is_missed_once_it_is_overdue_by_more_than_the_bound_and_was_never_tried() {
    let reminder = record(&[0]).reminders.remove(0);
    let late = minute(100).plus(MISSED_AFTER);
    assert!(!is_missed(&reminder, late), "on the bound");
    let missed = late.plus(Duration::from_millis(1));
    assert!(is_missed(&reminder, missed));
    for (what, other) in [
        ("one that failed", Reminder { attempts: 1, ..reminder.clone() }),
        ("one that may be out", Reminder { maybe_out: true, ..reminder.clone() }),
        ("one that is out", Reminder { state: State::Published, ..reminder.clone() }),
        ("one that left", Reminder { state: State::Cancelled, ..reminder }),
    ] {
        assert!(!is_missed(&other, missed), "{what}");
    }
}

#[test]
fn each_choice_ends_what_it_says() {
    use CatchUp::{Coalesce, Fire, Skip};
    use State::{Expired as E, Pending as P, Superseded as S};
    for (choice, now, ended, states_then) in [
        (Fire, 300, false, [P, P, P]),
        (Coalesce, 300, true, [S, P, S]),
        (Skip, 300, true, [E, E, E]),
        // What is not missed yet (a minute at 101 and at 91), or not due yet, takes no part.
        (Coalesce, 101, true, [S, P, P]),
        (Coalesce, 92, true, [S, P, P]),
        (Coalesce, 91, false, [P, P, P]),
        (Skip, 92, true, [E, P, E]),
        (Skip, 91, true, [E, P, P]),
        (Skip, 71, false, [P, P, P]),
        (Skip, 69, false, [P, P, P]),
    ] {
        let mut kept = record(&[30, 0, 10]);
        assert_eq!(at_minute(&mut kept, choice, now), ended, "{choice:?} at {now}");
        assert_eq!(states(&kept), states_then, "{choice:?} at {now}");
    }
}

/// Of each the reminders are of minutes 70, 100 and 90.
#[test]
fn what_was_due_by_a_restore_is_never_skipped_and_its_latest_fires() {
    use CatchUp::{Coalesce, Skip};
    use State::{Expired as E, Pending as P, Superseded as S};
    for (choice, restored_at, states_then) in [
        (Skip, 69, [E, E, E]),
        (Skip, 70, [P, E, E]),
        (Skip, 90, [S, E, P]),
        (Skip, 100, [S, P, S]),
        (Coalesce, 90, [S, P, S]),
    ] {
        let at = minute(restored_at);
        let missing = Missing { from: minute(0), at, until: at, held_to: None };
        let expiry = Expiry { after: EXPIRE_AFTER, missing: Some(missing), leap: None };
        let mut kept = record(&[30, 0, 10]);
        assert!(catch_up(&task("t"), &mut kept, choice, expiry, minute(300), &|_| false));
        assert_eq!(states(&kept), states_then, "{choice:?} of {restored_at}");
        let again = catch_up(&task("t"), &mut kept, choice, expiry, minute(301), &|_| false);
        assert!(!again, "{choice:?} of {restored_at}");
    }
}

#[test]
fn what_ends_says_why_and_names_the_one_that_fires_instead() {
    let mut kept = record(&[30, 0]);
    at_minute(&mut kept, CatchUp::Coalesce, 300);
    let fires = kept.reminders[1].id(&task("t"));
    let reason = format!("missed; {fires} of the rule offset:0 fires instead");
    assert_eq!(kept.reminders[0].reason.as_deref(), Some(reason.as_str()));
    assert_eq!(kept.reminders[0].settled_at, Some(minute(300)));
    let mut skipped = record(&[0]);
    at_minute(&mut skipped, CatchUp::Skip, 300);
    assert_eq!(skipped.reminders[0].reason.as_deref(), Some(REASON_SKIPPED));
}

#[test]
fn what_was_tried_or_is_in_flight_or_has_come_too_late_takes_no_part() {
    let tried = |record: &mut Record| record.reminders[1].attempts = 1;
    let in_doubt = |record: &mut Record| record.reminders[1].maybe_out = true;
    let too_late = |record: &mut Record| record.reminders[1].fire_at = minute(300).minus(2 * EXPIRE_AFTER);
    for (what, change) in
        [("tried", &tried as &dyn Fn(&mut Record)), ("in doubt", &in_doubt), ("too late", &too_late)]
    {
        let mut kept = record(&[30, 0]);
        change(&mut kept);
        assert!(!at_minute(&mut kept, CatchUp::Coalesce, 300), "{what}");
        assert!(at_minute(&mut kept, CatchUp::Skip, 300), "{what}");
        assert_eq!(states(&kept), [State::Expired, State::Pending], "{what}");
    }
    let mut kept = record(&[30, 0]);
    let latest = kept.reminders[1].id(&task("t"));
    let flies = |id: &ReminderId| *id == latest;
    assert!(!catch_up(&task("t"), &mut kept, CatchUp::Coalesce, EXPIRE_AFTER, minute(300), &flies));
}

#[test]
fn what_was_ended_stays_so_when_its_task_changes() {
    for (choice, pending_then) in
        [(CatchUp::Coalesce, vec![("offset:0".to_owned(), 100)]), (CatchUp::Skip, vec![])]
    {
        let events = [created(T0, &[due(minute(100)), offsets(&[0, 30])])];
        let mut record = Record { task: merged(&events), ..Record::default() };
        replanned(&mut record, &policy(), T0);
        assert!(at_minute(&mut record, choice, 300));
        record.task.apply(&updated(minute(301), &[title("another")]), minute(301));
        replanned(&mut record, &policy(), minute(301));
        assert_eq!(pending(&record), pending_then, "{choice:?}");
        // What is planned anew is not below the marks.
        record.task.apply(&updated(minute(302), &[due(minute(400))]), minute(302));
        replanned(&mut record, &policy(), minute(302));
        assert_eq!(
            pending(&record),
            [("offset:0".to_owned(), 400), ("offset:30".to_owned(), 370)],
            "{choice:?}"
        );
    }
}

#[test]
fn a_mark_covers_no_other_pending_reminder_of_the_rule() {
    let mut kept = record(&[0, 0]);
    kept.reminders[0].fire_at = minute(50);
    kept.reminders[0].attempts = 3;
    assert!(at_minute(&mut kept, CatchUp::Skip, 300));
    assert!(kept.low_water(Rule::Offset(0)) < minute(50));
}

/// A record of which offsets 30 and 10 were missed and offset 0 of minute 100 is to fire instead.
fn coalesced() -> Record {
    let task = merged(&[created(T0, &[due(minute(100)), offsets(&[0, 10, 30])])]);
    let mut record = Record { task, ..Record::default() };
    replanned(&mut record, &policy(), T0);
    assert!(at_minute(&mut record, CatchUp::Coalesce, 300));
    assert_eq!(pending(&record), [("offset:0".to_owned(), 100)]);
    record
}

fn of_rule(record: &mut Record, rule: Rule) -> &mut Reminder {
    record.reminders.iter_mut().find(|r| r.rule == rule).unwrap()
}

/// What was said before what was missed, and is heard after it: without offset 0, or that it is called off.
fn heard_late(record: &mut Record, statement: Statement) {
    record.task.apply(&updated(minute(1), &[statement]), minute(301));
    replanned(record, &policy(), minute(301));
}

#[test]
fn what_ended_for_one_that_leaves_and_did_not_go_out_for_certain_comes_back() {
    let back = [("offset:10".to_owned(), 90), ("offset:30".to_owned(), 70)];
    let id = coalesced().reminders.iter().find(|r| r.rule == Rule::Offset(0)).unwrap().id(&task("t"));
    let settled = |state, cause, maybe_out| {
        move |r: &mut Reminder| {
            (r.state, r.settled_at, r.cause, r.maybe_out) = (state, Some(minute(300)), cause, maybe_out);
        }
    };
    let off = Statement::Cancelled(Some(Target::Reminder(id)));
    type Change<'c> = &'c dyn Fn(&mut Reminder);
    let cases: [(&str, Change<'_>, Statement, bool); 8] = [
        ("untried", &|_| {}, offsets(&[10, 30]), true),
        ("failed", &|r| r.attempts = 1, offsets(&[10, 30]), true),
        ("in doubt", &|r| (r.attempts, r.maybe_out) = (1, true), offsets(&[10, 30]), true),
        ("out", &settled(State::Published, None, false), offsets(&[10, 30]), false),
        ("too late", &settled(State::Expired, None, false), offsets(&[10, 30]), false),
        ("muted", &settled(State::Cancelled, Some(Cause::Muted), false), offsets(&[10, 30]), false),
        ("called off before they were due", &|_| {}, off, true),
        ("still called for", &|r| r.attempts = 1, title("another"), false),
    ];
    for (name, change, statement, is_back) in cases {
        let mut record = coalesced();
        change(of_rule(&mut record, Rule::Offset(0)));
        heard_late(&mut record, statement);
        let others: Vec<_> = pending(&record).into_iter().filter(|(rule, _)| rule != "offset:0").collect();
        assert_eq!(others, if is_back { &back[..] } else { &[] }, "{name}");
        // And they are missed, as before.
        assert_eq!(at_minute(&mut record, CatchUp::Coalesce, 302), is_back, "{name}");
    }
}

#[test]
fn what_ended_comes_back_when_the_attempt_that_was_under_way_has_failed() {
    let mut record = coalesced();
    let leaves = updated(minute(1), &[offsets(&[10, 30])]);
    record.task.apply(&leaves, minute(301));
    let rules = Rules { in_force: &policy(), user: None };
    decide::replan(&task("t"), &mut record, &rules, minute(301), &|_| true);
    assert_eq!(pending(&record), [("offset:0".to_owned(), 100)], "it may go out yet");
    let backoff = Backoff { initial: Duration::from_secs(1), max: Duration::from_secs(60) };
    let failed = decide::Attempt::Failed("refused".into());
    decide::end_attempt(of_rule(&mut record, Rule::Offset(0)), &failed, &backoff, 7, minute(302));
    replanned(&mut record, &policy(), minute(302));
    assert_eq!(pending(&record).len(), 2);
}

#[test]
fn through_one_that_ended_for_another_in_turn_all_come_back() {
    let mut record = coalesced();
    let explicit = |times: Option<Vec<Due>>| Statement::RemindAt(times);
    let later = updated(minute(101), &[explicit(Some(vec![Due::Instant(minute(200))]))]);
    record.task.apply(&later, minute(101));
    replanned(&mut record, &policy(), minute(101));
    assert_eq!(pending(&record).len(), 2, "{:?}", pending(&record));
    assert!(at_minute(&mut record, CatchUp::Coalesce, 300));
    assert_eq!(pending(&record).len(), 1);
    record.task.apply(&updated(minute(102), &[explicit(None)]), minute(301));
    heard_late(&mut record, offsets(&[10, 30]));
    assert_eq!(pending(&record), [("offset:10".to_owned(), 90), ("offset:30".to_owned(), 70)]);
}

#[test]
fn one_that_was_tried_with_others_and_leaves_gives_back_what_it_was_to_fire_for() {
    let mut record = coalesced();
    let tried = of_rule(&mut record, Rule::Offset(0));
    (tried.attempts, tried.within) = (1, Some(ReminderId::from_bytes([1; 16])));
    heard_late(&mut record, offsets(&[10, 30]));
    assert_eq!(pending(&record).len(), 2);
}

#[test]
fn in_a_series_as_well_and_it_goes_on_behind_them() {
    const DAY: i64 = 24 * 60;
    let daily = Statement::Recurrence(Some(r#""FREQ=DAILY""#.into()));
    let task_of = merged(&[created(T0, &[due(minute(100)), offsets(&[0, 30]), daily])]);
    let mut record = Record { task: task_of, ..Record::default() };
    replanned(&mut record, &policy(), T0);
    let now = minute(DAY + 300);
    let in_force = policy();
    let rules = Rules { in_force: &in_force, user: None };
    assert!(to_last_missed(&task("t"), &mut record, &rules, now, &|_| false));
    replanned(&mut record, &in_force, now);
    assert!(at_minute(&mut record, CatchUp::Coalesce, DAY + 300));
    replanned(&mut record, &in_force, now);
    let instead = pending(&record);
    assert!(instead.contains(&("offset:0".to_owned(), DAY + 100)), "{instead:?}");
    assert!(!instead.contains(&("offset:30".to_owned(), DAY + 70)), "{instead:?}");
    record.task.apply(&updated(minute(1), &[offsets(&[30])]), now);
    replanned(&mut record, &in_force, now);
    assert_eq!(pending(&record), [("offset:30".to_owned(), DAY + 70)]);
    let last = record.reminders.iter_mut().find(|r| r.state == State::Pending).unwrap();
    last.settle(State::Published, now, None);
    replanned(&mut record, &in_force, now);
    assert_eq!(pending(&record), [("offset:30".to_owned(), 2 * DAY + 70)]);
}
