//! The token that Dapr must show to the app listener.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};

use super::access::{Scope, is_local};
use super::problem::Problem;
use crate::config::Secret;
use crate::health::{DaprCall, Health};

/// The header `dapr-api-token` that is demanded, which daprd sends when `APP_API_TOKEN` is set; and who is told of calls
/// without it.
#[derive(Clone)]
pub(super) struct Demand {
    pub(super) token: Option<Secret>,
    pub(super) health: Health,
}

impl Demand {
    fn is_met(&self, headers: &HeaderMap) -> bool {
        self.token.as_ref().is_none_or(|token| token.matches(value(headers, "dapr-api-token")))
    }

    /// How a request shows that it is a page's in a browser on this machine, where no token keeps it out (there is always
    /// one where others reach the port): by the name that the page lent to loopback, or by a header that nothing but a
    /// browser sets. In a delivery that header is a producer's own, which the broker has passed on, and says nothing of
    /// who calls. No refusal here is a 404: daprd would take it for "drop the event".
    fn refuses_page(&self, headers: &HeaderMap) -> Option<Problem> {
        if self.token.is_some() {
            return None;
        }
        if matches!(value(headers, "sec-fetch-site"), b"cross-site" | b"same-site") && !is_delivery(headers) {
            return Some(Problem::new(StatusCode::FORBIDDEN, "pages of other sites are not answered"));
        }
        let detail = "call it by its address or as localhost, or set app.api_token and send that";
        (!is_local(value(headers, "host"))).then(|| Problem::new(StatusCode::UNAUTHORIZED, detail))
    }
}

/// Whether a request carries what daprd sends with every delivery, and a browser with no page's request to another site
/// unless it was allowed to, which nothing here allows.
fn is_delivery(headers: &HeaderMap) -> bool {
    let kind = value(headers, "content-type").split(|byte| *byte == b';').next().unwrap_or_default();
    let is = |known: &str| kind.trim_ascii().eq_ignore_ascii_case(known.as_bytes());
    headers.contains_key("pubsubname") || is("application/cloudevents+json") || is("application/json")
}

fn value<'h>(headers: &'h HeaderMap, name: &str) -> &'h [u8] {
    headers.get(name).map_or(&b""[..], |value| value.as_bytes())
}

/// Lets through who shows the token. Whose apps call is Dapr's to know, so they may see everybody's reminders.
pub(super) async fn guard(State(demand): State<Demand>, mut request: Request, next: Next) -> Response {
    if let Some(refused) = demand.refuses_page(request.headers()) {
        return refused.into_response();
    }
    let is_met = demand.is_met(request.headers());
    if let (Some(_), Some(call)) = (&demand.token, dapr_call(&request)) {
        note(&demand.health, call, !is_met);
    }
    if is_met {
        request.extensions_mut().insert(Scope::All);
        return next.run(request).await;
    }
    let detail =
        "the header `dapr-api-token` is missing or wrong; give APP_API_TOKEN to daprd and to the worker";
    Problem::new(StatusCode::UNAUTHORIZED, detail).into_response()
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
        let demand = Demand { token: Some(Secret::new("s3cret")), health: health() };
        for (name, value, passes) in [
            ("dapr-api-token", "s3cret", true),
            ("dapr-api-token", "s3cres", false),
            ("authorization", "Bearer s3cret", false),
        ] {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            assert_eq!(demand.is_met(&headers), passes, "{name}: {value}");
        }
        assert!(!demand.is_met(&HeaderMap::new()));
        assert!(Demand { token: None, ..demand }.is_met(&HeaderMap::new()));
    }

    #[test]
    fn without_a_token_a_page_is_told_by_its_host_and_by_what_its_browser_says() {
        let demand = |token: Option<&str>| Demand { token: token.map(Secret::new), health: health() };
        let own = [("host", "127.0.0.1:8001")];
        let lent = [("host", "evil.example:8001")];
        let posted =
            [("host", "127.0.0.1:8001"), ("sec-fetch-site", "cross-site"), ("content-type", "text/plain")];
        let passed_on = [
            ("host", "127.0.0.1:8001"),
            ("sec-fetch-site", "cross-site"),
            ("content-type", "Application/CloudEvents+JSON; charset=utf-8"),
        ];
        let lent_to = [("host", "evil.example:8001"), ("pubsubname", "kafka-pubsub")];
        for (demand, headers, status) in [
            (demand(None), &own[..], None),
            (demand(None), &lent, Some(401)),
            (demand(None), &lent_to, Some(401)),
            (demand(None), &posted, Some(403)),
            (demand(None), &posted[..2], Some(403)),
            (demand(None), &passed_on, None),
            (demand(Some("s3cret")), &lent, None),
        ] {
            let headers: HeaderMap =
                headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
            let refused =
                demand.refuses_page(&headers).map(|problem| problem.into_response().status().as_u16());
            assert_eq!(refused, status, "{headers:?}");
        }
    }
}
