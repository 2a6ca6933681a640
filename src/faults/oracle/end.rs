//! What must hold when all is over: nothing lost, nothing left, and what is kept is true.

use super::Oracle;
use crate::domain::{Cause, Reminder, ReminderId, State, TaskId, Timestamp};
use crate::faults::model::{Besides, Model, Must};
use crate::faults::script::name;
use crate::faults::world::Broken;
use crate::store::audit::audit;
use crate::writer::Rehearsal;

impl Oracle<'_> {
    /// Judges when nothing is on its way any more.
    pub(in crate::faults) fn judge_end(
        &self,
        worker: &Rehearsal,
        now: Timestamp,
        crashes: u64,
    ) -> Result<(), Broken> {
        let view = worker.view();
        let pending = view.store.pending(None, usize::MAX).map_err(|error| error.to_string())?;
        if let Some(entry) = pending.iter().find(|entry| entry.key.0 <= now) {
            return Err(format!("still pending at the end: a reminder of {} of {}", entry.task, entry.key.0));
        }
        let counted = view.meta.reminders.of(State::Pending);
        if i64::try_from(pending.len()) != Ok(counted) {
            return Err(format!("{counted} reminders are counted as pending, {} are", pending.len()));
        }
        // What is counted and not yet written comes with the next commit.
        let audited = audit(view.store).map_err(|error| error.to_string())?;
        if let Some(wrong) = audited.mismatches.first() {
            return Err(format!("{}: {} are counted, {} are there", wrong.what, wrong.counted, wrong.there));
        }
        let events = view.meta.ledger.received;
        // What changes nothing is counted a little later, so that a crash may forget it.
        if events > self.received || crashes == 0 && events < self.answered {
            return Err(format!(
                "{events} events are counted; {} came and {} were answered",
                self.received, self.answered
            ));
        }
        if view.foreign.count > 0 {
            return Err("it takes its own reminders for those of another worker".into());
        }
        self.judge_records(worker)?;
        (0..self.script.tasks.len()).try_for_each(|task| self.judge_lost(task))
    }

    /// What is kept of each reminder is true.
    fn judge_records(&self, worker: &Rehearsal) -> Result<(), Broken> {
        let view = worker.view();
        let mut kept = Vec::new();
        for task in view.store.tasks(None, usize::MAX).map_err(|error| error.to_string())? {
            let record = view.store.record(&task).map_err(|error| error.to_string())?;
            for reminder in record.iter().flat_map(|record| &record.reminders) {
                kept.push(reminder.state);
                self.judge_kept(&task, reminder)?;
            }
        }
        for state in State::ALL {
            let (count, counted) =
                (kept.iter().filter(|kept| **kept == state).count(), view.meta.reminders.of(state));
            if i64::try_from(count).is_ok_and(|count| count > counted) {
                return Err(format!("{counted} reminders are counted as {}, {count} are kept", state.name()));
            }
        }
        Ok(())
    }

    fn judge_kept(&self, task: &TaskId, reminder: &Reminder) -> Result<(), Broken> {
        let is_out = self.broker.contains(&reminder.id(task));
        let is_said_to_be_out = match reminder.state {
            State::Pending => return Ok(()),
            State::Published => true,
            State::Cancelled | State::Superseded | State::Expired => false,
        };
        // What is imported of a task that was forgotten is history that nobody here has seen.
        let is_history = self.has_forgotten && reminder.cause == Some(Cause::PastAtImport);
        let is_forgotten = is_out
            && (is_history
                || self.ended_before.contains(&reminder.id(task))
                || self.was_erased(task)
                || self.may_have_gone_ahead(task));
        if is_out == is_said_to_be_out || reminder.maybe_out || is_forgotten {
            return Ok(());
        }
        let broker = if is_out { "the broker has" } else { "the broker has not" };
        Err(format!("it ends as {}: {} of {task}, which {broker}", reminder.state.name(), reminder.rule))
    }

    /// Whether what became of the task's reminders was forgotten with its user once.
    fn was_erased(&self, task: &TaskId) -> bool {
        self.task_of(task).is_ok_and(|task| self.erased_once.contains(&task))
    }

    fn judge_lost(&self, task: usize) -> Result<(), Broken> {
        let Some(id) = TaskId::new(name(task)) else { return Ok(()) };
        let besides = self.besides.get(&task).copied().unwrap_or_default();
        let besides = Besides { configured: self.configured, ..besides };
        let model = Model::of(self.script, task, &self.acknowledged);
        let told = self.broker_told.get(id.as_str());
        for must in model.must(self.script, task, besides) {
            let came = match must {
                Must::Reminder(rule, occurrence) => {
                    self.broker.contains(&ReminderId::of(&id, Some(occurrence), rule))
                }
                Must::Due(due) => told.is_some_and(|told| told.contains(&due.to_rfc3339())),
                Must::Any => told.is_some(),
            };
            if !came {
                return Err(format!("lost: of task {task} {must}"));
            }
        }
        Ok(())
    }
}
