//! reminder-worker: a daemon that never forgets a due date.

pub mod app;
pub mod cli;
pub mod clock;
pub mod config;
pub mod dapr;
pub mod domain;
pub mod gauges;
pub mod housekeeping;
pub mod http;
pub mod intake;
pub mod outbox;
pub mod reading;
pub mod scheduler;
pub mod shutdown;
pub mod sidecar;
pub mod store;
pub mod telemetry;
pub mod tick;
pub mod writer;
