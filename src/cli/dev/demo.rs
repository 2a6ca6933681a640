//! The demonstration: a small day of tasks, due within seconds.
//!
//! It publishes through the stand-in's own HTTP API, as an app would, and prints what came of it. Every number of its
//! summary is counted: by the stand-in, by the worker's store, or by what came back.

use std::time::Duration;

use serde_json::{Value, json};

use super::outcomes::Seen;
use super::show::{Happenings, Screen};
use crate::app::Running;
use crate::cli::Failure;
use crate::clock::Clock;
use crate::config::Config;
use crate::domain::{State, Timestamp};
use crate::shutdown::Shutdown;
use crate::sidecar::Sidecar;
use crate::store::Meta;

/// When the last reminder is due; a second later the summary is drawn up.
const LENGTH: Duration = Duration::from_millis(8_000);
/// How long what is under way may take after that.
const PATIENCE: Duration = Duration::from_secs(5);

/// One step of the day; times are milliseconds since its beginning.
struct Step {
    after_ms: u64,
    task: &'static str,
    says: &'static str,
    change: Change,
}

/// What happens to the task.
#[derive(Clone, Copy)]
enum Change {
    Created { title: &'static str, due_ms: Option<u64>, offset: Option<u32>, remind_ms: Option<u64> },
    Due(Option<u64>),
    Completed,
    Deleted,
}

const fn due(title: &'static str, due_ms: u64) -> Change {
    Change::Created { title, due_ms: Some(due_ms), offset: None, remind_ms: None }
}

const NEXT_WEEK_MS: u64 = 7 * 86_400_000;

const DAY: [Step; 12] = [
    Step {
        after_ms: 100,
        task: "stand-up",
        says: "\"Stand-up\" is created, due at 3 s",
        change: due("Stand-up", 3_000),
    },
    Step {
        after_ms: 200,
        task: "invoice",
        says: "\"Send the invoice\" is created, due at 4 s",
        change: due("Send the invoice", 4_000),
    },
    Step {
        after_ms: 300,
        task: "plants",
        says: "\"Water the plants\" is created, due at 4.5 s",
        change: due("Water the plants", 4_500),
    },
    Step {
        after_ms: 400,
        task: "plumber",
        says: "\"Call the plumber\" is created, due at 5 s",
        change: due("Call the plumber", 5_000),
    },
    Step {
        after_ms: 500,
        task: "milk",
        says: "\"Buy milk\" is created, due at 5.5 s",
        change: due("Buy milk", 5_500),
    },
    Step {
        after_ms: 600,
        task: "report",
        says: "\"Submit the report\" is created, due at 66 s, with a reminder one minute before",
        change: Change::Created {
            title: "Submit the report",
            due_ms: Some(66_000),
            offset: Some(1),
            remind_ms: None,
        },
    },
    Step {
        after_ms: 700,
        task: "dentist",
        says: "\"Dentist\" is created, due next week, with a reminder at 7 s",
        change: Change::Created {
            title: "Dentist",
            due_ms: Some(NEXT_WEEK_MS),
            offset: None,
            remind_ms: Some(7_000),
        },
    },
    Step {
        after_ms: 800,
        task: "book",
        says: "\"Read a book\" is created, without a due date",
        change: Change::Created { title: "Read a book", due_ms: None, offset: None, remind_ms: None },
    },
    Step {
        after_ms: 1_200,
        task: "invoice",
        says: "\"Send the invoice\" is moved to 6.5 s",
        change: Change::Due(Some(6_500)),
    },
    Step {
        after_ms: 1_600,
        task: "plants",
        says: "\"Water the plants\" is completed",
        change: Change::Completed,
    },
    Step {
        after_ms: 2_000,
        task: "plumber",
        says: "\"Call the plumber\" is deleted",
        change: Change::Deleted,
    },
    Step {
        after_ms: 2_400,
        task: "milk",
        says: "\"Buy milk\" loses its due date",
        change: Change::Due(None),
    },
];

impl Step {
    /// Updates have a topic of their own.
    fn is_update(&self) -> bool {
        matches!(self.change, Change::Due(_))
    }

