//! The rules that hold where a task does not say otherwise.
//!
//! Owns the values that a plan is made with and the digest that tells one set of them from another. Knows
//! no configuration file; `app` fills it in.

use std::time::Duration;

use chrono::NaiveTime;

use super::due::Zone;
use super::event::{Nags, Priority};
use super::expiry::{Expiry, Leap, Missing};
use super::time::Timestamp;
use super::version::short_digest;

/// One value a priority.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct ByPriority<T> {
    /// That of `LOW`.
    pub low: T,
    /// That of `MEDIUM`, also where no priority is known.
    pub medium: T,
    /// That of `HIGH`.
    pub high: T,
}

impl<T> ByPriority<T> {
    /// What `of` says of each priority.
    pub fn each(of: impl Fn(Priority) -> T) -> Self {
        Self { low: of(Priority::Low), medium: of(Priority::Medium), high: of(Priority::High) }
    }

    /// The value of `priority`.
    #[must_use]
    pub const fn of(&self, priority: Priority) -> &T {
        match priority {
            Priority::Low => &self.low,
            Priority::Medium => &self.medium,
            Priority::High => &self.high,
        }
    }
}

impl<T: PartialEq> ByPriority<T> {
    /// Whether priorities make no difference.
    #[must_use]
    pub fn is_one(&self) -> bool {
        self.low == self.medium && self.high == self.medium
    }
}

/// What a plan depends on besides the task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    /// Minutes before due at which a task without rules of its own is reminded of.
    pub default_offsets: Vec<u32>,
    /// The same for tasks of a priority that has offsets of its own.
    pub priority_offsets: ByPriority<Option<Vec<u32>>>,
    /// Reminders after due of tasks that do not say otherwise.
    pub nags: Option<Nags>,
    /// By offset in minutes, how long before its instant a reminder may go out.
    pub windows: Vec<(u32, Duration)>,
    /// The zone of naive times of tasks that state none.
    pub default_zone: Zone,
    /// The time of day that a date alone means.
    pub date_only: NaiveTime,
    /// Whether recurrence rules are followed where neither the rule itself nor its producer decides.
    pub follow_recurrence: bool,
    /// Producers whose recurrence rules are not followed, since they create the next task themselves.
    pub recurrence_not_from: Vec<String>,
    /// Over how long users' turns are spread at the end of quiet hours and at the time of their digests.
    pub spread: Duration,
    /// How long after its instant a reminder is still worth sending.
    pub expire_after: Duration,
}

/// What tells policies, and their settings, apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PolicyDigests {
    /// All that plans depend on, the tz database included: when it changes, every task is planned anew.
    pub whole: u64,
    /// The offsets of tasks that name none.
    pub offsets: ByPriority<u64>,
    /// The reminders after due; 0 where there are none.
    pub nags: u64,
    /// The default zone.
    pub zone: u64,
    /// The time of day that a date alone means.
    pub date_only: u64,
    /// Whose recurrence rules are followed.
    pub recurrence: u64,
}

impl Policy {
    /// Whether a recurrence rule of `producer` that does not say itself is followed.
    #[must_use]
    pub fn follows(&self, producer: Option<&str>) -> bool {
        self.follow_recurrence
            && !producer.is_some_and(|producer| self.recurrence_not_from.iter().any(|not| not == producer))
    }

    /// The offsets of a task of this priority that names none.
    #[must_use]
    pub fn offsets(&self, priority: Priority) -> &[u32] {
        self.priority_offsets.of(priority).as_ref().unwrap_or(&self.default_offsets)
    }

    /// Whether the offsets of a task that names none depend on its priority.
    #[must_use]
    pub fn minds_priority(&self) -> bool {
        self.offsets(Priority::Low) != self.offsets(Priority::Medium)
            || self.offsets(Priority::High) != self.offsets(Priority::Medium)
    }

    /// The digests of this policy.
    #[must_use]
    pub fn digests(&self) -> PolicyDigests {
        let date_only = self.date_only.signed_duration_since(NaiveTime::MIN).num_milliseconds();
        let offsets = ByPriority::each(|priority| short_digest(&self.offsets(priority)));
        let nags = self.nags.map_or(0, |nags| short_digest(&nags));
        let recurrence = short_digest(&(self.follow_recurrence, &self.recurrence_not_from));
        let read_by = (self.default_zone, date_only, chrono_tz::IANA_TZDB_VERSION);
        PolicyDigests {
            whole: short_digest(&(
                offsets.low,
                offsets.medium,
                offsets.high,
                nags,
                read_by,
                recurrence,
                &self.windows,
                self.spread,
            )),
            offsets,
            nags,
            zone: short_digest(&self.default_zone),
            date_only: short_digest(&date_only),
            recurrence,
        }
    }
}

/// A policy as the store knows it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct PolicyInForce {
    /// Its values.
    pub policy: Policy,
    /// Counts the policies this store has had; a task planned under an older one is planned anew.
    pub generation: u32,
    /// When its settings were first committed as they are.
    pub since: PolicySince,
    /// The hours that the store knows nothing of, where it was restored from a backup.
    pub missing: Option<Missing>,
    /// The time that the clock has passed over, where it was set ahead.
    pub leap: Option<Leap>,
}

impl PolicyInForce {
    /// When a reminder that was not sent is given up.
    #[must_use]
    pub fn expiry(&self) -> Expiry {
        Expiry { after: self.policy.expire_after, missing: self.missing, leap: self.leap }
    }
}

/// When each setting was first committed as it is, or [`Timestamp::MIN`] where the store has had no other: nothing
/// that depends on it is born earlier.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PolicySince {
    /// The offsets of tasks that name none.
    pub offsets: ByPriority<Timestamp>,
    /// The reminders after due.
    pub nags: Timestamp,
    /// The default zone.
    pub zone: Timestamp,
    /// The time of day that a date alone means.
    pub date_only: Timestamp,
    /// Whose recurrence rules are followed.
    pub recurrence: Timestamp,
}

impl PolicySince {
    /// Every setting since `at`.
    #[must_use]
    pub const fn all(at: Timestamp) -> Self {
        let offsets = ByPriority { low: at, medium: at, high: at };
        Self { offsets, nags: at, zone: at, date_only: at, recurrence: at }
    }
}
