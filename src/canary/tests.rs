//! When a canary counts as back, as lost, and as a reason not to be ready.

use super::*;
use crate::domain::Kind;
use crate::domain::{Rule, State, Statement};
use crate::reading::{Reading, Transport, read, read_receipts};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(seconds * 1_000)
}

#[test]
fn the_one_on_its_way_is_back_once_and_no_other_is() {
    let mut watched = Watched::since(SECOND);
    assert_eq!(watched.came_back(at(12), 12 * SECOND), None, "none was sent");
    assert!(!watched.beat(MINUTE, 10 * SECOND), "nor is one lost");
    watched.flight = Some(Flight { planned: at(12), sent: 10 * SECOND });
    assert_eq!(watched.came_back(at(11), 12 * SECOND), None, "another worker's");
    assert_eq!(watched.seen, SECOND);
    assert_eq!(watched.came_back(at(12), 13 * SECOND), Some(SECOND), "beyond what it was planned ahead by");
    assert_eq!(watched.came_back(at(12), 13 * SECOND), None, "a repeat");
    assert_eq!(watched.seen, 13 * SECOND);
    assert!(!watched.beat(MINUTE, 70 * SECOND));
    watched.flight = Some(Flight { planned: at(72), sent: 70 * SECOND });
    assert!(watched.beat(MINUTE, 130 * SECOND), "it is lost when the next one goes");
    assert_eq!(watched.came_back(at(72), 131 * SECOND), None, "and stays so");
}

#[test]
fn readiness_fails_where_it_is_wanted_and_not_before_two_turns() {
    let watched = Watched::since(Duration::ZERO);
    let fails = |limit: Duration, age| watched.fault(limit, MINUTE, age).is_some();
    assert!(!fails(Duration::ZERO, 3_600 * SECOND), "never");
    assert!(!fails(5 * MINUTE, 5 * MINUTE), "on the bound");
    assert!(fails(5 * MINUTE, 5 * MINUTE + SECOND));
    assert!(!fails(MINUTE, 2 * MINUTE), "one that is late is not two");
    assert!(fails(MINUTE, 2 * MINUTE + SECOND));
}

#[test]
fn what_is_published_plans_one_reminder_of_nobodys_task_and_replaces_the_one_before() {
    let event = event(at(10), at(12)).unwrap();
    let Reading::Event(event) = read(&event, &Transport::default()) else { panic!("{event:?}") };
    assert_eq!(
        (event.kind, event.task_id.as_str(), &event.refused[..]),
        (Kind::Created, CANARY_TASK, &[][..])
    );
    assert!(
        !event.statements.iter().any(|statement| matches!(statement, Statement::User(_) | Statement::Due(_)))
    );
    let mut record = crate::domain::Record::default();
    let in_force = crate::domain::tests::policy();
    let rules = crate::domain::Rules { in_force: &in_force, user: None };
    for n in 0..200 {
        let now = at(60 * n);
        let event = super::event(now, now.plus(LEAD)).unwrap();
        let Reading::Event(event) = read(&event, &Transport::default()) else { panic!("it is an event") };
        record.apply(&event, now);
        crate::domain::decide::replan(&event.task_id, &mut record, &rules, now, &|_| false);
        let pending: Vec<_> = record.reminders.iter().filter(|r| r.state == State::Pending).collect();
        assert!(
            matches!(pending[..], [one] if one.fire_at == now.plus(LEAD) && matches!(one.rule, Rule::At(_)))
        );
        let id = pending[0].id(&event.task_id);
        let back = crate::dapr::reminder_due(&event.task_id, &record.task, pending[0], &rules);
        let [receipt] = &read_receipts(&back)[..] else { panic!("it comes back as one") };
        assert_eq!((&receipt.task_id, receipt.planned_at), (&event.task_id, Some(now.plus(LEAD))));
        assert_eq!(crate::domain::ReminderId::from(receipt.event_id), id);
        let back = String::from_utf8(back).unwrap();
        assert!(!back.contains("reminder_due"), "who reads reminders passes it over: {back}");
        let reminder = record.reminders.iter_mut().find(|r| r.state == State::Pending).unwrap();
        reminder.settle(State::Published, now.plus(LEAD), None);
        record.trim(now.plus(MINUTE));
    }
    assert!(record.reminders.len() <= crate::domain::SETTLED_MAX, "its record does not grow");
    assert!(record.low_water.len() <= crate::domain::LOW_WATER_MAX);
}

#[test]
fn only_the_canarys_own_task_may_say_that_it_is_one() {
    let other = br#"{"event_type":"reminder_canary","payload":{"task_id":"t","title":"x"}}"#;
    let read = read(other, &Transport::default());
    assert!(matches!(read, Reading::Ignored(_)), "{read:?}");
}
