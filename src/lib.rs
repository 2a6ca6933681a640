//! reminder-worker: a daemon that never forgets a due date.

pub mod cli;
pub mod clock;
pub mod config;
pub mod dapr;
pub mod domain;
pub mod http;
pub mod intake;
pub mod reading;
pub mod shutdown;
pub mod sidecar;
pub mod store;
pub mod telemetry;
pub mod writer;
