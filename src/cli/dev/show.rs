//! What `dev` prints: one line for each thing that happened, with the seconds since the start.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::broadcast::{self, error::RecvError};
use tokio_util::sync::CancellationToken;

use super::hints::Ops;
use super::lines::Lines;
use super::outcomes::{self, Outcomes, passed_over};
use crate::app::Running;
use crate::cli::terminal::{Paint, harmless};
use crate::clock::Clock;
use crate::config::{Config, Topics};
use crate::domain::Timestamp;
use crate::intake::LiveReminder;
use crate::shutdown::Shutdown;
use crate::sidecar::{Observation, Sidecar};

/// How many published reminders are remembered until they come back.
const REMEMBERED_MAX: usize = 4_096;
/// Titles of a digest that are named: what fits into a line.
const TITLES_TOLD: usize = 3;

/// Where lines go, and what has been seen.
pub(super) struct Screen {
    paint: Paint,
    lines: Lines,
    clock: Arc<dyn Clock>,
    started: Timestamp,
    /// The worker's.
    app_id: String,
    topics: Topics,
    /// Nobody else is delivered to.
    is_alone: bool,
    /// When the broker took the last reminder of each task, and digest of each user, that is not back yet.
    at_broker: HashMap<Arc<str>, Timestamp>,
    seen: Vec<Seen>,
    counted: Counted,
    /// Whether events are printed as the broker takes them; the demonstration tells its own.
    tells_events: bool,
    /// The worker has answered for events since it was asked what became of them.
    answered: bool,
}

/// A reminder or a digest as it came back through the broker.
#[derive(Clone, Debug)]
pub(super) struct Seen {
    /// From the planned instant until the broker had it.
    pub(super) at_broker: Option<Duration>,
    /// From the planned instant until the worker had it back.
    pub(super) back: Duration,
    /// It came before its instant, which must never be.
    pub(super) early: bool,
}

/// Task events as the stand-in counted them.
#[derive(Clone, Copy, Default, Debug)]
pub(super) struct Counted {
    /// Taken by the broker.
    pub(super) published: usize,
    /// Answered with SUCCESS by the worker.
    pub(super) acknowledged: usize,
}

/// What happens, as worker and stand-in tell it.
pub(super) struct Happenings {
    live: broadcast::Receiver<Arc<LiveReminder>>,
    observed: broadcast::Receiver<Observation>,
    outcomes: Outcomes,
    stop: CancellationToken,
}

impl Happenings {
    /// Everything from now on, until `shutdown`; and what became of events since `seen`.
    pub(super) fn new(
        worker: &Running,
        sidecar: &Sidecar,
        config: &Config,
        shutdown: &Shutdown,
        seen: outcomes::Seen,
    ) -> Self {
        Self {
            live: worker.live.subscribe(),
            observed: sidecar.observe(),
            outcomes: Outcomes::new(worker, Ops::of(worker, config), seen),
            stop: shutdown.soft().clone(),
        }
    }
}

impl Screen {
    pub(super) fn new(
        paint: Paint,
        clock: Arc<dyn Clock>,
        app_id: &str,
        topics: &Topics,
        is_alone: bool,
    ) -> Self {
        let started = clock.now();
        Self {
            paint,
            lines: Lines::to(std::io::stdout()),
            clock,
            started,
            app_id: app_id.to_owned(),
            topics: topics.clone(),
            is_alone,
            at_broker: HashMap::new(),
            seen: Vec::new(),
            counted: Counted::default(),
            tells_events: false,
            answered: false,
        }
    }

    /// Counts seconds from now.
    pub(super) fn restart(&mut self) {
        self.started = self.clock.now();
    }

    /// Reminders that came back.
    pub(super) fn seen(&self) -> &[Seen] {
        &self.seen
    }

    /// Task events as the stand-in counted them.
    pub(super) fn counted(&self) -> Counted {
        self.counted
    }

    /// Prints a line, unless more lie unread than there is room for.
    pub(super) fn line(&mut self, text: &str) {
        self.lines.line(text);
    }

    /// Waits until all is printed, as long as there is somebody who reads it.
    pub(super) async fn finish(self) {
        self.lines.finish(self.clock.as_ref()).await;
    }

