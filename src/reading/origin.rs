//! Where an event comes from: its ids, its stamps, its trace.
//!
//! Each is looked for from the event outwards: body, metadata, task object, then the envelopes from the inside
//! out. None of them can cost the event; one that cannot be read is treated as missing and noted.

use serde_json::Value;

use crate::domain::{CORRELATION_MAX_BYTES, PRODUCER, Refusal, Stamps, Timestamp};

use super::Transport;
use super::names::{Layer, Name};
use super::stamp;
use super::statements::Refused;
use super::task::Told;

/// Longest message id kept, in bytes; a longer one is as good as none.
const MESSAGE_ID_MAX_BYTES: usize = 256;
/// Longest producer's name kept, in bytes: it becomes a label.
const PRODUCER_MAX_BYTES: usize = 128;

/// The objects that may say where an event comes from, the most believed first.
fn layers<'t, 'a>(told: &'t Told<'a>) -> impl Iterator<Item = &'t Layer<'a>> {
    std::iter::once(&told.body).chain(&told.metadata).chain(&told.tasks).chain(&told.envelopes)
}

/// Every stamp that the event carries.
pub(super) fn stamps(
    told: &Told<'_>,
    envelopes: &[Object],
    transport: &Transport<'_>,
    refused: &mut Refused,
) -> Stamps {
    let mut event = None;
    for said in layers(told).flat_map(|layer| layer.all(Name::Timestamp)) {
        match stamp::stamp(said.value) {
            Ok(None) => {}
            Ok(found) => {
                event = found;
                break;
            }
            Err(reason) => refused.add(Refusal { key: said.key.to_owned(), reason }),
        }
    }
    let mut envelope = None;
    for value in envelopes.iter().filter_map(|envelope| envelope.get("time")) {
        match stamp::stamp(value) {
            Ok(None) => {}
            Ok(found) => {
                envelope = found;
                break;
            }
            Err(reason) => refused.add(Refusal { key: "time".to_owned(), reason }),
        }
    }
    // Kafka writes -1 where a record has no stamp.
    let broker = transport.broker_timestamp_ms.filter(|ms| *ms > 0).map(Timestamp::from_millis);
    Stamps { event, broker, envelope }
}

type Object = serde_json::Map<String, Value>;

/// The event's own id, else that of its innermost envelope.
pub(super) fn message_id(told: &Told<'_>, envelopes: &[Object]) -> Option<String> {
    let own = layers(told).find_map(|layer| layer.first(Name::EventId)).map(|said| said.value);
    let id = own.or_else(|| envelopes.iter().find_map(|envelope| envelope.get("id")))?;
    super::task::id_text(id).ok().filter(|id| (1..=MESSAGE_ID_MAX_BYTES).contains(&id.len()))
}

/// Who made the event. A task's own `source` is where the task came from, not the event; and an envelope of the
/// worker's own is around whatever apps had it publish, so it names nobody.
pub(super) fn producer(told: &Told<'_>) -> Option<String> {
    let mut own = std::iter::once(&told.body).chain(&told.metadata);
    let own = own.find_map(|layer| layer.text(Name::Producer));
    let around = || told.envelopes.iter().find_map(|layer| layer.text(Name::Producer));
    let name = own.or_else(|| around().filter(|name| *name != PRODUCER))?;
    (name.len() <= PRODUCER_MAX_BYTES).then(|| name.to_owned())
}

/// The chain of events that the event belongs to.
pub(super) fn correlation_id(told: &Told<'_>, refused: &mut Refused) -> Option<String> {
    let said = layers(told).find_map(|layer| layer.first(Name::CorrelationId))?;
    let id = super::task::id_text(said.value).and_then(|id| {
        let fits = id.len() <= CORRELATION_MAX_BYTES;
        fits.then_some(id).ok_or_else(|| format!("it is longer than {CORRELATION_MAX_BYTES} bytes"))
    });
    match id {
        Ok(id) => Some(id).filter(|id| !id.is_empty()),
        Err(reason) => {
            refused.add(Refusal { key: said.key.to_owned(), reason });
            None
        }
    }
}

/// The trace of the delivery's header, else of an envelope.
pub(super) fn trace_id(envelopes: &[Object], transport: &Transport<'_>) -> Option<[u8; 16]> {
    let of_envelopes = ["traceparent", "traceid"]
        .into_iter()
        .flat_map(|name| envelopes.iter().filter_map(move |envelope| envelope.get(name)?.as_str()));
    transport.traceparent.into_iter().chain(of_envelopes).find_map(parse_trace)
}

/// The trace id of a W3C `traceparent`, or of a trace id alone; all zeros is none.
fn parse_trace(text: &str) -> Option<[u8; 16]> {
    const ALONE: usize = 32;
    let hex = if text.len() == ALONE { text } else { text.split('-').nth(1)? };
    if hex.len() != ALONE || !hex.bytes().all(|b| b.is_ascii_hexdigit()) {
        return None;
    }
    u128::from_str_radix(hex, 16).ok().filter(|id| *id != 0).map(u128::to_be_bytes)
}
