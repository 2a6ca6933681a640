//! The plan: which reminders a task has, and when.
//!
//! A pure function of the record and the rules; of what was planned, sent or refused before it knows the low-water
//! marks alone (the rest is `decide`). Owns a reminder's **birth**: the latest instant at which anything it depends on came to
//! be so. A reminder whose instant is not after its birth would remind of the past, and is born expired.

mod actions;
mod dates;
mod limits;
mod nags;

use std::time::Duration;

use dates::{Dates, read_since, zone_of};

use super::due::Moment;
use super::event::{Field, TaskId};
use super::policy::PolicyInForce;
use super::record::Record;
use super::reminder::Rule;
use super::task::Task;
use super::time::Timestamp;

pub use limits::{LeftOut, PLANNED_MAX};

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

/// Everything the record's task calls for: by offset, at explicit times, snoozed, after due. A task that has ended
/// calls for nothing.
///
/// At or below a rule's low-water mark nothing is planned.
#[must_use]
pub fn plan(id: &TaskId, record: &Record, rules: &Rules<'_>) -> Vec<Planned> {
    sorted_out(id, record, rules).0
}

/// What the task's rules name and the plan leaves out, each with the reason.
#[must_use]
pub fn left_out(id: &TaskId, record: &Record, rules: &Rules<'_>) -> Vec<(Planned, LeftOut)> {
    sorted_out(id, record, rules).1
}

fn sorted_out(id: &TaskId, record: &Record, rules: &Rules<'_>) -> (Vec<Planned>, Vec<(Planned, LeftOut)>) {
    let task = &record.task;
    let mut left_out = Vec::new();
    if !task.is_open() {
        return (Vec::new(), left_out);
    }
    let dates = Dates::of(task, rules);
    let mut planned = match &dates {
        Some(dates) => by_offset(task, dates, rules),
        None => Vec::new(),
    };
    planned.extend(by_time(task, rules));
    let actions = actions::Actions::of(id, record, dates.as_ref(), &planned);
    planned.extend(actions.snoozed);
    if let Some(dates) = &dates {
        let nags = nags::after_due(record, dates, rules);
        planned.extend(nags.into_iter().filter(|nag| actions.lets_pass(nag, dates, &mut left_out)));
    }
    limits::keep(&mut planned, &mut left_out);
    planned.retain(|planned| planned.instant() > record.low_water(planned.rule));
    (planned, left_out)
}

/// The due date of the task as an occurrence.
#[must_use]
pub fn occurrence(task: &Task, in_force: &PolicyInForce) -> Option<Moment> {
    Dates::of(task, &Rules { in_force }).map(|dates| dates.first)
}

fn by_offset(task: &Task, dates: &Dates, rules: &Rules<'_>) -> Vec<Planned> {
    // The nearest rule wins: the task's offsets, else its explicit times alone, else the configured default of its
    // priority.
    let (offsets, rule_since) = match (task.offsets(), task.remind_at()) {
        (Some(offsets), _) => (offsets, task.since(Field::Offsets)),
        (None, Some(times)) if !times.is_empty() => (&[][..], Timestamp::MIN),
        (None, _) => {
            let (policy, priority) = (&rules.in_force.policy, task.priority());
            let since = *rules.in_force.since.offsets.of(priority);
            let told = if policy.minds_priority() { task.since(Field::Priority) } else { Timestamp::MIN };
            (policy.offsets(priority), since.max(told))
        }
    };
    let birth = dates.since.max(task.open_since()).max(rule_since);
    let (due, due_at) = (dates.first, dates.instant(dates.first));
    let mut planned: Vec<Planned> = offsets
        .iter()
        .map(|minutes| {
            let fire_at = due_at.minus(Duration::from_secs(u64::from(*minutes) * 60));
            Planned::at(Some(due), Rule::Offset(*minutes), fire_at, birth)
        })
        .collect();
    // A task due sooner than all its offsets is still reminded of, when it is due.
    if due_at > birth && !planned.is_empty() && planned.iter().all(Planned::is_born_expired) {
        planned.push(Planned::at(Some(due), Rule::Offset(0), due_at, birth));
    }
    planned
}

fn by_time(task: &Task, rules: &Rules<'_>) -> Vec<Planned> {
    let times = task.remind_at().unwrap_or_default().iter();
    times
        .map(|time| {
            let moment = Moment::new(*time, zone_of(task, *time, rules));
            let birth =
                task.since(Field::RemindAt).max(read_since(task, *time, rules)).max(task.open_since());
            let instant = moment.instant(rules.in_force.policy.date_only);
            Planned::at(None, Rule::At(moment), instant, birth)
        })
        .collect()
}
