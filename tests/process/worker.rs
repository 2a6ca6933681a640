//! The worker's process: how it is started, what it is asked and how it ends.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::Arc;

use reqwest::{Client, RequestBuilder, StatusCode};
use serde_json::Value;
use tempfile::TempDir;

use crate::child::Process;
use crate::events::{TASK_EVENTS, cloud_event};
use crate::sidecar::Sidecar;
use crate::wait::until;

/// The command with nothing of this shell's environment.
pub(crate) fn command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reminder-worker"));
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// What a worker is started with: a store of its own, and the settings that a test needs.
pub(crate) struct Setup {
    dir: Arc<TempDir>,
    settings: Vec<String>,
    env: Vec<(&'static str, &'static str)>,
}

impl Setup {
    pub(crate) fn beside(sidecar: &Sidecar) -> Self {
        let setup =
            Self { dir: Arc::new(tempfile::tempdir().unwrap()), settings: Vec::new(), env: Vec::new() };
        setup
            .set("app.port=0")
            .set("ops.port=0")
            .set(format!("dapr.http_endpoint=http://127.0.0.1:{}", sidecar.port))
    }

    pub(crate) fn set(mut self, setting: impl Into<String>) -> Self {
        self.settings.push(setting.into());
        self
    }

    pub(crate) fn env(mut self, name: &'static str, value: &'static str) -> Self {
        self.env.push((name, value));
        self
    }

    pub(crate) fn store(&self) -> PathBuf {
        self.dir.path().join("store")
    }

    pub(crate) fn command(&self, subcommand: &[&str]) -> Command {
        let mut command = command();
        command.args(subcommand).arg("--store-path").arg(self.store()).envs(self.env.iter().copied());
        for setting in &self.settings {
            command.arg("--set").arg(setting);
        }
        command
    }

    /// Runs `serve` where it is not going to last.
    pub(crate) fn ends(&self) -> Output {
        self.command(&["serve"]).output().unwrap()
    }

    pub(crate) fn spawn(&self) -> Process {
        Process::new(self.command(&["serve"]))
    }

    /// Starts a worker and waits until it listens.
    pub(crate) async fn start(&self) -> Worker {
        Worker { _dir: Some(Arc::clone(&self.dir)), ..Worker::of(self.spawn()).await }
    }
}

impl Process {
    pub(crate) async fn kill(mut self) {
        self.signal("KILL");
        self.ended().await;
    }
}

/// A worker that listens.
pub(crate) struct Worker {
    pub(crate) process: Process,
    pub(crate) app: SocketAddr,
    pub(crate) ops: SocketAddr,
    pub(crate) client: Client,
    /// What is shown to the app listener.
    pub(crate) token: Option<&'static str>,
    /// Where its store lies, as long as it runs: a worker ends whose store is removed.
    _dir: Option<Arc<TempDir>>,
}

impl Worker {
    /// The worker that `process` is, once it listens.
    pub(crate) async fn of(process: Process) -> Self {
        let line = process.logs("the worker listens").await;
        let address = |field: &str| line[field].as_str().unwrap().parse().unwrap();
        let client = Client::builder().no_proxy().build().unwrap();
        Self { app: address("app"), ops: address("ops"), process, client, token: None, _dir: None }
    }

    /// Asks for the subscriptions, as daprd does once in its life.
    pub(crate) async fn subscriptions(&self) -> (StatusCode, Value) {
        answered(self.with_token(self.client.get(format!("http://{}/dapr/subscribe", self.app)))).await
    }

    /// Delivers one body as daprd does.
    pub(crate) async fn deliver_bytes(&self, route: &str, body: Vec<u8>) -> (StatusCode, Value) {
        answered(self.delivery(route, "application/cloudevents+json", body)).await
    }

    /// Delivers a batch as daprd does.
    pub(crate) async fn deliver_bulk(&self, route: &str, batch: &Value) -> (StatusCode, Value) {
        answered(self.delivery(route, "application/json", batch.to_string().into_bytes())).await
    }

    /// Delivers a task event, which must succeed.
    pub(crate) async fn deliver(&self, event: &Value) {
        let (status, said) =
            self.deliver_bytes(TASK_EVENTS, cloud_event(event).to_string().into_bytes()).await;
        assert_eq!((status.as_u16(), &said["status"]), (200, &"SUCCESS".into()), "{event}");
    }

    /// One delivery, not yet sent.
    pub(crate) fn delivery(&self, route: &str, content_type: &str, body: Vec<u8>) -> RequestBuilder {
        let request = self.client.post(format!("http://{}{route}", self.app));
        self.with_token(request)
            .header("content-type", content_type)
            .header("pubsubname", "kafka-pubsub")
            .body(body)
    }

    /// Asks the worker to publish `event` of `task`.
    pub(crate) async fn publish(&self, task: &str, event: &Value) -> (StatusCode, Value) {
        let request = self.client.post(format!("http://{}/api/tasks/{task}/events", self.app));
        let request = request.header("content-type", "application/json");
        answered(self.with_token(request).body(event.to_string())).await
    }

    /// Asks the ops listener.
    pub(crate) async fn ops(&self, path: &str) -> (StatusCode, Value) {
        answered(self.client.get(format!("http://{}{path}", self.ops))).await
    }

    /// What the ops listener shows as text.
    pub(crate) async fn text(&self, path: &str) -> String {
        self.client.get(format!("http://{}{path}", self.ops)).send().await.unwrap().text().await.unwrap()
    }

    /// Asks the API, which must answer.
    pub(crate) async fn api(&self, path: &str) -> Value {
        let (status, said) = self.ops(path).await;
        assert_eq!(status, StatusCode::OK, "{path}: {said}");
        said
    }

    /// The only reminder of `task`.
    pub(crate) async fn reminder(&self, task: &str) -> Value {
        let told = self.api(&format!("/api/v1/tasks/{task}")).await;
        let reminders = told["reminders"].as_array().unwrap();
        assert_eq!(reminders.len(), 1, "{told}");
        reminders[0].clone()
    }

    /// Waits until the only reminder of `task` is in `state`.
    pub(crate) async fn reminder_is(&self, task: &str, state: &str) -> Value {
        until(state, async || Some(self.reminder(task).await).filter(|reminder| reminder["state"] == state))
            .await
    }

    /// SIGTERM, and the exit code.
    pub(crate) async fn terminated(mut self) -> Option<i32> {
        self.process.signal("TERM");
        self.process.ended().await.code()
    }

    fn with_token(&self, request: RequestBuilder) -> RequestBuilder {
        match self.token {
            Some(token) => request.header("dapr-api-token", token),
            None => request,
        }
    }
}

/// Sends a request that must be answered; status and body, as JSON where it is.
pub(crate) async fn answered(request: RequestBuilder) -> (StatusCode, Value) {
    let response = request.send().await.unwrap();
    let status = response.status();
    let body = response.bytes().await.unwrap();
    (status, serde_json::from_slice(&body).unwrap_or_default())
}
