//! The command line as a shell meets it: exit codes, what is printed where, and what is sent to a worker.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

/// The command without anything of this shell's environment that it would hear.
fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_reminder-worker"));
    // The store of a worker that somebody ran here must not be found.
    command.current_dir(env!("CARGO_TARGET_TMPDIR"));
    command.env_clear().args(args).stdin(Stdio::null());
    command
}

fn run(args: &[&str]) -> Output {
    command(args).output().unwrap()
}

fn out(output: &Output) -> &str {
    std::str::from_utf8(&output.stdout).unwrap()
}

fn err(output: &Output) -> &str {
    std::str::from_utf8(&output.stderr).unwrap()
}

/// Runs `client` against a worker that gives these answers, one a connection, and returns what it was asked.
fn asked<T>(answers: &[(u16, &str)], client: impl FnOnce(SocketAddr) -> T) -> (Vec<String>, T) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let answer =
                |(status, body): &(u16, &str)| serve_one(&listener.accept().unwrap().0, *status, body);
            answers.iter().map(answer).collect()
        });
        let outcome = client(address);
        (worker.join().unwrap(), outcome)
    })
}

fn serve_one(mut connection: &TcpStream, status: u16, body: &str) -> String {
    let mut request = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let text = String::from_utf8_lossy(&request);
        if let Some((head, received)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            if received.len() >= length.map_or(0, |length| length.parse().unwrap()) {
                break;
            }
        }
        let read = connection.read(&mut buffer).unwrap();
        assert_ne!(read, 0, "the client left in the middle of a request");
        request.extend_from_slice(&buffer[..read]);
    }
    let length = body.len();
    write!(connection, "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
        .unwrap();
    String::from_utf8(request).unwrap()
}

/// A port on which nobody listens: only root could, and `tcpmux` is long dead.
const DEAD_PORT: &str = "1";

/// What time it is with the worker.
const NOW: &str = "2026-11-25T08:58:00.000Z";

fn body(request: &str) -> Value {
    serde_json::from_str(request.split_once("\r\n\r\n").unwrap().1).unwrap()
}

fn reminder(id: &str, title: &str) -> Value {
    json!({
        "reminder_id": id, "event_id": id, "task_id": "t-1", "user_id": null, "title": title,
        "occurrence": null, "rule": "offset:0", "fire_at": "2026-11-25T09:00:00.000Z", "state": "pending",
        "published_at": null, "late_by_ms": null, "reason": null
    })
}

#[test]
fn help_and_version_are_no_errors_and_wrong_arguments_exit_64() {
    for args in [&["--help"][..], &["--version"], &["reminders", "list", "--help"]] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(0), "{args:?}");
        assert!(!output.stdout.is_empty() && output.stderr.is_empty(), "{args:?}");
    }
    let wrong = [
        &[][..],
        &["watch"],
        &["serve", "--set", "x"],
        &["publish", "created", "--task", "1"],
        &["publish", "updated", "--task", "1", "--set", "colour=red"],
        &["publish", "created", "--task", "1", "--title", "a", "--due", "soon"],
        &["reminders", "list", "--state", "done"],
        &["reminders", "list", "--from", "yesterday"],
        &["reminders", "next", "-n", "0"],
        &["reminders", "cancel"],
        &["reminders", "cancel", "t", "--reminder", "r", "--occurrence", "o"],
        &["reminders", "reschedule", "t", "--due", "soon"],
        &["dev", "--app", "8000"],
        &["dev", "--profile", "pulsar"],
        &["dev", "--app-id", "a"],
        &["dev", "--time-scale", "0.5"],
        &["dev", "--time-scale", "1001"],
        &["dev", "--time-scale", "60", "--demo"],
        &["dev", "--time-scale", "60", "--kafka", "127.0.0.1:1"],
        &["sidecar"],
        &["sidecar", "--app", "127.0.0.1:8000"],
        &["schema", "task_moved"],
        &["import"],
        &["import", "no-such-file"],
        &["import", "/"],
        &["users"],
        &["users", "erase"],
        &["users", "erase", ""],
    ];
    for args in wrong {
        let output = run(args);
        assert_eq!(output.status.code(), Some(64), "{args:?}: {}", err(&output));
        assert!(!output.stderr.is_empty() && output.stdout.is_empty(), "{args:?}");
    }
}

