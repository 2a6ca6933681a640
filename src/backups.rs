//! Backups of the store while the worker runs: one every so often, and one when somebody asks.
//!
//! Owns when one is due and what is told of it. A backup reads the store beside the commit loop and holds up nobody
//! ([`store::sled`](crate::store::sled)); one that fails is told, tried again, and costs nothing else.
//!
//! It also has the store's marker take down every minute what is durable ([`SledStore::take_down`]). Where the store turns
//! out to have been taken away, nobody else holds what it held: a last backup is made of it, and the worker ends.
//!
//! Whoever is erased is noted beside the backups first, since they are in those made before: a restore erases them again.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::Clock;
use crate::domain::Timestamp;
use crate::health::Health;
use crate::store::StoreError;
use crate::store::sled::{BackupError, Erasing, Identity, Kept, Shelf, SledStore};
use crate::telemetry;

/// How long after its start a worker makes its first backup, if none is young enough: a start has enough to do, and one
/// that fails at once should not begin with a backup each time.
const FIRST_AFTER: Duration = Duration::from_secs(60);
/// How long after a failed one the next is tried, if one is not due earlier.
const AGAIN_AFTER: Duration = Duration::from_secs(5 * 60);
/// How long the last backup waits for one that is being made.
const BUSY_AGAIN: Duration = Duration::from_secs(1);
/// How often the last backup is tried where what keeps it from being made may pass. Nothing else will hold what it would,
/// but the commit loop shows no life meanwhile, and what drains is cut off in the end: with [`SAVE_AGAIN`] between them
/// they end well before `health.heartbeat_limit` and `shutdown.grace` as shipped.
const SAVE_TRIES: u32 = 5;
/// How long the last backup waits before it is tried again.
const SAVE_AGAIN: Duration = Duration::from_secs(1);
/// How long it sleeps at most: the clock may step.
const SLEEP_MAX: Duration = Duration::from_secs(60);

/// Makes backups. Clones are the same.
#[derive(Clone)]
pub struct Backups {
    store: Arc<SledStore>,
    shelf: Shelf,
    every: Duration,
    clock: Arc<dyn Clock>,
    stop: CancellationToken,
}

/// A backup that was made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Made {
    /// It.
    pub kept: Kept,
    /// How long that took.
    pub took: Duration,
}

/// The store was taken away, and what could be saved of it: exit code 74.
#[derive(Debug, thiserror::Error)]
pub enum TakenAway {
    /// All that it held.
    #[error(
        "{gone}; nothing is acknowledged any more, and the backup {} holds all that was. If the directory was moved, move it \
         back; else run `reminder-worker store import {} --store-path {} --set-aside` (docs/recovery.md). Then start",
        .kept.path.display(), .kept.path.display(), .store.display()
    )]
    Saved {
        /// That it was.
        gone: StoreError,
        /// Where it lay.
        store: PathBuf,
        /// The last backup.
        kept: Kept,
    },
    /// Nothing beyond the backups from before.
    #[error(
        "{gone}; nothing is acknowledged any more, and no backup could be made of what was: {error}. If the directory was \
         moved, move it back and start: all of it is there; else restore the newest backup (docs/recovery.md), and what came \
         after that is lost"
    )]
    Lost {
        /// That it was.
        gone: StoreError,
        /// Why there is no backup.
        error: BackupError,
    },
}

impl Backups {
    /// Backups of `store` on `shelf`, one every `every` unless that is zero; `stop` breaks off one that is under way.
    #[must_use]
    pub fn new(
        store: Arc<SledStore>,
        shelf: Shelf,
        every: Duration,
        clock: Arc<dyn Clock>,
        stop: CancellationToken,
    ) -> Self {
        let shelf = shelf.of(store.identity());
        Self { store, shelf, every, clock, stop }
    }

    /// Where they are.
    #[must_use]
    pub fn shelf(&self) -> &Shelf {
        &self.shelf
    }

