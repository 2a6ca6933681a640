//! What is shown is what is there.

use std::sync::LazyLock;

use metrics_exporter_prometheus::PrometheusBuilder;
use tokio::task::JoinSet;

use super::*;
use crate::config;
use crate::domain::Kind;
use crate::domain::tests::{T0, event, minute};
use crate::scheduler::tests::clock::TestClock;
use crate::scheduler::tests::{MILLI, PACE, SECOND, Worker, after, due_in, of};
use crate::store::{Batch, Op, Store as _};
use crate::writer::tests::outbox::entry;
use crate::writer::{Acceptance, Content, Delivery, Firing, OutboxResult, Switch};

/// One recorder a process; what is asserted goes to a recorder of the test's own.
pub(crate) static METRICS: LazyLock<Metrics> = LazyLock::new(|| telemetry::start_metrics().unwrap());

const OVERDUE_LIMIT: Duration = Duration::from_secs(60);

/// The gauges of `worker`, looking from now on, and the health they tell.
fn start(worker: &Worker) -> (JoinSet<()>, Health) {
    let limits = config::Health { overdue_limit: OVERDUE_LIMIT, heartbeat_limit: Duration::from_secs(30) };
    let health = Health::new(worker.clock.clone(), limits, worker.stop.clone());
    health.subscribed();
    let mut running = JoinSet::new();
    let (writer, clock, stop) = (worker.writer.clone(), worker.clock.clone(), worker.stop.clone());
    running.spawn(run(writer, clock, health.clone(), METRICS.clone(), stop));
    (running, health)
}

#[tokio::test(start_paused = true)]
async fn every_second_the_gauges_show_what_is_there() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let scrape = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let worker = Worker::still().await;
    let (_running, _health) = start(&worker);
    let shows = |lines: &[&str]| {
        let text = scrape.render();
        for line in lines {
            assert!(text.lines().any(|l| l == format!("reminder_worker_{line}")), "{line} is not in\n{text}");
        }
    };
    worker.sleep(500 * MILLI).await;
    shows(&[
        "reminders{state=\"pending\"} 0",
        "outbox_entries{state=\"waiting\"} 0",
        "outbox_oldest_seconds 0",
        "quarantine_entries 0",
        "oldest_overdue_seconds 0",
    ]);

    worker.tell_all(vec![due_in("a", 2_000), due_in("b", 60_000), due_in("c", 60_000)]).await;
    worker.tell(of("c", event(Kind::Completed, after(100)))).await;
    let content = Content::Refused { code: "not_json", reason: "why".into(), body: "body".into(), length: 4 };
    worker.writer.deliver(vec![Delivery { at: T0, topic: "task-events".into(), content }]).await;
    for _ in 0..3 {
        assert_eq!(worker.writer.accept(entry("t"), b"{}".to_vec()).await, Ok(Acceptance::Kept));
    }
    let [taken] = &worker.writer.take_outbox(9, Vec::new()).await.unwrap()[..] else {
        panic!("one of the task")
    };
    worker.writer.settle_outbox(vec![(taken.number, OutboxResult::Refused("no".into()))]).await.unwrap();
    worker.sleep_until(after(1_500)).await;
    shows(&[
        "reminders{state=\"pending\"} 2",
        "reminders{state=\"cancelled\"} 1",
        "outbox_entries{state=\"waiting\"} 2",
        "outbox_entries{state=\"dead_letter\"} 1",
        "quarantine_entries 1",
        "quarantine_bytes 4",
        "outbox_bytes 6",
        "outbox_oldest_seconds 1",
        "commands_waiting 0",
        "oldest_overdue_seconds 0",
    ]);
    let synced = worker.writer.read(|view| view.store.syncs()).await.unwrap();
    shows(&[&format!("store_syncs_total {synced}")]);

    worker.sleep_until(after(5_500)).await;
    shows(&["oldest_overdue_seconds 3"]);
    let batch = worker.writer.claim(9).await.unwrap().expect("one is due");
    worker.tick().send(batch).await;
    worker.sleep(EVERY + 100 * MILLI).await;
    shows(&[
        "reminders{state=\"pending\"} 1",
        "reminders{state=\"published\"} 1",
        "oldest_overdue_seconds 0",
    ]);
}

