//! Re-writing JSON the way Go's encoder does: keys sorted, `<`, `>` and `&` escaped, no spaces.
//!
//! Owns the bytes of every value that daprd decodes and encodes again. Numbers are kept as they were written
//! where daprd keeps them, and go through a 64-bit float where it does not (bulk publish, bulk delivery).
//! Works on borrowed raw text: nothing becomes a tree, so the plain path copies each byte a few times at most.
//! Stricter than Go in two corners: a lone surrogate and nesting beyond [`DEPTH_MAX`] are not JSON here.

use std::borrow::Cow;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;

/// How deep values may nest: each level scans its text again, so the depth bounds the work on one body.
pub(crate) const DEPTH_MAX: usize = 128;

/// What happens to numbers on the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Numbers {
    /// Kept digit by digit.
    AsWritten,
    /// Read as a 64-bit float and printed as Go prints it: 2^53 + 1 changes.
    Float64,
}

/// The text is not JSON that can be re-written.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NotJson(pub(crate) String);

impl NotJson {
    /// The words Go's decoder has for what serde found in `text`.
    fn found(error: &serde_json::Error, text: &[u8]) -> Self {
        if error.is_eof() {
            return Self(
                if text.iter().all(u8::is_ascii_whitespace) { "EOF" } else { "unexpected EOF" }.into(),
            );
        }
        let said = error.to_string();
        let place = [
            ("key must be a string", "looking for beginning of object key string"),
            ("expected value", "looking for beginning of value"),
            ("expected ident", "in literal"),
            ("expected `:`", "after object key"),
            ("expected `,` or `}`", "after object key:value pair"),
            ("expected `,` or `]`", "after array element"),
            ("trailing characters", "after top-level value"),
        ];
        let line = text.split(|b| *b == b'\n').nth(error.line().saturating_sub(1)).unwrap_or_default();
        let byte = line.get(error.column().saturating_sub(1)).copied();
        match (place.iter().find(|(serde, _)| said.starts_with(serde)), byte) {
            (Some((_, go)), Some(byte)) => Self(format!("invalid character '{}' {go}", char::from(byte))),
            _ => Self(said),
        }
    }
}

/// The members of a JSON object, in the order they were written.
pub(crate) struct Members<'a>(pub(crate) Vec<(Cow<'a, str>, &'a RawValue)>);

#[derive(Deserialize)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl<'de> Deserialize<'de> for Members<'de> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader;
        impl<'de> Visitor<'de> for Reader {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut members = Vec::with_capacity(16);
                while let Some((Text(key), value)) = map.next_entry()? {
                    members.push((key, value));
                }
                Ok(Members(members))
            }
        }
        from.deserialize_map(Reader)
    }
}

impl<'a> Members<'a> {
    /// The members of the object in `text`; an error for anything else.
    pub(crate) fn read(text: &'a [u8]) -> Result<Self, NotJson> {
        serde_json::from_slice(text).map_err(|e| NotJson::found(&e, text))
    }

    /// The member called `key`; of several the last one, as Go's maps have it.
    pub(crate) fn get(&self, key: &str) -> Option<&'a RawValue> {
        self.0.iter().rev().find(|(k, _)| k == key).map(|(_, value)| *value)
    }

    /// The member called `key` if it is a string.
    pub(crate) fn text(&self, key: &str) -> Option<Cow<'a, str>> {
        self.get(key).and_then(text_of)
    }

    /// Sorts by key and keeps the last of each.
    pub(crate) fn sort(&mut self) {
        self.0.sort_by(|a, b| a.0.cmp(&b.0));
        self.0.reverse();
        self.0.dedup_by(|a, b| a.0 == b.0);
        self.0.reverse();
    }
}

/// The string that `raw` is, if it is one.
pub(crate) fn text_of(raw: &RawValue) -> Option<Cow<'_, str>> {
    if !raw.get().starts_with('"') {
        return None;
    }
    serde_json::from_str::<Text<'_>>(raw.get()).ok().map(|Text(text)| text)
}

/// Re-writes the JSON value in `text` onto `out`; on an error `out` is as it was.
pub(crate) fn rewrite(text: &[u8], numbers: Numbers, out: &mut Vec<u8>) -> Result<(), NotJson> {
    let raw: &RawValue = serde_json::from_slice(text).map_err(|e| NotJson::found(&e, text))?;
    let before = out.len();
    let written = write(raw, numbers, DEPTH_MAX, out);
    if written.is_err() {
        out.truncate(before);
    }
    written
}

fn write(raw: &RawValue, numbers: Numbers, depth: usize, out: &mut Vec<u8>) -> Result<(), NotJson> {
    let text = raw.get();
    let Some(below) = depth.checked_sub(1) else {
        return Err(NotJson("exceeded max depth".into()));
    };
    match text.as_bytes().first() {
        Some(b'{') => {
            let mut members = Members::read(text.as_bytes())?;
            members.sort();
            out.push(b'{');
            for (n, (key, value)) in members.0.into_iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                string(&key, out);
                out.push(b':');
                write(value, numbers, below, out)?;
            }
            out.push(b'}');
        }
        Some(b'[') => {
            let items: Vec<&RawValue> =
                serde_json::from_str(text).map_err(|e| NotJson::found(&e, text.as_bytes()))?;
            out.push(b'[');
            for (n, value) in items.into_iter().enumerate() {
                if n > 0 {
                    out.push(b',');
                }
                write(value, numbers, below, out)?;
            }
            out.push(b']');
        }
        Some(b'"') if !text.bytes().any(is_rewritten) => out.extend_from_slice(text.as_bytes()),
        Some(b'"') => {
            let Text(plain) = serde_json::from_str(text).map_err(|e| NotJson::found(&e, text.as_bytes()))?;
            string(&plain, out);
        }
        Some(b'-' | b'0'..=b'9') if numbers == Numbers::Float64 => float(text, out)?,
        _ => out.extend_from_slice(text.as_bytes()),
    }
    Ok(())
}

