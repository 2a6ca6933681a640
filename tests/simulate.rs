//! `simulate`: the same events fire the same reminders, whatever the day, and what is simulated stays as it is.
#![expect(clippy::unwrap_used, reason = "a test that fails panics")]

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use reminder_worker::app;
use reminder_worker::config::Config;
use reminder_worker::domain::Timestamp;
use reminder_worker::reading::{Reading, Transport, read};
use reminder_worker::store::sled::SledStore;
use reminder_worker::writer::{Content, Delivery, Rehearsal};
use serde_json::{Value, json};
use tempfile::TempDir;

const CACHE_MB: u64 = 16;
const START: &str = "2026-01-01T00:00:00Z";
/// More than the worker claims at once.
const CROWD: usize = 600;

fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reminder-worker"));
    command.env_clear().arg("simulate").args(args).stdin(Stdio::null());
    command
}

fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// What a simulation prints that goes well, and what it says beside.
fn simulated(args: &[&str]) -> (String, String) {
    let output = command(args).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{args:?}: {}", err(&output));
    (out(&output).to_owned(), err(&output).to_owned())
}

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn event(kind: &str, stamp: &str, payload: &Value) -> String {
    json!({"event_type": kind, "timestamp": stamp, "payload": payload}).to_string()
}

fn created(task: &str, stamp: &str, due: &str) -> String {
    event("task_created", stamp, &json!({"task_id": task, "title": format!("Task {task}"), "due_date": due}))
}

/// A directory with files in it.
struct Files(TempDir);

impl Files {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).display().to_string()
    }

    fn with(&self, name: &str, text: &str) -> String {
        std::fs::write(self.0.path().join(name), text).unwrap();
        self.path(name)
    }
}

/// A day of tasks: due on time, moved, completed, stated in another wrapping, and told out of order.
fn a_day() -> String {
    let wrapped = json!({
        "specversion": "1.0", "id": "1", "source": "s", "type": "com.example.task.created",
        "time": "2026-01-01T07:00:00Z", "datacontenttype": "application/json",
        "data": {"payload": {"task_id": "wrapped", "due_date": "2026-01-01T10:00:00Z"}}
    });
    [
        created("on-time", "2026-01-01T08:00:00Z", "2026-01-01T09:00:00Z"),
        event(
            "task_updated",
            "2026-01-01T08:45:00Z",
            &json!({"task_id": "moved", "changed_fields": ["due_date"],
                    "changes": {"due_date": {"old": null, "new": "2026-01-01T11:00:00Z"}}}),
        ),
        created("moved", "2026-01-01T08:30:00Z", "2026-01-01T09:00:00Z"),
        created("done", "2026-01-01T08:00:00Z", "2026-01-01T09:30:00Z"),
        event("task_completed", "2026-01-01T09:10:00Z", &json!({"task_id": "done"})),
        wrapped.to_string(),
        created("before", "2025-12-31T12:00:00Z", "2026-01-01T12:00:00Z"),
        created("beyond", "2026-01-01T08:00:00Z", "2026-01-03T00:00:00Z"),
    ]
    .join("\n")
}

/// The arguments of a simulation of `events` from [`START`] on for a day.
fn day<'a>(events: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["--events", events, "--start", START, "--until", "1day"], more].concat()
}

#[test]
fn tasks_fire_at_their_instants_and_none_late_and_twice_the_same_bytes() {
    let files = Files::new();
    let events = files.with("day.ndjson", &a_day());
    let (first, told) = simulated(&day(&events, &["--json"]));
    assert_eq!(simulated(&day(&events, &["--json"])).0, first);
    let fired = lines(&first);
    let seen: Vec<_> = fired
        .iter()
        .map(|line| (line["at"].as_str().unwrap(), line["task_id"].as_str().unwrap(), &line["late_by_ms"]))
        .collect();
    let expected = [
        ("2026-01-01T09:00:00.000Z", "on-time", &json!(0)),
        ("2026-01-01T10:00:00.000Z", "wrapped", &json!(0)),
        ("2026-01-01T11:00:00.000Z", "moved", &json!(0)),
        ("2026-01-01T12:00:00.000Z", "before", &json!(0)),
    ];
    assert_eq!(seen, expected);
    let (event, rule) = (&fired[0]["event"], &fired[0]["rule"]);
    assert_eq!((&event["event_type"], rule), (&json!("reminder_due"), &json!("offset:0")));
    assert_eq!(event["payload"]["task_id"], json!("on-time"));
    assert_eq!(event["timestamp"], json!("2026-01-01T09:00:00.000Z"));
    let last: Vec<&str> = told.lines().skip(1).collect();
    assert!(told.starts_with("simulated 2026-01-01T00:00:00.000Z to 2026-01-02T00:00:00.000Z in "), "{told}");
    let expected = [
        "events: 8 applied, 0 duplicate, 0 stale, 0 ignored, 0 quarantined, 0 lines not read",
        "4 reminders fired; at the end 1 pending, 4 published, 1 cancelled, 1 superseded, 0 expired",
    ];
    assert_eq!(last, expected);
}

