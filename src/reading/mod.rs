//! Bytes to events, in every wrapping and dialect that producers of tasks send.
//!
//! Pure functions from a delivery's bytes and headers to an [`Event`], or to why there is none. An event is
//! accepted only when its task, its kind and, where it has one, its due date are certain; an extra that cannot be
//! read is refused alone. Any bytes have an answer: nothing here panics, and the work is linear in the bytes.
//!
//! One file a noun: `wrapping` (envelopes), `names` (the table of keys), `kind`, `task` (where the task is and its
//! id), `changes` (shapes of updates), `statements` (field by field), `extras`, `nags` (reminders after due), `actions`
//! (snoozes and acknowledgements), `stamp` (dates), `origin` (ids, stamps, trace), `preferences` (what users wish), `mentions` (whose a body is, read or
//! not), `bulk` (bulk deliveries), `contract` and `checks` (what the publishing API demands), `reason`.
//!
//! Must never know: a store, a clock, HTTP, or what the worker makes of an event.

mod actions;
mod bulk;
mod changes;
mod checks;
mod contract;
mod extras;
mod kind;
mod mentions;
mod nags;
mod names;
mod origin;
mod preferences;
mod reason;
mod stamp;
mod statements;
mod task;
mod wrapping;

use serde_json::{Map, Value};
use uuid::Uuid;

use crate::domain::digest::DIGEST_MEMBERS_MAX;
use crate::domain::{
    CANARY_EVENT, Due, Event, Kind, PRODUCER, PreferencesChange, Said, TaskId, Timestamp, Zone, is_canary,
};

pub use bulk::{BulkEntry, ENTRIES_MAX, read_bulk};
pub use contract::{EventType, PROBLEMS_MAX, Problem, Topic, ValidEvent, ValidationError, validate};
pub use mentions::{mentions, names_user, task_of};
pub use preferences::{read_wishes, user_id};
pub use reason::{EXCERPT_MAX_BYTES, Reason};
pub use wrapping::WRAPPINGS_MAX;

use kind::Subject;
use statements::Refused;
use task::Told;

/// What the transport says of a delivery, from its headers or its bulk entry's metadata.
#[derive(Clone, Copy, Default, Debug)]
pub struct Transport<'a> {
    /// The broker's `__timestamp`, in milliseconds.
    pub broker_timestamp_ms: Option<i64>,
    /// The broker's `__offset`.
    pub offset: Option<u64>,
    /// The header `traceparent`.
    pub traceparent: Option<&'a str>,
    /// Whether the event's numbers went through a 64-bit float, as daprd's bulk deliveries do.
    pub float_numbers: bool,
}

/// What bytes turned out to be.
#[derive(Clone, PartialEq, Debug)]
pub enum Reading {
    /// A task event.
    Event(Box<Event>),
    /// A change of a user's preferences.
    Preferences(Box<PreferencesChange>),
    /// Surely not for us: to be acknowledged and counted.
    Ignored(Ignored),
    /// No certain event: to be dropped and kept in quarantine with the reason.
    Refused(Reason),
}

/// What is surely not for us.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Ignored {
    /// A record without a value: Kafka's mark for "delete this key".
    Tombstone,
    /// A `reminder_due` or a `reminder_digest`.
    Reminder,
    /// Another kind of event, as its producer spelled it (an excerpt).
    Unrelated(String),
}

impl std::fmt::Display for Ignored {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Tombstone => f.write_str("it has no value, as Kafka marks a key that is deleted"),
            Self::Reminder => f.write_str("it is a reminder, which the worker makes itself"),
            Self::Unrelated(word) => write!(
                f,
                "`{word}` is no kind that is known; those are task_created, task_updated, task_completed, task_deleted, \
                 reminder_snoozed, reminder_acknowledged and user_preferences_updated"
            ),
        }
    }
}

impl Ignored {
    /// The stable name of the reason, for counters.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Tombstone => "tombstone",
            Self::Reminder => "reminder_due",
            Self::Unrelated(_) => "unrelated",
        }
    }
}

/// Reads one delivery.
#[must_use]
pub fn read(body: &[u8], transport: &Transport<'_>) -> Reading {
    match try_read(body, transport) {
        Ok(reading) => reading,
        Err(reason) => Reading::Refused(reason),
    }
}

