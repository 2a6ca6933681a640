use std::time::Duration;

use futures_util::FutureExt as _;

use super::*;
use crate::clock::TokioClock;

const T0: Timestamp = Timestamp::from_millis(1_764_000_000_000);
const MILLI: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_secs(3_600);

fn scale(text: &str) -> Scale {
    text.parse().unwrap()
}

/// A machine on tokio's paused time, and a clock ahead of it.
fn clock(times: &str) -> (Arc<TokioClock>, ScaledClock) {
    let machine = Arc::new(TokioClock::starting_at(T0));
    (machine.clone(), ScaledClock::new(machine, scale(times)))
}

#[test]
fn a_scale_is_a_number_from_one_to_its_bound() {
    for (text, factor) in [("1", 1.0), ("1.5", 1.5), ("60", 60.0), ("1000", SCALE_MAX)] {
        assert_eq!(scale(text).factor().to_bits(), factor.to_bits(), "{text}");
    }
    for text in ["0.99", "1000.01", "0", "-60", "", "fast", "60x", "NaN", "inf", "-inf", "1e400"] {
        assert!(text.parse::<Scale>().unwrap_err().contains("from 1 to 1000"), "{text}");
    }
}

#[tokio::test(start_paused = true)]
async fn its_wall_clock_starts_at_the_machines_and_runs_so_many_times_as_fast() {
    for (times, shown) in [("1", 10_000), ("1.5", 15_000), ("60", 600_000), ("1000", 10_000_000)] {
        let (machine, clock) = clock(times);
        assert_eq!(clock.now(), T0);
        machine.wait(10 * SECOND).await;
        assert_eq!(clock.now(), T0.plus(Duration::from_millis(shown)), "{times}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_machine_ran_before_is_not_scaled() {
    let machine = Arc::new(TokioClock::starting_at(T0));
    machine.wait(HOUR).await;
    let clock = ScaledClock::new(machine, scale("60"));
    assert_eq!(clock.now(), T0.plus(HOUR));
}

#[tokio::test(start_paused = true)]
async fn a_sleep_takes_as_much_less_of_the_machines_time() {
    let (machine, clock) = clock("60");
    clock.sleep(60 * SECOND).await;
    assert_eq!(machine.now(), T0.plus(SECOND));
    assert_eq!(clock.now(), T0.plus(60 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn an_advance_is_shown_by_every_clone_and_ends_every_sleep_at_once() {
    let (machine, clock) = clock("1");
    let mut sleeps = [clock.sleep(HOUR), clock.sleep(24 * HOUR)];
    for sleep in &mut sleeps {
        assert!(sleep.now_or_never().is_none());
    }
    let unseen = clock.sleep(HOUR);
    assert_eq!(clock.simulated().unwrap().advance(2 * HOUR), Ok(T0.plus(2 * HOUR)));
    for sleep in sleeps {
        sleep.await;
    }
    unseen.await;
    assert_eq!(machine.now(), T0, "none of the machine's time has passed");
    assert_eq!(clock.now(), T0.plus(2 * HOUR));
    let later = clock.sleep(SECOND);
    later.await;
    assert_eq!(machine.now(), T0.plus(SECOND), "a sleep that begins afterwards is not ended by it");
}

#[tokio::test(start_paused = true)]
async fn an_advance_adds_to_what_is_gained_by_the_scale() {
    let (machine, clock) = clock("60");
    machine.wait(SECOND).await;
    clock.advance(HOUR).unwrap();
    machine.wait(SECOND).await;
    assert_eq!(clock.now(), T0.plus(HOUR + 120 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn the_machines_time_is_neither_scaled_nor_advanced() {
    let (machine, clock) = clock("1000");
    let mut grace = clock.wait(30 * SECOND);
    assert!((&mut grace).now_or_never().is_none());
    clock.advance(HOUR).unwrap();
    assert_eq!(clock.monotonic(), machine.monotonic());
    machine.wait(30 * SECOND - MILLI).await;
    assert!((&mut grace).now_or_never().is_none(), "a time-out must not fail for simulated time");
    grace.await;
    assert_eq!(machine.now(), T0.plus(30 * SECOND));
    assert_eq!(clock.monotonic(), machine.monotonic());
}

#[tokio::test(start_paused = true)]
async fn all_advances_together_reach_the_bound_and_not_a_millisecond_more() {
    let (_, clock) = clock("1");
    clock.advance(ADVANCED_MAX - HOUR).unwrap();
    assert_eq!(clock.advance(HOUR + MILLI), Err(TooFar { so_far: ADVANCED_MAX - HOUR }));
    assert_eq!(clock.now(), T0.plus(ADVANCED_MAX - HOUR), "nothing was advanced");
    assert_eq!(clock.advance(HOUR), Ok(T0.plus(ADVANCED_MAX)));
    assert!(clock.advance(Duration::MAX).unwrap_err().to_string().contains("at most 3650 days in all"));
    assert!(clock.advance(Duration::ZERO).is_ok());
}

#[test]
fn other_clocks_are_not_simulated() {
    assert!(crate::clock::SystemClock::new().simulated().is_none());
}
