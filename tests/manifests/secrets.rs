//! Secrets: each that is read is made, by its overlay or by a command of the guide, with the keys that are read.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::guide::{commands, flag};
use crate::pod::OVERLAYS;
use crate::tree::{Faults, Tree, holds, list, maps, text};

/// Where Dapr's annotations look in a Secret.
const DAPR_KEY: &str = "token";

/// A Secret that somebody makes.
struct Made {
    name: String,
    namespace: String,
    keys: BTreeSet<String>,
}

/// The Secrets that the guide's commands make.
fn made_by_commands(tree: &Tree) -> Vec<Made> {
    const COMMAND: &str = "kubectl create secret generic ";
    let commands = commands(tree.text("k8s/README.md"));
    let made = commands.iter().filter_map(|line| Some((line, line.strip_prefix(COMMAND)?)));
    made.map(|(line, rest)| {
        let name = rest.split_whitespace().next().unwrap_or_default();
        let keys = line.split("--from-").skip(1).filter_map(|from| from.split('=').nth(1));
        Made {
            name: name.to_owned(),
            namespace: flag(line, "-n").unwrap_or_default().to_owned(),
            keys: keys.map(str::to_owned).collect(),
        }
    })
    .collect()
}

/// The Secrets that `files` read, each with the keys that are read of it.
fn read(tree: &Tree, files: &[String]) -> BTreeMap<String, BTreeSet<String>> {
    let mut read: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    let mut add = |name: &Value, key: &str| {
        read.entry(text(name).to_owned()).or_default().insert(key.to_owned());
    };
    for path in files.iter().filter(|path| path.ends_with(".yaml") && !path.ends_with("kustomization.yaml")) {
        let documents = tree.documents(path);
        for map in documents.iter().flat_map(maps) {
            let reference = &map["secretKeyRef"];
            if reference.is_object() {
                add(&reference["name"], text(&reference["key"]));
            }
            for item in list(&map["secret"]["items"]) {
                add(&map["secret"]["secretName"], text(&item["key"]));
            }
            for annotation in ["dapr.io/api-token-secret", "dapr.io/app-token-secret"] {
                if map[annotation].is_string() {
                    add(&map[annotation], DAPR_KEY);
                }
            }
        }
    }
    read
}

/// The Secrets that an overlay makes itself.
fn generated(tree: &Tree, overlay: &str) -> Vec<Made> {
    let kustomization = tree.document(&format!("{overlay}/kustomization.yaml"));
    let generators = list(&kustomization["secretGenerator"]).iter();
    // A name with a hash would be unknown to annotations and components.
    let plain = generators.filter(|g| g["options"]["disableNameSuffixHash"] == Value::Bool(true));
    plain
        .map(|generator| Made {
            name: text(&generator["name"]).to_owned(),
            namespace: text(&kustomization["namespace"]).to_owned(),
            keys: list(&generator["literals"])
                .iter()
                .filter_map(|l| text(l).split('=').next())
                .map(str::to_owned)
                .collect(),
        })
        .collect()
}

fn unless_made(
    faults: &mut Faults,
    what: &str,
    read: BTreeMap<String, BTreeSet<String>>,
    made: &[Made],
    namespace: &str,
) {
    for (name, keys) in read {
        let is_made =
            made.iter().any(|m| m.name == name && m.namespace == namespace && keys.is_subset(&m.keys));
        faults.unless(
            is_made,
            format_args!("{what} reads {keys:?} of {name} in {namespace}, which nobody makes"),
        );
    }
}

