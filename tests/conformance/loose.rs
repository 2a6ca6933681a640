//! Recorded against played in real time.
//!
//! The strict comparison is `sidecar_golden`'s. Here the broker's chance is its own and the machine has other things
//! to do, so these are not held against a sidecar:
//! - the partition of a record without a key, and the offset of one of several;
//! - the order of several events of one publish, and how they were cut into batches: what counts is which events
//!   came, how often the one that came most often, and with what pauses;
//! - lateness up to [`LATE_MS`]. Coming early is a fault, but for [`EARLY_MS`].

use std::collections::{BTreeMap, BTreeSet};

use reminder_worker::sidecar::Profile;
use serde_json::Value;

use crate::recordings::app::is_bulk;
use crate::recordings::capture::{Delivery, Scenario};
use crate::recordings::same::{Outcome, pair_differs, reply_differs};

/// What a busy machine adds to a pause: other scenarios run beside this one.
pub(crate) const LATE_MS: i64 = 2_500;

/// What a late start takes off the pause to the next.
pub(crate) const EARLY_MS: i64 = 300;

/// Longest pause between two tries that belong to a series without end.
const ENDLESS_PAUSE_MS: i64 = 5_500;

/// The first thing that differs, `watched_ms` long. A try may come `early_ms` before its time in what it is held against.
pub(crate) fn difference(
    profile: Profile,
    recorded: &Scenario,
    outcome: &Outcome,
    watched_ms: i64,
    early_ms: i64,
) -> Option<String> {
    let reply = reply_differs(recorded, outcome);
    if reply.is_some() {
        return reply;
    }
    if is_bulk(recorded) {
        return batches_differ(profile, recorded, outcome, watched_ms, early_ms);
    }
    let ours: Vec<i64> = outcome.deliveries.iter().map(|d| d.at_ms).collect();
    series_differ(&ours, &recorded.at_ms, watched_ms, early_ms).or_else(|| {
        let several = recorded.publish.path.contains("/bulk/");
        let count = ours.len().min(recorded.first.len());
        pair_differs(
            &arranged(&outcome.deliveries[..count], several),
            &arranged(&recorded.first[..count], several),
        )
    })
}

/// Counts and pauses of one event's deliveries. A series that went on when the recording ended may have been cut off
/// earlier or later.
fn series_differ(ours: &[i64], theirs: &[i64], watched_ms: i64, early_ms: i64) -> Option<String> {
    let from_first = |at: &[i64]| at.iter().map(|ms| ms - at[0]).collect::<Vec<_>>();
    let endless = is_endless(theirs, watched_ms);
    let (ours, theirs) = (from_first(ours), from_first(theirs));
    let at_the_end = |at: &i64| endless && *at > watched_ms - LATE_MS;
    let missing = theirs.iter().skip(ours.len()).any(|at| !at_the_end(at));
    let surplus = ours.iter().skip(theirs.len()).any(|at| !at_the_end(at));
    if missing || surplus {
        return Some(format!(
            "{} deliveries at {ours:?} instead of {} at {theirs:?}",
            ours.len(),
            theirs.len()
        ));
    }
    let off = |(ours, theirs): (&i64, &i64)| ours - theirs > LATE_MS || theirs - ours > early_ms;
    ours.iter().zip(&theirs).any(off).then(|| format!("pauses {ours:?} instead of {theirs:?}"))
}

/// Whether a series of tries went on when the recording ended.
fn is_endless(at: &[i64], watched_ms: i64) -> bool {
    at.len() > 1
        && at
            .last()
            .zip(at.first())
            .is_some_and(|(last, first)| watched_ms - (last - first) < ENDLESS_PAUSE_MS)
}

fn arranged(deliveries: &[Delivery], several: bool) -> Vec<Delivery> {
    let masked = |delivery: &Delivery| {
        let mut masked = delivery.masked();
        let keyed = masked.headers.contains_key("__key");
        for (name, by_chance) in [("__partition", !keyed), ("__offset", several)] {
            if let Some(value) = masked.headers.get_mut(name).filter(|_| by_chance) {
                *value = "<chance>".into();
            }
        }
        masked
    };
    let mut all: Vec<Delivery> = deliveries.iter().map(masked).collect();
    if several {
        all.sort();
    }
    all
}

/// What came of a bulk subscription, whatever the batches.
#[derive(Default)]
struct Batches {
    /// Masked entries, and when they came.
    entries: BTreeMap<String, Vec<i64>>,
    /// Batches without their entries, and dead letters.
    others: BTreeSet<Delivery>,
}

impl Batches {
    fn of(deliveries: &[Delivery], at_ms: &[i64]) -> Self {
        let mut batches = Self::default();
        for (delivery, at) in deliveries.iter().zip(at_ms) {
            if delivery.to != "bulk" {
                let dead = arranged(std::slice::from_ref(delivery), true);
                batches.others.extend(dead.into_iter().map(|dead| Delivery { length: 0, ..dead }));
                continue;
            }
            let masked = delivery.masked();
            let mut batch: Value = serde_json::from_str(&masked.body).unwrap();
            for mut entry in batch["entries"].take().as_array().unwrap().iter().cloned() {
                entry["entryId"] = "<chance>".into();
                if let Some(metadata) = entry["metadata"].as_object_mut() {
                    metadata.retain(|name, _| name != "__partition" && name != "__offset");
                }
                batches.entries.entry(entry.to_string()).or_default().push(*at);
            }
            batches.others.insert(Delivery { body: batch.to_string(), length: 0, ..masked });
        }
        batches
    }

    /// When the event came that came most often.
    fn most_often(&self) -> &[i64] {
        self.entries.values().max_by_key(|at| at.len()).map_or(&[], Vec::as_slice)
    }
}

fn batches_differ(
    profile: Profile,
    recorded: &Scenario,
    outcome: &Outcome,
    watched_ms: i64,
    early_ms: i64,
) -> Option<String> {
    let at: Vec<i64> = outcome.deliveries.iter().map(|d| d.at_ms).collect();
    // Only in-memory's batches are always cut alike: one message each.
    if profile == Profile::InMemory && at.len() != recorded.deliveries {
        return Some(format!("{} deliveries at {at:?} instead of {:?}", at.len(), recorded.at_ms));
    }
    let ours = Batches::of(&outcome.deliveries, &at);
    let theirs = Batches::of(&recorded.first, &recorded.at_ms);
    let series = series_differ(ours.most_often(), theirs.most_often(), watched_ms, early_ms);
    if is_endless(theirs.most_often(), watched_ms) {
        // Which others had their turn before is chance.
        return series;
    }
    // A recording has the first six deliveries only.
    let whole = recorded.deliveries <= recorded.first.len();
    let missing: Vec<_> = theirs.entries.keys().filter(|entry| !ours.entries.contains_key(*entry)).collect();
    let surplus: Vec<_> = ours.entries.keys().filter(|entry| !theirs.entries.contains_key(*entry)).collect();
    if !missing.is_empty() || (whole && !surplus.is_empty()) {
        return Some(format!("entries missing {missing:?}, surplus {surplus:?}"));
    }
    if !theirs.others.is_subset(&ours.others) || (whole && !ours.others.is_subset(&theirs.others)) {
        return Some(format!("batches and dead letters {:?} instead of {:?}", ours.others, theirs.others));
    }
    series.filter(|_| whole)
}
