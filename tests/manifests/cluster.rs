//! What surrounds the pod: overlays, namespaces, who may talk to whom, the charts' values, and the tools for people.

use std::path::Path;

use reminder_worker::config::Config;
use serde_json::Value;

use crate::pod::{OVERLAYS, SET, annotation, container};
use crate::tree::{Faults, Tree, holds, join, list, maps, named, number, text, texts};

const POLICY: &str = "k8s/base/networkpolicy.yaml";
const TOPICS_POLICY: &str = "k8s/topics/networkpolicy.yaml";
const LAPTOP: &str = "k8s/laptop/dapr.yaml";
const DEV: &str = "k8s/overlays/dev/kustomization.yaml";
const PROD: &str = "k8s/overlays/prod/kustomization.yaml";

/// The namespaces and ports that a policy lets out to.
fn lets_out(tree: &Tree, policy: &str) -> Vec<(String, u64)> {
    let rules = tree.document(policy)["spec"]["egress"].clone();
    let mut out = Vec::new();
    for rule in list(&rules) {
        let labels = &rule["to"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"];
        let ports = list(&rule["ports"]).iter().map(|port| number(&port["port"]));
        out.extend(ports.map(|port| (text(labels).to_owned(), port)));
    }
    out
}

/// The namespaces and ports of the addresses within the cluster that `path` names.
fn addresses(tree: &Tree, path: &str) -> Vec<(String, u64)> {
    const DOMAIN: &str = ".svc.cluster.local:";
    let documents = tree.documents(path);
    let texts = documents.iter().flat_map(texts).flat_map(|text| text.split(','));
    texts
        .filter_map(|address| address.trim().split_once(DOMAIN))
        .map(|(host, port)| {
            (host.rsplit('.').next().unwrap_or_default().to_owned(), port.parse().unwrap_or(0))
        })
        .collect()
}

#[test]
fn a_kustomization_names_every_file_beside_it_and_none_that_is_not_there() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        for dir in tree.kustomizations("k8s") {
            let file = format!("{dir}/kustomization.yaml");
            let read = tree.closure(&dir);
            let beside = tree
                .yaml(&dir)
                .into_iter()
                .filter(|path| path.rsplit_once('/').is_some_and(|(d, _)| d == dir));
            for path in beside {
                faults.unless(read.contains(&path), format_args!("{path} is named by no kustomization"));
            }
            for name in list(&tree.document(&file)["resources"]).iter().map(text) {
                let path = join(&dir, name);
                let there = tree.has(&path)
                    && (name.ends_with(".yaml") || tree.has(&format!("{path}/kustomization.yaml")));
                faults.unless(there, format_args!("{file} names {name}"));
            }
        }
    };
    holds(
        rule,
        &[
            ("k8s/base/kustomization.yaml", "- networkpolicy.yaml\n", ""),
            ("k8s/topics/kustomization.yaml", "- job.yaml", "- jobs.yaml"),
            ("k8s/dapr/redis/kustomization.yaml", "- resiliency.yaml\n", ""),
            (PROD, "- ../../dapr/kafka-sasl", "- ../../dapr/kafka-ssl"),
            (PROD, "- path: topics.yaml\n", ""),
        ],
    );
}

#[test]
fn an_overlay_is_a_worker_one_broker_its_topics_and_the_sidecars_configuration() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        for overlay in OVERLAYS {
            let read = tree.closure(overlay);
            let of = |end: &str| read.iter().filter(|path| path.ends_with(end)).count();
            faults.unless_same(format_args!("{overlay}: brokers"), of("/pubsub.yaml"), 1);
            faults.unless_same(format_args!("{overlay}: policies of retrying"), of("/resiliency.yaml"), 1);
            faults.unless_same(format_args!("{overlay}: topics"), of("k8s/topics/job.yaml"), 1);
            faults.unless_same(format_args!("{overlay}: workers"), of(SET), 1);
            let documents: Vec<Value> =
                read.iter().filter(|p| p.ends_with(".yaml")).flat_map(|p| tree.documents(p)).collect();
            let configurations = documents.iter().filter(|d| d["kind"] == "Configuration");
            let names: Vec<Value> = configurations.map(|d| d["metadata"]["name"].clone()).collect();
            faults.unless_same(
                format_args!("{overlay}: dapr.io/config"),
                names,
                vec![annotation(tree, "dapr.io/config")],
            );
        }
    };
    holds(
        rule,
        &[
            (DEV, "- ../../dapr/tracing\n", ""),
            (DEV, "- ../../dapr/kafka\n", "- ../../dapr/kafka\n- ../../dapr/redis\n"),
            (PROD, "- ../../topics\n", ""),
            (SET, "dapr.io/config: reminder-worker", "dapr.io/config: tracing"),
            ("k8s/dapr/tracing/configuration.yaml", "name: reminder-worker", "name: tracing"),
        ],
    );
}

