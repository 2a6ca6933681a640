//! The tables of component types: which metadata keys each reads, what a key may hold, and what must be there.
//!
//! Source: `metadata.yaml` of each component in components-contrib v1.18, and the keys its code reads beside them.
//! Dapr reads most keys in any case and a few only as they are spelled here (`initialOffset`, `caCert`,
//! `consumerFetchMin` …); a key in another case is a problem here either way.

/// What a metadata key may hold.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape {
    Text,
    Switch,
    Whole,
    /// A Go duration.
    Span,
    /// A Go duration, or a bare number of milliseconds.
    SpanOrMillis,
    OneOf(&'static [&'static str]),
}

/// A metadata key.
pub(super) type Key = (&'static str, Shape);

/// A component type whose keys are known.
#[derive(Debug)]
pub(super) struct ComponentType {
    pub(super) name: &'static str,
    pub(super) keys: &'static [&'static [Key]],
    pub(super) required: &'static [&'static str],
    /// Of each group at least one.
    pub(super) one_of: &'static [&'static [&'static str]],
}

/// What stands before the first dot of a type.
pub(super) const CATEGORIES: [&str; 11] = [
    "bindings",
    "configuration",
    "conversation",
    "crypto",
    "lock",
    "middleware",
    "nameresolution",
    "pubsub",
    "secretstores",
    "state",
    "workflowbackend",
];

/// Pub/sub types that exist and have no table here: their keys are not checked.
pub(super) const UNCHECKED_PUBSUBS: [&str; 9] = [
    "pubsub.aws.snssqs",
    "pubsub.azure.eventhubs",
    "pubsub.gcp.pubsub",
    "pubsub.jetstream",
    "pubsub.kubemq",
    "pubsub.mqtt3",
    "pubsub.pulsar",
    "pubsub.rocketmq",
    "pubsub.solace.amqp",
];

use Shape::{OneOf, Span, SpanOrMillis, Switch, Text, Whole};

/// What the runtime itself reads of every pub/sub component.
const PUBSUB: &[Key] = &[
    ("allowedTopics", Text),
    ("consumerID", Text),
    ("protectedTopics", Text),
    ("publishingScopes", Text),
    ("subscriptionScopes", Text),
];

#[rustfmt::skip]
const KAFKA: &[Key] = &[
    ("authType", OneOf(&["none", "password", "mtls", "certificate", "oidc", "oidc_private_key_jwt", "awsiam"])),
    ("brokers", Text),
    ("caCert", Text),
    ("channelBufferSize", Whole),
    ("clientCert", Text),
    ("clientConnectionKeepAliveInterval", Span),
    ("clientConnectionTopicMetadataRefreshInterval", Span),
    ("clientID", Text),
    ("clientKey", Text),
    ("compression", OneOf(&["none", "gzip", "snappy", "lz4", "zstd"])),
    ("consumeRetryEnabled", Switch),
    ("consumeRetryInterval", SpanOrMillis),
    ("consumerFetchDefault", Whole),
    ("consumerFetchMin", Whole),
    ("consumerGroup", Text),
    ("consumerGroupRebalanceStrategy", OneOf(&["range", "sticky", "roundrobin"])),
    ("dialTimeout", Span),
    ("disableTls", Switch),
    ("escapeHeaders", Switch),
    ("excludeHeaderMetaRegex", Text),
    ("heartbeatInterval", Span),
    ("initialOffset", OneOf(&["oldest", "newest"])),
    ("maxMessageBytes", Whole),
    ("metadataTimeout", Span),
    ("oidcAudience", Text),
    ("oidcClientAssertionCert", Text),
    ("oidcClientAssertionKey", Text),
    ("oidcClientID", Text),
    ("oidcClientSecret", Text),
    ("oidcExtensions", Text),
    ("oidcKid", Text),
    ("oidcResource", Text),
    ("oidcScopes", Text),
    ("oidcTokenEndpoint", Text),
    ("producerRequiredAcks", OneOf(&["all", "local", "none"])),
    ("producerRetryMax", Whole),
    ("readTimeout", Span),
    ("saslMechanism", OneOf(&["PLAIN", "PLAINTEXT", "SHA-256", "SHA-512"])),
    ("saslPassword", Text),
    ("saslUsername", Text),
    ("schemaCachingEnabled", Switch),
    ("schemaLatestVersionCacheTTL", Span),
    ("schemaRegistryAPIKey", Text),
    ("schemaRegistryAPISecret", Text),
    ("schemaRegistryURL", Text),
    ("sessionTimeout", Span),
    ("skipVerify", Switch),
    ("useAvroJSON", Switch),
    ("version", Text),
    ("writeTimeout", Span),
];

