//! A planned reminder: what it is for, what identifies it, and where it stands.
//!
//! Owns **invariant 3 (one identity)**: the id is UUIDv5 of the length-prefixed task id, occurrence and
//! rule, so the same cause has the same id in every life of the worker. Knows no envelope and no store.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::due::Moment;
use super::event::TaskId;
use super::expiry::Expiry;
use super::time::Timestamp;

/// Longest reason kept with a reminder, in bytes.
pub const REASON_MAX_BYTES: usize = 256;

/// The namespace of reminder ids: UUIDv5 of the DNS name `reminder-worker`, fixed for ever.
const NAMESPACE: Uuid = Uuid::from_bytes([
    0x15, 0xea, 0x46, 0x26, 0xc9, 0x0a, 0x53, 0x8f, 0x9c, 0xf0, 0x3a, 0xf8, 0x77, 0x74, 0xd6, 0x34,
]);

/// A reminder's identity, also the `event_id` it is published under.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(from = "[u8; 16]", into = "[u8; 16]")]
pub struct ReminderId(Uuid);

impl ReminderId {
    /// The id of the reminder that `rule` makes for `occurrence` of `task`: RFC 9562 UUID version 5 over
    /// each part's length (u32, big-endian) and bytes.
    #[must_use]
    pub fn of(task: &TaskId, occurrence: Option<Moment>, rule: Rule) -> Self {
        let occurrence = occurrence.map_or_else(String::new, |o| o.to_string());
        let rule = rule.to_string();
        Self::named([task.as_str(), &occurrence, &rule].map(str::as_bytes))
    }

    /// RFC 9562 UUID version 5 over each part's length (u32, big-endian) and bytes.
    pub(super) fn named<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> Self {
        let mut name = Vec::with_capacity(96);
        for part in parts {
            // Each part is bounded far below 4 GiB.
            name.extend_from_slice(&u32::try_from(part.len()).unwrap_or(u32::MAX).to_be_bytes());
            name.extend_from_slice(part);
        }
        Self(Uuid::new_v5(&NAMESPACE, &name))
    }

    /// The id from its 16 bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(Uuid::from_bytes(bytes))
    }

    /// The id's 16 bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }
}

impl From<[u8; 16]> for ReminderId {
    fn from(bytes: [u8; 16]) -> Self {
        Self::from_bytes(bytes)
    }
}

impl From<ReminderId> for [u8; 16] {
    fn from(id: ReminderId) -> Self {
        *id.as_bytes()
    }
}

impl From<Uuid> for ReminderId {
    fn from(id: Uuid) -> Self {
        Self(id)
    }
}

impl fmt::Display for ReminderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What made a reminder. The parameter is part of it: another parameter is another reminder.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum Rule {
    /// So many minutes before the occurrence's due date.
    Offset(u32),
    /// At a stated time, whatever the due date is.
    At(Moment),
    /// So many-th after due, while the task is not done; from 1.
    Nag(u32),
    /// Snoozed until this instant.
    Snooze(Timestamp),
}

impl Rule {
    /// Whether it makes a reminder of every occurrence.
    #[must_use]
    pub fn comes_again(self) -> bool {
        matches!(self, Self::Offset(_) | Self::Nag(_))
    }
}

impl fmt::Display for Rule {
    /// `offset:15`, `at:2026-11-24T09:00:00.000Z`, `nag:2` or `snooze:2026-11-24T09:10:00.000Z`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Offset(minutes) => write!(f, "offset:{minutes}"),
            Self::At(moment) => write!(f, "at:{moment}"),
            Self::Nag(number) => write!(f, "nag:{number}"),
            Self::Snooze(until) => write!(f, "snooze:{until}"),
        }
    }
}

/// Where a reminder stands; each is in exactly one state at any time (**invariant 5**).
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
pub enum State {
    /// It will fire.
    Pending,
    /// It went out; or it may have, and will not be tried again.
    Published,
    /// Its task ended, or lost its due date.
    Cancelled,
    /// Its task's due date or rules changed; or it was missed, and a later one fires instead.
    Superseded,
    /// Its time was past when it came to be, or it could not be sent within `expire_after`; or it was missed, and missed
    /// ones are skipped.
    Expired,
}

impl State {
    /// Every state, in the order of the counters.
    pub const ALL: [Self; 5] =
        [Self::Pending, Self::Published, Self::Cancelled, Self::Superseded, Self::Expired];

    /// Its name in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Published => "published",
            Self::Cancelled => "cancelled",
            Self::Superseded => "superseded",
            Self::Expired => "expired",
        }
    }
}

impl std::str::FromStr for State {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|s| s.name() == name).ok_or_else(|| {
            format!("`{name}` is no state; use one of pending, published, cancelled, superseded, expired")
        })
    }
}

/// Why a reminder ended that must not come back, whatever is heard of its task later, where its state alone does not say
/// so. Kept as a number: the words of a reason are for people, and decide nothing.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Cause {
    /// Its user is muted.
    Muted,
    /// It fell into its user's quiet hours, which drop reminders.
    Quiet,
    /// It was past when it was imported.
    PastAtImport,
    /// It was missed, and a person has answered the one that was to fire instead.
    Answered,
}

impl Cause {
    /// Every cause.
    pub const ALL: [Self; 4] = [Self::Muted, Self::Quiet, Self::PastAtImport, Self::Answered];

    /// The reason for a person.
    #[must_use]
    pub fn reason(self) -> &'static str {
        match self {
            Self::Muted => "muted by its user",
            Self::Quiet => "in its user's quiet hours, which drop reminders",
            Self::PastAtImport => "it was past when it was imported",
            Self::Answered => {
                "missed; the one that was to fire instead was called off, acknowledged or snoozed"
            }
        }
    }
}

