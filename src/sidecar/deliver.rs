//! Delivering messages one at a time: what a subscription without `bulkSubscribe` gets.
//!
//! Owns the order of remedies: the inbound retry policy first, then the dead-letter topic, then what the broker
//! does. Kafka holds the partition and delivers again every [`REDELIVERY`]; Redis and in-memory lose the
//! message. What a reply means is told by `reply`.

use std::sync::Arc;
use std::time::Duration;

use axum::http::header::{CONTENT_TYPE, HeaderMap, HeaderName};
use axum::http::{HeaderValue, Request};
use bytes::Bytes;

use super::Profile;
use super::broker::{Cursor, Record};
use super::channel::CallError;
use super::observe::Observation;
use super::reply::{self, Verdict};
use super::route::path_for;
use super::runtime::{AppState, Runtime};
use super::subscriptions::Subscription;
use super::wrap::{self, Headers, Message};

/// Kafka's pause before it delivers a record again.
pub(crate) const REDELIVERY: Duration = Duration::from_secs(5);

/// Records that are taken from a log at once, to lock it less often.
const READ_AHEAD: usize = 64;

/// One subscription of one app at work.
pub(crate) struct Consumer {
    pub(crate) runtime: Arc<Runtime>,
    pub(crate) app: Arc<AppState>,
    pub(crate) subscription: Subscription,
}

/// Why a record is not put to the app.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unfit {
    /// Nothing that can be delivered without `rawPayload`: treated as a failure of the app.
    #[error("it is neither a JSON object nor null, and the subscription has no rawPayload")]
    NoEvent,
    /// Its time to live is over.
    #[error("it has expired")]
    Expired,
    /// No rule wants it.
    #[error("no route matches it")]
    NoRoute,
}

impl Unfit {
    /// What becomes of such a record.
    pub(crate) fn verdict(&self) -> Verdict {
        match self {
            Self::NoEvent => Verdict::Retry,
            Self::Expired | Self::NoRoute => Verdict::Drop,
        }
    }
}

/// Delivers what the cursor reads, for ever.
pub(crate) async fn run(consumer: Arc<Consumer>, mut cursor: Cursor) {
    let redis = consumer.runtime.settings.profile == Profile::Redis;
    loop {
        cursor.wait(1).await;
        consumer.app_is_well(&mut cursor).await;
        for record in cursor.peek(READ_AHEAD) {
            if !*consumer.app.healthy.borrow() {
                break;
            }
            if redis {
                // Closed only with the app's state, which this consumer holds.
                let Ok(worker) = Arc::clone(&consumer.app.workers).acquire_owned().await else { return };
                cursor.advance(1);
                let consumer = Arc::clone(&consumer);
                Arc::clone(&consumer.runtime).spawn(async move {
                    consumer.take(&record).await;
                    drop(worker);
                });
            } else {
                consumer.take(&record).await;
                cursor.advance(1);
            }
        }
    }
}

impl Consumer {
    pub(crate) fn new(runtime: Arc<Runtime>, app: Arc<AppState>, subscription: Subscription) -> Self {
        Self { runtime, app, subscription }
    }

    /// Delivers one record until the broker would move past it.
    async fn take(&self, record: &Record) {
        loop {
            let verdict = self.deliver(record).await;
            if self.settled(record, verdict).await {
                return;
            }
            if self.runtime.settings.profile != Profile::Kafka {
                self.tell_lost(record);
                return;
            }
            self.runtime.clock.sleep(REDELIVERY).await;
            self.app.well().await;
        }
    }

    /// One delivery with the tries of the retry policy.
    async fn deliver(&self, record: &Record) -> Verdict {
        let (path, body) = match self.event(record) {
            Ok(event) => event,
            Err(unfit) => {
                self.tell_unfit(record, &unfit);
                return unfit.verdict();
            }
        };
        let told = record.told(self.runtime.settings.profile);
        let trace = if self.subscription.raw { None } else { record.head().trace.as_deref() };
        let mut tries = self.runtime.settings.resiliency.map_or(0, |policy| policy.max_retries);
        loop {
            let sent = self.post(path, "application/cloudevents+json", told.as_ref(), trace, body.clone());
            let verdict = match sent.await {
                Ok((status, reply)) => {
                    let verdict = reply::single(status, &reply);
                    self.tell_delivered(verdict);
                    verdict
                }
                Err(error) => {
                    tracing::warn!(app = %self.app.id, topic = %record.topic, %error, "not delivered");
                    Verdict::Retry
                }
            };
            match self.runtime.settings.resiliency {
                Some(policy) if verdict == Verdict::Retry && tries > 0 => {
                    tries -= 1;
                    self.runtime.clock.sleep(policy.interval).await;
                }
                _ => return verdict,
            }
        }
    }

