//! Occurrences that do not take place, sorted by how they are stated: an occurrence is looked up, and no list gone
//! through, for a search may come past thousands of both.

use super::Frame;
use crate::domain::due::{Due, Moment};
use crate::domain::time::Timestamp;

/// What does not take place, as a frame reads it. Where occurrences are dates alone all are days.
pub(super) struct Exceptions {
    instants: Vec<Timestamp>,
    walls: Vec<i64>,
    /// A day is for all on it.
    days: Vec<i64>,
}

impl Exceptions {
    pub(super) fn of(without: &[Due], frame: &Frame) -> Self {
        let mut of = Self { instants: Vec::new(), walls: Vec::new(), days: Vec::new() };
        for due in without {
            match *due {
                Due::Instant(at) if !frame.start.by_day => of.instants.push(at),
                Due::Wall(ms) if !frame.start.by_day => of.walls.push(ms),
                _ => of.days.push(frame.day_stated(*due)),
            }
        }
        of.instants.sort_unstable();
        of.walls.sort_unstable();
        of.days.sort_unstable();
        of
    }

    /// Whether one is for this occurrence.
    pub(super) fn have(&self, frame: &Frame, moment: Moment, at: Timestamp) -> bool {
        self.instants.binary_search(&at).is_ok()
            || self.walls.binary_search(&frame.wall_of(moment)).is_ok()
            || self.days.binary_search(&frame.day_of(moment)).is_ok()
    }
}
