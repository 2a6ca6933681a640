//! A daprd as a process: its resources, its flags, its end.

use std::fmt::Write as _;
use std::fs::File;
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;

use reminder_worker::sidecar::Profile;
use tempfile::TempDir;

use crate::found::Daprd;
use crate::ports::free_port;
use crate::sidecar::{COMPONENT, PROBE_EVERY, PROBES_BAD, Spec};

/// More than a scenario's topics: with fewer connections publishes fail once so many topics are read.
const REDIS_POOL_SIZE: usize = 400;

/// `processingTimeout` and `redeliverInterval`. When an app falls ill, each subscription's open read still gets one
/// message, which nobody handles: it is delivered once it has been pending so long, with daprd's defaults 60 to 75 s
/// later. In milliseconds, since the second is not read where it has a unit.
const RECLAIMED_LATE: [&str; 2] = ["60000", "15000"];
const RECLAIMED_SOON: [&str; 2] = ["3000", "1000"];

/// Lines of its log that are shown when it ended by itself.
const LAST_LINES: usize = 8;

/// A daprd; it is killed when dropped.
pub(crate) struct Process {
    child: Mutex<Child>,
    dir: TempDir,
}

impl Process {
    pub(crate) fn start(daprd: &Daprd, spec: &Spec) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let resources = dir.path().join("resources");
        std::fs::create_dir(&resources).unwrap();
        std::fs::write(resources.join("pubsub.yaml"), component(spec)).unwrap();
        if let Some(resiliency) = resiliency(spec) {
            std::fs::write(resources.join("resiliency.yaml"), resiliency).unwrap();
        }
        let log = File::create(dir.path().join("log")).unwrap();
        let mut command = Command::new(&daprd.path);
        command.env_clear().current_dir(dir.path());
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        for (flag, value) in [
            ("--app-id", spec.app_id.to_owned()),
            ("--app-port", spec.app_port.to_string()),
            ("--app-protocol", "http".into()),
            ("--dapr-http-port", spec.port.to_string()),
            ("--dapr-grpc-port", free_port().to_string()),
            ("--dapr-internal-grpc-port", free_port().to_string()),
            ("--dapr-listen-addresses", "127.0.0.1".into()),
            ("--dapr-internal-grpc-listen-address", "127.0.0.1".into()),
            ("--metrics-port", free_port().to_string()),
            ("--metrics-listen-address", "127.0.0.1".into()),
            ("--resources-path", resources.display().to_string()),
            // Blank: neither service is there, and readiness does not wait for it.
            ("--placement-host-address", String::new()),
            ("--scheduler-host-address", String::new()),
            ("--log-level", "info".into()),
        ] {
            command.arg(flag).arg(value);
        }
        if spec.app_health {
            command.args(["--enable-app-health-check", "--app-health-check-path", "/healthz"]);
            command.arg("--app-health-probe-interval").arg(PROBE_EVERY.as_secs().to_string());
            command.arg("--app-health-threshold").arg(PROBES_BAD.to_string());
        }
        let tokens = [("DAPR_API_TOKEN", spec.api_token), ("APP_API_TOKEN", spec.app_token)];
        command.envs(tokens.into_iter().filter_map(|(name, token)| Some((name, token?))));
        let child = command.spawn().unwrap();
        Self { child: Mutex::new(child), dir }
    }

    pub(crate) fn assert_running(&self) {
        let ended = self.child.lock().unwrap().try_wait().unwrap();
        if let Some(status) = ended {
            panic!("daprd ended by itself with {status}: {}", self.last_lines());
        }
    }

    fn last_lines(&self) -> String {
        let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
        let lines: Vec<&str> = log.lines().collect();
        lines[lines.len().saturating_sub(LAST_LINES)..].join("\n")
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let child = self.child.get_mut().unwrap();
        // It may have ended.
        let _ = child.kill();
        let _ = child.wait();
    }
}

fn component(spec: &Spec) -> String {
    let pairs: Vec<(&str, String)> = match spec.broker.profile {
        Profile::InMemory => vec![],
        Profile::Redis => {
            let [processing, interval] = if spec.app_health { RECLAIMED_SOON } else { RECLAIMED_LATE };
            vec![
                ("redisHost", spec.broker.address.clone()),
                ("consumerID", spec.group.clone()),
                ("poolSize", REDIS_POOL_SIZE.to_string()),
                ("processingTimeout", processing.into()),
                ("redeliverInterval", interval.into()),
            ]
        }
        Profile::Kafka => vec![
            ("brokers", spec.broker.address.clone()),
            ("authType", "none".into()),
            ("consumerGroup", spec.group.clone()),
            ("initialOffset", "oldest".into()),
        ],
    };
    let mut metadata = String::new();
    for (name, value) in pairs {
        // Writing to a String cannot fail.
        let _ = write!(metadata, "\n  - {{name: {name}, value: \"{value}\"}}");
    }
    let kind = spec.broker.profile.component_type();
    let metadata = if metadata.is_empty() { " []" } else { &metadata };
    format!(
        "apiVersion: dapr.io/v1alpha1\nkind: Component\nmetadata: {{name: {COMPONENT}}}\nspec:\n  type: {kind}\n  \
         version: v1\n  metadata:{metadata}\n"
    )
}

fn resiliency(spec: &Spec) -> Option<String> {
    let policy = spec.retry?;
    let (millis, tries) = (policy.interval.as_millis(), policy.max_retries);
    Some(format!(
        "apiVersion: dapr.io/v1alpha1\nkind: Resiliency\nmetadata: {{name: inbound}}\nspec:\n  policies:\n    \
         retries:\n      again: {{policy: constant, duration: {millis}ms, maxRetries: {tries}}}\n  targets:\n    \
         components:\n      {COMPONENT}:\n        inbound: {{retry: again}}\n"
    ))
}
