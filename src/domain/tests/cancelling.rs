//! Calling off what a task has planned.

use super::*;

/// A task created at minute 0, due at minute 600, reminded 15 and 0 minutes before, and at minute 300.
fn told() -> Event {
    let times = Statement::RemindAt(Some(vec![Due::Instant(minute(300))]));
    created(T0, &[due(minute(600)), offsets(&[0, 15]), times])
}

fn occurrence() -> Moment {
    Moment::new(Due::Instant(minute(600)), Zone::UTC)
}

fn cancel(at: i64, of: Option<Target>) -> Event {
    updated(minute(at), &[Statement::Cancelled(of)])
}

fn reminder(rule: Rule) -> Option<Target> {
    Some(Target::Reminder(ReminderId::of(&task("t"), Some(occurrence()), rule)))
}

/// What is pending after these events, each planned when it came.
fn after(events: &[Event]) -> Vec<(String, i64)> {
    let mut record = Record::default();
    for event in events {
        let now = event.stamps.event.unwrap().at;
        record.task.apply(event, now);
        replanned(&mut record, &policy(), now);
    }
    pending(&record)
}

fn rules(pending: &[(String, i64)]) -> Vec<(&str, i64)> {
    pending.iter().map(|(rule, at)| (rule.split(':').next().unwrap(), *at)).collect()
}

#[test]
fn a_cancel_calls_off_what_it_means_and_nothing_else() {
    let all = [("at", 300), ("offset", 600), ("offset", 585)];
    for (of, left) in [
        (Some(Target::Present), &[][..]),
        (Some(Target::Occurrence(occurrence())), &all[..1]),
        (Some(Target::Occurrence(Moment::new(Due::Instant(minute(1)), Zone::UTC))), &all),
        (reminder(Rule::Offset(0)), &[all[0], all[2]]),
        (reminder(Rule::Offset(7)), &all),
        (None, &all),
    ] {
        assert_eq!(rules(&after(&[told(), cancel(10, of)])), left, "{of:?}");
    }
}

#[test]
fn what_is_stated_anew_is_planned_again_and_what_is_only_restated_is_not() {
    let cancelled = [told(), cancel(10, Some(Target::Present))];
    let to = |at, statement: Statement| updated(minute(at), &[statement]);
    for (name, later, left) in [
        ("another due date", vec![to(20, due(minute(700)))], &[("offset", 700), ("offset", 685)][..]),
        ("the same due date", vec![to(20, due(minute(600)))], &[]),
        ("a title", vec![to(20, title("a"))], &[]),
        ("other offsets", vec![to(20, offsets(&[30]))], &[("offset", 570)]),
        (
            "away and back",
            vec![to(20, due(minute(700))), to(30, due(minute(600)))],
            &[("offset", 600), ("offset", 585)],
        ),
        ("taken back", vec![cancel(20, None)], &[("at", 300), ("offset", 600), ("offset", 585)]),
        ("done and not", vec![event(Kind::Completed, minute(20)), to(30, Statement::Status(None))], &[]),
    ] {
        assert_eq!(rules(&after(&[&cancelled[..], &later].concat())), left, "{name}");
    }
}

#[test]
fn calling_off_a_second_reminder_does_not_bring_back_the_first() {
    let both = [told(), cancel(10, reminder(Rule::Offset(0))), cancel(11, reminder(Rule::Offset(15)))];
    assert_eq!(rules(&after(&both)), [("at", 300)]);
}

#[test]
fn a_reminder_that_is_called_off_is_cancelled_and_one_that_moves_later_is_superseded() {
    let mut record = Record::default();
    let state_after = |record: &mut Record, event: Event| {
        record.task.apply(&event, event.stamps.event.unwrap().at);
        replanned(record, &policy(), event.stamps.event.unwrap().at);
        record.reminders.iter().map(|r| r.state).collect::<Vec<_>>()
    };
    state_after(&mut record, created(T0, &[due(minute(600)), offsets(&[0, 15])]));
    assert_eq!(
        state_after(&mut record, cancel(10, reminder(Rule::Offset(0)))),
        [State::Cancelled, State::Pending]
    );
    let states = state_after(&mut record, updated(minute(20), &[due(minute(700))]));
    assert_eq!(states, [State::Cancelled, State::Superseded, State::Pending, State::Pending]);
}

#[test]
fn as_many_single_reminders_as_the_bound_are_called_off_and_then_the_oldest_comes_back() {
    let off =
        |n: usize| cancel(10 + i64::try_from(n).unwrap(), reminder(Rule::Offset(u32::try_from(n).unwrap())));
    let mut events = vec![created(T0, &[due(minute(600)), offsets(&[0])])];
    events.extend((0..task::CALLED_OFF_MAX).map(off));
    assert_eq!(after(&events), []);
    events.push(off(task::CALLED_OFF_MAX));
    assert_eq!(rules(&after(&events)), [("offset", 600)]);
}

