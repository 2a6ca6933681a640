//! From what a publisher sent to the bytes that lie on the broker: daprd's CloudEvent wrapping.
//!
//! Pure: ids and the time come in from outside. A message also carries its [`Head`], the few facts that
//! delivery needs, so that the bytes are not read again on the way out.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::Bytes;
use chrono::{DateTime, SecondsFormat};

use super::json::{self, Members, NotJson, Numbers};
use crate::domain::Timestamp;

/// What a publisher says of a message beside its payload.
pub(crate) type Metadata = BTreeMap<String, String>;

/// What travels beside a message and comes back as headers: publish metadata, or what another client of the broker
/// wrote, which need not be text.
pub(crate) type Headers = BTreeMap<String, Bytes>;

/// The `traceparent` of a message whose envelope names no usable trace.
const NO_TRACE: &str = "00-00000000000000000000000000000000-0000000000000000-00";

/// One message as the broker keeps it.
#[derive(Clone, Debug)]
pub(crate) struct Message {
    pub(crate) value: Bytes,
    pub(crate) headers: Option<Arc<Headers>>,
    pub(crate) head: Head,
}

impl Message {
    /// The message with headers, or metadata that becomes such, to travel beside it.
    pub(crate) fn with<V: Into<Bytes>>(self, headers: Option<BTreeMap<String, V>>) -> Self {
        let headers =
            headers.map(|pairs| pairs.into_iter().map(|(name, value)| (name, value.into())).collect());
        Self { headers: headers.map(Arc::new), ..self }
    }
}

/// What delivery must know of a message's bytes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Head {
    /// The bytes are a JSON object or `null`; anything else cannot be delivered without `rawPayload`.
    pub(crate) event: bool,
    /// The `traceparent` header of its delivery.
    pub(crate) trace: Option<Cow<'static, str>>,
    /// After this instant it is no longer delivered.
    pub(crate) expires: Option<Timestamp>,
    /// The bytes are as a bulk delivery would re-write them: sorted, numbers through floats.
    pub(crate) settled: bool,
}

impl Head {
    /// Reads the head of bytes that were published as they are.
    pub(crate) fn read(value: &[u8]) -> Self {
        match Members::read(value) {
            Ok(members) => Self::of(&members),
            // daprd delivers `null`, and so a tombstone, as it is; a number or a list it does not.
            Err(_) => Self { event: serde_json::from_slice::<()>(value).is_ok(), ..Self::default() },
        }
    }

    fn of(members: &Members<'_>) -> Self {
        let trace = members.text("traceparent").or_else(|| members.text("traceid"));
        let expires = members.text("expiration").and_then(|t| DateTime::parse_from_rfc3339(&t).ok());
        Self {
            event: true,
            trace: trace.map(|t| trace_header(&t)),
            expires: expires.map(|t| Timestamp::from_millis(t.timestamp_millis())),
            settled: false,
        }
    }
}

/// A trace context that is none is sent on as the one of zeros.
fn trace_header(trace: &str) -> Cow<'static, str> {
    if is_trace_parent(trace) { Cow::Owned(trace.to_owned()) } else { Cow::Borrowed(NO_TRACE) }
}

/// Whether `text` is a W3C trace parent of version 00.
pub(crate) fn is_trace_parent(text: &str) -> bool {
    let hex = |part: &str, length| {
        part.len() == length && part.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
    };
    let mut parts = text.split('-');
    let sizes = [2, 32, 16, 2];
    sizes.into_iter().all(|size| parts.next().is_some_and(|part| hex(part, size))) && parts.next().is_none()
}

/// Where and by whom something is published.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Publication<'a> {
    pub(crate) pubsub: &'a str,
    pub(crate) topic: &'a str,
    pub(crate) app_id: &'a str,
    /// The request's trace context; blank where it has none.
    pub(crate) trace_parent: &'a str,
    pub(crate) trace_state: &'a str,
    pub(crate) now: Timestamp,
}

/// What is published.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payload<'a> {
    /// Blank means `text/plain`.
    pub(crate) content_type: &'a str,
    pub(crate) bytes: &'a [u8],
    pub(crate) numbers: Numbers,
}

