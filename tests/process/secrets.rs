//! Secrets: whatever the worker writes or answers, and whatever it leaves behind, holds none.

use std::fs::File;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use axum::body::Body;
use hyper_util::client::legacy::Client as Http2;
use hyper_util::rt::TokioExecutor;
use reqwest::{Client, RequestBuilder};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::events::{TASK_EVENTS, cloud_event, created, task, titled};
use crate::ports::free_port;
use crate::sidecar::Sidecar;
use crate::wait::until;
use crate::worker::Setup;

const TO_APP: &str = "t0-app-PqW7Zk";
const TO_DAPR: &str = "t0-dapr-Xc9LmB";
const TO_OPS: &str = "t0-ops-Rt4VnY";
const USER_KEY: &str = "us3r-key-Hj6SdF0123456789abcdefghij";
/// What a task is called; that belongs to its user.
const TITLE: &str = "t1tle-Mn8QwE";
/// What none may be found of; a token that is nearly right is as telling as the right one.
const SECRETS: [&str; 4] = ["PqW7Zk", "Xc9LmB", "Rt4VnY", "Hj6SdF"];
const VARIABLES: [(&str, &str); 5] = [
    ("APP_API_TOKEN", TO_APP),
    ("DAPR_API_TOKEN", TO_DAPR),
    ("REMINDER_WORKER__OPS__TOKEN", TO_OPS),
    ("REMINDER_WORKER__OPS__USER_KEY", USER_KEY),
    // Of every library too.
    ("RUST_LOG", "trace"),
];

#[track_caller]
fn assert_none(what: &str, text: &str) {
    for secret in SECRETS {
        let lines = text.lines().filter(|line| line.contains(secret)).take(3).collect::<Vec<_>>();
        assert!(lines.is_empty(), "{what} shows {secret}: {lines:#?}");
    }
}

/// A process that writes both its outputs into one file.
struct Written {
    child: Child,
    out: PathBuf,
}

impl Written {
    fn start(mut command: Command, dir: &Path) -> Self {
        let out = dir.join("out");
        let file = File::create(&out).unwrap();
        command.stdout(file.try_clone().unwrap()).stderr(file).envs(VARIABLES).current_dir(dir);
        Self { child: command.spawn().unwrap(), out }
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.out).unwrap()).into_owned()
    }

    /// Where the app and the ops listener are.
    async fn listens(&mut self) -> [String; 2] {
        let line = until("the worker listens", async || {
            let text = self.text();
            let line = text.lines().find(|line| line.contains("the worker listens")).map(str::to_owned);
            assert!(line.is_some() || self.child.try_wait().unwrap().is_none(), "{text}");
            line
        });
        let line: Value = serde_json::from_str(&line.await).unwrap();
        ["app", "ops"].map(|field| format!("http://{}", line[field].as_str().unwrap()))
    }

    fn signal(&self, name: &str) {
        let sent = Command::new("kill").args([&format!("-{name}"), &self.child.id().to_string()]).status();
        assert!(sent.unwrap().success());
    }
}

