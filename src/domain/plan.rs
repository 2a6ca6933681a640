//! The plan: which reminders a task has, and when.
//!
//! A pure function of the record and the rules; of what was planned, sent or refused before it knows the low-water
//! marks alone (the rest is `decide`). Owns a reminder's **birth**: the latest instant at which anything it depends on came to
//! be so. A reminder whose instant is not after its birth would remind of the past, and is born expired.

mod cancelled;

use super::due::{Due, Moment};
use super::event::Field;
use super::policy::PolicyInForce;
use super::record::Record;
use super::reminder::Rule;
use super::task::Task;
use super::time::Timestamp;

pub use cancelled::without_cancelled;

/// What a plan is made with besides the record.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The configured policy.
    pub in_force: &'a PolicyInForce,
}

/// A reminder that the task calls for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Planned {
    /// The due date it is for; `None` for explicit times, which no due date moves.
    pub occurrence: Option<Moment>,
    /// What makes it.
    pub rule: Rule,
    /// When it is to fire.
    pub fire_at: Timestamp,
    /// The instant that its rule names, where something moved it from there.
    pub moved_from: Option<Timestamp>,
    /// The latest instant at which anything it depends on came to be so.
    pub birth: Timestamp,
}

impl Planned {
    /// What `rule` makes for `occurrence`, at the instant that it names.
    fn at(occurrence: Option<Moment>, rule: Rule, instant: Timestamp, birth: Timestamp) -> Self {
        Self { occurrence, rule, fire_at: instant, moved_from: None, birth }
    }

    /// The instant that its rule names.
    #[must_use]
    pub fn instant(&self) -> Timestamp {
        self.moved_from.unwrap_or(self.fire_at)
    }

    /// Whether its instant was past already when it came to be.
    #[must_use]
    pub fn is_born_expired(&self) -> bool {
        self.instant() <= self.birth
    }
}

/// Everything the record's task calls for, explicit times last. A task that has ended calls for nothing.
///
/// At or below a rule's low-water mark nothing is planned. What was called off is still in it: see
/// [`without_cancelled`].
#[must_use]
pub fn plan(record: &Record, rules: &Rules<'_>) -> Vec<Planned> {
    let task = &record.task;
    if !task.is_open() {
        return Vec::new();
    }
    let mut planned = by_offset(task, rules.in_force);
    planned.extend(by_time(task, rules.in_force));
    planned.retain(|planned| planned.instant() > record.low_water(planned.rule));
    planned
}

/// The due date of the task as an occurrence.
#[must_use]
pub fn occurrence(task: &Task, in_force: &PolicyInForce) -> Option<Moment> {
    task.due().map(|due| Moment::new(due, task.zone().unwrap_or(in_force.policy.default_zone)))
}

fn by_offset(task: &Task, in_force: &PolicyInForce) -> Vec<Planned> {
    let Some(due) = occurrence(task, in_force) else { return Vec::new() };
    let due_at = due.instant(in_force.policy.date_only);
    // The nearest rule wins: the task's offsets, else its explicit times alone, else the configured default.
    let (offsets, rule_since) = match (task.offsets(), task.remind_at()) {
        (Some(offsets), _) => (offsets, task.since(Field::Offsets)),
        (None, Some(times)) if !times.is_empty() => (&[][..], Timestamp::MIN),
        (None, _) => (in_force.policy.default_offsets.as_slice(), in_force.since.offsets),
    };
    let birth =
        [task.since(Field::Due), wall_since(task, task.due(), in_force), task.open_since(), rule_since]
            .into_iter()
            .max()
            .unwrap_or(Timestamp::MIN);
    let mut planned: Vec<Planned> = offsets
        .iter()
        .map(|minutes| {
            let fire_at = due_at.minus(std::time::Duration::from_secs(u64::from(*minutes) * 60));
            Planned::at(Some(due), Rule::Offset(*minutes), fire_at, birth)
        })
        .collect();
    // A task due sooner than all its offsets is still reminded of, when it is due.
    if due_at > birth && !planned.is_empty() && planned.iter().all(Planned::is_born_expired) {
        planned.push(Planned::at(Some(due), Rule::Offset(0), due_at, birth));
    }
    planned
}

fn by_time(task: &Task, in_force: &PolicyInForce) -> Vec<Planned> {
    let zone = task.zone().unwrap_or(in_force.policy.default_zone);
    task.remind_at()
        .unwrap_or_default()
        .iter()
        .map(|time| {
            let moment = Moment::new(*time, zone);
            let wall = wall_since(task, Some(*time), in_force);
            let birth = task.since(Field::RemindAt).max(wall).max(task.open_since());
            Planned::at(None, Rule::At(moment), moment.instant(in_force.policy.date_only), birth)
        })
        .collect()
}

/// Since when what reads `stated` as an instant has been as it is: its zone matters to wall times and dates, the
/// task's own or the default one, and the time of day to dates.
fn wall_since(task: &Task, stated: Option<Due>, in_force: &PolicyInForce) -> Timestamp {
    let zone = match task.zone() {
        Some(_) => task.since(Field::Zone),
        None => in_force.since.zone.max(task.since(Field::Zone)),
    };
    match stated {
        None | Some(Due::Instant(_)) => Timestamp::MIN,
        Some(Due::Wall(_)) => zone,
        Some(Due::Date(_)) => zone.max(in_force.since.date_only),
    }
}
