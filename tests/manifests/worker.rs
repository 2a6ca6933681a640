//! The StatefulSet against the worker's own configuration.

use reminder_worker::config::Source;
use serde_json::Value;

use crate::pod::{
    CONFIG, CONFIG_VARIABLE, OVERLAYS, SET, WORKER, annotation, config, container, environment, image,
    loaded, template,
};
use crate::tree::{Faults, Tree, holds, list, named, number, text};

const PROD: &str = "k8s/overlays/prod/worker.yaml";
/// The pod spec of the Job that makes the topics.
const JOB: &str = "k8s/topics/job.yaml";
/// Longest that a sidecar hands over what it has fetched before its shutdown is blocked (docs/dapr.md, section 6).
const HANDOVER_SECONDS: u64 = 30;
/// Where a sidecar shows its metrics, unless an annotation says otherwise.
const SIDECAR_METRICS: u16 = 9090;

#[test]
fn the_shipped_file_and_variables_make_a_configuration() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        for overlay in OVERLAYS {
            let outcome = loaded(tree, overlay).map(|_| ());
            faults.unless(outcome.is_ok(), format_args!("{overlay}: {outcome:?}"));
        }
    };
    holds(
        rule,
        &[
            (CONFIG, "grace = ", "patience = "),
            (CONFIG, "[shutdown]", "[stop]"),
            (CONFIG, "port = 8001", "port = 80010"),
            (SET, "REMINDER_WORKER__REPLICA__ORDINAL", "REMINDER_WORKER__REPLICA__NUMBER"),
            // Off loopback without a token.
            (SET, "REMINDER_WORKER__OPS__TOKEN", "REMINDER_WORKER__LOG__LEVEL"),
        ],
    );
}

#[test]
fn every_variable_given_to_the_worker_decides_a_setting() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        for overlay in OVERLAYS {
            let Ok(loaded) = loaded(tree, overlay) else { return faults.unless(false, "it does not load") };
            for name in environment(tree, overlay).into_keys().filter(|name| name != CONFIG_VARIABLE) {
                let by_it = Source::Variable(name.clone());
                let decides = loaded.settings.iter().any(|setting| setting.source == by_it);
                faults.unless(decides, format_args!("{overlay}: nothing is decided by {name}"));
            }
        }
    };
    holds(
        rule,
        &[
            (PROD, "name: DAPR_API_TOKEN", "name: DAPR_TOKEN"),
            (PROD, "name: APP_API_TOKEN", "name: APP_TOKEN"),
            (SET, "name: REMINDER_WORKER_CONFIG", "name: REMINDER_WORKER_CONF"),
            (SET, "name: REMINDER_WORKER__REPLICA__ORDINAL", "name: REMINDER_WORKER_REPLICA_ORDINAL"),
            ("Dockerfile", "ENV REMINDER_WORKER__STORE__PATH", "ENV REMINDER_WORKER_STORE_PATH"),
        ],
    );
}

#[test]
fn the_configuration_file_is_mounted_where_its_variable_says() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let generated = tree.document("k8s/base/kustomization.yaml")["configMapGenerator"][0].clone();
        let spec = template(tree)["spec"].clone();
        let mount = named(&container(tree)["volumeMounts"], "config").clone();
        let volume = named(&spec["volumes"], "config")["configMap"]["name"].clone();
        faults.unless_same("the config volume's ConfigMap", volume, generated["name"].clone());
        let path = format!("{}/{}", text(&mount["mountPath"]), text(&generated["files"][0]));
        let told = environment(tree, OVERLAYS[0]).remove(CONFIG_VARIABLE);
        faults.unless_same("the mounted file", Some(path), told);
    };
    holds(
        rule,
        &[
            (SET, "value: /etc/reminder-worker/worker.toml", "value: /etc/reminder-worker/config.toml"),
            (SET, "mountPath: /etc/reminder-worker", "mountPath: /etc/worker"),
            (SET, "configMap:\n          name: reminder-worker", "configMap:\n          name: worker"),
            ("k8s/base/kustomization.yaml", "  - worker.toml", "  - networkpolicy.yaml"),
        ],
    );
}

