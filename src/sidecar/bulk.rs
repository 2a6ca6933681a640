//! The body of a bulk publish: which entries it has, or why all of it is refused.
//!
//! One bad entry refuses the whole request, before anything is published.

use std::borrow::Cow;
use std::collections::HashSet;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::{Numbers, text_of};
use super::wrap::{Content, Metadata};

/// One event of a bulk publish.
#[derive(Debug)]
pub(crate) struct Entry<'a> {
    pub(crate) id: Cow<'a, str>,
    pub(crate) content_type: Cow<'a, str>,
    /// The payload.
    pub(crate) bytes: Cow<'a, [u8]>,
    /// Over HTTP daprd decodes JSON with the request, numbers as floats; over gRPC the bytes are the publisher's.
    pub(crate) numbers: Numbers,
    pub(crate) metadata: Option<Metadata>,
}

/// Why a bulk publish is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Refusal {
    /// The body is no array of entries.
    #[error("{0}")]
    Unreadable(String),
    /// An entry has no id, or one that another has too.
    #[error("entryId is duplicated or not present for entry")]
    EntryId,
    /// An entry's event is not what its content type says.
    #[error("error: mismatch between contentType and event")]
    Mismatch,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sent<'a> {
    #[serde(borrow, default)]
    entry_id: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    event: Option<&'a RawValue>,
    #[serde(borrow, default)]
    content_type: Option<Cow<'a, str>>,
    #[serde(default)]
    metadata: Option<Metadata>,
}

/// Reads the entries of a bulk publish.
pub(crate) fn entries(body: &[u8]) -> Result<Vec<Entry<'_>>, Refusal> {
    let sent: Vec<Sent<'_>> = serde_json::from_slice(body).map_err(|e| unreadable(body, &e))?;
    told_apart(sent.iter().map(|entry| entry.entry_id.as_deref().unwrap_or_default()))?;
    sent.into_iter()
        .map(|entry| {
            let content_type = entry.content_type.unwrap_or_default();
            let bytes = payload(&content_type, entry.event).ok_or(Refusal::Mismatch)?;
            let id = entry.entry_id.unwrap_or_default();
            Ok(Entry { id, content_type, bytes, numbers: Numbers::Float64, metadata: entry.metadata })
        })
        .collect()
}

/// Every entry has an id, and no two have the same.
pub(crate) fn told_apart<'a>(ids: impl Iterator<Item = &'a str>) -> Result<(), Refusal> {
    let mut seen = HashSet::new();
    for id in ids {
        if id.is_empty() || !seen.insert(id) {
            return Err(Refusal::EntryId);
        }
    }
    Ok(())
}

fn payload<'a>(content_type: &str, event: Option<&'a RawValue>) -> Option<Cow<'a, [u8]>> {
    let event = event?;
    let as_sent = Cow::Borrowed(event.get().as_bytes());
    match Content::of(content_type) {
        Content::Json => Some(as_sent),
        Content::CloudEvent => event.get().starts_with('{').then_some(as_sent),
        Content::Binary => BASE64.decode(&*text_of(event)?).ok().map(Cow::Owned),
        Content::Text if is_text(content_type) => Some(match text_of(event)? {
            Cow::Borrowed(text) => Cow::Borrowed(text.as_bytes()),
            Cow::Owned(text) => Cow::Owned(text.into_bytes()),
        }),
        Content::Text => None,
    }
}

fn is_text(content_type: &str) -> bool {
    content_type.get(..5).is_some_and(|start| start.eq_ignore_ascii_case("text/"))
}

/// The words of Go's decoder for a body that is no array of entries.
fn unreadable(body: &[u8], error: &serde_json::Error) -> Refusal {
    let kind = match body.trim_ascii_start().first() {
        Some(b'{') => "object",
        Some(b'"') => "string",
        Some(b't' | b'f') => "bool",
        Some(b'-' | b'0'..=b'9') => "number",
        _ => return Refusal::Unreadable(error.to_string()),
    };
    Refusal::Unreadable(format!(
        "json: cannot unmarshal {kind} into Go value of type []http.bulkPublishMessageEntry"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_bad_entry_refuses_the_whole_request() {
        for (body, refusal) in [
            (r#"[{"event":{},"contentType":"application/json"}]"#, Refusal::EntryId),
            (r#"[{"entryId":"","event":{},"contentType":"application/json"}]"#, Refusal::EntryId),
            (
                r#"[{"entryId":"1","event":1,"contentType":"application/json"},
                    {"entryId":"1","event":1,"contentType":"application/json"}]"#,
                Refusal::EntryId,
            ),
            (r#"[{"entryId":"1","event":{}}]"#, Refusal::Mismatch),
            (r#"[{"entryId":"1","contentType":"application/json"}]"#, Refusal::Mismatch),
            (r#"[{"entryId":"1","event":{},"contentType":"text/plain"}]"#, Refusal::Mismatch),
            (r#"[{"entryId":"1","event":"x","contentType":"image/png"}]"#, Refusal::Mismatch),
            (
                r#"[{"entryId":"1","event":[],"contentType":"application/cloudevents+json"}]"#,
                Refusal::Mismatch,
            ),
            (r#"[{"entryId":"1","event":"?","contentType":"application/octet-stream"}]"#, Refusal::Mismatch),
        ] {
            assert_eq!(entries(body.as_bytes()).err(), Some(refusal), "{body}");
        }
        for body in ["{}", "1", "", "[1]", r#"[{"entryId":1}]"#, r#"[{"entryId":"1","metadata":{"a":1}}]"#] {
            assert!(matches!(entries(body.as_bytes()), Err(Refusal::Unreadable(_))), "{body}");
        }
    }

    #[test]
    fn events_are_read_by_their_content_type() {
        let body = r#"[{"entryId":"1","event":{"b":1.0,"a":2},"contentType":"application/json","other":1},
            {"entryId":"2","event":"x","contentType":"application/json"},
            {"entryId":"3","event":"a\nb","contentType":"text/plain","metadata":{"k":"v"}},
            {"entryId":"4","event":"YWJj","contentType":"application/octet-stream"}]"#;
        let read: Vec<Vec<u8>> =
            entries(body.as_bytes()).unwrap().into_iter().map(|e| e.bytes.into_owned()).collect();
        assert_eq!(read, [&br#"{"b":1.0,"a":2}"#[..], br#""x""#, b"a\nb", b"abc"]);
    }
}
