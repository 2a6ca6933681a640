//! The worker in a simulation: its store, its clock, and what is on its way.
//!
//! One loop over a list of jobs by their true time. What the worker does is the commit loop's own doing
//! ([`crate::writer::Rehearsal`]); what it is told and what becomes of what it says is the script's. Everything that an
//! observer could see is told to the [`Oracle`], which judges it.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::Seen;
use super::oracle::Oracle;
use super::restoring::Backup;
use super::script::{DAY, HOUR, Script, What, instant};
use crate::domain::{Due, Target, Timestamp};
use crate::store::StoreError;
use crate::store::sled::{DiskFault, FaultyDisk, SledStore};
use crate::writer::{Order, Rehearsal, Settings, Settlement, Switch};

/// Settings that a worker may be started with: default offsets, and the hour of a date alone.
pub(super) const VARIANTS: usize = DEFAULT_OFFSETS.len();
const DEFAULT_OFFSETS: [&[u32]; 3] = [&[0], &[30, 0], &[5]];

/// How long after the calm begins everything must have come to its end: the last reminder is due within two spans, what
/// waits for quiet hours or a digest a day later, and retries wait ten minutes at most.
const SETTLES_WITHIN: i64 = 9 * DAY;
/// A process that has ended is started again after so long.
const START_AGAIN_AFTER: i64 = 1_000;
/// Where something is said to be due and can't be had time goes on by so much, each time twice the last.
pub(super) const STALL_MIN: i64 = 100;
pub(super) const STALL_MAX: i64 = HOUR;
/// Most jobs of one simulation: one that comes to no end is a failure.
const JOBS_MAX: u32 = 200_000;

/// Why a simulation has failed, in words.
pub(super) type Broken = String;

/// A world that is played.
pub(super) struct World<'s> {
    pub(super) script: &'s Script,
    settings: Settings,
    pub(super) disk: FaultyDisk,
    pub(super) worker: Option<Rehearsal>,
    /// What the worker writes to.
    pub(super) store: Option<Arc<SledStore>>,
    /// Users whose erasing is noted beside the backups, and when it ended.
    pub(super) erased: BTreeMap<usize, Option<Timestamp>>,
    /// The newest.
    pub(super) backup: Option<Backup<'s>>,
    /// Counts the worker's processes: what one of them waits for means nothing to the next.
    pub(super) life: u32,
    jobs: BTreeMap<(i64, u64), Job>,
    pub(super) numbered: u64,
    pub(super) now: i64,
    /// How far the worker's clock is ahead of the true time.
    ahead: i64,
    pub(super) requests: usize,
    /// Before then nothing is claimed: the last claim found nothing.
    pub(super) claims_from: i64,
    pub(super) stall: i64,
    /// It starts with other settings the next time.
    is_configured_anew: bool,
    /// The latest that the clock has shown before it was set, which the marker beside a store takes down.
    pub(super) shown: Option<Timestamp>,
    /// What the next crash leaves of what was not forced, and how long the worker is away.
    pub(super) crash_to: (usize, i64),
    pub(super) oracle: Oracle<'s>,
    pub(super) seen: Seen,
    trace: Option<Vec<String>>,
}

pub(super) enum Job {
    Happens(usize),
    /// What was not acknowledged comes again.
    Again(What),
    Starts,
    /// Everything is as it should be from now on.
    Calms,
    Settles {
        life: u32,
        claim: u64,
        settlements: Vec<Settlement>,
    },
    Reaches {
        event: Bytes,
        returns: [Option<i64>; 2],
    },
    Returns(Bytes),
}

impl<'s> World<'s> {
    /// A world in which nothing has happened yet; `traced`, where it is to tell what does.
    pub(super) fn new(script: &'s Script, mut settings: Settings, traced: bool) -> Self {
        settings.retention = script.retention;
        settings.firing.catch_up = script.catch_up;
        (settings.firing.rate, settings.firing.user_rate) = script.rates;
        let mut world = Self {
            script,
            settings,
            disk: FaultyDisk::default(),
            worker: None,
            store: None,
            erased: BTreeMap::new(),
            backup: None,
            life: 0,
            jobs: BTreeMap::new(),
            numbered: 0,
            now: 0,
            ahead: 0,
            requests: 0,
            claims_from: 0,
            stall: STALL_MIN,
            is_configured_anew: false,
            shown: None,
            crash_to: (0, 0),
            oracle: Oracle::new(script),
            seen: Seen { simulations: 1, ..Seen::default() },
            trace: traced.then(Vec::new),
        };
        world.later(0, Job::Starts);
        for (number, happening) in script.happenings.iter().enumerate() {
            world.later(happening.at, Job::Happens(number));
        }
        world.later(script.calm_from, Job::Calms);
        world
    }

