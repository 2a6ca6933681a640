//! What stands between the events and the reminders: a relay, or the worker with one of the two sidecars.

use std::fs;
use std::net::TcpListener;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::kafka::{Broker, Consumption, Topics, relay};
use super::publish::Publisher;

/// Longest wait for a sidecar's port.
const START_LIMIT: Duration = Duration::from_secs(60);
const WORKER: &str = env!("CARGO_BIN_EXE_reminder-worker");

/// The three of them.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Client,
    Embedded,
    Daprd,
}

/// One that runs; killed when dropped.
pub(crate) struct Subject {
    sidecar_port: u16,
    processes: Vec<Child>,
    _relay: Option<Consumption>,
    _dir: tempfile::TempDir,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Embedded => "embedded",
            Self::Daprd => "daprd",
        }
    }

    /// What there is to measure; nothing where no daprd is found.
    pub(crate) fn version(self) -> Option<String> {
        match self {
            Self::Client | Self::Embedded => Some(String::new()),
            Self::Daprd => {
                let told = Command::new(daprd()?).arg("--version").output().ok()?;
                Some(String::from_utf8_lossy(&told.stdout).trim().to_owned())
            }
        }
    }
}

impl Subject {
    pub(crate) fn start(kind: Kind, broker: &Broker, topics: &Topics) -> Self {
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
                worker.args(["dev", "--kafka", &broker.address, "--port", &sidecar_port.to_string()]);
                vec![worker.spawn().unwrap()]
            }
            Kind::Daprd => {
                fs::write(dir.path().join("kafka-pubsub.yaml"), component(&broker.address)).unwrap();
                let daprd = sidecar(&dir.path().to_string_lossy(), sidecar_port, app_port).spawn().unwrap();
                vec![worker.arg("serve").spawn().unwrap(), daprd]
            }
        };
        let relay = (kind == Kind::Client).then(|| relay(broker, topics));
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

/// `DAPRD`, then `PATH`, then where `dapr init` puts it.
fn daprd() -> Option<PathBuf> {
    let named = std::env::var_os("DAPRD").map(PathBuf::from);
    let paths = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&paths).map(|dir| dir.join("daprd"));
    let home = std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".dapr/bin/daprd"));
    named.into_iter().chain(on_path).chain(home).find(|path| path.is_file())
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

fn sidecar(resources: &str, port: u16, app_port: u16) -> Command {
    let mut command = Command::new(daprd().unwrap());
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
