//! Folding delivered events: merge, note, plan, count; and the quarantine.

use bytes::Bytes;

use super::group::Group;
use super::{Content, Delivery};
use crate::domain::history::Before;
use crate::domain::task::Applied;
use crate::domain::{Event, Outcome, PreferencesChange, Record, Refusal, Said, Timestamp, Verdict, cut};
use crate::store::{Op, Quarantined, StoreError};
use crate::telemetry::{self, EventOutcome};

/// Longest body kept in quarantine, in bytes: what Dapr delivers at most. A longer one is cut.
pub(super) const QUARANTINED_BODY_MAX: usize = 4 * 1024 * 1024;

/// Entries that make room for a new one at most: room for the largest body among the smallest.
const EVICTED_AN_EVENT: usize = 256;

/// The code of an event for a task that may have been purged.
const OLDER_THAN_HORIZON: &str = "older_than_horizon";
/// The code of an event whose task's record can't be read.
const RECORD_UNREADABLE: &str = "record_unreadable";
/// The code of an event that was merged without what could not be read of it.
pub const EXTRA_REFUSED: &str = "extra_refused";
/// Longest list of what was refused of an event, in bytes: all that one is likely to have.
const REFUSED_REASON_MAX_BYTES: usize = 1024;

/// What is known of a delivery besides its event.
#[derive(Clone, Copy)]
struct Arrival<'a> {
    at: Timestamp,
    topic: &'a str,
    body: &'a Bytes,
}

