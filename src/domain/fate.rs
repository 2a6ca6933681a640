//! What is answered of a reminder to who calls it off (**invariant 8**): by commit order, not by luck.

use super::reminder::{Reminder, State};
use super::time::Timestamp;

/// Whether a reminder fires, as far as can be said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Fate {
    /// It is planned.
    Planned,
    /// It has not fired and will not.
    WillNotFire,
    /// The broker had it at this instant.
    Fired(Timestamp),
    /// An attempt is under way, or ended without an answer, or was made in hours of which the store knows nothing: it may
    /// have gone out.
    InFlight,
}

impl Fate {
    /// Its name in the API.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::WillNotFire => "will_not_fire",
            Self::Fired(_) => "fired",
            Self::InFlight => "in_flight",
        }
    }
}

/// The fate of `reminder`; `in_flight` says whether an attempt of it is under way.
#[must_use]
pub fn fate(reminder: &Reminder, in_flight: bool) -> Fate {
    match (reminder.state, reminder.settled_at) {
        (State::Pending, _) if in_flight => Fate::InFlight,
        (State::Pending, _) => Fate::Planned,
        (State::Published, Some(at)) if !reminder.maybe_out => Fate::Fired(at),
        (State::Published, _) => Fate::InFlight,
        (State::Cancelled | State::Superseded | State::Expired, _) if reminder.maybe_out => Fate::InFlight,
        (State::Cancelled | State::Superseded | State::Expired, _) => Fate::WillNotFire,
    }
}
