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
use crate::dapr::{DigestItem, Outgoing, Publish, PublishOutcome, reminder_digest, reminder_due};
use crate::domain::decide::Attempt;
use crate::domain::{PolicyInForce, ReminderId, Rules, Timestamp};
use crate::telemetry::{self, PublishResult};
use crate::writer::{Claimed, ClaimedBatch, ClaimedDigest, Settlement, Writer};

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

    /// Publishes a claimed batch and settles it, entry by entry. Where the commit loop has ended, the next start takes the
    /// claim back.
    pub async fn send(&self, batch: ClaimedBatch) -> Sent {
        let outgoing = outgoing(&batch);
        let outcomes = self.publisher.publish(&self.topic, &outgoing).await;
        let (settlements, sent) = settlements(&batch, outcomes, self.clock.now());
        while self.writer.settle(batch.number, settlements.clone()).await.is_err() && !self.writer.has_ended()
        {
            self.clock.wait(SETTLE_AGAIN).await;
        }
        sent
    }
}

/// What a batch goes out as: its reminders, then its digests.
#[must_use]
pub fn outgoing(batch: &ClaimedBatch) -> Vec<Outgoing> {
    let alone = batch.reminders.iter().map(|claimed| of_reminder(claimed, batch));
    alone.chain(batch.digests.iter().map(|digest| of_digest(digest, batch))).collect()
}

/// What the outcomes of [`outgoing`], in its order, mean for each reminder of the batch and for the batch as a whole.
#[must_use]
pub fn settlements(
    batch: &ClaimedBatch,
    outcomes: Vec<PublishOutcome>,
    now: Timestamp,
) -> (Vec<Settlement>, Sent) {
    let is_refused = || matches!(outcomes[..], [PublishOutcome::Refused { for_good: true, .. }]);
    let one = match (batch.reminders.as_slice(), batch.digests.as_slice()) {
        ([one], []) => Some(one),
        ([], [digest]) => digest.members.first(),
        _ => None,
    };
    let mut sent = match one {
        Some(one) if one.reminder.attempts > 0 || is_refused() => Sent::Itself,
        _ => Sent::None(outcomes.first().map(reason).unwrap_or_default()),
    };
    let mut settlements = Vec::with_capacity(outcomes.len());
    let mut outcomes = outcomes.into_iter();
    for (claimed, outcome) in batch.reminders.iter().zip(outcomes.by_ref()) {
        settlements.push(settlement(claimed, None, attempt(outcome, &mut sent), now));
    }
    for (digest, outcome) in batch.digests.iter().zip(outcomes) {
        let attempt = attempt(outcome, &mut sent);
        let of = |member| settlement(member, Some(digest.id), attempt.clone(), now);
        settlements.extend(digest.members.iter().map(of));
    }
    (settlements, sent)
}

/// The CloudEvent that a reminder goes out as, alone.
#[must_use]
pub fn event_of(claimed: &Claimed, policy: &PolicyInForce) -> Vec<u8> {
    let rules = Rules { in_force: policy, user: claimed.user.as_deref() };
    reminder_due(&claimed.task_id, &claimed.task, &claimed.reminder, &rules)
}

/// The CloudEvent that a digest goes out as.
#[must_use]
pub fn event_of_digest(digest: &ClaimedDigest, policy: &PolicyInForce) -> Vec<u8> {
    let ClaimedDigest { id, user, at, members } = digest;
    let rules = Rules { in_force: policy, user: members.first().and_then(|member| member.user.as_deref()) };
    let item = |member| {
        let Claimed { task_id, task, reminder, .. }: &Claimed = member;
        DigestItem { task_id, task, reminder }
    };
    let items: Vec<_> = members.iter().map(item).collect();
    reminder_digest(*id, user, *at, &items, &rules)
}

fn of_reminder(claimed: &Claimed, batch: &ClaimedBatch) -> Outgoing {
    let event = Bytes::from(event_of(claimed, &batch.policy));
    Outgoing { key: claimed.task_id.as_str().to_owned(), event }
}

fn of_digest(digest: &ClaimedDigest, batch: &ClaimedBatch) -> Outgoing {
    Outgoing { key: digest.user.clone(), event: Bytes::from(event_of_digest(digest, &batch.policy)) }
}

/// What an outcome means for what was sent, and for the batch.
fn attempt(outcome: PublishOutcome, sent: &mut Sent) -> Attempt {
    let (attempt, result) = match outcome {
        PublishOutcome::Published => {
            *sent = Sent::Some;
            (Attempt::Confirmed, PublishResult::Confirmed)
        }
        PublishOutcome::Refused { reason, .. } => (Attempt::Failed(reason), PublishResult::Failed),
        PublishOutcome::Ambiguous { reason } => (Attempt::Ambiguous(reason), PublishResult::Ambiguous),
    };
    telemetry::publish_attempts(result, 1);
    attempt
}

fn settlement(claimed: &Claimed, within: Option<ReminderId>, attempt: Attempt, now: Timestamp) -> Settlement {
    if attempt == Attempt::Confirmed {
        telemetry::reminder_fired(now.since(claimed.reminder.fire_at));
    }
    Settlement { task_id: claimed.task_id.clone(), id: claimed.id, within, attempt }
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
