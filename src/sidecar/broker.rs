//! The broker: logs of records in memory, with a reading position for each consumer group.
//!
//! Owns partitions, offsets and bounds. A record goes when every group has passed it. A topic without groups
//! keeps a tail for groups to come (nothing on in-memory, where such messages vanish), so no topic grows
//! without end. Knows no HTTP and no subscriptions: it never decides whether a record is delivered again.
//!
//! Locks are held for a few moves in memory and never across an await.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::watch;

use super::Profile;
use super::chance::Chance;
use super::wrap::{Head, Message, Metadata};
use crate::clock::Clock;

/// Bytes of all records together: what a burst of 100,000 events of 1 KiB needs, far below a laptop's memory.
pub const LOG_MAX_BYTES: usize = 128 << 20;

/// Bytes that a topic without subscribers keeps for subscribers to come.
pub const UNREAD_MAX_BYTES: usize = 8 << 20;

/// Topics at most: each costs memory even when empty, and a mistyped name makes one.
pub const TOPICS_MAX: usize = 1024;

/// What a record costs beyond its bytes, roughly: its structs and its place in the queue.
pub(crate) const RECORD_OVERHEAD_BYTES: usize = 256;

/// The size Kafka's producer allows a record, as the client library counts it.
const KAFKA_RECORD_MAX_BYTES: usize = 1_048_576;

/// What that library adds for a record's own fields, and for each of its headers.
const KAFKA_RECORD_OVERHEAD: usize = 36;
const KAFKA_HEADER_OVERHEAD: usize = 10;

/// Why a message was not taken; the text is what a publisher reads.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BrokerError {
    #[error(
        "kafka: invalid configuration (Attempt to produce message larger than configured \
         Producer.MaxMessageBytes: {0} > {KAFKA_RECORD_MAX_BYTES})"
    )]
    TooLarge(usize),
    #[error("the embedded broker is full ({LOG_MAX_BYTES} bytes wait for subscribers): let them catch up")]
    Full,
    #[error("the embedded broker has its {TOPICS_MAX} topics already: publish to one of those")]
    TooManyTopics,
}

/// A message in its place.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: u32,
    pub(crate) offset: u64,
    /// When the broker took it, in milliseconds of UTC.
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Arc<str>>,
    pub(crate) message: Message,
}

impl Record {
    /// What an app is told about a record beside its bytes; metadata of the message wins over the broker's, so
    /// a dead letter tells of its origin.
    pub(crate) fn metadata(&self, profile: Profile) -> Option<Metadata> {
        let own = self.message.metadata.as_deref();
        if profile != Profile::Kafka {
            return own.cloned();
        }
        let mut told = Metadata::new();
        if let Some(key) = &self.key {
            told.insert("__key".into(), key.to_string());
        }
        told.insert("__offset".into(), self.offset.to_string());
        told.insert("__partition".into(), self.partition.to_string());
        told.insert("__timestamp".into(), self.timestamp.to_string());
        told.insert("__topic".into(), self.topic.to_string());
        told.extend(own.into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())));
        Some(told)
    }

    pub(crate) fn head(&self) -> &Head {
        &self.message.head
    }

    fn bytes(&self) -> usize {
        let metadata = self.message.metadata.as_deref();
        let pairs: usize = metadata.into_iter().flatten().map(|(k, v)| k.len() + v.len()).sum();
        self.message.value.len() + pairs + RECORD_OVERHEAD_BYTES
    }
}

#[derive(Debug, Default)]
struct Log {
    first: u64,
    bytes: usize,
    records: VecDeque<Arc<Record>>,
    /// The next offset of each group.
    groups: Vec<u64>,
}

impl Log {
    fn end(&self) -> u64 {
        self.first + self.records.len() as u64
    }

    fn drop_first(&mut self) -> usize {
        let Some(record) = self.records.pop_front() else { return 0 };
        self.first += 1;
        let bytes = record.bytes();
        self.bytes -= bytes;
        bytes
    }
}

#[derive(Debug)]
struct Partition {
    log: Mutex<Log>,
    end: watch::Sender<u64>,
}

impl Partition {
    fn log(&self) -> MutexGuard<'_, Log> {
        // A log is consistent between any two of its statements that can panic: there is none.
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug)]
struct Topic {
    name: Arc<str>,
    partitions: Vec<Partition>,
}

/// All topics.
pub(crate) struct Broker {
    profile: Profile,
    clock: Arc<dyn Clock>,
    chance: Arc<dyn Chance>,
    topics: Mutex<HashMap<Arc<str>, Arc<Topic>>>,
    bytes: Arc<AtomicUsize>,
}

impl Broker {
    pub(crate) fn new(profile: Profile, clock: Arc<dyn Clock>, chance: Arc<dyn Chance>) -> Self {
        Self { profile, clock, chance, topics: Mutex::default(), bytes: Arc::default() }
    }

