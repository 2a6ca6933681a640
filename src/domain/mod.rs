//! Rules about tasks and time: pure functions over plain values.
//!
//! Never does I/O, never reads a clock, never names a database, a wire format or Dapr.

mod due;
mod event;
mod time;

pub use due::{Due, Moment, Zone};
pub use event::{
    CORRELATION_MAX_BYTES, Event, Field, Kind, LIST_MAX, OFFSET_MAX_MINUTES, Priority, RECURRENCE_MAX_BYTES,
    Refusal, Stamp, Stamps, Statement, Status, TAG_MAX_BYTES, TASK_ID_MAX_BYTES, TEXT_MAX_BYTES, TaskId,
    USER_ID_MAX_BYTES,
};
pub use time::Timestamp;
