//! Brokers that are stopped, killed and come back: what publishers are told, and when.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};
use std::time::Duration;

use reminder_worker::clock::{Clock, SystemClock};
use serde_json::json;

use crate::numbers;
use crate::ports::free_port;
use crate::stage::{Broker, TestApp, TestSidecar, fresh, taken, to};

/// A publish some time from now, which no broker answers: it is told so after a grace of its own.
async fn refused_publish(sidecar: &TestSidecar, topic: &str, after_ms: u64) {
    const GRACE: Duration = Duration::from_secs(1);
    let clock = SystemClock::new();
    clock.sleep(Duration::from_millis(after_ms)).await;
    let asked = clock.monotonic();
    let (status, body) = sidecar.publish(topic, "", &json!({"n": -1})).await;
    let waited = clock.monotonic() - asked;
    println!("killed: {status} after {waited:?}: {body}");
    assert_eq!(status, 500, "{body}");
    assert!(body.contains("ERR_PUBSUB_PUBLISH_MESSAGE") && body.contains("run out of available brokers"));
    assert!((GRACE..4 * GRACE).contains(&waited), "{waited:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_is_stopped_or_killed_costs_time_and_nothing_else() {
    let broker = Broker::started("killed");
    let topic = fresh("killed");
    let clock = SystemClock::new();
    let app = TestApp::start(json!([to(&topic, &json!({}))]), |_, _| taken()).await;
    let sidecar = TestSidecar::start(&broker.address, &topic, &app).await;
    assert_eq!(sidecar.publish(&topic, "", &json!({"n": 1})).await.0, 204);
    app.until("the first", |seen| numbers(seen) == [1]).await;

    broker.tell("pause");
    let (event, stopped) = (json!({"n": 2}), clock.monotonic());
    let publish = sidecar.publish(&topic, "", &event);
    let resume = async {
        clock.sleep(Duration::from_secs(4)).await;
        broker.tell("resume");
    };
    let ((status, _), ()) = tokio::join!(publish, resume);
    let hung = clock.monotonic() - stopped;
    assert_eq!(status, 204);
    assert!(hung >= Duration::from_secs(4), "{hung:?}");
    app.until("the second", |seen| numbers(seen).contains(&2)).await;

    broker.tell("kill");
    for _ in 0..2 {
        tokio::join!(refused_publish(&sidecar, &topic, 0), refused_publish(&sidecar, &topic, 500));
    }
    let events: Vec<_> = (0..2).map(|n| (n.to_string(), json!({"n": -1}))).collect();
    let (status, body) = sidecar.publish_bulk(&topic, &events).await;
    assert_eq!((status, body.matches("entryId").count()), (500, 2), "{body}");
    broker.make_no_topics();
    broker.tell("start");
    let back = clock.monotonic();
    assert_eq!(sidecar.publish(&topic, "", &json!({"n": 3})).await.0, 204);
    println!("back: published after {:?}", clock.monotonic() - back);
    app.until("the third", |seen| numbers(seen).contains(&3)).await;
    println!("back: delivered after {:?}", clock.monotonic() - back);
    assert!(!numbers(&app.seen()).contains(&-1), "what everybody had given up was taken back");

    let asked = clock.monotonic();
    let (status, body) = sidecar.publish(&fresh("missing"), "", &json!({"n": 4})).await;
    let waited = clock.monotonic() - asked;
    println!("missing: {status} after {waited:?}: {body}");
    assert!(status == 500 && body.contains("topic or partition that does not exist"), "{body}");
    assert!(waited < Duration::from_secs(8), "{waited:?}");
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broker_that_came_back_unused_and_is_stopped_for_a_moment_refuses_nobody() {
    let broker = Broker::started("unused");
    let topic = fresh("unused");
    let clock = SystemClock::new();
    let app = TestApp::start(json!([]), |_, _| taken()).await;
    let sidecar = TestSidecar::start(&broker.address, &topic, &app).await;
    assert_eq!(sidecar.publish(&topic, "", &json!({"n": 1})).await.0, 204);
    broker.tell("kill");
    refused_publish(&sidecar, &topic, 0).await;
    broker.tell("start");
    clock.sleep(Duration::from_secs(6)).await;
    broker.tell("pause");
    let publish = async |n: u64| {
        clock.sleep(Duration::from_millis(100 * n)).await;
        sidecar.publish(&topic, "", &json!({"n": n})).await
    };
    let resume = async {
        clock.sleep(Duration::from_millis(1300)).await;
        broker.tell("resume");
    };
    let (answers, ()) = tokio::join!(futures_util::future::join_all((0..10).map(publish)), resume);
    for (status, body) in answers {
        assert_eq!(status, 204, "{body}");
    }
    sidecar.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_while_the_broker_is_stopped_ends_the_sidecar_all_the_same() {
    // What src/cli/sidecar.rs gives to a broker that does not answer, and a bit.
    const PARTING_MAX: Duration = Duration::from_secs(5);
    let broker = Broker::started("parting");
    let topic = fresh("parting");
    let app = TestApp::start(json!([to(&topic, &json!({}))]), |_, _| taken()).await;
    crate::produce(&broker, &topic, "k", Some(r#"{"data":{"n":1}}"#), None).await;
    let mut sidecar = Command::new(env!("CARGO_BIN_EXE_reminder-worker"))
        .args(["sidecar", "--port", &free_port().to_string(), "--app", &format!("{topic}={}", app.address)])
        .args(["--kafka", &broker.address])
        .env("REMINDER_WORKER__DAPR__PUBSUB", "pubsub")
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    BufReader::new(sidecar.stdout.take().unwrap()).lines().next().unwrap().unwrap();
    app.until("a delivery", |seen| !seen.is_empty()).await;
    broker.tell("pause");
    let (clock, process) = (SystemClock::new(), sidecar.id().to_string());
    let told = clock.monotonic();
    assert!(Command::new("kill").args(["-TERM", &process]).status().unwrap().success());
    let status = sidecar.wait().unwrap();
    let took = clock.monotonic() - told;
    println!("ended with {status} after {took:?}");
    assert!(status.success(), "{status}");
    assert!(took < PARTING_MAX + Duration::from_secs(3), "{took:?}");
    broker.tell("resume");
}
