//! Folding commands one by one, and answering them once their group is on the disk.

use super::core::Core;
use super::group::{Folded, Group};
use super::receipts::{RECEIPTS_A_COMMIT, RECEIPTS_MAX};
use super::{
    Acceptance, ClaimedBatch, Command, Confirmed, Delivery, Erased, Imported, NotCommitted, NotTaken,
    Ordered, OutboxItem, ReadFn, Reply, Switched,
};
use crate::domain::{Timestamp, Verdict};
use crate::store::{AfterRestore, Op, StoreError};
use crate::telemetry;

/// What a command is told once its group is on the disk.
pub(super) enum Answer {
    Verdicts(Reply<Vec<Verdict>>, Vec<Verdict>),
    Claim(Reply<Result<Option<ClaimedBatch>, NotTaken>>, Option<ClaimedBatch>),
    Done(Reply<Result<(), NotCommitted>>),
    Accept(Reply<Result<Acceptance, NotCommitted>>, Acceptance),
    Outbox(Reply<Result<Vec<OutboxItem>, NotTaken>>, Vec<OutboxItem>),
    Ordered(Reply<Result<Ordered, NotCommitted>>, Ordered),
    Step(Reply<Result<bool, NotCommitted>>, bool),
    Import(Reply<Result<Imported, NotCommitted>>, Imported),
    Erase(Reply<Result<Erased, NotCommitted>>, Erased),
    Switch(Reply<Result<Switched, NotCommitted>>, Switched),
    Confirm(Reply<Result<Confirmed, NotCommitted>>, Confirmed),
    Read(ReadFn),
}

/// A group that could not be folded: why, who of it can be told, and what was not looked at.
pub(super) type Unfolded = (StoreError, Vec<Answer>, Vec<Command>);

impl Core {
    /// Folds the commands of a group, then what was put off; `long_ago` says that this was done last a while ago.
    pub(super) fn fold(
        &mut self,
        commands: Vec<Command>,
        now: Timestamp,
        long_ago: bool,
    ) -> Result<(Folded, Vec<Answer>), Unfolded> {
        let commands: Vec<Command> = commands.into_iter().filter_map(|c| self.note_receipts(c)).collect();
        let mut group = Group::begin(self, now);
        let mut answers = Vec::with_capacity(commands.len());
        let mut commands = commands.into_iter();
        while let Some(command) = commands.next() {
            match group.fold(command) {
                Ok(answer) => answers.push(answer),
                // What it needed will never be read: the others must not wait for it. It staged nothing that does
                // not hold by itself.
                Err((StoreError::Corrupt(why), answer)) => {
                    telemetry::unread();
                    answer.refuse_unread(why);
                }
                Err((error, answer)) => {
                    answers.push(answer);
                    return Err((error, answers, commands.collect()));
                }
            }
        }
        if let Err(error) = group.do_what_was_put_off(long_ago) {
            return Err((error, answers, Vec::new()));
        }
        Ok((group.finish(), answers))
    }

    /// Whether there is work that waits for no command.
    pub(super) fn has_work_put_off(&self) -> bool {
        !self.space.is_short()
            && (self.space.has_freed()
                || self.meta.replanning_after.is_some()
                || self.meta.wishes_pass.is_some()
                || self.restored.as_ref().is_some_and(|restored| restored.overdue == AfterRestore::Dropping)
                || (self.is_quiet() && self.receipts.len() >= RECEIPTS_A_COMMIT))
    }

    /// Whether no reminder is on its way: then there is time for what is put off.
    fn is_quiet(&self) -> bool {
        self.in_flight.is_empty()
    }

    fn note_receipts(&mut self, command: Command) -> Option<Command> {
        let Command::Receipts { receipts, at } = command else { return Some(command) };
        let room = RECEIPTS_MAX.saturating_sub(self.receipts.len());
        telemetry::receipts_lost(receipts.len().saturating_sub(room));
        self.receipts.extend(receipts.into_iter().take(room).map(|receipt| (receipt, at)));
        None
    }
}

