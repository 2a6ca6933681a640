//! Where settings come from, and which of them wins.
//!
//! Every layer is flattened to leaves `section.key`, each with its source; a later layer replaces leaves of
//! an earlier one. Problems are gathered, so that one look mends them all.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;
use std::path::{Component, Path, PathBuf};

use serde::Deserialize as _;
use toml::{Table, Value};

use super::keys::{self, Allowed, KEYS, Key};
use super::{Config, DEFAULTS, Invalid, Problem};
use crate::secret::REDACTED;

/// What every variable of the worker's own begins with; sections and keys follow, parted by `__`.
pub(super) const PREFIX: &str = "REMINDER_WORKER__";
/// Dapr's own variables and the settings they give, the stronger of two for one setting last. Empty ones
/// count as unset, as Dapr's own tools have it.
const DAPR_VARIABLES: [(&str, &str); 5] = [
    (DAPR_HTTP_PORT, "dapr.http_endpoint"),
    ("DAPR_HTTP_ENDPOINT", "dapr.http_endpoint"),
    ("DAPR_API_TOKEN", "dapr.api_token"),
    ("APP_API_TOKEN", "app.api_token"),
    ("APP_PORT", "app.port"),
];
const DAPR_HTTP_PORT: &str = "DAPR_HTTP_PORT";

/// What a configuration is made from.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// The configuration file, if any.
    pub file: Option<PathBuf>,
    /// The environment.
    pub env: Vec<(OsString, OsString)>,
    /// Flags, the strongest last.
    pub flags: Vec<Override>,
}

/// One setting given by a flag.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Override {
    /// The flag as typed, for messages: `--set`, `--app-port`.
    pub flag: &'static str,
    /// `section.key`
    pub key: String,
    /// The value as text.
    pub value: String,
}

/// Where a value was written.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Source {
    /// Compiled in.
    Default,
    /// A file.
    File(PathBuf),
    /// An environment variable.
    Variable(String),
    /// A flag.
    Flag(&'static str),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::File(path) => write!(f, "file {}", path.display()),
            Self::Variable(name) => write!(f, "variable {name}"),
            Self::Flag(flag) => write!(f, "flag {flag}"),
        }
    }
}

/// A configuration with the story of each value.
#[derive(Clone, Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// Every setting, in the order of `config/default.toml`.
    pub settings: Vec<Setting>,
}

impl Loaded {
    /// Who names the setting `key`; `None` where it is left at its default.
    #[must_use]
    pub fn named(&self, key: &str) -> Option<&Source> {
        let setting = self.settings.iter().find(|setting| setting.key == key)?;
        Some(&setting.source).filter(|source| **source != Source::Default)
    }
}

/// One setting as it came out.
#[derive(Clone, PartialEq, Debug)]
pub struct Setting {
    /// `section.key`
    pub key: &'static str,
    /// The value, `***` for a secret that is set.
    pub value: Value,
    /// Who decided it.
    pub source: Source,
}

struct Leaf {
    value: Value,
    source: Source,
}

/// Leaves and problems so far.
#[derive(Default)]
struct Layers {
    leaves: BTreeMap<&'static str, Leaf>,
    problems: Vec<Problem>,
}

/// What to do where the configuration file can't be read.
const NAME_ANOTHER: &str = "name a readable file with --config or REMINDER_WORKER_CONFIG, or none";

pub(super) fn load(inputs: &Inputs, over: Option<&Path>) -> Result<Loaded, Invalid> {
    let mut layers = Layers::default();
    layers.lay_toml(DEFAULTS, &Source::Default);
    if let Some(path) = &inputs.file {
        layers.lay_file(path, NAME_ANOTHER);
    }
    layers.lay_dapr_variables(&inputs.env);
    layers.lay_own_variables(&inputs.env);
    for Override { flag, key, value } in &inputs.flags {
        layers.lay_text(key, value, Source::Flag(flag));
    }
    if let Some(path) = over {
        layers.lay_file(path, "name a readable file");
    }
    if layers.problems.is_empty() {
        layers.check_together();
    }
    layers.finish()
}

impl Layers {
    fn lay_file(&mut self, path: &Path, advice: &str) {
        let source = Source::File(path.to_owned());
        match std::fs::read_to_string(path) {
            Ok(text) => self.lay_toml(&text, &source),
            Err(error) => {
                let reason = format!("{error}; {advice}");
                self.problems.push(Problem::Unreadable { origin: source, reason });
            }
        }
    }