#[test]
fn a_demonstration_on_a_real_kafka_is_refused_whatever_the_build() {
    let output = run(&["dev", "--demo", "--kafka", "127.0.0.1:1"]);
    let told = "error: --demo makes tasks up, which belong on no real Kafka: it runs in memory; \
                leave --kafka or --demo out\n";
    assert_eq!((output.status.code(), err(&output)), (Some(64), told));
}

#[cfg(not(feature = "kafka"))]
#[test]
fn a_build_without_a_client_for_kafka_says_how_to_build_one() {
    for args in [&["dev"][..], &["sidecar", "--app", "a=127.0.0.1:1"]] {
        let output = command(args).args(["--kafka", "127.0.0.1:1"]).output().unwrap();
        let told = "error: --kafka: this build cannot speak to Kafka: \
                    build it with `cargo build --release --features kafka`\n";
        assert_eq!((output.status.code(), err(&output)), (Some(64), told), "{args:?}");
    }
}

#[test]
fn a_wrong_configuration_exits_78_whatever_the_command() {
    for args in
        [&["serve"][..], &["dev"], &["check"], &["reminders", "list"], &["publish", "deleted", "--task", "1"]]
    {
        let output = command(args).env("REMINDER_WORKER__OPS__PORT", "http").output().unwrap();
        assert_eq!(output.status.code(), Some(78), "{args:?}");
        let told = "error: variable REMINDER_WORKER__OPS__PORT: ops.port = \"http\" is not allowed; \
                    write a whole number from 0 to 65535\n";
        assert_eq!(err(&output), told, "{args:?}");
    }
}

