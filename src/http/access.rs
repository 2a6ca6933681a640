//! Who may call what on the ops listener: the one place where that is decided.
//!
//! A route that is missing from [`ROUTES`] is the operator's alone, so a new one is closed until somebody opens it. What
//! belongs to another user is answered as what does not exist: by its answers nobody learns which tasks others have.
//!
//! Race it accepts: a task that an event gives to another user between the look whose it is and what is done about it is
//! still acted on; an order that came a moment earlier would have been.

use std::net::IpAddr;
use std::sync::Arc;

use axum::extract::{FromRequestParts, MatchedPath, RawPathParams, Request, State};
use axum::http::StatusCode;
use axum::http::header::{AUTHORIZATION, HOST};
use axum::http::request::Parts;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::api::{Api, unknown_task};
use super::problem::Problem;
use crate::config::{Ops, Secret};
use crate::domain::TaskId;
use crate::secret::user_token::{Refusal, user_of};
use crate::store::StoreError;
use crate::writer::View;

/// Whom a route lets in who shows a user's token.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Access {
    /// Nobody: it needs the operator's token.
    Operator,
    /// The user whom the task of the path belongs to.
    OwnTask,
    /// The user whom the path names.
    OwnUser,
    /// Any: what is answered is narrowed to the user by the handler, which takes a [`Scope`].
    Narrowed,
}

/// The routes that a user's token opens.
const ROUTES: [(&str, Access); 9] = [
    ("/api/v1/tasks/{task_id}", Access::OwnTask),
    ("/api/v1/tasks/{task_id}/why", Access::OwnTask),
    ("/api/v1/tasks/{task_id}/cancel", Access::OwnTask),
    ("/api/v1/tasks/{task_id}/reschedule", Access::OwnTask),
    ("/api/v1/tasks/{task_id}/snooze", Access::OwnTask),
    ("/api/v1/tasks/{task_id}/acknowledge", Access::OwnTask),
    ("/api/v1/reminders", Access::Narrowed),
    ("/api/v1/reminders/stream", Access::Narrowed),
    ("/api/v1/users/{id}/preferences", Access::OwnUser),
];

/// Whose reminders a request may see and act on.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Scope {
    /// Everybody's.
    All,
    /// Those of one user.
    User(Arc<str>),
}

impl Scope {
    /// Whether a task may be seen.
    pub(super) fn has(&self, view: &View<'_>, task: &TaskId) -> Result<bool, StoreError> {
        let Self::User(user) = self else { return Ok(true) };
        Ok(view.store.record(task)?.is_some_and(|record| record.task.user() == Some(user)))
    }
}

/// No scope is a fault of the router: it must not mean everybody's.
impl<S: Sync> FromRequestParts<S> for Scope {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let unguarded = || Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the route is not guarded");
        parts.extensions.get().cloned().ok_or_else(unguarded)
    }
}

/// What the ops listener demands.
#[derive(Clone)]
pub(super) struct Gate {
    api: Api,
    token: Option<Secret>,
    user_key: Option<Secret>,
}

impl Gate {
    pub(super) fn new(api: Api, ops: &Ops) -> Self {
        Self { api, token: ops.token.clone(), user_key: ops.user_key.clone() }
    }

    /// Whose token `shown` is.
    fn scope(&self, parts: &Parts) -> Result<Scope, Problem> {
        let refused = |detail: &str| Err(Problem::new(StatusCode::UNAUTHORIZED, detail));
        let shown = bearer(parts);
        let Some(token) = &self.token else {
            // A page whose own name was made to lead to loopback is of one origin with what answers there.
            let host = parts.headers.get(HOST).map_or(&b""[..], |host| host.as_bytes());
            let detail = "call it by its address or as localhost, or set ops.token and send that";
            return if is_local(host) { Ok(Scope::All) } else { refused(detail) };
        };
        if token.matches(shown) {
            return Ok(Scope::All);
        }
        let now = self.api.clock.now().millis().div_euclid(1000);
        let user = match (&self.user_key, std::str::from_utf8(shown)) {
            (Some(key), Ok(shown)) => user_of(key, shown, now),
            _ => Err(Refusal::Foreign),
        };
        match user {
            Ok(user) => Ok(Scope::User(user.into())),
            Err(Refusal::Expired) => refused("the token of this user has expired; ask for a new one"),
            Err(Refusal::Foreign) => refused("send `Authorization: Bearer` with the token of ops.token"),
        }
    }

