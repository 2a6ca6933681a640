//! `dev` on a simulated clock: faster than the machine's, or advanced by whoever tests against it.

use std::time::{Duration, Instant};

use reminder_worker::domain::Timestamp;
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};

use crate::child::Process;
use crate::events::task;
use crate::ports::free_port;
use crate::sidecar::Sidecar;
use crate::wait::until;
use crate::worker::{Setup, Worker, answered};

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
/// Beside the pace that is claimed, what a machine that is busy with other things may add to it.
const SLACK: Duration = Duration::from_secs(5);

/// A `dev` daemon.
struct Dev {
    worker: Worker,
    dapr: u16,
    _setup: Setup,
}

impl Dev {
    /// Starts one with `flags` and waits until its topics are delivered.
    async fn start(flags: &[&str]) -> Self {
        let (dapr, grpc) = (free_port(), free_port());
        let setup = Setup::beside(&Sidecar::down());
        let mut command = setup.command(&["dev", "--log-level", "info"]);
        command.args(["--port", &dapr.to_string(), "--grpc-port", &grpc.to_string()]).args(flags);
        let worker = Worker::of(Process::new(command)).await;
        let dev = Self { worker, dapr, _setup: setup };
        let ready = async || (dev.worker.ops("/readyz").await.0 == StatusCode::OK).then_some(());
        until("readiness", ready).await;
        dev.worker.process.logs("subscribed").await;
        dev
    }

    async fn now(&self) -> Timestamp {
        instant(&self.worker.api("/dev/clock").await["now"])
    }

    /// Advances the clock; what it shows then.
    async fn advance(&self, by: &str) -> Timestamp {
        let request = self.worker.client.post(format!("http://{}/dev/clock", self.worker.ops));
        let (status, told) = answered(request.body(json!({ "advance": by }).to_string())).await;
        assert_eq!(status, StatusCode::OK, "{told}");
        instant(&told["now"])
    }

    /// Creates a task that is due then, and waits until its reminder is planned.
    async fn create(&self, due: Timestamp) -> String {
        let task = task();
        let event = json!({"event_type": "task_created", "payload": {
            "task_id": task, "title": "Water the plants", "due_date": due.to_rfc3339()}});
        let url = format!("http://127.0.0.1:{}/v1.0/publish/kafka-pubsub/task-events", self.dapr);
        let request = self.worker.client.post(url).header("content-type", "application/json");
        assert_eq!(answered(request.body(event.to_string())).await.0, StatusCode::NO_CONTENT);
        let planned = async || {
            (self.worker.ops(&format!("/api/v1/tasks/{task}")).await.0 == StatusCode::OK).then_some(())
        };
        until("the task", planned).await;
        task
    }

    /// Waits until the only reminder of `task` is with the broker, and asserts that it was not early.
    async fn fires(&self, task: &str) {
        let told = self.worker.reminder_is(task, "published").await;
        assert!(instant(&told["published_at"]) >= instant(&told["fire_at"]), "{told}");
    }
}

fn instant(told: &Value) -> Timestamp {
    let at = chrono::DateTime::parse_from_rfc3339(told.as_str().unwrap()).unwrap();
    Timestamp::from_millis(at.timestamp_millis())
}

#[tokio::test]
async fn what_is_due_in_a_minute_fires_after_a_second_where_time_runs_sixty_times_as_fast() {
    let dev = Dev::start(&["--time-scale", "60"]).await;
    assert_eq!(dev.worker.api("/dev/clock").await["scale"], 60.0);
    let began = Instant::now();
    let task = dev.create(dev.now().await.plus(MINUTE)).await;
    dev.fires(&task).await;
    let took = began.elapsed();
    assert!(took >= Duration::from_millis(999), "early: {took:?}");
    assert!(took < Duration::from_secs(1) + SLACK, "{took:?}");
    assert_eq!(dev.worker.ops("/livez").await.0, StatusCode::OK);
    assert_eq!(dev.worker.terminated().await, Some(0));
}

#[tokio::test]
async fn an_advance_fires_what_fell_due_at_once_and_nothing_before_its_time() {
    let dev = Dev::start(&[]).await;
    let start = dev.now().await;
    let in_two_hours = dev.create(start.plus(2 * HOUR)).await;
    let in_one_hour = dev.create(start.plus(HOUR)).await;

    assert!(dev.advance("1h 59m").await >= start.plus(HOUR + 59 * MINUTE));
    dev.fires(&in_one_hour).await;
    let waits = dev.worker.reminder(&in_two_hours).await;
    assert!(waits["state"] == "pending" || dev.now().await >= start.plus(2 * HOUR), "{waits}");

    dev.advance("1m").await;
    dev.fires(&in_two_hours).await;

    // Loops that slept on would make each of these up to a second late.
    let mut took = Duration::ZERO;
    for _ in 0..10 {
        let task = dev.create(dev.now().await.plus(2 * HOUR)).await;
        let began = Instant::now();
        dev.advance("2h").await;
        dev.fires(&task).await;
        took += began.elapsed();
    }
    assert!(took < SLACK, "{took:?}");
    assert_eq!(dev.worker.api("/api/v1/stats").await["events"]["quarantined"], 0);
    assert_eq!(dev.worker.ops("/livez").await.0, StatusCode::OK, "no loop counts as dead");
    assert_eq!(dev.worker.terminated().await, Some(0));
}

#[tokio::test]
async fn serve_has_no_clock_to_advance() {
    let worker = Setup::beside(&Sidecar::up()).start().await;
    assert_eq!(worker.ops("/dev/clock").await.0, StatusCode::NOT_FOUND);
    let request = Client::new().post(format!("http://{}/dev/clock", worker.ops));
    assert_eq!(answered(request.body(r#"{"advance": "2h"}"#)).await.0, StatusCode::NOT_FOUND);
}