#[test]
fn check_prints_a_file_that_makes_the_same_configuration() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("worker.toml");
    std::fs::write(&file, "[log]\nlevel = \"warn\"\n").unwrap();
    let check = |file: &std::path::Path, flags: &[&str]| {
        let mut command = command(&["check"]);
        let output = command.args(flags).env("REMINDER_WORKER_CONFIG", file).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        out(&output).to_owned()
    };
    let first = check(&file, &["--app-port", "9001"]);
    assert!(first.contains("# flag --app-port\n") && first.contains(&format!("# file {}\n", file.display())));
    assert!(!first.contains('\x1b'), "no colour where no terminal is");
    std::fs::write(&file, &first).unwrap();
    let values = |text: &str| {
        text.lines().map(|l| l.split("  # ").next().unwrap().trim_end().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(values(&check(&file, &[])), values(&first));
}

#[test]
fn check_shows_no_secret_in_either_form() {
    for form in [&["check"][..], &["check", "--json"]] {
        let output = command(form).env("APP_API_TOKEN", "hunter2").output().unwrap();
        assert!(out(&output).contains("***") && !out(&output).contains("hunter2"), "{form:?}");
    }
    let output = run(&["check", "--json", "--set", "reminders.default_offsets=0,15"]);
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let settings = told["settings"].as_array().unwrap();
    let offsets = settings.iter().find(|s| s["key"] == "reminders.default_offsets").unwrap();
    assert_eq!(
        *offsets,
        json!({"key": "reminders.default_offsets", "value": [0, 15], "source": "flag --set"})
    );
}

#[test]
fn publish_sends_the_event_of_its_flags_and_shows_what_was_accepted() {
    let (requests, output) = asked(&[(202, r#"{"status":"accepted","event_id":"e-1"}"#)], |address| {
        command(&[
            "publish",
            "created",
            "--task",
            "a/b",
            "--title",
            "Water",
            "--due",
            "2026-11-25",
            "--offset",
            "15",
        ])
        .args(["--app-port", &address.port().to_string()])
        .env("APP_API_TOKEN", "hunter2")
        .output()
        .unwrap()
    });
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(out(&output), "accepted: task a/b\n  event_id: e-1\n  status: accepted\n");
    assert!(requests[0].starts_with("POST /api/tasks/a%2Fb/events HTTP/1.1\r\n"), "{}", requests[0]);
    assert!(requests[0].contains("\r\ndapr-api-token: hunter2\r\n"));
    let payload = json!({
        "task_id": "a/b", "user_id": "cli", "title": "Water", "due_date": "2026-11-25", "reminder_offsets": [15]
    });
    assert_eq!(body(&requests[0])["payload"], payload);
    assert_eq!(body(&requests[0])["event_type"], "task_created");
}

#[test]
fn publish_sends_what_is_done_about_a_reminder() {
    for (args, kind, payload) in [
        (&["snoozed", "--minutes", "10"][..], "reminder_snoozed", json!({"task_id": "7", "minutes": 10})),
        (
            &["snoozed", "--until", "2030-01-01T09:00:00+01:00", "--occurrence", "2029-12-31[Europe/Berlin]"],
            "reminder_snoozed",
            json!({"task_id": "7", "until": "2030-01-01T08:00:00.000Z", "occurrence": "2029-12-31[Europe/Berlin]"}),
        ),
        (&["acknowledged"], "reminder_acknowledged", json!({"task_id": "7"})),
    ] {
        let (requests, output) = asked(&[(202, "{}")], |address| {
            let port = address.port().to_string();
            run(&[&["publish"], args, &["--task", "7", "--app-port", &port]].concat())
        });
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        assert!(requests[0].starts_with("POST /api/tasks/7/events "));
        let event = body(&requests[0]);
        assert_eq!((&event["event_type"], &event["payload"]), (&json!(kind), &payload));
    }
    for args in [
        &["publish", "snoozed", "--task", "7"][..],
        &["publish", "snoozed", "--task", "7", "--minutes", "5", "--until", "in 5m"],
        &["publish", "snoozed", "--task", "7", "--until", "2030-01-01"],
    ] {
        assert_eq!(run(args).status.code(), Some(64), "{args:?}");
    }
}

#[test]
fn publish_takes_a_whole_event_from_standard_input() {
    let event = json!({"event_type": "task_completed", "payload": {"task_id": 7}});
    let (requests, output) = asked(&[(202, "{}")], |address| {
        let mut child =
            command(&["publish", "--file", "-", "--json", "--app-port", &address.port().to_string()])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
        child.stdin.take().unwrap().write_all(event.to_string().as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    });
    assert_eq!(out(&output), "{}\n");
    assert!(requests[0].starts_with("POST /api/tasks/7/events "));
    assert_eq!(body(&requests[0]), event);
}

#[test]
fn publish_names_what_it_could_not_read() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("event.json");
    std::fs::write(&file, "{").unwrap();
    let told = run(&["publish", "--file", file.to_str().unwrap()]);
    assert_eq!(told.status.code(), Some(64));
    assert!(err(&told).starts_with(&format!("error: {} is no JSON: ", file.display())), "{}", err(&told));
    let told = run(&["publish", "--file", "-"]);
    assert_eq!(told.status.code(), Some(64));
    assert!(err(&told).starts_with("error: standard input is no JSON: "), "{}", err(&told));
}

#[test]
fn publish_shows_validation_errors_as_lines() {
    let refusal = r#"{"error":"validation_error","message":"the event is not valid",
        "details":[{"field":"payload.title","error":"must not be empty"}]}"#;
    let (_, output) = asked(&[(400, refusal)], |address| {
        run(&["publish", "created", "--task", "1", "--title", "", "--app-port", &address.port().to_string()])
    });
    assert_eq!(output.status.code(), Some(1));
    let told = "error: the worker refused the event (400): the event is not valid\n  payload.title: must not be empty\n";
    assert_eq!(err(&output), told);
}

#[test]
fn without_a_worker_commands_say_how_to_start_one() {
    let publish = run(&["publish", "deleted", "--task", "1", "--app-port", DEAD_PORT]);
    let list = run(&["reminders", "list", "--ops-port", DEAD_PORT]);
    let why = run(&["reminders", "why", "t", "--ops-port", DEAD_PORT]);
    let cancel = run(&["reminders", "cancel", "t", "--ops-port", DEAD_PORT]);
    let erase = run(&["users", "erase", "ann", "--ops-port", DEAD_PORT]);
    let import =
        run(&["import", concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml"), "--ops-port", DEAD_PORT]);
    for output in [publish, list, why, cancel, erase, import] {
        assert_eq!(output.status.code(), Some(1));
        assert!(err(&output).contains("reminder-worker serve"), "{}", err(&output));
    }
}

#[test]
fn reminders_are_fetched_page_by_page_up_to_the_limit() {
    let page = |ids: &[&str], next: Option<&str>| {
        json!({"now": NOW, "reminders": ids.iter().map(|id| reminder(id, "Water")).collect::<Vec<_>>(), "next": next})
            .to_string()
    };
    let (first, empty) = (page(&["a", "b"], Some("c 1")), page(&[], Some("c 2")));
    let last = page(&["c", "d"], Some("c 3"));
    let (requests, output) = asked(&[(200, &first), (200, &empty), (200, &last)], |address| {
        command(&["reminders", "list", "--limit", "3", "--user", "u", "--json"])
            .args(["--ops-port", &address.port().to_string()])
            .env("REMINDER_WORKER__OPS__TOKEN", "hunter2")
            .output()
            .unwrap()
    });
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let ids: Vec<_> =
        told["reminders"].as_array().unwrap().iter().map(|r| r["reminder_id"].clone()).collect();
    assert_eq!(ids, ["a", "b", "c"]);
    assert!(requests[0].starts_with("GET /api/v1/reminders?user=u&limit=3 HTTP/1.1\r\n"), "{}", requests[0]);
    assert!(requests[1].starts_with("GET /api/v1/reminders?user=u&after=c+1&limit=1 HTTP/1.1\r\n"));
    assert!(requests[2].starts_with("GET /api/v1/reminders?user=u&after=c+2&limit=1 HTTP/1.1\r\n"));
    assert!(requests[0].contains("\r\nauthorization: Bearer hunter2\r\n"));
}

#[test]
fn an_import_goes_in_parts_with_the_arrival_of_the_first_and_one_report() {
    const PART: usize = 512 * 1024;
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tasks.ndjson");
    let line = format!("{}\n", "x".repeat(PART - 1));
    std::fs::write(&file, format!("{line}{{}}\n")).unwrap();
    let report = |line: u64| {
        json!({
            "arrived_at": "2026-11-25T09:00:00.000Z", "lines": 1, "applied": 0, "duplicate": 0, "stale": 0,
            "ignored": 1 - line, "refused": line, "left_out": 0, "planned": 0, "past": 0,
            "ignored_lines": if line == 0 { json!([{"line": 1, "reason": "w\u{1b}"}]) } else { json!([]) },
            "left_out_parts": [],
            "refusals": if line == 1 { json!([{"line": 1, "code": "empty", "reason": "b\u{1b}"}]) } else { json!([]) },
        })
        .to_string()
    };
    let (first, second) = (report(0), report(1));
    let (requests, output) = asked(&[(200, &first), (200, &second)], |address| {
        command(&["import", file.to_str().unwrap(), "--ops-port", &address.port().to_string()])
            .env("REMINDER_WORKER__OPS__TOKEN", "hunter2")
            .output()
            .unwrap()
    });
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert_eq!(err(&output), "warning: 1 of 2 lines were refused\n", "no progress where no terminal is");
    assert!(out(&output).contains("  ignored    1\n    line 1: w\u{fffd}\n"), "{}", out(&output));
    assert!(out(&output).contains("  refused    1\n    line 2: b\u{fffd}\n"), "{}", out(&output));
    assert!(requests[0].starts_with("POST /api/v1/import HTTP/1.1\r\n"));
    assert!(requests[0].contains("\r\nauthorization: Bearer hunter2\r\n"));
    assert!(
        requests[0].contains("\r\ncontent-type: application/x-ndjson\r\n") && requests[0].ends_with(&line)
    );
    let again = "POST /api/v1/import?arrived_at=2026-11-25T09%3A00%3A00.000Z HTTP/1.1\r\n";
    assert!(requests[1].starts_with(again) && requests[1].ends_with("\r\n\r\n{}\n"), "{}", requests[1]);
}

#[test]
fn an_import_that_breaks_off_says_how_far_it_came() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("tasks.ndjson");
    std::fs::write(&file, format!("{}\n{{}}\n", "x".repeat(512 * 1024))).unwrap();
    let report = json!({
        "arrived_at": "2026-11-25T09:00:00.000Z", "lines": 1, "applied": 1, "duplicate": 0, "stale": 0,
        "ignored": 0, "ignored_lines": [], "refused": 0, "refusals": [], "left_out": 0, "left_out_parts": [], "planned": 0, "past": 0,
    })
    .to_string();
    let refusal = r#"{"title":"Service Unavailable","detail":"the worker stops"}"#;
    let (_, output) = asked(&[(200, &report), (503, refusal)], |address| {
        run(&["import", file.to_str().unwrap(), "--ops-port", &address.port().to_string()])
    });
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("the worker stops\nthe first 1 lines are imported"), "{}", err(&output));
}

#[test]
fn erasing_a_user_asks_the_worker_and_says_what_may_still_go_out() {
    let answer = json!({
        "tasks": 2, "reminders_cancelled": 3, "in_flight": 1, "preferences": 1, "quarantined": 0, "outbox": 4, "unreadable": 0,
    })
    .to_string();
    let (requests, output) = asked(&[(200, &answer)], |address| {
        run(&["users", "erase", "a/b", "--ops-port", &address.port().to_string()])
    });
    assert_eq!(output.status.code(), Some(0), "{}", err(&output));
    assert!(requests[0].starts_with("DELETE /api/v1/users/a%2Fb HTTP/1.1\r\n"), "{}", requests[0]);
    assert!(out(&output).contains("in flight            1, which may still go out\n"), "{}", out(&output));
}

#[test]
fn what_is_said_from_now_on_counts_by_the_clock_of_the_worker() {
    let clock = json!({"now": NOW, "scale": 1.0}).to_string();
    let told = json!({"task_id": "t", "status": "TODO", "reminders": [], "planned": []}).to_string();
    let page = json!({"now": NOW, "reminders": [], "next": null}).to_string();
    let (two, three) = ("2026-11-25T09:00:00.000Z", "2026-11-25T09:01:00.000Z");
    for (args, port, status, answer, said) in [
        (
            &["publish", "created", "--task", "t", "--title", "x", "--due", "in 2m"][..],
            "--app-port",
            202,
            "{}",
            two,
        ),
        (&["publish", "updated", "--task", "t", "--set", "remind_at=2m,3m"], "--app-port", 202, "{}", three),
        (&["publish", "snoozed", "--task", "t", "--until", "in 2m"], "--app-port", 202, "{}", two),
        (&["reminders", "reschedule", "t", "--due", "2m"], "--ops-port", 200, &told, two),
        (
            &["reminders", "list", "--from", "2m"],
            "--ops-port",
            200,
            &page,
            "from=2026-11-25T09%3A00%3A00.000Z",
        ),
    ] {
        let (requests, output) = asked(&[(200, &clock), (status, answer)], |address| {
            run(&[args, &[port, &address.port().to_string()]].concat())
        });
        assert_eq!(output.status.code(), Some(0), "{args:?}: {}", err(&output));
        assert!(requests[0].starts_with("GET /dev/clock HTTP/1.1\r\n"), "{}", requests[0]);
        assert!(requests[1].contains(said), "{}", requests[1]);
    }
    let (requests, _) = asked(&[(404, "{}"), (202, "{}")], |address| {
        let port = address.port().to_string();
        run(&["publish", "created", "--task", "t", "--title", "x", "--due", "2m", "--app-port", &port])
    });
    let due = body(&requests[1])["payload"]["due_date"].as_str().unwrap().to_owned();
    assert_ne!(due, two, "by the machine's clock, where the worker's is it too");
}

#[test]
fn an_api_whose_cursor_does_not_move_is_left() {
    let page = json!({"now": NOW, "reminders": [], "next": "c"}).to_string();
    let (_, output) = asked(&[(200, &page), (200, &page)], |address| {
        run(&["reminders", "list", "--ops-port", &address.port().to_string()])
    });
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("goes round in circles"), "{}", err(&output));
}

