//! The commit loop without its loop: the same groups, folded, committed and answered by the same functions, one after
//! another, by a caller who says what time it is.
//!
//! For simulations. Owns nothing of what is decided: whatever the loop comes to do, a rehearsal does. What the loop does
//! between commands, while simulated time stands still, is done here after each of them.
//!
//! Must never know: a clock, a thread, a runtime. A machine that is simulated is never suspended and its time passes as
//! the caller's does; only where that goes back has the wall clock been set.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::oneshot;

use super::core::Core;
use super::run::{TRIES_MAX, Turn, conclude, take_turn};
use super::{
    ClaimedBatch, Command, Confirm, Confirmed, Delivery, ErasePart, GROUP_EVENTS_MAX, ImportLine, Imported,
    NotCommitted, Order, Ordered, Receipt, Reply, Settings, Settlement, Switch, Switched, View,
};
use crate::clock::Reading;
use crate::domain::{TaskId, Timestamp, Verdict};
use crate::store::{Store, StoreError};

/// Turns after one command for what was put off: a million tasks are planned anew in so many. What is left then goes on
/// after the next command, as in the loop.
const PUT_OFF_TURNS_MAX: usize = 4_096;

/// A commit loop that is turned by hand.
pub struct Rehearsal {
    core: Core,
    last: Reading,
}

/// What came of a claim.
#[derive(Debug)]
pub struct Claiming {
    /// The reminders whose attempt has begun; `None` where there are none.
    pub batch: Option<ClaimedBatch>,
    /// Whether the store has changed, or the place up to which due reminders have been looked at: if so, the next
    /// claim looks at others.
    pub progressed: bool,
}

