//! The examples of docs/reminders.md do what the page says they do.
//!
//! An example is one or more `json` blocks with events, perhaps a `toml` block with settings, and a `text` block: its
//! first line names the span, each further line a reminder as `INSTANT  TASK  RULE`. It is played by `simulate`, or,
//! where the worker is down for a while, on the commit loop itself.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::fmt::Write as _;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use reminder_worker::config::{Config, Inputs};
use reminder_worker::domain::Timestamp;
use reminder_worker::domain::decide::Attempt;
use reminder_worker::reading::{Reading, Transport, read};
use reminder_worker::store::sled::in_memory;
use reminder_worker::writer::{Content, Delivery, Rehearsal, Settlement};
use serde_json::Value;

const PAGE: &str = "docs/reminders.md";

/// One example of the page.
#[derive(Debug, Default)]
struct Example {
    /// Where its expectation stands.
    line: usize,
    settings: String,
    /// Events, one a line.
    events: String,
    from: String,
    to: String,
    /// From when until when the worker is down.
    down: Option<(String, String)>,
    fires: Vec<String>,
}

/// The fenced blocks of `page`: the line each begins on, its language and its text.
fn blocks(page: &str) -> Vec<(usize, String, String)> {
    let mut blocks = Vec::new();
    let mut open: Option<(usize, String, String)> = None;
    for (line, text) in (1..).zip(page.lines()) {
        match (text.strip_prefix("```"), &mut open) {
            (Some(language), None) => open = Some((line, language.trim().to_owned(), String::new())),
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (None, Some((_, _, inside))) => {
                let _ = writeln!(inside, "{text}");
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block is not closed: {open:?}");
    blocks
}

fn examples(page: &str) -> Vec<Example> {
    let mut examples = Vec::new();
    let mut next = Example::default();
    for (line, language, text) in blocks(page) {
        match language.as_str() {
            "toml" => next.settings.push_str(&text),
            "json" => {
                for event in serde_json::Deserializer::from_str(&text).into_iter::<Value>() {
                    let event = event.unwrap_or_else(|error| panic!("{PAGE}:{line}: {error}"));
                    let _ = writeln!(next.events, "{event}");
                }
            }
            "text" => {
                let mut lines = text.lines();
                let span = lines.next().and_then(|first| first.strip_prefix("from ")?.split_once(" to "));
                let (from, to) = span.unwrap_or_else(|| panic!("{PAGE}:{line}: no `from … to …`"));
                let (to, down) = to.split_once(", down from ").unwrap_or((to, ""));
                (next.from, next.to) = (from.trim().to_owned(), to.trim().to_owned());
                next.down = down.split_once(" to ").map(|(from, to)| (from.to_owned(), to.to_owned()));
                next.fires = lines.map(one_space).collect();
                next.fires.sort_unstable();
                next.line = line;
                examples.push(std::mem::take(&mut next));
            }
            other => assert!(["sh", "console"].contains(&other), "{PAGE}:{line}: what is `{other}`?"),
        }
    }
    examples
}

fn one_space(line: &str) -> String {
    line.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// What `simulate` says would fire.
fn play(example: &Example, dir: &Path) -> Vec<String> {
    let (events, settings) = (dir.join("events.ndjson"), dir.join("settings.toml"));
    std::fs::write(&events, &example.events).unwrap();
    std::fs::write(&settings, &example.settings).unwrap();
    let output = Command::new(env!("CARGO_BIN_EXE_reminder-worker"))
        .args(["simulate", "--json", "--events"])
        .arg(&events)
        .arg("--config")
        .arg(&settings)
        .args(["--start", &example.from, "--until", &example.to])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{PAGE}:{}: {told}", example.line);
    let line = |text: &str| {
        let fired: Value = serde_json::from_str(text).unwrap();
        let word = |key: &str| fired[key].as_str().unwrap().to_owned();
        format!("{} {} {}", word("at").replace(".000Z", "Z"), word("task_id"), word("rule"))
    };
    let mut fired: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(line).collect();
    // The page need not know in which order reminders of one instant go out.
    fired.sort_unstable();
    fired
}

fn instant(text: &str) -> Timestamp {
    let at = chrono::DateTime::parse_from_rfc3339(text).unwrap();
    Timestamp::from_millis(at.timestamp_millis())
}

/// What fires where the worker is down for a while: nothing comes in or goes out then.
fn play_downtime(example: &Example, dir: &Path, down: (Timestamp, Timestamp)) -> Vec<String> {
    let file = dir.join("settings.toml");
    std::fs::write(&file, &example.settings).unwrap();
    let config = Config::load(&Inputs { file: Some(file), ..Inputs::default() }).unwrap().config;
    let settings = reminder_worker::app::settings(&config);
    let store = Arc::new(in_memory().unwrap());
    let mut worker = Rehearsal::open(store, settings, instant(&example.from)).unwrap();
    let event = |line: &str| {
        let Reading::Event(event) = read(line.as_bytes(), &Transport::default()) else { panic!("{line}") };
        let at = event.stamps.event.unwrap().at;
        Delivery { at, topic: "task-events".into(), content: Content::Event(event, line.to_owned().into()) }
    };
    let mut events: Vec<Delivery> = example.events.lines().map(event).collect();
    let (mut now, mut fired) = (instant(&example.from), Vec::new());
    while now <= instant(&example.to) {
        let (come, later) = events.into_iter().partition(|event| event.at <= now);
        events = later;
        worker.deliver(come, now).unwrap();
        while let Some(batch) = worker.claim(256, now).unwrap().batch {
            let settled = batch.reminders.iter().map(|claimed| {
                let (task_id, id) = (claimed.task_id.clone(), claimed.id);
                Settlement { task_id, id, within: None, attempt: Attempt::Confirmed }
            });
            worker.settle(batch.number, settled.collect(), now).unwrap();
            let at = now.to_rfc3339().replace(".000Z", "Z");
            fired.extend(batch.reminders.iter().map(|c| format!("{at} {} {}", c.task_id, c.reminder.rule)));
        }
        let ahead = events.iter().map(|event| event.at).min().unwrap_or(Timestamp::MAX);
        let next = ahead.min(worker.next_wake().max(Timestamp::from_millis(now.millis() + 1)));
        now = if (down.0..down.1).contains(&next) { down.1 } else { next };
    }
    fired.sort_unstable();
    fired
}

#[test]
fn every_example_of_the_page_does_what_the_page_says() {
    let page = std::fs::read_to_string(PAGE).unwrap();
    let examples = examples(&page);
    assert!(examples.len() >= 15, "the page has its examples: {}", examples.len());
    let mut wrong = String::new();
    for example in &examples {
        let dir = tempfile::tempdir().unwrap();
        let fired = match &example.down {
            Some((from, to)) => play_downtime(example, dir.path(), (instant(from), instant(to))),
            None => play(example, dir.path()),
        };
        if fired != example.fires {
            let (said, found) = (example.fires.join("\n  "), fired.join("\n  "));
            let _ =
                writeln!(wrong, "{PAGE}:{}: it says\n  {said}\nbut what fires is\n  {found}", example.line);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn an_example_that_is_wrong_is_seen() {
    let page = "```json\n{\"event_type\":\"task_created\",\"timestamp\":\"2026-11-24T08:00:00Z\",\
                \"payload\":{\"task_id\":\"t\",\"due_date\":\"2026-11-24T09:00:00Z\"}}\n```\n\
                ```text\nfrom 2026-11-24T08:00:00Z to 2026-11-25T00:00:00Z\n2026-11-24T09:00:00Z  t  offset:0\n```\n";
    let [example] = &examples(page)[..] else { panic!("one example") };
    let dir = tempfile::tempdir().unwrap();
    assert_eq!(play(example, dir.path()), example.fires);
    assert_eq!(example.fires, ["2026-11-24T09:00:00Z t offset:0"]);
}
