//! The worker in a simulation: its store, its sidecar, its clock, and what is on its way.
//!
//! One loop over a list of jobs by their true time. What the worker does is the commit loop's own doing
//! ([`crate::writer::Rehearsal`]); what it is told and what becomes of what it says is the script's. Everything that an
//! observer could see is told to the [`Oracle`], which judges it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::Seen;
use super::oracle::Oracle;
use super::script::{Answer, SETTLES_WITHIN, Script, Told, What, instant, name};
use crate::domain::decide::Attempt;
use crate::domain::{Target, TaskId, Timestamp, Verdict};
use crate::intake;
use crate::reading::{Transport, read, read_receipts};
use crate::store::StoreError;
use crate::store::sled::{DiskFault, FaultyDisk};
use crate::tick::{event_of, event_of_digest};
use crate::writer::{
    Claimed, ClaimedBatch, ClaimedDigest, Delivery, Order, Receipt, Rehearsal, Settings, Settlement,
};

/// A delivery that is not acknowledged comes again after so long, as on Kafka.
const AGAIN_AFTER: i64 = 5_000;
/// A process that could not start is started again after so long.
const START_AGAIN_AFTER: i64 = 1_000;
/// Most reminders of one batch: few, so that there are many batches to break off between.
const BATCH_MAX: usize = 3;
/// Where something is said to be due and can't be had time goes on by so much, each time twice the last.
const STALL_MIN: i64 = 100;
const STALL_MAX: i64 = 60 * 60 * 1_000;
/// Most jobs of one simulation: one that comes to no end is a failure.
const JOBS_MAX: u32 = 200_000;

/// Why a simulation has failed, in words.
pub(super) type Broken = String;

/// A world that is played.
pub(super) struct World<'s> {
    script: &'s Script,
    settings: Settings,
    disk: FaultyDisk,
    worker: Option<Rehearsal>,
    /// Counts the worker's processes: what one of them waits for means nothing to the next.
    life: u32,
    jobs: BTreeMap<(i64, u64), Job>,
    numbered: u64,
    now: i64,
    /// How far the worker's clock is ahead of the true time.
    ahead: i64,
    published: usize,
    /// Before then nothing is claimed: the last claim found nothing.
    claims_from: i64,
    stall: i64,
    /// What the next crash leaves of what was not forced, and how long the worker is away.
    crash_to: (usize, i64),
    pub(super) oracle: Oracle<'s>,
    pub(super) seen: Seen,
}

enum Job {
    Happens(usize),
    Delivered(usize),
    Starts,
    Settles { life: u32, claim: u64, settlements: Vec<Settlement> },
    Reaches { event: Bytes, returns: [Option<i64>; 2] },
    Returns(Bytes),
}

impl<'s> World<'s> {
    pub(super) fn new(script: &'s Script, settings: Settings) -> Self {
        let mut world = Self {
            script,
            settings,
            disk: FaultyDisk::default(),
            worker: None,
            life: 0,
            jobs: BTreeMap::new(),
            numbered: 0,
            now: 0,
            ahead: 0,
            published: 0,
            claims_from: 0,
            stall: STALL_MIN,
            crash_to: (0, 0),
            oracle: Oracle::new(script),
            seen: Seen { simulations: 1, ..Seen::default() },
        };
        world.later(0, Job::Starts);
        for (number, happening) in script.happenings.iter().enumerate() {
            world.later(happening.at, Job::Happens(number));
        }
        world
    }

    /// Plays to the end and judges.
    pub(super) fn play(&mut self) -> Result<(), Broken> {
        let end = self.script.calm_from + i64::try_from(SETTLES_WITHIN.as_millis()).unwrap_or(i64::MAX);
        for _ in 0..JOBS_MAX {
            let job_at = self.jobs.first_key_value().map(|((at, _), _)| *at);
            let wakes_at = self.wakes_at();
            let Some(next) = [job_at, wakes_at].into_iter().flatten().min().filter(|at| *at <= end) else {
                let worker = self.worker.as_ref().ok_or("the worker has not come back")?;
                return self.oracle.judge_end(worker, self.clock());
            };
            self.now = self.now.max(next);
            if job_at.is_some_and(|at| at <= self.now) {
                if let Some((_, job)) = self.jobs.pop_first() {
                    self.carry_out(job)?;
                }
            } else {
                self.claim()?;
            }
        }
        Err("the simulation comes to no end".into())
    }