impl Group<'_> {
    /// Folds one command. On an error nothing of the group may be kept.
    fn fold(&mut self, command: Command) -> Result<Answer, (StoreError, Answer)> {
        match command {
            Command::Deliver { deliveries, reply } => {
                let count = deliveries.len();
                let verdicts: Result<Vec<_>, _> = deliveries.into_iter().map(|d| self.deliver(d)).collect();
                match verdicts {
                    Ok(verdicts) => Ok(Answer::Verdicts(reply, verdicts)),
                    Err(error) => Err((error, Answer::Verdicts(reply, vec![Verdict::Retry; count]))),
                }
            }
            Command::Claim { limit, reply } => match self.claim(limit) {
                Ok(batch) => Ok(Answer::Claim(reply, batch)),
                Err(error) => Err((error, Answer::Claim(reply, None))),
            },
            Command::Settle { claim, settlements, reply } => match self.settle(claim, settlements) {
                Ok(()) => Ok(Answer::Done(reply)),
                Err(error) => Err((error, Answer::Done(reply))),
            },
            Command::Accept { entry, body, reply } => Ok(Answer::Accept(reply, self.accept(entry, body))),
            Command::TakeOutbox { limit, held, reply } => match self.take_outbox(limit, &held) {
                Ok(items) => Ok(Answer::Outbox(reply, items)),
                Err(error) => Err((error, Answer::Outbox(reply, Vec::new()))),
            },
            Command::SettleOutbox { results, reply } => match self.settle_outbox(results) {
                Ok(()) => Ok(Answer::Done(reply)),
                Err(error) => Err((error, Answer::Done(reply))),
            },
            Command::Order { task, order, id, reply } => match self.order(&task, order, id) {
                Ok(ordered) => Ok(Answer::Ordered(reply, ordered)),
                Err(error) => Err((error, Answer::Ordered(reply, Ordered::Unknown))),
            },
            Command::Purge { reply } => match self.purge_step() {
                Ok(more) => Ok(Answer::Step(reply, more)),
                Err(error) => Err((error, Answer::Step(reply, false))),
            },
            Command::Reconcile { reply } => match self.reconcile_step() {
                Ok(more) => Ok(Answer::Step(reply, more)),
                Err(error) => Err((error, Answer::Step(reply, false))),
            },
            Command::Import { lines, arrived, reply } => match self.import(lines, arrived) {
                Ok(imported) => Ok(Answer::Import(reply, imported)),
                Err(error) => Err((error, Answer::Import(reply, Imported::default()))),
            },
            Command::Erase { part, reply } => match self.erase(part) {
                Ok(erased) => Ok(Answer::Erase(reply, erased)),
                Err(error) => Err((error, Answer::Erase(reply, Erased::default()))),
            },
            Command::Switch { switch, reply } => Ok(Answer::Switch(reply, self.switch(switch))),
            Command::Confirm { confirm, reply } => Ok(Answer::Confirm(reply, self.confirm(confirm))),
            Command::Read(read) => Ok(Answer::Read(read)),
            // Noted before the group began.
            Command::Receipts { .. } => Ok(Answer::Read(Box::new(|_| ()))),
        }
    }

    /// Receipts and counters wait for a quiet moment, so that they take nothing from a burst of reminders; and whatever
    /// grows the store waits for room.
    fn do_what_was_put_off(&mut self, long_ago: bool) -> Result<(), StoreError> {
        let receipts = self.core.receipts.len();
        let quiet = self.core.is_quiet() && (long_ago || receipts >= RECEIPTS_A_COMMIT);
        if !self.core.space.is_short() {
            if quiet || receipts >= RECEIPTS_MAX / 2 {
                self.write_receipts()?;
            }
            self.replan_step()?;
            self.wishes_step()?;
            self.drop_step()?;
        }
        if long_ago && self.core.counters_unwritten {
            self.batch.push(Op::PutMeta(Box::new(self.meta.clone())));
        }
        Ok(())
    }
}

impl Command {
    /// How much of a group it takes up, in events.
    pub(super) fn weight(&self) -> usize {
        match self {
            Self::Deliver { deliveries, .. } => deliveries.iter().map(Delivery::weight).sum(),
            Self::Import { lines, .. } => lines.len(),
            Self::Settle { settlements, .. } => settlements.len(),
            Self::Claim { limit, .. } | Self::TakeOutbox { limit, .. } => *limit,
            Self::SettleOutbox { results, .. } => results.len(),
            Self::Accept { .. }
            | Self::Receipts { .. }
            | Self::Order { .. }
            | Self::Purge { .. }
            | Self::Reconcile { .. }
            | Self::Erase { .. }
            | Self::Switch { .. }
            | Self::Confirm { .. }
            | Self::Read(_) => 1,
        }
    }

    /// Refuses what came from outside, where somebody waits with a time-out; hands the rest back.
    pub(super) fn refuse_if_outside(self) -> Option<Self> {
        match self {
            Self::Deliver { .. }
            | Self::Accept { .. }
            | Self::Order { .. }
            | Self::Import { .. }
            | Self::Erase { .. }
            | Self::Switch { .. }
            | Self::Confirm { .. }
            | Self::Read(_) => {
                refuse(self);
                None
            }
            // Losing one loses nothing, and what is held must not grow.
            Self::Receipts { .. } => None,
            inside => Some(inside),
        }
    }
}

