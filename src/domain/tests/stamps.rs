//! Which stamp of an event is believed, and how versions order.

use std::time::Duration;

use super::super::version::{Stamped, Version};
use super::*;

fn stamped(event: &Event, arrival: Timestamp) -> (Timestamp, bool, bool) {
    let Stamped { version, from_arrival, ahead } = stamp(event, arrival);
    (Timestamp::from_millis(version.ms), from_arrival, ahead)
}

#[test]
fn the_first_stamp_that_is_not_too_far_ahead_is_believed() {
    let exact = |at| Some(Stamp { at, whole_second: false });
    let far = minute(99);
    let cases = [
        ("its own", exact(minute(1)), Some(minute(2)), exact(minute(3)), (minute(1), false, false)),
        ("the broker's", None, Some(minute(2)), exact(minute(3)), (minute(2), false, false)),
        ("the envelope's", None, None, exact(minute(3)), (minute(3), false, false)),
        ("none: the arrival", None, None, None, (minute(10), true, false)),
        ("its own ahead: the broker's", exact(far), Some(minute(2)), None, (minute(2), false, true)),
        ("two ahead: the envelope's", exact(far), Some(far), exact(minute(3)), (minute(3), false, true)),
        ("all ahead: the arrival", exact(far), Some(far), exact(far), (minute(10), true, true)),
        ("an ignored one ahead is counted", exact(minute(1)), Some(far), None, (minute(1), false, true)),
    ];
    for (name, event, broker, envelope, expected) in cases {
        let event = Event { stamps: Stamps { event, broker, envelope }, ..updated(T0, &[]) };
        assert_eq!(stamped(&event, minute(10)), expected, "{name}");
    }
}

#[test]
fn a_stamp_on_the_bound_is_believed_and_one_beyond_it_is_not() {
    let arrival = minute(10);
    let bound = arrival.plus(STAMP_AHEAD_MAX);
    assert_eq!(bound, minute(15));
    assert_eq!(stamped(&updated(bound, &[]), arrival), (bound, false, false));
    let beyond = bound.plus(Duration::from_millis(1));
    assert_eq!(stamped(&updated(beyond, &[]), arrival), (arrival, true, true));
}

#[test]
fn a_whole_second_starts_for_a_creation_and_ends_for_all_else() {
    let cases = [(Kind::Created, 0), (Kind::Updated, 999), (Kind::Completed, 999), (Kind::Deleted, 999)];
    for (kind, expected) in cases {
        for of_envelope in [false, true] {
            let whole = Some(Stamp { at: T0, whole_second: true });
            let mut event = event(kind, T0);
            event.stamps = if of_envelope {
                Stamps { envelope: whole, ..Stamps::default() }
            } else {
                Stamps { event: whole, ..Stamps::default() }
            };
            let (ms, ..) = stamped(&event, minute(1));
            assert_eq!(ms.millis() - T0.millis(), expected, "{kind:?} {of_envelope}");
        }
    }
}

#[test]
fn versions_order_by_stamp_then_kind_then_broker_then_offset_then_digest() {
    let low = Version { ms: 1, kind: Kind::Created, broker: 1, offset: 1, digest: 1 };
    let rising = [
        low,
        Version { digest: 2, ..low },
        Version { offset: 2, digest: 0, ..low },
        Version { broker: 2, offset: 0, digest: 0, ..low },
        Version { kind: Kind::Updated, broker: 0, offset: 0, digest: 0, ..low },
        Version { kind: Kind::Completed, broker: 0, offset: 0, digest: 0, ..low },
        Version { kind: Kind::Deleted, broker: 0, offset: 0, digest: 0, ..low },
        Version { ms: 2, broker: 0, offset: 0, digest: 0, ..low },
    ];
    assert!(rising.is_sorted_by(|a, b| a < b), "{rising:?}");
}

#[test]
fn the_brokers_stamp_and_offset_are_part_of_the_version_whichever_stamp_is_believed() {
    let mut event = updated(minute(1), &[]);
    event.stamps.broker = Some(minute(2));
    event.offset = 7;
    let version = stamp(&event, minute(3)).version;
    assert_eq!((version.broker, version.offset), (minute(2).millis(), 7));
    let bare = stamp(&updated(minute(1), &[]), minute(3)).version;
    assert_eq!((bare.broker, bare.offset), (0, 0));
}

