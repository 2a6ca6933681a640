//! The plan: which reminders a task has, and when.
//!
//! A pure function of the record and the rules; of what was planned, sent or refused before it knows the low-water
//! marks alone (the rest is `decide`). Owns a reminder's **birth**: the latest instant at which anything it depends on
//! came to be so. A reminder whose instant is not after its birth would remind of the past, and is born expired.

mod actions;
mod cancelled;
pub(super) mod dates;
mod limits;
mod moments;
mod nags;
mod quiet;
mod silent;
mod window;

use std::time::Duration;

use dates::{Dates, read_since, zone_of};

use super::due::Moment;
use super::event::{Field, TaskId};
use super::policy::{PolicyInForce, PolicySince};
use super::preferences::{Preferences, WishField};
use super::record::Record;
use super::reminder::{Reminder, Rule, State};
use super::task::Task;
use super::time::Timestamp;

pub use actions::{Aim, aim};
pub use limits::{LeftOut, PLANNED_MAX};
pub(in crate::domain) use quiet::dropped_since;
pub use quiet::let_go;
pub use silent::is_silent;

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

    /// Whether `reminder` is what it calls for: of the same occurrence, by the same rule.
    pub(super) fn is(&self, reminder: &Reminder) -> bool {
        self.occurrence == reminder.occurrence && self.rule == reminder.rule
    }

    /// The reminder that it calls for.
    pub(super) fn pending(&self) -> Reminder {
        let moved_from = self.moved_from;
        Reminder { moved_from, ..Reminder::pending(self.occurrence, self.rule, self.fire_at) }
    }

    /// The instant that its rule names.
    #[must_use]
    pub fn instant(&self) -> Timestamp {
        self.moved_from.unwrap_or(self.fire_at)
    }

    /// From when on it is late, as of a reminder.
    #[must_use]
    pub fn late_from(&self) -> Timestamp {
        self.fire_at.max(self.instant())
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
/// At or below a rule's low-water mark nothing is planned. Of a series each rule makes the reminder of the next
/// occurrence alone, the first above its birth and its mark; the stated due date always gets its own.
#[must_use]
pub fn plan(id: &TaskId, record: &Record, rules: &Rules<'_>) -> Vec<Planned> {
    sorted_out(id, record, rules).0
}

/// What the task's rules name and the plan leaves out, each with the reason.
#[must_use]
pub fn left_out(id: &TaskId, record: &Record, rules: &Rules<'_>) -> Vec<(Planned, LeftOut)> {
    sorted_out(id, record, rules).1
}

/// Whether the task has ended, so that it calls for nothing: one whose series goes on after a completion has not.
#[must_use]
pub(super) fn is_over(record: &Record, rules: &Rules<'_>) -> bool {
    done_with(&record.task, Dates::of(&record.task, rules).as_ref()).is_none()
}

/// Up to which due date a task is done; `None` where it is done for good.
fn done_with(task: &Task, dates: Option<&Dates>) -> Option<Timestamp> {
    match dates {
        Some(dates) => dates.done_with(task),
        None => task.is_open().then_some(Timestamp::MIN),
    }
}

type SortedOut = (Vec<Planned>, Vec<(Planned, LeftOut)>);

/// By the marks, and besides each reminder that waits behind them since a restore, as its rule makes it there.
fn sorted_out(id: &TaskId, record: &Record, rules: &Rules<'_>) -> SortedOut {
    let (mut planned, mut left_out) = by_marks(id, record, rules);
    for waiting in waiting(record, rules) {
        let mut back = record.clone();
        back.lower_low_water(waiting.rule, waiting.instant(), Timestamp::MAX);
        let (again, without) = by_marks(id, &back, rules);
        planned.extend(again.into_iter().find(|planned| planned.is(waiting)));
        left_out.extend(without.into_iter().find(|(planned, _)| planned.is(waiting)));
    }
    (planned, left_out)
}

/// What was held after a restore and its series went on without, until it has gone out or been dropped.
pub(super) fn waiting<'r>(record: &'r Record, rules: &Rules<'_>) -> impl Iterator<Item = &'r Reminder> {
    let is_restored = rules.in_force.missing.is_some();
    record.behind_mark().filter(move |reminder| is_restored && reminder.rule.comes_again())
}

fn by_marks(id: &TaskId, record: &Record, rules: &Rules<'_>) -> SortedOut {
    let task = &record.task;
    let (mut planned, mut left_out) = (Vec::new(), Vec::new());
    let settings_since = settings_since(record, rules);
    let dates = Dates::since(task, rules, settings_since);
    let Some(done_with) = done_with(task, dates.as_ref()) else { return (planned, left_out) };
    if let (Some(dates), Some(offsets)) = (&dates, offsets(record, rules)) {
        by_offset(id, record, dates, done_with, &offsets, &mut planned);
        by_former_default(record, dates, done_with, &offsets, &mut planned);
    }
    if task.is_open() {
        by_time(task, rules, settings_since, &mut planned);
    }
    let actions = actions::Actions::of(id, record, dates.as_ref(), &planned);
    planned.extend(actions.snoozed.filter(|_| task.is_open()));
    if let Some(dates) = &dates {
        let nags = nags::after_due(id, record, dates, done_with, &actions, rules);
        planned.extend(nags.into_iter().filter(|nag| actions.lets_pass(nag, dates, &mut left_out)));
    }
    limits::leave_what_went_out(record, &mut planned, &mut left_out);
    cancelled::leave_out(id, task, &mut planned, &mut left_out);
    let is_told_then = |planned: &Planned| quiet::stays(planned, task, rules);
    limits::keep(&mut planned, &mut left_out, &is_told_then);
    if let Some(dates) = &dates {
        cancelled::leave_out_later(record, dates, |rule| rule_since(record, rules, rule), &mut left_out);
    }
    planned.retain(|planned| {
        planned.instant() > record.low_water(planned.rule)
            || dates.as_ref().is_some_and(|dates| is_sooner_than_told(record, dates, planned, rules))
    });
    if let Some(user) = rules.user {
        quiet::move_all(&mut planned, task, user, rules);
        if let Some(dates) = &dates {
            moments::Moments { id, record, dates, user, rules, actions: &actions }.one_each(&mut planned);
        }
    }
    if rules.user.is_none_or(|user| user.quiet().is_none()) {
        window::spread(id, &rules.in_force.policy.windows, &mut planned);
    }
    (planned, left_out)
}

/// The due date of the task as an occurrence.
#[must_use]
pub fn occurrence(task: &Task, rules: &Rules<'_>) -> Option<Moment> {
    task.due().map(|due| Moment::new(due, zone_of(task, due, rules, &rules.in_force.since).0))
}

/// Why no occurrence of the task's series comes after `now`; `None` where one does, or there is no series to follow.
#[must_use]
pub fn series_end(task: &Task, rules: &Rules<'_>, now: Timestamp) -> Option<String> {
    Dates::of(task, rules)?.end_after(now)
}

fn by_offset(
    id: &TaskId,
    record: &Record,
    dates: &Dates,
    done_with: Timestamp,
    offsets: &Offsets<'_>,
    planned: &mut Vec<Planned>,
) {
    let task = &record.task;
    let common = task.open_since().max(offsets.since);
    let (first, due_at) = (dates.first, dates.instant(dates.first));
    let birth = dates.first_since.max(common);
    if due_at > done_with {
        planned.extend(offsets.minutes.iter().map(|minutes| {
            Planned::at(Some(first), Rule::Offset(*minutes), due_at.minus(before(*minutes)), birth)
        }));
        if !planned.is_empty() && planned.iter().all(Planned::is_born_expired) {
            if due_at > birth {
                // A task due sooner than all its offsets is still reminded of, when it is due.
                planned.push(Planned::at(Some(first), Rule::Offset(0), due_at, birth));
            } else {
                planned.iter_mut().for_each(|planned| late_by_zone(record, planned));
            }
        }
    }
    let Some(later_birth) = dates.later_since().map(|since| since.max(common)) else { return };
    for minutes in offsets.minutes {
        let (rule, before) = (Rule::Offset(*minutes), before(*minutes));
        let mark = record.low_water(rule);
        // One that was called off and is not the end of the series is passed over: that goes on behind it.
        let first_one = Planned::at(Some(first), rule, due_at.minus(before), birth);
        let is_next = due_at > done_with && first_one.fire_at > birth.max(mark);
        if is_next && !cancelled::is_off_alone(id, task, &first_one, later_birth) {
            continue;
        }
        let mut floor = later_birth.max(mark).plus(before).max(done_with).max(due_at);
        while let Some(next) = dates.after(floor) {
            let one = Planned::at(Some(next), rule, dates.instant(next).minus(before), later_birth);
            planned.push(one);
            if !cancelled::is_off_alone(id, task, &one, later_birth) {
                break;
            }
            floor = dates.instant(next);
        }
    }
}

/// What waited for its due date in another zone, and is past in this one, is late: nobody has been told yet.
fn late_by_zone(record: &Record, planned: &mut Planned) {
    let stated = |occurrence: Option<Moment>| occurrence.map(Moment::due);
    let waited = |reminder: &Reminder| {
        reminder.state == State::Pending
            && reminder.rule == planned.rule
            && reminder.occurrence != planned.occurrence
            && stated(reminder.occurrence) == stated(planned.occurrence)
    };
    if record.reminders.iter().any(waited) {
        planned.birth = planned.instant().minus(Timestamp::FINEST);
    }
}

/// The offsets of the nearest rule.
struct Offsets<'r> {
    /// Minutes before due.
    minutes: &'r [u32],
    /// Since when they have been so.
    since: Timestamp,
    /// Since when the configured ones count for the task, where it goes by them.
    defaults_since: Option<Timestamp>,
}

