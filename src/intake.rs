//! Intake: what Dapr delivers becomes commands to the commit loop, and its verdicts become answers.
//!
//! Single and bulk deliveries take one path: read, hand over, wait for the verdict. It decides nothing about tasks
//! and knows neither HTTP nor Dapr's words.
//!
//! Races it accepts: daprd drops a delivery on a time-out, and the future with it. By then everything of it is in
//! the commit loop's queue or nothing is; of a batch longer than one command a first part may be, and the
//! redelivery finds duplicates.

mod import;

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::{broadcast, watch};

use crate::clock::Clock;
use crate::domain::{ReminderId, TaskId, Timestamp, Verdict, is_canary};
use crate::reading::{BulkEntry, Reading, Reason, Receipt, Transport, read, read_bulk, read_receipts};
use crate::telemetry;
use crate::writer::{Content, Delivery, Receipt as Returned, Writer};

pub use import::{IgnoredLine, Import, ImportReport, LeftOutPart, Line, Lines, REFUSALS_TOLD, RefusedLine};

/// The largest single event taken, in bytes: Dapr's own limit for a message, and what wraps it.
pub const EVENT_MAX_BYTES: usize = 4 * 1024 * 1024 + 64 * 1024;
/// The largest bulk delivery taken, in bytes: a hundred events of Kafka's limit of 1 MiB, with what wraps them. daprd
/// sends a batch whole whatever its size, so a smaller limit would lose events that are fine by themselves.
pub const BULK_MAX_BYTES: usize = 104 * 1024 * 1024;
/// How much of an oversized body is kept for inspection, in bytes.
pub const OVERSIZED_KEPT_BYTES: usize = 16 * 1024;
/// The largest body that is read on the thread it came on, in bytes: some milliseconds' work. A larger one would hold
/// up everything else that thread serves.
const READ_HERE_MAX_BYTES: usize = 256 * 1024;
/// Reminders a reader of the live stream may be behind by before it is dropped.
pub const LIVE_BEHIND_MAX: usize = 1024;

/// The largest event that readers of the live stream are shown, in bytes: far above any reminder and most digests. So many
/// of them as a reader may be behind by are 128 MiB; of a larger one they are told the identity alone.
pub const LIVE_EVENT_MAX_BYTES: usize = 128 * 1024;

/// The reminders and digests that come back through the broker, as they come. Readers that are too slow lose their place.
#[derive(Clone, Debug)]
pub struct Live {
    reminders: broadcast::Sender<Arc<LiveReminder>>,
}

/// A reminder that came back, or a digest of several.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct LiveReminder {
    /// Its identity: the `event_id` of what was delivered.
    pub id: ReminderId,
    /// `reminder_due`, or `reminder_digest`.
    pub kind: &'static str,
    /// The task it is about; of a digest the first one, since all are of one user.
    pub task: TaskId,
    /// `{"reminder_id","task_id","received_at","event"}` in one line, of a digest `{"digest_id","received_at","event"}`;
    /// `event` is what was delivered, null where that is larger than [`LIVE_EVENT_MAX_BYTES`].
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
    canary: watch::Sender<Option<Timestamp>>,
}

impl Intake {
    /// An intake in front of `writer`; `receipts` says whether reminders that come back are noted there.
    #[must_use]
    pub fn new(writer: Writer, clock: Arc<dyn Clock>, live: Live, receipts: bool) -> Self {
        Self { writer, clock, live, receipts, canary: watch::Sender::new(None) }
    }

    /// When the canary was planned for that came back last.
    #[must_use]
    pub fn canary(&self) -> watch::Receiver<Option<Timestamp>> {
        self.canary.subscribe()
    }

    /// Takes a single delivery.
    pub async fn single(&self, topic: &str, body: Bytes, transport: &Transport<'_>) -> Verdict {
        let Transport { broker_timestamp_ms, offset, traceparent, float_numbers } = *transport;
        let traceparent = traceparent.map(str::to_owned);
        let content = off_thread(body.len(), move || {
            let traceparent = traceparent.as_deref();
            content(read(&body, &Transport { broker_timestamp_ms, offset, traceparent, float_numbers }), body)
        });
        self.deliver_one(topic, content.await).await
    }

