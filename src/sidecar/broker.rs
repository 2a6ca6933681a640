//! The broker: where messages lie between publishers and consumer groups.
//!
//! Two of them behind one face: logs in memory ([`memory`]), and a real Kafka or Redpanda ([`kafka`], with the
//! feature of that name). Knows no HTTP and no subscriptions: it never decides whether a record is delivered
//! again, only what a group has not passed yet.

#[cfg(feature = "kafka")]
mod kafka;
mod memory;

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::chance::Chance;
use super::channel::BoxFuture;
use super::wrap::{Head, Message, Metadata};
use super::{Profile, Settings};
use crate::clock::Clock;

pub use memory::{LOG_MAX_BYTES, TOPICS_MAX, UNREAD_MAX_BYTES};

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
    #[cfg(feature = "kafka")]
    #[error("kafka: client has run out of available brokers to talk to: {0} does not answer")]
    Down(Arc<str>),
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

    /// Reads `topics` as a member of the consumer group `group` until `token` is cancelled, from where the group
    /// stands, a new one from the oldest record that is kept.
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
                for topic in topics {
                    broker.subscribe(topic)?.into_iter().for_each(|cursor| claim(Cursor::Memory(cursor)));
                }
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
fn check_size(message: &Message, key: Option<&str>) -> Result<(), BrokerError> {
    let headers = message.metadata.as_deref().into_iter().flatten();
    let headers: usize = headers.map(|(k, v)| k.len() + v.len() + KAFKA_HEADER_OVERHEAD).sum();
    let size = message.value.len() + key.map_or(0, str::len) + headers + KAFKA_RECORD_OVERHEAD;
    if size > KAFKA_RECORD_MAX_BYTES { Err(BrokerError::TooLarge(size)) } else { Ok(()) }
}

/// What the metadata of a message says under `name`.
fn named(message: &Message, name: &str) -> Option<Arc<str>> {
    message.metadata.as_deref().and_then(|m| m.get(name)).map(|value| Arc::from(&**value))
}

/// The record key of a message, if its publisher gave it one.
fn key_of(message: &Message) -> Option<Arc<str>> {
    named(message, "partitionKey").or_else(|| named(message, "__key"))
}

/// The partition that a message's publisher asked for.
fn partition_of(message: &Message) -> Option<u32> {
    named(message, "partitionNumber").and_then(|number| number.parse().ok())
}
