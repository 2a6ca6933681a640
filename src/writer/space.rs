//! The reserve of free space: what grows the store stops while there is still room for what is due.
//!
//! sled fails for good in a process on a full disk, and a full disk can't be opened. So while less than the reserve is
//! free, what comes from outside and grows the store is refused: deliveries are told to come again, after a short wait,
//! as while a commit fails; publishes, imports and new due dates are refused at once. Claims, settlements, cancels and
//! whatever forgets go on, so what is due still goes out; what can wait (planning anew, receipts) waits. All goes on by
//! itself when there is room.
//!
//! Free space is looked at every second, and before a commit once as much has come as one group may take: what is
//! written between two looks is less than [`RESUME_MORE`].
//!
//! Accepted: who else writes to the disk can use up the reserve. Space that can't be told is taken for enough, since a
//! commit that fails says so too.

use std::collections::VecDeque;
use std::time::Duration;

use tokio::sync::watch;

use super::answer::refuse;
use super::run::RETRY_AFTER;
use super::{Command, GROUP_EVENTS_MAX, Order};
use crate::store::{DiskSpace, MIB, Store};

/// How much more than the reserve must be free before intake goes on: what one large group takes, body for body and in
/// segments, so that it does not stop at the next one.
pub(super) const RESUME_MORE: u64 = 16 * 1024 * 1024;
/// How often free space is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// Commands that wait for room; those beyond are refused at once. As many as the queue takes.
pub(super) const PARKED_MAX: usize = super::QUEUE_MAX;

/// How much room there is where the store lies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct FreeSpace {
    /// Free bytes.
    pub free: u64,
    /// All that its file system has, in bytes.
    pub size: u64,
    /// Bytes kept in reserve; 0 for none.
    pub reserve: u64,
    /// Whether intake waits.
    pub short: bool,
}

impl FreeSpace {
    /// Whether intake waits when so much is free, having been `short` before or not.
    fn judge(short: bool, DiskSpace { free, size }: DiskSpace, reserve: u64) -> Self {
        let enough = if short { resumes_at(reserve) } else { reserve };
        Self { free, size, reserve, short: reserve > 0 && free < enough }
    }
}

impl std::fmt::Display for FreeSpace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { free, size, reserve, .. } = self;
        let (free, whole, kept) = (free / MIB, size / MIB, reserve / MIB);
        write!(
            f,
            "{free} MiB are free where the store lies and {kept} MiB are kept in reserve (store.reserve_mb); "
        )?;
        if *size < resumes_at(*reserve) {
            return write!(
                f,
                "its file system has {whole} MiB in all, so no event can ever be taken: enlarge the volume, or lower the \
                 reserve, to a tenth of it ({}) for instance",
                whole / 10
            );
        }
        write!(
            f,
            "free some space, enlarge the volume, or lower the reserve: {} MiB let events in again, and what is due goes out \
             meanwhile",
            resumes_at(*reserve) / MIB
        )
    }
}

/// How much must be free before intake goes on.
fn resumes_at(reserve: u64) -> u64 {
    reserve.saturating_add(RESUME_MORE)
}

/// See the module.
pub(super) struct Space {
    reserve: u64,
    /// When it was last looked at, on the monotonic clock.
    looked_at: Option<Duration>,
    /// What has come since, in events.
    since: usize,
    parked: VecDeque<(Duration, Command)>,
    room: watch::Sender<Option<FreeSpace>>,
}

impl Space {
    pub(super) fn new(reserve: u64) -> Self {
        let room = watch::Sender::new(None);
        Self { reserve, looked_at: None, since: 0, parked: VecDeque::new(), room }
    }

    /// How much room there is; `None` where that can't be told.
    pub(super) fn room(&self) -> watch::Receiver<Option<FreeSpace>> {
        self.room.subscribe()
    }

    /// Whether what grows the store must wait.
    pub(super) fn is_short(&self) -> bool {
        self.room.borrow().is_some_and(|room| room.short)
    }

    /// Whether there is room for what has waited for it.
    pub(super) fn has_freed(&self) -> bool {
        !self.parked.is_empty() && !self.is_short()
    }

