//! The two listeners: one that Dapr calls, one for people and probes.
//!
//! Turns requests into calls of other rooms and their answers into replies. It decides nothing: verdicts come from
//! the commit loop, and every API answer is read there too, so what is shown is durable.

mod accept;
mod access;
mod actions;
mod admin;
mod api;
mod app;
mod body;
mod clock;
mod deliver;
mod firing;
mod listen;
mod ops;
mod orders;
mod preferences;
mod problem;
mod query;
mod recovery;
mod reminders;
mod said;
mod stream;
mod token;
mod why;

pub(crate) use admin::NDJSON;
pub use api::Api;
pub use app::{App, app_router};
pub use listen::{APP_CONNECTIONS_MAX, BindError, Listener, OPS_CONNECTIONS_MAX, Patience};
pub use ops::ops_router;
pub use problem::Problem;
pub use reminders::{ListedReminder, Wanted, list_reminders};
pub use why::{Halts, WhyShown, why};
