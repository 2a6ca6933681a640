//! The binary itself, started as the pod starts it, asked what the manifests ask.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use crate::pod::{CONFIG, CONFIG_VARIABLE, OVERLAYS, SET, annotation, container, environment};
use crate::tree::{Faults, Tree, holds, list, text};

const LAPTOP: &str = "k8s/laptop/dapr.yaml";

/// A worker; it is killed when dropped.
struct Worker(Child);

impl Drop for Worker {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts what the image's entry point is with the container's arguments and variables; ports and store are this
/// machine's. Its addresses: the app port's, the ops port's.
fn start(tree: &Tree, dir: &tempfile::TempDir) -> (Worker, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reminder-worker"));
    command.env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.args(list(&container(tree)["args"]).iter().map(text));
    // As in production, tokens included; the file is where it lies here.
    command.envs(environment(tree, OVERLAYS[1])).env(CONFIG_VARIABLE, CONFIG);
    command.args(["--app-port", "0", "--ops-port", "0", "--store-path"]).arg(dir.path().join("store"));
    let mut worker = Worker(command.spawn().unwrap());
    let lines = BufReader::new(worker.0.stderr.take().unwrap()).lines().map_while(Result::ok);
    let mut said = Vec::new();
    for line in lines {
        let parsed: Value = serde_json::from_str(&line).unwrap_or_default();
        if text(&parsed["message"]).contains("the worker listens") {
            let address = |field: &str| text(&parsed[field]).replace("0.0.0.0", "127.0.0.1");
            return (worker, address("app"), address("ops"));
        }
        said.push(line);
    }
    panic!("the worker ended: {said:?}");
}

/// The status of `GET path` without any token, as probes ask.
fn status(address: &str, path: &str) -> u16 {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "GET {path} HTTP/1.0\r\nhost: {address}\r\n\r\n").unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

#[test]
fn the_worker_of_the_pod_answers_at_every_path_that_the_manifests_name() {
    let dir = tempfile::tempdir().unwrap();
    let (_worker, app, ops) = start(&Tree::shipped(), &dir);
    let rule = |tree: &Tree, faults: &mut Faults| {
        let probe = |name: &str| text(&container(tree)[name]["httpGet"]["path"]).to_owned();
        let annotated = |name: &str| text(&annotation(tree, name)).to_owned();
        let laptop = tree.document(LAPTOP)["apps"][0]["appHealthCheckPath"].clone();
        for (address, path, expected) in [
            (&ops, probe("startupProbe"), 200),
            (&ops, probe("livenessProbe"), 200),
            // There is no sidecar, and it says so.
            (&ops, probe("readinessProbe"), 503),
            (&ops, annotated("prometheus.io/path"), 200),
            (&app, annotated("dapr.io/app-health-check-path"), 204),
            (&app, text(&laptop).to_owned(), 204),
        ] {
            faults.unless_same(&path, status(address, &path), expected);
        }
    };
    holds(
        rule,
        &[
            (SET, "path: /livez", "path: /live"),
            (SET, "path: /readyz", "path: /livez"),
            (SET, "path: /readyz", "path: /ready"),
            (SET, "prometheus.io/path: /metrics", "prometheus.io/path: /metric"),
            (SET, "health-check-path: /healthz", "health-check-path: /health"),
            (LAPTOP, "appHealthCheckPath: /healthz", "appHealthCheckPath: /livez"),
        ],
    );
}

#[test]
fn every_path_that_the_smoke_test_asks_is_one_of_the_worker() {
    let dir = tempfile::tempdir().unwrap();
    let (_worker, _, ops) = start(&Tree::shipped(), &dir);
    let rule = |tree: &Tree, faults: &mut Faults| {
        let after = tree.text("k8s/smoke").split("$ops").skip(1);
        let words = after.map(|rest| rest.split(['"', ' ', ')', '?', '\n']).next().unwrap_or_default());
        let paths: BTreeSet<&str> = words.filter(|word| word.starts_with('/')).collect();
        faults.unless_same("paths", paths.len(), 5);
        for path in paths {
            // The API asks for its token where it has a path, and says 404 where it has none.
            let expected: &[u16] = if path.starts_with("/api/") { &[401] } else { &[200, 503] };
            let answer = status(&ops, &path.replace("$task", "t-1"));
            faults.unless(expected.contains(&answer), format_args!("{path}: {answer}"));
        }
    };
    let smoke = "k8s/smoke";
    holds(
        rule,
        &[
            (smoke, "/api/v1/reminders/stream", "/api/v1/stream"),
            (smoke, "$ops/api/v1/tasks/$task", "$ops/api/v1/task/$task"),
            (smoke, "$ops/livez", "$ops/alive"),
        ],
    );
}

#[test]
fn the_variable_that_names_the_file_is_the_binarys() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let variables = environment(tree, OVERLAYS[0]);
        let named = variables.iter().filter(|(_, value)| value.ends_with(".toml")).map(|(name, _)| name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_reminder-worker"));
        command.env_clear().args(["check", "--set", "ops.token=secret"]);
        let told = command.envs(named.map(|name| (name, CONFIG))).output().unwrap();
        let told = String::from_utf8(told.stdout).unwrap();
        faults
            .unless(told.contains(&format!("# file {CONFIG}")), format_args!("the file is not read: {told}"));
    };
    holds(rule, &[(SET, "name: REMINDER_WORKER_CONFIG", "name: REMINDER_WORKER_CONF")]);
}
