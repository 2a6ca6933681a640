//! What the probes are told, and when.

use metrics_exporter_prometheus::PrometheusBuilder;

use super::*;
use crate::clock::{SCALE_MAX, ScaledClock, TokioClock};

fn machine() -> Arc<TokioClock> {
    Arc::new(TokioClock::starting_at(Timestamp::from_millis(1_000_000)))
}

fn health() -> (Health, CancellationToken) {
    health_on(machine())
}

fn health_on(clock: Arc<dyn Clock>) -> (Health, CancellationToken) {
    let limits =
        config::Health { overdue_limit: Duration::from_secs(60), heartbeat_limit: Duration::from_secs(30) };
    let stop = CancellationToken::new();
    (Health::new(clock, limits, stop.clone()), stop)
}

#[tokio::test(start_paused = true)]
async fn a_loop_that_stands_still_beyond_the_limit_is_named() {
    let (health, _) = health();
    let (turns, _stuck) = (health.heart("turns"), health.heart("stuck"));
    tokio::time::advance(Duration::from_secs(30)).await;
    assert!(health.alive().is_ok(), "on the limit");
    turns.beat();
    tokio::time::advance(Duration::from_millis(1)).await;
    let report = health.alive();
    assert_eq!(report.status, "failing");
    assert_eq!(report.checks["turns"], "ok");
    assert_eq!(report.checks["stuck"], "no sign of life for 30 s");
}

#[tokio::test(start_paused = true)]
async fn simulated_time_lets_no_sign_of_life_grow_old() {
    let clock = ScaledClock::new(machine(), SCALE_MAX.to_string().parse().unwrap());
    let (health, _) = health_on(Arc::new(clock.clone()));
    let _turns = health.heart("turns");
    tokio::time::advance(Duration::from_secs(30)).await;
    clock.advance(Duration::from_secs(24 * 3_600)).unwrap();
    assert!(health.alive().is_ok(), "on the limit");
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(!health.alive().is_ok(), "a loop that stands still is still found");
}

#[tokio::test(start_paused = true)]
async fn readiness_needs_everything_and_says_what_fails() {
    let (health, stop) = health();
    let failing = |health: &Health| -> Vec<&'static str> {
        let checks = health.ready().checks;
        checks.into_iter().filter(|(_, what)| what != "ok").map(|(name, _)| name).collect()
    };
    assert_eq!(failing(&health), ["subscriptions"]);
    health.subscribed();
    assert!(health.ready().is_ok());
    health.store_usable(false);
    assert_eq!(failing(&health), ["store"]);
    health.store_usable(true);
    health.overdue(Some(Timestamp::from_millis(1_000_000)), None);
    health.held_up(Some("no topic".into()));
    tokio::time::advance(Duration::from_secs(60)).await;
    assert!(health.ready().is_ok(), "on the limit");
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(failing(&health), ["overdue"]);
    assert!(health.ready().checks["overdue"].ends_with("no topic"), "{:?}", health.ready());
    health.held_up(None);
    assert!(health.ready().is_ok(), "it has failed, but others go out");
    health.overdue(Some(Timestamp::from_millis(0)), Some(Timestamp::from_millis(1_000_000)));
    assert_eq!(failing(&health), ["overdue"]);
    assert!(health.ready().checks["overdue"].contains("1970-01-01T00:16:40"), "the one that counts");
    health.sidecar(Some("it refuses the token".into()));
    assert_eq!(health.ready().checks["sidecar"], "it refuses the token");
    health.sidecar(None);
    health.overdue(None, None);
    assert!(health.ready().is_ok());
    stop.cancel();
    assert_eq!(failing(&health), ["draining"]);
}

#[tokio::test(start_paused = true)]
async fn a_refused_subscription_stays_told_until_it_is_known_to_stand() {
    let (health, _) = health();
    health.subscribed();
    assert!(health.refused(DaprCall::Subscribe), "news");
    assert!(!health.refused(DaprCall::Subscribe) && !health.refused(DaprCall::Deliver), "the same trouble");
    tokio::time::advance(2 * REFUSED_FOR).await;
    let report = health.ready();
    assert!(report.checks["subscriptions"].contains("APP_API_TOKEN"), "{report:?}");
    assert_eq!(report.checks["deliveries"], "ok");
    health.subscribed();
    assert!(health.ready().is_ok());
}

#[tokio::test(start_paused = true)]
async fn the_metric_of_subscriptions_says_what_readiness_says() {
    let recorder = PrometheusBuilder::new().build_recorder();
    let scrape = recorder.handle();
    let _guard = metrics::set_default_local_recorder(&recorder);
    let (health, _) = health();
    let shows = |value: &str, check: &str| {
        health.measure();
        let text = scrape.render();
        let line = format!("reminder_worker_subscribed {value}");
        assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        assert_eq!(health.ready().checks["subscriptions"] == "ok", check == "ok");
    };
    shows("0", "failing");
    // A sidecar that outlived the worker does not ask again: its metadata says that it has them.
    health.subscribed();
    shows("1", "ok");
    health.refused(DaprCall::Subscribe);
    shows("0", "failing");
}

#[tokio::test(start_paused = true)]
async fn refused_deliveries_count_for_a_while_or_until_one_is_taken() {
    let (health, _) = health();
    health.subscribed();
    assert!(health.refused(DaprCall::Deliver));
    tokio::time::advance(REFUSED_FOR - Duration::from_millis(1)).await;
    assert!(health.ready().checks["deliveries"].contains("APP_API_TOKEN"));
    tokio::time::advance(Duration::from_millis(1)).await;
    assert!(health.ready().is_ok(), "on the limit it is forgotten");
    assert!(!health.refused(DaprCall::Deliver), "though not told again");
    health.taken();
    assert!(health.ready().is_ok());
    assert!(health.refused(DaprCall::Deliver), "news again");
}

#[tokio::test(start_paused = true)]
async fn a_warning_stands_in_the_report_and_fails_nothing() {
    let (health, _) = health();
    health.subscribed();
    assert_eq!(health.ready().warnings, BTreeMap::new());
    health.warning("foreign_worker", Some("another".into()));
    health.held_up(Some("no topic".into()));
    let report = health.ready();
    assert!(report.is_ok());
    assert_eq!(
        (report.warnings["foreign_worker"].as_str(), report.warnings["publishing"].as_str()),
        ("another", "no topic")
    );
}

#[tokio::test(start_paused = true)]
async fn what_the_worker_holds_back_itself_is_a_warning_once_it_is_late() {
    let (health, _) = health();
    health.subscribed();
    health.warning("paused", Some("since noon".into()));
    assert!(health.ready().is_ok());
    assert_eq!(health.ready().warnings["paused"], "since noon");
    health.warning("paused", None);
    health.held_back(Some("7 wait".into()));
    assert_eq!(health.ready().warnings, BTreeMap::new(), "which a rate does all the time");
    health.overdue(Some(Timestamp::from_millis(1_000_000)), None);
    tokio::time::advance(Duration::from_secs(60)).await;
    assert_eq!(health.ready().warnings, BTreeMap::new(), "on the limit");
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(health.ready().warnings["held_back"], "7 wait");
    assert!(health.ready().is_ok());
}
