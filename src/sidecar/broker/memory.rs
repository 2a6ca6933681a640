//! Logs of records in memory, with a reading position for each consumer group.
//!
//! Owns partitions, offsets and bounds. A record goes when every group has passed it. A topic without groups
//! keeps a tail for groups to come (nothing on in-memory, where such messages vanish), so no topic grows
//! without end.
//!
//! Locks are held for a few moves in memory and never across an await.

use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use tokio::sync::watch;

use super::{BrokerError, Record};
use crate::clock::Clock;
use crate::sidecar::Profile;
use crate::sidecar::chance::Chance;
use crate::sidecar::wrap::Message;

/// Bytes of all records together: what a burst of 100,000 events of 1 KiB needs, far below a laptop's memory.
pub const LOG_MAX_BYTES: usize = 128 << 20;

/// Bytes that a topic without subscribers keeps for subscribers to come.
pub const UNREAD_MAX_BYTES: usize = 8 << 20;

/// Topics at most: each costs memory even when empty, and a mistyped name makes one.
pub const TOPICS_MAX: usize = 1024;

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
        let bytes = record.kept_bytes();
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
        let key = super::key_of(&message);
        let mut asked = None;
        if self.profile == Profile::Kafka {
            super::check_size(&message, key.as_deref())?;
            asked = super::partition_of(&message)?;
        }
        let topic = self.topic(topic)?;
        let count = self.profile.partitions();
        let partition = match (asked, &key) {
            (Some(number), _) if number < count => number,
            (Some(number), _) => return Err(BrokerError::NoPartition { number, count }),
            (None, Some(key)) => hash_partition(key, count),
            (None, None) => self.chance.partition(&topic.name, &message.value, count).min(count - 1),
        };
        self.append(&topic, partition, key, message)
    }

    fn append(
        &self,
        topic: &Arc<Topic>,
        partition: u32,
        key: Option<Bytes>,
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
        let bytes = record.kept_bytes();
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

    /// A new consumer group on all of `topics` or none: one cursor for each partition, from the oldest record that
    /// is kept.
    pub(crate) fn subscribe(&self, topics: &[&str]) -> Result<Vec<Cursor>, BrokerError> {
        let topics: Vec<_> = topics.iter().map(|topic| self.topic(topic)).collect::<Result<_, _>>()?;
        let cursor = |topic: &Arc<Topic>, partition: usize| {
            let mut log = topic.partitions[partition].log();
            let first = log.first;
            log.groups.push(first);
            Cursor {
                end: topic.partitions[partition].end.subscribe(),
                group: log.groups.len() - 1,
                next: first,
                partition,
                topic: Arc::clone(topic),
                bytes: Arc::clone(&self.bytes),
            }
        };
        let places = topics.iter().flat_map(|topic| (0..topic.partitions.len()).map(move |n| (topic, n)));
        Ok(places.map(|(topic, partition)| cursor(topic, partition)).collect())
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
    /// The topic that is read.
    pub(crate) fn topic(&self) -> &str {
        &self.topic.name
    }

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

/// Kafka's hash partitioner as daprd's client library has it: FNV-1a of 32 bits, as a signed remainder.
fn hash_partition(key: &[u8], partitions: u32) -> u32 {
    let hash =
        key.iter().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(*byte)).wrapping_mul(0x0100_0193));
    let signed = i64::from(hash.cast_signed()) % i64::from(partitions);
    u32::try_from(signed.abs()).unwrap_or_default()
}

#[cfg(test)]
mod tests;
