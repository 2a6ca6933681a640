//! What apps ask the worker to publish, and the stream of reminders that came back.

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::events::{REMINDERS, created, task};
use crate::sidecar::Sidecar;
use crate::wait::until;
use crate::worker::Setup;

fn retitled(task: &str, title: &str) -> Value {
    json!({
        "event_type": "task_updated",
        "payload": {"task_id": task, "changed_fields": ["title"], "changes": {"title": {"old": "", "new": title}}}
    })
}

#[tokio::test]
async fn events_accepted_while_the_sidecar_is_down_survive_a_kill_and_go_out_in_order() {
    const COUNT: usize = 5;
    let mut sidecar = Sidecar::down();
    let setup = Setup::beside(&sidecar);
    let worker = setup.start().await;
    let tasks = [task(), task()];
    let mut accepted = Vec::new();
    for n in 0..COUNT {
        for task in &tasks {
            let (status, said) = worker.publish(task, &retitled(task, &n.to_string())).await;
            assert_eq!(status, StatusCode::ACCEPTED, "{said}");
            accepted.push(said["event_id"].clone());
        }
    }
    worker.process.kill().await;
    sidecar.start();
    let worker = setup.start().await;
    let taken =
        until("all events", async || Some(sidecar.taken()).filter(|taken| taken.len() >= 2 * COUNT)).await;
    for task in &tasks {
        let titles = taken.iter().filter(|event| event.task() == task);
        let titles = titles.map(|event| event.json["data"]["payload"]["changes"]["title"]["new"].clone());
        assert_eq!(titles.collect::<Vec<_>>(), (0..COUNT).map(|n| n.to_string()).collect::<Vec<_>>());
    }
    let mut ids: Vec<_> = taken.iter().map(|event| event.json["data"]["event_id"].clone()).collect();
    let by_text = |id: &Value| id.as_str().unwrap().to_owned();
    ids.sort_by_key(by_text);
    accepted.sort_by_key(by_text);
    assert_eq!(ids, accepted);
    assert!(sidecar.attempts().iter().all(|attempt| attempt.path.ends_with("/kafka-pubsub/task-updates")));
    until("an empty outbox", async || {
        (worker.api("/api/v1/outbox").await["outbox"] == json!([])).then_some(())
    })
    .await;
}

#[tokio::test]
async fn an_event_that_is_not_valid_is_refused_with_what_is_wrong() {
    let sidecar = Sidecar::down();
    let worker = Setup::beside(&sidecar).start().await;
    let (status, said) = worker.publish("t-1", &json!({"event_type": "task_created", "payload": {}})).await;
    assert_eq!((status, &said["error"]), (StatusCode::BAD_REQUEST, &"validation_error".into()));
    let fields = said["details"].as_array().unwrap().iter().map(|detail| detail["field"].as_str().unwrap());
    assert!(fields.clone().any(|field| field == "payload.title"), "{said}");
    assert_eq!(worker.api("/api/v1/outbox").await["outbox"], json!([]));
}

#[tokio::test]
async fn a_reminder_that_came_back_is_on_the_stream() {
    let sidecar = Sidecar::up();
    let worker = Setup::beside(&sidecar).start().await;
    let request = worker.client.get(format!("http://{}/api/v1/reminders/stream", worker.ops));
    let mut stream = request.send().await.unwrap();
    assert_eq!(stream.headers()["content-type"], "text/event-stream");
    let task = task();
    worker.deliver(&created(&task, 50)).await;
    let reminder = worker.reminder_is(&task, "published").await;
    let event = sidecar.taken().remove(0);
    let (status, said) = worker.deliver_bytes(REMINDERS, event.raw.clone().into_bytes()).await;
    assert_eq!((status, said), (StatusCode::OK, json!({"status": "SUCCESS"})));
    let mut told = String::new();
    while !told.ends_with("\n\n") {
        told.push_str(std::str::from_utf8(&stream.chunk().await.unwrap().unwrap()).unwrap());
    }
    let field = |name: &str| told.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    assert_eq!(field("event: "), "reminder_due");
    assert_eq!(reminder["event_id"], field("id: "));
    let data: Value = serde_json::from_str(field("data: ")).unwrap();
    assert_eq!((&data["task_id"], &data["event"]), (&task.into(), &event.json));
}