    /// The directory of the store, if it lies in any.
    #[must_use]
    pub fn store_dir(&self) -> Option<&Path> {
        self.store.dir()
    }

    /// The number of the store, if it has one.
    #[must_use]
    pub fn store_number(&self) -> Option<Identity> {
        self.store.identity()
    }

    /// How often one is made; zero for never by itself.
    #[must_use]
    pub fn every(&self) -> Duration {
        self.every
    }

    /// Makes one now.
    ///
    /// # Errors
    /// [`BackupError`]: nothing is left of it.
    pub async fn make(&self) -> Result<Made, BackupError> {
        let began = self.clock.monotonic();
        let all = self.clone();
        let made = tokio::task::spawn_blocking(move || {
            all.shelf.make(&all.store, &|| all.clock.now(), &|| all.stop.is_cancelled())
        });
        let made = match made.await {
            Ok(made) => made,
            Err(error) => Err(StoreError::Corrupt(format!("the backup broke off: {error}")).into()),
        };
        let took = self.clock.monotonic().saturating_sub(began);
        match &made {
            Ok(kept) => telemetry::backup_made(kept.created, kept.bytes, took),
            Err(BackupError::Busy | BackupError::Stopped) => {}
            Err(_) => telemetry::backup_failed(),
        }
        made.map(|kept| Made { kept, took })
    }

    /// Notes how far the erasing of `user` is now.
    ///
    /// # Errors
    /// [`BackupError`]: a restore of what was before would not erase them.
    pub async fn note_erasing(&self, user: &str, how: Erasing) -> Result<(), BackupError> {
        let (shelf, user, now) = (self.shelf.clone(), user.to_owned(), self.clock.now());
        match tokio::task::spawn_blocking(move || shelf.note_erasing(&user, now, how)).await {
            Ok(noted) => noted,
            Err(error) => Err(StoreError::Corrupt(format!("the noting broke off: {error}")).into()),
        }
    }

    /// Notes that the erasing of `user` begins now.
    ///
    /// # Errors
    /// [`BackupError`]: a restore of what was before would not erase them.
    pub async fn begin_erasing(&self, user: &str) -> Result<BegunErasing, BackupError> {
        self.note_erasing(user, Erasing::Begins).await?;
        Ok(BegunErasing { backups: self.clone(), user: user.to_owned() })
    }

    /// Makes one every so often until it is told to stop.
    ///
    /// # Errors
    /// [`TakenAway`]: the process must end, and what was saved is saved.
    pub async fn run(self, health: Health) -> Result<(), TakenAway> {
        telemetry::backup_every(self.every);
        let now = self.clock.now();
        let listed = self.shelf.list_at(now);
        if let Ok(others @ 1..) = self.shelf.others() {
            tracing::warn!(
                others, dir = %self.shelf.dir().display(),
                "backups of another store lie there too; they are left alone, and backup.dir should be each store's own"
            );
        }
        // Of when one is that bears a name of the future nobody knows; it stands for none.
        let newest = listed.ok().and_then(|kept| Some(kept.first()?.created));
        let mut last = newest.filter(|at| *at <= now);
        if let Some(at) = last {
            telemetry::backup_last(at);
        }
        let mut due = self.due(last, now).max(now.plus(FIRST_AFTER));
        while !self.stop.is_cancelled() {
            let now = self.clock.now();
            if now < due {
                tokio::select! {
                    () = self.stop.cancelled() => {}
                    () = self.clock.sleep(due.since(now).min(SLEEP_MAX)) => {}
                }
                if self.stop.is_cancelled() {
                    break;
                }
                if let Err(gone) = self.take_down().await {
                    return Err(self.save(gone).await);
                }
                // A clock that has stepped back must not put it off for long.
                due = due.min(self.due(None, self.clock.now()).plus(self.every));
                continue;
            }
            match self.make().await {
                Ok(Made { kept, took }) => {
                    tracing::info!(
                        name = kept.name,
                        bytes = kept.bytes,
                        took_ms = took.as_millis(),
                        "a backup was made"
                    );
                    health.warning("backup", None);
                    last = Some(kept.created);
                    due = self.due(last, self.clock.now());
                }
                Err(BackupError::Stopped) => {}
                Err(error) => {
                    tracing::error!(%error, "no backup could be made; it is tried again");
                    health.warning("backup", Some(why_none(last, &error)));
                    due = self.clock.now().plus(AGAIN_AFTER.min(self.every));
                }
            }
        }
        // Whatever the stop broke off: nobody looks after this.
        match self.take_down().await {
            Ok(()) => Ok(()),
            Err(gone) => Err(self.save(gone).await),
        }
    }