impl Rehearsal {
    /// Opens the loop on `store` at `now`, as [`super::CommitLoop::open`] does.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn open(store: Arc<dyn Store>, settings: Settings, now: Timestamp) -> Result<Self, StoreError> {
        let last = Reading { wall: now, monotonic: Duration::ZERO, boot: Duration::ZERO, sound: true };
        let mut rehearsal = Self { core: Core::open(store, settings, now)?, last };
        rehearsal.do_what_was_put_off(now)?;
        Ok(rehearsal)
    }

    /// Takes deliveries in their order: one verdict each.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn deliver(
        &mut self,
        mut deliveries: Vec<Delivery>,
        now: Timestamp,
    ) -> Result<Vec<Verdict>, StoreError> {
        let mut verdicts = Vec::with_capacity(deliveries.len());
        while !deliveries.is_empty() {
            let rest = deliveries.split_off(GROUP_EVENTS_MAX.min(deliveries.len()));
            let part = std::mem::replace(&mut deliveries, rest);
            let (answer, _) = self.ask(now, |reply| Command::Deliver { deliveries: part, reply })?;
            verdicts.extend(answer);
        }
        Ok(verdicts)
    }

    /// Begins the attempt of the earliest reminders that are due, at most `limit`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn claim(&mut self, limit: usize, now: Timestamp) -> Result<Claiming, StoreError> {
        let before = self.core.scanned_to;
        let (answer, wrote) = self.ask(now, |reply| Command::Claim { limit, reply })?;
        let progressed = wrote || self.core.scanned_to != before;
        Ok(Claiming { batch: answer.map_err(|error| StoreError::Corrupt(error.to_string()))?, progressed })
    }

    /// Ends the attempt of a claimed batch.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn settle(
        &mut self,
        claim: u64,
        settlements: Vec<Settlement>,
        now: Timestamp,
    ) -> Result<(), StoreError> {
        self.ask(now, |reply| Command::Settle { claim, settlements, reply })?.0.map_err(unread)
    }

    /// Carries out an order about a task's reminders under the id `id`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn order(
        &mut self,
        task: &TaskId,
        order: Order,
        id: String,
        now: Timestamp,
    ) -> Result<Ordered, StoreError> {
        let ask = |reply| Command::Order { task: task.clone(), order, id, reply };
        self.ask(now, ask)?.0.map_err(unread)
    }

    /// Takes lines of an import that arrived at `arrived`.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn import(
        &mut self,
        lines: Vec<ImportLine>,
        arrived: Timestamp,
        now: Timestamp,
    ) -> Result<Imported, StoreError> {
        self.ask(now, |reply| Command::Import { lines, arrived, reply })?.0.map_err(unread)
    }

    /// Pauses or resumes all reminders.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn switch(&mut self, switch: Switch, now: Timestamp) -> Result<Switched, StoreError> {
        self.ask(now, |reply| Command::Switch { switch, reply })?.0.map_err(unread)
    }

    /// Erases the tasks and the preferences of `user`, step by step.
    ///
    /// # Errors
    /// [`StoreError`]: part of it may be erased.
    pub fn erase(&mut self, user: &str, now: Timestamp) -> Result<(), StoreError> {
        let mut after = None;
        loop {
            let part = ErasePart::Tasks { user: user.to_owned(), after };
            let (erased, _) = self.ask(now, |reply| Command::Erase { part, reply })?;
            after = erased.map_err(unread)?.next;
            if after.is_none() {
                return Ok(());
            }
        }
    }

    /// Takes what a person says of a restored store.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn confirm(&mut self, confirm: Confirm, now: Timestamp) -> Result<Confirmed, StoreError> {
        self.ask(now, |reply| Command::Confirm { confirm, reply })?.0.map_err(unread)
    }

    /// Notes reminders that came back through the broker.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn receive(&mut self, receipts: Vec<Receipt>, now: Timestamp) -> Result<(), StoreError> {
        self.turn(vec![Command::Receipts { receipts, at: now }], now)?;
        self.do_what_was_put_off(now)
    }

    /// Forgets tasks whose retention is over, one step; true while more is left in this round.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn purge(&mut self, now: Timestamp) -> Result<bool, StoreError> {
        self.ask(now, |reply| Command::Purge { reply })?.0.map_err(unread)
    }

    /// When the earliest pending reminder wakes; [`Timestamp::MAX`] if there is none.
    #[must_use]
    pub fn next_wake(&self) -> Timestamp {
        *self.core.next_wake.borrow()
    }

    /// What a read sees.
    #[must_use]
    pub fn view(&self) -> View<'_> {
        self.core.view()
    }

    /// Carries out one command: its answer, and whether the store has changed.
    fn ask<T>(
        &mut self,
        now: Timestamp,
        command: impl FnOnce(Reply<T>) -> Command,
    ) -> Result<(T, bool), StoreError> {
        let (reply, mut answer) = oneshot::channel();
        let wrote = self.turn(vec![command(reply)], now)?;
        self.do_what_was_put_off(now)?;
        // Answered before its turn ended, or never.
        answer.try_recv().map(|answer| (answer, wrote)).map_err(|_| unread(NotCommitted))
    }

    fn do_what_was_put_off(&mut self, now: Timestamp) -> Result<(), StoreError> {
        for _ in 0..PUT_OFF_TURNS_MAX {
            if !self.core.has_work_put_off() {
                break;
            }
            self.turn(Vec::new(), now)?;
        }
        Ok(())
    }

    /// The clocks at `now`.
    fn read(&mut self, now: Timestamp) -> Reading {
        let ran = self.last.monotonic.saturating_add(now.since(self.last.wall));
        self.last = Reading { wall: now, monotonic: ran, boot: ran, sound: true };
        self.last
    }

    /// A commit that fails is tried again, as often as the loop does before it gives up.
    fn turn(&mut self, commands: Vec<Command>, now: Timestamp) -> Result<bool, StoreError> {
        let now = self.read(now);
        let mut stuck = match take_turn(&mut self.core, commands, &now, true) {
            Turn::Done(turned) => return Ok(turned.wrote),
            Turn::Unread(error, ..) => return Err(error),
            Turn::Stuck(stuck) => stuck,
        };
        for _ in 0..TRIES_MAX {
            let (error, folded, answers) = stuck;
            if matches!(error, StoreError::Unsynced(_)) {
                return Err(error);
            }
            match conclude(&mut self.core, folded, answers) {
                Ok(turned) => return Ok(turned.wrote),
                Err(again) => stuck = again,
            }
        }
        Err(stuck.0)
    }
}

/// The loop refuses a command alone only where the store holds something that can't be read.
fn unread(_: NotCommitted) -> StoreError {
    StoreError::Corrupt("what the command needs of it".into())
}
