//! Publishing through the sidecar: batches in, one outcome an event out, in order.
//!
//! Owns the request path, which depends on the sidecar's release: bulk publish is stable since 1.17, before it the
//! `v1.0-alpha1` path has it, and what is older still takes events one by one. The path is found by asking and kept
//! until the connection is refused, which is what a sidecar that is being replaced looks like.
//!
//! It never retries: a batch has one attempt, and the caller decides about the next. Splitting is not a retry: what
//! a 4xx answered is certainly with nobody, so its halves go on their own until the one event at fault is alone.
//!
//! A race accepted: two batches that find the path at the same time both pay for the search.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::future::join_all;
use futures_util::stream;
use reqwest::header::CONTENT_TYPE;

use super::NoClient;
use super::request::{self, Answer};
pub use super::request::{REQUEST_MAX_BYTES, REQUEST_MAX_ENTRIES};
use super::sidecar::{TOKEN_HEADER, bounded_body, client};
use crate::clock::Clock;
use crate::config;
use crate::domain::{REASON_MAX_BYTES, cut};
use crate::telemetry;

/// Most requests of one batch under way at once: enough to hide a round trip, few enough for a sidecar's worker
/// pool.
const REQUESTS_AT_ONCE: usize = 8;
/// Most of an answer that is read: room for a reason an entry, and no more than a sidecar gone mad may cost.
const ANSWER_MAX_BYTES: usize = 1024 * 1024;

/// An event to publish.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Outgoing {
    /// What the broker partitions by: the task id.
    pub key: String,
    /// A JSON CloudEvent.
    pub event: Bytes,
}

/// How an event's attempt ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum PublishOutcome {
    /// The broker has it.
    Published,
    /// The broker certainly has it not: 4xx, or no connection.
    Refused {
        /// Why.
        reason: String,
        /// Repeating it can never help: the event itself is at fault.
        for_good: bool,
    },
    /// Nobody knows: a time-out, a lost connection, 5xx. It must only be repeated byte for byte.
    Ambiguous {
        /// Why.
        reason: String,
    },
}

/// The outcomes of a batch, in its order.
pub type Publishing<'a> = Pin<Box<dyn Future<Output = Vec<PublishOutcome>> + Send + 'a>>;

/// Where events go out.
pub trait Publish: Send + Sync + 'static {
    /// Publishes `batch` to `topic`: one attempt and one outcome an event, in order. Dropping the future leaves
    /// every event of it ambiguous.
    fn publish<'a>(&'a self, topic: &'a str, batch: &'a [Outgoing]) -> Publishing<'a>;
}

/// How events are handed to the sidecar, newest first.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
enum Path {
    Bulk,
    BulkAlpha,
    Single,
}

impl Path {
    /// From the stored number; anything unknown starts the search anew.
    fn from_number(number: u8) -> Self {
        [Self::Bulk, Self::BulkAlpha, Self::Single]
            .into_iter()
            .find(|p| *p as u8 == number)
            .unwrap_or(Self::Bulk)
    }

    fn older(self) -> Option<Self> {
        match self {
            Self::Bulk => Some(Self::BulkAlpha),
            Self::BulkAlpha => Some(Self::Single),
            Self::Single => None,
        }
    }
}

/// [`Publish`] over a sidecar's HTTP API.
pub struct Publisher {
    client: reqwest::Client,
    endpoint: String,
    pubsub: String,
    token: Option<config::Secret>,
    timeout: Duration,
    path: AtomicU8,
    clock: Arc<dyn Clock>,
}

impl Publisher {
    /// Publishes to the component and through the sidecar that `dapr` names.
    ///
    /// # Errors
    /// If the HTTP client cannot be built.
    pub fn new(dapr: &config::Dapr, clock: Arc<dyn Clock>) -> Result<Self, NoClient> {
        Ok(Self {
            client: client()?,
            endpoint: dapr.http_endpoint.clone(),
            pubsub: dapr.pubsub.clone(),
            token: dapr.api_token.clone(),
            timeout: dapr.publish_timeout,
            path: AtomicU8::new(Path::Bulk as u8),
            clock,
        })
    }

    /// Publishes one request's worth, splitting it while a refusal for good covers more than one event.
    async fn publish_part(&self, topic: &str, part: &[Outgoing]) -> Vec<PublishOutcome> {
        let mut outcomes = Vec::with_capacity(part.len());
        let mut todo = vec![part];
        while let Some(part) = todo.pop() {
            match self.attempt(topic, part).await {
                Ok(settled) => outcomes.extend(settled),
                Err(_) if part.len() > 1 => {
                    let (first, second) = part.split_at(part.len() / 2);
                    todo.extend([second, first]);
                }
                Err(reason) => outcomes.push(PublishOutcome::Refused { reason, for_good: true }),
            }
        }
        outcomes
    }

    /// One attempt by the path in use, looking for an older one where this sidecar has not got it. The error is a
    /// refusal for good of the part as a whole.
    async fn attempt(&self, topic: &str, part: &[Outgoing]) -> Result<Vec<PublishOutcome>, String> {
        let known = Path::from_number(self.path.load(Ordering::Relaxed));
        let mut path = known;
        loop {
            let answer = match (path, part) {
                (Path::Single, [one, rest @ ..]) => {
                    let first = self.send_single(topic, one).await;
                    if matches!(first, Answer::NotFound(_)) {
                        first
                    } else {
                        self.found(known, path);
                        return Ok(self.rest_single(topic, first, rest).await);
                    }
                }
                // An event alone goes as it is: bulk might change its numbers.
                (_, [one]) => self.send_single(topic, one).await,
                _ => self.send_bulk(path, topic, part).await,
            };
            let Answer::NotFound(reason) = answer else {
                if part.len() > 1 {
                    self.found(known, path);
                }
                return outcomes(answer, part.len());
            };
            match path.older() {
                Some(older) if part.len() > 1 => path = older,
                // Not the path then, but the component.
                _ => return Ok(vec![PublishOutcome::Refused { reason, for_good: false }; part.len()]),
            }
        }
    }

