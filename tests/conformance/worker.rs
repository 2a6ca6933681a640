//! What the worker needs of a sidecar, each scenario with a sidecar, a tap and a worker of its own.

use std::time::Duration;

use reminder_worker::sidecar::Profile;
use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::rig::{Place, Plan, REMINDERS, Rig, TASK_EVENTS, created};
use crate::sidecar::PROBES_BAD;
use crate::wait::{now, until};

/// In one delivery an event.
const SINGLE: &str = "dapr.bulk_subscribe=off";
const BULK: &str = "dapr.bulk_subscribe=on";

fn single() -> Plan {
    Plan { settings: vec![SINGLE], ..Plan::default() }
}

fn success() -> (u16, Value) {
    (200, json!({"status": "SUCCESS"}))
}

fn drop_it() -> (u16, Value) {
    (200, json!({"status": "DROP"}))
}

pub(crate) async fn discovery(place: Place) {
    let rig = Rig::ready(&place, &Plan::default()).await;
    let asked = rig.tap.passed("/dapr/subscribe");
    assert_eq!(asked.len(), 1, "asked once");
    assert_eq!(rig.tap.passed("/dapr/config").len(), 1);
    let list = asked[0].reply.as_array().unwrap();
    let kafka = place.broker.profile == Profile::Kafka;
    assert!(
        list.iter().all(|one| one["bulkSubscribe"].is_object() == kafka),
        "bulk on Kafka alone: {list:?}"
    );
    let told = rig.sidecar.subscriptions().await.unwrap();
    for one in list {
        let active = told.iter().find(|active| active["topic"] == one["topic"]).unwrap();
        assert_eq!(active["pubsubname"], one["pubsubname"]);
        let path = active.pointer("/rules/0/path").or_else(|| active.pointer("/rules/rules/0/path"));
        assert_eq!(path, Some(&one["route"]), "{active}");
    }
}

pub(crate) async fn single_delivery(place: Place) {
    let rig = Rig::ready(&place, &single()).await;
    rig.publish(&created("alone", 1_500)).await;
    assert_eq!(rig.replies(1).await, [success()]);
    let reminder = rig.worker.reminder_is("alone", "published").await;
    let back = until("the reminder", async || rig.tap.passed(REMINDERS).pop()).await;
    assert_eq!(back.body["id"], reminder["event_id"]);
    assert_eq!((back.status, back.reply), success());
    let planned = chrono::DateTime::parse_from_rfc3339(back.body["time"].as_str().unwrap()).unwrap();
    assert!(planned.timestamp_millis() <= back.at, "it is never early");
}

pub(crate) async fn bulk_delivery(place: Place) {
    let rig = Rig::ready(&place, &Plan { settings: vec![BULK], ..Plan::default() }).await;
    let tasks: Vec<String> = (0..5).map(|n| format!("task-{n}")).collect();
    let mut events: Vec<Value> = tasks.iter().map(|task| created(task, 2_500)).collect();
    events.push("no task event".into());
    let entry = |(n, event): (usize, &Value)| json!({"entryId": n.to_string(), "event": event, "contentType": "application/json"});
    let body: Vec<Value> = events.iter().enumerate().map(entry).collect();
    let request = rig.sidecar.post(&rig.path("publish/bulk", "task-events"));
    let request = request.header("content-type", "application/json").body(json!(body).to_string());
    assert_eq!(request.send().await.unwrap().status(), StatusCode::NO_CONTENT);
    let words = until("an answer for each entry", async || {
        let passed = rig.tap.passed(TASK_EVENTS);
        assert!(passed.iter().all(|batch| batch.body["entries"].is_array()), "in bulk");
        let statuses = passed.iter().filter_map(|batch| batch.reply["statuses"].as_array()).flatten();
        let mut words: Vec<String> =
            statuses.map(|status| status["status"].as_str().unwrap().to_owned()).collect();
        words.sort();
        (words.len() >= events.len()).then_some(words)
    })
    .await;
    assert_eq!(words, ["DROP", "SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS", "SUCCESS"]);
    for task in &tasks {
        rig.worker.reminder_is(task, "published").await;
    }
}

