//! Dapr resources on the command line: loaded, checked against the configuration, and told.

use std::fmt::Write as _;
use std::path::Path;

use serde_json::{Value, json};

use super::{Exit, Failure};
use crate::sidecar::resources::{Resources, Severity};
use crate::sidecar::{InboundRetry, Profile};

/// The worker's app id where none is named, and its consumer group with it.
pub(super) const APP_ID: &str = "reminder-worker";

/// Resources that can work.
pub(super) struct Checked {
    resources: Resources,
    /// What will cost messages or time.
    warnings: Vec<String>,
    pubsub: String,
    app: String,
}

/// Loads the resources of `dir` for the app called `app`, which uses the component `pubsub`.
pub(super) fn check(dir: &Path, pubsub: &str, app: &str) -> Result<Checked, Failure> {
    let wrong = |what: String| Failure::new(Exit::Configuration, what);
    let resources = Resources::load(dir).map_err(|invalid| wrong(invalid.to_string()))?;
    let (errors, warnings): (Vec<_>, Vec<_>) =
        resources.findings(pubsub, app).into_iter().partition(|found| found.severity == Severity::Error);
    if !errors.is_empty() {
        return Err(wrong(errors.into_iter().map(|found| found.what).collect::<Vec<_>>().join("\n")));
    }
    let warnings = warnings.into_iter().map(|found| found.what).collect();
    Ok(Checked { resources, warnings, pubsub: pubsub.to_owned(), app: app.to_owned() })
}

/// The habits of the broker that the resources of `dir` name `pubsub` to the app called `app`, and the retry of its
/// deliveries.
pub(super) fn broker(
    dir: &Path,
    pubsub: &str,
    app: &str,
) -> Result<(Profile, Option<InboundRetry>), Failure> {
    let checked = check(dir, pubsub, app)?;
    for warning in &checked.warnings {
        tracing::warn!("{warning}");
    }
    let kind = checked.resources.component(pubsub, app).map_or("", |c| c.component_type.as_str());
    let profile = Profile::of(kind).ok_or_else(|| {
        let what = format!(
            "component `{pubsub}` is {kind}, and the stand-in behaves like pubsub.kafka, pubsub.redis or \
             pubsub.in-memory only; run it beside daprd, or name a directory with one of these"
        );
        Failure::new(Exit::Configuration, what)
    })?;
    let retry = checked.resources.inbound_retry(pubsub, app);
    Ok((profile, retry.map(|retry| retry.for_deliveries())))
}

impl Checked {
    /// What was found, a line each.
    pub(super) fn lines(&self) -> String {
        let mut text = String::new();
        // Writing to a String cannot fail.
        for component in &self.resources.components {
            let here = self.resources.component(&component.name, &self.app) == Some(component);
            let notes = [
                (component.name == self.pubsub && here, "the worker's broker"),
                (!here, "not in scope of this app"),
                (!component.checked, "its keys are not checked: the type is not known here"),
            ];
            let notes: Vec<&str> =
                notes.into_iter().filter(|(holds, _)| *holds).map(|(_, note)| note).collect();
            let notes = if notes.is_empty() { String::new() } else { format!("  ({})", notes.join("; ")) };
            let (place, name, kind) = (&component.place, &component.name, &component.component_type);
            let _ = writeln!(text, "{place}: Component {name}, {kind}{notes}");
        }
        for resiliency in &self.resources.resiliencies {
            let _ = writeln!(text, "{}: Resiliency {}", resiliency.place, resiliency.name);
        }
        for subscription in &self.resources.subscriptions {
            let (name, topic, pubsub) = (&subscription.name, &subscription.topic, &subscription.pubsub);
            let _ = writeln!(text, "{}: Subscription {name}, {topic} of {pubsub}", subscription.place);
        }
        for configuration in &self.resources.configurations {
            let _ = writeln!(text, "{}: Configuration {}", configuration.place, configuration.name);
        }
        for passed_over in &self.resources.passed_over {
            let _ = writeln!(text, "{passed_over}, passed over: it is none of Dapr's");
        }
        let _ = match self.resources.inbound_retry(&self.pubsub, &self.app) {
            Some(retry) => {
                let kind = if retry.exponential { "exponential" } else { "constant" };
                let wait = humantime::format_duration(retry.interval);
                let tries = retry.max_retries.map_or("for ever".to_owned(), |tries| format!("{tries} times"));
                writeln!(text, "deliveries from {} are tried again {tries}, {kind}, {wait}", self.pubsub)
            }
            None => writeln!(text, "deliveries from {} have no retry policy", self.pubsub),
        };
        for warning in &self.warnings {
            let _ = writeln!(text, "warning: {warning}");
        }
        text
    }

    /// The same for programs.
    pub(super) fn json(&self) -> Value {
        let components: Vec<Value> = self
            .resources
            .components
            .iter()
            .map(|c| json!({ "name": c.name, "type": c.component_type, "scopes": c.scopes, "checked": c.checked, "place": c.place.to_string() }))
            .collect();
        let retry = self.resources.inbound_retry(&self.pubsub, &self.app);
        let retry = retry.map(|r| {
            let policy = if r.exponential { "exponential" } else { "constant" };
            let interval = humantime::format_duration(r.interval).to_string();
            json!({ "policy": policy, "interval": interval, "max_retries": r.max_retries })
        });
        json!({
            "components": components,
            "resiliencies": self.resources.resiliencies.len(),
            "subscriptions": self.resources.subscriptions.len(),
            "configurations": self.resources.configurations.len(),
            "passed_over": self.resources.passed_over,
            "inbound_retry": retry,
            "warnings": self.warnings,
        })
    }
}
