//! What of a plan was called off: reminders that came to be no later than a cancel that means them. What is stated
//! anew is born later, and stays.

use super::Planned;
use crate::domain::event::{Target, TaskId};
use crate::domain::reminder::ReminderId;
use crate::domain::task::{CalledOff, Task};

/// Parts what `task` calls for from what was called off of it.
#[must_use]
pub fn without_cancelled(id: &TaskId, task: &Task, planned: Vec<Planned>) -> (Vec<Planned>, Vec<Planned>) {
    if task.called_off.is_empty() {
        return (planned, Vec::new());
    }
    let is_meant = |planned: &Planned, off: &CalledOff| match off.of {
        None => false,
        Some(Target::Present) => true,
        Some(Target::Occurrence(occurrence)) => planned.occurrence == Some(occurrence),
        Some(Target::Reminder(reminder)) => ReminderId::of(id, planned.occurrence, planned.rule) == reminder,
    };
    let is_off = |planned: &Planned| {
        task.called_off.iter().any(|off| planned.birth <= off.at && is_meant(planned, off))
    };
    planned.into_iter().partition(|planned| !is_off(planned))
}
