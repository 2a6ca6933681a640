//! Which is fuller: a store that has gone back, or the newest good backup.
//!
//! A store that has gone back by a minute is whole in itself and may hold far more than a backup that is an hour old. Both
//! are states of one history, so the counters that only rise ([`Witness`]) say which is the later one. A backup of which
//! they can't be told, since an older release wrote it, is from before the store's upgrade. Where verifying finds anything,
//! or where there is no good backup to hold it against, the store is damaged as any other is.
//!
//! Of when a store is that has gone back nobody knows: its marker says only when it held more. So what is missing is said to
//! begin when the backup was made, which the store is later than; who refills from there on refills too much and misses
//! nothing.
//!
//! Who was erased since then is erased again, and who came anew after that too. Whether the store is from before an erasing or
//! from after it can't be told: a note beside the backups holds the instant of a wall clock, a task the stamps of those who
//! sent its events and how its reminders stand, and neither says after which commit the erasing ended; comparing two clocks
//! would now and then keep what was to be erased, which nobody would notice. Erased once too often is what a refill from the
//! same instant brings back as it is needed anyway, but for what never came through a topic.

use std::fs::File;
use std::io::BufReader;
use std::path::Path;

use super::recover::{Recovery, next_good};
use super::witness::{GoneBack, Witness};
use super::{Place, SledStore, advice, unreachable};
use crate::domain::Timestamp;
use crate::store::sled::backup::{FileError, read_file};
use crate::store::sled::disk::{Disk as _, Writes};
use crate::store::sled::keys;
use crate::store::sled::memory::MemoryDisk;
use crate::store::sled::migrations::FORMAT;
use crate::store::{Batch, Meta, Op, OpenError, Restored, Store as _, StoreError};

/// What a store says of its origin that was kept in place of a backup.
pub(super) const ITSELF: &str = "(none: the store itself, as it was before)";

impl Place {
    /// `store` with its origin and a new marker, where it is whole and the newest good backup holds no more; `None` where
    /// the backup is to take its place.
    pub(super) fn keep_fuller(
        &self,
        store: SledStore,
        gone: &GoneBack,
        recovery: &Recovery,
    ) -> Result<Option<SledStore>, OpenError> {
        match store.verify().map_err(|error| advice::of_store(&self.dir, error)) {
            Ok(findings) if findings.count == 0 => {}
            Ok(_) | Err(OpenError::Damaged { .. }) => return Ok(None),
            Err(error) => return Err(error),
        }
        let recovery = &recovery.of(store.identity());
        let mut kept = recovery.listed()?.into_iter();
        let Some((backup, _)) = next_good(&recovery.shelf, &mut kept)? else { return Ok(None) };
        let of_file = |error: FileError| unreachable(&backup.path, &error.to_string());
        let (finished, counters) = counters(&backup.path).map_err(of_file)?;
        let of_store = |error| advice::of_store(&self.dir, error);
        let meta = store.meta().map_err(of_store)?;
        if counters.is_some_and(|counters| Witness::of(&counters, finished).accuses(&meta).is_some()) {
            return Ok(None);
        }
        let before = store.restored().map_err(of_store)?;
        let restored = origin(gone, finished, before.as_ref(), recovery);
        tracing::error!(
            store = %self.dir.display(), reason = gone.why, backup = backup.name, missing_from = %restored.from,
            "the store has gone back, is whole and holds more than the newest good backup: it goes on, and what was \
             committed last is missing"
        );
        let mut batch = Batch::default();
        batch.push(Op::PutRestored(Box::new(restored)));
        store.commit(&batch).map_err(of_store)?;
        // Last: until then the old one accuses it again.
        self.mark(store.identity()).map_err(|error| unreachable(&self.marker, &error.to_string()))?;
        Ok(Some(store))
    }
}

/// The origin of a store that is kept though it has `gone` back and holds all that was there at `finished`.
fn origin(gone: &GoneBack, finished: Timestamp, before: Option<&Restored>, recovery: &Recovery) -> Restored {
    let unseen = before.filter(|before| before.confirmed.is_none());
    let backup = unseen.map_or(ITSELF, |before| before.backup.as_str());
    let aside = unseen.and_then(|before| before.aside.clone());
    let restored = recovery.origin(aside, &gone.why).restored(backup, finished).seen(Some(gone.at));
    Restored { from: restored.from.min(gone.at), ..restored }.after(before)
}

/// Until when the file `path` holds what was committed, and its counters; `None` where an older release wrote them.
fn counters(path: &Path) -> Result<(Timestamp, Option<Meta>), FileError> {
    let key = keys::single(keys::META);
    let mut last = None;
    let contents = read_file(BufReader::new(File::open(path)?), &mut |seen, value| {
        if seen == key {
            last = value.map(<[u8]>::to_vec);
        }
        Ok(())
    })?;
    if contents.head.format != FORMAT {
        return Ok((contents.finished, None));
    }
    let disk = MemoryDisk::default();
    disk.apply(&Writes::from([(key, last)]))?;
    let meta = SledStore::on(Box::new(disk)).and_then(|store| store.meta());
    match meta {
        Ok(meta) => Ok((contents.finished, Some(meta))),
        // No store can be made of it.
        Err(StoreError::Corrupt(_)) => Ok((contents.finished, None)),
        Err(error) => Err(error.into()),
    }
}
