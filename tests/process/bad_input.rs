//! Anything may be delivered: it is dropped with its reason, or taken, and never asked for again.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::events::{FAR, TASK_EVENTS, TASK_UPDATES, cloud_event, created, task};
use crate::sidecar::Sidecar;
use crate::worker::{Setup, Worker, answered};

const MIB: usize = 1024 * 1024;
/// What is read of one event: Dapr's own limit, and what wraps it.
const EVENT_MAX: usize = 4 * MIB + 64 * 1024;

/// The newest quarantined event, with its body.
async fn quarantined(worker: &Worker) -> Value {
    let listed = worker.api("/api/v1/quarantine?limit=1000").await;
    let number = listed["quarantine"].as_array().unwrap().last().unwrap()["number"].clone();
    worker.api(&format!("/api/v1/quarantine/{number}")).await
}

#[tokio::test]
async fn any_bytes_are_dropped_and_kept_with_their_reason_and_body() {
    let sidecar = Sidecar::up();
    let worker = Setup::beside(&sidecar).start().await;
    let deep = "[".repeat(100_000);
    let bodies: [&[u8]; 9] = [
        b"",
        b"\0\xff\xfe",
        b"7",
        b"[]",
        b"\"a text\"",
        b"{\"specversion\":\"1.0\",\"data\":",
        br#"{"event_type":"task_created","payload":{"title":"no id"}}"#,
        br#"{"event_type":"task_created","payload":{"task_id":"t","due_date":"soon"}}"#,
        deep.as_bytes(),
    ];
    for (count, body) in (1..).zip(bodies) {
        for (route, twice) in [(TASK_EVENTS, 1), (TASK_UPDATES, 0)] {
            let shown = String::from_utf8_lossy(&body[..body.len().min(60)]);
            let (status, said) = worker.deliver_bytes(route, body.to_vec()).await;
            assert_eq!((status, &said), (StatusCode::OK, &json!({"status": "DROP"})), "{shown}");
            let kept = quarantined(&worker).await;
            assert_eq!(kept["number"], 2 * count - 1 - twice, "{shown}");
            assert!(
                !kept["reason"].as_str().unwrap().is_empty() && !kept["code"].as_str().unwrap().is_empty()
            );
            assert_eq!(kept["length"], body.len(), "{shown}");
            match std::str::from_utf8(body) {
                Ok(text) => assert_eq!(kept["body"], text, "{shown}"),
                Err(_) => assert_eq!(kept["body_base64"], "AP/+"),
            }
        }
    }
    let stats = worker.api("/api/v1/stats").await;
    assert_eq!(stats["events"]["quarantined"], 2 * bodies.len());
    assert_eq!(stats["events"]["received"], 2 * bodies.len());
}

/// A task whose description makes the delivery `length` bytes long.
fn sized(task: &str, length: usize) -> Vec<u8> {
    let mut event = cloud_event(&created(task, FAR));
    event["data"]["payload"]["description"] = "".into();
    let rest = length - event.to_string().len();
    event["data"]["payload"]["description"] = "d".repeat(rest).into();
    event.to_string().into_bytes()
}

#[tokio::test]
async fn a_body_on_daprs_limit_is_taken_and_one_beyond_what_is_read_is_dropped() {
    let sidecar = Sidecar::up();
    let worker = Setup::beside(&sidecar).start().await;
    for length in [4 * MIB, EVENT_MAX] {
        let task = task();
        let (status, said) = worker.deliver_bytes(TASK_EVENTS, sized(&task, length)).await;
        assert_eq!((status, said), (StatusCode::OK, json!({"status": "SUCCESS"})), "{length}");
        worker.reminder(&task).await;
    }
    let body = sized(&task(), EVENT_MAX + 1);
    let (status, said) = worker.deliver_bytes(TASK_EVENTS, body.clone()).await;
    // daprd drops on this status, whether it sent one event or a batch.
    assert_eq!((status, said), (StatusCode::NOT_FOUND, json!({"status": "DROP"})));
    let kept = quarantined(&worker).await;
    assert_eq!(kept["code"], "too_large");
    let start = kept["body"].as_str().unwrap().as_bytes();
    assert!(!start.is_empty() && body.starts_with(start));
}

#[tokio::test]
async fn tokens_are_demanded_and_shown_on_both_sides() {
    let sidecar = Sidecar::up();
    let setup = Setup::beside(&sidecar)
        .env("APP_API_TOKEN", "app-secret")
        .env("DAPR_API_TOKEN", "dapr-secret")
        .env("REMINDER_WORKER__OPS__TOKEN", "ops-secret");
    let mut worker = setup.start().await;
    let task = task();
    let event = cloud_event(&created(&task, 200)).to_string().into_bytes();
    for token in [None, Some("dapr-secret"), Some("app-secre")] {
        worker.token = token;
        assert_eq!(worker.subscriptions().await.0, StatusCode::UNAUTHORIZED, "{token:?}");
        assert_eq!(worker.deliver_bytes(TASK_EVENTS, event.clone()).await.0, StatusCode::UNAUTHORIZED);
    }
    let healthz = worker.client.get(format!("http://{}/healthz", worker.app));
    assert_eq!(answered(healthz).await.0, StatusCode::NO_CONTENT, "Dapr's probes carry no token");
    worker.token = Some("app-secret");
    assert_eq!(worker.subscriptions().await.0, StatusCode::OK);
    assert_eq!(worker.deliver_bytes(TASK_EVENTS, event).await.0, StatusCode::OK);
    let attempts = sidecar.seen(1).await;
    assert_eq!(attempts[0].token.as_deref(), Some("dapr-secret"));

    assert_eq!(worker.ops("/readyz").await.0, StatusCode::OK);
    assert_eq!(worker.ops("/api/v1/stats").await.0, StatusCode::UNAUTHORIZED);
    let stats = worker.client.get(format!("http://{}/api/v1/stats", worker.ops)).bearer_auth("ops-secret");
    assert_eq!(answered(stats).await.0, StatusCode::OK);
}
