//! What producers call things: one table from a key's spelling to what it names.
//!
//! Keys are compared without case, `_` and `-`: `due_date`, `dueDate` and `Due-Date` are one spelling. Among
//! spellings of one name the table's order says which is believed first.

use std::cmp::Ordering;
use std::sync::LazyLock;

use serde_json::{Map, Value};

use crate::domain::Field;

/// Longest key looked at, in bytes: no name comes near it, and a longer key would only cost time.
const KEY_MAX_BYTES: usize = 48;

/// Most known keys of one object that are looked at: more than there are spellings, and few enough that comparing
/// all with all stays cheap. Only spelling one name over and over (`t_ask_id`, `ta_sk_id`) gets there.
pub(super) const KNOWN_KEYS_MAX: usize = 96;

/// What a key names.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Name {
    /// What happened, said by a key made for it.
    EventType,
    /// What happened, or something else that goes by such a general word.
    Action,
    /// An object about the event.
    Metadata,
    /// The task as an object.
    Task,
    /// The task's id, by its full name.
    TaskId,
    /// The id of whatever the object is.
    Id,
    /// The event's id.
    EventId,
    /// When the event was made.
    Timestamp,
    /// The chain of events.
    CorrelationId,
    /// Who made the event.
    Producer,
    /// Changes by field.
    Changes,
    /// The names of what changed.
    ChangedFields,
    /// The task before an update.
    Before,
    /// The task after an update.
    After,
    /// When a snoozed reminder comes again.
    Until,
    /// In how many minutes it does.
    Minutes,
    /// The occurrence that something is about.
    Occurrence,
    /// The reminder that something is about.
    ReminderId,
    /// A field of the task.
    Field(Says),
}

/// How a key states a field of the task.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(super) enum Says {
    /// The field's own value.
    Plain(Field),
    /// Whether the task is done, in place of a status.
    Completed,
    /// Offsets before due in this many seconds each, where they are bare numbers.
    OffsetsOf(u32),
}

impl Says {
    /// The field that is stated.
    pub(super) fn field(self) -> Field {
        match self {
            Self::Plain(field) => field,
            Self::Completed => Field::Status,
            Self::OffsetsOf(_) => Field::Offsets,
        }
    }
}

const fn plain(field: Field) -> Name {
    Name::Field(Says::Plain(field))
}

/// How the reminders after due may be called too, where it is no statement that the task is overdue.
pub(super) const OVERDUE: &str = "overdue";

const SECONDS: Name = Name::Field(Says::OffsetsOf(1));
const MINUTES: Name = Name::Field(Says::OffsetsOf(60));
const HOURS: Name = Name::Field(Says::OffsetsOf(3600));
const DAYS: Name = Name::Field(Says::OffsetsOf(86_400));

#[rustfmt::skip]
pub(super) const SPELLINGS: [(Name, &[&str]); 33] = [
    (Name::EventType,           &["event_type"]),
    (Name::Action,              &["type", "action", "update_type", "change_type"]),
    (Name::Metadata,            &["metadata", "meta", "headers", "header"]),
    (Name::Task,                &["payload", "task_data", "data", "task"]),
    (Name::TaskId,              &["task_id"]),
    (Name::Id,                  &["id"]),
    (Name::EventId,             &["event_id"]),
    (Name::Timestamp,           &["timestamp", "event_timestamp", "event_time", "occurred_at"]),
    (Name::CorrelationId,       &["correlation_id"]),
    (Name::Producer,            &["producer", "source"]),
    (Name::Changes,             &["changes", "updates", "updated_fields"]),
    (Name::ChangedFields,       &["changed_fields"]),
    (Name::Before,              &["before", "old", "old_value", "old_values", "from", "previous"]),
    (Name::After,               &["after", "new", "new_value", "new_values", "to", "current"]),
    (plain(Field::User),        &["user_id", "owner_id", "assignee_id"]),
    (plain(Field::Title),       &["title", "task_title", "task_name", "name"]),
    (plain(Field::Priority),    &["priority"]),
    (plain(Field::Status),      &["status"]),
    (Name::Field(Says::Completed), &["completed", "is_completed", "done", "is_done"]),
    (plain(Field::Due),         &["due_date", "due_at", "due"]),
    (plain(Field::Zone),        &["timezone", "tz", "zone", "user_timezone"]),
    (MINUTES,                   &["reminder_offsets", "reminder_offset", "reminder_offset_minutes",
                                  "reminder_offsets_minutes", "reminder_minutes", "reminder_minutes_before"]),
    (SECONDS,                   &["reminder_offset_seconds"]),
    (HOURS,                     &["reminder_offset_hours"]),
    (DAYS,                      &["reminder_offset_days"]),
    (plain(Field::RemindAt),    &["remind_at", "reminder_at", "reminder_time", "reminder_times", "scheduled_time",
                                  "trigger_at"]),
    (plain(Field::Tags),        &["tags"]),
    (plain(Field::Recurrence),  &["recurrence", "recurrence_rule", "rrule"]),
    (plain(Field::Nags),        &["overdue_reminders", "overdue_reminder", "nag", "nags", OVERDUE]),
    (Name::Until,               &["until", "snooze_until", "snoozed_until"]),
    (Name::Minutes,             &["minutes", "snooze_minutes", "snooze_for"]),
    (Name::Occurrence,          &["occurrence"]),
    (Name::ReminderId,          &["reminder_id"]),
];

