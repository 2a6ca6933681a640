//! The outbox sender against a broker made of a script.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use reminder_worker::dapr::{Outgoing, Publish, PublishOutcome, Publishing};
use reminder_worker::outbox::OutboxSender;
use serde_json::{Value, json};

use crate::fixture::{Worker, backoff, get, post, worker};

/// Answers attempts in turn, then always with success.
#[derive(Default)]
struct Broker {
    script: Mutex<VecDeque<PublishOutcome>>,
    seen: Mutex<Vec<(String, Value, Vec<u8>)>>,
}

impl Publish for Broker {
    fn publish<'a>(&'a self, topic: &'a str, batch: &'a [Outgoing]) -> Publishing<'a> {
        let mut script = self.script.lock().unwrap();
        let mut seen = self.seen.lock().unwrap();
        let outcomes = batch
            .iter()
            .map(|outgoing| {
                let event = serde_json::from_slice(&outgoing.event).unwrap();
                seen.push((topic.to_owned(), event, outgoing.event.to_vec()));
                script.pop_front().unwrap_or(PublishOutcome::Published)
            })
            .collect();
        Box::pin(std::future::ready(outcomes))
    }
}

fn sending(worker: &Worker, script: Vec<PublishOutcome>) -> Arc<Broker> {
    let broker = Arc::new(Broker { script: Mutex::new(script.into()), ..Broker::default() });
    let sender = OutboxSender::new(worker.writer.clone(), broker.clone(), worker.clock.clone(), backoff());
    let stop = worker.shutdown.soft().clone();
    worker.shutdown.spawn("outbox", async move { sender.run(stop, || {}).await });
    broker
}

async fn accept(worker: &Worker, task: &str, n: u64) {
    let event = json!({"event_type": "task_completed", "payload": {"task_id": task, "n": n}});
    assert_eq!(post(&worker.app, &format!("/api/tasks/{task}/events"), event.to_string()).await.status, 202);
}

/// Waits until the outbox holds what `states` says, by state.
async fn until(worker: &Worker, states: &[&str]) -> Value {
    let clock = worker.clock.clone();
    let deadline = clock.monotonic() + Duration::from_secs(20);
    loop {
        let outbox = get(&worker.ops, "/api/v1/outbox").await.json()["outbox"].clone();
        let found: Vec<_> = outbox.as_array().unwrap().iter().map(|e| e["state"].as_str().unwrap()).collect();
        if found == states {
            return outbox;
        }
        assert!(clock.monotonic() < deadline, "{outbox}");
        clock.sleep(Duration::from_millis(5)).await;
    }
}

fn order(broker: &Broker) -> Vec<u64> {
    let seen = broker.seen.lock().unwrap();
    seen.iter().map(|(_, event, _)| event["data"]["payload"]["n"].as_u64().unwrap()).collect()
}

fn ambiguous() -> PublishOutcome {
    PublishOutcome::Ambiguous { reason: "no answer".into() }
}

#[tokio::test]
async fn events_of_a_task_go_out_in_order_whatever_fails_between() {
    let worker = worker();
    for n in 0..4 {
        accept(&worker, "t-1", n).await;
    }
    let passing = PublishOutcome::Refused { reason: "401".into(), for_good: false };
    let broker = sending(&worker, vec![ambiguous(), passing, PublishOutcome::Published, ambiguous()]);
    until(&worker, &[]).await;
    assert_eq!(order(&broker), [0, 0, 0, 1, 1, 2, 3]);
    let seen = broker.seen.lock().unwrap();
    assert_eq!(seen[0].2, seen[1].2, "a repeat is the same, byte for byte");
    assert_eq!(seen[0].0, "task-events");
    assert_eq!(seen[0].1["id"], seen[0].1["data"]["event_id"]);
}

#[tokio::test]
async fn what_is_refused_for_good_is_listed_and_lets_the_next_one_through() {
    let worker = worker();
    accept(&worker, "t-1", 0).await;
    accept(&worker, "t-1", 1).await;
    let for_good = PublishOutcome::Refused { reason: "400: no".into(), for_good: true };
    let broker = sending(&worker, vec![for_good]);
    let outbox = until(&worker, &["dead"]).await;
    assert_eq!(outbox[0]["reason"], "400: no");
    assert_eq!(order(&broker), [0, 1]);
}

#[tokio::test]
async fn an_event_that_fails_holds_up_no_other_task() {
    let worker = worker();
    accept(&worker, "t-1", 1).await;
    accept(&worker, "t-2", 2).await;
    let broker = sending(&worker, vec![ambiguous()]);
    until(&worker, &[]).await;
    assert_eq!(order(&broker), [1, 2, 1]);
}

#[tokio::test]
async fn an_event_accepted_while_the_sender_sleeps_goes_out_at_once() {
    let worker = worker();
    let broker = sending(&worker, Vec::new());
    until(&worker, &[]).await;
    let begun = worker.clock.monotonic();
    for n in 0..5 {
        accept(&worker, "t-1", n).await;
        until(&worker, &[]).await;
    }
    assert!(
        worker.clock.monotonic() - begun < Duration::from_secs(4),
        "five looks a second apart would take longer"
    );
    assert_eq!(order(&broker), [0, 1, 2, 3, 4]);
}
