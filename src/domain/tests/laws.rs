//! Order does not matter: any order and any repetition of the same events ends in the same task, the same wishes and the
//! same live plan (**invariant 4**).

use proptest::prelude::*;
use proptest::sample::subsequence;
use proptest::test_runner::TestCaseError;

use super::*;

/// What is told: of the task, or of its user.
#[derive(Clone, Debug)]
enum Said {
    Task(Event),
    Wishes(PreferencesChange),
}

/// What is told and the instant of its first arrival; both are a function of what it says.
type Told = (Said, Timestamp);

/// A task and its user, whose wishes count as long as the task is its.
#[derive(Clone, PartialEq, Debug, Default)]
struct World {
    record: Record,
    user: Preferences,
}

const DAILY: &str = r#"{"frequency":"daily"}"#;
const NEXT: &str = r#"{"frequency":"weekly","count":3,"on_complete":"next"}"#;
const HOURLY: &str = r#""FREQ=HOURLY;INTERVAL=5;BYHOUR=8,9,10,11,12,13,14,15;COUNT=40""#;

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
        Just(Statement::User(Some("u".into()))),
        Just(Statement::User(None)),
        Just(recurs(DAILY)),
        Just(recurs(NEXT)),
        Just(recurs(HOURLY)),
        Just(Statement::Recurrence(None)),
        Just(Statement::Priority(None)),
        Just(Statement::Priority(Some(Priority::Medium))),
        Just(Statement::Priority(Some(Priority::High))),
        Just(Statement::Nags(None)),
        Just(Statement::Nags(Some(Nags::NONE))),
        Just(Statement::Nags(Some(Nags { every_minutes: 60, max: 3 }))),
    ]
}

fn recurs(rule: &str) -> Statement {
    Statement::Recurrence(Some(rule.into()))
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
    prop_oneof![4 => told_of(saying()), 1 => wishes()]
}

fn wishes() -> impl Strategy<Value = Told> {
    preferences::told().prop_map(|(change, arrival)| (Said::Wishes(change), arrival))
}

/// Events that say something of `saying`.
fn told_of(saying: impl Strategy<Value = (Kind, Vec<Statement>)>) -> impl Strategy<Value = Told> {
    let stamp = (0_i64..5, 0_u8..5);
    (saying, stamp, 0_i64..3).prop_map(|((kind, mut statements), (at, form), lag)| {
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
        (Said::Task(event), minute(at + 3 * (lag - 1)))
    })
}