    /// The event, in the contract's words.
    fn event(&self, begun: Timestamp) -> Value {
        let at = |ms: u64| begun.plus(Duration::from_millis(ms)).to_rfc3339();
        let task = self.task;
        let (kind, payload) = match self.change {
            Change::Created { title, due_ms, offset, remind_ms } => (
                "task_created",
                json!({"task_id": task, "user_id": "ann", "title": title, "priority": "HIGH", "status": "TODO",
                       "due_date": due_ms.map(at), "reminder_offset": offset, "remind_at": remind_ms.map(at)}),
            ),
            Change::Due(new) => (
                "task_updated",
                json!({"task_id": task, "user_id": "ann", "changed_fields": ["due_date"],
                       "changes": {"due_date": {"old": null, "new": new.map(at)}}}),
            ),
            Change::Completed => ("task_completed", json!({"task_id": task})),
            Change::Deleted => ("task_deleted", json!({"task_id": task})),
        };
        json!({"event_type": kind, "event_version": "v1", "timestamp": at(self.after_ms), "producer": "demo", "payload": payload})
    }
}

/// Plays the day and sums it up.
pub(super) async fn play(
    worker: &Running,
    sidecar: &Sidecar,
    config: &Config,
    clock: &dyn Clock,
    screen: &mut Screen,
    shutdown: &Shutdown,
) -> Result<(), Failure> {
    let publish = Publish::new(sidecar, config)?;
    let mut events = Happenings::new(worker, sidecar, config, shutdown, Seen::default());
    publish.wait_for_subscriptions(clock).await?;
    screen.line("Eight tasks of one day, published through the stand-in for Dapr as an app would. Seconds since the start:\n");
    screen.restart();
    let begun = clock.now();
    for step in &DAY {
        screen.follow_until(begun.plus(Duration::from_millis(step.after_ms)), &mut events).await;
        if shutdown.soft().is_cancelled() {
            return Ok(());
        }
        publish.send(step, begun).await?;
        screen.happened("event", step.says);
    }
    screen.follow_until(begun.plus(LENGTH), &mut events).await;
    let until = clock.now().plus(PATIENCE);
    while clock.now() < until && !shutdown.soft().is_cancelled() {
        let counts = meta(worker).await?.reminders;
        let published = usize::try_from(counts.of(State::Published)).unwrap_or(0);
        if counts.of(State::Pending) == 0 && screen.seen().len() >= published {
            break;
        }
        screen.follow_until(clock.now().plus(Duration::from_millis(50)), &mut events).await;
    }
    let summary = sum_up(&meta(worker).await?, screen);
    screen.line(&summary);
    Ok(())
}

/// The stand-in, as an app uses it.
struct Publish {
    client: reqwest::Client,
    base: String,
    pubsub: String,
    topics: [String; 2],
    token: Option<String>,
}

impl Publish {
    fn new(sidecar: &Sidecar, config: &Config) -> Result<Self, Failure> {
        let client = reqwest::Client::builder()
            .no_proxy()
            .build()
            .map_err(|error| Failure::failed(format!("no HTTP client can be made: {error}")))?;
        Ok(Self {
            client,
            base: format!("http://{}/v1.0", sidecar.address()),
            pubsub: config.dapr.pubsub.clone(),
            topics: [config.topics.task_events.clone(), config.topics.task_updates.clone()],
            token: config.dapr.api_token.as_ref().map(|t| t.expose().to_owned()),
        })
    }

    /// Until the worker's topics are delivered: what is published before that may come later than shown.
    async fn wait_for_subscriptions(&self, clock: &dyn Clock) -> Result<(), Failure> {
        let until = clock.now().plus(PATIENCE);
        while clock.now() < until {
            let answer = self.with_token(self.client.get(format!("{}/metadata", self.base))).send().await;
            if let Ok(answer) = answer
                && let Ok(text) = answer.text().await
                && self.topics.iter().all(|topic| text.contains(&format!("\"{topic}\"")))
            {
                return Ok(());
            }
            clock.sleep(Duration::from_millis(20)).await;
        }
        Err(Failure::failed("the worker did not subscribe; run with --log-level info to see why"))
    }

    async fn send(&self, step: &Step, begun: Timestamp) -> Result<(), Failure> {
        let topic = &self.topics[usize::from(step.is_update())];
        let url = format!("{}/publish/{}/{topic}", self.base, self.pubsub);
        let request = self
            .client
            .post(url)
            .header("content-type", "application/json")
            .body(step.event(begun).to_string());
        let failed = |why: String| Failure::failed(format!("the stand-in did not take an event: {why}"));
        let answer = self.with_token(request).send().await.map_err(|error| failed(error.to_string()))?;
        if answer.status().is_success() { Ok(()) } else { Err(failed(answer.status().to_string())) }
    }

    fn with_token(&self, request: reqwest::RequestBuilder) -> reqwest::RequestBuilder {
        match &self.token {
            Some(token) => request.header("dapr-api-token", token),
            None => request,
        }
    }
}

async fn meta(worker: &Running) -> Result<Meta, Failure> {
    worker.writer.read(|view| view.meta.clone()).await.map_err(|error| Failure::failed(error.to_string()))
}

/// What was counted, in three lines.
fn sum_up(meta: &Meta, screen: &Screen) -> String {
    let (events, reminders, counted) = (&meta.events, &meta.reminders, screen.counted());
    let of = |state| reminders.of(state);
    let seen = screen.seen();
    let at_broker = in_order(seen.iter().filter_map(|s| s.at_broker));
    let back = in_order(seen.iter().map(|s| s.back));
    format!(
        "\n{} events published, {} acknowledged; the worker counts {} received: {} applied, {} duplicate, {} stale, {} ignored, {} quarantined.\n\
         {} reminders planned: {} published, {} superseded, {} cancelled, {} expired, {} pending.\n\
         {} came back, {} of them early. After its time a reminder was at the broker in {}, and back at the worker in {}.",
        counted.published,
        counted.acknowledged,
        meta.ledger.received,
        events.applied,
        events.duplicate,
        events.stale,
        events.ignored,
        events.quarantined,
        meta.ledger.planned,
        of(State::Published),
        of(State::Superseded),
        of(State::Cancelled),
        of(State::Expired),
        of(State::Pending),
        seen.len(),
        seen.iter().filter(|s| s.early).count(),
        span(&at_broker),
        span(&back),
    )
}

fn in_order(latenesses: impl Iterator<Item = Duration>) -> Vec<Duration> {
    let mut sorted: Vec<Duration> = latenesses.collect();
    sorted.sort_unstable();
    sorted
}

fn span(sorted: &[Duration]) -> String {
    match (sorted.first(), sorted.last()) {
        (Some(least), Some(most)) => format!("{} to {} ms", least.as_millis(), most.as_millis()),
        _ => "no time that was measured".into(),
    }
}
