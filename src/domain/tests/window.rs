//! Windows spread what is due at one instant.

use std::collections::HashSet;
use std::time::Duration;

use super::*;

const WINDOW: Duration = Duration::from_secs(300);

fn spread() -> PolicyInForce {
    let mut in_force = policy();
    in_force.policy.windows = vec![(0, WINDOW)];
    in_force
}

/// When the reminder of the task called `id` fires that is due at minute 60 and stated at `told`.
fn fires(id: &str, told: i64, minutes: &[u32]) -> Planned {
    let task = merged(&[created(minute(told), &[due(minute(60)), offsets(minutes)])]);
    let record = Record { task, ..Record::default() };
    plan(&TaskId::new(id).unwrap(), &record, &Rules { in_force: &spread() })[0]
}

#[test]
fn a_reminder_fires_within_the_window_before_its_instant_and_always_at_the_same_place() {
    let mut places = HashSet::new();
    for n in 0..200 {
        let id = format!("task {n}");
        let planned = fires(&id, 0, &[0]);
        assert_eq!(planned.instant(), minute(60));
        assert!((minute(55)..=minute(60)).contains(&planned.fire_at), "{}", planned.fire_at);
        assert_eq!(planned.moved_from, (planned.fire_at != minute(60)).then_some(minute(60)));
        assert_eq!(planned, fires(&id, 0, &[0]));
        places.insert(planned.fire_at);
    }
    assert!(places.len() > 190, "they are spread: {}", places.len());
}

#[test]
fn another_offset_has_no_part_in_it_and_nothing_moves_before_its_birth() {
    assert_eq!(fires("t", 0, &[15]).moved_from, None);
    for n in 0..50 {
        let planned = fires(&format!("task {n}"), 58, &[0]);
        assert!(planned.fire_at > minute(58) && !planned.is_born_expired(), "{}", planned.fire_at);
    }
}
