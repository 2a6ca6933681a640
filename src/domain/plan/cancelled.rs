//! What of a plan was called off: reminders that came to be no later than a cancel that means them. What is stated
//! anew is born later, and stays.

use super::Planned;
use super::limits::LeftOut;
use crate::domain::event::{Target, TaskId};
use crate::domain::reminder::ReminderId;
use crate::domain::task::{CalledOff, Task};

/// Leaves out what was called off of what `task` calls for.
pub(super) fn leave_out(
    id: &TaskId,
    task: &Task,
    planned: &mut Vec<Planned>,
    left_out: &mut Vec<(Planned, LeftOut)>,
) {
    if task.called_off.is_empty() {
        return;
    }
    let (off, kept): (Vec<_>, Vec<_>) =
        planned.drain(..).partition(|planned| task.called_off.iter().any(|off| is_meant(id, planned, off)));
    left_out.extend(off.into_iter().map(|planned| (planned, LeftOut::CalledOff)));
    *planned = kept;
}

/// Whether it was called off, and what comes after it was not. There are as many of them at most as single entries.
pub(super) fn is_off_alone(id: &TaskId, task: &Task, planned: &Planned) -> bool {
    let mut meant = task.called_off.iter().filter(|off| is_meant(id, planned, off)).peekable();
    meant.peek().is_some() && meant.all(|off| off.of != Some(Target::Present))
}

fn is_meant(id: &TaskId, planned: &Planned, off: &CalledOff) -> bool {
    planned.birth <= off.at
        && match off.of {
            None => false,
            Some(Target::Present) => true,
            Some(Target::Occurrence(occurrence)) => planned.occurrence == Some(occurrence),
            Some(Target::Reminder(reminder)) => {
                ReminderId::of(id, planned.occurrence, planned.rule) == reminder
            }
        }
}
