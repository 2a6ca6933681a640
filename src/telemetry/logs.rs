//! Logs: one line an event, to standard error.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::prelude::*;
use tracing_subscriber::util::TryInitError;

use crate::config::{Log, LogFormat};

/// Starts logging for the process. `directives` is the value of `RUST_LOG` where it is set, and wins over
/// the level of the configuration; directives that cannot be read are left out, and logged. `colour` is
/// whether text on a terminal may be coloured.
///
/// # Errors
/// If logging has been started already.
pub fn start_logs(log: &Log, directives: Option<&str>, colour: bool) -> Result<(), TryInitError> {
    let (filter, unread) = match directives.filter(|text| !text.trim().is_empty()) {
        Some(text) => match EnvFilter::try_new(quiet(text)) {
            Ok(filter) => (filter, None),
            Err(error) => (EnvFilter::new(quiet(&log.level)), Some(error)),
        },
        None => (EnvFilter::new(quiet(&log.level)), None),
    };
    let terminal = std::io::stderr().is_terminal();
    let lines = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    if wants_json(log.format, terminal) {
        registry.with(lines.json().flatten_event(true)).try_init()?;
    } else {
        registry.with(lines.with_ansi(colour && terminal)).try_init()?;
    }
    if let Some(error) = unread {
        tracing::warn!(%error, level = log.level, "RUST_LOG cannot be read; the configured level is used");
    }
    Ok(())
}

/// `directives` without what libraries say of their own start, unless they are asked for by name.
fn quiet(directives: &str) -> String {
    const TALKATIVE: &str = "tokio_cron_scheduler";
    if directives.contains(TALKATIVE) {
        directives.to_owned()
    } else {
        format!("{directives},{TALKATIVE}=warn")
    }
}

/// Whether lines are JSON, given whether they go to a terminal.
#[must_use]
pub fn wants_json(format: LogFormat, terminal: bool) -> bool {
    match format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    }
}
