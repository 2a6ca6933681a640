//! Reminders as a table for a person.

use std::fmt::Write as _;
use std::time::Duration;

use super::Reminder;
use crate::cli::terminal::{Paint, harmless};
use crate::cli::when;
use crate::domain::Timestamp;

/// Longest text of a cell, in characters; ids and titles may be thousands.
const CELL_MAX: usize = 40;
const HEADINGS: [&str; 6] = ["FIRES AT", "WHEN", "STATE", "TASK", "RULE", "TITLE"];
const STATE: usize = 2;

/// The table, or a sentence where there is nothing to show.
pub(super) fn table(reminders: &[Reminder], now: Timestamp, paint: Paint) -> String {
    if reminders.is_empty() {
        return "no reminders\n".to_owned();
    }
    let rows: Vec<[String; 6]> = reminders.iter().map(|reminder| row(reminder, now)).collect();
    let width = |column: usize| {
        let cells = rows.iter().map(|row| row[column].chars().count());
        cells.max().unwrap_or(0).max(HEADINGS[column].len())
    };
    let widths: [usize; 6] = std::array::from_fn(width);
    let mut text = String::new();
    // Writing to a String cannot fail.
    let _ = writeln!(text, "{}", paint.bold(line(&HEADINGS.map(str::to_owned), &widths, Paint(false))));
    for (row, reminder) in rows.iter().zip(reminders) {
        let _ = writeln!(text, "{}", line(row, &widths, paint));
        if let Some(reason) = &reminder.reason {
            let _ = writeln!(text, "  {}", paint.dim(harmless(reason)));
        }
    }
    text
}

fn row(reminder: &Reminder, now: Timestamp) -> [String; 6] {
    let when = match (reminder.late_by_ms, reminder.fires_at()) {
        (Some(late), _) => {
            format!("{} late", humantime::format_duration(Duration::from_millis(late)))
        }
        (None, Some(at)) => when::distance(at, now),
        (None, None) => String::new(),
    };
    let title = reminder.title.as_deref().unwrap_or("-");
    let cells = [&reminder.fire_at, &when, &reminder.state, &reminder.task_id, &reminder.rule, title];
    cells.map(cell)
}

/// `text` as a cell: harmless, and cut where it is too long.
pub(in crate::cli) fn cell(text: &str) -> String {
    let text = harmless(text);
    if text.chars().count() <= CELL_MAX {
        return text;
    }
    text.chars().take(CELL_MAX - 1).chain(['…']).collect()
}

fn line(cells: &[String; 6], widths: &[usize; 6], paint: Paint) -> String {
    let padded: Vec<String> = cells
        .iter()
        .zip(widths)
        .enumerate()
        .map(|(column, (cell, width))| {
            let padded = format!("{cell:width$}");
            match (column, cell.as_str()) {
                (STATE, "pending") => paint.yellow(padded),
                (STATE, "published") => paint.green(padded),
                (STATE, "expired") => paint.red(padded),
                (STATE, _) => paint.dim(padded),
                _ => padded,
            }
        })
        .collect();
    padded.join("  ").trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reminder(state: &str, title: &str) -> Reminder {
        Reminder {
            reminder_id: "r".to_owned(),
            event_id: "r".to_owned(),
            task_id: "t-1".to_owned(),
            user_id: None,
            title: Some(title.to_owned()),
            occurrence: None,
            rule: "offset:0".to_owned(),
            fire_at: "2025-11-24T16:05:00.000Z".to_owned(),
            state: state.to_owned(),
            published_at: None,
            late_by_ms: None,
            reason: None,
        }
    }

    #[test]
    fn a_row_tells_when_in_words_and_a_reason_stands_below() {
        let published = Reminder { late_by_ms: Some(3), ..reminder("published", "Water") };
        let expired = Reminder { reason: Some("too late".to_owned()), ..reminder("expired", "Weed") };
        let shown = table(
            &[reminder("pending", "Plant"), published, expired],
            Timestamp::from_millis(1_764_000_000_000),
            Paint(false),
        );
        let expected = "\
FIRES AT                  WHEN      STATE      TASK  RULE      TITLE
2025-11-24T16:05:00.000Z  in 5m     pending    t-1   offset:0  Plant
2025-11-24T16:05:00.000Z  3ms late  published  t-1   offset:0  Water
2025-11-24T16:05:00.000Z  in 5m     expired    t-1   offset:0  Weed
  too late
";
        assert_eq!(shown, expected);
    }

    #[test]
    fn a_cell_on_the_bound_is_whole_and_a_longer_one_is_cut_and_marked() {
        assert_eq!(cell(&"ä".repeat(CELL_MAX)), "ä".repeat(CELL_MAX));
        assert_eq!(cell(&"ä".repeat(CELL_MAX + 1)), format!("{}…", "ä".repeat(CELL_MAX - 1)));
    }

    #[test]
    fn nothing_to_show_is_said() {
        assert_eq!(table(&[], Timestamp::from_millis(0), Paint(true)), "no reminders\n");
    }
}