/// Whether a byte inside a JSON string may come out different (0xE2 begins U+2028 and U+2029).
fn is_rewritten(byte: u8) -> bool {
    matches!(byte, b'\\' | b'<' | b'>' | b'&' | 0xE2)
}

/// Writes `text` as a JSON string.
pub(crate) fn string(text: &str, out: &mut Vec<u8>) {
    out.push(b'"');
    if !text.bytes().any(|byte| byte == b'"' || byte < b' ' || is_rewritten(byte)) {
        out.extend_from_slice(text.as_bytes());
        out.push(b'"');
        return;
    }
    for c in text.chars() {
        match c {
            '"' => out.extend_from_slice(b"\\\""),
            '\\' => out.extend_from_slice(b"\\\\"),
            '\n' => out.extend_from_slice(b"\\n"),
            '\r' => out.extend_from_slice(b"\\r"),
            '\t' => out.extend_from_slice(b"\\t"),
            '\u{8}' => out.extend_from_slice(b"\\b"),
            '\u{c}' => out.extend_from_slice(b"\\f"),
            '\0'..='\u{1f}' | '<' | '>' | '&' | '\u{2028}' | '\u{2029}' => {
                out.extend_from_slice(format!("\\u{:04x}", u32::from(c)).as_bytes());
            }
            _ => out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out.push(b'"');
}

/// Go prints floats in full between 1e-6 and 1e21 and with a signed exponent elsewhere.
fn float(text: &str, out: &mut Vec<u8>) -> Result<(), NotJson> {
    const EXACT_DIGITS: usize = 15;
    if text.len() <= EXACT_DIGITS && !text.bytes().any(|b| matches!(b, b'.' | b'e' | b'E')) {
        out.extend_from_slice(text.as_bytes());
        return Ok(());
    }
    let value: f64 = text.parse().map_err(|_| NotJson(format!("cannot unmarshal number {text}")))?;
    if !value.is_finite() {
        return Err(NotJson(format!("json: cannot unmarshal number {text} into Go value of type float64")));
    }
    let size = value.abs();
    let printed = if size != 0.0 && !(1e-6..1e21).contains(&size) {
        let printed = format!("{value:e}");
        if printed.contains("e-") { printed } else { printed.replace('e', "e+") }
    } else {
        format!("{value}")
    };
    out.extend_from_slice(printed.as_bytes());
    Ok(())
}

/// `json` as Go prints it, the order of its members kept: these characters stand in strings only.
pub(crate) fn escaped(json: &str) -> String {
    json.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rewritten(text: &str, numbers: Numbers) -> Result<String, NotJson> {
        let mut out = Vec::new();
        rewrite(text.as_bytes(), numbers, &mut out).map(|()| String::from_utf8(out).unwrap())
    }

    #[test]
    fn values_come_out_as_go_prints_them() {
        for (from, to) in [
            (
                r#"{ "b" : 1.0, "a" : [ 9007199254740993, null ] }"#,
                r#"{"a":[9007199254740993,null],"b":1.0}"#,
            ),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#),
            (r#""<a&b>""#, r#""\u003ca\u0026b\u003e""#),
            (r#""\u65e5\u0000\/""#, "\"日\\u0000/\""),
            ("\"\u{2028}\"", r#""\u2028""#),
        ] {
            assert_eq!(rewritten(from, Numbers::AsWritten).as_deref(), Ok(to), "{from}");
        }
    }

    #[test]
    fn floats_lose_what_a_float_cannot_hold() {
        for (from, to) in [
            ("9007199254740993", "9007199254740992"),
            ("1.0", "1"),
            ("-0", "-0"),
            ("0.1", "0.1"),
            ("1e21", "1e+21"),
            ("1e20", "100000000000000000000"),
            ("0.0000001", "1e-7"),
        ] {
            assert_eq!(rewritten(from, Numbers::Float64).as_deref(), Ok(to), "{from}");
        }
        assert!(rewritten("1e400", Numbers::Float64).is_err());
    }

    #[test]
    fn refusals_use_the_words_of_the_go_decoder() {
        for (text, words) in [
            ("{bad", "invalid character 'b' looking for beginning of object key string"),
            ("bad", "invalid character 'b' looking for beginning of value"),
            ("{\"a\"", "unexpected EOF"),
            ("", "EOF"),
        ] {
            assert_eq!(rewritten(text, Numbers::AsWritten), Err(NotJson(words.into())), "{text}");
        }
    }

    #[test]
    fn nesting_is_taken_up_to_the_bound_and_refused_beyond() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(rewritten(&nested(DEPTH_MAX), Numbers::AsWritten).is_ok());
        assert!(rewritten(&nested(DEPTH_MAX + 1), Numbers::AsWritten).is_err());
    }

    proptest::proptest! {
        #[test]
        fn any_text_survives_as_a_string(text in ".*") {
            let mut out = Vec::new();
            string(&text, &mut out);
            proptest::prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }

        #[test]
        fn any_bytes_are_written_or_refused(bytes: Vec<u8>) {
            let mut out = b"kept".to_vec();
            let written = rewrite(&bytes, Numbers::Float64, &mut out);
            proptest::prop_assert!(out.starts_with(b"kept") && (written.is_ok() || out.len() == 4));
        }
    }
}