    /// Plays to the end and judges.
    pub(super) fn play(&mut self) -> Result<(), Broken> {
        let end = self.script.calm_from + SETTLES_WITHIN;
        for _ in 0..JOBS_MAX {
            let job_at = self.jobs.first_key_value().map(|((at, _), _)| *at);
            let wakes_at = self.wakes_at();
            let Some(next) = [job_at, wakes_at].into_iter().flatten().min().filter(|at| *at <= end) else {
                self.now = end;
                let worker = self.worker.as_ref().ok_or("the worker has not come back")?;
                return self.oracle.judge_end(worker, self.clock(), self.seen.crashes);
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

    /// What has happened, a line each.
    pub(super) fn into_trace(self) -> Vec<String> {
        self.trace.unwrap_or_default()
    }

    pub(super) fn tell(&mut self, what: impl FnOnce() -> String) {
        if let Some(trace) = &mut self.trace {
            let clock = instant(self.now + self.ahead);
            let off =
                if self.ahead == 0 { String::new() } else { format!(" (true time {})", instant(self.now)) };
            trace.push(format!("{clock}{off}  {}", what()));
        }
    }

    pub(super) fn later(&mut self, at: i64, job: Job) {
        self.numbered += 1;
        self.jobs.insert((at, self.numbered), job);
    }

    /// What the worker's clock says.
    pub(super) fn clock(&self) -> Timestamp {
        instant(self.now + self.ahead)
    }

    pub(super) fn is_calm(&self) -> bool {
        self.now >= self.script.calm_from
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
            Job::Happens(number) => self.happen(self.script.happenings[number].what.clone()),
            Job::Again(what) => self.happen(what),
            Job::Starts => self.start(),
            Job::Calms => {
                self.happen(What::LetGo)?;
                self.happen(What::Resumed)
            }
            Job::Settles { life, claim, settlements } if life == self.life => self.settle(claim, settlements),
            // It was asked for by a process that is no more.
            Job::Settles { .. } => Ok(()),
            Job::Reaches { event, returns } => {
                self.reach(&event, returns);
                Ok(())
            }
            Job::Returns(event) => self.take_back(&event),
        }
    }

    fn happen(&mut self, what: What) -> Result<(), Broken> {
        self.tell(|| what.to_string());
        match what {
            What::Delivered(numbers) => self.deliver(&numbers),
            What::Poison(which) => self.deliver_poison(which),
            What::Imported(numbers) => self.import(&numbers),
            What::DiskFails { after, fault } => {
                self.seen.disk_faults += 1;
                self.crash_to = (usize::MAX, START_AGAIN_AFTER);
                self.disk.light_fuse(after, fault);
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
            What::Configured(variant) => {
                self.settings.policy.default_offsets = DEFAULT_OFFSETS[variant].to_vec();
                self.is_configured_anew = true;
                self.crash_to = (usize::MAX, START_AGAIN_AFTER);
                if self.worker.is_some() { self.crash() } else { Ok(()) }
            }
            What::ClockSet(ahead) => {
                self.seen.clock_steps += 1;
                self.shown = self.shown.max(Some(self.clock()).filter(|_| self.worker.is_some()));
                self.ahead = ahead;
                self.oracle.failed_at.clear();
                self.claims_from = 0;
                Ok(())
            }
            What::Purged => {
                self.oracle.has_forgotten = true;
                let now = self.clock();
                while self.ask(|worker| worker.purge(now))?.unwrap_or(false) {}
                Ok(())
            }
            What::Cancelled(task) => self.order(task, Order::Cancel(Target::Present)),
            What::Rescheduled(task, due) => {
                self.order(task, Order::Reschedule(Due::Instant(instant(due)), None))
            }
            What::Paused(span) => {
                if self.switch(Switch::Pause { reason: None })? {
                    self.later(self.now + span, Job::Again(What::Resumed));
                } else {
                    self.again_if(true, What::Paused(span));
                }
                Ok(())
            }
            What::Resumed => {
                let resumed = self.switch(Switch::Resume)?;
                self.again_if(!resumed, What::Resumed);
                Ok(())
            }
            What::Erased(user) => self.erase(user),
            What::BackedUp => {
                self.back_up();
                Ok(())
            }
            What::Restored { away, held_for, refilled } => self.restore(away, held_for, refilled),
            What::LetGo => self.let_go(),
        }
    }

    /// Asks the worker; `None` where there is none, or where it ends of it.
    pub(super) fn ask<T>(
        &mut self,
        ask: impl FnOnce(&mut Rehearsal) -> Result<T, StoreError>,
    ) -> Result<Option<T>, Broken> {
        let Some(worker) = &mut self.worker else { return Ok(None) };
        match ask(worker) {
            Ok(answer) => Ok(Some(answer)),
            Err(StoreError::Unsynced(_) | StoreError::Unavailable(_)) => {
                self.crash()?;
                Ok(None)
            }
            Err(error) => Err(format!("the worker can't go on: {error}")),
        }
    }

    /// The worker's process ends, with the power or without.
    pub(super) fn crash(&mut self) -> Result<(), Broken> {
        let (kept, away) = self.crash_to;
        self.tell(|| "the worker ends".into());
        self.seen.crashes += 1;
        (self.worker, self.store) = (None, None);
        self.oracle.failed_at.clear();
        self.life += 1;
        self.disk.power_back(kept).map_err(|error| error.to_string())?;
        self.later(self.now + away, Job::Starts);
        Ok(())
    }

    fn start(&mut self) -> Result<(), Broken> {
        if self.worker.is_some() {
            return Ok(());
        }
        self.tell(|| "the worker starts".into());
        let opened = self.disk.store().map(Arc::new).and_then(|store| {
            let carried = Arc::<SledStore>::clone(&store);
            Rehearsal::open(carried, self.settings.clone(), self.clock()).map(|worker| (worker, store))
        });
        self.claims_from = 0;
        match opened {
            Ok((worker, store)) => {
                (self.worker, self.store) = (Some(worker), Some(store));
                // From its start on: what was due while it was away is not called for by new settings.
                if std::mem::take(&mut self.is_configured_anew) {
                    self.oracle.configured(self.clock());
                }
                self.finish_erasing()
            }
            Err(StoreError::Unsynced(_) | StoreError::Unavailable(_)) => self.crash(),
            Err(error) => Err(format!("the worker does not start: {error}")),
        }
    }
}
