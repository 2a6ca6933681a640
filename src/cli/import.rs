//! `import`: tasks from before the installation, from a file of one event a line, into the running worker; where none
//! runs, into the store itself.
//!
//! The file goes in parts, each answered when it is on the disk, so that its progress is what is kept. All parts have
//! the arrival of the first: what falls due meanwhile fires. Lines that are refused are told and hold up nothing; the
//! command fails where nothing but refusals is left, since then it is the wrong file.

mod source;

use std::io::{IsTerminal as _, Write as _};
use std::path::PathBuf;

use serde_json::json;

use super::options::ConfigOptions;
use super::terminal::harmless;
use super::{Context, Failure, http, ops};
use crate::config::Config;
use crate::http::NDJSON;
use crate::intake::{Import, ImportReport, LeftOutPart, REFUSALS_TOLD};
use crate::writer::Writer;
use source::{Part, Source};

/// Lines that are shown for being refused, ignored or taken in part; the JSON has more of them.
const REFUSALS_SHOWN: usize = 10;

/// Arguments of `import`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// One event a line (NDJSON); `-` for standard input
    file: PathBuf,
    /// Print JSON
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    config: ConfigOptions,
}

pub(super) async fn run(args: Args, context: &Context) -> Result<String, Failure> {
    let loaded = args.config.load(&context.env)?;
    let mut source = Source::open(&args.file)?;
    let Some(first) = source.part()? else {
        return Err(Failure::failed(format!("{} is empty", source.name())));
    };
    ops::has_named_store(&loaded).await?;
    let config = loaded.config;
    let mut progress = Progress { is_shown: std::io::stderr().is_terminal() };
    let told = match online(&config, &mut source, first.clone(), &mut progress).await {
        Ok(None) => offline(&config, context, &mut source, first, &mut progress).await,
        Ok(Some(report)) => Ok(report),
        Err(failure) => Err(failure),
    };
    progress.clear();
    let report = told?;
    if report.lines == 0 {
        return Err(Failure::failed(format!("{} holds nothing but blank lines", source.name())));
    }
    let text = if args.json { format!("{:#}\n", json!(report)) } else { shown(source.name(), &report) };
    if report.refused == report.lines {
        return Err(Failure::failed(format!(
            "every line was refused; an import has one event a line, as JSON without line breaks (of a list, \
             `jq -c '.[]'` makes that)\n{text}"
        )));
    }
    if report.refused > 0 {
        let label = context.colours.err.yellow("warning:");
        // Nothing is left to tell if even this cannot be written.
        let _ =
            writeln!(std::io::stderr(), "{label} {} of {} lines were refused", report.refused, report.lines);
    }
    Ok(text)
}

/// The import as the running worker tells of it; `None` where none is running.
async fn online(
    config: &Config,
    source: &mut Source,
    first: Part,
    progress: &mut Progress,
) -> Result<Option<ImportReport>, Failure> {
    let client = http::client()?;
    let base = http::url(config.ops.address(), "ops.port", &["api", "v1", "import"])?;
    let mut report = ImportReport::default();
    let mut part = Some(first);
    while let Some(Part { bytes, lines_before }) = part {
        let mut url = base.clone();
        if !report.arrived_at.is_empty() {
            url.query_pairs_mut().append_pair("arrived_at", &report.arrived_at);
        }
        let request = client.post(url).header("content-type", NDJSON).body(bytes);
        let answer = match ops::ask(config, request).await {
            Ok(Some(answer)) => answer,
            Ok(None) if report.arrived_at.is_empty() => return Ok(None),
            Ok(None) => return Err(broken_off(lines_before, "the worker went away")),
            Err(failure) if report.arrived_at.is_empty() => return Err(failure),
            Err(failure) => return Err(broken_off(lines_before, &failure.message)),
        };
        report.add(ops::told(config, &answer)?, lines_before);
        progress.show(source, &report);
        part = source.part().map_err(|failure| broken_off(source.lines(), &failure.message))?;
    }
    Ok(Some(report))
}