    /// Prints what happened, under a word that says of what kind it is.
    pub(super) fn happened(&mut self, word: &str, text: &str) {
        let at = self.clock.now().since(self.started).as_secs_f64();
        let word = match word {
            "reminder" | "digest" => self.paint.green(format!("{word:<9}")),
            _ => self.paint.yellow(format!("{word:<9}")),
        };
        let line = format!("{} {word} {}", self.paint.dim(format!("{at:>8.3} s")), harmless(text));
        self.line(&line);
    }

    /// Says what runs, on which Kafka if on a real one, and what to do with it.
    pub(super) fn greet(
        &mut self,
        worker: &Running,
        stand_in: &Sidecar,
        config: &Config,
        kafka: Option<&str>,
    ) {
        let sidecar = stand_in.address();
        let sdks = stand_in.grpc_address().map_or_else(String::new, |grpc| {
            let (http, grpc) = (sidecar.port(), grpc.port());
            format!("\x20 SDKs       DAPR_HTTP_PORT={http} DAPR_GRPC_PORT={grpc}\n")
        });
        let (pubsub, topic) = (&config.dapr.pubsub, &config.topics.task_events);
        let kafka = kafka.map_or_else(String::new, |brokers| {
            let (group, topics) = (&self.app_id, &config.topics);
            let (heard, reminders) = (topics.heard().collect::<Vec<_>>().join(", "), &topics.reminders);
            format!("\x20 Kafka      {brokers}; reads {heard} as group {group}, publishes to {reminders}\n")
        });
        self.tells_events = true;
        let times = self.clock.simulated().map(|clock| clock.scale().factor());
        let api = Ops::of(worker, config).commands(times);
        let heading = self.paint.bold("The worker runs, with a stand-in for Dapr beside it.");
        let store = config.store.path.display();
        self.line(&format!(
            "{heading}\n\n\
             {kafka}\
             \x20 publish    curl http://{sidecar}/v1.0/publish/{pubsub}/{topic} -H 'content-type: application/json' -d \\\n\
             \x20            '{{\"event_type\":\"task_created\",\"payload\":{{\"task_id\":\"t-1\",\"title\":\"Water the plants\",\"due_date\":\"{}\"}}}}'\n\
             {sdks}\
             \x20 store      {store}\n\
             {api}\
             \x20 stop       Ctrl-C\n",
            self.clock.now().plus(Duration::from_secs(60)).to_rfc3339(),
        ));
    }

    /// Prints what happens until a signal.
    pub(super) async fn follow(&mut self, happenings: &mut Happenings) {
        // An event may have been answered for before anybody listened.
        self.answered = true;
        while !happenings.stop.is_cancelled() {
            let later = self.clock.now().plus(Duration::from_secs(3_600));
            self.follow_until(later, happenings).await;
        }
    }

    /// Prints what happens until `until`, or a signal.
    pub(super) async fn follow_until(&mut self, until: Timestamp, happenings: &mut Happenings) {
        let clock = Arc::clone(&self.clock);
        loop {
            // Once for all answers that are here already.
            if self.answered && happenings.observed.is_empty() {
                self.answered = false;
                for (word, text) in happenings.outcomes.look().await {
                    self.happened(word, &text);
                }
            }
            let left = until.since(clock.now());
            if left.is_zero() {
                return;
            }
            tokio::select! {
                // What the broker took is heard of before it comes back.
                biased;
                () = happenings.stop.cancelled() => return,
                observation = happenings.observed.recv() => match observation {
                    Ok(observation) => self.observe(&observation),
                    Err(RecvError::Lagged(missed)) => self.happened("missed", &format!("{missed} events came too fast to print")),
                    Err(RecvError::Closed) => return,
                },
                reminder = happenings.live.recv() => match reminder {
                    Ok(reminder) => self.reminder(&reminder),
                    Err(RecvError::Lagged(missed)) => self.happened("missed", &format!("{missed} reminders came too fast to print")),
                    Err(RecvError::Closed) => return,
                },
                () = clock.sleep(left) => {}
            }
        }
    }

