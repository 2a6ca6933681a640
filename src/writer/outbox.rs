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

/// Most tasks that one pass remembers as busy; beyond it the pass begins anew.
const BUSY_MAX: usize = 65_536;

/// How far a pass over the outbox has come. One look reads a bounded part of it, so that a long backlog of one task
/// neither holds up the loop nor hides what is behind it.
#[derive(Clone, Default)]
pub(super) struct OutboxPass {
    /// The last entry looked at.
    after: Option<u64>,
    /// Tasks with an entry before it: none of theirs may overtake that.
    busy: HashSet<TaskId>,
}

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

    /// The entries that may go out now, oldest first; none for a topic that is `held`. A look that finds none may have
    /// ended at its bound; the next one goes on from there.
    pub(super) fn take_outbox(
        &mut self,
        limit: usize,
        held: &[String],
    ) -> Result<Vec<OutboxItem>, StoreError> {
        let mut pass = self.effects.outbox_pass.clone().unwrap_or_else(|| self.core.outbox_pass.clone());
        let mut items: Vec<OutboxItem> = Vec::new();
        let mut looked_at = 0;
        let mut whole = pass.after.is_none();
        while items.len() < limit && looked_at < SCAN_MAX {
            let page = self.core.store.outbox(pass.after, limit)?;
            if page.is_empty() || pass.busy.len() > BUSY_MAX {
                pass = OutboxPass::default();
                if whole || !items.is_empty() {
                    break;
                }
                // What an earlier look passed over as busy may be free by now.
                whole = true;
                continue;
            }
            for (number, entry) in page {
                if items.len() == limit {
                    break;
                }
                pass.after = Some(number);
                looked_at += 1;
                if self.may_go_out(number, &entry, &mut pass.busy) && !held.contains(&entry.topic) {
                    items.push(OutboxItem { number, body: self.core.store.outbox_body(number)?, entry });
                }
            }
        }
        self.effects.outbox_taken.extend(items.iter().map(|item| (item.number, item.entry.clone())));
        self.effects.outbox_pass = Some(pass);
        Ok(items)
    }

    /// Whether an entry may go out, all before it having been looked at: its task is busy from then on.
    fn may_go_out(&self, number: u64, entry: &OutboxEntry, busy: &mut HashSet<TaskId>) -> bool {
        let settled = self.effects.outbox_settled.get(&number);
        if entry.dead || settled == Some(&true) || !busy.insert(entry.task.clone()) {
            return false;
        }
        settled.is_none()
            && entry.next_attempt.is_none_or(|at| at <= self.now)
            && !self.core.outbox_taken.contains_key(&number)
            && !self.effects.outbox_taken.contains_key(&number)
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

pub(super) fn shrink(usage: &mut Usage, entry: &OutboxEntry) {
    usage.entries = usage.entries.saturating_sub(1);
    usage.bytes = usage.bytes.saturating_sub(entry.length);
}