/// The import into the store, opened by this process since no worker answers.
async fn offline(
    config: &Config,
    context: &Context,
    source: &mut Source,
    first: Part,
    progress: &mut Progress,
) -> Result<ImportReport, Failure> {
    let arrived = context.clock.now();
    ops::with_writer(config, context, async |writer: Writer, _| {
        let mut report = ImportReport::default();
        let mut part = Some(first);
        while let Some(Part { bytes, lines_before }) = part {
            let mut import = Import::new(writer.clone(), arrived);
            let taken = match import.take(bytes).await {
                Ok(()) => import.finish().await,
                Err(error) => Err(error),
            };
            report.add(taken.map_err(|error| broken_off(lines_before, &error.to_string()))?, lines_before);
            progress.show(source, &report);
            part = source.part().map_err(|failure| broken_off(source.lines(), &failure.message))?;
        }
        Ok(report)
    })
    .await
}

fn broken_off(lines: u64, why: &str) -> Failure {
    Failure::failed(format!(
        "{why}\nthe first {lines} lines are imported; run the import again, what is kept will be a duplicate"
    ))
}

fn shown(name: &str, report: &ImportReport) -> String {
    let ImportReport { lines, applied, duplicate, stale, ignored, refused, left_out, planned, past, .. } =
        report;
    let mut text = format!(
        "imported {}: {lines} lines\n  applied    {applied}\n  duplicate  {duplicate}\n  stale      {stale}\n",
        harmless(name)
    );
    let of_line = |line: u64, reason: &str| format!("line {line}: {}", harmless(reason));
    text.push_str(&format!("  ignored    {ignored}\n"));
    tell(&mut text, *ignored, report.ignored_lines.iter().map(|told| of_line(told.line, &told.reason)));
    text.push_str(&format!("  refused    {refused}\n"));
    tell(&mut text, *refused, report.refusals.iter().map(|told| of_line(told.line, &told.reason)));
    if *left_out > 0 {
        text.push_str(&format!("  left out   {left_out} parts of lines that were taken without them\n"));
        let part = |told: &LeftOutPart| of_line(told.line, &format!("`{}`: {}", told.key, told.reason));
        tell(&mut text, *left_out, report.left_out_parts.iter().map(part));
    }
    text.push_str(&format!("  reminders  {planned} planned, {past} past and not to fire\n"));
    text
}

/// Adds the first of `count` lines, and how many more there are.
fn tell(text: &mut String, count: u64, told: impl Iterator<Item = String>) {
    for line in told.take(REFUSALS_SHOWN) {
        text.push_str(&format!("    {line}\n"));
    }
    let more = count.saturating_sub(REFUSALS_SHOWN as u64);
    if more > 0 {
        text.push_str(&format!("    and {more} more; --json shows the first {REFUSALS_TOLD}\n"));
    }
}

/// How far the import is, in one line of a terminal.
struct Progress {
    is_shown: bool,
}

impl Progress {
    fn show(&mut self, source: &Source, report: &ImportReport) {
        if self.is_shown {
            let share = source.percent().map_or_else(String::new, |percent| format!(", {percent} %"));
            self.write(&format!("\r{} lines{share}\x1b[K", report.lines));
        }
    }

    fn clear(&mut self) {
        if self.is_shown {
            self.write("\r\x1b[K");
        }
    }

    fn write(&mut self, text: &str) {
        let mut out = std::io::stderr().lock();
        // A terminal that is gone shows nothing; the import goes on.
        self.is_shown = out.write_all(text.as_bytes()).and_then(|()| out.flush()).is_ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intake::RefusedLine;

    #[test]
    fn as_many_refusals_as_the_bound_are_shown_and_where_to_find_more() {
        let refusal = |line| RefusedLine { line, code: "empty".to_owned(), reason: "why".to_owned() };
        for (count, more) in [(REFUSALS_SHOWN as u64, false), (REFUSALS_SHOWN as u64 + 7, true)] {
            let refusals = (1..=count).map(refusal).collect();
            let text = shown("f", &ImportReport { refused: count, refusals, ..ImportReport::default() });
            assert_eq!(text.matches("    line ").count(), REFUSALS_SHOWN);
            assert_eq!(text.contains("    and 7 more; --json shows the first 100\n"), more);
        }
    }
}
