//! The gauges: how many of what there is, and how late the oldest reminder is, looked at every second.
//!
//! For metrics and readiness alone; nothing is decided here.

use std::sync::Arc;
use std::time::Duration;

use tokio_util::sync::CancellationToken;

use crate::clock::{Clock, Jump};
use crate::domain::{State, Timestamp};
use crate::health::Health;
use crate::store::audit::{COMPARED, Mismatch};
use crate::store::{AfterRestore, Meta, OutboxEntry, Paused, Restored, StoreError};
use crate::telemetry::{self, Metrics, OutboxState};
use crate::writer::{ForeignReminder, FreeSpace, HeldBack, Overdue, SetBack, View, Writer};

/// How old a gauge may be.
const EVERY: Duration = Duration::from_secs(1);
/// How long the commit loop may answer nothing before the store counts as unusable: longer than any commit that
/// ends, shorter than a probe's patience. A disk that hangs fails nothing; it only never answers.
pub const SILENT_MAX: Duration = Duration::from_secs(5);

/// What is said where the commit loop refused to be looked at: it could not read what somebody asked for beside it.
const REFUSED: &str = "the store cannot be read; see the log";

/// How long another worker is warned of once it was seen: it shows itself only when it reminds.
pub const FOREIGN_FOR: Duration = Duration::from_secs(60 * 60);

/// How long a wall clock that was set back is warned of: until whoever looks at a dashboard has seen it.
pub const SET_BACK_FOR: Duration = Duration::from_secs(15 * 60);

/// Entries of the outbox read at once while the oldest that waits is looked for. Before it lie only those refused for
/// good, which the writer bounds.
const OUTBOX_STEP: usize = 256;

/// What is looked at.
struct Look {
    meta: Meta,
    syncs: u64,
    overdue: Overdue,
    held_back: Option<HeldBack>,
    silent: u64,
    foreign: Option<ForeignReminder>,
    restored: Option<Restored>,
    mismatches: Vec<Mismatch>,
    set_back: Option<SetBack>,
    /// The oldest entry of the outbox that waits to be sent, with its number; why that can't be told.
    outbox: Result<Option<(u64, OutboxEntry)>, StoreError>,
}

/// Looks until `stop`.
pub async fn run(
    writer: Writer,
    clock: Arc<dyn Clock>,
    health: Health,
    metrics: Metrics,
    stop: CancellationToken,
) {
    let mut answered = clock.monotonic();
    // Entries up to this one are sent or refused for good, which no later look finds otherwise.
    let mut outbox_after = None;
    while !stop.is_cancelled() {
        metrics.upkeep();
        show_room(writer.room(), &health);
        telemetry::waiting(writer.waiting());
        let usable = writer.is_usable();
        if !usable {
            // It is not asked meanwhile, so it is not silent.
            answered = clock.monotonic();
        }
        health.store_usable(usable && clock.monotonic().saturating_sub(answered) < SILENT_MAX);
        // A loop that can't commit answers no reads, and one that waits for the disk may turn out to be such a loop:
        // waiting for long would hide that.
        if usable {
            let now = clock.now();
            let looked = writer.read(move |view| look(view, now, outbox_after));
            tokio::select! {
                looked = looked => {
                    if looked.is_ok() {
                        answered = clock.monotonic();
                    }
                    let looked = looked.map_err(|_| REFUSED.to_owned());
                    match looked.and_then(|look| look.map_err(|error| error.to_string())) {
                        Ok(look) => {
                            health.store_unread(None);
                            if let Ok(Some((number, _))) = &look.outbox {
                                outbox_after = number.checked_sub(1);
                            }
                            show(&look, now, &health);
                            health.warning("clock", look.set_back.and_then(|back| clock_back(back, answered)));
                        }
                        Err(why) => health.store_unread(Some(why)),
                    }
                }
                () = stop.cancelled() => {}
                () = clock.wait(EVERY) => continue,
            }
        }
        tokio::select! {
            () = stop.cancelled() => {}
            () = clock.sleep(EVERY) => {}
        }
    }
}

