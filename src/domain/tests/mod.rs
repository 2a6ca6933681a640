//! What the tests of the rules tell and ask.

mod actions;
mod attempts;
mod bucket;
mod cancelling;
mod catch_up;
pub(crate) mod history;
mod holding;
mod identity;
mod importing;
mod keeping;
mod laws;
mod limits;
mod missing;
mod moments;
mod nags;
mod planning;
pub(crate) mod preferences;
mod quiet;
mod replanning;
mod retry;
mod series;
mod series_laws;
mod settings;
mod silent;
mod stamps;
mod wall;
mod why;
mod window;

use chrono::NaiveTime;

use super::*;

/// 2026-11-24T09:00:00Z, the minute 0 of the tests.
pub(crate) const T0: Timestamp = Timestamp::from_millis(1_795_510_800_000);

/// The instant `minute` minutes after [`T0`].
pub(crate) fn minute(minute: i64) -> Timestamp {
    Timestamp::from_millis(T0.millis() + minute * 60_000)
}

/// The instant that RFC 3339 text names.
pub(crate) fn at(text: &str) -> Timestamp {
    Timestamp::from_millis(chrono::DateTime::parse_from_rfc3339(text).unwrap().timestamp_millis())
}

/// The wall time that text without a zone names.
pub(crate) fn wall(text: &str) -> Due {
    Due::wall(text.parse().unwrap())
}

pub(crate) fn zone(name: &str) -> Zone {
    name.parse().unwrap()
}

pub(crate) fn task(id: &str) -> TaskId {
    TaskId::new(id).unwrap()
}

/// An event of the task `t` stamped at `stamp`.
pub(crate) fn event(kind: Kind, stamp: Timestamp) -> Event {
    Event {
        kind,
        task_id: task("t"),
        stamps: Stamps { event: Some(Stamp { at: stamp, whole_second: false }), ..Stamps::default() },
        offset: 0,
        message_id: None,
        producer: None,
        correlation_id: None,
        trace_id: None,
        statements: Vec::new(),
        refused: Vec::new(),
    }
}

pub(crate) fn created(stamp: Timestamp, statements: &[Statement]) -> Event {
    Event { statements: statements.to_vec(), ..event(Kind::Created, stamp) }
}

pub(crate) fn updated(stamp: Timestamp, statements: &[Statement]) -> Event {
    Event { statements: statements.to_vec(), ..event(Kind::Updated, stamp) }
}

pub(crate) fn due(at: Timestamp) -> Statement {
    Statement::Due(Some(Due::Instant(at)))
}

pub(crate) fn offsets(minutes: &[u32]) -> Statement {
    Statement::Offsets(Some(minutes.to_vec()))
}

pub(crate) fn title(text: &str) -> Statement {
    Statement::Title(Some(text.into()))
}

/// Reminds 15 minutes before due, reads naive times in UTC, and has always been in force.
pub(crate) fn policy() -> PolicyInForce {
    PolicyInForce {
        policy: Policy {
            default_offsets: vec![15],
            windows: Vec::new(),
            priority_offsets: ByPriority::default(),
            nags: None,
            default_zone: Zone::UTC,
            date_only: NaiveTime::from_hms_opt(9, 0, 0).unwrap(),
            follow_recurrence: true,
            recurrence_not_from: Vec::new(),
            spread: std::time::Duration::ZERO,
            expire_after: std::time::Duration::from_secs(24 * 60 * 60),
        },
        generation: 1,
        since: PolicySince::all(Timestamp::MIN),
        missing: None,
        leap: None,
    }
}

/// A task made of events that arrived when they were stamped.
pub(crate) fn merged(events: &[Event]) -> Task {
    let mut task = Task::default();
    for event in events {
        task.apply(event, event.stamps.event.map_or(T0, |stamp| stamp.at));
    }
    task
}

/// What a task calls for under a policy, that was planned under one before and has no reminders.
pub(crate) fn planned_of(task: &Task, in_force: &PolicyInForce) -> Vec<Planned> {
    planned_under(task, in_force, 1)
}

/// What a task calls for under a policy, having been planned last under the policy of `generation`.
pub(crate) fn planned_under(task: &Task, in_force: &PolicyInForce, generation: u32) -> Vec<Planned> {
    let rules = Rules { in_force, user: None };
    let due = occurrence(task, &rules).filter(|_| generation != 0);
    let defaults = Defaults { since: *in_force.since.offsets.of(task.priority()), due };
    let record = Record { task: task.clone(), generation, defaults, ..Record::default() };
    plan(&TaskId::new("t").unwrap(), &record, &rules)
}

/// A record planned at `now`, with nothing in flight.
pub(crate) fn replanned(record: &mut Record, in_force: &PolicyInForce, now: Timestamp) {
    decide::replan(&task("t"), record, &Rules { in_force, user: None }, now, &|_| false);
}

/// The rules and minutes of what is pending, sorted.
pub(crate) fn pending(record: &Record) -> Vec<(String, i64)> {
    let mut found: Vec<_> = record
        .reminders
        .iter()
        .filter(|r| r.state == State::Pending)
        .map(|r| (r.rule.to_string(), (r.fire_at.millis() - T0.millis()) / 60_000))
        .collect();
    found.sort();
    found
}

#[test]
fn minute_zero_is_what_it_says() {
    assert_eq!(T0, at("2026-11-24T09:00:00Z"));
}