fn try_read(bytes: &[u8], transport: &Transport<'_>) -> Result<Reading, Reason> {
    let unwrapped = task::open(bytes)?;
    let Some(body) = unwrapped.body.as_object() else { return Ok(Reading::Ignored(Ignored::Tombstone)) };
    let told = Told::of(&unwrapped.envelopes, body);
    let kind = match told.subject()? {
        Subject::Task(kind) => kind,
        Subject::Canary if told.task_id(true).is_ok_and(|task| is_canary(&task)) => Kind::Created,
        Subject::Canary => return Ok(Reading::Ignored(Ignored::Unrelated(CANARY_EVENT.to_owned()))),
        Subject::Reminder | Subject::Digest => return Ok(Reading::Ignored(Ignored::Reminder)),
        Subject::Preferences => return preferences(&told, body, &unwrapped.envelopes, transport),
        Subject::Foreign(word) => return Ok(Reading::Ignored(Ignored::Unrelated(word))),
    };
    let mut refused = Refused::default();
    let task_id = told.task_id(!transport.float_numbers)?;
    let stamps = origin::stamps(&told, &unwrapped.envelopes, transport, &mut refused);
    let statements = match kind {
        Kind::Created | Kind::Updated => statements::read(&told, &mut refused)?,
        // The kind says it all. What else is told must not be able to cost a completion or a deletion.
        Kind::Completed | Kind::Deleted => Vec::new(),
        Kind::Snoozed => vec![actions::snooze(&told, &stamps, &mut refused)?],
        Kind::Acknowledged => vec![actions::acknowledgement(&told, &mut refused)],
    };
    Ok(Reading::Event(Box::new(Event {
        kind,
        task_id,
        stamps,
        offset: transport.offset.unwrap_or(0),
        message_id: origin::message_id(&told, &unwrapped.envelopes),
        producer: origin::producer(&told),
        correlation_id: origin::correlation_id(&told, &mut refused),
        trace_id: origin::trace_id(&unwrapped.envelopes, transport),
        statements,
        refused: refused.into_vec(),
    })))
}

/// Reads a change of a user's preferences.
fn preferences(
    told: &Told<'_>,
    body: &Map<String, Value>,
    envelopes: &[Map<String, Value>],
    transport: &Transport<'_>,
) -> Result<Reading, Reason> {
    let mut refused = Refused::default();
    let (user, wishes) = preferences::read(body, &mut refused)?;
    let said = Said::Event {
        stamps: origin::stamps(told, envelopes, transport, &mut refused),
        offset: transport.offset.unwrap_or(0),
        message_id: origin::message_id(told, envelopes),
        producer: origin::producer(told),
    };
    Ok(Reading::Preferences(Box::new(PreferencesChange { user, said, wishes, refused: refused.into_vec() })))
}

/// A due date in any form that events state one in; `None` for null and for empty text.
///
/// # Errors
/// What is wrong with it, and what to write.
pub fn read_due(value: &Value) -> Result<Option<Due>, String> {
    stamp::due(value)
}

/// A zone as events state one; `None` for null and for empty text.
///
/// # Errors
/// What is wrong with it, and what to write.
pub fn read_zone(value: &Value) -> Result<Option<Zone>, String> {
    statements::zone(value)
}

/// A reminder of ours that came back through the broker.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Receipt {
    /// Its `event_id`.
    pub event_id: Uuid,
    /// The task it reminds of.
    pub task_id: TaskId,
    /// When it was planned for, which is its `timestamp`; `None` where its `producer` is none of our workers.
    pub planned_at: Option<Timestamp>,
    /// The `event_id` of the digest that it came back in with others; `None` where it came alone.
    pub digest_id: Option<Uuid>,
}

/// Reads back a `reminder_due`, or the reminders of a `reminder_digest`, in any wrapping; nothing for anything else.
#[must_use]
pub fn read_receipts(body: &[u8]) -> Vec<Receipt> {
    let Ok(unwrapped) = task::open(body) else { return Vec::new() };
    let Some(body) = unwrapped.body.as_object() else { return Vec::new() };
    let told = Told::of(&unwrapped.envelopes, body);
    let ours = origin::producer(&told).as_deref() == Some(PRODUCER);
    let stamps =
        || origin::stamps(&told, &unwrapped.envelopes, &Transport::default(), &mut Refused::default());
    let planned_at = ours.then(stamps).and_then(|stamps| stamps.event).map(|stamp| stamp.at);
    let event_id = || origin::message_id(&told, &unwrapped.envelopes).and_then(|id| id.parse::<Uuid>().ok());
    match told.subject() {
        Ok(Subject::Reminder | Subject::Canary) => {
            let alone = event_id().zip(told.task_id(true).ok());
            let of = |(event_id, task_id)| Receipt { event_id, task_id, planned_at, digest_id: None };
            alone.map(of).into_iter().collect()
        }
        Ok(Subject::Digest) => {
            let Some(digest_id) = event_id() else { return Vec::new() };
            let items = body.get("payload").and_then(|payload| payload.get("items")?.as_array());
            let of = |item: &Value| {
                let event_id = item.get("reminder_id")?.as_str()?.parse().ok()?;
                let task_id = task::task_id(item.get("task_id")?.as_str()?.to_owned()).ok()?;
                Some(Receipt { event_id, task_id, planned_at, digest_id: Some(digest_id) })
            };
            items.into_iter().flatten().take(DIGEST_MEMBERS_MAX).filter_map(of).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests;
