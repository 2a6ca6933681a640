//! A bar on standard error that shows how much of the span has been played; only where a terminal is attached.

use std::io::{IsTerminal as _, Write};
use std::time::Duration;

use super::Span;
use crate::cli::Context;
use crate::domain::Timestamp;

/// How often it is drawn: an eye sees no more, and a simulation must not wait for a terminal.
const EVERY: Duration = Duration::from_millis(100);
/// Its width in characters.
const WIDTH: usize = 30;

/// The bar.
pub(super) struct Progress {
    shown: bool,
    drawn: bool,
    next: Duration,
}

impl Progress {
    /// A bar where standard error is a terminal that can move its cursor.
    pub(super) fn new(context: &Context) -> Self {
        let shown = std::io::stderr().is_terminal() && context.variable("TERM") != Some("dumb");
        Self { shown, drawn: false, next: Duration::ZERO }
    }

    /// Draws it, where it is time to.
    pub(super) fn draw(&mut self, span: Span, now: Timestamp, fired: u64, monotonic: Duration) {
        if self.shown && monotonic >= self.next {
            self.next = monotonic + EVERY;
            self.drawn = true;
            // A terminal that is gone shows nothing.
            let _ = write!(std::io::stderr(), "\r\x1b[K{}", bar(span, now, fired));
        }
    }

    /// Takes it away, so that other lines have the place.
    pub(super) fn clear(&mut self) {
        if std::mem::take(&mut self.drawn) {
            let _ = write!(std::io::stderr(), "\r\x1b[K");
        }
    }
}

fn bar(Span { start, until }: Span, now: Timestamp, fired: u64) -> String {
    let (passed, total) = (now.since(start).as_millis(), until.since(start).as_millis().max(1));
    let full = usize::try_from(passed.saturating_mul(WIDTH as u128) / total).unwrap_or(WIDTH).min(WIDTH);
    let percent = (passed.saturating_mul(100) / total).min(100);
    format!("[{}{}] {percent:3} %  {now}  {fired} fired", "#".repeat(full), " ".repeat(WIDTH - full))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_bar_goes_from_empty_to_full_and_survives_any_span() {
        let at = Timestamp::from_millis;
        let span = |start, until| Span { start: at(start), until: at(until) };
        let empty = bar(span(0, 1_000), at(0), 0);
        assert!(empty.starts_with(&format!("[{}]   0 %  1970-", " ".repeat(WIDTH))), "{empty}");
        let half = bar(span(0, 1_000), at(500), 7);
        assert!(half.starts_with(&format!("[{}{}]  50 %", "#".repeat(15), " ".repeat(15))), "{half}");
        assert!(half.ends_with(" 7 fired"), "{half}");
        for (start, until, now) in [(0, 0, 0), (i64::MIN, i64::MAX, i64::MAX), (0, 1, 2)] {
            let full = bar(span(start, until), at(now), 0);
            assert!(full.contains(if until == start { "] " } else { "] 100 %" }), "{full}");
        }
    }
}
