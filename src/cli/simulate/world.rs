//! A worker in simulated time: its store, its events and how far it has come.
//!
//! It says at which instant something happens next. There, events that have come are delivered first, then whatever
//! is due is claimed and settled as published, batch by batch: what an event says of this instant holds for it. Which
//! reminders, and in which order, is the commit loop's to say.
//!
//! Must never know: what is printed.

use std::sync::Arc;
use std::time::Duration;

use super::events::Events;
use super::{Span, unusable};
use crate::app;
use crate::cli::Failure;
use crate::config::Config;
use crate::domain::decide::Attempt;
use crate::domain::{Tally, Timestamp};
use crate::store::{EventTally, Store, StoreError};
use crate::writer::{
    Claimed, ClaimedBatch, ClaimedDigest, Delivery, GROUP_EVENTS_MAX, Rehearsal, STEP_MAX, Settlement,
};

/// How long the worker goes without forgetting ended tasks. It does hourly; a day less or more is never seen, since
/// an ended task fires nothing and is remembered for days.
const PURGE_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// Claims at one instant, in a row, that find nothing though something is said to be due, and come no further: while
/// time stands still, what a few have not changed no more will.
const IDLE_CLAIMS_MAX: u32 = 16;
/// Claims at one instant that send nothing and do come further: sixteen million reminders may expire at one.
const DRY_CLAIMS_MAX: u32 = 64 * 1024;
/// How far time goes on where something is said to be due and can't be had: a rate lets the next ones go after so long.
const STALL_MIN: Duration = Duration::from_millis(100);
/// How far it goes on at most, each step twice the last: a year in which nothing comes of it is over in an instant.
const STALL_MAX: Duration = Duration::from_secs(60 * 60);

/// A worker that is played.
pub(super) struct World {
    rehearsal: Rehearsal,
    events: Arc<Events>,
    /// The next event.
    position: usize,
    topic: String,
    span: Span,
    /// The instant that is being played; `None` before the first.
    now: Option<Timestamp>,
    /// Before the first event was played.
    counted: EventTally,
    purged_at: Timestamp,
    fired: u64,
    /// How many of them before this instant.
    fired_before: u64,
    /// How far time goes on from here where something is said to be due.
    stall: Duration,
}

/// How often it has been asked in vain for what is said to be due: time must go on.
#[derive(Default)]
struct Patience {
    /// In a row, without coming further.
    idle: u32,
    all: u32,
}

impl Patience {
    fn found_nothing(&mut self, progressed: bool) {
        self.all += 1;
        self.idle = if progressed { 0 } else { self.idle + 1 };
    }

    fn is_over(&self) -> bool {
        self.idle >= IDLE_CLAIMS_MAX || self.all >= DRY_CLAIMS_MAX
    }
}

/// Reminders that fire at one instant.
pub(super) struct Fired {
    /// That instant.
    pub(super) at: Timestamp,
    /// Alone or together.
    pub(super) batch: ClaimedBatch,
}

impl Fired {
    /// The reminders, those that go out together last, each with the digest that it is in.
    pub(super) fn reminders(&self) -> impl Iterator<Item = (&Claimed, Option<&ClaimedDigest>)> {
        let together = self.batch.digests.iter();
        let members = together.flat_map(|digest| digest.members.iter().map(move |m| (m, Some(digest))));
        self.batch.reminders.iter().map(|claimed| (claimed, None)).chain(members)
    }
}

/// What became of everything.
pub(super) struct Outcome {
    /// Events that were played.
    pub(super) events: EventTally,
    /// Reminders that fired.
    pub(super) fired: u64,
    /// Reminders by state, those from before the start included.
    pub(super) reminders: Tally,
}

impl World {
    /// A worker that starts on `store` when the span does.
    pub(super) fn open(
        store: Arc<dyn Store>,
        config: &Config,
        events: Arc<Events>,
        span: Span,
    ) -> Result<Self, StoreError> {
        let rehearsal = Rehearsal::open(store, app::settings(config), span.start)?;
        let counted = rehearsal.view().meta.events;
        let topic = config.topics.task_events.clone();
        let purged_at = span.start;
        Ok(Self {
            rehearsal,
            events,
            position: 0,
            topic,
            span,
            now: None,
            counted,
            purged_at,
            fired: 0,
            fired_before: 0,
            stall: STALL_MIN,
        })
    }

    /// The next instant at which something happens; `None` when nothing does before the end.
    pub(super) fn next(&self) -> Option<Timestamp> {
        let Some(now) = self.now else { return Some(self.span.start) };
        let wake = match self.rehearsal.next_wake() {
            due if due <= now => now.plus(self.stall),
            later => later,
        };
        let event = self.events.at(self.position).unwrap_or(Timestamp::MAX);
        Some(wake.min(event)).filter(|next| *next <= self.span.until && *next < Timestamp::MAX)
    }

