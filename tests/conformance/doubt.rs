//! Whether the comparison can fail: each recording is held against itself, whole and spoilt.

use reminder_worker::sidecar::Profile;

use crate::loose::{EARLY_MS, difference};
use crate::recordings::app::is_bulk;
use crate::recordings::capture::{Capture, Scenario};
use crate::recordings::same::Outcome;
use crate::table::{Row, Verdict};

/// One way to spoil an outcome; whether there was something to spoil.
type Fault = (&'static str, fn(&Scenario, &mut Outcome) -> bool);

const FAULTS: [Fault; 5] = [
    ("another reply to the publisher", |_, outcome| {
        outcome.reply.status += 1;
        true
    }),
    ("nothing delivered", |_, outcome| {
        let was = outcome.deliveries.len();
        outcome.deliveries.clear();
        was > 0
    }),
    ("another header", |recorded, outcome| {
        let first = outcome.deliveries.first_mut();
        // Of a bulk series without end only the pauses are compared.
        let first = first.filter(|_| !(is_bulk(recorded) && recorded.at_ms.last() > Some(&10_000)));
        first.and_then(|first| first.headers.insert("pubsubname".into(), "other".into())).is_some()
    }),
    ("one delivery too many", |recorded, outcome| {
        let Some(last) = outcome.deliveries.last().cloned().filter(|_| !is_bulk(recorded)) else {
            return false;
        };
        outcome.deliveries.insert(0, last);
        true
    }),
    ("redelivered too early", |recorded, outcome| {
        let held = recorded
            .at_ms
            .last()
            .zip(recorded.at_ms.first())
            .is_some_and(|(last, first)| last - first > 4_000);
        outcome.deliveries.iter_mut().for_each(|delivery| delivery.at_ms /= 2);
        held
    }),
];

/// One line of the table.
pub(crate) fn row(captures: &[(Profile, &Capture)]) -> Row {
    let mut overlooked = Vec::new();
    for (profile, capture) in captures {
        for (name, recorded) in &capture.scenarios {
            let watched = i64::try_from(capture.watched(name).as_millis()).unwrap();
            let Some(itself) = itself(recorded) else { continue };
            if let Some(difference) = difference(*profile, recorded, &itself, watched, EARLY_MS) {
                overlooked.push(format!("{} {name} differs from itself: {difference}", capture.name));
            }
            for (fault, spoil) in FAULTS {
                let Some(mut outcome) = self::itself(recorded) else { continue };
                if spoil(recorded, &mut outcome)
                    && difference(*profile, recorded, &outcome, watched, EARLY_MS).is_none()
                {
                    overlooked.push(format!("{} {name}: {fault} is not seen", capture.name));
                }
            }
        }
    }
    let verdict = if overlooked.is_empty() { Verdict::Pass } else { Verdict::Differs(overlooked.join("\n")) };
    Row { scenario: "the-comparison-can-fail".into(), column: "the suite itself".into(), verdict }
}

/// What the recording says came of it, where it says all of it.
fn itself(recorded: &Scenario) -> Option<Outcome> {
    let whole = recorded.deliveries <= recorded.first.len()
        && recorded.first.iter().all(|delivery| !delivery.body.contains("… "));
    let at = recorded.first.iter().zip(&recorded.at_ms);
    let deliveries = at.map(|(delivery, at)| {
        let mut delivery = delivery.clone();
        delivery.at_ms = *at;
        delivery
    });
    whole.then(|| Outcome { reply: recorded.publish_reply.clone(), deliveries: deliveries.collect() })
}