#[test]
fn everything_is_in_one_namespace_that_admits_only_restricted_pods() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let mut names = Vec::new();
        for overlay in OVERLAYS {
            let namespace = tree.document(&format!("{overlay}/namespace.yaml"));
            let used = tree.document(&format!("{overlay}/kustomization.yaml"))["namespace"].clone();
            faults.unless_same(overlay, &used, &namespace["metadata"]["name"]);
            let profile = &namespace["metadata"]["labels"]["pod-security.kubernetes.io/enforce"];
            faults.unless_same(overlay, text(profile), "restricted");
            names.push(used);
        }
        faults.unless_same("the namespace of production", &names[1], &names[0]);
        // Else the sidecar is not admitted.
        for values in ["k8s/dapr/values-dev.yaml", "k8s/dapr/values-prod.yaml"] {
            let drops = &tree.document(values)["dapr_sidecar_injector"]["sidecarDropALLCapabilities"];
            faults.unless_same(values, drops, &Value::Bool(true));
        }
        let profile = annotation(tree, "dapr.io/sidecar-seccomp-profile-type");
        faults.unless_same("the sidecar's profile", text(&profile), "RuntimeDefault");
        // What stands elsewhere would be put into the overlay's namespace, or into none.
        for path in
            tree.yaml("k8s/base").into_iter().chain(tree.yaml("k8s/topics")).chain(tree.yaml("k8s/dapr"))
        {
            let named = tree.documents(&path).iter().any(|d| d["metadata"]["namespace"].is_string());
            faults.unless(!named, format_args!("{path} names a namespace of its own"));
        }
    };
    holds(
        rule,
        &[
            (DEV, "namespace: reminders", "namespace: tasks"),
            ("k8s/overlays/prod/namespace.yaml", "enforce: restricted", "enforce: baseline"),
            (
                "k8s/dapr/values-dev.yaml",
                "sidecarDropALLCapabilities: true",
                "sidecarDropALLCapabilities: false",
            ),
            (SET, "profile-type: RuntimeDefault", "profile-type: Unconfined"),
            (
                "k8s/dapr/redis/pubsub.yaml",
                "  name: kafka-pubsub",
                "  name: kafka-pubsub\n  namespace: default",
            ),
        ],
    );
}

#[test]
fn the_network_policies_let_out_to_every_address_that_is_named() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let (worker, job) = (lets_out(tree, POLICY), lets_out(tree, TOPICS_POLICY));
        let mut seen = 0;
        for path in OVERLAYS.iter().flat_map(|overlay| tree.closure(overlay)) {
            let (allowed, who) = match &*path {
                _ if !path.ends_with(".yaml") => continue,
                "k8s/topics/job.yaml" => (&job, TOPICS_POLICY),
                _ => (&worker, POLICY),
            };
            for address in addresses(tree, &path) {
                seen += 1;
                faults.unless(
                    allowed.contains(&address),
                    format_args!("{who} keeps from {address:?}, named in {path}"),
                );
            }
        }
        faults.unless(seen > 5, format_args!("only {seen} addresses are named"));
        for (policy, allowed) in [(POLICY, worker), (TOPICS_POLICY, job)] {
            faults.unless(
                allowed.contains(&("kube-system".to_owned(), 53)),
                format_args!("{policy}: no names"),
            );
            let types = tree.document(policy)["spec"]["policyTypes"].clone();
            faults.unless_same(policy, types, serde_json::json!(["Ingress", "Egress"]));
        }
        // The worker's own comes from the labels of its kustomization.
        let labels = tree.document("k8s/topics/kustomization.yaml")["labels"][0]["pairs"].clone();
        let chosen = tree.document(TOPICS_POLICY)["spec"]["podSelector"]["matchLabels"].clone();
        faults.unless_same("whom the Job's policy is for", chosen, labels);
        let labels = tree.document("k8s/base/kustomization.yaml")["labels"][0].clone();
        faults.unless_same("includeSelectors", &labels["includeSelectors"], &Value::Bool(true));
    };
    holds(
        rule,
        &[
            (POLICY, "port: 9093", "port: 9092"),
            (POLICY, "port: 4317", "port: 4318"),
            (POLICY, "metadata.name: redpanda", "metadata.name: kafka"),
            (POLICY, "policyTypes: [Ingress, Egress]", "policyTypes: [Ingress]"),
            (TOPICS_POLICY, "port: 9093", "port: 9092"),
            (TOPICS_POLICY, "name: reminder-worker-topics\n  policyTypes", "name: topics\n  policyTypes"),
            ("k8s/dapr/kafka/pubsub.yaml", "redpanda.redpanda.svc", "redpanda.kafka.svc"),
            ("k8s/dapr/tracing/configuration.yaml", "local:4317", "local:9411"),
        ],
    );
}

