//! Order does not matter: any order and any repetition of the same events ends in the same task and the same
//! live plan (**invariant 4**).

use proptest::prelude::*;
use proptest::sample::subsequence;

use super::*;

/// An event and the instant of its first arrival; both are a function of what it says.
type Told = (Event, Timestamp);

/// When the plans are made: after every event, before every due date.
const NOW: i64 = 60;

fn statement() -> impl Strategy<Value = Statement> {
    let berlin = || Some(zone("Europe/Berlin"));
    let day = Due::date("2026-12-24".parse().unwrap());
    let explicit = vec![Due::Instant(minute(9_000)), Due::Date(20_000)];
    prop_oneof![
        Just(due(minute(14_400))),
        Just(Statement::Due(Some(wall("2026-12-24T18:00:00")))),
        Just(Statement::Due(Some(day))),
        Just(Statement::Due(None)),
        Just(Statement::Zone(berlin())),
        Just(Statement::Zone(None)),
        Just(offsets(&[])),
        Just(offsets(&[0, 60])),
        Just(Statement::Offsets(None)),
        Just(Statement::RemindAt(Some(explicit))),
        Just(Statement::RemindAt(None)),
        Just(Statement::Status(None)),
        Just(Statement::Status(Some(Status::InProgress))),
        Just(Statement::Status(Some(Status::Done))),
        Just(title("a")),
        Just(title("b")),
        Just(Statement::Priority(None)),
        Just(Statement::Priority(Some(Priority::Medium))),
        Just(Statement::Priority(Some(Priority::High))),
        Just(Statement::Nags(None)),
        Just(Statement::Nags(Some(Nags::NONE))),
        Just(Statement::Nags(Some(Nags { every_minutes: 60, max: 3 }))),
    ]
}

/// Which reminder an action is about; the due dates are those of [`statement`].
fn target() -> impl Strategy<Value = Target> {
    let due = Moment::new(Due::Instant(minute(14_400)), Zone::UTC);
    let by_default = ReminderId::of(&task("t"), Some(due), Rule::Offset(15));
    prop_oneof![
        4 => Just(Target::Present),
        1 => Just(Target::Occurrence(due)),
        1 => Just(Target::Occurrence(Moment::new(Due::Date(20_811), Zone::UTC))),
        1 => Just(Target::Reminder(by_default)),
    ]
}

/// What a user does about a reminder, with the kind of event that says so.
fn action() -> impl Strategy<Value = (Kind, Statement)> {
    let until = prop_oneof![
        Just(Until::Minutes(90)),
        Just(Until::At(minute(14_430))),
        Just(Until::At(minute(14_500))),
        Just(Until::At(minute(-1))),
    ];
    prop_oneof![
        3 => (until, target())
            .prop_map(|(until, of)| (Kind::Snoozed, Statement::Snooze(Some(Snooze { until, of })))),
        2 => target().prop_map(|of| (Kind::Acknowledged, Statement::Acknowledged(Some(of)))),
    ]
}

fn saying() -> impl Strategy<Value = (Kind, Vec<Statement>)> {
    prop_oneof![
        3 => (kind(), proptest::collection::vec(statement(), 0..4)),
        1 => action().prop_map(|(kind, statement)| (kind, vec![statement])),
    ]
}

/// Has reminders after due, and offsets that depend on the priority.
fn in_force() -> PolicyInForce {
    let mut in_force = policy();
    in_force.policy.nags = Some(Nags { every_minutes: 30, max: 2 });
    in_force.policy.priority_offsets.high = Some(vec![15, 120]);
    in_force
}

fn kind() -> impl Strategy<Value = Kind> {
    prop_oneof![3 => Just(Kind::Created), 5 => Just(Kind::Updated), 1 => Just(Kind::Completed), 2 => Just(Kind::Deleted)]
}

