//! Drawing a script from its seed.
//!
//! Half of the tasks are plain: whatever is said of them, a few maps tell each reminder that must come. The others have
//! users with wishes, series, reminders after due, snoozes; of those less can be told beforehand, and the rest of the
//! promises holds all the same.

use std::time::Duration;

use fastrand::Rng;

use super::callers::POISONS;
use super::script::{
    Character, Creation, DAY, HOUR, Happening, How, MINUTE, Of, PLACES, Reply, Said, Says, Script, What,
    Wishes,
};
use super::world::VARIANTS;
use crate::domain::CatchUp;
use crate::store::sled::DiskFault;

/// Most tasks: few, so that much happens to each.
const TASKS_MAX: usize = 4;
/// Most events of one task.
const EVENTS_MAX: usize = 8;
/// Most changes of a user's wishes.
const WISHES_MAX: usize = 4;
/// Users; the last one wishes nothing.
const USERS: usize = 3;
/// How often one event is delivered at most.
const DELIVERIES_MAX: usize = 3;
const PRIORITIES: [&str; 3] = ["LOW", "MEDIUM", "HIGH"];
/// Most faults.
const FAULTS_MAX: usize = 6;
/// Most backups, and most losses of the store, where there are any.
const BACKUPS_MAX: usize = 3;
const RESTORES_MAX: usize = 2;
/// Replies of the sidecar.
const REPLIES: usize = 16;
/// How far the worker's clock is behind the true time at most: less than what makes a producer's stamp one from ahead.
const BEHIND_MAX: i64 = 4 * MINUTE;
/// How far it is ahead at most.
const AHEAD_MAX: i64 = 60 * MINUTE;
/// How long after the span the last thing may still go wrong: the longest time that the worker is away, and an hour.
const CALM_AFTER: i64 = 2 * HOUR;

impl Script {
    /// What the seed says.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let rng = &mut rng;
        let span = *pick(rng, &[2 * HOUR, 2 * HOUR, DAY, 3 * DAY]);
        let all_plain = rng.bool();
        let tasks: Vec<Character> =
            (0..rng.usize(1..=TASKS_MAX)).map(|_| character(rng, all_plain)).collect();
        let mut events: Vec<Said> =
            tasks.iter().enumerate().flat_map(|(task, kind)| told_of(rng, task, *kind, span)).collect();
        if !all_plain {
            events.extend((0..USERS - 1).flat_map(|user| wished_by(rng, user, span)));
        }
        let mut happenings = deliveries(rng, &events);
        if rng.u8(0..6) == 0 {
            happenings.push(import(rng, &events, span));
        }
        for _ in 0..rng.usize(0..=FAULTS_MAX) {
            happenings.push(Happening { at: rng.i64(0..span), what: fault(rng, tasks.len(), span) });
        }
        if rng.u8(0..4) == 0 {
            happenings.extend(restore(rng, span));
        }
        happenings.sort_by_key(|happening| happening.at);
        Self {
            seed,
            tasks,
            catch_up: *pick(
                rng,
                &[CatchUp::Fire, CatchUp::Fire, CatchUp::Fire, CatchUp::Coalesce, CatchUp::Skip],
            ),
            rates: *pick(rng, &[(0, 0), (0, 0), (1, 0), (0, 1), (20, 2)]),
            retention: Duration::from_millis(pick(rng, &[8 * DAY, 12 * HOUR]).unsigned_abs()),
            events,
            happenings,
            replies: (0..REPLIES).map(|_| reply(rng)).collect(),
            calm_from: span + CALM_AFTER,
        }
    }
}

fn pick<'a, T>(rng: &mut Rng, of: &'a [T]) -> &'a T {
    &of[rng.usize(0..of.len())]
}

fn character(rng: &mut Rng, plain: bool) -> Character {
    let is_plain = plain || rng.bool();
    let user = if is_plain { Some(USERS - 1).filter(|_| rng.bool()) } else { Some(rng.usize(0..USERS)) };
    Character { user, is_plain }
}

fn told_of(rng: &mut Rng, task: usize, kind: Character, span: i64) -> Vec<Said> {
    let mut at = rng.i64(0..span / 2);
    let mut said = vec![Said { of: Of::Task(task), at, what: Says::Created(creation(rng, kind, at, span)) }];
    for _ in 0..rng.usize(0..EVENTS_MAX) {
        at += rng.i64(1..=span / 8);
        let what = match rng.u8(0..if kind.is_plain { 16 } else { 19 }) {
            0..=4 => Says::Due(due(rng, at, span)),
            5..=7 => Says::Offsets(offsets(rng)),
            8..=9 => Says::Title(rng.u32(..)),
            10..=12 => Says::Completed,
            13..=14 => Says::Reopened,
            15 => Says::Deleted,
            16..=17 => Says::Snoozed(rng.u32(1..120)),
            _ => Says::Acknowledged,
        };
        said.push(Said { of: Of::Task(task), at, what });
    }
    said
}

fn creation(rng: &mut Rng, kind: Character, at: i64, span: i64) -> Creation {
    let plain = Creation {
        due: due(rng, at, span),
        offsets: Some(offsets(rng)),
        user: kind.user,
        priority: "MEDIUM",
        ..Creation::default()
    };
    if kind.is_plain {
        return plain;
    }
    Creation {
        offsets: plain.offsets.clone().filter(|_| rng.bool()),
        daily: rng.bool().then(|| rng.u32(2..5)),
        nags: if rng.u8(0..3) == 0 { 2 } else { 0 },
        remind_at: (rng.u8(0..4) == 0).then(|| at + rng.i64(-MINUTE..span / 2)),
        priority: PRIORITIES[rng.usize(0..PRIORITIES.len())],
        ..plain
    }
}

