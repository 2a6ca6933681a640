//! An import: the lines are the same in whatever parts they come, and each is read.

#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use reminder_worker::intake::{Line, Lines};
use reminder_worker::reading::{Transport, read};

fn lines(parts: impl Iterator<Item = Bytes>) -> (Vec<Line>, u64) {
    let (mut lines, mut found) = (Lines::default(), Vec::new());
    for mut part in parts {
        while let Some(line) = lines.next(&mut part) {
            found.push(line);
        }
        assert!(part.is_empty());
    }
    found.extend(lines.rest());
    (found, lines.ended())
}

fuzz_target!(|bytes: &[u8]| {
    let Some((size, body)) = bytes.split_first() else { return };
    let (found, ended) = lines(std::iter::once(Bytes::copy_from_slice(body)));
    let in_parts = lines(body.chunks(usize::from(*size).max(1)).map(Bytes::copy_from_slice));
    assert_eq!((&found, ended), (&in_parts.0, in_parts.1));
    assert_eq!(found.len() as u64, ended);
    for line in found {
        if let Line::Whole(line) = line {
            read(&line, &Transport::default());
        }
    }
});
