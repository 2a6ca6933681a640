//! `/dev/clock`, which a worker on a simulated clock has and no other.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use reminder_worker::clock::{Clock as _, ScaledClock, SystemClock};
use reminder_worker::domain::Timestamp;
use serde_json::{Value, json};

use crate::fixture::{Worker, get, post, send, worker, worker_on};

const HOUR: Duration = Duration::from_secs(3_600);

fn simulated(scale: &str, token: Option<&str>) -> Worker {
    let clock = ScaledClock::new(Arc::new(SystemClock::new()), scale.parse().unwrap());
    worker_on(Arc::new(clock), |_| {}, token)
}

/// The `now` of an answer, which is an instant in milliseconds; it must have been between these two.
fn assert_now(told: &Value, from: Timestamp, to: Timestamp) {
    let now = told["now"].as_str().unwrap_or_else(|| panic!("{told}"));
    assert!(from.to_rfc3339().as_str() <= now && now <= to.to_rfc3339().as_str(), "{from} {told} {to}");
}

#[tokio::test]
async fn the_clock_is_shown_with_its_scale() {
    for (scale, told) in [("1", 1.0), ("2.5", 2.5)] {
        let worker = simulated(scale, None);
        let before = worker.clock.now();
        let shown = get(&worker.ops, "/dev/clock").await.json();
        assert_now(&shown, before, worker.clock.now());
        assert_eq!(shown["scale"], told);
        assert_eq!(shown.as_object().unwrap().len(), 2, "{shown}");
    }
}

#[tokio::test]
async fn an_advance_answers_with_the_time_it_leads_to_and_the_next_one_adds_to_it() {
    let worker = simulated("1", None);
    let mut before = worker.clock.now();
    for (advance, by) in [("2h", 2 * HOUR), ("1day 30m", 24 * HOUR + HOUR / 2), ("0s", Duration::ZERO)] {
        before = before.plus(by);
        let answer = post(&worker.ops, "/dev/clock", json!({ "advance": advance }).to_string()).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        assert_now(&answer.json(), before, worker.clock.now());
        assert_eq!(answer.json().as_object().unwrap().len(), 1, "{answer:?}");
    }
}

#[tokio::test]
async fn what_is_no_advance_is_a_problem_that_says_what_to_write_and_advances_nothing() {
    let worker = simulated("1", None);
    let large = format!(r#"{{"advance": "{}"}}"#, " ".repeat(1024));
    for (body, told) in [
        ("", "such as 90s"),
        ("2h", "such as 90s"),
        ("{}", "missing field `advance`"),
        (r#"{"advance": "-2h"}"#, "`-2h`"),
        (r#"{"advance": ""}"#, "such as 90s"),
        (r#"{"advance": "soon"}"#, "`soon`"),
        (r#"{"advance": "2"}"#, "`2`"),
        (r#"{"advance": 7200}"#, "expected a string"),
        (r#"{"advance": null}"#, "expected a string"),
        (r#"{"advance": "2h", "scale": 2}"#, "unknown field `scale`"),
        (r#"{"advance": "2h", "advance": "2h"}"#, "duplicate field"),
        (r#"{"advance": "3651days"}"#, "at most 3650 days in all"),
        (r#"{"advance": "999999999999999999years"}"#, "such as 90s"),
        ("\u{fffd}", "such as 90s"),
        (&large, "more than 1024 bytes"),
    ] {
        let answer = post(&worker.ops, "/dev/clock", body.to_owned()).await;
        answer.is_problem(400);
        let detail = answer.json()["detail"].as_str().unwrap().to_owned();
        assert!(detail.contains(told), "{body}: {detail}");
    }
    assert!(worker.clock.now().since(SystemClock::new().now()) < HOUR);
    send(&worker.ops, Request::delete("/dev/clock").body(Body::empty()).unwrap()).await.is_problem(405);
}

#[tokio::test]
async fn the_clock_is_shown_on_the_app_listener_too_and_not_advanced_there() {
    let worker = simulated("1", None);
    let before = worker.clock.now();
    assert_now(&get(&worker.app, "/dev/clock").await.json(), before, worker.clock.now());
    post(&worker.app, "/dev/clock", r#"{"advance": "2h"}"#).await.is_problem(405);
    assert!(worker.clock.now().since(before) < HOUR);
}

#[tokio::test]
async fn a_worker_on_the_machines_clock_has_no_such_path() {
    let worker = worker();
    get(&worker.app, "/dev/clock").await.is_problem(404);
    get(&worker.ops, "/dev/clock").await.is_problem(404);
    post(&worker.ops, "/dev/clock", r#"{"advance": "2h"}"#).await.is_problem(404);
}

#[tokio::test]
async fn the_clock_demands_the_token_of_the_api() {
    let worker = simulated("1", Some("secret"));
    let asked = |token: &str| {
        let request = Request::post("/dev/clock").header("authorization", format!("Bearer {token}"));
        request.body(Body::from(r#"{"advance": "2h"}"#)).unwrap()
    };
    get(&worker.ops, "/dev/clock").await.is_problem(401);
    send(&worker.ops, asked("wrong")).await.is_problem(401);
    assert!(worker.clock.now().since(SystemClock::new().now()) < HOUR, "nobody advances it without");
    assert_eq!(send(&worker.ops, asked("secret")).await.status, 200);
}