/// The kinds of content that daprd tells apart; suffixes such as `application/x+json` are text to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Content {
    Json,
    CloudEvent,
    Binary,
    Text,
}

impl Content {
    pub(crate) fn of(content_type: &str) -> Self {
        match content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase().as_str() {
            "application/json" => Self::Json,
            "application/cloudevents+json" => Self::CloudEvent,
            "application/octet-stream" => Self::Binary,
            _ => Self::Text,
        }
    }
}

/// Wraps a payload in an envelope, or completes it if it is an envelope already. The metadata is looked at, not
/// attached: see [`Message::with`].
pub(crate) fn envelope(
    to: &Publication<'_>,
    payload: &Payload<'_>,
    metadata: Option<&Metadata>,
    id: impl FnOnce() -> String,
) -> Result<Message, NotJson> {
    let expires = metadata.and_then(ttl).map(|ttl| to.now.plus(ttl));
    let (value, mut head) = match Content::of(payload.content_type) {
        Content::CloudEvent => complete(to, payload, expires)?,
        content => fresh(to, payload, content, metadata, expires, id)?,
    };
    head.settled = payload.numbers == Numbers::Float64;
    Ok(Message { value: value.into(), headers: None, head })
}

/// A message of bytes as they are.
pub(crate) fn raw(value: Bytes) -> Message {
    let head = Head::read(&value);
    Message { value, headers: None, head }
}

/// A bulk entry's payload as a message of its own, without an envelope.
pub(crate) fn bare(payload: &Payload<'_>) -> Result<Message, NotJson> {
    match Content::of(payload.content_type) {
        Content::Json | Content::CloudEvent => {
            let mut value = Vec::with_capacity(payload.bytes.len());
            json::rewrite(payload.bytes, payload.numbers, &mut value)?;
            Ok(raw(value.into()))
        }
        Content::Binary | Content::Text => Ok(raw(Bytes::copy_from_slice(payload.bytes))),
    }
}

/// The envelope that a raw subscription gets around a message's bytes.
pub(crate) fn raw_delivery(value: &[u8], pubsub: &str, topic: &str, id: &str) -> Bytes {
    let mut out = Vec::with_capacity(256 + value.len() * 4 / 3);
    out.extend_from_slice(b"{\"data_base64\":\"");
    out.extend_from_slice(BASE64.encode(value).as_bytes());
    out.extend_from_slice(b"\",\"datacontenttype\":\"application/octet-stream\"");
    member(&mut out, "id", id);
    member(&mut out, "pubsubname", pubsub);
    member(&mut out, "source", "Dapr");
    member(&mut out, "specversion", "1.0");
    member(&mut out, "topic", topic);
    member(&mut out, "type", "com.dapr.event.sent");
    out.push(b'}');
    out.into()
}

fn member(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
    json::string(value, out);
}

fn fresh(
    to: &Publication<'_>,
    payload: &Payload<'_>,
    content: Content,
    metadata: Option<&Metadata>,
    expires: Option<Timestamp>,
    id: impl FnOnce() -> String,
) -> Result<(Vec<u8>, Head), NotJson> {
    let own = |name: &str| metadata.and_then(|m| m.get(name)).map(String::as_str).filter(|v| !v.is_empty());
    let content_type = if payload.content_type.is_empty() { "text/plain" } else { payload.content_type };
    let mut out = Vec::with_capacity(384 + payload.bytes.len());
    if content == Content::Binary {
        out.extend_from_slice(b"{\"data_base64\":\"");
        out.extend_from_slice(BASE64.encode(payload.bytes).as_bytes());
        out.push(b'"');
    } else {
        out.extend_from_slice(b"{\"data\":");
        let parsed = match content {
            Content::Json => json::rewrite(payload.bytes, payload.numbers, &mut out),
            Content::CloudEvent | Content::Binary | Content::Text => Err(NotJson(String::new())),
        };
        match parsed {
            Ok(()) => {}
            // In bulk it was JSON already: a number that no float holds refuses the request.
            Err(error) if content == Content::Json && payload.numbers == Numbers::Float64 => {
                return Err(error);
            }
            Err(_) => json::string(&String::from_utf8_lossy(payload.bytes), &mut out),
        }
    }
    member(&mut out, "datacontenttype", content_type);
    if let Some(expires) = expires {
        member(&mut out, "expiration", &whole_seconds(expires));
    }
    match own("cloudevent.id") {
        Some(own) => member(&mut out, "id", own),
        None => member(&mut out, "id", &id()),
    }
    member(&mut out, "pubsubname", to.pubsub);
    member(&mut out, "source", own("cloudevent.source").unwrap_or(to.app_id));
    member(&mut out, "specversion", "1.0");
    if let Some(subject) = own("cloudevent.subject") {
        member(&mut out, "subject", subject);
    }
    let trace_parent = own("cloudevent.traceparent").unwrap_or(to.trace_parent);
    member(&mut out, "time", &whole_seconds(to.now));
    member(&mut out, "topic", to.topic);
    member(&mut out, "traceid", own("cloudevent.traceid").unwrap_or(to.trace_parent));
    member(&mut out, "traceparent", trace_parent);
    member(&mut out, "tracestate", own("cloudevent.tracestate").unwrap_or(to.trace_state));
    member(&mut out, "type", own("cloudevent.type").unwrap_or("com.dapr.event.sent"));
    out.push(b'}');
    let trace = Some(trace_header(trace_parent));
    Ok((out, Head { event: true, trace, expires, settled: false }))
}

