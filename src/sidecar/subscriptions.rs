//! What an app subscribes to: asking for it once, and reading the answer.
//!
//! One bad element refuses the whole list, as in daprd. Knows nothing of delivery.

use std::collections::BTreeMap;
use std::time::Duration;

use axum::http::StatusCode;
use serde::Deserialize;

use super::route::{Match, Rule, UnknownExpression};
use super::runtime::{AppState, Runtime};
use super::{Profile, channel::CallError};

/// The pause between looks at an app's port.
const PORT_POLL: Duration = Duration::from_millis(100);

/// How long an app may take to open its port before it is said that it does not: longer than most take to start.
const PORT_LATE: Duration = Duration::from_secs(5);

/// Tries after a call that brought no answer, and the pauses before them.
const ASK_AGAIN: [Duration; 3] =
    [Duration::from_millis(500), Duration::from_millis(750), Duration::from_secs(1)];

/// One subscription of one app.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscription {
    pub(crate) topic: String,
    pub(crate) rules: Vec<Rule>,
    pub(crate) dead_letter: Option<String>,
    pub(crate) raw: bool,
    pub(crate) bulk: Option<BulkSubscription>,
    pub(crate) metadata: BTreeMap<String, String>,
}

/// How messages are gathered for a bulk delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BulkSubscription {
    pub(crate) messages: usize,
    pub(crate) wait: Duration,
}

