//! `reminders` where no worker answers: the command reads the store itself, and leaves it as it is.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::SystemTime;

use reqwest::StatusCode;
use serde_json::Value;

use crate::events::{FAR, created, task};
use crate::ports::free_port;
use crate::sidecar::Sidecar;
use crate::worker::{Setup, Worker, command};

/// Runs `reminders` with `args` on the store at `store`, with nobody on its ops port.
fn reminders(store: &Path, args: &[&str]) -> std::process::Output {
    let mut command = command();
    command.arg("reminders").args(args).arg("--store-path").arg(store);
    command.args(["--ops-port", &free_port().to_string()]).output().unwrap()
}

/// Every file in the directory of the store and beside it, with its bytes and when it was changed.
fn files(store: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut found = BTreeMap::new();
    let mut dirs = vec![store.parent().unwrap().to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in std::fs::read_dir(dir).unwrap().map(Result::unwrap) {
            let changed = entry.metadata().unwrap().modified().unwrap();
            match entry.file_type().unwrap().is_dir() {
                true => dirs.push(entry.path()),
                false => {
                    found.insert(entry.path(), (std::fs::read(entry.path()).unwrap(), changed));
                }
            }
        }
    }
    found
}

fn listed(store: &Path, args: &[&str]) -> Value {
    let output = reminders(store, args);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!((output.status.code(), errors.as_ref()), (Some(0), ""));
    serde_json::from_slice::<Value>(&output.stdout).unwrap()["reminders"].clone()
}

#[tokio::test]
async fn a_store_without_a_worker_is_listed_as_the_worker_listed_it() {
    let sidecar = Sidecar::up();
    let setup = Setup::beside(&sidecar);
    let worker = setup.start().await;
    let tasks: Vec<String> = (0..3).map(|_| task()).collect();
    let mut bob = created(&tasks[1], FAR);
    bob["payload"]["user_id"] = "bob".into();
    worker.deliver(&created(&tasks[0], 20)).await;
    worker.deliver(&bob).await;
    worker.deliver(&created(&tasks[2], FAR + 1_000)).await;
    worker.reminder_is(&tasks[0], "published").await;
    let told = worker.api("/api/v1/reminders").await["reminders"].clone();
    assert_eq!(told.as_array().unwrap().len(), 3);
    assert_eq!(worker.terminated().await, Some(0));

    let why = reminders(&setup.store(), &["why", &tasks[0]]);
    let why = String::from_utf8(why.stdout).unwrap();
    assert!(why.contains("offset:0: fired at ") && why.contains("task_created from chat-api"), "{why}");

    let before = files(&setup.store());
    let list = |args: &[&str]| listed(&setup.store(), args);
    assert_eq!(list(&["list", "--json"]), told);
    assert_eq!(
        list(&["list", "--json", "--limit", "2"]).as_array().unwrap()[..],
        told.as_array().unwrap()[..2]
    );
    assert_eq!(list(&["list", "--json", "--user", "bob"]).as_array().unwrap()[..], [told[1].clone()]);
    assert_eq!(list(&["list", "--json", "--state", "expired"]), Value::Array(vec![]));
    assert_eq!(list(&["next", "--json", "-n", "1"]).as_array().unwrap()[..], [told[1].clone()]);

    reminders(&setup.store(), &["why", &tasks[0]]);
    assert!(files(&setup.store()) == before, "looking writes nothing");

    let worker = setup.start().await;
    assert_eq!(worker.api("/api/v1/reminders").await["reminders"], told, "looking has changed nothing");
}

#[tokio::test]
async fn a_claim_that_a_crash_cut_off_is_left_to_the_next_worker() {
    let sidecar = Sidecar::up();
    sidecar.behave(|_| crate::sidecar::Reply::Hang);
    let setup = Setup::beside(&sidecar);
    let worker = setup.start().await;
    let task = task();
    worker.deliver(&created(&task, 20)).await;
    sidecar.seen(1).await;
    let told = worker.api("/api/v1/reminders").await["reminders"].clone();
    worker.process.kill().await;
    for _ in 0..2 {
        assert_eq!(listed(&setup.store(), &["next", "--json"]), told);
    }
    sidecar.behave(|_| crate::sidecar::TAKE);
    let worker = setup.start().await;
    worker.reminder_is(&task, "published").await;
}

