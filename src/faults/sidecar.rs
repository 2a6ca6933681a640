//! The sidecar and the broker of a simulation: what becomes of a batch that is published.
//!
//! Requests are answered as the script says, in HTTP; what an answer means is read as the worker's publisher reads it
//! ([`crate::dapr::outcomes_of`]), and what that means for a reminder as its tick does.

use bytes::Bytes;
use serde_json::json;

use super::script::{How, PLACES, Reply};
use super::world::{Broken, Job, STALL_MAX, STALL_MIN, World};
use crate::dapr::{PublishOutcome, outcomes_of};
use crate::domain::ReminderId;
use crate::domain::decide::Attempt;
use crate::reading::read_receipts;
use crate::tick;
use crate::writer::{Claimed, ClaimedBatch, Receipt, Settlement};

/// Most reminders of one batch: few, so that there are many batches to break off between.
const BATCH_MAX: usize = 3;

/// An event of a request, and whether and when the broker has it.
struct Sent {
    outcome: PublishOutcome,
    reaches: Option<i64>,
    reply: Reply,
}

impl World<'_> {
    pub(super) fn claim(&mut self) -> Result<(), Broken> {
        let now = self.clock();
        let Some(claiming) = self.ask(|worker| worker.claim(BATCH_MAX, now))? else { return Ok(()) };
        let Some(batch) = claiming.batch else {
            self.stall = if claiming.progressed { STALL_MIN } else { (2 * self.stall).min(STALL_MAX) };
            self.claims_from = self.now + self.stall;
            return Ok(());
        };
        (self.stall, self.claims_from) = (STALL_MIN, 0);
        self.publish(&batch)
    }

    /// The batch is settled when the last answer is there.
    fn publish(&mut self, batch: &ClaimedBatch) -> Result<(), Broken> {
        let now = self.clock();
        let outgoing = tick::outgoing(batch);
        let (mut sent, took) = self.request(outgoing.len());
        let members: Vec<&[Claimed]> = batch
            .reminders
            .iter()
            .map(std::slice::from_ref)
            .chain(batch.digests.iter().map(|digest| digest.members.as_slice()))
            .collect();
        for ((outgoing, members), sent) in outgoing.iter().zip(members).zip(&mut sent) {
            let (outcome, reaches) = (&sent.outcome, sent.reaches);
            self.tell(|| told(members, outcome, reaches));
            self.seen.publishes += 1;
            self.seen.failed += u64::from(sent.outcome != PublishOutcome::Published);
            self.oracle.attempted(&outgoing.event, members, now, self.now)?;
            if let Some(after) = sent.reaches {
                self.oracle.on_its_way(members);
                let (event, returns) = (outgoing.event.clone(), sent.reply.returns);
                self.later(self.now + after, Job::Reaches { event, returns });
            }
        }
        let outcomes = sent.into_iter().map(|sent| sent.outcome).collect();
        let (settlements, _) = tick::settlements(batch, outcomes, now);
        self.later(self.now + took, Job::Settles { life: self.life, claim: batch.number, settlements });
        Ok(())
    }

    /// One request with `count` events, or several where one is at fault; and how long they took.
    fn request(&mut self, count: usize) -> (Vec<Sent>, i64) {
        let reply = self.next_reply();
        let status = match reply.how {
            How::Takes => 204,
            How::Lists(_) | How::Errs => 500,
            How::Refuses => 400,
            How::Unauthorized => 401,
            How::Silent | How::Gone => return (unanswered(reply, count), reply.after),
        };
        let failed = |place: &usize| matches!(reply.how, How::Lists(bits) if bits >> place & 1 == 1);
        let listed: Vec<_> = (0..count)
            .filter(failed)
            .map(|place| json!({"entryId": place.to_string(), "error": "the broker did not confirm it"}))
            .collect();
        let body = json!({"errorCode": "ERR_PUBSUB_PUBLISH_MESSAGE", "failedEntries": listed}).to_string();
        let certain = |place: &usize| {
            reply.how == How::Takes
                || matches!(reply.how, How::Lists(_)) && !listed.is_empty() && !failed(place)
        };
        match outcomes_of(status, Some(body.as_bytes()), count) {
            Ok(outcomes) => {
                let sent = outcomes.into_iter().enumerate().map(|(place, outcome)| Sent {
                    outcome,
                    reaches: match reply.how {
                        _ if certain(&place) => Some(reply.after / 2),
                        How::Unauthorized => None,
                        _ => reply.reaches[place % PLACES],
                    },
                    reply,
                });
                (sent.collect(), reply.after)
            }
            Err(reason) if count == 1 => {
                let outcome = PublishOutcome::Refused { reason, for_good: true };
                (vec![Sent { outcome, reaches: None, reply }], reply.after)
            }
            // The publisher parts what is refused as a whole.
            Err(_) => {
                let (mut sent, first) = self.request(count / 2);
                let (more, second) = self.request(count - count / 2);
                sent.extend(more);
                (sent, reply.after + first + second)
            }
        }
    }

    fn next_reply(&mut self) -> Reply {
        self.requests += 1;
        let reply = self.script.replies[self.requests % self.script.replies.len()];
        if self.is_calm() { Reply::WELL } else { reply }
    }

    pub(super) fn settle(&mut self, claim: u64, settlements: Vec<Settlement>) -> Result<(), Broken> {
        let now = self.clock();
        let told: Vec<(ReminderId, Attempt)> =
            settlements.iter().map(|settled| (settled.id, settled.attempt.clone())).collect();
        if self.ask(|worker| worker.settle(claim, settlements, now))?.is_some() {
            self.oracle.settled(&told, self.now);
        }
        Ok(())
    }

    /// The broker has an event.
    pub(super) fn reach(&mut self, event: &Bytes, returns: [Option<i64>; 2]) {
        self.oracle.reached(event);
        for after in returns.into_iter().flatten() {
            self.later(self.now + after, Job::Returns(event.clone()));
        }
    }

    pub(super) fn take_back(&mut self, event: &[u8]) -> Result<(), Broken> {
        let now = self.clock();
        let returned = |receipt: crate::reading::Receipt| Receipt {
            task_id: receipt.task_id,
            id: receipt.event_id.into(),
            planned_at: receipt.planned_at,
        };
        let receipts = read_receipts(event).into_iter().map(returned).collect();
        if self.ask(|worker| worker.receive(receipts, now))?.is_some() {
            self.seen.receipts += 1;
        }
        Ok(())
    }
}

