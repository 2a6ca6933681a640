//! What happens in a simulation, drawn from its seed before it begins: so it can be played again, and cut down to what
//! a failure needs.
//!
//! Owns what may happen: events that come late, twice and out of order, a disk that fails, crashes between any two steps
//! of a commit, a clock that is set, cancels, and how the sidecar answers. Must never know what the worker makes of it.

use std::time::Duration;

use fastrand::Rng;
use serde_json::{Value, json};

use crate::domain::Timestamp;

/// When simulations begin: 2026-11-24T09:00:00Z.
const START: Timestamp = Timestamp::from_millis(1_795_510_800_000);
/// Most tasks: few, so that much happens to each.
const TASKS_MAX: usize = 4;
/// Most events of one task.
const EVENTS_MAX: usize = 8;
/// How often one event is delivered at most.
const DELIVERIES_MAX: usize = 3;
/// Most faults.
const FAULTS_MAX: usize = 6;
/// Answers of the sidecar, used in turn, round and round.
const ANSWERS: usize = 16;
/// How far the worker's clock is behind the true time at most: less than what makes a producer's stamp one from ahead.
const BEHIND_MAX: i64 = 4 * MINUTE;
/// How far it is ahead at most.
const AHEAD_MAX: i64 = 60 * MINUTE;

pub(super) const MINUTE: i64 = 60_000;

/// A simulation to be played; times are milliseconds from its start, of the true time.
#[derive(Clone, Debug)]
pub struct Script {
    /// What it was drawn from.
    pub seed: u64,
    /// What producers say, by number.
    pub(super) events: Vec<Said>,
    /// In the order of their times.
    pub(super) happenings: Vec<Happening>,
    pub(super) answers: Vec<Answer>,
    /// From then on nothing goes wrong any more.
    pub(super) calm_from: i64,
}

/// What a producer says of a task.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Said {
    pub(super) task: usize,
    /// Its stamp.
    pub(super) at: i64,
    pub(super) what: Says,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Says {
    /// Due then, with reminders so many minutes before.
    Created {
        due: i64,
        offsets: Vec<u32>,
    },
    Due(i64),
    Offsets(Vec<u32>),
    Title(u32),
    Completed,
    Reopened,
    Deleted,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Happening {
    pub(super) at: i64,
    pub(super) what: What,
}

#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum What {
    /// The event of this number is delivered.
    Delivered(usize),
    /// Somebody calls off all reminders of a task.
    Cancelled(usize),
    /// A step of a commit fails, so many steps from then on.
    DiskFails { after: u32 },
    /// The power goes so many steps from then on, leaves so many batches of what was not forced, and stays away.
    Crash { after: u32, kept: usize, away: i64 },
    /// The worker's clock is set to be so much ahead of the true time.
    ClockSet(i64),
    /// What is over is forgotten.
    Purged,
}

/// How the sidecar answers a publish.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Answer {
    pub(super) told: Told,
    /// How long the answer takes.
    pub(super) after: i64,
    /// When the broker has it, if it ever does: after a time-out it may be much later than the answer.
    pub(super) reaches: Option<i64>,
    /// When it comes back to the worker's own subscription, counted from there; and once more.
    pub(super) returns: [Option<i64>; 2],
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Told {
    Confirmed,
    Failed,
    Nothing,
}

/// The true time so many milliseconds from the start.
pub(super) fn instant(at: i64) -> Timestamp {
    Timestamp::from_millis(START.millis() + at)
}

/// The name of a task.
pub(super) fn name(task: usize) -> String {
    format!("7b0d1c52-9a3e-4c11-8f00-{task:012x}")
}

impl Script {
    /// What the seed says.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let rng = &mut rng;
        let span = *pick(rng, &[2 * 60 * MINUTE, 2 * 60 * MINUTE, 24 * 60 * MINUTE, 72 * 60 * MINUTE]);
        let tasks = rng.usize(1..=TASKS_MAX);
        let events: Vec<Said> = (0..tasks).flat_map(|task| told_of(rng, task, span)).collect();
        let mut happenings = Vec::new();
        for (number, said) in events.iter().enumerate() {
            for _ in 0..rng.usize(1..=DELIVERIES_MAX) {
                let late = *pick(rng, &[0, 20, 5_000, 2 * MINUTE, 30 * MINUTE]);
                let at = said.at + rng.i64(0..=late.max(1));
                happenings.push(Happening { at, what: What::Delivered(number) });
            }
        }
        for _ in 0..rng.usize(0..=FAULTS_MAX) {
            happenings.push(Happening { at: rng.i64(0..span), what: fault(rng, tasks) });
        }
        happenings.sort_by_key(|happening| happening.at);
        let answers = (0..ANSWERS).map(|_| answer(rng)).collect();
        Self { seed, events, happenings, answers, calm_from: span + 60 * MINUTE }
    }

    /// How many happenings it has.
    #[must_use]
    pub fn len(&self) -> usize {
        self.happenings.len()
    }

    /// A copy without the happenings from `from` up to and without `to`.
    pub(super) fn without(&self, from: usize, to: usize) -> Self {
        let happenings = self.happenings.iter().enumerate().filter(|(n, _)| !(from..to).contains(n));
        Self { happenings: happenings.map(|(_, happening)| happening.clone()).collect(), ..self.clone() }
    }
}