#[test]
fn the_table_looks_as_that_of_reminders_and_a_title_cannot_steer_the_terminal() {
    let files = Files::new();
    let bad = json!({"task_id": "b", "title": "a\u{1b}[2Jb", "due_date": "2026-01-01T12:00:00Z"});
    let text = [
        created("a", "2026-01-01T08:00:00Z", "2026-01-01T09:00:00Z"),
        event("task_created", "2026-01-01T08:00:00Z", &bad),
    ]
    .join("\n");
    let (told, _) = simulated(&day(&files.with("events", &text), &[]));
    let expected = "\
FIRES AT                  WHEN     TASK  RULE      TITLE
2026-01-01T09:00:00.000Z  on time  a     offset:0  Task a
2026-01-01T12:00:00.000Z  on time  b     offset:0  a\u{fffd}[2Jb
";
    assert_eq!(told, expected);
    assert_eq!(simulated(&day(&files.with("none", ""), &[])).0, "no reminders\n");
    assert_eq!(simulated(&day(&files.path("none"), &["--json"])).0, "");
}

#[test]
fn the_end_is_included_and_what_was_due_before_the_start_is_late_or_expired() {
    let files = Files::new();
    let text = [
        created("end", "2025-12-31T00:00:00Z", "2026-01-01T01:00:00Z"),
        created("after", "2025-12-31T00:00:00Z", "2026-01-01T01:00:00.001Z"),
        created("late", "2025-12-31T00:00:00Z", "2025-12-31T23:00:00Z"),
        created("lost", "2025-12-01T00:00:00Z", "2025-12-02T00:00:00Z"),
    ];
    let events = files.with("events", &text.join("\n"));
    let (told, summary) =
        simulated(&["--events", &events, "--start", START, "--until", "2026-01-01T02:00:00+01:00", "--json"]);
    let fired: Vec<Value> =
        lines(&told).iter().map(|line| json!([line["task_id"], line["late_by_ms"]])).collect();
    assert_eq!(fired, [json!(["late", 3_600_000]), json!(["end", 0])]);
    assert!(
        summary.contains("at the end 1 pending, 2 published, 0 cancelled, 0 superseded, 1 expired"),
        "{summary}"
    );
}

#[test]
fn lines_that_cannot_be_played_are_told_and_stop_nothing() {
    let files = Files::new();
    let text = [
        "no JSON".to_owned(),
        created("a", "2026-01-01T08:00:00Z", "2026-01-01T09:00:00Z"),
        json!({"event_type": "task_created", "payload": {"task_id": "b"}}).to_string(),
        json!({"event_type": "invoice_sent", "timestamp": START, "payload": {}}).to_string(),
        created("a", "2026-01-01T08:00:00Z", "2026-01-01T09:00:00Z")
            .replace(r#""task_id""#, r#""reminder_offset":"soon","task_id""#),
    ];
    let (told, beside) = simulated(&day(&files.with("events", &text.join("\n")), &["--json"]));
    assert_eq!(lines(&told).len(), 1);
    let beside: Vec<&str> = beside.lines().collect();
    assert!(beside[0].starts_with("not read: line 1: "), "{beside:?}");
    assert!(beside[1].starts_with("not read: line 3: it has no `timestamp`"), "{beside:?}");
    assert!(beside[2].starts_with("ignored: line 4: `invoice_sent` is no kind that is known"), "{beside:?}");
    assert!(beside[3].starts_with("left out: line 5: `reminder_offset`: "), "{beside:?}");
    let counted = "events: 1 applied, 1 duplicate, 0 stale, 1 ignored, 0 quarantined, 2 lines not read";
    assert_eq!(beside[5], counted, "{beside:?}");
}

#[test]
fn another_policy_shows_the_moved_offset_and_the_moved_hour_side_by_side() {
    let files = Files::new();
    let text = [
        created("timed", "2025-12-31T08:00:00Z", "2026-01-01T09:00:00Z"),
        created("dated", "2025-12-31T08:00:00Z", "2026-01-01"),
        event(
            "task_created",
            "2025-12-31T08:00:00Z",
            &json!({"task_id": "own", "due_date": "2026-01-01T10:00:00Z", "reminder_offsets": [5]}),
        ),
    ];
    let events = files.with("events", &text.join("\n"));
    let offset = files.with("offset.toml", "[reminders]\ndefault_offsets = [15]\n");
    let (told, beside) = simulated(&day(&events, &["--policy", &offset, "--json"]));
    let line = |mine: Option<&str>, theirs: Option<&str>, task: &str, occurrence: &str, rule: &str| {
        json!({"in_force_at": mine, "other_at": theirs, "task_id": task, "occurrence": occurrence, "rule": rule,
               "title": format!("Task {task}")})
    };
    let (timed, dated) = ("2026-01-01T09:00:00.000Z", "2026-01-01[UTC]");
    let mut differences = lines(&told);
    differences.sort_by_key(|line| line["task_id"].to_string());
    let mut expected = vec![
        line(None, Some("2026-01-01T08:45:00.000Z"), "timed", timed, "offset:15"),
        line(Some(timed), None, "timed", timed, "offset:0"),
        line(None, Some("2026-01-01T08:45:00.000Z"), "dated", dated, "offset:15"),
        line(Some(timed), None, "dated", dated, "offset:0"),
    ];
    expected.sort_by_key(|line| line["task_id"].to_string());
    assert_eq!(differences, expected);
    let sum = format!("difference: 2 only in force, 2 only under {offset}, 0 at another instant");
    assert_eq!(beside.lines().last(), Some(sum.as_str()), "{beside}");
    assert_eq!(beside.lines().filter(|line| line.contains(": 3 reminders fired; ")).count(), 2, "{beside}");

    let hour = files.with("hour.toml", "[reminders]\ndate_only_time = \"07:30\"\n");
    let (told, _) = simulated(&day(&events, &["--policy", &hour]));
    let row = "2026-01-01T09:00:00.000Z  2026-01-01T07:30:00.000Z  dated  offset:0";
    assert!(told.lines().nth(1).unwrap().starts_with(row), "{told}");
    assert_eq!(told.lines().count(), 2, "{told}");

    let same =
        files.with("same.toml", "[reminders]\ndefault_offsets = [0]\n[topics]\nreminders = \"reminders\"\n");
    assert_eq!(simulated(&day(&events, &["--policy", &same])).0, "no differences\n");
}

#[test]
fn events_come_from_standard_input_too() {
    let files = Files::new();
    let events = files.with("events", &a_day());
    let mut child = command(&day("-", &["--json"]))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(a_day().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!(out(&output), simulated(&day(&events, &["--json"])).0);
}

#[test]
fn a_reader_who_goes_away_is_no_error() {
    let files = Files::new();
    let many = (0..3_000).map(|n| created(&n.to_string(), "2026-01-01T08:00:00Z", "2026-01-01T09:00:00Z"));
    let events = files.with("events", &many.collect::<Vec<_>>().join("\n"));
    let mut child =
        command(&day(&events, &["--json"])).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("{\"at\":"), "{line}");
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), err(&output)), (Some(0), ""));
}

