//! Components, Resiliency, topics and their names: those that the worker publishes and subscribes by.

use std::collections::BTreeSet;
use std::time::Duration;

use reminder_worker::config::Config;
use reminder_worker::sidecar::resources::{Component, Resources};

use crate::pod::{CONFIG, SET, annotation, config};
use crate::tree::{Faults, Tree, holds, list, named, number, text};

const TOPICS: &str = "k8s/topics/topics.sh";
const JOB: &str = "k8s/topics/job.yaml";
const SASL: &str = "k8s/dapr/kafka-sasl/pubsub.yaml";
const REDPANDA: &str = "k8s/redpanda/values-prod.yaml";
/// Where apps that hear reminders put what they give up on: made with the worker's own topics.
const DEAD_REMINDERS: &str = "reminders-dead-letters";

/// The app id of the worker's sidecar.
fn app_id(tree: &Tree) -> String {
    text(&annotation(tree, "dapr.io/app-id")).to_owned()
}

/// The directories that hold a broker's component.
fn brokers(tree: &Tree) -> Vec<String> {
    let all = tree.kustomizations("k8s/dapr").into_iter().chain(["k8s/laptop/components".to_owned()]);
    all.filter(|dir| tree.has(&format!("{dir}/pubsub.yaml"))).collect()
}

/// The Dapr resources of `dir`.
fn resources(tree: &Tree, dir: &str) -> Result<Resources, String> {
    let files: Vec<_> =
        tree.yaml(dir).into_iter().map(|path| (path.clone(), tree.text(&path).to_owned())).collect();
    Resources::parse(&files).map_err(|invalid| invalid.to_string())
}

/// Asks `rule` about the component of every broker that the worker would publish through.
fn each_component(tree: &Tree, faults: &mut Faults, rule: impl Fn(&mut Faults, &str, &Component, &Config)) {
    let (config, app) = (config(tree), app_id(tree));
    for dir in brokers(tree) {
        match resources(tree, &dir) {
            Ok(found) => match found.component(&config.dapr.pubsub, &app) {
                Some(component) => rule(faults, &dir, component, &config),
                None => faults.unless(false, format_args!("{dir} has no {} for {app}", config.dapr.pubsub)),
            },
            Err(invalid) => faults.unless(false, format_args!("{dir}: {invalid}")),
        }
    }
}

/// Every topic that the worker takes part in.
fn own_topics(config: &Config) -> BTreeSet<String> {
    config.topics.heard().map(str::to_owned).chain(config.topics.dead_letter.clone()).collect()
}

#[test]
fn every_broker_has_the_component_that_the_worker_publishes_to() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let app = app_id(tree);
        faults.unless_same("brokers", brokers(tree).len(), 7);
        each_component(tree, faults, |faults, dir, component, config| {
            faults.unless(component.is_pubsub() && component.checked, format_args!("{dir}: {component:?}"));
            let findings = resources(tree, dir).map(|found| found.findings(&config.dapr.pubsub, &app));
            faults.unless_same(dir, findings, Ok(Vec::new()));
        });
    };
    holds(
        rule,
        &[
            ("k8s/dapr/kafka/pubsub.yaml", "name: kafka-pubsub", "name: pubsub"),
            (SASL, "scopes: [reminder-worker]", "scopes: [worker]"),
            (SASL, "name: initialOffset", "name: initialOffsets"),
            ("k8s/dapr/redis/pubsub.yaml", "type: pubsub.redis", "type: pubsub.redi"),
            ("k8s/laptop/components/pubsub.yaml", "name: kafka-pubsub", "name: pubsub"),
            (SET, "dapr.io/app-id: reminder-worker", "dapr.io/app-id: worker"),
            (CONFIG, "[topics]", "[dapr]\npubsub = \"pubsub\"\n\n[topics]"),
        ],
    );
}

#[test]
fn every_broker_is_tried_again_for_ever_and_steadily() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let (config, app) = (config(tree), app_id(tree));
        for dir in brokers(tree) {
            let found = resources(tree, &dir).unwrap_or_default();
            let Some(retry) = found.inbound_retry(&config.dapr.pubsub, &app) else {
                faults.unless(false, format_args!("{dir}: deliveries to {app} have no retry"));
                continue;
            };
            faults.unless_same(format_args!("{dir}: maxRetries"), retry.max_retries, None);
            faults.unless(!retry.exponential, format_args!("{dir}: exponential ends after 15 minutes"));
            faults.unless(!retry.matching, format_args!("{dir}: only some failures are tried again"));
            faults.unless_same(format_args!("{dir}: the wait"), retry.interval, Duration::from_secs(1));
        }
    };
    let broken = |dir: &'static str| {
        let path = [dir, "/resiliency.yaml"].concat();
        holds(
            rule,
            &[
                (&path, "maxRetries: -1", "maxRetries: 5"),
                (&path, "policy: constant", "policy: exponential"),
                (&path, "      kafka-pubsub:", "      pubsub:"),
                (&path, "inbound:", "outbound:"),
                (&path, "scopes: [reminder-worker]", "scopes: [worker]"),
            ],
        );
    };
    for dir in ["kafka", "kafka-sasl", "confluent", "azure-service-bus", "redis", "in-memory"] {
        broken(["k8s/dapr/", dir].concat().leak());
    }
    broken("k8s/laptop/components");
}

