//! The canary: a task of the worker's own that goes the whole way, again and again.
//!
//! Every so often it publishes an event of one task ([`crate::domain::CANARY_TASK`]) that is to be reminded of in a moment: through
//! the sidecar and the broker to the app listener, into the store, past the timer, out again to the topic of reminders
//! and back. How long that takes beyond the moment it was planned ahead by is its round trip. It is one task whose time
//! moves, so its record stays as large as any.
//!
//! Decides when one counts as lost and whether readiness may fail; must never know what is on the way.
//!
//! Accepted: where another worker on the same topics has a canary too, each sees the other's come back and counts only
//! its own, by the instant; both at the very same millisecond would be taken for one. What a publish that nobody
//! answered for comes to is seen by whether it comes back.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, random_id};
use crate::config;
use crate::dapr::{Outgoing, Publish, PublishOutcome, outbox_event};
use crate::domain::{CANARY_EVENT, CANARY_TASK, PRODUCER, TaskId, Timestamp};
use crate::health::{Health, Heart};
use crate::telemetry::{self, CanaryResult};
use crate::writer::Writer;

/// How far ahead it is planned: longer than an event takes to come in, so that the timer has to wait for it.
pub const LEAD: Duration = Duration::from_secs(2);
/// How often it is looked at.
const TURN: Duration = Duration::from_secs(1);

/// One that is on its way.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Flight {
    planned: Timestamp,
    /// On the monotonic clock.
    sent: Duration,
}

/// What is known of the canary; times are on the monotonic clock.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Watched {
    flight: Option<Flight>,
    /// When one came back last, or the watch began.
    seen: Duration,
    beat_at: Duration,
}

impl Watched {
    fn since(now: Duration) -> Self {
        Self { flight: None, seen: now, beat_at: now }
    }

    /// One that was planned for then has come back: its round trip, if it is the one on its way.
    fn came_back(&mut self, planned: Timestamp, now: Duration) -> Option<Duration> {
        let flight = self.flight.take_if(|flight| flight.planned == planned)?;
        self.seen = now;
        Some(now.saturating_sub(flight.sent).saturating_sub(LEAD))
    }

    /// The next one is due: whether the one before is lost.
    fn beat(&mut self, every: Duration, now: Duration) -> bool {
        self.beat_at = now + every;
        self.flight.take().is_some()
    }

    /// Why readiness fails, if it does: none has come back for longer than `limit`, 0 for never, nor for two turns.
    fn fault(&self, limit: Duration, every: Duration, now: Duration) -> Option<String> {
        let age = now.saturating_sub(self.seen);
        (!limit.is_zero() && age > limit.max(2 * every)).then(|| {
            format!(
                "no canary has come back for {} s: events are not heard, reminders do not go out, or they do not come \
                 back; the other checks and the log say more",
                age.as_secs()
            )
        })
    }
}

/// The loop that sends it and waits for it.
pub struct Canary {
    // Dependencies.
    writer: Writer,
    publisher: Arc<dyn Publish>,
    clock: Arc<dyn Clock>,
    health: Health,
    // Configuration.
    settings: config::Canary,
    topic: String,
    // State.
    returned: watch::Receiver<Option<Timestamp>>,
    watched: Watched,
    paused: bool,
}

impl Canary {
    /// One that publishes to `topic` and sees in `returned` what has come back; `None` where none is wanted.
    #[must_use]
    pub fn new(
        settings: &config::Canary,
        topic: String,
        writer: Writer,
        publisher: Arc<dyn Publish>,
        clock: Arc<dyn Clock>,
        health: Health,
        returned: watch::Receiver<Option<Timestamp>>,
    ) -> Option<Self> {
        let watched = Watched::since(clock.monotonic());
        let wanted = !settings.every.is_zero();
        let settings = settings.clone();
        wanted.then_some(Self {
            writer,
            publisher,
            clock,
            health,
            settings,
            topic,
            returned,
            watched,
            paused: false,
        })
    }

    /// Runs until `stop`.
    pub async fn run(mut self, heart: Heart, stop: CancellationToken) {
        self.watched = Watched::since(self.clock.monotonic());
        while !stop.is_cancelled() {
            heart.beat();
            if self.clock.monotonic() >= self.watched.beat_at {
                tokio::select! {
                    () = self.beat() => {}
                    () = stop.cancelled() => return,
                }
            }
            self.look();
            tokio::select! {
                changed = self.returned.changed() => if changed.is_err() { return },
                () = self.clock.wait(TURN) => {}
                () = stop.cancelled() => {}
            }
        }
    }

    fn look(&mut self) {
        let now = self.clock.monotonic();
        let returned = *self.returned.borrow_and_update();
        if let Some(took) = returned.and_then(|planned| self.watched.came_back(planned, now)) {
            telemetry::canary(CanaryResult::Returned);
            telemetry::canary_took(took);
        }
        let Watched { seen, .. } = self.watched;
        telemetry::canary_age(now.saturating_sub(seen));
        let config::Canary { every, ready_limit } = self.settings;
        // What is paused does not go out, and somebody wants that.
        let fault = self.watched.fault(ready_limit, every, now).filter(|_| !self.paused);
        self.health.check("canary", fault);
    }

    async fn beat(&mut self) {
        if self.watched.beat(self.settings.every, self.clock.monotonic()) {
            telemetry::canary(CanaryResult::Lost);
        }
        // A loop that answers nothing is told of elsewhere.
        self.paused = self.writer.read(|view| view.meta.paused.is_some()).await.unwrap_or(false);
        if self.paused {
            self.watched.seen = self.clock.monotonic();
            return;
        }
        let now = self.clock.now();
        let planned = now.plus(LEAD);
        let Some(event) = event(now, planned) else { return };
        self.watched.flight = Some(Flight { planned, sent: self.clock.monotonic() });
        let batch = [Outgoing { key: CANARY_TASK.to_owned(), event }];
        let outcomes = self.publisher.publish(&self.topic, &batch).await;
        if let Some(PublishOutcome::Refused { reason, .. }) = outcomes.first() {
            tracing::warn!(reason, "the canary could not be published");
            telemetry::canary(CanaryResult::Unsent);
            self.watched.flight = None;
        }
    }
}

/// What is published: the one task, to be reminded of at `planned`.
fn event(now: Timestamp, planned: Timestamp) -> Option<Bytes> {
    let task = TaskId::new(CANARY_TASK)?;
    let id = random_id().to_string();
    let event = serde_json::json!({
        "event_id": id,
        "event_type": CANARY_EVENT,
        "event_version": "v1",
        "timestamp": now.to_rfc3339(),
        "producer": PRODUCER,
        "payload": {
            "task_id": CANARY_TASK,
            "title": "canary",
            "remind_at": [planned.to_rfc3339()],
        },
    });
    Some(Bytes::from(outbox_event(&task, &id, now, event.to_string().as_bytes())))
}

#[cfg(test)]
mod tests;
