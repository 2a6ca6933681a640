//! Where a simulation prints: reminders or differences on standard output as they come, everything else on standard
//! error, so that the same input is the same output, byte for byte.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use super::Span;
use super::difference::Pair;
use super::events::Events;
use super::progress::Progress;
use super::show::{
    DIFFERENCES, FIRINGS, Table, difference_json, difference_row, firing_json, firing_row, summary,
};
use super::world::Outcome;
use crate::cli::terminal::{Paint, harmless};
use crate::cli::{Context, Failure};
use crate::clock::Clock;
use crate::domain::{PolicyInForce, Timestamp};
use crate::writer::{Claimed, ClaimedDigest};

/// Bytes that are gathered before they are written: a call to the system for every line would cost more than the rest.
const GATHERED_BYTES: usize = 64 * 1024;

/// The printing side of one simulation.
pub(super) struct Screen {
    // Dependencies.
    clock: Arc<dyn Clock>,
    paint: Paint,
    // Configuration.
    span: Span,
    json: bool,
    // State.
    table: Option<Table>,
    gathered: Vec<u8>,
    /// The reader has gone away.
    unread: bool,
    progress: Progress,
    started: Duration,
    lines_unread: u64,
    differences: Differences,
}

#[derive(Default)]
struct Differences {
    in_force: u64,
    other: u64,
    moved: u64,
}

impl Screen {
    pub(super) fn new(context: &Context, span: Span, json: bool) -> Self {
        Self {
            clock: Arc::clone(&context.clock),
            paint: context.colours.err,
            span,
            json,
            table: None,
            gathered: Vec::with_capacity(2 * GATHERED_BYTES),
            unread: false,
            progress: Progress::new(context),
            started: context.clock.monotonic(),
            lines_unread: 0,
            differences: Differences::default(),
        }
    }

    /// Tells of the lines that can't be played, are ignored or are played without a part.
    pub(super) fn tell_unread(&mut self, events: &Events) {
        self.lines_unread = events.unread.count;
        for (label, told, what) in [
            ("not read:", &events.unread, "lines"),
            ("ignored:", &events.ignored, "lines"),
            ("left out:", &events.left_out, "parts of lines"),
        ] {
            let label = self.paint.yellow(label);
            for remark in &told.first {
                tell(&format!("{label} line {}: {}\n", remark.line, remark.reason));
            }
            let more = told.count - told.first.len() as u64;
            if more > 0 {
                tell(&format!("{label} and {more} more {what}\n"));
            }
        }
    }

    /// A reminder fires.
    pub(super) fn fires(
        &mut self,
        at: Timestamp,
        claimed: &Claimed,
        digest: Option<&ClaimedDigest>,
        policy: &PolicyInForce,
    ) -> Result<(), Failure> {
        let text = match self.json {
            true => firing_json(at, claimed, digest, policy),
            false => self.table(FIRINGS).row(firing_row(at, claimed)),
        };
        self.print(&text)
    }

    /// A reminder fires differently.
    pub(super) fn differs(&mut self, pair: &Pair) -> Result<(), Failure> {
        *match (pair.in_force, pair.other) {
            (Some(_), Some(_)) => &mut self.differences.moved,
            (_, None) => &mut self.differences.in_force,
            (None, _) => &mut self.differences.other,
        } += 1;
        let text = match self.json {
            true => difference_json(pair),
            false => self.table(DIFFERENCES).row(difference_row(pair)),
        };
        self.print(&text)
    }

    /// Time has come to `now`.
    pub(super) fn passes(&mut self, now: Timestamp, fired: u64) {
        self.progress.draw(self.span, now, fired, self.clock.monotonic());
    }

    /// Whether nobody reads any more.
    pub(super) fn is_unread(&self) -> bool {
        self.unread
    }

    /// Prints what is left, and what became of everything; `other` names the other configuration.
    pub(super) fn ends(mut self, outcomes: &[(&str, Outcome)], other: Option<&str>) -> Result<(), Failure> {
        if !self.json {
            let rest = match other {
                Some(_) => self.table(DIFFERENCES).rest("no differences"),
                None => self.table(FIRINGS).rest("no reminders"),
            };
            self.print(&rest)?;
        }
        self.flush()?;
        self.progress.clear();
        let took = self.clock.monotonic().saturating_sub(self.started);
        let mut text = summary(self.span, took, self.lines_unread, outcomes);
        if let Some(other) = other {
            let Differences { in_force, other: theirs, moved } = self.differences;
            let other = harmless(other);
            text.push_str(&format!(
                "difference: {in_force} only in force, {theirs} only under {other}, {moved} at another instant\n"
            ));
        }
        tell(&text);
        Ok(())
    }

    fn table(&mut self, headings: &'static [&'static str]) -> &mut Table {
        self.table.get_or_insert_with(|| Table::new(headings))
    }

    fn print(&mut self, text: &str) -> Result<(), Failure> {
        self.gathered.extend_from_slice(text.as_bytes());
        if self.gathered.len() >= GATHERED_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Failure> {
        self.progress.clear();
        let mut out = io::stdout().lock();
        let written = out.write_all(&self.gathered).and_then(|()| out.flush());
        self.gathered.clear();
        match written {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => {
                self.unread = true;
                Ok(())
            }
            Err(error) => Err(Failure::failed(format!("the output cannot be written: {error}"))),
        }
    }
}

/// Says something beside the output. Nothing is left to tell if even this cannot be written.
fn tell(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}