/// A store in the directory `store` that has taken `events`, each at its stamp `at`.
fn filled(files: &Files, events: &[(String, &str)]) -> PathBuf {
    let path = files.0.path().join("store");
    let store = Arc::new(SledStore::open(&path, CACHE_MB).unwrap());
    let instant = |text: &str| match read(created("t", text, text).as_bytes(), &Transport::default()) {
        Reading::Event(event) => event.stamps.event.unwrap().at,
        other => panic!("{other:?}"),
    };
    let settings = app::settings(&Config::default());
    let mut worker = Rehearsal::open(Arc::<SledStore>::clone(&store), settings, Timestamp::MIN).unwrap();
    for (event, at) in events {
        let Reading::Event(read) = read(event.as_bytes(), &Transport::default()) else { panic!("{event}") };
        let content = Content::Event(read, Bytes::new());
        let at = instant(at);
        worker.deliver(vec![Delivery { at, topic: "task-events".into(), content }], at).unwrap();
    }
    path
}

/// Every file under `root`, with its bytes and when it was changed.
fn snapshot(root: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(root).unwrap().map(Result::unwrap) {
        let changed = entry.metadata().unwrap().modified().unwrap();
        if entry.file_type().unwrap().is_dir() {
            found.extend(snapshot(&entry.path()));
            found.insert(entry.path(), (Vec::new(), changed));
        } else {
            found.insert(entry.path(), (std::fs::read(entry.path()).unwrap(), changed));
        }
    }
    found
}

