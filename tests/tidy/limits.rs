//! The page of limits: what it names exists.

use std::path::Path;

use super::{Faults, assert_none};

const PAGE: &str = "docs/limits.md";
const PREFIX: &str = "reminder_worker_";

/// The words in backquotes of `cell`.
fn quoted(cell: &str) -> impl Iterator<Item = &str> {
    cell.split('`').skip(1).step_by(2)
}

/// The rows of the tables of `text` below their heads, cell by cell.
fn rows(text: &str) -> impl Iterator<Item = Vec<&str>> {
    let is_row = |line: &&str| line.starts_with('|') && !line.starts_with("|--");
    let rows = text.lines().filter(is_row);
    rows.map(|line| line.trim_matches('|').split('|').map(str::trim).collect::<Vec<_>>())
        .filter(|cells| cells.last() != Some(&"test"))
}

/// `code` is all the sources, `metrics` the table of them.
fn limit_faults(text: &str, code: &str, metrics: &str) -> Faults {
    let mut faults = Faults::new();
    for cells in rows(text) {
        let Some((test, rest)) = cells.split_last() else { continue };
        if !quoted(test).any(|name| code.contains(&format!("fn {name}()"))) {
            faults.push(format!("{PAGE}: {test} is no test"));
        }
        // A table of six columns has one of metrics.
        if let [_, _, _, _, metric] = rest
            && !quoted(metric).any(|name| metrics.contains(&format!("\"{PREFIX}{name}\"")))
        {
            faults.push(format!("{PAGE}: {metric} is no metric"));
        }
    }
    faults
}

fn all_code(dir: &Path, all: &mut String) {
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            all_code(&path, all);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            all.push_str(&std::fs::read_to_string(&path).expect("a text"));
        }
    }
}

#[test]
fn every_limit_names_its_test_and_its_metric() {
    let mut code = String::new();
    all_code(Path::new("src"), &mut code);
    all_code(Path::new("tests"), &mut code);
    let metrics = std::fs::read_to_string("src/telemetry/names.rs").expect("the metrics");
    let page = std::fs::read_to_string(PAGE).expect("the page");
    assert!(rows(&page).count() > 20, "the rule reads the real page");
    assert_none(&limit_faults(&page, &code, &metrics));
    let rule = |row: &str| limit_faults(row, "fn it_is_so() {}", "\"reminder_worker_x\"").len();
    assert_eq!(rule("| a | b | c | d | `x` | `it_is_so` |"), 0);
    assert_eq!(rule("| a | b | c | d | `y` | `it_was_so` |"), 2);
    assert_eq!(rule("| a | b | `it_is_so` |\n| a | b | none |"), 1);
}
