//! A sidecar or broker that fails: it costs lateness and nothing else.

use std::collections::BTreeSet;

use crate::events::{TASK_EVENTS, bulk, created, task, titled};
use crate::sidecar::{Attempt, Reply, Sidecar, TAKE};
use crate::wait::until;
use crate::worker::{Setup, Worker};

const COUNT: usize = 20;

/// Tasks that fall due 40 ms apart, the first after 100 ms.
async fn tasks_in_a_row(worker: &Worker) -> Vec<String> {
    let tasks: Vec<String> = (0..COUNT).map(|_| task()).collect();
    for (task, n) in tasks.iter().zip(0..) {
        worker.deliver(&created(task, 100 + 40 * n)).await;
    }
    tasks
}

async fn all_went_out_once_and_none_early(worker: &Worker, sidecar: &Sidecar, tasks: &[String]) {
    let mut ids = BTreeSet::new();
    for task in tasks {
        let reminder = worker.reminder_is(task, "published").await;
        ids.insert(reminder["event_id"].as_str().unwrap().to_owned());
    }
    let taken = sidecar.taken();
    assert_eq!(taken.len(), tasks.len(), "each was confirmed once");
    assert_eq!(taken.iter().map(|event| event.id().to_owned()).collect::<BTreeSet<_>>(), ids);
    for attempt in sidecar.attempts() {
        for event in &attempt.events {
            let planned = event.json["time"].as_str().unwrap();
            assert!(crate::events::rfc3339(attempt.at).as_str() >= planned, "early: {planned}");
            let same = taken.iter().find(|t| t.id() == event.id()).unwrap();
            assert_eq!(same.raw, event.raw, "a repeat is the same, byte for byte");
        }
    }
}

#[tokio::test]
async fn a_broker_that_fails_for_a_while_costs_lateness_and_nothing_else() {
    let sidecar = Sidecar::up();
    sidecar.behave(|_| Reply::Status(500));
    let worker = Setup::beside(&sidecar).start().await;
    let tasks = tasks_in_a_row(&worker).await;
    sidecar.seen(4).await;
    sidecar.behave(|_| TAKE);
    all_went_out_once_and_none_early(&worker, &sidecar, &tasks).await;
}

#[tokio::test]
async fn a_sidecar_that_is_replaced_costs_lateness_and_nothing_else() {
    let mut sidecar = Sidecar::up();
    let worker = Setup::beside(&sidecar).start().await;
    worker.process.logs("the sidecar is up").await;
    sidecar.stop();
    let tasks = tasks_in_a_row(&worker).await;
    worker.process.logs("no reminder of a batch could be published").await;
    let failed = until("an attempt that failed", async || {
        Some(worker.reminder(&tasks[0]).await).filter(|reminder| reminder["reason"].is_string())
    })
    .await;
    assert!(failed["reason"].as_str().unwrap().starts_with("no connection to the sidecar"), "{failed}");
    assert_eq!(failed["state"], "pending");
    sidecar.start();
    all_went_out_once_and_none_early(&worker, &sidecar, &tasks).await;
}

#[tokio::test]
async fn a_publish_that_hangs_is_repeated_byte_for_byte_with_its_envelope() {
    let sidecar = Sidecar::up();
    sidecar.behave(|_| Reply::Hang);
    let worker = Setup::beside(&sidecar).set("dapr.publish_timeout=200ms").start().await;
    let task = task();
    worker.deliver(&created(&task, 20)).await;
    sidecar.seen(2).await;
    sidecar.behave(|_| TAKE);
    let reminder = worker.reminder_is(&task, "published").await;
    let attempts = sidecar.attempts();
    assert!(attempts.iter().all(|attempt| attempt.events[0].raw == attempts[0].events[0].raw));
    assert_eq!(reminder["event_id"], attempts[0].events[0].id());
    assert_eq!(reminder["event_id"], attempts[0].events[0].json["data"]["event_id"]);
}

