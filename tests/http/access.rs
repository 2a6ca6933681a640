//! Who may call what: every route of both listeners, with no token, a user's, and the operator's.

use std::collections::BTreeSet;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, StatusCode};
use futures_util::StreamExt as _;
use reminder_worker::clock::{Clock, Scale, ScaledClock, SystemClock};
use reminder_worker::config::Secret;
use reminder_worker::secret::user_token::sign;
use serde_json::{Value, json};
use tower::ServiceExt as _;

use crate::fixture::{Answer, Worker, created, deliver, from_now, get, send, worker_on, wrapped};

const OPERATOR: &str = "0perator";
const KEY: &str = "0123456789abcdef0123456789abcdef";

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Whose {
    /// Anybody's: no token is asked for.
    Open,
    /// The operator's alone.
    Operators,
    /// Also a user's, for what is the user's own.
    Scoped,
}
use Whose::{Open, Operators, Scoped};

/// Every route of the ops listener, and a call of it; `{}` is a task or a user of the caller's own, or another's.
const OPS: [(&str, &str, &str, Whose); 25] = [
    ("/livez", "GET", "", Open),
    ("/readyz", "GET", "", Open),
    ("/metrics", "GET", "", Open),
    ("/api/v1/tasks/{task_id}", "GET", "", Scoped),
    ("/api/v1/tasks/{task_id}/why", "GET", "", Scoped),
    ("/api/v1/tasks/{task_id}/acknowledge", "POST", "{}", Scoped),
    ("/api/v1/tasks/{task_id}/snooze", "POST", r#"{"minutes": 5}"#, Scoped),
    ("/api/v1/tasks/{task_id}/reschedule", "POST", r#"{"due_date": "2099-01-01T00:00:00Z"}"#, Scoped),
    ("/api/v1/tasks/{task_id}/cancel", "POST", "{}", Scoped),
    ("/api/v1/users/{id}/preferences", "GET", "", Scoped),
    ("/api/v1/reminders", "GET", "", Scoped),
    ("/api/v1/reminders/stream", "GET", "", Scoped),
    ("/api/v1/quarantine", "GET", "", Operators),
    ("/api/v1/quarantine/{number}", "GET", "", Operators),
    ("/api/v1/outbox", "GET", "", Operators),
    ("/api/v1/stats", "GET", "", Operators),
    ("/api/v1/users/{id}", "DELETE", "", Operators),
    ("/api/v1/import", "POST", "", Operators),
    ("/api/v1/pause", "POST", "", Operators),
    ("/api/v1/resume", "POST", "", Operators),
    ("/api/v1/store", "GET", "", Operators),
    ("/api/v1/backups", "GET", "", Operators),
    ("/api/v1/restore", "GET", "", Operators),
    ("/api/v1/restore/confirm", "POST", "{}", Operators),
    ("/dev/clock", "GET", "", Operators),
];

/// Every route of the app listener. What stands here is reached through Dapr, which shows its token, and by nobody else.
const APP: [(&str, Whose); 24] = [
    ("/healthz", Open),
    ("/dapr/config", Operators),
    ("/dapr/subscribe", Operators),
    ("/events/task-events", Operators),
    ("/events/task-updates", Operators),
    ("/events/reminders", Operators),
    ("/events/reminder-actions", Operators),
    ("/events/user-preferences", Operators),
    ("/api/tasks/{task_id}/events", Operators),
    ("/api/v1/tasks/{task_id}", Operators),
    ("/api/v1/tasks/{task_id}/why", Operators),
    ("/api/v1/tasks/{task_id}/acknowledge", Operators),
    ("/api/v1/tasks/{task_id}/snooze", Operators),
    ("/api/v1/tasks/{task_id}/reschedule", Operators),
    ("/api/v1/tasks/{task_id}/cancel", Operators),
    ("/api/v1/users/{id}/preferences", Operators),
    ("/api/v1/reminders", Operators),
    ("/api/v1/reminders/stream", Operators),
    ("/api/v1/quarantine", Operators),
    ("/api/v1/quarantine/{number}", Operators),
    ("/api/v1/outbox", Operators),
    ("/api/v1/stats", Operators),
    ("/dev/clock", Operators),
    // What is at no path.
    ("/nowhere", Operators),
];

/// The routes of a router, which tells them only to a debugger.
fn routes(router: &Router) -> BTreeSet<String> {
    let told = format!("{router:?}");
    let (told, _) = told.split_once("fallback_router").expect("what answers where no path is");
    let paths = told.split("RouteId(").filter_map(|part| part.split_once("): \"")?.1.split_once('"'));
    let paths: BTreeSet<String> = paths.map(|(path, _)| path.to_owned()).collect();
    assert!(paths.len() > 5, "the router tells its routes in another way: {told}");
    paths
}

/// A worker that has a task of ann's and one of bob's, and demands tokens on both listeners.
async fn guarded() -> Worker {
    let clock = ScaledClock::new(std::sync::Arc::new(SystemClock::new()), Scale::REAL);
    let change = |config: &mut reminder_worker::config::Config| {
        config.ops.user_key = Some(Secret::new(KEY));
        config.app.api_token = Some(Secret::new("to-app"));
    };
    let worker = worker_on(std::sync::Arc::new(clock), change, Some(OPERATOR));
    for user in ["ann", "bob"] {
        let event = created(&format!("task-of-{user}"), Some(&from_now(3600)), &json!({"user_id": user}));
        let request = Request::post("/events/task-events")
            .header("content-type", "application/cloudevents+json")
            .header("dapr-api-token", "to-app");
        let answer = send(&worker.app, request.body(event.to_string().into()).unwrap()).await;
        assert_eq!(answer.json()["status"], "SUCCESS", "{answer:?}");
    }
    worker
}

fn token_of(user: &str) -> String {
    sign(&KEY.into(), user, SystemClock::new().now().millis() / 1000 + 60)
}

/// Calls `route` about what is `user`'s.
async fn call(router: &Router, route: (&str, &str, &str), user: &str, token: Option<&str>) -> Answer {
    let (path, method, body) = route;
    let path =
        path.replace("{task_id}", &format!("task-of-{user}")).replace("{id}", user).replace("{number}", "0");
    let mut request = Request::builder().method(Method::from_bytes(method.as_bytes()).unwrap()).uri(path);
    if let Some(token) = token {
        request = request.header("authorization", format!("Bearer {token}"));
    }
    let request =
        request.header("content-type", "application/json").body(Body::from(body.to_owned())).unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    // The stream never ends.
    if response.headers().get("content-type").is_some_and(|kind| kind == "text/event-stream") {
        let (status, content_type) = (response.status(), "text/event-stream".to_owned());
        return Answer { status, content_type, retry_after: None, body: "".into() };
    }
    let content_type = response.headers().get("content-type").map(|kind| kind.to_str().unwrap().to_owned());
    let status = response.status();
    let body = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    Answer { status, content_type: content_type.unwrap_or_default(), retry_after: None, body }
}

#[tokio::test]
async fn every_route_is_listed_as_open_the_operators_or_scoped() {
    let worker = guarded().await;
    let listed: BTreeSet<String> = OPS.iter().map(|(path, ..)| (*path).to_owned()).collect();
    assert_eq!(routes(&worker.ops), listed);
    let listed: BTreeSet<String> =
        APP.iter().map(|(path, _)| (*path).to_owned()).filter(|path| path != "/nowhere").collect();
    assert_eq!(routes(&worker.app), listed);
}

#[tokio::test]
async fn each_route_takes_the_tokens_that_it_is_listed_with_and_no_other() {
    let worker = guarded().await;
    let (ann, expired) = (token_of("ann"), sign(&KEY.into(), "ann", 1));
    let foreign = sign(&KEY.to_uppercase().as_str().into(), "ann", i64::MAX);
    for (path, method, body, whose) in OPS {
        let route = (path, method, body);
        let status = async |user: &str, token: Option<&str>| {
            call(&worker.ops, route, user, token).await.status.as_u16()
        };
        for wrong in [None, Some(""), Some("wrong"), Some(&*expired), Some(&*foreign), Some(KEY)] {
            assert_eq!(status("ann", wrong).await == 401, whose != Open, "{path}: {wrong:?}");
        }
        match whose {
            Open => {}
            Operators => assert_eq!(status("ann", Some(&ann)).await, 403, "{path}"),
            Scoped => assert_eq!(status("ann", Some(&ann)).await, 200, "{path}"),
        }
        // The import is refused for its content type, the number is nobody's.
        let operators = status("ann", Some(OPERATOR)).await;
        assert!(!matches!(operators, 401 | 403), "{path}: {operators}");
    }
    for (path, whose) in APP {
        for token in [None, Some(&*ann), Some(OPERATOR)] {
            let method =
                if path.starts_with("/events") || path.ends_with("/events") { "POST" } else { "GET" };
            let answer = call(&worker.app, (path, method, ""), "ann", token).await;
            assert_eq!(answer.status == 401, whose != Open, "{path}: {answer:?}");
        }
    }
}

#[tokio::test]
async fn what_is_anothers_is_answered_as_what_does_not_exist() {
    let worker = guarded().await;
    let ann = token_of("ann");
    for (path, method, body, _) in
        OPS.iter().filter(|(path, .., whose)| *whose == Scoped && path.contains('{'))
    {
        let route = (*path, *method, *body);
        let others = call(&worker.ops, route, "bob", Some(&ann)).await;
        let nobodys = call(&worker.ops, route, "nobody", Some(&ann)).await;
        others.is_problem(404);
        assert_eq!((others.status, &others.body), (nobodys.status, &nobodys.body), "{path}");
    }
    // Nothing was done to it.
    let bobs = call(&worker.ops, ("/api/v1/tasks/{task_id}", "GET", ""), "bob", Some(OPERATOR)).await.json();
    assert_eq!(bobs["reminders"].as_array().map(Vec::len), Some(1), "{bobs}");
    assert_eq!(bobs["reminders"][0]["state"], "pending");
    for method in ["PUT", "PATCH", "DELETE"] {
        let route = ("/api/v1/users/{id}/preferences", method, "{}");
        call(&worker.ops, route, "bob", Some(&ann)).await.is_problem(404);
        assert_eq!(call(&worker.ops, route, "ann", Some(&ann)).await.status, StatusCode::OK);
    }
}

#[tokio::test]
async fn a_list_is_narrowed_to_the_user_whatever_is_asked() {
    let worker = guarded().await;
    let ann = token_of("ann");
    let listed = async |query: &str, token: &str| {
        let path = format!("/api/v1/reminders{query}");
        call(&worker.ops, (&path, "GET", ""), "ann", Some(token)).await
    };
    let users = |answer: Answer| -> Vec<Value> {
        answer.json()["reminders"]
            .as_array()
            .unwrap()
            .iter()
            .map(|reminder| reminder["user_id"].clone())
            .collect()
    };
    assert_eq!(users(listed("", OPERATOR).await).len(), 2);
    for query in ["", "?user=ann", "?state=pending&limit=1000"] {
        assert_eq!(users(listed(query, &ann).await), ["ann"], "{query}");
    }
    listed("?user=bob", &ann).await.is_problem(404);
    assert!(users(listed("", &token_of("")).await).is_empty());
}

#[tokio::test]
async fn the_stream_shows_a_user_the_reminders_of_its_own_tasks_alone() {
    let worker = guarded().await;
    let request = |token: &str| {
        let request =
            Request::get("/api/v1/reminders/stream").header("authorization", format!("Bearer {token}"));
        worker.ops.clone().oneshot(request.body(Body::empty()).unwrap())
    };
    let mut ann = request(&token_of("ann")).await.unwrap().into_body().into_data_stream();
    // What the event says of its user is not asked.
    for (task, said) in [("task-of-bob", "ann"), ("unknown", "ann"), ("task-of-ann", "bob")] {
        let event = json!({
            "event_id": "0ac3833b-0567-58af-b541-cad61ecb23b7", "event_type": "reminder_due", "event_version": "v1",
            "timestamp": from_now(0), "producer": "reminder-worker", "payload": {"task_id": task, "user_id": said},
        });
        let request = Request::post("/events/reminders")
            .header("content-type", "application/cloudevents+json")
            .header("dapr-api-token", "to-app");
        send(&worker.app, request.body(wrapped(&event).to_string().into()).unwrap()).await;
    }
    let shown = ann.next().await.unwrap().unwrap();
    let shown = String::from_utf8_lossy(&shown);
    assert!(shown.contains("task-of-ann") && !shown.contains("task-of-bob"), "{shown}");
}

#[tokio::test]
async fn without_a_token_of_its_own_the_ops_listener_asks_for_none() {
    let worker = crate::fixture::worker();
    deliver(&worker.app, "/events/task-events", created("t", None, &json!({})).to_string()).await;
    assert_eq!(get(&worker.ops, "/api/v1/tasks/t").await.status, StatusCode::OK);
}

#[tokio::test]
async fn without_a_token_a_page_that_lends_its_name_to_loopback_is_refused() {
    let (open, guarded) = (crate::fixture::worker(), guarded().await);
    for (worker, host, status) in [
        (&open, "localhost:8080", 200),
        (&open, "[::1]:8080", 200),
        (&open, "rebound.example:8080", 401),
        (&guarded, "reminders.example", 200),
    ] {
        let request = Request::get("/api/v1/stats").header("host", host);
        let request =
            request.header("authorization", format!("Bearer {OPERATOR}")).body(Body::empty()).unwrap();
        assert_eq!(send(&worker.ops, request).await.status, status, "{host}");
    }
}
