//! What daprd and its brokers leave to chance, as a dependency.
//!
//! A replay of recordings puts its own in place, so that a run repeats itself.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::clock::random_id;

/// Ids nobody chose and partitions nobody asked for.
pub trait Chance: Send + Sync + 'static {
    /// The id of an envelope, a batch or a batch's entry.
    fn id(&self) -> String;

    /// The partition, below `partitions`, of a record on `topic` that has no key.
    fn partition(&self, topic: &str, value: &[u8], partitions: u32) -> u32;
}

/// The daemon's own: random ids, and partitions in turn, which spreads better than luck.
#[derive(Debug, Default)]
pub struct Luck(AtomicU32);

impl Chance for Luck {
    fn id(&self) -> String {
        random_id().to_string()
    }

    fn partition(&self, _topic: &str, _value: &[u8], partitions: u32) -> u32 {
        self.0.fetch_add(1, Ordering::Relaxed) % partitions.max(1)
    }
}
