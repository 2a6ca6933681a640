//! A file of events, one a line, in the order of their stamps.
//!
//! Of each line only its place and its stamp are kept, and it is read again when its time comes: a file need not fit
//! into memory, nor be in order. What can't be sought in, a pipe for one, is copied to a temporary file first.
//!
//! Accepted: a file that is changed while it is played is played as it then is.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use bytes::Bytes;

use crate::cli::Failure;
use crate::cli::terminal::harmless;
use crate::domain::{Refusal, Said, Stamps, Timestamp};
use crate::intake::{self, EVENT_MAX_BYTES};
use crate::reading::{Ignored, Reading, Transport, read};
use crate::writer::Content;

/// Lines that are told one by one for not being read, as many for being ignored, and as many parts for being left out;
/// beyond it they are only counted: a file of another kind must not be printed whole.
pub(super) const TOLD_MAX: usize = 100;

/// The events of a file.
#[derive(Default)]
pub(super) struct Events {
    file: Option<File>,
    places: Vec<Place>,
    /// Lines that are surely none of the worker's business.
    pub(super) ignored: Told,
    /// Lines that can't be played.
    pub(super) unread: Told,
    /// Parts that lines are played without.
    pub(super) left_out: Told,
}

/// Lines that are told, and how many there are.
#[derive(Default)]
pub(super) struct Told {
    /// All of them.
    pub(super) count: u64,
    /// The first of them, [`TOLD_MAX`] at most.
    pub(super) first: Vec<Remark>,
}

impl Told {
    fn note(&mut self, line: u64, reason: &str) {
        self.count += 1;
        if self.first.len() < TOLD_MAX {
            self.first.push(Remark { line, reason: harmless(reason) });
        }
    }
}

/// Where a line lies, and when it is played.
struct Place {
    at: Timestamp,
    offset: u64,
    length: usize,
}

/// What is told of a line.
#[derive(PartialEq, Eq, Debug)]
pub(super) struct Remark {
    /// From 1.
    pub(super) line: u64,
    /// Why.
    pub(super) reason: String,
}

/// What a line is.
enum Line {
    Event(Timestamp, Vec<Refusal>),
    Ignored(Ignored),
    Unread(String),
    Blank,
}

impl Events {
    /// Looks through `path`, `-` for standard input.
    pub(super) fn open(path: &Path) -> Result<Self, Failure> {
        let told = |error: io::Error| Failure::failed(format!("{}: {error}", path.display()));
        if path.as_os_str() == "-" {
            return spooled(&mut io::stdin().lock()).and_then(Self::of).map_err(told);
        }
        let mut file = File::open(path).map_err(told)?;
        let file = if file.metadata().map_err(told)?.is_file() { Ok(file) } else { spooled(&mut file) };
        file.and_then(Self::of).map_err(told)
    }

    fn of(file: File) -> io::Result<Self> {
        let mut events = Self::default();
        let mut reader = BufReader::new(&file);
        let mut offset = 0;
        let mut bytes = Vec::new();
        for line in 1.. {
            bytes.clear();
            let most = EVENT_MAX_BYTES as u64 + 1;
            let length = reader.by_ref().take(most).read_until(b'\n', &mut bytes)?;
            if length == 0 {
                break;
            }
            let whole = bytes.last() == Some(&b'\n') || length <= EVENT_MAX_BYTES;
            let found = if whole { look(bytes.trim_ascii()) } else { too_long() };
            match found {
                Line::Event(at, refused) => {
                    events.places.push(Place { at, offset, length });
                    for Refusal { key, reason } in refused {
                        events.left_out.note(line, &format!("`{key}`: {reason}"));
                    }
                }
                Line::Ignored(reason) => events.ignored.note(line, &reason.to_string()),
                Line::Unread(reason) => events.unread.note(line, &reason),
                Line::Blank => {}
            }
            offset += length as u64;
            if !whole {
                offset += skip_line(&mut reader)?;
            }
        }
        // Stable: lines of one stamp stay in the order of the file.
        events.places.sort_by_key(|place| place.at);
        events.file = Some(file);
        Ok(events)
    }

    /// Whether there were lines and none of them could be read.
    pub(super) fn is_unreadable(&self) -> bool {
        self.places.is_empty() && self.ignored.count == 0 && self.unread.count > 0
    }

    /// When the event at `position` is played.
    pub(super) fn at(&self, position: usize) -> Option<Timestamp> {
        self.places.get(position).map(|place| place.at)
    }

    /// The event at `position`, as it is delivered.
    pub(super) fn content(&self, position: usize) -> io::Result<Content> {
        let (Some(place), Some(mut file)) = (self.places.get(position), self.file.as_ref()) else {
            return Err(io::ErrorKind::UnexpectedEof.into());
        };
        let mut bytes = vec![0; place.length];
        file.seek(SeekFrom::Start(place.offset))?;
        file.read_exact(&mut bytes)?;
        bytes.truncate(bytes.trim_ascii_end().len());
        let body = Bytes::from(bytes);
        Ok(intake::content(read(&body, &Transport::default()), body))
    }
}

/// All of `source` as a file that can be sought in.
fn spooled(source: &mut dyn Read) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(source, &mut file)?;
    file.rewind()?;
    Ok(file)
}

fn look(line: &[u8]) -> Line {
    if line.is_empty() {
        return Line::Blank;
    }
    match read(line, &Transport::default()) {
        Reading::Event(event) => played_at(event.stamps, event.refused),
        Reading::Preferences(change) => match change.said {
            Said::Event { stamps, .. } => played_at(stamps, change.refused),
            Said::Now => played_at(Stamps::default(), change.refused),
        },
        Reading::Ignored(reason) => Line::Ignored(reason),
        // The parser counts lines too, within the one that is told.
        Reading::Refused(reason) => {
            Line::Unread(reason.to_string().replacen(" at line 1 column ", " at column ", 1))
        }
    }
}

