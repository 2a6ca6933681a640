//! What the pages give to be copied, against what is shipped: the pod of `docs/recovery.md` that restores by hand, and the
//! component of an app in `k8s/README.md`.

use serde_json::Value;

use crate::pod::{SET, WORKER, container, template};
use crate::tree::{Faults, Tree, holds, list, named, text};

const PAGE: &str = "docs/recovery.md";
const GUIDE: &str = "k8s/README.md";
const PUBSUB: &str = "k8s/dapr/kafka-sasl/pubsub.yaml";

/// The first block of YAML of a page.
fn block<'t>(tree: &'t Tree, page: &str) -> &'t str {
    tree.text(page).split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next()).unwrap_or_default()
}

/// The pod as it stands on the page.
fn pod(tree: &Tree) -> Value {
    serde_saphyr::from_str(block(tree, PAGE)).unwrap()
}

#[test]
fn the_pod_that_restores_by_hand_mounts_the_workers_volume_as_the_worker_does() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let (pod, set, worker) = (pod(tree), template(tree), container(tree));
        let (spec, import) = (&pod["spec"], &pod["spec"]["containers"][0]);
        let claims = tree.document(SET)["spec"]["volumeClaimTemplates"].clone();
        let claim = format!("{}-{WORKER}-0", text(&claims[0]["metadata"]["name"]));
        let volume = &named(&spec["volumes"], "store")["persistentVolumeClaim"]["claimName"];
        faults.unless_same("the claim", text(volume), claim.as_str());
        let at = |container: &Value| named(&container["volumeMounts"], "store")["mountPath"].clone();
        faults.unless_same("where the volume is", at(import), at(&worker));
        for key in ["runAsNonRoot", "runAsUser", "runAsGroup", "fsGroup", "seccompProfile"] {
            let of = |spec: &Value| spec["securityContext"][key].clone();
            faults.unless_same(key, of(spec), of(&set["spec"]));
        }
        for key in ["allowPrivilegeEscalation", "readOnlyRootFilesystem", "capabilities"] {
            let of = |container: &Value| container["securityContext"][key].clone();
            faults.unless_same(key, of(import), of(&worker));
        }
        let args: Vec<&str> = list(&import["args"]).iter().map(text).collect();
        let is_import = args.starts_with(&["store", "import"]) && args.contains(&"--set-aside");
        faults.unless(is_import, format_args!("it does {args:?}"));
        let path = crate::pod::image(tree).variables["REMINDER_WORKER__STORE__PATH"].clone();
        let is_beside = args.iter().any(|arg| arg.starts_with(&format!("{path}.backups/backup-")));
        faults.unless(is_beside, format_args!("no backup beside {path} is named"));
        faults.unless(
            tree.text(PAGE).contains(&format!("pod/{WORKER}-0 ")),
            "nobody waits for the worker's pod",
        );
    };
    holds(
        rule,
        &[
            (PAGE, "claimName: store-reminder-worker-0", "claimName: data-reminder-worker-0"),
            (PAGE, "fsGroup: 65532", "fsGroup: 1000"),
            (PAGE, "mountPath: /data", "mountPath: /store"),
            (PAGE, "args: [store, import, /data/store.backups", "args: [store, import, /data/backups"),
            (PAGE, "drop: [ALL]", "drop: []"),
            (SET, "readOnlyRootFilesystem: true", "readOnlyRootFilesystem: false"),
            ("Dockerfile", "STORE__PATH=/data/store", "STORE__PATH=/data/tasks"),
        ],
    );
}

#[test]
fn the_component_of_an_app_is_the_workers_but_for_its_name_its_user_and_its_scope() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let of_app: Vec<Value> =
            block(tree, GUIDE).split("---\n").map(|text| serde_saphyr::from_str(text).unwrap()).collect();
        let [pubsub, resiliency] = &of_app[..] else { return faults.unless(false, "there are not two") };
        let workers = tree.document(PUBSUB);
        faults.unless_same("its type", &pubsub["spec"]["type"], &workers["spec"]["type"]);
        let name = text(&pubsub["metadata"]["name"]);
        faults.unless(name != text(&workers["metadata"]["name"]), "its name is that of the worker's");
        let namespace = text(&tree.document("k8s/overlays/prod/kustomization.yaml")["namespace"]).to_owned();
        let commands = crate::guide::commands(tree.text(GUIDE));
        // What is secret by its key, what is not by its value.
        let told = |component: &Value| -> Vec<(String, String)> {
            let items = list(&component["spec"]["metadata"]).iter();
            let value =
                |item: &Value| format!("{}{}", text(&item["value"]), text(&item["secretKeyRef"]["key"]));
            items.map(|item| (text(&item["name"]).to_owned(), value(item))).collect()
        };
        faults.unless_same("its metadata", told(pubsub), told(&workers));
        for item in list(&pubsub["spec"]["metadata"]) {
            let (secret, key) = (text(&item["secretKeyRef"]["name"]), text(&item["secretKeyRef"]["key"]));
            let is_made = |line: &String| {
                line.contains(&format!("-n {namespace} create secret generic {secret} "))
                    && line.contains(&format!("={key}="))
            };
            let made = secret.is_empty() || commands.iter().any(is_made);
            faults.unless(made, format_args!("nobody makes {secret} with {key}"));
        }
        let app = text(&pubsub["scopes"][0]);
        faults.unless(!app.is_empty() && app != WORKER, format_args!("it is scoped to `{app}`"));
        faults.unless_same("the scopes", &resiliency["scopes"], &pubsub["scopes"]);
        let retry = &resiliency["spec"]["targets"]["components"][name]["inbound"]["retry"];
        let policy = &resiliency["spec"]["policies"]["retries"][text(retry)]["policy"];
        faults.unless_same("the policy", text(policy), "constant");
        for resource in [pubsub, resiliency] {
            faults.unless_same("the namespace", text(&resource["metadata"]["namespace"]), namespace.as_str());
        }
        let group = format!("--group {app}");
        faults
            .unless(commands.iter().any(|line| line.contains(&group)), format_args!("no ACL names {group}"));
    };
    holds(
        rule,
        &[
            (GUIDE, "  name: orders-pubsub", "  name: kafka-pubsub"),
            (GUIDE, "      orders-pubsub:", "      kafka-pubsub:"),
            (GUIDE, "scopes: [orders]\n---", "scopes: [reminder-worker]\n---"),
            (GUIDE, "create secret generic orders-broker", "create secret generic orders"),
            (GUIDE, "key: password}", "key: pass}"),
            (GUIDE, "--topic reminders --group orders", "--topic reminders --group order"),
            (GUIDE, "policy: constant", "policy: exponential"),
            (PUBSUB, "value: SHA-512", "value: SHA-256"),
        ],
    );
}