#[tokio::test]
async fn a_store_that_a_worker_holds_which_does_not_answer_is_said_to_be_held() {
    let sidecar = Sidecar::up();
    let setup = Setup::beside(&sidecar);
    let worker = setup.start().await;
    let output = reminders(&setup.store(), &["next"]);
    assert_eq!(output.status.code(), Some(74));
    let errors = String::from_utf8(output.stderr).unwrap();
    let holder = format!("but process {}", worker.process.id());
    assert!(errors.starts_with("error: no worker answers at http://127.0.0.1:"), "{errors}");
    assert!(errors.contains(&holder) && errors.contains("--ops-port"), "{errors}");
}

#[test]
fn where_there_is_neither_worker_nor_store_none_is_made() {
    let dir = tempfile::tempdir().unwrap();
    let store = dir.path().join("store");
    let output = reminders(&store, &["list"]);
    assert_eq!(output.status.code(), Some(1));
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(errors.contains(&format!("no store is at {}", store.display())), "{errors}");
    assert!(errors.contains("reminder-worker serve"), "{errors}");
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn a_pause_told_to_a_store_without_a_worker_is_found_by_the_next_one_and_ends_likewise() {
    let sidecar = Sidecar::up();
    let setup = Setup::beside(&sidecar);
    let worker = setup.start().await;
    assert_eq!(worker.terminated().await, Some(0));
    let tell = |args: &[&str]| {
        let mut command = command();
        command.args(args).arg("--store-path").arg(setup.store());
        let output = command.args(["--ops-port", &free_port().to_string()]).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    };
    let told = tell(&["pause", "--reason", "a move"]);
    assert!(told.starts_with("reminders are paused since ") && told.contains(" (a move); "), "{told}");
    let again = tell(&["pause"]);
    assert_eq!(again, told);

    let worker = setup.start().await;
    let task = task();
    worker.deliver(&created(&task, 20)).await;
    let firing = worker.api("/api/v1/stats").await["firing"].clone();
    assert_eq!((&firing["paused"], &firing["reason"]), (&true.into(), &"a move".into()));
    assert_eq!(worker.reminder(&task).await["state"], "pending");
    assert_eq!(worker.terminated().await, Some(0));

    assert!(tell(&["resume"]).starts_with("reminders go on; they were paused since "));
    assert_eq!(tell(&["resume"]), "reminders were not paused\n");
    let worker = setup.start().await;
    worker.reminder_is(&task, "published").await;
}

#[tokio::test]
async fn a_command_that_names_another_store_than_the_running_workers_is_refused_and_names_both() {
    let sidecar = Sidecar::up();
    let (setup, other) = (Setup::beside(&sidecar), Setup::beside(&sidecar));
    assert_eq!(other.start().await.terminated().await, Some(0));
    let worker = setup.start().await;
    let tell = |args: &[&str], store: &Path| {
        let mut command = command();
        command.args(args).arg("--store-path").arg(store);
        command.args(["--ops-port", &worker.ops.port().to_string()]).output().unwrap()
    };
    for args in [&["backup"][..], &["pause"], &["resume"], &["users", "erase", "ann"]] {
        let output = tell(args, &other.store());
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{args:?}: {errors}");
        for store in [setup.store(), other.store()] {
            assert!(errors.contains(&store.display().to_string()), "{args:?}: {errors}");
        }
    }
    assert_eq!(worker.api("/api/v1/backups").await["backups"].as_array().unwrap().len(), 0);
    assert_eq!(worker.api("/api/v1/stats").await["firing"]["paused"], false);
    // Its own, by another name.
    let link = other.store().with_file_name("link");
    std::os::unix::fs::symlink(setup.store(), &link).unwrap();
    assert_eq!(tell(&["pause"], &link).status.code(), Some(0));
}

#[tokio::test]
async fn a_command_that_names_the_running_workers_own_store_is_carried_out_though_its_backups_cant_be_listed()
{
    let sidecar = Sidecar::up();
    let setup = Setup::beside(&sidecar);
    let worker = setup.start().await;
    let backups = setup.store().with_file_name("store.backups");
    std::fs::write(&backups, "a file").unwrap();
    assert_eq!(worker.ops("/api/v1/backups").await.0, StatusCode::SERVICE_UNAVAILABLE);
    let told = worker.api("/api/v1/store").await;
    assert_eq!(told["path"], setup.store().display().to_string());
    assert_eq!(told["number"].as_str().unwrap().len(), 32, "{told}");
    let mut command = command();
    command.args(["pause", "--ops-port", &worker.ops.port().to_string(), "--store-path"]);
    let output = command.arg(setup.store()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(worker.api("/api/v1/stats").await["firing"]["paused"], true);
}

/// A worker of one store, and another store without a worker: both know `task`, each another due date of it.
struct TwoStores {
    worker: Worker,
    setup: Setup,
    other: Setup,
    task: String,
    /// What the other store says of it.
    told: Value,
}

impl TwoStores {
    async fn beside(sidecar: &Sidecar) -> Self {
        let (setup, other, task) = (Setup::beside(sidecar), Setup::beside(sidecar), task());
        let of_other = other.start().await;
        of_other.deliver(&created(&task, FAR + 1_000)).await;
        let told = of_other.api("/api/v1/reminders").await["reminders"].clone();
        assert_eq!(of_other.terminated().await, Some(0));
        let worker = setup.start().await;
        worker.deliver(&created(&task, FAR)).await;
        Self { worker, setup, other, task, told }
    }

    /// What `args` end in where the other store is named by a flag, by the environment and by a file.
    fn tell(&self, args: &[&str]) -> [std::process::Output; 3] {
        let store = self.other.store();
        let file = store.with_file_name("worker.toml");
        std::fs::write(&file, format!("[store]\npath = \"{}\"\n", store.display())).unwrap();
        let told = |name: &dyn Fn(&mut Command) -> &mut Command| {
            let mut command = command();
            command.args(args).args(["--ops-port", &self.worker.ops.port().to_string()]);
            name(&mut command).output().unwrap()
        };
        [
            told(&|command| command.arg("--store-path").arg(&store)),
            told(&|command| command.env("REMINDER_WORKER__STORE__PATH", &store)),
            told(&|command| command.arg("--config").arg(&file)),
        ]
    }
}

#[tokio::test]
async fn orders_to_a_store_that_is_named_in_any_way_are_not_carried_out_by_the_worker_of_another() {
    let sidecar = Sidecar::up();
    let two = TwoStores::beside(&sidecar).await;
    let before = two.worker.reminder(&two.task).await;
    let sources = ["the flag --store-path", "the variable REMINDER_WORKER__STORE__PATH", "the file "];
    for args in [
        &["restore", "show"][..],
        &["restore", "confirm"],
        &["reminders", "cancel", &two.task],
        &["reminders", "reschedule", &two.task, "--due", "in 3h"],
        &["pause"],
    ] {
        for (output, source) in two.tell(args).into_iter().zip(sources) {
            let errors = String::from_utf8_lossy(&output.stderr).into_owned();
            assert_eq!(output.status.code(), Some(1), "{args:?}: {errors}");
            let stores = [two.setup.store(), two.other.store()].map(|store| store.display().to_string());
            for word in [&stores[0], &stores[1], source, "nothing was done", "--ops-port"] {
                assert!(errors.contains(word), "{args:?}: {errors}");
            }
        }
    }
    assert_eq!(two.worker.reminder(&two.task).await, before);
    assert_eq!(two.worker.api("/api/v1/stats").await["firing"]["paused"], false);
}

#[tokio::test]
async fn questions_about_a_store_that_is_named_in_any_way_are_answered_from_it_and_not_by_the_worker_of_another()
 {
    let sidecar = Sidecar::up();
    let two = TwoStores::beside(&sidecar).await;
    for args in [&["next"][..], &["list"], &["list", "--from", "in 1s"]] {
        for output in two.tell(&[&["reminders"], args, &["--json"]].concat()) {
            let listed: Value = serde_json::from_slice(&output.stdout).unwrap();
            assert_eq!(listed["reminders"], two.told, "{args:?}");
        }
    }
    let due = |why: &Value| why["due"].as_str().unwrap().to_owned();
    let of_worker = due(&two.worker.api(&format!("/api/v1/tasks/{}/why", two.task)).await);
    for output in two.tell(&["reminders", "why", &two.task, "--json"]) {
        let told: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_eq!(told["task_id"], two.task.as_str());
        assert_ne!(due(&told), of_worker);
    }
    // Where its own worker holds it, that one is to be asked.
    let _own = two.other.start().await;
    for output in two.tell(&["reminders", "next"]) {
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(74), "{errors}");
        assert!(errors.contains(&format!("runs on the store {}", two.setup.store().display())), "{errors}");
        assert!(errors.contains("say with --ops-port where it answers"), "{errors}");
    }
}
