//! The table of metrics: names, meanings, units, labels and buckets.

use metrics::Unit;

/// One metric.
#[derive(Clone, Debug)]
pub struct Metric {
    /// As scraped.
    pub name: &'static str,
    /// What it says.
    pub help: &'static str,
    /// What it counts in.
    pub unit: Unit,
    /// What kind it is.
    pub shape: Shape,
}

/// What kind of metric it is.
#[derive(Clone, Copy, Debug)]
pub enum Shape {
    /// Only rises.
    Counter {
        /// Its labels.
        labels: &'static [&'static str],
    },
    /// Rises and falls.
    Gauge {
        /// Its labels.
        labels: &'static [&'static str],
    },
    /// A distribution over these upper bounds.
    Histogram(&'static [f64]),
}

/// From the timer's own grain to what an outage costs.
const LATENESS_BUCKETS: &[f64] = &[
    0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 900.0,
    3600.0,
];
/// From a sync on a fast disk to a disk in trouble.
const COMMIT_BUCKETS: &[f64] =
    &[0.0002, 0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// Group sizes up to the largest batch.
const GROUP_BUCKETS: &[f64] = &[1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0];
/// From a round trip on loopback to the largest time-out that is usual.
const PUBLISH_BUCKETS: &[f64] =
    &[0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

pub(super) const EVENTS: &str = "reminder_worker_events_total";
pub(super) const REFUSED_EXTRAS: &str = "reminder_worker_events_refused_extras_total";
pub(super) const STAMPS_AHEAD: &str = "reminder_worker_stamps_ahead_total";
pub(super) const REMINDERS: &str = "reminder_worker_reminders";
pub(super) const MOVED: &str = "reminder_worker_reminders_moved_total";
pub(super) const FIRED: &str = "reminder_worker_reminders_fired_total";
pub(super) const LATENESS: &str = "reminder_worker_reminder_lateness_seconds";
pub(super) const OLDEST_OVERDUE: &str = "reminder_worker_oldest_overdue_seconds";
pub(super) const PAUSED: &str = "reminder_worker_paused";
pub(super) const HELD_BACK: &str = "reminder_worker_reminders_held_back";
pub(super) const SILENT_SERIES: &str = "reminder_worker_silent_series";
pub(super) const CANARIES: &str = "reminder_worker_canary_total";
pub(super) const CANARY_SECONDS: &str = "reminder_worker_canary_round_trip_seconds";
pub(super) const CANARY_AGE: &str = "reminder_worker_canary_age_seconds";
pub(super) const CLOCK_JUMPS: &str = "reminder_worker_clock_jumps_total";
pub(super) const STORE_FREE: &str = "reminder_worker_store_free_bytes";
pub(super) const STORE_RESERVE: &str = "reminder_worker_store_reserve_bytes";
pub(super) const MISMATCH: &str = "reminder_worker_ledger_mismatch";
pub(super) const COMMITS: &str = "reminder_worker_commits_total";
pub(super) const COMMIT_SECONDS: &str = "reminder_worker_commit_seconds";
pub(super) const COMMIT_COMMANDS: &str = "reminder_worker_commit_commands";
pub(super) const UNREAD: &str = "reminder_worker_store_unread_total";
pub(super) const SYNCS: &str = "reminder_worker_store_syncs_total";
pub(super) const PUBLISH_ATTEMPTS: &str = "reminder_worker_publish_attempts_total";
pub(super) const PUBLISH_SECONDS: &str = "reminder_worker_publish_seconds";
pub(super) const RECEIPTS: &str = "reminder_worker_receipts_total";
pub(super) const FOREIGN: &str = "reminder_worker_foreign_reminders_total";
pub(super) const OUTBOX_ENTRIES: &str = "reminder_worker_outbox_entries";
pub(super) const OUTBOX_BYTES: &str = "reminder_worker_outbox_bytes";
pub(super) const OUTBOX_OLDEST: &str = "reminder_worker_outbox_oldest_seconds";
pub(super) const WAITING: &str = "reminder_worker_commands_waiting";
pub(super) const BODIES: &str = "reminder_worker_bodies_bytes";
pub(super) const RECEIPTS_LOST: &str = "reminder_worker_receipts_lost_total";
pub(super) const QUARANTINE_ENTRIES: &str = "reminder_worker_quarantine_entries";
pub(super) const QUARANTINE_BYTES: &str = "reminder_worker_quarantine_bytes";
pub(super) const STREAM_CLIENTS: &str = "reminder_worker_stream_clients";
pub(super) const STREAM_DROPPED: &str = "reminder_worker_stream_dropped_total";
pub(super) const SUBSCRIPTIONS_ASKED: &str = "reminder_worker_subscriptions_asked_total";
pub(super) const SUBSCRIBED: &str = "reminder_worker_subscribed";
pub(super) const BACKUP_LAST: &str = "reminder_worker_backup_last_timestamp_seconds";
pub(super) const BACKUP_EVERY: &str = "reminder_worker_backup_every_seconds";
pub(super) const BACKUP_BYTES: &str = "reminder_worker_backup_bytes";
pub(super) const BACKUP_SECONDS: &str = "reminder_worker_backup_seconds";
pub(super) const BACKUP_FAILURES: &str = "reminder_worker_backup_failures_total";
pub(super) const RESTORED: &str = "reminder_worker_restored_unconfirmed";
pub(super) const HEARTBEAT_AGE: &str = "reminder_worker_heartbeat_age_seconds";
pub(super) const BUILD_INFO: &str = "reminder_worker_build_info";

const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Metric {
    Metric { name, help, unit: Unit::Count, shape: Shape::Counter { labels } }
}

const fn gauge(
    name: &'static str,
    labels: &'static [&'static str],
    unit: Unit,
    help: &'static str,
) -> Metric {
    Metric { name, help, unit, shape: Shape::Gauge { labels } }
}

const fn histogram(name: &'static str, buckets: &'static [f64], unit: Unit, help: &'static str) -> Metric {
    Metric { name, help, unit, shape: Shape::Histogram(buckets) }
}

/// Every metric there is.
pub const METRICS: &[Metric] = &[
    counter(EVENTS, &["kind", "outcome"], "Events received, by kind and by what became of them."),
    counter(REFUSED_EXTRAS, &[], "Extras of accepted events that could not be read and were left out."),
    counter(STAMPS_AHEAD, &["producer"], "Events whose stamp was too far ahead to be believed, by producer."),
    gauge(REMINDERS, &["state"], Unit::Count, "Reminders planned so far, by the state they are in."),
    counter(MOVED, &[], "Reminders that changed settings or another tz database moved to another time."),
    counter(FIRED, &[], "Reminders whose publish was confirmed."),
    histogram(
        LATENESS,
        LATENESS_BUCKETS,
        Unit::Seconds,
        "From the planned instant to the confirmed publish.",
    ),
    gauge(OLDEST_OVERDUE, &[], Unit::Seconds, "How late the oldest unpublished reminder is; 0 when none is."),
    gauge(PAUSED, &[], Unit::Count, "1 while all reminders are paused, else 0."),
    gauge(HELD_BACK, &[], Unit::Count, "Due reminders held back by a rate."),
    gauge(
        SILENT_SERIES,
        &[],
        Unit::Count,
        "Open series that go on and have no next reminder, as the hourly pass over all tasks found them; never any.",
    ),
    counter(CANARIES, &["result"], "Canaries, by whether they came back; none where canary.every is 0."),
    histogram(
        CANARY_SECONDS,
        LATENESS_BUCKETS,
        Unit::Seconds,
        "A canary's way through broker, store, timer and back, beyond the moment it was planned ahead by.",
    ),
    gauge(CANARY_AGE, &[], Unit::Seconds, "Time since a canary came back, or since the first was awaited."),
    counter(
        CLOCK_JUMPS,
        &["kind"],
        "Jumps of the wall clock: set ahead, set back, or suspended with the machine.",
    ),
    gauge(STORE_FREE, &[], Unit::Bytes, "Free bytes where the store lies."),
    gauge(
        STORE_RESERVE,
        &[],
        Unit::Bytes,
        "Free bytes below which nothing is taken in that grows the store.",
    ),
    gauge(
        MISMATCH,
        &["what"],
        Unit::Count,
        "By how much what is there differs from what was counted, as the hourly reconciliation found it; never at all.",
    ),
    counter(COMMITS, &[], "Groups of commands committed."),
    histogram(COMMIT_SECONDS, COMMIT_BUCKETS, Unit::Seconds, "Time to decide, write and sync one group."),
    histogram(COMMIT_COMMANDS, GROUP_BUCKETS, Unit::Count, "Commands in one group."),
    counter(SYNCS, &[], "Syncs of the store to disk."),
    counter(PUBLISH_ATTEMPTS, &["result"], "Reminders attempted to publish, by how the attempt ended."),
    histogram(PUBLISH_SECONDS, PUBLISH_BUCKETS, Unit::Seconds, "Time one publish request took."),
    counter(RECEIPTS, &[], "Reminders seen to come back through the broker."),
    counter(
        FOREIGN,
        &[],
        "Reminders seen that this worker never planned: another worker publishes to the topic.",
    ),
    gauge(OUTBOX_ENTRIES, &["state"], Unit::Count, "Events accepted by the publishing API and not yet sent."),
    gauge(
        OUTBOX_BYTES,
        &[],
        Unit::Bytes,
        "Bytes of the events accepted by the publishing API and not yet sent.",
    ),
    gauge(
        OUTBOX_OLDEST,
        &[],
        Unit::Seconds,
        "How long the oldest event of the publishing API has waited to be sent; 0 when none waits.",
    ),
    counter(
        UNREAD,
        &[],
        "Commands refused since what they need of the store can't be read; those that are asked again count again.",
    ),
    gauge(WAITING, &[], Unit::Count, "Commands that wait for the commit loop."),
    gauge(BODIES, &[], Unit::Bytes, "Bytes set apart for requests' bodies that are under way."),
    counter(RECEIPTS_LOST, &[], "Receipts that found no room; losing one loses nothing."),
    gauge(QUARANTINE_ENTRIES, &[], Unit::Count, "Events kept in quarantine."),
    gauge(QUARANTINE_BYTES, &[], Unit::Bytes, "Bytes kept in quarantine."),
    gauge(STREAM_CLIENTS, &[], Unit::Count, "Readers of the live stream of reminders."),
    counter(STREAM_DROPPED, &[], "Readers of the live stream dropped for being slow."),
    counter(SUBSCRIPTIONS_ASKED, &[], "Times the sidecar asked for the subscriptions in this life."),
    gauge(
        SUBSCRIBED,
        &[],
        Unit::Count,
        "1 while the sidecar is known to have the subscriptions, as /readyz says, else 0.",
    ),
    gauge(
        BACKUP_LAST,
        &[],
        Unit::Seconds,
        "When the newest backup of the store was begun, in seconds since 1970.",
    ),
    gauge(BACKUP_EVERY, &[], Unit::Seconds, "How often a backup is made; 0 for never by itself."),
    gauge(BACKUP_BYTES, &[], Unit::Bytes, "Bytes of the newest backup made in this life."),
    gauge(BACKUP_SECONDS, &[], Unit::Seconds, "How long the newest backup made in this life took."),
    counter(BACKUP_FAILURES, &[], "Backups that could not be made."),
    gauge(
        RESTORED,
        &[],
        Unit::Count,
        "1 from the moment the store was restored from a backup until that is confirmed, else 0.",
    ),
    gauge(HEARTBEAT_AGE, &["loop"], Unit::Seconds, "Time since a loop last showed a sign of life."),
    gauge(BUILD_INFO, &["version"], Unit::Count, "Always 1; its label tells the version that runs."),
];
