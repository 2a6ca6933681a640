//! What a request says in JSON, and who may say it.
//!
//! One rule for the API: **a POST says `content-type: application/json`**, with a body or without one, else it is
//! answered 415. The listeners are on loopback, where a page of any site in a browser reaches them; that content type is
//! what such a page can't send unasked. PUT, PATCH and DELETE it can't send at all, so they need no word of what they
//! carry. What has a content type of its own says that: an import, and Dapr's deliveries.

use axum::extract::Request;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, Method, StatusCode};
use bytes::Bytes;
use serde::de::DeserializeOwned;

use super::body::{Arrived, arrive};
use super::problem::Problem;
use crate::clock::Clock;

/// What a POST is sent as.
const JSON: &str = "application/json";

/// The body of a request, of at most `limit` bytes.
pub(super) async fn body(request: Request, limit: usize, clock: &dyn Clock) -> Result<Bytes, Problem> {
    demand_json(request.method(), request.headers())?;
    match arrive(request.into_body(), limit, clock).await {
        Arrived::Whole(body) => Ok(body),
        Arrived::TooLarge(..) => {
            let detail = format!("the body may have at most {limit} bytes");
            Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, detail))
        }
        Arrived::Broken => Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body broke off")),
    }
}

/// What the body says; `None` where it is blank.
pub(super) async fn said<T: DeserializeOwned>(
    request: Request,
    limit: usize,
    clock: &dyn Clock,
) -> Result<Option<T>, Problem> {
    let body = body(request, limit, clock).await?;
    if body.trim_ascii().is_empty() {
        return Ok(None);
    }
    serde_json::from_slice(&body)
        .map(Some)
        .map_err(|wrong| Problem::new(StatusCode::BAD_REQUEST, wrong.to_string()))
}

/// Refuses a POST that does not say that it is JSON.
pub(super) fn demand_json(method: &Method, headers: &HeaderMap) -> Result<(), Problem> {
    if method != Method::POST || says(headers, JSON) {
        return Ok(());
    }
    let detail = format!("a POST needs `content-type: {JSON}`, with a body or without one");
    Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail))
}

/// Whether the content type is `wanted`, whatever its parameters.
pub(super) fn says(headers: &HeaderMap, wanted: &str) -> bool {
    let said = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    said.split(';').next().unwrap_or_default().trim().eq_ignore_ascii_case(wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_post_must_say_that_it_is_json_and_nothing_else_must() {
        for (method, kind, taken) in [
            (Method::POST, Some("application/json"), true),
            (Method::POST, Some("Application/JSON ; charset=utf-8"), true),
            (Method::POST, Some("text/plain"), false),
            (Method::POST, Some("application/x-www-form-urlencoded"), false),
            (Method::POST, Some("multipart/form-data; x=application/json"), false),
            (Method::POST, Some(""), false),
            (Method::POST, None, false),
            (Method::PATCH, None, true),
            (Method::PUT, Some("application/x-www-form-urlencoded"), true),
        ] {
            let mut headers = HeaderMap::new();
            headers.extend(kind.map(|kind| (CONTENT_TYPE, kind.parse().unwrap())));
            assert_eq!(demand_json(&method, &headers).is_ok(), taken, "{method} {kind:?}");
        }
    }
}