#[tokio::test(start_paused = true)]
async fn a_reminder_overdue_beyond_the_limit_ends_readiness_until_it_has_gone_out() {
    let worker = Worker::still().await;
    let (_running, health) = start(&worker);
    worker.tell(due_in("t", 1_000)).await;
    worker.sleep_until(after(1_000).plus(OVERDUE_LIMIT)).await;
    assert!(health.ready().is_ok(), "on the limit");
    worker.sleep(2 * SECOND).await;
    assert_ne!(health.ready().checks["overdue"], "ok");
    let batch = worker.writer.claim(9).await.unwrap().expect("one is due");
    worker.tick().send(batch).await;
    worker.sleep(EVERY + 100 * MILLI).await;
    assert!(health.ready().is_ok(), "{:?}", health.ready());
}

#[tokio::test(start_paused = true)]
async fn events_that_do_not_go_out_for_long_are_a_warning_and_a_metric_until_they_do() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let scrape = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let worker = Worker::still().await;
    let (_running, health) = start(&worker);
    let warned = || health.ready().warnings.get("outbox").cloned();
    let shows = |seconds: u64| {
        let line = format!("reminder_worker_outbox_oldest_seconds {seconds}");
        let text = scrape.render();
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    };
    let accept = async |at: Timestamp, ids: &[&str]| {
        for id in ids {
            let entry = OutboxEntry { at, ..entry(id) };
            assert_eq!(worker.writer.accept(entry, b"{}".to_vec()).await, Ok(Acceptance::Kept));
        }
    };
    let settle = async |number: u64, result: OutboxResult| {
        worker.writer.settle_outbox(vec![(number, result)]).await.unwrap();
    };
    accept(after(0), &["a", "b"]).await;
    accept(after(30_000), &["c"]).await;
    assert_eq!(worker.writer.take_outbox(9, Vec::new()).await.unwrap().len(), 3);
    settle(0, OutboxResult::Failed("no broker".into())).await;
    worker.sleep_until(after(500).plus(OVERDUE_LIMIT)).await;
    shows(60);
    assert_eq!(warned(), None, "on the limit");
    worker.sleep(SECOND).await;
    let report = health.ready();
    let told = "the oldest event of the publishing API that has not gone out was accepted at 2026-11-24T09:00:00.000Z; \
                failed attempts: 1, the last for: no broker; see /api/v1/outbox";
    assert!(report.is_ok(), "{report:?}");
    assert_eq!(report.warnings["outbox"], told);

    // One that is refused for good is told otherwise and keeps nobody waiting; it stays before those that wait.
    worker.sleep(2 * SECOND).await;
    let [again] = &worker.writer.take_outbox(9, Vec::new()).await.unwrap()[..] else {
        panic!("the one that failed")
    };
    settle(again.number, OutboxResult::Refused("too large".into())).await;
    settle(1, OutboxResult::Published).await;
    worker.sleep(EVERY + 100 * MILLI).await;
    assert_eq!(warned(), None);
    let age = worker.clock.now().since(after(30_000)).as_secs();
    shows(age);
    settle(2, OutboxResult::Published).await;
    worker.sleep(EVERY + 100 * MILLI).await;
    shows(0);
}

#[tokio::test(start_paused = true)]
async fn an_outbox_that_cannot_be_read_is_a_warning_and_the_rest_is_looked_at() {
    let worker = Worker::still().await;
    let (_running, health) = start(&worker);
    assert_eq!(worker.writer.accept(entry("t"), b"{}".to_vec()).await, Ok(Acceptance::Kept));
    worker.sleep(EVERY + 100 * MILLI).await;
    assert_eq!(health.ready().warnings.get("outbox"), None);
    show_outbox(Err(&StoreError::Corrupt("an outbox entry".into())), worker.clock.now(), &health);
    let report = health.ready();
    assert!(report.is_ok() && report.warnings["outbox"].contains("cannot be read"), "{report:?}");
    worker.sleep(EVERY + 100 * MILLI).await;
    assert_eq!(health.ready().warnings.get("outbox"), None, "the next look reads it");
}

