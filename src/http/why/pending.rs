//! What is said of a reminder that has not gone out: whether an attempt is under way, or what it waits for.
//!
//! A pending reminder whose time has come is not being sent for that: the sidecar may be away, a rate may hold it back, or
//! nobody runs on the store. An attempt is under way only where a claim names it.

use super::prose::{Prose, mover};
use crate::domain::{Reminder, let_go};
use crate::store::Paused;

impl Prose<'_> {
    /// What is said of a pending reminder, which is for `at`.
    pub(super) fn pending(&self, reminder: &Reminder, at: &str) -> String {
        let id = reminder.id(self.task_id);
        let is_claimed = self.halts.claims.iter().any(|claim| claim.reminders.contains(&id));
        if is_claimed || reminder.leaving.is_some() {
            return self.claimed(reminder, at);
        }
        if let Some(why) = let_go(&self.record.task, reminder, self.rules) {
            return format!(
                "will not be sent, unless its user takes that back before {at}: {}",
                why.reason()
            );
        }
        let paused = self.held(reminder).or_else(|| self.halts.paused.map(|paused| self.paused(paused)));
        if reminder.attempts > 0 {
            let is_next_due = reminder.next_attempt.is_none_or(|next| next <= self.now);
            let waits =
                paused.or_else(|| is_next_due.then(|| format!("the next is due, and {}", self.waits())));
            let waits = waits.map(|waits| format!("; {waits}")).unwrap_or_default();
            return format!("was due at {at}; {}{waits}", self.failed(reminder));
        }
        if reminder.fire_at <= self.now {
            return match paused {
                Some(paused) => format!("is due since {at} and waits: {paused}"),
                None => format!("is due since {at}, has not been tried yet, and {}", self.waits()),
            };
        }
        let moved = reminder
            .moved_from
            .map(|from| format!(", moved there from {} by {}", self.local(from), mover(reminder)));
        let paused = paused.map(|paused| format!(", if reminders go out again by then: {paused}"));
        format!("fires at {at}{}{}", moved.unwrap_or_default(), paused.unwrap_or_default())
    }

    /// What is said of a reminder that a claim names: of the worker that runs, or of one that has ended over it.
    fn claimed(&self, reminder: &Reminder, at: &str) -> String {
        let failed = match reminder.attempts {
            0 => format!("is due since {at}"),
            _ => format!("was due at {at}; {}", self.failed(reminder)),
        };
        match (self.halts.runs, reminder.leaving.is_some()) {
            (true, false) => format!("{failed}; an attempt to send it is under way"),
            (true, true) => format!(
                "{failed}; an attempt to send it is under way, and if that fails it will not fire{}",
                self.left(reminder)
            ),
            (false, false) => format!(
                "{failed}; an attempt to send it was cut off: it may have gone out, and the next start of the worker \
                 sends it again"
            ),
            (false, true) => format!(
                "{failed}; an attempt to send it was cut off: it may have gone out, and it is not sent again{}",
                self.left(reminder)
            ),
        }
    }

    /// What a reminder waits for that may go out.
    fn waits(&self) -> String {
        match (self.halts.runs, self.halts.held_up) {
            (false, _) => "waits: no worker runs on the store".to_owned(),
            (true, Some(why)) => format!("waits: no reminder goes out ({why})"),
            (true, None) => "waits for its turn".to_owned(),
        }
    }

    fn paused(&self, paused: &Paused) -> String {
        let reason = paused.reason.as_deref().map(|reason| format!(" ({reason})")).unwrap_or_default();
        format!(
            "all reminders are paused since {}{reason}; `reminder-worker resume` lets them go on",
            self.local(paused.since)
        )
    }
}
