//! The handle by which the other rooms reach the commit loop.

use tokio::sync::{mpsc, oneshot, watch};

use super::{
    Acceptance, ClaimedBatch, Command, Confirm, Confirmed, Delivery, ErasePart, Erased, FreeSpace,
    GROUP_EVENTS_MAX, ImportLine, Imported, NotCommitted, NotTaken, Order, Ordered, OutboxItem, OutboxResult,
    Receipt, Settlement, Switch, Switched, View,
};
use crate::domain::{TaskId, Timestamp, Verdict};
use crate::store::OutboxEntry;
use crate::telemetry;

/// Sends commands to the commit loop. Cloning is cheap.
#[derive(Clone)]
pub struct Writer {
    pub(super) commands: mpsc::Sender<Command>,
    pub(super) next_wake: watch::Receiver<Timestamp>,
    pub(super) outbox_waiting: watch::Receiver<u64>,
    pub(super) usable: watch::Receiver<bool>,
    pub(super) room: watch::Receiver<Option<FreeSpace>>,
}

impl Writer {
    /// Merges events. One verdict a delivery, in their order, given when all of it is on the disk. Deliveries of
    /// one call that exceed [`GROUP_EVENTS_MAX`] are committed in parts.
    pub async fn deliver(&self, mut deliveries: Vec<Delivery>) -> Vec<Verdict> {
        let mut parts = Vec::new();
        while !deliveries.is_empty() {
            let rest = deliveries.split_off(GROUP_EVENTS_MAX.min(deliveries.len()));
            let part = std::mem::replace(&mut deliveries, rest);
            let count = part.len();
            let (reply, answer) = oneshot::channel();
            let sent = self.commands.send(Command::Deliver { deliveries: part, reply }).await;
            parts.push((count, sent.is_ok().then_some(answer)));
        }
        let mut verdicts = Vec::new();
        for (count, answer) in parts {
            let answered = match answer {
                Some(answer) => answer.await.ok(),
                None => None,
            };
            verdicts.extend(answered.unwrap_or_else(|| vec![Verdict::Retry; count]));
        }
        verdicts
    }

    /// Merges lines of an import that arrived at `arrived`; what was past then stays past. At most
    /// [`GROUP_EVENTS_MAX`] a call: they are one commit.
    ///
    /// # Errors
    /// [`NotCommitted`]
    pub async fn import(&self, lines: Vec<ImportLine>, arrived: Timestamp) -> Result<Imported, NotCommitted> {
        self.ask(|reply| Command::Import { lines, arrived, reply }).await?
    }

    /// Erases one part of what is known of a user.
    ///
    /// # Errors
    /// [`NotCommitted`]
    pub async fn erase(&self, part: ErasePart) -> Result<Erased, NotCommitted> {
        self.ask(|reply| Command::Erase { part, reply }).await?
    }

    /// Begins the attempt of the earliest reminders that are due, at most `limit`; `None` if none is.
    ///
    /// # Errors
    /// [`NotTaken`]
    pub async fn claim(&self, limit: usize) -> Result<Option<ClaimedBatch>, NotTaken> {
        self.ask(|reply| Command::Claim { limit, reply }).await?
    }

    /// Ends the attempt of a claimed batch, entry by entry. Reminders of the claim that are not named are taken
    /// as having ended without an answer.
    ///
    /// # Errors
    /// [`NotCommitted`]: the claim stays, and the call should be repeated.
    pub async fn settle(&self, claim: u64, settlements: Vec<Settlement>) -> Result<(), NotCommitted> {
        self.ask(|reply| Command::Settle { claim, settlements, reply }).await?
    }

    /// Keeps an event for publishing.
    ///
    /// # Errors
    /// [`NotCommitted`]
    pub async fn accept(&self, entry: OutboxEntry, body: Vec<u8>) -> Result<Acceptance, NotCommitted> {
        self.ask(|reply| Command::Accept { entry, body, reply }).await?
    }

    /// Begins the attempt of outbox entries, oldest first, at most one a task and at most `limit`; none for the topics that
    /// are `held`, and none that one for those would have to go before.
    ///
    /// # Errors
    /// [`NotTaken`]
    pub async fn take_outbox(&self, limit: usize, held: Vec<String>) -> Result<Vec<OutboxItem>, NotTaken> {
        self.ask(|reply| Command::TakeOutbox { limit, held, reply }).await?
    }