    /// Whether `scope` may call the route that a request has come to.
    async fn admit(&self, scope: &Scope, parts: &mut Parts) -> Result<(), Problem> {
        let Scope::User(user) = scope else { return Ok(()) };
        let route = parts.extensions.get::<MatchedPath>().map(|path| path.as_str().to_owned());
        let known = ROUTES.iter().find(|(path, _)| route.as_deref() == Some(path));
        match known.map_or(Access::Operator, |(_, access)| *access) {
            Access::Narrowed => Ok(()),
            Access::OwnUser if named(parts).await.as_deref() == Some(user) => Ok(()),
            Access::OwnUser => Err(others()),
            Access::OwnTask => {
                let task = named(parts).await.and_then(TaskId::new).ok_or_else(unknown_task)?;
                let scope = scope.clone();
                let is_own = self.api.read(move |view| scope.has(view, &task)).await?;
                if is_own { Ok(()) } else { Err(unknown_task()) }
            }
            Access::Operator => {
                let detail = "a user's token does not reach this path; send the token of ops.token";
                Err(Problem::new(StatusCode::FORBIDDEN, detail))
            }
        }
    }
}

/// What is said of another user, whether there is one or not.
pub(super) fn others() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "the token is of another user, of whom alone it tells")
}

/// Lets through who shows a token that the route takes, with whose reminders it may see.
pub(super) async fn guard(State(gate): State<Gate>, request: Request, next: Next) -> Response {
    let (mut parts, body) = request.into_parts();
    let scope = match gate.scope(&parts) {
        Ok(scope) => scope,
        Err(refused) => return refused.into_response(),
    };
    if let Err(refused) = gate.admit(&scope, &mut parts).await {
        return refused.into_response();
    }
    parts.extensions.insert(scope);
    next.run(Request::from_parts(parts, body)).await
}

/// The token of `Authorization: Bearer …`, empty where there is none.
fn bearer(parts: &Parts) -> &[u8] {
    let shown = parts.headers.get(AUTHORIZATION).map_or(&b""[..], |value| value.as_bytes());
    match shown.split_at_checked("Bearer ".len()) {
        Some((scheme, token)) if scheme.eq_ignore_ascii_case(b"bearer ") => token,
        _ => b"",
    }
}

/// Whether a request's host is an address or `localhost`, or not said: none of the names that others give out.
pub(super) fn is_local(host: &[u8]) -> bool {
    let Ok(host) = std::str::from_utf8(host) else { return false };
    let (name, port) = host.rsplit_once(':').unwrap_or((host, ""));
    // The last colon may be an address's own.
    let name = if port.bytes().all(|b| b.is_ascii_digit()) { name } else { host };
    let address = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    name.is_empty() || name.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok()
}

/// What the one parameter of the path names.
async fn named(parts: &mut Parts) -> Option<String> {
    let params = RawPathParams::from_request_parts(parts, &()).await.ok()?;
    params.iter().next().map(|(_, value)| value.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_address_and_localhost_are_local() {
        for (host, local) in [
            ("", true),
            ("localhost", true),
            ("LocalHost:8080", true),
            ("127.0.0.1:8080", true),
            ("10.0.0.7", true),
            ("[::1]:8080", true),
            ("[::1]", true),
            ("example.com", false),
            ("example.com:8080", false),
            ("localhost.example.com", false),
            ("127.0.0.1.example.com:8080", false),
            ("xn--localhost", false),
        ] {
            assert_eq!(is_local(host.as_bytes()), local, "{host}");
        }
        assert!(!is_local(b"\xff"));
    }

    #[test]
    fn only_a_bearer_token_is_one() {
        for (value, token) in [
            ("Bearer s3cret", "s3cret"),
            ("bearer s3cret", "s3cret"),
            ("s3cret", ""),
            ("Basic s3cret", ""),
            ("Bearer", ""),
            ("Bearer  s3cret", " s3cret"),
        ] {
            let (parts, ()) =
                axum::http::Request::get("/").header("authorization", value).body(()).unwrap().into_parts();
            assert_eq!(bearer(&parts), token.as_bytes(), "{value}");
        }
    }
}
