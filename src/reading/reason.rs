//! Why bytes are no task event.
//!
//! Owns the stable codes that quarantine, counters and the API show, and the sentence for a person. A refusal is
//! always final: the same bytes are refused again, so none of these is worth a retry.

use thiserror::Error;

/// Most bytes of a foreign text that a reason repeats: enough to recognise it, too little to fill a log.
pub const EXCERPT_MAX_BYTES: usize = 64;

/// Why an event was refused.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Reason {
    /// No bytes, or white space alone.
    #[error("the body is empty; send a JSON object")]
    Empty,
    /// Not UTF-8, as JSON must be.
    #[error("the body is not UTF-8; JSON must be")]
    NotUtf8,
    /// Not JSON, or nested deeper than the parser goes.
    #[error("the body, or text wrapped in it, is not JSON: {detail}")]
    NotJson {
        /// What the parser said.
        detail: String,
    },
    /// JSON, but no object.
    #[error("an event is a JSON object, this is {found}")]
    NotAnObject {
        /// The JSON type found.
        found: &'static str,
    },
    /// `data_base64` that is not base64.
    #[error("`data_base64` is not base64")]
    NotBase64,
    /// Envelopes and JSON texts within each other beyond [`super::WRAPPINGS_MAX`].
    #[error("the event is wrapped more than {} times", super::WRAPPINGS_MAX)]
    WrappedTooOften,
    /// Nothing says what happened.
    #[error("nothing says what happened; send `event_type`, such as `task_created`")]
    KindMissing,
    /// Two keys disagree on what happened and neither is sure to speak of a task.
    #[error("what happened is not certain: one key says `{foreign}`, another `{verb}`; send `event_type`")]
    KindAmbiguous {
        /// The word that is not about a task.
        foreign: String,
        /// The word that would be.
        verb: String,
    },
    /// No task id where one can be.
    #[error(
        "no task id; send `task_id` in the payload (a flat event's own `id` may be the event's and is not taken)"
    )]
    TaskIdMissing,
    /// A task id that is neither text nor an exact integer, or is empty, too long or damaged.
    #[error("`{key}` is no task id: {why}")]
    TaskIdUnreadable {
        /// The key as the producer wrote it.
        key: String,
        /// What is wrong with it.
        why: String,
    },
    /// Two task ids that differ.
    #[error("two task ids, `{one}` and `{other}`; send one")]
    TaskIdAmbiguous {
        /// The first.
        one: String,
        /// The other.
        other: String,
    },
    /// A due date that cannot be read.
    #[error("`{key}` is no due date: {why}")]
    DueUnreadable {
        /// The key as the producer wrote it.
        key: String,
        /// What is wrong with it.
        why: String,
    },
    /// Two keys that state different due dates.
    #[error("`{one}` and `{other}` state different due dates; send one")]
    DueAmbiguous {
        /// The key believed first.
        one: String,
        /// The one that differs.
        other: String,
    },
    /// A due date in wall time of a zone that cannot be read.
    #[error("the due date is wall time in a zone that cannot be read: {why}")]
    ZoneUnreadable {
        /// What is wrong with it.
        why: String,
    },
    /// An update whose changes are not told in any known shape.
    #[error("`{key}` tells of changes in an unknown shape; send an object of {{\"old\", \"new\"}} by field")]
    ChangesUnreadable {
        /// The key as the producer wrote it.
        key: String,
    },
    /// A snooze that does not say, or not in a way that counts, when the reminder comes again.
    #[error("the snooze cannot be taken: {why}")]
    SnoozeUnreadable {
        /// What is wrong with it.
        why: String,
    },
    /// A user's preferences that do not say whose they are.
    #[error("nothing says whose preferences these are; send `user_id` in the payload")]
    UserMissing,
    /// A user id that is neither text nor an exact integer, or is empty or too long.
    #[error("`{key}` is no user id: {why}")]
    UserUnreadable {
        /// The key as the producer wrote it.
        key: String,
        /// What is wrong with it.
        why: String,
    },
    /// A user's preferences of which none can be read.
    #[error("none of the preferences can be read; `{key}`: {why}")]
    PreferencesUnreadable {
        /// The first key as the producer wrote it.
        key: String,
        /// What is wrong with it.
        why: String,
    },
    /// A body that is no bulk delivery: no `entries`, or an entry without `entryId` or `event`.
    #[error("the body is no bulk delivery: {detail}")]
    NotABulk {
        /// What the parser said.
        detail: String,
    },
}

impl Reason {
    /// The stable name of the reason, for counters and the API.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::NotUtf8 => "not_utf8",
            Self::NotJson { .. } => "not_json",
            Self::NotAnObject { .. } => "not_an_object",
            Self::NotBase64 => "not_base64",
            Self::WrappedTooOften => "wrapped_too_often",
            Self::KindMissing => "kind_missing",
            Self::KindAmbiguous { .. } => "kind_ambiguous",
            Self::TaskIdMissing => "task_id_missing",
            Self::TaskIdUnreadable { .. } => "task_id_unreadable",
            Self::TaskIdAmbiguous { .. } => "task_id_ambiguous",
            Self::DueUnreadable { .. } => "due_unreadable",
            Self::DueAmbiguous { .. } => "due_ambiguous",
            Self::ZoneUnreadable { .. } => "zone_unreadable",
            Self::ChangesUnreadable { .. } => "changes_unreadable",
            Self::SnoozeUnreadable { .. } => "snooze_unreadable",
            Self::UserMissing => "user_missing",
            Self::UserUnreadable { .. } => "user_unreadable",
            Self::PreferencesUnreadable { .. } => "preferences_unreadable",
            Self::NotABulk { .. } => "not_a_bulk",
        }
    }
}

/// `text`, or as much of it as a reason may repeat, marked with `…` where cut.
pub(super) fn excerpt(text: &str) -> String {
    cut(text, EXCERPT_MAX_BYTES)
}

/// `text` within `max` bytes: cut at a character boundary and marked with `…` where it is longer.
pub(super) fn cut(text: &str, max: usize) -> String {
    const MARK: &str = "…";
    if text.len() <= max {
        return text.to_owned();
    }
    let mut end = max.saturating_sub(MARK.len());
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    format!("{}{MARK}", &text[..end])
}
