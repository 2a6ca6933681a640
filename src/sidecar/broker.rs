//! The broker: where messages lie between publishers and consumer groups.
//!
//! Two of them behind one face: logs in memory ([`memory`]), and a real Kafka or Redpanda ([`kafka`], with the
//! feature of that name). Knows no HTTP and no subscriptions: it never decides whether a record is delivered
//! again, only what a group has not passed yet.

#[cfg(feature = "kafka")]
mod kafka;
mod memory;

use std::num::{IntErrorKind, ParseIntError};
use std::sync::Arc;

use bytes::Bytes;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::chance::Chance;
use super::channel::BoxFuture;
use super::wrap::{Head, Headers, Message};
use super::{Profile, Settings};
use crate::clock::Clock;

pub use memory::{LOG_MAX_BYTES, TOPICS_MAX, UNREAD_MAX_BYTES};

/// The size Kafka's producer allows a record, as the client library counts it.
const KAFKA_RECORD_MAX_BYTES: usize = 1_048_576;

/// What that library adds for a record's own fields, and for each of its headers.
const KAFKA_RECORD_OVERHEAD: usize = 36;
const KAFKA_HEADER_OVERHEAD: usize = 10;

/// What a record costs in memory beyond its bytes, roughly: its structs and its place in a queue.
const RECORD_OVERHEAD_BYTES: usize = 256;

/// Why a message was not taken; the text is what a publisher reads.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
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
    #[error("invalid partitionNumber metadata value {0:?}: strconv.ParseInt: parsing {0:?}: {1}")]
    NoNumber(String, &'static str),
    #[error("partitionNumber must be non-negative, got {0}")]
    NegativePartition(i32),
    #[error("partition number {number} is out of range, topic has {count} partitions")]
    NoPartition { number: u32, count: u32 },
    #[cfg(feature = "kafka")]
    #[error("kafka: client has run out of available brokers to talk to: {0} does not answer")]
    Down(Arc<str>),
    #[cfg(feature = "kafka")]
    #[error("partition number {0} is out of range, topic has fewer partitions")]
    NoSuchPartition(u32),
    #[cfg(feature = "kafka")]
    #[error("kafka server: Request was for a topic or partition that does not exist on this broker")]
    NoTopic,
    #[cfg(feature = "kafka")]
    #[error("kafka: {0}")]
    Kafka(#[from] rdkafka::error::KafkaError),
}

/// A message in its place.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) topic: Arc<str>,
    pub(crate) partition: u32,
    pub(crate) offset: u64,
    /// When the broker took it, in milliseconds of UTC.
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Bytes>,
    pub(crate) message: Message,
}

impl Record {
    /// What an app is told about a record beside its bytes; headers of the message win over the broker's, so
    /// a dead letter tells of its origin.
    pub(crate) fn told(&self, profile: Profile) -> Option<Headers> {
        let own = self.message.headers.as_deref();
        if profile != Profile::Kafka {
            return own.cloned();
        }
        let mut told = Headers::new();
        if let Some(key) = &self.key {
            told.insert("__key".into(), key.clone());
        }
        told.insert("__offset".into(), self.offset.to_string().into());
        told.insert("__partition".into(), self.partition.to_string().into());
        told.insert("__timestamp".into(), self.timestamp.to_string().into());
        told.insert("__topic".into(), self.topic.to_string().into());
        told.extend(own.into_iter().flatten().map(|(k, v)| (k.clone(), v.clone())));
        Some(told)
    }

    pub(crate) fn head(&self) -> &Head {
        &self.message.head
    }

    /// What the record costs in memory.
    fn kept_bytes(&self) -> usize {
        let headers = self.message.headers.as_deref();
        let pairs: usize = headers.into_iter().flatten().map(|(k, v)| k.len() + v.len()).sum();
        self.message.value.len() + self.key.as_ref().map_or(0, Bytes::len) + pairs + RECORD_OVERHEAD_BYTES
    }
}

/// What a group is given to read: one cursor for each partition that becomes its own.
pub(crate) type Claim = Box<dyn Fn(Cursor) + Send>;

/// All topics.
pub(crate) enum Broker {
    Memory(memory::Broker),
    #[cfg(feature = "kafka")]
    Kafka(kafka::Broker),
}

impl Broker {
    /// Logs in memory.
    pub(crate) fn memory(profile: Profile, clock: Arc<dyn Clock>, chance: Arc<dyn Chance>) -> Self {
        Self::Memory(memory::Broker::new(profile, clock, chance))
    }

    /// The broker that the settings name.
    #[cfg(feature = "kafka")]
    pub(crate) fn open(
        settings: &Settings,
        clock: &Arc<dyn Clock>,
        chance: &Arc<dyn Chance>,
    ) -> Result<Self, BrokerError> {
        match &settings.kafka {
            Some(servers) => Ok(Self::Kafka(kafka::Broker::new(servers, Arc::clone(clock))?)),
            None => Ok(Self::memory(settings.profile, Arc::clone(clock), Arc::clone(chance))),
        }
    }

    /// The broker that the settings name; a Kafka is out of this build's reach, see [`super::KAFKA_BUILT_IN`].
    #[cfg(not(feature = "kafka"))]
    pub(crate) fn open(
        settings: &Settings,
        clock: &Arc<dyn Clock>,
        chance: &Arc<dyn Chance>,
    ) -> Result<Self, BrokerError> {
        Ok(Self::memory(settings.profile, Arc::clone(clock), Arc::clone(chance)))
    }

