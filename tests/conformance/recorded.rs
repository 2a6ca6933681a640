//! The recorded scenarios, many at once on one sidecar, each on topics of its own.

use std::time::Duration;

use futures_util::future::join_all;
use reminder_worker::sidecar::Profile;

use crate::loose;
use crate::ports::free_port;
use crate::probe::Probe;
use crate::recordings::app::{POLICY, is_bulk};
use crate::recordings::capture::{Capture, Delivery, Reply};
use crate::recordings::is_unmatched;
use crate::recordings::same::Outcome;
use crate::sidecar::{Broker, Kind, Running, Spec};
use crate::table::{Row, Verdict};
use crate::wait::until_within;

/// The app's id in the recordings, which is the source of its events.
const APP_ID: &str = "recorder";

/// A redelivery by the broker comes after five seconds: a bulk handler that waits for one holds up all others.
const HOLDS_OTHERS_UP_MS: i64 = 4_000;

/// How long the first delivery of anything may take: consumer groups of many topics come together slowly.
const FIRST_DELIVERY_MAX: Duration = Duration::from_secs(30);

/// Differences between sidecar and recording that are known facts: column, scenario, reason.
const KNOWN: [(&str, &str, &str); 0] = [];

/// A capture to be played on a sidecar and its broker.
pub(crate) struct Play<'a> {
    pub(crate) kind: Kind,
    pub(crate) broker: Broker,
    pub(crate) capture: &'a Capture,
    /// The run's number, ten digits, no other play's on the same broker.
    pub(crate) run: String,
}

impl Play<'_> {
    pub(crate) fn column(&self) -> String {
        column(&self.kind, &self.capture.name)
    }

    /// Plays those scenarios that are wanted.
    pub(crate) async fn run(&self, wanted: &(impl Fn(&str) -> bool + Sync)) -> Vec<Row> {
        let mut together = Vec::new();
        let mut groups = Vec::new();
        for name in self.capture.scenarios.keys().map(String::as_str).filter(|name| wanted(name)) {
            if self.holds_others_up(name) { groups.push(vec![name]) } else { together.push(name) }
        }
        groups.push(together);
        let played = groups.iter().enumerate().filter(|(_, names)| !names.is_empty());
        let rows = join_all(played.map(|(n, names)| self.group(n, names))).await;
        rows.into_iter().flatten().collect()
    }

    fn holds_others_up(&self, name: &str) -> bool {
        let recorded = &self.capture.scenarios[name];
        let (first, last) = (recorded.at_ms.first(), recorded.at_ms.last());
        is_bulk(recorded) && last.zip(first).is_some_and(|(last, first)| last - first > HOLDS_OTHERS_UP_MS)
    }

    async fn group(&self, number: usize, names: &[&str]) -> Vec<Row> {
        let probe = Probe::start(self.capture, names, &self.run).await;
        let spec = Spec {
            broker: self.broker.clone(),
            app_id: APP_ID,
            app_port: probe.port,
            group: format!("recorder-{}-{number}", self.run),
            port: free_port(),
            retry: self.capture.name.ends_with("+resiliency").then_some(POLICY),
            app_token: None,
            api_token: None,
            app_health: false,
        };
        let sidecar = Running::start(&self.kind, &spec).await;
        sidecar.has_subscriptions(probe.subscriptions()).await;
        let replies = join_all(names.iter().map(|name| self.publish(&sidecar, &probe, name))).await;
        self.watch(&probe, names).await;
        assert_eq!(probe.asked(), self.capture.subscribe_request_headers, "asked once, as recorded");
        sidecar.kill().await;
        let judged = names.iter().zip(replies).map(|(name, reply)| {
            let deliveries = self.within_the_time_watched(&probe, name);
            self.judge(name, &Outcome { reply, deliveries })
        });
        judged.collect()
    }

    async fn publish(&self, sidecar: &Running, probe: &Probe, name: &str) -> Reply {
        let publish = &self.capture.scenarios[name].publish;
        let mut request = sidecar.post(&publish.path_in(&self.run)).body(publish.whole_body());
        for (name, value) in &publish.headers {
            request = request.header(name, value);
        }
        probe.publishes(name);
        let reply = request.send().await.unwrap();
        Reply { status: reply.status().as_u16(), body: reply.text().await.unwrap() }
    }

    /// Waits until each scenario has been watched as long as when it was recorded, from its first delivery on.
    async fn watch(&self, probe: &Probe, names: &[&str]) {
        let expected: Vec<&&str> =
            names.iter().filter(|name| self.capture.scenarios[**name].deliveries > 0).collect();
        let came = |name: &&&str| probe.seen(name, |seen| !seen.is_empty());
        // One that never comes is found by the comparison.
        let _ = until_within(FIRST_DELIVERY_MAX, async || expected.iter().all(came).then_some(())).await;
        let longest = names.iter().map(|name| self.capture.watched(name)).max().unwrap_or_default();
        tokio::time::sleep(longest).await;
    }

    fn within_the_time_watched(&self, probe: &Probe, name: &str) -> Vec<Delivery> {
        let watched = i64::try_from(self.capture.watched(name).as_millis()).unwrap();
        probe.seen(name, |seen| {
            let first = seen.first().map_or(0, |delivery| delivery.at_ms);
            seen.iter().filter(|delivery| delivery.at_ms - first <= watched).cloned().collect()
        })
    }

    fn judge(&self, name: &str, outcome: &Outcome) -> Row {
        let recorded = &self.capture.scenarios[name];
        let watched = i64::try_from(self.capture.watched(name).as_millis()).unwrap();
        let profile: Profile = self.broker.profile;
        let column = self.column();
        let known = KNOWN.iter().find(|(c, s, _)| *c == column && *s == name);
        let verdict = match (loose::difference(profile, recorded, outcome, watched), known) {
            (None, None) => Verdict::Pass,
            (None, Some(_)) => Verdict::Differs("is listed as a known difference, but matches".into()),
            (Some(_), _) if is_unmatched(&self.capture.name, name) => {
                Verdict::Listed("recorded beside others")
            }
            (Some(_), Some((.., reason))) => Verdict::Listed(reason),
            (Some(difference), None) => Verdict::Differs(difference),
        };
        Row { scenario: name.to_owned(), column, verdict }
    }
}

/// The column of a capture's scenarios on a sidecar.
pub(crate) fn column(kind: &Kind, capture: &str) -> String {
    format!("{} {capture}", kind.name())
}
