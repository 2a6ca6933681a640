//! Tokens that callers must show, compared in a time that tells nothing.

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::problem::Problem;
use crate::config::Secret;
use crate::health::{DaprCall, Health};

/// The token a listener demands, and how it is shown.
#[derive(Clone)]
pub(super) enum Demand {
    /// None.
    Nothing,
    /// The header `dapr-api-token`, which daprd sends when `APP_API_TOKEN` is set; who is told of calls without it.
    Dapr(Secret, Health),
    /// `Authorization: Bearer …`
    Bearer(Secret),
}

impl Demand {
    fn refusal(&self, headers: &HeaderMap) -> Option<&'static str> {
        match self {
            Self::Nothing => None,
            Self::Dapr(secret, _) => {
                let shown = headers.get("dapr-api-token").map_or(&b""[..], |v| v.as_bytes());
                (!secret.matches(shown)).then_some(
                    "the header `dapr-api-token` is missing or wrong; give APP_API_TOKEN to daprd and to the worker",
                )
            }
            Self::Bearer(secret) => {
                let shown = headers.get(AUTHORIZATION).map_or(&b""[..], |v| v.as_bytes());
                let shown = shown
                    .split_at_checked("Bearer ".len())
                    .filter(|(scheme, _)| scheme.eq_ignore_ascii_case(b"bearer "));
                (!secret.matches(shown.map_or(&b""[..], |(_, token)| token)))
                    .then_some("send `Authorization: Bearer` with the token of ops.token")
            }
        }
    }
}

/// Lets through who shows the token.
pub(super) async fn guard(State(demand): State<Demand>, request: Request, next: Next) -> Response {
    let refusal = demand.refusal(request.headers());
    if let (Demand::Dapr(_, health), Some(call)) = (&demand, dapr_call(&request)) {
        note(health, call, refusal.is_some());
    }
    match refusal {
        None => next.run(request).await,
        Some(detail) => Problem::new(StatusCode::UNAUTHORIZED, detail).into_response(),
    }
}

/// What daprd calls for, where the request looks like one of its own.
fn dapr_call(request: &Request) -> Option<DaprCall> {
    match request.uri().path() {
        "/dapr/subscribe" => Some(DaprCall::Subscribe),
        _ if request.headers().contains_key("pubsubname") => Some(DaprCall::Deliver),
        _ => None,
    }
}

/// Tells health, and the log where it is news: a mismatch refuses every call.
fn note(health: &Health, call: DaprCall, refused: bool) {
    match (refused, call) {
        (true, _) if health.refused(call) => tracing::warn!(
            ?call,
            "Dapr calls without the right dapr-api-token and is refused; start the sidecar with APP_API_TOKEN set to the worker's app.api_token"
        ),
        (false, DaprCall::Deliver) => health.taken(),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::TokioClock;
    use crate::domain::Timestamp;

    fn health() -> Health {
        let clock = std::sync::Arc::new(TokioClock::starting_at(Timestamp::from_millis(0)));
        Health::new(
            clock,
            crate::config::Config::default().health,
            tokio_util::sync::CancellationToken::new(),
        )
    }

    #[tokio::test]
    async fn only_the_right_token_in_its_own_header_is_let_through() {
        let dapr = Demand::Dapr(Secret::new("s3cret"), health());
        let bearer = Demand::Bearer(Secret::new("s3cret"));
        for (demand, name, value, passes) in [
            (&dapr, "dapr-api-token", "s3cret", true),
            (&dapr, "dapr-api-token", "s3cres", false),
            (&dapr, "authorization", "Bearer s3cret", false),
            (&bearer, "authorization", "Bearer s3cret", true),
            (&bearer, "authorization", "bearer s3cret", true),
            (&bearer, "authorization", "s3cret", false),
            (&bearer, "authorization", "Basic s3cret", false),
            (&bearer, "authorization", "Bearer s3cret2", false),
            (&bearer, "dapr-api-token", "s3cret", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(demand.refusal(&headers).is_none(), passes, "{name}: {value}");
        }
        assert!(dapr.refusal(&HeaderMap::new()).is_some());
        assert!(Demand::Nothing.refusal(&HeaderMap::new()).is_none());
    }
}
