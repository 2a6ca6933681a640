//! Whether the worker is alive and ready, and if not, why.
//!
//! Alive: every loop has shown a sign of life lately. Ready: the store is open, the sidecar is there with its
//! component and its tokens are right both ways, it has asked for the subscriptions, no drain has begun, and no
//! reminder is overdue beyond the limit. The parts report here; nothing here asks them. What is wrong and keeps
//! nobody from working, a warning, stands beside the checks and fails none.
//!
//! One reminder that is refused again and again is no reason to hold up a rollout for a day. So while reminders go
//! out, those that have failed before do not count as overdue: the fault is their own, and the metric tells of them.
//! While nothing goes out all count, since in an outage every one fails; and also before the first attempt. What the
//! worker holds back itself, by a rate or because it is paused, is told as a warning.
//!
//! Accepted: who reaches the app port without its token can make the worker unready, at most for [`REFUSED_FOR`] after
//! each call. A sidecar with a wrong token looks the same, and nobody but it should reach that port.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, millis};
use crate::config;
use crate::domain::Timestamp;
use crate::telemetry;

/// How long a delivery that was refused for its token counts: several times what any broker waits before it delivers
/// again, so that one stranger's call is soon forgotten.
pub const REFUSED_FOR: Duration = Duration::from_secs(60);

/// What Dapr calls the worker for, where a wrong token matters.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum DaprCall {
    /// It asks for the subscriptions, once in its life.
    Subscribe,
    /// It delivers.
    Deliver,
}

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
    /// Why what is told of the store is as old as it is.
    store_unread: Mutex<Option<String>>,
    subscribed: AtomicBool,
    /// The sidecar asked for the subscriptions with a wrong token or none, and was told nothing.
    subscribe_refused: AtomicBool,
    /// The monotonic instant of the last delivery refused for its token since one was taken; [`u64::MAX`] for none.
    delivery_refused_at: AtomicU64,
    /// What keeps the sidecar from being of use.
    sidecar_fault: Mutex<Option<String>>,
    /// Why no reminder goes out.
    held_up: Mutex<Option<String>>,
    /// What the rates hold back.
    held_back: Mutex<Option<String>>,
    /// What else is to be looked at, by name.
    warnings: Mutex<BTreeMap<&'static str, String>>,
    /// Why the store takes nothing that makes it larger.
    space: Mutex<Option<String>>,
    /// What is looked at only where it is wanted, by name, and what is wrong with it.
    checks: Mutex<BTreeMap<&'static str, Option<String>>>,
    /// [`Timestamp::MAX`] where none is overdue.
    oldest_overdue: AtomicI64,
    /// The same of those that have not failed yet.
    oldest_untried: AtomicI64,
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
    /// What should be looked at and fails nothing, by name.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub warnings: BTreeMap<&'static str, String>,
}

