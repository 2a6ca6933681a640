//! Questions and orders about one task: why, cancel, reschedule. Orders need a running worker, which owns the store;
//! the question is answered from the store where none runs.

use std::fmt::Write as _;

use reqwest::{RequestBuilder, Url};
use serde_json::{Value, json};

use super::{Common, Named};
use crate::cli::http;
use crate::cli::ops;
use crate::cli::terminal::{Paint, harmless};
use crate::cli::{Context, Exit, Failure, when};
use crate::config::Config;
use crate::domain::{PolicyInForce, PolicySince, Rules, TaskId, Timestamp};
use crate::http::{Halts, why};
use crate::store::Store as _;

/// What is said of a task that has no record.
const UNKNOWN: &str = "no event of this task is kept";

#[derive(Debug, clap::Args)]
pub(super) struct Cancel {
    /// Id of the task
    #[arg(value_name = "TASK")]
    task: String,
    /// Only this reminder
    #[arg(long, value_name = "ID", conflicts_with = "occurrence")]
    reminder: Option<String>,
    /// Only those of this due date, as a reminder tells it
    #[arg(long, value_name = "DUE")]
    occurrence: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
pub(super) struct Reschedule {
    /// Id of the task
    #[arg(value_name = "TASK")]
    task: String,
    /// When it is due: RFC 3339, wall time, date, or how long from now (`in 10m`)
    #[arg(long, value_name = "WHEN")]
    due: String,
    /// IANA zone of its wall times
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    #[command(flatten)]
    common: Common,
}

#[derive(Debug, clap::Args)]
pub(super) struct Why {
    /// Id of the task
    #[arg(value_name = "TASK")]
    task: String,
    #[command(flatten)]
    common: Common,
}

pub(super) async fn cancel(args: Cancel, context: &Context) -> Result<String, Failure> {
    let Cancel { task, reminder, occurrence, common } = args;
    let body = json!({ "reminder_id": reminder, "occurrence": occurrence });
    order(&task, "cancel", &body, &common, context).await
}

pub(super) async fn reschedule(args: Reschedule, context: &Context) -> Result<String, Failure> {
    let Reschedule { task, due, timezone, common } = args;
    let now = match when::is_relative(&due) {
        true => ops::now(&common.config.load(&context.env)?.config, context).await?,
        false => context.clock.now(),
    };
    let due = when::due(&due, now).map_err(Failure::usage)?;
    let body = json!({ "due_date": due, "timezone": timezone });
    order(&task, "reschedule", &body, &common, context).await
}

pub(super) async fn show_why(args: Why, context: &Context) -> Result<String, Failure> {
    let Why { task, common } = args;
    let store = Named::by(&common, context).await?;
    let url = url(&store.config, &task, "why")?;
    let told = match store.other {
        None => ask(&store.config, http::client()?.get(url)).await?,
        Some(_) => None,
    };
    let told = told.map_or_else(|| offline(&store, task, context), Ok)?;
    Ok(if common.json { format!("{told:#}\n") } else { why_text(&told, context.colours.out) })
}

async fn order(
    task: &str,
    verb: &str,
    body: &Value,
    common: &Common,
    context: &Context,
) -> Result<String, Failure> {
    let loaded = common.config.load(&context.env)?;
    ops::has_named_store(&loaded).await?;
    let config = loaded.config;
    let url = url(&config, task, verb)?;
    let request = http::client()?.post(url);
    let request = request.header("content-type", "application/json").body(body.to_string());
    let told = ask(&config, request).await?.ok_or_else(|| ops::nobody(&config))?;
    Ok(if common.json { format!("{told:#}\n") } else { order_text(&told, context.colours.out) })
}

fn url(config: &Config, task: &str, verb: &str) -> Result<Url, Failure> {
    http::url(config.ops.address(), "ops.port", &["api", "v1", "tasks", task, verb])
}

/// The worker's answer; `None` where none is running.
async fn ask(config: &Config, request: RequestBuilder) -> Result<Option<Value>, Failure> {
    let answer = ops::ask(config, request).await?;
    answer.map(|answer| ops::told(config, &answer)).transpose()
}

/// The answer from a copy of the store, since no worker of it answers.
fn offline(named: &Named, task: String, context: &Context) -> Result<Value, Failure> {
    let Named { config, other } = named;
    let store = ops::copied_store(config, other.as_ref())?;
    let unreadable = |error: &dyn std::fmt::Display| {
        Failure::new(
            Exit::Store,
            format!("the store {} cannot be read: {error}", config.store.path.display()),
        )
    };
    let task = TaskId::new(task).ok_or_else(|| Failure::failed(UNKNOWN))?;
    let record = store.record(&task).map_err(|error| unreadable(&error))?;
    let record = record.ok_or_else(|| Failure::failed(UNKNOWN))?;
    let user = match record.task.user() {
        Some(user) => store.preferences(user).map_err(|error| unreadable(&error))?,
        None => None,
    };
    // Since when the settings have been as they are matters to births alone, and what was born is in the record.
    let since = PolicySince::all(Timestamp::MIN);
    let in_force = PolicyInForce {
        policy: crate::app::policy(config),
        generation: record.generation,
        since,
        missing: None,
        leap: None,
    };
    let rules = Rules { in_force: &in_force, user: user.as_ref() };
    let paused = store.meta().map_err(|error| unreadable(&error))?.paused;
    let restored = store.restored().map_err(|error| unreadable(&error))?;
    let claims = store.claims().map_err(|error| unreadable(&error))?;
    let halts =
        Halts { paused: paused.as_ref(), restored: restored.as_ref(), claims: &claims, ..Halts::default() };
    let told = why(&task, &record, &rules, halts, context.clock.now());
    serde_json::to_value(told).map_err(|error| unreadable(&error))
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).unwrap_or_default()
}

