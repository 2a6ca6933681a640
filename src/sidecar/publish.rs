//! The publish endpoints: single and bulk, from the request to the broker.

use std::sync::Arc;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use percent_encoding::percent_decode_str;

use super::Profile;
use super::bulk::{self, Entry, Refusal};
use super::errors::ApiError;
use super::json::Numbers;
use super::runtime::Runtime;
use super::wrap::{self, Message, Metadata, Payload, Publication};

/// What a body over the limit is called, as daprd's reader has it.
const TOO_LARGE: &str = "stream too large";

/// `/v1.0/publish/{pubsub}/{topic}` and, since both share a beginning, `/v1.0/publish/bulk/{pubsub}/{topic}`.
pub(crate) async fn publish(State(runtime): State<Arc<Runtime>>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().strip_prefix("/v1.0/publish/").unwrap_or_default().to_owned();
    let done = match path.strip_prefix("bulk/") {
        Some(place) => bulk_to(&runtime, place, &parts, body).await,
        None => single_to(&runtime, &path, &parts, body).await,
    };
    done.unwrap_or_else(IntoResponse::into_response)
}

/// `/v1.0-alpha1/publish/bulk/{pubsub}/{topic}`, the older path.
pub(crate) async fn publish_bulk(State(runtime): State<Arc<Runtime>>, request: Request<Body>) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().strip_prefix("/v1.0-alpha1/publish/bulk/").unwrap_or_default().to_owned();
    bulk_to(&runtime, &path, &parts, body).await.unwrap_or_else(IntoResponse::into_response)
}

async fn single_to(runtime: &Runtime, path: &str, parts: &Parts, body: Body) -> Result<Response, ApiError> {
    let (pubsub, topic) = place(runtime, path)?;
    let (metadata, raw) = metadata(runtime, parts)?;
    let body = read(runtime, body).await.map_err(|problem| ApiError::publish(&pubsub, &topic, &problem))?;
    let message = if raw {
        wrap::raw(body)
    } else {
        let content_type = header(&parts.headers, CONTENT_TYPE.as_str());
        let payload = Payload { content_type, bytes: &body, numbers: Numbers::AsWritten };
        let to = publication(runtime, &pubsub, &topic, &parts.headers);
        wrap::envelope(&to, &payload, Some(&metadata), || runtime.chance.id())
            .map_err(|error| ApiError::cloud_event(runtime.app_id(), &pubsub, &error.to_string()))?
    };
    let message = message.with(Some(metadata));
    runtime.put(&topic, message).map_err(|error| ApiError::publish(&pubsub, &topic, &error.to_string()))?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn bulk_to(runtime: &Runtime, path: &str, parts: &Parts, body: Body) -> Result<Response, ApiError> {
    let (pubsub, topic) = place(runtime, path)?;
    let (metadata, raw) = metadata(runtime, parts)?;
    let app_id = runtime.app_id();
    let body = read(runtime, body)
        .await
        .map_err(|problem| ApiError::bulk_unreadable(app_id, &pubsub, &topic, &problem))?;
    let entries = bulk::entries(&body).map_err(|refusal| {
        let problem = refusal.to_string();
        match refusal {
            Refusal::Unreadable(_) => ApiError::bulk_unreadable(app_id, &pubsub, &topic, &problem),
            Refusal::EntryId => ApiError::bulk_entry_id(app_id, &pubsub, &topic, &problem),
            Refusal::Mismatch => ApiError::bulk_entry(app_id, &pubsub, &topic, &problem),
        }
    })?;
    let to = publication(runtime, &pubsub, &topic, &parts.headers);
    let mut messages = Vec::with_capacity(entries.len());
    for entry in entries {
        let id = entry.id.clone();
        let message = entry_message(runtime, &to, entry, &metadata, raw)
            .map_err(|error| ApiError::bulk_entry(app_id, &pubsub, &topic, &error.to_string()))?;
        messages.push((id, message));
    }
    let failed: Vec<serde_json::Value> = messages
        .into_iter()
        .filter_map(|(id, message)| Some((id, runtime.put(&topic, message).err()?)))
        .map(|(id, error)| serde_json::json!({ "entryId": id, "error": error.to_string() }))
        .collect();
    if failed.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let told = serde_json::json!({ "failedEntries": failed, "errorCode": "ERR_PUBSUB_PUBLISH_MESSAGE" });
    Ok((StatusCode::INTERNAL_SERVER_ERROR, Json(told)).into_response())
}

/// An entry's message. Metadata of the request joins only an entry that has some of its own, where the entry's
/// wins; on Kafka the producer then puts all of it on the record, over the entry's.
fn entry_message(
    runtime: &Runtime,
    to: &Publication<'_>,
    entry: Entry<'_>,
    requested: &Metadata,
    raw: bool,
) -> Result<Message, super::json::NotJson> {
    let mut metadata = entry.metadata.map(|own| {
        let mut all = requested.clone();
        all.extend(own);
        all
    });
    let payload =
        Payload { content_type: &entry.content_type, bytes: &entry.bytes, numbers: Numbers::Float64 };
    let message = if raw {
        wrap::bare(&payload)?
    } else {
        wrap::envelope(to, &payload, metadata.as_ref(), || runtime.chance.id())?
    };
    if runtime.settings.profile == Profile::Kafka && !requested.is_empty() {
        metadata.get_or_insert_default().extend(requested.clone());
    }
    Ok(message.with(metadata))
}

fn publication<'a>(
    runtime: &'a Runtime,
    pubsub: &'a str,
    topic: &'a str,
    headers: &'a HeaderMap,
) -> Publication<'a> {
    let parent = header(headers, "traceparent");
    let traced = wrap::is_trace_parent(parent);
    Publication {
        pubsub,
        topic,
        app_id: runtime.app_id(),
        trace_parent: if traced { parent } else { "" },
        trace_state: if traced { header(headers, "tracestate") } else { "" },
        now: runtime.clock.now(),
    }
}