impl Drop for Written {
    fn drop(&mut self) {
        // It may have ended.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Sends a request, and asserts that the answer shows no secret.
async fn ask(request: RequestBuilder) -> u16 {
    let answer = request.send().await.unwrap();
    let (status, headers, url) = (answer.status(), format!("{:?}", answer.headers()), answer.url().clone());
    assert_none(url.as_str(), &headers);
    assert_none(url.as_str(), &answer.text().await.unwrap());
    status.as_u16()
}

/// Everything that a token is shown with, right and wrong, and what comes of it.
async fn provoke(app: &str, ops: &str) {
    let client = Client::builder().no_proxy().build().unwrap();
    let event = cloud_event(&titled(&task(), 10, TITLE)).to_string();
    for (token, status) in [(TO_APP, 200), ("nearly-t0-app-PqW7Zk", 401), ("", 401)] {
        let delivery = client.post(format!("{app}{TASK_EVENTS}")).header("pubsubname", "kafka-pubsub");
        let delivery = delivery.header("content-type", "application/cloudevents+json").body(event.clone());
        assert_eq!(ask(delivery.header("dapr-api-token", token)).await, status);
        ask(client.get(format!("{app}/dapr/subscribe")).header("dapr-api-token", token)).await;
        ask(client.get(format!("{app}/nowhere")).header("dapr-api-token", token)).await;
    }
    let broken = client.post(format!("{app}{TASK_EVENTS}")).header("dapr-api-token", TO_APP).body("{");
    ask(broken.header("pubsubname", "kafka-pubsub")).await;
    let ann = reminder_worker::secret::user_token::sign(&USER_KEY.into(), "ann", i64::MAX);
    for token in [TO_OPS, "nearly-t0-ops-Rt4VnY", USER_KEY, &ann, &format!("{ann}x"), ""] {
        for path in [
            "/api/v1/stats",
            "/api/v1/tasks/nobody",
            "/api/v1/tasks/nobody/why",
            "/api/v1/reminders?limit=0",
            "/api/v1/quarantine",
            "/api/v1/users/ann/preferences",
            "/nowhere",
        ] {
            ask(client.get(format!("{ops}{path}")).bearer_auth(token)).await;
            ask(client.post(format!("{ops}{path}")).header("authorization", token).body("{")).await;
        }
    }
    for path in ["/livez", "/readyz", "/metrics"] {
        ask(client.get(format!("{ops}{path}"))).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_worker_shows_no_secret_in_its_log_at_trace_in_an_answer_or_a_metric() {
    let sidecar = Sidecar::up();
    let dir = tempfile::tempdir().unwrap();
    let setup = Setup::beside(&sidecar);
    let mut worker = Written::start(setup.command(&["serve"]), dir.path());
    let [app, ops] = worker.listens().await;
    provoke(&app, &ops).await;
    // The sidecar refuses the token, then takes a reminder with it.
    sidecar.tells(401, "invalid api token");
    until("a refusal", async || worker.text().contains("refuses the token").then_some(())).await;
    sidecar.has_the_subscriptions();
    until("a publish", async || (!sidecar.attempts().is_empty()).then_some(())).await;
    assert_eq!(sidecar.attempts()[0].token.as_deref(), Some(TO_DAPR), "it was sent");
    worker.signal("TERM");
    until("its end", async || worker.child.try_wait().unwrap()).await;
    let text = worker.text();
    assert!(text.contains("\"TRACE\"") && text.contains("hyper"), "libraries are heard too");
    assert_none("the log", &text);
    let told = text.lines().find(|line| line.contains(TITLE));
    assert_eq!(told, None, "no task's title either");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_the_worker_keeps_is_read_by_its_user_alone() {
    let sidecar = Sidecar::up();
    let setup = Setup::beside(&sidecar);
    let worker = setup.start().await;
    worker.deliver(&created(&task(), 1_000_000)).await;
    let mut made = vec![setup.store()];
    let beside = setup.store();
    made.extend(["lock", "marker"].map(|end| beside.with_extension(end)));
    made.extend(std::fs::read_dir(setup.store()).unwrap().map(|entry| entry.unwrap().path()));
    assert!(made.len() > 4, "{made:?}");
    for path in made {
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{}: {mode:o}", path.display());
    }
}

/// Publishes as SDKs do, and returns the status.
async fn publish_over_grpc(port: u16, token: &str) -> String {
    let client = Http2::builder(TokioExecutor::new()).http2_only(true).build_http();
    let request =
        axum::http::Request::post(format!("http://127.0.0.1:{port}/dapr.proto.runtime.v1.Dapr/PublishEvent"));
    let request = request.header("content-type", "application/grpc").header("dapr-api-token", token);
    let answer = client.request(request.body(Body::from("\0\0\0\0\0")).unwrap()).await.unwrap();
    assert_none("gRPC", &format!("{:?}", answer.headers()));
    answer.headers()["grpc-status"].to_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_embedded_sidecar_and_the_commands_show_no_secret_either() {
    let dir = tempfile::tempdir().unwrap();
    let (port, grpc, ops_port, app_port) = (free_port(), free_port(), free_port(), free_port());
    let ports = [("--port", port), ("--grpc-port", grpc), ("--ops-port", ops_port), ("--app-port", app_port)];
    let bare = |subcommand: &[&str]| {
        let mut command = crate::worker::command();
        command.args(subcommand);
        command
    };
    let mut dev = bare(&["dev", "--store-path", "store"]);
    ports.iter().for_each(|(flag, port)| _ = dev.arg(flag).arg(port.to_string()));
    let mut dev = Written::start(dev, dir.path());
    let [app, ops] = dev.listens().await;
    provoke(&app, &ops).await;
    let client = Client::builder().no_proxy().build().unwrap();
    for token in [TO_DAPR, "nearly-t0-dapr-Xc9LmB", ""] {
        let publish = client.post(format!("http://127.0.0.1:{port}/v1.0/publish/kafka-pubsub/task-events"));
        let publish =
            publish.header("content-type", "application/json").body(created(&task(), 10).to_string());
        assert_eq!(ask(publish.header("dapr-api-token", token)).await == 204, token == TO_DAPR);
        ask(client.get(format!("http://127.0.0.1:{port}/v1.0/metadata")).header("dapr-api-token", token))
            .await;
        let status = publish_over_grpc(grpc, token).await;
        assert_eq!(status == "16", token != TO_DAPR, "{token}: {status}");
    }
    until("a reminder", async || dev.text().contains("reminder").then_some(())).await;
    for (subcommand, token) in [
        (&["publish", "created", "--task", "t-1", "--user", "ann", "--due", "in 1h"][..], TO_APP),
        (&["publish", "created", "--task", "t-1", "--user", "ann", "--due", "in 1h"], "nearly-t0-app-PqW7Zk"),
        (&["reminders", "next"], TO_OPS),
        (&["users", "erase", "ann"], "nearly-t0-ops-Rt4VnY"),
    ] {
        let mut command = bare(subcommand);
        command.envs(VARIABLES).env("APP_API_TOKEN", token).env("REMINDER_WORKER__OPS__TOKEN", token);
        let told =
            command.args(["--ops-port", &ops_port.to_string(), "--app-port", &app_port.to_string()]).output();
        let told = told.unwrap();
        assert_none(&subcommand.join(" "), &String::from_utf8_lossy(&[told.stdout, told.stderr].concat()));
    }
    dev.signal("TERM");
    until("its end", async || dev.child.try_wait().unwrap()).await;
    let text = dev.text();
    assert!(text.contains("\"h2::"), "what speaks gRPC is heard too");
    assert_none("dev", &text);
}

#[test]
fn check_and_what_is_said_of_a_wrong_configuration_show_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("worker.toml");
    for (text, set, is_well) in [
        ("", "log.level=trace", true),
        ("", "ops.port=8001", false),
        ("", "ops.token=t0-ops Rt4VnY", false),
        ("", "ops.token=", false),
        ("", "dapr.http_endpoint=http://me:Rt4VnY@host", false),
        ("[ops]\ntoken = \"t0-ops-Rt4VnY\n", "log.level=trace", false),
        ("[ops]\ntoken = t0-ops-Rt4VnY\n", "log.level=trace", false),
        ("[ops]\ntoken = \"\\Rt4VnY\"\n", "log.level=trace", false),
        ("[ops]\ntoken = ['t0-ops-Rt4VnY']\n", "log.level=trace", false),
        ("[ops]\ntoken = \"a\"\ntoken = \"t0-ops-Rt4VnY\"\n", "log.level=trace", false),
        ("[ops]\ntokens = \"t0-ops-Rt4VnY\"\n", "log.level=trace", false),
        ("[ops.token]\nvalue = \"t0-ops-Rt4VnY\"\n", "log.level=trace", false),
        ("ops = \"t0-ops-Rt4VnY\"\n", "log.level=trace", false),
        ("[app]\napi_token = 'PqW7Zk' 'PqW7Zk'\n", "log.level=trace", false),
    ] {
        std::fs::write(&file, text).unwrap();
        for subcommand in ["check", "serve"].iter().take(if is_well { 1 } else { 2 }) {
            let mut command = crate::worker::command();
            command.args([subcommand, "--config"]).arg(&file).args(["--set", set]).envs(VARIABLES);
            let told = command.output().unwrap();
            assert_eq!(told.status.code() == Some(0), is_well, "{text} {set}: {told:?}");
            let said = String::from_utf8_lossy(&[told.stdout, told.stderr].concat()).into_owned();
            assert!(!is_well || said.matches("***").count() >= 4, "{said}");
            assert_none(&format!("{subcommand} with {text:?} and {set}"), &said);
        }
    }
}

/// How a worker ends by a signal that leaves a core, where the system would write one.
async fn crashed(arguments: &[&str], dir: &TempDir) -> std::process::ExitStatus {
    let sidecar = Sidecar::up();
    let setup = Setup::beside(&sidecar);
    let worker = setup.command(&[&["serve"], arguments].concat());
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -c unlimited && exec \"$0\" \"$@\""]).arg(worker.get_program());
    command.args(worker.get_args()).env_clear().stdin(Stdio::null());
    let mut worker = Written::start(command, dir.path());
    worker.listens().await;
    worker.signal("ABRT");
    until("its end", async || worker.child.try_wait().unwrap()).await
}

#[tokio::test]
async fn a_crash_leaves_no_core_unless_one_is_asked_for() {
    let dir = tempfile::tempdir().unwrap();
    let status = crashed(&[], &dir).await;
    assert!(status.signal().is_some() && !status.core_dumped(), "{status}");
    let status = crashed(&["--core-dumps"], &dir).await;
    // Without it nothing is proven, where the system writes none at all.
    println!("with --core-dumps: {}", if status.core_dumped() { "a core" } else { "no core on this system" });
    let allowed = rlimit::Resource::CORE.get().unwrap().1 > 0
        && std::fs::read_to_string("/proc/sys/kernel/core_pattern").is_ok_and(|name| name.trim() == "core");
    assert!(status.core_dumped() || !allowed);
}

#[test]
fn a_token_of_a_user_is_made_by_the_command_from_the_key_alone() {
    let token = |arguments: &[&str], key: Option<&str>| {
        let mut command = crate::worker::command();
        command.args(["users", "token", "ann"]).args(arguments).envs(VARIABLES);
        match key {
            Some(key) => command.env("REMINDER_WORKER__OPS__USER_KEY", key),
            None => command.env_remove("REMINDER_WORKER__OPS__USER_KEY"),
        };
        command.output().unwrap()
    };
    let made = token(&["--for", "1h"], Some(USER_KEY));
    let made = String::from_utf8(made.stdout).unwrap();
    let user = |seconds: i64| {
        let now = crate::wait::now() / 1000 + seconds;
        reminder_worker::secret::user_token::user_of(&USER_KEY.into(), made.trim_end(), now)
    };
    assert_eq!(user(3_500).as_deref(), Ok("ann"), "{made}");
    assert!(user(3_601).is_err());
    assert_none("the token", &made);
    let told = token(&[], None);
    assert_eq!(told.status.code(), Some(78), "{told:?}");
    assert!(json!(String::from_utf8_lossy(&told.stderr)).to_string().contains("ops.user_key"));
}