/// One planned reminder of a task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reminder {
    /// The due date it is for, as the task stated it; `None` for explicit times.
    pub occurrence: Option<Moment>,
    /// What made it.
    pub rule: Rule,
    /// When it is to fire.
    pub fire_at: Timestamp,
    /// The instant that its rule names, where quiet hours or the like moved it from there.
    pub moved_from: Option<Timestamp>,
    /// Where it stands.
    pub state: State,
    /// When it got into its final state; for a published one, when that was known.
    pub settled_at: Option<Timestamp>,
    /// An attempt ended without an answer, or may have been forgotten with a store that was lost: it may have gone out.
    pub maybe_out: bool,
    /// Decided while an attempt was under way: what it becomes unless the attempt turns out to have succeeded.
    pub leaving: Option<State>,
    /// Failed attempts so far.
    pub attempts: u32,
    /// When the next attempt is due, after a failed one; of one that left after that and may have gone out, when it would
    /// have been.
    pub next_attempt: Option<Timestamp>,
    /// Why it is where it is, for people; at most [`REASON_MAX_BYTES`].
    pub reason: Option<String>,
    /// Why it must not come back, having ended.
    pub cause: Option<Cause>,
    /// When it came back through the broker.
    pub received_at: Option<Timestamp>,
    /// The event it goes out in together with others, once that has been tried; of one that was missed and superseded, the
    /// reminder that fires instead, as long as that stands.
    pub within: Option<ReminderId>,
    /// The number of the note in its task's history that tells why it was planned.
    pub planned_by: Option<u32>,
    /// The number of the note that tells why it left the plan.
    pub ended_by: Option<u32>,
}

impl Reminder {
    /// Whether `other` is the same at another time: of the same occurrence, by the same rule.
    pub(super) fn is(&self, other: &Self) -> bool {
        self.occurrence == other.occurrence && self.rule == other.rule
    }

    /// A reminder that will fire at `fire_at`.
    #[must_use]
    pub fn pending(occurrence: Option<Moment>, rule: Rule, fire_at: Timestamp) -> Self {
        Self {
            occurrence,
            rule,
            fire_at,
            moved_from: None,
            state: State::Pending,
            settled_at: None,
            maybe_out: false,
            leaving: None,
            attempts: 0,
            next_attempt: None,
            reason: None,
            cause: None,
            received_at: None,
            within: None,
            planned_by: None,
            ended_by: None,
        }
    }

    /// Takes down that it may have gone out in hours of which the store knows nothing, now that it ends or leaves the plan.
    /// Accepted: that it went out ahead of its instant in those hours, in a digest or before quiet hours, is not known.
    /// While it is planned it is no other than one that never went out: it fires, for the first time or once more.
    pub fn doubt(&mut self, expiry: Expiry) {
        // Where it stands now it may have been moved since.
        self.maybe_out |= expiry.is_in_doubt(self.fire_at.min(self.instant()), self.late_from());
    }

    /// Whether its time has come, where it was moved to or by its rule.
    #[must_use]
    pub fn is_past(&self, now: Timestamp) -> bool {
        self.fire_at.min(self.instant()) <= now
    }

    /// The instant that its rule names, wherever it was moved.
    #[must_use]
    pub fn instant(&self) -> Timestamp {
        self.moved_from.unwrap_or(self.fire_at)
    }

    /// Its identity within `task`.
    #[must_use]
    pub fn id(&self, task: &TaskId) -> ReminderId {
        ReminderId::of(task, self.occurrence, self.rule)
    }

    /// When the tick looks at it: at its instant, or at its next attempt if that is later. A clock that stepped
    /// back during an attempt may have put that before the instant.
    #[must_use]
    pub fn wakes_at(&self) -> Timestamp {
        self.fire_at.max(self.next_attempt.unwrap_or(self.fire_at))
    }

    /// From when on it is late: its instant, or the moment that it was moved to if that comes after. What goes out ahead
    /// is not late before its time.
    #[must_use]
    pub fn late_from(&self) -> Timestamp {
        self.fire_at.max(self.instant())
    }

    /// How late it went out; `None` while it has not.
    #[must_use]
    pub fn lateness(&self) -> Option<Duration> {
        (self.state == State::Published).then_some(self.settled_at?.since(self.fire_at))
    }

    /// Ends in `state` at `now`, and may come back as far as the state lets it.
    pub fn settle(&mut self, state: State, now: Timestamp, reason: Option<String>) {
        self.state = state;
        self.settled_at = Some(now);
        self.leaving = None;
        self.next_attempt = None;
        self.reason = reason.map(|text| cut(text, REASON_MAX_BYTES));
        self.cause = None;
    }

    /// Ends at `now`, superseded by `instead`, for this `reason`.
    pub(super) fn settle_within(&mut self, instead: ReminderId, now: Timestamp, reason: String) {
        self.settle(State::Superseded, now, Some(reason));
        self.within = Some(instead);
    }

    /// Ends in `state` at `now` for good, because of `cause`; what else is to be said goes before that.
    pub(super) fn settle_for(&mut self, state: State, now: Timestamp, cause: Cause, before: Option<&str>) {
        let reason = cause.reason();
        self.settle(
            state,
            now,
            Some(before.map_or_else(|| reason.into(), |before| format!("{before}; {reason}"))),
        );
        self.cause = Some(cause);
    }
}

/// `text`, or as much of it as fits into `max` bytes with a mark `…` that says so.
#[must_use]
pub fn cut(mut text: String, max: usize) -> String {
    const MARK: &str = "…";
    if text.len() > max {
        let mut end = max.saturating_sub(MARK.len());
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push_str(MARK);
    }
    text
}
