//! The worker as a process, and what the system says of it.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::client::Client;

const BINARY: &str = env!("CARGO_BIN_EXE_reminder-worker");
/// Ticks a second in `/proc/PID/stat`: fixed by the kernel's interface.
const TICKS: f64 = 100.0;

/// Settings by the names of their variables.
type Variables = &'static [(&'static str, &'static str)];

/// A running worker; killed when dropped.
pub(crate) struct Worker {
    child: Child,
    store: tempfile::TempDir,
    variables: Variables,
    sidecar_port: u16,
    ops_port: u16,
    pub(crate) app_port: u16,
    pub(crate) ready_after: Duration,
}

impl Worker {
    pub(crate) fn binary_bytes() -> u64 {
        Path::new(BINARY).metadata().unwrap().len()
    }

    pub(crate) async fn start(sidecar_port: u16) -> Self {
        Self::start_with(sidecar_port, &[]).await
    }

    pub(crate) async fn start_with(sidecar_port: u16, variables: Variables) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), variables, sidecar_port, free_port()).await
    }

    pub(crate) async fn start_on(sidecar_port: u16, app_port: u16) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), &[], sidecar_port, app_port).await
    }

    /// Stops it and starts it anew on the same store.
    pub(crate) async fn restart(mut self) -> Self {
        self.stop();
        let store = std::mem::replace(&mut self.store, tempfile::tempdir().unwrap());
        Self::start_in(store, self.variables, self.sidecar_port, self.app_port).await
    }

    async fn start_in(
        store: tempfile::TempDir,
        variables: Variables,
        sidecar_port: u16,
        app_port: u16,
    ) -> Self {
        let ops_port = free_port();
        let began = Instant::now();
        let child = Command::new(BINARY)
            .arg("serve")
            .env("DAPR_HTTP_PORT", sidecar_port.to_string())
            .env("APP_PORT", app_port.to_string())
            .env("REMINDER_WORKER__OPS__PORT", ops_port.to_string())
            .env("REMINDER_WORKER__STORE__PATH", store.path().join("store"))
            .env("RUST_LOG", "warn")
            .envs(variables.iter().copied())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        while tokio::net::TcpStream::connect(("127.0.0.1", app_port)).await.is_err() {
            assert!(began.elapsed() < Duration::from_secs(60), "the worker did not open its port");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let ready_after = began.elapsed();
        Self { child, store, variables, sidecar_port, ops_port, app_port, ready_after }
    }

    pub(crate) fn resident_mb(&self) -> f64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).unwrap();
        let line = status.lines().find_map(|l| l.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
    }

    pub(crate) fn cpu(&self) -> Duration {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id())).unwrap();
        let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
        let ticks: f64 = fields[11].parse::<f64>().unwrap() + fields[12].parse::<f64>().unwrap();
        Duration::from_secs_f64(ticks / TICKS)
    }

    pub(crate) fn disk_mb(&self) -> f64 {
        let bytes: u64 = std::fs::read_dir(self.store.path().join("store"))
            .unwrap()
            .filter_map(|entry| entry.unwrap().metadata().ok())
            .map(|metadata| metadata.len())
            .sum();
        bytes as f64 / 1e6
    }

    /// How many reminders the worker counts as published.
    pub(crate) async fn published(&self) -> usize {
        let stats = Client::connect(self.ops_port).await.get("/api/v1/stats").await;
        let stats: serde_json::Value = serde_json::from_slice(&stats).unwrap();
        usize::try_from(stats["reminders"]["published"].as_u64().unwrap()).unwrap()
    }

    fn stop(&mut self) {
        let _ = Command::new("kill").args(["-TERM", &self.child.id().to_string()]).status();
        let _ = self.child.wait();
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn free_port() -> u16 {
    std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