    /// What of `commands` may be carried out at `now` of the monotonic clock, and what has waited for room with it.
    pub(super) fn admit(&mut self, store: &dyn Store, commands: Vec<Command>, now: Duration) -> Vec<Command> {
        self.since += commands.iter().map(Command::weight).sum::<usize>();
        let long_ago = self.looked_at.is_none_or(|at| now.saturating_sub(at) >= LOOK_EVERY);
        if long_ago || self.since >= GROUP_EVENTS_MAX {
            self.look(store);
            (self.looked_at, self.since) = (Some(now), 0);
        }
        if !self.is_short() {
            let mut all = commands;
            let mut weight = 0;
            // As much as one group takes; the rest follows in the next.
            while weight < GROUP_EVENTS_MAX
                && let Some((_, command)) = self.parked.pop_front()
            {
                weight += command.weight();
                all.push(command);
            }
            return all;
        }
        let mut admitted = Vec::with_capacity(commands.len());
        for command in commands {
            match command {
                deliver @ Command::Deliver { .. } if self.parked.len() < PARKED_MAX => {
                    self.parked.push_back((now, deliver));
                }
                command if command.grows() => refuse(command),
                command => admitted.push(command),
            }
        }
        while self.parked.front().is_some_and(|(since, _)| now.saturating_sub(*since) >= RETRY_AFTER) {
            self.parked.pop_front().into_iter().for_each(|(_, command)| refuse(command));
        }
        admitted
    }

    /// Refuses all that waits for room.
    pub(super) fn refuse_parked(&mut self) {
        self.parked.drain(..).for_each(|(_, command)| refuse(command));
    }

    fn look(&mut self, store: &dyn Store) {
        let was_short = self.is_short();
        let space = store.disk_space().unwrap_or_else(|error| {
            tracing::debug!(%error, "free space can't be told");
            None
        });
        let room = space.map(|space| FreeSpace::judge(was_short, space, self.reserve));
        match room {
            Some(room) if room.short && !was_short => {
                tracing::error!("{room}; events are told to come again");
            }
            Some(room) if was_short && !room.short => {
                tracing::info!(free = room.free, "there is room again; events are taken");
            }
            _ => {}
        }
        self.room.send_replace(room);
    }
}

impl Command {
    /// Whether it comes from outside and makes the store larger.
    fn grows(&self) -> bool {
        matches!(
            self,
            Self::Deliver { .. }
                | Self::Accept { .. }
                | Self::Import { .. }
                | Self::Order { order: Order::Reschedule(..), .. }
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intake_stops_below_the_reserve_and_goes_on_well_above_it() {
        const RESERVE: u64 = 1 << 27;
        for (was_short, free, short) in [
            (false, RESERVE, false),
            (false, RESERVE - 1, true),
            (true, RESERVE, true),
            (true, RESERVE + RESUME_MORE - 1, true),
            (true, RESERVE + RESUME_MORE, false),
            (false, 0, true),
        ] {
            let judged = judge(was_short, free, RESERVE);
            assert_eq!(judged.short, short, "{was_short} {free}");
        }
        assert!(!judge(false, 0, 0).short, "no reserve, no stop");
        assert!(!judge(true, 0, 0).short);
        assert!(judge(false, u64::MAX - 1, u64::MAX).short, "no overflow");
    }

    fn judge(was_short: bool, free: u64, reserve: u64) -> FreeSpace {
        FreeSpace::judge(was_short, DiskSpace { free, size: u64::MAX }, reserve)
    }

    #[test]
    fn a_file_system_that_can_never_have_the_reserve_free_is_said_to_be_too_small() {
        const RESERVE: u64 = 128 * MIB;
        for (size, is_too_small) in [
            (64 * MIB, true),
            (RESERVE + RESUME_MORE - 1, true),
            (RESERVE + RESUME_MORE, false),
            (u64::MAX, false),
        ] {
            let told = FreeSpace::judge(false, DiskSpace { free: 0, size }, RESERVE).to_string();
            assert_eq!(told.contains("no event can ever be taken"), is_too_small, "{told}");
            assert_eq!(told.contains("144 MiB let events in again"), !is_too_small, "{told}");
        }
        let small = DiskSpace { free: 60 * MIB, size: 64 * MIB };
        let told = FreeSpace::judge(false, small, RESERVE).to_string();
        assert!(
            told.starts_with("60 MiB are free") && told.contains("64 MiB in all") && told.contains("(6)"),
            "{told}"
        );
    }
}
