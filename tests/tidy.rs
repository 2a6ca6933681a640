//! The rules that no compiler knows: who may import whom, how long things may get, what nobody may call.
//!
//! Each rule is a function from a source to its faults, with a test of its own that it can find one.

#[path = "tidy/links.rs"]
mod links;
#[path = "tidy/source.rs"]
mod source;

use std::path::Path;

use source::{Source, closing, line_of, words};

/// Longest file, in lines: what fits into a head.
const FILE_MAX_LINES: usize = 400;
/// Longest function, in lines: what fits onto a screen.
const FUNCTION_MAX_LINES: usize = 70;

/// What may stand at the top of the repository besides dotfiles and what version control ignores.
const TOP_LEVEL: [&str; 16] = [
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "Cargo.lock",
    "Cargo.toml",
    "Dockerfile",
    "LICENSE",
    "README.md",
    "benches",
    "config",
    "docs",
    "examples",
    "fuzz",
    "k8s",
    "rustfmt.toml",
    "src",
    "tests",
];

/// The modules of the crate and which others each may import; `*` is all.
#[rustfmt::skip]
const MAY_IMPORT: &[(&str, &[&str])] = &[
    ("app",          &["*"]),
    ("cli",          &["*"]),
    ("clock",        &["domain"]),
    ("config",       &["domain"]),
    ("dapr",         &["clock", "config", "domain", "telemetry"]),
    ("domain",       &[]),
    // The one who reads bodies and commands the commit loop, which must not read them.
    ("erasing",      &["domain", "reading", "store", "writer"]),
    // The whole of the worker that decides, in a world of its own.
    ("faults",       &["dapr", "domain", "intake", "reading", "store", "tick", "writer"]),
    ("gauges",       &["clock", "domain", "health", "store", "telemetry", "writer"]),
    ("health",       &["clock", "config", "domain", "telemetry"]),
    ("housekeeping", &["writer"]),
    ("http",         &["clock", "config", "dapr", "domain", "erasing", "health", "intake", "reading", "shutdown",
                       "store", "telemetry", "writer"]),
    ("intake",       &["clock", "domain", "reading", "telemetry", "writer"]),
    ("lib",          &[]),
    ("main",         &["cli"]),
    ("outbox",       &["clock", "dapr", "domain", "writer"]),
    ("reading",      &["domain"]),
    ("scheduler",    &["clock", "domain", "tick", "writer"]),
    ("shutdown",     &["clock"]),
    ("sidecar",      &["clock", "domain"]),
    ("store",        &["domain"]),
    ("telemetry",    &["config", "domain"]),
    ("tick",         &["clock", "dapr", "domain", "telemetry", "writer"]),
    ("writer",       &["clock", "domain", "store", "telemetry"]),
];

/// Packages that only these modules may name.
#[rustfmt::skip]
const NAMED_ONLY_BY: &[(&str, &[&str])] = &[
    ("axum",                        &["app", "cli", "http", "sidecar"]),
    ("clap",                        &["cli"]),
    ("croner",                      &["domain"]),
    ("rdkafka",                     &["sidecar"]),
    ("metrics",                     &["telemetry"]),
    ("metrics_exporter_prometheus", &["telemetry"]),
    ("prost",                       &["sidecar"]),
    ("reqwest",                     &["cli", "config", "dapr"]),
    ("sled",                        &["store"]),
    ("tokio_cron_scheduler",        &["housekeeping"]),
    ("toml",                        &["cli", "config"]),
    ("tonic",                       &["sidecar"]),
    ("tracing_subscriber",          &["telemetry"]),
];

/// The pure packages, all that `domain` and `reading` may name.
const PURE: [&str; 10] = [
    "base64",
    "bytes",
    "chrono",
    "chrono_tz",
    "croner",
    "postcard",
    "serde",
    "serde_json",
    "sha2",
    "thiserror",
];
const PURE_MODULES: [&str; 2] = ["domain", "reading"];
/// Pure but for its random ids, which clippy bans.
const UUID: &str = "uuid";

