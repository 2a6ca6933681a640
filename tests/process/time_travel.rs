//! `dev` on a simulated clock: faster than the machine's, or advanced by whoever tests against it.

use std::process::Stdio;
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
pub(crate) struct Dev {
    pub(crate) worker: Worker,
    dapr: u16,
    pub(crate) setup: Setup,
}

impl Dev {
    /// Starts one with `flags` and waits until its topics are delivered.
    pub(crate) async fn start(flags: &[&str]) -> Self {
        // A year of what it shows would fill a pipe that nobody reads.
        Self::showing(Stdio::null(), flags).await
    }

    /// The same, showing what happens on `shown`.
    async fn showing(shown: Stdio, flags: &[&str]) -> Self {
        let (dapr, grpc) = (free_port(), free_port());
        let setup = Setup::beside(&Sidecar::down());
        let mut command = setup.command(&["dev", "--log-level", "info"]);
        command.stdout(shown);
        command.args(["--port", &dapr.to_string(), "--grpc-port", &grpc.to_string()]).args(flags);
        let worker = Worker::of(Process::new(command)).await;
        let dev = Self { worker, dapr, setup };
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
        self.tell(&task, &event).await;
        task
    }

    /// Publishes the creation of `task`, and waits until it is kept.
    async fn tell(&self, task: &str, event: &Value) {
        let url = format!("http://127.0.0.1:{}/v1.0/publish/kafka-pubsub/task-events", self.dapr);
        let request = self.worker.client.post(url).header("content-type", "application/json");
        assert_eq!(answered(request.body(event.to_string())).await.0, StatusCode::NO_CONTENT);
        let planned = async || {
            (self.worker.ops(&format!("/api/v1/tasks/{task}")).await.0 == StatusCode::OK).then_some(())
        };
        until("the task", planned).await;
    }

    /// When the next reminder fires.
    async fn next(&self) -> Timestamp {
        let page = self.worker.api("/api/v1/reminders?state=pending&limit=1").await;
        instant(&page["reminders"][0]["fire_at"])
    }

    /// Everything that comes back through the broker from now on, until the daemon ends: instant, task and rule.
    async fn listen(&self) -> tokio::task::JoinHandle<Vec<(String, String, String)>> {
        let url = format!("http://{}/api/v1/reminders/stream", self.worker.ops);
        let mut stream = self.worker.client.get(url).send().await.unwrap();
        tokio::spawn(async move {
            let (mut heard, mut text) = (Vec::new(), String::new());
            while let Ok(Some(chunk)) = stream.chunk().await {
                text.push_str(std::str::from_utf8(&chunk).unwrap());
                while let Some((line, rest)) = text.split_once('\n') {
                    if let Some(data) = line.strip_prefix("data:") {
                        let told: Value = serde_json::from_str(data).unwrap();
                        heard.push(firing(&told["event"]["data"]));
                    }
                    text = rest.to_owned();
                }
            }
            heard
        })
    }

    /// Waits until the only reminder of `task` is with the broker, and asserts that it was not early.
    async fn fires(&self, task: &str) {
        let told = self.worker.reminder_is(task, "published").await;
        assert!(instant(&told["published_at"]) >= instant(&told["fire_at"]), "{told}");
    }
}

