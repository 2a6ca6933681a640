//! Backups, and what is to become of a store that was restored from one. On the ops port alone.

use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

use super::api::Api;
use super::problem::Problem;
use super::said::{body, demand_json};
use crate::backups::Backups;
use crate::domain::Timestamp;
use crate::store::sled::{BackupError, Kept};
use crate::store::{AfterRestore, Restored};
use crate::writer::{Confirm, Confirmed, View};

/// Longest body of a confirmation, in bytes: it says one word.
const CONFIRM_MAX_BYTES: usize = 1024;

/// The paths of backups and restores.
pub(super) fn recovery_routes(api: Api) -> Router {
    Router::new()
        .route("/api/v1/store", get(which))
        .route("/api/v1/backups", get(list).post(make))
        .route("/api/v1/restore", get(show))
        .route("/api/v1/restore/confirm", post(confirm))
        .with_state(api)
}

#[derive(Serialize)]
struct StoreShown {
    /// Its directory; null where it lies in none.
    path: Option<String>,
    /// Null where it has none.
    number: Option<String>,
}

/// `GET /api/v1/store`: which it is. Nothing is read for it, so that whoever asks first is told also where a disk, the
/// commit loop or the directory of the backups fails.
async fn which(State(api): State<Api>) -> Json<StoreShown> {
    let backups = api.backups.as_ref();
    let path = backups.and_then(Backups::store_dir).map(|dir| dir.display().to_string());
    let number = backups.and_then(Backups::store_number).map(|number| number.to_string());
    Json(StoreShown { path, number })
}

#[derive(Serialize)]
struct BackupShown {
    name: String,
    created_at: String,
    bytes: u64,
    /// How long it took, of one just made.
    #[serde(skip_serializing_if = "Option::is_none")]
    took_ms: Option<u64>,
}

impl BackupShown {
    fn of(kept: Kept) -> Self {
        let Kept { name, created, bytes, .. } = kept;
        Self { name, created_at: created.to_rfc3339(), bytes, took_ms: None }
    }
}

#[derive(Serialize)]
struct BackupsShown {
    dir: String,
    /// The directory of the store of which they are; null where it lies in none.
    store: Option<String>,
    /// How often one is made; 0 for never by itself.
    every_seconds: u64,
    /// The newest first.
    backups: Vec<BackupShown>,
}

/// `GET /api/v1/backups`
async fn list(State(api): State<Api>) -> Result<Json<BackupsShown>, Problem> {
    let backups = of(&api)?;
    let shelf = backups.shelf().clone();
    let dir = shelf.dir().display().to_string();
    let store = backups.store_dir().map(|dir| dir.display().to_string());
    let now = api.clock.now();
    let kept = tokio::task::spawn_blocking(move || shelf.list_at(now)).await.map_err(broken_off)??;
    let backups_shown = kept.into_iter().map(BackupShown::of).collect();
    Ok(Json(BackupsShown { dir, store, every_seconds: backups.every().as_secs(), backups: backups_shown }))
}

/// `POST /api/v1/backups`: makes one now.
async fn make(State(api): State<Api>, request: Request) -> Result<Json<BackupShown>, Problem> {
    demand_json(request.method(), request.headers())?;
    let made = of(&api)?.make().await?;
    let took_ms = u64::try_from(made.took.as_millis()).ok();
    Ok(Json(BackupShown { took_ms, ..BackupShown::of(made.kept) }))
}

fn of(api: &Api) -> Result<&Backups, Problem> {
    api.backups
        .as_ref()
        .ok_or_else(|| Problem::new(StatusCode::NOT_FOUND, "this worker's store has no backups"))
}

#[expect(clippy::needless_pass_by_value, reason = "the shape that map_err wants")]
fn broken_off(error: tokio::task::JoinError) -> Problem {
    Problem::later(format!("it broke off: {error}"))
}

impl From<BackupError> for Problem {
    fn from(error: BackupError) -> Self {
        match error {
            BackupError::Busy => Self::new(StatusCode::CONFLICT, error.to_string()),
            error => Self::later(error.to_string()),
        }
    }
}

