//! Dapr's YAML resources, read strictly: Component, Resiliency, Subscription, Configuration.
//!
//! Where daprd passes over what it does not know, this says it, with the file, the line and what was probably
//! meant: a mistyped `initialOffset` costs messages and no sidecar ever tells. Like daprd it reads the `*.yaml` and
//! `*.yml` files of one directory, several documents a file, and nothing below it. Documents that are none of
//! Dapr's are counted and passed over, since people keep their Secrets beside their components.
//!
//! It must never know a running sidecar, or the worker: what becomes of what is read, callers decide.
//!
//! Source: dapr/dapr and components-contrib v1.18.

mod advice;
mod component;
mod keys;
mod node;
mod others;
mod reader;
mod resiliency;
mod span;

use std::fmt;
use std::path::Path;

use node::{Node, Value};
use reader::{Reader, meant};

pub use advice::{Finding, Severity};
pub use component::Component;
pub use others::{Configuration, Subscription};
pub use resiliency::{EXPONENTIAL_END, Resiliency, Retry};

/// Largest file read, in bytes: a resource has a few hundred, and Kubernetes keeps none above a mebibyte.
pub const FILE_MAX_BYTES: u64 = 1 << 20;
/// Most files of a directory: beyond it somebody named the wrong one.
pub const FILES_MAX: usize = 1_000;

/// Where a resource stands in its directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Location {
    /// The file's name within its directory.
    pub file: String,
    /// Its first line, from 1.
    pub line: u64,
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// One thing that is wrong with a resource.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{file}{}: {what}", if *line == 0 { String::new() } else { format!(":{line}") })]
pub struct Problem {
    /// The file's name within its directory.
    pub file: String,
    /// The line, from 1; 0 is the file as a whole.
    pub line: u64,
    /// What is wrong, and what to write.
    pub what: String,
}

