//! A user's preferences: `GET`, `PUT`, `PATCH` and `DELETE /api/v1/users/{id}/preferences`.
//!
//! `PUT` says all of them (what it leaves out is cleared), `PATCH` what it names (null clears), `DELETE` clears all.
//! What is said here counts from now on, after all that events said before; a later event may change it again. It is
//! taken whole or not at all. A user of whom nothing is known has preferences too: none.

use axum::Json;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::routing::{MethodRouter, get};
use serde::Serialize;
use serde_json::Value;

use super::api::Api;
use super::problem::{Problem, method_not_allowed};
use super::query::PathText;
use super::said;
use crate::domain::{Mute, Preferences, PreferencesChange, Said, Timestamp, Verdict, Wish, WishField, Zone};
use crate::reading::{read_wishes, user_id};
use crate::writer::{Content, Delivery};

/// The largest body taken, in bytes: all preferences together have a few hundred.
const BODY_MAX_BYTES: usize = 16 * 1024;

/// Preferences as the API shows them.
#[derive(Serialize)]
struct Shown {
    user_id: String,
    timezone: Option<&'static str>,
    reminder_offsets: Option<Vec<u32>>,
    quiet_hours: Option<QuietShown>,
    /// `false`, `true`, or until when.
    mute: Value,
    digest: Option<DigestShown>,
}

#[derive(Serialize)]
struct QuietShown {
    start: String,
    end: String,
    mode: &'static str,
}

#[derive(Serialize)]
struct DigestShown {
    at: String,
    below: &'static str,
}

impl Shown {
    fn of(user_id: String, kept: &Preferences) -> Self {
        let quiet = kept.quiet().map(|quiet| QuietShown {
            start: quiet.start().to_string(),
            end: quiet.end().to_string(),
            mode: quiet.mode().name(),
        });
        let digest =
            kept.digest().map(|digest| DigestShown { at: digest.at.to_string(), below: digest.below.name() });
        Self {
            user_id,
            timezone: kept.zone().map(Zone::name),
            reminder_offsets: kept.offsets().map(<[u32]>::to_vec),
            quiet_hours: quiet,
            mute: match kept.mute() {
                None => Value::Bool(false),
                Some(Mute::Always) => Value::Bool(true),
                Some(Mute::Until(end)) => Value::String(Timestamp::to_rfc3339(end)),
            },
            digest,
        }
    }
}

/// What the path answers to.
pub(super) fn preferences() -> MethodRouter<Api> {
    get(shown).put(replace).patch(change).delete(clear).fallback(method_not_allowed)
}

async fn shown(State(api): State<Api>, PathText(user): PathText) -> Result<Json<Shown>, Problem> {
    let user = readable(&user)?;
    show(&api, user).await
}

async fn replace(
    State(api): State<Api>,
    PathText(user): PathText,
    request: Request,
) -> Result<Json<Shown>, Problem> {
    let user = readable(&user)?;
    let mut wishes = wishes_in(&api, request).await?;
    let unsaid = WishField::ALL.into_iter().filter(|field| wishes.iter().all(|wish| wish.field() != *field));
    wishes.extend(unsaid.map(Wish::cleared).collect::<Vec<_>>());
    tell(&api, user, wishes).await
}

async fn change(
    State(api): State<Api>,
    PathText(user): PathText,
    request: Request,
) -> Result<Json<Shown>, Problem> {
    let user = readable(&user)?;
    let wishes = wishes_in(&api, request).await?;
    tell(&api, user, wishes).await
}

async fn clear(State(api): State<Api>, PathText(user): PathText) -> Result<Json<Shown>, Problem> {
    let user = readable(&user)?;
    tell(&api, user, WishField::ALL.map(Wish::cleared).into()).await
}

fn readable(user: &str) -> Result<String, Problem> {
    user_id(user).map_err(|why| Problem::new(StatusCode::BAD_REQUEST, why))
}

/// The wishes in the body of a request.
async fn wishes_in(api: &Api, request: Request) -> Result<Vec<Wish>, Problem> {
    let body = said::body(request, BODY_MAX_BYTES, api.clock.as_ref()).await?;
    let refused = |why: String| Problem::new(StatusCode::BAD_REQUEST, why);
    let body: Value =
        serde_json::from_slice(&body).map_err(|why| refused(format!("the body is not JSON: {why}")))?;
    read_wishes(&body).map_err(refused)
}

/// Has `wishes` kept and shows what holds then.
async fn tell(api: &Api, user: String, mut wishes: Vec<Wish>) -> Result<Json<Shown>, Problem> {
    api.has_room()?;
    wishes.sort_by_key(Wish::field);
    let change = PreferencesChange { user: user.clone(), said: Said::Now, wishes, refused: Vec::new() };
    let content = Content::Preferences(Box::new(change), bytes::Bytes::new());
    let delivery = Delivery { at: api.clock.now(), topic: "api".to_owned(), content };
    match api.writer.deliver(vec![delivery]).await.first() {
        Some(Verdict::Success) => show(api, user).await,
        Some(Verdict::Drop) => Err(Problem::new(
            StatusCode::INTERNAL_SERVER_ERROR,
            "the preferences kept of this user can't be read; restore a backup of the store",
        )),
        Some(Verdict::Retry) | None => Err(Problem::later("the store could not commit; try again")),
    }
}

async fn show(api: &Api, user: String) -> Result<Json<Shown>, Problem> {
    let wanted = user.clone();
    let kept = api.read(move |view| view.store.preferences(&wanted)).await?;
    Ok(Json(Shown::of(user, &kept.unwrap_or_default())))
}