fn wished_by(rng: &mut Rng, user: usize, span: i64) -> Vec<Said> {
    let mut wished = Vec::new();
    for _ in 0..rng.usize(0..=WISHES_MAX) {
        let at = rng.i64(0..span / 2);
        let wishes = match rng.u8(0..10) {
            0..=3 => {
                let from = rng.u32(0..24);
                let mode = *pick(rng, &["defer", "defer", "earlier", "drop"]);
                Wishes::Quiet { from, to: (from + rng.u32(1..12)) % 24, mode }
            }
            4 => Wishes::NoQuiet,
            5..=6 => Wishes::Digest(rng.u32(0..24)),
            7 => Wishes::NoDigest,
            8 => Wishes::Offsets(offsets(rng)),
            _ => Wishes::Mute(at + rng.i64(0..span / 4)),
        };
        wished.push(Said { of: Of::User(user), at, what: Says::Wishes(wishes) });
    }
    wished.sort_by_key(|said| said.at);
    wished.dedup_by_key(|said| said.at);
    wished
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

/// Each event comes at least once, late or not, alone or with others.
fn deliveries(rng: &mut Rng, events: &[Said]) -> Vec<Happening> {
    let mut happenings = Vec::new();
    for (number, said) in events.iter().enumerate() {
        for _ in 0..rng.usize(1..=DELIVERIES_MAX) {
            let late = *pick(rng, &[0, 20, 5_000, 2 * MINUTE, 30 * MINUTE]);
            let at = said.at + rng.i64(0..=late.max(1));
            // What has been said by then may come again with it.
            let mut together = vec![number];
            while rng.u8(0..4) == 0 {
                let other = rng.usize(0..events.len());
                if events[other].at <= at {
                    together.insert(rng.usize(0..=together.len()), other);
                }
            }
            happenings.push(Happening { at, what: What::Delivered(together) });
        }
    }
    happenings
}

/// All that was said by some instant, of one task.
fn import(rng: &mut Rng, events: &[Said], span: i64) -> Happening {
    let (at, of) = (rng.i64(0..span), events[rng.usize(0..events.len())].of);
    let numbers = (0..events.len()).filter(|n| events[*n].of == of && events[*n].at <= at).collect();
    Happening { at, what: What::Imported(numbers) }
}

/// Backups, and the loss of the store after some of them.
fn restore(rng: &mut Rng, span: i64) -> Vec<Happening> {
    let mut happenings: Vec<Happening> = (0..rng.usize(1..=BACKUPS_MAX))
        .map(|_| Happening { at: rng.i64(0..span), what: What::BackedUp })
        .collect();
    for _ in 0..rng.usize(1..=RESTORES_MAX) {
        let what = What::Restored {
            away: *pick(rng, &[0, 1_000, 50 * MINUTE]),
            held_for: rng.bool().then(|| rng.i64(0..HOUR)),
            refilled: (rng.u8(0..3) > 0).then(|| rng.i64(0..HOUR)),
        };
        happenings.push(Happening { at: rng.i64(0..span), what });
    }
    happenings
}

fn fault(rng: &mut Rng, tasks: usize, span: i64) -> What {
    match rng.u8(0..21) {
        0..=1 => What::Cancelled(rng.usize(0..tasks)),
        2 => What::Rescheduled(rng.usize(0..tasks), rng.i64(0..span)),
        3..=4 => What::DiskFails {
            after: rng.u32(0..9),
            // More than the worker has patience for, or less.
            fault: *pick(rng, &[DiskFault::Fail(1), DiskFault::Fail(1_000), DiskFault::Unforced]),
        },
        5..=11 => {
            let away = *pick(rng, &[0, 1_000, 5 * MINUTE, 50 * MINUTE]);
            What::Crash { after: rng.u32(0..30), kept: rng.usize(0..3), away }
        }
        12..=14 => What::ClockSet(rng.i64(-BEHIND_MAX..=AHEAD_MAX)),
        15 => What::Purged,
        16 => What::Configured(rng.usize(0..VARIANTS)),
        17..=18 => What::Paused(rng.i64(MINUTE..2 * HOUR)),
        19 => What::Erased(rng.usize(0..USERS)),
        _ => What::Poison(rng.usize(0..POISONS.len())),
    }
}

fn reply(rng: &mut Rng) -> Reply {
    let how = match rng.u8(0..20) {
        0..=8 => How::Takes,
        9..=10 => How::Lists(rng.u8(1..1 << PLACES)),
        11..=12 => How::Errs,
        13..=14 => How::Refuses,
        15 => How::Unauthorized,
        16..=17 => How::Silent,
        _ => How::Gone,
    };
    let after = if how == How::Silent { 30_000 } else { *pick(rng, &[1, 20, 900, 30_000]) };
    let reaches = [(); PLACES].map(|()| match rng.u8(0..3) {
        0 => None,
        1 => Some(rng.i64(0..=after)),
        _ => Some(after + rng.i64(0..5 * MINUTE)),
    });
    let mut returns = || rng.bool().then(|| rng.i64(0..MINUTE));
    Reply { how, after, reaches, returns: [returns(), returns()] }
}
