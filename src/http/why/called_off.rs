//! What an event did that called reminders off, or took that back, where a later one has done so again.
//!
//! Its own words are gone by then: it is told by what is left of it in the task and in its reminders.

use crate::domain::history::Note;
use crate::domain::{Record, Reminder, Target, Version};

/// What the event of this version did.
pub(super) fn called_off(record: &Record, version: Version) -> &'static str {
    let Record { task, reminders, history, .. } = record;
    let of = task.called_off.iter().find(|off| off.at.millis() == version.ms).map(|off| off.of);
    let is_it = |note: &Note| matches!(note, Note::Event(noted) if noted.version == version);
    let has_ended = |r: &Reminder| r.ended_by.and_then(|number| history.get(number)).is_some_and(is_it);
    match of {
        Some(Some(Target::Reminder(_))) => "called one reminder off",
        Some(Some(_)) => "called reminders off",
        Some(None) => "took back what was called off",
        None if reminders.iter().any(has_ended) => "called reminders off",
        None => "changed what is called off",
    }
}
