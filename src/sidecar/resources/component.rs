//! Components: a broker, a secret store, or anything else a sidecar plugs in.

use std::collections::BTreeMap;

use super::Location;
use super::keys::{self, ComponentType, Shape};
use super::node::Node;
use super::reader::{Reader, meant};

/// A component.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// Its name, by which apps publish and subscribe.
    pub name: String,
    /// Such as `pubsub.kafka`.
    pub component_type: String,
    /// Whether a sidecar starts without it if it cannot be initialised.
    pub ignore_errors: bool,
    /// Its settings by key; `None` where the value is in a secret or a variable of the sidecar's.
    pub metadata: BTreeMap<String, Option<String>>,
    /// Whether its keys could be checked: those of some types are not known here.
    pub checked: bool,
    /// The apps that see it; none means every app.
    pub scopes: Vec<String>,
    /// Where it stands.
    pub place: Location,
}

impl Component {
    /// The setting called `key`, where it is written out.
    #[must_use]
    pub fn value(&self, key: &str) -> Option<&str> {
        self.metadata.get(key)?.as_deref()
    }

    /// Whether it is a broker.
    #[must_use]
    pub fn is_pubsub(&self) -> bool {
        self.component_type.starts_with("pubsub.")
    }
}

/// Reads the Component that `document` is.
pub(super) fn read(
    reader: &mut Reader<'_>,
    document: &Node,
    name: String,
    place: Location,
) -> Option<Component> {
    let spec = document.get("spec")?;
    let fields = ["type", "version", "metadata", "ignoreErrors", "initTimeout"];
    for (key, node) in reader.map(Some(spec), "spec", &fields) {
        let shape = match key {
            "ignoreErrors" => Shape::Switch,
            "initTimeout" => Shape::Span,
            _ => continue,
        };
        check(reader, node, &format!("spec.{key}"), shape);
    }
    let auth = reader.map(document.get("auth"), "auth", &["secretStore"]);
    for (key, node) in auth {
        check(reader, node, &format!("auth.{key}"), Shape::Text);
    }
    let component_type = reader.required(spec, "spec", "type");
    reader.required(spec, "spec", "version");
    let component_type = component_type?;
    let table = keys::TYPES.iter().find(|known| known.name == component_type);
    if table.is_none() {
        check_type(reader, spec, &component_type);
    }
    let metadata = settings(reader, spec, table);
    if let Some(table) = table {
        check_present(reader, spec, table, &metadata);
    }
    Some(Component {
        name,
        checked: table.is_some(),
        component_type,
        ignore_errors: spec.get("ignoreErrors").and_then(Node::text) == Some("true"),
        metadata,
        scopes: reader.scopes(document),
        place,
    })
}

/// A type without a table may exist all the same; one that is nearly ours is mistyped.
fn check_type(reader: &mut Reader<'_>, spec: &Node, name: &str) {
    let line = spec.get("type").map_or(spec.line, |node| node.line);
    let category = name.split('.').next().unwrap_or_default();
    if !keys::CATEGORIES.contains(&category) {
        let meant = meant(category, keys::CATEGORIES.into_iter());
        reader.wrong(line, format_args!("spec.type: there are no components `{category}.…`; {meant}"));
    } else if category == "pubsub" && !keys::UNCHECKED_PUBSUBS.contains(&name) {
        let pubsubs = keys::TYPES.iter().map(|known| known.name).filter(|known| known.starts_with("pubsub."));
        let meant = meant(name, pubsubs.chain(keys::UNCHECKED_PUBSUBS));
        reader.wrong(line, format_args!("spec.type: there is no broker `{name}`; {meant}"));
    }
}

/// The items of `spec.metadata`.
fn settings(
    reader: &mut Reader<'_>,
    spec: &Node,
    table: Option<&ComponentType>,
) -> BTreeMap<String, Option<String>> {
    let mut settings = BTreeMap::new();
    for item in reader.list(spec.get("metadata"), "spec.metadata") {
        let Some(name) = reader.required(item, "spec.metadata", "name") else { continue };
        let path = format!("spec.metadata `{name}`");
        let said = reader.map(Some(item), &path, &["name", "value", "secretKeyRef", "envRef"]);
        let value = said.iter().find(|(key, _)| *key == "value").map(|(_, node)| *node);
        let elsewhere = said.iter().any(|(key, _)| matches!(*key, "secretKeyRef" | "envRef"));
        for (_, secret) in said.iter().filter(|(key, _)| *key == "secretKeyRef") {
            reader.map(Some(secret), &format!("{path} secretKeyRef"), &["name", "key"]);
            reader.required(secret, &format!("{path} secretKeyRef"), "name");
        }
        if value.is_some() == elsewhere {
            reader.wrong(item.line, format_args!("{path} needs one of value, secretKeyRef and envRef"));
        }
        let gone = keys::GONE.iter().find(|(key, _)| *key == name);
        match table.map(|table| (table, table.shape(&name))) {
            Some((table, None)) => {
                let kind = table.name;
                let why = gone.map_or_else(|| meant(&name, table.names()), |(_, why)| (*why).to_owned());
                reader.wrong(
                    item.line,
                    format_args!("{kind} has no metadata key `{name}`, and Dapr would not say so; {why}"),
                );
            }
            Some((_, Some(shape))) => {
                if let Some(node) = value {
                    check(reader, node, &path, shape);
                }
            }
            None => {}
        }
        let text = value.and_then(Node::text).map(str::to_owned);
        if settings.insert(name, text).is_some() {
            reader.wrong(item.line, format_args!("{path} is there twice"));
        }
    }
    settings
}

/// What a type cannot do without, and what excludes each other.
fn check_present(
    reader: &mut Reader<'_>,
    spec: &Node,
    table: &ComponentType,
    settings: &BTreeMap<String, Option<String>>,
) {
    let line = spec.get("metadata").map_or(spec.line, |node| node.line);
    let has = |key: &str| settings.get(key).is_some_and(|value| value.as_deref() != Some(""));
    let value = |key: &str| settings.get(key).and_then(Option::as_deref);
    let auth = keys::KAFKA_AUTH
        .iter()
        .find(|(auth, _)| table.name == "pubsub.kafka" && value("authType") == Some(auth));
    let (auth, of_auth) = auth.copied().unwrap_or(("", &[]));
    for key in table.required.iter().filter(|key| !has(key)) {
        reader.wrong(line, format_args!("{} needs the metadata key `{key}`", table.name));
    }
    for key in of_auth.iter().filter(|key| !has(key)) {
        reader.wrong(line, format_args!("authType `{auth}` needs the metadata key `{key}`"));
    }
    for keys in table.one_of.iter().filter(|keys| !keys.iter().any(|key| has(key))) {
        reader.wrong(line, format_args!("{} needs one of the metadata keys {}", table.name, keys.join(", ")));
    }
    if has("maxLenApprox") && has("streamTTL") {
        reader.wrong(line, "maxLenApprox and streamTTL exclude each other");
    }
    if value("brokers").is_some_and(|brokers| brokers.contains("://")) {
        reader.wrong(line, "brokers: write host:port, without a scheme, parted by commas");
    }
}

fn check(reader: &mut Reader<'_>, node: &Node, path: &str, shape: Shape) {
    match node.text() {
        Some(text) if shape.accepts(text) => {}
        Some(text) => {
            reader
                .wrong(node.line, format_args!("{path}: `{text}` is not allowed; write {}", shape.wanted()));
        }
        None => reader.wrong(node.line, format_args!("{path}: write {}", shape.wanted())),
    }
}
