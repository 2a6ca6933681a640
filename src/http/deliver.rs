//! Deliveries: the requests daprd makes with events.
//!
//! daprd takes 404 as "drop it", and anything that is neither 2xx nor 404 as "again". So a delivery that reaches no
//! route of ours (a declarative subscription with another path) is taken all the same: daprd always sends the
//! header `pubsubname`, and nothing here needs the route to know what an event is.
//!
//! A body that can never be taken is dropped with its reason in quarantine, not refused with 413, which daprd would
//! repeat for ever.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use axum::extract::{Request, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::Deserialize;

use super::app::App;
use super::body::{Arrived, arrive};
use super::problem::{Problem, not_found};
use crate::dapr::{bulk_reply, reply};
use crate::domain::Verdict;
use crate::intake::{BULK_MAX_BYTES, EVENT_MAX_BYTES};
use crate::reading::Transport;

/// Longest topic that is kept with an event in quarantine, in bytes: Kafka's limit for a name.
const TOPIC_MAX_BYTES: usize = 249;
/// Paths that are no routes which are told: a sidecar has a handful of subscriptions.
const STRAYS_MAX: usize = 64;

/// The paths that deliveries came to and that are no routes; each is told once in the worker's life, since it is a
/// matter of configuration, and deliveries are many.
#[derive(Default)]
pub(super) struct Strays(Mutex<BTreeSet<String>>);

impl Strays {
    fn is_news(&self, path: &str) -> bool {
        // A set stays a set whoever panicked.
        let mut told = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        told.len() < STRAYS_MAX && told.insert(path.to_owned())
    }
}

/// `POST /events/task-events`
pub(super) async fn task_events(State(app): State<App>, request: Request) -> Response {
    let topic = app.config.topics.task_events.clone();
    deliver(&app, &topic, request).await
}

/// `POST /events/task-updates`
pub(super) async fn task_updates(State(app): State<App>, request: Request) -> Response {
    let topic = app.config.topics.task_updates.clone();
    deliver(&app, &topic, request).await
}

/// `POST /events/reminders`
pub(super) async fn reminders(State(app): State<App>, request: Request) -> Response {
    let topic = app.config.topics.reminders.clone();
    deliver(&app, &topic, request).await
}

/// `POST /events/reminder-actions`; a sidecar may have the subscription from before the topic was unset.
pub(super) async fn reminder_actions(State(app): State<App>, request: Request) -> Response {
    let topic = app.config.topics.reminder_actions.clone().unwrap_or_else(|| "unknown".to_owned());
    deliver(&app, &topic, request).await
}

/// Any other path of the app listener.
pub(super) async fn elsewhere(strays: &Strays, app: &App, request: Request) -> Response {
    let headers = request.headers();
    if request.method() != axum::http::Method::POST || !headers.contains_key("pubsubname") {
        return not_found().await.into_response();
    }
    // A header's text is ASCII: a character is a byte.
    let topic: String = text(headers, "__topic").unwrap_or("unknown").chars().take(TOPIC_MAX_BYTES).collect();
    let path = request.uri().path();
    if strays.is_news(path) {
        tracing::warn!(
            path,
            topic,
            "deliveries come to a path that is no route of the worker's; they are taken, but mend the subscription's route"
        );
    }
    deliver(app, &topic, request).await
}

/// How a delivery says that it is one event and not a batch: daprd sends batches as plain JSON.
fn is_single(headers: &HeaderMap) -> bool {
    text(headers, CONTENT_TYPE.as_str()).is_some_and(|value| {
        value
            .split(';')
            .next()
            .unwrap_or_default()
            .trim()
            .eq_ignore_ascii_case("application/cloudevents+json")
    })
}

async fn deliver(app: &App, topic: &str, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let single = is_single(&head.headers);
    let limit = if single { EVENT_MAX_BYTES } else { BULK_MAX_BYTES };
    match arrive(body, limit, app.clock.as_ref()).await {
        Arrived::Broken => Problem::new(StatusCode::REQUEST_TIMEOUT, "the body broke off").into_response(),
        // Not to be read, so nobody knows whether it is a batch: 404 drops both.
        Arrived::TooLarge(start, length) => {
            drop_either(app.intake.oversized(topic, start, length, limit).await)
        }
        Arrived::Whole(body) if topic == app.config.topics.reminders => came_back(app, &body, single).await,
        Arrived::Whole(body) if single => one(app, topic, body, &head.headers).await,
        Arrived::Whole(body) => match app.intake.bulk(topic, &body).await {
            Ok(verdicts) => json(bulk_reply(&verdicts)),
            Err(_) if body.len() > EVENT_MAX_BYTES => {
                let length = length_of(&body);
                drop_either(app.intake.oversized(topic, body, length, EVENT_MAX_BYTES).await)
            }
            Err(why) if claims_to_be_bulk(&body) => drop_either(app.intake.no_batch(topic, body, &why).await),
            Err(_) => one(app, topic, body, &head.headers).await,
        },
    }
}

async fn one(app: &App, topic: &str, body: Bytes, headers: &HeaderMap) -> Response {
    json(reply(app.intake.single(topic, body, &transport(headers)).await))
}

async fn came_back(app: &App, body: &Bytes, single: bool) -> Response {
    if single {
        app.intake.reminder(body).await;
        return json(reply(Verdict::Success));
    }
    match app.intake.reminders(body).await {
        Ok(verdicts) => json(bulk_reply(&verdicts)),
        // Reminders go out again by themselves if they must; what can't be read is dropped without a trace.
        Err(_) if body.len() > EVENT_MAX_BYTES || claims_to_be_bulk(body) => drop_either(Verdict::Drop),
        Err(_) => {
            app.intake.reminder(body).await;
            json(reply(Verdict::Success))
        }
    }
}

/// The one reply by which a batch and a single delivery are dropped alike; in a batch an unknown or missing entry
/// would be RETRY. It is only given once the body is in quarantine.
fn drop_either(verdict: Verdict) -> Response {
    match verdict {
        Verdict::Drop => (StatusCode::NOT_FOUND, json(reply(verdict))).into_response(),
        Verdict::Success | Verdict::Retry => json(reply(verdict)),
    }
}

fn claims_to_be_bulk(body: &[u8]) -> bool {
    #[derive(Deserialize)]
    struct Bulk {
        #[serde(rename = "entries")]
        _entries: serde::de::IgnoredAny,
    }
    serde_json::from_slice::<Bulk>(body).is_ok()
}

/// What the broker said, which daprd passes on in headers.
fn transport(headers: &HeaderMap) -> Transport<'_> {
    Transport {
        broker_timestamp_ms: text(headers, "__timestamp").and_then(|v| v.parse().ok()),
        offset: text(headers, "__offset").and_then(|v| v.parse().ok()),
        traceparent: text(headers, "traceparent"),
        float_numbers: false,
    }
}

fn length_of(body: &Bytes) -> u64 {
    u64::try_from(body.len()).unwrap_or(u64::MAX)
}

fn text<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

fn json(body: Vec<u8>) -> Response {
    ([(CONTENT_TYPE, "application/json")], body).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_no_route_is_told_once_and_so_many_of_them_at_most() {
        let strays = Strays::default();
        for n in 0..STRAYS_MAX {
            assert!(strays.is_news(&format!("/{n}")));
            assert!(!strays.is_news(&format!("/{n}")));
        }
        assert!(!strays.is_news("/one-more"));
    }
}
