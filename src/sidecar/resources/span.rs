//! Durations as Go writes them, which is how Dapr reads them: `1s`, `1m30s`, `250ms`, `1.5h`.

use std::time::Duration;

/// Go's units, the longer of two that begin alike first.
const UNITS: [(&str, f64); 8] = [
    ("ns", 1e-9),
    ("us", 1e-6),
    ("µs", 1e-6),
    ("ms", 1e-3),
    ("s", 1.0),
    ("m", 60.0),
    ("h", 3600.0),
    ("μs", 1e-6),
];

/// Longest duration taken: a hundred years. Go's own end is at 292.
const SECONDS_MAX: f64 = 100.0 * 366.0 * 86_400.0;

/// The duration that `text` is; `None` where Go's `time.ParseDuration` would refuse it, or it is negative.
pub(super) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text.strip_prefix('+').unwrap_or(text);
    if rest == "0" {
        return Some(Duration::ZERO);
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let number: f64 = rest[..digits].parse().ok()?;
        let unit = &rest[digits..];
        let unit = &unit[..unit.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(unit.len())];
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit)?;
        seconds += number * factor;
        rest = &rest[digits + unit.len()..];
    }
    let some = !text.is_empty() && text != "+" && seconds <= SECONDS_MAX;
    some.then(|| Duration::from_secs_f64(seconds))
}

/// The same, where a bare whole number counts milliseconds: the durations of a Resiliency resource.
pub(super) fn parse_or_millis(text: &str) -> Option<Duration> {
    text.parse().map(Duration::from_millis).ok().or_else(|| parse(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_go_reads_them() {
        for (text, millis) in [
            ("5s", Some(5_000)),
            ("1m30s", Some(90_000)),
            ("250ms", Some(250)),
            ("1.5h", Some(5_400_000)),
            (".5s", Some(500)),
            ("0", Some(0)),
            ("+1s", Some(1_000)),
            ("", None),
            ("+", None),
            ("5", None),
            ("5 s", None),
            ("5sec", None),
            ("1d", None),
            ("-1s", None),
            ("s", None),
            ("1..5s", None),
            ("999999999999h", None),
        ] {
            assert_eq!(parse(text), millis.map(Duration::from_millis), "{text}");
        }
        assert_eq!(parse_or_millis("20"), Some(Duration::from_millis(20)));
        assert_eq!(parse_or_millis("20s"), Some(Duration::from_secs(20)));
    }
}
