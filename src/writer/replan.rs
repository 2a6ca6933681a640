//! Planning anew under a new policy or another tz database, a step at a time behind a durable cursor; and telling what
//! that moved.

use super::STEP_MAX;
use super::group::Group;
use crate::domain::history::{NOTED_MOVES_MAX, Note, moves};
use crate::domain::{Record, TaskId};
use crate::store::StoreError;
use crate::telemetry;

/// Moved reminders that are told one by one in the log of a process; the others are counted.
const MOVES_LOGGED_MAX: u64 = 100;

impl Group<'_> {
    /// Plans the next [`STEP_MAX`] tasks that were planned under an older policy.
    pub(super) fn replan_step(&mut self) -> Result<(), StoreError> {
        let Some(after) = self.meta.replanning_after.clone() else { return Ok(()) };
        let page = self.core.store.tasks(after.as_ref(), STEP_MAX)?;
        let last = page.last().cloned();
        self.meta.replanning_after = if page.len() < STEP_MAX { None } else { Some(last) };
        for task in page {
            let Some(mut record) = self.readable(&task)? else { continue };
            if record.generation != self.core.policy.generation {
                self.replan(&task, &mut record)?;
                self.put(&task, record)?;
            }
        }
        let moved = self.core.moved + self.effects.moved;
        if self.meta.replanning_after.is_none() && moved > 0 {
            tracing::info!(
                moved,
                "all tasks are planned under the present settings; so many reminders moved"
            );
        }
        Ok(())
    }

    /// Plans a task that was planned under an older policy, and notes what that changes.
    pub(super) fn replan_anew(&mut self, task: &TaskId, record: &mut Record) -> Result<(), StoreError> {
        let before = record.reminders.clone();
        let mut noted = record.history.clone();
        noted.add(Note::Replanned { at: self.now, tzdb: String::new(), moved: Vec::new() });
        let former = std::mem::replace(&mut record.history, noted);
        self.plan(task, record)?;
        if before == record.reminders {
            record.history = former;
            return Ok(());
        }
        let mut moved = moves(&before, &record.reminders, |reminder| reminder.id(task));
        let logged = self.core.moved + self.effects.moved;
        self.effects.moved += u64::try_from(moved.len()).unwrap_or(u64::MAX);
        telemetry::reminders_moved(moved.len());
        let tzdb = chrono_tz::IANA_TZDB_VERSION;
        for (moved, _) in moved.iter().zip(logged..MOVES_LOGGED_MAX) {
            let (from, to) = (moved.from, moved.to);
            tracing::info!(%task, reminder = %moved.reminder, %from, %to, tzdb, "a reminder moved with the settings or the tz database");
        }
        moved.truncate(NOTED_MOVES_MAX);
        if let Some(note) = record.history.notes.last_mut() {
            *note = Note::Replanned { at: self.now, tzdb: tzdb.to_owned(), moved };
        }
        Ok(())
    }
}
