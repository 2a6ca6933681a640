//! Both listeners' routers in front of a real commit loop on a real store. Only the broker is missing.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

#[path = "http/access.rs"]
mod access;
#[path = "http/actions.rs"]
mod actions;
#[path = "http/admin.rs"]
mod admin;
#[path = "http/api.rs"]
mod api;
#[path = "http/app.rs"]
mod app;
#[path = "http/clock.rs"]
mod clock;
#[path = "http/fixture.rs"]
mod fixture;
#[path = "http/listen.rs"]
mod listen;
#[path = "http/orders.rs"]
mod orders;
#[path = "http/preferences.rs"]
mod preferences;
#[path = "http/sender.rs"]
mod sender;
#[path = "http/unread.rs"]
mod unread;