#[test]
fn no_component_shares_a_group_and_every_kafka_begins_at_the_oldest() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let mut kafkas = 0;
        each_component(tree, faults, |faults, dir, component, _| {
            for key in ["consumerGroup", "consumerID"] {
                let none = !component.metadata.contains_key(key);
                faults.unless(none, format_args!("{dir} sets {key}; the app id is the group"));
            }
            if component.component_type == "pubsub.kafka" {
                faults.unless_same(dir, component.value("initialOffset"), Some("oldest"));
                faults.unless_same(dir, component.value("producerRequiredAcks"), Some("all"));
            }
        });
        for dir in brokers(tree) {
            kafkas += usize::from(tree.text(&format!("{dir}/pubsub.yaml")).contains("type: pubsub.kafka"));
        }
        faults.unless_same("components of Kafka", kafkas, 3);
    };
    let group = "- name: consumerGroup\n    value: workers\n  - name: initialOffset";
    holds(
        rule,
        &[
            ("k8s/dapr/kafka/pubsub.yaml", "- name: initialOffset", group),
            (SASL, "- name: initialOffset", group),
            ("k8s/dapr/confluent/pubsub.yaml", "- name: initialOffset", &group.replace("Group", "ID")),
            (
                "k8s/dapr/redis/pubsub.yaml",
                "- name: streamTTL",
                &group.replace("initialOffset", "streamTTL").replace("Group", "ID"),
            ),
            (SASL, "value: oldest", "value: newest"),
            ("k8s/dapr/confluent/pubsub.yaml", "value: all", "value: local"),
        ],
    );
}

#[test]
fn the_job_makes_the_workers_topics_and_no_others() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let config = config(tree);
        let lines = || tree.text(TOPICS).lines();
        let made: Vec<Vec<&str>> = lines()
            .filter_map(|l| l.strip_prefix("topic "))
            .map(|l| l.split_whitespace().collect())
            .collect();
        let names: BTreeSet<String> = made.iter().map(|words| words[0].to_owned()).collect();
        let mut wanted = own_topics(&config);
        wanted.insert(DEAD_REMINDERS.to_owned());
        faults.unless_same("the topics that are made", names, wanted);
        // A replay must not revive what the worker has forgotten.
        let week = lines().find_map(|line| line.strip_prefix("week_ms=")?.split_whitespace().next());
        let week = Duration::from_millis(week.and_then(|ms| ms.parse().ok()).unwrap_or(u64::MAX));
        faults.unless(week < config.reminders.retention, format_args!("topics keep {week:?}"));
        for words in made.iter().filter(|words| !words[0].ends_with("dead-letters")) {
            faults.unless_same(words[0], words[1], "\"$week_ms\"");
        }
    };
    holds(
        rule,
        &[
            (TOPICS, "topic task-updates", "topic task-changes"),
            (TOPICS, "topic reminder-actions \"$week_ms\"\n", ""),
            (TOPICS, "topic reminder-worker-dead-letters", "topic dead-letters"),
            (TOPICS, "topic reminders \"$week_ms\"\n", ""),
            (TOPICS, "week_ms=604800000", "week_ms=691200000"),
            (TOPICS, "task-events \"$week_ms\"", "task-events \"$month_ms\""),
            (CONFIG, "dead_letter = \"reminder-worker-dead-letters\"", "dead_letter = \"dead\""),
            (CONFIG, "[shutdown]", "[reminders]\nretention = \"7d\"\n\n[shutdown]"),
        ],
    );
}

#[test]
fn brokers_without_the_job_keep_events_as_long() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let mut seen = 0;
        each_component(tree, faults, |faults, dir, component, config| {
            let seconds =
                component.value("defaultMessageTimeToLiveInSec").map(|seconds| format!("{seconds}s"));
            for kept in component.value("streamTTL").map(str::to_owned).into_iter().chain(seconds) {
                let kept = humantime::parse_duration(&kept).unwrap_or(Duration::MAX);
                faults.unless(kept < config.reminders.retention, format_args!("{dir} keeps {kept:?}"));
            }
        });
        for dir in brokers(tree) {
            let text = tree.text(&format!("{dir}/pubsub.yaml"));
            seen += usize::from(text.contains("streamTTL") || text.contains("TimeToLive"));
        }
        faults.unless_same("components that name a retention", seen, 2);
    };
    holds(
        rule,
        &[
            ("k8s/dapr/redis/pubsub.yaml", "value: 168h", "value: 192h"),
            ("k8s/dapr/azure-service-bus/pubsub.yaml", "value: \"604800\"", "value: \"864000\""),
        ],
    );
}

