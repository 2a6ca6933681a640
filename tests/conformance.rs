//! Deliveries as they are recorded and as the worker needs them, on every sidecar there is: always on the embedded
//! one, on a real daprd wherever one is found (`DAPRD`, `PATH`, `~/.dapr/bin/daprd`), and with the feature `kafka` on
//! the embedded one in front of a real Kafka. That one is named by `KAFKA`, or started where `tests/kafka/broker fetch`
//! has been; nothing is installed here.
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
#[path = "kafka/broker.rs"]
mod kafka;
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
#[path = "conformance/topics.rs"]
mod topics;
#[path = "process/wait.rs"]
mod wait;
#[path = "conformance/worker.rs"]
mod worker;

use std::process::ExitCode;
use std::time::Instant;

use brokers::Started;
use found::Daprd;
use futures_util::future::join_all;
use recorded::{Outcomes, Play};
use recordings::capture::Capture;
use reminder_worker::sidecar::{KAFKA_BUILT_IN, Profile};
use rig::Place;
use sidecar::{Broker, Kind};
use table::{Row, Table, Verdict};
use wait::now;

/// The recordings, and the brokers they were made on.
const CAPTURES: [(&str, Profile); 5] = [
    ("in-memory", Profile::InMemory),
    ("in-memory+resiliency", Profile::InMemory),
    ("redis", Profile::Redis),
    ("kafka", Profile::Kafka),
    ("kafka+resiliency", Profile::Kafka),
];

/// Between the runs of one sidecar and the next's: more than there are captures.
const RUNS_APART: i64 = 10;

