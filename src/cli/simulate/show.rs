//! What a firing, a difference and the outcome look like.

use std::fmt::Write as _;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::Span;
use super::difference::Pair;
use super::world::Outcome;
use crate::cli::reminders::cell;
use crate::cli::terminal::harmless;
use crate::clock::millis;
use crate::domain::{PolicyInForce, State, Timestamp};
use crate::store::EventTally;
use crate::tick::{event_of, event_of_digest};
use crate::writer::{Claimed, ClaimedDigest};

/// Rows that are looked at before the columns are as wide as they will be: what comes later is printed as it comes.
pub(super) const MEASURED_ROWS: usize = 256;

/// The columns of what fires.
pub(super) const FIRINGS: &[&str] = &["FIRES AT", "WHEN", "TASK", "RULE", "TITLE"];
/// The columns of what fires differently.
pub(super) const DIFFERENCES: &[&str] = &["IN FORCE", "OTHER", "TASK", "RULE", "OCCURRENCE", "TITLE"];

/// A table whose rows are printed as they come.
pub(super) struct Table {
    headings: &'static [&'static str],
    /// Rows that wait for the widths.
    waiting: Vec<Vec<String>>,
    widths: Option<Vec<usize>>,
}

impl Table {
    pub(super) fn new(headings: &'static [&'static str]) -> Self {
        Self { headings, waiting: Vec::new(), widths: None }
    }

    /// The lines that can be printed now that `row` has come.
    pub(super) fn row(&mut self, row: Vec<String>) -> String {
        match &self.widths {
            Some(widths) => line(&row, widths),
            None => {
                self.waiting.push(row);
                if self.waiting.len() == MEASURED_ROWS { self.rest("") } else { String::new() }
            }
        }
    }

    /// The lines that still wait, or `none` where there was no row.
    pub(super) fn rest(&mut self, none: &str) -> String {
        if self.widths.is_some() {
            return String::new();
        }
        let rows = std::mem::take(&mut self.waiting);
        let width = |column: usize| {
            let cells = rows.iter().map(|row| row[column].chars().count());
            cells.max().unwrap_or(0).max(self.headings[column].len())
        };
        let widths: Vec<usize> = (0..self.headings.len()).map(width).collect();
        if rows.is_empty() {
            return format!("{none}\n");
        }
        let headings: Vec<String> = self.headings.iter().map(|heading| (*heading).to_owned()).collect();
        let lines = std::iter::once(&headings).chain(&rows).map(|row| line(row, &widths)).collect();
        self.widths = Some(widths);
        lines
    }
}

fn line(row: &[String], widths: &[usize]) -> String {
    let padded: Vec<String> = row.iter().zip(widths).map(|(cell, width)| format!("{cell:width$}")).collect();
    format!("{}\n", padded.join("  ").trim_end())
}

/// A firing as cells.
pub(super) fn firing_row(at: Timestamp, claimed: &Claimed) -> Vec<String> {
    let late = at.since(claimed.reminder.fire_at);
    let when = match late.is_zero() {
        true => "on time".to_owned(),
        false => format!("{} late", humantime::format_duration(late)),
    };
    let title = claimed.task.title().unwrap_or("-");
    let rule = claimed.reminder.rule.to_string();
    [&at.to_rfc3339(), &when, claimed.task_id.as_str(), &rule, title].map(cell).to_vec()
}

/// A firing as JSON, with the event that is published for it, or that it is a part of.
pub(super) fn firing_json(
    at: Timestamp,
    claimed: &Claimed,
    digest: Option<&ClaimedDigest>,
    policy: &PolicyInForce,
) -> String {
    #[derive(Deserialize)]
    struct Published<'a> {
        #[serde(borrow)]
        data: &'a RawValue,
    }
    #[derive(Serialize)]
    struct Firing<'a> {
        at: String,
        task_id: &'a str,
        rule: String,
        late_by_ms: u64,
        event: Option<&'a RawValue>,
    }
    let published = match digest {
        Some(digest) => event_of_digest(digest, policy),
        None => event_of(claimed, policy),
    };
    let published: Option<Published<'_>> = serde_json::from_slice(&published).ok();
    let late = at.since(claimed.reminder.fire_at);
    json_line(&Firing {
        at: at.to_rfc3339(),
        task_id: claimed.task_id.as_str(),
        rule: claimed.reminder.rule.to_string(),
        late_by_ms: millis(late),
        event: published.map(|published| published.data),
    })
}

