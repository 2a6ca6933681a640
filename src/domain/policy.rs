//! The rules that hold where a task does not say otherwise.
//!
//! Owns the values that a plan is made with and the digest that tells one set of them from another. Knows
//! no configuration file; `app` fills it in.

use std::time::Duration;

use chrono::NaiveTime;

use super::due::Zone;
use super::time::Timestamp;
use super::version::short_digest;

/// What a plan depends on besides the task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Policy {
    /// Minutes before due at which a task without rules of its own is reminded of.
    pub default_offsets: Vec<u32>,
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
    /// How long after its instant a reminder is still worth sending.
    pub expire_after: Duration,
}

/// What tells policies, and their settings, apart.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PolicyDigests {
    /// All that plans depend on, the tz database included: when it changes, every task is planned anew.
    pub whole: u64,
    /// The default offsets.
    pub offsets: u64,
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

    /// The digests of this policy.
    #[must_use]
    pub fn digests(&self) -> PolicyDigests {
        let date_only = self.date_only.signed_duration_since(NaiveTime::MIN).num_milliseconds();
        PolicyDigests {
            whole: short_digest(&(
                &self.default_offsets,
                self.default_zone,
                date_only,
                chrono_tz::IANA_TZDB_VERSION,
                self.follow_recurrence,
                &self.recurrence_not_from,
                &self.windows,
            )),
            offsets: short_digest(&self.default_offsets),
            zone: short_digest(&self.default_zone),
            date_only: short_digest(&date_only),
            recurrence: short_digest(&(self.follow_recurrence, &self.recurrence_not_from)),
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
}

/// When each setting was first committed as it is, or [`Timestamp::MIN`] where the store has had no other: nothing
/// that depends on it is born earlier.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PolicySince {
    /// The default offsets.
    pub offsets: Timestamp,
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
        Self { offsets: at, zone: at, date_only: at, recurrence: at }
    }
}
