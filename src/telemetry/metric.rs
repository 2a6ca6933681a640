//! What is counted and measured: one typed function each.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use metrics::{counter, gauge, histogram};

use super::names;
use crate::domain::{Kind, Outcome, State, Timestamp};

/// Most producers told apart in a metric; those beyond share the label `other`. A label costs memory for the
/// life of the process here and in the scraper, and producers choose their names freely.
pub const PRODUCERS_MAX: usize = 64;
/// Longest producer name used as a label, in bytes; longer ones are `other`.
pub const PRODUCER_MAX_BYTES: usize = 128;

/// What became of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventOutcome {
    /// It was read, and the merge says this of it.
    Merged(Outcome),
    /// It was put into quarantine.
    Quarantined,
}

impl EventOutcome {
    fn label(self) -> &'static str {
        match self {
            Self::Merged(Outcome::Applied) => "applied",
            Self::Merged(Outcome::Duplicate) => "duplicate",
            Self::Merged(Outcome::Stale) => "stale",
            Self::Merged(Outcome::Ignored) => "ignored",
            Self::Quarantined => "quarantined",
        }
    }
}

/// How an attempt to publish ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum PublishResult {
    /// It is with the broker.
    Confirmed,
    /// It certainly is not.
    Failed,
    /// Nobody knows.
    Ambiguous,
}

impl PublishResult {
    fn label(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::Failed => "failed",
            Self::Ambiguous => "ambiguous",
        }
    }
}

/// Where an entry of the outbox stands.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum OutboxState {
    /// It waits to be sent.
    Waiting,
    /// The sidecar refused it for good.
    DeadLetter,
}

impl OutboxState {
    fn label(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::DeadLetter => "dead_letter",
        }
    }
}

/// What became of a canary.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum CanaryResult {
    /// It came back.
    Returned,
    /// It had not come back when the next one went.
    Lost,
    /// It certainly did not go out.
    Unsent,
}

impl CanaryResult {
    fn label(self) -> &'static str {
        match self {
            Self::Returned => "returned",
            Self::Lost => "lost",
            Self::Unsent => "unsent",
        }
    }
}

/// Something became of a canary.
pub fn canary(result: CanaryResult) {
    counter!(names::CANARIES, "result" => result.label()).increment(1);
}

/// A canary's way took so long.
pub fn canary_took(took: Duration) {
    histogram!(names::CANARY_SECONDS).record(took);
}

/// A canary came back so long ago.
pub fn canary_age(age: Duration) {
    gauge!(names::CANARY_AGE).set(age.as_secs_f64());
}

/// An event was answered; `kind` is `None` where it could not be told or is none of ours.
pub fn event(kind: Option<Kind>, outcome: EventOutcome) {
    counter!(names::EVENTS, "kind" => kind.map_or("unknown", Kind::name), "outcome" => outcome.label())
        .increment(1);
}

/// `count` extras of an accepted event were left out.
pub fn extras_refused(count: usize) {
    counter!(names::REFUSED_EXTRAS).increment(count as u64);
}

/// Changed settings or another tz database moved `count` reminders.
pub fn reminders_moved(count: usize) {
    counter!(names::MOVED).increment(count as u64);
}

/// An event of `producer` had a stamp too far ahead.
pub fn stamp_ahead(producer: Option<&str>) {
    static SEEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());
    // A poisoned set is still a set of names.
    let label = producer_label(producer, &mut SEEN.lock().unwrap_or_else(PoisonError::into_inner));
    counter!(names::STAMPS_AHEAD, "producer" => label).increment(1);
}

/// The label for `producer` once `seen` have labels of their own.
pub(super) fn producer_label(producer: Option<&str>, seen: &mut BTreeSet<String>) -> String {
    let Some(name) = producer else { return "unknown".to_owned() };
    let known = seen.contains(name);
    if known
        || (seen.len() < PRODUCERS_MAX && name.len() <= PRODUCER_MAX_BYTES && seen.insert(name.to_owned()))
    {
        return name.to_owned();
    }
    "other".to_owned()
}

/// So many reminders are in `state`.
pub fn reminders(state: State, count: u64) {
    gauge!(names::REMINDERS, "state" => state.name()).set(count as f64);
}

/// A reminder's publish was confirmed `late_by` after its planned instant.
pub fn reminder_fired(late_by: Duration) {
    counter!(names::FIRED).increment(1);
    histogram!(names::LATENESS).record(late_by);
}

/// The oldest unpublished reminder is `late_by` late.
pub fn oldest_overdue(late_by: Duration) {
    gauge!(names::OLDEST_OVERDUE).set(late_by.as_secs_f64());
}

/// Whether all reminders are paused, and how many of those due a rate holds back.
pub fn firing(paused: bool, held_back: usize) {
    gauge!(names::PAUSED).set(f64::from(u8::from(paused)));
    gauge!(names::HELD_BACK).set(held_back as f64);
}

/// So many open series go on and have no reminder pending.
pub fn silent_series(count: u64) {
    gauge!(names::SILENT_SERIES).set(count as f64);
}