    fn reminder(&mut self, reminder: &LiveReminder) {
        let Some(told) = read(&reminder.json) else { return };
        let early = told.received < told.planned;
        let back = told.received.since(told.planned);
        let at_broker = self.at_broker.remove(told.key.as_str()).map(|at| at.since(told.planned));
        let when = match (early, at_broker) {
            (true, _) => self.paint.red("before its time"),
            (false, Some(at_broker)) => {
                format!(
                    "at the broker {} ms after its time, back after {} ms",
                    at_broker.as_millis(),
                    back.as_millis()
                )
            }
            (false, None) => format!("back {} ms after its time", back.as_millis()),
        };
        self.happened(told.word, &format!("{}: {when}", told.what));
        self.seen.push(Seen { at_broker, back, early });
        if self.seen.len() > REMEMBERED_MAX {
            self.seen.remove(0);
        }
    }

    fn observe(&mut self, observation: &Observation) {
        match observation {
            Observation::Published { topic, key, at, .. } if **topic == *self.topics.reminders => {
                if self.at_broker.len() < REMEMBERED_MAX
                    && let Some(key) = key
                {
                    self.at_broker.insert(Arc::clone(key), *at);
                }
            }
            Observation::Published { topic, key, value, .. } => {
                self.counted.published += 1;
                if self.tells_events {
                    let key = key.as_deref().map(|key| format!(" with key {key}")).unwrap_or_default();
                    self.happened("event", &format!("{} bytes on {topic}{key}", value.len()));
                    if let Some((word, text)) = passed_over(&self.topics, self.is_alone, topic, value) {
                        self.happened(word, &text);
                    }
                }
            }
            Observation::Delivered { app, topic, reply, .. } => {
                let acknowledged = reply.word() == "SUCCESS";
                let event_of_ours = **app == *self.app_id && **topic != *self.topics.reminders;
                self.counted.acknowledged += usize::from(event_of_ours && acknowledged);
                self.answered |= event_of_ours && self.tells_events;
                if !acknowledged {
                    self.happened(
                        "reply",
                        &format!("{app} answered {} for an event on {topic}", reply.word()),
                    );
                }
            }
        }
    }
}

/// What a line of the live stream says.
#[derive(PartialEq, Eq, Debug)]
struct Told {
    /// Whether one reminder or a digest.
    word: &'static str,
    /// What it is called.
    what: String,
    /// What it was published under: its task, or its user.
    key: String,
    planned: Timestamp,
    received: Timestamp,
}

fn read(json: &str) -> Option<Told> {
    let line: serde_json::Value = serde_json::from_str(json).ok()?;
    let payload = &line["event"]["data"]["payload"];
    let (word, key, what) = if line["digest_id"].is_string() {
        ("digest", &payload["user_id"], titles(payload["items"].as_array()?))
    } else {
        let rule = payload["rule"].as_str().unwrap_or("?");
        ("reminder", &line["task_id"], format!("{} ({rule})", title(payload)))
    };
    Some(Told {
        word,
        what,
        key: key.as_str()?.to_owned(),
        planned: instant(line["event"]["time"].as_str()?)?,
        received: instant(line["received_at"].as_str()?)?,
    })
}

fn title(reminder: &serde_json::Value) -> String {
    format!("\"{}\"", reminder["title"].as_str().unwrap_or("(no title)"))
}

/// What is in a digest: the first titles, and how many more.
fn titles(items: &[serde_json::Value]) -> String {
    let told = items.iter().take(TITLES_TOLD).map(title).collect::<Vec<_>>().join(", ");
    match items.len().saturating_sub(TITLES_TOLD) {
        0 => told,
        more => format!("{told} and {more} more"),
    }
}

fn instant(text: &str) -> Option<Timestamp> {
    crate::cli::when::instant(text, Timestamp::MIN).ok()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_digest_is_told_by_its_first_titles_and_how_many_more() {
        for (items, what) in [
            (2, "\"0\", \"1\""),
            (TITLES_TOLD, "\"0\", \"1\", \"2\""),
            (TITLES_TOLD + 2, "\"0\", \"1\", \"2\" and 2 more"),
        ] {
            let items: Vec<_> = (0..items).map(|n| json!({"title": n.to_string()})).collect();
            let at = "2026-11-25T09:00:00Z";
            let line = json!({"digest_id": "d", "received_at": at,
                "event": {"time": at, "data": {"payload": {"user_id": "ann", "items": items}}}});
            let told = read(&line.to_string()).unwrap();
            assert_eq!((told.word, told.key.as_str(), told.what.as_str()), ("digest", "ann", what));
        }
    }
}