    async fn rest_single(&self, topic: &str, first: Answer, rest: &[Outgoing]) -> Vec<PublishOutcome> {
        let mut settled = one_outcome(first);
        for some in rest.chunks(REQUESTS_AT_ONCE) {
            let answers = join_all(some.iter().map(|one| self.send_single(topic, one))).await;
            settled.extend(answers.into_iter().flat_map(one_outcome));
        }
        settled
    }

    fn found(&self, known: Path, path: Path) {
        if known != path {
            self.path.store(path as u8, Ordering::Relaxed);
            tracing::info!(?path, "this sidecar has no newer way of publishing in bulk");
        }
    }

    async fn send_bulk(&self, path: Path, topic: &str, part: &[Outgoing]) -> Answer {
        let version = if path == Path::Bulk { "v1.0" } else { "v1.0-alpha1" };
        let url = format!("{}/{version}/publish/bulk/{}/{topic}", self.endpoint, self.pubsub);
        let request = self.client.post(url).header(CONTENT_TYPE, "application/json");
        self.send(request.body(request::bulk_body(part))).await
    }

    async fn send_single(&self, topic: &str, one: &Outgoing) -> Answer {
        let url = format!("{}/v1.0/publish/{}/{topic}", self.endpoint, self.pubsub);
        let request = self
            .client
            .post(url)
            .query(&[("metadata.partitionKey", one.key.as_str())])
            .header(CONTENT_TYPE, request::CONTENT_TYPE);
        self.send(request.body(one.event.clone())).await
    }

    async fn send(&self, mut request: reqwest::RequestBuilder) -> Answer {
        if let Some(token) = &self.token {
            request = request.header(TOKEN_HEADER, token.expose());
        }
        let begun = self.clock.monotonic();
        let answer = match request.timeout(self.timeout).send().await {
            Ok(response) => {
                let status = response.status().as_u16();
                request::answer(status, bounded_body(response, ANSWER_MAX_BYTES).await.as_deref())
            }
            Err(error) => Answer::All(self.failure(&error)),
        };
        telemetry::publish_took(self.clock.monotonic().saturating_sub(begun));
        answer
    }

    /// No answer came. Without a connection nothing was sent; with one, anything may have happened.
    fn failure(&self, error: &reqwest::Error) -> PublishOutcome {
        if error.is_connect() {
            self.path.store(Path::Bulk as u8, Ordering::Relaxed);
            let reason = format!("no connection to the sidecar at {}: {}", self.endpoint, root(error));
            return PublishOutcome::Refused { reason: cut(reason, REASON_MAX_BYTES), for_good: false };
        }
        let reason = if error.is_timeout() {
            format!("no answer from the sidecar within {} ms", self.timeout.as_millis())
        } else {
            format!("the connection to the sidecar was lost: {}", root(error))
        };
        PublishOutcome::Ambiguous { reason: cut(reason, REASON_MAX_BYTES) }
    }
}

impl Publish for Publisher {
    fn publish<'a>(&'a self, topic: &'a str, batch: &'a [Outgoing]) -> Publishing<'a> {
        Box::pin(async move {
            let parts =
                request::split(batch).into_iter().map(|range| self.publish_part(topic, &batch[range]));
            let settled: Vec<_> = stream::iter(parts).buffered(REQUESTS_AT_ONCE).collect().await;
            settled.into_iter().flatten().collect()
        })
    }
}

/// What an answer of the sidecar means for each event of a request with `count` of them; `body` is `None` where it could
/// not be read whole.
///
/// # Errors
/// Why some event is refused for good, and it is not told which: certainly none is with the broker.
pub fn outcomes_of(status: u16, body: Option<&[u8]>, count: usize) -> Result<Vec<PublishOutcome>, String> {
    outcomes(request::answer(status, body), count)
}

/// One outcome an event of a request with `count` of them; the error is a refusal for good of all of it.
fn outcomes(answer: Answer, count: usize) -> Result<Vec<PublishOutcome>, String> {
    match answer {
        Answer::All(outcome) => Ok(vec![outcome; count]),
        Answer::AtFault(reason) => Err(reason),
        Answer::NotFound(reason) => Ok(vec![PublishOutcome::Refused { reason, for_good: false }; count]),
        Answer::Listed(mut failed) => {
            let named: Vec<_> = (0..count).map(|at| failed.remove(&at.to_string())).collect();
            // A list that names what was never sent says nothing about what was.
            let foreign = failed.into_values().next();
            let outcome = |failed: Option<String>| match failed.or_else(|| foreign.clone()) {
                Some(reason) => PublishOutcome::Ambiguous { reason },
                None => PublishOutcome::Published,
            };
            Ok(named.into_iter().map(outcome).collect())
        }
    }
}

/// The outcome of a request with one event.
fn one_outcome(answer: Answer) -> Vec<PublishOutcome> {
    outcomes(answer, 1).unwrap_or_else(|reason| vec![PublishOutcome::Refused { reason, for_good: true }])
}

/// The innermost cause, which is the one that says what happened.
fn root(error: &reqwest::Error) -> String {
    let mut cause: &dyn std::error::Error = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests;