pub(crate) async fn reply_words(place: Place) {
    let rig = Rig::ready(&place, &single()).await;
    let event = created("twice", 600_000);
    for (count, event, reply) in [
        (1, event.clone(), success()),
        (2, event, success()),
        (3, json!({"event_type": "task_created", "payload": {}}), drop_it()),
        (4, json!({"event_type": "user_created", "payload": {"id": 1}}), success()),
    ] {
        rig.publish(&event).await;
        assert_eq!(rig.replies(count).await[count - 1..], [reply], "{event}");
    }
    // On Kafka the second has an offset of its own: a later statement of the same, not a redelivery.
    let again = if place.broker.profile == Profile::Kafka {
        [("applied", 2), ("duplicate", 0)]
    } else {
        [("applied", 1), ("duplicate", 1)]
    };
    for (kind, count) in again.into_iter().chain([("quarantined", 1), ("ignored", 1)]) {
        assert_eq!(rig.worker.counted(kind).await, count, "{kind}");
    }
}

pub(crate) async fn dead_letters(place: Place) {
    let rig = Rig::ready(&place, &Plan { dead_letters: true, ..single() }).await;
    rig.publish(&json!("no task event")).await;
    let dead = until("the dead letter", async || rig.tap.dead_letters().pop()).await;
    assert_eq!(dead.body["data"], "no task event");
    assert_eq!(rig.replies(1).await, [drop_it()]);
}

const APP: Option<&str> = Some("app-secret");
const API: Option<&str> = Some("api-secret");

pub(crate) async fn tokens(place: Place) {
    let rig = Rig::ready(&place, &Plan { app_tokens: (APP, APP), api_tokens: (API, API), ..single() }).await;
    rig.publish(&created("trusted", 500)).await;
    assert_eq!(rig.replies(1).await, [success()]);
    let shown = |path| rig.tap.passed(path)[0].headers.get("dapr-api-token").cloned();
    assert_eq!((shown(TASK_EVENTS).as_deref(), shown("/dapr/subscribe").as_deref()), (APP, APP));
    rig.worker.reminder_is("trusted", "published").await;
    let stranger = rig.sidecar.post_without_token(&rig.path("publish", "task-events")).body("{}");
    assert_eq!(stranger.send().await.unwrap().status(), StatusCode::UNAUTHORIZED);
}

pub(crate) async fn wrong_app_token(place: Place) {
    let rig = Rig::start(&place, &Plan { app_tokens: (Some("another"), APP), ..single() }).await;
    until("the sidecar's question", async || rig.tap.passed("/dapr/subscribe").pop()).await;
    assert_eq!(rig.tap.passed("/dapr/subscribe")[0].status, 401);
    rig.sidecar.has_subscriptions(0).await;
    assert_eq!(rig.sidecar.subscriptions().await.unwrap(), [Value::Null; 0]);
    let (status, report) = rig.worker.ops("/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{report}");
}

pub(crate) async fn wrong_api_token(place: Place) {
    // The worker cannot ask the sidecar anything; its own listener works all the same, and keeps what comes.
    let rig = Rig::start(&place, &Plan { api_tokens: (API, Some("another")), ..single() }).await;
    rig.sidecar.has_subscriptions(3).await;
    rig.publish(&created("stuck", 200)).await;
    assert_eq!(rig.replies(1).await, [success()]);
    let report = until("readiness that names the token", async || {
        let (status, report) = rig.worker.ops("/readyz").await;
        let told =
            report["checks"]["sidecar"].as_str().is_some_and(|told| told.contains("refuses the token"));
        (told && status == StatusCode::SERVICE_UNAVAILABLE).then_some(report)
    })
    .await;
    assert!(report["checks"]["sidecar"].as_str().unwrap().contains("dapr.api_token"), "{report}");
    rig.worker.reminder_is("stuck", "pending").await;
}

