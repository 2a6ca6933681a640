//! The clock: the only ambient time and the only ambient randomness of the crate.
//!
//! Everything that asks "what time is it" holds an `Arc<dyn Clock>`. The daemon runs on [`SystemClock`];
//! tests and simulations run on [`TokioClock`], which follows tokio's own time and so stands still, jumps
//! and runs ahead with `tokio::time::pause` and `advance`. `dev` runs on [`ScaledClock`], whose wall clock can run
//! faster than the machine's and be advanced.
//!
//! There are two times. What is about tasks (due dates, next attempts, stamps) is wall time: [`Clock::now`] and
//! [`Clock::sleep`]. What waits for a process, a socket or a disk (time-outs, graces, polls, heartbeats) is the
//! machine's: [`Clock::monotonic`] and [`Clock::wait`]. They differ only where the wall clock is simulated; there a
//! time-out that followed it would fail because time was advanced, and a heartbeat with it.
//!
//! **Invariant 2 (never early)** leans on this contract: a sleep may end early or late, whatever the reason
//! (a clock step, a suspend, a coarse timer), so whoever sleeps reads `now` again before acting.

mod guard;
mod scaled;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use uuid::Uuid;

use crate::domain::Timestamp;

pub use guard::{Guard, Jump, Reading, STEP_MIN, jump};
pub use scaled::{ADVANCED_MAX, SCALE_MAX, Scale, ScaledClock, TooFar};

/// A sleep on a [`Clock`].
pub type Sleep<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

/// Wall-clock time and sleeping, as a dependency.
pub trait Clock: Send + Sync + 'static {
    /// The wall clock, in milliseconds of UTC.
    fn now(&self) -> Timestamp;

    /// Sleeps for about `duration` of wall time; the caller reads [`Clock::now`] afterwards.
    fn sleep(&self, duration: Duration) -> Sleep<'_>;

    /// The machine's monotonic time since some fixed point; only differences mean anything.
    fn monotonic(&self) -> Duration;

    /// The machine's monotonic time with its suspends, in which [`Clock::monotonic`] stands still; where it can't tell
    /// them, the same.
    fn boot(&self) -> Duration {
        self.monotonic()
    }

    /// Waits for `duration` of the machine's time, whatever becomes of the wall clock.
    fn wait(&self, duration: Duration) -> Sleep<'_> {
        self.sleep(duration)
    }

    /// The same clock, if its wall time is simulated.
    fn simulated(&self) -> Option<ScaledClock> {
        None
    }
}

/// The machine's clock.
#[derive(Debug)]
pub struct SystemClock {
    started: std::time::Instant,
}

impl SystemClock {
    /// A clock on the machine's wall and monotonic time.
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    #[must_use]
    pub fn new() -> Self {
        Self { started: std::time::Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the machine's clock")]
    fn now(&self) -> Timestamp {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        // A clock before 1970 is read as 1970: nothing can have been due by then.
        Timestamp::from_millis(since.map_or(0, |d| i64::try_from(d.as_millis()).unwrap_or(i64::MAX)))
    }

    #[expect(clippy::disallowed_methods, reason = "the one place that sleeps on the machine's clock")]
    fn sleep(&self, duration: Duration) -> Sleep<'_> {
        Box::pin(tokio::time::sleep(duration))
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }

    #[cfg(target_os = "linux")]
    fn boot(&self) -> Duration {
        let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        // Neither is ever negative.
        Duration::new(u64::try_from(now.tv_sec).unwrap_or(0), u32::try_from(now.tv_nsec).unwrap_or(0))
    }
}

/// A clock that follows tokio's time: virtual where tokio's clock is paused.
#[derive(Debug)]
pub struct TokioClock {
    origin: Timestamp,
    started: tokio::time::Instant,
}

impl TokioClock {
    /// A clock that shows `origin` now; must be made inside a tokio runtime.
    #[expect(
        clippy::disallowed_methods,
        reason = "tokio's own (possibly paused) time is this clock's source"
    )]
    #[must_use]
    pub fn starting_at(origin: Timestamp) -> Self {
        Self { origin, started: tokio::time::Instant::now() }
    }
}

impl Clock for TokioClock {
    fn now(&self) -> Timestamp {
        self.origin.plus(self.started.elapsed())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "tokio's own (possibly paused) time is this clock's source"
    )]
    fn sleep(&self, duration: Duration) -> Sleep<'_> {
        Box::pin(tokio::time::sleep(duration))
    }

    fn monotonic(&self) -> Duration {
        self.started.elapsed()
    }
}

/// A random UUID, for events that a publisher sends without an id of their own and stores that have no number yet.
#[expect(clippy::disallowed_methods, reason = "the one source of randomness: ids that nobody else gives")]
#[must_use]
pub fn random_id() -> Uuid {
    Uuid::new_v4()
}

/// A span in whole milliseconds; the greatest number for one that is longer.
#[must_use]
pub fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}