/// Why an app has no subscriptions.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    #[error("its list of subscriptions cannot be read: {0}")]
    Unreadable(#[from] serde_json::Error),
    #[error(transparent)]
    Expression(#[from] UnknownExpression),
    #[error("it answered /dapr/subscribe with status {0}")]
    Status(StatusCode),
    #[error(transparent)]
    Call(#[from] CallError),
}

#[derive(Deserialize)]
struct Sent {
    #[serde(default)]
    pubsubname: String,
    #[serde(default)]
    topic: String,
    #[serde(default)]
    route: String,
    #[serde(default)]
    routes: Option<SentRoutes>,
    #[serde(default, rename = "deadLetterTopic")]
    dead_letter_topic: String,
    #[serde(default)]
    metadata: Option<BTreeMap<String, String>>,
    #[serde(default, rename = "bulkSubscribe")]
    bulk_subscribe: Option<SentBulk>,
}

#[derive(Deserialize)]
struct SentRoutes {
    #[serde(default)]
    rules: Option<Vec<SentRule>>,
    #[serde(default)]
    default: String,
}

#[derive(Deserialize)]
struct SentRule {
    #[serde(default, rename = "match")]
    expression: String,
    #[serde(default)]
    path: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct SentBulk {
    #[serde(default)]
    enabled: bool,
    #[serde(default)]
    max_messages_count: i32,
    #[serde(default)]
    max_await_duration_ms: i32,
}

/// Waits for the app's port and its health, then asks it, once in the sidecar's life.
pub(crate) async fn ask(runtime: &Runtime, app: &AppState) -> Vec<Subscription> {
    let (began, mut told) = (runtime.clock.monotonic(), false);
    while !runtime.channel.accepts(&app.app.address).await {
        if !told && runtime.clock.monotonic().saturating_sub(began) >= PORT_LATE {
            tracing::warn!(
                app = %app.id,
                "no app listens at {} yet; it is asked for its subscriptions when it does", app.app.address
            );
            told = true;
        }
        runtime.clock.wait(PORT_POLL).await;
    }
    app.well().await;
    if let Err(error) = runtime.get(app, "/dapr/config").await {
        tracing::debug!(app = %app.id, %error, "the app did not answer /dapr/config");
    }
    match subscriptions(runtime, app).await {
        Ok(list) => list,
        Err(error) => {
            tracing::error!(
                app = %app.id, %error,
                "the app has no subscriptions; they are asked for once: mend the app, then start the sidecar again"
            );
            Vec::new()
        }
    }
}

async fn subscriptions(runtime: &Runtime, app: &AppState) -> Result<Vec<Subscription>, Refused> {
    let mut pauses = ASK_AGAIN.iter();
    let reply = loop {
        match (runtime.get(app, "/dapr/subscribe").await, pauses.next()) {
            (Ok(reply), _) => break reply,
            (Err(_), Some(pause)) => runtime.clock.wait(*pause).await,
            (Err(error), None) => return Err(error.into()),
        }
    };
    match reply.status() {
        StatusCode::OK => read(reply.body(), &runtime.settings.component, runtime.settings.profile),
        StatusCode::NOT_FOUND => {
            tracing::warn!(app = %app.id, "the app has no /dapr/subscribe, so nothing is delivered to it");
            Ok(Vec::new())
        }
        other => Err(Refused::Status(other)),
    }
}

/// Reads the answer to `/dapr/subscribe`; a later entry for a topic replaces an earlier one.
pub(crate) fn read(body: &[u8], component: &str, profile: Profile) -> Result<Vec<Subscription>, Refused> {
    if body.is_empty() {
        return Ok(Vec::new());
    }
    let sent: Option<Vec<Sent>> = serde_json::from_slice(body)?;
    let mut list: Vec<Subscription> = Vec::new();
    for sent in sent.unwrap_or_default() {
        let rules = rules(&sent)?;
        if sent.pubsubname != component {
            tracing::warn!(pubsub = sent.pubsubname, topic = sent.topic, "no such pubsub: not subscribed");
            continue;
        }
        if rules.is_empty() {
            tracing::warn!(topic = sent.topic, "the subscription has no route: not subscribed");
            continue;
        }
        let metadata = sent.metadata.unwrap_or_default();
        list.retain(|earlier| earlier.topic != sent.topic);
        list.push(Subscription {
            rules,
            dead_letter: (!sent.dead_letter_topic.is_empty()).then_some(sent.dead_letter_topic),
            raw: metadata.get("rawPayload").is_some_and(|v| v.eq_ignore_ascii_case("true")),
            bulk: sent.bulk_subscribe.filter(|b| b.enabled).map(|b| gathering(&b, profile)),
            topic: sent.topic,
            metadata,
        });
    }
    Ok(list)
}

fn rules(sent: &Sent) -> Result<Vec<Rule>, UnknownExpression> {
    let mut rules = Vec::new();
    let mut default = sent.route.as_str();
    if let Some(routes) = &sent.routes {
        for rule in routes.rules.iter().flatten() {
            let matches = Match::parse(&rule.expression)?;
            rules.push(Rule { expression: rule.expression.clone(), matches, path: absolute(&rule.path) });
        }
        if !routes.default.is_empty() {
            default = &routes.default;
        }
    }
    if !default.is_empty() {
        rules.push(Rule { expression: String::new(), matches: None, path: absolute(default) });
    }
    Ok(rules)
}

fn absolute(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

fn gathering(sent: &SentBulk, profile: Profile) -> BulkSubscription {
    let (messages, wait) = if profile == Profile::Kafka { (80, 10_000) } else { (100, 1_000) };
    let given = |value: i32| u32::try_from(value).ok().filter(|v| *v > 0);
    BulkSubscription {
        messages: given(sent.max_messages_count).map_or(messages, |n| n as usize),
        wait: Duration::from_millis(given(sent.max_await_duration_ms).map_or(wait, u64::from)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(body: &str) -> Result<Vec<Subscription>, Refused> {
        read(body.as_bytes(), "pubsub", Profile::Kafka)
    }

    #[test]
    fn every_form_of_a_subscription_is_read() {
        let read = list(
            r#"[{"pubsubname":"pubsub","topic":"a","route":"x"},
                {"pubsubname":"pubsub","topic":"b","route":"/old","deadLetterTopic":"dead",
                 "metadata":{"rawPayload":"true"},"bulkSubscribe":{"enabled":true},
                 "routes":{"rules":[{"match":"event.type == 'k'","path":"/k"}],"default":"/new"}},
                {"pubsubname":"other","topic":"c","route":"/x"},
                {"pubsubname":"pubsub","topic":"d"},
                {"pubsubname":"pubsub","topic":"a","route":"/y"}]"#,
        )
        .unwrap();
        let (b, a) = (&read[0], &read[1]);
        assert_eq!(read.len(), 2);
        assert_eq!((a.topic.as_str(), a.rules[0].path.as_str(), a.bulk), ("a", "/y", None));
        assert_eq!(b.rules.iter().map(|r| r.path.as_str()).collect::<Vec<_>>(), ["/k", "/new"]);
        assert_eq!((b.dead_letter.as_deref(), b.raw), (Some("dead"), true));
        assert_eq!(b.bulk, Some(BulkSubscription { messages: 80, wait: Duration::from_secs(10) }));
    }

    #[test]
    fn one_bad_element_refuses_the_whole_list() {
        let good = r#"{"pubsubname":"pubsub","topic":"a","route":"/x"}"#;
        for bad in [
            r#"{"pubsubname":"pubsub","topic":"b","route":"/x","metadata":{"rawPayload":true}}"#,
            r#"{"pubsubname":"pubsub","topic":"b","routes":{"rules":[{"match":"1 > 0","path":"/x"}]}}"#,
            r#"{"pubsubname":1}"#,
            "7",
        ] {
            assert!(list(&format!("[{good},{bad}]")).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_empty_answer_is_no_subscription() {
        for body in ["", "[]", "null"] {
            assert_eq!(list(body).unwrap(), [], "{body}");
        }
    }
}