/// Resources that cannot be used, with all that is wrong with them. Reading them again changes nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid {
    /// In the order found; never empty.
    pub problems: Vec<Problem>,
}

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, problem) in self.problems.iter().enumerate() {
            if n > 0 {
                f.write_str("\n")?;
            }
            write!(f, "{problem}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Invalid {}

/// The resources of a directory.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resources {
    /// Brokers, secret stores and the like.
    pub components: Vec<Component>,
    /// How often is tried again.
    pub resiliencies: Vec<Resiliency>,
    /// What is subscribed to without asking the app.
    pub subscriptions: Vec<Subscription>,
    /// How sidecars are configured.
    pub configurations: Vec<Configuration>,
    /// Documents that are none of these, as `file:line: kind`: nothing is known of them.
    pub passed_over: Vec<String>,
}

impl Resources {
    /// Reads the directory `dir`.
    ///
    /// # Errors
    /// [`Invalid`]: with every problem of every file.
    pub fn load(dir: &Path) -> Result<Self, Invalid> {
        Self::parse(&files(dir)?)
    }

    /// Reads files, each a name and what it holds.
    ///
    /// # Errors
    /// [`Invalid`]: with every problem of every file.
    pub fn parse(files: &[(String, String)]) -> Result<Self, Invalid> {
        let (mut resources, mut problems) = (Self::default(), Vec::new());
        for (file, text) in files {
            match serde_saphyr::from_multiple::<Node>(text) {
                Ok(documents) => {
                    documents.iter().for_each(|document| resources.add(file, document, &mut problems));
                }
                Err(error) => {
                    let line = error.location().map_or(0, |at| at.line());
                    let what = format!("no YAML that can be read: {}", error.without_snippet());
                    problems.push(Problem { file: file.clone(), line, what });
                }
            }
        }
        resources.check_together(&mut problems);
        if problems.is_empty() { Ok(resources) } else { Err(Invalid { problems }) }
    }

    /// The component called `name` as the app called `app` sees it.
    #[must_use]
    pub fn component(&self, name: &str, app: &str) -> Option<&Component> {
        self.components.iter().find(|c| c.name == name && sees(&c.scopes, app))
    }

    /// The retry policy of deliveries from `component` to the app called `app`.
    #[must_use]
    pub fn inbound_retry(&self, component: &str, app: &str) -> Option<&Retry> {
        let seen: Vec<&Resiliency> = self.resiliencies.iter().filter(|r| sees(&r.scopes, app)).collect();
        resiliency::inbound(&seen, component)
    }

    /// Adds the resource that `document` is.
    fn add(&mut self, file: &str, document: &Node, problems: &mut Vec<Problem>) {
        const OURS: [(&str, &[&str]); 4] = [
            ("Component", &["dapr.io/v1alpha1"]),
            ("Resiliency", &["dapr.io/v1alpha1"]),
            ("Subscription", &["dapr.io/v2alpha1", "dapr.io/v1alpha1"]),
            ("Configuration", &["dapr.io/v1alpha1"]),
        ];
        /// Dapr's other kinds.
        const OTHER_KINDS: [&str; 3] = ["HTTPEndpoint", "MCPServer", "WorkflowAccessPolicy"];
        if document.value == Value::Null {
            return;
        }
        let said = |key: &str| document.get(key).and_then(Node::text).unwrap_or_default();
        let (kind, version) = (said("kind"), said("apiVersion"));
        let versions = OURS.iter().find(|(name, _)| *name == kind).map(|(_, versions)| *versions);
        let of_dapr = version.starts_with("dapr.io/");
        let place = Location { file: file.to_owned(), line: document.line };
        if versions.is_none() && (!of_dapr || OTHER_KINDS.contains(&kind)) {
            let kind = if kind.is_empty() { "a document without a kind" } else { kind };
            return self.passed_over.push(format!("{place}: {kind}"));
        }
        let name =
            document.get("metadata").and_then(|m| m.get("name")).and_then(Node::text).unwrap_or_default();
        let mut reader = Reader::new(file, format!("{kind} {name}").trim_end().to_owned(), problems);
        let Some(versions) = versions else {
            let meant = meant(kind, OURS.iter().map(|(kind, _)| *kind));
            return reader.wrong(document.line, format_args!("Dapr has no kind `{kind}`; {meant}"));
        };
        if !versions.contains(&version) {
            let line = document.get("apiVersion").map_or(document.line, |node| node.line);
            let write = versions[0];
            reader.wrong(line, format_args!("apiVersion `{version}` is none of a {kind}; write `{write}`"));
            return;
        }
        head(&mut reader, document, kind);
        let name = name.to_owned();
        match kind {
            "Component" => self.components.extend(component::read(&mut reader, document, name, place)),
            "Resiliency" => self.resiliencies.extend(resiliency::read(&mut reader, document, name, place)),
            "Subscription" => {
                let v2 = version == "dapr.io/v2alpha1";
                self.subscriptions.extend(others::subscription(&mut reader, document, name, place, v2));
            }
            _ => self.configurations.push(others::configuration(&mut reader, document, name, place)),
        }
    }

    /// The rules that more than one resource takes part in.
    fn check_together(&self, problems: &mut Vec<Problem>) {
        let mut wrong = |place: &Location, line: u64, what: String| {
            problems.push(Problem { file: place.file.clone(), line, what });
        };
        for (n, component) in self.components.iter().enumerate() {
            let same = |other: &&Component| {
                other.name == component.name && overlap(&other.scopes, &component.scopes)
            };
            if let Some(other) = self.components[..n].iter().find(same) {
                let (name, there) = (&component.name, &other.place);
                let what =
                    format!("Component {name}: there is one of this name at {there}, for the same apps");
                wrong(&component.place, component.place.line, what);
            }
        }
        let known: Vec<&str> = self.components.iter().map(|c| c.name.as_str()).collect();
        let unknown = |name: &str| !known.contains(&name);
        for resiliency in &self.resiliencies {
            let (place, name) = (&resiliency.place, &resiliency.name);
            for target in resiliency.inbound.keys().filter(|target| unknown(target)) {
                let meant = meant(target, known.iter().copied());
                let what =
                    format!("Resiliency {name}: it targets `{target}`, which is no component here; {meant}");
                wrong(place, place.line, what);
            }
            for named in &resiliency.named {
                let policies = self.policies(named.kind);
                if !policies.contains(&named.policy.as_str()) {
                    let (kind, policy) = (named.kind, &named.policy);
                    let meant = meant(policy, policies.into_iter());
                    let what = format!("Resiliency {name}: there is no {kind} policy `{policy}`; {meant}");
                    wrong(place, named.line, what);
                }
            }
        }
        for subscription in self.subscriptions.iter().filter(|s| unknown(&s.pubsub)) {
            let (name, pubsub) = (&subscription.name, &subscription.pubsub);
            let meant = meant(pubsub, known.iter().copied());
            let what = format!("Subscription {name}: pubsubname `{pubsub}` is no component here; {meant}");
            wrong(&subscription.place, subscription.place.line, what);
        }
    }

    /// The names of every policy of `kind`: those of all resources are one set.
    fn policies(&self, kind: &str) -> Vec<&str> {
        self.resiliencies
            .iter()
            .flat_map(|r| match kind {
                "retry" => r.retries.keys().map(String::as_str).collect::<Vec<_>>(),
                "timeout" => r.others[0].iter().map(String::as_str).collect(),
                _ => r.others[1].iter().map(String::as_str).collect(),
            })
            .collect()
    }
}

/// Checks what every document has: its top-level keys, its name and its spec.
fn head(reader: &mut Reader<'_>, document: &Node, kind: &str) {
    let keys: &[&str] = match kind {
        "Component" => &["apiVersion", "kind", "metadata", "spec", "scopes", "auth"],
        "Configuration" => &["apiVersion", "kind", "metadata", "spec"],
        _ => &["apiVersion", "kind", "metadata", "spec", "scopes"],
    };
    reader.map(Some(document), "the document", keys);
    let known = ["name", "namespace", "labels", "annotations"];
    reader.map(document.get("metadata"), "metadata", &known);
    let name = document.get("metadata").and_then(|m| m.get("name")).and_then(Node::text).unwrap_or_default();
    if name.is_empty() || name.contains(['/', '%', ' ']) || name == "." || name == ".." {
        reader.wrong(document.line, "metadata.name is missing or cannot stand in a path");
    }
    if document.get("spec").is_none_or(|spec| spec.value == Value::Null) && kind != "Configuration" {
        reader.wrong(document.line, "spec is missing");
    }
}

/// Whether the app called `app` sees what has `scopes`.
fn sees(scopes: &[String], app: &str) -> bool {
    scopes.is_empty() || scopes.iter().any(|scope| scope == app)
}

/// Whether some app sees both.
fn overlap(one: &[String], other: &[String]) -> bool {
    one.is_empty() || other.is_empty() || one.iter().any(|app| other.contains(app))
}

/// The YAML files of `dir` by name, with what they hold.
fn files(dir: &Path) -> Result<Vec<(String, String)>, Invalid> {
    let unreadable = |file: &str, what: String| Invalid {
        problems: vec![Problem { file: file.to_owned(), line: 0, what }],
    };
    let shown = dir.display().to_string();
    let entries = std::fs::read_dir(dir).map_err(|error| {
        unreadable(&shown, format!("the directory cannot be read: {error}; name one with Dapr's resources"))
    })?;
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| unreadable(&shown, error.to_string()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if (name.ends_with(".yaml") || name.ends_with(".yml")) && entry.path().is_file() {
            names.push(name);
        }
    }
    if names.is_empty() || names.len() > FILES_MAX {
        let what = format!("it has {} YAML files; name a directory with 1 to {FILES_MAX}", names.len());
        return Err(unreadable(&shown, what));
    }
    names.sort_unstable();
    let read = |name: String| {
        let path = dir.join(&name);
        let length = std::fs::metadata(&path).map_or(0, |meta| meta.len());
        if length > FILE_MAX_BYTES {
            return Err(unreadable(&name, format!("it is larger than {FILE_MAX_BYTES} bytes")));
        }
        match std::fs::read_to_string(&path) {
            Ok(text) => Ok((name, text)),
            Err(error) => Err(unreadable(&name, format!("it cannot be read: {error}"))),
        }
    };
    names.into_iter().map(read).collect()
}

#[cfg(test)]
mod tests;