/// Where a store comes from, as the API shows it.
#[derive(Serialize)]
struct RestoredShown {
    restored_at: String,
    backup: String,
    /// What was committed from then to `restored_at` is missing.
    missing_from: String,
    /// What was due by then may have gone out before: `restored_at`, or later where the clock was ahead.
    in_doubt_to: String,
    set_aside: Option<String>,
    reason: Option<String>,
    /// Of reminders that were due by then: `fires`, `held` or `dropping`.
    overdue: &'static str,
    /// How many of them wait; 10,000 stands for as many or more.
    held: usize,
    let_go_at: Option<String>,
    confirmed_at: Option<String>,
}

impl RestoredShown {
    fn of(restored: Restored, held: usize) -> Self {
        let Restored { at, from, in_doubt_to, backup, aside, reason, overdue, let_go, erases: _, confirmed } =
            restored;
        Self {
            restored_at: at.to_rfc3339(),
            backup,
            missing_from: from.to_rfc3339(),
            in_doubt_to: in_doubt_to.to_rfc3339(),
            set_aside: aside,
            reason,
            overdue: match overdue {
                AfterRestore::Fires => "fires",
                AfterRestore::Held => "held",
                AfterRestore::Dropping => "dropping",
            },
            held,
            let_go_at: let_go.map(Timestamp::to_rfc3339),
            confirmed_at: confirmed.map(Timestamp::to_rfc3339),
        }
    }
}

#[derive(Serialize)]
struct Shown {
    /// Null where the store was never restored.
    restored: Option<RestoredShown>,
}

/// `GET /api/v1/restore`
async fn show(State(api): State<Api>) -> Result<Json<Shown>, Problem> {
    let shown = |view: &View<'_>| match view.restored.cloned() {
        Some(restored) => Ok(Some(RestoredShown::of(restored, view.held_since_restore()?))),
        None => Ok(None),
    };
    Ok(Json(Shown { restored: api.read(shown).await? }))
}

/// What is to become of reminders that are held.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Overdue {
    Fire,
    Drop,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Said {
    overdue: Option<Overdue>,
}

/// `POST /api/v1/restore/confirm`
async fn confirm(State(api): State<Api>, request: Request) -> Result<Json<Shown>, Problem> {
    let wrong = |status, detail: String| Problem::new(status, detail);
    let body = body(request, CONFIRM_MAX_BYTES, api.clock.as_ref()).await?;
    let Said { overdue } = if body.trim_ascii().is_empty() {
        Said::default()
    } else {
        serde_json::from_slice(&body).map_err(|error| {
            let detail = format!("send no body, or {{\"overdue\": \"fire\" or \"drop\"}}: {error}");
            wrong(StatusCode::BAD_REQUEST, detail)
        })?
    };
    let said = match overdue {
        None => Confirm::Seen,
        Some(Overdue::Fire) => Confirm::Fire,
        Some(Overdue::Drop) => Confirm::Drop,
    };
    match api.writer.confirm_restore(said).await? {
        Confirmed::Done(_) => show(State(api)).await,
        Confirmed::Never => {
            Err(wrong(StatusCode::NOT_FOUND, "the store was never restored from a backup".to_owned()))
        }
        Confirmed::Undecided(restored) => Err(wrong(
            StatusCode::CONFLICT,
            format!(
                "reminders due by {} are held: say what becomes of them, {{\"overdue\": \"fire\"}} or {{\"overdue\": \"drop\"}}",
                restored.at
            ),
        )),
        Confirmed::NotHeld(restored) => {
            let why = match restored.overdue {
                AfterRestore::Dropping => {
                    "what was held is being dropped already: a change of its task plans it anew"
                }
                _ => "no reminder is held, so there is nothing to fire or to drop; send no body",
            };
            Err(wrong(StatusCode::CONFLICT, why.to_owned()))
        }
    }
}