#[test]
fn the_store_lies_on_the_volume_with_room_for_what_lies_beside_it() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let claims = tree.document(SET)["spec"]["volumeClaimTemplates"].clone();
        faults.unless_same("the claims", list(&claims).len(), 1);
        let claim = text(&claims[0]["metadata"]["name"]).to_owned();
        let mount = text(&named(&container(tree)["volumeMounts"], &claim)["mountPath"]).to_owned();
        let image = image(tree);
        faults.unless_same("the image's volume", image.volume.clone(), mount.clone());
        // The lock and the marker lie beside the store, so the volume's own root cannot be it.
        let below = |path: &str| path.strip_prefix(&mount).is_some_and(|rest| rest.len() > 1);
        let stated = tree.text(CONFIG).lines().find_map(|line| line.strip_prefix("path = "));
        let stated = stated.unwrap_or_default().trim_matches('"').to_owned();
        for path in [stated, config(tree).store.path.display().to_string()] {
            faults.unless(below(&path), format_args!("store.path {path} is not below the volume at {mount}"));
        }
    };
    holds(
        rule,
        &[
            (CONFIG, "path = \"/data/store\"", "path = \"/store\""),
            (CONFIG, "path = \"/data/store\"", "path = \"/data\""),
            (SET, "mountPath: /data", "mountPath: /store"),
            (SET, "    name: store\n    spec", "    name: data\n    spec"),
            ("Dockerfile", "STORE__PATH=/data/store", "STORE__PATH=data"),
            ("Dockerfile", "VOLUME /data", "VOLUME /store"),
        ],
    );
}

#[test]
fn every_port_is_the_one_that_the_worker_opens() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let config = config(tree);
        let (app, ops) = (config.app.port, config.ops.port);
        let declared = container(tree)["ports"].clone();
        faults.unless_same("the port ops", &named(&declared, "ops")["containerPort"], &Value::from(ops));
        let service = tree.document("k8s/base/service.yaml")["spec"]["ports"].clone();
        faults.unless_same("the service's port", &service[0]["port"], &Value::from(ops));
        let target = text(&service[0]["targetPort"]);
        faults
            .unless(named(&declared, target).is_object(), format_args!("the container has no port {target}"));
        for probe in ["startupProbe", "livenessProbe", "readinessProbe"] {
            let port = container(tree)[probe]["httpGet"]["port"].clone();
            let known = named(&declared, text(&port)).is_object();
            faults.unless(known, format_args!("{probe} asks at {port}, which the container does not name"));
        }
        let annotated = |name: &str| annotation(tree, name).as_str().and_then(|port| port.parse().ok());
        faults.unless_same("dapr.io/app-port", annotated("dapr.io/app-port"), Some(app));
        faults.unless_same("prometheus.io/port", annotated("prometheus.io/port"), Some(ops));
        faults.unless_same("the image's ports", image(tree).exposed, vec![app, ops]);
        // Probes come to the pod's address; deliveries from within the pod.
        faults.unless(config.ops.host.is_unspecified(), "the ops port is out of the kubelet's reach");
        faults.unless(config.app.host.is_loopback(), "the app port is in reach of other pods");
        let scraped = tree.document("k8s/base/networkpolicy.yaml")["spec"]["ingress"][0]["ports"].clone();
        let scraped: Vec<u64> = list(&scraped).iter().map(|port| number(&port["port"])).collect();
        faults.unless_same("what Prometheus is let in to", scraped, vec![ops.into(), SIDECAR_METRICS.into()]);
    };
    holds(
        rule,
        &[
            (CONFIG, "port = 8001", "port = 8002"),
            (CONFIG, "port = 8080", "port = 8081"),
            (CONFIG, "host = \"0.0.0.0\"", "host = \"127.0.0.1\""),
            (SET, "containerPort: 8080", "containerPort: 8081"),
            (SET, "dapr.io/app-port: \"8001\"", "dapr.io/app-port: \"8000\""),
            (SET, "prometheus.io/port: \"8080\"", "prometheus.io/port: \"9090\""),
            (SET, "path: /readyz\n            port: ops", "path: /readyz\n            port: http"),
            ("k8s/base/service.yaml", "port: 8080", "port: 80"),
            ("k8s/base/service.yaml", "targetPort: ops", "targetPort: http"),
            ("k8s/base/networkpolicy.yaml", "port: 8080", "port: 8081"),
            ("Dockerfile", "EXPOSE 8001 8080", "EXPOSE 8001"),
        ],
    );
}

