//! `publish`: a task event, from flags or a file, through the worker's publishing API.
//!
//! The worker keeps the event durably before it answers and sends it when the broker takes it, so this command
//! never waits for a broker. What is no event is refused by the worker, not here: one place knows the rules.

mod action;
mod event;

use std::io::Read as _;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use reqwest::RequestBuilder;
use serde_json::{Value, json};

use super::http::{self, Answer, Silence};
use super::terminal::{Paint, harmless};
use super::{Context, Failure, ops, options};
use crate::config::{App, Override};
use crate::domain::Timestamp;

/// Largest body sent, in bytes: what Dapr itself takes. A file beyond it is not read to its end.
const BODY_MAX_BYTES: u64 = 4 * 1024 * 1024;

/// Arguments of `publish`.
#[derive(Debug, clap::Args)]
#[command(arg_required_else_help = true)]
pub(super) struct Args {
    #[command(subcommand)]
    kind: Option<Kind>,
    /// Read the whole event from FILE, `-` for standard input
    #[arg(long, value_name = "FILE")]
    file: Option<PathBuf>,
    /// Print the worker's answer as it came
    #[arg(long, global = true)]
    json: bool,
    /// Configuration file; without it REMINDER_WORKER_CONFIG names one, or the defaults hold
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Port of the worker's app listener (app.port)
    #[arg(long, global = true, value_name = "PORT")]
    app_port: Option<String>,
}

/// What happened to the task.
#[derive(Debug, Subcommand)]
enum Kind {
    /// A task was created
    Created(event::Created),
    /// Fields of a task changed
    Updated(event::Updated),
    /// A task was completed
    Completed(event::Ended),
    /// A task was deleted
    Deleted(event::Ended),
    /// A reminder is to come again later
    Snoozed(action::Snoozed),
    /// A reminder was seen: no more of them after due
    Acknowledged(action::Acknowledged),
}

impl Kind {
    /// Whether a time of it depends on what time it is with the worker.
    fn is_relative(&self) -> bool {
        match self {
            Self::Created(created) => created.is_relative(),
            Self::Updated(updated) => updated.is_relative(),
            Self::Snoozed(snoozed) => snoozed.is_relative(),
            Self::Completed(_) | Self::Deleted(_) | Self::Acknowledged(_) => false,
        }
    }
}

pub(super) async fn run(args: Args, context: &Context) -> Result<String, Failure> {
    let port = args.app_port.map(|value| Override { flag: "--app-port", key: "app.port".to_owned(), value });
    let app = options::load(args.config, &context.env, port.into_iter().collect())?.config.app;
    let now = match args.kind.as_ref().is_some_and(Kind::is_relative) {
        true => simulated_now(&app).await?.unwrap_or_else(|| context.clock.now()),
        false => context.clock.now(),
    };
    let event = match (args.kind, args.file) {
        (Some(_), Some(_)) => return Err(Failure::usage("give an event by flags or by --file, not both")),
        (Some(Kind::Created(created)), None) => created.event(now),
        (Some(Kind::Updated(updated)), None) => updated.event(now),
        (Some(Kind::Completed(ended)), None) => Ok(ended.event("task_completed")),
        (Some(Kind::Deleted(ended)), None) => Ok(ended.event("task_deleted")),
        (Some(Kind::Snoozed(snoozed)), None) => snoozed.event(now),
        (Some(Kind::Acknowledged(acknowledged)), None) => Ok(acknowledged.event()),
        (None, Some(file)) => read(&file),
        (None, None) => {
            Err("name what happened (created, updated, completed, deleted, snoozed, acknowledged), or give --file"
                .to_owned())
        }
    };
    let event = event.map_err(Failure::usage)?;
    let task = event::task_id(&event).map_err(Failure::usage)?;
    let answer = send(&app, &task, &event).await?;
    if !(200..300).contains(&answer.status) {
        return Err(refused(&answer));
    }
    Ok(if args.json { raw(&answer) } else { accepted(&task, &answer, context.colours.out) })
}

fn read(file: &Path) -> Result<Value, String> {
    let mut bytes = Vec::new();
    let is_input = file.as_os_str() == "-";
    let named = if is_input { "standard input".to_owned() } else { file.display().to_string() };
    let read = if is_input {
        std::io::stdin().lock().take(BODY_MAX_BYTES + 1).read_to_end(&mut bytes)
    } else {
        std::fs::File::open(file).and_then(|f| f.take(BODY_MAX_BYTES + 1).read_to_end(&mut bytes))
    };
    read.map_err(|error| format!("{named} cannot be read: {error}"))?;
    if bytes.len() as u64 > BODY_MAX_BYTES {
        return Err(format!("{named} is larger than {BODY_MAX_BYTES} bytes, which no event may be"));
    }
    serde_json::from_slice(&bytes).map_err(|error| format!("{named} is no JSON: {error}"))
}

/// What the clock of the worker shows, if it is simulated.
async fn simulated_now(app: &App) -> Result<Option<Timestamp>, Failure> {
    let url = http::url(app.address(), "app.port", &["dev", "clock"])?;
    Ok(ops::simulated(with_token(app, http::client()?.get(url))).await)
}

fn with_token(app: &App, request: RequestBuilder) -> RequestBuilder {
    match &app.api_token {
        Some(token) => request.header("dapr-api-token", token.expose()),
        None => request,
    }
}

async fn send(app: &App, task: &str, event: &Value) -> Result<Answer, Failure> {
    let url = http::url(app.address(), "app.port", &["api", "tasks", task, "events"])?;
    let request =
        http::client()?.post(url.clone()).header("content-type", "application/json").body(event.to_string());
    http::ask(with_token(app, request)).await.map_err(|silence| {
        let origin = url.origin().ascii_serialization();
        Failure::failed(match silence {
            Silence::Refused => format!(
                "no worker answers at {origin}; {}, or say where it is with --app-port or REMINDER_WORKER__APP__HOST",
                ops::START_ONE
            ),
            Silence::Broken(reason) => format!(
                "{origin}: {reason}; it is not known whether the worker kept the event, sending it again does no harm"
            ),
        })
    })
}

fn accepted(task: &str, answer: &Answer, paint: Paint) -> String {
    let body: Value = serde_json::from_str(&answer.body).unwrap_or(Value::Null);
    let mut text = format!("{} task {}\n", paint.green("accepted:"), harmless(task));
    for (key, value) in body.as_object().into_iter().flatten() {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        text.push_str(&format!("  {} {}\n", paint.dim(format!("{}:", harmless(key))), harmless(&value)));
    }
    text
}

fn raw(answer: &Answer) -> String {
    let body = serde_json::from_str(&answer.body).unwrap_or_else(|_| json!(answer.body));
    format!("{body:#}\n")
}

fn refused(answer: &Answer) -> Failure {
    let advice = match answer.status {
        401 | 403 => "\nset APP_API_TOKEN to the worker's own token",
        413 => "\nshorten the event",
        _ => "",
    };
    Failure::failed(format!(
        "the worker refused the event ({}): {}{advice}",
        answer.status,
        http::complaint(answer)
    ))
}