    fn lay_toml(&mut self, text: &str, source: &Source) {
        let table = match text.parse::<Table>() {
            Ok(table) => table,
            Err(error) => {
                // The parser's own rendering quotes the line, which may hold a secret.
                let line = error.span().map_or(1, |at| text[..at.start].matches('\n').count() + 1);
                let reason = format!("line {line} is not TOML: {}", error.message());
                return self.problems.push(Problem::Unreadable { origin: source.clone(), reason });
            }
        };
        for (section, value) in table {
            match value {
                Value::Table(entries) => {
                    for (key, value) in entries {
                        self.lay(&format!("{section}.{key}"), source.clone(), |_| value);
                    }
                }
                _ => self.lay(&section, source.clone(), |_| value),
            }
        }
    }

    fn lay_dapr_variables(&mut self, env: &[(OsString, OsString)]) {
        for (variable, key) in DAPR_VARIABLES {
            let Some((_, value)) = env.iter().find(|(name, value)| name == variable && !value.is_empty())
            else {
                continue;
            };
            if let Some(text) = self.text_of(variable, value) {
                let is_port = variable == DAPR_HTTP_PORT;
                let text = if is_port { format!("http://127.0.0.1:{text}") } else { text };
                self.lay_text(key, &text, Source::Variable(variable.to_owned()));
            }
        }
    }

    fn lay_own_variables(&mut self, env: &[(OsString, OsString)]) {
        for (name, value) in env {
            let Some(name) = name.to_str().filter(|name| name.starts_with(PREFIX)) else {
                self.problems.extend(name.to_str().and_then(|name| keys::near_miss(name, value)));
                continue;
            };
            let key = name[PREFIX.len()..].to_lowercase().replacen("__", ".", 1);
            if let Some(text) = self.text_of(name, value) {
                self.lay_text(&key, &text, Source::Variable(name.to_owned()));
            }
        }
    }

    fn text_of(&mut self, variable: &str, value: &OsString) -> Option<String> {
        let text = value.to_str().map(str::to_owned);
        if text.is_none() {
            let origin = Source::Variable(variable.to_owned());
            self.problems.push(Problem::Unreadable { origin, reason: "it holds no UTF-8 text".to_owned() });
        }
        text
    }

    fn lay_text(&mut self, name: &str, text: &str, source: Source) {
        self.lay(name, source, |allowed| allowed.read(text));
    }

    fn lay(&mut self, name: &str, source: Source, value: impl FnOnce(&Allowed) -> Value) {
        let Some(key) = keys::find(name) else {
            let known = keys::known_beside(name);
            return self.problems.push(Problem::Unknown { origin: source, key: name.to_owned(), known });
        };
        let value = value(&key.allowed);
        if key.allowed.accepts(&value) {
            self.leaves.insert(key.name, Leaf { value, source });
        } else {
            let (value, allowed) = (shown(key, &value).to_string(), key.allowed.to_string());
            self.problems.push(Problem::Value { origin: source, key: key.name, value, allowed });
        }
    }

    /// The rules that more than one setting takes part in.
    fn check_together(&mut self) {
        const LISTENERS: [(&str, &str, &str); 2] = [
            (
                "app.host",
                "app.api_token",
                "127.0.0.1 or ::1, or set app.api_token (APP_API_TOKEN): a port that takes events in reach of others needs one",
            ),
            (
                "ops.host",
                "ops.token",
                "127.0.0.1 or ::1, or set ops.token: an API in reach of others needs one",
            ),
        ];
        for (host, token, allowed) in LISTENERS {
            let exposed = self.text(host).parse().is_ok_and(|host: IpAddr| !host.is_loopback());
            if exposed && self.text(token).is_empty() {
                self.refuse(host, allowed);
            }
        }
        if !self.text("ops.user_key").is_empty() && self.text("ops.token").is_empty() {
            self.refuse(
                "ops.user_key",
                "it beside ops.token: without that one, who sends no token at all may do everything",
            );
        }
        // 0 takes a free one.
        if self.number("app.port") == self.number("ops.port") && self.number("app.port") != Some(0) {
            self.refuse("ops.port", "another port than app.port");
        }
        if self.number("replica.ordinal") != Some(0) {
            self.refuse(
                "replica.ordinal",
                "0, and run one replica: the store has one writer, and a second worker would keep a plan of its own and remind twice or not at all",
            );
        }
        let span = |key| super::shapes::parse_duration(self.text(key));
        let is_set = |key| span(key).is_some_and(|span| !span.is_zero());
        let waits_for_no_canary = is_set("canary.ready_limit") && !is_set("canary.every");
        if span("publish.backoff_initial") > span("publish.backoff_max") {
            self.refuse("publish.backoff_initial", "at most publish.backoff_max");
        }
        if waits_for_no_canary {
            self.refuse(
                "canary.ready_limit",
                "0s, or set canary.every: no canary is sent that could come back",
            );
        }
        if is_inside(self.text("backup.dir"), self.text("store.path")) {
            self.refuse(
                "backup.dir",
                "a directory outside of store.path: what is in that is set aside with a damaged store, the backups too",
            );
        }
        const TOPICS: [&str; 6] = [
            "topics.task_events",
            "topics.task_updates",
            "topics.reminders",
            "topics.reminder_actions",
            "topics.user_preferences",
            "topics.dead_letter",
        ];
        for (n, topic) in TOPICS.iter().enumerate() {
            let name = self.text(topic);
            if !name.is_empty() && TOPICS[..n].iter().any(|other| self.text(other) == name) {
                self.refuse(topic, "a name that no other topic has");
            }
        }
    }