    /// The path and the body of a record's delivery.
    fn event(&self, record: &Record) -> Result<(&str, Bytes), Unfit> {
        let body = if self.subscription.raw {
            let (pubsub, id) = (&self.runtime.settings.component, self.runtime.chance.id());
            wrap::raw_delivery(&record.message.value, pubsub, &self.subscription.topic, &id)
        } else {
            self.check(record)?;
            record.message.value.clone()
        };
        Ok((path_for(&self.subscription.rules, &body).ok_or(Unfit::NoRoute)?, body))
    }

    /// Whether a record can be delivered as the event it is.
    pub(crate) fn check(&self, record: &Record) -> Result<(), Unfit> {
        if !record.head().event {
            return Err(Unfit::NoEvent);
        }
        if record.head().expires.is_some_and(|at| at < self.runtime.clock.now()) {
            return Err(Unfit::Expired);
        }
        Ok(())
    }

    /// Whether the verdict ends a record's delivery, a dead letter having been written where one is due.
    pub(crate) async fn settled(&self, record: &Record, verdict: Verdict) -> bool {
        let wanted = match verdict {
            Verdict::Success | Verdict::Discard => return true,
            Verdict::Drop | Verdict::Retry => self.subscription.dead_letter.as_deref(),
        };
        let Some(topic) = wanted else {
            return verdict == Verdict::Drop;
        };
        let message =
            Message { value: record.message.value.clone(), headers: None, head: record.head().clone() };
        let message = message.with(record.told(self.runtime.settings.profile));
        match self.runtime.put(topic, message).await {
            Ok(_) => true,
            Err(error) => {
                tracing::error!(topic, %error, "the dead letter was not taken");
                false
            }
        }
    }

    /// One call; the status and body of the answer.
    pub(crate) async fn post(
        &self,
        path: &str,
        content_type: &'static str,
        told: Option<&Headers>,
        trace: Option<&str>,
        body: Bytes,
    ) -> Result<(u16, Bytes), CallError> {
        let mut request = Request::post(format!("http://{}{path}", self.app.app.address))
            .body(body)
            .map_err(|e| CallError(e.to_string()))?;
        *request.headers_mut() = self.headers(content_type, told, trace)?;
        let reply = self.runtime.call(&self.app, request).await?;
        Ok((reply.status().as_u16(), reply.into_body()))
    }

    fn headers(
        &self,
        content_type: &'static str,
        told: Option<&Headers>,
        trace: Option<&str>,
    ) -> Result<HeaderMap, CallError> {
        let mut headers = HeaderMap::with_capacity(12);
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
        let told = told.into_iter().flatten().map(|(name, value)| (name.as_str(), &value[..]));
        let ours = [("pubsubname", Some(&*self.runtime.settings.component)), ("traceparent", trace)];
        let ours = ours.into_iter().filter_map(|(name, value)| Some((name, value?.as_bytes())));
        for (name, value) in told.chain(ours) {
            let Some(name) = header_name(name) else { continue };
            let value = HeaderValue::from_bytes(value)
                .map_err(|_| CallError(format!("the metadata {name} is no legal header value")))?;
            headers.insert(name, value);
        }
        Ok(headers)
    }

    pub(crate) fn tell_delivered(&self, reply: Verdict) {
        self.runtime.observers.tell(|| Observation::Delivered {
            app: Arc::clone(&self.app.id),
            topic: self.subscription.topic.as_str().into(),
            reply,
            at: self.runtime.clock.now(),
        });
    }

    pub(crate) fn tell_unfit(&self, record: &Record, unfit: &Unfit) {
        tracing::warn!(app = %self.app.id, topic = %record.topic, offset = record.offset, %unfit, "not delivered");
    }

    pub(crate) fn tell_lost(&self, record: &Record) {
        tracing::warn!(
            app = %self.app.id, topic = %record.topic, offset = record.offset,
            "the app did not take the message and it is lost, as on this broker without a retry policy"
        );
    }
}

/// The header that a metadata name becomes; `None` where daprd does not forward it.
fn header_name(name: &str) -> Option<HeaderName> {
    let lower = name.to_ascii_lowercase();
    let own = ["content-length", "content-type", "connection", "keep-alive", "transfer-encoding", "upgrade"];
    if own.contains(&lower.as_str()) || lower == "te" || lower == "trailer" || lower.ends_with("-bin") {
        return None;
    }
    let lower = if lower.starts_with("grpc-") { format!("dapr-{lower}") } else { lower };
    HeaderName::from_bytes(lower.as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_names_become_headers_unless_http_owns_them() {
        for (name, header) in [
            ("__Key", Some("__key")),
            ("ttlInSeconds", Some("ttlinseconds")),
            ("grpc-timeout", Some("dapr-grpc-timeout")),
            ("Content-Type", None),
            ("content-length", None),
            ("trace-bin", None),
            ("te", None),
            ("not a name", None),
        ] {
            assert_eq!(header_name(name).as_ref().map(HeaderName::as_str), header, "{name}");
        }
    }
}