    /// Takes a bulk delivery: one verdict an entry, by its id.
    ///
    /// # Errors
    /// [`NotBulk`]: nothing was done.
    pub async fn bulk(&self, topic: &str, body: &Bytes) -> Result<Vec<(String, Verdict)>, NotBulk> {
        let batch = body.clone();
        let (ids, contents) = off_thread(body.len(), move || {
            let entries = read_bulk(&batch).map_err(NotBulk)?;
            Ok(entries.into_iter().map(|entry| read_entry(entry, &batch)).unzip::<_, _, Vec<_>, Vec<_>>())
        })
        .await?;
        let at = self.clock.now();
        let deliveries =
            contents.into_iter().map(|content| Delivery { at, topic: topic.to_owned(), content });
        let verdicts = self.writer.deliver(deliveries.collect()).await;
        Ok(ids.into_iter().zip(verdicts).collect())
    }

    /// Takes a delivery of `length` bytes that is too large to be read; `head` is how it begins.
    pub async fn oversized(&self, topic: &str, head: Bytes, length: u64, limit: usize) -> Verdict {
        self.deliver_one(topic, too_large("body", &head, length, limit)).await
    }

    /// Takes a batch that cannot be taken apart, and why.
    pub async fn no_batch(&self, topic: &str, body: Bytes, why: &NotBulk) -> Verdict {
        self.deliver_one(topic, refused(&why.0, body)).await
    }

    /// Takes a reminder that came back. Losing one loses nothing, so there is nothing to wait for.
    pub async fn reminder(&self, body: &Bytes) {
        let (event, at, shown) = (body.clone(), self.clock.now(), self.is_watched());
        let received = off_thread(body.len(), move || Received::read(&event, at, shown)).await;
        self.receive([received], at);
    }

    /// Takes a batch of reminders that came back.
    ///
    /// # Errors
    /// [`NotBulk`]: nothing was done.
    pub async fn reminders(&self, body: &Bytes) -> Result<Vec<(String, Verdict)>, NotBulk> {
        let (batch, at, shown) = (body.clone(), self.clock.now(), self.is_watched());
        let (received, ids) = off_thread(body.len(), move || {
            let entries = read_bulk(&batch).map_err(NotBulk)?;
            let received = entries.iter().map(|entry| Received::read(&entry.event, at, shown));
            let received: Vec<_> = received.collect();
            Ok((received, entries.into_iter().map(|entry| (entry.entry_id, Verdict::Success)).collect()))
        })
        .await?;
        self.receive(received, at);
        Ok(ids)
    }

    fn is_watched(&self) -> bool {
        self.live.reminders.receiver_count() > 0
    }

