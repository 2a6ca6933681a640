//! The canary goes the whole way, and nobody who asks for reminders sees it.

use serde_json::json;

use crate::time_travel::Dev;
use crate::wait::until;

#[tokio::test]
async fn a_canary_comes_back_and_is_in_no_list() {
    let dev = Dev::start(&["--set", "canary.every=1m", "--set", "canary.ready_limit=5m"]).await;
    let metrics = async || dev.worker.text("/metrics").await;
    let returned = "reminder_worker_canary_total{result=\"returned\"} 1";
    let text = until("a canary", async || Some(metrics().await).filter(|text| text.contains(returned))).await;
    assert!(text.contains("reminder_worker_canary_round_trip_seconds_count 1"), "{text}");
    assert_eq!(dev.worker.api("/api/v1/reminders").await["reminders"], json!([]));
    let task = dev.worker.api("/api/v1/tasks/reminder-worker:canary").await;
    assert_eq!((&task["user_id"], &task["reminders"][0]["state"]), (&json!(null), &json!("published")));
    let ready = dev.worker.ops("/readyz").await.1;
    assert_eq!(ready["checks"]["canary"], "ok", "{ready}");
}
