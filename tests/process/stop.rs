//! SIGTERM: what is under way is finished, or after the grace repeated by the next start.

use std::time::{Duration, Instant};

use crate::events::{FAR, created, task};
use crate::sidecar::{Reply, Sidecar, TAKE};
use crate::worker::Setup;

/// Well under the grace of ten seconds, well over what ending takes.
const AT_ONCE: Duration = Duration::from_secs(5);

#[tokio::test]
async fn an_idle_worker_ends_at_once_with_0_whoever_is_connected() {
    let sidecar = Sidecar::up();
    let setup = Setup::beside(&sidecar);
    let worker = setup.start().await;
    worker.deliver(&created(&task(), FAR)).await;
    let stream = worker.client.get(format!("http://{}/api/v1/reminders/stream", worker.ops));
    let mut stream = stream.send().await.unwrap();
    let began = Instant::now();
    assert_eq!(worker.terminated().await, Some(0));
    assert!(began.elapsed() < AT_ONCE);
    assert_eq!(stream.chunk().await.unwrap(), None, "the stream ended as streams do");
}

#[tokio::test]
async fn a_worker_without_a_sidecar_ends_at_once_with_0() {
    let sidecar = Sidecar::down();
    let worker = Setup::beside(&sidecar).start().await;
    worker.deliver(&created(&task(), 10)).await;
    let began = Instant::now();
    assert_eq!(worker.terminated().await, Some(0));
    assert!(began.elapsed() < AT_ONCE);
}

#[tokio::test]
async fn a_publish_under_way_is_finished_and_known_to_be_after_the_restart() {
    let sidecar = Sidecar::up();
    sidecar.behave(|_| Reply::Slow(Duration::from_millis(700)));
    let setup = Setup::beside(&sidecar);
    let worker = setup.start().await;
    let task = task();
    worker.deliver(&created(&task, 20)).await;
    sidecar.seen(1).await;
    assert_eq!(worker.terminated().await, Some(0));
    let worker = setup.start().await;
    assert_eq!(worker.reminder(&task).await["state"], "published");
    assert_eq!(sidecar.attempts().len(), 1);
}

#[tokio::test]
async fn a_publish_that_outlasts_the_grace_is_cut_off_and_repeated_byte_for_byte() {
    let sidecar = Sidecar::up();
    sidecar.behave(|_| Reply::Hang);
    let setup = Setup::beside(&sidecar).set("shutdown.grace=300ms");
    let mut worker = setup.start().await;
    let task = task();
    worker.deliver(&created(&task, 20)).await;
    sidecar.seen(1).await;
    worker.process.signal("TERM");
    worker.process.logs("it is cut short").await;
    assert_eq!(worker.process.ended().await.code(), Some(0), "nothing is lost by it");
    sidecar.behave(|_| TAKE);
    let worker = setup.start().await;
    worker.reminder_is(&task, "published").await;
    let [cut_off, repeat] = &sidecar.attempts()[..] else { panic!("two attempts") };
    assert_eq!(cut_off.events[0].raw, repeat.events[0].raw);
}

#[tokio::test]
async fn a_second_signal_stops_at_once() {
    let sidecar = Sidecar::up();
    sidecar.behave(|_| Reply::Hang);
    let setup = Setup::beside(&sidecar).set("shutdown.grace=10m").set("dapr.publish_timeout=5m");
    let mut worker = setup.start().await;
    worker.deliver(&created(&task(), 20)).await;
    sidecar.seen(1).await;
    worker.process.signal("TERM");
    worker.process.logs("a second signal stops at once").await;
    worker.process.signal("INT");
    assert_eq!(worker.process.ended().await.code(), Some(1));
}