/// Publishes three reminders of one instant through a sidecar that does not have `missing`; the paths that took them.
async fn paths_beside(missing: &'static [&'static str]) -> Vec<String> {
    let sidecar = Sidecar::up();
    sidecar.behave(|attempt| match missing.iter().any(|path| attempt.path.starts_with(path)) {
        true => Reply::Status(404),
        false => TAKE,
    });
    let worker = Setup::beside(&sidecar).start().await;
    worker.process.logs("the sidecar is up").await;
    for _ in 0..2 {
        let tasks = [task(), task(), task()];
        let mut events = Vec::new();
        let mut event = created(&tasks[0], 200);
        for task in &tasks {
            event["payload"]["task_id"] = task.clone().into();
            events.push(event.clone());
        }
        worker.deliver_bulk(TASK_EVENTS, &bulk(&events)).await;
        for task in &tasks {
            worker.reminder_is(task, "published").await;
        }
    }
    assert_eq!(sidecar.taken().len(), 6, "each was taken once");
    sidecar.attempts().into_iter().map(|attempt| attempt.path).collect()
}

const STABLE: &str = "/v1.0/publish/bulk/kafka-pubsub/reminders";
const ALPHA: &str = "/v1.0-alpha1/publish/bulk/kafka-pubsub/reminders";
const SINGLE: &str = "/v1.0/publish/kafka-pubsub/reminders";

#[tokio::test]
async fn an_older_sidecar_is_published_to_by_the_path_that_it_has_found_once() {
    assert_eq!(paths_beside(&[]).await, [STABLE, STABLE]);
    assert_eq!(paths_beside(&["/v1.0/publish/bulk/"]).await, [STABLE, ALPHA, ALPHA]);
    let singles = [SINGLE; 6];
    let tried: Vec<&str> = [STABLE, ALPHA].into_iter().chain(singles).collect();
    assert_eq!(paths_beside(&["/v1.0/publish/bulk/", "/v1.0-alpha1/"]).await, tried);
}

fn is_poison(attempt: &Attempt) -> bool {
    attempt.events.iter().any(|event| event.json["data"]["payload"]["title"] == "poison")
}

#[tokio::test]
async fn a_reminder_refused_for_ever_holds_up_nobody_and_ends_as_expired_with_its_reason() {
    let sidecar = Sidecar::up();
    sidecar.behave(|attempt| if is_poison(attempt) { Reply::Status(400) } else { TAKE });
    let worker = Setup::beside(&sidecar).set("reminders.expire_after=1m").start().await;
    // Three seconds short of being given up. Its own offset is older than the store, the configured one is not.
    let poison = task();
    let mut event = titled(&poison, -57_000, "poison");
    event["payload"]["reminder_offset"] = 0.into();
    worker.deliver(&event).await;
    sidecar.seen(1).await;
    // In one batch with others, and then beside one that comes alone.
    let tasks: Vec<String> = (0..5).map(|_| task()).collect();
    let mut events: Vec<_> = tasks.iter().map(|task| created(task, 300)).collect();
    let mixed = task();
    events.insert(2, titled(&mixed, 300, "poison"));
    worker.deliver_bulk(TASK_EVENTS, &bulk(&events)).await;
    let alone = task();
    worker.deliver(&created(&alone, 1_500)).await;
    for task in tasks.iter().chain([&alone]) {
        worker.reminder_is(task, "published").await;
    }
    let expired = worker.reminder_is(&poison, "expired").await;
    let reason = expired["reason"].as_str().unwrap();
    assert!(
        reason.starts_with("not sent within expire_after; last failure: the sidecar answered 400"),
        "{reason}"
    );
    assert_eq!(worker.reminder(&mixed).await["state"], "pending");
    assert_eq!(sidecar.taken().len(), 6);
}

#[tokio::test]
async fn a_due_reminder_is_not_said_to_be_under_way_while_the_sidecar_never_answered() {
    let worker = Setup::beside(&Sidecar::down()).start().await;
    let task = task();
    worker.deliver(&created(&task, 10)).await;
    let said = async || {
        let why = worker.api(&format!("/api/v1/tasks/{task}/why")).await;
        let sentence = why["answers"][0]["sentence"].as_str().unwrap().to_owned();
        sentence.contains("no reminder goes out (").then_some(sentence)
    };
    let said = until("why it waits", said).await;
    assert!(said.contains("has not been tried yet, and waits"), "{said}");
}