/// The wall clock has jumped: `ahead`, `back` or `suspended`.
pub fn clock_jump(kind: &'static str) {
    counter!(names::CLOCK_JUMPS, "kind" => kind).increment(1);
}

/// Where the store lies so many bytes are free, and so many are kept in reserve.
pub fn store_space(free: u64, reserve: u64) {
    gauge!(names::STORE_FREE).set(free as f64);
    gauge!(names::STORE_RESERVE).set(reserve as f64);
}

/// `what` is there so many times more or less than it was counted.
pub fn mismatch(what: &'static str, by: u64) {
    gauge!(names::MISMATCH, "what" => what).set(by as f64);
}

/// A group of `commands` was committed in `took`.
pub fn commit(commands: usize, took: Duration) {
    counter!(names::COMMITS).increment(1);
    histogram!(names::COMMIT_COMMANDS).record(commands as f64);
    histogram!(names::COMMIT_SECONDS).record(took);
}

/// The store has synced `total` times since it was opened.
pub fn syncs(total: u64) {
    counter!(names::SYNCS).absolute(total);
}

/// `count` reminders were attempted with this result.
pub fn publish_attempts(result: PublishResult, count: usize) {
    counter!(names::PUBLISH_ATTEMPTS, "result" => result.label()).increment(count as u64);
}

/// A publish request took so long.
pub fn publish_took(took: Duration) {
    histogram!(names::PUBLISH_SECONDS).record(took);
}

/// A reminder came back through the broker.
pub fn receipt() {
    counter!(names::RECEIPTS).increment(1);
}

/// `count` reminders came back that were never planned here.
pub fn foreign_reminders(count: u64) {
    counter!(names::FOREIGN).increment(count);
}

/// So many entries of the outbox are in `state`.
pub fn outbox(state: OutboxState, entries: usize) {
    gauge!(names::OUTBOX_ENTRIES, "state" => state.label()).set(entries as f64);
}

/// The outbox holds so many bytes.
pub fn outbox_bytes(bytes: u64) {
    gauge!(names::OUTBOX_BYTES).set(bytes as f64);
}

/// The oldest entry of the outbox that waits to be sent was accepted so long ago.
pub fn outbox_oldest(age: Duration) {
    gauge!(names::OUTBOX_OLDEST).set(age.as_secs_f64());
}

/// So many commands wait for the commit loop.
pub fn waiting(commands: usize) {
    gauge!(names::WAITING).set(commands as f64);
}

/// So many bytes are set apart for bodies under way.
pub fn bodies(bytes: u64) {
    gauge!(names::BODIES).set(bytes as f64);
}

/// A command was refused since what it needs of the store can't be read.
pub fn unread() {
    counter!(names::UNREAD).increment(1);
}

/// `count` receipts found no room.
pub fn receipts_lost(count: usize) {
    counter!(names::RECEIPTS_LOST).increment(count as u64);
}

/// The quarantine holds so much.
pub fn quarantine(entries: u64, bytes: u64) {
    gauge!(names::QUARANTINE_ENTRIES).set(entries as f64);
    gauge!(names::QUARANTINE_BYTES).set(bytes as f64);
}

/// The live stream has so many readers.
pub fn stream_clients(count: usize) {
    gauge!(names::STREAM_CLIENTS).set(count as f64);
}

/// A slow reader of the live stream was dropped.
pub fn stream_dropped() {
    counter!(names::STREAM_DROPPED).increment(1);
}

/// The sidecar asked for the subscriptions.
pub fn subscriptions_asked() {
    counter!(names::SUBSCRIPTIONS_ASKED).increment(1);
}

/// Whether the sidecar is known to have the subscriptions.
pub fn subscribed(known: bool) {
    gauge!(names::SUBSCRIBED).set(f64::from(u8::from(known)));
}

/// A backup is made every `every`; zero for never by itself.
pub fn backup_every(every: Duration) {
    gauge!(names::BACKUP_EVERY).set(every.as_secs_f64());
}

/// The newest backup was begun at `at`.
pub fn backup_last(at: Timestamp) {
    gauge!(names::BACKUP_LAST).set(at.millis() as f64 / 1000.0);
}

/// A backup of so many bytes was made in `took`.
pub fn backup_made(at: Timestamp, bytes: u64, took: Duration) {
    backup_last(at);
    gauge!(names::BACKUP_BYTES).set(bytes as f64);
    gauge!(names::BACKUP_SECONDS).set(took.as_secs_f64());
}

/// A backup could not be made.
pub fn backup_failed() {
    counter!(names::BACKUP_FAILURES).increment(1);
}

/// Whether the store was restored from a backup and nobody has confirmed that yet.
pub fn restored(unconfirmed: bool) {
    gauge!(names::RESTORED).set(f64::from(u8::from(unconfirmed)));
}

/// The loop called `name` showed its last sign of life `age` ago.
pub fn heartbeat_age(name: &'static str, age: Duration) {
    gauge!(names::HEARTBEAT_AGE, "loop" => name).set(age.as_secs_f64());
}

pub(super) fn build_info() {
    gauge!(names::BUILD_INFO, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
}