impl std::fmt::Display for Script {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for Happening { at, what } in &self.happenings {
            let at = instant(*at);
            match what {
                What::Delivered(number) => {
                    let body = self.events[*number].body(*number);
                    writeln!(f, "{at}  delivered {}", String::from_utf8_lossy(&body))?;
                }
                other => writeln!(f, "{at}  {other:?}")?,
            }
        }
        write!(f, "answers in turn: {:?}", self.answers)
    }
}

impl Said {
    /// The event of the contract.
    pub(super) fn body(&self, number: usize) -> Vec<u8> {
        let id = name(self.task);
        let (kind, mut payload) = match &self.what {
            Says::Created { due, offsets } => (
                "task_created",
                json!({"due_date": stamp(*due), "reminder_offsets": offsets, "status": "TODO"}),
            ),
            Says::Due(due) => ("task_updated", json!({"due_date": stamp(*due)})),
            Says::Offsets(offsets) => ("task_updated", json!({"reminder_offsets": offsets})),
            Says::Title(title) => ("task_updated", json!({"title": format!("title {title}")})),
            Says::Completed => ("task_completed", json!({})),
            Says::Reopened => ("task_updated", json!({"status": "TODO"})),
            Says::Deleted => ("task_deleted", json!({})),
        };
        payload["task_id"] = Value::String(id);
        let event = json!({
            "event_id": format!("5d7a11d0-31c2-4c4e-9c55-{number:012x}"),
            "event_type": kind,
            "event_version": "v1",
            "timestamp": stamp(self.at),
            "producer": "simulation",
            "payload": payload,
        });
        event.to_string().into_bytes()
    }
}

fn stamp(at: i64) -> String {
    instant(at).to_rfc3339()
}

fn told_of(rng: &mut Rng, task: usize, span: i64) -> Vec<Said> {
    let mut at = rng.i64(0..span / 2);
    let mut said =
        vec![Said { task, at, what: Says::Created { due: due(rng, at, span), offsets: offsets(rng) } }];
    for _ in 0..rng.usize(0..EVENTS_MAX) {
        at += rng.i64(1..=span / 8);
        let what = match rng.u8(0..16) {
            0..=4 => Says::Due(due(rng, at, span)),
            5..=7 => Says::Offsets(offsets(rng)),
            8..=9 => Says::Title(rng.u32(..)),
            10..=12 => Says::Completed,
            13..=14 => Says::Reopened,
            _ => Says::Deleted,
        };
        said.push(Said { task, at, what });
    }
    said
}

/// A due date that no other event states: so a value is stated once, and it came to be with its statement.
fn due(rng: &mut Rng, at: i64, span: i64) -> i64 {
    at + rng.i64(-10 * MINUTE..span / 2)
}

fn offsets(rng: &mut Rng) -> Vec<u32> {
    // One that nobody repeats, for the same reason.
    let mut offsets = vec![rng.u32(1..100_000)];
    for more in [0, 5, 30] {
        if rng.bool() {
            offsets.push(more);
        }
    }
    offsets
}

fn fault(rng: &mut Rng, tasks: usize) -> What {
    match rng.u8(0..8) {
        0 => What::Cancelled(rng.usize(0..tasks)),
        1 => What::DiskFails { after: rng.u32(0..9) },
        2..=4 => {
            let away = *pick(rng, &[0, 1_000, 5 * MINUTE, 50 * MINUTE]);
            What::Crash { after: rng.u32(0..30), kept: rng.usize(0..3), away }
        }
        5..=6 => What::ClockSet(rng.i64(-BEHIND_MAX..=AHEAD_MAX)),
        _ => What::Purged,
    }
}

fn answer(rng: &mut Rng) -> Answer {
    let after = *pick(rng, &[1, 20, 900, 30_000]);
    let (told, reaches) = match rng.u8(0..10) {
        0..=5 => (Told::Confirmed, Some(rng.i64(0..=after))),
        6 => (Told::Failed, None),
        7 => (Told::Nothing, None),
        8 => (Told::Nothing, Some(rng.i64(0..=after))),
        _ => (Told::Nothing, Some(after + rng.i64(0..5 * MINUTE))),
    };
    let mut returns = || rng.bool().then(|| rng.i64(0..MINUTE));
    Answer { told, after, reaches, returns: [returns(), returns()] }
}

fn pick<'a, T>(rng: &mut Rng, of: &'a [T]) -> &'a T {
    &of[rng.usize(0..of.len())]
}

/// How long after the calm begins everything must have come to its end: retries wait ten minutes at most.
pub(super) const SETTLES_WITHIN: Duration = Duration::from_secs(4 * 24 * 60 * 60);
