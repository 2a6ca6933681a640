//! Windows: a rule whose reminders may go out at any time within so long before their instant.
//!
//! Many tasks are due at nine o'clock sharp; spread over a window they are no herd. The place within it is drawn from
//! the reminder's identity and not from chance, so that planning again moves nothing.

use std::time::Duration;

use super::Planned;
use crate::domain::event::TaskId;
use crate::domain::reminder::{ReminderId, Rule};
use crate::domain::time::Timestamp;

/// Moves `planned` of the task `id` into the window of its rule, unless that would be before its birth.
pub(super) fn spread(id: &TaskId, windows: &[(u32, Duration)], planned: &mut [Planned]) {
    if windows.is_empty() {
        return;
    }
    for planned in planned {
        let Rule::Offset(minutes) = planned.rule else { continue };
        let Some((_, window)) = windows.iter().find(|(of, _)| *of == minutes) else { continue };
        let moved = whole_second(planned.fire_at.minus(place(id, planned, *window)));
        // What its user's wishes moved stays there.
        if planned.moved_from.is_none() && moved > planned.birth && moved < planned.fire_at {
            planned.moved_from = Some(planned.fire_at);
            planned.fire_at = moved;
        }
    }
}

/// The start of its second: what wishes moved lies between two of them, and these are told apart by it.
pub(super) fn whole_second(at: Timestamp) -> Timestamp {
    Timestamp::from_millis(at.millis() - at.millis().rem_euclid(1000))
}

/// How long before its instant, from nothing to the whole window.
fn place(id: &TaskId, planned: &Planned, window: Duration) -> Duration {
    let id = ReminderId::of(id, planned.occurrence, planned.rule);
    let mut first = [0; 8];
    first.copy_from_slice(&id.as_bytes()[..8]);
    // A window is at most hours, so its milliseconds are far below 2^64.
    let choices = u64::try_from(window.as_millis()).unwrap_or(u64::MAX - 1) + 1;
    Duration::from_millis(u64::from_be_bytes(first) % choices)
}
