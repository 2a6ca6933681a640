//! Sidecar, tap and worker, as a test of the worker needs them.

use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use reminder_worker::domain::Timestamp;
use reminder_worker::sidecar::InboundRetry;
use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::child::Process;
use crate::ports::free_port;
use crate::sidecar::{Broker, COMPONENT, Kind, Running, Spec};
use crate::tap::Tap;
use crate::wait::{now, until};

/// The paths of the worker's subscriptions.
pub(crate) const TASK_EVENTS: &str = "/events/task-events";
pub(crate) const REMINDERS: &str = "/events/reminders";

/// The inbound retry that is shipped for brokers that lose what is not taken at once, sped up.
const RETRY: InboundRetry = InboundRetry { interval: Duration::from_millis(300), max_retries: 400 };

/// A sidecar and its broker.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) kind: Kind,
    pub(crate) broker: Broker,
}

/// What differs from the ordinary.
#[derive(Clone, Default)]
pub(crate) struct Plan {
    pub(crate) settings: Vec<&'static str>,
    pub(crate) dead_letters: bool,
    pub(crate) app_health: bool,
    /// `APP_API_TOKEN` of sidecar and worker.
    pub(crate) app_tokens: (Option<&'static str>, Option<&'static str>),
    /// `DAPR_API_TOKEN` of sidecar and worker.
    pub(crate) api_tokens: (Option<&'static str>, Option<&'static str>),
}

/// All of it, running.
pub(crate) struct Rig {
    kind: Kind,
    spec: Spec,
    pub(crate) sidecar: Running,
    pub(crate) tap: Tap,
    pub(crate) worker: Worker,
    setup: Setup,
    pub(crate) suffix: String,
}

/// What the worker is started with, again and again on the same store.
struct Setup {
    dir: TempDir,
    arguments: Vec<String>,
    env: Vec<(&'static str, &'static str)>,
}

/// A worker that listens.
pub(crate) struct Worker {
    pub(crate) process: Process,
    ops: String,
}

impl Rig {
    /// Starts the sidecar, which waits for the app's port, then the worker, then opens the tap between them.
    pub(crate) async fn start(place: &Place, plan: &Plan) -> Self {
        static NEXT: AtomicUsize = AtomicUsize::new(0);
        let suffix = format!("{}-{}", now(), NEXT.fetch_add(1, Ordering::SeqCst));
        let (tap_port, worker_port) = (free_port(), free_port());
        let spec = Spec {
            broker: place.broker.clone(),
            app_id: "reminder-worker",
            app_port: tap_port,
            group: format!("reminder-worker-{suffix}"),
            port: free_port(),
            retry: Some(RETRY),
            app_token: plan.app_tokens.0,
            api_token: plan.api_tokens.0,
            app_health: plan.app_health,
        };
        let sidecar = Running::start(&place.kind, &spec).await;
        let setup = Setup::new(plan, &suffix, worker_port, spec.port);
        let worker = setup.start().await;
        let dead_letter = plan.dead_letters.then(|| format!("dead-{suffix}"));
        let tap = Tap::open(tap_port, worker_port, dead_letter).await;
        Self { kind: place.kind.clone(), spec, sidecar, tap, worker, setup, suffix }
    }

    /// The same, and waits until events can flow.
    pub(crate) async fn ready(place: &Place, plan: &Plan) -> Self {
        let rig = Self::start(place, plan).await;
        rig.sidecar.has_subscriptions(3 + usize::from(plan.dead_letters)).await;
        rig.worker.is_ready().await;
        rig
    }

    /// A worker of the same store in place of the one that ended.
    pub(crate) async fn restart_worker(&mut self) {
        self.worker = self.setup.start().await;
    }

    /// Ends the sidecar in the middle of whatever it does.
    pub(crate) async fn lose_sidecar(self) -> Lost {
        let Self { kind, spec, sidecar, tap, worker, setup, suffix } = self;
        sidecar.end().await;
        Lost { kind, spec, tap, worker, setup, suffix }
    }

    /// Publishes an event on the topic of task events, which must be taken.
    pub(crate) async fn publish(&self, event: &Value) {
        let status = self.publish_bytes("task-events", event.to_string().into_bytes()).await;
        assert_eq!(status, StatusCode::NO_CONTENT);
    }

    /// Publishes any JSON text on a topic.
    pub(crate) async fn publish_bytes(&self, topic: &str, body: Vec<u8>) -> StatusCode {
        let request = self.sidecar.post(&self.path("publish", topic));
        request.header("content-type", "application/json").body(body).send().await.unwrap().status()
    }

