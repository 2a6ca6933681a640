//! Stops on virtual time.

use std::time::Duration;

use tokio::sync::mpsc;

use super::*;
use crate::clock::TokioClock;
use crate::domain::Timestamp;

const GRACE: Duration = Duration::from_secs(10);
const MILLI: Duration = Duration::from_millis(1);

/// Signals sent by a test.
struct Sent(mpsc::UnboundedReceiver<&'static str>);

impl Signals for Sent {
    async fn next(&mut self) -> &'static str {
        match self.0.recv().await {
            Some(name) => name,
            None => std::future::pending().await,
        }
    }
}

fn shutdown() -> (Shutdown, Arc<TokioClock>) {
    let clock = Arc::new(TokioClock::starting_at(Timestamp::from_millis(0)));
    (Shutdown::new(clock.clone(), GRACE), clock)
}

/// A loop that needs `tail` to finish after it was asked to.
async fn slow_to_end(shutdown: Shutdown, clock: Arc<TokioClock>, tail: Duration) {
    shutdown.soft().cancelled().await;
    clock.sleep(tail).await;
}

#[tokio::test(start_paused = true)]
async fn a_soft_stop_waits_for_every_task_to_finish() {
    let (shutdown, clock) = shutdown();
    let tail = GRACE - Duration::from_millis(1);
    shutdown.spawn("scheduler", slow_to_end(shutdown.clone(), clock.clone(), tail));
    shutdown.spawn("http", slow_to_end(shutdown.clone(), clock.clone(), Duration::ZERO));
    assert_eq!(shutdown.running(), ["http", "scheduler"]);
    shutdown.stop();
    assert!(shutdown.drain().await.is_clean());
    assert_eq!(clock.now().millis(), 9_999);
    assert!(!shutdown.hard().is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_grace_cuts_off_what_still_runs_and_names_it() {
    let (shutdown, clock) = shutdown();
    shutdown.spawn("http", slow_to_end(shutdown.clone(), clock.clone(), Duration::ZERO));
    shutdown.spawn("scheduler", std::future::pending());
    shutdown.stop();
    let drained = shutdown.drain().await;
    assert_eq!(drained, Drained { cut_off: vec!["scheduler"], crashed: vec![] });
    assert_eq!(clock.now().millis(), 10_000);
    assert!(shutdown.hard().is_cancelled());
}

#[tokio::test(start_paused = true)]
async fn the_first_signal_stops_softly_and_the_second_at_once() {
    let (shutdown, clock) = shutdown();
    let (send, receive) = mpsc::unbounded_channel();
    let obeying = shutdown.clone();
    shutdown.spawn("scheduler", std::future::pending());
    let driver = async {
        send.send("SIGTERM").unwrap();
        shutdown.soft().cancelled().await;
        assert!(!shutdown.hard().is_cancelled());
        clock.sleep(Duration::from_secs(1)).await;
        send.send("SIGINT").unwrap();
    };
    let (drained, (), ()) = tokio::join!(shutdown.drain(), obeying.obey(Sent(receive)), driver);
    assert_eq!(drained.cut_off, ["scheduler"]);
    assert_eq!(clock.now().millis(), 1_000, "the rest of the grace is not waited for");
}

#[tokio::test(start_paused = true)]
async fn a_signal_that_comes_twice_at_once_is_one() {
    for (again, apart, is_one) in [
        ("SIGTERM", Duration::ZERO, true),
        ("SIGTERM", ECHO - MILLI, true),
        ("SIGTERM", ECHO + MILLI, false),
        ("SIGINT", Duration::ZERO, false),
    ] {
        let (shutdown, clock) = shutdown();
        let (send, receive) = mpsc::unbounded_channel();
        let driver = async {
            send.send("SIGTERM").unwrap();
            shutdown.soft().cancelled().await;
            clock.sleep(apart).await;
            send.send(again).unwrap();
            clock.sleep(2 * ECHO).await;
        };
        let obeying = async {
            shutdown.obey(Sent(receive)).await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = driver => {}
            () = obeying => {}
        }
        assert_eq!(shutdown.hard().is_cancelled(), !is_one, "{apart:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_panics_stops_the_worker_and_is_named() {
    let (shutdown, clock) = shutdown();
    shutdown.spawn("http", slow_to_end(shutdown.clone(), clock, Duration::ZERO));
    shutdown.spawn("outbox", async { panic!("on purpose") });
    let drained = shutdown.drain().await;
    assert_eq!(drained, Drained { cut_off: vec![], crashed: vec!["outbox"] });
}

#[tokio::test(start_paused = true)]
async fn without_a_stop_the_drain_waits_for_ever() {
    let (shutdown, clock) = shutdown();
    shutdown.spawn("scheduler", std::future::pending());
    let year = clock.sleep(Duration::from_secs(366 * 24 * 60 * 60));
    tokio::select! {
        drained = shutdown.drain() => panic!("nobody asked for a stop: {drained:?}"),
        () = year => {}
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_that_yields_is_cut_short_before_the_grace_is_over_and_the_drain_is_clean() {
    let (shutdown, clock) = shutdown();
    shutdown.spawn_yielding("scheduler", std::future::pending());
    shutdown.spawn("commit loop", slow_to_end(shutdown.clone(), clock.clone(), Duration::from_secs(8)));
    shutdown.stop();
    assert!(shutdown.drain().await.is_clean());
    assert_eq!(clock.now().millis(), 8_000);
}