    /// Takes down in the store's marker what it holds; fails where it was taken away.
    async fn take_down(&self) -> Result<(), StoreError> {
        let (store, now) = (Arc::clone(&self.store), self.clock.now());
        match tokio::task::spawn_blocking(move || store.take_down(now)).await {
            Ok(Err(gone @ StoreError::Gone { .. })) => Err(gone),
            Ok(Err(error)) => {
                tracing::warn!(%error, "what the store holds can't be taken down beside it");
                Ok(())
            }
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }

    /// Makes the last backup, of a store that was taken away: though the worker may be stopping, and of the last byte that
    /// is free, since no store is left for which any would be kept.
    async fn save(&self, gone: StoreError) -> TakenAway {
        tracing::error!(error = %gone, "the store was taken away; a last backup is made of what it held");
        let stop = CancellationToken::new();
        let unstopped = Self { stop, shelf: self.shelf.clone().leaving(0), ..self.clone() };
        let mut tries = 1;
        loop {
            match unstopped.make().await {
                Ok(Made { kept, .. }) => {
                    let store = self.store_dir().map(Path::to_owned).unwrap_or_default();
                    return TakenAway::Saved { gone, store, kept };
                }
                Err(BackupError::Busy) => self.clock.wait(BUSY_AGAIN).await,
                Err(error) if may_pass(&error) && tries < SAVE_TRIES => {
                    tracing::error!(%error, tries, "the last backup could not be made; it is tried again");
                    tries += 1;
                    self.clock.wait(SAVE_AGAIN).await;
                }
                Err(error) => return TakenAway::Lost { gone, error },
            }
        }
    }

    /// When the next one is due; never where none is made by itself.
    fn due(&self, last: Option<Timestamp>, now: Timestamp) -> Timestamp {
        if self.every.is_zero() {
            return Timestamp::MAX;
        }
        last.map_or(now, |last| last.min(now).plus(self.every))
    }
}

/// An erasing whose beginning is noted. One that is never settled is finished by the next start: what is half erased must
/// not stay so.
pub struct BegunErasing {
    backups: Backups,
    user: String,
}

impl BegunErasing {
    /// Notes how it went.
    ///
    /// # Errors
    /// [`BackupError`]: the next start does it again.
    pub async fn settle(self, how: Erasing) -> Result<(), BackupError> {
        self.backups.note_erasing(&self.user, how).await
    }
}

/// Whether the same backup may succeed a moment later.
fn may_pass(error: &BackupError) -> bool {
    match error {
        BackupError::Busy
        | BackupError::Behind
        | BackupError::Short { .. }
        | BackupError::Io { .. }
        | BackupError::Unread { .. } => true,
        BackupError::Store(error) => matches!(error, StoreError::Unavailable(_)),
        BackupError::Stopped | BackupError::Torn { .. } => false,
    }
}

fn why_none(last: Option<Timestamp>, error: &BackupError) -> String {
    match last {
        Some(last) => format!("the last backup is of {last}: {error}"),
        None => format!("no backup could be made: {error}"),
    }
}

#[cfg(test)]
mod tests;
