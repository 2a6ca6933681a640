//! Deliveries as they are recorded and as the worker needs them, on every sidecar there is: always on the embedded
//! one, and on a real daprd wherever one is found (`DAPRD`, `PATH`, `~/.dapr/bin/daprd`).
//!
//! The first line says which, the table at the end what came out. It has a harness of its own because libtest would
//! swallow both, and because scenarios share sidecars: they are played side by side, on topics of their own, in real
//! time. `cargo test --test conformance WORD` runs those whose name contains the word.
//!
//! `sidecar_golden` replays the same recordings on a virtual clock and compares them to the millisecond and the
//! partition; this suite compares more loosely (`loose.rs` says how) and proves that sockets, processes and a real
//! daprd do the same.

#![expect(clippy::unwrap_used, reason = "a test that fails panics")]
#![expect(clippy::disallowed_methods, reason = "processes and sockets live in real time")]

#[path = "conformance/brokers.rs"]
mod brokers;
#[path = "process/child.rs"]
mod child;
#[path = "conformance/daprd.rs"]
mod daprd;
#[path = "conformance/doubt.rs"]
mod doubt;
#[path = "conformance/found.rs"]
mod found;
#[path = "conformance/loose.rs"]
mod loose;
#[path = "process/ports.rs"]
mod ports;
#[path = "conformance/probe.rs"]
mod probe;
#[path = "conformance/recorded.rs"]
mod recorded;
#[path = "recordings/mod.rs"]
mod recordings;
#[path = "conformance/rig.rs"]
mod rig;
#[path = "conformance/scenarios.rs"]
mod scenarios;
#[path = "conformance/sidecar.rs"]
mod sidecar;
#[path = "conformance/stops.rs"]
mod stops;
#[path = "conformance/table.rs"]
mod table;
#[path = "conformance/tap.rs"]
mod tap;
#[path = "process/wait.rs"]
mod wait;
#[path = "conformance/worker.rs"]
mod worker;

use std::process::ExitCode;
use std::time::Instant;

use found::Daprd;
use futures_util::future::join_all;
use recorded::{Outcomes, Play};
use recordings::capture::Capture;
use reminder_worker::sidecar::Profile;
use rig::Place;
use sidecar::{Broker, Kind};
use table::Table;
use wait::now;

/// The recordings, and the brokers they were made on.
const CAPTURES: [(&str, Profile); 5] = [
    ("in-memory", Profile::InMemory),
    ("in-memory+resiliency", Profile::InMemory),
    ("redis", Profile::Redis),
    ("kafka", Profile::Kafka),
    ("kafka+resiliency", Profile::Kafka),
];

/// Why no broker is started.
const NO_DAPRD: &str = "no daprd";

/// Which scenarios are wanted, as libtest's arguments say it.
struct Wanted {
    words: Vec<String>,
}

/// Arguments of libtest that take a value, which is no name.
const WITH_VALUE: [&str; 5] = ["--color", "--format", "--logfile", "--skip", "--test-threads"];

impl Wanted {
    fn of(arguments: &[String]) -> Self {
        let before = [String::new()];
        let words = arguments.iter().zip(before.iter().chain(arguments));
        let words =
            words.filter(|(word, before)| !word.starts_with('-') && !WITH_VALUE.contains(&before.as_str()));
        Self { words: words.map(|(word, _)| word.clone()).collect() }
    }

    fn is(&self, scenario: &str) -> bool {
        self.words.is_empty() || self.words.iter().any(|word| scenario.contains(word.as_str()))
    }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        println!("conformance: test\n\n1 test, 0 benchmarks");
        return ExitCode::SUCCESS;
    }
    let wanted = Wanted::of(&arguments);
    let began = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap();
    let good = match found::daprd() {
        Ok(daprd) => runtime.block_on(run(daprd, &wanted)),
        Err(why) => {
            println!("conformance: {why}");
            false
        }
    };
    println!("conformance: {} in {:.0?}", if good { "ok" } else { "FAILED" }, began.elapsed());
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

async fn run(daprd: Option<Daprd>, wanted: &Wanted) -> bool {
    let captures = CAPTURES.map(|(name, _)| Capture::load(name));
    let embedded = concat!("the embedded sidecar ", env!("CARGO_PKG_VERSION"));
    match &daprd {
        Some(daprd) => {
            println!("conformance: on {embedded} and on daprd {} ({})", daprd.version, daprd.path.display());
        }
        None => println!(
            "conformance: on {embedded} alone; no daprd in DAPRD, PATH or ~/.dapr/bin: the recordings of daprd {} \
             stood in for it",
            captures[0].daprd
        ),
    }
    let mut table = Table::default();
    let is_wanted = |name: &str| wanted.is(name);
    let recorded = captures.iter().flat_map(|capture| capture.scenarios.keys().map(String::as_str));
    let mut all = recorded.chain(scenarios::SCENARIOS.iter().map(|(name, _)| *name));
    if !all.any(is_wanted) {
        return table.print();
    }
    let profiles = CAPTURES.iter().map(|(_, profile)| *profile);
    table.extend(vec![doubt::row(&profiles.zip(&captures).collect::<Vec<_>>())]);
    let (redis, kafka) = match &daprd {
        Some(_) => (brokers::redis().await, brokers::kafka()),
        None => (Err(NO_DAPRD.to_owned()), Err(NO_DAPRD.to_owned())),
    };
    let (mut plays, mut places) = (Vec::new(), Vec::new());
    for (n, ((name, profile), capture)) in (0..).zip(CAPTURES.iter().zip(&captures)) {
        let run = (now() / 1_000 + n).to_string();
        let mut on = |kind: Kind, broker: Broker| {
            if !name.ends_with("+resiliency") {
                places.push((Place { kind: kind.clone(), broker: broker.clone() }, *name));
            }
            plays.push(Play { kind, broker, capture, run: run.clone() });
        };
        on(Kind::Embedded, Broker::played(*profile));
        let Some(daprd) = daprd.clone().map(Kind::Daprd) else { continue };
        let broker = match profile {
            Profile::InMemory => Ok(Broker::played(*profile)),
            Profile::Redis => redis.as_ref().map(|started| Broker::at(*profile, &started.address)),
            Profile::Kafka => kafka.as_ref().map(|started| Broker::at(*profile, &started.address)),
        };
        match broker {
            Ok(broker) => on(daprd, broker),
            Err(why) => table.leave_out(recorded::column(&daprd, name), why),
        }
    }
    // Consumer groups of so many new topics come together slowly: a real Kafka has the machine to itself.
    plays.sort_by_key(is_on_kafka);
    let (first, last) = plays.split_at(plays.partition_point(|play| !is_on_kafka(play)));
    let play_all = async |plays: &[Play<'_>]| join_all(plays.iter().map(|play| play.run(&is_wanted))).await;
    let (mut outcomes, rows) = tokio::join!(play_all(first), scenarios::run(&places, &is_wanted));
    outcomes.extend(play_all(last).await);
    for (play, played) in plays.iter().zip(&outcomes) {
        let is_twin = |(other, _): &(&Play, &Outcomes)| {
            matches!(other.kind, Kind::Embedded) && other.capture.name == play.capture.name
        };
        // The embedded sidecar plays every capture.
        let (_, embedded) = plays.iter().zip(&outcomes).find(is_twin).unwrap();
        table.extend(play.judge(played, embedded));
    }
    table.extend(rows);
    table.print()
}

/// Whether a play is on a real Kafka.
fn is_on_kafka(play: &Play<'_>) -> bool {
    matches!(play.kind, Kind::Daprd(_)) && play.broker.profile == Profile::Kafka
}