#[test]
fn a_store_is_played_from_a_copy_and_left_as_it_is_to_the_byte() {
    let files = Files::new();
    let at = "2026-01-01T08:00:00Z";
    let events: Vec<_> = [("a", "2026-01-01T09:00:00Z"), ("b", "2027-01-01T09:00:00Z")]
        .map(|(task, due)| (created(task, at, due), at))
        .to_vec();
    let store = filled(&files, &events).display().to_string();
    let before = snapshot(files.0.path());
    let args = ["--store", &store, "--start", at, "--until", "2027-06-01T00:00:00Z", "--json"];
    let (told, beside) = simulated(&args);
    assert_eq!(snapshot(files.0.path()), before);
    let fired: Vec<Value> = lines(&told).iter().map(|line| json!([line["at"], line["late_by_ms"]])).collect();
    assert_eq!(fired, [json!(["2026-01-01T09:00:00.000Z", 0]), json!(["2027-01-01T09:00:00.000Z", 0])]);
    assert!(beside.contains("events: 0 applied, 0 duplicate"), "what came before is not counted: {beside}");
    assert!(beside.contains("2 reminders fired; at the end 0 pending, 2 published"), "{beside}");

    let policy = files.with("other.toml", "[reminders]\ndefault_offsets = [30]\n");
    let (told, _) = simulated(&[&args[..], &["--policy", &policy]].concat());
    let moved: Vec<Value> =
        lines(&told).iter().map(|line| json!([line["in_force_at"], line["other_at"]])).collect();
    let expected = [
        json!([null, "2026-01-01T08:30:00.000Z"]),
        json!(["2026-01-01T09:00:00.000Z", null]),
        json!([null, "2027-01-01T08:30:00.000Z"]),
        json!(["2027-01-01T09:00:00.000Z", null]),
    ];
    assert_eq!(moved, expected);
}

#[test]
fn a_crowd_at_one_instant_fires_on_time_but_for_whom_an_event_of_that_instant_takes_out() {
    let files = Files::new();
    let (told_at, due) = ("2026-01-01T08:00:00Z", "2026-01-01T09:00:00Z");
    let mut text: Vec<String> = (0..CROWD).map(|n| created(&format!("{n:04}"), told_at, due)).collect();
    text.push(event("task_completed", due, &json!({"task_id": "0007"})));
    let (told, _) = simulated(&day(&files.with("events", &text.join("\n")), &["--json"]));
    let fired = lines(&told);
    assert!(fired.iter().all(|line| line["late_by_ms"] == 0 && line["task_id"] != "0007"));
    assert_eq!(fired.len(), CROWD - 1);
}

#[test]
fn a_crowd_that_has_come_too_late_ends_and_makes_nobody_behind_it_late() {
    let files = Files::new();
    let at = "2026-01-01T08:00:00Z";
    let mut events: Vec<_> =
        (0..CROWD).map(|n| (created(&n.to_string(), at, "2026-01-01T09:00:00Z"), at)).collect();
    events.push((created("behind", at, "2026-01-02T10:00:00Z"), at));
    let store = filled(&files, &events).display().to_string();
    let (told, beside) =
        simulated(&["--store", &store, "--start", "2026-01-02T10:00:00Z", "--until", "0s", "--json"]);
    let fired: Vec<Value> =
        lines(&told).iter().map(|line| json!([line["task_id"], line["late_by_ms"]])).collect();
    assert_eq!(fired, [json!(["behind", 0])]);
    assert!(beside.contains(&format!("0 superseded, {CROWD} expired")), "{beside}");
}

