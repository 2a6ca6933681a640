//! Subscriptions and Configurations: checked, and of a Subscription what it subscribes to is kept.

use super::Location;
use super::node::Node;
use super::reader::Reader;

/// A declarative subscription.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// Its name.
    pub name: String,
    /// The component.
    pub pubsub: String,
    /// The topic.
    pub topic: String,
    /// The paths that deliveries may go to.
    pub paths: Vec<String>,
    /// The apps that see it; none means every app.
    pub scopes: Vec<String>,
    /// Where it stands.
    pub place: Location,
}

/// A Configuration; a sidecar is told by its flags which one is its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Configuration {
    /// Its name.
    pub name: String,
    /// Where it stands.
    pub place: Location,
}

/// Reads the Subscription that `document` is; `v2` says whether it has `routes` or one `route`.
pub(super) fn subscription(
    reader: &mut Reader<'_>,
    document: &Node,
    name: String,
    place: Location,
    v2: bool,
) -> Option<Subscription> {
    let spec = document.get("spec")?;
    let route = if v2 { "routes" } else { "route" };
    let fields = ["pubsubname", "topic", "metadata", "deadLetterTopic", "bulkSubscribe", route];
    reader.map(Some(spec), "spec", &fields);
    let (pubsub, topic) =
        (reader.required(spec, "spec", "pubsubname"), reader.required(spec, "spec", "topic"));
    let mut paths = Vec::new();
    if v2 {
        let routes = spec.get("routes");
        for (key, node) in reader.map(routes, "spec.routes", &["rules", "default"]) {
            if key == "default" {
                paths.extend(node.text().map(str::to_owned));
                continue;
            }
            for rule in reader.list(Some(node), "spec.routes.rules") {
                reader.map(Some(rule), "spec.routes.rules", &["match", "path"]);
                paths.extend(reader.required(rule, "spec.routes.rules", "path"));
            }
        }
        if paths.is_empty() {
            reader.wrong(spec.line, "spec.routes names no path: Dapr leaves such a subscription out");
        }
    } else {
        paths.extend(reader.required(spec, "spec", "route"));
    }
    bulk(reader, spec);
    for (key, node) in reader.entries(spec.get("metadata"), "spec.metadata") {
        reader.parsed(node, &format!("spec.metadata.{key}"), "text", |text| Some(text.to_owned()));
    }
    let scopes = reader.scopes(document);
    Some(Subscription { name, pubsub: pubsub?, topic: topic?, paths, scopes, place })
}

fn bulk(reader: &mut Reader<'_>, spec: &Node) {
    let fields = ["enabled", "maxMessagesCount", "maxAwaitDurationMs"];
    for (key, node) in reader.map(spec.get("bulkSubscribe"), "spec.bulkSubscribe", &fields) {
        let path = format!("spec.bulkSubscribe.{key}");
        if key == "enabled" {
            switch(reader, node, &path);
        } else {
            reader.parsed(node, &path, "whole number", |text| text.parse::<i32>().ok());
        }
    }
}

/// Reads the Configuration that `document` is.
pub(super) fn configuration(
    reader: &mut Reader<'_>,
    document: &Node,
    name: String,
    place: Location,
) -> Configuration {
    const SECTIONS: [&str; 15] = [
        "accessControl",
        "api",
        "appHttpPipeline",
        "components",
        "features",
        "httpPipeline",
        "logging",
        "metric",
        "metrics",
        "mtls",
        "nameResolution",
        "secrets",
        "tracing",
        "wasm",
        "workflow",
    ];
    for (section, node) in reader.map(document.get("spec"), "spec", &SECTIONS) {
        match section {
            "tracing" => tracing_section(reader, node),
            "metric" | "metrics" => {
                let fields = ["enabled", "recordErrorCodes", "http", "rules", "latencyDistributionBuckets"];
                for (key, node) in reader.map(Some(node), "spec.metrics", &fields) {
                    if matches!(key, "enabled" | "recordErrorCodes") {
                        switch(reader, node, &format!("spec.metrics.{key}"));
                    }
                }
            }
            "features" => {
                for feature in reader.list(Some(node), "spec.features") {
                    reader.map(Some(feature), "spec.features", &["name", "enabled"]);
                    reader.required(feature, "spec.features", "name");
                }
            }
            _ => {}
        }
    }
    Configuration { name, place }
}

fn tracing_section(reader: &mut Reader<'_>, node: &Node) {
    let fields = ["samplingRate", "stdout", "zipkin", "otel"];
    for (key, node) in reader.map(Some(node), "spec.tracing", &fields) {
        let path = format!("spec.tracing.{key}");
        match key {
            "samplingRate" => {
                let rate = |text: &str| text.parse::<f64>().ok().filter(|rate| (0.0..=1.0).contains(rate));
                reader.parsed(node, &path, "rate from 0 to 1", rate);
            }
            "stdout" => switch(reader, node, &path),
            "zipkin" => drop(reader.map(Some(node), &path, &["endpointAddress"])),
            _ => {
                let known = ["protocol", "endpointAddress", "isSecure", "headers", "timeout"];
                for (key, node) in reader.map(Some(node), &path, &known) {
                    let path = format!("{path}.{key}");
                    match key {
                        "protocol" => {
                            let word = |text: &str| matches!(text, "grpc" | "http").then_some(());
                            reader.parsed(node, &path, "protocol: write grpc or http", word);
                        }
                        "isSecure" => switch(reader, node, &path),
                        _ => {}
                    }
                }
            }
        }
    }
}

fn switch(reader: &mut Reader<'_>, node: &Node, path: &str) {
    reader.parsed(node, path, "switch: write true or false", |text| text.parse::<bool>().ok());
}
