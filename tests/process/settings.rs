//! Settings that do not fit the sidecar's: one line says what to change, readiness says it too, nothing is lost.

use reqwest::StatusCode;
use serde_json::Value;

use crate::events::{REMINDERS, TASK_EVENTS, cloud_event, created, task};
use crate::sidecar::{Reply, Sidecar};
use crate::wait::until;
use crate::worker::{Setup, Worker};

const RIGHT: &str = r#"{"components":[{"name":"kafka-pubsub","type":"pubsub.kafka"}]}"#;

/// Waits until readiness says `said` of `check`.
async fn fails(worker: &Worker, check: &str, said: &str) {
    until(said, async || {
        let (status, report) = worker.ops("/readyz").await;
        let told = report["checks"][check].as_str().is_some_and(|told| told.contains(said));
        (told && status == StatusCode::SERVICE_UNAVAILABLE).then_some(())
    })
    .await;
}

async fn is_ready(worker: &Worker) {
    until("readiness", async || (worker.ops("/readyz").await.0 == StatusCode::OK).then_some(())).await;
}

/// The warnings and errors of its log.
fn complaints(worker: &Worker) -> Vec<Value> {
    let told = worker.process.said("").into_iter();
    told.filter(|line| matches!(line["level"].as_str(), Some("WARN" | "ERROR"))).collect()
}

