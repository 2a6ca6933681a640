//! What is shipped for Kubernetes, as files that a test may change before a rule looks at them.
//!
//! A rule is a function from a tree to its faults. [`holds`] asks it about the shipped tree, where it must find none,
//! and about trees with one thing wrong, where it must find some: so no rule passes by seeing nothing.

use std::collections::BTreeMap;
use std::fmt::{Debug, Display};
use std::path::Path;

use serde_json::Value;

/// Files by their path from the top of the repository.
#[derive(Clone)]
pub(crate) struct Tree {
    files: BTreeMap<String, String>,
}

impl Tree {
    /// As it is on the disk.
    pub(crate) fn shipped() -> Self {
        let mut files = BTreeMap::new();
        gather(Path::new("k8s"), &mut files);
        for path in ["Cargo.toml", "Dockerfile", "README.md", "docs/dapr.md", "docs/recovery.md"] {
            files.insert(path.to_owned(), std::fs::read_to_string(path).unwrap());
        }
        Self { files }
    }

    /// With the first `from` in `path` as `to`.
    pub(crate) fn with(&self, path: &str, from: &str, to: &str) -> Self {
        let text = self.text(path);
        assert!(text.contains(from), "{path} does not hold {from}, so a test changes nothing");
        let mut changed = self.clone();
        changed.files.insert(path.to_owned(), text.replacen(from, to, 1));
        changed
    }

    pub(crate) fn text(&self, path: &str) -> &str {
        self.files.get(path).unwrap_or_else(|| panic!("there is no {path}"))
    }

    /// Whether `path` is a file or a directory of files.
    pub(crate) fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        self.files
            .keys()
            .any(|file| file == path || file.strip_prefix(path).is_some_and(|r| r.starts_with('/')))
    }

    /// The YAML files below `dir`.
    pub(crate) fn yaml(&self, dir: &str) -> Vec<String> {
        let below = format!("{}/", dir.trim_end_matches('/'));
        self.files
            .keys()
            .filter(|path| path.starts_with(&below) && path.ends_with(".yaml"))
            .cloned()
            .collect()
    }

    /// The documents of a YAML file.
    pub(crate) fn documents(&self, path: &str) -> Vec<Value> {
        serde_saphyr::from_multiple(self.text(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
    }

    /// The one document of a YAML file.
    pub(crate) fn document(&self, path: &str) -> Value {
        self.documents(path).into_iter().next().unwrap_or_default()
    }

    /// The directories below `dir` that hold a kustomization.
    pub(crate) fn kustomizations(&self, dir: &str) -> Vec<String> {
        let files = self.yaml(dir);
        files.iter().filter_map(|path| path.strip_suffix("/kustomization.yaml")).map(str::to_owned).collect()
    }

    /// The files that `kubectl apply -k DIR` reads, the kustomizations among them, as far as they are there.
    pub(crate) fn closure(&self, dir: &str) -> Vec<String> {
        let file = format!("{dir}/kustomization.yaml");
        let kustomization = self.document(&file);
        let mut read = vec![file];
        let patches = list(&kustomization["patches"]).iter().map(|patch| text(&patch["path"]));
        let generated =
            list(&kustomization["configMapGenerator"]).iter().flat_map(|g| list(&g["files"])).map(text);
        let resources = list(&kustomization["resources"]).iter().map(text);
        for name in resources.chain(patches).chain(generated) {
            let path = join(dir, name);
            if self.files.contains_key(&path) {
                read.push(path);
            } else if self.has(&format!("{path}/kustomization.yaml")) {
                read.extend(self.closure(&path));
            }
        }
        read
    }
}

/// What is wrong.
#[derive(Default)]
pub(crate) struct Faults(Vec<String>);

impl Faults {
    pub(crate) fn unless(&mut self, holds: bool, fault: impl Display) {
        if !holds {
            self.0.push(fault.to_string());
        }
    }

    #[expect(
        clippy::needless_pass_by_value,
        reason = "a fault is said where it is found, mostly of new values"
    )]
    pub(crate) fn unless_same<T: PartialEq + Debug>(&mut self, what: impl Display, is: T, should: T) {
        self.unless(is == should, format_args!("{what} is {is:?} and should be {should:?}"));
    }
}

/// Asserts that `rule` finds nothing wrong with what is shipped, and something with each of `breaks`: a path, a text
/// in it and the text that takes its place.
pub(crate) fn holds(rule: impl Fn(&Tree, &mut Faults), breaks: &[(&str, &str, &str)]) {
    let faults = |tree: &Tree| {
        let mut faults = Faults::default();
        rule(tree, &mut faults);
        faults.0
    };
    let shipped = Tree::shipped();
    let found = faults(&shipped);
    assert!(found.is_empty(), "\n{}\n", found.join("\n"));
    for (path, from, to) in breaks {
        let found = faults(&shipped.with(path, from, to));
        assert!(!found.is_empty(), "in {path} nobody saw `{from}` become `{to}`");
    }
}

/// The text of a scalar; what is none is empty.
pub(crate) fn text(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}

/// The number of a scalar, even where it is written as text, as annotations are.
pub(crate) fn number(value: &Value) -> u64 {
    value.as_u64().or_else(|| text(value).trim_end_matches('s').parse().ok()).unwrap_or(0)
}

/// The elements of a list; what is none has none.
pub(crate) fn list(value: &Value) -> &[Value] {
    value.as_array().map_or(&[], Vec::as_slice)
}

/// The element of a list that is called `name`.
pub(crate) fn named<'a>(value: &'a Value, name: &str) -> &'a Value {
    list(value).iter().find(|element| element["name"] == name).unwrap_or(&Value::Null)
}

/// Every map within `value`, itself included.
pub(crate) fn maps(value: &Value) -> Vec<&Value> {
    let below: Vec<&Value> = match value {
        Value::Object(map) => map.values().flat_map(maps).collect(),
        Value::Array(list) => list.iter().flat_map(maps).collect(),
        _ => Vec::new(),
    };
    let this = value.is_object().then_some(value);
    this.into_iter().chain(below).collect()
}

/// Every text within `value`.
pub(crate) fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::Object(map) => map.values().flat_map(texts).collect(),
        Value::Array(list) => list.iter().flat_map(texts).collect(),
        Value::String(text) => vec![text],
        _ => Vec::new(),
    }
}

/// `name` as seen from `dir`.
pub(crate) fn join(dir: &str, name: &str) -> String {
    let mut parts: Vec<&str> = dir.split('/').filter(|part| !part.is_empty()).collect();
    for part in name.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." | "" => {}
            part => parts.push(part),
        }
    }
    parts.join("/")
}

fn gather(dir: &Path, files: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            gather(&path, files);
        } else {
            let text = std::fs::read_to_string(&path).unwrap();
            files.insert(path.to_string_lossy().replace('\\', "/"), text);
        }
    }
}