#[test]
fn a_store_of_other_rules_is_told_and_planned_anew() {
    let files = Files::new();
    let at = "2026-01-01T08:00:00Z";
    let store = filled(&files, &[(created("a", at, "2026-01-01T09:00:00Z"), at)]).display().to_string();
    let offset = "reminders.default_offsets=30";
    let (told, beside) =
        simulated(&["--store", &store, "--start", at, "--until", "1day", "--set", offset, "--json"]);
    assert_eq!(lines(&told)[0]["at"], json!("2026-01-01T08:30:00.000Z"));
    assert!(beside.contains("the store was last used under other rules of reminders"), "{beside}");
}

#[test]
fn a_damaged_store_is_told_by_its_own_name() {
    let files = Files::new();
    let path = filled(&files, &[]);
    let length = std::fs::metadata(path.join("db")).unwrap().len();
    std::fs::write(path.join("db"), vec![0; usize::try_from(length).unwrap()]).unwrap();
    let output = command(&["--store", &path.display().to_string(), "--until", "1h"]).output().unwrap();
    let told =
        format!("error: the store {0} is damaged: it opened empty, though {0}.marker says", path.display());
    assert_eq!((output.status.code(), out(&output)), (Some(74), ""));
    assert!(err(&output).starts_with(&told), "{}", err(&output));
}

#[test]
fn ended_tasks_are_forgotten_as_the_worker_forgets_them() {
    let files = Files::new();
    let carried = |kind: &str, task: &str, sent: &str, stamp: &str| {
        json!({"specversion": "1.0", "id": "1", "source": "s", "type": kind, "time": sent,
               "data": {"event_type": kind, "timestamp": stamp, "payload": {"task_id": task}}})
        .to_string()
    };
    let (begun, over, replayed) = ("2026-01-01T01:00:00Z", "2026-01-01T02:00:00Z", "2026-02-01T00:00:00Z");
    let text = [
        carried("task_created", "a", begun, begun),
        carried("task_completed", "a", over, over),
        carried("task_created", "a", begun, replayed),
    ];
    let events = files.with("events", &text.join("\n"));
    let (_, beside) = simulated(&["--events", &events, "--start", START, "--until", "60days"]);
    assert!(beside.contains("events: 2 applied, 0 duplicate, 0 stale, 0 ignored, 1 quarantined"), "{beside}");
    let more =
        ["--events", &events, "--start", START, "--until", "60days", "--set", "reminders.retention=90d"];
    assert!(simulated(&more).1.contains("3 applied"), "what is remembered is no replay");
}

#[test]
fn a_store_that_is_held_is_refused_and_its_holder_named() {
    let files = Files::new();
    let path = filled(&files, &[]);
    let args = ["--store", &path.display().to_string(), "--until", "1h"];
    let refused = |holder: &str| {
        let output = command(&args).output().unwrap();
        assert_eq!((output.status.code(), out(&output)), (Some(74), ""));
        let told = format!("error: the store {} is held by {holder}", path.display());
        assert!(err(&output).starts_with(&told), "{}", err(&output));
    };
    let held = SledStore::open(&path, CACHE_MB).unwrap();
    refused(&format!("process {}", std::process::id()));
    // Without its lock file it is still locked by the engine.
    std::fs::remove_file(path.with_extension("lock")).unwrap();
    refused("another process");
    held.close();
}

