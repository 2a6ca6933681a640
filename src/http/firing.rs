//! Pausing all reminders and letting them go on. On the ops port alone: an app that may ask for reminders by service
//! invocation must not be able to stop everybody's.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::api::Api;
use super::problem::Problem;
use super::said::{body, demand_json};
use crate::domain::Timestamp;
use crate::store::Paused;
use crate::writer::Switch;

/// Longest body of a pause, in bytes: a reason is cut far below, and a person writes no more.
pub(super) const PAUSE_MAX_BYTES: usize = 4 * 1024;

/// The paths that change whether reminders go out.
pub(super) fn firing_routes(api: Api) -> Router {
    Router::new().route("/api/v1/pause", post(pause)).route("/api/v1/resume", post(resume)).with_state(api)
}

/// Whether reminders go out, as the API shows it.
#[derive(Serialize)]
pub(super) struct FiringShown {
    paused: bool,
    since: Option<String>,
    reason: Option<String>,
}

impl FiringShown {
    pub(super) fn of(paused: Option<&Paused>) -> Self {
        Self {
            paused: paused.is_some(),
            since: paused.map(|paused| paused.since.to_rfc3339()),
            reason: paused.and_then(|paused| paused.reason.clone()),
        }
    }
}

/// What may be said of a pause; an empty body says nothing.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pause {
    reason: Option<String>,
}

/// `POST /api/v1/pause`: the pause that is in force then, which may be an earlier one.
async fn pause(State(api): State<Api>, request: Request) -> Result<Json<FiringShown>, Problem> {
    let wrong = |detail: String| Problem::new(StatusCode::BAD_REQUEST, detail);
    let body = body(request, PAUSE_MAX_BYTES, api.clock.as_ref()).await?;
    let Pause { reason } = if body.trim_ascii().is_empty() {
        Pause::default()
    } else {
        serde_json::from_slice(&body)
            .map_err(|error| wrong(format!("send no body, or {{\"reason\": \"…\"}}: {error}")))?
    };
    let switched = api.writer.switch(Switch::Pause { reason }).await?;
    Ok(Json(FiringShown::of(switched.after.as_ref())))
}

#[derive(Serialize)]
struct Resumed {
    #[serde(flatten)]
    firing: FiringShown,
    /// Since when they were paused; null where they were not.
    paused_since: Option<String>,
}

/// `POST /api/v1/resume`
async fn resume(State(api): State<Api>, request: Request) -> Result<Json<Resumed>, Problem> {
    demand_json(request.method(), request.headers())?;
    let switched = api.writer.switch(Switch::Resume).await?;
    let paused_since = switched.before.map(|paused| Timestamp::to_rfc3339(paused.since));
    Ok(Json(Resumed { firing: FiringShown::of(switched.after.as_ref()), paused_since }))
}