    /// Whether a consumer group has members, who share its partitions and ought to leave when they cannot deliver.
    pub(crate) fn has_members(&self) -> bool {
        !matches!(self, Self::Memory(_))
    }

    /// Puts a message on a topic. Its place among others is taken by the call; the answer comes when it is safe.
    pub(crate) fn publish(
        &self,
        topic: &str,
        message: Message,
    ) -> BoxFuture<'_, Result<Arc<Record>, BrokerError>> {
        match self {
            Self::Memory(broker) => {
                let taken = broker.publish(topic, message);
                Box::pin(async move { taken })
            }
            #[cfg(feature = "kafka")]
            Self::Kafka(broker) => broker.publish(topic, message),
        }
    }

    /// Reads `topics`, all of them or none, as a member of the consumer group `group` until `token` is cancelled, from
    /// where the group stands, a new one from the oldest record that is kept.
    #[cfg_attr(
        not(feature = "kafka"),
        expect(unused_variables, clippy::needless_pass_by_value, reason = "only a real broker has members")
    )]
    pub(crate) fn subscribe(
        &self,
        group: &str,
        topics: &[&str],
        claim: Claim,
        token: &CancellationToken,
        tracker: &TaskTracker,
    ) -> Result<(), BrokerError> {
        match self {
            Self::Memory(broker) => {
                broker.subscribe(topics)?.into_iter().for_each(|cursor| claim(Cursor::Memory(cursor)));
                Ok(())
            }
            #[cfg(feature = "kafka")]
            Self::Kafka(broker) => broker.subscribe(group, topics, claim, token, tracker),
        }
    }
}

/// The reading position of one group in one partition.
pub(crate) enum Cursor {
    Memory(memory::Cursor),
    #[cfg(feature = "kafka")]
    Kafka(kafka::Cursor),
}

impl Cursor {
    /// The topic that is read.
    pub(crate) fn topic(&self) -> &str {
        match self {
            Self::Memory(cursor) => cursor.topic(),
            #[cfg(feature = "kafka")]
            Self::Kafka(cursor) => cursor.topic(),
        }
    }

    /// Cancelled when the partition becomes another member's: what is under way must be dropped.
    pub(crate) fn revoked(&self) -> CancellationToken {
        match self {
            Self::Memory(_) => CancellationToken::new(),
            #[cfg(feature = "kafka")]
            Self::Kafka(cursor) => cursor.revoked(),
        }
    }

    /// Waits until at least `count` records are there to read.
    pub(crate) async fn wait(&mut self, count: usize) {
        match self {
            Self::Memory(cursor) => cursor.wait(count).await,
            #[cfg(feature = "kafka")]
            Self::Kafka(cursor) => cursor.wait(count).await,
        }
    }

    /// The next records, at most `max`, without moving on.
    pub(crate) fn peek(&mut self, max: usize) -> Vec<Arc<Record>> {
        match self {
            Self::Memory(cursor) => cursor.peek(max),
            #[cfg(feature = "kafka")]
            Self::Kafka(cursor) => cursor.peek(max),
        }
    }

    /// Moves past `count` records, for good.
    pub(crate) fn advance(&mut self, count: usize) {
        match self {
            Self::Memory(cursor) => cursor.advance(count),
            #[cfg(feature = "kafka")]
            Self::Kafka(cursor) => cursor.advance(count),
        }
    }
}

/// Refuses what Kafka's client library would refuse before it reaches a broker.
fn check_size(message: &Message, key: Option<&[u8]>) -> Result<(), BrokerError> {
    let headers = message.headers.as_deref().into_iter().flatten();
    let headers: usize = headers.map(|(k, v)| k.len() + v.len() + KAFKA_HEADER_OVERHEAD).sum();
    let size = message.value.len() + key.map_or(0, <[u8]>::len) + headers + KAFKA_RECORD_OVERHEAD;
    if size > KAFKA_RECORD_MAX_BYTES { Err(BrokerError::TooLarge(size)) } else { Ok(()) }
}

/// What the headers of a message say under `name`.
fn named<'m>(message: &'m Message, name: &str) -> Option<&'m Bytes> {
    message.headers.as_deref().and_then(|headers| headers.get(name))
}

/// The record key of a message, if its publisher gave it one.
fn key_of(message: &Message) -> Option<Bytes> {
    named(message, "partitionKey").or_else(|| named(message, "__key")).cloned()
}

/// The partition that a message's publisher asked for, read as Go reads a number of 32 bits.
pub(crate) fn partition_of(message: &Message) -> Result<Option<u32>, BrokerError> {
    let Some(asked) = named(message, "partitionNumber") else { return Ok(None) };
    let asked = String::from_utf8_lossy(asked);
    let number: i32 = asked.parse().map_err(|error: ParseIntError| {
        let beyond = matches!(error.kind(), IntErrorKind::PosOverflow | IntErrorKind::NegOverflow);
        let problem = if beyond { "value out of range" } else { "invalid syntax" };
        BrokerError::NoNumber(asked.clone().into_owned(), problem)
    })?;
    u32::try_from(number).map(Some).map_err(|_| BrokerError::NegativePartition(number))
}
