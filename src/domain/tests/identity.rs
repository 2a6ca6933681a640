//! One identity for one cause, in every life and every release.

use super::*;

fn id(occurrence: Option<Moment>, rule: Rule) -> String {
    ReminderId::of(&task("task-1"), occurrence, rule).to_string()
}

#[test]
fn ids_are_the_same_in_every_release() {
    let instant = Moment::new(Due::Instant(T0), Zone::UTC);
    let berlin = Moment::new(wall("2026-11-24T10:00:00"), zone("Europe/Berlin"));
    let day = Moment::new(Due::date("2026-11-24".parse().unwrap()), zone("Europe/Berlin"));
    let cases = [
        (Some(instant), Rule::Offset(15), "0d149c78-409e-58f0-9863-75b91e842916"),
        (Some(instant), Rule::Offset(0), "7af59e86-52df-51f7-89a1-938cdbc4e172"),
        (Some(berlin), Rule::Offset(15), "f6f6298e-0f69-5138-8295-578916089700"),
        (Some(day), Rule::Offset(15), "b792e486-6bb0-55d7-9385-db91337cdb08"),
        (None, Rule::At(instant), "52b1b7f8-44d5-5c43-a499-8fabc7937a12"),
    ];
    for (occurrence, rule, expected) in cases {
        assert_eq!(id(occurrence, rule), expected, "{occurrence:?} {rule}");
    }
}

#[test]
fn the_namespace_is_the_name_of_the_worker() {
    let namespace = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_DNS, b"reminder-worker");
    let occurrence = Moment::new(Due::Instant(T0), Zone::UTC);
    let mut name = Vec::new();
    for part in ["task-1", "2026-11-24T09:00:00.000Z", "offset:15"] {
        name.extend_from_slice(&u32::try_from(part.len()).unwrap().to_be_bytes());
        name.extend_from_slice(part.as_bytes());
    }
    let expected = uuid::Uuid::new_v5(&namespace, &name).to_string();
    assert_eq!(id(Some(occurrence), Rule::Offset(15)), expected);
}

#[test]
fn no_two_causes_share_an_id() {
    let first = Moment::new(Due::Instant(T0), Zone::UTC);
    let second = Moment::new(Due::Instant(minute(1)), Zone::UTC);
    let mut ids = vec![
        ReminderId::of(&task("a"), Some(first), Rule::Offset(15)),
        ReminderId::of(&task("b"), Some(first), Rule::Offset(15)),
        ReminderId::of(&task("a"), Some(second), Rule::Offset(15)),
        ReminderId::of(&task("a"), Some(first), Rule::Offset(5)),
        ReminderId::of(&task("a"), None, Rule::At(first)),
        ReminderId::of(&task("a"), None, Rule::Offset(15)),
        // Lengths keep parts apart that would run together.
        ReminderId::of(&task("a2026-11-24T09:00:00.000Z"), None, Rule::Offset(15)),
    ];
    let count = ids.len();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), count);
}

#[test]
fn an_id_survives_a_change_of_the_instant_that_its_wall_time_stands_for() {
    let mut in_force = policy();
    let day = Due::date("2026-11-24".parse().unwrap());
    let berlin = Statement::Zone(Some(zone("Europe/Berlin")));
    let mut record = Record {
        task: merged(&[created(minute(-60), &[Statement::Due(Some(day)), berlin])]),
        ..Record::default()
    };
    replanned(&mut record, &in_force, minute(-60));
    let before = record.reminders[0].clone();
    in_force.policy.date_only = NaiveTime::from_hms_opt(18, 0, 0).unwrap();
    in_force.generation = 2;
    replanned(&mut record, &in_force, minute(-60));
    let after = &record.reminders[0];
    assert_ne!(before.fire_at, after.fire_at, "the instant moved");
    assert_eq!((before.id(&task("t")), record.reminders.len()), (after.id(&task("t")), 1));
}

#[test]
fn an_id_is_its_sixteen_bytes() {
    let one = ReminderId::of(&task("a"), None, Rule::Offset(15));
    assert_eq!(ReminderId::from_bytes(*one.as_bytes()), one);
    assert_eq!(one.as_bytes()[6] >> 4, 5, "version 5");
}

#[test]
fn a_task_id_is_neither_empty_nor_longer_than_its_bound() {
    assert_eq!(TaskId::new(""), None);
    assert!(TaskId::new("x".repeat(TASK_ID_MAX_BYTES)).is_some());
    assert_eq!(TaskId::new("x".repeat(TASK_ID_MAX_BYTES + 1)), None);
}