#[test]
fn what_cannot_be_simulated_is_told_with_the_exit_code_of_its_kind() {
    let files = Files::new();
    let (events, none) = (files.with("events", ""), files.path("none"));
    let unknown = files.with("unknown.toml", "[reminders]\nofsets = [1]\n");
    let beside = files.with(
        "beside.toml",
        "[reminders]\ndefault_offsets = [1]\n[ops]\nport = 1\n[log]\nlevel = \"warn\"\n",
    );
    std::fs::create_dir(files.path("empty")).unwrap();
    let empty = files.path("empty");
    let cases: [(&[&str], i32, &str); 14] = [
        (&["--until", "1h"], 64, "--store <DIR>"),
        (&["--events", &events, "--until", "1h"], 64, "--start <WHEN>"),
        (&["--events", &events, "--start", START], 64, "--until <WHEN>"),
        (
            &["--events", &events, "--store", &none, "--start", START, "--until", "1h"],
            64,
            "cannot be used with",
        ),
        (
            &["--events", &events, "--start", START, "--until", "soon"],
            64,
            "error: --until: `soon` is no instant",
        ),
        (
            &["--events", &events, "--start", "soon", "--until", "1h"],
            64,
            "error: --start: `soon` is no instant",
        ),
        (
            &["--events", &events, "--start", START, "--until", "2025-12-31T23:59:59Z"],
            64,
            "error: --until: 2025-12-31T23:59:59.000Z is before the start, 2026-01-01T00:00:00.000Z",
        ),
        (&["--events", &none, "--start", START, "--until", "1h"], 1, "No such file"),
        (&["--events", &empty, "--start", START, "--until", "1h"], 1, "directory"),
        (
            &["--store", &none, "--until", "1h"],
            74,
            "cannot be opened: there is none; name the directory of a store",
        ),
        (&["--store", &empty, "--until", "1h"], 74, "there is none"),
        (&day(&events, &["--policy", &none]), 78, "name a readable file"),
        (&day(&events, &["--policy", &unknown]), 78, "there is no setting `reminders.ofsets`"),
        (&day(&events, &["--policy", &beside]), 78, "ops.port, log.level would change nothing of what fires"),
    ];
    for (args, code, told) in cases {
        let output = command(args).output().unwrap();
        assert_eq!((output.status.code(), out(&output)), (Some(code), ""), "{args:?}: {}", err(&output));
        assert!(err(&output).contains(told), "{args:?}: {}", err(&output));
    }
    assert!(!Path::new(&none).exists() && !Path::new(&format!("{empty}.lock")).exists());
}

#[test]
fn a_file_of_which_no_line_can_be_read_is_an_error_that_says_what_a_line_is() {
    let files = Files::new();
    let events = files.with("events", "{\"event_type\":\n\"task_created\"\n}\n");
    let output = command(&day(&events, &[])).output().unwrap();
    let told = err(&output);
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("no line of the file could be read") && told.contains("`jq -c .`"), "{told}");
    assert!(told.starts_with("not read: line 1: ") && !told.contains("at line"), "{told}");
}

#[test]
fn faults_are_played_from_a_seed_and_what_was_seen_is_told() {
    let (told, _) = simulated(&["--faults", "--seed", "7", "--seeds", "20"]);
    let lines: Vec<&str> = told.lines().collect();
    assert!(lines[0].starts_with("seeds 7 to 26 hold, played in "), "{told}");
    for seen in ["events delivered", "events published", "crashes", "disk faults", "clock steps"] {
        assert!(told.contains(seen), "{seen}: {told}");
    }
    // The same again, but for the time it took.
    let (again, _) = simulated(&["--faults", "--seed", "7", "--seeds", "20"]);
    assert_eq!(again.lines().skip(1).collect::<Vec<_>>(), &lines[1..]);
    let (one, _) = simulated(&["--faults", "--seed", &u64::MAX.to_string(), "--seeds", "2"]);
    assert!(one.starts_with(&format!("seeds {0} to {0} hold", u64::MAX)), "{one}");
}

#[test]
fn faults_take_a_bounded_number_of_seeds_and_nothing_that_is_another_simulation() {
    for wrong in [
        &["--faults", "--seeds", "0"][..],
        &["--faults", "--seeds", "1000000001"],
        &["--faults", "--until", "1day"],
        &["--faults", "--store", "data"],
        &["--faults", "--set", "reminders.expire_after=1h"],
        &["--seeds", "5", "--store", "data", "--until", "1day"],
        &["--store", "data"],
    ] {
        let output = command(wrong).output().unwrap();
        assert_eq!(output.status.code(), Some(64), "{wrong:?}: {}", err(&output));
    }
    for alone in [&["--seeds", "5"][..], &["--seed", "5"]] {
        let output = command(alone).output().unwrap();
        assert_eq!(output.status.code(), Some(64));
        assert!(err(&output).contains("simulate --faults --seeds N"), "{}", err(&output));
    }
}
