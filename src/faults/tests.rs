//! Some hundred seeds hold.

use super::*;
use crate::domain::CatchUp;

/// How many seeds each run of the tests plays.
const SEEDS: u64 = 300;

/// Every missed reminder fires: what coalesces is not lost, and the oracle need not know how.
fn settings() -> Settings {
    let mut settings = crate::writer::tests::settings();
    settings.firing.catch_up = CatchUp::Fire;
    settings
}

#[test]
fn whatever_goes_wrong_nothing_is_lost_early_or_said_in_vain() {
    let mut all = Seen::default();
    for seed in 0..SEEDS {
        all += run(seed, &settings()).unwrap_or_else(|failure| panic!("{failure}"));
    }
    assert!(all.crashes > 100 && all.publishes > 300, "{all:?}");
}

#[test]
fn a_seed_is_played_the_same_twice() {
    for seed in 0..20 {
        let play = || run(seed, &settings()).map_err(|failure| failure.broken);
        assert_eq!(play(), play());
    }
}
