//! The demonstration: a small day of tasks, due within seconds.
//!
//! It publishes through the stand-in's own HTTP API, as an app would, and prints what came of it. Every number of its
//! summary is counted: by the stand-in, by the worker's store, or by what came back.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::sync::broadcast;

use super::show::{Screen, Seen};
use crate::app::Running;
use crate::cli::Failure;
use crate::clock::{Clock, SystemClock};
use crate::config::Config;
use crate::domain::{State, Timestamp};
use crate::intake::LiveReminder;
use crate::shutdown::Shutdown;
use crate::sidecar::{Observation, Sidecar};
use crate::store::Meta;

/// When the last reminder is due; a second later the summary is drawn up.
const LENGTH: Duration = Duration::from_millis(8_000);
/// How long what is under way may take after that.
const PATIENCE: Duration = Duration::from_secs(5);

/// One step: when, what is said of it, on which topic, and the event.
struct Step {
    after: Duration,
    says: &'static str,
    updates: bool,
    event: Value,
}

/// A store that goes with the demonstration.
pub(super) fn scratch_directory() -> Result<tempfile::TempDir, Failure> {
    tempfile::Builder::new().prefix("reminder-worker-demo-").tempdir().map_err(|error| {
        Failure::failed(format!(
            "no temporary directory can be made: {error}; set TMPDIR to one that can be written"
        ))
    })
}

/// Plays the day and sums it up.
pub(super) async fn play(
    worker: &Running,
    sidecar: &Sidecar,
    config: &Config,
    screen: &mut Screen,
    shutdown: &Shutdown,
) -> Result<(), Failure> {
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let mut live = worker.live.subscribe();
    let mut observed = sidecar.observe();
    let publish = Publish::new(sidecar, config)?;
    publish.wait_for_subscriptions(&clock).await?;
    screen.line("Eight tasks of one day, published through the stand-in for Dapr as an app would. Seconds since the start:\n");
    let begun = clock.now();
    let mut sent = 0_usize;
    let mut seen = Vec::new();
    for step in steps(begun) {
        follow_until(begun.plus(step.after), &clock, &mut live, screen, &mut seen, shutdown).await;
        if shutdown.soft().is_cancelled() {
            return Ok(());
        }
        publish.send(&step).await?;
        sent += 1;
        screen.happened("event", step.says);
    }
    follow_until(begun.plus(LENGTH), &clock, &mut live, screen, &mut seen, shutdown).await;
    let until = clock.now().plus(PATIENCE);
    while clock.now() < until && !shutdown.soft().is_cancelled() {
        let meta = meta(worker).await?;
        let published = usize::try_from(meta.reminders.of(State::Published)).unwrap_or(0);
        if meta.reminders.of(State::Pending) == 0 && seen.len() >= published {
            break;
        }
        follow_until(
            clock.now().plus(Duration::from_millis(50)),
            &clock,
            &mut live,
            screen,
            &mut seen,
            shutdown,
        )
        .await;
    }
    sum_up(&meta(worker).await?, sent, delivered(&mut observed, config), &mut seen, screen);
    Ok(())
}

/// Prints reminders as they come back, until `until`.
async fn follow_until(
    until: Timestamp,
    clock: &Arc<dyn Clock>,
    live: &mut broadcast::Receiver<Arc<LiveReminder>>,
    screen: &mut Screen,
    seen: &mut Vec<Seen>,
    shutdown: &Shutdown,
) {
    loop {
        let left = until.since(clock.now());
        if left.is_zero() {
            return;
        }
        tokio::select! {
            () = shutdown.soft().cancelled() => return,
            () = clock.sleep(left) => {}
            reminder = live.recv() => match reminder {
                Ok(reminder) => seen.extend(screen.reminder(&reminder)),
                Err(_) => clock.sleep(left).await,
            },
        }
    }
}