    /// Goes on to `now` and takes the events that have come by then.
    pub(super) fn advance(&mut self, now: Timestamp) -> Result<(), Failure> {
        self.now = Some(now);
        self.fired_before = self.fired;
        // Only an event that is yet to come can see what was forgotten.
        let more = self.events.at(self.position).is_some();
        if more && now.since(self.purged_at) >= PURGE_EVERY {
            self.purged_at = now;
            while self.rehearsal.purge(now).map_err(|error| unusable(&error))? {}
        }
        loop {
            let mut deliveries = Vec::new();
            while deliveries.len() < GROUP_EVENTS_MAX
                && let Some(at) = self.events.at(self.position).filter(|at| *at <= now)
            {
                let content = self.events.content(self.position).map_err(|error| {
                    Failure::failed(format!(
                        "an event can't be read a second time: {error}; did the file change?"
                    ))
                })?;
                deliveries.push(Delivery { at, topic: self.topic.clone(), content });
                self.position += 1;
            }
            if deliveries.is_empty() {
                return Ok(());
            }
            self.rehearsal.deliver(deliveries, now).map_err(|error| unusable(&error))?;
        }
    }

    /// The next reminders that fire at this instant; `None` when there are no more.
    pub(super) fn fire(&mut self) -> Result<Option<Fired>, Failure> {
        let now = self.now.unwrap_or(self.span.start);
        let mut patience = Patience::default();
        while self.rehearsal.next_wake() <= now && !patience.is_over() {
            let claiming = self.rehearsal.claim(STEP_MAX, now).map_err(|error| unusable(&error))?;
            if let Some(batch) = claiming.batch {
                return self.settle(batch, now).map(Some);
            }
            patience.found_nothing(claiming.progressed);
        }
        let stalled = self.rehearsal.next_wake() <= now && self.fired == self.fired_before;
        self.stall = stall(self.stall, stalled);
        Ok(None)
    }

    /// The broker has all of them.
    fn settle(&mut self, batch: ClaimedBatch, at: Timestamp) -> Result<Fired, Failure> {
        let fired = Fired { at, batch };
        let ended = |(claimed, digest): (&Claimed, Option<&ClaimedDigest>)| Settlement {
            task_id: claimed.task_id.clone(),
            id: claimed.id,
            within: digest.map(|digest| digest.id),
            attempt: Attempt::Confirmed,
        };
        let settlements: Vec<_> = fired.reminders().map(ended).collect();
        self.fired += settlements.len() as u64;
        self.rehearsal.settle(fired.batch.number, settlements, at).map_err(|error| unusable(&error))?;
        Ok(fired)
    }

    /// How many reminders have fired.
    pub(super) fn fired(&self) -> u64 {
        self.fired
    }

    /// What became of everything so far.
    pub(super) fn outcome(&self) -> Outcome {
        let meta = self.rehearsal.view().meta;
        let (now, then) = (meta.events, self.counted);
        let events = EventTally {
            applied: now.applied - then.applied,
            duplicate: now.duplicate - then.duplicate,
            stale: now.stale - then.stale,
            ignored: now.ignored - then.ignored + self.events.ignored.count,
            quarantined: now.quarantined - then.quarantined,
        };
        Outcome { events, fired: self.fired, reminders: meta.reminders }
    }
}

/// How far time goes on after an instant, by how far it went before.
fn stall(before: Duration, stalled: bool) -> Duration {
    if stalled { (2 * before).min(STALL_MAX) } else { STALL_MIN }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_over_a_stall_grow_to_their_bound_and_are_short_again_when_it_is_over() {
        let steps: Vec<Duration> =
            std::iter::successors(Some(STALL_MIN), |last| Some(stall(*last, true))).take(20).collect();
        assert_eq!((steps[1], steps[19]), (2 * STALL_MIN, STALL_MAX));
        assert_eq!(stall(STALL_MAX, false), STALL_MIN);
    }

    #[test]
    fn patience_ends_on_its_bounds_and_a_change_renews_only_the_shorter_one() {
        let mut idle = Patience::default();
        (1..IDLE_CLAIMS_MAX).for_each(|_| idle.found_nothing(false));
        idle.found_nothing(true);
        (1..IDLE_CLAIMS_MAX).for_each(|_| idle.found_nothing(false));
        assert!(!idle.is_over());
        idle.found_nothing(false);
        assert!(idle.is_over());
        let mut dry = Patience::default();
        (1..DRY_CLAIMS_MAX).for_each(|_| dry.found_nothing(true));
        assert!(!dry.is_over());
        dry.found_nothing(true);
        assert!(dry.is_over());
    }
}