#[test]
fn next_asks_for_what_is_pending_and_shows_it_as_a_table() {
    let answer = json!({"now": NOW, "reminders": [reminder("a", "Wa\u{1b}ter")], "next": null}).to_string();
    let (requests, output) = asked(&[(200, &answer)], |address| {
        run(&["reminders", "next", "-n", "5", "--ops-port", &address.port().to_string()])
    });
    assert!(requests[0].starts_with("GET /api/v1/reminders?state=pending&limit=5 "), "{}", requests[0]);
    let shown: Vec<&str> = out(&output).lines().collect();
    assert!(shown[1].starts_with("2026-11-25T09:00:00.000Z  in 2m"), "{shown:?}");
    assert!(shown[0].starts_with("FIRES AT") && shown[1].ends_with("pending  t-1   offset:0  Wa\u{fffd}ter"));
}

#[test]
fn an_api_that_wants_a_token_says_which_setting_it_is() {
    let refusal = r#"{"title":"Unauthorized","detail":"a bearer token is needed"}"#;
    let (_, output) = asked(&[(401, refusal)], |address| {
        run(&["reminders", "list", "--ops-port", &address.port().to_string()])
    });
    assert_eq!(output.status.code(), Some(1));
    let told = "(401): Unauthorized: a bearer token is needed\nset ops.token to the worker's own token\n";
    assert!(err(&output).ends_with(told), "{}", err(&output));
}

