//! Resources that are right, wrong in every way there is, and right but unwise.

use std::time::Duration;

use super::*;

const KAFKA: &str = "apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: kafka-pubsub}
spec:
  type: pubsub.kafka
  version: v1
  metadata:
  - {name: brokers, value: \"kafka:9092\"}
  - {name: authType, value: none}
  - {name: initialOffset, value: oldest}
";
const REDIS: &str = "apiVersion: dapr.io/v1alpha1
kind: Component
metadata: {name: kafka-pubsub}
spec: {type: pubsub.redis, version: v1, metadata: [{name: concurrency, value: '1'}, {name: redisHost, value: 'redis:6379'}]}
";
const RETRY: &str = "apiVersion: dapr.io/v1alpha1
kind: Resiliency
metadata: {name: r}
spec:
  policies:
    retries: {again: {policy: constant, duration: 1s, maxRetries: -1}}
  targets:
    components: {kafka-pubsub: {inbound: {retry: again}}}
";

fn parse(text: &str) -> Result<Resources, Vec<String>> {
    let problems = |invalid: Invalid| invalid.problems.iter().map(ToString::to_string).collect();
    Resources::parse(&[("f.yaml".to_owned(), text.to_owned())]).map_err(problems)
}

/// What is wrong with `text`, which is exactly one thing.
fn wrong(text: &str) -> String {
    let problems = parse(text).expect_err(text);
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems[0].clone()
}

fn warnings(text: &str) -> Vec<String> {
    parse(text).unwrap().findings("kafka-pubsub", "reminder-worker").into_iter().map(|f| f.what).collect()
}

#[test]
fn several_documents_of_a_file_are_read_and_others_are_passed_over() {
    let text = format!(
        "# a comment\n---\n{KAFKA}---\n{RETRY}---\n---\nkind: Secret\napiVersion: v1\nmetadata: {{name: s}}\n---\n\
         apiVersion: dapr.io/v2alpha1\nkind: Subscription\nmetadata: {{name: s}}\nspec: {{pubsubname: kafka-pubsub, \
         topic: a, routes: {{rules: [{{match: 'event.type == \"x\"', path: /x}}], default: /y}}}}\n---\n\
         apiVersion: dapr.io/v1alpha1\nkind: Configuration\nmetadata: {{name: c}}\nspec: {{tracing: {{samplingRate: \"1\", \
         otel: {{endpointAddress: 'otel:4317', protocol: grpc, isSecure: false}}}}, metrics: {{enabled: true}}}}\n"
    );
    let read = parse(&text).unwrap();
    let component = read.component("kafka-pubsub", "any").unwrap();
    assert_eq!(
        (component.component_type.as_str(), component.value("brokers")),
        ("pubsub.kafka", Some("kafka:9092"))
    );
    assert_eq!(component.place, Location { file: "f.yaml".into(), line: 3 });
    assert_eq!(read.subscriptions[0].paths, ["/x", "/y"]);
    assert_eq!((read.resiliencies.len(), read.configurations.len()), (1, 1));
    assert_eq!(read.passed_over.len(), 1);
    assert!(read.passed_over[0].ends_with(": Secret"), "{:?}", read.passed_over);
    let retry = read.inbound_retry("kafka-pubsub", "any").unwrap();
    assert_eq!(
        retry.for_deliveries(),
        crate::sidecar::InboundRetry { interval: Duration::from_secs(1), max_retries: u32::MAX }
    );
    assert_eq!(warnings(&text), [""; 0]);
}

#[rustfmt::skip]
#[test]
fn what_is_wrong_is_told_with_line_key_and_what_was_meant() {
    for (was, is, said) in [
        ("initialOffset", "initalOffset", "f.yaml:10: Component kafka-pubsub: pubsub.kafka has no metadata key `initalOffset`, and Dapr would not say so; did you mean `initialOffset`?"),
        ("initialOffset", "initialoffset", "it is spelled `initialOffset`"),
        ("initialOffset", "authRequired", "it is deprecated: write authType"),
        ("initialOffset", "clientTransport", "write host:port in brokers"),
        ("value: oldest", "value: earliest", "f.yaml:10: Component kafka-pubsub: spec.metadata `initialOffset`: `earliest` is not allowed; write one of oldest, newest"),
        ("name: brokers, value: \"kafka:9092\"", "name: clientID, value: me", "pubsub.kafka needs the metadata key `brokers`"),
        ("\"kafka:9092\"", "\"\"", "pubsub.kafka needs the metadata key `brokers`"),
        ("kafka:9092", "tcp://kafka:9092", "brokers: write host:port, without a scheme"),
        ("name: authType, value: none", "name: clientID, value: me", "needs the metadata key `authType`"),
        ("value: none", "value: password}\n  - {name: saslUsername, value: me", "authType `password` needs the metadata key `saslPassword`"),
        ("dapr.io/v1alpha1", "dapr.io/v1", "f.yaml:1: Component kafka-pubsub: apiVersion `dapr.io/v1` is none of a Component; write `dapr.io/v1alpha1`"),
        ("kind: Component", "kind: Componet", "Dapr has no kind `Componet`; did you mean `Component`?"),
        ("pubsub.kafka", "pubsub.kafak", "there is no broker `pubsub.kafak`; did you mean `pubsub.kafka`?"),
        ("pubsub.kafka", "pubsup.kafka", "there are no components `pubsup.…`; did you mean `pubsub`?"),
        ("  version: v1\n", "", "spec.version is missing"),
        ("  version: v1", "  version: v1\n  ignoreError: true", "spec has no key `ignoreError`; did you mean `ignoreErrors`?"),
        ("  version: v1", "  version: v1\n  initTimeout: 5", "spec.initTimeout: `5` is not allowed; write a duration such as `10s`"),
        ("{name: kafka-pubsub}", "{name: a/b}", "metadata.name is missing or cannot stand in a path"),
        ("{name: kafka-pubsub}", "{name: kafka-pubsub, lables: {}}", "did you mean `labels`?"),
        ("  - {name: authType", "  - {name: brokers, value: a}\n  - {name: authType", "spec.metadata `brokers` is there twice"),
        (", value: oldest", "", "needs one of value, secretKeyRef and envRef"),
        ("value: oldest", "secretKeyRef: {key: a}", "spec.metadata `initialOffset` secretKeyRef.name is missing"),
        ("value: oldest", "valeu: oldest", "has no key `valeu`; did you mean `value`?"),
    ] {
        assert!(KAFKA.contains(was), "{was}");
        let problems = parse(&KAFKA.replacen(was, is, 1)).expect_err(is);
        assert!(problems[0].contains(said), "{is}: {problems:#?}");
    }
    assert!(wrong("a: [").starts_with("f.yaml:"), "{}", wrong("a: ["));
    assert!(wrong(&format!("{KAFKA}spec: {{}}\n")).contains("duplicate"), "a key that is there twice");
}

#[rustfmt::skip]
#[test]
fn a_resiliency_names_what_exists_and_says_how_long() {
    for (was, is, said) in [
        ("retry: again}", "retry: agin}", "Resiliency r: there is no retry policy `agin`; did you mean `again`?"),
        ("{kafka-pubsub: ", "{kafka-pubsup: ", "it targets `kafka-pubsup`, which is no component here; did you mean `kafka-pubsub`?"),
        ("duration: 1s", "duration: 1 second", "retry `again` duration: `1 second` is no duration such as 1s"),
        ("policy: constant", "policy: linear", "`linear` is no policy: write constant or exponential"),
        ("maxRetries: -1", "maxRetries: -2", "`-2` is no number of tries; -1 is for ever"),
        ("maxRetries: -1", "maxRetrys: -1", "retry `again` has no key `maxRetrys`; did you mean `maxRetries`?"),
        ("maxRetries: -1", "matching: {httpStatusCodes: '5xx'}", "`5xx` is no list of codes such as 429,500-599"),
        ("inbound: {", "inbond: {", "target `kafka-pubsub` has no key `inbond`; did you mean `inbound`?"),
        ("retry: again}", "retry: again, timeout: slow}", "there is no timeout policy `slow`; it has none"),
        ("  policies:", "  policys: {}\n  policies:", "spec has no key `policys`; did you mean `policies`?"),
    ] {
        assert!(RETRY.contains(was), "{was}");
        let text = format!("{KAFKA}---\n{}", RETRY.replacen(was, is, 1));
        assert!(wrong(&text).contains(said), "{is}: {}", wrong(&text));
    }
}

#[rustfmt::skip]
#[test]
fn what_is_unwise_is_told_with_its_reason() {
    let redis = format!("{REDIS}---\n{RETRY}");
    let exponential = redis.replace("policy: constant, duration: 1s", "policy: exponential, maxInterval: 15s");
    for (text, said) in [
        (KAFKA.replace("oldest", "newest"), "starts at the newest offset"),
        (KAFKA.replace("initialOffset, value: oldest", "clientID, value: me"), "starts at the newest offset"),
        (format!("{KAFKA}  - {{name: consumerGroup, value: all}}\n"), "apps that share it split the messages"),
        (format!("{KAFKA}  - {{name: consumeRetryEnabled, value: \"false\"}}\n"), "skipped and lost"),
        (REDIS.to_owned(), "pubsub.redis loses a message that the app cannot take"),
        (REDIS.replace("pubsub.redis", "pubsub.in-memory").replace("{name: concurrency, value: '1'}, {name: redisHost, value: 'redis:6379'}", ""), "pubsub.in-memory loses"),
        (exponential.clone(), "gives up after 15 minutes whatever maxRetries says, and the message is lost"),
        (redis.replace("{name: concurrency, value: '1'}, ", ""), "delivers several messages at a time (concurrency: 10)"),
        (redis.replace("concurrency, value: '1'", "concurrency, value: '2'"), "(concurrency: 2)"),
        (redis.replace("maxRetries: -1", "maxRetries: 90"), "ends after 1m 30s, and pubsub.redis then loses"),
        (redis.replace("maxRetries: -1", "matching: {httpStatusCodes: '500-599'}"), "it gives up at once on every other status"),
    ] {
        let found = warnings(&text);
        assert!(found.len() == 1 && found[0].contains(said), "{said}: {found:#?}");
    }
    assert_eq!(warnings(&redis), [""; 0]);
    let retry = parse(&exponential).unwrap();
    let retry = retry.inbound_retry("kafka-pubsub", "x").unwrap().for_deliveries();
    assert_eq!((retry.interval, retry.max_retries), (Duration::from_secs(15), 60));
}

#[test]
fn a_component_must_be_there_in_scope_and_a_broker() {
    let scoped = format!("{KAFKA}scopes: [other]\n");
    let store = KAFKA.replace("pubsub.kafka", "state.redis");
    for (text, pubsub, said) in [
        (KAFKA, "kafka-pubsup", "no component of that name is there; there is kafka-pubsub"),
        (scoped.as_str(), "kafka-pubsub", "scoped to other; add reminder-worker to its scopes"),
        (store.as_str(), "kafka-pubsub", "which is no broker"),
        ("kind: Secret\n", "kafka-pubsub", "there is no broker"),
    ] {
        let found = parse(text).unwrap().findings(pubsub, "reminder-worker");
        assert!(found.len() == 1 && found[0].severity == Severity::Error, "{found:#?}");
        assert!(found[0].what.contains(said), "{found:#?}");
    }
}

#[test]
fn scopes_decide_which_app_sees_a_component_and_its_retry() {
    let scoped = |app: &str| format!("{KAFKA}scopes: [{app}]\n---\n{RETRY}scopes: [{app}]\n");
    let both = format!("{}---\n{}", scoped("a"), scoped("b").replace("duration: 1s", "duration: 2s"));
    let read = parse(&both).unwrap();
    for (app, seconds) in [("a", Some(1)), ("b", Some(2)), ("c", None)] {
        let retry = read.inbound_retry("kafka-pubsub", app).map(|retry| retry.interval.as_secs());
        assert_eq!((read.component("kafka-pubsub", app).is_some(), retry), (seconds.is_some(), seconds));
    }
    let twice = format!("{KAFKA}---\n{KAFKA}scopes: [a]\n");
    assert!(wrong(&twice).contains("there is one of this name at f.yaml:1, for the same apps"));
}

#[test]
fn a_default_policy_holds_where_no_target_names_the_component() {
    let default = RETRY.replace("again", "DefaultComponentInboundRetryPolicy");
    let untargeted = default.split("  targets:").next().unwrap();
    let retry = |text: &str| parse(text).unwrap().inbound_retry("kafka-pubsub", "x").cloned();
    assert!(retry(&format!("{KAFKA}---\n{untargeted}")).is_some());
    let targeted =
        format!("{KAFKA}---\n{untargeted}  targets: {{components: {{kafka-pubsub: {{outbound: {{}}}}}}}}\n");
    assert_eq!(retry(&targeted), None);
}

#[test]
fn only_yaml_files_of_the_directory_itself_are_read() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |said: &str| {
        let told = Resources::load(dir.path()).expect_err(said).to_string();
        assert!(told.contains(said), "{told}");
    };
    refused("it has 0 YAML files");
    std::fs::create_dir(dir.path().join("below")).unwrap();
    std::fs::write(dir.path().join("below/k.yaml"), "a: [").unwrap();
    std::fs::write(dir.path().join("notes.txt"), "a: [").unwrap();
    std::fs::write(dir.path().join("b.yml"), RETRY).unwrap();
    std::fs::write(dir.path().join("a.yaml"), KAFKA).unwrap();
    let read = Resources::load(dir.path()).unwrap();
    assert_eq!((read.components.len(), read.resiliencies.len()), (1, 1));
    let on_the_bound =
        format!("{KAFKA}#{}", " ".repeat(usize::try_from(FILE_MAX_BYTES).unwrap() - KAFKA.len() - 1));
    std::fs::write(dir.path().join("a.yaml"), &on_the_bound).unwrap();
    assert!(Resources::load(dir.path()).is_ok());
    std::fs::write(dir.path().join("a.yaml"), format!("{on_the_bound} ")).unwrap();
    refused("a.yaml: it is larger than 1048576 bytes");
    for n in 0..FILES_MAX - 2 {
        std::fs::write(dir.path().join(format!("x{n}.yaml")), "").unwrap();
    }
    std::fs::write(dir.path().join("a.yaml"), KAFKA).unwrap();
    assert!(Resources::load(dir.path()).is_ok());
    std::fs::write(dir.path().join("y.yaml"), "").unwrap();
    refused("it has 1001 YAML files");
}

proptest::proptest! {
    #[test]
    fn no_text_breaks_the_parser(text in "[a-z:\\-{}\\[\\]#&*!|> \n\"']{0,80}") {
        let _ = parse(&text);
        let _ = parse(&format!("{KAFKA}{text}"));
    }
}