#[tokio::test(start_paused = true)]
async fn a_store_that_cannot_commit_is_told_by_the_next_look_though_a_read_waits_for_it() {
    let worker = Worker::still().await;
    // Between two idle turns of the commit loop.
    worker.sleep(300 * MILLI).await;
    worker.store.fail_commits(50);
    let (_running, health) = start(&worker);
    // Sent before the gauges look for the first time, and not failed yet then: their read waits behind it.
    let write = worker.writer.accept(entry("t"), b"{}".to_vec());
    let watch = async {
        // Before the commit loop gives up on those who wait from outside.
        worker.sleep(EVERY + 500 * MILLI).await;
        assert!(!worker.writer.is_usable(), "it fails still");
        assert_ne!(health.ready().checks["store"], "ok");
    };
    let (_told_to_come_again, ()) = tokio::join!(write, watch);
    worker.sleep(8 * SECOND).await;
    assert!(worker.writer.is_usable(), "it commits again");
    assert!(health.ready().is_ok(), "{:?}", health.ready());
}

#[tokio::test(start_paused = true)]
async fn a_look_that_fails_fails_the_check_of_the_store_with_its_reason_until_one_succeeds() {
    let worker = Worker::still().await;
    worker.tell(due_in("t", 60_000)).await;
    let (_running, health) = start(&worker);
    worker.sleep(500 * MILLI).await;
    assert!(health.ready().is_ok());
    worker.store.damage_lists(i64::MAX);
    worker.sleep(EVERY).await;
    assert!(worker.writer.is_usable(), "it commits");
    let report = health.ready();
    assert!(!report.is_ok() && report.checks["store"].contains("cannot be read (as told)"), "{report:?}");
    worker.store.damage_lists(0);
    worker.sleep(EVERY).await;
    assert!(health.ready().is_ok(), "{:?}", health.ready());
}

#[tokio::test(start_paused = true)]
async fn a_stop_ends_the_gauges_at_once() {
    let worker = Worker::still().await;
    let (mut running, _health) = start(&worker);
    worker.sleep_until(minute(1).plus(300 * MILLI)).await;
    worker.stop.cancel();
    running.join_next().await.unwrap().unwrap();
    assert_eq!(worker.clock.now(), minute(1).plus(300 * MILLI));
}

#[tokio::test(start_paused = true)]
async fn a_commit_loop_that_answers_nothing_for_long_is_a_store_that_is_not_usable() {
    let worker = Worker::still().await;
    let settings = crate::writer::tests::settings();
    let silent =
        crate::writer::CommitLoop::open(worker.store.clone(), settings, worker.clock.clone()).unwrap();
    let (writer, _never_run) = silent;
    let limits = config::Health { overdue_limit: OVERDUE_LIMIT, heartbeat_limit: Duration::from_secs(30) };
    let health = Health::new(worker.clock.clone(), limits, worker.stop.clone());
    health.subscribed();
    let mut running = JoinSet::new();
    running.spawn(run(writer, worker.clock.clone(), health.clone(), METRICS.clone(), worker.stop.clone()));
    worker.sleep(SILENT_MAX - SECOND / 2).await;
    assert!(health.ready().is_ok());
    worker.sleep(2 * SECOND).await;
    assert!(health.ready().checks["store"].contains("cannot commit"));
}

#[test]
fn another_worker_is_warned_of_for_a_while_and_neither_task_nor_reminder_is_named() {
    let id = crate::domain::ReminderId::from_bytes([7; 16]);
    let last = ForeignReminder { task_id: crate::domain::tests::task("anns-task"), id, at: minute(0) };
    let told = foreign_worker(&last, minute(59)).unwrap();
    assert!(told.contains("another worker") && told.contains("/api/v1/stats"), "{told}");
    assert!(!told.contains("anns-task") && !told.contains(&id.to_string()), "{told}");
    assert_eq!(foreign_worker(&last, minute(60)), None);
}

