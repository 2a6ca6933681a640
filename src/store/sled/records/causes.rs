//! Causes of reminders in records that were written before causes were kept: the words of the reason told them. The words
//! are those of that time, whatever is said now.

use crate::domain::{Cause, Reminder, State};

const MUTED: &str = "muted by its user";
const QUIET: &str = "in its user's quiet hours, which drop reminders";
const PAST_AT_IMPORT: &str = "it was past when it was imported";

/// Adds the causes that the reasons of `reminders` tell, unless one is kept: then the words tell nothing.
pub(super) fn read_from_texts(reminders: &mut [Reminder]) {
    if reminders.iter().any(|reminder| reminder.cause.is_some()) {
        return;
    }
    for reminder in reminders {
        reminder.cause = reminder.reason.as_deref().and_then(|reason| told(reminder.state, reason));
    }
}

fn told(state: State, reason: &str) -> Option<Cause> {
    match state {
        // What may have gone out said so before.
        State::Cancelled | State::Published if reason.ends_with(MUTED) => Some(Cause::Muted),
        State::Cancelled | State::Published if reason.ends_with(QUIET) => Some(Cause::Quiet),
        State::Expired if reason == PAST_AT_IMPORT => Some(Cause::PastAtImport),
        _ => None,
    }
}
