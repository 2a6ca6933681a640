//! What a start would do about a store that is damaged, without doing it: for who looks first.

use std::path::Path;

use super::Place;
use super::recover::{Recovery, next_good};
use super::witness::HAS_GONE_BACK;

impl Recovery {
    /// What a start would do about the store in the directory `dir` that is damaged for `reason`, as a sentence. Reads backups
    /// to find a good one, and changes nothing.
    #[must_use]
    pub fn foresee(&self, dir: &Path, reason: &str) -> String {
        const ENDS: &str = "a start would end with exit code 74 and move nothing";
        if !self.auto {
            return format!("{ENDS}, since restore.auto is off");
        }
        let marker = Place::new(dir).ok().and_then(|place| place.marker().ok().flatten());
        let own = self.of(marker.and_then(|marker| marker.identity));
        let found = own.listed().and_then(|listed| next_good(&own.shelf, &mut listed.into_iter()));
        match found {
            Ok(Some((backup, _))) if reason.starts_with(HAS_GONE_BACK) => format!(
                "a start would go on with the fuller of the two, this store if it is whole or the backup {}, and tell what \
                 is missing",
                backup.path.display()
            ),
            Ok(Some((backup, _))) => format!(
                "a start would set it aside and restore the backup {}: what was committed after {} would be missing",
                backup.path.display(),
                backup.created
            ),
            Ok(None) => format!("{ENDS}, since no good backup is in {}", self.shelf.dir().display()),
            Err(error) => format!("{ENDS}: {error}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::domain::Timestamp;
    use crate::store::sled::backup::Shelf;
    use crate::store::sled::{Identity, in_memory};

    #[test]
    fn what_a_start_would_do_is_told_by_what_backups_there_are() {
        let room = tempfile::tempdir().unwrap();
        let now = Timestamp::from_millis(1_795_510_800_000);
        let shelf = Shelf::new(room.path().join("backups"), 2);
        let dir = room.path().join("store");
        let fresh = Identity::from_bytes([7; 16]);
        let recovery =
            Recovery { shelf: shelf.clone(), auto: true, holds: false, now, fresh, patience: Duration::ZERO };
        let gone = format!("{HAS_GONE_BACK}then");
        assert!(
            recovery
                .foresee(&dir, "torn")
                .contains("exit code 74 and move nothing, since no good backup is in")
        );
        let made = shelf.make(&in_memory().unwrap(), &|| now, &|| false).unwrap();
        let told = recovery.foresee(&dir, "torn");
        assert!(told.contains("set it aside and restore the backup") && told.contains(&made.name), "{told}");
        let told = recovery.foresee(&dir, &gone);
        assert!(told.contains("the fuller of the two") && told.contains(&made.name), "{told}");
        let off = Recovery { auto: false, ..recovery.clone() };
        for reason in ["torn", &gone] {
            assert!(off.foresee(&dir, reason).ends_with("move nothing, since restore.auto is off"));
        }
        std::fs::write(&made.path, b"not ours").unwrap();
        assert!(recovery.foresee(&dir, "torn").contains("no good backup"));
    }
}
