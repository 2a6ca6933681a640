//! What changes what is kept, at the hand of a person: importing tasks, erasing a user.
//!
//! On the ops listener alone: what comes by service invocation says nothing of who asks, and a long import would fill
//! the room that bodies of deliveries need.
//!
//! An import is streamed: it may be of any length, waits for the disk and ends early when the worker stops. Its content
//! type is demanded since a page in a browser cannot send it to loopback unasked.

use std::sync::Arc;
use std::time::Duration;

use axum::body::BodyDataStream;
use axum::extract::{Request, State};
use axum::http::header::CONTENT_ENCODING;
use axum::http::{HeaderMap, StatusCode};
use axum::routing::{delete, post};
use axum::{Json, Router};
use bytes::Bytes;
use futures_util::StreamExt as _;
use serde::Deserialize;
use tokio::sync::Semaphore;

use super::api::Api;
use super::problem::Problem;
use super::query::{Instant, PathText, Strict};
use super::said::says;
use crate::clock::Clock;
use crate::erasing::{EraseError, Report, erase_into};
use crate::intake::{Import, ImportReport};
use crate::store::sled::Erasing;
use crate::writer::NotCommitted;

/// Imports, and erasings, under way at once, each holding some MiB; more wait for their turn.
const AT_ONCE_MAX: usize = 2;
/// How long the next bytes of an import may take to come; it holds a place meanwhile.
const SILENCE_MAX: Duration = Duration::from_secs(30);
/// What an import is sent as.
pub(crate) const NDJSON: &str = "application/x-ndjson";
/// How gzip begins.
const GZIP: &[u8] = &[0x1f, 0x8b];

#[derive(Clone)]
struct Admin {
    api: Api,
    imports: Arc<Semaphore>,
    erasings: Arc<Semaphore>,
}

/// The paths that change what is kept.
pub(super) fn admin_routes(api: Api) -> Router {
    let places = || Arc::new(Semaphore::new(AT_ONCE_MAX));
    Router::new()
        .route("/api/v1/import", post(import))
        .route("/api/v1/users/{id}", delete(erase))
        .with_state(Admin { api, imports: places(), erasings: places() })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Part {
    /// When the first part of an import arrived, where this is a later one.
    arrived_at: Option<Instant>,
}

/// `POST /api/v1/import`
async fn import(
    State(admin): State<Admin>,
    Strict(part): Strict<Part>,
    request: Request,
) -> Result<Json<ImportReport>, Problem> {
    is_ndjson(request.headers())?;
    let now = admin.api.clock.now();
    // Nothing arrives from the future: it would keep reminders back that are still ahead.
    let arrived = part.arrived_at.map_or(now, |at| at.0.min(now));
    admin.api.has_room()?;
    // The semaphore is never closed.
    let _place = admin.imports.acquire().await.ok();
    let mut import = Import::new(admin.api.writer.clone(), arrived);
    let mut body = request.into_body().into_data_stream();
    let mut is_first = true;
    loop {
        let bytes = match next(&mut body, admin.api.clock.as_ref(), admin.api.streams.stopped()).await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return Ok(Json(import.finish().await?)),
            Err((StatusCode::SERVICE_UNAVAILABLE, why)) => return Err(Problem::later(told(&import, why))),
            Err((status, why)) => return Err(Problem::new(status, told(&import, why))),
        };
        if std::mem::take(&mut is_first) && bytes.starts_with(GZIP) {
            return Err(compressed());
        }
        let taken = import.take(bytes).await;
        let why = |error: NotCommitted| match admin.api.writer.room() {
            Some(room) if room.short => room.to_string(),
            _ => error.to_string(),
        };
        taken.map_err(|error| Problem::later(told(&import, &why(error))))?;
    }
}

/// The next bytes, `None` at the end; or why there are none.
async fn next(
    body: &mut BodyDataStream,
    clock: &dyn Clock,
    stopped: impl Future<Output = ()>,
) -> Result<Option<Bytes>, (StatusCode, &'static str)> {
    tokio::select! {
        biased;
        () = stopped => Err((StatusCode::SERVICE_UNAVAILABLE, "the worker stops")),
        bytes = body.next() => bytes.transpose().map_err(|_| (StatusCode::BAD_REQUEST, "the body broke off")),
        () = clock.sleep(SILENCE_MAX) => Err((StatusCode::REQUEST_TIMEOUT, "the next lines did not come")),
    }
}

fn told(import: &Import, why: &str) -> String {
    let taken = import.taken();
    format!("{why}; {taken} lines are taken. Send it again: what is kept will be a duplicate")
}

fn is_ndjson(headers: &HeaderMap) -> Result<(), Problem> {
    if !says(headers, NDJSON) {
        let detail = format!("send `content-type: {NDJSON}`, and one event a line");
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, detail));
    }
    match headers.get(CONTENT_ENCODING) {
        Some(encoding) if !encoding.as_bytes().eq_ignore_ascii_case(b"identity") => Err(compressed()),
        _ => Ok(()),
    }
}