#[tokio::test(start_paused = true)]
async fn a_pause_is_shown_and_what_is_late_for_it_does_not_end_readiness() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let scrape = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let worker = Worker::still().await;
    let (_running, health) = start(&worker);
    worker.tell(due_in("t", 1_000)).await;
    worker.writer.switch(Switch::Pause { reason: Some("a migration".into()) }).await.unwrap();
    worker.sleep_until(after(1_000).plus(OVERDUE_LIMIT + 2 * SECOND)).await;
    let report = health.ready();
    assert!(report.is_ok(), "{report:?}");
    let told = "reminders are paused since 2026-11-24T09:00:00.000Z (a migration); `reminder-worker resume` or POST \
                /api/v1/resume lets them go on";
    assert_eq!(report.warnings["paused"], told);
    let shows = |line: &str| scrape.render().lines().any(|l| l == format!("reminder_worker_{line}"));
    assert!(shows("paused 1") && shows("reminders_held_back 0") && !shows("oldest_overdue_seconds 0"));
    worker.writer.switch(Switch::Resume).await.unwrap();
    worker.sleep(EVERY + 100 * MILLI).await;
    assert!(shows("paused 0"));
    assert_eq!(health.ready().warnings, std::collections::BTreeMap::new());
    assert_ne!(health.ready().checks["overdue"], "ok", "nobody sends it");
}

#[tokio::test(start_paused = true)]
async fn what_a_rate_holds_back_does_not_end_readiness_unless_nobody_comes_for_it() {
    let firing = Firing { rate: 1, ..Firing::default() };
    let mut worker = Worker::still_with(TestClock::starting_at(minute(-60)), firing).await;
    let (_running, health) = start(&worker);
    worker.tell_all((0..300).map(|n| due_in(&n.to_string(), 1_000)).collect()).await;
    worker.run(PACE);
    worker.sleep_until(minute(3)).await;
    let report = health.ready();
    assert!(report.is_ok(), "{report:?}");
    assert!(report.warnings["held_back"].contains("reminders wait for their turn"), "{report:?}");
    worker.scheduler.shutdown().await;
    worker.sleep(OVERDUE_LIMIT + 5 * SECOND).await;
    assert_ne!(health.ready().checks["overdue"], "ok");
}

#[tokio::test(start_paused = true)]
async fn what_is_not_as_it_was_counted_is_a_warning_and_a_metric_until_it_is() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let scrape = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let worker = Worker::still().await;
    worker.tell_all(vec![due_in("a", 60_000), due_in("b", 60_000)]).await;
    let pending = worker.store.pending(None, 1).unwrap().remove(0);
    let tamper = |op: Op| {
        let mut batch = Batch::default();
        batch.push(op);
        worker.store.commit(&batch).unwrap();
    };
    let reconcile = || async { while worker.writer.reconcile().await.unwrap() {} };
    let (_running, health) = start(&worker);
    let off_by = |by: u64| {
        let line = format!("reminder_worker_ledger_mismatch{{what=\"pending_index\"}} {by}");
        let text = scrape.render();
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
    };
    tamper(Op::RemovePending(pending.key));
    reconcile().await;
    worker.sleep(EVERY + 100 * MILLI).await;
    off_by(1);
    let report = health.ready();
    assert!(report.is_ok() && report.warnings["counters"].contains("pending_index: 2 counted, 1 there"));
    tamper(Op::PutPending(pending.key, pending.task));
    reconcile().await;
    worker.sleep(EVERY + 100 * MILLI).await;
    off_by(0);
    assert_eq!(health.ready().warnings.get("counters"), None);
}

#[tokio::test(start_paused = true)]
async fn a_clock_that_was_set_back_is_a_warning_for_a_while() {
    let at = SetBack { by: 90 * SECOND, at: SECOND };
    let told = clock_back(at, SET_BACK_FOR).unwrap();
    assert!(told.contains("the wall clock was set back by 1m 30s"), "{told}");
    assert_eq!(clock_back(at, SET_BACK_FOR + SECOND), None, "on the bound");
    let worker = Worker::still().await;
    let (_running, health) = start(&worker);
    worker.sleep(2 * SECOND).await;
    assert_eq!(health.ready().warnings.get("clock"), None);
    worker.clock.step(-60_000);
    worker.sleep(3 * SECOND).await;
    assert!(health.ready().warnings["clock"].contains("back by 1m"), "{:?}", health.ready());
}
