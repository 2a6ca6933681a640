//! The plan: which reminders a task has, and when.
//!
//! A pure function of the record and the rules; of what was planned, sent or refused before it knows the low-water
//! marks alone (the rest is `decide`). Owns a reminder's **birth**: the latest instant at which anything it depends on came to
//! be so. A reminder whose instant is not after its birth would remind of the past, and is born expired.

use super::due::{Due, Moment, Zone};
use super::event::Field;
use super::policy::PolicyInForce;
use super::preferences::{Preferences, WishField};
use super::record::Record;
use super::reminder::Rule;
use super::task::Task;
use super::time::Timestamp;

mod quiet;

pub use quiet::{REASON_MUTED, REASON_QUIET, let_go};

/// What a plan is made with besides the record.
#[derive(Clone, Copy, Debug)]
pub struct Rules<'a> {
    /// The configured policy.
    pub in_force: &'a PolicyInForce,
    /// The preferences of the task's user, if it has any.
    pub user: Option<&'a Preferences>,
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
/// At or below a rule's low-water mark nothing is planned.
#[must_use]
pub fn plan(record: &Record, rules: &Rules<'_>) -> Vec<Planned> {
    let task = &record.task;
    if !task.is_open() {
        return Vec::new();
    }
    let mut planned = by_offset(task, rules);
    planned.extend(by_time(task, rules));
    if let Some(user) = rules.user {
        quiet::move_all(&mut planned, task, user, rules);
    }
    planned.retain(|planned| planned.instant() > record.low_water(planned.rule));
    planned
}

/// The due date of the task as an occurrence.
#[must_use]
pub fn occurrence(task: &Task, rules: &Rules<'_>) -> Option<Moment> {
    task.due().map(|due| Moment::new(due, zone_of(task, due, rules).0))
}

fn by_offset(task: &Task, rules: &Rules<'_>) -> Vec<Planned> {
    let Some(due) = occurrence(task, rules) else { return Vec::new() };
    let in_force = rules.in_force;
    let due_at = due.instant(in_force.policy.date_only);
    // The nearest rule wins: the task's offsets, else its explicit times alone, else the user's offsets, else the
    // configured default.
    let wished = || rules.user.and_then(|user| Some((user.offsets()?, user.since(WishField::Offsets))));
    let (offsets, rule_since) = match (task.offsets(), task.remind_at()) {
        (Some(offsets), _) => (offsets, task.since(Field::Offsets)),
        (None, Some(times)) if !times.is_empty() => (&[][..], Timestamp::MIN),
        (None, _) => wished().unwrap_or((in_force.policy.default_offsets.as_slice(), in_force.since.offsets)),
    };
    let birth = [task.since(Field::Due), wall_since(task, task.due(), rules), task.open_since(), rule_since]
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

fn by_time(task: &Task, rules: &Rules<'_>) -> Vec<Planned> {
    task.remind_at()
        .unwrap_or_default()
        .iter()
        .map(|time| {
            let moment = Moment::new(*time, zone_of(task, *time, rules).0);
            let wall = wall_since(task, Some(*time), rules);
            let birth = task.since(Field::RemindAt).max(wall).max(task.open_since());
            Planned::at(None, Rule::At(moment), moment.instant(rules.in_force.policy.date_only), birth)
        })
        .collect()
}

/// The zone that `stated` is read in, and since when that is so: the task's, else for a date alone the user's, else
/// the default one. A naive time is never the user's: many producers write UTC that way.
fn zone_of(task: &Task, stated: Due, rules: &Rules<'_>) -> (Zone, Timestamp) {
    let of_task = task.since(Field::Zone);
    if let Some(zone) = task.zone() {
        return (zone, of_task);
    }
    let user = rules.user.filter(|_| matches!(stated, Due::Date(_)));
    if let Some((zone, since)) = user.and_then(|user| Some((user.zone()?, user.since(WishField::Zone)))) {
        return (zone, since.max(of_task));
    }
    (rules.in_force.policy.default_zone, rules.in_force.since.zone.max(of_task))
}

/// Since when what reads `stated` as an instant has been as it is: its zone matters to wall times and dates, and the
/// time of day to dates.
fn wall_since(task: &Task, stated: Option<Due>, rules: &Rules<'_>) -> Timestamp {
    match stated {
        None | Some(Due::Instant(_)) => Timestamp::MIN,
        Some(wall @ Due::Wall(_)) => zone_of(task, wall, rules).1,
        Some(date @ Due::Date(_)) => zone_of(task, date, rules).1.max(rules.in_force.since.date_only),
    }
}