#[test]
fn every_secret_that_is_read_is_made_with_its_keys() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let told = made_by_commands(tree);
        let [dev, prod] = OVERLAYS;
        unless_made(faults, dev, read(tree, &tree.closure(dev)), &generated(tree, dev), "reminders");
        unless_made(faults, prod, read(tree, &tree.closure(prod)), &told, "reminders");
        for dir in tree.kustomizations("k8s/dapr") {
            unless_made(faults, &dir, read(tree, &tree.closure(&dir)), &told, "reminders");
        }
        let users = tree.document("k8s/redpanda/values-prod.yaml")["auth"]["sasl"]["secretRef"].clone();
        let users = BTreeMap::from([(text(&users).to_owned(), BTreeSet::new())]);
        unless_made(faults, "the chart of Redpanda", users, &told, "redpanda");
    };
    let (guide, prod) = ("k8s/README.md", "k8s/overlays/prod/worker.yaml");
    let (set, topics) = ("k8s/base/statefulset.yaml", "k8s/overlays/prod/topics.yaml");
    let dev = "k8s/overlays/dev/kustomization.yaml";
    holds(
        rule,
        &[
            (set, "name: reminder-worker-ops-token", "name: reminder-worker-token"),
            (set, "key: token", "key: secret"),
            (dev, "- name: reminder-worker-ops-token", "- name: reminder-worker-ops"),
            (dev, "token=minikube", "key=minikube"),
            (dev, "disableNameSuffixHash: true", "disableNameSuffixHash: false"),
            (prod, "name: reminder-worker-app-api-token", "name: reminder-worker-app-token"),
            (prod, "api-token-secret: reminder-worker-dapr-api-token", "api-token-secret: dapr-api-token"),
            (topics, "name: reminder-worker-broker-admin", "name: reminder-worker-admin"),
            (topics, "- key: ca.crt", "- key: ca.pem"),
            ("k8s/dapr/kafka-sasl/pubsub.yaml", "key: username", "key: user"),
            ("k8s/dapr/redis/pubsub.yaml", "name: reminder-worker-broker", "name: redis"),
            ("k8s/dapr/azure-service-bus/pubsub.yaml", "key: connection-string", "key: connectionString"),
            ("k8s/dapr/confluent/pubsub.yaml", "key: password", "key: secret"),
            ("k8s/redpanda/values-prod.yaml", "secretRef: redpanda-superusers", "secretRef: superusers"),
            (
                guide,
                "reminder-worker-dapr-api-token -n reminders --from-literal=token",
                "reminder-worker-dapr-api-token -n reminders --from-literal=key",
            ),
            (guide, "generic redpanda-superusers -n redpanda", "generic redpanda-superusers -n reminders"),
        ],
    );
}

#[test]
fn both_ends_of_a_token_read_the_same_secret() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let template = tree.document("k8s/overlays/prod/worker.yaml")["spec"]["template"].clone();
        let env = &template["spec"]["containers"][0]["env"];
        for (annotation, variable) in
            [("dapr.io/api-token-secret", "DAPR_API_TOKEN"), ("dapr.io/app-token-secret", "APP_API_TOKEN")]
        {
            let from = &crate::tree::named(env, variable)["valueFrom"]["secretKeyRef"];
            faults.unless_same(variable, &from["name"], &template["metadata"]["annotations"][annotation]);
            faults.unless_same(variable, text(&from["key"]), DAPR_KEY);
        }
    };
    let prod = "k8s/overlays/prod/worker.yaml";
    holds(
        rule,
        &[
            (
                prod,
                "api-token-secret: reminder-worker-dapr-api-token",
                "api-token-secret: reminder-worker-app-api-token",
            ),
            (prod, "key: token", "key: value"),
            (prod, "name: APP_API_TOKEN", "name: APP_TOKEN"),
        ],
    );
}

#[test]
fn no_secret_is_made_that_nobody_reads() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let mut used = read(tree, &tree.yaml("k8s"));
        let users = tree.document("k8s/redpanda/values-prod.yaml")["auth"]["sasl"]["secretRef"].clone();
        // The chart takes every key for a file of users.
        used.insert(text(&users).to_owned(), BTreeSet::from(["superusers.txt".to_owned()]));
        let told = made_by_commands(tree);
        faults.unless(told.len() > 5, format_args!("the guide makes {} secrets", told.len()));
        for made in told.iter().chain(&generated(tree, OVERLAYS[0])) {
            let wanted = used.get(&made.name).is_some_and(|keys| made.keys.is_subset(keys));
            faults.unless(
                wanted,
                format_args!("{} is made with {:?}, which nobody reads", made.name, made.keys),
            );
        }
    };
    let guide = "k8s/README.md";
    holds(
        rule,
        &[
            (guide, "generic reminder-worker-ops-token", "generic reminder-worker-token"),
            (guide, "--from-literal=connection-string=", "--from-literal=connection="),
            ("k8s/base/statefulset.yaml", "name: reminder-worker-ops-token", "name: reminder-worker-token"),
        ],
    );
}
