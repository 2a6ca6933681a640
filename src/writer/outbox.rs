//! The outbox: events that apps asked the worker to publish.
//!
//! An entry is answered for once it is kept. Entries of one task go out one after another: while one is in
//! flight or waits for its next attempt, those behind it wait too; one that is refused for good is set aside
//! and lets the next one through. What is in flight is known in memory alone: a crash sends it again under
//! the same `event_id`.

use std::collections::HashSet;

use super::group::Group;
use super::{Acceptance, OutboxItem, OutboxResult, STEP_MAX};
use crate::domain::{REASON_MAX_BYTES, TaskId, cut};
use crate::store::{Op, OutboxEntry, StoreError, Usage};

/// Most dead entries kept; the oldest make room.
pub(super) const OUTBOX_DEAD_MAX: u64 = 1_000;
/// Most entries looked at for one take: a backlog of one task must not hold up the loop.
pub(super) const SCAN_MAX: usize = 4_096;

impl Group<'_> {
    /// Keeps an event, unless the outbox is full.
    pub(super) fn accept(&mut self, entry: OutboxEntry, body: Vec<u8>) -> Acceptance {
        if self.meta.outbox.bytes.saturating_add(entry.length) > self.core.settings.outbox_max_bytes {
            return Acceptance::Full;
        }
        let number = self.meta.next_outbox;
        self.meta.next_outbox += 1;
        grow(&mut self.meta.outbox, &entry);
        self.batch.push(Op::PutOutbox(number, entry, body));
        self.effects.outbox_grew = true;
        Acceptance::Kept
    }

    /// The entries that may go out now, oldest first.
    pub(super) fn take_outbox(&mut self, limit: usize) -> Result<Vec<OutboxItem>, StoreError> {
        let mut busy: HashSet<TaskId> = HashSet::new();
        let mut items = Vec::new();
        let mut after = None;
        let mut looked_at = 0;
        while items.len() < limit && looked_at < SCAN_MAX {
            let page = self.core.store.outbox(after, limit)?;
            let Some((last, _)) = page.last() else { break };
            after = Some(*last);
            looked_at += page.len();
            for (number, entry) in page {
                let settled = self.effects.outbox_settled.get(&number);
                if entry.dead || settled == Some(&true) {
                    continue;
                }
                if !busy.insert(entry.task.clone()) || items.len() == limit {
                    continue;
                }
                let waits = entry.next_attempt.is_some_and(|at| at > self.now);
                if waits
                    || settled.is_some()
                    || self.core.outbox_taken.contains_key(&number)
                    || self.effects.outbox_taken.contains_key(&number)
                {
                    continue;
                }
                let body = self.core.store.outbox_body(number)?;
                self.effects.outbox_taken.insert(number, entry.clone());
                items.push(OutboxItem { number, entry, body });
            }
        }
        Ok(items)
    }

    /// Ends the attempts of entries.
    pub(super) fn settle_outbox(&mut self, results: Vec<(u64, OutboxResult)>) -> Result<(), StoreError> {
        for (number, result) in results {
            let Some(mut entry) = self.core.outbox_taken.get(&number).cloned() else { continue };
            if self.effects.outbox_settled.contains_key(&number) {
                continue;
            }
            self.effects.outbox_settled.insert(number, !matches!(result, OutboxResult::Failed(_)));
            entry.attempts = entry.attempts.saturating_add(1);
            match result {
                OutboxResult::Published => {
                    shrink(&mut self.meta.outbox, &entry);
                    self.batch.push(Op::RemoveOutbox(number));
                }
                OutboxResult::Failed(reason) => {
                    let wait = self.core.settings.backoff.delay(entry.attempts, number);
                    entry.next_attempt = Some(self.now.plus(wait));
                    entry.reason = Some(cut(reason, REASON_MAX_BYTES));
                    self.batch.push(Op::UpdateOutbox(number, entry));
                }
                OutboxResult::Refused(reason) => {
                    tracing::warn!(event = entry.event_id, task = %entry.task, reason, "an event is refused for good; see /api/v1/outbox");
                    entry.dead = true;
                    entry.next_attempt = None;
                    entry.reason = Some(cut(reason, REASON_MAX_BYTES));
                    grow(&mut self.meta.outbox_dead, &entry);
                    self.batch.push(Op::UpdateOutbox(number, entry));
                    self.make_room_for_dead()?;
                }
            }
            self.effects.outbox_grew = true;
        }
        Ok(())
    }

    fn make_room_for_dead(&mut self) -> Result<(), StoreError> {
        if self.meta.outbox_dead.entries <= OUTBOX_DEAD_MAX {
            return Ok(());
        }
        let mut after = None;
        loop {
            let page = self.core.store.outbox(after, STEP_MAX)?;
            let Some((last, _)) = page.last() else { return Ok(()) };
            after = Some(*last);
            let oldest = page
                .into_iter()
                .find(|(number, entry)| entry.dead && !self.effects.outbox_settled.contains_key(number));
            if let Some((number, entry)) = oldest {
                self.effects.outbox_settled.insert(number, true);
                shrink(&mut self.meta.outbox, &entry);
                shrink(&mut self.meta.outbox_dead, &entry);
                self.batch.push(Op::RemoveOutbox(number));
                return Ok(());
            }
        }
    }
}

fn grow(usage: &mut Usage, entry: &OutboxEntry) {
    usage.entries += 1;
    usage.bytes += entry.length;
}

fn shrink(usage: &mut Usage, entry: &OutboxEntry) {
    usage.entries = usage.entries.saturating_sub(1);
    usage.bytes = usage.bytes.saturating_sub(entry.length);
}