fn look(view: &View<'_>, now: Timestamp, outbox_after: Option<u64>) -> Result<Look, StoreError> {
    let foreign = view.foreign.last.clone();
    let (overdue, held_back) = (view.overdue(now)?, view.held_back());
    let (meta, syncs, silent) = (view.meta.clone(), view.store.syncs(), view.silent);
    let restored = view.restored.filter(|restored| restored.confirmed.is_none()).cloned();
    let (mismatches, set_back) = (view.mismatches.to_vec(), view.set_back);
    let outbox = oldest_waiting(view, outbox_after);
    Ok(Look { meta, syncs, overdue, held_back, silent, foreign, restored, mismatches, set_back, outbox })
}

/// The oldest entry of the outbox behind `after` that waits to be sent.
fn oldest_waiting(view: &View<'_>, mut after: Option<u64>) -> Result<Option<(u64, OutboxEntry)>, StoreError> {
    if view.meta.outbox.entries <= view.meta.outbox_dead.entries {
        return Ok(None);
    }
    loop {
        let page = view.store.outbox(after, OUTBOX_STEP)?;
        let Some((last, _)) = page.last() else { return Ok(None) };
        after = Some(*last);
        if let Some(oldest) = page.into_iter().find(|(_, entry)| !entry.dead) {
            return Ok(Some(oldest));
        }
    }
}

fn show(look: &Look, now: Timestamp, health: &Health) {
    for state in State::ALL {
        telemetry::reminders(state, u64::try_from(look.meta.reminders.of(state)).unwrap_or(0));
    }
    telemetry::syncs(look.syncs);
    telemetry::silent_series(look.silent);
    show_mismatches(&look.mismatches, health);
    telemetry::quarantine(look.meta.quarantine.entries, look.meta.quarantine.bytes);
    let dead = look.meta.outbox_dead.entries;
    let waiting = look.meta.outbox.entries.saturating_sub(dead);
    for (state, entries) in [(OutboxState::Waiting, waiting), (OutboxState::DeadLetter, dead)] {
        telemetry::outbox(state, usize::try_from(entries).unwrap_or(usize::MAX));
    }
    telemetry::outbox_bytes(look.meta.outbox.bytes);
    show_outbox(look.outbox.as_ref().map(|oldest| oldest.as_ref().map(|(_, entry)| entry)), now, health);
    let Overdue { oldest, oldest_untried } = look.overdue;
    telemetry::oldest_overdue(oldest.map_or(Duration::ZERO, |at| now.since(at)));
    let paused = look.meta.paused.as_ref();
    // What is paused is late because somebody wants it to be.
    let counts = |at: Option<Timestamp>| at.filter(|_| paused.is_none());
    health.overdue(counts(oldest), counts(oldest_untried));
    health.warning("paused", paused.map(why_paused));
    health.held_back(look.held_back.map(|held| {
        format!(
            "{} reminders wait for their turn under publish.rate, publish.user_rate or reminders.catch_up_rate",
            held.count
        )
    }));
    telemetry::firing(paused.is_some(), look.held_back.map_or(0, |held| held.count));
    telemetry::restored(look.restored.is_some());
    health.warning("restored", look.restored.as_ref().map(what_is_missing));
    health.warning("foreign_worker", look.foreign.as_ref().and_then(|last| foreign_worker(last, now)));
}

/// How long events that apps asked the worker to publish have waited. While the broker is out of reach that is all that
/// tells of them: each is tried again and none is refused.
fn show_outbox(oldest: Result<Option<&OutboxEntry>, &StoreError>, now: Timestamp, health: &Health) {
    let oldest = match oldest {
        Ok(oldest) => oldest,
        Err(error) => return health.warning("outbox", Some(format!("the outbox cannot be read: {error}"))),
    };
    telemetry::outbox_oldest(oldest.map_or(Duration::ZERO, |entry| now.since(entry.at)));
    health.warning("outbox", oldest.filter(|entry| health.is_late(entry.at)).map(why_it_waits));
}