fn steps(begun: Timestamp) -> Vec<Step> {
    let due = |ms: u64| begun.plus(Duration::from_millis(ms)).to_rfc3339();
    let at = Duration::from_millis;
    let stamp = |after: Duration| begun.plus(after).to_rfc3339();
    let created = |after: Duration, says, task: &str, title: &str, more: Value| {
        let mut payload =
            json!({"task_id": task, "user_id": "ann", "title": title, "priority": "HIGH", "status": "TODO"});
        if let (Some(payload), Some(more)) = (payload.as_object_mut(), more.as_object()) {
            payload.extend(more.clone());
        }
        let event = json!({"event_type": "task_created", "event_version": "v1", "timestamp": stamp(after), "producer": "demo", "payload": payload});
        Step { after, says, updates: false, event }
    };
    let updated = |after: Duration, says, task: &str, field: &str, new: Value| Step {
        after,
        says,
        updates: true,
        event: json!({"event_type": "task_updated", "event_version": "v1", "timestamp": stamp(after), "producer": "demo",
            "payload": {"task_id": task, "changed_fields": [field], "changes": {field: {"old": null, "new": new}}}}),
    };
    let ended = |after: Duration, says, kind: &str, task: &str| Step {
        after,
        says,
        updates: false,
        event: json!({"event_type": kind, "event_version": "v1", "timestamp": stamp(after), "producer": "demo", "payload": {"task_id": task}}),
    };
    vec![
        created(
            at(100),
            "\"Stand-up\" is created, due at 3 s",
            "stand-up",
            "Stand-up",
            json!({"due_date": due(3_000)}),
        ),
        created(
            at(200),
            "\"Send the invoice\" is created, due at 4 s",
            "invoice",
            "Send the invoice",
            json!({"due_date": due(4_000)}),
        ),
        created(
            at(300),
            "\"Water the plants\" is created, due at 4.5 s",
            "plants",
            "Water the plants",
            json!({"due_date": due(4_500)}),
        ),
        created(
            at(400),
            "\"Call the plumber\" is created, due at 5 s",
            "plumber",
            "Call the plumber",
            json!({"due_date": due(5_000)}),
        ),
        created(
            at(500),
            "\"Buy milk\" is created, due at 5.5 s",
            "milk",
            "Buy milk",
            json!({"due_date": due(5_500)}),
        ),
        created(
            at(600),
            "\"Submit the report\" is created, due at 66 s, to be reminded of one minute before",
            "report",
            "Submit the report",
            json!({"due_date": due(66_000), "reminder_offset": 1}),
        ),
        created(
            at(700),
            "\"Dentist\" is created, due next week, to be reminded of at 7 s",
            "dentist",
            "Dentist",
            json!({"due_date": due(7 * 86_400_000), "remind_at": due(7_000)}),
        ),
        created(at(800), "\"Read a book\" is created, without a due date", "book", "Read a book", json!({})),
        updated(
            at(1_200),
            "\"Send the invoice\" is moved to 6.5 s",
            "invoice",
            "due_date",
            json!(due(6_500)),
        ),
        ended(at(1_600), "\"Water the plants\" is completed", "task_completed", "plants"),
        ended(at(2_000), "\"Call the plumber\" is deleted", "task_deleted", "plumber"),
        updated(at(2_400), "\"Buy milk\" loses its due date", "milk", "due_date", Value::Null),
    ]
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
    async fn wait_for_subscriptions(&self, clock: &Arc<dyn Clock>) -> Result<(), Failure> {
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

    async fn send(&self, step: &Step) -> Result<(), Failure> {
        let topic = &self.topics[usize::from(step.updates)];
        let url = format!("{}/publish/{}/{topic}", self.base, self.pubsub);
        let request =
            self.client.post(url).header("content-type", "application/json").body(step.event.to_string());
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

/// How many task events the worker answered with SUCCESS, as the stand-in saw it.
fn delivered(observed: &mut broadcast::Receiver<Observation>, config: &Config) -> usize {
    let mut count = 0;
    while let Ok(observation) = observed.try_recv() {
        if let Observation::Delivered { app, topic, reply, .. } = observation {
            let ours = &*app == "reminder-worker" && *topic != *config.topics.reminders;
            count += usize::from(ours && reply.word() == "SUCCESS");
        }
    }
    count
}

fn sum_up(meta: &Meta, sent: usize, delivered: usize, seen: &mut [Seen], screen: &mut Screen) {
    let (events, reminders) = (&meta.events, &meta.reminders);
    let of = |state| reminders.of(state);
    seen.sort_by_key(|s| s.late_by);
    let ms = |at: usize| {
        seen.get(at).map_or_else(|| "none".into(), |s| format!("{:.1} ms", s.late_by.as_secs_f64() * 1e3))
    };
    let early = seen.iter().filter(|s| s.early).count();
    screen.line(&format!(
        "\n{sent} events published, {delivered} delivered and acknowledged; the store counts {} received: {} applied, {} duplicate, {} stale, {} ignored, {} quarantined.\n\
         {} reminders planned: {} published, {} superseded, {} cancelled, {} expired, {} pending.\n\
         {} came back through the broker, {early} of them early; from the planned instant until it was back: {} (median), {} (worst).",
        events.received(),
        events.applied,
        events.duplicate,
        events.stale,
        events.ignored,
        events.quarantined,
        reminders.planned(),
        of(State::Published),
        of(State::Superseded),
        of(State::Cancelled),
        of(State::Expired),
        of(State::Pending),
        seen.len(),
        ms(seen.len() / 2),
        ms(seen.len().saturating_sub(1)),
    ));
}
