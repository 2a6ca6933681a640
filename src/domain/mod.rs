//! Rules about tasks and time: pure functions over plain values.
//!
//! Never does I/O, never reads a clock, never names a database, a wire format or Dapr.

mod bucket;
mod canary;
pub mod catch_up;
pub mod decide;
pub mod digest;
mod due;
pub mod erase;
mod event;
mod expiry;
mod fate;
pub mod history;
pub mod import;
mod plan;
mod policy;
mod preferences;
mod record;
mod reminder;
mod retry;
mod series;
pub mod task;
mod time;
mod version;
pub mod why;

pub use bucket::{Bucket, Rate};
pub use canary::{CANARY_EVENT, CANARY_TASK, is_canary};
pub use catch_up::CatchUp;
pub use due::{Due, Moment, Zone};
pub use event::{
    CORRELATION_MAX_BYTES, Event, Field, Kind, LIST_MAX, NAGS_MAX, NAGS_MAX_DEFAULT, Nags,
    OFFSET_MAX_MINUTES, PRODUCER, Priority, RECURRENCE_MAX_BYTES, Refusal, Snooze, Stamp, Stamps, Statement,
    Status, TAG_MAX_BYTES, TASK_ID_MAX_BYTES, TEXT_MAX_BYTES, Target, TaskId, USER_ID_MAX_BYTES, Until,
    Verdict,
};
pub use expiry::{Expiry, Leap, Missing};
pub use fate::{Fate, fate};
pub use plan::{
    Aim, LeftOut, PLANNED_MAX, Planned, Rules, aim, is_silent, left_out, let_go, occurrence, plan, series_end,
};
pub use policy::{ByPriority, Policy, PolicyDigests, PolicyInForce, PolicySince};
pub use preferences::{
    Digest, Mute, PastWish, Preferences, PreferencesChange, Quiet, QuietMode, Said, TimeOfDay, Wish,
    WishCell, WishField,
};
pub use record::{Defaults, LOW_WATER_MAX, Record, SETTLED_HARD_MAX, SETTLED_MAX, Tally};
pub use reminder::{Cause, REASON_MAX_BYTES, Reminder, ReminderId, Rule, State, cut};
pub use retry::Backoff;
pub use series::{Next, OnComplete, Series};
pub use task::{Outcome, Task};
pub use time::Timestamp;
pub use version::{ARRIVALS_MAX, STAMP_AHEAD_MAX, Version, stamp};

#[cfg(test)]
pub(crate) mod tests;