/// What is said of an event that has not gone out for long.
fn why_it_waits(entry: &OutboxEntry) -> String {
    let why = entry.reason.as_deref().map(|why| format!(", the last for: {why}")).unwrap_or_default();
    format!(
        "the oldest event of the publishing API that has not gone out was accepted at {}; failed attempts: {}{why}; see \
         /api/v1/outbox",
        entry.at, entry.attempts
    )
}

/// How much room there is. It is looked at also while the store can't commit: that may be why.
fn show_room(room: Option<FreeSpace>, health: &Health) {
    if let Some(room) = room {
        telemetry::store_space(room.free, room.reserve);
    }
    health.space(room.filter(|room| room.short).map(|room| room.to_string()));
}

/// What is not as it was counted.
fn show_mismatches(mismatches: &[Mismatch], health: &Health) {
    for what in COMPARED {
        let found = mismatches.iter().find(|mismatch| mismatch.what == what);
        telemetry::mismatch(what, found.map_or(0, |found| found.counted.abs_diff(found.there)));
    }
    let told = |found: &Mismatch| format!("{}: {} counted, {} there", found.what, found.counted, found.there);
    let all: Vec<String> = mismatches.iter().map(told).collect();
    health.warning("counters", (!all.is_empty()).then(|| format!("{NOT_AS_COUNTED}: {}", all.join("; "))));
}

/// What is said of it.
const NOT_AS_COUNTED: &str = "the store is not as it was counted, which must not be; the log says since when";

/// What is said of a clock that was set back, as long as that was lately; `now` is on the monotonic clock.
fn clock_back(SetBack { by, at }: SetBack, now: Duration) -> Option<String> {
    (now.saturating_sub(at) < SET_BACK_FOR).then(|| {
        format!(
            "{}, so what is due is due so much later; nothing goes out early: look why the machine's time was wrong",
            Jump::Back(by)
        )
    })
}

/// What is said of a pause.
fn why_paused(paused: &Paused) -> String {
    let why = paused.reason.as_deref().map(|why| format!(" ({why})")).unwrap_or_default();
    format!(
        "reminders are paused since {}{why}; `reminder-worker resume` or POST /api/v1/resume lets them go on",
        paused.since
    )
}

/// What is said of a store that was restored, until a person has seen it.
pub fn what_is_missing(restored: &Restored) -> String {
    let Restored { at, from, in_doubt_to, backup, aside, reason, overdue, .. } = restored;
    let damage = match (reason, aside) {
        (Some(reason), Some(aside)) => format!(" ({reason}; what was there is kept as {aside})"),
        _ => String::new(),
    };
    let overdue = match overdue {
        AfterRestore::Fires => "what was due by then goes out, perhaps a second time",
        AfterRestore::Held => "what was due by then waits for you to say whether it fires or is dropped",
        AfterRestore::Dropping => "what was due by then is being dropped",
    };
    let ahead = if restored.was_ahead() {
        format!(
            "the clock was ahead before, so nobody knows what of all that is due by {in_doubt_to} went out; "
        )
    } else {
        String::new()
    };
    format!(
        "the store was restored at {at} from the backup {backup}{damage}: what was committed from {from} to {at} is missing; \
         {ahead}{overdue}; see docs/recovery.md, then `reminder-worker restore confirm`"
    )
}

/// What is said of another worker, as long as it was seen lately. Whose reminder it was is said to nobody unasked: who
/// looks here need not show a token.
fn foreign_worker(last: &ForeignReminder, now: Timestamp) -> Option<String> {
    let at = last.at;
    (now.since(at) < FOREIGN_FOR).then(|| {
        format!(
            "a reminder came back at {at} that was never planned here: another worker publishes to the same topic; \
             `alarms` in /api/v1/stats says which it was"
        )
    })
}

#[cfg(test)]
pub(crate) mod tests;
