//! The HTTP API: which path is answered by what, tokens, metadata and health.

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Request, StatusCode};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{any, get, post};
use serde_json::{Value, json};

use super::errors::ApiError;
use super::runtime::{AppState, Runtime, TOKEN_HEADER};
use super::{invoke, publish};

pub(crate) fn router(runtime: &Arc<Runtime>) -> Router {
    Router::new()
        .route("/v1.0/publish/{*place}", post(publish::publish).put(publish::publish))
        .route("/v1.0-alpha1/publish/bulk/{*place}", post(publish::publish_bulk).put(publish::publish_bulk))
        .route("/v1.0/metadata", get(metadata))
        .route("/v1.0/invoke/{app}/method/{*path}", any(invoke::invoke))
        .route_layer(middleware::from_fn_with_state(Arc::clone(runtime), authorise))
        .route("/v1.0/healthz", get(healthz))
        .route("/v1.0/healthz/outbound", get(|| async { StatusCode::NO_CONTENT }))
        .with_state(Arc::clone(runtime))
}

/// Callers show the API token, if there is one; health needs none.
async fn authorise(State(runtime): State<Arc<Runtime>>, request: Request<Body>, next: Next) -> Response {
    if admits(&runtime, request.headers()) {
        return next.run(request).await;
    }
    (StatusCode::UNAUTHORIZED, "invalid api token").into_response()
}

/// Whether a caller with these headers shows the API token, or there is none to show.
pub(crate) fn admits(runtime: &Runtime, headers: &HeaderMap) -> bool {
    let shown = headers.get(TOKEN_HEADER);
    let token = runtime.settings.api_token.as_ref();
    token.is_none_or(|token| token.matches(shown.map_or(&b""[..], |shown| shown.as_bytes())))
}

/// Ready once the app whose sidecar this is has been asked for its subscriptions.
async fn healthz(State(runtime): State<Arc<Runtime>>) -> Response {
    if runtime.ready() {
        return StatusCode::NO_CONTENT.into_response();
    }
    let message = "dapr is not ready: [app-port]";
    ApiError::plain(StatusCode::INTERNAL_SERVER_ERROR, "ERR_HEALTH_NOT_READY", message).into_response()
}

async fn metadata(State(runtime): State<Arc<Runtime>>) -> Json<Value> {
    let settings = &runtime.settings;
    let app = settings.apps.first();
    let subscriptions: Vec<Value> =
        runtime.apps.iter().flat_map(|app| subscriptions(app, &settings.component)).collect();
    Json(json!({
        "id": runtime.app_id(),
        "runtimeVersion": concat!("embedded-", env!("CARGO_PKG_VERSION")),
        "components": [{
            "name": settings.component,
            "type": settings.profile.component_type(),
            "version": "v1",
            "capabilities": [],
        }],
        "subscriptions": subscriptions,
        "extended": { "daprRuntimeVersion": concat!("embedded-", env!("CARGO_PKG_VERSION")) },
        "appConnectionProperties": app.map(|app| json!({
            "port": app.address.rsplit_once(':').and_then(|(_, port)| port.parse::<u16>().ok()),
            "protocol": "http",
            "channelAddress": app.address.rsplit_once(':').map(|(host, _)| host),
        })),
    }))
}

/// The subscriptions of one app, with the app's id beside what daprd shows, since this sidecar has several.
fn subscriptions<'a>(app: &'a AppState, component: &'a str) -> impl Iterator<Item = Value> + 'a {
    app.subscriptions.get().into_iter().flatten().map(move |subscription| {
        let rules: Vec<Value> = subscription
            .rules
            .iter()
            .map(|rule| match rule.expression.as_str() {
                "" => json!({ "path": rule.path }),
                expression => json!({ "match": expression, "path": rule.path }),
            })
            .collect();
        json!({
            "pubsubname": component,
            "topic": subscription.topic,
            "rules": rules,
            "deadLetterTopic": subscription.dead_letter.as_deref().unwrap_or_default(),
            "metadata": subscription.metadata,
            "type": "PROGRAMMATIC",
            "appId": app.app.app_id,
        })
    })
}
