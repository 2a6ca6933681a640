//! Reaching what is kept: through the running worker's ops listener, or, where none runs, by a commit loop of this
//! process on the store itself.
//!
//! The store is never created here, and never put under another policy than its worker's: that would plan every task
//! anew, twice.

use std::path::Path;
use std::sync::Arc;

use reqwest::RequestBuilder;

use super::http::{self, Answer, Silence};
use super::terminal::harmless;
use super::{Context, Exit, Failure, when};
use crate::app;
use crate::config::{Config, Loaded};
use crate::domain::Timestamp;
use crate::store::sled::{Identity, SledStore};
use crate::store::{OpenError, Store as _, StoreError};
use crate::writer::{CommitLoop, Writer};

/// What to do where no worker is.
pub(super) const START_ONE: &str = "start one with `reminder-worker serve` or `reminder-worker dev`";
const SAY_WHERE: &str = "or say where it is with --ops-port";

/// Sends `request` to the worker's API, which must answer 200; `None` where no worker is.
pub(super) async fn ask(config: &Config, request: RequestBuilder) -> Result<Option<Answer>, Failure> {
    let request = with_token(config, request);
    let base = format!("http://{}", config.ops.address());
    match http::ask(request).await {
        Ok(answer) if answer.status == 200 => Ok(Some(answer)),
        Ok(answer) => {
            let advice = if answer.status == 401 { "\nset ops.token to the worker's own token" } else { "" };
            let told = http::complaint(&answer);
            Err(Failure::failed(format!("{base} ({}): {told}{advice}", answer.status)))
        }
        Err(Silence::Refused) => Ok(None),
        Err(Silence::Broken(reason)) => Err(Failure::failed(format!("{base}: {reason}"))),
    }
}

/// That the worker which answers runs on another store than the one that is named: what is to be told of that.
pub(super) struct OtherStore(String);

/// That the worker which answers, if one does, runs on another store than the one that a flag, the environment or a file
/// names: who names one means that one.
pub(super) async fn other_store(loaded: &Loaded) -> Result<Option<OtherStore>, Failure> {
    #[derive(serde::Deserialize)]
    struct Told {
        path: Option<std::path::PathBuf>,
    }
    let config = &loaded.config;
    let Some(source) = loaded.named("store.path") else { return Ok(None) };
    let url = http::url(config.ops.address(), "ops.port", &["api", "v1", "store"])?;
    let base = format!("http://{}", config.ops.address());
    let answer = match http::ask(with_token(config, http::client()?.get(url))).await {
        Ok(answer) => answer,
        Err(Silence::Refused) => return Ok(None),
        Err(Silence::Broken(reason)) => return Err(Failure::failed(format!("{base}: {reason}"))),
    };
    let told = match answer.status {
        200 => serde_json::from_str::<Told>(&answer.body).ok().and_then(|told| told.path),
        // Who may not ask this is told so, if it matters, by the real question; and releases before did not tell it.
        401 | 403 | 404 => None,
        status => {
            let told = http::complaint(&answer);
            return Err(Failure::failed(format!(
                "{base} ({status}) can't say on which store it runs, and the {source} names one: {told}"
            )));
        }
    };
    let real = |path: &Path| {
        std::fs::canonicalize(path).or_else(|_| std::path::absolute(path)).unwrap_or_else(|_| path.to_owned())
    };
    Ok(told.filter(|store| real(store) != real(&config.store.path)).map(|store| {
        OtherStore(format!(
            "the worker at {base} runs on the store {}, and the {source} names {}",
            harmless(&store.display().to_string()),
            config.store.path.display()
        ))
    }))
}

/// That the worker which answers, if one does, runs on the store that is named, where one is.
pub(super) async fn has_named_store(loaded: &Loaded) -> Result<(), Failure> {
    match other_store(loaded).await? {
        None => Ok(()),
        Some(OtherStore(told)) => Err(Failure::failed(format!(
            "{told}; nothing was done: name no store, or its own, to reach that worker, or say with --ops-port where the \
             worker of the named one answers"
        ))),
    }
}

/// `request` with the token that the worker's API may demand.
pub(super) fn with_token(config: &Config, request: RequestBuilder) -> RequestBuilder {
    match &config.ops.token {
        Some(token) => request.header("authorization", format!("Bearer {}", token.expose())),
        None => request,
    }
}