/// Component and topic of a publish path; a topic may have slashes, and a plus is a blank.
fn place(runtime: &Runtime, path: &str) -> Result<(String, String), ApiError> {
    let (pubsub, topic) = path.split_once('/').unwrap_or((path, ""));
    let decoded = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
    let (pubsub, topic) = (decoded(pubsub), decoded(&topic.replace('+', " ")));
    if pubsub != runtime.settings.component {
        return Err(ApiError::no_pubsub(runtime.app_id(), &pubsub));
    }
    if topic.is_empty() {
        return Err(ApiError::no_topic(runtime.app_id(), &pubsub));
    }
    Ok((pubsub, topic))
}

/// The publish metadata of the query, and whether it asks for the body as it is.
fn metadata(runtime: &Runtime, parts: &Parts) -> Result<(Metadata, bool), ApiError> {
    let refused = |problem: &str| ApiError::metadata(runtime.app_id(), &runtime.settings.component, problem);
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
        .map_err(|error| refused(&error.to_string()))?;
    let mut metadata = Metadata::new();
    for (name, value) in pairs {
        if let Some(name) = name.strip_prefix("metadata.") {
            metadata.entry(name.to_owned()).or_insert(value);
        }
    }
    let raw = match metadata.get("rawPayload").map(String::as_str) {
        None | Some("0" | "f" | "F" | "false" | "FALSE" | "False") => false,
        Some("1" | "t" | "T" | "true" | "TRUE" | "True") => true,
        Some(other) => {
            return Err(refused(&format!("rawPayload value must be a valid boolean: actual is '{other}'")));
        }
    };
    Ok((metadata, raw))
}

async fn read(runtime: &Runtime, body: Body) -> Result<Bytes, String> {
    to_bytes(body, runtime.settings.body_max_bytes).await.map_err(|error| {
        let over = std::iter::successors(std::error::Error::source(&error), |e| e.source());
        let over = over.into_iter().any(|e| e.to_string() == "length limit exceeded");
        if over { TOO_LARGE.to_owned() } else { error.to_string() }
    })
}

fn header<'h>(headers: &'h HeaderMap, name: &str) -> &'h str {
    headers.get(name).and_then(|v| v.to_str().ok()).unwrap_or_default()
}