/// Few stamps, few values: collisions, equal stamps, deletions and values that come back are the rule.
fn told() -> impl Strategy<Value = Told> {
    let stamp = (0_i64..5, 0_u8..5);
    (saying(), stamp, 0_i64..3).prop_map(|((kind, mut statements), (at, form), lag)| {
        statements.sort_by_key(Statement::field);
        statements.dedup_by_key(|statement| statement.field());
        let stamp = |at, whole_second| Some(Stamp { at, whole_second });
        let stamps = match form {
            0 | 1 => Stamps { event: stamp(minute(at), false), ..Stamps::default() },
            2 => Stamps { event: stamp(minute(at), true), ..Stamps::default() },
            3 => Stamps { broker: Some(minute(at)), ..Stamps::default() },
            // Its own is too far ahead to be believed.
            _ => Stamps { event: stamp(minute(50), false), broker: Some(minute(at)), envelope: None },
        };
        // What differs in its arrival differs in its id, so that equal events arrive at one instant.
        let id = format!("{form}-{lag}");
        let event = Event {
            stamps,
            correlation_id: Some(id.clone()),
            message_id: Some(id),
            statements,
            ..event(kind, T0)
        };
        (event, minute(at + 3 * (lag - 1)))
    })
}

/// Cancels, what takes them back, and deletions.
fn cancel() -> impl Strategy<Value = Event> {
    let one = Target::Reminder(ReminderId::from_bytes([1; 16]));
    let of = prop_oneof![Just(None), Just(Some(Target::Present)), Just(Some(one))];
    let cancel = |of, at| updated(minute(at), &[Statement::Cancelled(of)]);
    prop_oneof![
        5 => (of, 0_i64..5).prop_map(move |(of, at)| cancel(of, at)),
        1 => (0_i64..5).prop_map(|at| event(Kind::Deleted, minute(at))),
    ]
}

/// The same events twice, each time shuffled and with some of them repeated.
fn two_orders() -> impl Strategy<Value = (Vec<Told>, Vec<Told>)> {
    proptest::collection::vec(told(), 1..9).prop_flat_map(|events| {
        let shuffled = || {
            let all = events.clone();
            subsequence(events.clone(), 0..=events.len())
                .prop_map(move |again| [all.clone(), again].concat())
                .prop_shuffle()
        };
        (shuffled(), shuffled())
    })
}

/// Everything but the order in which unbelievable stamps came.
fn settled(mut task: Task) -> Task {
    task.arrivals.sort_unstable();
    task
}

/// Folds events in groups of `group`, planning after each group.
fn folded(events: &[Told], group: usize) -> Record {
    let mut record = Record::default();
    for group in events.chunks(group) {
        let mut changed = false;
        for (event, arrival) in group {
            changed |= record.task.apply(event, *arrival).changed;
        }
        if changed {
            replanned(&mut record, &in_force(), minute(NOW));
            record.trim(minute(NOW));
        }
    }
    record
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_order_and_any_repetition_end_in_one_task_and_one_live_plan((first, second) in two_orders()) {
        let (first, second) = (folded(&first, 1), folded(&second, 1));
        prop_assert_eq!(pending(&first), pending(&second));
        prop_assert_eq!(planned_of(&first.task, &in_force()), planned_of(&second.task, &in_force()));
        prop_assert_eq!(settled(first.task), settled(second.task));
    }

    #[test]
    fn any_order_of_cancels_calls_the_same_off(
        (one, other) in proptest::collection::vec(cancel(), 1..9)
            .prop_flat_map(|events| (Just(events.clone()), Just(events).prop_shuffle()))
    ) {
        prop_assert_eq!(merged(&one).called_off, merged(&other).called_off);
    }

    #[test]
    fn telling_everything_again_changes_nothing((first, second) in two_orders()) {
        let once = folded(&first, 1);
        let twice = folded(&[first, second].concat(), 1);
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn folding_in_groups_is_folding_one_by_one((events, _) in two_orders(), group in 2_usize..6) {
        let (alone, grouped) = (folded(&events, 1), folded(&events, group));
        prop_assert_eq!(pending(&alone), pending(&grouped));
        prop_assert_eq!(alone.task, grouped.task);
    }

    #[test]
    fn what_is_live_is_what_the_plan_calls_for((events, _) in two_orders()) {
        let record = folded(&events, 1);
        let mut called_for: Vec<_> = planned_of(&record.task, &in_force())
            .into_iter()
            .filter(|p| !p.is_born_expired() && p.fire_at > minute(NOW))
            .map(|p| (p.rule.to_string(), (p.fire_at.millis() - T0.millis()) / 60_000))
            .collect();
        called_for.sort();
        let live = pending(&record);
        prop_assert_eq!(live, called_for);
    }
}