impl Answer {
    /// Says that what it needs can't be read. Who asks for what comes next asks again and again for ever, and tells of it
    /// when that begins and ends.
    fn refuse_unread(self, why: String) {
        // In every arm: the asker may have gone away.
        match self {
            Self::Claim(reply, _) => drop(reply.send(Err(NotTaken::Unread(why)))),
            Self::Outbox(reply, _) => drop(reply.send(Err(NotTaken::Unread(why)))),
            other => {
                tracing::error!(why, "the store holds something that can't be read; restore a backup");
                other.refuse();
            }
        }
    }

    /// Says that nothing was done.
    pub(super) fn refuse(self) {
        // In every arm: the asker may have gone away.
        match self {
            Self::Verdicts(reply, verdicts) => drop(reply.send(vec![Verdict::Retry; verdicts.len()])),
            Self::Claim(reply, _) => drop(reply.send(Err(NotCommitted.into()))),
            Self::Done(reply) => drop(reply.send(Err(NotCommitted))),
            Self::Accept(reply, _) => drop(reply.send(Err(NotCommitted))),
            Self::Outbox(reply, _) => drop(reply.send(Err(NotCommitted.into()))),
            Self::Ordered(reply, _) => drop(reply.send(Err(NotCommitted))),
            Self::Step(reply, _) => drop(reply.send(Err(NotCommitted))),
            Self::Import(reply, _) => drop(reply.send(Err(NotCommitted))),
            Self::Erase(reply, _) => drop(reply.send(Err(NotCommitted))),
            Self::Switch(reply, _) => drop(reply.send(Err(NotCommitted))),
            Self::Confirm(reply, _) => drop(reply.send(Err(NotCommitted))),
            // Dropping the closure drops its reply, which its asker reads as a refusal.
            Self::Read(_) => {}
        }
    }

    /// Refuses what came from outside; hands the rest back.
    pub(super) fn refuse_if_outside(self) -> Option<Self> {
        match self {
            Self::Verdicts(..)
            | Self::Accept(..)
            | Self::Ordered(..)
            | Self::Import(..)
            | Self::Erase(..)
            | Self::Switch(..)
            | Self::Confirm(..)
            | Self::Read(_) => {
                self.refuse();
                None
            }
            inside => Some(inside),
        }
    }

    fn send(self, core: &Core) {
        // In every arm: the asker may have gone away.
        match self {
            Self::Verdicts(reply, verdicts) => drop(reply.send(verdicts)),
            Self::Claim(reply, batch) => drop(reply.send(Ok(batch))),
            Self::Done(reply) => drop(reply.send(Ok(()))),
            Self::Accept(reply, acceptance) => drop(reply.send(Ok(acceptance))),
            Self::Outbox(reply, items) => drop(reply.send(Ok(items))),
            Self::Ordered(reply, ordered) => drop(reply.send(Ok(ordered))),
            Self::Step(reply, more) => drop(reply.send(Ok(more))),
            Self::Import(reply, imported) => drop(reply.send(Ok(imported))),
            Self::Erase(reply, erased) => drop(reply.send(Ok(erased))),
            Self::Switch(reply, switched) => drop(reply.send(Ok(switched))),
            Self::Confirm(reply, confirmed) => drop(reply.send(Ok(confirmed))),
            Self::Read(read) => read(&core.view()),
        }
    }
}

/// Answers a committed group.
pub(super) fn answer_all(core: &Core, answers: Vec<Answer>) {
    for answer in answers {
        answer.send(core);
    }
}

/// Refuses a command that was not looked at.
pub(super) fn refuse(command: Command) {
    let answer = match command {
        Command::Deliver { deliveries, reply } => {
            Answer::Verdicts(reply, vec![Verdict::Retry; deliveries.len()])
        }
        Command::Claim { reply, .. } => Answer::Claim(reply, None),
        Command::Settle { reply, .. } | Command::SettleOutbox { reply, .. } => Answer::Done(reply),
        Command::Accept { reply, .. } => Answer::Accept(reply, Acceptance::Full),
        Command::TakeOutbox { reply, .. } => Answer::Outbox(reply, Vec::new()),
        Command::Order { reply, .. } => Answer::Ordered(reply, Ordered::Unknown),
        Command::Purge { reply } | Command::Reconcile { reply } => Answer::Step(reply, false),
        Command::Import { reply, .. } => Answer::Import(reply, Imported::default()),
        Command::Erase { reply, .. } => Answer::Erase(reply, Erased::default()),
        Command::Switch { reply, .. } => Answer::Switch(reply, Switched { before: None, after: None }),
        Command::Confirm { reply, .. } => Answer::Confirm(reply, Confirmed::Never),
        Command::Read(read) => Answer::Read(read),
        Command::Receipts { .. } => return,
    };
    answer.refuse();
}