#[test]
fn orders_and_questions_about_a_task_are_put_to_its_worker() {
    let told = json!({"task_id": "a/b", "status": "TODO", "reminders": [], "planned": []}).to_string();
    let port = |address: SocketAddr| address.port().to_string();
    for (args, line, sent) in [
        (
            &["cancel", "a/b"][..],
            "POST /api/v1/tasks/a%2Fb/cancel ",
            json!({"reminder_id": null, "occurrence": null}),
        ),
        (
            &["cancel", "a/b", "--reminder", "r"],
            "POST /api/v1/tasks/a%2Fb/cancel ",
            json!({"reminder_id": "r", "occurrence": null}),
        ),
        (
            &["reschedule", "a/b", "--due", "2026-11-25", "--timezone", "Europe/Berlin"],
            "POST /api/v1/tasks/a%2Fb/reschedule ",
            json!({"due_date": "2026-11-25", "timezone": "Europe/Berlin"}),
        ),
    ] {
        let (requests, output) = asked(&[(200, &told)], |address| {
            command(&["reminders"]).args(args).args(["--ops-port", &port(address)]).output().unwrap()
        });
        assert_eq!(output.status.code(), Some(0), "{}", err(&output));
        assert_eq!(out(&output), "nothing is planned; the task is TODO\n");
        assert!(requests[0].starts_with(line), "{}", requests[0]);
        assert_eq!(body(&requests[0]), sent);
    }
    let unknown = r#"{"title":"Not Found","detail":"no event of this task is kept"}"#;
    let (requests, output) =
        asked(&[(404, unknown)], |address| run(&["reminders", "why", "t", "--ops-port", &port(address)]));
    assert!(requests[0].starts_with("GET /api/v1/tasks/t/why "), "{}", requests[0]);
    assert_eq!(output.status.code(), Some(1));
    assert!(err(&output).contains("no event of this task is kept"), "{}", err(&output));
}

