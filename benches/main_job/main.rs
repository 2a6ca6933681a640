//! What the main job costs: `cargo bench --bench main_job`.
//!
//! Runs the optimised binary as a process, plays Dapr beside it on the same machine and prints what it measures.
//! Nothing here passes or fails: the machine decides the figures, so compare medians and ratios of one run.
#![expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
#![expect(clippy::unwrap_used, reason = "a benchmark that breaks should say where")]

mod client;
mod herd;
mod load;
mod process;
mod sink;

use std::time::{Duration, Instant};

use process::Worker;
use reminder_worker::sidecar;
use sink::Sink;

/// Connections of the single-delivery load.
const CONNECTIONS: usize = 64;
/// Connections of the bulk load, and events a call.
const BULK_CONNECTIONS: usize = 4;
const BULK_EVENTS: usize = 100;
/// How long each load lasts.
const LOAD: Duration = Duration::from_secs(5);
/// Reminders a second, and for how long, while lateness is measured.
const PACE: u64 = 1_000;
const PACED: u64 = 10_000;
/// Reminders due at one instant.
const BURST: usize = 20_000;
/// Tasks pending while memory is measured.
const PENDING: usize = 200_000;
/// How long after a start memory is read: at the moment at which the worker is ready it still counts all that is kept.
const SETTLED: Duration = Duration::from_secs(30);

fn main() {
    // `cargo bench` hands over flags of the standard harness; what is left are the parts to measure, all if none.
    let asked: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    let wanted = |part: &str| asked.is_empty() || asked.iter().any(|a| a == part);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        println!("{:44} {:>12.1} MB", "binary", Worker::binary_bytes() as f64 / 1e6);
        if wanted("idle") {
            idle().await;
        }
        if wanted("ingest") {
            ingest().await;
        }
        if wanted("pending") {
            pending().await;
        }
        if wanted("lateness") {
            lateness().await;
        }
        if wanted("burst") {
            burst().await;
        }
        // Takes minutes and writes a picture: only where it is asked for.
        if asked.iter().any(|part| part == "herd") {
            herd::herd().await;
        }
    });
}

/// A worker with nothing to do.
async fn idle() {
    let sink = Sink::start().await;
    let worker = Worker::start(sink.port).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    let (cpu, at) = (worker.cpu(), Instant::now());
    tokio::time::sleep(Duration::from_secs(10)).await;
    let share = (worker.cpu() - cpu).as_secs_f64() / at.elapsed().as_secs_f64();
    println!("{:44} {:>12.1} MB", "idle, memory", worker.resident_mb());
    println!("{:44} {:>12.2} % of a core", "idle, processor", share * 100.0);
}

/// Events in, each acknowledged once it is on the disk.
async fn ingest() {
    let sink = Sink::start().await;
    let worker = Worker::start(sink.port).await;
    let single = load::single(worker.app_port, CONNECTIONS, LOAD).await;
    println!(
        "{:44} {:>12.0} events/s",
        format!("durable ingest, single, {CONNECTIONS} connections"),
        single.rate
    );
    println!("{:44} {:>12.2} / {:.2} ms", "  answered after, median / p99", single.median_ms, single.p99_ms);
    let worker = Worker::start(sink.port).await;
    let bulk = load::bulk(worker.app_port, BULK_CONNECTIONS, BULK_EVENTS, LOAD).await;
    println!(
        "{:44} {:>12.0} events/s",
        format!("durable ingest, bulk of {BULK_EVENTS}, {BULK_CONNECTIONS} connections"),
        bulk.rate
    );
    println!("{:44} {:>12.2} / {:.2} ms", "  answered after, median / p99", bulk.median_ms, bulk.p99_ms);
}

/// Many tasks waiting.
async fn pending() {
    let sink = Sink::start().await;
    let worker = Worker::start(sink.port).await;
    load::fill(worker.app_port, PENDING, Duration::from_secs(365 * 86_400), Duration::from_millis(1)).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    println!("{:44} {:>12.1} MB", format!("{PENDING} pending, memory"), worker.resident_mb());
    println!("{:44} {:>12.1} MB", format!("{PENDING} pending, disk"), worker.disk_mb());
    let worker = worker.restart().await;
    println!("{:44} {:>12.0} ms", "  start to ready with them", worker.ready_after.as_secs_f64() * 1e3);
    tokio::time::sleep(SETTLED).await;
    let label = format!("  memory {} s after that start", SETTLED.as_secs());
    println!("{label:44} {:>12.1} MB", worker.resident_mb());
}

/// How late reminders reach the sidecar at a steady pace.
async fn lateness() {
    let sink = Sink::start().await;
    let worker = Worker::start(sink.port).await;
    load::fill(
        worker.app_port,
        usize::try_from(PACED).unwrap(),
        Duration::from_secs(4),
        Duration::from_micros(1_000_000 / PACE),
    )
    .await;
    let arrivals = sink.wait_for(usize::try_from(PACED).unwrap(), Duration::from_secs(60)).await;
    let late = sink::lateness(&arrivals);
    println!(
        "{:44} {:>12.2} / {:.2} / {:.2} ms",
        format!("lateness at {PACE}/s, median / p99 / worst"),
        load::quantile(&late, 50),
        load::quantile(&late, 99),
        load::quantile(&late, 100)
    );
    println!("{:44} {:>12}", "  early", late.iter().filter(|ms| **ms < 0.0).count());
}

/// Everything due at one instant, through the embedded sidecar and back as receipts.
async fn burst() {
    let (token, tracker) = <(tokio_util::sync::CancellationToken, tokio_util::task::TaskTracker)>::default();
    let app_port = process::free_port();
    let settings = sidecar::Settings {
        listen: ([127, 0, 0, 1], 0).into(),
        apps: vec![sidecar::App {
            app_id: "reminder-worker".into(),
            address: format!("127.0.0.1:{app_port}"),
            api_token: None,
        }],
        ..sidecar::Settings::default()
    };
    let clock = std::sync::Arc::new(reminder_worker::clock::SystemClock::new());
    let embedded = sidecar::Sidecar::start(settings, clock, token.clone(), tracker).await.unwrap();
    let mut observed = embedded.observe();
    let worker = Worker::start_on(embedded.address().port(), app_port).await;
    let due = load::fill(app_port, BURST, Duration::from_secs(6), Duration::ZERO).await;
    let (mut published, mut last) = (0, 0);
    while published < BURST {
        match tokio::time::timeout(Duration::from_secs(60), observed.recv()).await.unwrap() {
            Ok(sidecar::Observation::Published { topic, at, .. }) if &*topic == "reminders" => {
                published += 1;
                last = at.millis() - due;
            }
            Ok(_) => {}
            // Fell behind: the count in the worker is exact.
            Err(_) => published = published.max(worker.published().await),
        }
    }
    println!("{:44} {:>12} ms", format!("{BURST} due at once, last one published after"), last);
    println!("{:44} {:>12.1} MB", "  memory after that", worker.resident_mb());
    token.cancel();
}
