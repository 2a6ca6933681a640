//! What `dev` prints: one line for each thing that happened, with the seconds since the start.

use std::io::Write as _;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;

use crate::app::Running;
use crate::cli::terminal::{Paint, harmless};
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::Timestamp;
use crate::intake::LiveReminder;
use crate::sidecar::Observation;

/// Where lines go.
pub(super) struct Screen {
    paint: Paint,
    clock: Arc<dyn Clock>,
    started: Timestamp,
    reminders_topic: String,
}

/// A reminder as it came back through the broker.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    pub(super) title: String,
    pub(super) rule: String,
    /// From the planned instant until the worker had it back.
    pub(super) late_by: Duration,
    /// It came before its instant, which must never be.
    pub(super) early: bool,
}

impl Screen {
    pub(super) fn new(paint: Paint, clock: Arc<dyn Clock>, reminders_topic: &str) -> Self {
        let started = clock.now();
        Self { paint, clock, started, reminders_topic: reminders_topic.to_owned() }
    }

    /// Prints a line; a reader who went away is no error.
    pub(super) fn line(&mut self, text: &str) {
        let _ = writeln!(std::io::stdout(), "{text}");
    }

    /// Prints what happened, under a word that says of what kind it is.
    pub(super) fn happened(&mut self, word: &str, text: &str) {
        let at = self.clock.now().since(self.started).as_secs_f64();
        let word = match word {
            "reminder" => self.paint.green(format!("{word:<9}")),
            _ => self.paint.yellow(format!("{word:<9}")),
        };
        let line = format!("{} {word} {}", self.paint.dim(format!("{at:>8.3} s")), harmless(text));
        self.line(&line);
    }

    /// Says what runs and what to do with it.
    pub(super) fn greet(&mut self, worker: &Running, sidecar: SocketAddr, config: &Config) {
        let (pubsub, topic) = (&config.dapr.pubsub, &config.topics.task_events);
        let heading = self.paint.bold("The worker runs, with a stand-in for Dapr beside it.");
        let ops = worker.ops_address;
        self.line(&format!(
            "{heading}\n\n\
             \x20 publish    curl http://{sidecar}/v1.0/publish/{pubsub}/{topic} -H 'content-type: application/json' -d \\\n\
             \x20            '{{\"event_type\":\"task_created\",\"payload\":{{\"task_id\":\"t-1\",\"title\":\"Water the plants\",\"due_date\":\"{}\"}}}}'\n\
             \x20 look       curl http://{ops}/api/v1/tasks/t-1\n\
             \x20 follow     curl -N http://{ops}/api/v1/reminders/stream\n\
             \x20 stop       Ctrl-C\n",
            self.clock.now().plus(Duration::from_secs(60)).to_rfc3339(),
        ));
    }

    /// Prints every event and reminder until `stop`.
    pub(super) async fn follow(
        &mut self,
        mut live: broadcast::Receiver<Arc<LiveReminder>>,
        mut observed: broadcast::Receiver<Observation>,
        stop: &CancellationToken,
    ) {
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                reminder = live.recv() => match reminder {
                    Ok(reminder) => {
                        self.reminder(&reminder);
                    }
                    Err(RecvError::Lagged(missed)) => self.happened("missed", &format!("{missed} reminders came too fast to print")),
                    Err(RecvError::Closed) => return,
                },
                observation = observed.recv() => match observation {
                    Ok(observation) => self.observation(&observation),
                    Err(RecvError::Lagged(missed)) => self.happened("missed", &format!("{missed} events came too fast to print")),
                    Err(RecvError::Closed) => return,
                },
            }
        }
    }

    /// Prints a reminder that came back, and says what it was.
    pub(super) fn reminder(&mut self, reminder: &LiveReminder) -> Option<Seen> {
        let seen = read(&reminder.json)?;
        let when = if seen.early {
            self.paint.red("EARLY")
        } else {
            format!("{:.1} ms after its time", seen.late_by.as_secs_f64() * 1e3)
        };
        self.happened("reminder", &format!("{} ({}), back {when}", seen.title, seen.rule));
        Some(seen)
    }

    fn observation(&mut self, observation: &Observation) {
        match observation {
            Observation::Published { topic, key, bytes, .. } if **topic != *self.reminders_topic => {
                let key = key.as_deref().map(|key| format!(" with key {key}")).unwrap_or_default();
                self.happened("event", &format!("{bytes} bytes on {topic}{key}"));
            }
            Observation::Delivered { app, topic, reply, .. } if reply.word() != "SUCCESS" => {
                self.happened("reply", &format!("{app} answered {} for an event on {topic}", reply.word()));
            }
            Observation::Published { .. } | Observation::Delivered { .. } => {}
        }
    }
}

/// What a line of the live stream says.
fn read(json: &str) -> Option<Seen> {
    let line: serde_json::Value = serde_json::from_str(json).ok()?;
    let payload = &line["event"]["data"]["payload"];
    let planned = instant(line["event"]["time"].as_str()?)?;
    let received = instant(line["received_at"].as_str()?)?;
    Some(Seen {
        title: payload["title"].as_str().unwrap_or("(no title)").to_owned(),
        rule: payload["rule"].as_str().unwrap_or("?").to_owned(),
        late_by: received.since(planned),
        early: received < planned,
    })
}

fn instant(text: &str) -> Option<Timestamp> {
    crate::cli::when::instant(text, Timestamp::MIN).ok()
}
