//! The listener for people and probes: health, metrics and the API.

use axum::extract::State;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::middleware::from_fn_with_state;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};

use super::access::{Gate, guard};
use super::admin::admin_routes;
use super::api::{Api, api_routes};
use super::clock::clock_routes;
use super::firing::firing_routes;
use super::problem::{method_not_allowed, not_found};
use super::recovery::recovery_routes;
use crate::config::Ops;
use crate::health::{Health, Report};
use crate::telemetry::Metrics;

#[derive(Clone)]
struct Probes {
    health: Health,
    metrics: Metrics,
}

/// The router of the ops listener. The API, and the clock where it is simulated, demand the tokens of `ops` where there
/// are any; probes and metrics never do.
pub fn ops_router(api: Api, health: Health, metrics: Metrics, ops: &Ops) -> Router {
    let gate = Gate::new(api.clone(), ops);
    let probes = Router::new()
        .route("/livez", get(async |State(probes): State<Probes>| report(&probes.health.alive())))
        .route("/readyz", get(async |State(probes): State<Probes>| report(&probes.health.ready())))
        .route("/metrics", get(metrics_text))
        .with_state(Probes { health, metrics });
    let clock = clock_routes(api.clock.as_ref());
    api_routes(api.clone())
        .merge(admin_routes(api.clone()))
        .merge(firing_routes(api.clone()))
        .merge(recovery_routes(api))
        .merge(clock)
        .route_layer(from_fn_with_state(gate, guard))
        .merge(probes)
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
}

fn report(report: &Report) -> Response {
    let status = if report.is_ok() { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    (status, Json(report)).into_response()
}

async fn metrics_text(State(probes): State<Probes>) -> Response {
    probes.health.measure();
    ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], probes.metrics.render()).into_response()
}