#[test]
fn every_mount_has_its_volume() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let set = tree.document(SET);
        let job = tree.document("k8s/topics/job.yaml");
        let patch = tree.document("k8s/overlays/prod/topics.yaml");
        for (document, claims) in
            [(&set, &set["spec"]["volumeClaimTemplates"]), (&job, &Value::Null), (&patch, &Value::Null)]
        {
            let spec = &document["spec"]["template"]["spec"];
            let volumes: Vec<&Value> = list(&spec["volumes"]).iter().map(|volume| &volume["name"]).collect();
            let claims: Vec<&Value> = list(claims).iter().map(|claim| &claim["metadata"]["name"]).collect();
            let mounts = maps(&spec["containers"]).into_iter().flat_map(|map| list(&map["volumeMounts"]));
            let mut mounted: Vec<&Value> = mounts.map(|mount| &mount["name"]).collect();
            let mut there = [volumes, claims].concat();
            mounted.sort_by_key(|name| text(name));
            there.sort_by_key(|name| text(name));
            faults.unless_same(text(&document["metadata"]["name"]), mounted, there);
        }
    };
    holds(
        rule,
        &[
            (SET, "- name: config\n        configMap", "- name: configuration\n        configMap"),
            ("k8s/topics/job.yaml", "- name: tmp\n          mountPath", "- name: temp\n          mountPath"),
            (
                "k8s/overlays/prod/topics.yaml",
                "- name: broker-ca\n        secret",
                "- name: ca\n        secret",
            ),
        ],
    );
}

#[test]
fn the_image_of_production_is_this_version() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let tag = tree.document(PROD)["images"][0]["newTag"].clone();
        let stated = tree.text("Cargo.toml").lines().find_map(|line| line.strip_prefix("version = "));
        faults.unless_same("newTag", Some(text(&tag)), stated.map(|version| version.trim_matches('"')));
        let told =
            tree.document("k8s/overlays/dev/worker.yaml")["spec"]["template"]["spec"]["containers"].clone();
        // An image that was loaded by hand is in no registry.
        faults.unless_same(
            "imagePullPolicy",
            text(&named(&told, "reminder-worker")["imagePullPolicy"]),
            "Never",
        );
        faults.unless_same("imagePullPolicy", text(&container(tree)["imagePullPolicy"]), "Always");
    };
    holds(
        rule,
        &[
            (PROD, "newTag: 0.1.0", "newTag: 0.0.9"),
            ("Cargo.toml", "version = \"0.1.0\"", "version = \"0.2.0\""),
            ("k8s/overlays/dev/worker.yaml", "imagePullPolicy: Never", "imagePullPolicy: Always"),
        ],
    );
}

