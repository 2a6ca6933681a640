//! Reading from Kafka as a member of a consumer group.
//!
//! One thread owns the consumer of an app: it alone calls the client library, hands the records of each partition
//! to the cursor that the partition's delivery reads, and commits what the cursors have passed: twice a second,
//! before a partition goes to another member, and when the sidecar stops. So nothing of the library ever blocks a
//! task. Commits are not waited for: the library itself lets go of no partition, nor of the group, before they are
//! answered. An offset may go back, as it must where a topic was made anew.
//!
//! A partition whose delivery falls behind is paused. What waits for an app that hangs is bounded for each partition
//! of each topic: [`WAITING_MAX`] records, and [`WAITING_MAX_BYTES`] and one record more; beside it the library holds
//! what it has fetched ahead for all of them together.
//!
//! Races accepted: a partition that is taken away cancels its deliveries where they are; what the app has taken by
//! then without its answer having been read comes again, from the partition's new owner. So does what was passed
//! since the last commit, if the sidecar is killed or the broker does not take the commit.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, ConsumerContext, Rebalance};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{ClientConfig, ClientContext, Offset, TopicPartitionList, config::RDKafkaLogLevel};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{BrokerError, Claim, Record};
use crate::clock::Clock;
use crate::sidecar::wrap::{Head, Headers, Message};

/// How long the thread waits for a record before it looks after commits, pauses and the end.
const POLL: Duration = Duration::from_millis(50);

/// Records of one partition that wait for its delivery; a paused partition goes on at half of it.
const WAITING_MAX: usize = 2048;

/// Bytes of one partition that wait for its delivery; likewise.
const WAITING_MAX_BYTES: usize = 8 << 20;

/// How often what was passed is committed: as much is delivered again after a kill, at most.
const COMMIT_EVERY: Duration = Duration::from_millis(500);

/// What a partition's delivery and the thread tell each other.
#[derive(Debug, Default)]
struct Progress {
    /// The offset after the last one passed; 0 until one was.
    next: AtomicU64,
    waiting: AtomicUsize,
    waiting_bytes: AtomicUsize,
}

impl Progress {
    /// Whether the partition is to be paused, being paused or not.
    fn pause(&self, paused: bool) -> bool {
        let (records, bytes) = if paused {
            (WAITING_MAX / 2 + 1, WAITING_MAX_BYTES / 2 + 1)
        } else {
            (WAITING_MAX, WAITING_MAX_BYTES)
        };
        self.waiting.load(Ordering::Relaxed) >= records || self.waiting_bytes.load(Ordering::Relaxed) >= bytes
    }
}

/// A partition that is this member's.
struct Held {
    records: mpsc::UnboundedSender<Arc<Record>>,
    progress: Arc<Progress>,
    revoked: CancellationToken,
    /// The `next` that was committed last.
    committed: u64,
    paused: bool,
}

type Place = (Arc<str>, i32);

/// The partitions of a member, as the library's callbacks and the thread see them: both run in the thread.
struct Member {
    group: String,
    held: Mutex<HashMap<Place, Held>>,
}

impl ClientContext for Member {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(group = self.group, facility, "kafka: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(group = self.group, %error, "kafka: {reason}");
    }
}

impl ConsumerContext for Member {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => {
                tracing::info!(group = self.group, partitions = list.count(), "partitions assigned");
            }
            Rebalance::Revoke(list) => {
                tracing::info!(group = self.group, partitions = list.count(), "partitions revoked");
                // Partitions that were lost are another's by now, who may have gone further.
                if !consumer.assignment_lost() {
                    self.commit(consumer);
                }
                let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
                held.retain(|(topic, partition), held| {
                    let gone = list.find_partition(topic, *partition).is_some();
                    if gone {
                        held.revoked.cancel();
                    }
                    !gone
                });
            }
            Rebalance::Error(error) => {
                tracing::warn!(group = self.group, %error, "the group did not rebalance");
            }
        }
    }

    fn post_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        // The library remembers a pause beyond the assignment that it was made in.
        if let Rebalance::Assign(list) = rebalance
            && let Err(error) = consumer.resume(list)
        {
            tracing::warn!(group = self.group, %error, "not resumed");
        }
    }

    fn commit_callback(&self, result: Result<(), KafkaError>, offsets: &TopicPartitionList) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        for place in offsets.elements() {
            let Err(error) = result.clone().and(place.error()) else { continue };
            let (topic, partition) = (Arc::<str>::from(place.topic()), place.partition());
            tracing::debug!(group = self.group, topic = &*topic, partition, %error, "not committed");
            // It is tried again, if the partition is ours still.
            if let Some(held) = held.get_mut(&(topic, partition)) {
                held.committed = 0;
            }
        }
    }
}

