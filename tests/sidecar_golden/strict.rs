//! Recorded against replayed, and what is not held against a replay.
//!
//! - Kafka's partitions race: single deliveries are compared partition by partition, each in its order.
//! - Redis has ten workers and no order: deliveries are compared as a set. How its artificial batches cut a
//!   request is up to a free-running timer, so batches are compared by the entries they had in all.
//! - Pauses are compared within [`JITTER_MS`], which is what the recording's machine added.

use reminder_worker::sidecar::Profile;
use serde_json::Value;

use crate::recordings::capture::{Delivery, Scenario};
use crate::recordings::same::{Outcome, pair_differs, reply_differs};

const JITTER_MS: i64 = 150;

/// Bulk topics recorded side by side take turns, each for a pause of the retry policy (see `UNMATCHED`).
const TURNS_JITTER_MS: i64 = 300;

/// The first thing that differs.
pub(crate) fn differences(
    capture: &str,
    profile: Profile,
    recorded: &Scenario,
    replayed: &Outcome,
) -> Option<String> {
    let reply = reply_differs(recorded, replayed);
    if reply.is_some() {
        return reply;
    }
    let bulk = recorded.subscription.contains_key("bulkSubscribe");
    let merged = profile == Profile::Redis && bulk;
    if !merged && replayed.deliveries.len() != recorded.deliveries {
        let at: Vec<i64> = replayed.deliveries.iter().map(|d| d.at_ms).collect();
        let instead = (recorded.deliveries, &recorded.at_ms);
        return Some(format!("{} deliveries at {at:?} instead of {instead:?}", at.len()));
    }
    let ours = &replayed.deliveries[..replayed.deliveries.len().min(recorded.first.len())];
    let (theirs, ours) = if merged {
        (batches_merged(&recorded.first), batches_merged(&replayed.deliveries))
    } else {
        (arranged(profile, bulk, &recorded.first), arranged(profile, bulk, ours))
    };
    let pair = pair_differs(&ours, &theirs);
    if pair.is_some() {
        return pair;
    }
    if ours.len() != theirs.len() {
        return Some(format!("{} deliveries instead of {}", ours.len(), theirs.len()));
    }
    let jitter = if bulk && capture == "kafka+resiliency" { TURNS_JITTER_MS } else { JITTER_MS };
    let pauses = |at: &[i64]| at.iter().map(|ms| ms - at[0]).collect::<Vec<_>>();
    let ours = pauses(&replayed.deliveries.iter().map(|d| d.at_ms).collect::<Vec<_>>());
    let late = |(a, b): (&i64, &i64)| (a - b).abs() > jitter;
    if !merged && ours.iter().zip(&pauses(&recorded.at_ms)).any(late) {
        return Some(format!("pauses {ours:?} instead of {:?}", pauses(&recorded.at_ms)));
    }
    None
}

fn arranged(profile: Profile, bulk: bool, deliveries: &[Delivery]) -> Vec<Delivery> {
    let mut masked: Vec<Delivery> = deliveries.iter().map(Delivery::masked).collect();
    match profile {
        Profile::Kafka if !bulk => {
            masked.sort_by_key(|d| (d.to.clone(), d.headers.get("__partition").cloned()));
        }
        Profile::Redis => masked.sort(),
        Profile::Kafka | Profile::InMemory => {}
    }
    masked
}

/// All batches as one whose entries are sorted, and the other deliveries.
fn batches_merged(deliveries: &[Delivery]) -> Vec<Delivery> {
    let mut entries: Vec<Value> = Vec::new();
    let mut merged: Vec<Delivery> = Vec::new();
    for delivery in deliveries.iter().map(Delivery::masked) {
        if delivery.to != "bulk" {
            merged.push(delivery);
            continue;
        }
        let mut batch: Value = serde_json::from_str(&delivery.body).unwrap();
        entries.extend(batch["entries"].take().as_array().unwrap().iter().cloned());
        let rest = Delivery { body: batch.to_string(), length: 0, ..delivery };
        if !merged.contains(&rest) {
            merged.push(rest);
        }
    }
    let mut entries: Vec<String> = entries.iter().map(Value::to_string).collect();
    entries.sort();
    merged.sort();
    merged.extend(entries.into_iter().map(|body| Delivery {
        to: "entry".into(),
        body,
        headers: std::collections::BTreeMap::default(),
        at_ms: 0,
        length: 0,
    }));
    merged
}