/// For when a reminder was planned, of which task, by which rule.
fn firing(event: &Value) -> (String, String, String) {
    let word = |key: &str| event["payload"][key].as_str().unwrap().to_owned();
    (word("remind_at"), word("task_id"), word("rule"))
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
async fn a_terminal_that_nobody_reads_holds_up_neither_the_work_nor_the_end() {
    const PIPE_BYTES: usize = 64 * 1024;
    const TITLE_BYTES: usize = 8 * 1024;
    let dev = Dev::showing(Stdio::piped(), &[]).await;
    // What is shown of one more could not be written any more.
    for _ in 0..PIPE_BYTES / TITLE_BYTES + 2 {
        let task = task();
        let event = json!({"event_type": "task_created", "payload": {
            "task_id": task, "title": "x".repeat(TITLE_BYTES), "due_date": dev.now().await.plus(MINUTE).to_rfc3339()}});
        dev.tell(&task, &event).await;
        dev.advance("1m").await;
        dev.fires(&task).await;
    }
    let began = Instant::now();
    assert_eq!(dev.worker.terminated().await, Some(0));
    assert!(began.elapsed() < SLACK, "{:?}", began.elapsed());
}

#[tokio::test]
async fn dev_shows_why_an_event_changed_nothing_or_not_all() {
    let shown = tempfile::NamedTempFile::new().unwrap();
    let dev = Dev::showing(shown.reopen().unwrap().into(), &[]).await;
    let at = dev.now().await;
    let event = |kind: &str, stamp: Timestamp, extra: Value| {
        let mut payload = json!({"task_id": "t-why", "title": "Water"});
        payload.as_object_mut().unwrap().extend(extra.as_object().unwrap().clone());
        json!({"event_type": kind, "timestamp": stamp.to_rfc3339(), "payload": payload})
    };
    let mut answered_before = Some(0);
    for (topic, event, told) in [
        ("task-events", event("task_created", at, json!({"due_date": "05.12.2026"})), "refused"),
        ("task-events", event("task_creatd", at, json!({})), "ignored"),
        ("task-events", event("task_created", at, json!({"priority": "hgh"})), "left out"),
        ("task-events", event("task_deleted", at.plus(HOUR), json!({})), "event "),
        ("task-events", event("task_updated", at, json!({"changes": {"title": {"new": "x"}}})), "stale"),
        ("task-evnts", event("task_created", at, json!({})), "unheard"),
    ] {
        let url = format!("http://127.0.0.1:{}/v1.0/publish/kafka-pubsub/{topic}", dev.dapr);
        let request = dev.worker.client.post(url).header("content-type", "application/json");
        assert_eq!(answered(request.body(event.to_string())).await.0, StatusCode::NO_CONTENT);
        let line = async || {
            let text = std::fs::read_to_string(shown.path()).unwrap();
            text.lines().any(|line| line.contains(&format!(" {told}"))).then_some(())
        };
        until(told, line).await;
        // Without a key nothing else keeps the events of a task in order.
        let answers = async || {
            let events = dev.worker.api("/api/v1/stats").await["events"]["received"].as_u64();
            (topic != "task-events" || events > answered_before).then_some(())
        };
        until("an answer", answers).await;
        answered_before = dev.worker.api("/api/v1/stats").await["events"]["received"].as_u64();
    }
    let text = std::fs::read_to_string(shown.path()).unwrap();
    for told in ["`05.12.2026` is no date; write", "/api/v1/quarantine/0", "`task_creatd`", "`hgh`"] {
        assert!(text.contains(told), "{told}: {text}");
    }
}

#[tokio::test]
async fn serve_has_no_clock_to_advance() {
    let worker = Setup::beside(&Sidecar::up()).start().await;
    assert_eq!(worker.ops("/dev/clock").await.0, StatusCode::NOT_FOUND);
    let request = Client::new().post(format!("http://{}/dev/clock", worker.ops));
    assert_eq!(answered(request.body(r#"{"advance": "2h"}"#)).await.0, StatusCode::NOT_FOUND);
}

/// Zones whose clocks change at different times, by an hour or by half of one, in either half of the year.
const ZONES: [&str; 5] =
    ["Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Pacific/Auckland", "America/Santiago"];
const YEAR: Duration = Duration::from_secs(366 * 86_400);

#[tokio::test]
async fn a_year_over_both_changes_of_the_clocks_fires_live_what_simulate_says() {
    let dev = Dev::start(&[]).await;
    let heard = dev.listen().await;
    let start = dev.now().await;
    let day = &start.plus(Duration::from_secs(86_400)).to_rfc3339()[..10];
    let mut events = String::new();
    for zone in ZONES {
        // A time of day that some clocks skip and others show twice.
        let event = json!({"event_type": "task_created", "timestamp": start.to_rfc3339(), "payload": {
            "task_id": zone, "due_date": format!("{day}T02:30:00"), "timezone": zone,
            "recurrence": {"frequency": "daily"}}});
        events += &format!("{event}\n");
        dev.tell(&zone.replace('/', "%2F"), &event).await;
    }
    let end = start.plus(YEAR);
    let mut next = dev.next().await;
    while next <= end {
        let now = dev.now().await;
        dev.advance(&format!("{}ms", next.since(now).as_millis())).await;
        let fired = async || Some(dev.next().await).filter(|after| *after > next);
        next = until("the next occurrence", fired).await;
    }
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(&file, &events).unwrap();
    let simulated = crate::worker::command()
        .args([
            "simulate",
            "--json",
            "--start",
            &start.to_rfc3339(),
            "--until",
            &end.to_rfc3339(),
            "--events",
        ])
        .arg(file.path())
        .output()
        .unwrap();
    let lines = String::from_utf8(simulated.stdout).unwrap();
    let of_line = |line: &str| firing(&serde_json::from_str::<Value>(line).unwrap()["event"]);
    let mut simulated: Vec<_> = lines.lines().map(of_line).collect();
    assert_eq!(dev.worker.terminated().await, Some(0));
    let mut live = heard.await.unwrap();
    live.sort();
    simulated.sort();
    println!("{} reminders of {} tasks over a year", live.len(), ZONES.len());
    assert!(simulated.len() > 5 * 360, "{}", simulated.len());
    assert_eq!(live, simulated);
}
