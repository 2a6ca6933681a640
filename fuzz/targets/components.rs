//! Dapr's YAML resources: they can be used, or every problem says what is wrong.

#![no_main]

use libfuzzer_sys::fuzz_target;
use reminder_worker::sidecar::resources::Resources;

fuzz_target!(|text: &str| {
    match Resources::parse(&[("fuzzed.yaml".to_owned(), text.to_owned())]) {
        Ok(resources) => {
            resources.component("kafka-pubsub", "reminder-worker");
            resources.inbound_retry("kafka-pubsub", "reminder-worker");
            resources.findings("kafka-pubsub", "reminder-worker");
        }
        Err(invalid) => {
            assert!(!invalid.problems.is_empty());
            invalid.problems.iter().for_each(|problem| assert!(!problem.what.is_empty()));
        }
    }
});