    /// Puts a message on a topic.
    pub(crate) fn publish(&self, topic: &str, message: Message) -> Result<Arc<Record>, BrokerError> {
        let named = |name| message.metadata.as_deref().and_then(|m| m.get(name)).map(|k| Arc::from(&**k));
        let key: Option<Arc<str>> = named("partitionKey").or_else(|| named("__key"));
        if self.profile == Profile::Kafka {
            let size = produced_bytes(&message, key.as_deref());
            if size > KAFKA_RECORD_MAX_BYTES {
                return Err(BrokerError::TooLarge(size));
            }
        }
        let topic = self.topic(topic)?;
        let count = self.profile.partitions();
        let partition = match (named("partitionNumber").and_then(|n| n.parse::<u32>().ok()), &key) {
            (Some(number), _) => number.min(count - 1),
            (None, Some(key)) => hash_partition(key, count),
            (None, None) => self.chance.partition(&topic.name, &message.value, count).min(count - 1),
        };
        self.append(&topic, partition, key, message)
    }

    fn append(
        &self,
        topic: &Arc<Topic>,
        partition: u32,
        key: Option<Arc<str>>,
        message: Message,
    ) -> Result<Arc<Record>, BrokerError> {
        let place = &topic.partitions[partition as usize];
        let mut log = place.log();
        let record = Arc::new(Record {
            topic: Arc::clone(&topic.name),
            partition,
            offset: log.end(),
            timestamp: self.clock.now().millis(),
            key,
            message,
        });
        let bytes = record.bytes();
        if log.groups.is_empty() {
            let kept = if self.profile == Profile::InMemory { 0 } else { UNREAD_MAX_BYTES };
            while log.bytes + bytes > kept && !log.records.is_empty() {
                self.bytes.fetch_sub(log.drop_first(), Ordering::Relaxed);
            }
            if bytes > kept {
                log.first += 1;
                return Ok(record);
            }
        }
        if self.bytes.fetch_add(bytes, Ordering::Relaxed) + bytes > LOG_MAX_BYTES {
            self.bytes.fetch_sub(bytes, Ordering::Relaxed);
            return Err(BrokerError::Full);
        }
        log.bytes += bytes;
        log.records.push_back(Arc::clone(&record));
        place.end.send_replace(log.end());
        Ok(record)
    }

    /// A new consumer group on a topic: one cursor for each partition, from the oldest record that is kept.
    pub(crate) fn subscribe(&self, topic: &str) -> Result<Vec<Cursor>, BrokerError> {
        let topic = self.topic(topic)?;
        let cursor = |partition: usize| {
            let mut log = topic.partitions[partition].log();
            let first = log.first;
            log.groups.push(first);
            Cursor {
                end: topic.partitions[partition].end.subscribe(),
                group: log.groups.len() - 1,
                next: first,
                partition,
                topic: Arc::clone(&topic),
                bytes: Arc::clone(&self.bytes),
            }
        };
        Ok((0..topic.partitions.len()).map(cursor).collect())
    }

    fn topic(&self, name: &str) -> Result<Arc<Topic>, BrokerError> {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(topic) = topics.get(name) {
            return Ok(Arc::clone(topic));
        }
        if topics.len() >= TOPICS_MAX {
            return Err(BrokerError::TooManyTopics);
        }
        let partition = |_| Partition { log: Mutex::default(), end: watch::Sender::new(0) };
        let name: Arc<str> = name.into();
        let partitions = (0..self.profile.partitions()).map(partition).collect();
        let topic = Arc::new(Topic { name: Arc::clone(&name), partitions });
        topics.insert(name, Arc::clone(&topic));
        Ok(topic)
    }

    #[cfg(test)]
    fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }
}

/// The reading position of one group in one partition.
pub(crate) struct Cursor {
    topic: Arc<Topic>,
    partition: usize,
    group: usize,
    next: u64,
    end: watch::Receiver<u64>,
    bytes: Arc<AtomicUsize>,
}

impl Cursor {
    /// Waits until at least `count` records are there to read.
    pub(crate) async fn wait(&mut self, count: usize) {
        let enough = self.next + count as u64;
        // The sender lives in the topic that this cursor holds, so waiting cannot fail.
        let _ = self.end.wait_for(|end| *end >= enough).await;
    }

    /// The next records, at most `max`, without moving on.
    pub(crate) fn peek(&self, max: usize) -> Vec<Arc<Record>> {
        let log = self.topic.partitions[self.partition].log();
        let skip = usize::try_from(self.next.saturating_sub(log.first)).unwrap_or(usize::MAX);
        log.records.iter().skip(skip).take(max).cloned().collect()
    }

    /// Moves past `count` records; what every group has passed is forgotten.
    pub(crate) fn advance(&mut self, count: usize) {
        self.next += count as u64;
        let mut log = self.topic.partitions[self.partition].log();
        log.groups[self.group] = self.next;
        let passed = log.groups.iter().copied().min().unwrap_or(self.next);
        while log.first < passed && !log.records.is_empty() {
            self.bytes.fetch_sub(log.drop_first(), Ordering::Relaxed);
        }
    }
}

/// The size of a record as Kafka's client library counts it.
fn produced_bytes(message: &Message, key: Option<&str>) -> usize {
    let headers = message.metadata.as_deref().into_iter().flatten();
    let headers: usize = headers.map(|(k, v)| k.len() + v.len() + KAFKA_HEADER_OVERHEAD).sum();
    message.value.len() + key.map_or(0, str::len) + headers + KAFKA_RECORD_OVERHEAD
}

/// Kafka's hash partitioner as daprd's client library has it: FNV-1a of 32 bits, as a signed remainder.
fn hash_partition(key: &str, partitions: u32) -> u32 {
    let hash =
        key.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    let signed = i64::from(hash.cast_signed()) % i64::from(partitions);
    u32::try_from(signed.abs()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
