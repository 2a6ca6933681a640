//! The canary: the one task that is nobody's.
//!
//! Its events go the way of every other, so that what comes back proves the way. It is told apart by its id, which no
//! app may use, and by a kind of event of its own: whoever reads `reminder_due` passes it over. It belongs to no user,
//! so that no preferences, digest or count of a user's ever holds it.

use super::event::TaskId;

/// The id of its task.
pub const CANARY_TASK: &str = "reminder-worker:canary";
/// The kind of its events, on the way in and on the way back.
pub const CANARY_EVENT: &str = "reminder_canary";

/// Whether `task` is the canary's.
#[must_use]
pub fn is_canary(task: &TaskId) -> bool {
    task.as_str() == CANARY_TASK
}
