//! Service invocation: a request for an app by its id, passed on as it came.

use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::header::{CONNECTION, CONTENT_LENGTH, HOST, TRANSFER_ENCODING, UPGRADE};
use axum::http::{HeaderMap, HeaderValue, Request, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use super::errors::ApiError;
use super::runtime::{AppState, Runtime, TOKEN_HEADER};

/// `/v1.0/invoke/{app-id}/method/{path...}` with any method.
pub(crate) async fn invoke(State(runtime): State<Arc<Runtime>>, request: Request<Body>) -> Response {
    match pass_on(&runtime, request).await {
        Ok(response) => response,
        Err((status, message)) => ApiError::plain(status, "ERR_DIRECT_INVOKE", message).into_response(),
    }
}

async fn pass_on(runtime: &Runtime, request: Request<Body>) -> Result<Response, (StatusCode, String)> {
    let (mut parts, body) = request.into_parts();
    let (app, target) = target(runtime, &parts.uri)?;
    let body = to_bytes(body, runtime.settings.body_max_bytes)
        .await
        .map_err(|error| (StatusCode::PAYLOAD_TOO_LARGE, error.to_string()))?;
    parts.uri = target;
    strip(&mut parts.headers);
    parts.headers.remove(HOST);
    parts.headers.remove(TOKEN_HEADER);
    let caller = HeaderValue::from_str(runtime.app_id());
    if let Ok(caller) = caller {
        parts.headers.insert("dapr-caller-app-id", caller);
    }
    let reply = runtime.call(app, Request::from_parts(parts, body)).await.map_err(|error| {
        let id = &app.id;
        (StatusCode::INTERNAL_SERVER_ERROR, format!("failed to invoke, id: {id}, err: {error}"))
    })?;
    let (mut parts, body) = reply.into_parts();
    strip(&mut parts.headers);
    Ok(Response::from_parts(parts, Body::from(body)))
}

/// The app and the URI that an invocation means; path and query stay encoded as they came.
fn target<'r>(runtime: &'r Runtime, uri: &Uri) -> Result<(&'r AppState, Uri), (StatusCode, String)> {
    let asked = uri.path_and_query().map_or("", |p| p.as_str());
    let (id, path) = asked
        .strip_prefix("/v1.0/invoke/")
        .and_then(|rest| rest.split_once("/method/"))
        .ok_or((StatusCode::NOT_FOUND, "no app and method in the path".to_owned()))?;
    let app = runtime.apps.iter().find(|app| *app.id == *id).ok_or_else(|| {
        let message = format!("failed to invoke, id: {id}, err: failed to resolve address for '{id}'");
        (StatusCode::INTERNAL_SERVER_ERROR, message)
    })?;
    let target = format!("http://{}/{path}", app.app.address);
    let target = target.parse().map_err(|error| (StatusCode::BAD_REQUEST, format!("{target}: {error}")))?;
    Ok((app, target))
}

/// Headers that belong to one connection.
fn strip(headers: &mut HeaderMap) {
    for name in [CONNECTION, TRANSFER_ENCODING, CONTENT_LENGTH, UPGRADE] {
        headers.remove(name);
    }
    headers.remove("keep-alive");
}