#[test]
fn the_acls_let_the_worker_do_what_it_does_and_name_its_group() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let config = config(tree);
        let (mut read, mut write, mut groups) = (BTreeSet::new(), BTreeSet::new(), BTreeSet::new());
        for line in tree.text(TOPICS).lines().filter_map(|line| line.trim().strip_prefix("allow --")) {
            let words: Vec<&str> = line.split_whitespace().collect();
            let operations: Vec<&str> = words[1].split(',').collect();
            for pair in words.windows(2).filter(|pair| ["--topic", "--group"].contains(&pair[0])) {
                let name = pair[1].to_owned();
                match (pair[0], operations.contains(&"read"), operations.contains(&"write")) {
                    ("--group", true, _) => drop(groups.insert(name)),
                    (_, reads, writes) => {
                        read.extend(reads.then(|| name.clone()));
                        write.extend(writes.then_some(name));
                    }
                }
            }
        }
        let all = own_topics(&config);
        let heard: BTreeSet<String> =
            all.iter().filter(|name| Some(*name) != config.topics.dead_letter.as_ref()).cloned().collect();
        faults.unless_same("topics that may be read", read, heard);
        // Users' preferences are heard alone.
        let written =
            all.into_iter().filter(|name| Some(name) != config.topics.user_preferences.as_ref()).collect();
        faults.unless_same("topics that may be written", write, written);
        faults.unless_same("groups", groups, BTreeSet::from([app_id(tree)]));
    };
    holds(
        rule,
        &[
            (TOPICS, "--group reminder-worker", "--group worker"),
            (TOPICS, "--topic task-updates", "--topic task-changes"),
            (
                TOPICS,
                "read,describe --topic user-preferences",
                "read,write,describe --topic user-preferences",
            ),
            (
                TOPICS,
                "write,describe --topic reminder-worker-dead-letters",
                "describe --topic reminder-worker-dead-letters",
            ),
            (TOPICS, "read,write,describe", "read,describe"),
            (SET, "dapr.io/app-id: reminder-worker", "dapr.io/app-id: worker"),
        ],
    );
}

#[test]
fn what_production_acknowledges_is_on_two_brokers_and_one_may_be_away() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let set = tree.text(TOPICS).contains("--set \"min.insync.replicas=$MIN_INSYNC_REPLICAS\"");
        faults.unless(set, "the topics do not get min.insync.replicas");
        let of = |path: &str, name: &str| {
            let job = tree.document(path)["spec"]["template"]["spec"]["containers"][0].clone();
            number(&named(&job["env"], name)["value"])
        };
        for (path, least) in [(JOB, 1), ("k8s/overlays/prod/topics.yaml", 2)] {
            let (replicas, in_sync) = (of(path, "REPLICAS"), of(path, "MIN_INSYNC_REPLICAS"));
            faults.unless_same(path, in_sync, least);
            let goes_on = in_sync < replicas || replicas == 1;
            faults.unless(goes_on, format_args!("{path}: nothing is taken while one of {replicas} is away"));
        }
    };
    let prod = "k8s/overlays/prod/topics.yaml";
    holds(
        rule,
        &[
            (TOPICS, "min.insync.replicas", "min.replicas"),
            (prod, "value: \"2\"", "value: \"1\""),
            (prod, "value: \"3\"", "value: \"2\""),
            (JOB, "name: MIN_INSYNC_REPLICAS", "name: MIN_REPLICAS"),
        ],
    );
}

