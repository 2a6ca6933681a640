//! What the parts need of the configuration.

use crate::config::Config;
use crate::domain::{Backoff, ByPriority, Nags, Policy};
use crate::store::MIB;
use crate::writer::{Firing, Settings};

/// What the commit loop needs of the configuration.
#[must_use]
pub fn settings(config: &Config) -> Settings {
    Settings {
        policy: policy(config),
        retention: config.reminders.retention,
        backoff: backoff(config),
        firing: Firing {
            catch_up: config.reminders.catch_up,
            catch_up_rate: config.reminders.catch_up_rate,
            rate: config.publish.rate,
            user_rate: config.publish.user_rate,
        },
        quarantine_max_entries: config.quarantine.max_entries,
        quarantine_max_bytes: config.quarantine.max_mb * MIB,
        outbox_max_bytes: config.outbox.max_mb * MIB,
        reserve_bytes: config.store.reserve_bytes(),
    }
}

/// The policy that the configuration makes.
#[must_use]
pub fn policy(config: &Config) -> Policy {
    let reminders = &config.reminders;
    let every_minutes = u32::try_from(reminders.nag_every.as_secs() / 60).unwrap_or(u32::MAX);
    let nags = Nags { every_minutes, max: reminders.nag_max };
    Policy {
        default_offsets: reminders.default_offsets.clone(),
        priority_offsets: ByPriority {
            low: reminders.low_offsets.clone(),
            medium: reminders.medium_offsets.clone(),
            high: reminders.high_offsets.clone(),
        },
        nags: Some(nags).filter(|nags| !nags.is_none()),
        windows: reminders.windows.clone(),
        default_zone: reminders.default_timezone,
        date_only: reminders.date_only_time,
        follow_recurrence: config.recurrence.follow,
        recurrence_not_from: config.recurrence.not_from.clone(),
        spread: reminders.spread,
        expire_after: reminders.expire_after,
    }
}

/// The waits between attempts that the configuration makes.
pub(super) fn backoff(config: &Config) -> Backoff {
    Backoff { initial: config.publish.backoff_initial, max: config.publish.backoff_max }
}
