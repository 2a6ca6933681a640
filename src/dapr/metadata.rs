//! What `/v1.0/metadata` tells: the components that a sidecar could initialise, and what it subscribed to.
//!
//! A list that is empty is left out (measured on daprd 1.18.3), and a component that failed to initialise under
//! `ignoreErrors` is not in it. A subscription is listed even while its topic does not exist. Source: dapr/dapr
//! `pkg/api/http/metadata.go`.

use serde::Deserialize;

/// The part that the worker looks at.
#[derive(Deserialize, Debug)]
pub(super) struct Metadata {
    #[serde(default)]
    components: Option<Vec<Component>>,
    #[serde(default)]
    subscriptions: Option<Vec<Subscription>>,
}

#[derive(Deserialize, Debug)]
struct Component {
    name: String,
    r#type: String,
}

#[derive(Deserialize, Debug)]
struct Subscription {
    pubsubname: String,
    topic: String,
}

impl Metadata {
    /// Reads an answer; `None` where it is none.
    pub(super) fn read(body: &[u8]) -> Option<Self> {
        serde_json::from_slice(body).ok()
    }

    /// The type of the component called `name`, such as `pubsub.kafka`.
    pub(super) fn component_type(&self, name: &str) -> Option<&str> {
        self.components.iter().flatten().find(|c| c.name == name).map(|c| c.r#type.as_str())
    }

    /// The names of all components.
    pub(super) fn components(&self) -> impl Iterator<Item = &str> {
        self.components.iter().flatten().map(|component| component.name.as_str())
    }

    /// Whether each of `topics` of the component called `pubsub` is subscribed to.
    pub(super) fn delivers(&self, pubsub: &str, topics: &[&str]) -> bool {
        let listed = |topic: &str| {
            self.subscriptions.iter().flatten().any(|s| s.pubsubname == pubsub && s.topic == topic)
        };
        topics.iter().all(|topic| listed(topic))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_type_is_that_of_the_component_asked_for() {
        let metadata = Metadata::read(
            br#"{"id":"x","components":[{"name":"store","type":"state.redis","version":"v1"},
            {"name":"kafka-pubsub","type":"pubsub.kafka","capabilities":[]}]}"#,
        )
        .unwrap();
        assert_eq!(metadata.component_type("kafka-pubsub"), Some("pubsub.kafka"));
        assert_eq!(metadata.component_type("other"), None);
        assert_eq!(metadata.components().collect::<Vec<_>>(), ["store", "kafka-pubsub"]);
    }

    #[test]
    fn a_sidecar_delivers_what_its_metadata_lists_for_the_component() {
        let metadata = br#"{"id":"x","components":[],"subscriptions":[
            {"pubsubname":"kafka-pubsub","topic":"task-events","type":"PROGRAMMATIC","rules":[]},
            {"pubsubname":"other","topic":"task-updates","type":"DECLARATIVE"}]}"#;
        let metadata = Metadata::read(metadata).unwrap();
        assert!(metadata.delivers("kafka-pubsub", &["task-events"]));
        assert!(!metadata.delivers("kafka-pubsub", &["task-events", "task-updates"]));
    }

    #[test]
    fn a_list_may_be_missing_and_what_is_no_metadata_tells_nothing() {
        for nothing in ["{}", r#"{"subscriptions":null,"components":null}"#] {
            let metadata = Metadata::read(nothing.as_bytes()).unwrap();
            assert!(!metadata.delivers("kafka-pubsub", &["task-events"]));
            assert_eq!((metadata.component_type("a"), metadata.components().next()), (None, None));
        }
        assert!(Metadata::read(b"no").is_none());
    }
}
