//! What is shipped for Kubernetes names the same things as the worker: ports, paths, settings, topics, secrets, metrics.
//!
//! Nothing here needs a cluster, nor a tool: `.ci/manifests` asks those that know Kubernetes and Dapr.
#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

#[path = "manifests/alerts.rs"]
mod alerts;
#[path = "manifests/broker.rs"]
mod broker;
#[path = "manifests/by_hand.rs"]
mod by_hand;
#[path = "manifests/cluster.rs"]
mod cluster;
#[path = "manifests/guide.rs"]
mod guide;
#[path = "manifests/pod.rs"]
mod pod;
#[cfg(unix)]
#[path = "manifests/process.rs"]
mod process;
#[path = "manifests/secrets.rs"]
mod secrets;
#[path = "manifests/tree.rs"]
mod tree;
#[path = "manifests/worker.rs"]
mod worker;
