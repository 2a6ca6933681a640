//! What really happened, for whoever wants to show it.
//!
//! Observations are told, never waited for: a listener that falls behind loses the oldest, and with nobody
//! listening none is made.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::broadcast;

use super::reply::Verdict;
use crate::domain::Timestamp;

/// How many observations a slow listener may fall behind before it loses the oldest.
pub const OBSERVATIONS_MAX: usize = 4096;

/// One thing that happened in the sidecar.
#[derive(Clone, Debug)]
pub enum Observation {
    /// A message was taken by the broker.
    Published {
        /// The topic it lies on.
        topic: Arc<str>,
        /// Its record key, if it has one.
        key: Option<Arc<str>>,
        /// The message as it lies there, envelope included.
        value: Bytes,
        /// When the broker took it.
        at: Timestamp,
    },
    /// An app answered for a message.
    Delivered {
        /// The app's id.
        app: Arc<str>,
        /// The topic the message came from.
        topic: Arc<str>,
        /// What the answer means.
        reply: Verdict,
        /// When the answer was there.
        at: Timestamp,
    },
}

/// The side that tells.
#[derive(Clone, Debug)]
pub(crate) struct Observers(broadcast::Sender<Observation>);

impl Observers {
    pub(crate) fn new() -> Self {
        Self(broadcast::channel(OBSERVATIONS_MAX).0)
    }

    pub(crate) fn listen(&self) -> broadcast::Receiver<Observation> {
        self.0.subscribe()
    }

    pub(crate) fn tell(&self, observation: impl FnOnce() -> Observation) {
        if self.0.receiver_count() > 0 {
            // The only error is that the last listener left meanwhile.
            let _ = self.0.send(observation());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::sync::broadcast::error::TryRecvError;

    fn tell(observers: &Observers, times: usize) {
        for _ in 0..times {
            observers.tell(|| Observation::Delivered {
                app: "a".into(),
                topic: "t".into(),
                reply: Verdict::Success,
                at: Timestamp::from_millis(0),
            });
        }
    }

    #[test]
    fn a_listener_may_fall_behind_up_to_the_bound_and_then_loses_the_oldest() {
        let observers = Observers::new();
        let mut listener = observers.listen();
        tell(&observers, OBSERVATIONS_MAX);
        assert!(listener.try_recv().is_ok());
        tell(&observers, 2);
        assert_eq!(listener.try_recv().err(), Some(TryRecvError::Lagged(1)));
    }

    #[test]
    fn with_nobody_listening_no_observation_is_made() {
        Observers::new().tell(|| unreachable!("nobody listens"));
    }
}
