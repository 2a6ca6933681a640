//! Dapr resources on the command line: what `check` says of them, and that `dev` takes them.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

const REDIS: &str = "apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: kafka-pubsub}
spec: {type: pubsub.redis, version: v1, metadata: [{name: concurrency, value: '1'}, {name: redisHost, value: 'redis:6379'}]}
scopes: [reminder-worker]
";
const RETRY: &str = "---
apiVersion: dapr.io/v1alpha1
kind: Resiliency
metadata: {name: r}
spec:
  policies: {retries: {again: {policy: constant, duration: 100ms, maxRetries: -1}}}
  targets: {components: {kafka-pubsub: {inbound: {retry: again}}}}
";

fn directory(text: &str) -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("dapr.yaml"), text).unwrap();
    dir
}

fn command(dir: &TempDir, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reminder-worker"));
    command.env_clear().current_dir(dir.path()).stdin(Stdio::null());
    command.args(args).args(["--resources-path", "."]);
    command
}

fn check(text: &str, args: &[&str]) -> Output {
    command(&directory(text), &[&["check"], args].concat()).output().unwrap()
}

fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

#[test]
fn check_tells_what_is_there_and_what_will_cost_messages() {
    let output = check(REDIS, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    for said in [
        "[dapr]",
        "# dapr.yaml:1: Component kafka-pubsub, pubsub.redis  (the worker's broker)",
        "# deliveries from kafka-pubsub have no retry policy",
        "# warning: dapr.yaml:1: pubsub.redis loses a message that the app cannot take",
    ] {
        assert!(out(&output).contains(said), "{said}: {}", out(&output));
    }
    let output = check(&format!("{REDIS}{RETRY}"), &["--json"]);
    let told: Value = serde_json::from_str(out(&output)).unwrap();
    assert_eq!(told["resources"]["inbound_retry"]["interval"], "100ms");
    assert_eq!(told["resources"]["components"][0]["type"], "pubsub.redis");
    assert_eq!(told["resources"]["warnings"], serde_json::json!([]));
}

#[test]
fn what_cannot_work_is_a_wrong_configuration_that_says_what_to_write() {
    let mistyped = REDIS.replace("redisHost", "redisHots");
    for (text, args, said) in [
        (mistyped.as_str(), &[][..], "did you mean `redisHost`?"),
        (
            REDIS,
            &["--set", "dapr.pubsub=pubsub"],
            "no component of that name is there; there is kafka-pubsub",
        ),
        (REDIS, &["--app-id", "other"], "add other to its scopes"),
    ] {
        let output = check(text, args);
        assert_eq!((output.status.code(), out(&output)), (Some(78), ""), "{text}");
        assert!(err(&output).contains(said), "{said}: {}", err(&output));
    }
    let output = command(&directory(&mistyped), &["dev", "--set", "ops.port=0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(78), "{}", err(&output));
    let rabbit = REDIS
        .replace("pubsub.redis", "pubsub.rabbitmq")
        .replace("{name: concurrency, value: '1'}, {name: redisHost", "{name: connectionString");
    let output = command(&directory(&rabbit), &["dev", "--set", "ops.port=0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(err(&output).contains("the stand-in behaves like"), "{}", err(&output));
}

#[test]
fn dev_and_sidecar_warn_of_what_will_cost_messages() {
    let taken = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let dev = &["dev", "--set", "app.port=0", "--set", "ops.port=0"][..];
    for args in [dev, &["sidecar", "--app", "reminder-worker=127.0.0.1:1"]] {
        // They end at the port.
        let output = command(&directory(REDIS), args).args(["--port", &port]).output().unwrap();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {}", err(&output));
        let warned = "pubsub.redis loses a message that the app cannot take";
        assert!(err(&output).contains(warned), "{args:?}: {}", err(&output));
        let told = "stop what holds it, or choose another port with --port\n";
        assert!(err(&output).ends_with(told), "{args:?}: {}", err(&output));
    }
}

#[test]
fn a_sidecar_reads_resources_as_its_first_app() {
    let args = ["sidecar", "--app", "orders=127.0.0.1:1", "--app", "reminder-worker=127.0.0.1:1"];
    let output = command(&directory(REDIS), &args).output().unwrap();
    assert_eq!(output.status.code(), Some(78));
    assert!(err(&output).contains("add orders to its scopes"), "{}", err(&output));
}

/// A process that is killed when dropped.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[tokio::test]
async fn dev_behaves_like_the_broker_of_its_resources_and_retries_as_they_say() {
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port();
    let dir = directory(&format!("{REDIS}{RETRY}"));
    let app = App::start().await;
    let (at, to) = (port.to_string(), format!("127.0.0.1:{}", app.port));
    let args = ["dev", "--port", &at, "--app", &to, "--set", "app.port=0", "--set", "ops.port=0"];
    let mut dev = command(&dir, &args);
    let _running = Running(dev.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap());
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let sidecar = format!("http://127.0.0.1:{port}/v1.0");
    let subscribed = until("the subscriptions", async || {
        let metadata = client.get(format!("{sidecar}/metadata")).send().await.ok()?;
        let metadata: Value = serde_json::from_slice(&metadata.bytes().await.ok()?).ok()?;
        let there =
            metadata["subscriptions"].as_array().is_some_and(|list| list.iter().any(|s| s["topic"] == "t"));
        there.then_some(metadata)
    });
    assert_eq!(subscribed.await["components"][0]["type"], "pubsub.redis");
    let publish = client.post(format!("{sidecar}/publish/kafka-pubsub/t")).body("{}").send().await.unwrap();
    assert_eq!(publish.status().as_u16(), 204);
    // Redis alone would have lost it at the first RETRY.
    until("a third delivery", async || (app.deliveries() >= 3).then_some(())).await;
}

/// An app that subscribes to `t` and always wants its messages again.
struct App {
    port: u16,
    deliveries: std::sync::Arc<std::sync::atomic::AtomicUsize>,
}

impl App {
    async fn start() -> Self {
        use axum::routing::{get, post};
        let listener = tokio::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let deliveries = std::sync::Arc::<std::sync::atomic::AtomicUsize>::default();
        let count = deliveries.clone();
        let list = r#"[{"pubsubname":"kafka-pubsub","topic":"t","route":"/t"}]"#;
        let again = async move || {
            count.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            r#"{"status":"RETRY"}"#
        };
        let router =
            axum::Router::new().route("/dapr/subscribe", get(async move || list)).route("/t", post(again));
        #[expect(clippy::disallowed_methods, reason = "nothing of it is drained")]
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { port, deliveries }
    }

    fn deliveries(&self) -> usize {
        self.deliveries.load(std::sync::atomic::Ordering::Relaxed)
    }
}

/// Waits until `look` finds it.
async fn until<T>(what: &str, mut look: impl AsyncFnMut() -> Option<T>) -> T {
    #[expect(clippy::disallowed_methods, reason = "real processes live in real time")]
    let now = Instant::now;
    let end = now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(now() < end, "{what} did not come");
        #[expect(clippy::disallowed_methods, reason = "real processes live in real time")]
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
