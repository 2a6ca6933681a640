//! Watching the sidecar: whether it answers, takes the worker's token and has its broker.
//!
//! `/v1.0/healthz/outbound` says nothing about the broker (measured: 204 all the while a broker is dead); only
//! publishing does. It is the probe that does not wait for the worker's own port, so waiting on it cannot deadlock.
//! What it does not say, that the token is wrong or the component missing, `/v1.0/metadata` does.
//!
//! A sidecar that cannot initialise a component without `ignoreErrors` ends, which looks from here like one that is
//! down; in the tenths of a second before its end it answers (measured). So a fault counts when it is seen twice.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::metadata::Metadata;
use super::sidecar::{Answered, Sidecar};
use crate::clock::Clock;

/// How long one probe may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// The wait between two probes while something is wrong: a start should not be felt.
const FAULT_PAUSE: Duration = Duration::from_millis(500);
/// The wait between two probes of a sidecar that is up. Publishing notices sooner.
const UP_PAUSE: Duration = Duration::from_secs(5);
/// How often in a row a fault is seen before it counts.
const SEEN_MIN: u32 = 2;
/// Most components that are named to whoever named another one.
const NAMES_MAX: usize = 10;

/// What keeps the sidecar from being of use, and what to change.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum Fault {
    /// Nothing answers.
    #[error(
        "the sidecar does not answer at {0} (dapr.http_endpoint); reminders wait until it does. If it starts and ends \
         again, its own log names the component that it cannot initialise"
    )]
    Silent(String),
    /// It wants a token, and none is configured.
    #[error(
        "the sidecar demands a token and is sent none; give the worker the sidecar's DAPR_API_TOKEN (dapr.api_token)"
    )]
    TokenMissing,
    /// It wants another token.
    #[error(
        "the sidecar refuses the token it is sent; give the worker the sidecar's own DAPR_API_TOKEN (dapr.api_token)"
    )]
    TokenWrong,
    /// It has not got the component.
    #[error(
        "the sidecar has no component `{pubsub}` (dapr.pubsub), it has {has}; mend the name, or the component's scopes. \
         One that failed under ignoreErrors is named in the sidecar's own log"
    )]
    NoComponent {
        /// The one that is asked for.
        pubsub: String,
        /// Those that there are, for a person.
        has: String,
    },
    /// The component is something else.
    #[error("component `{pubsub}` (dapr.pubsub) is {kind}, which is no broker; name a pubsub.… component")]
    NoBroker {
        /// The component.
        pubsub: String,
        /// Its type.
        kind: String,
    },
}

impl Sidecar {
    /// Looks after the sidecar until `stop`: `usable` is true while nothing is wrong, each change is logged once, and
    /// `turned` is called at every turn with the fault that there is. `pubsub` is the worker's component.
    pub async fn watch(
        &self,
        pubsub: &str,
        clock: Arc<dyn Clock>,
        usable: watch::Sender<bool>,
        stop: CancellationToken,
        turned: impl Fn(Option<&Fault>) + Send,
    ) {
        // The outer one is `None` until anything is known.
        let mut known: Option<Option<Fault>> = None;
        let (mut last, mut seen) = (None, 0_u32);
        loop {
            turned(known.as_ref().and_then(Option::as_ref));
            let found = tokio::select! {
                () = stop.cancelled() => return,
                found = self.look(pubsub) => found,
            };
            // What gives no answer about itself is what it was; publishing tells whether a new one is of use.
            let found = found.unwrap_or_else(|| known.clone().flatten());
            seen = if last == found { seen.saturating_add(1) } else { 1 };
            if known.as_ref() != Some(&found) && (found.is_none() || seen >= SEEN_MIN) {
                match &found {
                    None => tracing::info!(endpoint = self.endpoint(), "the sidecar is up"),
                    Some(fault) => tracing::warn!("{fault}"),
                }
                usable.send_replace(found.is_none());
                known = Some(found.clone());
                turned(found.as_ref());
            }
            let pause = if found.is_none() { UP_PAUSE } else { FAULT_PAUSE };
            last = found;
            tokio::select! {
                () = stop.cancelled() => return,
                () = clock.wait(pause) => {}
            }
        }
    }

    /// The fault that there is; the outer `None` where the sidecar is up and does not say.
    async fn look(&self, pubsub: &str) -> Option<Option<Fault>> {
        let probe = self.ask("/v1.0/healthz/outbound", PROBE_TIMEOUT).await;
        if !matches!(probe, Some(Answered { status: 200..=299, .. })) {
            return Some(Some(Fault::Silent(self.endpoint().to_owned())));
        }
        let answer = self.ask("/v1.0/metadata", PROBE_TIMEOUT).await?;
        let whole = answer.body.is_some() || !(200..=299).contains(&answer.status);
        whole.then(|| fault(&answer, pubsub, self.has_token()))
    }
}

/// What the answer to the question for the metadata says is wrong. One that cannot be read says nothing: a sidecar
/// that is something else than daprd may be fine without.
fn fault(answer: &Answered, pubsub: &str, has_token: bool) -> Option<Fault> {
    match answer.status {
        401 | 403 if has_token => return Some(Fault::TokenWrong),
        401 | 403 => return Some(Fault::TokenMissing),
        200..=299 => {}
        _ => return None,
    }
    let metadata = Metadata::read(answer.body.as_deref()?)?;
    match metadata.component_type(pubsub) {
        Some(kind) if kind.starts_with("pubsub.") => None,
        Some(kind) => Some(Fault::NoBroker { pubsub: pubsub.to_owned(), kind: kind.to_owned() }),
        None => {
            let names: Vec<&str> = metadata.components().take(NAMES_MAX).collect();
            let has = if names.is_empty() { "none at all".to_owned() } else { names.join(", ") };
            Some(Fault::NoComponent { pubsub: pubsub.to_owned(), has })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_metadata_says_is_wrong_is_told_with_what_to_change() {
        let two = r#"{"components":[{"name":"a","type":"pubsub.redis"},{"name":"b","type":"state.redis"}]}"#;
        for (status, body, token, said) in [
            (200, r#"{"components":[{"name":"kafka-pubsub","type":"pubsub.kafka"}]}"#, false, None),
            (
                401,
                "invalid api token",
                false,
                Some("is sent none; give the worker the sidecar's DAPR_API_TOKEN"),
            ),
            (401, "invalid api token", true, Some("refuses the token it is sent")),
            (200, two, false, Some("no component `kafka-pubsub` (dapr.pubsub), it has a, b; mend the name")),
            (200, "{}", false, Some("it has none at all")),
            (
                200,
                r#"{"components":[{"name":"kafka-pubsub","type":"state.redis"}]}"#,
                true,
                Some("is state.redis, which is no broker"),
            ),
            (404, "", false, None),
            (200, "no JSON", false, None),
        ] {
            let answer = Answered { status, body: Some(body.as_bytes().to_vec()) };
            let found = fault(&answer, "kafka-pubsub", token).map(|fault| fault.to_string());
            match said {
                None => assert_eq!(found, None, "{body}"),
                Some(said) => {
                    assert!(found.as_deref().is_some_and(|f| f.contains(said)), "{said}: {found:?}");
                }
            }
        }
    }
}
