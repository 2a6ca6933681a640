//! Error replies as daprd words them: status, code, message and details.

use std::collections::BTreeMap;

use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::json;

/// A refusal of the publish API.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// The pubsub it is about and the reason's name, unless there are no details.
    details: Option<(String, &'static str, BTreeMap<&'static str, String>)>,
}

#[derive(Serialize)]
struct Body<'a> {
    #[serde(rename = "errorCode")]
    code: &'a str,
    message: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    details: Vec<serde_json::Value>,
}

impl ApiError {
    /// An error without details.
    pub(crate) fn plain(status: StatusCode, code: &'static str, message: impl Into<String>) -> Self {
        Self { status, code, message: message.into(), details: None }
    }

    pub(crate) fn no_pubsub(app_id: &str, pubsub: &str) -> Self {
        let error =
            Self::plain(StatusCode::NOT_FOUND, "ERR_PUBSUB_NOT_FOUND", format!("pubsub {pubsub} not found"));
        error.about(pubsub, "DAPR_PUBSUB_NOT_FOUND", [("appID", app_id.to_owned())])
    }

    pub(crate) fn no_topic(app_id: &str, pubsub: &str) -> Self {
        let error = Self::plain(
            StatusCode::NOT_FOUND,
            "ERR_TOPIC_NAME_EMPTY",
            format!("topic is empty in pubsub {pubsub}"),
        );
        error.about(pubsub, "DAPR_PUBSUB_TOPIC_NAME_EMPTY", [("appID", app_id.to_owned())])
    }

    pub(crate) fn metadata(app_id: &str, pubsub: &str, problem: &str) -> Self {
        let error = Self::plain(
            StatusCode::BAD_REQUEST,
            "ERR_PUBSUB_REQUEST_METADATA",
            format!("failed deserializing metadata. Error: {problem}"),
        );
        error.about(pubsub, "DAPR_PUBSUB_METADATA_DESERIALIZATION", [("appID", app_id.to_owned())])
    }

    pub(crate) fn publish(pubsub: &str, topic: &str, problem: &str) -> Self {
        let error = Self::plain(
            StatusCode::INTERNAL_SERVER_ERROR,
            "ERR_PUBSUB_PUBLISH_MESSAGE",
            format!("error when publishing to topic {topic} in pubsub {pubsub}: {problem}"),
        );
        let metadata = [("error", problem.to_owned()), ("topic", topic.to_owned())];
        error.about(pubsub, "DAPR_PUBSUB_PUBLISH_MESSAGE", metadata)
    }

    pub(crate) fn cloud_event(app_id: &str, pubsub: &str, problem: &str) -> Self {
        let error = Self::plain(
            StatusCode::INTERNAL_SERVER_ERROR,
            "ERR_PUBSUB_CLOUD_EVENTS_SER",
            "cannot create cloudevent",
        );
        let metadata = [("appID", app_id.to_owned()), ("error", problem.to_owned())];
        error.about(pubsub, "DAPR_PUBSUB_CLOUD_EVENT_CREATION", metadata)
    }

    /// The body of a bulk publish is no list of entries.
    pub(crate) fn bulk_unreadable(app_id: &str, pubsub: &str, topic: &str, problem: &str) -> Self {
        let message =
            format!("error when unmarshaling the request for topic {topic} pubsub {pubsub}: {problem}");
        let error = Self::plain(StatusCode::BAD_REQUEST, "ERR_PUBSUB_EVENTS_SER", message);
        error.about(pubsub, "DAPR_PUBSUB_UNMARSHAL_EVENTS", [("appID", app_id.to_owned())])
    }

    /// An entry of a bulk publish has no id of its own.
    pub(crate) fn bulk_entry_id(app_id: &str, pubsub: &str, topic: &str, problem: &str) -> Self {
        let message =
            format!("error marshaling events to bytes for topic {topic} pubsub {pubsub}. error: {problem}");
        let error = Self::plain(StatusCode::BAD_REQUEST, "ERR_PUBSUB_EVENTS_SER", message);
        let metadata = [("appID", app_id.to_owned()), ("error", problem.to_owned())];
        error.about(pubsub, "DAPR_PUBSUB_MARSHAL_EVENTS", metadata)
    }

    /// An entry of a bulk publish is not what its content type says.
    pub(crate) fn bulk_entry(app_id: &str, pubsub: &str, topic: &str, problem: &str) -> Self {
        let message = format!(
            "error when marshalling cloud event envelope for topic {topic} pubsub {pubsub}: {problem}"
        );
        let error = Self::plain(StatusCode::BAD_REQUEST, "ERR_PUBSUB_EVENTS_SER", message);
        let metadata = [("appID", app_id.to_owned()), ("error", problem.to_owned())];
        error.about(pubsub, "DAPR_PUBSUB_MARSHAL_ENVELOPE", metadata)
    }

    /// Whether the broker refused what was right in itself.
    pub(crate) fn is_brokers(&self) -> bool {
        self.code == "ERR_PUBSUB_PUBLISH_MESSAGE"
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    /// The reason's name and what goes with it.
    pub(crate) fn reason(&self) -> Option<(&'static str, &BTreeMap<&'static str, String>)> {
        self.details.as_ref().map(|(_, reason, metadata)| (*reason, metadata))
    }

    fn about<const N: usize>(
        mut self,
        pubsub: &str,
        reason: &'static str,
        metadata: [(&'static str, String); N],
    ) -> Self {
        self.details = Some((pubsub.to_owned(), reason, metadata.into_iter().collect()));
        self
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let details = self.details.as_ref().map(|(pubsub, reason, metadata)| {
            vec![
                serde_json::json!({
                    "@type": "type.googleapis.com/google.rpc.ResourceInfo",
                    "description": self.message,
                    "owner": "",
                    "resource_name": pubsub,
                    "resource_type": "pubsub",
                }),
                serde_json::json!({
                    "@type": "type.googleapis.com/google.rpc.ErrorInfo",
                    "domain": "dapr.io",
                    "metadata": metadata,
                    "reason": reason,
                }),
            ]
        });
        let body = Body { code: self.code, message: &self.message, details: details.unwrap_or_default() };
        let plain = serde_json::to_string(&body).unwrap_or_default();
        (self.status, [(CONTENT_TYPE, "application/json")], json::escaped(&plain)).into_response()
    }
}
