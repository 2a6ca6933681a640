//! Whether the worker is alive and ready, and if not, why.
//!
//! Alive: every loop has shown a sign of life lately. Ready: the store is open, the sidecar has asked for the
//! subscriptions, no drain has begun, and no reminder is overdue beyond the limit. The parts report here; nothing
//! here asks them.
//!
//! One reminder that is refused again and again is no reason to hold up a rollout for a day. So while reminders go
//! out, those that have failed before do not count as overdue: the fault is their own, and the metric tells of them.
//! While nothing goes out all count, since in an outage every one fails; and also before the first attempt.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::config;
use crate::domain::Timestamp;
use crate::telemetry;

/// What the probes see. Clones are the same.
#[derive(Clone)]
pub struct Health {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Arc<dyn Clock>,
    limits: config::Health,
    draining: CancellationToken,
    /// The monotonic instant of each loop's last sign of life, by the loop's name.
    hearts: Mutex<BTreeMap<&'static str, Arc<AtomicU64>>>,
    store_usable: AtomicBool,
    subscribed: AtomicBool,
    /// [`Timestamp::MAX`] where none is overdue.
    oldest_overdue: AtomicI64,
    /// The same of those that have not failed yet.
    oldest_untried: AtomicI64,
    reminders_go_out: AtomicBool,
}

/// A loop's way of showing that it lives.
#[derive(Clone)]
pub struct Heart {
    clock: Arc<dyn Clock>,
    last: Arc<AtomicU64>,
}

impl Heart {
    /// The loop has come round.
    pub fn beat(&self) {
        self.last.store(millis(self.clock.monotonic()), Ordering::Relaxed);
    }
}

/// A probe's answer: what was looked at, and what of it fails.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Report {
    /// `ok` or `failing`.
    pub status: &'static str,
    /// By name: `ok`, or what is wrong.
    pub checks: BTreeMap<&'static str, String>,
}

impl Report {
    fn of(checks: BTreeMap<&'static str, Option<String>>) -> Self {
        let failing = checks.values().any(Option::is_some);
        let checks = checks.into_iter().map(|(name, wrong)| (name, wrong.unwrap_or_else(|| "ok".into())));
        Self { status: if failing { "failing" } else { "ok" }, checks: checks.collect() }
    }

    /// Whether nothing fails.
    #[must_use]
    pub fn is_ok(&self) -> bool {
        self.status == "ok"
    }
}

impl Health {
    /// The health of a worker whose store is open and which nobody has asked for anything yet.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, limits: config::Health, draining: CancellationToken) -> Self {
        Self {
            inner: Arc::new(Inner {
                clock,
                limits,
                draining,
                hearts: Mutex::default(),
                store_usable: AtomicBool::new(true),
                subscribed: AtomicBool::new(false),
                oldest_overdue: AtomicI64::new(Timestamp::MAX.millis()),
                oldest_untried: AtomicI64::new(Timestamp::MAX.millis()),
                reminders_go_out: AtomicBool::new(false),
            }),
        }
    }

    /// The heart of the loop called `name`, which counts as alive from now on.
    #[must_use]
    pub fn heart(&self, name: &'static str) -> Heart {
        let last = Arc::new(AtomicU64::new(millis(self.inner.clock.monotonic())));
        // A map of numbers is whole whatever panicked beside it.
        let mut hearts = self.inner.hearts.lock().unwrap_or_else(PoisonError::into_inner);
        hearts.insert(name, last.clone());
        Heart { clock: self.inner.clock.clone(), last }
    }

    /// Whether the store can commit.
    pub fn store_usable(&self, usable: bool) {
        self.inner.store_usable.store(usable, Ordering::Relaxed);
    }

    /// The sidecar has asked for the subscriptions, in this life of the worker or an earlier one.
    pub fn subscribed(&self) {
        self.inner.subscribed.store(true, Ordering::Relaxed);
    }

    /// Whether the sidecar is known to have the subscriptions.
    #[must_use]
    pub fn is_subscribed(&self) -> bool {
        self.inner.subscribed.load(Ordering::Relaxed)
    }

    /// The planned instants of the oldest reminder that should have gone out by now and of the oldest of these that
    /// has not failed yet, where there are such.
    pub fn overdue(&self, oldest: Option<Timestamp>, oldest_untried: Option<Timestamp>) {
        let millis = |at: Option<Timestamp>| at.unwrap_or(Timestamp::MAX).millis();
        self.inner.oldest_overdue.store(millis(oldest), Ordering::Relaxed);
        self.inner.oldest_untried.store(millis(oldest_untried), Ordering::Relaxed);
    }

    /// Whether reminders go out, as far as the scheduler knows.
    pub fn reminders_go_out(&self, go_out: bool) {
        self.inner.reminders_go_out.store(go_out, Ordering::Relaxed);
    }

    /// How long ago each loop showed that it lives, to the metrics.
    pub fn measure(&self) {
        for (name, age) in self.ages() {
            telemetry::heartbeat_age(name, age);
        }
    }

    /// Whether every loop has shown a sign of life lately.
    #[must_use]
    pub fn alive(&self) -> Report {
        let limit = self.inner.limits.heartbeat_limit;
        Report::of(
            self.ages()
                .into_iter()
                .map(|(name, age)| {
                    (name, (age > limit).then(|| format!("no sign of life for {} s", age.as_secs())))
                })
                .collect(),
        )
    }

    /// Whether the worker can do its work.
    #[must_use]
    pub fn ready(&self) -> Report {
        let inner = &self.inner;
        let go_out = inner.reminders_go_out.load(Ordering::Relaxed);
        let oldest = if go_out { &inner.oldest_untried } else { &inner.oldest_overdue };
        let oldest = Timestamp::from_millis(oldest.load(Ordering::Relaxed));
        let late_by = inner.clock.now().since(oldest);
        let wrong = |wrong: bool, why: &str| wrong.then(|| why.to_owned());
        Report::of(BTreeMap::from([
            (
                "store",
                wrong(!inner.store_usable.load(Ordering::Relaxed), "the store cannot commit; see the log"),
            ),
            (
                "subscriptions",
                wrong(
                    !inner.subscribed.load(Ordering::Relaxed),
                    "the sidecar has not asked for the subscriptions yet; is it up, and does it know the app port?",
                ),
            ),
            ("draining", wrong(inner.draining.is_cancelled(), "the worker is stopping")),
            (
                "overdue",
                (late_by > inner.limits.overdue_limit)
                    .then(|| format!("a reminder planned for {oldest} has not gone out; see the log")),
            ),
        ]))
    }

    fn ages(&self) -> Vec<(&'static str, Duration)> {
        let now = millis(self.inner.clock.monotonic());
        let hearts = self.inner.hearts.lock().unwrap_or_else(PoisonError::into_inner);
        let age = |last: &AtomicU64| Duration::from_millis(now.saturating_sub(last.load(Ordering::Relaxed)));
        hearts.iter().map(|(name, last)| (*name, age(last))).collect()
    }
}

