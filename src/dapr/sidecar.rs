//! What the sidecar says of itself: what its components are, and what it delivers.

use std::time::Duration;

use super::NoClient;
use super::metadata::Metadata;
use crate::config::{self, Secret};

/// What carries a token, to the sidecar and from it.
pub(super) const TOKEN_HEADER: &str = "dapr-api-token";
/// How long the sidecar may take to name its components. It has asked for the subscriptions itself by then, so it
/// is up; and it waits for the answer.
pub const METADATA_TIMEOUT: Duration = Duration::from_secs(2);
/// Most of an answer that is read; the metadata of a sidecar with hundreds of components and actors is a tenth.
const ANSWER_MAX_BYTES: usize = 1024 * 1024;
/// How long a connection may take. The sidecar is next door; and what was never connected was certainly never sent,
/// which a time-out of the whole request could not say.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);

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
        self.metadata().await?.component_type(name).map(str::to_owned)
    }

    /// Whether the sidecar delivers all of `topics` of the component called `pubsub`. It asks for subscriptions once
    /// in its life, so a worker that starts beside one that runs already is not asked again.
    pub async fn delivers(&self, pubsub: &str, topics: &[&str]) -> bool {
        self.metadata().await.is_some_and(|metadata| metadata.delivers(pubsub, topics))
    }

    async fn metadata(&self) -> Option<Metadata> {
        Metadata::read(&self.ask("/v1.0/metadata", METADATA_TIMEOUT).await?.body?)
    }

    /// Where it is.
    pub(super) fn endpoint(&self) -> &str {
        &self.endpoint
    }

    /// Whether it is sent a token.
    pub(super) fn has_token(&self) -> bool {
        self.token.is_some()
    }

    /// Asks for `path`; `None` where nothing answers in time.
    pub(super) async fn ask(&self, path: &str, timeout: Duration) -> Option<Answered> {
        let response = self.get(path).timeout(timeout).send().await.ok()?;
        let status = response.status().as_u16();
        Some(Answered { status, body: bounded_body(response, ANSWER_MAX_BYTES).await })
    }

    fn get(&self, path: &str) -> reqwest::RequestBuilder {
        let request = self.client.get(format!("{}{path}", self.endpoint));
        match &self.token {
            Some(token) => request.header(TOKEN_HEADER, token.expose()),
            None => request,
        }
    }
}

/// What a question was answered.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) status: u16,
    /// `None` if it broke off or is too long.
    pub(super) body: Option<Vec<u8>>,
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