const DAY: i64 = 24 * 60;

/// A daily series, due at minute 60 and after that, with a nag ten minutes later.
fn daily_with_a_nag() -> Event {
    let nags = Statement::Nags(Some(Nags { every_minutes: 10, max: 1 }));
    let daily = Statement::Recurrence(Some(r#"{"frequency":"daily"}"#.into()));
    created(T0, &[due(minute(60)), offsets(&[0]), daily, nags])
}

/// The occurrence of that series so many days after the first.
fn on(day: i64) -> Target {
    Target::Occurrence(Moment::new(Due::Instant(minute(60 + day * DAY)), Zone::UTC))
}

#[test]
fn a_series_goes_on_behind_an_occurrence_that_is_called_off_alone() {
    let series = daily_with_a_nag();
    assert_eq!(rules(&after(std::slice::from_ref(&series))), [("nag", 70), ("offset", 60)]);
    for (cancels, first, nag) in [
        (vec![on(0)], 60 + DAY, 70 + DAY),
        (vec![on(0), on(1)], 60 + 2 * DAY, 70 + 2 * DAY),
        (vec![on(1), on(0)], 60 + 2 * DAY, 70 + 2 * DAY),
    ] {
        let cancels = cancels.into_iter().zip(10..).map(|(of, at)| cancel(at, Some(of)));
        let left = after(&std::iter::once(series.clone()).chain(cancels).collect::<Vec<_>>());
        assert_eq!(rules(&left), [("nag", nag), ("offset", first)]);
    }
    assert_eq!(after(&[series, cancel(10, Some(Target::Present))]), [], "all of it, until it is stated anew");
}

#[test]
fn a_series_that_is_stated_after_all_was_called_off_begins_with_its_second_occurrence() {
    let series = Statement::Recurrence(Some(r#"{"frequency":"daily"}"#.into()));
    let nags = Statement::Nags(Some(Nags { every_minutes: 60, max: 1 }));
    let one = created(T0, &[due(minute(600)), offsets(&[0]), nags]);
    let off = cancel(10, Some(Target::Present));
    let stated = updated(minute(20), &[series]);
    let begun = after(&[one.clone(), off.clone(), stated.clone()]);
    assert_eq!(rules(&begun), [("nag", 660 + DAY), ("offset", 600 + DAY)]);
    assert_eq!(after(&[one.clone(), stated.clone(), off]), begun, "whichever was heard first");
    assert_eq!(after(&[one, stated, cancel(30, Some(Target::Present))]), [], "unless it was there already");
}

#[test]
fn a_series_that_is_called_off_whole_after_single_occurrences_ends_as_cancelled() {
    let series = daily_with_a_nag();
    let states_after = |events: &[Event]| {
        let mut record = Record::default();
        for event in events {
            let now = event.stamps.event.unwrap().at;
            record.task.apply(event, now);
            replanned(&mut record, &policy(), now);
        }
        record.reminders.iter().map(|r| r.state).collect::<Vec<_>>()
    };
    let off = [series.clone(), cancel(10, Some(on(0))), cancel(11, Some(Target::Present))];
    assert_eq!(states_after(&off), [State::Cancelled; 4]);
    // What was stated anew since is not what was called off.
    let anew =
        [off[0].clone(), off[2].clone(), updated(minute(20), &[offsets(&[5])]), cancel(21, Some(on(0)))];
    let moved = [&anew[..], &[updated(minute(30), &[offsets(&[7])])]].concat();
    let states = states_after(&moved);
    assert!(states.contains(&State::Superseded), "{states:?}");
}

#[test]
fn fates_are_told_by_what_is_known_of_the_attempts() {
    let pending = Reminder::pending(None, Rule::Offset(0), T0);
    let settled =
        |state, maybe_out| Reminder { state, maybe_out, settled_at: Some(minute(1)), ..pending.clone() };
    for (reminder, in_flight, told) in [
        (pending.clone(), false, Fate::Planned),
        (pending.clone(), true, Fate::InFlight),
        (settled(State::Published, false), false, Fate::Fired(minute(1))),
        (settled(State::Published, true), false, Fate::InFlight),
        (settled(State::Expired, false), false, Fate::WillNotFire),
        (settled(State::Expired, true), false, Fate::InFlight),
        (settled(State::Cancelled, false), false, Fate::WillNotFire),
        (settled(State::Superseded, false), false, Fate::WillNotFire),
        (settled(State::Cancelled, true), false, Fate::InFlight),
        (settled(State::Superseded, true), false, Fate::InFlight),
    ] {
        assert_eq!(fate(&reminder, in_flight), told, "{reminder:?}");
    }
}