#[test]
fn there_is_one_replica_and_it_says_which_it_is() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let set = tree.document(SET);
        faults.unless_same("replicas", number(&set["spec"]["replicas"]), 1);
        for path in tree.yaml("k8s/overlays") {
            for document in tree.documents(&path) {
                let replicas = &document["spec"]["replicas"];
                faults.unless(replicas.is_null(), format_args!("{path} sets replicas to {replicas}"));
            }
        }
        let ordinal = named(&container(tree)["env"], "REMINDER_WORKER__REPLICA__ORDINAL").clone();
        let from = text(&ordinal["valueFrom"]["fieldRef"]["fieldPath"]).to_owned();
        faults.unless_same("the ordinal", &*from, "metadata.labels['apps.kubernetes.io/pod-index']");
    };
    holds(
        rule,
        &[
            (SET, "replicas: 1", "replicas: 2"),
            (PROD, "spec:\n", "spec:\n  replicas: 3\n"),
            (SET, "['apps.kubernetes.io/pod-index']", "['statefulset.kubernetes.io/pod-name']"),
        ],
    );
}

#[test]
fn the_pod_waits_for_all_that_a_stop_may_take() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let drain = config(tree).shutdown.grace.as_secs();
        let blocked = number(&annotation(tree, "dapr.io/block-shutdown-duration"));
        let closing = number(&annotation(tree, "dapr.io/graceful-shutdown-seconds"));
        let grace = number(&template(tree)["spec"]["terminationGracePeriodSeconds"]);
        faults.unless(
            blocked > drain,
            format_args!("the sidecar waits {blocked} s, the worker drains for {drain} s"),
        );
        let needed = HANDOVER_SECONDS + blocked + drain.max(closing);
        faults.unless(grace >= needed, format_args!("the pod has {grace} s, a stop may take {needed} s"));
        // Only with app health does the sidecar end its wait when the worker has gone.
        let health = annotation(tree, "dapr.io/enable-app-health-check");
        faults.unless_same("dapr.io/enable-app-health-check", text(&health), "true");
    };
    holds(
        rule,
        &[
            (SET, "terminationGracePeriodSeconds: 75", "terminationGracePeriodSeconds: 54"),
            (SET, "block-shutdown-duration: 15s", "block-shutdown-duration: 10s"),
            (SET, "block-shutdown-duration: 15s", "block-shutdown-duration: 40s"),
            (SET, "graceful-shutdown-seconds: \"10\"", "graceful-shutdown-seconds: \"60\""),
            (CONFIG, "grace = \"10s\"", "grace = \"15s\""),
            (SET, "enable-app-health-check: \"true\"", "enable-app-health-check: \"false\""),
        ],
    );
}