    fn text(&self, key: &str) -> &str {
        self.leaves.get(key).and_then(|leaf| leaf.value.as_str()).unwrap_or_default()
    }

    fn number(&self, key: &str) -> Option<i64> {
        self.leaves.get(key)?.value.as_integer()
    }

    fn refuse(&mut self, name: &str, allowed: &str) {
        if let (Some(key), Some(leaf)) = (keys::find(name), self.leaves.get(name)) {
            let (origin, value) = (leaf.source.clone(), shown(key, &leaf.value).to_string());
            self.problems.push(Problem::Value { origin, key: key.name, value, allowed: allowed.to_owned() });
        }
    }

    fn finish(self) -> Result<Loaded, Invalid> {
        if !self.problems.is_empty() {
            return Err(Invalid { problems: self.problems });
        }
        let mut table = Table::new();
        let mut settings = Vec::with_capacity(KEYS.len());
        for key in KEYS {
            let (Some(leaf), Some((section, entry))) = (self.leaves.get(key.name), key.name.split_once('.'))
            else {
                continue;
            };
            let section = table.entry(section).or_insert_with(|| Value::Table(Table::new()));
            if let Some(section) = section.as_table_mut() {
                section.insert(entry.to_owned(), leaf.value.clone());
            }
            let value = shown(key, &leaf.value);
            settings.push(Setting { key: key.name, value, source: leaf.source.clone() });
        }
        match Config::deserialize(Value::Table(table)) {
            Ok(config) => Ok(Loaded { config, settings }),
            Err(error) => {
                let reason = error.message().to_owned();
                Err(Invalid { problems: vec![Problem::Unreadable { origin: Source::Default, reason }] })
            }
        }
    }
}

/// Whether the path `dir`, if there is one, is `store` or leads into it, by their names alone.
fn is_inside(dir: &str, store: &str) -> bool {
    let plain = |path: &str| {
        let mut plain = PathBuf::new();
        for part in std::path::absolute(path).ok()?.components() {
            match part {
                Component::ParentDir => drop(plain.pop()),
                part => plain.push(part),
            }
        }
        Some(plain)
    };
    plain(dir).zip(plain(store)).is_some_and(|(dir, store)| dir.starts_with(store))
}

/// `value` as it may be shown: a secret that is set as `***`, and so whatever may be one in a URL that is refused.
fn shown(key: &Key, value: &Value) -> Value {
    let is_set = value.as_str() != Some("");
    match key.allowed {
        Allowed::Secret | Allowed::Key if is_set => Value::String(REDACTED.to_owned()),
        Allowed::Url => value.as_str().map_or_else(|| value.clone(), |url| Value::String(harmless_url(url))),
        _ => value.clone(),
    }
}

/// A URL without who is to be asked as, and without its query: there passwords and tokens stand.
fn harmless_url(url: &str) -> String {
    let (before, query) = url.split_once('?').map_or((url, ""), |(before, _)| (before, "?***"));
    let start = before.find("//").map_or(0, |slashes| slashes + 2);
    match before.rfind('@').filter(|at| *at >= start) {
        Some(at) => format!("{}{REDACTED}{}{query}", &before[..start], &before[at..]),
        None => format!("{before}{query}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_shows_neither_who_asks_nor_what() {
        for (url, shown) in [
            ("http://127.0.0.1:3500/base", "http://127.0.0.1:3500/base"),
            ("http://me:pass@host/base", "http://***@host/base"),
            ("http://me:p@ss@host", "http://***@host"),
            ("me:pass@host", "***@host"),
            ("http://host?token=pass", "http://host?***"),
            ("http://host?me@pass", "http://host?***"),
            ("", ""),
        ] {
            assert_eq!(harmless_url(url), shown);
        }
    }
}
