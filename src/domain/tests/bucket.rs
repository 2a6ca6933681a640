//! The token bucket.

use std::time::Duration;

use super::*;

fn after(millis: i64) -> Timestamp {
    Timestamp::from_millis(T0.millis() + millis)
}

fn bucket(count: u32, span_ms: u64, burst: u32) -> Bucket {
    Bucket::full(Rate::new(count, Duration::from_millis(span_ms), burst).unwrap(), T0)
}

/// How many can be taken at `at`.
fn taken(bucket: &mut Bucket, at: i64) -> usize {
    bucket.refill(after(at));
    (0..1_000).take_while(|_| bucket.take()).count()
}

#[test]
fn a_count_of_nothing_is_no_rate_and_a_burst_is_at_least_one() {
    assert_eq!(Rate::new(0, Duration::from_secs(1), 5), None);
    assert_eq!(Rate::new(1, Duration::from_secs(1), 0).unwrap().burst(), 1);
    assert_eq!(Rate::new(1, Duration::ZERO, 1), Rate::new(1, Duration::from_millis(1), 1));
}

#[test]
fn a_full_bucket_gives_its_burst_and_then_a_token_each_time_one_has_come_in() {
    let mut bucket = bucket(3, 1_000, 2);
    for (at, there) in [(0, 2), (333, 0), (334, 1), (666, 0), (667, 1), (1_000, 1), (9_000, 2)] {
        assert_eq!(taken(&mut bucket, at), there, "{at}");
    }
}

#[test]
fn over_a_long_time_nothing_is_rounded_away() {
    for count in [1, 7, 333, 1_000] {
        let mut bucket = bucket(count, 1_000, 10);
        let taken: usize = (0..100_000).map(|n| taken(&mut bucket, n * 7)).sum();
        let came_in = 99_999 * 7 * usize::try_from(count).unwrap() / 1_000;
        assert_eq!(taken, 10 + came_in, "{count}");
    }
}

#[test]
fn it_tells_when_it_holds_so_many() {
    let mut bucket = bucket(3, 1_000, 2);
    assert_eq!(bucket.holds_at(2), T0, "full");
    assert!(bucket.is_full() && bucket.has_token());
    taken(&mut bucket, 0);
    for (tokens, at) in [(1, 334), (2, 667), (9, 667), (0, 334)] {
        assert_eq!(bucket.holds_at(tokens), after(at), "{tokens}");
    }
    assert!(!bucket.has_token() && !bucket.is_full());
    bucket.refill(after(333));
    assert!(!bucket.has_token(), "a moment before");
    bucket.refill(after(334));
    assert!(bucket.has_token(), "on the moment");
}

#[test]
fn a_clock_that_steps_back_neither_fills_it_nor_stops_it() {
    let mut bucket = bucket(1, 1_000, 1);
    assert_eq!(taken(&mut bucket, 3_600_000), 1);
    assert_eq!(taken(&mut bucket, 0), 0);
    assert_eq!(bucket.holds_at(1), after(1_000));
    assert_eq!(taken(&mut bucket, 1_000), 1);
    bucket.refill(Timestamp::MIN);
    bucket.refill(Timestamp::MAX);
    assert!(bucket.is_full(), "however far");
}
