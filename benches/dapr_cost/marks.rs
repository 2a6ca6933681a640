//! When each event was sent, acknowledged, and seen again as a reminder.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// A number for each measurement, so that none sees another's events.
static RUNS: AtomicU64 = AtomicU64::new(1);

/// Instants of events, by their number; 0 is not yet.
pub(crate) struct Marks {
    pub(crate) run: u64,
    began: Instant,
    sent: Vec<AtomicU64>,
    done: Vec<AtomicU64>,
    seen: Vec<AtomicU64>,
    count_done: AtomicUsize,
    count_seen: AtomicUsize,
}

/// A distribution, in milliseconds.
pub(crate) struct Latency {
    pub(crate) median: f64,
    pub(crate) p99: f64,
}

impl Marks {
    pub(crate) fn new(count: usize) -> Self {
        let none = || (0..count).map(|_| AtomicU64::new(0)).collect();
        Self {
            run: RUNS.fetch_add(1, Ordering::Relaxed),
            began: Instant::now(),
            sent: none(),
            done: none(),
            seen: none(),
            count_done: AtomicUsize::new(0),
            count_seen: AtomicUsize::new(0),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.sent.len()
    }

    pub(crate) fn send(&self, n: usize) {
        self.send_at(n, Instant::now());
    }

    /// It was to be sent at `at`, whenever it really is.
    pub(crate) fn send_at(&self, n: usize, at: Instant) {
        self.sent[n].store(self.nanos(at), Ordering::Relaxed);
    }

    pub(crate) fn done(&self, n: usize) {
        self.mark(&self.done[n], &self.count_done);
    }

    /// The first time counts.
    pub(crate) fn see(&self, n: usize) {
        self.mark(&self.seen[n], &self.count_seen);
    }

    pub(crate) fn seen(&self) -> usize {
        self.count_seen.load(Ordering::Relaxed)
    }

    pub(crate) async fn wait_until_seen(&self, at_most: Duration) {
        Self::wait(&self.count_seen, self.len(), at_most, "seen").await;
    }

    pub(crate) async fn wait_until_done(&self, at_most: Duration) {
        Self::wait(&self.count_done, self.len(), at_most, "acknowledged").await;
    }

    pub(crate) fn published(&self) -> Latency {
        self.latency(&self.done)
    }

    pub(crate) fn reminded(&self) -> Latency {
        self.latency(&self.seen)
    }

    pub(crate) fn done_per_second(&self) -> f64 {
        self.per_second(&self.done)
    }

    pub(crate) fn seen_per_second(&self) -> f64 {
        self.per_second(&self.seen)
    }

    fn nanos(&self, at: Instant) -> u64 {
        u64::try_from(at.duration_since(self.began).as_nanos()).unwrap().max(1)
    }

    fn mark(&self, what: &AtomicU64, count: &AtomicUsize) {
        let now = self.nanos(Instant::now());
        if what.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed).is_ok() {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    async fn wait(count: &AtomicUsize, all: usize, at_most: Duration, what: &str) {
        let until = Instant::now() + at_most;
        while count.load(Ordering::Relaxed) < all {
            let so_far = count.load(Ordering::Relaxed);
            assert!(Instant::now() < until, "only {so_far} of {all} were {what}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    fn latency(&self, ends: &[AtomicU64]) -> Latency {
        let load = |mark: &AtomicU64| mark.load(Ordering::Relaxed) as f64 / 1e6;
        let mut took: Vec<f64> =
            self.sent.iter().zip(ends).map(|(sent, end)| load(end) - load(sent)).collect();
        took.sort_by(f64::total_cmp);
        let quantile = |percent: usize| took[(took.len() - 1) * percent / 100];
        Latency { median: quantile(50), p99: quantile(99) }
    }

    /// From the first sent to the last end.
    fn per_second(&self, ends: &[AtomicU64]) -> f64 {
        let load = |mark: &AtomicU64| mark.load(Ordering::Relaxed);
        let first = self.sent.iter().map(load).min().unwrap();
        let last = ends.iter().map(load).max().unwrap();
        self.len() as f64 / ((last - first) as f64 / 1e9)
    }
}