#[test]
fn the_job_gives_its_script_what_the_script_asks_for() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let script = tree.text(TOPICS);
        let container = tree.document(JOB)["spec"]["template"]["spec"]["containers"][0].clone();
        let patched =
            tree.document("k8s/overlays/prod/topics.yaml")["spec"]["template"]["spec"]["containers"][0]
                .clone();
        faults.unless_same("the container", &patched["name"], &container["name"]);
        let names = |env| list(env).iter().map(|variable| text(&variable["name"]).to_owned());
        for name in names(&container["env"]).chain(names(&patched["env"])) {
            // rpk's own, and where it keeps its profile.
            let known = name == "HOME" || name.starts_with("RPK_") || script.contains(&format!("${name}"));
            let known = known || script.contains(&format!("${{{name}:-"));
            faults.unless(known, format_args!("nobody asks for {name}"));
        }
        for name in ["PARTITIONS", "REPLICAS", "MIN_INSYNC_REPLICAS"] {
            let asked = script.contains(&format!("${name}"));
            let given = number(&named(&container["env"], name)["value"]) > 0;
            faults.unless(asked && given, format_args!("{name} is not given, or not asked for"));
        }
        let generated = tree.document("k8s/topics/kustomization.yaml")["configMapGenerator"][0].clone();
        let volumes = tree.document(JOB)["spec"]["template"]["spec"]["volumes"].clone();
        let source = &named(&volumes, "scripts")["configMap"]["name"];
        faults.unless_same("the script's ConfigMap", source, &generated["name"]);
        let mount = text(&named(&container["volumeMounts"], "scripts")["mountPath"]).to_owned();
        let path = format!("{mount}/{}", text(&generated["files"][0]));
        faults.unless_same("the command", text(&container["command"][1]), &path);
        let authority =
            text(&named(&patched["volumeMounts"], "broker-ca")["mountPath"]).to_owned() + "/ca.crt";
        faults.unless_same("RPK_TLS_CA", text(&named(&patched["env"], "RPK_TLS_CA")["value"]), &authority);
    };
    let prod = "k8s/overlays/prod/topics.yaml";
    holds(
        rule,
        &[
            (JOB, "name: PARTITIONS", "name: PARTITION"),
            (JOB, "/scripts/topics.sh", "/scripts/topic.sh"),
            (JOB, "mountPath: /scripts", "mountPath: /script"),
            (prod, "name: ACL_USER", "name: USER_OF_ACL"),
            (prod, "value: /broker/ca.crt", "value: /etc/ca.crt"),
            (prod, "- name: topics", "- name: topic"),
            (TOPICS, "--replicas \"$REPLICAS\"", "--replicas 1"),
            (
                "k8s/topics/kustomization.yaml",
                "- name: reminder-worker-topics\n  files",
                "- name: topics\n  files",
            ),
        ],
    );
}

#[test]
fn component_job_and_chart_agree_on_the_broker() {
    let rule = |tree: &Tree, faults: &mut Faults| {
        let value = |path: &str, key: &str| {
            let found = resources(tree, path.trim_end_matches("/pubsub.yaml")).unwrap_or_default();
            let component = found.components.first().and_then(|c| c.value(key).map(str::to_owned));
            component.unwrap_or_default()
        };
        let job = tree.document(JOB)["spec"]["template"]["spec"]["containers"][0]["env"].clone();
        let plain = value("k8s/dapr/kafka/pubsub.yaml", "brokers");
        faults.unless_same("RPK_BROKERS", text(&named(&job, "RPK_BROKERS")["value"]), &plain);
        let chart = tree.document(REDPANDA);
        let prod = tree.document("k8s/overlays/prod/topics.yaml")["spec"]["template"]["spec"]["containers"]
            [0]["env"]
            .clone();
        let mechanism = text(&chart["auth"]["sasl"]["mechanism"]).to_owned();
        faults.unless_same(
            "RPK_SASL_MECHANISM",
            text(&named(&prod, "RPK_SASL_MECHANISM")["value"]),
            &mechanism,
        );
        faults.unless_same("saslMechanism", format!("SCRAM-{}", value(SASL, "saslMechanism")), mechanism);
        let nodes = number(&chart["statefulset"]["replicas"]);
        let listed = value(SASL, "brokers");
        for n in 0..nodes {
            let node = format!("redpanda-{n}.{plain}");
            faults.unless(
                listed.split(',').any(|broker| broker == node),
                format_args!("{node} is not in {listed}"),
            );
        }
        faults.unless_same("brokers listed", listed.split(',').count() as u64, nodes);
        faults.unless_same("REPLICAS", number(&named(&prod, "REPLICAS")["value"]), nodes);
        let dev = tree.document("k8s/redpanda/values-dev.yaml");
        let replicas = number(&named(&job, "REPLICAS")["value"]);
        faults.unless_same("REPLICAS on minikube", replicas, number(&dev["statefulset"]["replicas"]));
    };
    holds(
        rule,
        &[
            (JOB, "svc.cluster.local:9093", "svc.cluster.local:9092"),
            (REDPANDA, "replicas: 3", "replicas: 5"),
            (REDPANDA, "mechanism: SCRAM-SHA-512", "mechanism: SCRAM-SHA-256"),
            (SASL, "value: SHA-512", "value: SHA-256"),
            (SASL, "redpanda-2.redpanda", "redpanda-3.redpanda"),
            ("k8s/overlays/prod/topics.yaml", "value: \"3\"", "value: \"5\""),
            ("k8s/overlays/prod/topics.yaml", "value: SCRAM-SHA-512", "value: SCRAM-SHA-256"),
        ],
    );
}