    fn later(&mut self, at: i64, job: Job) {
        self.numbered += 1;
        self.jobs.insert((at, self.numbered), job);
    }

    /// What the worker's clock says.
    fn clock(&self) -> Timestamp {
        instant(self.now + self.ahead)
    }

    fn wakes_at(&self) -> Option<i64> {
        let wake = self.worker.as_ref()?.next_wake();
        (wake < Timestamp::MAX).then(|| {
            let at = wake.millis().saturating_sub(instant(self.ahead).millis());
            at.max(self.claims_from).max(self.now)
        })
    }

    fn carry_out(&mut self, job: Job) -> Result<(), Broken> {
        match job {
            Job::Happens(number) => self.happen(number),
            Job::Starts => self.start(),
            Job::Delivered(number) => self.deliver(number),
            Job::Settles { life, claim, settlements } if life == self.life => self.settle(claim, settlements),
            Job::Settles { .. } => Ok(()),
            Job::Reaches { event, returns } => {
                self.oracle.reached(&event);
                for after in returns.into_iter().flatten() {
                    self.later(self.now + after, Job::Returns(event.clone()));
                }
                Ok(())
            }
            Job::Returns(event) => self.take_back(&event),
        }
    }

    fn happen(&mut self, number: usize) -> Result<(), Broken> {
        match self.script.happenings[number].what {
            What::Delivered(event) => self.deliver(event),
            What::DiskFails { after } => {
                self.seen.disk_faults += 1;
                self.disk.light_fuse(after, DiskFault::Fail);
                Ok(())
            }
            What::Crash { after, kept, away } => {
                self.crash_to = (kept, away);
                if after == 0 && self.worker.is_some() {
                    return self.crash();
                }
                self.disk.light_fuse(after, DiskFault::Cut);
                Ok(())
            }
            What::ClockSet(ahead) => {
                self.seen.clock_steps += 1;
                self.ahead = ahead;
                self.claims_from = 0;
                Ok(())
            }
            What::Purged => {
                let now = self.clock();
                while self.ask(|worker| worker.purge(now))?.unwrap_or(false) {}
                Ok(())
            }
            What::Cancelled(task) => {
                let (now, id) = (self.clock(), task_id(task));
                let order = Order::Cancel(Target::Present);
                self.oracle.cancel_asked(task);
                let ordered = self.ask(|worker| worker.order(&id, order, format!("cancel-{number}"), now))?;
                if let Some(ordered) = ordered {
                    self.seen.cancels += 1;
                    self.oracle.cancelled(task, &ordered);
                }
                Ok(())
            }
        }
    }

    /// Asks the worker; `None` where there is none, or where it dies of it.
    fn ask<T>(
        &mut self,
        ask: impl FnOnce(&mut Rehearsal) -> Result<T, StoreError>,
    ) -> Result<Option<T>, Broken> {
        let Some(worker) = &mut self.worker else { return Ok(None) };
        match ask(worker) {
            Ok(answer) => Ok(Some(answer)),
            Err(_) if self.disk.is_cut() => {
                self.crash()?;
                Ok(None)
            }
            Err(error) => Err(format!("the worker gave up though its disk works: {error}")),
        }
    }

    fn crash(&mut self) -> Result<(), Broken> {
        let (kept, away) = self.crash_to;
        self.seen.crashes += 1;
        self.worker = None;
        self.life += 1;
        self.disk.power_back(kept).map_err(|error| error.to_string())?;
        self.later(self.now + away, Job::Starts);
        Ok(())
    }

    fn start(&mut self) -> Result<(), Broken> {
        let opened = self
            .disk
            .store()
            .and_then(|store| Rehearsal::open(Arc::new(store), self.settings.clone(), self.clock()));
        self.claims_from = 0;
        match opened {
            Ok(worker) => {
                self.worker = Some(worker);
                Ok(())
            }
            Err(_) if self.disk.is_cut() => self.crash(),
            // The process ends, and is started again.
            Err(StoreError::Unavailable(_)) => {
                self.later(self.now + START_AGAIN_AFTER, Job::Starts);
                Ok(())
            }
            Err(error) => Err(format!("the worker does not start: {error}")),
        }
    }

