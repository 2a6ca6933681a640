//! The worker as a process, beside a stand-in for Dapr that can fail in every way: started, killed, stopped, starved
//! and fed with anything.
//!
//! Nothing here waits for a time to pass: every wait is for something to be seen, with a deadline.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]
#![expect(clippy::disallowed_methods, reason = "processes and sockets live in real time")]
#![cfg(unix)]

#[path = "process/bad_input.rs"]
mod bad_input;
#[path = "process/canary.rs"]
mod canary;
#[path = "process/child.rs"]
mod child;
#[path = "process/events.rs"]
mod events;
#[path = "process/import.rs"]
mod import;
#[path = "process/kill.rs"]
mod kill;
#[path = "process/offline.rs"]
mod offline;
#[path = "process/outage.rs"]
mod outage;
#[path = "process/outbox.rs"]
mod outbox;
#[path = "process/ports.rs"]
mod ports;
#[path = "process/recovery.rs"]
mod recovery;
#[path = "process/secrets.rs"]
mod secrets;
#[path = "process/settings.rs"]
mod settings;
#[path = "process/sidecar.rs"]
mod sidecar;
#[path = "process/space.rs"]
mod space;
#[path = "process/start.rs"]
mod start;
#[path = "process/stop.rs"]
mod stop;
#[path = "process/taken_away.rs"]
mod taken_away;
#[path = "process/time_travel.rs"]
mod time_travel;
#[path = "process/wait.rs"]
mod wait;
#[path = "process/worker.rs"]
mod worker;
