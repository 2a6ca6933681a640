//! The app of a recorded scenario: what it subscribes to, and what it answers.

use std::time::Duration;

use reminder_worker::sidecar::InboundRetry;
use serde_json::{Value, json};

use super::capture::{Answers, Scenario};

/// The retry policy of the recordings that had one.
pub(crate) const POLICY: InboundRetry = InboundRetry { interval: Duration::from_millis(200), max_retries: 2 };

/// What the app of a scenario asks for, its topics named after `run` and all its paths below `prefix`.
pub(crate) fn subscriptions(name: &str, recorded: &Scenario, run: &str, prefix: &str) -> Vec<Value> {
    let topic = format!("{name}-{run}");
    let mut main = recorded.subscription.clone();
    main.insert("pubsubname".into(), "kafka-pubsub".into());
    main.insert("topic".into(), topic.as_str().into());
    let path = if is_bulk(recorded) { "/bulk" } else { "/single" };
    let routes = main.entry("routes").or_insert_with(|| json!({ "default": path }));
    for place in ["/rules/0/path", "/default"] {
        if let Some(path) = routes.pointer_mut(place) {
            *path = format!("{prefix}{}", path.as_str().unwrap()).into();
        }
    }
    let mut list = vec![];
    if let Some(dead) = main.get_mut("deadLetterTopic") {
        *dead = dead.as_str().unwrap().replace('…', &topic).into();
        let route = format!("{prefix}/dead-letter");
        list.push(json!({ "pubsubname": "kafka-pubsub", "topic": dead, "route": route }));
    }
    list.push(main.into());
    list
}

/// Whether a scenario's events are delivered in bulk.
pub(crate) fn is_bulk(recorded: &Scenario) -> bool {
    recorded.subscription.contains_key("bulkSubscribe")
}

/// What a path (without its prefix) is called in the recordings.
pub(crate) fn destination(path: &str) -> &str {
    match path {
        "/dead-letter" => "dead-letter",
        "/bulk" => "bulk",
        // The rule of `route-cel` matches; its `/default` would be a wrong turn and stays unknown.
        "/single" | "/cel" => "single",
        other => other,
    }
}

/// The app's side of one scenario.
pub(crate) struct Script {
    answers: Vec<(u16, String)>,
    bulk: String,
    calls: usize,
}

impl Script {
    pub(crate) fn of(recorded: &Scenario) -> Self {
        let (answers, bulk) = match &recorded.app_answers {
            Answers::InTurn(answers) => (answers.clone(), String::new()),
            Answers::Bulk(name) => (Vec::new(), name.clone()),
        };
        Self { answers, bulk, calls: 0 }
    }

    /// Status and body of the next answer.
    pub(crate) fn answer(&mut self, to: &str, body: &str) -> (u16, String) {
        if to == "dead-letter" {
            return (200, r#"{"status":"SUCCESS"}"#.into());
        }
        let call = self.calls;
        self.calls += 1;
        if to == "bulk" {
            return bulk_answer(&self.bulk, call, body);
        }
        self.answers[call.min(self.answers.len() - 1)].clone()
    }
}

/// The bulk behaviours by their names: all but `RETRYALWAYS1` misbehave in the first call only.
fn bulk_answer(behaviour: &str, call: usize, body: &str) -> (u16, String) {
    let batch: Value = serde_json::from_str(body).unwrap();
    let entries = batch["entries"].as_array().unwrap();
    let status = |word: &str, n: usize| json!({ "entryId": entries[n]["entryId"], "status": word });
    let mut statuses: Vec<Value> = (0..entries.len()).map(|n| status("SUCCESS", n)).collect();
    match (behaviour, call) {
        ("RETRYALWAYS1", _) => {
            for (n, entry) in entries.iter().enumerate() {
                if entry["event"]["data"]["n"] == 0 {
                    statuses[n] = status("RETRY", n);
                }
            }
        }
        ("RETRY1", 0) => statuses[0] = status("RETRY", 0),
        ("DROP1", 0) => statuses[0] = status("DROP", 0),
        ("WORD", 0) => statuses[0] = status("done", 0),
        ("MISSING1", 0) => drop(statuses.remove(0)),
        ("EMPTY", 0) => return (200, String::new()),
        ("SINGLE", 0) => return (200, r#"{"status":"SUCCESS"}"#.into()),
        ("500", 0) => return (500, String::new()),
        ("404", 0) => return (404, String::new()),
        _ => {}
    }
    (200, json!({ "statuses": statuses }).to_string())
}
