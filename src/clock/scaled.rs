//! A simulated wall clock: the machine's, run ahead of it by a factor and by what it is advanced.
//!
//! It follows the machine's wall clock and adds to it, rather than count from a start of its own: so a suspend and a
//! step of the machine's clock are what they are to a real worker, and where neither factor nor advance is used it is
//! that clock. It only ever runs ahead.
//!
//! Only the wall clock is simulated. [`Clock::monotonic`] and [`Clock::wait`] are the machine's: heartbeat limits, time-outs,
//! graces, and the waits of one probe for the next while nothing goes out. The next attempts of a reminder or an outbox entry
//! that failed are instants of the wall clock, as they are on the disk. What the embedded broker does at a time of its own
//! (stamps, times to live, gathering, delivering again) follows the wall clock too.
//!
//! Races and limits that it accepts:
//! - An advance in the microseconds between a loop's look at the clock and its sleep does not end that sleep; the loop
//!   looks again after its usual second at the latest.
//! - An advance is a jump, as from a suspend. What fell due longer ago than the worker's `reminders.expire_after` is
//!   expired, and until the gauges look again, a second later, readiness may say that a reminder was overdue: it was.
//! - Forgetting ended tasks is rung for by the machine's hour, and comes as much later.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;

use super::{Clock, Sleep};
use crate::domain::Timestamp;

/// The greatest factor: the millisecond that timers are exact to is then the second that no loop sleeps longer than, so
/// beyond it the worker would be later the faster its time runs. A day takes 86 s; an advance gets anywhere at once.
pub const SCALE_MAX: f64 = 1_000.0;

/// The furthest that a clock can be advanced, all advances together: ten years, beyond what tasks are planned for and far
/// from the last year that RFC 3339 can write.
pub const ADVANCED_MAX: Duration = Duration::from_secs(3_650 * 24 * 60 * 60);

/// How many times as fast as the machine's a clock runs: 1 to [`SCALE_MAX`].
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Scale(f64);

impl Scale {
    /// As fast as the machine's.
    pub const REAL: Self = Self(1.0);

    /// The factor.
    #[must_use]
    pub fn factor(self) -> f64 {
        self.0
    }
}

impl FromStr for Scale {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let factor = text.parse::<f64>().ok().filter(|factor| (1.0..=SCALE_MAX).contains(factor));
        factor.map(Self).ok_or_else(|| format!("write a number from 1 to {SCALE_MAX}, such as 60 or 1.5"))
    }
}

/// An advance that would lead beyond [`ADVANCED_MAX`]; nothing was advanced.
#[derive(Clone, Copy, PartialEq, Eq, Debug, thiserror::Error)]
#[error(
    "the clock can be advanced by at most {} days in all, and has been by {}; start the daemon anew to begin again",
    days(ADVANCED_MAX), humantime::format_duration(seconds(*.so_far))
)]
pub struct TooFar {
    /// By how much it had been advanced before.
    pub so_far: Duration,
}

/// A wall clock that runs ahead of the machine's. Clones are the same.
#[derive(Clone)]
pub struct ScaledClock {
    inner: Arc<Inner>,
}

struct Inner {
    machine: Arc<dyn Clock>,
    scale: Scale,
    /// On the machine's monotonic clock.
    started: Duration,
    /// By how much it was advanced, all together; a change ends every sleep.
    advanced: watch::Sender<Duration>,
}

impl ScaledClock {
    /// A clock that shows what `machine` shows now, and runs `scale` times as fast from here on.
    #[must_use]
    pub fn new(machine: Arc<dyn Clock>, scale: Scale) -> Self {
        let started = machine.monotonic();
        let advanced = watch::Sender::new(Duration::ZERO);
        Self { inner: Arc::new(Inner { machine, scale, started, advanced }) }
    }

    /// How many times as fast as the machine's it runs.
    #[must_use]
    pub fn scale(&self) -> Scale {
        self.inner.scale
    }

    /// Advances it by `by`, ends every sleep, and says what it shows then.
    ///
    /// # Errors
    /// [`TooFar`]
    pub fn advance(&self, by: Duration) -> Result<Timestamp, TooFar> {
        let mut so_far = Duration::ZERO;
        let taken = self.inner.advanced.send_if_modified(|advanced| {
            so_far = *advanced;
            let sum = advanced.saturating_add(by);
            let taken = sum <= ADVANCED_MAX;
            if taken {
                *advanced = sum;
            }
            taken
        });
        if taken { Ok(self.now()) } else { Err(TooFar { so_far }) }
    }
}

impl Clock for ScaledClock {
    fn now(&self) -> Timestamp {
        let Inner { machine, scale, started, advanced } = self.inner.as_ref();
        let elapsed = machine.monotonic().saturating_sub(*started);
        // No overflow: a machine would have to run for 500 million years.
        let gained = elapsed.mul_f64(scale.0 - Scale::REAL.0);
        machine.now().plus(gained.saturating_add(*advanced.borrow()))
    }

    fn sleep(&self, duration: Duration) -> Sleep<'_> {
        // Both begin here and not when they are first looked at.
        let mut advanced = self.inner.advanced.subscribe();
        let slept = self.inner.machine.sleep(duration.div_f64(self.inner.scale.0));
        Box::pin(async move {
            tokio::select! {
                () = slept => {}
                _ = advanced.changed() => {}
            }
        })
    }

    fn monotonic(&self) -> Duration {
        self.inner.machine.monotonic()
    }

    fn boot(&self) -> Duration {
        self.inner.machine.boot()
    }

    fn wait(&self, duration: Duration) -> Sleep<'_> {
        self.inner.machine.wait(duration)
    }

    fn simulated(&self) -> Option<ScaledClock> {
        Some(self.clone())
    }
}

fn days(span: Duration) -> u64 {
    span.as_secs() / (24 * 60 * 60)
}

fn seconds(span: Duration) -> Duration {
    Duration::from_secs(span.as_secs())
}

#[cfg(test)]
mod tests;
