//! The pod of `docs/recovery.md` that restores by hand, against the StatefulSet whose volume it takes.

use serde_json::Value;

use crate::pod::{SET, WORKER, container, template};
use crate::tree::{Faults, Tree, holds, list, named, text};

const PAGE: &str = "docs/recovery.md";

/// The pod as it stands on the page.
fn pod(tree: &Tree) -> Value {
    let block = tree.text(PAGE).split("```yaml\n").nth(1).and_then(|rest| rest.split("```").next());
    serde_saphyr::from_str(block.unwrap_or_default()).unwrap()
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
