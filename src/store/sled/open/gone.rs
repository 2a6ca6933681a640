//! Whether the directory of an open store is still there: it may be removed, moved away or replaced under its process.
//!
//! An open file goes on without its name, so the engine notices nothing: commits succeed, are forced to the disk, and are
//! gone with the process. So every now and then the name is followed and compared with the file that is held. Once they
//! differ nothing is committed any more. What is held can be read until the process ends, and so a backup be made of it.
//!
//! What it accepts: what is committed between two looks is acknowledged and in this process alone; that backup holds it. A
//! name that can't be followed for another reason than that nothing is there says nothing, and the store goes on.

use super::{Place, SledStore};
use crate::store::StoreError;
use crate::store::sled::disk::Disk as _;

const NOT_THERE: &str = "is not there any more";
const ANOTHER: &str = "is another file now";

impl SledStore {
    /// That what it holds still lies in its directory; once it does not, nothing is committed any more.
    ///
    /// # Errors
    /// [`StoreError::Gone`]
    pub(super) fn is_in_place(&self, place: &Place) -> Result<(), StoreError> {
        let db = place.dir.join("db");
        let mut committing = self.committing();
        if committing.gone.is_none() && matches!(self.disk.lies_at(&db), Ok(false)) {
            let how = if db.symlink_metadata().is_ok() { ANOTHER } else { NOT_THERE };
            committing.gone = Some((place.dir.display().to_string(), how));
        }
        committing.is_in_place()
    }
}