#[tokio::test]
async fn while_the_sidecar_refuses_the_token_or_lacks_the_component_one_line_says_so_and_nothing_is_attempted()
 {
    for (status, metadata, env, said) in [
        (401, "invalid api token", "", "is sent none; give the worker the sidecar's DAPR_API_TOKEN"),
        (401, "invalid api token", "wrong", "refuses the token it is sent"),
        (200, r#"{"id":"w","runtimeVersion":"1.18.3"}"#, "", "it has none at all; mend the name"),
        (
            200,
            r#"{"components":[{"name":"pubsub","type":"pubsub.redis"}]}"#,
            "",
            "(dapr.pubsub), it has pubsub;",
        ),
        (
            200,
            r#"{"components":[{"name":"kafka-pubsub","type":"state.redis"}]}"#,
            "",
            "is state.redis, which is no broker",
        ),
    ] {
        let sidecar = Sidecar::up();
        sidecar.tells(status, metadata);
        let worker = Setup::beside(&sidecar).env("DAPR_API_TOKEN", env).start().await;
        worker.subscriptions().await;
        fails(&worker, "sidecar", said).await;
        let task = task();
        worker.deliver(&created(&task, 10)).await;
        let probes = sidecar.probes();
        until("more probes", async || (sidecar.probes() >= probes + 3).then_some(())).await;
        assert_eq!(
            (sidecar.attempts().len(), worker.reminder(&task).await["state"].as_str()),
            (0, Some("pending"))
        );
        let told = complaints(&worker);
        assert!(told.len() == 1 && told[0]["message"].as_str().unwrap().contains(said), "{told:#?}");

        sidecar.tells(200, RIGHT);
        worker.reminder_is(&task, "published").await;
        is_ready(&worker).await;
        assert_eq!(complaints(&worker).len(), 1);
    }
}

#[tokio::test]
async fn what_is_known_to_be_wrong_is_not_forgotten_when_the_sidecar_does_not_say() {
    let sidecar = Sidecar::up();
    sidecar.tells(401, "invalid api token");
    let worker = Setup::beside(&sidecar).start().await;
    worker.subscriptions().await;
    fails(&worker, "sidecar", "is sent none").await;
    // More than is read of an answer.
    sidecar.tells(200, " ".repeat(2 << 20).leak());
    let task = task();
    worker.deliver(&created(&task, 10)).await;
    let probes = sidecar.probes();
    until("more probes", async || (sidecar.probes() >= probes + 3).then_some(())).await;
    fails(&worker, "sidecar", "is sent none").await;
    assert_eq!(sidecar.attempts().len(), 0);
}

#[tokio::test]
async fn a_sidecar_that_calls_without_the_token_is_told_of_once_until_it_has_it() {
    let sidecar = Sidecar::up();
    sidecar.tells(200, RIGHT);
    let mut worker = Setup::beside(&sidecar).env("APP_API_TOKEN", "app-secret").start().await;
    let event = cloud_event(&created(&task(), 10)).to_string().into_bytes();
    assert_eq!(worker.subscriptions().await.0, StatusCode::UNAUTHORIZED);
    fails(&worker, "subscriptions", "start it anew with APP_API_TOKEN").await;
    worker.token = Some("other");
    assert_eq!(worker.deliver_bytes(TASK_EVENTS, event.clone()).await.0, StatusCode::UNAUTHORIZED);
    fails(&worker, "deliveries", "give the sidecar the worker's app.api_token").await;
    let told = complaints(&worker);
    assert!(told.len() == 1 && told[0]["message"].as_str().unwrap().contains("APP_API_TOKEN"), "{told:#?}");

    worker.token = Some("app-secret");
    worker.subscriptions().await;
    assert_eq!(worker.deliver_bytes(TASK_EVENTS, event).await.0, StatusCode::OK);
    is_ready(&worker).await;
    assert_eq!(complaints(&worker).len(), 1);
}

#[tokio::test]
async fn a_stranger_s_call_takes_no_readiness_from_a_worker_whose_sidecar_has_the_subscriptions() {
    let sidecar = Sidecar::up();
    sidecar.has_the_subscriptions();
    let worker = Setup::beside(&sidecar).env("APP_API_TOKEN", "app-secret").start().await;
    is_ready(&worker).await;
    assert_eq!(worker.subscriptions().await.0, StatusCode::UNAUTHORIZED);
    is_ready(&worker).await;
}

#[tokio::test]
async fn a_topic_that_does_not_exist_is_told_of_in_one_line_and_in_readiness_until_it_does() {
    let sidecar = Sidecar::up();
    sidecar.tells(200, RIGHT);
    sidecar.behave(|_| Reply::Missing);
    let worker = Setup::beside(&sidecar).set("health.overdue_limit=1s").start().await;
    worker.subscriptions().await;
    let task = task();
    worker.deliver(&created(&task, 10)).await;
    until("the warning", async || {
        let report = worker.ops("/readyz").await.1;
        report["warnings"]["publishing"]
            .as_str()
            .is_some_and(|told| told.contains("create the topic"))
            .then_some(())
    })
    .await;
    fails(&worker, "overdue", "create the topic").await;
    let told = complaints(&worker);
    assert!(told.len() == 1 && told[0]["reason"].as_str().unwrap().contains("create the topic"), "{told:#?}");

    sidecar.behave(|_| Reply::Status(204));
    worker.reminder_is(&task, "published").await;
    is_ready(&worker).await;
}

#[tokio::test]
async fn another_worker_s_reminder_raises_an_alarm_that_names_nobody_unasked_and_is_logged_once() {
    let sidecar = Sidecar::up();
    sidecar.has_the_subscriptions();
    let worker = Setup::beside(&sidecar).start().await;
    let own = task();
    worker.deliver(&created(&own, 10)).await;
    worker.reminder_is(&own, "published").await;
    let published = sidecar.takes(std::slice::from_ref(&own)).await[&own][0].raw.clone();
    let comes_back = async |raw: &str| {
        assert_eq!(worker.deliver_bytes(REMINDERS, raw.as_bytes().to_vec()).await.0, StatusCode::OK);
    };
    comes_back(&published).await;
    for stranger in ["another-1", "another-2"] {
        let id = uuid_of(&published);
        let other = format!("{}{}", if id.starts_with('0') { '1' } else { '0' }, &id[1..]);
        comes_back(&published.replace(&own, stranger).replace(&id, &other)).await;
    }
    let alarm = until("the alarm", async || {
        let stats = worker.api("/api/v1/stats").await;
        let alarm = stats["alarms"]["foreign_worker"].clone();
        (alarm["count"].as_u64() == Some(2)).then_some(alarm)
    });
    assert!(alarm.await["task_id"].as_str().unwrap().starts_with("another-"));
    let report = until("the warning", async || {
        let (status, report) = worker.ops("/readyz").await;
        assert_eq!(status, StatusCode::OK, "{report}");
        report["warnings"]["foreign_worker"].is_string().then_some(report)
    });
    assert_eq!(report.await["status"], "ok");
    for path in ["/livez", "/readyz", "/metrics"] {
        let told = worker.text(path).await;
        for name in [own.as_str(), &uuid_of(&published), "another-", "\"ann\"", "Water the plants"] {
            assert!(!told.contains(name), "{path} asks for no token and tells of {name}: {told}");
        }
    }
    let told = complaints(&worker);
    assert!(told.len() == 1 && told[0]["alarm"] == "foreign_worker", "{told:#?}");
}

/// The id of a published event.
fn uuid_of(raw: &str) -> String {
    let event: Value = serde_json::from_str(raw).unwrap();
    event["id"].as_str().unwrap().to_owned()
}