/// What time it is with the worker: a simulated clock's is another than the machine's.
pub(super) async fn now(config: &Config, context: &Context) -> Result<Timestamp, Failure> {
    let url = http::url(config.ops.address(), "ops.port", &["dev", "clock"])?;
    let request = with_token(config, http::client()?.get(url));
    Ok(simulated(request).await.unwrap_or_else(|| context.clock.now()))
}

/// What a simulated clock shows; `None` where `request` finds none. Whoever is asked the real question afterwards tells
/// what else is wrong.
pub(super) async fn simulated(request: RequestBuilder) -> Option<Timestamp> {
    #[derive(serde::Deserialize)]
    struct Shown {
        now: String,
    }
    let answer = http::ask(request).await.ok().filter(|answer| answer.status == 200)?;
    let shown: Shown = serde_json::from_str(&answer.body).ok()?;
    when::instant(&shown.now, Timestamp::MIN).ok()
}

/// What an answer says, read as `T`.
pub(super) fn told<T: serde::de::DeserializeOwned>(config: &Config, answer: &Answer) -> Result<T, Failure> {
    serde_json::from_str(&answer.body).map_err(|error| {
        let base = format!("http://{}", config.ops.address());
        Failure::failed(format!("{base} is no reminder-worker of this release: {error}"))
    })
}

/// That no worker was reached.
fn silence(config: &Config) -> String {
    format!("no worker answers at http://{}", config.ops.address())
}

/// What is needed is a running worker, and none was reached.
pub(super) fn nobody(config: &Config) -> Failure {
    Failure::failed(format!("{}; {START_ONE}, {SAY_WHERE}", silence(config)))
}

/// The store, opened by this process since no worker answers.
pub(super) fn open_store(config: &Config) -> Result<SledStore, Failure> {
    opened(config, &silence(config), SledStore::open)
}

/// A copy in memory of the store that no worker holds, to look at: none answers, or one of an `other` store.
pub(super) fn copied_store(config: &Config, other: Option<&OtherStore>) -> Result<SledStore, Failure> {
    let silence = other.map_or_else(|| silence(config), |OtherStore(told)| told.clone());
    opened(config, &silence, SledStore::copied_to_memory)
}

fn opened(
    config: &Config,
    silence: &str,
    open: fn(&Path, u64) -> Result<SledStore, OpenError>,
) -> Result<SledStore, Failure> {
    let path = &config.store.path;
    // Opening would create one, in an empty directory too: of a file system that is not mounted that is all there is.
    if !SledStore::stands_at(path)? {
        return Err(Failure::failed(format!(
            "{silence} and no store is at {}; {START_ONE}, {SAY_WHERE}",
            path.display()
        )));
    }
    open(path, config.store.cache_mb).map_err(|error| match error {
        OpenError::Held { path, holder } => {
            let message = format!(
                "{silence}, but {holder} holds the store {path}; say with --ops-port where it answers"
            );
            Failure::new(Exit::Store, message)
        }
        other => Failure::from(other),
    })
}

/// Runs `work` on a commit loop over the store that no worker holds; it is told which store that is.
pub(super) async fn with_writer<T>(
    config: &Config,
    context: &Context,
    work: impl AsyncFnOnce(Writer, Option<Identity>) -> Result<T, Failure>,
) -> Result<T, Failure> {
    let store = open_store(config)?;
    let path = config.store.path.display();
    let unusable =
        |error: StoreError| Failure::new(Exit::Store, format!("the store {path} cannot be used: {error}"));
    let known = store.meta().map_err(unusable)?.policy;
    if known.is_some_and(|known| known.digest != app::policy(config).digests().whole) {
        return Err(Failure::new(
            Exit::Configuration,
            format!(
                "the worker of the store {path} runs with other settings of `reminders`, or is of another release; \
                 give its configuration with --config, or start it first"
            ),
        ));
    }
    let identity = store.identity();
    let (writer, commits) =
        CommitLoop::open(Arc::new(store), app::settings(config), Arc::clone(&context.clock))
            .map_err(unusable)?;
    // The loop ends when `work` has dropped its handle.
    let (done, ended) = tokio::join!(work(writer, identity), commits.run(|| ()));
    ended.map_err(unusable)?;
    done
}
