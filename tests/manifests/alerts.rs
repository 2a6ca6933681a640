//! The alerts against the metrics that the binary has.

use reminder_worker::telemetry::{self, CanaryResult, EventOutcome, METRICS, Metric, OutboxState, Shape};
use serde_json::Value;

use crate::tree::{Faults, Tree, holds, list, text};

const ALERTS: &str = "k8s/monitoring/alerts.yaml";
const PREFIX: &str = "reminder_worker_";
/// What a histogram's series are called after its name.
const SERIES: [&str; 3] = ["_bucket", "_sum", "_count"];

/// The alerts, each with its expression.
fn alerts(tree: &Tree) -> Vec<(String, String)> {
    let rules = tree.document(ALERTS)["spec"]["groups"][0]["rules"].clone();
    list(&rules)
        .iter()
        .map(|rule| (text(&rule["alert"]).to_owned(), text(&rule["expr"]).to_owned()))
        .collect()
}

/// The series that an expression names, each with the text of its selector.
fn series(expression: &str) -> Vec<(&str, &str)> {
    let starts = expression.match_indices(PREFIX).map(|(at, _)| &expression[at..]);
    starts
        .map(|rest| {
            let end = rest.find(|c: char| !(c.is_ascii_alphanumeric() || c == '_')).unwrap_or(rest.len());
            let selector = rest[end..].strip_prefix('{').and_then(|inner| inner.split('}').next());
            (&rest[..end], selector.unwrap_or_default())
        })
        .collect()
}

/// The metric whose series `name` is.
fn metric(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| match metric.shape {
        Shape::Histogram(_) => name.strip_prefix(metric.name).is_some_and(|rest| SERIES.contains(&rest)),
        Shape::Counter { .. } | Shape::Gauge { .. } => metric.name == name,
    })
}

#[test]
fn every_metric_of_an_alert_is_one_that_the_binary_has() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let alerts = alerts(tree);
        faults.unless(alerts.len() > 5, format_args!("there are only {} alerts", alerts.len()));
        for (alert, expression) in alerts {
            let named = series(&expression);
            faults.unless(
                !named.is_empty(),
                format_args!("{alert} asks for no metric of the worker: {expression}"),
            );
            for (name, _) in named {
                let Some(found) = metric(name) else {
                    faults.unless(false, format_args!("{alert} asks for {name}, which is no metric"));
                    continue;
                };
                let counts = matches!(found.shape, Shape::Counter { .. });
                let risen = expression.contains(&format!("increase({name}"));
                // A counter goes back to zero with the process, also where the sidecar goes on: only its rise means
                // something.
                faults.unless(!counts || risen, format_args!("{alert} compares the counter {name}"));
            }
        }
    };
    holds(
        rule,
        &[
            (ALERTS, "reminder_worker_build_info", "reminder_worker_info"),
            (ALERTS, "reminder_worker_oldest_overdue_seconds", "reminder_worker_overdue_seconds"),
            (ALERTS, "lateness_seconds_bucket", "lateness_seconds"),
            (
                ALERTS,
                "reminder_worker_oldest_overdue_seconds",
                "reminder_worker_oldest_overdue_seconds_bucket",
            ),
            (
                ALERTS,
                "sum(increase(reminder_worker_events_total",
                "sum(sum_over_time(reminder_worker_events_total",
            ),
            (ALERTS, "reminder_worker_foreign_reminders_total", "reminder_worker_foreign_total"),
            (ALERTS, "reminder_worker_subscribed == 0", "reminder_worker_subscriptions_asked_total == 0"),
            (ALERTS, "expr: absent(reminder_worker_build_info)", "expr: absent(up)"),
        ],
    );
}

#[test]
fn backups_that_never_succeed_are_alerted_though_there_is_no_time_of_the_last_one() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let alerts = alerts(tree);
        let missing = alerts.iter().find(|(alert, _)| alert == "BackupsMissing");
        let expression = missing.map(|(_, expression)| expression.as_str()).unwrap_or_default();
        let (_, never) = expression.split_once(" or ").unwrap_or_default();
        let counts = never.starts_with("increase(reminder_worker_backup_failures_total[");
        faults.unless(counts, format_args!("nothing fires where none was ever made: {expression}"));
        // One that failed and then succeeded is told by its age alone.
        let only_then = never.ends_with(" unless reminder_worker_backup_last_timestamp_seconds");
        faults.unless(only_then, format_args!("it fires though there is a backup: {expression}"));
    };
    holds(
        rule,
        &[
            (
                ALERTS,
                "or increase(reminder_worker_backup_failures_total",
                "and increase(reminder_worker_backup_failures_total",
            ),
            (ALERTS, "unless reminder_worker_backup_last", "and reminder_worker_backup_last"),
        ],
    );
}

#[test]
fn every_label_of_an_alert_is_one_that_the_metric_takes() {
    let metrics = telemetry::start_metrics().unwrap();
    telemetry::event(None, EventOutcome::Quarantined);
    telemetry::outbox(OutboxState::Waiting, 1);
    telemetry::outbox(OutboxState::DeadLetter, 1);
    telemetry::clock_jump("back");
    telemetry::canary(CanaryResult::Lost);
    telemetry::canary(CanaryResult::Returned);
    let rendered = metrics.render();
    let rule = |tree: &Tree, faults: &mut Faults| {
        let mut seen = 0;
        for (alert, expression) in alerts(tree) {
            for (name, selector) in series(&expression) {
                let has = rendered
                    .lines()
                    .any(|line| line.starts_with(&format!("{name}{{")) && line.contains(selector));
                faults
                    .unless(selector.is_empty() || has, format_args!("{alert}: {name} never has {selector}"));
                seen += usize::from(!selector.is_empty());
            }
        }
        faults.unless(seen > 1, "no alert selects by a label");
    };
    holds(
        rule,
        &[
            (ALERTS, "outcome=\"quarantined\"", "outcome=\"quarantine\""),
            (ALERTS, "outcome=\"quarantined\"", "result=\"quarantined\""),
            (ALERTS, "state=\"dead_letter\"", "state=\"dead\""),
            (ALERTS, "kind=\"back\"", "kind=\"backwards\""),
        ],
    );
}

#[test]
fn every_alert_says_what_it_means_and_how_bad_it_is() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let rules = tree.document(ALERTS)["spec"]["groups"][0]["rules"].clone();
        for rule in list(&rules) {
            let alert = text(&rule["alert"]);
            let severity = text(&rule["labels"]["severity"]);
            let known = ["critical", "warning"].contains(&severity);
            faults.unless(known, format_args!("{alert} is `{severity}`"));
            let told = rule["annotations"]["summary"].as_str().is_some_and(|summary| summary.len() > 20);
            faults.unless(told && rule["expr"] != Value::Null, format_args!("{alert} says nothing"));
        }
    };
    holds(rule, &[(ALERTS, "severity: critical", "severity: bad"), (ALERTS, "summary:", "description:")]);
}