pub(crate) async fn oversize(place: Place) {
    let rig = Rig::ready(&place, &single()).await;
    let huge = |bytes: usize| json!({"event_type": "task_created", "title": "x".repeat(bytes)}).to_string();
    assert_eq!(rig.publish_bytes("task-events", huge(5 << 20).into()).await, 500, "over the sidecar's limit");
    let taken = rig.publish_bytes("task-events", huge(3 << 20).into()).await;
    rig.publish(&created("small", 500)).await;
    // Kafka's own limit is 1 MiB; elsewhere it arrives, and the worker drops it with its reason.
    let arrives = place.broker.profile != Profile::Kafka;
    assert_eq!(taken == StatusCode::NO_CONTENT, arrives, "{taken}");
    let replies = rig.replies(1 + usize::from(arrives)).await;
    assert_eq!(replies.contains(&drop_it()), arrives, "{replies:?}");
    assert!(replies.contains(&success()));
    rig.worker.reminder_is("small", "published").await;
    assert_eq!(rig.worker.counted("quarantined").await, u64::from(arrives));
}

pub(crate) async fn sidecar_lost(place: Place) {
    let rig = Rig::ready(&place, &single()).await;
    rig.publish(&created("late", 2_000)).await;
    let due = now() + 2_000;
    let planned = rig.worker.reminder_is("late", "pending").await;
    let lost = rig.lose_sidecar().await;
    until("the due date", async || (now() > due).then_some(())).await;
    let rig = lost.restart_sidecar().await;
    let reminder = rig.worker.reminder_is("late", "published").await;
    assert_eq!(reminder["event_id"], planned["event_id"]);
    rig.sidecar.has_subscriptions(3).await;
    rig.publish(&created("after", 300)).await;
    rig.worker.reminder_is("after", "published").await;
}

/// How long nothing may come to be sure that nothing comes.
const QUIET: Duration = Duration::from_millis(1_500);

pub(crate) async fn app_health(place: Place) {
    let rig = Rig::ready(&place, &Plan { app_health: true, ..single() }).await;
    let probe = &rig.tap.passed("/healthz")[0];
    assert_eq!((probe.status, probe.headers.get("dapr-api-token")), (204, None));
    rig.publish(&created("before", 600_000)).await;
    assert_eq!(rig.replies(1).await, [success()]);

    rig.tap.healthy(false);
    let bad = || rig.tap.passed("/healthz").iter().filter(|probe| probe.status == 0).count();
    // One more than it takes: the last of them has been acted on.
    until("bad probes", async || (bad() > PROBES_BAD as usize).then_some(())).await;
    rig.publish(&created("meanwhile", 600_000)).await;
    tokio::time::sleep(QUIET).await;
    assert_eq!(rig.tap.passed(TASK_EVENTS).len(), 1, "nothing is delivered to an app that is not well");

    rig.tap.healthy(true);
    if place.broker.profile == Profile::InMemory {
        // Nobody subscribed when it was published, and nobody tells when somebody does again.
        until("deliveries again", async || {
            rig.publish(&created("after", 600_000)).await;
            tokio::time::sleep(QUIET / 5).await;
            (rig.tap.passed(TASK_EVENTS).len() > 1).then_some(())
        })
        .await;
        assert_eq!(rig.worker.ops("/api/v1/tasks/meanwhile").await.0, StatusCode::NOT_FOUND, "it is lost");
    } else {
        rig.worker.reminder_is("meanwhile", "pending").await;
        rig.publish(&created("after", 600_000)).await;
    }
    rig.worker.reminder_is("after", "pending").await;
    assert_eq!(rig.tap.passed("/dapr/subscribe").len(), 1, "it is not asked again");
}