fn compressed() -> Problem {
    Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "the body is compressed; send it as plain text")
}

/// `DELETE /api/v1/users/{id}`
async fn erase(State(admin): State<Admin>, PathText(user): PathText) -> Result<Json<Report>, Problem> {
    // The semaphore is never closed.
    let place = Arc::clone(&admin.erasings).acquire_owned().await.ok();
    // A task of its own: a client that goes away must not leave half of it.
    #[expect(
        clippy::disallowed_methods,
        reason = "it ends by itself when the worker stops, and what it leaves then the next start finishes"
    )]
    let erasing = tokio::spawn(async move {
        let _place = place;
        begin_and_erase(&admin.api, &user).await
    });
    match erasing.await {
        Ok(report) => report.map(Json),
        Err(error) => Err(Problem::later(format!("the erasing broke off: {error}; {FINISHED_BY_A_START}"))),
    }
}

/// What is told of an erasing that broke off in the middle.
const FINISHED_BY_A_START: &str =
    "a part may be erased: ask again, or the worker's next start erases the rest";

/// Erases `user`, unless the worker stops: then the next start does.
async fn begin_and_erase(api: &Api, user: &str) -> Result<Report, Problem> {
    // First, so that a restore of what was before can't bring them back whatever becomes of this.
    let begun = api.begin_erasing(user).await?;
    let mut report = Report::default();
    let ended = tokio::select! {
        biased;
        ended = erase_into(&api.writer, user, &mut report) => Some(ended),
        () = api.streams.stopped() => None,
    };
    let how = match &ended {
        Some(Ok(())) => Some(Erasing::Ended),
        Some(Err(_)) if report.is_untouched() && !api.streams.is_stopped() => Some(Erasing::Refused),
        _ => None,
    };
    match (begun, how) {
        (Some(begun), Some(how)) => {
            if begun.settle(how).await.is_err() {
                tracing::warn!("how an erasing ended can't be noted; the next start does it again");
            }
        }
        (Some(_), None) => tracing::warn!("the erasing of a user broke off; the next start finishes it"),
        (None, _) => {}
    }
    match ended {
        Some(Ok(())) => Ok(report),
        Some(Err(error)) if how.is_some() => Err(error.into()),
        Some(Err(error)) => Err(Problem::later(format!("{error}; {FINISHED_BY_A_START}"))),
        None => Err(Problem::later(format!("the worker stops; {FINISHED_BY_A_START}"))),
    }
}

impl From<EraseError> for Problem {
    fn from(error: EraseError) -> Self {
        match error {
            EraseError::NotCommitted(error) => error.into(),
            EraseError::Unread(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use axum::http::header::CONTENT_TYPE;
    use futures_util::stream;

    use super::*;
    use crate::clock::TokioClock;
    use crate::domain::Timestamp;

    #[tokio::test(start_paused = true)]
    async fn an_import_may_be_silent_as_long_as_the_bound_and_no_longer() {
        let clock = TokioClock::starting_at(Timestamp::from_millis(0));
        let wait = SILENCE_MAX.checked_sub(Duration::from_millis(1)).unwrap();
        let late = stream::once(async move {
            TokioClock::starting_at(Timestamp::from_millis(0)).sleep(wait).await;
            Ok::<_, std::io::Error>(Bytes::from_static(b"x"))
        });
        let mut body = Body::from_stream(late.chain(stream::pending())).into_data_stream();
        let come = next(&mut body, &clock, std::future::pending()).await;
        assert_eq!(come, Ok(Some(Bytes::from_static(b"x"))));
        let silent = next(&mut body, &clock, std::future::pending()).await;
        assert_eq!(silent.map_err(|(status, _)| status.as_u16()), Err(408));
        assert_eq!(clock.monotonic(), wait + SILENCE_MAX);
    }

    #[test]
    fn only_plain_ndjson_is_taken() {
        for (kind, encoding, taken) in [
            (Some("application/x-ndjson"), None, true),
            (Some("Application/X-NDJSON; charset=utf-8"), Some("identity"), true),
            (Some("application/x-ndjson"), Some("gzip"), false),
            (Some("text/plain"), None, false),
            (Some("application/x-www-form-urlencoded"), None, false),
            (None, None, false),
        ] {
            let mut headers = HeaderMap::new();
            for (name, value) in [(CONTENT_TYPE, kind), (CONTENT_ENCODING, encoding)] {
                headers.extend(value.map(|value| (name, value.parse().unwrap())));
            }
            assert_eq!(is_ndjson(&headers).is_ok(), taken, "{kind:?} {encoding:?}");
        }
    }
}