/// A difference as cells.
pub(super) fn difference_row(pair: &Pair) -> Vec<String> {
    let instant = |at: Option<Timestamp>| at.map_or_else(|| "-".to_owned(), Timestamp::to_rfc3339);
    let (occurrence, title) = (pair.occurrence.as_deref(), pair.title.as_deref());
    [
        &instant(pair.in_force),
        &instant(pair.other),
        &pair.task_id,
        &pair.rule,
        occurrence.unwrap_or("-"),
        title.unwrap_or("-"),
    ]
    .map(cell)
    .to_vec()
}

/// A difference as JSON.
pub(super) fn difference_json(pair: &Pair) -> String {
    #[derive(Serialize)]
    struct Difference<'a> {
        in_force_at: Option<String>,
        other_at: Option<String>,
        task_id: &'a str,
        occurrence: Option<&'a str>,
        rule: &'a str,
        title: Option<&'a str>,
    }
    json_line(&Difference {
        in_force_at: pair.in_force.map(Timestamp::to_rfc3339),
        other_at: pair.other.map(Timestamp::to_rfc3339),
        task_id: &pair.task_id,
        occurrence: pair.occurrence.as_deref(),
        rule: &pair.rule,
        title: pair.title.as_deref(),
    })
}

fn json_line(value: &impl Serialize) -> String {
    // Plain values written into memory: there is nothing that can fail.
    let mut line = serde_json::to_string(value).unwrap_or_default();
    line.push('\n');
    line
}

/// What was played and what became of it; `outcomes` are told apart by name where there are several.
pub(super) fn summary(span: Span, took: Duration, unread: u64, outcomes: &[(&str, Outcome)]) -> String {
    let Span { start, until } = span;
    let took = Duration::from_millis(millis(took));
    let mut text = format!("simulated {start} to {until} in {}\n", humantime::format_duration(took));
    // Writing to a String cannot fail.
    if let Some((_, outcome)) = outcomes.first() {
        let EventTally { applied, duplicate, stale, ignored, quarantined } = outcome.events;
        let _ = writeln!(
            text,
            "events: {applied} applied, {duplicate} duplicate, {stale} stale, {ignored} ignored, {quarantined} \
             quarantined, {unread} lines not read"
        );
    }
    for (name, outcome) in outcomes {
        let name = if name.is_empty() { String::new() } else { format!("{}: ", harmless(name)) };
        let states = State::ALL.map(|state| format!("{} {}", outcome.reminders.of(state), state.name()));
        let _ = writeln!(text, "{name}{} reminders fired; at the end {}", outcome.fired, states.join(", "));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(text: &str) -> Vec<String> {
        vec![text.to_owned(), "x".to_owned(), "-".to_owned(), "-".to_owned(), "-".to_owned()]
    }

    #[test]
    fn rows_wait_until_the_widths_are_known_and_no_longer() {
        let mut table = Table::new(FIRINGS);
        for _ in 1..MEASURED_ROWS {
            assert_eq!(table.row(row("short")), "");
        }
        let first = table.row(row("a longer one"));
        assert_eq!(first.lines().count(), 1 + MEASURED_ROWS);
        assert!(first.starts_with("FIRES AT      WHEN  TASK  RULE  TITLE\nshort         x     -"), "{first}");
        assert_eq!(table.row(row("short")), "short         x     -     -     -\n");
        assert_eq!(table.rest("none"), "");
    }

    #[test]
    fn a_table_without_rows_says_so() {
        assert_eq!(Table::new(DIFFERENCES).rest("none"), "none\n");
    }
}
