//! `/dev/clock`: the clock of a worker whose time is simulated. Where it is not, there is no such path.
//!
//! For the tests of those who use the worker: they advance its clock and see what falls due. Knows no reminder; that
//! they go out at once is the clock's doing, which ends every sleep.

use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

use super::body::{Arrived, arrive};
use super::problem::Problem;
use crate::clock::{Clock, ScaledClock};

/// The largest body: many times what an advance takes to write.
const BODY_MAX_BYTES: usize = 1024;

/// What a body must be.
const FORM: &str =
    "write {\"advance\": \"2h\"}, a span of time in ms, s, m, h or d, such as 90s, 2h 30m or 1d";

/// A body of `POST /dev/clock`.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    advance: String,
}

/// The path, where `clock` is simulated.
pub(super) fn clock_routes(clock: &dyn Clock) -> Router {
    match clock.simulated() {
        Some(clock) => Router::new().route("/dev/clock", get(show).post(advance)).with_state(clock),
        None => Router::new(),
    }
}

/// The path for looking alone: for who reaches this listener and not that of people.
pub(super) fn clock_shown(clock: &dyn Clock) -> Router {
    match clock.simulated() {
        Some(clock) => Router::new().route("/dev/clock", get(show)).with_state(clock),
        None => Router::new(),
    }
}

async fn show(State(clock): State<ScaledClock>) -> Json<Value> {
    Json(json!({ "now": clock.now().to_rfc3339(), "scale": clock.scale().factor() }))
}

async fn advance(State(clock): State<ScaledClock>, request: Request) -> Result<Json<Value>, Problem> {
    let body = match arrive(request.into_body(), BODY_MAX_BYTES, &clock).await {
        Arrived::Whole(body) => body,
        Arrived::TooLarge(..) => return Err(wrong(format!("the body has more than {BODY_MAX_BYTES} bytes"))),
        Arrived::Broken => return Err(Problem::new(StatusCode::REQUEST_TIMEOUT, "the body broke off")),
    };
    let now = clock
        .advance(span(&body)?)
        .map_err(|too_far| Problem::new(StatusCode::BAD_REQUEST, too_far.to_string()))?;
    Ok(Json(json!({ "now": now.to_rfc3339() })))
}

/// By how much a body asks to advance; there is no way back, so a span has no sign.
fn span(body: &[u8]) -> Result<Duration, Problem> {
    let asked: Asked = serde_json::from_slice(body).map_err(wrong)?;
    if asked.advance.trim_start().starts_with('-') {
        return Err(wrong(format!("`{}`: the clock never goes back", asked.advance)));
    }
    humantime::parse_duration(&asked.advance).map_err(|error| wrong(format!("`{}`: {error}", asked.advance)))
}

fn wrong(what: impl std::fmt::Display) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, format!("{what}; {FORM}"))
}
