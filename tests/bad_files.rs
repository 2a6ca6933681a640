//! Files that a person writes, cut short at every byte and with every byte flipped: what is still right is taken as it
//! stands, the rest is told with its file, and nothing panics.

use std::path::Path;

use reminder_worker::config::{Config, Inputs, Source};
use reminder_worker::sidecar::resources::Resources;

const SECRET: &str = "s3cr3t-0123456789abcdefghijklmnopqrs";

/// One of each shape that a setting has.
const CONFIG: &str = "# A comment, ü.
[store]
path = \"data/store\"
cache_mb = 64

[ops]
host = \"::1\"
port = 8090
token = \"s3cr3t-0123456789abcdefghijklmnopqrs\"
user_key = 's3cr3t-0123456789abcdefghijklmnopqrs'

[reminders]
default_offsets = [0, 60]
windows = [\"0=5m\"]
default_timezone = \"Europe/Berlin\"
date_only_time = \"09:30\"
expire_after = \"24h\"
receipts = true

[log]
level = \"debug\"
";

const COMPONENTS: &str = "apiVersion: dapr.io/v1alpha1
kind: Component
metadata:
  name: kafka-pubsub
spec:
  type: pubsub.kafka
  version: v1
  metadata:
  - name: brokers
    value: \"localhost:9092\" # ü
  - {name: authType, value: none}
  - name: saslPassword
    secretKeyRef: {name: kafka, key: password}
scopes: [reminder-worker]
auth:
  secretStore: kubernetes
---
apiVersion: dapr.io/v1alpha1
kind: Resiliency
metadata: {name: reminder-worker}
spec:
  policies:
    retries: {steadily: {policy: constant, duration: 1s, maxRetries: -1}}
  targets:
    components: {kafka-pubsub: {inbound: {retry: steadily}}}
";

/// The bits that are flipped: to a neighbour, to the other case, and to what is no ASCII.
const FLIPS: [u8; 3] = [0x01, 0x20, 0x80];

/// `text` cut at every byte, and with every byte flipped in each of [`FLIPS`].
fn damaged(text: &str) -> impl Iterator<Item = (String, Vec<u8>)> {
    let cuts = (0..text.len()).map(|at| (format!("cut at {at}"), text.as_bytes()[..at].to_vec()));
    let flips = (0..text.len()).flat_map(move |at| {
        FLIPS.map(|flip| {
            let mut bytes = text.as_bytes().to_vec();
            bytes[at] ^= flip;
            (format!("byte {at} flipped by {flip:#x}"), bytes)
        })
    });
    cuts.chain(flips)
}

fn load(file: &Path) -> Result<reminder_worker::config::Loaded, String> {
    let inputs = Inputs { file: Some(file.to_owned()), ..Inputs::default() };
    Config::load(&inputs).map_err(|invalid| {
        assert!(!invalid.problems.is_empty());
        invalid.to_string()
    })
}

#[test]
fn a_damaged_configuration_is_refused_by_name_or_taken_as_it_stands_and_shows_no_secret() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("worker.toml");
    std::fs::write(&file, CONFIG).unwrap();
    let whole = load(&file).unwrap();
    let named = |loaded: &reminder_worker::config::Loaded| {
        let of_file = loaded.settings.iter().filter(|setting| matches!(setting.source, Source::File(_)));
        of_file.map(|setting| setting.key).collect::<Vec<_>>()
    };
    assert_eq!(named(&whole).len(), 13);
    let (mut taken, mut refused) = (0, 0);
    for (how, bytes) in damaged(CONFIG) {
        std::fs::write(&file, &bytes).unwrap();
        match load(&file) {
            Ok(loaded) => {
                taken += 1;
                // Nothing that stands there is passed over: a line is a setting, or the file is refused.
                let lines = String::from_utf8(bytes).unwrap();
                let set = lines.lines().filter(|line| line.contains(" = ") && !line.starts_with('#')).count();
                let keys = named(&loaded);
                assert_eq!(keys.len(), set, "{how}: {keys:?}");
                assert!(!format!("{:?} {:?}", loaded.config, loaded.settings).contains("s3cr3t"), "{how}");
            }
            Err(told) => {
                refused += 1;
                assert!(told.lines().all(|line| line.contains("worker.toml")), "{how}: {told}");
                let leaked = (0..SECRET.len() - 8).find(|at| told.contains(&SECRET[*at..at + 8]));
                assert_eq!(leaked, None, "{how}: {told}");
            }
        }
    }
    println!("{taken} taken, {refused} refused");
    assert!(taken > 0 && refused > taken);
}

#[test]
fn damaged_resources_are_refused_by_file_and_line_or_taken_as_they_stand() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("pubsub.yaml");
    std::fs::write(&file, COMPONENTS).unwrap();
    let whole = Resources::load(dir.path()).unwrap();
    assert_eq!((whole.components.len(), whole.resiliencies.len()), (1, 1));
    let (mut taken, mut refused) = (0, 0);
    for (how, bytes) in damaged(COMPONENTS) {
        std::fs::write(&file, &bytes).unwrap();
        match Resources::load(dir.path()) {
            Ok(resources) => {
                taken += 1;
                let kinds = String::from_utf8(bytes).unwrap().matches("\nkind: ").count();
                let seen = resources.components.len()
                    + resources.resiliencies.len()
                    + resources.subscriptions.len()
                    + resources.configurations.len()
                    + resources.passed_over.len();
                assert!(seen >= kinds, "{how}: {resources:?}");
                // What they mean is told without a panic, whatever it is.
                let _ = resources.findings("kafka-pubsub", "reminder-worker");
            }
            Err(invalid) => {
                refused += 1;
                assert!(!invalid.problems.is_empty());
                for problem in &invalid.problems {
                    assert!(problem.file == "pubsub.yaml" && !problem.what.is_empty(), "{how}: {problem:?}");
                }
            }
        }
    }
    println!("{taken} taken, {refused} refused");
    assert!(taken > 0 && refused > taken);
}