/// Fills in what a publisher's own envelope lacks. `id` and `datacontenttype` are never filled in; `topic` and
/// `pubsubname` are always ours; a trace of its own is kept only if the envelope has a `traceid`.
fn complete(
    to: &Publication<'_>,
    payload: &Payload<'_>,
    expires: Option<Timestamp>,
) -> Result<(Vec<u8>, Head), NotJson> {
    let mut members = Members::read(payload.bytes)?;
    members.sort();
    let given = |name: &str| members.get(name).is_some_and(|v| v.get() != "null");
    let traced = given("traceid");
    let now = whole_seconds(to.now);
    let until = expires.map(whole_seconds);
    let ours: [(&str, &str, bool); 10] = [
        ("expiration", until.as_deref().unwrap_or_default(), until.is_some()),
        ("pubsubname", to.pubsub, true),
        ("source", "Dapr", !given("source")),
        ("specversion", "1.0", !given("specversion")),
        ("time", &now, !given("time")),
        ("topic", to.topic, true),
        ("traceid", to.trace_parent, !traced),
        ("traceparent", to.trace_parent, !traced),
        ("tracestate", to.trace_state, !given("tracestate")),
        ("type", "com.dapr.event.sent", !given("type")),
    ];
    let mut head = Head::of(&members);
    if !traced {
        head.trace = Some(trace_header(to.trace_parent));
    }
    head.expires = expires.or(head.expires);
    let mut ours = ours.into_iter().filter(|(_, _, set)| *set).peekable();
    let mut out = Vec::with_capacity(256 + payload.bytes.len());
    for (key, value) in members.0 {
        while let Some((name, text, _)) = ours.next_if(|(name, _, _)| *name < &*key) {
            member(&mut out, name, text);
        }
        if let Some((name, text, _)) = ours.next_if(|(name, _, _)| *name == &*key) {
            member(&mut out, name, text);
            continue;
        }
        out.push(b',');
        json::string(&key, &mut out);
        out.push(b':');
        json::rewrite(value.get().as_bytes(), payload.numbers, &mut out)?;
    }
    for (name, text, _) in ours {
        member(&mut out, name, text);
    }
    // Every member was written with a comma before it, and `topic` is always there.
    out[0] = b'{';
    out.push(b'}');
    Ok((out, head))
}

/// How long a message may live: `ttlInSeconds` or `ttl` in any case, in whole seconds.
fn ttl(metadata: &Metadata) -> Option<Duration> {
    let named = |name: &str| name.eq_ignore_ascii_case("ttlInSeconds") || name.eq_ignore_ascii_case("ttl");
    let (_, text) = metadata.iter().find(|(name, _)| named(name))?;
    text.parse().ok().filter(|seconds| *seconds > 0).map(Duration::from_secs)
}

/// daprd stamps whole seconds.
fn whole_seconds(at: Timestamp) -> String {
    DateTime::from_timestamp_millis(at.millis())
        .unwrap_or(DateTime::UNIX_EPOCH)
        .to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests;
