//! Resiliency: how often a sidecar tries again, and for which component.
//!
//! Only what concerns deliveries is kept; the rest is checked and let go.

use std::collections::BTreeMap;
use std::time::Duration;

use super::Location;
use super::node::Node;
use super::reader::Reader;
use super::span;
use crate::sidecar::InboundRetry;

/// The wait of a constant policy that names none.
const CONSTANT_DEFAULT: Duration = Duration::from_secs(5);
/// The longest wait of an exponential policy that names none.
const MAX_INTERVAL_DEFAULT: Duration = Duration::from_secs(60);
/// When an exponential policy gives up, whatever its `maxRetries` says; no resource can change it.
pub const EXPONENTIAL_END: Duration = Duration::from_secs(15 * 60);

/// Policies for deliveries that hold for components that no target names, the most specific first.
const DEFAULTS: [&str; 4] = [
    "DefaultPubsubComponentInboundRetryPolicy",
    "DefaultComponentInboundRetryPolicy",
    "DefaultComponentRetryPolicy",
    "DefaultRetryPolicy",
];

/// A Resiliency resource.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resiliency {
    /// Its name.
    pub name: String,
    /// Its retry policies by name.
    pub retries: BTreeMap<String, Retry>,
    /// The components its targets name, with the retry policy of their deliveries.
    pub inbound: BTreeMap<String, Option<String>>,
    /// Every policy that a target names.
    pub(super) named: Vec<Named>,
    /// Names of the timeouts and circuit breakers it has.
    pub(super) others: [Vec<String>; 2],
    /// The apps that see it; none means every app.
    pub scopes: Vec<String>,
    /// Where it stands.
    pub place: Location,
}

/// A policy that a target names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    /// `timeout`, `retry` or `circuitBreaker`.
    pub(super) kind: &'static str,
    pub(super) policy: String,
    pub(super) line: u64,
}

/// A retry policy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// Whether its waits grow; then it ends after [`EXPONENTIAL_END`].
    pub exponential: bool,
    /// The wait between two tries, the longest one where they grow.
    pub interval: Duration,
    /// Tries after the first; `None` for no end.
    pub max_retries: Option<u32>,
    /// Whether it tries again only after some statuses.
    pub matching: bool,
    /// The line it stands on.
    pub line: u64,
}

impl Retry {
    /// What a sidecar that waits alike before every try does with it: an exponential policy becomes as many of its
    /// longest waits as fit before its end.
    #[must_use]
    pub fn for_deliveries(&self) -> InboundRetry {
        let fit = EXPONENTIAL_END.as_millis() / self.interval.as_millis().max(1);
        let fit = u32::try_from(fit).unwrap_or(u32::MAX);
        let most = if self.exponential { fit } else { u32::MAX };
        InboundRetry { interval: self.interval, max_retries: self.max_retries.unwrap_or(u32::MAX).min(most) }
    }

    /// How long it goes on; `None` for ever.
    #[must_use]
    pub fn lasts(&self) -> Option<Duration> {
        let limited = self.max_retries.map(|tries| self.interval.saturating_mul(tries));
        let end = self.exponential.then_some(EXPONENTIAL_END);
        limited.into_iter().chain(end).min()
    }
}

/// The retry policy of deliveries from `component`: its target's, else that of the default which holds for it.
pub(super) fn inbound<'r>(all: &[&'r Resiliency], component: &str) -> Option<&'r Retry> {
    let policy = |name: &str| all.iter().find_map(|resiliency| resiliency.retries.get(name));
    match all.iter().find_map(|resiliency| resiliency.inbound.get(component)) {
        Some(target) => policy(target.as_deref()?),
        None => DEFAULTS.into_iter().find_map(policy),
    }
}

/// Reads the Resiliency that `document` is.
pub(super) fn read(
    reader: &mut Reader<'_>,
    document: &Node,
    name: String,
    place: Location,
) -> Option<Resiliency> {
    let spec = document.get("spec")?;
    reader.map(Some(spec), "spec", &["policies", "targets"]);
    let policies = spec.get("policies");
    let kinds = ["timeouts", "retries", "circuitBreakers"];
    reader.map(policies, "spec.policies", &kinds);
    let under = |key: &str| policies.and_then(|policies| policies.get(key));
    for (name, node) in reader.entries(under("timeouts"), "spec.policies.timeouts") {
        reader.parsed(node, &format!("timeout `{name}`"), "duration such as 30s", span::parse_or_millis);
    }
    let retries = reader.entries(under("retries"), "spec.policies.retries");
    let retries =
        retries.into_iter().map(|(name, node)| (name.to_owned(), retry(reader, name, node))).collect();
    for (name, node) in reader.entries(under("circuitBreakers"), "spec.policies.circuitBreakers") {
        circuit_breaker(reader, name, node);
    }
    let names = |key: &str| under(key).map(keys_of).unwrap_or_default();
    let others = [names("timeouts"), names("circuitBreakers")];
    let (inbound, named) = targets(reader, spec.get("targets"));
    let scopes = reader.scopes(document);
    Some(Resiliency { name, retries, inbound, named, others, scopes, place })
}

