//! A clock that a test can step, and one that moves while it is looked at.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use crate::clock::{Clock, Sleep, TokioClock};
use crate::domain::Timestamp;

/// Tokio's time, with a wall clock that can be put wrong.
pub(crate) struct TestClock {
    inner: TokioClock,
    /// How far the wall clock is ahead of what tokio's time makes it, in milliseconds.
    ahead: AtomicI64,
    /// How long the machine was suspended: boot time ran on and monotonic time stood still.
    suspended: AtomicU64,
    /// What every look at the wall clock adds to that.
    a_look: i64,
}

impl TestClock {
    pub(crate) fn starting_at(origin: Timestamp) -> Self {
        Self::moving(origin, 0)
    }

    /// A clock whose `now` is `a_look` milliseconds later at every look.
    pub(crate) fn moving(origin: Timestamp, a_look: i64) -> Self {
        Self {
            inner: TokioClock::starting_at(origin),
            ahead: AtomicI64::new(0),
            suspended: AtomicU64::new(0),
            a_look,
        }
    }

    /// Suspends the machine: tokio's time is the one that stands still.
    pub(crate) fn suspend(&self, for_millis: u32) {
        self.suspended.fetch_add(for_millis.into(), Ordering::SeqCst);
        self.step(for_millis.into());
    }

    /// Steps the wall clock.
    pub(crate) fn step(&self, by_millis: i64) {
        self.ahead.fetch_add(by_millis, Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let ahead = self.ahead.fetch_add(self.a_look, Ordering::SeqCst);
        Timestamp::from_millis(self.inner.now().millis() + ahead)
    }

    fn sleep(&self, duration: Duration) -> Sleep<'_> {
        self.inner.sleep(duration)
    }

    fn monotonic(&self) -> Duration {
        self.inner.monotonic()
    }

    fn boot(&self) -> Duration {
        self.inner.monotonic() + Duration::from_millis(self.suspended.load(Ordering::SeqCst))
    }
}
