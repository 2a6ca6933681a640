//! Imports: NDJSON in, a line an event in any wrapping that is understood, a report out.
//!
//! Bytes come in parts of any size and become lines, lines become commands of at most [`GROUP_EVENTS_MAX`], and each is
//! waited for: an import holds one line and one command, however long it is, and goes no faster than the disk. Lines
//! that can't be taken are told by their number and hold up nothing.
//!
//! Races it accepts: what breaks off has been taken up to the last command; the rest comes with the next try, in which
//! the first part are duplicates.

use bytes::{Bytes, BytesMut};
use serde::{Deserialize, Serialize};

use super::{EVENT_MAX_BYTES, off_thread};
use crate::domain::{Refusal, Timestamp};
use crate::reading::{Ignored, Reading, Transport, read};
use crate::writer::{GROUP_EVENTS_MAX, ImportLine, NotCommitted, Writer};

/// Lines that are told one by one for being refused, as many for being ignored, and as many parts for being left out:
/// enough to see what is wrong, few enough to read. More are counted.
pub const REFUSALS_TOLD: usize = 100;

/// What became of an import.
#[derive(Clone, PartialEq, Eq, Default, Debug, Serialize, Deserialize)]
pub struct ImportReport {
    /// When it arrived: what was past then stays past. RFC 3339.
    pub arrived_at: String,
    /// Lines that are not blank: the sum of the five below.
    pub lines: u64,
    /// Wrote at least one field.
    pub applied: u64,
    /// Had been applied already.
    pub duplicate: u64,
    /// Older than what is kept.
    pub stale: u64,
    /// Nothing for the worker.
    pub ignored: u64,
    /// The first [`REFUSALS_TOLD`] of these.
    pub ignored_lines: Vec<IgnoredLine>,
    /// Could not be taken.
    pub refused: u64,
    /// The first [`REFUSALS_TOLD`] of these.
    pub refusals: Vec<RefusedLine>,
    /// Parts that lines were taken without.
    pub left_out: u64,
    /// The first [`REFUSALS_TOLD`] of these.
    pub left_out_parts: Vec<LeftOutPart>,
    /// Reminders that came to be, those that were past included.
    pub planned: u64,
    /// Reminders that were past, and do not fire.
    pub past: u64,
}

/// A line that could not be taken.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct RefusedLine {
    /// Its number, from 1; blank lines count.
    pub line: u64,
    /// A stable code of the reason.
    pub code: String,
    /// The reason for a person.
    pub reason: String,
}

/// A line that is nothing for the worker, or of a kind that is mistyped.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct IgnoredLine {
    /// Its number, from 1; blank lines count.
    pub line: u64,
    /// The reason for a person.
    pub reason: String,
}

/// A part that a line was taken without.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct LeftOutPart {
    /// The line's number, from 1; blank lines count.
    pub line: u64,
    /// The key, as the line has it.
    pub key: String,
    /// The reason for a person.
    pub reason: String,
}

impl ImportReport {
    /// Adds what became of a later part, before which there were so many lines, blank ones too.
    pub fn add(&mut self, later: Self, lines_before: u64) {
        for (mine, theirs) in [
            (&mut self.lines, later.lines),
            (&mut self.applied, later.applied),
            (&mut self.duplicate, later.duplicate),
            (&mut self.stale, later.stale),
            (&mut self.ignored, later.ignored),
            (&mut self.refused, later.refused),
            (&mut self.left_out, later.left_out),
            (&mut self.planned, later.planned),
            (&mut self.past, later.past),
        ] {
            *mine += theirs;
        }
        add_told(&mut self.refusals, later.refusals, |told| told.line += lines_before);
        add_told(&mut self.ignored_lines, later.ignored_lines, |told| told.line += lines_before);
        add_told(&mut self.left_out_parts, later.left_out_parts, |told| told.line += lines_before);
        if self.arrived_at.is_empty() {
            self.arrived_at = later.arrived_at;
        }
    }

    /// Notes what was left out of a line that was read.
    fn leave_out(&mut self, line: u64, refused: &[Refusal]) {
        self.left_out += refused.len() as u64;
        let room = REFUSALS_TOLD.saturating_sub(self.left_out_parts.len());
        let part = |refusal: &Refusal| LeftOutPart {
            line,
            key: refusal.key.clone(),
            reason: refusal.reason.clone(),
        };
        self.left_out_parts.extend(refused.iter().take(room).map(part));
    }

    /// Notes why a line is ignored; it is counted with those that are kept.
    fn ignore(&mut self, line: u64, reason: &Ignored) {
        if self.ignored_lines.len() < REFUSALS_TOLD {
            self.ignored_lines.push(IgnoredLine { line, reason: reason.to_string() });
        }
    }

    fn refuse(&mut self, line: u64, code: &str, reason: String) {
        self.refused += 1;
        if self.refusals.len() < REFUSALS_TOLD {
            self.refusals.push(RefusedLine { line, code: code.to_owned(), reason });
        }
    }
}

/// An import under way.
pub struct Import {
    writer: Writer,
    arrived: Timestamp,
    lines: Lines,
    /// Read and not yet handed over, each with its number.
    waiting: Vec<(u64, ImportLine)>,
    report: ImportReport,
}

impl Import {
    /// An import that arrived at `arrived`.
    #[must_use]
    pub fn new(writer: Writer, arrived: Timestamp) -> Self {
        let report = ImportReport { arrived_at: arrived.to_rfc3339(), ..ImportReport::default() };
        Self { writer, arrived, lines: Lines::default(), waiting: Vec::new(), report }
    }

