//! What the sidecar says of itself: whether it is up, and what its components are.
//!
//! `/v1.0/healthz/outbound` says nothing about the broker (measured: 204 all the while a broker is dead); only
//! publishing does. It is the probe that does not wait for the worker's own port, so waiting on it cannot deadlock.

use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::NoClient;
use crate::clock::Clock;
use crate::config::{self, Secret};

/// What carries a token, to the sidecar and from it.
pub(super) const TOKEN_HEADER: &str = "dapr-api-token";
/// How long the sidecar may take to name its components. It has asked for the subscriptions itself by then, so it
/// is up; and it waits for the answer.
pub const METADATA_TIMEOUT: Duration = Duration::from_secs(2);
/// Most of the metadata that is read; a sidecar with hundreds of components and actors needs a tenth.
const METADATA_MAX_BYTES: usize = 1024 * 1024;
/// How long a connection may take. The sidecar is next door; and what was never connected was certainly never sent,
/// which a time-out of the whole request could not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// How long one probe may take.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
/// The wait between two probes of a sidecar that is down: a start should not be felt.
const DOWN_PAUSE: Duration = Duration::from_millis(500);
/// The wait between two probes of a sidecar that is up. Publishing notices sooner.
const UP_PAUSE: Duration = Duration::from_secs(5);

/// The sidecar as it is asked about itself.
pub struct Sidecar {
    client: reqwest::Client,
    endpoint: String,
    token: Option<Secret>,
}

impl Sidecar {
    /// The sidecar that `dapr` names.
    ///
    /// # Errors
    /// If the HTTP client cannot be built.
    pub fn new(dapr: &config::Dapr) -> Result<Self, NoClient> {
        Ok(Self { client: client()?, endpoint: dapr.http_endpoint.clone(), token: dapr.api_token.clone() })
    }

    /// The type of the component called `name`, such as `pubsub.kafka`; `None` where the sidecar does not say
    /// within [`METADATA_TIMEOUT`].
    pub async fn component_type(&self, name: &str) -> Option<String> {
        let response = self.get("/v1.0/metadata").timeout(METADATA_TIMEOUT).send().await.ok()?;
        let body = bounded_body(response, METADATA_MAX_BYTES).await?;
        component_type(&body, name)
    }

    /// Whether the sidecar delivers all of `topics` of the component called `pubsub`. It asks for subscriptions once
    /// in its life, so a worker that starts beside one that runs already is not asked again.
    pub async fn delivers(&self, pubsub: &str, topics: &[&str]) -> bool {
        let answer = self.get("/v1.0/metadata").timeout(METADATA_TIMEOUT).send().await;
        let Ok(response) = answer else { return false };
        let body = bounded_body(response, METADATA_MAX_BYTES).await;
        body.is_some_and(|body| lists_subscriptions(&body, pubsub, topics))
    }

    /// Keeps `up` true while the sidecar answers, until `stop`. Each change is logged once; `turned` is called at
    /// every turn.
    pub async fn watch(
        &self,
        clock: Arc<dyn Clock>,
        up: watch::Sender<bool>,
        stop: CancellationToken,
        turned: impl Fn() + Send,
    ) {
        let mut known = None;
        let mut silent = 0_u32;
        loop {
            turned();
            let now_up = tokio::select! {
                () = stop.cancelled() => return,
                answer = self.get("/v1.0/healthz/outbound").timeout(PROBE_TIMEOUT).send() => {
                    answer.is_ok_and(|response| response.status().is_success())
                }
            };
            silent = if now_up { 0 } else { silent.saturating_add(1) };
            // One that is silent once may be starting, at the same time as the worker.
            if known != Some(now_up) && silent != 1 {
                known = Some(now_up);
                up.send_replace(now_up);
                if now_up {
                    tracing::info!(endpoint = self.endpoint, "the sidecar is up");
                } else {
                    tracing::warn!(
                        endpoint = self.endpoint,
                        "the sidecar does not answer; reminders wait until it does (dapr.http_endpoint says where it is)"
                    );
                }
            }
            let pause = if now_up { UP_PAUSE } else { DOWN_PAUSE };
            tokio::select! {
                () = stop.cancelled() => return,
                () = clock.sleep(pause) => {}
            }
        }
    }

    fn get(&self, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.get(format!("{}{path}", self.endpoint));
        match &self.token {
            Some(token) => request.header(TOKEN_HEADER, token.expose()),
            None => request,
        }
    }
}

/// A client for a sidecar, which is never behind a proxy and never redirects.
pub(super) fn client() -> reqwest::Result<reqwest::Client> {
    reqwest::Client::builder()
        .no_proxy()
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .build()
}

/// The body, or `None` if it breaks off or is longer than `max`.
pub(super) async fn bounded_body(mut response: reqwest::Response, max: usize) -> Option<Vec<u8>> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.ok()? {
        if body.len() + chunk.len() > max {
            return None;
        }
        body.extend_from_slice(&chunk);
    }
    Some(body)
}

/// `components[].type` of the one called `name` (dapr/dapr `pkg/api/http/metadata.go`).
fn component_type(metadata: &[u8], name: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Metadata {
        components: Vec<Component>,
    }
    #[derive(Deserialize)]
    struct Component {
        name: String,
        r#type: String,
    }
    let metadata: Metadata = serde_json::from_slice(metadata).ok()?;
    metadata.components.into_iter().find(|c| c.name == name).map(|c| c.r#type)
}

/// Whether `subscriptions[]` names each of `topics` (dapr/dapr `pkg/api/http/metadata.go`).
fn lists_subscriptions(metadata: &[u8], pubsub: &str, topics: &[&str]) -> bool {
    #[derive(Deserialize)]
    struct Metadata {
        #[serde(default)]
        subscriptions: Vec<Listed>,
    }
    #[derive(Deserialize)]
    struct Listed {
        pubsubname: String,
        topic: String,
    }
    let Ok(metadata) = serde_json::from_slice::<Metadata>(metadata) else { return false };
    let listed =
        |topic: &str| metadata.subscriptions.iter().any(|s| s.pubsubname == pubsub && s.topic == topic);
    topics.iter().all(|topic| listed(topic))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_is_that_of_the_component_asked_for() {
        let metadata = br#"{"id":"x","components":[{"name":"store","type":"state.redis","version":"v1"},
            {"name":"kafka-pubsub","type":"pubsub.kafka","capabilities":[]}]}"#;
        assert_eq!(component_type(metadata, "kafka-pubsub").as_deref(), Some("pubsub.kafka"));
        assert_eq!(component_type(metadata, "other"), None);
        assert_eq!(component_type(b"{}", "kafka-pubsub"), None);
        assert_eq!(component_type(b"no", "kafka-pubsub"), None);
    }

    #[test]
    fn a_sidecar_delivers_what_its_metadata_lists_for_the_component() {
        let metadata = br#"{"id":"x","components":[],"subscriptions":[
            {"pubsubname":"kafka-pubsub","topic":"task-events","type":"PROGRAMMATIC","rules":[]},
            {"pubsubname":"other","topic":"task-updates","type":"DECLARATIVE"}]}"#;
        assert!(lists_subscriptions(metadata, "kafka-pubsub", &["task-events"]));
        assert!(!lists_subscriptions(metadata, "kafka-pubsub", &["task-events", "task-updates"]));
        for nothing in [&b"{}"[..], b"no", br#"{"subscriptions":null}"#] {
            assert!(!lists_subscriptions(nothing, "kafka-pubsub", &["task-events"]));
        }
    }
}
