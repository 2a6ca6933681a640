//! Some hundred seeds hold.

use super::*;
use crate::writer::tests::settings;

/// How many seeds each run of the tests plays.
const SEEDS: u64 = 300;

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