/// Milliseconds, as an atomic can hold them.
fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::TokioClock;

    fn health() -> (Health, CancellationToken) {
        let clock = Arc::new(TokioClock::starting_at(Timestamp::from_millis(1_000_000)));
        let limits = config::Health {
            overdue_limit: Duration::from_secs(60),
            heartbeat_limit: Duration::from_secs(30),
        };
        let stop = CancellationToken::new();
        (Health::new(clock, limits, stop.clone()), stop)
    }

    #[tokio::test(start_paused = true)]
    async fn a_loop_that_stands_still_beyond_the_limit_is_named() {
        let (health, _) = health();
        let (turns, _stuck) = (health.heart("turns"), health.heart("stuck"));
        tokio::time::advance(Duration::from_secs(30)).await;
        assert!(health.alive().is_ok(), "on the limit");
        turns.beat();
        tokio::time::advance(Duration::from_millis(1)).await;
        let report = health.alive();
        assert_eq!(report.status, "failing");
        assert_eq!(report.checks["turns"], "ok");
        assert_eq!(report.checks["stuck"], "no sign of life for 30 s");
    }

    #[tokio::test(start_paused = true)]
    async fn readiness_needs_all_four_and_says_which_fails() {
        let (health, stop) = health();
        let failing = |health: &Health| -> Vec<&'static str> {
            let checks = health.ready().checks;
            checks.into_iter().filter(|(_, what)| what != "ok").map(|(name, _)| name).collect()
        };
        assert_eq!(failing(&health), ["subscriptions"]);
        health.subscribed();
        assert!(health.ready().is_ok());
        health.store_usable(false);
        assert_eq!(failing(&health), ["store"]);
        health.store_usable(true);
        health.overdue(Some(Timestamp::from_millis(1_000_000)), None);
        tokio::time::advance(Duration::from_secs(60)).await;
        assert!(health.ready().is_ok(), "on the limit");
        tokio::time::advance(Duration::from_millis(1)).await;
        assert_eq!(failing(&health), ["overdue"]);
        health.reminders_go_out(true);
        assert!(health.ready().is_ok(), "it has failed, but others go out");
        health.overdue(Some(Timestamp::from_millis(0)), Some(Timestamp::from_millis(1_000_000)));
        assert_eq!(failing(&health), ["overdue"]);
        assert!(health.ready().checks["overdue"].contains("1970-01-01T00:16:40"), "the one that counts");
        health.overdue(None, None);
        assert!(health.ready().is_ok());
        stop.cancel();
        assert_eq!(failing(&health), ["draining"]);
    }
}
