//! The outbox sender: events that apps asked the worker to publish go out, oldest first.
//!
//! It carries out what the commit loop hands it, which is never more than one entry of a task at a time, and tells
//! the loop how each attempt ended. An entry is answered for long before: nobody waits here.
//!
//! While nothing goes out to a topic it is held back with growing waits, so that an outage, or a topic that this app may
//! not publish to yet, costs a few attempts and not one an entry, and holds up no other topic. A stop lets what is in
//! flight end; what is cut off goes out again under the same `event_id`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::future::join_all;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::dapr::{Outgoing, Publish, PublishOutcome, outbox_event};
use crate::domain::Backoff;
use crate::writer::{NotTaken, OutboxItem, OutboxResult, Writer};

/// Most entries taken at once: with bodies of up to 900 KiB they are held in memory until they are settled.
pub const TAKE_MAX: usize = 64;
/// How often the outbox is looked at when nothing is said to be new: entries that failed wait for their next
/// attempts.
const LOOK_AGAIN: Duration = Duration::from_secs(1);
/// The wait after the store could not commit, or what is to go out could not be read.
const COMMIT_AGAIN: Duration = Duration::from_millis(100);

/// The loop that sends what the outbox holds.
pub struct OutboxSender {
    // Dependencies.
    writer: Writer,
    publisher: Arc<dyn Publish>,
    clock: Arc<dyn Clock>,
    // Configuration.
    backoff: Backoff,
    // State.
    /// The topics that nothing goes out to.
    holds: BTreeMap<String, Hold>,
    /// Takes in a row that could not read what is to go out: that is logged when it begins and ends.
    unread: u64,
}

/// Why and how long a topic is held back.
struct Hold {
    /// Takes in a row of which nothing went out to it.
    misses: u32,
    /// On the monotonic clock.
    until: Duration,
}

impl OutboxSender {
    /// A sender that has not begun; `backoff` is how it waits while nothing goes out.
    #[must_use]
    pub fn new(writer: Writer, publisher: Arc<dyn Publish>, clock: Arc<dyn Clock>, backoff: Backoff) -> Self {
        Self { writer, publisher, clock, backoff, holds: BTreeMap::new(), unread: 0 }
    }

    /// Runs until `stop`. `turned` is called at every turn.
    pub async fn run(mut self, stop: CancellationToken, turned: impl Fn() + Send + Sync) {
        let mut waiting = self.writer.outbox_waiting();
        while !stop.is_cancelled() {
            turned();
            // Marked as seen before the take: what comes after it ends the sleep below.
            waiting.mark_unchanged();
            let held = self.held();
            let taken = self.writer.take_outbox(TAKE_MAX, held).await;
            self.note_unread(taken.as_ref().err());
            match taken {
                Ok(items) if items.is_empty() => tokio::select! {
                    () = stop.cancelled() => {}
                    // A look may read a long backlog: while a topic is held back, not one for each that is accepted.
                    changed = waiting.changed(), if self.holds.is_empty() => if changed.is_err() { return },
                    () = self.clock.sleep(self.next_look()) => {}
                },
                Ok(items) => self.send(items, &stop, &turned).await,
                Err(_) => tokio::select! {
                    () = stop.cancelled() => {}
                    () = self.clock.sleep(COMMIT_AGAIN) => {}
                },
            }
        }
    }

    /// The topics that nothing is to be taken for. Forgotten are those of which all that failed has been tried again
    /// by now, or is gone.
    fn held(&mut self) -> Vec<String> {
        let (now, longest) = (self.clock.monotonic(), self.backoff.max);
        self.holds.retain(|_, hold| now < hold.until.saturating_add(longest).saturating_add(LOOK_AGAIN));
        self.holds.iter().filter(|(_, hold)| now < hold.until).map(|(topic, _)| topic.clone()).collect()
    }

    /// How long to wait for the next look: no topic is held back longer than it must be.
    fn next_look(&self) -> Duration {
        let now = self.clock.monotonic();
        let waits = self.holds.values().map(|hold| hold.until.saturating_sub(now));
        waits.filter(|wait| !wait.is_zero()).fold(LOOK_AGAIN, Duration::min)
    }

