//! The listener that Dapr calls: subscriptions, deliveries, the publishing API, and the worker's API for service
//! invocation.
//!
//! It opens only after the store is open: `/dapr/subscribe` is asked once in a sidecar's life.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::middleware::from_fn_with_state;
use axum::routing::{get, post};
use axum::{Json, Router};

use super::api::{Api, api_routes};
use super::body::{Room, with_room};
use super::clock::clock_shown;
use super::token::{Demand, guard};
use super::{accept, deliver};
use crate::clock::Clock;
use crate::config::Config;
use crate::dapr::{Sidecar, Subscription, route, subscriptions, wants_bulk};
use crate::health::Health;
use crate::intake::Intake;
use crate::telemetry;

/// What the app listener needs. Cloning is cheap.
#[derive(Clone)]
pub struct App {
    /// Settings.
    pub config: Arc<Config>,
    /// Where deliveries go.
    pub intake: Intake,
    /// Who knows the components.
    pub sidecar: Arc<Sidecar>,
    /// Who is told that the subscriptions were asked for.
    pub health: Health,
    /// The API, which other apps reach by service invocation.
    pub api: Api,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// The router of the app listener.
pub fn app_router(app: App) -> Router {
    let demand = Demand { token: app.config.app.api_token.clone(), health: app.health.clone() };
    let strays = Arc::new(deliver::Strays::default());
    let elsewhere = async move |State(app): State<App>, request: Request| {
        deliver::elsewhere(&strays, &app, request).await
    };
    Router::new()
        .route("/dapr/config", get(async || Json(serde_json::json!({}))))
        .route("/dapr/subscribe", get(subscribe))
        .route(route::TASK_EVENTS, post(deliver::task_events))
        .route(route::TASK_UPDATES, post(deliver::task_updates))
        .route(route::REMINDERS, post(deliver::reminders))
        .route(route::REMINDER_ACTIONS, post(deliver::reminder_actions))
        .route(route::USER_PREFERENCES, post(deliver::user_preferences))
        .route("/api/tasks/{task_id}/events", post(accept::accept))
        .fallback(elsewhere)
        .with_state(app.clone())
        .merge(api_routes(app.api))
        .merge(clock_shown(app.clock.as_ref()))
        .method_not_allowed_fallback(super::problem::method_not_allowed)
        .layer(from_fn_with_state(Room::new(), with_room))
        .layer(from_fn_with_state(demand, guard))
        // Dapr's health probes carry no token.
        .route("/healthz", get(async || StatusCode::NO_CONTENT))
}

async fn subscribe(State(app): State<App>) -> Json<Vec<Subscription>> {
    let component = match app.config.dapr.bulk_subscribe {
        crate::config::BulkSubscribe::Auto => app.sidecar.component_type(&app.config.dapr.pubsub).await,
        _ => None,
    };
    let bulk = wants_bulk(app.config.dapr.bulk_subscribe, component.as_deref());
    let list = subscriptions(&app.config.dapr, &app.config.topics, bulk);
    app.health.subscribed();
    telemetry::subscriptions_asked();
    tracing::info!(
        component = component.as_deref().unwrap_or("unknown"),
        bulk,
        "the sidecar asked for the subscriptions"
    );
    Json(list)
}
