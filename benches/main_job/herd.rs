//! What a herd does to the broker; draws `docs/herd.svg`.
//!
//! 50,000 tasks of 10,000 users are due at one instant, and their reminders go out under several settings to a sidecar
//! that takes everything and notes when.

mod picture;

use std::time::Duration;

use super::client::Client;
use super::load::quantile;
use super::process::Worker;
use super::sink::{Arrival, Sink, lateness};

const TASKS: usize = 50_000;
const USERS: usize = 10_000;
/// From the last task's creation until all are due.
const AHEAD: Duration = Duration::from_secs(45);
/// Events a bulk delivery, as daprd's largest.
const BULK: usize = 500;
const PRIORITIES: [&str; 3] = ["HIGH", "MEDIUM", "LOW"];

/// One setting and what it is called in the picture.
struct Setting {
    name: &'static str,
    variables: &'static [(&'static str, &'static str)],
}

const SETTINGS: [Setting; 4] = [
    Setting { name: "as shipped", variables: &[] },
    Setting {
        name: "publish.rate = 2000 a second",
        variables: &[("REMINDER_WORKER__PUBLISH__RATE", "2000")],
    },
    Setting {
        // A user has five tasks here: two go at once, and one every half minute after that.
        name: "publish.user_rate = 2 a minute",
        variables: &[("REMINDER_WORKER__PUBLISH__USER_RATE", "2")],
    },
    Setting {
        name: "reminders.windows = [\"0=30s\"]",
        variables: &[("REMINDER_WORKER__REMINDERS__WINDOWS", "0=30s")],
    },
];

/// What one setting did, times in milliseconds after due.
struct Run {
    name: &'static str,
    due: i64,
    arrivals: Vec<Arrival>,
}

/// Plays every setting and draws what came of it.
pub(crate) async fn herd() {
    let mut runs = Vec::new();
    for setting in &SETTINGS {
        let run = play(setting).await;
        tell(&run);
        runs.push(run);
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/herd.svg");
    std::fs::write(path, picture::draw(&runs)).unwrap();
    println!("drawn into {path}");
}

async fn play(setting: &Setting) -> Run {
    let sink = Sink::start().await;
    let worker = Worker::start_with(sink.port, setting.variables).await;
    let due = now() + i64::try_from(AHEAD.as_millis()).unwrap();
    let mut client = Client::connect(worker.app_port).await;
    for chunk in (0..TASKS).collect::<Vec<_>>().chunks(BULK) {
        let body = bulk_body(chunk, due);
        let answer = client.post("/events/task-events", "application/json", body.as_bytes()).await;
        assert_eq!(answer.windows(9).filter(|w| w == b"\"SUCCESS\"").count(), chunk.len());
    }
    let arrivals = sink.wait_for(TASKS, AHEAD + Duration::from_secs(120)).await;
    Run { name: setting.name, due, arrivals }
}

fn tell(run: &Run) {
    println!("{}", run.name);
    println!("  {:30} {:>8} /s", "most in any second", run.most_in_a_second());
    println!("  {:30} {:>8}", "early", run.arrivals.iter().filter(|a| a.lateness() < 0.0).count());
    for priority in PRIORITIES {
        let late = run.lateness(priority);
        let (median, worst) = (quantile(&late, 50), quantile(&late, 100));
        println!("  {priority:30} {median:>8.0} ms late (median), {worst:.0} ms (worst)");
    }
}

impl Run {
    /// How late reminders of `priority` came, sorted, in milliseconds.
    fn lateness(&self, priority: &str) -> Vec<f64> {
        lateness(self.arrivals.iter().filter(|a| a.priority == priority))
    }

    fn most_in_a_second(&self) -> usize {
        let mut times: Vec<f64> = self.arrivals.iter().map(|a| a.at).collect();
        times.sort_by(f64::total_cmp);
        let within = |from: usize| times[from..].partition_point(|at| *at < times[from] + 1000.0);
        (0..times.len()).map(within).max().unwrap_or(0)
    }
}

fn now() -> i64 {
    super::load::now().millis()
}

fn rfc3339(millis: i64) -> String {
    reminder_worker::domain::Timestamp::from_millis(millis).to_rfc3339()
}

fn bulk_body(tasks: &[usize], due: i64) -> String {
    let entries: Vec<String> = tasks.iter().map(|n| entry(*n, due)).collect();
    format!(
        r#"{{"entries":[{}],"id":"b","metadata":{{"pubsubName":"kafka-pubsub"}},"pubsubname":"kafka-pubsub","topic":"task-events","type":"com.dapr.event.sent.bulk"}}"#,
        entries.join(",")
    )
}

fn entry(n: usize, due: i64) -> String {
    let (user, priority) = (n % USERS, PRIORITIES[n / USERS % 3]);
    let event = format!(
        r#"{{"event_id":"5d7a11d0-31c2-4c4e-9c55-{n:012x}","event_type":"task_created","timestamp":"{}","producer":"chat-api","payload":{{"task_id":"7b0d1c52-9a3e-4c11-8f00-{n:012x}","user_id":"user-{user}","title":"a task of a herd","priority":"{priority}","due_date":"{}"}}}}"#,
        rfc3339(now()),
        rfc3339(due),
    );
    format!(
        r#"{{"entryId":"{n}","event":{{"data":{event},"datacontenttype":"application/json","id":"{n}","source":"chat-api","specversion":"1.0","type":"com.dapr.event.sent"}},"metadata":{{"__topic":"task-events"}},"contentType":"application/cloudevents+json"}}"#
    )
}
