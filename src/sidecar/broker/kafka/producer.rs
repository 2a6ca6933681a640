//! Publishing to Kafka: one answer for each record, and one soon where no broker is there.
//!
//! The client library keeps a record until its time is over, whether or not a broker is there. daprd answers
//! within a second or two when none is (a refused connection), and hangs while one is stopped (a connection that
//! is open and silent). So a publisher waits for the report of its record, or until the library has said that
//! every broker is lost and [`LOST_GRACE`] has passed; then what waits is taken back out of the library.
//!
//! Race accepted: a record that is taken back while a broker that has just returned is taking it was published
//! although its publisher reads an error. Such an answer is ambiguous by nature, with daprd too.

use std::sync::Arc;
use std::time::Duration;

use rdkafka::ClientConfig;
use rdkafka::ClientContext;
use rdkafka::config::{FromClientConfigAndContext as _, RDKafkaLogLevel};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{FutureProducer, FutureRecord, Producer as _, PurgeConfig};
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
}

/// What the library tells about its connections.
struct Link {
    servers: Arc<str>,
    lost: watch::Sender<bool>,
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
        Ok(Self { client, servers, clock, lost })
    }

    /// Hands a message to the library at once; the answer comes when all replicas have it.
    pub(crate) fn publish(
        &self,
        topic: &str,
        message: Message,
    ) -> BoxFuture<'_, Result<Arc<Record>, BrokerError>> {
        let key = key_of(&message);
        let handed = check_size(&message, key.as_deref()).and_then(|()| {
            let pairs = message.metadata.as_deref();
            let headers = pairs.into_iter().flatten().fold(
                OwnedHeaders::new_with_capacity(pairs.map_or(0, |pairs| pairs.len())),
                |headers, (name, value)| headers.insert(Header { key: name, value: Some(value) }),
            );
            let record = FutureRecord {
                topic,
                partition: partition_of(&message).and_then(|number| i32::try_from(number).ok()),
                payload: Some(&message.value[..]),
                key: key.as_deref(),
                timestamp: Some(self.clock.now().millis()),
                headers: Some(headers),
            };
            self.client.send_result(record).map_err(|(error, _)| error.into())
        });
        let topic: Arc<str> = topic.into();
        Box::pin(async move {
            let report = tokio::select! {
                biased;
                report = handed? => report,
                () = self.lost() => {
                    self.client.purge(PurgeConfig::default().queue().inflight());
                    return Err(BrokerError::Down(Arc::clone(&self.servers)));
                }
            };
            let place = match report {
                Ok(Ok(place)) => place,
                Ok(Err((error, _))) => return Err(self.told(error)),
                // The library went away with the record, which only happens as the process ends.
                Err(_) => return Err(BrokerError::Down(Arc::clone(&self.servers))),
            };
            if self.lost.send_if_modified(std::mem::take) {
                tracing::info!("a Kafka broker answers again at {}", self.servers);
            }
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

    /// Comes back once every broker has been lost for longer than they may take to return.
    async fn lost(&self) {
        let mut lost = self.lost.subscribe();
        loop {
            // The sender is ours.
            let _ = lost.wait_for(|lost| *lost).await;
            self.clock.sleep(LOST_GRACE).await;
            if *lost.borrow() {
                return;
            }
        }
    }

    /// What a publisher is told about a report.
    fn told(&self, error: KafkaError) -> BrokerError {
        match error.rdkafka_error_code() {
            // Taken back on behalf of another publisher.
            Some(RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight) => {
                BrokerError::Down(Arc::clone(&self.servers))
            }
            _ => error.into(),
        }
    }
}
