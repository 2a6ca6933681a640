//! Folding the lines of an import: merged like deliveries, but for three things.
//!
//! What was past when the import arrived stays past ([`crate::domain::import`]); a task older than the horizon is taken
//! all the same, since somebody means it; and what can't be kept is told, not quarantined, and is no event received:
//! whoever imports has the line.

use super::group::Group;
use crate::domain::history::Before;
use crate::domain::import::keep_past;
use crate::domain::{Event, Outcome, PreferencesChange, Timestamp};
use crate::store::StoreError;

/// A line of an import that could be read.
#[derive(Debug)]
pub enum ImportLine {
    /// A task event.
    Event(Box<Event>),
    /// A change of a user's preferences.
    Preferences(Box<PreferencesChange>),
    /// Something that is none of the worker's business.
    Ignored,
}

/// What became of the lines of an import: each is in one of the first five.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Imported {
    /// Wrote at least one field.
    pub applied: u64,
    /// Had been applied already.
    pub duplicate: u64,
    /// Older than what is kept.
    pub stale: u64,
    /// Nothing for the worker.
    pub ignored: u64,
    /// Places of lines whose task's record can't be read, and why; they are not kept.
    pub unreadable: Vec<(usize, String)>,
    /// Reminders that came to be.
    pub planned: u64,
    /// Reminders that were past, and are settled.
    pub past: u64,
}

impl Group<'_> {
    /// Folds lines of an import that arrived at `arrived`.
    pub(super) fn import(
        &mut self,
        lines: Vec<ImportLine>,
        arrived: Timestamp,
    ) -> Result<Imported, StoreError> {
        let mut imported = Imported::default();
        let planned_before = self.meta.ledger.planned;
        for (place, line) in lines.into_iter().enumerate() {
            self.meta.ledger.received += 1;
            let outcome = match line {
                ImportLine::Ignored => {
                    self.ignore();
                    Outcome::Ignored
                }
                ImportLine::Preferences(change) => match self.merge_preferences(&change, arrived) {
                    Ok(outcome) => outcome,
                    Err(StoreError::Corrupt(why)) => {
                        tracing::error!(
                            user = change.user,
                            why,
                            "the preferences of a user can't be read; an imported change of them is refused"
                        );
                        imported.unreadable.push((place, why));
                        self.meta.ledger.received -= 1;
                        continue;
                    }
                    Err(other) => return Err(other),
                },
                ImportLine::Event(event) => match self.import_event(&event, arrived, &mut imported.past) {
                    Ok(outcome) => outcome,
                    Err(StoreError::Corrupt(why)) => {
                        tracing::error!(task = %event.task_id, why, "the record of a task can't be read; its imported event is refused");
                        imported.unreadable.push((place, why));
                        self.meta.ledger.received -= 1;
                        continue;
                    }
                    Err(other) => return Err(other),
                },
            };
            *match outcome {
                Outcome::Applied => &mut imported.applied,
                Outcome::Duplicate => &mut imported.duplicate,
                Outcome::Stale => &mut imported.stale,
                Outcome::Ignored => &mut imported.ignored,
            } += 1;
        }
        imported.planned = self.meta.ledger.planned - planned_before;
        Ok(imported)
    }

    fn import_event(
        &mut self,
        event: &Event,
        arrived: Timestamp,
        past: &mut u64,
    ) -> Result<Outcome, StoreError> {
        let mut record = self.record(&event.task_id)?.cloned().unwrap_or_default();
        let planned_anew = self.replan_if_older(&event.task_id, &mut record)?;
        let noted = Before::of(&record.task, &record.history);
        let applied = self.apply(&mut record, event, arrived);
        if applied.changed {
            record.note(event, arrived, &applied, &noted);
            let before = record.reminders.clone();
            self.replan(&event.task_id, &mut record)?;
            // A record has few reminders.
            *past += keep_past(&before, &mut record, self.core.policy.expiry(), arrived) as u64;
            self.plan_next(&event.task_id, &mut record)?;
            self.put(&event.task_id, record)?;
        } else if planned_anew {
            self.put(&event.task_id, record)?;
        }
        Ok(applied.outcome)
    }
}