fn list<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

/// One line a reminder, then the timeline, in local times.
fn why_text(told: &Value, paint: Paint) -> String {
    let title = told.get("title").and_then(Value::as_str).map(|title| format!(" \"{}\"", harmless(title)));
    let head = format!("task {}{}", harmless(text(told, "task_id")), title.unwrap_or_default());
    let due = told.get("due").and_then(Value::as_str).map(|due| format!(", due {}", harmless(due)));
    // Writing to a String cannot fail.
    let mut out = format!("{}, {}{}\n", paint.bold(head), text(told, "status"), due.unwrap_or_default());
    for answer in list(told, "answers") {
        let rule = answer.get("rule").and_then(Value::as_str).map(|rule| format!("{}: ", harmless(rule)));
        let _ = writeln!(out, "  {}{}", rule.unwrap_or_default(), harmless(text(answer, "sentence")));
    }
    out.push('\n');
    for entry in list(told, "timeline") {
        let local = paint.dim(harmless(text(entry, "local")));
        let _ = writeln!(out, "{local}  {}", harmless(text(entry, "sentence")));
    }
    out
}

/// One line a reminder: what became of it, or when it fires.
fn order_text(told: &Value, paint: Paint) -> String {
    let mut out = String::new();
    for reminder in list(told, "reminders") {
        let (rule, fire_at) = (harmless(text(reminder, "rule")), harmless(text(reminder, "fire_at")));
        let answer = match text(reminder, "answer") {
            "will_not_fire" => paint.green("will not fire"),
            "fired" => paint.red(format!("fired at {}", harmless(text(reminder, "at")))),
            "in_flight" => paint.yellow("in flight: it may have gone out"),
            other => harmless(other),
        };
        let reason =
            reminder.get("reason").and_then(Value::as_str).map(|why| format!(" ({})", harmless(why)));
        let _ = writeln!(out, "{rule} for {fire_at}: {answer}{}", reason.unwrap_or_default());
    }
    for reminder in list(told, "planned") {
        let (rule, fire_at) = (harmless(text(reminder, "rule")), harmless(text(reminder, "fire_at")));
        let _ = writeln!(out, "{rule} fires at {fire_at}");
    }
    if list(told, "planned").next().is_none() {
        let _ = writeln!(out, "nothing is planned; the task is {}", text(told, "status"));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_is_answered_in_one_line_a_reminder() {
        let reminder = |answer: &str, at: Option<&str>, reason: Option<&str>| json!({"rule": "offset:0", "fire_at": "F", "answer": answer, "at": at, "reason": reason});
        let told = json!({
            "status": "TODO", "planned": [{"rule": "offset:15", "fire_at": "G"}],
            "reminders": [
                reminder("will_not_fire", None, None),
                reminder("fired", Some("A"), None),
                reminder("in_flight", None, Some("b\u{1b}")),
            ],
        });
        let shown = "offset:0 for F: will not fire\noffset:0 for F: fired at A\n\
                     offset:0 for F: in flight: it may have gone out (b\u{fffd})\noffset:15 fires at G\n";
        assert_eq!(order_text(&told, Paint(false)), shown);
        let nothing = json!({"status": "DONE", "reminders": [], "planned": []});
        assert_eq!(order_text(&nothing, Paint(false)), "nothing is planned; the task is DONE\n");
    }

    #[test]
    fn why_begins_with_the_answers_and_a_title_cannot_steer_the_terminal() {
        let told = json!({
            "task_id": "t", "title": "a\u{1b}[2J", "status": "TODO", "due": "D",
            "answers": [{"rule": "offset:0", "sentence": "fires at X"}, {"rule": null, "sentence": "no reminder"}],
            "timeline": [{"local": "L", "sentence": "S"}],
        });
        let shown = "task t \"a\u{fffd}[2J\", TODO, due D\n  offset:0: fires at X\n  no reminder\n\nL  S\n";
        assert_eq!(why_text(&told, Paint(false)), shown);
    }
}
