//! What became of events that changed nothing, or not all that they say: why the worker dropped one, what it left out of
//! one, and what it never took.
//!
//! The worker's answer says only that it has done with an event. So its quarantine and its counters are read after answers,
//! between two commits: what a commit wrote is there by the time of the answer.
//!
//! Accepted: of what comes faster than it is read only the first few are told, and how many more.

use bytes::Bytes;

use super::hints::Ops;
use crate::app::Running;
use crate::config::Topics;
use crate::reading::{Reading, Transport, read};
use crate::store::StoreError;
use crate::writer::{EXTRA_REFUSED, View, Writer};

/// Quarantined events that are told of one look: a screenful is no help.
const TOLD_MAX: usize = 5;

/// Asks the worker what it did.
pub(super) struct Outcomes {
    writer: Writer,
    ops: Ops,
    /// What has been told.
    seen: Seen,
}

/// Up to where something was told.
#[derive(Clone, Copy, Default)]
pub(super) struct Seen {
    next_quarantined: u64,
    stale: u64,
}

impl Seen {
    /// All that is there now: of before the first event can come.
    pub(super) async fn now(worker: &Running) -> Self {
        worker.writer.read(Self::of).await.unwrap_or_default()
    }

    fn of(view: &View<'_>) -> Self {
        Self { next_quarantined: view.meta.next_quarantined, stale: view.meta.events.stale }
    }
}

/// A line: the word that says of what kind it is, and the text.
pub(super) type Line = (&'static str, String);

impl Outcomes {
    /// Tells what comes after `seen`.
    pub(super) fn new(worker: &Running, ops: Ops, seen: Seen) -> Self {
        Self { writer: worker.writer.clone(), ops, seen }
    }

    /// What is to be told since the last look; nothing where the store can't be read.
    pub(super) async fn look(&mut self) -> Vec<Line> {
        let seen = self.seen;
        let looked = self.writer.read(move |view| {
            let now = Seen::of(view);
            let from = seen.next_quarantined;
            let new = match now.next_quarantined > from {
                true => view.store.quarantined(from.checked_sub(1), TOLD_MAX)?,
                false => Vec::new(),
            };
            Ok::<_, StoreError>((now, new))
        });
        let Ok(Ok((now, quarantined))) = looked.await else { return Vec::new() };
        let before = std::mem::replace(&mut self.seen, now);
        let mut lines = Vec::new();
        let more = now.next_quarantined.saturating_sub(before.next_quarantined);
        let more = more.saturating_sub(quarantined.len() as u64);
        for (number, event) in quarantined {
            // The rest of such an event was taken.
            let word = if event.code == EXTRA_REFUSED { "left out" } else { "refused" };
            lines.push((
                word,
                format!(
                    "on {}: {}; {}",
                    event.topic,
                    event.reason,
                    self.ops.curl(&format!("/api/v1/quarantine/{number}"))
                ),
            ));
        }
        if more > 0 {
            lines.push(("refused", format!("and {more} more; {}", self.ops.curl("/api/v1/quarantine"))));
        }
        match now.stale.saturating_sub(before.stale) {
            0 => {}
            1 => lines.push((
                "stale",
                "an event changed nothing: all it says is older than what is kept".to_owned(),
            )),
            many => lines.push((
                "stale",
                format!("{many} events changed nothing: all they say is older than what is kept"),
            )),
        }
        lines
    }
}

/// What is to be told of an event as the broker takes it: that the worker will ignore it, or hears nothing of its topic
/// and, where it `is_alone`, nobody else does.
pub(super) fn passed_over(topics: &Topics, is_alone: bool, topic: &str, value: &Bytes) -> Option<Line> {
    if !topics.heard().any(|heard| heard == topic) {
        let known = topics.dead_letter.as_deref() == Some(topic);
        let heard = topics.heard().collect::<Vec<_>>().join(", ");
        let text = format!("nobody subscribes to {topic}; the worker hears {heard}");
        return (is_alone && !known).then_some(("unheard", text));
    }
    match read(value, &Transport::default()) {
        Reading::Ignored(reason) => Some(("ignored", reason.to_string())),
        Reading::Event(_) | Reading::Preferences(_) | Reading::Refused(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn topics() -> Topics {
        crate::config::Config::default().topics
    }

    #[test]
    fn an_event_is_told_that_is_of_no_known_kind_or_on_a_topic_that_nobody_hears() {
        let told = |is_alone, topic: &str, body: &'static str| {
            passed_over(&topics(), is_alone, topic, &Bytes::from_static(body.as_bytes()))
        };
        let created = r#"{"event_type":"task_created","payload":{"task_id":"t"}}"#;
        let mistyped = r#"{"event_type":"task_creatd","payload":{"task_id":"t"}}"#;
        assert_eq!(told(true, "task-events", created), None);
        assert_eq!(told(true, "task-events", "no JSON"), None, "the quarantine tells of it");
        let (word, text) = told(true, "task-events", mistyped).unwrap();
        assert!(word == "ignored" && text.starts_with("`task_creatd` is no kind that is known"), "{text}");
        let (word, text) = told(true, "task-evnts", created).unwrap();
        assert!(word == "unheard" && text.starts_with("nobody subscribes to task-evnts"), "{text}");
        assert_eq!(told(false, "task-evnts", created), None, "an app may");
    }
}
