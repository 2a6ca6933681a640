//! `pause` and `resume`: whether reminders go out, told to the running worker, which holds the store. Where none runs,
//! the command writes it into the store itself, and the next start finds it there.

use serde::Deserialize;
use serde_json::json;

use super::options::ConfigOptions;
use super::terminal::harmless;
use super::{Context, Exit, Failure, http, ops};
use crate::config::Config;
use crate::domain::Timestamp;
use crate::store::{Batch, Op, Store, StoreError};

/// Arguments of `pause`.
#[derive(Debug, clap::Args)]
pub(super) struct PauseArgs {
    /// Why, for whoever finds reminders paused
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    config: ConfigOptions,
}

/// Arguments of `resume`.
#[derive(Debug, clap::Args)]
pub(super) struct ResumeArgs {
    #[command(flatten)]
    config: ConfigOptions,
}

/// The worker's answer to either.
#[derive(Deserialize)]
struct Told {
    since: Option<String>,
    reason: Option<String>,
    paused_since: Option<String>,
}

pub(super) async fn pause(args: PauseArgs, context: &Context) -> Result<String, Failure> {
    let loaded = args.config.load(&context.env)?;
    ops::has_named_store(&loaded).await?;
    let config = loaded.config;
    let now = context.clock.now();
    let told = match online(&config, "pause", &json!({ "reason": args.reason })).await? {
        Some(told) => told,
        None => offline(&config, |meta| {
            meta.pause(now, args.reason);
            let paused = meta.paused.clone();
            Told {
                since: paused.as_ref().map(|paused| paused.since.to_rfc3339()),
                reason: paused.and_then(|paused| paused.reason),
                paused_since: None,
            }
        })?,
    };
    let since = told.since.as_deref().map(harmless).unwrap_or_default();
    let why = told.reason.as_deref().map(|why| format!(" ({})", harmless(why))).unwrap_or_default();
    Ok(format!("reminders are paused since {since}{why}; `reminder-worker resume` lets them go on\n"))
}

pub(super) async fn resume(args: ResumeArgs, context: &Context) -> Result<String, Failure> {
    let loaded = args.config.load(&context.env)?;
    ops::has_named_store(&loaded).await?;
    let config = loaded.config;
    let told = match online(&config, "resume", &json!({})).await? {
        Some(told) => told,
        None => offline(&config, |meta| {
            let before = meta.paused.take();
            let paused_since = before.map(|paused| Timestamp::to_rfc3339(paused.since));
            Told { since: None, reason: None, paused_since }
        })?,
    };
    Ok(match told.paused_since {
        Some(since) => format!("reminders go on; they were paused since {}\n", harmless(&since)),
        None => "reminders were not paused\n".to_owned(),
    })
}

/// What the running worker answers; `None` where none is running.
async fn online(config: &Config, verb: &str, body: &serde_json::Value) -> Result<Option<Told>, Failure> {
    let url = http::url(config.ops.address(), "ops.port", &["api", "v1", verb])?;
    let request = http::client()?.post(url).header("content-type", "application/json").body(body.to_string());
    ops::ask(config, request).await?.map(|answer| ops::told(config, &answer)).transpose()
}

/// Changes what the store says, opened by this process since no worker answers.
fn offline(config: &Config, change: impl FnOnce(&mut crate::store::Meta) -> Told) -> Result<Told, Failure> {
    let store = ops::open_store(config)?;
    let path = &config.store.path;
    let failed =
        |error: StoreError| Failure::new(Exit::Store, format!("the store {}: {error}", path.display()));
    let mut meta = store.meta().map_err(failed)?;
    let told = change(&mut meta);
    let mut batch = Batch::default();
    batch.push(Op::PutMeta(Box::new(meta)));
    store.commit(&batch).map_err(failed)?;
    Ok(told)
}