impl Group<'_> {
    /// Folds one delivery and says what its sender is to be told. It counts as received when it comes in; one that its
    /// sender must bring again does then.
    pub(super) fn deliver(&mut self, delivery: Delivery) -> Result<Verdict, StoreError> {
        let before = self.meta.ledger.received;
        self.meta.ledger.received += u64::from(delivery.is_event());
        let verdict = self.deliver_it(delivery);
        if verdict.is_err() {
            self.meta.ledger.received = before;
        }
        verdict
    }

    fn deliver_it(&mut self, delivery: Delivery) -> Result<Verdict, StoreError> {
        let Delivery { at, topic, content } = delivery;
        match content {
            Content::Ignored => {
                self.ignore();
                Ok(Verdict::Success)
            }
            Content::Refused { code, reason, body, length } => {
                self.quarantine(at, topic, code, reason, &body, length)
            }
            Content::Preferences(change, body) => match self.merge_preferences(&change, at) {
                Ok(outcome) => {
                    self.keep_refused_wishes(&change, outcome, Arrival { at, topic: &topic, body: &body })?;
                    Ok(Verdict::Success)
                }
                Err(StoreError::Corrupt(why)) => {
                    tracing::error!(
                        user = change.user,
                        why,
                        "the preferences of a user can't be read; a change of them is in quarantine"
                    );
                    // There it counts as an event, whoever said it.
                    self.meta.ledger.received += u64::from(change.said == Said::Now);
                    self.quarantine(at, topic, RECORD_UNREADABLE, why, &body, length_of(&body))
                }
                Err(other) => Err(other),
            },
            Content::Event(event, body) => {
                match self.merge(&event, Arrival { at, topic: &topic, body: &body }) {
                    Ok(true) => Ok(Verdict::Success),
                    Ok(false) => {
                        let reason = "its task is unknown and it is no newer than tasks that were purged";
                        self.quarantine(at, topic, OLDER_THAN_HORIZON, reason.into(), &body, length_of(&body))
                    }
                    // The event is good, its record is not: holding up the partition would mend nothing.
                    Err(StoreError::Corrupt(why)) => {
                        tracing::error!(task = %event.task_id, why, "the record of a task can't be read; its event is in quarantine");
                        self.quarantine(at, topic, RECORD_UNREADABLE, why, &body, length_of(&body))
                    }
                    Err(other) => Err(other),
                }
            }
        }
    }

    /// Merges an event; false if it is older than the horizon.
    fn merge(&mut self, event: &Event, arrival: Arrival<'_>) -> Result<bool, StoreError> {
        let horizon = self.meta.horizon;
        let Some(kept) = self.record(&event.task_id)?.cloned() else {
            if event.stamps.transport().is_some_and(|stamp| Some(stamp) <= horizon) {
                return Ok(false);
            }
            return self.fold_into(Record::default(), event, arrival);
        };
        self.fold_into(kept, event, arrival)
    }

    fn fold_into(
        &mut self,
        mut record: Record,
        event: &Event,
        arrival: Arrival<'_>,
    ) -> Result<bool, StoreError> {
        let planned_anew = self.replan_if_older(&event.task_id, &mut record)?;
        let before = Before::of(&record.task, &record.history);
        let applied = self.apply(&mut record, event, arrival.at);
        let refused = self.keep_what_was_refused(event, applied.outcome, arrival)?;
        let known = record.generation != 0;
        if applied.changed || (refused && known) {
            record.note(event, arrival.at, &applied, &before);
            self.replan(&event.task_id, &mut record)?;
            self.put(&event.task_id, record)?;
        } else if planned_anew {
            self.put(&event.task_id, record)?;
        }
        Ok(true)
    }

    /// Counts what is none of the worker's business.
    pub(super) fn ignore(&mut self) {
        self.meta.events.count(Outcome::Ignored);
        telemetry::event(None, EventOutcome::Merged(Outcome::Ignored));
    }

    /// Merges an event into its task and counts it.
    pub(super) fn apply(&mut self, record: &mut Record, event: &Event, at: Timestamp) -> Applied {
        let applied = record.apply(event, at);
        self.meta.events.count(applied.outcome);
        telemetry::event(Some(event.kind), EventOutcome::Merged(applied.outcome));
        if !event.refused.is_empty() {
            telemetry::extras_refused(event.refused.len());
            tracing::debug!(task = %event.task_id, refused = ?event.refused, "parts of an event can't be read and are left out");
        }
        if applied.ahead {
            telemetry::stamp_ahead(event.producer.as_deref());
        }
        applied
    }

    /// Shows an event of which parts were refused in quarantine, though it is not counted there: what was certain of
    /// it counts. A redelivery shows nothing again. Returns whether it is shown.
    fn keep_what_was_refused(
        &mut self,
        event: &Event,
        outcome: Outcome,
        arrival: Arrival<'_>,
    ) -> Result<bool, StoreError> {
        let is_news = matches!(outcome, Outcome::Applied | Outcome::Ignored);
        if event.refused.is_empty() || !is_news || !self.has_room_for_refused(event.producer.as_deref()) {
            return Ok(false);
        }
        let reason = format!("task {} is kept without {}", event.task_id, parts_of(&event.refused));
        self.keep_extra_refused(reason, arrival)?;
        Ok(true)
    }

    /// The same for a user's preferences, of which an event that can be read in no part is dropped.
    fn keep_refused_wishes(
        &mut self,
        change: &PreferencesChange,
        outcome: Outcome,
        arrival: Arrival<'_>,
    ) -> Result<(), StoreError> {
        let Said::Event { producer, .. } = &change.said else { return Ok(()) };
        let is_news = outcome == Outcome::Applied;
        if change.refused.is_empty() || !is_news || !self.has_room_for_refused(producer.as_deref()) {
            return Ok(());
        }
        let parts = parts_of(&change.refused);
        self.keep_extra_refused(
            format!("the preferences of user {} are kept without {parts}", change.user),
            arrival,
        )
    }

    fn keep_extra_refused(&mut self, reason: String, arrival: Arrival<'_>) -> Result<(), StoreError> {
        let Arrival { at, topic, body } = arrival;
        self.keep_in_quarantine(at, topic.to_owned(), EXTRA_REFUSED, reason, body, length_of(body))
    }

    /// Drops an event.
    fn quarantine(
        &mut self,
        at: Timestamp,
        topic: String,
        code: &str,
        reason: String,
        body: &Bytes,
        length: u64,
    ) -> Result<Verdict, StoreError> {
        self.meta.events.quarantined += 1;
        telemetry::event(None, EventOutcome::Quarantined);
        self.keep_in_quarantine(at, topic, code, reason, body, length)?;
        Ok(Verdict::Drop)
    }

    /// Keeps an event with its reason; the oldest make room.
    fn keep_in_quarantine(
        &mut self,
        at: Timestamp,
        topic: String,
        code: &str,
        reason: String,
        body: &Bytes,
        length: u64,
    ) -> Result<(), StoreError> {
        let kept = &body[..body.len().min(QUARANTINED_BODY_MAX)];
        let entry = Quarantined { at, topic, code: code.into(), reason, length };
        let number = self.meta.next_quarantined;
        self.meta.next_quarantined += 1;
        self.meta.quarantine.entries += 1;
        self.meta.quarantine.bytes += length_of(kept);
        self.batch.push(Op::PutQuarantined(number, entry, kept.to_vec()));
        self.make_room_in_quarantine(EVICTED_AN_EVENT)
    }

    /// Removes the oldest while there is too much, at most `at_most`: after a bound was lowered the rest goes later.
    /// Entries are numbered without gaps, so the oldest is the next number less the count.
    pub(super) fn make_room_in_quarantine(&mut self, at_most: usize) -> Result<(), StoreError> {
        let settings = &self.core.settings;
        for _ in 0..at_most {
            let usage = self.meta.quarantine;
            let full = usage.entries > settings.quarantine_max_entries
                || usage.bytes > settings.quarantine_max_bytes;
            if !full || usage.entries == 0 {
                break;
            }
            let oldest = self.meta.next_quarantined - usage.entries;
            let bytes = self.quarantined_bytes(oldest)?;
            self.batch.push(Op::RemoveQuarantined(oldest));
            self.meta.quarantine.entries -= 1;
            self.meta.quarantine.bytes = usage.bytes.saturating_sub(bytes);
        }
        Ok(())
    }

    /// How much is kept of a quarantined body, which this very group may have put there or emptied. What is known of
    /// the event does not tell: its length is that of the body as it came.
    pub(super) fn quarantined_bytes(&self, number: u64) -> Result<u64, StoreError> {
        let put = self.batch.ops().iter().find_map(|op| match op {
            Op::PutQuarantined(at, _, body) if *at == number => Some(length_of(body)),
            _ => None,
        });
        if let Some(bytes) = put {
            return Ok(bytes);
        }
        match self.core.store.quarantined_body(number) {
            Ok(body) => Ok(length_of(&body)),
            // It goes all the same; its bytes stay counted, which only makes room earlier.
            Err(StoreError::Corrupt(_)) => Ok(0),
            Err(other) => Err(other),
        }
    }
}

/// What was refused, each part with its key and reason.
fn parts_of(refused: &[Refusal]) -> String {
    let parts = refused.iter().map(|refusal| format!("`{}`: {}", refusal.key, refusal.reason));
    cut(parts.collect::<Vec<_>>().join("; "), REFUSED_REASON_MAX_BYTES)
}

fn length_of(body: &[u8]) -> u64 {
    u64::try_from(body.len()).unwrap_or(u64::MAX)
}