#[test]
fn no_container_may_do_more_than_it_must() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        for path in [SET, JOB] {
            let spec = tree.document(path)["spec"]["template"]["spec"].clone();
            faults.unless_same(
                "the service account's token",
                &spec["automountServiceAccountToken"],
                &Value::Bool(false),
            );
            let pod = &spec["securityContext"];
            for container in list(&spec["containers"]) {
                let own = &container["securityContext"];
                let what = |field: &str| format!("{path}: {field} of {}", text(&container["name"]));
                for context in [pod, own] {
                    faults.unless_same(what("runAsNonRoot"), &context["runAsNonRoot"], &Value::Bool(true));
                    let profile = text(&context["seccompProfile"]["type"]);
                    faults.unless_same(what("seccompProfile"), profile, "RuntimeDefault");
                }
                faults.unless_same(what("the root"), &own["readOnlyRootFilesystem"], &Value::Bool(true));
                faults.unless_same(what("escalation"), &own["allowPrivilegeEscalation"], &Value::Bool(false));
                let caps = &own["capabilities"];
                faults.unless_same(what("capabilities"), caps, &serde_json::json!({ "drop": ["ALL"] }));
            }
        }
        let own = container(tree)["securityContext"].clone();
        let user = format!("{}:{}", number(&own["runAsUser"]), number(&own["runAsGroup"]));
        faults.unless_same("the user that owns the image's data", image(tree).user, user);
        // What the volume is given to.
        let group = template(tree)["spec"]["securityContext"]["fsGroup"].clone();
        faults.unless_same("fsGroup", &group, &own["runAsGroup"]);
    };
    holds(
        rule,
        &[
            (SET, "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false"),
            (SET, "drop: [ALL]", "drop: []"),
            (SET, "allowPrivilegeEscalation: false", "allowPrivilegeEscalation: true"),
            (SET, "runAsNonRoot: true", "runAsNonRoot: false"),
            (
                SET,
                "seccompProfile:\n          type: RuntimeDefault",
                "seccompProfile:\n          type: Unconfined",
            ),
            (SET, "fsGroup: 65532", "fsGroup: 1000"),
            (SET, "automountServiceAccountToken: false", "automountServiceAccountToken: true"),
            (JOB, "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false"),
            (JOB, "drop: [ALL]", "drop: [NET_RAW]"),
            ("Dockerfile", "USER 65532:65532", "USER 1000:1000"),
        ],
    );
}

#[test]
fn the_parts_of_the_set_are_called_alike() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let set = tree.document(SET);
        let service = tree.document("k8s/base/service.yaml");
        let account = tree.document("k8s/base/serviceaccount.yaml");
        faults.unless_same("serviceName", &set["spec"]["serviceName"], &service["metadata"]["name"]);
        let used = &set["spec"]["template"]["spec"]["serviceAccountName"];
        faults.unless_same("serviceAccountName", used, &account["metadata"]["name"]);
        let shown = annotation(tree, "kubectl.kubernetes.io/default-container");
        faults.unless_same("the default container", text(&shown), WORKER);
        faults.unless(container(tree).is_object(), format_args!("no container is called {WORKER}"));
        for overlay in OVERLAYS {
            let patch = tree.document(&format!("{overlay}/worker.yaml"));
            let name = (&patch["kind"], &patch["metadata"]["name"]);
            faults.unless_same(overlay, name, (&set["kind"], &set["metadata"]["name"]));
            let patched = &patch["spec"]["template"]["spec"]["containers"];
            faults.unless_same(overlay, text(&patched[0]["name"]), WORKER);
            // Else the overlay's tag is given to nothing.
            let images = tree.document(&format!("{overlay}/kustomization.yaml"))["images"].clone();
            faults.unless_same(overlay, &images[0]["name"], &container(tree)["image"]);
        }
    };
    holds(
        rule,
        &[
            (SET, "serviceName: reminder-worker", "serviceName: worker"),
            ("k8s/base/serviceaccount.yaml", "name: reminder-worker", "name: worker"),
            (SET, "- name: reminder-worker\n        image", "- name: worker\n        image"),
            (SET, "image: reminder-worker", "image: worker"),
            (PROD, "- name: reminder-worker", "- name: worker"),
            (
                "k8s/overlays/dev/kustomization.yaml",
                "- name: reminder-worker\n  newTag",
                "- name: worker\n  newTag",
            ),
        ],
    );
}
