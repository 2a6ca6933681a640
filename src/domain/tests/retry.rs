//! How long a failed attempt waits, and how texts are cut.

use std::time::Duration;

use super::*;

const BACKOFF: Backoff = Backoff { initial: Duration::from_secs(1), max: Duration::from_secs(60) };

#[test]
fn a_wait_doubles_up_to_its_ceiling_and_lies_in_the_upper_half() {
    for (attempts, ceiling) in [(1, 1), (2, 2), (3, 4), (6, 32), (7, 60), (8, 60), (40, 60), (u32::MAX, 60)] {
        let ceiling = Duration::from_secs(ceiling);
        for seed in 0..64 {
            let delay = BACKOFF.delay(attempts, seed);
            assert!(delay >= ceiling / 2 && delay <= ceiling, "attempt {attempts}, seed {seed}: {delay:?}");
        }
    }
}

#[test]
fn the_same_failure_waits_equally_long_and_others_spread() {
    let delays: std::collections::BTreeSet<_> = (0..64).map(|seed| BACKOFF.delay(5, seed)).collect();
    assert!(delays.len() > 32, "{} of 64", delays.len());
    assert_eq!(BACKOFF.delay(5, 7), BACKOFF.delay(5, 7));
}

#[test]
fn a_text_on_the_bound_is_kept_and_a_longer_one_is_cut_and_marked_between_characters() {
    assert_eq!(cut("abcdef".into(), 6), "abcdef");
    assert_eq!(cut("abcdefg".into(), 6), "abc…");
    assert_eq!(cut("äöüäöü".into(), 8), "äö…");
    let long = cut("ü".repeat(REASON_MAX_BYTES), REASON_MAX_BYTES);
    assert!(long.len() <= REASON_MAX_BYTES && long.ends_with('…'));
}

#[test]
fn every_state_has_a_name_that_reads_back() {
    for state in State::ALL {
        assert_eq!(state.name().parse(), Ok(state));
    }
    assert!("gone".parse::<State>().is_err());
}
