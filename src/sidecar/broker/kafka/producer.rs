//! Publishing to Kafka: one answer for each record, and one soon where no broker is there.
//!
//! The client library keeps a record until its time is over, whether or not a broker is there. daprd answers
//! within a second or two when none is (a refused connection), and hangs while one is stopped (a connection that
//! is open and silent). So a publisher waits for the report of its own record, or until every broker has been lost
//! for all of [`LOST_GRACE`]. The library says when the last one is lost, and its statistics when one is back.
//!
//! What a publisher has given up stays in the library as long as others wait there, since it takes back only all
//! records or none; the last to give up takes all back.
//!
//! Race accepted: a record whose publisher reads that no broker answers may still be written, by a broker that was
//! taking it when it was lost, or by one that returns, within [`super::REQUEST_TIMEOUT_MS`], while others wait. Such an
//! answer is ambiguous by nature, with daprd too: a publisher that repeats must be ready for both.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::future_producer::DeliveryFuture;
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _, PurgeConfig};
use serde::Deserialize;
use tokio::sync::watch;

use super::{BrokerError, Record};
use crate::clock::Clock;
use crate::sidecar::broker::{check_size, key_of, partition_of};
use crate::sidecar::channel::BoxFuture;
use crate::sidecar::wrap::Message;

/// How long a lost broker may take to come back before publishers are told: two tries to connect at least.
const LOST_GRACE: Duration = Duration::from_secs(1);

/// The publishing side.
pub(crate) struct Producer {
    client: FutureProducer<Link>,
    servers: Arc<str>,
    clock: Arc<dyn Clock>,
    lost: watch::Sender<bool>,
    /// Publishers that wait for a report.
    waiting: Mutex<usize>,
}

/// What the library tells about its connections.
struct Link {
    servers: Arc<str>,
    lost: watch::Sender<bool>,
}

/// What is read of the library's statistics.
#[derive(Deserialize)]
struct Statistics {
    brokers: HashMap<String, BrokerStatistics>,
}

#[derive(Deserialize)]
struct BrokerStatistics {
    state: String,
}

impl Statistics {
    /// Whether a connection to a broker stands.
    fn connected(&self) -> bool {
        self.brokers.values().any(|broker| broker.state == "UP")
    }
}

impl ClientContext for Link {
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, message: &str) {
        tracing::debug!(facility, "kafka: {message}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::AllBrokersDown) {
            if !self.lost.send_replace(true) {
                tracing::error!(
                    "no Kafka broker answers at {}: start it, or name the right one with --kafka",
                    self.servers
                );
            }
        } else {
            tracing::debug!(%error, "kafka: {reason}");
        }
    }

    fn stats_raw(&self, statistics: &[u8]) {
        match serde_json::from_slice::<Statistics>(statistics) {
            Ok(statistics) if statistics.connected() => {
                if self.lost.send_if_modified(std::mem::take) {
                    tracing::info!("a Kafka broker answers again at {}", self.servers);
                }
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "the Kafka client's statistics cannot be read"),
        }
    }
}

impl Producer {
    pub(crate) fn new(
        config: &ClientConfig,
        servers: Arc<str>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, KafkaError> {
        let lost = watch::Sender::new(false);
        let link = Link { servers: Arc::clone(&servers), lost: lost.clone() };
        let client = FutureProducer::from_config_and_context(config, link)?;
        Ok(Self { client, servers, clock, lost, waiting: Mutex::default() })
    }

    /// Hands a message to the library at once; the answer comes when all replicas have it.
    pub(crate) fn publish(
        &self,
        topic: &str,
        message: Message,
    ) -> BoxFuture<'_, Result<Arc<Record>, BrokerError>> {
        let key = key_of(&message);
        let handed = self.hand(topic, key.as_deref(), &message);
        let topic: Arc<str> = topic.into();
        Box::pin(async move {
            let (report, waiting, partition) = handed?;
            let report = tokio::select! {
                biased;
                report = report => report,
                () = self.lost() => {
                    waiting.give_up();
                    return Err(self.down());
                }
            };
            let place = match report {
                Ok(Ok(place)) => place,
                Ok(Err((error, _))) => return Err(told(error, partition)),
                // The library went away with the record, which only happens as the process ends.
                Err(_) => return Err(self.down()),
            };
            Ok(Arc::new(Record {
                topic,
                // An acknowledged record has its place.
                partition: u32::try_from(place.partition).unwrap_or_default(),
                offset: u64::try_from(place.offset).unwrap_or_default(),
                timestamp: place.timestamp.to_millis().unwrap_or_default(),
                key,
                message,
            }))
        })
    }