/// Joins the group of the configuration, in a thread that leaves it when `token` is cancelled.
pub(crate) fn join(
    config: &ClientConfig,
    topics: &[&str],
    claim: Claim,
    clock: Arc<dyn Clock>,
    token: &CancellationToken,
    tracker: &TaskTracker,
) -> Result<(), BrokerError> {
    let group = config.get("group.id").unwrap_or_default().to_owned();
    let consumer: BaseConsumer<Member> =
        config.create_with_context(Member { group, held: Mutex::default() })?;
    consumer.subscribe(topics)?;
    let token = token.clone();
    tracker.spawn_blocking(move || {
        read(&consumer, &claim, &*clock, &token);
        // Leaves the group, which revokes, and so commits.
        drop(consumer);
    });
    Ok(())
}

fn read(consumer: &BaseConsumer<Member>, claim: &Claim, clock: &dyn Clock, token: &CancellationToken) {
    let member = consumer.context();
    let mut told = Vec::new();
    let mut committed = clock.monotonic();
    while !token.is_cancelled() {
        match consumer.poll(POLL) {
            Some(Ok(message)) => {
                member.hand_over(&message, claim);
                told.clear();
            }
            // Nothing that the library does not try again by itself; each is told once, not at every try.
            Some(Err(error)) if !told.contains(&error) => {
                tracing::warn!(
                    group = member.group, %error,
                    "nothing can be read for now; it is tried again: see that the broker runs and has the topics"
                );
                told.push(error);
            }
            Some(Err(_)) | None => {}
        }
        member.pause(consumer);
        let now = clock.monotonic();
        if now.saturating_sub(committed) >= COMMIT_EVERY {
            member.commit(consumer);
            committed = now;
        }
    }
}

impl Member {
    /// Puts a record before its partition's delivery, which begins with the first.
    fn hand_over(&self, message: &BorrowedMessage<'_>, claim: &Claim) {
        let record = Arc::new(record(message));
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let place = (Arc::clone(&record.topic), message.partition());
        let partition = held.entry(place).or_insert_with(|| {
            let (records, incoming) = mpsc::unbounded_channel();
            let (progress, revoked) = (Arc::<Progress>::default(), CancellationToken::new());
            claim(super::super::Cursor::Kafka(Cursor {
                topic: Arc::clone(&record.topic),
                incoming,
                ahead: VecDeque::new(),
                progress: Arc::clone(&progress),
                revoked: revoked.clone(),
            }));
            Held { records, progress, revoked, committed: 0, paused: false }
        });
        partition.progress.waiting.fetch_add(1, Ordering::Relaxed);
        partition.progress.waiting_bytes.fetch_add(record.kept_bytes(), Ordering::Relaxed);
        // The reader is gone only if the sidecar stops.
        let _ = partition.records.send(record);
    }

    /// Commits what was passed.
    fn commit(&self, consumer: &BaseConsumer<Self>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let mut list = TopicPartitionList::new();
        for ((topic, partition), held) in held.iter_mut() {
            let next = held.progress.next.load(Ordering::Acquire);
            if next == held.committed {
                continue;
            }
            let offset = Offset::Offset(i64::try_from(next).unwrap_or(i64::MAX));
            match list.add_partition_offset(topic, *partition, offset) {
                Ok(()) => held.committed = next,
                Err(error) => tracing::warn!(group = self.group, topic = &**topic, %error, "not committed"),
            }
        }
        if list.count() > 0
            && let Err(error) = consumer.commit(&list, CommitMode::Async)
        {
            // Only a consumer without a group refuses.
            tracing::warn!(group = self.group, %error, "not committed");
        }
    }

