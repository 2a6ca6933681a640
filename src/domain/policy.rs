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
    /// The zone of naive times of tasks that state none.
    pub default_zone: Zone,
    /// The time of day that a date alone means.
    pub date_only: NaiveTime,
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
    /// The default offsets.
    pub offsets: u64,
    /// The default zone.
    pub zone: u64,
    /// The time of day that a date alone means.
    pub date_only: u64,
}

impl Policy {
    /// The digests of this policy.
    #[must_use]
    pub fn digests(&self) -> PolicyDigests {
        let date_only = self.date_only.signed_duration_since(NaiveTime::MIN).num_milliseconds();
        PolicyDigests {
            whole: short_digest(&(
                &self.default_offsets,
                self.default_zone,
                date_only,
                self.spread,
                chrono_tz::IANA_TZDB_VERSION,
            )),
            offsets: short_digest(&self.default_offsets),
            zone: short_digest(&self.default_zone),
            date_only: short_digest(&date_only),
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
}

impl PolicySince {
    /// Every setting since `at`.
    #[must_use]
    pub const fn all(at: Timestamp) -> Self {
        Self { offsets: at, zone: at, date_only: at }
    }
}