/// Calls that read ambient time or randomness, and the one file that may.
const AMBIENT: [&str; 9] = [
    "SystemTime::now",
    "Instant::now",
    "Utc::now",
    "Local::now",
    "time::sleep",
    "thread::sleep",
    "time::interval",
    "Uuid::new_v4",
    "Uuid::now_v7",
];
const AMBIENT_FILE: &str = "clock.rs";

type Faults = Vec<String>;

fn fault(source: &Source, at: usize, what: impl std::fmt::Display) -> String {
    format!("src/{}:{}: {what}", source.path, line_of(&source.code, at))
}

/// The modules that `source` imports as `crate::…`, with their places.
fn imports(source: &Source) -> Vec<(usize, String)> {
    let code = &source.shipped;
    let root = if source.path == "main.rs" { "reminder_worker::" } else { "crate::" };
    let mut found = Vec::new();
    for (at, _) in code.match_indices(root) {
        let tail = at + root.len();
        if !code[tail..].starts_with('{') {
            found.extend(words(&code[tail..]).next().map(|(_, name)| (at, name.to_owned())));
            continue;
        }
        let mut depth = 0_usize;
        let mut first = true;
        let group = &code[tail + 1..closing(code, tail) - 1];
        for (place, c) in group.char_indices() {
            match c {
                '{' => depth += 1,
                '}' => depth -= 1,
                ',' if depth == 0 => first = true,
                c if first && (c.is_alphabetic() || c == '_') => {
                    first = false;
                    found.extend(words(&group[place..]).next().map(|(_, name)| (at, name.to_owned())));
                }
                _ => {}
            }
        }
    }
    found
}

fn import_faults(source: &Source) -> Faults {
    let module = source.module();
    let Some((_, allowed)) = MAY_IMPORT.iter().find(|(name, _)| *name == module) else {
        return vec![fault(source, 0, format!("`{module}` has no line in MAY_IMPORT; give it one"))];
    };
    let may = |name: &str| name == module || allowed.contains(&"*") || allowed.contains(&name);
    imports(source)
        .into_iter()
        .filter(|(_, name)| !may(name))
        .map(|(at, name)| fault(source, at, format!("`{module}` may not import `{name}`")))
        .collect()
}

fn package_faults(source: &Source, packages: &[String]) -> Faults {
    let module = source.module();
    let code = &source.shipped;
    let mut faults = Faults::new();
    for (at, word) in words(code) {
        let is_path = code[at + word.len()..].starts_with("::") && !code[..at].ends_with("::");
        if !is_path || !packages.iter().any(|package| package == word) {
            continue;
        }
        let reserved = NAMED_ONLY_BY.iter().any(|(name, by)| *name == word && !by.contains(&module));
        let impure = PURE_MODULES.contains(&module) && word != UUID && !PURE.contains(&word);
        if reserved || impure {
            faults.push(fault(source, at, format!("`{module}` may not name the package `{word}`")));
        }
    }
    faults
}

fn length_faults(source: &Source) -> Faults {
    let lines = source.text.lines().count();
    let mut faults = Faults::new();
    if lines > FILE_MAX_LINES {
        faults.push(fault(source, 0, format!("{lines} lines; {FILE_MAX_LINES} are the most, split it")));
    }
    let code = &source.code;
    for (at, _) in words(code).filter(|(_, word)| *word == "fn") {
        let Some(body) = code[at..].find(['{', ';']).map(|stop| at + stop) else { continue };
        if code.as_bytes()[body] == b'{' {
            let lines = code[at..closing(code, body)].lines().count();
            if lines > FUNCTION_MAX_LINES {
                let what =
                    format!("a function of {lines} lines; {FUNCTION_MAX_LINES} are the most, split it");
                faults.push(fault(source, at, what));
            }
        }
    }
    faults
}

