//! What is valid and yet loses messages, or does not fit the worker.
//!
//! Each finding says why and what to write. Errors are what cannot work; advice is what works until the day that
//! something fails.

use super::{Component, Resources};

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It cannot work.
    Error,
    /// It works, and will cost messages or time.
    Warning,
}

/// Something to mend.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Where, why, and what to do.
    pub what: String,
}

impl Resources {
    /// What is to be said of these resources to the app called `app` that publishes and subscribes through the
    /// component `pubsub`, errors first.
    #[must_use]
    pub fn findings(&self, pubsub: &str, app: &str) -> Vec<Finding> {
        let Some(component) = self.component(pubsub, app) else {
            return vec![Finding { severity: Severity::Error, what: self.no_component(pubsub, app) }];
        };
        if !component.is_pubsub() {
            let what = format!(
                "{}: component `{pubsub}` is {}, which is no broker; dapr.pubsub must name a pubsub.… component",
                component.place, component.component_type
            );
            return vec![Finding { severity: Severity::Error, what }];
        }
        let warnings =
            [self.of_kafka(component), self.of_retry(component, app), at_a_time(component)].concat();
        warnings.into_iter().map(|what| Finding { severity: Severity::Warning, what }).collect()
    }

    fn no_component(&self, pubsub: &str, app: &str) -> String {
        if let Some(hidden) = self.components.iter().find(|c| c.name == pubsub) {
            let scopes = hidden.scopes.join(", ");
            return format!(
                "{}: component `{pubsub}` is scoped to {scopes}; add {app} to its scopes, or the sidecar of {app} does not load it",
                hidden.place
            );
        }
        let seen: Vec<&str> = self
            .components
            .iter()
            .filter(|c| self.component(&c.name, app).is_some() && c.is_pubsub())
            .map(|c| c.name.as_str())
            .collect();
        let there = if seen.is_empty() { "no broker".to_owned() } else { seen.join(", ") };
        format!("dapr.pubsub is `{pubsub}`, and no component of that name is there; there is {there}")
    }

    fn of_kafka(&self, component: &Component) -> Vec<String> {
        let mut found = Vec::new();
        if component.component_type != "pubsub.kafka" {
            return found;
        }
        let (place, name) = (&component.place, &component.name);
        if let Some(group) = component.metadata.get("consumerGroup") {
            let group = group.as_deref().unwrap_or("a secret's");
            found.push(format!(
                "{place}: component `{name}` sets consumerGroup (`{group}`): apps that share it split the messages \
                 between them, and each misses what the other gets; leave it out, then the group is the app id"
            ));
        }
        match component.value("initialOffset") {
            Some("oldest") => {}
            // It is in a secret: nothing is known.
            None if component.metadata.contains_key("initialOffset") => {}
            _ => found.push(format!(
                "{place}: component `{name}` starts at the newest offset: what was published before the first \
                 subscription is never delivered; write initialOffset: oldest"
            )),
        }
        if component.value("consumeRetryEnabled") == Some("false") {
            found.push(format!(
                "{place}: component `{name}` sets consumeRetryEnabled: false: a message that could not be taken is \
                 skipped and lost; leave it out"
            ));
        }
        found
    }

    fn of_retry(&self, component: &Component, app: &str) -> Vec<String> {
        let (place, name, kind) = (&component.place, &component.name, component.component_type.as_str());
        let loses = matches!(kind, "pubsub.redis" | "pubsub.in-memory");
        let Some(retry) = self.inbound_retry(name, app) else {
            return if loses {
                vec![format!(
                    "{place}: {kind} loses a message that the app cannot take, even during a restart; add a \
                     Resiliency with an inbound retry for `{name}` (constant, 1s, maxRetries: -1)"
                )]
            } else {
                Vec::new()
            };
        };
        let mut found = Vec::new();
        let line = retry.line;
        if retry.exponential {
            found.push(format!(
                "the inbound retry of `{name}` (line {line} of its Resiliency) is exponential: it gives up after 15 \
                 minutes whatever maxRetries says{}; write policy: constant",
                if loses { ", and the message is lost" } else { "" }
            ));
        } else if let (true, Some(lasts)) = (loses, retry.lasts()) {
            found.push(format!(
                "the inbound retry of `{name}` (line {line} of its Resiliency) ends after {}, and {kind} then loses \
                 the message; write maxRetries: -1",
                humantime::format_duration(lasts)
            ));
        }
        if retry.matching {
            found.push(format!(
                "the inbound retry of `{name}` (line {line} of its Resiliency) has `matching`: it gives up at once \
                 on every other status; leave it out"
            ));
        }
        found
    }
}

/// Brokers that deliver singly, what bounds their deliveries at a time, and how many there are unless it says so.
const AT_A_TIME: [(&str, &str, &str); 2] = [
    ("pubsub.redis", "concurrency", "10"),
    ("pubsub.azure.servicebus.topics", "maxConcurrentHandlers", "unbounded"),
];

/// daprd 1.18 builds the pipeline of its calls to the app anew for each and keeps it in one place, so that of two at a
/// time one may run in the other's (`pkg/middleware/http/pipeline.go`): an error then reaches the wrong one, and the
/// other passes for answered.
fn at_a_time(component: &Component) -> Vec<String> {
    let (place, name, kind) = (&component.place, &component.name, component.component_type.as_str());
    let Some((_, key, unless)) = AT_A_TIME.iter().find(|(of, ..)| *of == kind) else { return Vec::new() };
    match component.value(key) {
        Some("1") => Vec::new(),
        // It is in a secret: nothing is known.
        None if component.metadata.contains_key(*key) => Vec::new(),
        said => vec![format!(
            "{place}: component `{name}` delivers several messages at a time ({key}: {}): while the app can't be reached \
             daprd 1.18 takes about one failed try in a thousand of such for a success, and the message is lost; write {key}: \
             \"1\"",
            said.unwrap_or(unless)
        )],
    }
}