/// Kinds of sidecars at most, see `sidecars`.
const KINDS: i64 = 3;

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
    let no_kafka = if daprd.is_some() || KAFKA_BUILT_IN { brokers::no_kafka() } else { None };
    print_head(daprd.as_ref(), no_kafka.as_deref(), &captures[0].daprd);
    let mut table = Table::default();
    let is_wanted = |name: &str| wanted.is(name);
    let recorded = captures.iter().flat_map(|capture| capture.scenarios.keys().map(String::as_str));
    let mut all = recorded.chain(scenarios::SCENARIOS.iter().map(|(name, _)| *name));
    if !all.any(is_wanted) {
        return table.print();
    }
    let profiles = CAPTURES.iter().map(|(_, profile)| *profile);
    table.extend(vec![doubt::row(&profiles.zip(&captures).collect::<Vec<_>>())]);
    let (redis, kafka) = match brokers_for(daprd.as_ref(), no_kafka).await {
        Ok(brokers) => brokers,
        Err(why) => {
            println!("conformance: {why}");
            return false;
        }
    };
    let (mut plays, mut places) = (Vec::new(), Vec::new());
    for (n, ((name, profile), capture)) in (0..).zip(CAPTURES.iter().zip(&captures)) {
        for (kind, sidecar) in (0..).zip(sidecars(daprd.as_ref(), *profile)) {
            let broker = match (&sidecar, profile) {
                (Kind::Embedded, _) | (_, Profile::InMemory) => Ok(Broker::played(*profile)),
                (_, Profile::Redis) => redis.as_ref().map(|started| Broker::at(*profile, &started.address)),
                (_, Profile::Kafka) => kafka.as_ref().map(|started| Broker::at(*profile, &started.address)),
            };
            let broker = match broker {
                Ok(broker) => broker,
                Err(why) => {
                    table.leave_out(recorded::column(&sidecar, name), why);
                    continue;
                }
            };
            if !name.ends_with("+resiliency") {
                places.push((Place { kind: sidecar.clone(), broker: broker.clone() }, *name));
            }
            // Topics are named after it, so no two plays on a broker may share it.
            let run = now() / 1_000 + n + RUNS_APART * kind;
            plays.push(Play { kind: sidecar, broker, capture, run: run.to_string() });
        }
    }
    // Hundreds of topics at once keep a machine busy, and consumer groups of so many new ones come together slowly.
    plays.sort_by_key(turn);
    let turns: Vec<&[Play<'_>]> = plays.chunk_by(|play, next| turn(play) == turn(next)).collect();
    let play_all = async |plays: &[Play<'_>]| join_all(plays.iter().map(|play| play.run(&is_wanted))).await;
    let (first, rest) = turns.split_first().unwrap();
    let (mut outcomes, rows) = tokio::join!(play_all(first), scenarios::run(&places, &is_wanted));
    for plays in rest {
        outcomes.extend(play_all(plays).await);
    }
    for (play, played) in plays.iter().zip(&outcomes) {
        let is_twin = |(other, _): &(&Play, &Outcomes)| {
            matches!(other.kind, Kind::Embedded) && other.capture.name == play.capture.name
        };
        // The embedded sidecar plays every capture.
        let (_, embedded) = plays.iter().zip(&outcomes).find(is_twin).unwrap();
        table.extend(judged(play, played, embedded).await);
    }
    table.extend(rows);
    table.print()
}

/// The verdicts on a play. What differs is played once more, without the hundred others beside it: a late machine passes,
/// a fault does not.
async fn judged(play: &Play<'_>, played: &Outcomes, embedded: &Outcomes) -> Vec<Row> {
    let mut rows = play.judge(played, embedded);
    let differ: Vec<Row> = rows.extract_if(.., |row| matches!(row.verdict, Verdict::Differs(_))).collect();
    if differ.is_empty() {
        return rows;
    }
    for Row { scenario, column, verdict } in &differ {
        println!("conformance: {scenario} on {column} is played again: {verdict:?}");
    }
    let again = play.again(RUNS_APART * KINDS);
    let outcomes = again.run(&|name| differ.iter().any(|row| row.scenario == name)).await;
    rows.extend(again.judge(&outcomes, embedded));
    rows
}

/// What it runs on, and what is not there.
fn print_head(daprd: Option<&Daprd>, no_kafka: Option<&str>, recorded: &str) {
    let embedded = concat!("the embedded sidecar ", env!("CARGO_PKG_VERSION"));
    let kafka = no_kafka.map(|why| format!("; on no real Kafka: {why}")).unwrap_or_default();
    match daprd {
        Some(daprd) => {
            let (version, path) = (&daprd.version, daprd.path.display());
            println!("conformance: on {embedded} and on daprd {version} ({path}){kafka}");
        }
        None => println!(
            "conformance: on {embedded} alone; no daprd in DAPRD, PATH or ~/.dapr/bin: the recordings of daprd \
             {recorded} stood in for it{kafka}"
        ),
    }
}

/// Redis and Kafka, or why each is left out; an error where one that should start does not.
async fn brokers_for(
    daprd: Option<&Daprd>,
    no_kafka: Option<String>,
) -> Result<(Result<Started, String>, Result<Started, String>), String> {
    const UNUSED: &str = "no sidecar needs it";
    let redis = if daprd.is_some() { brokers::redis().await } else { Err(UNUSED.to_owned()) };
    let kafka = match no_kafka {
        Some(why) => Err(why),
        None if daprd.is_some() || KAFKA_BUILT_IN => Ok(brokers::kafka()?),
        None => Err(UNUSED.to_owned()),
    };
    Ok((redis, kafka))
}

/// Those that there are on a broker.
fn sidecars(daprd: Option<&Daprd>, profile: Profile) -> Vec<Kind> {
    let on_kafka = (KAFKA_BUILT_IN && profile == Profile::Kafka).then_some(Kind::EmbeddedOnKafka);
    let daprd = daprd.cloned().map(Kind::Daprd);
    [Some(Kind::Embedded), daprd, on_kafka].into_iter().flatten().collect()
}

/// When a play's turn is.
fn turn(play: &Play<'_>) -> u8 {
    match play.kind {
        Kind::Daprd(_) if !play.broker.is_real_kafka() => 0,
        Kind::Embedded => 1,
        Kind::Daprd(_) => 2,
        Kind::EmbeddedOnKafka => 3,
    }
}
