//! Backups while the worker runs, a damaged store at its start, and what a person then says; and the store's commands.

use std::fs;
use std::path::PathBuf;
use std::process::Output;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::events::{FAR, created, task};
use crate::ports::free_port;
use crate::sidecar::Sidecar;
use crate::wait::until;
use crate::worker::{Setup, Worker, answered};

impl Setup {
    fn beside_store(&self, suffix: &str) -> PathBuf {
        PathBuf::from(format!("{}{suffix}", self.store().display()))
    }

    /// The names of what lies beside the store.
    fn beside_it(&self) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.store().parent().unwrap())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned())
            .collect();
        names.sort();
        names
    }

    fn break_store(&self) {
        let db = self.store().join("db");
        let length = usize::try_from(fs::metadata(&db).unwrap().len()).unwrap();
        fs::write(db, vec![0; length]).unwrap();
    }

    /// Runs a command that must succeed, and what it prints.
    fn says(&self, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", errors(&output));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that must fail with `code`, and what it complains of.
    fn complains(&self, code: i32, args: &[&str]) -> String {
        let output = self.command(args).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {}", errors(&output));
        errors(&output)
    }
}

fn errors(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

async fn post(worker: &Worker, path: &str, body: &Value) -> (StatusCode, Value) {
    let request = worker.client.post(format!("http://{}{path}", worker.ops));
    answered(request.header("content-type", "application/json").body(body.to_string())).await
}

/// What `/readyz` warns of.
async fn warning(worker: &Worker, name: &str) -> Option<String> {
    worker.ops("/readyz").await.1["warnings"][name].as_str().map(str::to_owned)
}

#[tokio::test]
async fn a_damaged_store_is_set_aside_and_the_newest_backup_restored_and_said_until_confirmed() {
    let sidecar = Sidecar::up();
    let setup = Setup::beside(&sidecar);
    let worker = setup.start().await;
    let (kept, sent, lost) = (task(), task(), task());
    worker.deliver(&created(&kept, FAR)).await;
    worker.deliver(&created(&sent, 1_500)).await;
    let (status, made) = post(&worker, "/api/v1/backups", &json!({})).await;
    assert_eq!(status, StatusCode::OK, "{made}");
    let listed = worker.api("/api/v1/backups").await;
    assert_eq!(listed["backups"][0]["name"], made["name"]);
    worker.reminder_is(&sent, "published").await;
    worker.deliver(&created(&lost, FAR)).await;
    worker.process.kill().await;
    setup.break_store();
    let foreseen = setup.complains(74, &["store", "verify"]);
    assert!(foreseen.contains("a start would set it aside and restore the backup"), "{foreseen}");
    assert!(foreseen.contains(made["name"].as_str().unwrap()), "{foreseen}");

    let worker = setup.start().await;
    let told = worker.process.said("the store was restored at").pop().unwrap();
    assert_eq!(told["level"], "ERROR", "{told}");
    let restored = worker.api("/api/v1/restore").await["restored"].clone();
    assert_eq!(restored["backup"], made["name"]);
    assert!(restored["missing_from"].as_str() < restored["restored_at"].as_str(), "{restored}");
    let aside = restored["set_aside"].as_str().unwrap();
    assert!(setup.beside_it().contains(&aside.to_owned()), "{restored}");
    let warned = until("a warning", async || warning(&worker, "restored").await).await;
    assert!(
        warned.contains("is missing") && warned.contains(restored["missing_from"].as_str().unwrap()),
        "{warned}"
    );
    assert_eq!(worker.ops(&format!("/api/v1/tasks/{lost}")).await.0, StatusCode::NOT_FOUND);
    worker.reminder_is(&kept, "pending").await;
    // It went out in the missing hours: again, and the same.
    worker.reminder_is(&sent, "published").await;
    let taken = sidecar.taken();
    let ids: Vec<&str> = taken.iter().filter(|event| event.task() == sent).map(|event| event.id()).collect();
    assert_eq!(ids.len(), 2);
    assert_eq!(ids[0], ids[1]);

    let ops = worker.ops.port().to_string();
    let said = setup.says(&["restore", "confirm", "--ops-port", &ops]);
    assert!(said.contains("confirmed  20"), "{said}");
    until("no warning", async || warning(&worker, "restored").await.is_none().then_some(())).await;
    assert_eq!(worker.terminated().await, Some(0));
    let worker = setup.start().await;
    assert!(worker.process.said("the store was restored at").is_empty());
}

#[tokio::test]
async fn what_was_due_then_waits_where_that_is_configured_and_a_person_decides() {
    let sidecar = Sidecar::up();
    let setup = Setup::beside(&sidecar).set("restore.overdue=hold");
    let worker = setup.start().await;
    let due = task();
    worker.deliver(&created(&due, 1_000)).await;
    setup.says(&["backup", "--ops-port", &worker.ops.port().to_string()]);
    worker.reminder_is(&due, "published").await;
    worker.process.kill().await;
    setup.break_store();

    let worker = setup.start().await;
    let later = task();
    worker.deliver(&created(&later, 20)).await;
    worker.reminder_is(&later, "published").await;
    assert_eq!(worker.reminder(&due).await["state"], "pending");
    let why = worker.api(&format!("/api/v1/tasks/{due}/why")).await["answers"][0]["sentence"].clone();
    let why = why.as_str().unwrap();
    assert!(why.contains("waits: the store was restored") && why.contains("restore confirm"), "{why}");
    let (status, said) = post(&worker, "/api/v1/restore/confirm", &json!({})).await;
    assert_eq!(status, StatusCode::CONFLICT, "{said}");
    let (status, _) = post(&worker, "/api/v1/restore/confirm", &json!({"overdue": "burn"})).await;
    assert_eq!(status, StatusCode::BAD_REQUEST);
    let ops = worker.ops.port().to_string();
    assert!(setup.says(&["restore", "show", "--ops-port", &ops]).contains("1 reminder is held, until"));
    let told = setup.complains(1, &["restore", "confirm", "--ops-port", &ops]);
    assert!(told.contains("--overdue fire or --overdue drop"), "{told}");
    setup.says(&["restore", "confirm", "--overdue", "fire", "--ops-port", &ops]);
    worker.reminder_is(&due, "published").await;
    let told = setup.complains(1, &["restore", "confirm", "--overdue", "drop", "--ops-port", &ops]);
    assert!(told.contains("no reminder is held"), "{told}");
}

#[tokio::test]
async fn a_user_erased_after_the_backup_does_not_come_back_with_it() {
    let sidecar = Sidecar::up();
    let setup = Setup::beside(&sidecar);
    let worker = setup.start().await;
    let (ann, bob) = (task(), task());
    worker.deliver(&created(&ann, FAR)).await;
    let mut of_bob = created(&bob, FAR);
    of_bob["payload"]["user_id"] = "bob".into();
    worker.deliver(&of_bob).await;
    post(&worker, "/api/v1/backups", &json!({})).await;
    let erased = answered(worker.client.delete(format!("http://{}/api/v1/users/ann", worker.ops))).await;
    assert_eq!(erased.1["tasks"], 1, "{erased:?}");
    worker.process.kill().await;
    setup.break_store();
    let worker = setup.start().await;
    assert_eq!(worker.ops(&format!("/api/v1/tasks/{ann}")).await.0, StatusCode::NOT_FOUND);
    worker.reminder_is(&bob, "pending").await;
}

#[tokio::test]
async fn a_damaged_store_without_a_backup_ends_with_74_and_says_what_to_type() {
    let sidecar = Sidecar::up();
    let setup = Setup::beside(&sidecar);
    assert_eq!(setup.start().await.terminated().await, Some(0));
    fs::remove_file(setup.store().join("db")).unwrap();
    let before = setup.beside_it();
    let foreseen = setup.complains(74, &["store", "verify"]);
    assert!(
        foreseen.contains("a start would end with exit code 74 and move nothing, since no good backup is in"),
        "{foreseen}"
    );
    let output = setup.ends();
    assert_eq!(output.status.code(), Some(74));
    assert!(
        errors(&output).contains("no good backup") && errors(&output).contains("store import"),
        "{}",
        errors(&output)
    );
    assert_eq!(setup.beside_it(), before);
}

#[tokio::test]
async fn a_store_at_rest_is_exported_verified_compacted_and_imported_and_one_at_work_is_held() {
    let sidecar = Sidecar::up();
    let setup = Setup::beside(&sidecar);
    let worker = setup.start().await;
    let kept = task();
    worker.deliver(&created(&kept, FAR)).await;
    let file = setup.beside_store(".export");
    let file = file.to_str().unwrap();
    for args in [&["store", "export", file][..], &["store", "verify"], &["store", "stats"]] {
        let told = setup.complains(74, args);
        assert!(told.contains("is held by process") && told.contains("reminder-worker backup"), "{told}");
    }
    assert!(setup.complains(74, &["store", "compact"]).contains("is held by process"));
    assert_eq!(worker.terminated().await, Some(0));

    assert!(setup.says(&["store", "verify"]).contains("is whole"));
    assert!(setup.says(&["store", "stats"]).contains("pending reminders"));
    assert!(setup.says(&["store", "export", file]).contains("wrote the store"));
    assert!(setup.complains(1, &["store", "export", file]).contains("exists"));
    assert!(setup.says(&["store", "verify", file]).contains("is whole"));
    assert!(setup.says(&["store", "compact"]).contains("take no less than"));
    assert!(setup.complains(74, &["store", "import", file]).contains("move this one away"));
    assert!(setup.says(&["store", "import", file, "--set-aside"]).contains("made the store"));
    let aside: Vec<String> =
        setup.beside_it().into_iter().filter(|name| name.contains(".damaged-")).collect();
    assert_eq!(aside.len(), 1);
    assert!(setup.says(&["store", "verify"]).contains("is whole"));
    fs::remove_dir_all(setup.store()).unwrap();
    assert!(setup.says(&["store", "import", file]).contains("made the store"));
    for args in [["restore", "show"], ["restore", "confirm"]] {
        let told = setup.complains(1, &[&args[..], &["--ops-port", &free_port().to_string()]].concat());
        assert!(told.contains("start one with"), "{told}");
    }
    let backup = setup.complains(64, &["import", file]);
    assert!(backup.contains("store import FILE"), "{backup}");
    let nowhere = setup.beside_store(".nowhere");
    let nowhere = nowhere.to_str().unwrap();
    assert!(setup.complains(1, &["store", "import", nowhere]).contains("name a backup"));
    assert!(setup.complains(74, &["store", "verify", nowhere]).contains("there is none"));
    // Nobody answers on that port: the store is opened by the command itself.
    assert!(setup.says(&["backup", "--ops-port", &free_port().to_string()]).contains("made the backup"));
    let worker = setup.start().await;
    worker.reminder_is(&kept, "pending").await;

    let mut bytes = fs::read(file).unwrap();
    bytes[100] ^= 1;
    fs::write(file, bytes).unwrap();
    let told = setup.complains(1, &["store", "verify", file]);
    assert!(told.contains("it is damaged at byte") && told.contains("take another one"), "{told}");
}
