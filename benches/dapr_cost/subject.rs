//! What stands between the events and the reminders: a relay, or the worker with one of the two sidecars.

use std::fs;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::found::Daprd;
use super::kafka::{Broker, Consumption, Topics, relay};
use super::publish::Publisher;

/// Longest wait for a sidecar's port.
const START_LIMIT: Duration = Duration::from_secs(60);
const WORKER: &str = env!("CARGO_BIN_EXE_reminder-worker");

/// The three of them.
#[derive(Clone)]
pub(crate) enum Kind {
    Client,
    Embedded,
    Daprd(Daprd),
}

/// One that runs; killed when dropped.
pub(crate) struct Subject {
    sidecar_port: u16,
    processes: Vec<Child>,
    _relay: Option<Consumption>,
    _dir: tempfile::TempDir,
}

impl Kind {
    pub(crate) fn name(&self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Embedded => "embedded",
            Self::Daprd(_) => "daprd",
        }
    }
}

impl Subject {
    pub(crate) fn start(kind: &Kind, broker: &Broker, topics: &Topics) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let (sidecar_port, app_port) = (free_port(), free_port());
        let mut worker = Command::new(WORKER);
        worker
            .env("APP_PORT", app_port.to_string())
            .env("DAPR_HTTP_PORT", sidecar_port.to_string())
            .env("REMINDER_WORKER__OPS__PORT", free_port().to_string())
            .env("REMINDER_WORKER__STORE__PATH", dir.path().join("store"))
            .env("REMINDER_WORKER__TOPICS__TASK_EVENTS", &topics.events)
            .env("REMINDER_WORKER__TOPICS__TASK_UPDATES", &topics.updates)
            .env("REMINDER_WORKER__TOPICS__REMINDERS", &topics.reminders)
            .env("RUST_LOG", "warn")
            .stdout(Stdio::null());
        let processes = match kind {
            Kind::Client => vec![],
            Kind::Embedded => {
                worker.args(["dev", "--kafka", broker.address(), "--port", &sidecar_port.to_string()]);
                vec![worker.spawn().unwrap()]
            }
            Kind::Daprd(daprd) => {
                fs::write(dir.path().join("kafka-pubsub.yaml"), component(broker.address())).unwrap();
                let resources = dir.path().to_string_lossy();
                let daprd = sidecar(daprd, &resources, sidecar_port, app_port).spawn().unwrap();
                vec![worker.arg("serve").spawn().unwrap(), daprd]
            }
        };
        let relay = matches!(kind, Kind::Client).then(|| relay(broker, topics));
        Self { sidecar_port, processes, _relay: relay, _dir: dir }
    }

    /// Whoever publishes to it: the client at the broker, anybody else at the sidecar, once that listens.
    pub(crate) async fn publisher(&self, broker: &Broker) -> Publisher {
        if self.processes.is_empty() {
            return Publisher::client(broker);
        }
        let until = Instant::now() + START_LIMIT;
        while TcpStream::connect(("127.0.0.1", self.sidecar_port)).await.is_err() {
            assert!(Instant::now() < until, "the sidecar did not open its port");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Publisher::Sidecar { port: self.sidecar_port }
    }
}

impl Drop for Subject {
    fn drop(&mut self) {
        for process in &mut self.processes {
            let _ = process.kill();
            let _ = process.wait();
        }
    }
}

fn component(brokers: &str) -> String {
    format!(
        r#"apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {{name: kafka-pubsub}}
spec:
  type: pubsub.kafka
  version: v1
  metadata:
  - {{name: brokers, value: "{brokers}"}}
  - {{name: authType, value: "none"}}
  - {{name: initialOffset, value: "oldest"}}
"#
    )
}

fn sidecar(daprd: &Daprd, resources: &str, port: u16, app_port: u16) -> Command {
    let mut command = Command::new(&daprd.path);
    command
        .args(["--app-id", "worker-beside-daprd", "--app-protocol", "http", "--log-level", "warn"])
        .args(["--app-port", &app_port.to_string(), "--dapr-http-port", &port.to_string()])
        .args(["--dapr-grpc-port", &free_port().to_string()])
        .args(["--dapr-internal-grpc-port", &free_port().to_string()])
        .args(["--dapr-listen-addresses", "127.0.0.1", "--dapr-internal-grpc-listen-address", "127.0.0.1"])
        .args(["--metrics-port", &free_port().to_string(), "--metrics-listen-address", "127.0.0.1"])
        .args(["--placement-host-address", "", "--scheduler-host-address", ""])
        .args(["--resources-path", resources])
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