/// The offsets of the nearest rule: the task's own, else those of its user, else the configured default of its priority;
/// `None` where its explicit times stand alone.
fn offsets<'r>(record: &'r Record, rules: &Rules<'r>) -> Option<Offsets<'r>> {
    let task = &record.task;
    if let Some(own) = task.offsets() {
        return Some(Offsets { minutes: own, since: task.since(Field::Offsets), defaults_since: None });
    }
    if task.remind_at().is_some_and(|times| !times.is_empty()) {
        return None;
    }
    if let Some((wished, user)) = rules.user.and_then(|user| Some((user.offsets()?, user))) {
        let since = user.since(WishField::Offsets);
        return Some(Offsets { minutes: wished, since, defaults_since: None });
    }
    let (policy, priority) = (&rules.in_force.policy, task.priority());
    let told = if policy.minds_priority() { task.since(Field::Priority) } else { Timestamp::MIN };
    // A due date that is heard of while they are in force they have always been for: it has no reminder by any former ones,
    // and may have been said, and be past, while the worker was away to get these.
    let is_new = record.defaults.due.is_none() || record.defaults.due != occurrence(task, rules);
    let defaults = if is_new { Timestamp::MIN } else { *rules.in_force.since.offsets.of(priority) };
    let minutes = policy.offsets(priority);
    Some(Offsets { minutes, since: defaults.max(told), defaults_since: Some(defaults) })
}

