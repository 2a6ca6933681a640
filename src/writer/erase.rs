//! Erasing what is known of a user, in parts: whoever asks walks through them.
//!
//! Tasks go a bounded step at a time, records, reminders and all; their reminders stay counted, in the states that
//! [`crate::domain::erase`] gives them. What the outbox and the quarantine hold is looked through by the caller, since
//! bodies are not read here; it names the entries, whose numbers are never used twice, and the loop takes those that
//! are still there. Erasing does not move the horizon: what comes later about the user creates anew.
//!
//! Races it accepts: an attempt under way goes on, of a reminder or an outbox entry, and what it sends can't be called
//! back; its result finds nothing to settle. A reminder that was published comes back as a receipt of a task that is
//! not known, so receipts of what was planned for until now raise no alarm ([`super::foreign`]).

use super::STEP_MAX;
use super::group::Group;
use super::outbox::shrink;
use crate::domain::{TaskId, erase};
use crate::store::{Op, OutboxEntry, Quarantined, StoreError};

/// What a quarantined event is said to be once it is erased: its place stays, so that places have no gaps.
pub const ERASED: &str = "erased";
/// The reason that is told of it.
const ERASED_REASON: &str = "it named a user who has been erased; nothing of it is kept";

/// A part of what is to be erased.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum ErasePart {
    /// The next [`STEP_MAX`] tasks after this one, as far as they are the user's.
    Tasks {
        /// Whose.
        user: String,
        /// Where the step before has ended.
        after: Option<TaskId>,
    },
    /// These entries of the outbox.
    Outbox(Vec<u64>),
    /// These quarantined events.
    Quarantined(Vec<u64>),
}

/// What one step has erased.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Erased {
    /// Tasks, entries of the outbox or quarantined events, by what was asked.
    pub gone: u64,
    /// Reminders that will not fire.
    pub reminders_cancelled: u64,
    /// Reminders whose attempt is under way: they may fire.
    pub in_flight: u64,
    /// The user's preferences: one, or none.
    pub preferences: u64,
    /// Records that can't be read, so that nobody knows whose they are.
    pub unreadable: u64,
    /// The task to go on after; `None` at the end.
    pub next: Option<TaskId>,
}

impl Group<'_> {
    /// Erases one part.
    pub(super) fn erase(&mut self, part: ErasePart) -> Result<Erased, StoreError> {
        let mut erased = Erased::default();
        match part {
            ErasePart::Tasks { user, after } => self.erase_tasks(&user, after.as_ref(), &mut erased)?,
            ErasePart::Outbox(numbers) => {
                for number in numbers {
                    erased.gone += u64::from(self.erase_outbox(number)?);
                }
            }
            ErasePart::Quarantined(numbers) => {
                for number in numbers {
                    erased.gone += u64::from(self.erase_quarantined(number)?);
                }
            }
        }
        Ok(erased)
    }

    fn erase_tasks(
        &mut self,
        user: &str,
        after: Option<&TaskId>,
        erased: &mut Erased,
    ) -> Result<(), StoreError> {
        let page = self.core.store.tasks(after, STEP_MAX)?;
        erased.next = page.last().filter(|_| page.len() == STEP_MAX).cloned();
        if erased.next.is_none() {
            erased.preferences = u64::from(self.erase_preferences(user)?);
        }
        for task in page {
            let mut reminders = match self.record(&task) {
                Ok(Some(record)) if record.task.user() == Some(user) => record.reminders.clone(),
                Ok(_) => continue,
                Err(StoreError::Corrupt(why)) => {
                    tracing::error!(%task, why, "the record of a task can't be read; it is not known whose it is");
                    erased.unreadable += 1;
                    continue;
                }
                Err(other) => return Err(other),
            };
            let ended = {
                let expiry = self.core.policy.expiry();
                erase::end_all(&task, &mut reminders, expiry, self.now, &|id| self.is_in_flight(id))
            };
            // Counted as a change first: what is removed stays counted where it was.
            self.change(&task, |record| record.reminders = reminders)?;
            self.remove(&task)?;
            erased.gone += 1;
            erased.reminders_cancelled += ended.cancelled as u64;
            erased.in_flight += ended.in_flight as u64;
            self.effects.forgot_planned = true;
        }
        Ok(())
    }

    /// Removes what is kept of the user beside tasks, in one commit with the last of them; whether there was anything.
    fn erase_preferences(&mut self, user: &str) -> Result<bool, StoreError> {
        let is_kept = match self.users.get(user) {
            Some(known) => known.is_some(),
            None if self.meta.users == 0 => false,
            None => match self.core.store.preferences(user) {
                Ok(found) => found.is_some(),
                // What can't be read goes too.
                Err(StoreError::Corrupt(_)) => true,
                Err(other) => return Err(other),
            },
        };
        if is_kept {
            self.batch.push(Op::RemovePreferences(user.to_owned()));
            self.meta.users = self.meta.users.saturating_sub(1);
            self.users.insert(user.to_owned(), None);
        }
        Ok(is_kept)
    }

    /// Removes an entry, if it is still there; a result of its attempt then finds none.
    fn erase_outbox(&mut self, number: u64) -> Result<bool, StoreError> {
        let Some(entry) = self.outbox_entry(number)? else { return Ok(false) };
        shrink(&mut self.meta.outbox, &entry);
        if entry.dead {
            shrink(&mut self.meta.outbox_dead, &entry);
        }
        self.batch.push(Op::RemoveOutbox(number));
        self.effects.outbox_settled.insert(number, true);
        self.effects.outbox_taken.remove(&number);
        // The next one of its task may go.
        self.effects.outbox_grew = true;
        Ok(true)
    }

    /// An entry of the outbox as this group leaves it.
    fn outbox_entry(&self, number: u64) -> Result<Option<OutboxEntry>, StoreError> {
        for op in self.batch.ops().iter().rev() {
            match op {
                Op::RemoveOutbox(gone) if *gone == number => return Ok(None),
                Op::UpdateOutbox(at, entry) | Op::PutOutbox(at, entry, _) if *at == number => {
                    return Ok(Some(entry.clone()));
                }
                _ => {}
            }
        }
        let next = self.core.store.outbox(number.checked_sub(1), 1)?;
        Ok(next.into_iter().find(|(at, _)| *at == number).map(|(_, entry)| entry))
    }

    /// Empties a quarantined event, if it is still there and not empty yet.
    fn erase_quarantined(&mut self, number: u64) -> Result<bool, StoreError> {
        let oldest = self.meta.next_quarantined - self.meta.quarantine.entries;
        let next = self.core.store.quarantined(number.checked_sub(1), 1)?;
        let Some((_, kept)) = next.into_iter().find(|(at, _)| *at == number && *at >= oldest) else {
            return Ok(false);
        };
        let staged =
            self.batch.ops().iter().any(|op| matches!(op, Op::PutQuarantined(at, ..) if *at == number));
        if staged || kept.code == ERASED {
            return Ok(false);
        }
        let bytes = self.quarantined_bytes(number)?;
        self.meta.quarantine.bytes = self.meta.quarantine.bytes.saturating_sub(bytes);
        let Quarantined { at, topic, .. } = kept;
        let emptied = Quarantined { at, topic, code: ERASED.into(), reason: ERASED_REASON.into(), length: 0 };
        self.batch.push(Op::PutQuarantined(number, emptied, Vec::new()));
        Ok(true)
    }
}
