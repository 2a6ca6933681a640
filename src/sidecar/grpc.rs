//! The gRPC API: publishing, single and bulk, of `dapr.proto.runtime.v1.Dapr`, which the SDKs speak.
//!
//! Owns the methods, the token in the request's metadata and the statuses. What a publish does is
//! [`publish`](super::publish)'s, the same as over HTTP. Every other method is `UNIMPLEMENTED`.
//!
//! Where gRPC differs from HTTP in daprd (1.18.3, measured on in-memory and Kafka), it does here: an unknown
//! pubsub and an empty topic are `INVALID_ARGUMENT`; bulk entries keep their JSON as it was written, whatever
//! their content type; and a bulk publish of which any entry failed is `INTERNAL` without saying which, though the
//! other entries went out. Unlike there, `rawPayload` adds no empty `traceid` header.

mod messages;

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::post;
use prost::Message as _;
use tonic::server::Grpc;
use tonic::{Code, Status};
use tonic_prost::ProstCodec;

use super::api;
use super::bulk::{self, Entry};
use super::errors::ApiError;
use super::json::Numbers;
use super::publish::{self, Call};
use super::runtime::Runtime;
use messages::{BulkPublishRequest, BulkPublishResponse, Empty, PublishEventRequest, StatusDetails};

/// The methods under which SDKs publish; `BulkPublishEventAlpha1` is what they called it before 1.17.
pub(crate) fn router(runtime: &Arc<Runtime>) -> Router {
    Router::new()
        .route("/dapr.proto.runtime.v1.Dapr/PublishEvent", post(publish_event))
        .route("/dapr.proto.runtime.v1.Dapr/BulkPublishEvent", post(bulk_publish_event))
        .route("/dapr.proto.runtime.v1.Dapr/BulkPublishEventAlpha1", post(bulk_publish_event))
        .route_layer(middleware::from_fn_with_state(Arc::clone(runtime), authorise))
        .fallback(unimplemented)
        .with_state(Arc::clone(runtime))
}

async fn authorise(State(runtime): State<Arc<Runtime>>, request: Request<Body>, next: Next) -> Response {
    if api::admits(&runtime, request.headers()) {
        return next.run(request).await;
    }
    Status::unauthenticated("Unauthorized: send the API token as dapr-api-token").into_http()
}

async fn unimplemented(request: Request<Body>) -> Response {
    let method = request.uri().path();
    Status::unimplemented(format!("the embedded sidecar does not know {method}: it only publishes"))
        .into_http()
}

async fn publish_event(State(runtime): State<Arc<Runtime>>, request: Request<Body>) -> Response {
    unary(&runtime, request, async |runtime, request: tonic::Request<PublishEventRequest>| {
        let (headers, _, sent) = request.into_parts();
        let call = Call::new(runtime, sent.pubsub_name, sent.topic, sent.metadata, headers.as_ref())?;
        publish::put_one(runtime, call, &sent.data_content_type, sent.data).await?;
        Ok(Empty {})
    })
    .await
}

async fn bulk_publish_event(State(runtime): State<Arc<Runtime>>, request: Request<Body>) -> Response {
    unary(&runtime, request, async |runtime, request: tonic::Request<BulkPublishRequest>| {
        let (headers, _, sent) = request.into_parts();
        let call = Call::new(runtime, sent.pubsub_name, sent.topic, sent.metadata, headers.as_ref())?;
        let (app_id, pubsub, topic) = (runtime.app_id(), &call.pubsub, &call.topic);
        bulk::told_apart(sent.entries.iter().map(|entry| entry.entry_id.as_str()))
            .map_err(|refusal| ApiError::bulk_entry_id(app_id, pubsub, topic, &refusal.to_string()))?;
        let entries = sent.entries.iter().map(|entry| Entry {
            id: entry.entry_id.as_str().into(),
            content_type: entry.content_type.as_str().into(),
            bytes: (&*entry.event).into(),
            numbers: Numbers::AsWritten,
            metadata: (!entry.metadata.is_empty()).then(|| entry.metadata.clone()),
        });
        let failed = publish::put_many(runtime, &call, entries.collect())
            .await
            .map_err(|error| ApiError::cloud_event(app_id, pubsub, &error.to_string()))?;
        match failed.first() {
            None => Ok(BulkPublishResponse {}),
            Some((_, first)) => {
                let problem =
                    format!("kafka: Failed to deliver {} messages. The first: {first}", failed.len());
                Err(ApiError::publish(pubsub, topic, &problem))
            }
        }
    })
    .await
}

/// Decodes the one message of `request`, lets `answer` answer it, and encodes what that says.
async fn unary<Q, A>(
    runtime: &Runtime,
    request: Request<Body>,
    answer: impl AsyncFn(&Runtime, tonic::Request<Q>) -> Result<A, ApiError>,
) -> Response
where
    Q: prost::Message + Default + 'static,
    A: prost::Message + Default + 'static,
{
    let limit = runtime.settings.body_max_bytes;
    let mut grpc = Grpc::new(ProstCodec::<A, Q>::default()).max_decoding_message_size(limit);
    let service = tower::service_fn(|request| {
        let answered = answer(runtime, request);
        async { answered.await.map(tonic::Response::new).map_err(Status::from) }
    });
    let response = grpc.unary(service, request).await;
    // Nothing else here says OUT_OF_RANGE, tonic's word for what Go's server calls RESOURCE_EXHAUSTED.
    match Status::from_header_map(response.headers()) {
        Some(status) if status.code() == Code::OutOfRange => {
            let message = format!("grpc: received message larger than max ({limit} bytes)");
            Status::resource_exhausted(message).into_http()
        }
        _ => response.map(Body::new),
    }
}

impl From<ApiError> for Status {
    /// daprd's codes: only what the broker refused is not the caller's fault.
    fn from(error: ApiError) -> Self {
        let code = if error.is_brokers() { Code::Internal } else { Code::InvalidArgument };
        let details = StatusDetails::of(code, &error).encode_to_vec();
        Self::with_details(code, error.message(), details.into())
    }
}
