//! What a publish request looks like and what its answer means: the pure half of the publisher.
//!
//! Owns the bounds of a request and the table of answers. The question an answer has to settle is whether the
//! broker can have the event: only a certain failure may ever be followed by "it will not fire".

use std::collections::BTreeMap;
use std::ops::Range;

use serde::Deserialize;

use super::publisher::{Outgoing, PublishOutcome};
use crate::domain::{REASON_MAX_BYTES, cut};

/// Most bytes of events in one bulk request: half of what daprd accepts (4 MiB), so that what surrounds the events
/// never matters. A single event above it still goes, alone.
pub const REQUEST_MAX_BYTES: usize = 2 * 1024 * 1024;
/// Most events in one bulk request: throughput no longer rises beyond some 500, while what one lost answer makes
/// ambiguous does.
pub const REQUEST_MAX_ENTRIES: usize = 512;
/// Every event here is a CloudEvent of its own.
pub(super) const CONTENT_TYPE: &str = "application/cloudevents+json";
/// The largest integer up to which a 64-bit float holds every one: 2^53.
const EXACT_INTEGER_MAX: u64 = 1 << 53;

/// The ranges of `batch` that are requests, in order, none above the bounds unless it is one event alone. An event
/// that bulk would change is alone.
pub(super) fn split(batch: &[Outgoing]) -> Vec<Range<usize>> {
    let mut ranges: Vec<Range<usize>> = Vec::new();
    let (mut bytes, mut open) = (0, false);
    for (at, outgoing) in batch.iter().enumerate() {
        let size = outgoing.event.len();
        let alone = !survives_bulk(&outgoing.event);
        match ranges.last_mut() {
            Some(last)
                if open
                    && !alone
                    && last.len() < REQUEST_MAX_ENTRIES
                    && bytes + size <= REQUEST_MAX_BYTES =>
            {
                last.end = at + 1;
                bytes += size;
            }
            _ => {
                ranges.push(at..at + 1);
                bytes = size;
            }
        }
        open = !alone;
    }
    ranges
}

/// Whether the event, a JSON text, comes out of a bulk request as it went in: daprd decodes its numbers to 64-bit
/// floats there, as readers do with fractions anyway, so only integers can come to harm.
pub(super) fn survives_bulk(event: &[u8]) -> bool {
    let (mut in_text, mut escaped) = (false, false);
    let mut numbers = event.split(|byte| {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => in_text = !in_text,
            _ => {}
        }
        in_text || !matches!(byte, b'0'..=b'9' | b'-' | b'+' | b'.' | b'e' | b'E')
    });
    numbers.all(is_exact)
}

/// Whether `number` is no integer, or one that a 64-bit float holds.
fn is_exact(number: &[u8]) -> bool {
    let digits = number.strip_prefix(b"-").unwrap_or(number);
    let append = |value: u64, digit: &u8| value.saturating_mul(10).saturating_add(u64::from(digit - b'0'));
    !digits.iter().all(u8::is_ascii_digit) || digits.iter().fold(0, append) <= EXACT_INTEGER_MAX
}

