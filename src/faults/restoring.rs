//! Backups in a simulation, and the loss of the store, after which the worker goes on with one of them.
//!
//! The file is written and read by the store's own functions. The worker then knows what it knew when the backup was
//! made, and so does the oracle of it; what is with the broker or on its way there stays.

use std::collections::BTreeSet;

use super::oracle::Oracle;
use super::script::What;
use super::world::{Broken, Job, World};
use crate::domain::{ReminderId, State};
use crate::store::sled::{FaultyDisk, Origin};
use crate::store::{Store, StoreError};
use crate::writer::{Confirm, Confirmed};

/// A backup, and what had been seen of the worker when it was made.
#[derive(Clone)]
pub(super) struct Backup<'s> {
    file: Vec<u8>,
    seen: Box<Oracle<'s>>,
    /// Reminders that had ended in it: what they came to since is forgotten.
    ended: BTreeSet<ReminderId>,
}

impl World<'_> {
    /// Where it can't be made the one before stays the newest.
    pub(super) fn back_up(&mut self) {
        let now = self.clock();
        let made = self
            .store
            .as_ref()
            .and_then(|store| Some((FaultyDisk::back_up(store, now).ok()?, ended(store.as_ref()).ok()?)));
        if let Some((file, ended)) = made {
            self.backup = Some(Backup { file, seen: Box::new(self.oracle.clone()), ended });
        }
    }

    /// The store is lost. Without a backup there is nothing that the simulation could say.
    pub(super) fn restore(
        &mut self,
        away: i64,
        held_for: Option<i64>,
        refilled: Option<i64>,
    ) -> Result<(), Broken> {
        let Some(Backup { file, seen, ended }) = self.backup.clone() else { return Ok(()) };
        self.seen.restores += 1;
        self.crash_to = (0, away);
        self.crash()?;
        let holds = held_for.is_some();
        let origin = Origin { now: self.clock(), holds, aside: None, reason: None };
        // What an earlier restore holds goes on waiting, whatever is said at this one.
        let holds = self.disk.restore(&file, origin, self.shown).map_err(|error| error.to_string())?;
        let delivered = self.oracle.restored(*seen, ended, holds.then_some(self.clock()));
        // A pause of the backup is dropped.
        self.oracle.is_paused = false;
        if let Some(after) = refilled {
            self.later(self.now + away + after, Job::Again(What::Delivered(delivered)));
        }
        if holds {
            self.later(self.now + away + held_for.unwrap_or_default(), Job::Again(What::LetGo));
        }
        Ok(())
    }

    /// Whoever lets it go says so until there is an answer.
    pub(super) fn let_go(&mut self) -> Result<(), Broken> {
        let now = self.clock();
        // Until there is an answer nobody knows.
        self.oracle.held_to = None;
        match self.ask(|worker| worker.confirm(Confirm::Fire, now))? {
            Some(Confirmed::Undecided(_)) => Err("what is to be let go is held as before".into()),
            Some(Confirmed::Never | Confirmed::NotHeld(_) | Confirmed::Done(_)) => Ok(()),
            None => {
                self.again_if(true, What::LetGo);
                Ok(())
            }
        }
    }
}

fn ended(store: &dyn Store) -> Result<BTreeSet<ReminderId>, StoreError> {
    let mut ended = BTreeSet::new();
    for task in store.tasks(None, usize::MAX)? {
        let reminders = store.record(&task)?.map(|record| record.reminders).unwrap_or_default();
        ended.extend(reminders.iter().filter(|r| r.state != State::Pending).map(|r| r.id(&task)));
    }
    Ok(ended)
}