/// How Kafka's consumer waits before it delivers a record again.
const BACK_OFF: &[Key] = &[
    ("backOffDuration", Span),
    ("backOffInitialInterval", Span),
    ("backOffMaxElapsedTime", Span),
    ("backOffMaxInterval", Span),
    ("backOffMaxRetries", Whole),
    ("backOffMultiplier", Text),
    ("backOffPolicy", OneOf(&["constant", "exponential"])),
    ("backOffRandomizationFactor", Text),
];

const AWS: &[Key] = &[
    ("accessKey", Text),
    ("assumeRoleArn", Text),
    ("awsAccessKey", Text),
    ("awsIamRoleArn", Text),
    ("awsRegion", Text),
    ("awsSecretKey", Text),
    ("awsSessionToken", Text),
    ("awsStsSessionName", Text),
    ("region", Text),
    ("secretKey", Text),
    ("sessionName", Text),
    ("sessionToken", Text),
];

const AZURE: &[Key] = &[
    ("azureAuthMethods", Text),
    ("azureCertificate", Text),
    ("azureCertificateFile", Text),
    ("azureCertificatePassword", Text),
    ("azureClientId", Text),
    ("azureClientSecret", Text),
    ("azureEnvironment", Text),
    ("azureTenantId", Text),
];

#[rustfmt::skip]
const REDIS: &[Key] = &[
    ("clientCert", Text),
    ("clientKey", Text),
    ("concurrency", Whole),
    ("dialTimeout", SpanOrMillis),
    ("enableTLS", Switch),
    ("failover", Switch),
    ("idleCheckFrequency", SpanOrMillis),
    ("idleTimeout", SpanOrMillis),
    ("insecureSkipTLSVerify", Switch),
    ("maxConnAge", SpanOrMillis),
    ("maxLenApprox", Whole),
    ("minIdleConns", Whole),
    ("poolSize", Whole),
    ("poolTimeout", SpanOrMillis),
    ("processingTimeout", SpanOrMillis),
    ("queueDepth", Whole),
    ("readTimeout", SpanOrMillis),
    ("redeliverInterval", SpanOrMillis),
    ("redisDB", Whole),
    ("redisHost", Text),
    ("redisMaxRetries", Whole),
    ("redisMaxRetryInterval", SpanOrMillis),
    ("redisMinRetryInterval", SpanOrMillis),
    ("redisPassword", Text),
    ("redisPort", Whole),
    ("redisType", OneOf(&["node", "cluster"])),
    ("redisUsername", Text),
    ("sentinelMasterName", Text),
    ("sentinelPassword", Text),
    ("sentinelUsername", Text),
    ("streamTTL", SpanOrMillis),
    ("useEntraID", Switch),
    ("writeTimeout", SpanOrMillis),
];

const SERVICE_BUS: &[Key] = &[
    ("autoDeleteOnIdleInSec", Whole),
    ("connectionString", Text),
    ("defaultMessageTimeToLiveInSec", Whole),
    ("disableEntityManagement", Switch),
    ("handlerTimeoutInSec", Whole),
    ("lockDurationInSec", Whole),
    ("lockRenewalInSec", Whole),
    ("maxActiveMessages", Whole),
    ("maxConcurrentHandlers", Whole),
    ("maxConnectionRecoveryInSec", Whole),
    ("maxDeliveryCount", Whole),
    ("maxRetriableErrorsPerSec", Whole),
    ("minConnectionRecoveryInSec", Whole),
    ("namespaceName", Text),
    ("publishInitialRetryIntervalInMs", Whole),
    ("publishMaxRetries", Whole),
    ("timeoutInSec", Whole),
];