    fn deliver(&mut self, number: usize) -> Result<(), Broken> {
        let now = self.clock();
        let body = Bytes::from(self.script.events[number].body(number));
        let content = intake::content(read(&body, &Transport::default()), body);
        let delivery = Delivery { at: now, topic: "task-events".into(), content };
        if self.worker.is_some() {
            self.oracle.delivered(number);
        }
        let verdict = self.ask(|worker| worker.deliver(vec![delivery], now))?;
        self.seen.deliveries += u64::from(verdict.is_some());
        match verdict.as_deref() {
            Some([Verdict::Success | Verdict::Drop]) => self.oracle.acknowledged(number),
            _ => self.later(self.now + AGAIN_AFTER, Job::Delivered(number)),
        }
        Ok(())
    }

    fn claim(&mut self) -> Result<(), Broken> {
        let now = self.clock();
        let Some(claiming) = self.ask(|worker| worker.claim(BATCH_MAX, now))? else { return Ok(()) };
        let Some(batch) = claiming.batch else {
            self.stall = if claiming.progressed { STALL_MIN } else { (2 * self.stall).min(STALL_MAX) };
            self.claims_from = self.now + self.stall;
            return Ok(());
        };
        (self.stall, self.claims_from) = (STALL_MIN, 0);
        self.publish(&batch, now)
    }

    /// The sidecar answers as the script says, entry by entry; the batch is settled when the last answer is there.
    fn publish(&mut self, batch: &ClaimedBatch, now: Timestamp) -> Result<(), Broken> {
        let mut settlements = Vec::new();
        let mut settles_at = self.now;
        let alone = batch
            .reminders
            .iter()
            .map(|one| (Bytes::from(event_of(one, &batch.policy)), None, std::slice::from_ref(one)));
        let together = batch.digests.iter().map(|digest: &ClaimedDigest| {
            (Bytes::from(event_of_digest(digest, &batch.policy)), Some(digest.id), digest.members.as_slice())
        });
        let outgoing: Vec<(Bytes, _, &[Claimed])> = alone.chain(together).collect();
        for (event, within, members) in outgoing {
            let answer = self.next_answer();
            self.seen.publishes += 1;
            self.seen.failed += u64::from(answer.told != Told::Confirmed);
            self.oracle.attempted(&event, members, now)?;
            if let Some(after) = answer.reaches {
                self.later(self.now + after, Job::Reaches { event, returns: answer.returns });
            }
            settles_at = settles_at.max(self.now + answer.after);
            let attempt = match answer.told {
                Told::Confirmed => Attempt::Confirmed,
                Told::Failed => Attempt::Failed("refused".into()),
                Told::Nothing => Attempt::Ambiguous("timed out".into()),
            };
            settlements.extend(members.iter().map(|member| Settlement {
                task_id: member.task_id.clone(),
                id: member.id,
                within,
                attempt: attempt.clone(),
            }));
        }
        self.later(settles_at, Job::Settles { life: self.life, claim: batch.number, settlements });
        Ok(())
    }

    fn next_answer(&mut self) -> Answer {
        self.published += 1;
        let answer = self.script.answers[self.published % self.script.answers.len()];
        if self.now < self.script.calm_from {
            return answer;
        }
        Answer { told: Told::Confirmed, after: 1, reaches: Some(0), returns: [None; 2] }
    }

    fn settle(&mut self, claim: u64, settlements: Vec<Settlement>) -> Result<(), Broken> {
        let now = self.clock();
        let confirmed: Vec<_> =
            settlements.iter().filter(|s| s.attempt == Attempt::Confirmed).map(|s| s.id).collect();
        if self.ask(|worker| worker.settle(claim, settlements, now))?.is_some() {
            self.oracle.confirmed(&confirmed);
        }
        Ok(())
    }

    fn take_back(&mut self, event: &[u8]) -> Result<(), Broken> {
        let now = self.clock();
        let returned = |receipt: crate::reading::Receipt| Receipt {
            task_id: receipt.task_id,
            id: receipt.event_id.into(),
            planned_at: receipt.planned_at,
        };
        self.seen.receipts += 1;
        let receipts = read_receipts(event).into_iter().map(returned).collect();
        self.ask(|worker| worker.receive(receipts, now)).map(|_| ())
    }
}

fn task_id(task: usize) -> TaskId {
    TaskId::new(name(task)).unwrap_or_else(|| unreachable!("a name is short"))
}
