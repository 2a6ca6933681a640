//! The scheduler: when to look, how much at once, and when to hold back.
//!
//! It sleeps until the earliest pending reminder wakes, at most [`SLEEP_MAX`], and reads the clock again: a long
//! sleep would miss clock steps and suspends. A wake-up carries no data; whatever woke it, the pass re-derives
//! what is due. Several batches are in flight at once.
//!
//! While nothing goes out it probes: one batch at a time, with waits that grow to [`PROBE_MAX`]. So an outage costs
//! a few attempts and not one for every reminder that falls due meanwhile. Each probe takes the next ones, since
//! failed ones wait at their own next-attempt times; one that is tried alone and fails again, or is refused for good,
//! says nothing of the broker and holds up nobody.
//!
//! Where what is due can't be read, every claim fails, until somebody has restored the store. That holds up everything, so
//! it is told like an outage, and logged when it begins and ends.
//!
//! A publish that panics leaves its claim open, and only a new life takes that back. So the panic goes on from here
//! and ends the worker, rather than leave reminders in flight for ever.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::domain::Backoff;
use crate::tick::{Sent, Tick};
use crate::writer::{ClaimedBatch, NotTaken, Writer};

/// The longest sleep: what a clock step or a suspend can make a reminder late by.
pub const SLEEP_MAX: Duration = Duration::from_secs(1);
/// The longest wait between two probes. A probe is one request: more rarely would save nothing, and what is due
/// beside a reminder that always fails may have to wait so long.
pub const PROBE_MAX: Duration = Duration::from_secs(1);
/// The wait after a claim that failed.
const CLAIM_AGAIN: Duration = Duration::from_millis(100);

/// How many go out at once.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    /// Most reminders a batch.
    pub batch_max: usize,
    /// Most batches in flight.
    pub in_flight_max: usize,
    /// The waits between probes while nothing goes out.
    pub probe: Backoff,
}

/// A batch's attempt, when it is over.
struct Ended {
    /// What [`Scheduler::misses`] was when it began.
    misses: u32,
    sent: Sent,
}

/// The loop that keeps due dates.
pub struct Scheduler {
    // Dependencies.
    writer: Writer,
    tick: Tick,
    clock: Arc<dyn Clock>,
    // Configuration.
    pace: Pace,
    // State.
    in_flight: JoinSet<Ended>,
    /// Probes in a row that sent nothing; 0 while the broker is reached. Batches that were in flight together count
    /// as one: they say the same thing.
    misses: u32,
    /// While nothing goes out: not before this instant of the monotonic clock.
    probe_at: Duration,
    /// Claims in a row that could not read what is due.
    unread: u64,
    // What others look at.
    held_up: watch::Sender<Option<String>>,
}

impl Scheduler {
    /// A scheduler that has not begun.
    #[must_use]
    pub fn new(writer: Writer, tick: Tick, clock: Arc<dyn Clock>, pace: Pace) -> Self {
        Self {
            writer,
            tick,
            clock,
            pace,
            in_flight: JoinSet::new(),
            misses: 0,
            probe_at: Duration::ZERO,
            unread: 0,
            held_up: watch::Sender::new(None),
        }
    }

    /// Why no reminder goes out, as far as is known, while it probes; `None` while they do.
    #[must_use]
    pub fn held_up(&self) -> watch::Receiver<Option<String>> {
        self.held_up.subscribe()
    }

    /// Runs until `stop`, then waits for what is in flight. `turned` is called at every turn.
    pub async fn run(mut self, stop: CancellationToken, turned: impl Fn() + Send) {
        let mut next_wake = self.writer.next_wake();
        while !stop.is_cancelled() {
            turned();
            // Marked as seen before it is read: a change that comes after ends the sleep below.
            let earliest = *next_wake.borrow_and_update();
            let now = self.clock.now();
            if earliest <= now && self.may_begin() {
                match self.writer.claim(self.pace.batch_max).await {
                    Ok(batch) => {
                        self.can_read();
                        batch.into_iter().for_each(|batch| self.begin(batch));
                    }
                    Err(error) => {
                        self.note_unread(&error);
                        self.clock.wait(CLAIM_AGAIN).await;
                    }
                }
                continue;
            }
            let sleep = self.sleep_for(earliest.since(now));
            tokio::select! {
                () = stop.cancelled() => {}
                Some(ended) = self.in_flight.join_next() => self.note(outcome(ended)),
                changed = next_wake.changed() => if changed.is_err() { break },
                () = self.clock.sleep(sleep) => {}
            }
        }
        while let Some(ended) = self.in_flight.join_next().await {
            turned();
            self.note(outcome(ended));
        }
    }

    /// Whether another batch may go out now.
    fn may_begin(&self) -> bool {
        match self.misses {
            0 => self.in_flight.len() < self.pace.in_flight_max,
            _ => self.in_flight.is_empty() && self.clock.monotonic() >= self.probe_at,
        }
    }

    /// A claim has failed. That the store can't commit is told by who commits.
    fn note_unread(&mut self, error: &NotTaken) {
        if matches!(error, NotTaken::NotCommitted(_)) {
            return;
        }
        if self.unread == 0 {
            tracing::error!(%error, "no reminder goes out; it is tried on and on");
        }
        self.unread = self.unread.saturating_add(1);
        // Each time: what was under way when it began may have ended well since.
        self.held_up.send_replace(Some(error.to_string()));
    }

    /// A claim has succeeded.
    fn can_read(&mut self) {
        let failed = std::mem::take(&mut self.unread);
        if failed > 0 {
            tracing::info!(failed, "what is due can be read again");
            self.held_up.send_replace(None);
        }
    }

    fn begin(&mut self, batch: ClaimedBatch) {
        let (tick, misses) = (self.tick.clone(), self.misses);
        self.in_flight.spawn(async move { Ended { misses, sent: tick.send(batch).await } });
    }

    fn note(&mut self, Ended { misses, sent }: Ended) {
        match sent {
            Sent::Some => {
                if self.misses > 0 {
                    tracing::info!("reminders go out again");
                }
                self.misses = 0;
                self.held_up.send_replace(None);
                return;
            }
            Sent::None(reason) => {
                if self.misses == 0 {
                    tracing::warn!(
                        reason,
                        "no reminder of a batch could be published; trying again with growing waits"
                    );
                }
                self.misses = self.misses.max(misses.saturating_add(1));
                self.held_up.send_replace(Some(reason));
            }
            Sent::Itself => {}
        }
        self.probe_at = self.clock.monotonic() + self.pace.probe.delay(self.misses, 0).min(PROBE_MAX);
    }

    /// Until the earliest reminder wakes, which is `until_due` away, or the next probe is due if that is later; at
    /// most [`SLEEP_MAX`].
    fn sleep_for(&self, until_due: Duration) -> Duration {
        if !self.in_flight.is_empty() && until_due.is_zero() {
            // Only the end of an attempt helps, and that ends the sleep.
            return SLEEP_MAX;
        }
        let until_probe = match self.misses {
            0 => Duration::ZERO,
            _ => self.probe_at.saturating_sub(self.clock.monotonic()),
        };
        until_due.max(until_probe).min(SLEEP_MAX)
    }
}

fn outcome(ended: Result<Ended, JoinError>) -> Ended {
    // Nobody aborts an attempt while the set lives: what did not end by itself has panicked.
    ended.unwrap_or_else(|error| std::panic::resume_unwind(error.into_panic()))
}

#[cfg(test)]
pub(crate) mod tests;