#[test]
fn a_reader_that_leaves_is_no_error() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let child = command(&["schema", "--all"]).stdout(writer).stderr(Stdio::piped()).spawn().unwrap();
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), err(&output)), (Some(0), ""));
}

#[test]
fn pause_and_resume_tell_the_worker_and_show_what_it_says() {
    let paused = r#"{"paused":true,"since":"2026-11-25T09:00:00.000Z","reason":"a \u001bmove"}"#;
    let resumed = r#"{"paused":false,"since":null,"reason":null,"paused_since":"2026-11-25T09:00:00.000Z"}"#;
    let (requests, outputs) = asked(&[(200, paused), (200, resumed), (200, "{}")], |address| {
        [&["pause", "--reason", "a move"][..], &["resume"], &["resume"]].map(|args| {
            command(args)
                .args(["--ops-port", &address.port().to_string()])
                .env("REMINDER_WORKER__OPS__TOKEN", "hunter2")
                .output()
                .unwrap()
        })
    });
    assert!(requests[0].starts_with("POST /api/v1/pause HTTP/1.1\r\n"), "{}", requests[0]);
    assert!(requests[0].contains("\r\nauthorization: Bearer hunter2\r\n"));
    assert_eq!(body(&requests[0]), json!({"reason": "a move"}));
    assert!(requests[1].starts_with("POST /api/v1/resume HTTP/1.1\r\n"), "{}", requests[1]);
    assert_eq!(
        outputs.each_ref().map(out),
        [
            "reminders are paused since 2026-11-25T09:00:00.000Z (a \u{fffd}move); `reminder-worker resume` lets them go on\n",
            "reminders go on; they were paused since 2026-11-25T09:00:00.000Z\n",
            "reminders were not paused\n",
        ]
    );
}

#[test]
fn a_pause_without_a_worker_and_a_store_makes_none() {
    for verb in ["pause", "resume"] {
        let output = run(&[verb, "--ops-port", DEAD_PORT]);
        assert_eq!(output.status.code(), Some(1));
        assert!(err(&output).contains("no store is at"), "{}", err(&output));
    }
}
