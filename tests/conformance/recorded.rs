//! The recorded scenarios, many at once on one sidecar, each on topics of its own.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::join_all;

use crate::loose;
use crate::ports::free_port;
use crate::probe::Probe;
use crate::recordings::app::{POLICY, is_bulk};
use crate::recordings::capture::{Capture, Delivery, Reply, Scenario};
use crate::recordings::is_unmatched;
use crate::recordings::same::Outcome;
use crate::sidecar::{Broker, Kind, Running, Spec};
use crate::table::{Row, Verdict, text_of};
use crate::topics;
use crate::wait::until_within;

/// The app's id in the recordings, which is the source of its events.
const APP_ID: &str = "recorder";

/// A redelivery by the broker comes after five seconds: a bulk handler that waits for one holds up all others.
const HOLDS_OTHERS_UP_MS: i64 = 4_000;

/// How long the first delivery of anything may take: consumer groups of many topics come together slowly.
const FIRST_DELIVERY_MAX: Duration = Duration::from_secs(30);

const BESIDE_OTHERS: &str = "recorded beside others that changed it (see UNMATCHED): held against the embedded sidecar in place of it";

/// What came of each scenario; the reason where it could not be played.
pub(crate) type Outcomes = BTreeMap<String, Result<Outcome, String>>;

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

    /// The same to be played anew, its run's number so much higher.
    pub(crate) fn again(&self, apart: i64) -> Self {
        let run = self.run.parse::<i64>().unwrap() + apart;
        Self {
            kind: self.kind.clone(),
            broker: self.broker.clone(),
            capture: self.capture,
            run: run.to_string(),
        }
    }

    /// Plays those scenarios that are wanted.
    pub(crate) async fn run(&self, wanted: &impl Fn(&str) -> bool) -> Outcomes {
        let mut together = Vec::new();
        let mut groups = Vec::new();
        for name in self.capture.scenarios.keys().map(String::as_str).filter(|name| wanted(name)) {
            if self.holds_others_up(name) { groups.push(vec![name]) } else { together.push(name) }
        }
        groups.push(together);
        let play = async |(number, names): (usize, &Vec<&str>)| {
            // Groups share nothing but the broker.
            let played = AssertUnwindSafe(self.group(number, names)).catch_unwind().await;
            let told = |name: &&str| (*name).to_owned();
            match played.map_err(|panic| text_of(panic.as_ref())) {
                Ok(outcomes) => names.iter().map(told).zip(outcomes.into_iter().map(Ok)).collect(),
                Err(why) => names.iter().map(|name| (told(name), Err(why.clone()))).collect::<Outcomes>(),
            }
        };
        let played = groups.iter().enumerate().filter(|(_, names)| !names.is_empty()).map(play);
        join_all(played).await.into_iter().flatten().collect()
    }

    fn holds_others_up(&self, name: &str) -> bool {
        let recorded = &self.capture.scenarios[name];
        let (first, last) = (recorded.at_ms.first(), recorded.at_ms.last());
        is_bulk(recorded) && last.zip(first).is_some_and(|(last, first)| last - first > HOLDS_OTHERS_UP_MS)
    }

    async fn group(&self, number: usize, names: &[&str]) -> Vec<Outcome> {
        let probe = Probe::start(self.capture, names, &self.run).await;
        if self.broker.is_real_kafka() {
            topics::make(&self.broker.address, &probe.topics()).await;
        }
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
        assert_eq!(probe.asked(), self.asked_as(&spec.group), "asked once, as recorded");
        sidecar.end().await;
        let outcome = |(name, reply): (&&str, Reply)| Outcome {
            reply,
            deliveries: self.within_the_time_watched(&probe, name),
        };
        names.iter().zip(replies).map(outcome).collect()
    }

    /// The recorded requests for subscriptions. In front of a real Kafka the embedded sidecar's app is called what its
    /// consumer group is.
    fn asked_as(&self, group: &str) -> Vec<BTreeMap<String, String>> {
        let mut asked = self.capture.subscribe_request_headers.clone();
        if let Kind::EmbeddedOnKafka = self.kind {
            asked.iter_mut().for_each(|told| drop(told.insert("dapr-app-id".into(), group.into())));
        }
        asked
    }

    async fn publish(&self, sidecar: &Running, probe: &Probe, name: &str) -> Reply {
        let publish = &self.capture.scenarios[name].publish;
        let mut request = sidecar.post(&publish.path_in(&self.run)).body(publish.whole_body());
        for (name, value) in &publish.headers {
            request = request.header(name, value);
        }
        probe.publishes(name);
        let sent = request.send().await.unwrap();
        Reply { status: sent.status().as_u16(), body: sent.text().await.unwrap() }
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

    /// Holds the outcomes against the recordings; those that nothing run on its own can match, against what the
    /// embedded sidecar did.
    pub(crate) fn judge(&self, outcomes: &Outcomes, embedded: &Outcomes) -> Vec<Row> {
        let verdict = |name: &String, outcome: &Outcome| {
            let recorded = &self.capture.scenarios[name];
            match (
                self.difference(name, recorded, outcome, loose::EARLY_MS),
                is_unmatched(&self.capture.name, name),
            ) {
                (None, _) => Verdict::Pass,
                (Some(difference), false) => Verdict::Differs(difference),
                (Some(_), true) => match embedded.get(name) {
                    Some(Ok(other)) => self
                        .difference(name, &recorded.with(other), outcome, loose::LATE_MS)
                        .map_or(Verdict::Listed(BESIDE_OTHERS), Verdict::Differs),
                    Some(Err(_)) | None => Verdict::Listed(BESIDE_OTHERS),
                },
            }
        };
        let row = |(name, outcome): (&String, &Result<Outcome, String>)| Row {
            scenario: name.clone(),
            column: self.column(),
            verdict: outcome
                .as_ref()
                .map_or_else(|why| Verdict::Differs(why.clone()), |outcome| verdict(name, outcome)),
        };
        outcomes.iter().map(row).collect()
    }

    /// Against a recording, or against what another sidecar did on this machine, which may have been late itself.
    fn difference(
        &self,
        name: &str,
        recorded: &Scenario,
        outcome: &Outcome,
        early_ms: i64,
    ) -> Option<String> {
        let watched = i64::try_from(self.capture.watched(name).as_millis()).unwrap();
        loose::difference(self.broker.profile, recorded, outcome, watched, early_ms)
    }
}

/// The column of a capture's scenarios on a sidecar.
pub(crate) fn column(kind: &Kind, capture: &str) -> String {
    format!("{} {capture}", kind.name())
}

impl Scenario {
    /// The same with what came of it elsewhere in place of what was recorded.
    fn with(&self, outcome: &Outcome) -> Self {
        let at_ms: Vec<i64> = outcome.deliveries.iter().map(|delivery| delivery.at_ms).collect();
        let (reply, first) = (outcome.reply.clone(), outcome.deliveries.clone());
        Self { publish_reply: reply, deliveries: at_ms.len(), at_ms, first, ..self.clone() }
    }
}
