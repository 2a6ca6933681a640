//! Stopping: first softly, then hard, and nobody is left behind.
//!
//! A soft stop asks every loop to finish what is under way; a hard stop makes them drop it. The first signal
//! stops softly; a second one, or the end of the grace, stops hard. Every task is spawned here, by name, so
//! that the drain knows what it waits for. Knows no loop and nothing of what one does.
//!
//! A race accepted: a task spawned after the soft stop began still runs; it sees the token at its first look.
//! A task that ends by panicking stops the worker softly and is remembered, since a loop that is silently
//! gone would be worse than a restart.

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::FutureExt as _;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::clock::Clock;

/// The part of the grace after which yielding tasks are cut short.
const YIELD_AFTER: f32 = 0.75;

/// The same signal again within this is the same wish, sent to the process and to its group; no hand is so fast.
const ECHO: Duration = Duration::from_millis(100);

/// Stop signals and the tasks that obey them; clones are the same.
#[derive(Clone)]
pub struct Shutdown {
    inner: Arc<Inner>,
}

struct Inner {
    clock: Arc<dyn Clock>,
    grace: Duration,
    soft: CancellationToken,
    hard: CancellationToken,
    tasks: TaskTracker,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// How many tasks of each name are running.
    running: BTreeMap<&'static str, usize>,
    /// Names of tasks that panicked.
    crashed: Vec<&'static str>,
}

/// How the drain ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Drained {
    /// Tasks that had to be stopped hard; empty after a clean drain.
    pub cut_off: Vec<&'static str>,
    /// Tasks that panicked.
    pub crashed: Vec<&'static str>,
}

impl Drained {
    /// Whether every task ended by itself.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.cut_off.is_empty() && self.crashed.is_empty()
    }
}

impl Shutdown {
    /// Nothing stopped, nothing spawned; a soft stop turns hard after `grace`.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>, grace: Duration) -> Self {
        let soft = CancellationToken::new();
        let hard = CancellationToken::new();
        let (tasks, state) = (TaskTracker::new(), Mutex::default());
        Self { inner: Arc::new(Inner { clock, grace, soft, hard, tasks, state }) }
    }

    /// Cancelled when loops should finish what is under way and take on nothing new.
    #[must_use]
    pub fn soft(&self) -> &CancellationToken {
        &self.inner.soft
    }

    /// Cancelled when loops should drop what is under way. A task need not look at it: it is dropped.
    #[must_use]
    pub fn hard(&self) -> &CancellationToken {
        &self.inner.hard
    }

    /// Begins a soft stop.
    pub fn stop(&self) {
        self.inner.soft.cancel();
    }

    /// Begins a hard stop.
    pub fn stop_now(&self) {
        self.inner.soft.cancel();
        self.inner.hard.cancel();
    }

    /// Runs `task` until it ends or the hard stop drops it. If it panics, the worker stops.
    pub fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        *self.state().running.entry(name).or_default() += 1;
        let this = self.clone();
        self.inner.tasks.spawn(async move {
            let end = this.inner.hard.run_until_cancelled(AssertUnwindSafe(task).catch_unwind()).await;
            // A task that was cut off stays on the list of what was running.
            let Some(end) = end else { return };
            let mut state = this.state();
            if let Some(count) = state.running.get_mut(name) {
                *count -= 1;
            }
            if end.is_err() {
                state.crashed.push(name);
                drop(state);
                tracing::error!(
                    task = name,
                    "{name} crashed; the worker stops, please report the panic above"
                );
                this.stop();
            }
        });
    }

    /// Runs `task` like [`Shutdown::spawn`], for work that loses nothing by being cut short: what it was sending is
    /// sent again by the next life. It is dropped when three quarters of the grace are over, so that those who
    /// must end by themselves still can.
    pub fn spawn_yielding(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let this = self.clone();
        self.spawn(name, async move {
            let patience = async {
                this.inner.soft.cancelled().await;
                this.inner.clock.wait(this.inner.grace.mul_f32(YIELD_AFTER)).await;
            };
            tokio::select! {
                () = task => {}
                () = patience => {
                    tracing::warn!(task = name, "{name} had something under way for most of the grace; it is cut short");
                }
            }
        });
    }

    /// Waits for a soft stop, then until every task has ended or has been cut off.
    pub async fn drain(&self) -> Drained {
        self.inner.soft.cancelled().await;
        self.inner.tasks.close();
        let deadline = async {
            self.inner.clock.wait(self.inner.grace).await;
            tracing::warn!(running = ?self.running(), grace = ?self.inner.grace, "the grace is over");
            self.stop_now();
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = self.inner.tasks.wait() => {}
            () = deadline => {}
        }
        Drained { cut_off: self.running(), crashed: self.state().crashed.clone() }
    }

    /// Turns signals into stops: the first is soft, the second hard, unless it is the first one's [`ECHO`]. Ends after that.
    pub async fn obey(&self, mut signals: impl Signals) {
        let name = signals.next().await;
        tracing::info!(signal = name, grace = ?self.inner.grace, "stopping; a second signal stops at once");
        self.stop();
        let another = async {
            loop {
                let again = signals.next().await;
                if again != name {
                    return again;
                }
            }
        };
        let another = tokio::select! {
            // After a stall both may be ready, and the echo came first.
            biased;
            another = another => Some(another),
            () = self.inner.clock.wait(ECHO) => None,
        };
        let name = match another {
            Some(name) => name,
            None => signals.next().await,
        };
        tracing::warn!(signal = name, running = ?self.running(), "stopping at once");
        self.stop_now();
    }

    /// Names of the tasks that are running.
    #[must_use]
    pub fn running(&self) -> Vec<&'static str> {
        self.state().running.iter().filter(|(_, count)| **count > 0).map(|(name, _)| *name).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics while holding it, and counts stay counts if something did.
        self.inner.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where stop signals come from.
pub trait Signals: Send {
    /// Waits for the next one and tells its name.
    fn next(&mut self) -> impl Future<Output = &'static str> + Send;
}

/// SIGTERM and SIGINT of this process.
#[cfg(unix)]
#[derive(Debug)]
pub struct ProcessSignals {
    term: tokio::signal::unix::Signal,
    int: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl ProcessSignals {
    /// Takes over both signals; from here on they no longer end the process by themselves.
    ///
    /// # Errors
    /// If the system refuses the handlers.
    pub fn listen() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self { term: signal(SignalKind::terminate())?, int: signal(SignalKind::interrupt())? })
    }
}

#[cfg(unix)]
impl Signals for ProcessSignals {
    async fn next(&mut self) -> &'static str {
        tokio::select! {
            _ = self.term.recv() => "SIGTERM",
            _ = self.int.recv() => "SIGINT",
        }
    }
}

#[cfg(test)]
mod tests;
