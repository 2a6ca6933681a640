//! What an import must not do: remind of what was past when it came.
//!
//! Tasks older than the installation come in with stamps of their own, by which their reminders would be overdue and
//! fire at once. Whoever imports them has lived without those reminders; what is still ahead fires like any other.
//!
//! Order that is accepted to matter: a task that its import leaves ended has no reminders to settle, so one that is
//! taken up again later, by an event of the topic, is judged by that event alone.

use super::expiry::Expiry;
use super::record::Record;
use super::reminder::{Cause, Reminder, State};
use super::time::Timestamp;

/// Settles what an import that arrived at `arrived` called for and what was past by then, once its task has been
/// planned anew; how many reminders these were. One that was pending `before` is not the import's, and fires.
///
/// A series goes on after the import: what it would have made until then is left out.
pub fn keep_past(
    before: &[Reminder],
    record: &mut Record,
    expiry: impl Into<Expiry>,
    arrived: Timestamp,
) -> usize {
    let expiry = expiry.into();
    let mut past = Vec::new();
    for reminder in record.reminders.iter_mut().filter(|r| r.instant() <= arrived) {
        let known = before.iter().find(|before| before.is(reminder));
        let is_imported = match (known.map(|known| known.state), reminder.state) {
            (None, State::Pending | State::Expired) => true,
            // Called for again, by the import.
            (Some(was), State::Pending) => was != State::Pending,
            _ => false,
        };
        if is_imported {
            reminder.maybe_out |= expiry.is_in_doubt(reminder.instant(), reminder.late_from());
            reminder.settle_for(State::Expired, arrived, Cause::PastAtImport, None);
            past.push(reminder.rule);
        }
    }
    if record.task.recurrence().is_some() {
        past.iter().for_each(|rule| record.raise_low_water(*rule, arrived));
    }
    past.len()
}

/// Whether a reminder whose rule names `fire_at` was past when it was imported. Whatever is heard of its task later
/// changes nothing about that, unless it puts the instant elsewhere.
pub(super) fn was_past(reminder: &Reminder, fire_at: Timestamp) -> bool {
    reminder.cause == Some(Cause::PastAtImport)
        && reminder.settled_at.is_some_and(|arrived| fire_at <= arrived)
}
