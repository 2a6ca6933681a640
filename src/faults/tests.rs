//! Some hundred seeds hold; one that does not is cut down and can be played again.

use std::time::Duration;

use super::*;
use crate::app;
use crate::config::Config;

/// How many seeds each run of the tests plays.
const SEEDS: u64 = 300;

fn settings() -> Settings {
    app::settings(&Config::default())
}

#[test]
fn whatever_goes_wrong_nothing_is_lost_early_or_said_in_vain() {
    let mut all = Seen::default();
    for seed in 0..SEEDS {
        all += run(seed, &settings()).unwrap_or_else(|failure| panic!("{failure}"));
    }
    assert_eq!(all.simulations, SEEDS);
    assert!(all.crashes > 100 && all.disk_faults > 30 && all.clock_steps > 50, "{all:?}");
    assert!(all.restores > 30 && all.erasings > 10, "{all:?}");
    assert!(all.publishes > 1_000 && all.failed > 300 && all.receipts > 300 && all.orders > 50, "{all:?}");
}

#[test]
fn a_seed_is_played_the_same_twice() {
    for seed in 0..20 {
        let play = || run(seed, &settings()).map_err(|failure| failure.to_string());
        assert_eq!(play(), play());
    }
}

/// The first failure of a worker that gives up what is a minute late: it loses what falls due while it is away.
fn failure() -> Failure {
    let mut hasty = settings();
    hasty.policy.expire_after = Duration::from_secs(60);
    *(0..SEEDS).find_map(|seed| run(seed, &hasty).err()).expect("one seed fails")
}

#[test]
fn a_failure_is_told_with_its_seed_and_the_least_that_must_happen() {
    let failure = failure();
    let mut hasty = settings();
    hasty.policy.expire_after = Duration::from_secs(60);
    let Failure { broken, script, trace } = &failure;
    assert!(broken.starts_with("lost: "), "{broken}");
    assert_eq!(play(script, &hasty).as_ref(), Err(broken), "as it is told");
    assert_eq!(play(script, &settings()).map(|_| ()), Ok(()), "by the worker's own settings it holds");
    for left_out in 0..script.len() {
        let fewer = script.without(left_out, left_out + 1);
        assert!(play(&fewer, &hasty).is_ok(), "{left_out} need not happen: {failure}");
    }
    assert!(script.len() < Script::draw(script.seed).len() && trace.len() > script.len(), "{failure}");
    let told = failure.to_string();
    assert!(told.starts_with(&format!("seed {} fails: {broken}\n", script.seed)), "{told}");
    assert!(told.contains("the worker starts") && told.contains("delivery of ["), "{told}");
}

#[test]
fn totals_are_sums() {
    let one = Seen { simulations: 1, publishes: 2, crashes: 3, ..Seen::default() };
    let mut all = one;
    all += one;
    assert_eq!((all.simulations, all.publishes, all.crashes, all.failed), (2, 4, 6, 0));
    assert!(all.to_string().contains("4 events published"), "{all}");
}