    /// Lines that are on the disk, or refused.
    #[must_use]
    pub fn taken(&self) -> u64 {
        self.report.lines
    }

    /// Takes the next bytes.
    ///
    /// # Errors
    /// [`NotCommitted`]: what came before the last command is kept.
    pub async fn take(&mut self, mut bytes: Bytes) -> Result<(), NotCommitted> {
        while let Some(line) = self.lines.next(&mut bytes) {
            self.take_line(line).await?;
        }
        Ok(())
    }

    /// Ends the import: a last line needs no line feed.
    ///
    /// # Errors
    /// [`NotCommitted`]: what came before the last command is kept.
    pub async fn finish(mut self) -> Result<ImportReport, NotCommitted> {
        if let Some(line) = self.lines.rest() {
            self.take_line(line).await?;
        }
        self.hand_over().await?;
        Ok(self.report)
    }

    async fn take_line(&mut self, line: Line) -> Result<(), NotCommitted> {
        let number = self.lines.ended();
        let refusal = match line {
            Line::Whole(bytes) if bytes.trim_ascii().is_empty() => return Ok(()),
            Line::Whole(bytes) => {
                let reading = off_thread(bytes.len(), move || read(&bytes, &Transport::default())).await;
                match reading {
                    Reading::Event(event) => {
                        self.report.leave_out(number, &event.refused);
                        return self.wait(number, ImportLine::Event(event)).await;
                    }
                    Reading::Preferences(change) => {
                        self.report.leave_out(number, &change.refused);
                        return self.wait(number, ImportLine::Preferences(change)).await;
                    }
                    Reading::Ignored(reason) => {
                        self.report.ignore(number, &reason);
                        return self.wait(number, ImportLine::Ignored).await;
                    }
                    Reading::Refused(reason) => (reason.code(), reason.to_string()),
                }
            }
            Line::TooLong => ("too_large", format!("the line is longer than {EVENT_MAX_BYTES} bytes")),
        };
        self.report.lines += 1;
        self.report.refuse(number, refusal.0, refusal.1);
        Ok(())
    }

    async fn wait(&mut self, number: u64, line: ImportLine) -> Result<(), NotCommitted> {
        self.waiting.push((number, line));
        if self.waiting.len() == GROUP_EVENTS_MAX { self.hand_over().await } else { Ok(()) }
    }

    async fn hand_over(&mut self) -> Result<(), NotCommitted> {
        if self.waiting.is_empty() {
            return Ok(());
        }
        let (numbers, lines): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting).into_iter().unzip();
        let imported = self.writer.import(lines, self.arrived).await?;
        let report = &mut self.report;
        report.lines += numbers.len() as u64;
        report.applied += imported.applied;
        report.duplicate += imported.duplicate;
        report.stale += imported.stale;
        report.ignored += imported.ignored;
        report.planned += imported.planned;
        report.past += imported.past;
        for (place, reason) in imported.unreadable {
            // Places are those of the lines that were handed over.
            report.refuse(numbers.get(place).copied().unwrap_or_default(), "record_unreadable", reason);
        }
        Ok(())
    }
}

/// Adds what is told of a later part, at the lines that `place` gives them, as far as there is room.
fn add_told<T>(mine: &mut Vec<T>, theirs: Vec<T>, place: impl Fn(&mut T)) {
    let room = REFUSALS_TOLD.saturating_sub(mine.len());
    mine.extend(theirs.into_iter().take(room).map(|mut told| {
        place(&mut told);
        told
    }));
}

/// A line as it came, without its line feed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Line {
    /// All of it.
    Whole(Bytes),
    /// It is longer than [`EVENT_MAX_BYTES`].
    TooLong,
}

/// Bytes to lines.
#[derive(Default, Debug)]
pub struct Lines {
    /// The beginning of a line whose end has not come.
    begun: BytesMut,
    /// That line is too long already: the rest of it is skipped.
    skips: bool,
    ended: u64,
}

impl Lines {
    /// How many lines have ended.
    #[must_use]
    pub fn ended(&self) -> u64 {
        self.ended
    }

    /// The next line that ends in `bytes`, which are taken up to its end; all of them where none does.
    pub fn next(&mut self, bytes: &mut Bytes) -> Option<Line> {
        let Some(end) = bytes.iter().position(|byte| *byte == b'\n') else {
            let part = std::mem::take(bytes);
            self.begin(&part);
            return None;
        };
        let part = bytes.split_to(end);
        let _ = bytes.split_to(1);
        if self.begun.is_empty() && !self.skips && part.len() <= EVENT_MAX_BYTES {
            self.ended += 1;
            return Some(Line::Whole(part));
        }
        self.begin(&part);
        Some(self.end())
    }

    /// The last line, where it has no line feed.
    pub fn rest(&mut self) -> Option<Line> {
        (self.skips || !self.begun.is_empty()).then(|| self.end())
    }

    fn begin(&mut self, part: &[u8]) {
        self.skips |= self.begun.len() + part.len() > EVENT_MAX_BYTES;
        if self.skips {
            self.begun = BytesMut::new();
        } else {
            self.begun.extend_from_slice(part);
        }
    }

    fn end(&mut self) -> Line {
        self.ended += 1;
        let begun = std::mem::take(&mut self.begun);
        if std::mem::take(&mut self.skips) { Line::TooLong } else { Line::Whole(begun.freeze()) }
    }
}

#[cfg(test)]
mod tests;