/// Sorted by length, then text: most comparisons are of two numbers, and no key is worth a hash.
static BY_SPELLING: LazyLock<Vec<(String, Name, u8)>> = LazyLock::new(|| {
    let spellings = SPELLINGS.iter().flat_map(|(name, keys)| keys.iter().map(move |key| (*name, *key)));
    let normal = |key: &str| key.replace('_', "");
    let mut table: Vec<_> =
        (0..).zip(spellings).map(|(rank, (name, key))| (normal(key), name, rank)).collect();
    table.sort_by(|(a, ..), (b, ..)| by_length(a, b));
    table
});

fn by_length(a: &str, b: &str) -> Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// What the key `key` names, and how early among its spellings it is believed.
pub(super) fn lookup(key: &str) -> Option<(Name, u8)> {
    if key.len() > KEY_MAX_BYTES {
        return None;
    }
    let mut buffer = [0_u8; KEY_MAX_BYTES];
    let mut length = 0;
    for byte in key.bytes().filter(|b| !matches!(b, b'_' | b'-')) {
        buffer[length] = byte.to_ascii_lowercase();
        length += 1;
    }
    let normal = std::str::from_utf8(&buffer[..length]).ok()?;
    let at = BY_SPELLING.binary_search_by(|(spelling, ..)| by_length(spelling, normal)).ok()?;
    let (_, name, rank) = BY_SPELLING[at];
    Some((name, rank))
}

/// A key of an object that names something, with its value.
#[derive(Clone, Copy)]
pub(super) struct Said<'a> {
    pub(super) name: Name,
    pub(super) key: &'a str,
    pub(super) value: &'a Value,
    rank: u8,
}

/// An object's known keys, in the order in which they are believed.
pub(super) struct Layer<'a>(Vec<Said<'a>>);

impl<'a> Layer<'a> {
    /// The known keys of `map`.
    pub(super) fn of(map: &'a Map<String, Value>) -> Self {
        let mut said: Vec<_> = map
            .iter()
            .filter_map(|(key, value)| {
                let (name, rank) = lookup(key)?;
                Some(Said { name, key, value, rank })
            })
            .take(KNOWN_KEYS_MAX)
            .collect();
        // Stable: among equal spellings such as `taskId` and `task_id` the order of the keys themselves decides.
        said.sort_by_key(|said| said.rank);
        Self(said)
    }

    /// Everything said, in the order in which it is believed.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Said<'a>> {
        self.0.iter()
    }

    /// Everything said of `name`.
    pub(super) fn all(&self, name: Name) -> impl Iterator<Item = &Said<'a>> {
        self.0.iter().filter(move |said| said.name == name)
    }

    /// The first thing said of `name` that is not null.
    pub(super) fn first(&self, name: Name) -> Option<&Said<'a>> {
        self.all(name).find(|said| !said.value.is_null())
    }

    /// The first object said to be `name`.
    pub(super) fn object(&self, name: Name) -> Option<&'a Map<String, Value>> {
        self.all(name).find_map(|said| said.value.as_object())
    }

    /// The first text said of `name` that is not empty.
    pub(super) fn text(&self, name: Name) -> Option<&'a str> {
        self.all(name).find_map(|said| said.value.as_str().filter(|text| !text.trim().is_empty()))
    }
}
