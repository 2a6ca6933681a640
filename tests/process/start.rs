//! Starting: what is open when, what is missing, and what is said to someone who started it wrongly.

use std::os::unix::fs::OpenOptionsExt as _;
use std::process::Command;

use reqwest::StatusCode;

use crate::events::{FAR, TASK_EVENTS, bulk, created, task};
use crate::ports::free_port;
use crate::sidecar::Sidecar;
use crate::wait::until;
use crate::worker::{Setup, command};

fn errors(output: &std::process::Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

#[tokio::test]
async fn a_worker_is_alive_at_once_and_ready_when_the_sidecar_has_asked_for_the_subscriptions() {
    let sidecar = Sidecar::up();
    let worker = Setup::beside(&sidecar).start().await;
    assert_eq!(worker.ops("/livez").await.0, StatusCode::OK);
    let (status, report) = worker.ops("/readyz").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(report["status"], "failing");
    assert_eq!((&report["checks"]["store"], &report["checks"]["overdue"]), (&"ok".into(), &"ok".into()));
    let missing = report["checks"]["subscriptions"].as_str().unwrap();
    assert!(missing.contains("has not asked for the subscriptions"), "{missing}");

    let (status, subscriptions) = worker.subscriptions().await;
    assert_eq!(status, StatusCode::OK);
    let topics = subscriptions.as_array().unwrap().iter().map(|s| s["topic"].as_str().unwrap());
    assert_eq!(topics.collect::<Vec<_>>(), ["task-events", "task-updates", "reminders"]);
    assert_eq!(worker.ops("/readyz").await.0, StatusCode::OK);
}

#[tokio::test]
async fn beside_a_sidecar_that_asked_an_earlier_life_a_worker_gets_ready_without_being_asked() {
    let sidecar = Sidecar::up();
    sidecar.has_the_subscriptions();
    let worker = Setup::beside(&sidecar).start().await;
    until("readiness", async || (worker.ops("/readyz").await.0 == StatusCode::OK).then_some(())).await;
}

#[tokio::test]
async fn a_batch_is_answered_entry_by_entry_and_each_reminder_goes_out_once() {
    let sidecar = Sidecar::up();
    let worker = Setup::beside(&sidecar).start().await;
    let tasks = [task(), task(), task()];
    let mut batch = bulk(&tasks.iter().map(|task| created(task, 300)).collect::<Vec<_>>());
    batch["entries"][1]["event"] = "no task event".into();
    let (status, said) = worker.deliver_bulk(TASK_EVENTS, &batch).await;
    let words: Vec<_> = said["statuses"].as_array().unwrap().iter().map(|s| s["status"].clone()).collect();
    assert_eq!((status, words), (StatusCode::OK, vec!["SUCCESS".into(), "DROP".into(), "SUCCESS".into()]));
    for task in [&tasks[0], &tasks[2]] {
        worker.reminder_is(task, "published").await;
    }
    let taken = sidecar.taken();
    assert_eq!(taken.len(), 2);
    assert!(taken.iter().all(|event| event.key == event.task()));
}

#[tokio::test]
async fn the_app_port_is_closed_as_long_as_the_store_is_not_open() {
    let sidecar = Sidecar::up();
    let port = free_port();
    let setup = Setup::beside(&sidecar).set(format!("app.port={port}"));
    std::fs::create_dir(setup.store()).unwrap();
    // The store reads this file while it opens, and a pipe without a writer makes it wait there.
    let pipe = setup.store().join("conf");
    assert!(Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let process = setup.spawn();
    let mut options = std::fs::OpenOptions::new();
    let nonblocking = options.write(true).custom_flags(O_NONBLOCK);
    // Refused until somebody waits at the other end.
    let _writer = until("the store being opened", async || nonblocking.open(&pipe).ok()).await;
    let refused = std::net::TcpStream::connect(("127.0.0.1", port)).unwrap_err();
    assert_eq!(refused.kind(), std::io::ErrorKind::ConnectionRefused);
    process.kill().await;
}

/// `open(2)` on Linux; elsewhere the number differs and the test would hang.
#[cfg(target_os = "linux")]
const O_NONBLOCK: i32 = 0o4000;

#[tokio::test]
async fn a_second_worker_on_the_same_store_ends_with_74_and_names_the_first() {
    let sidecar = Sidecar::up();
    let setup = Setup::beside(&sidecar);
    let worker = setup.start().await;
    let second = setup.ends();
    assert_eq!(second.status.code(), Some(74));
    let holder = format!("is held by process {}", worker.process.id());
    assert!(errors(&second).contains(&holder), "{}", errors(&second));
    assert!(errors(&second).contains("the start waits for it"), "{}", errors(&second));
    assert_eq!(worker.ops("/livez").await.0, StatusCode::OK);
}

#[tokio::test]
async fn a_port_in_use_ends_the_start_with_1_and_names_port_and_setting_and_blames_nothing_else() {
    let sidecar = Sidecar::up();
    let held = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port();
    let settings = [
        ("app.port", "app.port (--app-port, APP_PORT)"),
        ("ops.port", "ops.port (--ops-port, REMINDER_WORKER__OPS__PORT)"),
    ];
    // Several times: what had begun already, and was ended with the process, used to complain now and then.
    for (setting, named) in settings.into_iter().cycle().take(12) {
        let output = Setup::beside(&sidecar).set(format!("{setting}={port}")).ends();
        assert!(!errors(&output).contains("\"level\":\"ERROR\""), "{}", errors(&output));
        assert_eq!(output.status.code(), Some(1), "{setting}");
        let told = errors(&output).lines().last().unwrap();
        assert!(told.contains(&format!("127.0.0.1:{port}")) && told.contains(named), "{told}");
    }
}

#[tokio::test]
async fn without_a_sidecar_the_worker_lives_says_so_once_and_goes_on_when_it_comes() {
    let mut sidecar = Sidecar::down();
    let worker = Setup::beside(&sidecar).start().await;
    let (silent, up) = ("the sidecar does not answer", "the sidecar is up");
    worker.process.logs(silent).await;
    let task = task();
    worker.deliver(&created(&task, 50)).await;
    worker.deliver(&created(&crate::events::task(), FAR)).await;

    sidecar.health(500);
    sidecar.start();
    let probes = sidecar.probes();
    until("some probes", async || (sidecar.probes() >= probes + 2).then_some(())).await;
    assert_eq!(worker.process.said(silent).len(), 1, "one line a change, not one a probe");
    assert_eq!(worker.ops("/livez").await.0, StatusCode::OK);
    assert_eq!(worker.ops("/readyz").await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(worker.reminder(&task).await["state"], "pending");

    sidecar.health(204);
    worker.process.logs(up).await;
    worker.subscriptions().await;
    worker.reminder_is(&task, "published").await;
    assert_eq!(sidecar.taken().len(), 1);
    assert_eq!(worker.ops("/readyz").await.0, StatusCode::OK);

    sidecar.health(500);
    until("the second change", async || (worker.process.said(silent).len() == 2).then_some(())).await;
    assert_eq!(worker.process.said(up).len(), 1);
}

#[test]
fn a_wrong_configuration_file_ends_with_78_and_names_file_key_value_and_what_is_allowed() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("worker.toml");
    for (text, told) in [
        ("[ops]\nport = 70000\n", "ops.port = 70000 is not allowed; write a whole number from 0 to 65535"),
        (
            "[reminders]\nexpire_after = \"soon\"\n",
            "reminders.expire_after = \"soon\" is not allowed; write a duration",
        ),
        ("[ops]\nprot = 8080\n", "ops.prot"),
        ("[ops\n", "line 1"),
    ] {
        std::fs::write(&file, text).unwrap();
        let output = command().arg("serve").arg("--config").arg(&file).output().unwrap();
        assert_eq!(output.status.code(), Some(78), "{text}");
        let errors = errors(&output);
        assert!(errors.contains(&file.display().to_string()) && errors.contains(told), "{text}: {errors}");
    }
}

#[test]
fn wrong_arguments_end_with_64() {
    let output = command().args(["serve", "--prot", "1"]).output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(errors(&output).contains("--prot"));
}

#[tokio::test]
async fn a_second_replica_ends_with_the_configurations_exit_code_and_touches_no_store() {
    let sidecar = Sidecar::up();
    let setup = Setup::beside(&sidecar).env("REMINDER_WORKER__REPLICA__ORDINAL", "1");
    let output = setup.ends();
    assert_eq!(output.status.code(), Some(78));
    assert!(errors(&output).contains("the store has one writer"), "{}", errors(&output));
    assert!(!setup.store().exists());
}
