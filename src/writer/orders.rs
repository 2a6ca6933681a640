//! Orders about a task's reminders from a person or an app: calling them off, and moving the due date.
//!
//! An order becomes an event of our own, folded like any other, so whatever merges later merges with it. Its answer is
//! what the commit made of the reminders (**invariant 8**): commit order decides between a cancel and an attempt.

use super::group::Group;
use crate::domain::{
    Due, Event, Fate, Kind, PRODUCER, Preferences, Record, Reminder, Rules, STAMP_AHEAD_MAX, Stamp, Stamps,
    State, Statement, Target, TaskId, Timestamp, Zone, fate, history::Before, plan,
};
use crate::store::StoreError;

/// What is to be done.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// Calls off what is planned so far.
    Cancel(Target),
    /// States the due date, and a zone where one is given; what was called off before counts no more.
    Reschedule(Due, Option<Zone>),
}

/// What came of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ordered {
    /// No event of this task is kept.
    Unknown,
    /// The task is known, and no reminder of it is the one meant.
    NoSuchReminder,
    /// The task's record can't be read, and why.
    Unreadable(String),
    /// It is done, or was done already; or the task has ended and calls for nothing anyway.
    Done {
        /// `TODO`, `IN_PROGRESS`, `DONE` or `DELETED`.
        status: &'static str,
        /// Every reminder that the order is about, in the order in which they were first planned, and what else is
        /// planned now.
        reminders: Vec<ReminderFate>,
    },
}

/// A reminder and what became of it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ReminderFate {
    /// The reminder.
    pub reminder: Reminder,
    /// What became of it.
    pub fate: Fate,
}

impl Group<'_> {
    /// Carries out an order; what would change nothing is not written.
    pub(super) fn order(&mut self, task: &TaskId, order: Order, id: String) -> Result<Ordered, StoreError> {
        let mut record = match self.record(task) {
            Ok(Some(record)) => record.clone(),
            Ok(None) => return Ok(Ordered::Unknown),
            Err(StoreError::Corrupt(why)) => return Ok(Ordered::Unreadable(why)),
            Err(other) => return Err(other),
        };
        if let Order::Cancel(target) = order
            && !record.reminders.iter().any(|reminder| is_meant(task, reminder, target))
            && target != Target::Present
        {
            return Ok(Ordered::NoSuchReminder);
        }
        // A series goes on after one of its occurrences was done.
        let goes_on = record.reminders.iter().any(|reminder| reminder.state == State::Pending);
        if record.task.is_open() || goes_on {
            let former = (record.reminders.clone(), record.task.due(), record.task.zone());
            self.replan_if_older(task, &mut record)?;
            let user = self.preferences_of(&record.task)?;
            let event = self.event(task, &record, user.as_deref(), order, id);
            // A version ahead of the clock, where a producer's was: as far ahead as is believed.
            let stamp = event.stamps.event.map_or(self.now, |stamp| stamp.at);
            let arrival = self.now.max(stamp.minus(STAMP_AHEAD_MAX));
            let before = Before::of(&record.task, &record.history);
            let applied = record.task.apply(&event, arrival);
            record.note(&event, arrival, &applied, &before);
            self.replan(task, &mut record)?;
            if former != (record.reminders.clone(), record.task.due(), record.task.zone()) {
                self.put(task, record.clone())?;
            }
        }
        Ok(self.answer(task, &record, order))
    }

    fn answer(&self, task: &TaskId, record: &Record, order: Order) -> Ordered {
        let fates = record.reminders.iter().map(|reminder| {
            let fate = fate(reminder, self.is_in_flight(&reminder.id(task)));
            ReminderFate { reminder: reminder.clone(), fate }
        });
        let is_told = |told: &ReminderFate| match order {
            Order::Cancel(target) => told.fate == Fate::Planned || is_meant(task, &told.reminder, target),
            Order::Reschedule(..) => true,
        };
        let status = if record.task.is_alive() { record.task.status().name() } else { "DELETED" };
        Ordered::Done { status, reminders: fates.filter(is_told).collect() }
    }

    /// The event that says what is ordered, newer than anything that it must win over.
    fn event(
        &self,
        task: &TaskId,
        record: &Record,
        user: Option<&Preferences>,
        order: Order,
        id: String,
    ) -> Event {
        let statements: Vec<Statement> = match order {
            Order::Cancel(target) => vec![Statement::Cancelled(Some(target))],
            Order::Reschedule(due, zone) => {
                let is_off = record.task.called_off.iter().any(|off| off.of.is_some());
                let zone = zone.map(|zone| Statement::Zone(Some(zone)));
                let back = is_off.then_some(Statement::Cancelled(None));
                [Some(Statement::Due(Some(due))), zone, back].into_iter().flatten().collect()
            }
        };
        let cells = statements.iter().filter_map(|statement| record.task.cell(statement.field()));
        let won = cells.map(|cell| cell.version.ms).chain(record.task.deleted.map(|version| version.ms));
        let after = won.max().map(|ms| Timestamp::from_millis(ms.saturating_add(1)));
        // Births are in the past, unless the clock went back.
        let planned = plan(task, record, &Rules { in_force: &self.core.policy, user });
        let births = planned.iter().map(|planned| planned.birth).max();
        let born = births.filter(|_| matches!(order, Order::Cancel(_)));
        let at = after.into_iter().chain(born).fold(self.now, Timestamp::max);
        Event {
            kind: Kind::Updated,
            task_id: task.clone(),
            stamps: Stamps { event: Some(Stamp { at, whole_second: false }), ..Stamps::default() },
            offset: 0,
            message_id: Some(id),
            producer: Some(PRODUCER.to_owned()),
            correlation_id: None,
            trace_id: None,
            statements,
            refused: Vec::new(),
        }
    }
}

fn is_meant(task: &TaskId, reminder: &Reminder, target: Target) -> bool {
    match target {
        Target::Present => true,
        Target::Occurrence(occurrence) => reminder.occurrence == Some(occurrence),
        Target::Reminder(id) => reminder.id(task) == id,
    }
}