fn call_faults(source: &Source) -> Faults {
    let find = |code: &str, what: &str| code.match_indices(what).map(|(at, _)| at).collect::<Vec<_>>();
    let mut faults = Faults::new();
    for unfinished in ["todo!", "unimplemented!", "dbg!"] {
        let found = find(&source.code, unfinished);
        faults.extend(
            found.into_iter().map(|at| fault(source, at, format!("`{unfinished}` is not finished work"))),
        );
    }
    for at in find(&source.shipped, ".unwrap()") {
        faults.push(fault(source, at, "a bare `unwrap`; handle it, or prove it with `expect`"));
    }
    for call in AMBIENT.iter().filter(|_| source.path != AMBIENT_FILE) {
        for at in find(&source.shipped, call) {
            faults.push(fault(source, at, format!("`{call}`; take it from the injected clock")));
        }
    }
    faults
}

fn attribute_faults(source: &Source) -> Faults {
    let mut faults = Faults::new();
    let code = &source.code;
    for (at, word) in words(code) {
        let body = at + word.len();
        let opens = ["#[", "#!["].iter().any(|opening| code[..at].ends_with(opening));
        if !opens || !code[body..].starts_with('(') {
            continue;
        }
        let has_reason = || words(&code[body..closing(code, body)]).any(|(_, word)| word == "reason");
        match word {
            "allow" => faults.push(fault(source, at, "`allow`; write `expect` with a reason")),
            "expect" if !has_reason() => faults.push(fault(source, at, "`expect` without a reason")),
            _ => {}
        }
    }
    faults
}

/// Tests are told by their names.
fn head_faults(source: &Source) -> Faults {
    let told = source.is_test || source.text.starts_with("//! ");
    if told { vec![] } else { vec![fault(source, 0, "no `//!` head that says what the file is for")] }
}

fn top_level_faults<'a>(entries: impl Iterator<Item = &'a str>, ignored: &[&str]) -> Faults {
    entries
        .filter(|name| !name.starts_with('.') && !TOP_LEVEL.contains(name))
        .filter(|name| {
            !ignored.iter().any(|i| match i.split_once('*') {
                Some((start, end)) => name.starts_with(start) && name.ends_with(end),
                None => name == i,
            })
        })
        .map(|name| format!("{name} does not belong at the top of the repository"))
        .collect()
}

fn sources(dir: &Path, found: &mut Vec<Source>) {
    for entry in std::fs::read_dir(dir).expect("a directory of sources") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            sources(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a text");
            let below = path.strip_prefix("src").expect("below src").to_string_lossy().replace('\\', "/");
            found.push(Source::new(&below, &text));
        }
    }
}

/// The packages of the dependency tables, as code names them.
fn packages(manifest: &str) -> Vec<String> {
    let table: toml::Table = manifest.parse().expect("a manifest");
    let names = table["dependencies"].as_table().expect("dependencies").keys();
    names.map(|name| name.replace('-', "_")).collect()
}

fn assert_none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

fn faults_of_all(rule: impl Fn(&Source) -> Faults) -> Faults {
    let mut all = Vec::new();
    sources(Path::new("src"), &mut all);
    assert!(all.len() > 10, "the rules read the real sources");
    all.iter().flat_map(rule).collect()
}

#[test]
fn modules_import_only_what_they_may() {
    assert_none(&faults_of_all(import_faults));
    let rule = |path: &str, text: &str| import_faults(&Source::new(path, text)).len();
    assert_eq!(rule("domain/plan.rs", "use crate::domain::Task;\n// crate::store\n"), 0);
    assert_eq!(rule("domain/plan.rs", "use crate::store::Store;"), 1);
    assert_eq!(rule("reading/mod.rs", "use crate::{domain::{Kind, Task}, store::Batch, clock};"), 2);
    assert_eq!(rule("store/mod.rs", "#[cfg(test)]\nmod tests { use crate::writer::Writer; }"), 0);
    assert_eq!(rule("main.rs", "reminder_worker::app::run()"), 1);
    assert_eq!(rule("app.rs", "use crate::store::Store;"), 0);
    assert_eq!(rule("newcomer.rs", ""), 1);
}

