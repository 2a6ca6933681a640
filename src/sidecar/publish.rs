//! Publishing: the HTTP endpoints, single and bulk, and the way from a request to the broker that they share
//! with gRPC.

use std::borrow::Cow;
use std::sync::Arc;

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use futures_util::future::join_all;
use percent_encoding::percent_decode_str;

use super::Profile;
use super::broker::{BrokerError, partition_of};
use super::bulk::{self, Entry, Refusal};
use super::errors::ApiError;
use super::json::{NotJson, Numbers};
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
    let call = call(runtime, path, parts)?;
    let body = read(runtime, body)
        .await
        .map_err(|problem| ApiError::publish(&call.pubsub, &call.topic, &problem))?;
    put_one(runtime, call, header(&parts.headers, CONTENT_TYPE.as_str()), body).await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

async fn bulk_to(runtime: &Runtime, path: &str, parts: &Parts, body: Body) -> Result<Response, ApiError> {
    let call = call(runtime, path, parts)?;
    let (app_id, pubsub, topic) = (runtime.app_id(), &call.pubsub, &call.topic);
    let body = read(runtime, body)
        .await
        .map_err(|problem| ApiError::bulk_unreadable(app_id, pubsub, topic, &problem))?;
    let entries = bulk::entries(&body).map_err(|refusal| {
        let problem = refusal.to_string();
        match refusal {
            Refusal::Unreadable(_) => ApiError::bulk_unreadable(app_id, pubsub, topic, &problem),
            Refusal::EntryId => ApiError::bulk_entry_id(app_id, pubsub, topic, &problem),
            Refusal::Mismatch => ApiError::bulk_entry(app_id, pubsub, topic, &problem),
        }
    })?;
    let failed = put_many(runtime, &call, entries)
        .await
        .map_err(|error| ApiError::bulk_entry(app_id, pubsub, topic, &error.to_string()))?;
    if failed.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    let failed: Vec<serde_json::Value> = failed
        .into_iter()
        .map(|(id, error)| serde_json::json!({ "entryId": id, "error": error.to_string() }))
        .collect();
    let told = serde_json::json!({ "failedEntries": failed, "errorCode": "ERR_PUBSUB_PUBLISH_MESSAGE" });
    Ok((StatusCode::INTERNAL_SERVER_ERROR, Json(told)).into_response())
}

/// A publish request but for its events: where to, and with what.
pub(crate) struct Call {
    pub(crate) pubsub: String,
    pub(crate) topic: String,
    metadata: Metadata,
    /// The metadata asks for the bytes as they are.
    raw: bool,
    trace_parent: String,
    trace_state: String,
}

impl Call {
    /// A request that is refused only for its events, if at all; `headers` may carry a trace context.
    pub(crate) fn new(
        runtime: &Runtime,
        pubsub: String,
        topic: String,
        metadata: Metadata,
        headers: &HeaderMap,
    ) -> Result<Self, ApiError> {
        if pubsub != runtime.settings.component {
            return Err(ApiError::no_pubsub(runtime.app_id(), &pubsub));
        }
        if topic.is_empty() {
            return Err(ApiError::no_topic(runtime.app_id(), &pubsub));
        }
        let raw = match metadata.get("rawPayload").map(String::as_str) {
            None | Some("0" | "f" | "F" | "false" | "FALSE" | "False") => false,
            Some("1" | "t" | "T" | "true" | "TRUE" | "True") => true,
            Some(other) => {
                let problem = format!("rawPayload value must be a valid boolean: actual is '{other}'");
                return Err(ApiError::metadata(runtime.app_id(), &pubsub, &problem));
            }
        };
        let parent = header(headers, "traceparent");
        let traced = wrap::is_trace_parent(parent);
        let traced = |name| if traced { header(headers, name).to_owned() } else { String::new() };
        let (trace_parent, trace_state) = (traced("traceparent"), traced("tracestate"));
        Ok(Self { pubsub, topic, metadata, raw, trace_parent, trace_state })
    }

    fn publication<'a>(&'a self, runtime: &'a Runtime) -> Publication<'a> {
        Publication {
            pubsub: &self.pubsub,
            topic: &self.topic,
            app_id: runtime.app_id(),
            trace_parent: &self.trace_parent,
            trace_state: &self.trace_state,
            now: runtime.clock.now(),
        }
    }
}

