//! Taking an event out of what it came in.
//!
//! Owns CloudEvents around CloudEvents, JSON in strings, `data_base64`, and the flat event whose own fields stand
//! beside the envelope's. Only `specversion` makes a CloudEvent: a bare message may own a key called `data`,
//! `type` or `source`. Knows nothing of tasks.

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use serde_json::{Map, Value};

use super::reason::{Reason, excerpt};

/// Most wrappings taken off, envelopes and JSON texts together: an own envelope inside Dapr's inside a raw
/// subscription's, each with its data as text, makes six.
pub const WRAPPINGS_MAX: usize = 8;

/// What a CloudEvent calls its own, which a flat event's fields stand beside (CloudEvents 1.0.2, and what
/// daprd adds).
const ATTRIBUTES: [&str; 14] = [
    "specversion",
    "id",
    "source",
    "type",
    "time",
    "subject",
    "datacontenttype",
    "dataschema",
    "traceparent",
    "traceid",
    "tracestate",
    "topic",
    "pubsubname",
    "expiration",
];

const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// An event out of its wrapping.
pub(super) struct Unwrapped {
    /// The envelopes it was in, the innermost first: the producer's own before Dapr's.
    pub(super) envelopes: Vec<Map<String, Value>>,
    /// The event itself.
    pub(super) body: Value,
}

/// Takes every wrapping off `bytes`. The body is whatever JSON was inside, an object or not.
pub(super) fn unwrap(bytes: &[u8]) -> Result<Unwrapped, Reason> {
    let mut envelopes = Vec::new();
    let mut value = parse(bytes)?;
    for _ in 0..=WRAPPINGS_MAX {
        value = match value {
            Value::String(text) => parse(text.as_bytes())?,
            Value::Object(map) if map.contains_key("specversion") => {
                let (envelope, inner) = open(map)?;
                envelopes.insert(0, envelope);
                match inner {
                    Inner::Wrapped(data) => data,
                    Inner::Beside(body) => return Ok(Unwrapped { envelopes, body: Value::Object(body) }),
                }
            }
            body => return Ok(Unwrapped { envelopes, body }),
        };
    }
    Err(Reason::WrappedTooOften)
}

enum Inner {
    Wrapped(Value),
    Beside(Map<String, Value>),
}

/// Splits a CloudEvent into its attributes and what it carries.
fn open(mut map: Map<String, Value>) -> Result<(Map<String, Value>, Inner), Reason> {
    match map.remove("data") {
        None | Some(Value::Null) => {}
        Some(data) => return Ok((map, Inner::Wrapped(data))),
    }
    if let Some(Value::String(text)) = map.remove("data_base64") {
        if map.get("source").and_then(Value::as_str) == Some("Dapr") {
            // A raw subscription's envelope: daprd draws a new id for every redelivery, so it names nothing.
            map.remove("id");
        }
        let bytes = decode_base64(&text).ok_or(Reason::NotBase64)?;
        return Ok((map, Inner::Wrapped(parse(&bytes)?)));
    }
    let mut envelope = Map::new();
    for name in ATTRIBUTES {
        if let Some((key, value)) = map.remove_entry(name) {
            envelope.insert(key, value);
        }
    }
    Ok((envelope, Inner::Beside(map)))
}

/// Decodes standard base64 with or without padding.
pub(super) fn decode_base64(text: &str) -> Option<Vec<u8>> {
    BASE64.decode(text.trim_ascii()).ok()
}

/// Parses JSON text as producers write it: a byte order mark is skipped, and half a surrogate pair (a title cut
/// in the middle of an emoji) becomes U+FFFD instead of costing the event.
pub(super) fn parse(bytes: &[u8]) -> Result<Value, Reason> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes).trim_ascii();
    if bytes.is_empty() {
        return Err(Reason::Empty);
    }
    let error = match serde_json::from_slice(bytes) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    if std::str::from_utf8(bytes).is_err() {
        return Err(Reason::NotUtf8);
    }
    repair_surrogates(bytes)
        .and_then(|repaired| serde_json::from_slice(&repaired).ok())
        .ok_or_else(|| Reason::NotJson { detail: excerpt(&error.to_string()) })
}

/// `bytes` with each `\uD800`–`\uDFFF` that has no partner written as `\uFFFD`; `None` where there is none.
fn repair_surrogates(bytes: &[u8]) -> Option<Vec<u8>> {
    let mut repaired: Option<Vec<u8>> = None;
    let mut at = 0;
    while at < bytes.len() {
        if bytes[at] != b'\\' {
            at += 1;
            continue;
        }
        let pair = (surrogate(bytes, at), surrogate(bytes, at + 6));
        at += match pair {
            (Some(Half::High), Some(Half::Low)) => 12,
            (Some(_), _) => {
                repaired.get_or_insert_with(|| bytes.to_vec())[at + 2..at + 6].copy_from_slice(b"fffd");
                6
            }
            // Any other escape is a backslash and a character; what follows `\u` are plain digits.
            (None, _) => 2,
        };
    }
    repaired
}

#[derive(Clone, Copy)]
enum Half {
    High,
    Low,
}

/// The half of a surrogate pair that the escape at `at` writes.
fn surrogate(bytes: &[u8], at: usize) -> Option<Half> {
    let digits = bytes.get(at..at + 6)?.strip_prefix(b"\\u")?;
    let unit = u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?;
    match unit {
        0xD800..=0xDBFF => Some(Half::High),
        0xDC00..=0xDFFF => Some(Half::Low),
        _ => None,
    }
}

/// What JSON calls the type of `value`, with its article.
pub(super) fn type_name(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}