/// What fell due by the configured offsets as they were then and has not gone out yet: other ones take none of it away.
fn by_former_default(
    record: &Record,
    dates: &Dates,
    done_with: Timestamp,
    offsets: &Offsets<'_>,
    planned: &mut Vec<Planned>,
) {
    let Some(in_force_since) = offsets.defaults_since else { return };
    let birth = dates.first_since.max(record.task.open_since());
    let is_overdue = |r: &&Reminder| {
        r.state == State::Pending && matches!(r.rule, Rule::Offset(_)) && r.instant() <= in_force_since
    };
    for reminder in record.reminders.iter().filter(is_overdue) {
        let Some(of) = reminder.occurrence.filter(|o| dates.contain(*o) && dates.instant(*o) > done_with)
        else {
            continue;
        };
        if !planned.iter().any(|planned| planned.is(reminder)) {
            planned.push(Planned::at(Some(of), reminder.rule, reminder.instant(), birth));
        }
    }
}

/// Whether the stated due date has been moved to before the one at the mark, of which nobody was told at its own instant: it
/// went out ahead, and before that move; or its series went on without it after a restore.
fn is_sooner_than_told(record: &Record, dates: &Dates, planned: &Planned, rules: &Rules<'_>) -> bool {
    let mark = record.low_water(planned.rule);
    let stated =
        record.task.cell(Field::Due).map_or(Timestamp::MIN, |cell| Timestamp::from_millis(cell.version.ms));
    let was_untold = |r: &Reminder| {
        let told_ahead = r.fire_at < mark.min(stated);
        let is_out = r.state == State::Published && !r.maybe_out;
        let left_waiting = rules.in_force.missing.is_some() && !is_out;
        r.rule == planned.rule && r.instant() == mark && (told_ahead || left_waiting)
    };
    let is_settled = |r: &Reminder| planned.is(r) && r.state != State::Pending;
    planned.occurrence == Some(dates.first)
        && !planned.is_born_expired()
        && record.reminders.iter().any(was_untold)
        && !record.reminders.iter().any(is_settled)
}

/// Since when the settings have been as they are for a task: always, for one that is heard of for the first time. What
/// waited while the worker was away to get other ones was never planned by the former.
fn settings_since<'r>(record: &Record, rules: &Rules<'r>) -> &'r PolicySince {
    const ALWAYS: &PolicySince = &PolicySince::all(Timestamp::MIN);
    if record.generation == 0 { ALWAYS } else { &rules.in_force.since }
}

/// Since when what makes the reminders of `rule` for each occurrence has been as it is.
fn rule_since(record: &Record, rules: &Rules<'_>, rule: Rule) -> Timestamp {
    let task = &record.task;
    let since = match rule {
        Rule::Offset(_) => offsets(record, rules).map(|offsets| offsets.since),
        Rule::Nag(_) => nags::stated(record, rules).map(|(_, since)| since),
        Rule::At(_) | Rule::Snooze(_) => None,
    };
    since.unwrap_or(Timestamp::MIN).max(task.open_since())
}

fn before(minutes: u32) -> Duration {
    Duration::from_secs(u64::from(minutes) * 60)
}

fn by_time(task: &Task, rules: &Rules<'_>, since: &PolicySince, planned: &mut Vec<Planned>) {
    planned.extend(task.remind_at().unwrap_or_default().iter().map(|time| {
        let moment = Moment::new(*time, zone_of(task, *time, rules, since).0);
        let read_since = read_since(task, *time, rules, since);
        let birth = task.since(Field::RemindAt).max(read_since).max(task.open_since());
        let instant = moment.instant(rules.in_force.policy.date_only);
        Planned::at(None, Rule::At(moment), instant, birth)
    }));
}