    /// Ends the attempt of outbox entries, by number.
    ///
    /// # Errors
    /// [`NotCommitted`]: the entries stay taken, and the call should be repeated.
    pub async fn settle_outbox(&self, results: Vec<(u64, OutboxResult)>) -> Result<(), NotCommitted> {
        self.ask(|reply| Command::SettleOutbox { results, reply }).await?
    }

    /// Notes that reminders came back through the broker. Written with a later commit: losing it loses nothing,
    /// so a full queue drops it.
    pub fn received(&self, receipts: Vec<Receipt>, at: Timestamp) {
        let count = receipts.len();
        // A full or closed queue is the accepted loss.
        if self.commands.try_send(Command::Receipts { receipts, at }).is_err() {
            telemetry::receipts_lost(count);
        }
    }

    /// Carries out `order` on a task, in an event of our own under `id`, and says what became of its reminders.
    ///
    /// # Errors
    /// [`NotCommitted`]: the same order under another id does no harm.
    pub async fn order(&self, task: TaskId, order: Order, id: String) -> Result<Ordered, NotCommitted> {
        self.ask(|reply| Command::Order { task, order, id, reply }).await?
    }

    /// Forgets tasks whose retention is over, one step of at most [`super::STEP_MAX`]; true while more is left.
    ///
    /// # Errors
    /// [`NotCommitted`]
    pub async fn purge(&self) -> Result<bool, NotCommitted> {
        self.ask(|reply| Command::Purge { reply }).await?
    }

    /// Recounts what the store holds and compares it with the counters, one step of at most
    /// [`crate::store::audit::AUDIT_STEP`]; true while more is left.
    ///
    /// # Errors
    /// [`NotCommitted`]
    pub async fn reconcile(&self) -> Result<bool, NotCommitted> {
        self.ask(|reply| Command::Reconcile { reply }).await?
    }

    /// Pauses all reminders or lets them go on, and tells what was and what is.
    ///
    /// # Errors
    /// [`NotCommitted`]
    pub async fn switch(&self, switch: Switch) -> Result<Switched, NotCommitted> {
        self.ask(|reply| Command::Switch { switch, reply }).await?
    }

    /// Takes what a person says of a store that was restored from a backup.
    ///
    /// # Errors
    /// [`NotCommitted`]
    pub async fn confirm_restore(&self, confirm: Confirm) -> Result<Confirmed, NotCommitted> {
        self.ask(|reply| Command::Confirm { confirm, reply }).await?
    }

    /// Reads between two commits, so that only what is durable is seen. `read` holds up every command behind
    /// it: it must be bounded.
    ///
    /// # Errors
    /// [`NotCommitted`] when the loop has ended.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&View<'_>) -> T + Send + 'static,
    ) -> Result<T, NotCommitted> {
        self.ask(|reply| {
            Command::Read(Box::new(move |view| {
                // Nobody else waits for a reader that has gone away.
                if !reply.is_closed() {
                    let _ = reply.send(read(view));
                }
            }))
        })
        .await
    }

    /// When the earliest pending reminder wakes that is not in flight, or a rate lets one go; [`Timestamp::MAX`] if there
    /// is none, and while all are paused. It is
    /// a state to look at again, not a message: missing a change loses nothing.
    #[must_use]
    pub fn next_wake(&self) -> watch::Receiver<Timestamp> {
        self.next_wake.clone()
    }

    /// Changes whenever the outbox has something new to send.
    #[must_use]
    pub fn outbox_waiting(&self) -> watch::Receiver<u64> {
        self.outbox_waiting.clone()
    }

    /// Whether the store takes commits.
    #[must_use]
    pub fn is_usable(&self) -> bool {
        *self.usable.borrow()
    }

    /// Whether the loop has ended: what is asked of it now is never carried out.
    #[must_use]
    pub fn has_ended(&self) -> bool {
        self.commands.is_closed()
    }

    /// How many commands wait, of [`super::QUEUE_MAX`] at most.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.commands.max_capacity() - self.commands.capacity()
    }

    /// How much room there is where the store lies; `None` where that can't be told.
    #[must_use]
    pub fn room(&self) -> Option<FreeSpace> {
        *self.room.borrow()
    }

    async fn ask<T>(&self, command: impl FnOnce(oneshot::Sender<T>) -> Command) -> Result<T, NotCommitted> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| NotCommitted)?;
        answer.await.map_err(|_| NotCommitted)
    }
}