    fn receive(&self, received: impl IntoIterator<Item = Received>, at: Timestamp) {
        let mut noted = Vec::new();
        for Received { receipts, live } in received {
            if let Some(live) = live {
                // The last reader may just have left.
                let _ = self.live.reminders.send(Arc::new(live));
            }
            for Receipt { event_id, task_id, planned_at, .. } in receipts {
                if is_canary(&task_id) {
                    self.canary.send_replace(planned_at);
                }
                telemetry::receipt();
                noted.push(Returned { task_id, id: ReminderId::from(event_id), planned_at });
            }
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

/// Runs `read` over a body of so many bytes where it holds up nobody. If the caller goes away meanwhile, what was
/// read is dropped: nothing has been handed over yet.
async fn off_thread<T: Send + 'static>(bytes: usize, read: impl FnOnce() -> T + Send + 'static) -> T {
    if bytes <= READ_HERE_MAX_BYTES {
        return read();
    }
    match tokio::task::spawn_blocking(read).await {
        Ok(found) => found,
        Err(error) => match error.try_into_panic() {
            // It goes the way it would have gone here.
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime ends, and this future with it.
            Err(_) => std::future::pending().await,
        },
    }
}

/// What came back in one event, and what readers of the stream are shown.
struct Received {
    receipts: Vec<Receipt>,
    live: Option<LiveReminder>,
}

impl Received {
    fn read(event: &[u8], at: Timestamp, shown: bool) -> Self {
        if event.len() > EVENT_MAX_BYTES {
            return Self { receipts: Vec::new(), live: None };
        }
        let receipts = read_receipts(event);
        // All of one event are in one digest, or there is but one.
        let shown = receipts.first().filter(|first| shown && !is_canary(&first.task_id));
        let live = shown.map(|first| live(first, &at.to_rfc3339(), event));
        Self { receipts, live }
    }
}

/// The body is no bulk delivery, and why.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct NotBulk(pub Reason);

/// An entry's id and what it holds; one that is too large alone is not read.
fn read_entry(entry: BulkEntry<'_>, batch: &Bytes) -> (String, Content) {
    let body = bytes_of(&entry, batch);
    let content = if body.len() > EVENT_MAX_BYTES {
        too_large("event", &body, length_of(&body), EVENT_MAX_BYTES)
    } else {
        content(entry.read(), body)
    };
    (entry.entry_id, content)
}

fn too_large(what: &str, head: &Bytes, length: u64, limit: usize) -> Content {
    Content::Refused {
        code: "too_large",
        reason: format!("the {what} is larger than {limit} bytes; its beginning is kept"),
        // A copy: a slice would hold on to the whole.
        body: Bytes::copy_from_slice(&head[..head.len().min(OVERSIZED_KEPT_BYTES)]),
        length,
    }
}

fn length_of(body: &Bytes) -> u64 {
    u64::try_from(body.len()).unwrap_or(u64::MAX)
}

/// What a delivery is to the commit loop, by what its body turned out to be.
pub(crate) fn content(reading: Reading, body: Bytes) -> Content {
    match reading {
        Reading::Event(event) => Content::Event(event, body),
        Reading::Preferences(change) => Content::Preferences(change, body),
        Reading::Ignored(_) => Content::Ignored,
        Reading::Refused(reason) => refused(&reason, body),
    }
}

fn refused(reason: &Reason, body: Bytes) -> Content {
    let length = length_of(&body);
    Content::Refused { code: reason.code(), reason: reason.to_string(), body, length }
}

/// The entry's own bytes, without copying them out of the batch where they stand in it.
fn bytes_of(entry: &BulkEntry<'_>, batch: &Bytes) -> Bytes {
    match &entry.event {
        std::borrow::Cow::Borrowed(part) => batch.slice_ref(part),
        std::borrow::Cow::Owned(decoded) => Bytes::copy_from_slice(decoded),
    }
}

fn live(receipt: &Receipt, received_at: &str, event: &[u8]) -> LiveReminder {
    #[derive(Serialize)]
    struct Line<'a> {
        #[serde(skip_serializing_if = "Option::is_none")]
        reminder_id: Option<String>,
        #[serde(skip_serializing_if = "Option::is_none")]
        task_id: Option<&'a str>,
        #[serde(skip_serializing_if = "Option::is_none")]
        digest_id: Option<String>,
        received_at: &'a str,
        event: serde_json::Value,
    }
    let alone = receipt.digest_id.is_none();
    let line = Line {
        reminder_id: alone.then(|| receipt.event_id.to_string()),
        task_id: alone.then(|| receipt.task_id.as_str()),
        digest_id: receipt.digest_id.map(|id| id.to_string()),
        received_at,
        // It was read as JSON a moment ago.
        event: Some(event)
            .filter(|event| event.len() <= LIVE_EVENT_MAX_BYTES)
            .and_then(|event| serde_json::from_slice(event).ok())
            .unwrap_or_default(),
    };
    LiveReminder {
        id: ReminderId::from(receipt.digest_id.unwrap_or(receipt.event_id)),
        task: receipt.task_id.clone(),
        kind: if alone { "reminder_due" } else { "reminder_digest" },
        // Plain values written into memory: there is nothing that can fail.
        json: serde_json::to_string(&line).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use std::thread::{ThreadId, current};

    use super::*;

    #[test]
    fn a_reader_of_the_stream_is_shown_an_event_up_to_the_bound_and_of_a_larger_one_its_identity() {
        let of = |bytes: usize| {
            let event = |title: &str| {
                format!(
                    r#"{{"event_id":"8f1d5b0e-2a67-5c3b-9d41-6e0b7c52a419","event_type":"reminder_due","payload":{{"task_id":"t","title":"{title}"}}}}"#
                )
            };
            let event = event(&"x".repeat(bytes - event("").len()));
            assert_eq!(event.len(), bytes);
            let live = Received::read(event.as_bytes(), Timestamp::from_millis(0), true).live.unwrap();
            serde_json::from_str::<serde_json::Value>(&live.json).unwrap()
        };
        assert!(of(LIVE_EVENT_MAX_BYTES)["event"].is_object());
        let larger = of(LIVE_EVENT_MAX_BYTES + 1);
        assert!(larger["event"].is_null() && larger["task_id"] == "t", "{larger}");
    }

    #[tokio::test]
    async fn a_body_above_the_bound_is_read_on_another_thread() {
        let read_on = async |bytes: usize| -> ThreadId { off_thread(bytes, || current().id()).await };
        assert_eq!(read_on(READ_HERE_MAX_BYTES).await, current().id());
        assert_ne!(read_on(READ_HERE_MAX_BYTES + 1).await, current().id());
    }
}
