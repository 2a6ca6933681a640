//! Golden vectors: recordings of daprd 1.18.1 on three brokers, replayed on the embedded sidecar.
//!
//! Every scenario of every capture is one publish and all that came of it: the reply to the publisher, the
//! number of deliveries in the time watched, and of the first six the destination, headers and body. The app's
//! side is played from the recording, waiting happens on a virtual clock, and nothing opens a socket.
//!
//! Masked on both sides: ids, times, the number of the run. What brokers leave to chance is taken from the
//! recording (a keyless record goes to the partition it had; the entries of a bulk publish are sent in the
//! order in which they were first delivered), so that batches come out as they were. What still varies is
//! normalised in `strict.rs`, which says why. What cannot match is in [`UNMATCHED`].
//!
//! `conformance` plays the same recordings in real time, on this sidecar and on a real daprd. This suite stays for
//! what the virtual clock gives it: all five captures in about a second, every pause to [`strict`]'s jitter, and
//! chance played from the recording, so that batches, partitions and offsets are compared exactly. There they are
//! left to chance and compared as sets.

#![expect(clippy::unwrap_used, reason = "helpers of tests panic where tests do")]

#[path = "recordings/mod.rs"]
mod recordings;
#[path = "sidecar_golden/replay.rs"]
mod replay;
#[path = "sidecar_golden/strict.rs"]
mod strict;

use recordings::capture::Capture;
use recordings::{UNMATCHED, is_unmatched};
use reminder_worker::sidecar::Profile;

async fn replay_all(name: &str, profile: Profile) {
    let capture = Capture::load(name);
    let (mut matched, mut wrong) = (0, Vec::new());
    for (scenario, recorded) in &capture.scenarios {
        let replayed = replay::run(&capture, profile, scenario, recorded).await;
        let listed = is_unmatched(name, scenario);
        match (strict::differences(name, profile, recorded, &replayed), listed) {
            (None, false) => matched += 1,
            (Some(_), true) => {}
            (Some(difference), false) => wrong.push(format!("{scenario}: {difference}")),
            (None, true) => wrong.push(format!("{scenario}: is listed as unmatched, but matches")),
        }
    }
    let listed =
        UNMATCHED.iter().filter(|(c, s, _)| *c == name && capture.scenarios.contains_key(*s)).count();
    println!(
        "{name} of daprd {}: {matched} of {} scenarios matched, {listed} listed",
        capture.daprd,
        capture.scenarios.len()
    );
    assert!(wrong.is_empty(), "{} of {name} differ:\n{}", wrong.len(), wrong.join("\n"));
    assert_eq!(matched + listed, capture.scenarios.len());
    assert_eq!(UNMATCHED.iter().filter(|(c, ..)| *c == name).count(), listed, "a listed scenario is unknown");
}

#[tokio::test(start_paused = true)]
async fn kafka_behaves_as_recorded() {
    replay_all("kafka", Profile::Kafka).await;
}

#[tokio::test(start_paused = true)]
async fn kafka_with_a_retry_policy_behaves_as_recorded() {
    replay_all("kafka+resiliency", Profile::Kafka).await;
}

#[tokio::test(start_paused = true)]
async fn in_memory_behaves_as_recorded() {
    replay_all("in-memory", Profile::InMemory).await;
}

#[tokio::test(start_paused = true)]
async fn in_memory_with_a_retry_policy_behaves_as_recorded() {
    replay_all("in-memory+resiliency", Profile::InMemory).await;
}

#[tokio::test(start_paused = true)]
async fn redis_behaves_as_recorded() {
    replay_all("redis", Profile::Redis).await;
}
