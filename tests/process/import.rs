//! Starting late, and erasing a user: the commands beside a worker, and where none runs.

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::events::{FAR, created, task};
use crate::ports::free_port;
use crate::sidecar::Sidecar;
use crate::worker::{Setup, Worker, command};

/// A file of these events.
fn file(dir: &Path, events: &[Value]) -> String {
    let path = dir.join("tasks.ndjson");
    let text: String = events.iter().map(|event| format!("{event}\n")).collect();
    std::fs::write(&path, text).unwrap();
    path.display().to_string()
}

/// The command beside `worker`.
fn beside(worker: &Worker, args: &[&str]) -> Command {
    let mut command = command();
    command.args(args).args(["--ops-port", &worker.ops.port().to_string()]);
    command
}

/// The command on the store at `store`, with nobody on its ops port.
fn offline(store: &Path, args: &[&str]) -> Output {
    let mut command = command();
    command.args(args).arg("--store-path").arg(store);
    command.args(["--ops-port", &free_port().to_string()]).output().unwrap()
}

fn told(output: &Output) -> Value {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), errors.as_ref()), (Some(0), ""));
    serde_json::from_slice(&output.stdout).unwrap()
}

#[tokio::test]
async fn a_worker_takes_an_import_in_parts_and_fires_only_what_is_ahead() {
    const MANY: usize = 6_000;
    let sidecar = Sidecar::up();
    let setup = Setup::beside(&sidecar);
    let worker = setup.start().await;
    let mut events: Vec<Value> = (0..MANY).map(|n| created(&format!("far-{n}"), FAR)).collect();
    let (past, ahead) = (task(), task());
    events.push(created(&past, -60_000));
    events.push(created(&ahead, 3_000));
    let dir = tempfile::tempdir().unwrap();
    let path = file(dir.path(), &events);
    assert!(std::fs::metadata(&path).unwrap().len() > 1024 * 1024, "more than two parts");
    let report = told(&beside(&worker, &["import", &path, "--json"]).output().unwrap());
    assert_eq!(
        (&report["lines"], &report["applied"], &report["past"]),
        (&json!(MANY + 2), &json!(MANY + 2), &json!(1))
    );
    worker.reminder_is(&ahead, "published").await;
    assert_eq!(worker.reminder(&past).await["reason"], "it was past when it was imported");
    assert!(sidecar.taken().iter().all(|event| event.task() == ahead));
    let again = told(&beside(&worker, &["import", &path, "--json"]).output().unwrap());
    assert_eq!(again["duplicate"], MANY + 2);

    let erased = told(&beside(&worker, &["users", "erase", "ann", "--json"]).output().unwrap());
    assert_eq!((&erased["tasks"], &erased["reminders_cancelled"]), (&json!(MANY + 2), &json!(MANY)));
    assert_eq!(worker.api("/api/v1/reminders").await["reminders"], json!([]));
}

#[tokio::test]
async fn without_a_worker_the_store_itself_takes_imports_and_erasings() {
    let sidecar = Sidecar::up();
    let setup = Setup::beside(&sidecar);
    let (known, imported) = (task(), task());
    let worker = setup.start().await;
    worker.deliver(&created(&known, FAR)).await;
    assert_eq!(worker.terminated().await, Some(0));

    let dir = tempfile::tempdir().unwrap();
    let mut bob = created(&imported, FAR);
    bob["payload"]["user_id"] = "bob".into();
    let path = file(dir.path(), &[bob, json!("no event")]);
    let output = offline(&setup.store(), &["import", &path]);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), errors.as_ref()), (Some(0), "warning: 1 of 2 lines were refused\n"));
    let shown = String::from_utf8_lossy(&output.stdout);
    assert!(shown.contains("applied    1\n") && shown.contains("    line 2: "), "{shown}");
    let erased = told(&offline(&setup.store(), &["users", "erase", "ann", "--json"]));
    assert_eq!((&erased["tasks"], &erased["reminders_cancelled"]), (&json!(1), &json!(1)));

    let other = offline(&setup.store(), &["import", &path, "--set", "reminders.default_offsets=5"]);
    assert_eq!(other.status.code(), Some(78), "another policy would plan every task anew");

    let worker = setup.start().await;
    assert_eq!(worker.reminder(&imported).await["state"], "pending");
    let stats = worker.api("/api/v1/stats").await;
    assert_eq!((&stats["reminders"]["planned"], &stats["reminders"]["cancelled"]), (&json!(2), &json!(1)));
    let held = offline(&setup.store(), &["users", "erase", "bob"]);
    assert_eq!(held.status.code(), Some(74), "a worker holds it");
}

#[tokio::test]
async fn an_import_from_standard_input_says_what_is_wrong_with_it() {
    let sidecar = Sidecar::up();
    let setup = Setup::beside(&sidecar);
    let worker = setup.start().await;
    for (input, code, words) in [
        (&b""[..], 1, "standard input is empty"),
        (b"\n \n", 1, "nothing but blank lines"),
        (b"\x1f\x8b\x08\x00", 64, "compressed with gzip"),
        (b"[\n{\n", 1, "every line was refused"),
        (b"\xff\xfe{\x00", 1, "not UTF-8"),
    ] {
        let mut child = beside(&worker, &["import", "-"]).stdin(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(input).unwrap();
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{errors}");
        assert!(errors.starts_with("error: ") && errors.contains(words), "{errors}");
        assert!(output.stdout.is_empty());
    }
}