    /// Tells when takes begin to fail and when they succeed again. That the store can't commit is told by who commits.
    fn note_unread(&mut self, error: Option<&NotTaken>) {
        match error {
            Some(NotTaken::NotCommitted(_)) => {}
            Some(error @ NotTaken::Unread(_)) => {
                if self.unread == 0 {
                    tracing::error!(%error, "no event of the outbox goes out; it is tried on and on");
                }
                self.unread = self.unread.saturating_add(1);
            }
            None => {
                let failed = std::mem::take(&mut self.unread);
                if failed > 0 {
                    tracing::info!(failed, "the outbox can be read again");
                }
            }
        }
    }

    /// Sends what was taken and settles it.
    async fn send(&mut self, items: Vec<OutboxItem>, stop: &CancellationToken, turned: &(impl Fn() + Sync)) {
        let by_topic = self.showing_life(self.publish(items), turned).await;
        let results: Vec<_> = by_topic.iter().flat_map(|(_, results)| results.clone()).collect();
        while self.writer.settle_outbox(results.clone()).await.is_err() {
            if stop.is_cancelled() {
                return;
            }
            self.clock.wait(COMMIT_AGAIN).await;
        }
        for (topic, results) in by_topic {
            self.note(topic, &results);
        }
    }

    /// Holds a topic back if nothing went out to it, and lets it go on if something did.
    fn note(&mut self, topic: String, results: &[(u64, OutboxResult)]) {
        if results.iter().any(|(_, result)| !matches!(result, OutboxResult::Failed(_))) {
            if self.holds.remove(&topic).is_some() {
                tracing::info!(topic, "events of the outbox go out to it again");
            }
            return;
        }
        if !self.holds.contains_key(&topic) {
            tracing::warn!(
                topic,
                reason = first_failure(results),
                "no event of the outbox could be published to it; trying again with growing waits"
            );
        }
        let hold = self.holds.entry(topic).or_insert(Hold { misses: 0, until: Duration::ZERO });
        hold.misses = hold.misses.saturating_add(1);
        hold.until = self.clock.monotonic().saturating_add(self.backoff.delay(hold.misses, 0));
    }

    /// Publishes topic by topic, all topics at once.
    async fn publish(&self, items: Vec<OutboxItem>) -> Vec<(String, Vec<(u64, OutboxResult)>)> {
        let mut by_topic: BTreeMap<String, (Vec<u64>, Vec<Outgoing>)> = BTreeMap::new();
        for OutboxItem { number, entry, body } in items {
            let event = Bytes::from(outbox_event(&entry.task, &entry.event_id, entry.at, &body));
            let (numbers, batch) = by_topic.entry(entry.topic).or_default();
            numbers.push(number);
            batch.push(Outgoing { key: entry.task.as_str().to_owned(), event });
        }
        join_all(by_topic.into_iter().map(async |(topic, (numbers, batch))| {
            let outcomes = self.publisher.publish(&topic, &batch).await;
            (topic, numbers.into_iter().zip(outcomes.into_iter().map(result)).collect())
        }))
        .await
    }

    /// Waits for `work`, showing at least once a [`LOOK_AGAIN`] that it lives: a hung broker is no reason to restart.
    async fn showing_life<T>(&self, work: impl Future<Output = T>, turned: &(impl Fn() + Sync)) -> T {
        let mut work = std::pin::pin!(work);
        loop {
            tokio::select! {
                done = &mut work => return done,
                () = self.clock.wait(LOOK_AGAIN) => turned(),
            }
        }
    }
}

/// Why the first of the results failed.
fn first_failure(results: &[(u64, OutboxResult)]) -> &str {
    results
        .iter()
        .find_map(|(_, result)| match result {
            OutboxResult::Failed(reason) | OutboxResult::Refused(reason) => Some(reason.as_str()),
            OutboxResult::Published => None,
        })
        .unwrap_or_default()
}

/// What the loop is told of an outcome. A later attempt repeats the same bytes, so an ambiguous one may be tried
/// again like a failed one.
fn result(outcome: PublishOutcome) -> OutboxResult {
    match outcome {
        PublishOutcome::Published => OutboxResult::Published,
        PublishOutcome::Refused { reason, for_good: true } => OutboxResult::Refused(reason),
        PublishOutcome::Refused { reason, for_good: false } | PublishOutcome::Ambiguous { reason } => {
            OutboxResult::Failed(reason)
        }
    }
}

#[cfg(test)]
mod tests;
