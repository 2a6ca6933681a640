//! The worker's own scenarios by their names, a few at a time.

use std::panic::AssertUnwindSafe;
use std::pin::Pin;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use tokio::sync::Semaphore;

use crate::recorded::column;
use crate::rig::Place;
use crate::table::{Row, Verdict, text_of};
use crate::{stops, worker};

type Scenario = (&'static str, fn(Place) -> Pin<Box<dyn Future<Output = ()>>>);

macro_rules! scenarios {
    ($($name:literal => $run:path,)*) => { [$(($name, |place| Box::pin($run(place))),)*] };
}

/// All of them.
pub(crate) const SCENARIOS: [Scenario; 15] = scenarios![
    "worker-discovery" => worker::discovery,
    "worker-single-delivery" => worker::single_delivery,
    "worker-bulk-delivery" => worker::bulk_delivery,
    "worker-reply-words" => worker::reply_words,
    "worker-dead-letters" => worker::dead_letters,
    "worker-tokens" => worker::tokens,
    "worker-wrong-app-token" => worker::wrong_app_token,
    "worker-wrong-api-token" => worker::wrong_api_token,
    "worker-app-health" => worker::app_health,
    "worker-oversize" => worker::oversize,
    "worker-sidecar-lost" => worker::sidecar_lost,
    "worker-terminated-with-half-a-body" => stops::terminated_with_half_a_body,
    "worker-terminated-before-the-answer" => stops::terminated_before_the_answer_arrived,
    "worker-killed-with-half-a-body" => stops::killed_with_half_a_body,
    "worker-killed-before-the-answer" => stops::killed_before_the_answer_arrived,
];

/// Scenarios under way at once: each has a worker and a sidecar that start.
const AT_ONCE: usize = 6;

/// Runs those that are wanted in every place.
pub(crate) async fn run(places: &[(Place, &'static str)], wanted: &impl Fn(&str) -> bool) -> Vec<Row> {
    let turns = &Semaphore::new(AT_ONCE);
    let mut running = Vec::new();
    for (name, scenario) in SCENARIOS.iter().filter(|(name, _)| wanted(name)) {
        for (place, capture) in places {
            let column = column(&place.kind, capture);
            let place = place.clone();
            running.push(async move {
                // The semaphore is never closed.
                let _turn = turns.acquire().await;
                // What a scenario leaves behind is its own: nothing is shared with others but the broker.
                let ended = AssertUnwindSafe(scenario(place)).catch_unwind().await;
                let verdict =
                    ended.map_or_else(|panic| Verdict::Differs(text_of(panic.as_ref())), |()| Verdict::Pass);
                Row { scenario: (*name).to_owned(), column, verdict }
            });
        }
    }
    join_all(running).await
}