    /// Pauses and resumes partitions.
    fn pause(&self, consumer: &BaseConsumer<Self>) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        for ((topic, partition), held) in held.iter_mut() {
            let pause = held.progress.pause(held.paused);
            if pause == held.paused {
                continue;
            }
            let mut list = TopicPartitionList::with_capacity(1);
            list.add_partition(topic, *partition);
            let done = if pause { consumer.pause(&list) } else { consumer.resume(&list) };
            match done {
                Ok(()) => held.paused = pause,
                Err(error) => tracing::warn!(group = self.group, topic = &**topic, %error, "not paused"),
            }
        }
    }
}

/// A record as the sidecar keeps it.
fn record(message: &BorrowedMessage<'_>) -> Record {
    // A tombstone is delivered as what JSON has for nothing.
    let value = Bytes::copy_from_slice(message.payload().unwrap_or(b"null"));
    let bytes = Bytes::copy_from_slice;
    let headers = message.headers().map(|headers| {
        let pairs = headers.iter().map(|h| (h.key.to_owned(), bytes(h.value.unwrap_or_default())));
        Arc::new(pairs.collect::<Headers>())
    });
    Record {
        topic: message.topic().into(),
        // Neither is negative for a record that was read.
        partition: u32::try_from(message.partition()).unwrap_or_default(),
        offset: u64::try_from(message.offset()).unwrap_or_default(),
        timestamp: message.timestamp().to_millis().unwrap_or_default(),
        key: message.key().map(bytes),
        message: Message { head: Head::read(&value), value, headers },
    }
}

/// The reading position in one partition, while it is this member's.
pub(crate) struct Cursor {
    topic: Arc<str>,
    incoming: mpsc::UnboundedReceiver<Arc<Record>>,
    /// What has come in and was not passed yet.
    ahead: VecDeque<Arc<Record>>,
    progress: Arc<Progress>,
    revoked: CancellationToken,
}

impl Cursor {
    pub(crate) fn topic(&self) -> &str {
        &self.topic
    }

    pub(crate) fn revoked(&self) -> CancellationToken {
        self.revoked.clone()
    }

    pub(crate) async fn wait(&mut self, count: usize) {
        while self.ahead.len() < count {
            match self.incoming.recv().await {
                Some(record) => self.ahead.push_back(record),
                // No longer ours: whoever waits is about to be cancelled.
                None => std::future::pending().await,
            }
        }
    }

    pub(crate) fn peek(&mut self, max: usize) -> Vec<Arc<Record>> {
        while self.ahead.len() < max {
            let Ok(record) = self.incoming.try_recv() else { break };
            self.ahead.push_back(record);
        }
        self.ahead.iter().take(max).cloned().collect()
    }

    pub(crate) fn advance(&mut self, count: usize) {
        for record in self.ahead.drain(..count.min(self.ahead.len())) {
            self.progress.next.store(record.offset + 1, Ordering::Release);
            self.progress.waiting.fetch_sub(1, Ordering::Relaxed);
            self.progress.waiting_bytes.fetch_sub(record.kept_bytes(), Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_paused_at_its_bounds_and_goes_on_at_half_of_them() {
        for (waiting, bytes, flowing, paused) in [
            (WAITING_MAX - 1, WAITING_MAX_BYTES - 1, false, true),
            (WAITING_MAX, 0, true, true),
            (1, WAITING_MAX_BYTES, true, true),
            (WAITING_MAX / 2 + 1, 0, false, true),
            (1, WAITING_MAX_BYTES / 2 + 1, false, true),
            (WAITING_MAX / 2, WAITING_MAX_BYTES / 2, false, false),
        ] {
            let progress =
                Progress { waiting: waiting.into(), waiting_bytes: bytes.into(), ..Progress::default() };
            assert_eq!(
                (progress.pause(false), progress.pause(true)),
                (flowing, paused),
                "{waiting}, {bytes}"
            );
        }
    }
}