    /// The path of an endpoint for a topic of this rig.
    pub(crate) fn path(&self, endpoint: &str, topic: &str) -> String {
        format!("/v1.0/{endpoint}/{COMPONENT}/{topic}-{}", self.suffix)
    }

    /// The answers to deliveries of task events, once there are `count`.
    pub(crate) async fn replies(&self, count: usize) -> Vec<(u16, Value)> {
        until("the answers to deliveries", async || {
            let passed = self.tap.passed(TASK_EVENTS);
            let answers: Vec<_> = passed.into_iter().map(|passed| (passed.status, passed.reply)).collect();
            (answers.len() >= count).then_some(answers)
        })
        .await
    }
}

/// A rig whose sidecar has ended.
pub(crate) struct Lost {
    kind: Kind,
    spec: Spec,
    tap: Tap,
    pub(crate) worker: Worker,
    setup: Setup,
    suffix: String,
}

impl Lost {
    /// Another sidecar in its place.
    pub(crate) async fn restart_sidecar(self) -> Rig {
        let Self { kind, spec, tap, worker, setup, suffix } = self;
        let sidecar = Running::start(&kind, &spec).await;
        Rig { kind, spec, sidecar, tap, worker, setup, suffix }
    }
}

impl Setup {
    fn new(plan: &Plan, suffix: &str, app_port: u16, sidecar_port: u16) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut settings = vec![
            format!("store.path={}", dir.path().join("store").display()),
            format!("app.port={app_port}"),
            "ops.port=0".into(),
            format!("dapr.http_endpoint=http://127.0.0.1:{sidecar_port}"),
            format!("topics.task_events=task-events-{suffix}"),
            format!("topics.task_updates=task-updates-{suffix}"),
            format!("topics.reminders=reminders-{suffix}"),
        ];
        settings.extend(plan.dead_letters.then(|| format!("topics.dead_letter=dead-{suffix}")));
        settings.extend(plan.settings.iter().map(|setting| (*setting).to_owned()));
        let arguments = settings.into_iter().flat_map(|setting| ["--set".to_owned(), setting]).collect();
        let tokens = [("APP_API_TOKEN", plan.app_tokens.1), ("DAPR_API_TOKEN", plan.api_tokens.1)];
        let env = tokens.into_iter().filter_map(|(name, token)| Some((name, token?))).collect();
        Self { dir, arguments, env }
    }

    async fn start(&self) -> Worker {
        let mut command = Command::new(env!("CARGO_BIN_EXE_reminder-worker"));
        command.env_clear().envs(self.env.iter().copied()).current_dir(self.dir.path());
        command.arg("serve").args(&self.arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let process = Process::new(command);
        let ops = process.logs("the worker listens").await["ops"].as_str().unwrap().to_owned();
        Worker { process, ops }
    }
}

impl Worker {
    /// Asks the ops listener.
    pub(crate) async fn ops(&self, path: &str) -> (StatusCode, Value) {
        let client = reqwest::Client::builder().no_proxy().build().unwrap();
        let response = client.get(format!("http://{}{path}", self.ops)).send().await.unwrap();
        let status = response.status();
        (status, serde_json::from_slice(&response.bytes().await.unwrap()).unwrap_or_default())
    }

    /// Waits until it is ready.
    pub(crate) async fn is_ready(&self) {
        until("readiness", async || (self.ops("/readyz").await.0 == StatusCode::OK).then_some(())).await;
    }

    /// How many events were counted as `kind`.
    pub(crate) async fn counted(&self, kind: &str) -> u64 {
        self.ops("/api/v1/stats").await.1["events"][kind].as_u64().unwrap()
    }

    /// Waits until the only reminder of `task` is in `state`.
    pub(crate) async fn reminder_is(&self, task: &str, state: &str) -> Value {
        until(&format!("{task} {state}"), async || {
            let (status, told) = self.ops(&format!("/api/v1/tasks/{task}")).await;
            let reminder = told["reminders"].as_array().and_then(|all| all.first()).cloned();
            reminder.filter(|reminder| status == StatusCode::OK && reminder["state"] == state)
        })
        .await
    }
}

/// A task that is due `in_ms` from now and was created a second ago.
pub(crate) fn created(task: &str, in_ms: i64) -> Value {
    let instant = |ms: i64| Timestamp::from_millis(ms).to_rfc3339();
    let at = now() - 1_000;
    json!({
        "event_id": format!("{task}-created"), "event_type": "task_created", "event_version": "v1",
        "timestamp": instant(at), "correlation_id": null, "producer": "chat-api",
        "payload": {"task_id": task, "user_id": "ann", "title": "Water the plants", "due_date": instant(now() + in_ms)}
    })
}