impl Report {
    fn of(checks: BTreeMap<&'static str, Option<String>>) -> Self {
        let failing = checks.values().any(Option::is_some);
        let checks = checks.into_iter().map(|(name, wrong)| (name, wrong.unwrap_or_else(|| "ok".into())));
        let status = if failing { "failing" } else { "ok" };
        Self { status, checks: checks.collect(), warnings: BTreeMap::new() }
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
                store_unread: Mutex::default(),
                subscribed: AtomicBool::new(false),
                subscribe_refused: AtomicBool::new(false),
                delivery_refused_at: AtomicU64::new(u64::MAX),
                sidecar_fault: Mutex::default(),
                held_up: Mutex::default(),
                held_back: Mutex::default(),
                warnings: Mutex::default(),
                space: Mutex::default(),
                checks: Mutex::default(),
                oldest_overdue: AtomicI64::new(Timestamp::MAX.millis()),
                oldest_untried: AtomicI64::new(Timestamp::MAX.millis()),
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

    /// Why the store could not be read when it was last looked at, if it could not: what is overdue and most warnings are
    /// told as they were before.
    pub fn store_unread(&self, why: Option<String>) {
        put(&self.inner.store_unread, why);
    }

    /// The sidecar has asked for the subscriptions, in this life of the worker or an earlier one.
    pub fn subscribed(&self) {
        self.inner.subscribe_refused.store(false, Ordering::Relaxed);
        self.inner.subscribed.store(true, Ordering::Relaxed);
    }

    /// A call of Dapr's was refused for its token; true if the one before was not. A sidecar that is refused the
    /// subscriptions has none, unless its metadata says otherwise.
    pub fn refused(&self, call: DaprCall) -> bool {
        let inner = &self.inner;
        let now = millis(inner.clock.monotonic());
        let before = match call {
            DaprCall::Subscribe => {
                inner.subscribed.store(false, Ordering::Relaxed);
                inner.subscribe_refused.swap(true, Ordering::Relaxed)
                    || inner.delivery_refused_at.load(Ordering::Relaxed) != u64::MAX
            }
            DaprCall::Deliver => {
                inner.delivery_refused_at.swap(now, Ordering::Relaxed) != u64::MAX
                    || inner.subscribe_refused.load(Ordering::Relaxed)
            }
        };
        !before
    }

    /// A delivery of Dapr's came with the right token.
    pub fn taken(&self) {
        self.inner.delivery_refused_at.store(u64::MAX, Ordering::Relaxed);
    }

    /// What keeps the sidecar from being of use, if anything does.
    pub fn sidecar(&self, fault: Option<String>) {
        put(&self.inner.sidecar_fault, fault);
    }

    /// What the worker's own rates hold back, if they do.
    pub fn held_back(&self, what: Option<String>) {
        put(&self.inner.held_back, what);
    }

    /// Why the store takes nothing that makes it larger, if it does not.
    pub fn space(&self, short: Option<String>) {
        put(&self.inner.space, short);
    }

    /// What is wrong with what is looked at under `name`, if anything is.
    pub fn check(&self, name: &'static str, wrong: Option<String>) {
        // Each entry is whole whoever panicked.
        self.inner.checks.lock().unwrap_or_else(PoisonError::into_inner).insert(name, wrong);
    }

    /// What is to be looked at under `name`, if anything is.
    pub fn warning(&self, name: &'static str, what: Option<String>) {
        // Each entry is whole whoever panicked.
        let mut warnings = self.inner.warnings.lock().unwrap_or_else(PoisonError::into_inner);
        match what {
            Some(what) => warnings.insert(name, what),
            None => warnings.remove(name),
        };
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

    /// Whether what should have gone out at `at` is late beyond the limit.
    #[must_use]
    pub fn is_late(&self, at: Timestamp) -> bool {
        self.inner.clock.now().since(at) > self.inner.limits.overdue_limit
    }

    /// Why no reminder goes out, as far as the scheduler knows; `None` while they do.
    pub fn held_up(&self, why: Option<String>) {
        put(&self.inner.held_up, why);
    }

    /// How long ago each loop showed that it lives and whether the sidecar has the subscriptions, to the metrics.
    pub fn measure(&self) {
        telemetry::subscribed(self.is_subscribed());
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
        let held_up = get(&inner.held_up);
        let oldest = if held_up.is_none() { &inner.oldest_untried } else { &inner.oldest_overdue };
        let oldest = Timestamp::from_millis(oldest.load(Ordering::Relaxed));
        let late_by = inner.clock.now().since(oldest);
        let wrong = |wrong: bool, why: &str| wrong.then(|| why.to_owned());
        let mut checks = inner.checks.lock().unwrap_or_else(PoisonError::into_inner).clone();
        checks.extend(BTreeMap::from([
            (
                "store",
                wrong(!inner.store_usable.load(Ordering::Relaxed), "the store cannot commit; see the log")
                    .or_else(|| get(&inner.store_unread)),
            ),
            ("space", get(&inner.space)),
            ("sidecar", get(&inner.sidecar_fault)),
            ("subscriptions", wrong(!self.is_subscribed(), self.why_not_subscribed())),
            ("deliveries", wrong(self.refuses_deliveries(), DELIVERIES_REFUSED)),
            ("draining", wrong(inner.draining.is_cancelled(), "the worker is stopping")),
            (
                "overdue",
                (late_by > inner.limits.overdue_limit).then(|| {
                    let why = held_up.as_deref().unwrap_or("see the log");
                    format!("a reminder planned for {oldest} has not gone out: {why}")
                }),
            ),
        ]));
        let mut report = Report::of(checks);
        let oldest = Timestamp::from_millis(inner.oldest_overdue.load(Ordering::Relaxed));
        let is_late = self.is_late(oldest);
        let warnings = [("publishing", held_up), ("held_back", get(&inner.held_back).filter(|_| is_late))];
        report.warnings.extend(warnings.into_iter().filter_map(|(name, what)| Some((name, what?))));
        report.warnings.extend(inner.warnings.lock().unwrap_or_else(PoisonError::into_inner).clone());
        report
    }

    /// Why no reminder goes out, as far as is known; `None` while they do.
    #[must_use]
    pub fn why_none_goes_out(&self) -> Option<String> {
        get(&self.inner.sidecar_fault).or_else(|| get(&self.inner.held_up))
    }

    fn why_not_subscribed(&self) -> &'static str {
        if self.inner.subscribe_refused.load(Ordering::Relaxed) {
            return SUBSCRIBE_REFUSED;
        }
        "the sidecar has not asked for the subscriptions yet; is it up, and does it know the app port?"
    }

    fn refuses_deliveries(&self) -> bool {
        let at = self.inner.delivery_refused_at.load(Ordering::Relaxed);
        at != u64::MAX && millis(self.inner.clock.monotonic()).saturating_sub(at) < millis(REFUSED_FOR)
    }

    fn ages(&self) -> Vec<(&'static str, Duration)> {
        let now = millis(self.inner.clock.monotonic());
        let hearts = self.inner.hearts.lock().unwrap_or_else(PoisonError::into_inner);
        let age = |last: &AtomicU64| Duration::from_millis(now.saturating_sub(last.load(Ordering::Relaxed)));
        hearts.iter().map(|(name, last)| (*name, age(last))).collect()
    }
}

const SUBSCRIBE_REFUSED: &str = "the sidecar asked for the subscriptions without the right dapr-api-token and was \
    refused; start it anew with APP_API_TOKEN set to the worker's app.api_token";
const DELIVERIES_REFUSED: &str = "deliveries come without the right dapr-api-token and are refused; give the sidecar \
    the worker's app.api_token as APP_API_TOKEN";

fn put(place: &Mutex<Option<String>>, what: Option<String>) {
    // Text is whole whoever panicked.
    *place.lock().unwrap_or_else(PoisonError::into_inner) = what;
}

fn get(place: &Mutex<Option<String>>) -> Option<String> {
    place.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

#[cfg(test)]
mod tests;