fn keys_of(node: &Node) -> Vec<String> {
    match &node.value {
        super::node::Value::Map(pairs) => {
            pairs.iter().filter_map(|(k, _)| k.text().map(str::to_owned)).collect()
        }
        _ => Vec::new(),
    }
}

fn retry(reader: &mut Reader<'_>, name: &str, node: &Node) -> Retry {
    let path = format!("retry `{name}`");
    let mut retry = Retry {
        exponential: false,
        interval: CONSTANT_DEFAULT,
        max_retries: None,
        matching: false,
        line: node.line,
    };
    let mut waits = [None, None];
    for (key, value) in
        reader.map(Some(node), &path, &["policy", "duration", "maxInterval", "maxRetries", "matching"])
    {
        let path = format!("{path} {key}");
        match key {
            "policy" => {
                let word = |text: &str| match text {
                    "constant" => Some(false),
                    "exponential" => Some(true),
                    _ => None,
                };
                let read = reader.parsed(value, &path, "policy: write constant or exponential", word);
                retry.exponential = read.unwrap_or_default();
            }
            "duration" | "maxInterval" => {
                let wait = reader.parsed(value, &path, "duration such as 1s", span::parse_or_millis);
                waits[usize::from(key == "maxInterval")] = wait;
            }
            "maxRetries" => {
                let number = |text: &str| text.parse::<i64>().ok().filter(|n| *n >= -1);
                let read = reader.parsed(value, &path, "number of tries; -1 is for ever", number);
                retry.max_retries = read.and_then(|tries| u32::try_from(tries).ok());
            }
            _ => {
                retry.matching = true;
                for (key, codes) in reader.map(Some(value), &path, &["httpStatusCodes", "gRPCStatusCodes"]) {
                    let wanted = "list of codes such as 429,500-599";
                    reader.parsed(codes, &format!("{path}.{key}"), wanted, |t| are_codes(t).then_some(()));
                }
            }
        }
    }
    retry.interval = match (retry.exponential, waits) {
        (true, [_, max]) => max.unwrap_or(MAX_INTERVAL_DEFAULT),
        (false, [wait, _]) => wait.unwrap_or(CONSTANT_DEFAULT),
    };
    retry
}

/// Whether `text` lists status codes and ranges of them.
fn are_codes(text: &str) -> bool {
    let code = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    text.split(',').map(str::trim).all(|part| match part.split_once('-') {
        Some((from, to)) => code(from.trim()) && code(to.trim()),
        None => code(part),
    })
}

fn circuit_breaker(reader: &mut Reader<'_>, name: &str, node: &Node) {
    let path = format!("circuit breaker `{name}`");
    for (key, value) in reader.map(Some(node), &path, &["maxRequests", "interval", "timeout", "trip"]) {
        let path = format!("{path} {key}");
        match key {
            "maxRequests" => {
                reader.parsed(value, &path, "whole number", |text| text.parse::<u32>().ok());
            }
            "trip" => {
                reader.parsed(value, &path, "condition such as consecutiveFailures > 5", |text| {
                    (!text.is_empty()).then_some(())
                });
            }
            _ => {
                reader.parsed(value, &path, "duration such as 30s", span::parse_or_millis);
            }
        }
    }
}

/// The retry of each component's deliveries, and every policy named anywhere.
fn targets(
    reader: &mut Reader<'_>,
    targets: Option<&Node>,
) -> (BTreeMap<String, Option<String>>, Vec<Named>) {
    const POLICIES: [&str; 3] = ["timeout", "retry", "circuitBreaker"];
    const APP: [&str; 4] = ["timeout", "retry", "circuitBreaker", "circuitBreakerCacheSize"];
    const ACTOR: [&str; 5] =
        ["timeout", "retry", "circuitBreaker", "circuitBreakerScope", "circuitBreakerCacheSize"];
    let (mut inbound, mut named) = (BTreeMap::new(), Vec::new());
    let mut note = |found: &[(&str, &Node)]| {
        for kind in POLICIES {
            let of_kind = found.iter().filter(|(key, _)| *key == kind);
            named.extend(of_kind.filter_map(|(_, node)| {
                Some(Named { kind, policy: node.text()?.to_owned(), line: node.line })
            }));
        }
    };
    for (group, node) in reader.map(targets, "spec.targets", &["apps", "actors", "components"]) {
        for (name, target) in reader.entries(Some(node), &format!("spec.targets.{group}")) {
            let path = format!("target `{name}`");
            match group {
                "apps" => note(&reader.map(Some(target), &path, &APP)),
                "actors" => note(&reader.map(Some(target), &path, &ACTOR)),
                _ => {
                    inbound.insert(name.to_owned(), None);
                    for (way, policies) in reader.map(Some(target), &path, &["inbound", "outbound"]) {
                        let found = reader.map(Some(policies), &format!("{path} {way}"), &POLICIES);
                        note(&found);
                        let retry = found.iter().find(|(key, _)| way == "inbound" && *key == "retry");
                        if let Some((_, policy)) = retry {
                            inbound.insert(name.to_owned(), policy.text().map(str::to_owned));
                        }
                    }
                }
            }
        }
    }
    (inbound, named)
}