/// What has one value a field, besides none that is stated, so that none comes back after cancels, by the reminders of
/// which it counts as stated anew; actions, and cancels.
fn steady() -> impl Strategy<Value = Told> {
    let statement = prop_oneof![
        3 => Just(due(minute(14_400))),
        1 => Just(Statement::Zone(Some(zone("Europe/Berlin")))),
        2 => Just(offsets(&[0, 60])),
        2 => Just(recurs(DAILY)),
        1 => Just(Statement::Nags(Some(Nags { every_minutes: 60, max: 3 }))),
        1 => Just(Statement::Status(Some(Status::InProgress))),
        1 => Just(Statement::Priority(Some(Priority::High))),
        1 => Just(Statement::User(Some("u".into()))),
        1 => prop_oneof![Just(title("a")), Just(title("b"))],
    ];
    let kind = prop_oneof![Just(Kind::Created), Just(Kind::Updated)];
    let second = Moment::new(wall("2026-12-05T09:00:00"), Zone::UTC);
    let of = prop_oneof![
        1 => Just(None),
        3 => target().prop_map(Some),
        2 => Just(Some(Target::Occurrence(second))),
    ];
    let saying = prop_oneof![
        4 => (kind, proptest::collection::vec(statement, 1..4)),
        1 => action().prop_map(|(kind, statement)| (kind, vec![statement])),
        2 => of.prop_map(|of| (Kind::Updated, vec![Statement::Cancelled(of)])),
    ];
    prop_oneof![5 => told_of(saying), 1 => wishes()]
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
fn two_orders<S: Strategy<Value = Told>>(told: S) -> impl Strategy<Value = (Vec<Told>, Vec<Told>)> {
    proptest::collection::vec(told, 1..9).prop_flat_map(|events| {
        let shuffled = || {
            let all = events.clone();
            subsequence(events.clone(), 0..=events.len())
                .prop_map(move |again| [all.clone(), again].concat())
                .prop_shuffle()
        };
        (shuffled(), shuffled())
    })
}

impl World {
    /// The user's wishes, where the task has a user.
    fn wishes(&self) -> Option<&Preferences> {
        self.record.task.user().map(|_| &self.user)
    }

    fn hear(&mut self, (said, arrival): &Told) -> bool {
        match said {
            Said::Task(event) => self.record.task.apply(event, *arrival).changed,
            Said::Wishes(change) => self.user.apply(change, *arrival).changed,
        }
    }

    fn plan_anew(&mut self) {
        let mut record = std::mem::take(&mut self.record);
        let user = record.task.user().map(|_| &self.user);
        let in_force = in_force();
        let rules = Rules { in_force: &in_force, user };
        decide::replan(&task("t"), &mut record, &rules, minute(NOW), &|_| false);
        record.trim(minute(NOW));
        self.record = record;
    }

    /// What its task calls for, as if nothing had been planned before.
    fn called_for(&self) -> Vec<Planned> {
        let record = Record { task: self.record.task.clone(), ..Record::default() };
        plan(&task("t"), &record, &Rules { in_force: &in_force(), user: self.wishes() })
    }

    /// What is pending: rule, occurrence, and both instants.
    fn live(&self) -> Vec<Live> {
        let pending = self.record.reminders.iter().filter(|r| r.state == State::Pending);
        sorted(pending.map(|r| (r.rule.to_string(), r.occurrence, r.fire_at, r.moved_from)))
    }

    /// Everything but the order in which unbelievable stamps came.
    fn settled(mut self) -> (Task, Preferences) {
        self.record.task.arrivals.sort_unstable();
        self.user.arrivals.sort_unstable();
        (self.record.task, self.user)
    }
}

type Live = (String, Option<Moment>, Timestamp, Option<Timestamp>);

fn sorted(all: impl Iterator<Item = Live>) -> Vec<Live> {
    let mut all: Vec<Live> = all.collect();
    all.sort_by_cached_key(|(rule, occurrence, ..)| (rule.clone(), occurrence.map(|o| o.to_string())));
    all
}

/// Folds events in groups of `group`, planning after each group.
fn folded(events: &[Told], group: usize) -> World {
    let mut world = World::default();
    for group in events.chunks(group) {
        let changed = group.iter().map(|told| world.hear(told)).fold(false, |any, changed| any | changed);
        if changed {
            world.plan_anew();
        }
    }
    world
}

/// Two orders, each told one by one, end in one task, one live plan and the same that is settled.
fn ends_alike(first: &[Told], second: &[Told]) -> Result<(), TestCaseError> {
    let (first, second) = (folded(first, 1), folded(second, 1));
    prop_assert_eq!(first.live(), second.live());
    prop_assert_eq!(first.called_for(), second.called_for());
    prop_assert_eq!(first.settled(), second.settled());
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn any_order_and_any_repetition_end_in_one_task_and_one_live_plan((first, second) in two_orders(told())) {
        ends_alike(&first, &second)?;
    }

    #[test]
    fn any_order_of_what_is_stated_done_and_called_off_ends_in_one_live_plan((first, second) in two_orders(steady())) {
        ends_alike(&first, &second)?;
    }

    #[test]
    fn any_order_of_cancels_calls_the_same_off(
        (one, other) in proptest::collection::vec(cancel(), 1..9)
            .prop_flat_map(|events| (Just(events.clone()), Just(events).prop_shuffle()))
    ) {
        prop_assert_eq!(merged(&one).called_off, merged(&other).called_off);
    }

    #[test]
    fn telling_everything_again_changes_nothing((first, second) in two_orders(told())) {
        let once = folded(&first, 1);
        let twice = folded(&[first, second].concat(), 1);
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn telling_all_that_was_called_off_again_changes_nothing((first, second) in two_orders(steady())) {
        let once = folded(&first, 1);
        let twice = folded(&[first, second].concat(), 1);
        prop_assert_eq!(once, twice);
    }

    #[test]
    fn folding_in_groups_is_folding_one_by_one((events, _) in two_orders(told()), group in 2_usize..6) {
        let (alone, grouped) = (folded(&events, 1), folded(&events, group));
        prop_assert_eq!(alone.live(), grouped.live());
        prop_assert_eq!((alone.record.task, alone.user), (grouped.record.task, grouped.user));
    }

    #[test]
    fn what_is_live_is_what_the_plan_calls_for((events, _) in two_orders(prop_oneof![told(), steady()])) {
        let world = folded(&events, 1);
        let called_for = world.called_for().into_iter().filter(|p| !p.is_born_expired() && p.fire_at > minute(NOW));
        let called_for = sorted(called_for.map(|p| (p.rule.to_string(), p.occurrence, p.fire_at, p.moved_from)));
        prop_assert_eq!(world.live(), called_for);
        let in_force = in_force();
        let rules = Rules { in_force: &in_force, user: world.wishes() };
        prop_assert!(!is_silent(&task("t"), &world.record, &rules, minute(NOW)));
    }
}
