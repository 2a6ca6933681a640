//! What is said of a reminder that waits since the store was restored from a backup.

use super::prose::Prose;
use crate::domain::Reminder;
use crate::store::{AfterRestore, Restored};

impl Prose<'_> {
    /// Why a pending reminder is held; `None` where it is not.
    pub(super) fn held(&self, reminder: &Reminder) -> Option<String> {
        let Restored { at, from, overdue, .. } = self.halts.restored?;
        let due_then = reminder.fire_at <= *at;
        match overdue {
            AfterRestore::Held if due_then => Some(format!(
                "the store was restored at {} from a backup of {}, and nobody knows whether this went out in between; \
                 `reminder-worker restore confirm --overdue fire` or `drop` decides",
                self.local(*at),
                self.local(*from),
            )),
            AfterRestore::Dropping if due_then => {
                Some("what was due when the store was restored is being dropped".to_owned())
            }
            _ => None,
        }
    }
}
