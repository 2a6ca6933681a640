//! Who holds a store: one process, by the lock beside it, as long as the store is open.
//!
//! A worker that starts waits a while for one that is held: what holds it is mostly a command that a timer runs while no
//! worker answers (a backup), and giving up would leave the worker down over nothing. Whoever types a command is told at
//! once by whom the store is held: it is mostly a worker, which does not go, and a command that waited would take the store
//! in the very moment in which one worker makes room for the next.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::path::Path;
use std::time::Duration;

use super::{Place, unreachable};
use crate::store::OpenError;
use crate::store::sled::files::no_link;

/// How long a start waits for a store that is held: a backup of a million tasks is done by then, and a second worker on one
/// store is told before anybody wonders what it does.
pub const START_PATIENCE: Duration = Duration::from_secs(10);
/// How long between two looks at a store that is held: nobody notices it, and nothing is busy with looking.
const HELD_POLL: Duration = Duration::from_millis(100);
/// How often a file that is still locked is looked at: half a second in all, far above what sled's threads take.
const RELEASE_TRIES: u32 = 100;
/// How long between two looks.
const RELEASE_POLL: Duration = Duration::from_millis(5);

impl Place {
    /// Does as [`Place::hold`], and while another process holds it looks again for as long as `patience`, after each `wait`.
    pub(super) fn hold_patiently(
        &self,
        patience: Duration,
        wait: impl Fn(Duration),
    ) -> Result<File, OpenError> {
        let mut waited = Duration::ZERO;
        loop {
            match self.hold() {
                Err(OpenError::Held { path, holder }) if waited < patience => {
                    if waited.is_zero() {
                        tracing::warn!(
                            store = path,
                            holder,
                            patience_s = patience.as_secs(),
                            "the store is held by another process; the start waits for it"
                        );
                    }
                    wait(HELD_POLL);
                    waited += HELD_POLL;
                }
                done => return done,
            }
        }
    }

    /// Takes the lock and writes into it who has it.
    pub(super) fn hold(&self) -> Result<File, OpenError> {
        let io = |error: io::Error| unreachable(&self.lock, &error.to_string());
        let mut options = OpenOptions::new();
        options.read(true).write(true).create(true).truncate(false);
        let mut lock = no_link(&mut options).open(&self.lock).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::Error(error)) => return Err(io(error)),
            Err(TryLockError::WouldBlock) => {
                return Err(self.held_by(&mut lock));
            }
        }
        self.give(&self.lock);
        lock.set_len(0).map_err(io)?;
        lock.write_all(myself().as_bytes()).map_err(io)?;
        Ok(lock)
    }

    /// That somebody holds it, whom the file `lock` names.
    pub(super) fn held_by(&self, lock: &mut File) -> OpenError {
        let mut holder = String::new();
        // Not yet written, or no text: then there is less to say.
        let _ = lock.read_to_string(&mut holder);
        let holder = holder.trim();
        let holder = if holder.is_empty() { "another process" } else { holder };
        OpenError::Held { path: self.dir.display().to_string(), holder: holder.to_owned() }
    }
}

/// Waits until sled's own lock on its file in `dir` is free. We hold ours, so who holds that one is a store just closed
/// in this process, whose threads let go a moment later, or a stranger, of whom opening will tell.
pub(super) fn await_release(dir: &Path) {
    let Ok(data) = File::open(dir.join("db")) else { return };
    for _ in 0..RELEASE_TRIES {
        if !matches!(data.try_lock(), Err(TryLockError::WouldBlock)) {
            return;
        }
        std::thread::park_timeout(RELEASE_POLL);
    }
}

/// This process, as it is named to one that finds the store held.
fn myself() -> String {
    let process = std::process::id();
    match std::fs::read_to_string("/proc/sys/kernel/hostname") {
        Ok(host) => format!("process {process} on host {}", host.trim()),
        Err(_) => format!("process {process}"),
    }
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};

    use super::*;

    #[test]
    fn a_start_waits_as_long_as_the_bound_for_a_store_that_is_held_and_no_longer() {
        let room = tempfile::tempdir().unwrap();
        let place = Place::new(&room.path().join("store")).unwrap();
        let patience = HELD_POLL * 3;
        for (let_go_after, waits) in [(0, 1), (2, 3), (3, 3)] {
            let held = RefCell::new(Some(place.hold().unwrap()));
            let waited = Cell::new(0);
            let got = place.hold_patiently(patience, |span| {
                assert_eq!(span, HELD_POLL);
                if waited.replace(waited.get() + 1) == let_go_after {
                    held.take();
                }
            });
            let gave_up = matches!(got, Err(OpenError::Held { .. }));
            assert_eq!((waited.get(), gave_up), (waits, let_go_after >= 3), "{let_go_after}");
        }
    }
}
