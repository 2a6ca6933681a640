//! The pod as the manifests describe it, and the configuration that the worker in it comes to.

use std::collections::BTreeMap;

use reminder_worker::config::{Config, Inputs, Loaded};
use serde_json::Value;

use crate::tree::{Tree, list, named, text};

pub(crate) const SET: &str = "k8s/base/statefulset.yaml";
pub(crate) const WORKER: &str = "reminder-worker";
pub(crate) const CONFIG: &str = "k8s/base/worker.toml";
pub(crate) const OVERLAYS: [&str; 2] = ["k8s/overlays/dev", "k8s/overlays/prod"];
/// The variable that names the configuration file.
pub(crate) const CONFIG_VARIABLE: &str = "REMINDER_WORKER_CONFIG";

/// What the last stage of the Dockerfile says.
pub(crate) struct Image {
    pub(crate) variables: BTreeMap<String, String>,
    pub(crate) user: String,
    pub(crate) volume: String,
    pub(crate) exposed: Vec<u16>,
}

/// The pod's template.
pub(crate) fn template(tree: &Tree) -> Value {
    tree.document(SET)["spec"]["template"].clone()
}

/// An annotation of the pod.
pub(crate) fn annotation(tree: &Tree, name: &str) -> Value {
    template(tree)["metadata"]["annotations"][name].clone()
}

/// The worker's container.
pub(crate) fn container(tree: &Tree) -> Value {
    named(&template(tree)["spec"]["containers"], WORKER).clone()
}

/// The image as the Dockerfile makes it.
pub(crate) fn image(tree: &Tree) -> Image {
    let dockerfile = tree.text("Dockerfile");
    let last = dockerfile.rsplit_once("\nFROM ").map_or("", |(_, last)| last);
    let said = |word: &str| {
        let line = last.lines().find_map(|line| line.strip_prefix(word));
        line.map(|rest| rest.trim().to_owned()).unwrap_or_default()
    };
    let variables = last.lines().filter_map(|line| line.strip_prefix("ENV ")?.split_once('='));
    Image {
        variables: variables.map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
        user: said("USER "),
        volume: said("VOLUME "),
        exposed: said("EXPOSE ").split_whitespace().filter_map(|port| port.parse().ok()).collect(),
    }
}

/// The variables of the worker's container under `overlay`, the image's own below them: a secret is `secret`, and the
/// ordinal, the only thing that is asked of the pod, 0.
pub(crate) fn environment(tree: &Tree, overlay: &str) -> BTreeMap<String, String> {
    let patch = tree.document(&format!("{overlay}/worker.yaml"));
    let patched = named(&patch["spec"]["template"]["spec"]["containers"], WORKER)["env"].clone();
    let own = container(tree)["env"].clone();
    let mut variables = image(tree).variables;
    for variable in list(&own).iter().chain(list(&patched)) {
        let from = &variable["valueFrom"];
        let value = match text(&variable["value"]) {
            "" if from["secretKeyRef"].is_object() => "secret",
            "" if from["fieldRef"].is_object() => "0",
            value => value,
        };
        variables.insert(text(&variable["name"]).to_owned(), value.to_owned());
    }
    variables
}

/// What the worker makes of its file and its variables under `overlay`.
pub(crate) fn loaded(tree: &Tree, overlay: &str) -> Result<Loaded, String> {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("worker.toml");
    std::fs::write(&file, tree.text(CONFIG)).unwrap();
    let env =
        environment(tree, overlay).into_iter().map(|(name, value)| (name.into(), value.into())).collect();
    Config::load(&Inputs { file: Some(file), env, flags: Vec::new() }).map_err(|invalid| invalid.to_string())
}

/// The configuration of the pod as `k8s/base` has it, which both overlays share but for tokens.
pub(crate) fn config(tree: &Tree) -> Config {
    loaded(tree, OVERLAYS[0]).unwrap_or_else(|invalid| panic!("{invalid}")).config
}
