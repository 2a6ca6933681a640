//! Bulk deliveries: many events in one body, each with its own metadata (daprd `bulksubscribe_events.go`).
//!
//! Takes the batch apart and keeps each event's bytes as they came, so that quarantine can keep them too. What is
//! inside is read like a single delivery.

use std::borrow::Cow;

use serde::de::{Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::Value;
use serde_json::value::RawValue;

use super::reason::{Reason, excerpt};
use super::wrapping::decode_base64;
use super::{Reading, Transport, read};

/// Most entries of a bulk delivery: a hundred times what daprd sends where nothing else is configured. Each costs
/// memory beyond its bytes, and a body of empty ones would cost many times its size.
pub const ENTRIES_MAX: usize = 10_000;
/// The longest text that is tried as base64, in bytes: what an event may have at most, and more than base64 and JSON's
/// escapes add to it. Decoding the text of a whole batch would take its memory three times over.
const ENCODED_MAX_BYTES: usize = 8 * 1024 * 1024;
/// Longest metadata that are read, in bytes: those of Kafka, headers included, are far shorter.
const METADATA_MAX_BYTES: usize = 64 * 1024;

/// One event of a bulk delivery.
#[derive(Clone, Debug)]
pub struct BulkEntry<'a> {
    /// What the reply must name.
    pub entry_id: String,
    /// The event's bytes: JSON as it stood in the batch, or what the base64 of a raw subscription holds.
    pub event: Cow<'a, [u8]>,
    broker_timestamp_ms: Option<i64>,
    offset: Option<u64>,
    traceparent: Option<String>,
    float_numbers: bool,
}

impl BulkEntry<'_> {
    /// What the entry's metadata says.
    #[must_use]
    pub fn transport(&self) -> Transport<'_> {
        Transport {
            broker_timestamp_ms: self.broker_timestamp_ms,
            offset: self.offset,
            traceparent: self.traceparent.as_deref(),
            float_numbers: self.float_numbers,
        }
    }

    /// Reads the event.
    #[must_use]
    pub fn read(&self) -> Reading {
        read(&self.event, &self.transport())
    }
}

#[derive(Deserialize)]
struct Bulk<'a> {
    #[serde(borrow, deserialize_with = "bounded")]
    entries: Vec<Entry<'a>>,
}

#[derive(Deserialize)]
struct Entry<'a> {
    #[serde(rename = "entryId")]
    entry_id: String,
    #[serde(borrow)]
    event: &'a RawValue,
    /// Read by itself: metadata of another shape must not cost the batch.
    #[serde(borrow)]
    metadata: Option<&'a RawValue>,
}

fn bounded<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Entry<'de>>, D::Error> {
    struct Entries;
    impl<'de> Visitor<'de> for Entries {
        type Value = Vec<Entry<'de>>;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            write!(f, "a list of at most {ENTRIES_MAX} entries")
        }

        fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut entries = Vec::new();
            while let Some(entry) = list.next_element()? {
                if entries.len() == ENTRIES_MAX {
                    return Err(A::Error::custom(format_args!("more than {ENTRIES_MAX} entries")));
                }
                entries.push(entry);
            }
            Ok(entries)
        }
    }
    deserializer.deserialize_seq(Entries)
}

/// Takes a bulk delivery apart.
///
/// # Errors
/// [`Reason::NotABulk`] where there are no entries or more than [`ENTRIES_MAX`], or one of them cannot be answered for want of an `entryId`.
pub fn read_bulk(body: &[u8]) -> Result<Vec<BulkEntry<'_>>, Reason> {
    let bulk: Bulk<'_> =
        serde_json::from_slice(body).map_err(|e| Reason::NotABulk { detail: excerpt(&e.to_string()) })?;
    Ok(bulk.entries.into_iter().map(open).collect())
}

fn open(entry: Entry<'_>) -> BulkEntry<'_> {
    let metadata = entry.metadata.filter(|raw| raw.get().len() <= METADATA_MAX_BYTES);
    let metadata = metadata.and_then(|raw| serde_json::from_str::<Value>(raw.get()).ok());
    let text = |key: &str| metadata.as_ref()?.get(key)?.as_str();
    // A raw subscription's event is base64 of bytes that nobody has parsed; JSON text is never base64.
    let event = entry.event.get();
    let text_in = (event.len() <= ENCODED_MAX_BYTES).then(|| serde_json::from_str::<String>(event).ok());
    let raw = text_in.flatten().and_then(|text| decode_base64(&text));
    BulkEntry {
        float_numbers: raw.is_none(),
        event: raw.map_or(Cow::Borrowed(event.as_bytes()), Cow::Owned),
        broker_timestamp_ms: text("__timestamp").and_then(|t| t.parse().ok()),
        offset: text("__offset").and_then(|t| t.parse().ok()),
        traceparent: text("traceparent").map(str::to_owned),
        entry_id: entry.entry_id,
    }
}