    /// Puts a message into the library; its report to come, a place among those who wait, and the partition that
    /// was asked for.
    fn hand(
        &self,
        topic: &str,
        key: Option<&[u8]>,
        message: &Message,
    ) -> Result<(DeliveryFuture, Waiting<'_>, Option<u32>), BrokerError> {
        check_size(message, key)?;
        let partition = partition_of(message)?;
        let pairs = message.headers.as_deref();
        let headers = pairs.into_iter().flatten().fold(
            OwnedHeaders::new_with_capacity(pairs.map_or(0, |pairs| pairs.len())),
            |headers, (name, value)| headers.insert(Header { key: name, value: Some(&value[..]) }),
        );
        let record = FutureRecord {
            topic,
            // Read as 31 bits.
            partition: partition.and_then(|number| i32::try_from(number).ok()),
            payload: Some(&message.value[..]),
            key,
            timestamp: Some(self.clock.now().millis()),
            headers: Some(headers),
        };
        // Counted before it is in the library, so that nobody takes it back meanwhile.
        let waiting = Waiting::new(self);
        let report = self.client.send_result(record).map_err(|(error, _)| told(error, partition))?;
        Ok((report, waiting, partition))
    }

    /// Comes back once every broker has been lost for longer than they may take to return.
    async fn lost(&self) {
        let mut lost = self.lost.subscribe();
        loop {
            // The sender is ours, here and below.
            let _ = lost.wait_for(|lost| *lost).await;
            tokio::select! {
                () = self.clock.wait(LOST_GRACE) => return,
                _ = lost.wait_for(|lost| !*lost) => {}
            }
        }
    }

    fn waiting(&self) -> MutexGuard<'_, usize> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn down(&self) -> BrokerError {
        BrokerError::Down(Arc::clone(&self.servers))
    }
}

/// A publisher that waits for a report.
struct Waiting<'p> {
    producer: &'p Producer,
    gave_up: bool,
}

impl<'p> Waiting<'p> {
    fn new(producer: &'p Producer) -> Self {
        *producer.waiting() += 1;
        Self { producer, gave_up: false }
    }

    /// Waits no longer, no broker being there; the last one takes back what the library holds.
    fn give_up(mut self) {
        self.gave_up = true;
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        let mut waiting = self.producer.waiting();
        *waiting -= 1;
        if self.gave_up && *waiting == 0 {
            // Done when it returns, and so before the next one is counted.
            self.producer.client.purge(PurgeConfig::default().queue().inflight());
        }
    }
}

/// What a publisher is told about a report.
fn told(error: KafkaError, partition: Option<u32>) -> BrokerError {
    use RDKafkaErrorCode::{UnknownPartition, UnknownTopic, UnknownTopicOrPartition};
    match (error.rdkafka_error_code(), partition) {
        (Some(UnknownPartition), Some(number)) => BrokerError::NoSuchPartition(number),
        (Some(UnknownTopic | UnknownTopicOrPartition | UnknownPartition), _) => BrokerError::NoTopic,
        _ => error.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_broker_is_back_once_a_connection_stands() {
        for (states, connected) in
            [(&["DOWN", "UP"][..], true), (&["DOWN", "CONNECT", "APIVERSION_QUERY"], false)]
        {
            let brokers = states
                .iter()
                .enumerate()
                .map(|(n, state)| (n.to_string(), serde_json::json!({"state": state})));
            let told =
                serde_json::json!({"rx": 1, "brokers": brokers.collect::<HashMap<_, _>>()}).to_string();
            let read: Statistics = serde_json::from_str(&told).unwrap();
            assert_eq!(read.connected(), connected, "{states:?}");
        }
    }
}
