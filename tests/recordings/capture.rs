//! The recordings as they lie in `tests/captures/`, and what is masked in them.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
pub(crate) struct Capture {
    #[serde(skip)]
    pub(crate) name: String,
    pub(crate) daprd: String,
    watched_s: f64,
    pub(crate) scenarios: BTreeMap<String, Scenario>,
    pub(crate) subscribe_request_headers: Vec<BTreeMap<String, String>>,
}

#[derive(Clone, Deserialize)]
pub(crate) struct Scenario {
    pub(crate) subscription: serde_json::Map<String, Value>,
    pub(crate) publish: Publish,
    pub(crate) publish_reply: Reply,
    pub(crate) app_answers: Answers,
    pub(crate) deliveries: usize,
    pub(crate) at_ms: Vec<i64>,
    pub(crate) first: Vec<Delivery>,
}

#[derive(Clone, Deserialize)]
pub(crate) struct Publish {
    pub(crate) path: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) body: String,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: String,
}

/// What the app replied: status and body in turn, the last repeated, or the name of a bulk behaviour.
#[derive(Clone, Deserialize)]
#[serde(untagged)]
pub(crate) enum Answers {
    InTurn(Vec<(u16, String)>),
    Bulk(String),
}

#[derive(Clone, Debug, Deserialize, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Delivery {
    pub(crate) to: String,
    pub(crate) body: String,
    pub(crate) headers: BTreeMap<String, String>,
    #[serde(skip)]
    pub(crate) at_ms: i64,
    /// Characters of the body before it was masked.
    #[serde(skip)]
    pub(crate) length: usize,
}

impl Capture {
    pub(crate) fn load(name: &str) -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/captures/{name}.json"));
        let text = std::fs::read_to_string(&path).unwrap();
        Self { name: name.to_owned(), ..serde_json::from_str(&text).unwrap() }
    }

    /// How long deliveries are counted. Kafka's `bulksub-*` were recorded one at a time (the capture's note),
    /// for 15 s each: the fourth try of a batch, 15.0 s after the first, is not among those counted.
    pub(crate) fn watched(&self, scenario: &str) -> Duration {
        const SLACK: Duration = Duration::from_millis(100);
        if self.name == "kafka" && scenario.starts_with("bulksub-") {
            return Duration::from_secs(15);
        }
        Duration::from_secs_f64(self.watched_s) + SLACK
    }
}

impl Publish {
    /// The path, its topic named after `run`: the run's number, of ten digits, since sizes were recorded.
    pub(crate) fn path_in(&self, run: &str) -> String {
        self.path.replace("RUN", run)
    }

    /// The body that was sent. Large ones were recorded as their beginning and their length: both are strings of
    /// one letter in an object.
    pub(crate) fn whole_body(&self) -> String {
        let Some((start, length)) = self.body.split_once("… ") else { return self.body.clone() };
        let length: usize = length.strip_suffix(" characters").unwrap().parse().unwrap();
        let end = "\"}";
        format!("{start}{}{end}", "x".repeat(length - start.len() - end.len()))
    }
}

impl Delivery {
    /// The delivery with everything masked that differs from run to run.
    pub(crate) fn masked(&self) -> Self {
        let header = |name: &str, value: &str| match name {
            "__timestamp" => "<stamp>".to_owned(),
            _ => mask(value),
        };
        let headers = self.headers.iter().map(|(name, value)| (name.clone(), header(name, value))).collect();
        let length = self.body.chars().count();
        Self { to: self.to.clone(), body: mask(&unfolded(&self.body)), headers, at_ms: 0, length }
    }
}

/// A body whose `data_base64` is a JSON text, that text in its place: it holds ids and times too.
fn unfolded(body: &str) -> String {
    match packed(body) {
        Some((code, text)) => body.replace(&code, &text),
        None => body.to_owned(),
    }
}

/// The `data_base64` of a body and the JSON text that it is, if it is one.
pub(crate) fn packed(body: &str) -> Option<(String, String)> {
    let event: Value = serde_json::from_str(body).ok()?;
    let code = event.get("data_base64")?.as_str()?.to_owned();
    let text = String::from_utf8(BASE64.decode(&code).ok()?).ok()?;
    text.starts_with('{').then_some((code, text))
}

/// Masks ids, times of the run, millisecond stamps and the run's number.
pub(crate) fn mask(text: &str) -> String {
    // `h` is a hexadecimal digit, `d` a decimal one, everything else itself.
    const SHAPES: [(&str, &str); 4] = [
        ("hhhhhhhh-hhhh-hhhh-hhhh-hhhhhhhhhhhh", "<id>"),
        ("20dd-dd-ddTdd:dd:ddZ", "<time>"),
        ("\"ddddddddddddd\"", "\"<stamp>\""),
        ("-dddddddddd", "-RUN"),
    ];
    /// A time that a publisher gave and that must come through.
    const GIVEN: &str = "2026-01-01T00:00:00Z";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        // Most of a text can begin no shape; bodies of megabytes pass here.
        let may_begin = matches!(first, '0'..='9' | 'a'..='f' | '-' | '"') && !rest.starts_with(GIVEN);
        let found = SHAPES.iter().find(|(shape, _)| may_begin && has_shape(rest, shape));
        match found {
            Some((shape, masked)) => {
                out.push_str(masked);
                rest = &rest[shape.len()..];
            }
            None => {
                out.push(first);
                rest = &rest[first.len_utf8()..];
            }
        }
    }
    out
}

fn has_shape(text: &str, shape: &str) -> bool {
    // Digits that go on are another number.
    let ends = |byte: Option<&u8>| !byte.is_some_and(u8::is_ascii_alphanumeric);
    text.len() >= shape.len()
        && ends(text.as_bytes().get(shape.len()))
        && text.bytes().zip(shape.bytes()).all(|(byte, place)| match place {
            b'h' => byte.is_ascii_hexdigit() && !byte.is_ascii_uppercase(),
            b'd' => byte.is_ascii_digit(),
            exact => byte == exact,
        })
}

#[test]
fn masks_hide_what_a_run_makes_and_nothing_else() {
    for (text, masked) in [
        ("4cb26e87-8f7f-4970-8440-4c3a978da060", "<id>"),
        ("at 2026-11-24T06:33:35Z", "at <time>"),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
        ("\"1795502015271\"", "\"<stamp>\""),
        ("9007199254740993", "9007199254740993"),
        ("topic-1234567890", "topic-RUN"),
        (
            "00-00000000000000000000000000000000-0000000000000000-00",
            "00-00000000000000000000000000000000-0000000000000000-00",
        ),
        ("fixed-id Größe", "fixed-id Größe"),
    ] {
        assert_eq!(mask(text), masked);
    }
}
