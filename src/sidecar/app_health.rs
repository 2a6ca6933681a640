//! App health checks: an app that is not well is asked nothing and given nothing until it is well again.
//!
//! As daprd has it with `--enable-app-health-check`: unhealthy until the first good probe, then unhealthy after so many
//! bad ones in a row, healthy again after one good one. While it is unhealthy it is given nothing: what is published then
//! waits on Kafka and Redis and is lost on in-memory. On a real Kafka its member leaves the consumer group, so that the
//! partitions go to those of healthy replicas, and joins again once it is well: a rebalance each time, as with daprd.
//! Probes carry no token.
//!
//! Races accepted: a delivery that is under way when a probe fails is finished, with the tries of its retry policy; on
//! a real Kafka it is dropped where it is as the member leaves, and comes again.

use std::sync::Arc;
use std::time::Duration;

use axum::http::Request;
use bytes::Bytes;

use super::Profile;
use super::broker::Cursor;
use super::deliver::Consumer;
use super::runtime::{AppState, Runtime};

/// How an app's health is probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AppHealth {
    /// The path that is asked; any 2xx is healthy.
    pub path: String,
    /// From one probe to the next.
    pub interval: Duration,
    /// How long an answer may take.
    pub timeout: Duration,
    /// Bad probes in a row that make the app unhealthy.
    pub threshold: u32,
}

impl Default for AppHealth {
    /// What daprd has for defaults.
    fn default() -> Self {
        let (interval, timeout) = (Duration::from_secs(5), Duration::from_millis(500));
        Self { path: "/healthz".into(), interval, timeout, threshold: 3 }
    }
}

/// What the probes so far make of the app.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Tally {
    healthy: bool,
    /// Bad probes since the last good one.
    bad: u32,
}

impl Tally {
    fn after(self, good: bool, threshold: u32) -> Self {
        if good {
            return Self { healthy: true, bad: 0 };
        }
        let bad = self.bad.saturating_add(1);
        Self { healthy: self.healthy && bad < threshold, bad }
    }
}

/// Probes the app for ever.
pub(crate) async fn probe(runtime: Arc<Runtime>, app: Arc<AppState>, check: AppHealth) {
    let mut tally = Tally::default();
    loop {
        let good = is_well(&runtime, &app, &check).await;
        tally = tally.after(good, check.threshold);
        if app.healthy.send_replace(tally.healthy) != tally.healthy {
            tracing::info!(app = %app.id, healthy = tally.healthy, "the app's health has changed");
        }
        runtime.clock.wait(check.interval).await;
    }
}

async fn is_well(runtime: &Runtime, app: &AppState, check: &AppHealth) -> bool {
    let request = Request::get(format!("http://{}{}", app.app.address, check.path)).body(Bytes::new());
    let Ok(request) = request else { return false };
    tokio::select! {
        reply = runtime.channel.call(request) => reply.is_ok_and(|reply| reply.status().is_success()),
        () = runtime.clock.wait(check.timeout) => false,
    }
}

impl AppState {
    /// Waits until the app is healthy; at once where its health is not probed.
    pub(crate) async fn well(&self) {
        // The sender lives in this state.
        let _ = self.healthy.subscribe().wait_for(|healthy| *healthy).await;
    }

    /// Waits until the app is not; for ever where its health is not probed.
    pub(crate) async fn ill(&self) {
        // As above.
        let _ = self.healthy.subscribe().wait_for(|healthy| !*healthy).await;
    }
}

impl Consumer {
    /// Waits until the app is healthy. What is published on in-memory meanwhile has no subscriber.
    pub(crate) async fn app_is_well(&self, cursor: &mut Cursor) {
        if self.runtime.settings.profile != Profile::InMemory {
            return self.app.well().await;
        }
        let well = self.app.well();
        tokio::pin!(well);
        loop {
            tokio::select! {
                biased;
                () = well.as_mut() => return,
                () = cursor.wait(1) => {
                    cursor.peek(1).iter().for_each(|record| self.tell_lost(record));
                    cursor.advance(1);
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_app_is_unhealthy_until_its_first_good_probe_and_after_so_many_bad_ones_in_a_row() {
        for (probes, healthy) in [
            ("", false),
            ("-", false),
            ("+", true),
            ("+--", true),
            ("+---", false),
            ("+--+--", true),
            ("+---+", true),
            ("+---+--", true),
            ("---", false),
        ] {
            let tally = probes.chars().fold(Tally::default(), |tally, probe| tally.after(probe == '+', 3));
            assert_eq!(tally.healthy, healthy, "{probes}");
        }
    }
}
