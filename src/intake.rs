//! Intake: what Dapr delivers becomes commands to the commit loop, and its verdicts become answers.
//!
//! Single and bulk deliveries take one path: read, hand over, wait for the verdict. It decides nothing about tasks
//! and knows neither HTTP nor Dapr's words.
//!
//! Races it accepts: daprd drops a delivery on a time-out, and the future with it. By then everything of it is in
//! the commit loop's queue or nothing is; of a batch longer than one command a first part may be, and the
//! redelivery finds duplicates.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::broadcast;

use crate::clock::Clock;
use crate::domain::{ReminderId, Verdict};
use crate::reading::{BulkEntry, Reading, Receipt, Transport, read, read_bulk, read_receipt};
use crate::telemetry;
use crate::writer::{Content, Delivery, Writer};

/// The largest single event taken, in bytes: Dapr's own limit for a message, and what wraps it.
pub const EVENT_MAX_BYTES: usize = 4 * 1024 * 1024 + 64 * 1024;
/// The largest bulk delivery taken, in bytes: a hundred events of Kafka's limit of 1 MiB, with what wraps them. daprd
/// sends a batch whole whatever its size, so a smaller limit would lose events that are fine by themselves.
pub const BULK_MAX_BYTES: usize = 104 * 1024 * 1024;
/// How much of an oversized body is kept for inspection, in bytes.
pub const OVERSIZED_KEPT_BYTES: usize = 16 * 1024;
/// Reminders a reader of the live stream may be behind by before it is dropped.
pub const LIVE_BEHIND_MAX: usize = 1024;

/// The reminders that come back through the broker, as they come. Readers that are too slow lose their place.
#[derive(Clone, Debug)]
pub struct Live {
    reminders: broadcast::Sender<Arc<LiveReminder>>,
}

/// A reminder that came back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LiveReminder {
    /// Its identity.
    pub id: ReminderId,
    /// `{"reminder_id","task_id","received_at","event"}` in one line, where `event` is what was delivered.
    pub json: String,
}

impl Live {
    /// A stream without readers.
    #[must_use]
    pub fn new() -> Self {
        Self { reminders: broadcast::Sender::new(LIVE_BEHIND_MAX) }
    }

    /// A reader of what comes from now on.
    #[must_use]
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<LiveReminder>> {
        self.reminders.subscribe()
    }
}

impl Default for Live {
    fn default() -> Self {
        Self::new()
    }
}

/// Where deliveries come in. Cloning is cheap.
#[derive(Clone)]
pub struct Intake {
    writer: Writer,
    clock: Arc<dyn Clock>,
    live: Live,
    receipts: bool,
}

impl Intake {
    /// An intake in front of `writer`; `receipts` says whether reminders that come back are noted there.
    #[must_use]
    pub fn new(writer: Writer, clock: Arc<dyn Clock>, live: Live, receipts: bool) -> Self {
        Self { writer, clock, live, receipts }
    }

    /// Takes a single delivery.
    pub async fn single(&self, topic: &str, body: Bytes, transport: &Transport<'_>) -> Verdict {
        let content = content(read(&body, transport), body);
        self.deliver_one(topic, content).await
    }

    /// Takes a bulk delivery: one verdict an entry, by its id.
    ///
    /// # Errors
    /// [`NotBulk`]: nothing was done.
    pub async fn bulk(&self, topic: &str, body: &Bytes) -> Result<Vec<(String, Verdict)>, NotBulk> {
        let entries = read_bulk(body).map_err(|_| NotBulk)?;
        let at = self.clock.now();
        let deliveries = entries
            .iter()
            .map(|entry| {
                let content = content(entry.read(), bytes_of(entry, body));
                Delivery { at, topic: topic.to_owned(), content }
            })
            .collect();
        let verdicts = self.writer.deliver(deliveries).await;
        Ok(entries.into_iter().map(|entry| entry.entry_id).zip(verdicts).collect())
    }

    /// Takes a delivery that is too large to be read; `head` is how it begins.
    pub async fn oversized(&self, topic: &str, head: Bytes, limit: usize) -> Verdict {
        let content = Content::Refused {
            code: "too_large",
            reason: format!("the body is larger than {limit} bytes; its beginning is kept"),
            body: head.slice(..head.len().min(OVERSIZED_KEPT_BYTES)),
        };
        self.deliver_one(topic, content).await
    }

    /// Takes reminders that came back, single or in bulk. Losing one loses nothing, so there is nothing to wait for.
    #[must_use]
    pub fn reminders(&self, body: &Bytes, bulk: bool) -> Vec<(String, Verdict)> {
        let entries = if bulk { read_bulk(body).ok() } else { None };
        let Some(entries) = entries else {
            self.receive(read_receipt(body).into_iter().map(|receipt| (receipt, &body[..])));
            return Vec::new();
        };
        self.receive(entries.iter().filter_map(|e| Some((read_receipt(&e.event)?, &e.event[..]))));
        entries.into_iter().map(|entry| (entry.entry_id, Verdict::Success)).collect()
    }

    fn receive<'a>(&self, receipts: impl Iterator<Item = (Receipt, &'a [u8])>) {
        let at = self.clock.now();
        let mut noted = Vec::new();
        for (receipt, event) in receipts {
            telemetry::receipt();
            let id = ReminderId::from(receipt.event_id);
            if self.live.reminders.receiver_count() > 0 {
                let reminder = LiveReminder { id, json: live_json(&receipt, &at.to_rfc3339(), event) };
                // The last reader may just have left.
                let _ = self.live.reminders.send(Arc::new(reminder));
            }
            noted.push((receipt.task_id, id));
        }
        if self.receipts && !noted.is_empty() {
            self.writer.received(noted, at);
        }
    }

    async fn deliver_one(&self, topic: &str, content: Content) -> Verdict {
        let delivery = Delivery { at: self.clock.now(), topic: topic.to_owned(), content };
        // One verdict a delivery; a loop that is gone has committed nothing.
        self.writer.deliver(vec![delivery]).await.first().copied().unwrap_or(Verdict::Retry)
    }
}

/// The body is no bulk delivery.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct NotBulk;

fn content(reading: Reading, body: Bytes) -> Content {
    match reading {
        Reading::Event(event) => Content::Event(event, body),
        Reading::Ignored(_) => Content::Ignored,
        Reading::Refused(reason) => {
            Content::Refused { code: reason.code(), reason: reason.to_string(), body }
        }
    }
}

/// The entry's own bytes, without copying them out of the batch where they stand in it.
fn bytes_of(entry: &BulkEntry<'_>, batch: &Bytes) -> Bytes {
    match &entry.event {
        std::borrow::Cow::Borrowed(part) => batch.slice_ref(part),
        std::borrow::Cow::Owned(decoded) => Bytes::copy_from_slice(decoded),
    }
}

fn live_json(receipt: &Receipt, received_at: &str, event: &[u8]) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        reminder_id: String,
        task_id: &'a str,
        received_at: &'a str,
        event: serde_json::Value,
    }
    let line = Line {
        reminder_id: receipt.event_id.to_string(),
        task_id: receipt.task_id.as_str(),
        received_at,
        // It was read as JSON a moment ago.
        event: serde_json::from_slice(event).unwrap_or_default(),
    };
    // Plain values written into memory: there is nothing that can fail.
    serde_json::to_string(&line).unwrap_or_default()
}
