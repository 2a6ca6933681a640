//! What the worker subscribes to: the answer to `GET /dapr/subscribe`.
//!
//! Bulk deliveries are asked for on Kafka alone: every other component fills batches by waiting, which makes them
//! slower than single deliveries and can stall (measured on daprd 1.18.1).

use serde::Serialize;

use crate::config::{BulkSubscribe, Dapr, Topics};

/// Most events in one bulk delivery: a commit takes 128.
const BULK_MAX_MESSAGES: u32 = 100;
/// How long daprd may wait for more of them, in milliseconds. Its own default of ten seconds is lateness.
const BULK_MAX_AWAIT_MS: u32 = 20;

/// One element of the list (dapr/dapr `pkg/runtime/pubsub/subscriptions.go`).
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Subscription {
    /// The component.
    pub pubsubname: String,
    /// The topic.
    pub topic: String,
    /// The path its deliveries come to.
    pub route: &'static str,
    /// Where Dapr puts what it gives up on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dead_letter_topic: Option<String>,
    /// Whether deliveries come in bulk; absent means single.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bulk_subscribe: Option<Bulk>,
}

/// How deliveries come in bulk.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Bulk {
    enabled: bool,
    max_messages_count: u32,
    max_await_duration_ms: u32,
}

/// The paths of deliveries. They are the worker's own: topics may be called anything.
pub mod route {
    /// Created, completed and deleted tasks.
    pub const TASK_EVENTS: &str = "/events/task-events";
    /// Updated tasks.
    pub const TASK_UPDATES: &str = "/events/task-updates";
    /// Reminders.
    pub const REMINDERS: &str = "/events/reminders";
    /// Snoozes and acknowledgements.
    pub const REMINDER_ACTIONS: &str = "/events/reminder-actions";
}

/// The list, in bulk or single.
#[must_use]
pub fn subscriptions(dapr: &Dapr, topics: &Topics, bulk: bool) -> Vec<Subscription> {
    [
        (&topics.task_events, route::TASK_EVENTS),
        (&topics.task_updates, route::TASK_UPDATES),
        (&topics.reminders, route::REMINDERS),
    ]
    .into_iter()
    .chain(topics.reminder_actions.as_ref().map(|topic| (topic, route::REMINDER_ACTIONS)))
    .map(|(topic, route)| Subscription {
        pubsubname: dapr.pubsub.clone(),
        topic: topic.clone(),
        route,
        dead_letter_topic: topics.dead_letter.clone(),
        bulk_subscribe: bulk.then_some(Bulk {
            enabled: true,
            max_messages_count: BULK_MAX_MESSAGES,
            max_await_duration_ms: BULK_MAX_AWAIT_MS,
        }),
    })
    .collect()
}

/// Whether to ask for bulk deliveries of a component whose type is `component`, `None` where the sidecar did not
/// say: then single, which is right everywhere.
#[must_use]
pub fn wants_bulk(setting: BulkSubscribe, component: Option<&str>) -> bool {
    match setting {
        BulkSubscribe::On => true,
        BulkSubscribe::Off => false,
        BulkSubscribe::Auto => component == Some("pubsub.kafka"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn bulk_is_asked_for_on_kafka_alone_unless_a_setting_says_otherwise() {
        use BulkSubscribe::{Auto, Off, On};
        for (setting, component, bulk) in [
            (Auto, Some("pubsub.kafka"), true),
            (Auto, Some("pubsub.redis"), false),
            (Auto, Some("pubsub.in-memory"), false),
            (Auto, None, false),
            (On, None, true),
            (Off, Some("pubsub.kafka"), false),
        ] {
            assert_eq!(wants_bulk(setting, component), bulk, "{setting:?} {component:?}");
        }
    }

    #[test]
    fn the_list_reads_as_dapr_wants_it() {
        let mut config = Config::default();
        let single = serde_json::to_value(subscriptions(&config.dapr, &config.topics, false)).unwrap();
        assert_eq!(
            single,
            serde_json::json!([
                {"pubsubname": "kafka-pubsub", "topic": "task-events", "route": "/events/task-events"},
                {"pubsubname": "kafka-pubsub", "topic": "task-updates", "route": "/events/task-updates"},
                {"pubsubname": "kafka-pubsub", "topic": "reminders", "route": "/events/reminders"},
            ])
        );
        config.topics.reminder_actions = Some("acts".into());
        let with_actions = serde_json::to_value(subscriptions(&config.dapr, &config.topics, false)).unwrap();
        assert_eq!(
            with_actions[3],
            serde_json::json!({"pubsubname": "kafka-pubsub", "topic": "acts", "route": "/events/reminder-actions"})
        );
        config.topics.dead_letter = Some("dead".into());
        let bulk = serde_json::to_value(subscriptions(&config.dapr, &config.topics, true)).unwrap();
        assert_eq!(
            bulk[1],
            serde_json::json!({
                "pubsubname": "kafka-pubsub", "topic": "task-updates", "route": "/events/task-updates",
                "deadLetterTopic": "dead",
                "bulkSubscribe": {"enabled": true, "maxMessagesCount": 100, "maxAwaitDurationMs": 20},
            })
        );
    }
}