#[test]
fn the_smoke_test_asks_where_the_worker_listens_by_default() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let config = Config::default();
        let script = tree.text("k8s/smoke");
        let defaults = format!("dapr={} ops=http://{} ", config.dapr.http_endpoint, config.ops.address());
        faults.unless(
            script.contains(&format!("\n{defaults}")),
            format_args!("smoke does not begin with {defaults}"),
        );
        for told in [
            format!("--dapr   the sidecar ({})", config.dapr.http_endpoint),
            format!("--ops    the worker's ops port (http://{})", config.ops.address()),
            format!("PUBSUB and TOPIC: {}, {}.", config.dapr.pubsub, config.topics.task_events),
            format!("${{PUBSUB:-{}}}", config.dapr.pubsub),
            format!("${{TOPIC:-{}}}", config.topics.task_events),
        ] {
            faults.unless(script.contains(&told), format_args!("smoke does not say {told}"));
        }
    };
    let smoke = "k8s/smoke";
    holds(
        rule,
        &[
            (smoke, "dapr=http://127.0.0.1:3500", "dapr=http://127.0.0.1:3501"),
            (smoke, "ops=http://127.0.0.1:8080", "ops=http://127.0.0.1:8081"),
            (smoke, "${PUBSUB:-kafka-pubsub}", "${PUBSUB:-pubsub}"),
            (smoke, "${TOPIC:-task-events}", "${TOPIC:-tasks}"),
            (smoke, "PUBSUB and TOPIC: kafka-pubsub", "PUBSUB and TOPIC: pubsub"),
        ],
    );
}

#[test]
fn the_laptop_runs_the_worker_on_its_defaults_and_a_store_of_its_own() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let config = Config::default();
        let run = tree.document(LAPTOP);
        let app = &run["apps"][0];
        faults.unless_same("appPort", &app["appPort"], &Value::from(config.app.port));
        let api = format!("http://127.0.0.1:{}", app["daprHTTPPort"]);
        faults.unless_same("daprHTTPPort", api, config.dapr.http_endpoint);
        faults.unless_same("appID", &app["appID"], &annotation(tree, "dapr.io/app-id"));
        faults.unless_same("enableAppHealthCheck", &app["enableAppHealthCheck"], &Value::Bool(true));
        let top = join("k8s/laptop", text(&app["appDirPath"]));
        faults
            .unless(Path::new(&top).join("Cargo.toml").exists(), format_args!("{top} is not the repository"));
        let components = join("k8s/laptop", text(&run["common"]["resourcesPaths"][0]));
        faults.unless(tree.has(&components), format_args!("there is no {components}"));
        let command: Vec<&str> = list(&app["command"]).iter().map(text).collect();
        let run = ["cargo", "run", "--release", "--", "serve", "--store-path"];
        faults.unless_same("the command", &command[..command.len().min(run.len())], &run[..]);
        // What a trial in memory left in the default store must not go out on a broker that others read.
        let store = command.get(run.len()).copied().unwrap_or_default();
        let own = !store.is_empty() && Path::new(store) != config.store.path;
        faults.unless(own, format_args!("it runs on the store `{store}`"));
    };
    holds(
        rule,
        &[
            (LAPTOP, "appPort: 8001", "appPort: 8000"),
            (LAPTOP, "daprHTTPPort: 3500", "daprHTTPPort: 3501"),
            (LAPTOP, "appID: reminder-worker", "appID: worker"),
            (LAPTOP, "appDirPath: ../..", "appDirPath: .."),
            (LAPTOP, "resourcesPaths: [./components]", "resourcesPaths: [../components]"),
            (LAPTOP, "--, serve,", "--, run,"),
            (LAPTOP, "--store-path, data.dapr]", "--store-path, data]"),
            (LAPTOP, ", --store-path, data.dapr]", "]"),
        ],
    );
}

#[test]
fn nobody_is_let_in_to_the_app_port() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let rules = tree.document(POLICY)["spec"]["ingress"].clone();
        let ports = list(&rules).iter().flat_map(|rule| list(&rule["ports"]).iter());
        let ports: Vec<u64> = ports.map(|port| number(&port["port"])).collect();
        // A rule without ports would let in to all.
        let named = list(&rules).iter().all(|rule| !list(&rule["ports"]).is_empty());
        faults.unless(named, format_args!("{POLICY}: a rule without ports"));
        // The worker's ops port, the sidecar's metrics, and the sidecar itself for other sidecars.
        faults.unless_same(POLICY, ports, vec![8080, 9090, 50002]);
        let served = tree.document("k8s/base/service.yaml")["spec"]["ports"].clone();
        faults.unless_same("the service's ports", list(&served).len(), 1);
    };
    holds(
        rule,
        &[
            (POLICY, "port: 50002", "port: 8001"),
            (POLICY, "    ports:\n    - port: 50002\n      protocol: TCP\n", ""),
            ("k8s/base/service.yaml", "  - name: ops", "  - name: app\n    port: 8001\n  - name: ops"),
        ],
    );
}