#[test]
fn the_digest_is_the_same_in_every_release() {
    let berlin = Statement::Zone(Some(zone("Europe/Berlin")));
    let mut event = created(T0, &[title("Buy milk"), due(minute(30)), berlin, offsets(&[0, 15])]);
    event.message_id = Some("m-1".into());
    assert_eq!(stamp(&event, T0).version.digest, GOLDEN_DIGEST);
}

/// Kept with every record: another digest would make every redelivery news.
const GOLDEN_DIGEST: u64 = 7_234_083_722_287_032_579;

#[test]
fn the_digest_tells_apart_what_events_say_and_not_who_carried_them() {
    let digest = |event: &Event| stamp(event, minute(10)).version.digest;
    let base = updated(T0, &[due(minute(30))]);
    let carried = Event {
        producer: Some("api".into()),
        correlation_id: Some("c".into()),
        trace_id: Some([1; 16]),
        offset: 9,
        stamps: Stamps { broker: Some(T0), ..base.stamps },
        ..base.clone()
    };
    assert_eq!(digest(&base), digest(&carried));
    let others = [
        created(T0, &[due(minute(30))]),
        updated(T0, &[due(minute(31))]),
        updated(T0, &[Statement::Due(None)]),
        Event { task_id: task("u"), ..base.clone() },
        Event { message_id: Some("m".into()), ..base.clone() },
    ];
    for other in others {
        assert_ne!(digest(&base), digest(&other), "{other:?}");
    }
}

#[test]
fn a_clock_that_was_set_back_makes_nothing_that_is_told_since_older_than_what_was_told_before() {
    let bare = |event: Event| Event { stamps: Stamps::default(), ..event };
    // Told at minute 90; the clock was set back by an hour at minute 60.
    for (name, later, wins) in [
        ("all its stamps are ahead", updated(minute(90), &[due(minute(700))]), true),
        ("it has no stamp", bare(updated(minute(90), &[due(minute(700))])), true),
        ("it is older than what is known", updated(minute(54), &[due(minute(700))]), false),
    ] {
        let mut task = merged(&[created(minute(55), &[due(minute(600))])]);
        task.apply(&later, minute(30));
        let due = if wins { minute(700) } else { minute(600) };
        assert_eq!(task.due(), Some(Due::Instant(due)), "{name}");
        // And again, whatever the clock shows by then.
        let again = task.apply(&later, minute(95));
        assert_eq!((again.changed, task.due()), (false, Some(Due::Instant(due))), "{name}");
    }
}

#[test]
fn an_action_that_is_lifted_over_an_earlier_one_was_still_told_when_it_came() {
    let bare = |event: Event| Event { stamps: Stamps::default(), producer: Some(PRODUCER.into()), ..event };
    let snooze = |at, until| {
        let statement = Statement::Snooze(Some(Snooze { of: Target::Present, until }));
        Event { statements: vec![statement], ..event(Kind::Snoozed, minute(at)) }
    };
    // The task was told of by a producer four minutes ahead, and snoozed before the clock was set back by an hour.
    let ahead = created(minute(64), &[due(minute(600)), offsets(&[0])]);
    let of_before = snooze(120, Until::At(minute(130)));
    for (name, before, action, until) in [
        ("nothing it states was told before", vec![], snooze(61, Until::At(minute(63))), 63),
        ("by minutes", vec![of_before.clone()], snooze(61, Until::Minutes(10)), 71),
        ("until an instant", vec![of_before], snooze(61, Until::At(minute(70))), 70),
    ] {
        let mut record = Record::default();
        record.task.apply(&ahead, minute(61));
        for event in &before {
            let _ = record.task.apply(event, minute(120));
        }
        record.task.apply(&bare(action), minute(61));
        replanned(&mut record, &policy(), minute(61));
        assert!(
            pending(&record).contains(&(format!("snooze:{}", minute(until).to_rfc3339()), until)),
            "{name}"
        );
        assert!(record.task.arrivals.is_empty(), "nobody delivers it again");
    }
}
