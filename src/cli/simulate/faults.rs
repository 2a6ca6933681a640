//! `simulate --faults`: plays seed after seed until one fails or all have held, and says what was seen.
//!
//! Of a seed that fails it tells the least that must happen for it to fail. Must never know what is judged, or how.

use crate::app;
use crate::cli::{Context, Failure};
use crate::config::Config;
use crate::faults::{self, Seen};

/// Most seeds of one run: so many take weeks, and what their totals count stays far below what a counter holds.
pub(super) const SEEDS_MAX: u64 = 1_000_000_000;

/// Plays `count` seeds from `first` on.
pub(super) fn run(first: u64, count: u64, context: &Context) -> Result<String, Failure> {
    let settings = app::settings(&Config::default());
    let began = context.clock.monotonic();
    let mut all = Seen::default();
    let last = first.saturating_add(count - 1);
    for seed in first..=last {
        all += faults::run(seed, &settings).map_err(|failure| Failure::failed(failure.to_string()))?;
    }
    let took = context.clock.monotonic().saturating_sub(began);
    Ok(format!("seeds {first} to {last} hold, played in {:.1} s\n{all}\n", took.as_secs_f64()))
}
