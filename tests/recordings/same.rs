//! What a scenario did, and whether a part of it is what was recorded.

use super::capture::{Delivery, Reply, Scenario, mask};

/// What came of a scenario that was run.
pub(crate) struct Outcome {
    pub(crate) reply: Reply,
    pub(crate) deliveries: Vec<Delivery>,
}

/// How the reply to the publisher differs.
pub(crate) fn reply_differs(recorded: &Scenario, outcome: &Outcome) -> Option<String> {
    let reply = (outcome.reply.status, mask(&outcome.reply.body));
    let differs = reply != (recorded.publish_reply.status, mask(&recorded.publish_reply.body));
    differs.then(|| format!("reply {reply:?} instead of {:?}", recorded.publish_reply))
}

/// The first two deliveries of two lists, masked and in the same order, that are not the same.
pub(crate) fn pair_differs(ours: &[Delivery], theirs: &[Delivery]) -> Option<String> {
    let (a, b) = ours.iter().zip(theirs).find(|(a, b)| !same(a, b))?;
    Some(format!("\n  replayed {}\n  recorded {}", shown(a), shown(b)))
}

/// Equal, or one of the huge bodies that were recorded as a beginning and a length.
fn same(ours: &Delivery, theirs: &Delivery) -> bool {
    let body = match theirs.body.split_once("… ") {
        Some((start, length)) => {
            ours.body.starts_with(start) && length == format!("{} characters", ours.length)
        }
        None => ours.body == theirs.body,
    };
    body && ours.to == theirs.to && ours.headers == theirs.headers
}

fn shown(delivery: &Delivery) -> String {
    let body: String = delivery.body.chars().take(2000).collect();
    format!("to {} {:?} {body}", delivery.to, delivery.headers)
}