/// Publishes one event.
pub(crate) async fn put_one(
    runtime: &Runtime,
    call: Call,
    content_type: &str,
    bytes: Bytes,
) -> Result<(), ApiError> {
    let message = if call.raw {
        wrap::raw(bytes)
    } else {
        let payload = Payload { content_type, bytes: &bytes, numbers: Numbers::AsWritten };
        wrap::envelope(&call.publication(runtime), &payload, Some(&call.metadata), || runtime.chance.id())
            .map_err(|error| ApiError::cloud_event(runtime.app_id(), &call.pubsub, &error.to_string()))?
    };
    let message = message.with(Some(call.metadata));
    let put = runtime.put(&call.topic, message).await;
    put.map_err(|error| ApiError::publish(&call.pubsub, &call.topic, &error.to_string()))?;
    Ok(())
}

/// Publishes many events, and says which were not taken; one that can't be wrapped refuses all.
pub(crate) async fn put_many<'e>(
    runtime: &Runtime,
    call: &Call,
    entries: Vec<Entry<'e>>,
) -> Result<Vec<(Cow<'e, str>, BrokerError)>, NotJson> {
    let to = call.publication(runtime);
    let mut messages = Vec::with_capacity(entries.len());
    for entry in entries {
        let id = entry.id.clone();
        messages.push((id, entry_message(runtime, &to, entry, call)?));
    }
    // One number that cannot be read refuses all, as in daprd.
    if runtime.settings.profile == Profile::Kafka
        && let Some(error) = messages.iter().find_map(|(_, message)| partition_of(message).err())
    {
        return Ok(messages.into_iter().map(|(id, _)| (id, error.clone())).collect());
    }
    // All are handed over before the first answer is awaited, in their order.
    let puts: Vec<_> =
        messages.into_iter().map(|(id, message)| (id, runtime.put(&call.topic, message))).collect();
    let puts = join_all(puts.into_iter().map(async |(id, put)| (id, put.await.err()))).await;
    Ok(puts.into_iter().filter_map(|(id, error)| Some((id, error?))).collect())
}

/// An entry's message. Metadata of the request joins only an entry that has some of its own, where the entry's
/// wins; on Kafka the producer then puts all of it on the record, over the entry's.
fn entry_message(
    runtime: &Runtime,
    to: &Publication<'_>,
    entry: Entry<'_>,
    call: &Call,
) -> Result<Message, NotJson> {
    let mut metadata = entry.metadata.map(|own| {
        let mut all = call.metadata.clone();
        all.extend(own);
        all
    });
    let payload = Payload { content_type: &entry.content_type, bytes: &entry.bytes, numbers: entry.numbers };
    let message = match (call.raw, entry.numbers) {
        (true, Numbers::AsWritten) => wrap::raw(Bytes::copy_from_slice(&entry.bytes)),
        (true, Numbers::Float64) => wrap::bare(&payload)?,
        (false, _) => wrap::envelope(to, &payload, metadata.as_ref(), || runtime.chance.id())?,
    };
    if runtime.settings.profile == Profile::Kafka && !call.metadata.is_empty() {
        metadata.get_or_insert_default().extend(call.metadata.clone());
    }
    Ok(message.with(metadata))
}

/// The call that path and query mean; a topic may have slashes, and a plus is a blank.
fn call(runtime: &Runtime, path: &str, parts: &Parts) -> Result<Call, ApiError> {
    let (pubsub, topic) = path.split_once('/').unwrap_or((path, ""));
    let decoded = |part: &str| percent_decode_str(part).decode_utf8_lossy().into_owned();
    let (pubsub, topic) = (decoded(pubsub), decoded(&topic.replace('+', " ")));
    let Query(pairs) = Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
        .map_err(|error| ApiError::metadata(runtime.app_id(), &pubsub, &error.to_string()))?;
    let mut metadata = Metadata::new();
    for (name, value) in pairs {
        if let Some(name) = name.strip_prefix("metadata.") {
            metadata.entry(name.to_owned()).or_insert(value);
        }
    }
    Call::new(runtime, pubsub, topic, metadata, &parts.headers)
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
