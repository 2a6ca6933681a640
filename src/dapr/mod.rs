//! Dapr's shapes: what the sidecar is sent, what it is asked, and what it is told.
//!
//! The only room that knows them. It knows no store and decides nothing about reminders: the envelope is a pure
//! function, the publisher says how each attempt ended, and the rest are lists and words.
//!
//! Sources: dapr/dapr and components-contrib v1.18, and what daprd 1.18.1 was measured to do.

mod envelope;
mod metadata;
mod publisher;
mod reply;
mod request;
mod sidecar;
mod subscriptions;
mod watch;

pub use envelope::{DigestItem, outbox_event, reminder_digest, reminder_due};
pub use publisher::{
    Outgoing, Publish, PublishOutcome, Publisher, Publishing, REQUEST_MAX_BYTES, REQUEST_MAX_ENTRIES,
    outcomes_of,
};
pub use reply::{bulk_reply, reply, word};
pub use sidecar::{METADATA_TIMEOUT, Sidecar};
pub use subscriptions::{Subscription, route, subscriptions, wants_bulk};
pub use watch::Fault;

/// No HTTP client can be made: nothing can be published. It is not worth trying again.
#[derive(Debug, thiserror::Error)]
#[error("no HTTP client can be made: {0}; look at the system's resolver and proxy settings")]
pub struct NoClient(#[from] reqwest::Error);