/// The body of a bulk request: `[{"entryId","event","contentType","metadata"}]`, where an entry's id is its place.
/// The events are copied in as they are.
pub(super) fn bulk_body(batch: &[Outgoing]) -> Vec<u8> {
    const AROUND_AN_ENTRY: usize = 160;
    let size = batch.iter().map(|o| o.event.len() + o.key.len() + AROUND_AN_ENTRY).sum();
    let mut body = Vec::with_capacity(size);
    for (at, outgoing) in batch.iter().enumerate() {
        body.extend_from_slice(if at == 0 { b"[" } else { b"," });
        body.extend_from_slice(format!(r#"{{"entryId":"{at}","event":"#).as_bytes());
        body.extend_from_slice(&outgoing.event);
        body.extend_from_slice(
            format!(r#","contentType":"{CONTENT_TYPE}","metadata":{{"partitionKey":"#).as_bytes(),
        );
        body.extend_from_slice(serde_json::Value::from(outgoing.key.as_str()).to_string().as_bytes());
        body.extend_from_slice(b"}}");
    }
    body.push(b']');
    body
}

/// What a request came to.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Answer {
    /// The same for every event of it.
    All(PublishOutcome),
    /// Those listed failed without it being certain; the others are with the broker.
    Listed(BTreeMap<String, String>),
    /// Some event of it is refused for good, and it is not told which: certainly none is with the broker.
    AtFault(String),
    /// A path that this sidecar does not have, or a component that it does not know.
    NotFound(String),
}

/// What status and body of a publish request mean. `body` is `None` where it could not be read whole.
///
/// A listed entry is ambiguous, not a certain failure: the list also holds what the broker did not confirm in time.
pub(super) fn answer(status: u16, body: Option<&[u8]>) -> Answer {
    let told: Told = body.and_then(|body| serde_json::from_slice(body).ok()).unwrap_or_default();
    let reason = reason(status, &told);
    match status {
        200..=299 => Answer::All(PublishOutcome::Published),
        404 | 405 => Answer::NotFound(reason),
        // So some releases say that they have no such component.
        400 if matches!(told.error_code.as_str(), "ERR_PUBSUB_NOT_CONFIGURED" | "ERR_PUBSUB_NOT_FOUND") => {
            Answer::NotFound(reason)
        }
        500..=599 if !told.failed_entries.is_empty() => Answer::Listed(
            told.failed_entries.into_iter().map(|e| (e.entry_id, describe(status, &e.error))).collect(),
        ),
        // A single event that is no JSON; nothing of it has left the sidecar.
        500 if told.error_code == "ERR_PUBSUB_CLOUD_EVENTS_SER" => Answer::AtFault(reason),
        500..=599 => Answer::All(PublishOutcome::Ambiguous { reason }),
        // Not the sidecar's words: somebody between, who blames the request and not the event.
        400 if body.is_some_and(is_no_json) => {
            Answer::All(PublishOutcome::Refused { reason, for_good: false })
        }
        // What is wrong with an event itself: malformed, too large, of a kind or with a key that is not taken.
        400 | 413 | 414 | 415 | 422 | 431 => Answer::AtFault(reason),
        // All else may yet be put right: a token, the topics that the app may publish to, a time limit, a quota, what
        // a proxy between makes of it; and a redirection, which is not followed, or a status that HTTP does not have.
        _ => Answer::All(PublishOutcome::Refused { reason, for_good: false }),
    }
}

fn is_no_json(body: &[u8]) -> bool {
    !body.is_empty() && serde_json::from_slice::<serde::de::IgnoredAny>(body).is_err()
}

#[derive(Deserialize, Default)]
#[serde(default)]
struct Told {
    #[serde(rename = "errorCode")]
    error_code: String,
    message: String,
    #[serde(rename = "failedEntries")]
    failed_entries: Vec<Failed>,
}

#[derive(Deserialize)]
struct Failed {
    #[serde(rename = "entryId")]
    entry_id: String,
    #[serde(default)]
    error: String,
}

fn reason(status: u16, told: &Told) -> String {
    let text = if told.message.is_empty() { &told.error_code } else { &told.message };
    describe(status, text)
}

fn describe(status: u16, text: &str) -> String {
    let told = match (text, meaning(status).or_else(|| broker_meaning(text))) {
        ("", None) => format!("the sidecar answered {status} and gave no reason"),
        ("", Some(meaning)) => format!("the sidecar answered {status}: {meaning}"),
        (text, None) => format!("the sidecar answered {status}: {text}"),
        (text, Some(meaning)) => format!("the sidecar answered {status} ({text}): {meaning}"),
    };
    cut(told, REASON_MAX_BYTES)
}

/// What to look at for a status that says more than most of its bodies do; a wrong token's is no JSON.
fn meaning(status: u16) -> Option<&'static str> {
    Some(match status {
        401 => "check dapr.api_token (DAPR_API_TOKEN)",
        403 => {
            "this app may not publish to the topic, check the component's publishingScopes and allowedTopics"
        }
        404 => "it has no such component, check dapr.pubsub and the component's scopes",
        413 => "the event is too large for it, check its --max-body-size",
        429 => "it takes no more for now",
        _ => return None,
    })
}

/// What to change where a broker's own words, passed on by the sidecar with a 500, say more than the status.
fn broker_meaning(text: &str) -> Option<&'static str> {
    const MEANINGS: [(&[&str], &str); 4] = [
        (
            &["topic or partition that does not exist"],
            "create the topic; without it Kafka delivers no other either",
        ),
        (
            &["not authorized", "NOPERM", "TOPIC_AUTHORIZATION_FAILED"],
            "allow the component's user to write to the topic",
        ),
        (
            &["SASL Authentication failed", "WRONGPASS", "NOAUTH", "invalid username-password"],
            "mend the component's user and password",
        ),
        (
            &["run out of available brokers", "connection refused", "no such host", "i/o timeout"],
            "the sidecar does not reach the broker: look whether it runs, and at its address in the component",
        ),
    ];
    let says = |words: &[&str]| words.iter().any(|word| text.contains(word));
    MEANINGS.into_iter().find(|(words, _)| says(words)).map(|(_, meaning)| meaning)
}

#[cfg(test)]
mod tests;
