//! How long a failed attempt waits.
//!
//! Exponential with a ceiling and jitter. The jitter is drawn from the caller's seed (a reminder's id), not
//! from chance: the same failure waits equally long in every replay, and different reminders spread.

use std::time::Duration;

use sha2::{Digest, Sha256};

/// Exponential backoff: the first wait, and the longest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Backoff {
    /// The wait after the first failure, before jitter.
    pub initial: Duration,
    /// No wait is longer.
    pub max: Duration,
}

impl Backoff {
    /// The wait after the `attempts`-th failure (1 for the first): between half of and all of
    /// `initial · 2^(attempts-1)`, at most `max`.
    #[must_use]
    pub fn delay(&self, attempts: u32, seed: u64) -> Duration {
        let doublings = attempts.saturating_sub(1).min(31);
        let ceiling = self.initial.saturating_mul(1 << doublings).min(self.max);
        let hash = Sha256::digest([seed.to_be_bytes(), u64::from(attempts).to_be_bytes()].concat());
        let half = ceiling / 2;
        half + half.mul_f64(f64::from(hash[0]) / f64::from(u8::MAX))
    }
}
