//! Little free space: events wait at the broker, what is due goes out, and all goes on by itself.

use std::path::{Path, PathBuf};
use std::process::Command;

use reqwest::StatusCode;
use serde_json::{Value, json};

use crate::events::{FAR, TASK_EVENTS, cloud_event, created, task};
use crate::sidecar::Sidecar;
use crate::wait::until;
use crate::worker::{Setup, Worker};

async fn told(worker: &Worker, event: &Value) -> Value {
    let (status, said) = worker.deliver_bytes(TASK_EVENTS, cloud_event(event).to_string().into_bytes()).await;
    assert_eq!(status, StatusCode::OK, "{said}");
    said["status"].clone()
}

#[tokio::test]
async fn below_the_reserve_deliveries_are_retried_and_the_api_says_how_much_is_missing() {
    let sidecar = Sidecar::up();
    // More than any disk of a test has.
    let setup = Setup::beside(&sidecar).set("store.reserve_mb=1048576");
    let worker = setup.start().await;
    let task = task();
    assert_eq!(told(&worker, &created(&task, FAR)).await, "RETRY");
    let event = json!({"event_type": "task_completed", "payload": {"task_id": task}});
    let (status, said) = worker.publish(&task, &event).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE, "{said}");
    assert!(
        said["detail"].as_str().unwrap().contains("1048576 MiB are kept in reserve (store.reserve_mb)"),
        "{said}"
    );
    let ready = until("readiness", async || {
        let (status, ready) = worker.ops("/readyz").await;
        (ready["checks"]["space"] != "ok").then_some((status, ready))
    })
    .await;
    assert_eq!(ready.0, StatusCode::SERVICE_UNAVAILABLE);
    let (status, _) = worker.ops("/livez").await;
    assert_eq!(status, StatusCode::OK, "it lives");
    assert_eq!(worker.terminated().await, Some(0));
}

/// A small file system of its own, gone with this.
struct Small(PathBuf);

impl Small {
    const MIB: u64 = 96;

    /// Over `dir`.
    fn over(dir: &Path) -> Self {
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={}m", Self::MIB), "tmpfs"])
            .arg(dir)
            .output()
            .unwrap();
        assert!(mounted.status.success(), "{}", String::from_utf8_lossy(&mounted.stderr));
        Self(dir.to_owned())
    }

    /// Leaves nothing.
    fn fill_up(&self) {
        let mut filler = std::fs::File::create(self.0.join("filler")).unwrap();
        while std::io::Write::write_all(&mut filler, &[1; 1 << 16]).is_ok() {}
    }

    /// Leaves less than the reserve.
    fn fill(&self) {
        std::fs::write(self.0.join("filler"), vec![1; 64 << 20]).unwrap();
    }

    fn free(&self) {
        std::fs::remove_file(self.0.join("filler")).unwrap();
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

#[tokio::test]
#[ignore = "mounts a file system, as root: cargo test --test process space -- --ignored"]
async fn on_a_disk_that_fills_what_is_due_goes_out_and_events_are_taken_again_when_there_is_room() {
    let sidecar = Sidecar::up();
    let setup = Setup::beside(&sidecar).set("store.reserve_mb=40");
    let disk = Small::over(setup.store().parent().unwrap());
    let worker = setup.start().await;
    let (due, new) = (task(), task());
    let event = created(&new, FAR);
    worker.deliver(&created(&due, 3_000)).await;
    disk.fill();
    until("RETRY", async || (told(&worker, &event).await == "RETRY").then_some(())).await;
    worker.reminder_is(&due, "published").await;
    disk.free();
    until("SUCCESS", async || (told(&worker, &event).await == "SUCCESS").then_some(())).await;
    assert_eq!(worker.reminder(&new).await["state"], "pending");
    until("readiness", async || (worker.ops("/readyz").await.1["checks"]["space"] == "ok").then_some(()))
        .await;
    worker.process.kill().await;
    drop(disk);
}

#[tokio::test]
#[ignore = "mounts a file system, as root: cargo test --test process space -- --ignored"]
async fn on_a_full_disk_a_stop_takes_seconds_and_is_clean() {
    let sidecar = Sidecar::up();
    let setup = Setup::beside(&sidecar).set("store.reserve_mb=0").set("shutdown.grace=20s");
    let disk = Small::over(setup.store().parent().unwrap());
    let worker = setup.start().await;
    let due = task();
    worker.deliver(&created(&due, FAR)).await;
    disk.fill_up();
    let told_again = async || {
        let mut large = created(&task(), FAR);
        large["payload"]["title"] = "x".repeat(100_000).into();
        (told(&worker, &large).await == "RETRY").then_some(())
    };
    until("RETRY", told_again).await;
    let began = std::time::Instant::now();
    assert_eq!(worker.terminated().await, Some(0));
    assert!(began.elapsed() < std::time::Duration::from_secs(8), "{:?}", began.elapsed());
    disk.free();
    let worker = setup.start().await;
    worker.reminder_is(&due, "pending").await;
    worker.process.kill().await;
    drop(disk);
}
