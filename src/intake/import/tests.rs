//! Bytes to lines, and reports of parts.

use proptest::prelude::*;

use super::*;

/// The lines of `parts`, pushed one after another.
fn lines_of(parts: &[&[u8]]) -> Vec<Line> {
    let mut lines = Lines::default();
    let mut found = Vec::new();
    for part in parts {
        let mut bytes = Bytes::copy_from_slice(part);
        while let Some(line) = lines.next(&mut bytes) {
            found.push(line);
            assert_eq!(lines.ended(), found.len() as u64);
        }
    }
    found.extend(lines.rest());
    found
}

fn whole(text: &'static str) -> Line {
    Line::Whole(text.into())
}

#[test]
fn a_line_feed_ends_a_line_and_the_last_one_needs_none() {
    assert_eq!(lines_of(&[b"a\n\nb"]), [whole("a"), whole(""), whole("b")]);
    assert_eq!(lines_of(&[b"a\nb\n"]), [whole("a"), whole("b")]);
    assert_eq!(lines_of(&[b""]), []);
}

#[test]
fn a_line_on_the_bound_is_whole_and_a_longer_one_is_too_long_however_it_comes() {
    let on_it = vec![b'x'; EVENT_MAX_BYTES];
    for split in [0, 1, EVENT_MAX_BYTES / 2, EVENT_MAX_BYTES] {
        let (begin, end) = on_it.split_at(split);
        for (more, is_whole) in [(&b""[..], true), (b"y", false)] {
            let found = lines_of(&[begin, end, more, b"\nnext"]);
            assert_eq!(matches!(found[0], Line::Whole(_)), is_whole);
            assert_eq!(found[1..], [whole("next")]);
            assert_eq!(matches!(lines_of(&[begin, end, more])[..], [Line::Whole(_)]), is_whole);
        }
    }
}

proptest! {
    #[test]
    fn lines_are_the_same_however_the_bytes_come(text in "[ab\n]{0,60}", size in 1_usize..9) {
        let parts: Vec<&[u8]> = text.as_bytes().chunks(size).collect();
        prop_assert_eq!(lines_of(&parts), lines_of(&[text.as_bytes()]));
    }
}

#[test]
fn as_many_refusals_as_the_bound_are_told_with_their_places_in_the_whole_and_the_rest_is_counted() {
    let part = |refused: u64| {
        let mut report = ImportReport { lines: refused, arrived_at: "then".to_owned(), ..Default::default() };
        let part = Refusal { key: "priority".to_owned(), reason: String::new() };
        (1..=refused).for_each(|line| {
            report.refuse(line, "empty", String::new());
            report.ignore(line, &Ignored::Tombstone);
            report.leave_out(line, std::slice::from_ref(&part));
        });
        report
    };
    let bound = REFUSALS_TOLD as u64;
    let mut sum = ImportReport::default();
    sum.add(part(bound - 1), 0);
    sum.add(part(bound + 1), bound);
    assert_eq!((sum.lines, sum.refused, sum.refusals.len()), (2 * bound, 2 * bound, REFUSALS_TOLD));
    assert_eq!(sum.refusals[REFUSALS_TOLD - 1].line, bound + 1);
    assert_eq!(
        (sum.left_out, sum.left_out_parts.len(), sum.ignored_lines.len()),
        (2 * bound, REFUSALS_TOLD, REFUSALS_TOLD)
    );
    assert_eq!(sum.left_out_parts[REFUSALS_TOLD - 1].line, bound + 1);
    assert_eq!(sum.ignored_lines[REFUSALS_TOLD - 1].line, bound + 1);
    assert_eq!(sum.arrived_at, "then");
}