#[rustfmt::skip]
const RABBITMQ: &[Key] = &[
    ("autoAck", Switch),
    ("caCert", Text),
    ("clientCert", Text),
    ("clientKey", Text),
    ("clientName", Text),
    ("concurrency", OneOf(&["parallel", "single"])),
    ("connectionString", Text),
    ("deletedWhenUnused", Switch),
    ("deliveryMode", Whole),
    ("durable", Switch),
    ("enableDeadLetter", Switch),
    ("exchangeKind", Text),
    ("heartBeat", Span),
    ("hostname", Text),
    ("maxLen", Whole),
    ("maxLenBytes", Whole),
    ("password", Text),
    ("prefetchCount", Whole),
    ("protocol", OneOf(&["amqp", "amqps"])),
    ("publishMessagePropertiesToMetadata", Switch),
    ("publisherConfirm", Switch),
    ("reconnectWaitSeconds", Whole),
    ("requeueInFailure", Switch),
    ("saslExternal", Switch),
    ("ttlInSeconds", Whole),
    ("username", Text),
];

/// Every type whose keys are known.
#[rustfmt::skip]
pub(super) const TYPES: &[ComponentType] = &[
    ComponentType { name: "pubsub.kafka", keys: &[PUBSUB, KAFKA, BACK_OFF, AWS],
                    required: &["brokers", "authType"], one_of: &[] },
    ComponentType { name: "pubsub.redis", keys: &[PUBSUB, REDIS, AZURE], required: &["redisHost"], one_of: &[] },
    ComponentType { name: "pubsub.in-memory", keys: &[PUBSUB], required: &[], one_of: &[] },
    ComponentType { name: "pubsub.azure.servicebus.topics", keys: &[PUBSUB, SERVICE_BUS, AZURE],
                    required: &[], one_of: &[&["connectionString", "namespaceName"]] },
    ComponentType { name: "pubsub.azure.servicebus.queues", keys: &[PUBSUB, SERVICE_BUS, AZURE],
                    required: &[], one_of: &[&["connectionString", "namespaceName"]] },
    ComponentType { name: "pubsub.rabbitmq", keys: &[PUBSUB, RABBITMQ],
                    required: &[], one_of: &[&["connectionString", "hostname"]] },
    ComponentType { name: "secretstores.kubernetes", keys: &[&[("defaultNamespace", Text)]],
                    required: &[], one_of: &[] },
    ComponentType { name: "secretstores.local.env", keys: &[&[("prefix", Text)]], required: &[], one_of: &[] },
    ComponentType { name: "secretstores.local.file",
                    keys: &[&[("multiValued", Switch), ("nestedSeparator", Text), ("secretsFile", Text)]],
                    required: &["secretsFile"], one_of: &[] },
];

/// What an `authType` of Kafka needs beside it.
pub(super) const KAFKA_AUTH: [(&str, &[&str]); 4] = [
    ("password", &["saslUsername", "saslPassword"]),
    ("oidc", &["oidcTokenEndpoint", "oidcClientID", "oidcClientSecret"]),
    (
        "oidc_private_key_jwt",
        &["oidcTokenEndpoint", "oidcClientID", "oidcClientAssertionCert", "oidcClientAssertionKey"],
    ),
    ("awsiam", &["region"]),
];

/// Keys that were once read, and what to write now.
pub(super) const GONE: [(&str, &str); 2] = [
    ("authRequired", "it is deprecated: write authType, such as `none`"),
    ("clientTransport", "Dapr has no such key: write host:port in brokers"),
];

impl ComponentType {
    /// The shape of the key called `name`.
    pub(super) fn shape(&self, name: &str) -> Option<Shape> {
        self.keys.iter().copied().flatten().find(|(key, _)| *key == name).map(|(_, shape)| *shape)
    }

    /// Every key.
    pub(super) fn names(&self) -> impl Iterator<Item = &'static str> {
        self.keys.iter().copied().flatten().map(|(key, _)| *key)
    }
}

impl Shape {
    /// Whether `text` may stand there.
    pub(super) fn accepts(self, text: &str) -> bool {
        match self {
            Text => true,
            Switch => matches!(text, "true" | "false"),
            Whole => text.parse::<i64>().is_ok(),
            Span => super::span::parse(text).is_some(),
            SpanOrMillis => super::span::parse_or_millis(text).is_some(),
            OneOf(words) => words.contains(&text),
        }
    }

    /// What may stand there, for a person.
    pub(super) fn wanted(self) -> String {
        match self {
            Text => "text".to_owned(),
            Switch => "`true` or `false`".to_owned(),
            Whole => "a whole number".to_owned(),
            Span => "a duration such as `10s`".to_owned(),
            SpanOrMillis => "a duration such as `10s`, or milliseconds".to_owned(),
            OneOf(words) => format!("one of {}", words.join(", ")),
        }
    }
}