#[test]
fn packages_are_named_only_where_they_belong() {
    let packages = packages(&std::fs::read_to_string("Cargo.toml").expect("a manifest"));
    for (name, _) in NAMED_ONLY_BY {
        assert!(packages.iter().any(|package| package == name), "{name} is no dependency any more");
    }
    assert_none(&faults_of_all(|source| package_faults(source, &packages)));
    let rule = |path: &str, text: &str| package_faults(&Source::new(path, text), &packages).len();
    assert_eq!(rule("store/sled.rs", "use sled::Db;"), 0);
    assert_eq!(rule("http/app.rs", "use sled::Db; use crate::store::sled::Engine;"), 1);
    assert_eq!(rule("domain/time.rs", "use chrono::Utc; use uuid::Uuid; use tokio::sync::mpsc;"), 1);
}

#[test]
fn files_and_functions_stay_short() {
    assert_none(&faults_of_all(length_faults));
    let rule = |text: &str| length_faults(&Source::new("tick.rs", text)).len();
    let function = |lines: usize| format!("fn f() {{\n{}}}\n", "    // \"{\"\n".repeat(lines - 2));
    assert_eq!(rule(&function(FUNCTION_MAX_LINES)), 0);
    assert_eq!(rule(&function(FUNCTION_MAX_LINES + 1)), 1);
    assert_eq!(rule(&"\n".repeat(FILE_MAX_LINES)), 0);
    assert_eq!(rule(&"\n".repeat(FILE_MAX_LINES + 1)), 1);
}

#[test]
fn nothing_is_unfinished_unproven_or_ambient() {
    assert_none(&faults_of_all(call_faults));
    let rule = |path: &str, text: &str| call_faults(&Source::new(path, text)).len();
    for wrong in
        ["todo!()", "dbg!(x)", "x.unwrap()", "Instant::now()", "tokio::time::sleep(d)", "Uuid::new_v4()"]
    {
        assert_eq!(rule("tick.rs", &format!("fn f() {{ {wrong}; }}")), 1, "{wrong}");
    }
    assert_eq!(rule("clock.rs", "Instant::now()"), 0);
    assert_eq!(
        rule(
            "tick.rs",
            "// x.unwrap()\nlet s = \"todo!\"; let t = r#\"dbg!\"#; #[cfg(test)] mod t { x.unwrap() }"
        ),
        0
    );
    assert_eq!(rule("tick/tests.rs", "x.unwrap()"), 0);
    assert_eq!(rule("tick.rs", "let c = '\"'; x.unwrap(); let d: &'a str = \"\";"), 1);
}

#[test]
fn every_exception_has_a_reason() {
    assert_none(&faults_of_all(attribute_faults));
    let rule = |text: &str| attribute_faults(&Source::new("tick.rs", text)).len();
    assert_eq!(rule("#[expect(dead_code)]"), 1);
    assert_eq!(rule("#![expect(dead_code)]"), 1);
    assert_eq!(rule("#[expect(\n    dead_code,\n    reason = \"read by a debugger\"\n)]"), 0);
    assert_eq!(rule("#[allow(dead_code, reason = \"x\")]"), 1);
    assert_eq!(rule("x.expect(\"proof\")"), 0);
}

#[test]
fn every_file_says_what_it_is_for() {
    assert_none(&faults_of_all(head_faults));
    assert_eq!(head_faults(&Source::new("tick.rs", "use std::fmt;")).len(), 1);
    assert_eq!(head_faults(&Source::new("tick.rs", "//! The tick.\n")).len(), 0);
    assert_eq!(head_faults(&Source::new("tick/tests.rs", "use std::fmt;")).len(), 0);
}

#[test]
fn the_top_of_the_repository_holds_what_it_should() {
    let ignored = std::fs::read_to_string(".gitignore").expect("a list of what is ignored");
    let ignored: Vec<&str> = ignored.lines().map(|line| line.trim_start_matches('/')).collect();
    let names =
        std::fs::read_dir(".").expect("the repository").map(|entry| entry.expect("an entry").file_name());
    let names: Vec<String> = names.map(|name| name.to_string_lossy().into_owned()).collect();
    assert_none(&top_level_faults(names.iter().map(String::as_str), &ignored));
    let told = top_level_faults(
        ["src", ".git", "target", "a.store", "data.marker", "notes.txt"].into_iter(),
        &["target", "*.store", "data.*"],
    );
    assert_eq!(told, ["notes.txt does not belong at the top of the repository"]);
}
