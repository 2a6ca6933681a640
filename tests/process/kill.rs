//! SIGKILL: what was acknowledged is there, what was due fires late, what was confirmed stays so.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use tokio::task::JoinSet;

use crate::events::{FAR, TASK_EVENTS, bulk, cloud_event, created, task};
use crate::sidecar::{Reply, Sidecar};
use crate::wait::{now, until};
use crate::worker::{Setup, Worker, answered};

const ROUNDS: usize = 3;
/// Connections that deliver one event at a time, and that deliver batches.
const SINGLES: usize = 6;
const BULKS: usize = 2;
const BATCH: usize = 20;
/// The reminders of some are due while the load lasts, of some while the worker is down.
const DUE_MS: [i64; 3] = [20, 150, FAR];

/// Task ids by whether they are due before long.
#[derive(Default)]
struct Acknowledged {
    soon: Vec<String>,
    far: Vec<String>,
}

impl Acknowledged {
    fn note(&mut self, task: String, due: i64) {
        if due == FAR { &mut self.far } else { &mut self.soon }.push(task);
    }

    fn len(&self) -> usize {
        self.soon.len() + self.far.len()
    }
}

/// Delivers until the worker is gone, and notes what was acknowledged.
async fn load(worker: &Worker, batch: usize, acknowledged: Arc<Mutex<Acknowledged>>) -> JoinSet<()> {
    let mut clients = JoinSet::new();
    for client in 0..SINGLES + BULKS {
        let count = if client < SINGLES { 1 } else { batch };
        let template = worker.delivery(TASK_EVENTS, "application/json", Vec::new());
        let acknowledged = Arc::clone(&acknowledged);
        clients.spawn(async move {
            for turn in 0.. {
                let tasks: Vec<_> = (0..count).map(|n| (task(), DUE_MS[(turn + n) % DUE_MS.len()])).collect();
                let events: Vec<_> = tasks.iter().map(|(task, due)| created(task, *due)).collect();
                let (kind, body) = match &events[..] {
                    [one] => ("application/cloudevents+json", cloud_event(one)),
                    many => ("application/json", bulk(many)),
                };
                let request =
                    template.try_clone().unwrap().header("content-type", kind).body(body.to_string());
                let Ok(response) = request.send().await else { return };
                let Ok(answer) = response.text().await else { return };
                assert_eq!(answer.matches("SUCCESS").count(), count, "{answer}");
                let mut acknowledged = acknowledged.lock().unwrap();
                tasks.into_iter().for_each(|(task, due)| acknowledged.note(task, due));
            }
        });
    }
    clients
}

#[tokio::test]
async fn what_was_acknowledged_before_a_kill_is_there_and_fires_after_it() {
    let sidecar = Sidecar::up();
    let setup = Setup::beside(&sidecar);
    let acknowledged = Arc::new(Mutex::new(Acknowledged::default()));
    for round in 0..ROUNDS {
        let worker = setup.start().await;
        let wanted = acknowledged.lock().unwrap().len() + 200 + 150 * round;
        let clients = load(&worker, BATCH, Arc::clone(&acknowledged)).await;
        until("enough acknowledged", async || (acknowledged.lock().unwrap().len() >= wanted).then_some(()))
            .await;
        worker.process.kill().await;
        clients.join_all().await;
    }
    let Acknowledged { soon, far } = std::mem::take(&mut *acknowledged.lock().unwrap());
    let worker = setup.start().await;
    for task in &far {
        assert_eq!(worker.reminder(task).await["state"], "pending", "{task}");
    }
    let taken = sidecar.takes(&soon).await;
    for task in &soon {
        let reminder = worker.reminder_is(task, "published").await;
        for repeat in &taken[task] {
            assert_eq!(repeat.id(), reminder["event_id"], "{task}");
            assert_eq!(repeat.raw, taken[task][0].raw, "a repeat is the same, byte for byte");
        }
    }
    for attempt in sidecar.attempts() {
        assert!(attempt.events.iter().all(|event| planned(&event.json) <= attempt.at), "nothing is early");
    }
    let stats = worker.api("/api/v1/stats").await;
    assert!(stats["events"]["applied"].as_u64().unwrap() >= (soon.len() + far.len()) as u64, "{stats}");
    assert_eq!(
        stats["reminders"]["planned"], stats["events"]["applied"],
        "one reminder a task, none lost: {stats}"
    );
}

fn planned(event: &serde_json::Value) -> i64 {
    let at = event["time"].as_str().unwrap();
    chrono::DateTime::parse_from_rfc3339(at).unwrap().timestamp_millis()
}

#[tokio::test]
async fn what_falls_due_while_the_worker_is_down_fires_late_and_what_was_confirmed_is_not_repeated() {
    let sidecar = Sidecar::up();
    let setup = Setup::beside(&sidecar);
    let (before, meanwhile, after) = (task(), task(), task());
    let worker = setup.start().await;
    worker.deliver(&created(&before, 50)).await;
    worker.reminder_is(&before, "published").await;
    worker.deliver(&created(&meanwhile, 600)).await;
    worker.deliver(&created(&after, 4_000)).await;
    let ids: BTreeMap<String, serde_json::Value> = {
        let mut ids = BTreeMap::new();
        for task in [&before, &meanwhile, &after] {
            ids.insert(task.clone(), worker.reminder(task).await["event_id"].clone());
        }
        ids
    };
    worker.process.kill().await;
    let due = now() + 600;
    until("the due date", async || (now() > due).then_some(())).await;

    let worker = setup.start().await;
    let late = worker.reminder_is(&meanwhile, "published").await;
    assert!(late["late_by_ms"].as_u64().unwrap() > 0, "{late}");
    worker.reminder_is(&after, "published").await;
    let taken = sidecar.takes(&[before, meanwhile, after]).await;
    for (task, events) in &taken {
        assert_eq!(events.len(), 1, "{task}");
        assert_eq!(ids[task], events[0].id(), "{task}");
    }
}

#[tokio::test]
async fn a_kill_in_the_middle_of_a_publish_repeats_it_byte_for_byte() {
    let sidecar = Sidecar::up();
    sidecar.behave(|_| Reply::Hang);
    let setup = Setup::beside(&sidecar);
    let worker = setup.start().await;
    let tasks = [task(), task()];
    // One batch, so that they are due at the same instant.
    let (status, _) = {
        let mut event = created(&tasks[0], 100);
        let first = event.clone();
        event["payload"]["task_id"] = tasks[1].clone().into();
        let batch = bulk(&[first, event]);
        answered(worker.delivery(TASK_EVENTS, "application/json", batch.to_string().into())).await
    };
    assert_eq!(status, 200);
    let first = sidecar.seen(1).await;
    worker.process.kill().await;
    sidecar.behave(|_| crate::sidecar::TAKE);
    let worker = setup.start().await;
    for task in &tasks {
        worker.reminder_is(task, "published").await;
    }
    let taken = sidecar.takes(&tasks).await;
    assert_eq!(first[0].events.len(), 2);
    for event in &first[0].events {
        let repeats = &taken[event.task()];
        assert_eq!(repeats.iter().map(|e| &e.raw).collect::<Vec<_>>(), [&event.raw]);
    }
}
