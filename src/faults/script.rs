//! What happens in a simulation, told before it begins: so it can be played again, and cut down to what a failure needs.
//!
//! Owns the words of it. How they are drawn from a seed is `draw`'s; must never know what the worker makes of them.
//! Times are milliseconds from the start, of the true time.

use std::time::Duration;

use crate::domain::{CatchUp, Timestamp};
use crate::store::sled::DiskFault;

/// When simulations begin: 2026-11-24T09:00:00Z.
const START: Timestamp = Timestamp::from_millis(1_795_510_800_000);
/// Most events of one request to the sidecar that a reply tells apart.
pub(super) const PLACES: usize = 4;

pub(super) const MINUTE: i64 = 60_000;
pub(super) const HOUR: i64 = 60 * MINUTE;
pub(super) const DAY: i64 = 24 * HOUR;

/// A simulation to be played.
#[derive(Clone, Debug)]
pub struct Script {
    /// What it was drawn from.
    pub seed: u64,
    /// By number.
    pub(super) tasks: Vec<Character>,
    pub(super) catch_up: CatchUp,
    /// Reminders a second, and of one user a minute; 0 is any number.
    pub(super) rates: (u32, u32),
    pub(super) retention: Duration,
    /// What producers say, by number.
    pub(super) events: Vec<Said>,
    /// In the order of their times.
    pub(super) happenings: Vec<Happening>,
    /// How the sidecar answers requests, used in turn, round and round.
    pub(super) replies: Vec<Reply>,
    /// From then on nothing goes wrong any more.
    pub(super) calm_from: i64,
}

/// What kind of task it is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Character {
    pub(super) user: Option<usize>,
    /// Nothing is said of it but due dates, offsets and status, and its user wishes nothing: each of its reminders is
    /// known beforehand.
    pub(super) is_plain: bool,
}

/// What a producer says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Said {
    pub(super) of: Of,
    /// Its stamp.
    pub(super) at: i64,
    pub(super) what: Says,
}

/// Whom something is said of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Of {
    Task(usize),
    User(usize),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Says {
    Created(Creation),
    Due(i64),
    Offsets(Vec<u32>),
    Title(u32),
    Completed,
    Reopened,
    Deleted,
    /// For so many minutes.
    Snoozed(u32),
    Acknowledged,
    Wishes(Wishes),
}

/// What is said of a task when it is created.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Creation {
    pub(super) due: i64,
    /// Minutes before due; `None` where the defaults hold.
    pub(super) offsets: Option<Vec<u32>>,
    pub(super) user: Option<usize>,
    /// How often it comes again, daily, the first included.
    pub(super) daily: Option<u32>,
    /// Reminders after due, an hour apart.
    pub(super) nags: u32,
    /// An explicit time.
    pub(super) remind_at: Option<i64>,
    pub(super) priority: &'static str,
}

/// What a user wishes; hours of the day in UTC.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Wishes {
    Quiet { from: u32, to: u32, mode: &'static str },
    NoQuiet,
    Digest(u32),
    NoDigest,
    Offsets(Vec<u32>),
    Mute(i64),
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Happening {
    pub(super) at: i64,
    pub(super) what: What,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum What {
    /// The events of these numbers are delivered together.
    Delivered(Vec<usize>),
    /// Something that nobody can read is delivered.
    Poison(usize),
    /// The events of these numbers are imported.
    Imported(Vec<usize>),
    /// Somebody calls off all reminders of a task.
    Cancelled(usize),
    /// Somebody states another due date of a task.
    Rescheduled(usize, i64),
    /// For so long.
    Paused(i64),
    Resumed,
    /// A step of a commit fails, so many steps from then on.
    DiskFails {
        after: u32,
        fault: DiskFault,
    },
    /// The power goes so many steps from then on, leaves so many batches of what was not forced, and stays away.
    Crash {
        after: u32,
        kept: usize,
        away: i64,
    },
    /// The worker is started anew with other settings.
    Configured(usize),
    /// The worker's clock is set to be so much ahead of the true time.
    ClockSet(i64),
    /// What is over is forgotten.
    Purged,
    /// A user is erased.
    Erased(usize),
    /// A backup is made.
    BackedUp,
    /// The store is lost, and the worker starts with the last backup after so long. What was overdue then is held until
    /// somebody lets it go, or goes out; all that was delivered comes again so long after the start, or does not.
    Restored {
        away: i64,
        held_for: Option<i64>,
        refilled: Option<i64>,
    },
    /// What is held since a restore is let go.
    LetGo,
}

/// How the sidecar answers a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Reply {
    pub(super) how: How,
    /// How long the answer takes.
    pub(super) after: i64,
    /// Of an event of which it is not certain: when the broker has it, if it ever does. By its place in the request.
    pub(super) reaches: [Option<i64>; PLACES],
    /// When an event comes back to the worker's own subscription after the broker has it; and once more.
    pub(super) returns: [Option<i64>; 2],
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum How {
    /// 204.
    Takes,
    /// 500 with a list of those at the places whose bits are set.
    Lists(u8),
    /// 500.
    Errs,
    /// 400.
    Refuses,
    /// 401.
    Unauthorized,
    /// It takes the connection and says nothing, or the connection is lost.
    Silent,
    /// No connection.
    Gone,
}

impl Reply {
    /// That of a sidecar and a broker that are well.
    pub(super) const WELL: Self =
        Self { how: How::Takes, after: 1, reaches: [Some(0); PLACES], returns: [None; 2] };
}

/// The true time so many milliseconds from the start.
pub(super) fn instant(at: i64) -> Timestamp {
    Timestamp::from_millis(START.millis().saturating_add(at))
}

/// The name of a task.
pub(super) fn name(task: usize) -> String {
    format!("7b0d1c52-9a3e-4c11-8f00-{task:012x}")
}

/// The name of a user.
pub(super) fn user_name(user: usize) -> String {
    format!("user-{user}")
}

impl Script {
    /// How many happenings it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.happenings.len()
    }

    /// Whether nothing happens.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.happenings.is_empty()
    }

    /// Whether the event of this number comes at all.
    pub(super) fn mentions(&self, number: usize) -> bool {
        self.happenings.iter().any(|happening| match &happening.what {
            What::Delivered(numbers) | What::Imported(numbers) => numbers.contains(&number),
            _ => false,
        })
    }

    /// A copy without the happenings from `from` up to and without `to`.
    pub(super) fn without(&self, from: usize, to: usize) -> Self {
        let happenings = self.happenings.iter().enumerate().filter(|(n, _)| !(from..to).contains(n));
        Self { happenings: happenings.map(|(_, happening)| happening.clone()).collect(), ..self.clone() }
    }

    /// A copy in which the sidecar answers well in the turn `turn`.
    pub(super) fn with_good_reply(&self, turn: usize) -> Self {
        let mut copy = self.clone();
        copy.replies[turn] = Reply::WELL;
        copy
    }

    /// Copies that are plainer in their settings, each more than the one before.
    pub(super) fn plainer(&self) -> [Self; 3] {
        let unpaced = Self { rates: (0, 0), ..self.clone() };
        let long = Self { retention: Duration::from_millis(8 * DAY.unsigned_abs()), ..unpaced.clone() };
        let fired = Self { catch_up: CatchUp::Fire, ..long.clone() };
        [unpaced, long, fired]
    }
}