fn too_long() -> Line {
    Line::Unread(format!("it is longer than {EVENT_MAX_BYTES} bytes"))
}

/// When the event was made, else when its envelope was.
fn played_at(stamps: Stamps, refused: Vec<Refusal>) -> Line {
    match stamps.event.or(stamps.envelope) {
        Some(stamp) => Line::Event(stamp.at, refused),
        None => Line::Unread("it has no `timestamp` that can be read, so no time to be played at".to_owned()),
    }
}

/// Reads to the end of the line: so many bytes.
fn skip_line(reader: &mut impl BufRead) -> io::Result<u64> {
    let mut skipped = 0;
    loop {
        let buffer = reader.fill_buf()?;
        let end = buffer.iter().position(|byte| *byte == b'\n');
        let used = end.map_or(buffer.len(), |end| end + 1);
        reader.consume(used);
        skipped += used as u64;
        if end.is_some() || used == 0 {
            return Ok(skipped);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn events(lines: &[u8]) -> Events {
        let mut lines = lines;
        Events::of(spooled(&mut lines).unwrap()).unwrap()
    }

    fn line(task: &str, stamp: &str) -> String {
        format!(r#"{{"event_type":"task_created","timestamp":"{stamp}","payload":{{"task_id":"{task}"}}}}"#)
    }

    fn task(events: &Events, position: usize) -> String {
        match events.content(position).unwrap() {
            Content::Event(event, _) => event.task_id.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn events_come_in_the_order_of_their_stamps_and_of_the_file_within_one() {
        let text = [
            line("late", "2026-01-02T00:00:00Z"),
            String::new(),
            line("b", "2026-01-01T00:00:00Z"),
            line("a", "2026-01-01T01:00:00+01:00"),
        ]
        .join("\r\n");
        let events = events(text.as_bytes());
        assert_eq!([0, 1, 2].map(|n| task(&events, n)), ["b", "a", "late"]);
        assert_eq!(events.at(0).unwrap().to_rfc3339(), "2026-01-01T00:00:00.000Z");
        assert_eq!((events.at(3), events.unread.count, events.ignored.count), (None, 0, 0));
    }

    #[test]
    fn an_envelope_without_an_inner_stamp_is_played_at_its_own_time() {
        let line = br#"{"specversion":"1.0","id":"1","source":"s","type":"t","time":"2026-01-01T00:00:00Z",
            "data":{"event_type":"task_created","payload":{"task_id":"a"}}}"#;
        let events = events(&line.iter().copied().filter(|b| *b != b'\n').collect::<Vec<_>>());
        assert_eq!(events.at(0).map(Timestamp::to_rfc3339).as_deref(), Some("2026-01-01T00:00:00.000Z"));
    }

    #[test]
    fn lines_that_cannot_be_played_are_told_with_number_and_reason_and_the_rest_is_played() {
        let text = [
            "{".to_owned(),
            line("a", "soon"),
            r#"{"event_type":"reminder_due","payload":{"task_id":"a"}}"#.to_owned(),
            line("a", "2026-01-01T00:00:00Z").replace(r#""task_id""#, r#""priority":"hgh","task_id""#),
        ]
        .join("\n");
        let events = events(text.as_bytes());
        let lines = |told: &Told| told.first.iter().map(|remark| remark.line).collect::<Vec<_>>();
        assert_eq!(
            [&events.unread, &events.ignored, &events.left_out].map(lines),
            [vec![1, 2], vec![3], vec![4]]
        );
        assert!(events.unread.first[1].reason.contains("no `timestamp`"), "{:?}", events.unread.first);
        assert!(
            events.left_out.first[0].reason.starts_with("`priority`: `hgh`"),
            "{:?}",
            events.left_out.first
        );
        assert_eq!((events.unread.count, events.ignored.count), (2, 1));
        assert_eq!(task(&events, 0), "a");
    }

    #[test]
    fn a_line_on_the_bound_is_read_and_one_beyond_it_is_passed_over_whole() {
        let inner = line("a", "2026-01-01T00:00:00Z");
        let fill = |length: usize| format!("{}{inner}", " ".repeat(length - inner.len()));
        for end in ["", "\n"] {
            let text = format!(
                "{}\n{}\n{}{end}",
                fill(EVENT_MAX_BYTES),
                fill(EVENT_MAX_BYTES + 1),
                line("b", "2026-01-02T00:00:00Z")
            );
            let events = events(text.as_bytes());
            assert_eq!(events.unread.first.len(), 1);
            assert_eq!(events.unread.first[0].line, 2);
            assert_eq!([0, 1].map(|n| task(&events, n)), ["a", "b"]);
        }
    }

    #[test]
    fn as_many_lines_are_told_as_the_bound_allows_and_all_are_counted() {
        let events = events("x\n".repeat(TOLD_MAX + 1).as_bytes());
        assert_eq!((events.unread.first.len(), events.unread.count), (TOLD_MAX, TOLD_MAX as u64 + 1));
    }

    #[test]
    fn a_file_that_shrinks_while_it_is_played_is_an_error_and_no_panic() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(line("a", "2026-01-01T00:00:00Z").as_bytes()).unwrap();
        let events = Events::open(file.path()).unwrap();
        file.as_file().set_len(3).unwrap();
        assert!(events.content(0).is_err());
    }
}
