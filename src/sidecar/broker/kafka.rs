//! A real Kafka or Redpanda behind the sidecar: the client's settings, and the two sides that use them.
//!
//! As daprd does it: acknowledged by all replicas, keys by the FNV-1a partitioner, publish metadata as record
//! headers; the consumer group is the app's id, begins at the oldest record, and passes an offset only once its
//! record is settled.

mod group;
mod producer;

use std::sync::Arc;

use rdkafka::ClientConfig;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::{BrokerError, Claim, Record};
use crate::clock::Clock;
use crate::sidecar::channel::BoxFuture;
use crate::sidecar::wrap::Message;
use producer::Producer;

pub(crate) use group::Cursor;

/// The longest pause before a lost connection is tried again: a broker that is back is used within a second.
const RECONNECT_MAX_MS: &str = "500";

/// How often topics are looked up anew, and so how soon one that was made later is seen.
const METADATA_REFRESH_MS: &str = "2000";

/// How long a member of a group may be silent before its partitions are given away: daprd's 10 s.
const SESSION_TIMEOUT_MS: &str = "10000";

/// How long a request may wait for its answer. A stopped broker makes a publish hang, as with daprd; this only
/// ends what no broker will ever answer.
const REQUEST_TIMEOUT_MS: &str = "120000";

/// How long a topic may be unknown to the brokers before its publishers are told: an answer soon where nobody makes
/// it, and time enough for a cluster that has been asked to.
const TOPIC_UNKNOWN_MAX_MS: &str = "5000";

/// How often the producer tells how its connections are, and so how soon a broker that is back is known to be: the
/// shortest that the library has.
const STATISTICS_EVERY_MS: &str = "1000";

/// What the client fetches ahead, in KiB.
const FETCHED_MAX_KIB: &str = "16384";

/// The client's limit for a request: a record of the size we allow, and the frame around it.
const REQUEST_MAX_BYTES: &str = "1100000";

/// The brokers, and how to reach them.
pub(crate) struct Broker {
    servers: Arc<str>,
    clock: Arc<dyn Clock>,
    producer: Producer,
}

impl Broker {
    /// A client of the brokers at `servers` (`host:port`, separated by commas), which need not be there yet.
    pub(crate) fn new(servers: &str, clock: Arc<dyn Clock>) -> Result<Self, BrokerError> {
        let servers: Arc<str> = servers.into();
        let mut config = client(&servers);
        config
            .set("acks", "all")
            .set("retries", "5")
            // With one request under way a retry cannot overtake what came after it.
            .set("max.in.flight.requests.per.connection", "1")
            .set("linger.ms", "0")
            .set("partitioner", "fnv1a_random")
            .set("sticky.partitioning.linger.ms", "0")
            .set("message.max.bytes", REQUEST_MAX_BYTES)
            .set("message.timeout.ms", REQUEST_TIMEOUT_MS)
            .set("topic.metadata.propagation.max.ms", TOPIC_UNKNOWN_MAX_MS)
            .set("statistics.interval.ms", STATISTICS_EVERY_MS);
        let producer = Producer::new(&config, Arc::clone(&servers), Arc::clone(&clock))?;
        Ok(Self { servers, clock, producer })
    }

    /// See [`super::Broker::publish`].
    pub(crate) fn publish(
        &self,
        topic: &str,
        message: Message,
    ) -> BoxFuture<'_, Result<Arc<Record>, BrokerError>> {
        self.producer.publish(topic, message)
    }

    /// See [`super::Broker::subscribe`].
    pub(crate) fn subscribe(
        &self,
        group: &str,
        topics: &[&str],
        claim: Claim,
        token: &CancellationToken,
        tracker: &TaskTracker,
    ) -> Result<(), BrokerError> {
        let mut config = client(&self.servers);
        config
            .set("group.id", group)
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            .set("session.timeout.ms", SESSION_TIMEOUT_MS)
            // The one that daprd has too, should one of its kind be in the group.
            .set("partition.assignment.strategy", "range")
            .set("allow.auto.create.topics", "true")
            .set("queued.max.messages.kbytes", FETCHED_MAX_KIB);
        group::join(&config, topics, claim, Arc::clone(&self.clock), token, tracker)
    }
}

fn client(servers: &str) -> ClientConfig {
    let mut config = ClientConfig::new();
    config
        .set("bootstrap.servers", servers)
        .set("client.id", "reminder-worker")
        .set("reconnect.backoff.max.ms", RECONNECT_MAX_MS)
        .set("topic.metadata.refresh.interval.ms", METADATA_REFRESH_MS)
        .set("socket.timeout.ms", REQUEST_TIMEOUT_MS);
    config
}
