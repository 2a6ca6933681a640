//! The file of an import, in parts of whole lines.

use std::fs::File;
use std::io::Read;
use std::path::Path;

use bytes::{Bytes, BytesMut};

use crate::cli::Failure;
use crate::intake::{EVENT_MAX_BYTES, Line, Lines};

/// Bytes after which a part ends, with the line it is in: some thousand lines, a fraction of a second's work.
const PART_BYTES: usize = 512 * 1024;
/// Bytes read at a time.
const READ_BYTES: usize = 64 * 1024;
/// How gzip begins.
const GZIP: &[u8] = &[0x1f, 0x8b];

/// How a backup or an export of a store begins.
const BACKUP: &[u8] = b"\x89RMB";

/// Whole lines.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Part {
    /// The lines.
    pub(super) bytes: Bytes,
    /// How many came before.
    pub(super) lines_before: u64,
}

/// A file, or standard input.
pub(super) struct Source {
    name: String,
    input: Box<dyn Read>,
    /// Its length in bytes, where it is known.
    length: Option<u64>,
    read: u64,
    unread: Bytes,
    lines: Lines,
}

impl Source {
    /// Opens `file`, `-` for standard input, and looks at how it begins.
    pub(super) fn open(file: &Path) -> Result<Self, Failure> {
        if file.as_os_str() == "-" {
            return Self::new("standard input".to_owned(), Box::new(std::io::stdin()), None);
        }
        let name = file.display().to_string();
        let unread = |error: std::io::Error| Failure::usage(format!("{name} cannot be read: {error}"));
        let opened = File::open(file).map_err(unread)?;
        let about = opened.metadata().map_err(unread)?;
        if about.is_dir() {
            return Err(Failure::usage(format!("{name} is a directory; name a file of one event a line")));
        }
        Self::new(name, Box::new(opened), about.is_file().then_some(about.len()))
    }

    fn new(name: String, input: Box<dyn Read>, length: Option<u64>) -> Result<Self, Failure> {
        let mut source = Self { name, input, length, read: 0, unread: Bytes::new(), lines: Lines::default() };
        source.fill()?;
        if source.unread.starts_with(GZIP) {
            let name = source.name;
            return Err(Failure::usage(format!(
                "{name} is compressed with gzip; unpack it on the way: gunzip -c FILE | reminder-worker import -"
            )));
        }
        if source.unread.starts_with(BACKUP) {
            let name = source.name;
            return Err(Failure::usage(format!(
                "{name} is a backup or an export of a store and holds no events; `reminder-worker store import FILE` makes a \
                 store of it"
            )));
        }
        Ok(source)
    }

    /// What it is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// Lines handed out so far.
    pub(super) fn lines(&self) -> u64 {
        self.lines.ended()
    }

    /// How much of it has been read, where its length is known.
    pub(super) fn percent(&self) -> Option<u64> {
        let length = self.length.filter(|length| *length > 0)?;
        Some((self.read.min(length)).saturating_mul(100) / length)
    }

    /// The next part; `None` at the end.
    pub(super) fn part(&mut self) -> Result<Option<Part>, Failure> {
        let lines_before = self.lines.ended();
        let mut bytes = BytesMut::new();
        while bytes.len() < PART_BYTES {
            let line = match self.lines.next(&mut self.unread) {
                Some(line) => line,
                None if self.fill()? => continue,
                None => match self.lines.rest() {
                    Some(line) => line,
                    None => break,
                },
            };
            match line {
                Line::Whole(line) => bytes.extend_from_slice(&line),
                // As little as is refused for its length.
                Line::TooLong => bytes.resize(bytes.len() + EVENT_MAX_BYTES + 1, b'x'),
            }
            bytes.extend_from_slice(b"\n");
        }
        let is_any = self.lines.ended() > lines_before;
        Ok(is_any.then(|| Part { bytes: bytes.freeze(), lines_before }))
    }

    /// Reads on; false at the end.
    fn fill(&mut self) -> Result<bool, Failure> {
        let mut buffer = vec![0; READ_BYTES];
        let read = loop {
            match self.input.read(&mut buffer) {
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(Failure::usage(format!("{} cannot be read: {error}", self.name)));
                }
                Ok(read) => break read,
            }
        };
        buffer.truncate(read);
        self.read += read as u64;
        self.unread = buffer.into();
        Ok(read > 0)
    }
}