/// What became of a request that nobody answered: the same of each of its events, as the publisher has it.
fn unanswered(reply: Reply, count: usize) -> Vec<Sent> {
    let sent = |place: usize| match reply.how {
        How::Gone => {
            let reason = "no connection to the sidecar".to_owned();
            Sent { outcome: PublishOutcome::Refused { reason, for_good: false }, reaches: None, reply }
        }
        _ => {
            let reason = "no answer from the sidecar".to_owned();
            Sent {
                outcome: PublishOutcome::Ambiguous { reason },
                reaches: reply.reaches[place % PLACES],
                reply,
            }
        }
    };
    (0..count).map(sent).collect()
}

fn told(members: &[Claimed], outcome: &PublishOutcome, reaches: Option<i64>) -> String {
    let of = |member: &Claimed| format!("{} of {}", member.reminder.rule, member.task_id);
    let what: Vec<String> = members.iter().map(of).collect();
    let told = match outcome {
        PublishOutcome::Published => "confirmed",
        PublishOutcome::Refused { .. } => "certainly failed",
        PublishOutcome::Ambiguous { .. } => "in doubt",
    };
    let reaches = reaches.map_or("never".to_owned(), |after| format!("after {after} ms"));
    format!("publishes {}: {told}; the broker has it {reaches}", what.join(" and "))
}
