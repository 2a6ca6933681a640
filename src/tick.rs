//! One pass over what is due: claim a batch, publish it, settle it.
//!
//! A pass takes no input but the clock: it re-derives everything from the store, so running it once too often
//! does nothing. Owns what the result of a publish means for a reminder; must never know how the store keeps
//! it.
//!
//! **Invariant 2 (never early)**: the commit loop claims by the wall clock as it reads it then.
//! **Invariant 3 (at least once)**: a claim is on the disk before the first byte goes out; a pass that breaks off
//! leaves it there, and its reminders fire again under the same ids.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::clock::Clock;
use crate::dapr::{Outgoing, Publish, PublishOutcome, reminder_due};
use crate::domain::decide::Attempt;
use crate::telemetry::{self, PublishResult};
use crate::writer::{Claimed, ClaimedBatch, Settlement, Writer};

/// The wait before a settlement that the store could not commit is tried again.
const SETTLE_AGAIN: Duration = Duration::from_millis(100);

/// What a pass needs.
#[derive(Clone)]
pub struct Tick {
    // Dependencies.
    writer: Writer,
    publisher: Arc<dyn Publish>,
    clock: Arc<dyn Clock>,
    // Configuration.
    topic: String,
}

/// How the attempt of a batch went as a whole.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Sent {
    /// Some of it went out: the broker can be reached.
    Some,
    /// None of it did, and why its first did not: the broker may be out of reach.
    None(String),
    /// Nor did this, but the fault may be its own: one reminder alone, refused for good or failed before.
    Itself,
}

impl Tick {
    /// A tick that publishes to `topic`.
    #[must_use]
    pub fn new(writer: Writer, publisher: Arc<dyn Publish>, clock: Arc<dyn Clock>, topic: String) -> Self {
        Self { writer, publisher, clock, topic }
    }

    /// Publishes a claimed batch and settles it, entry by entry.
    pub async fn send(&self, batch: ClaimedBatch) -> Sent {
        let outgoing: Vec<Outgoing> = batch
            .reminders
            .iter()
            .map(|claimed| Outgoing {
                key: claimed.task_id.as_str().to_owned(),
                event: Bytes::from(reminder_due(
                    &claimed.task_id,
                    &claimed.task,
                    &claimed.reminder,
                    &batch.policy,
                )),
            })
            .collect();
        let outcomes = self.publisher.publish(&self.topic, &outgoing).await;
        let now = self.clock.now();
        let alone = |claimed: &Claimed| {
            claimed.reminder.attempts > 0
                || matches!(outcomes[..], [PublishOutcome::Refused { for_good: true, .. }])
        };
        let mut sent = match batch.reminders.as_slice() {
            [one] if alone(one) => Sent::Itself,
            _ => Sent::None(outcomes.first().map(reason).unwrap_or_default()),
        };
        let mut settlements = Vec::with_capacity(batch.reminders.len());
        for (claimed, outcome) in batch.reminders.iter().zip(outcomes) {
            if outcome == PublishOutcome::Published {
                sent = Sent::Some;
                telemetry::reminder_fired(now.since(claimed.reminder.fire_at));
            }
            let (attempt, result) = match outcome {
                PublishOutcome::Published => (Attempt::Confirmed, PublishResult::Confirmed),
                PublishOutcome::Refused { reason, .. } => (Attempt::Failed(reason), PublishResult::Failed),
                PublishOutcome::Ambiguous { reason } => {
                    (Attempt::Ambiguous(reason), PublishResult::Ambiguous)
                }
            };
            telemetry::publish_attempts(result, 1);
            settlements.push(Settlement { task_id: claimed.task_id.clone(), id: claimed.id, attempt });
        }
        while self.writer.settle(batch.number, settlements.clone()).await.is_err() {
            self.clock.wait(SETTLE_AGAIN).await;
        }
        sent
    }
}

/// Why an attempt failed; empty where it did not.
fn reason(outcome: &PublishOutcome) -> String {
    match outcome {
        PublishOutcome::Published => String::new(),
        PublishOutcome::Refused { reason, .. } | PublishOutcome::Ambiguous { reason } => reason.clone(),
    }
}

#[cfg(test)]
mod tests;
