//! The loop itself: take what waits, fold, commit, answer.
//!
//! A commit that fails is tried again as it is, for ever in small steps, since nothing else may be written
//! before it: part of it may be in the engine already. Meanwhile deliveries are answered RETRY, each after a
//! short wait, and the worker's own commands wait. After [`STUCK_MAX`] the loop gives up and the process ends:
//! the engine may have to be opened anew to recover (it does after a full disk). A worker that is stopping meanwhile waits
//! for [`RETRY_AFTER`] at most: nothing of the commit was acknowledged, so deliveries come again, and reminders that went
//! out go out again under the same ids.
//!
//! A store that was taken away is told to those who ask in the same way, and for as long as it takes: who found that out
//! ([`crate::store::StoreError::Gone`]) saves what it holds and ends the process.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::answer::{Answer, answer_all, refuse};
use super::core::Core;
use super::group::Folded;
use super::handle::Writer;
use super::{Command, GROUP_EVENTS_MAX, QUEUE_MAX, Settings};
use crate::clock::{Clock, Reading};
use crate::store::{Store, StoreError};
use crate::telemetry;

/// How long a commit is tried before deliveries are told to come again: short of any delivery time-out.
pub(super) const RETRY_AFTER: Duration = Duration::from_secs(2);
/// The wait between two tries of a commit.
const RETRY_EVERY: Duration = Duration::from_millis(100);
/// How long a commit is tried before the process gives up and starts anew.
pub(super) const STUCK_MAX: Duration = Duration::from_secs(30);
/// So many tries that is.
pub(super) const TRIES_MAX: u64 = STUCK_MAX.as_millis() as u64 / RETRY_EVERY.as_millis() as u64;
/// The loop turns at least this often: it shows that it lives, and writes what was put off.
const IDLE_TURN: Duration = Duration::from_secs(1);

/// The commit loop, to be run once.
pub struct CommitLoop {
    /// Locked by one turn at a time, on a thread where blocking is allowed; never contended.
    core: Arc<Mutex<Core>>,
    commands: mpsc::Receiver<Command>,
    /// Taken from the queue while a commit was failing, to be carried out first.
    held: VecDeque<Command>,
    clock: Arc<dyn Clock>,
    usable: watch::Sender<bool>,
    work_put_off: bool,
    /// When what is put off was last looked at, on the monotonic clock.
    put_off_at: Duration,
    /// Cancelled when the worker stops.
    stopping: CancellationToken,
}

/// Whether the loop goes on.
type GoesOn = bool;

/// How a turn went.
pub(super) enum Turn {
    /// All is on the disk and answered.
    Done(Turned),
    /// A read failed: nothing was done.
    Unread(StoreError, Vec<Answer>, Vec<Command>),
    /// The commit failed.
    Stuck(Stuck),
}

/// A commit that failed and who waits for it: it must be tried again before anything else.
pub(super) type Stuck = (StoreError, Box<Folded>, Vec<Answer>);

/// What a turn that is done leaves to be told.
pub(super) struct Turned {
    pub(super) wrote: bool,
    pub(super) work_put_off: bool,
}

impl CommitLoop {
    /// Opens the loop on `store`: takes back attempts that a crash cut off and puts the policy into force.
    ///
    /// # Errors
    /// [`StoreError`]
    pub fn open(
        store: Arc<dyn Store>,
        settings: Settings,
        clock: Arc<dyn Clock>,
    ) -> Result<(Writer, Self), StoreError> {
        let watched = Arc::clone(&store);
        let core =
            Core::open(store, settings, clock.now()).map_err(|error| watched.torn().unwrap_or(error))?;
        let (sender, commands) = mpsc::channel(QUEUE_MAX);
        let usable = watch::Sender::new(true);
        let writer = Writer {
            commands: sender,
            usable: usable.subscribe(),
            next_wake: core.next_wake.subscribe(),
            outbox_waiting: core.outbox_waiting.subscribe(),
            room: core.space.room(),
        };
        let work_put_off = core.has_work_put_off();
        let core = Arc::new(Mutex::new(core));
        Ok((
            writer,
            Self {
                core,
                commands,
                held: VecDeque::new(),
                clock,
                usable,
                work_put_off,
                put_off_at: Duration::ZERO,
                stopping: CancellationToken::new(),
            },
        ))
    }

    /// The same, which tries no commit again for long once `stopping` is cancelled.
    #[must_use]
    pub fn stopping_with(self, stopping: CancellationToken) -> Self {
        Self { stopping, ..self }
    }

    /// Runs until the last [`Writer`] is gone and all it sent is carried out. `turned` is called at every turn.
    ///
    /// # Errors
    /// [`StoreError`]: the store has been failing for [`STUCK_MAX`], or what is on the disk is unknown. The
    /// process must end.
    pub async fn run(mut self, turned: impl Fn() + Send) -> Result<(), StoreError> {
        loop {
            turned();
            let idle = if self.work_put_off { Duration::ZERO } else { IDLE_TURN };
            let first = tokio::select! {
                biased;
                command = next(&mut self.held, &mut self.commands) => command,
                () = self.clock.wait(idle) => {
                    if !self.turn(Vec::new()).await? {
                        return Ok(());
                    }
                    continue;
                }
            };
            let Some(first) = first else {
                return self.turn(Vec::new()).await.map(drop);
            };
            let commands = self.take_group(first);
            if !self.turn(commands).await? {
                return Ok(());
            }
        }
    }

    /// What waits already, up to the bound of one group.
    fn take_group(&mut self, first: Command) -> Vec<Command> {
        let mut events = first.weight();
        let mut commands = vec![first];
        while events < GROUP_EVENTS_MAX {
            let Some(next) = self.held.pop_front().or_else(|| self.commands.try_recv().ok()) else { break };
            events += next.weight();
            commands.push(next);
        }
        commands
    }

    /// Carries out one group; an empty one does what was put off.
    async fn turn(&mut self, commands: Vec<Command>) -> Result<GoesOn, StoreError> {
        let now = Reading::of(self.clock.as_ref());
        let started = now.monotonic;
        let count = commands.len();
        let long_ago = count == 0 || started.saturating_sub(self.put_off_at) >= IDLE_TURN;
        if long_ago {
            self.put_off_at = started;
        }
        let turn = blocking(&self.core, move |core| take_turn(core, commands, &now, long_ago));
        let turned = match turn.await? {
            Turn::Done(turned) => turned,
            Turn::Unread(error @ StoreError::Torn(_), ..) => return Err(error),
            Turn::Unread(error, answers, commands) => {
                tracing::error!(%error, "the store can't be read; what waited is told to come again");
                self.clock.wait(RETRY_EVERY).await;
                answers.into_iter().for_each(Answer::refuse);
                commands.into_iter().for_each(refuse);
                return Ok(true);
            }
            Turn::Stuck(stuck) => match self.persist(stuck).await? {
                Some(turned) => turned,
                None => return Ok(false),
            },
        };
        if turned.wrote {
            telemetry::commit(count, self.clock.monotonic().saturating_sub(started));
        }
        self.work_put_off = turned.work_put_off;
        Ok(true)
    }

    /// Tries a failed commit again until it succeeds; `None` where it has not and the worker stops.
    async fn persist(&mut self, stuck: Stuck) -> Result<Option<Turned>, StoreError> {
        let (mut error, mut folded, mut answers) = stuck;
        tracing::error!(%error, "the store can't commit; nothing is acknowledged until it can");
        self.usable.send_replace(false);
        let since = self.clock.monotonic();
        loop {
            let waited = self.clock.monotonic().saturating_sub(since);
            let is_saved = matches!(error, StoreError::Gone { .. });
            if matches!(error, StoreError::Unsynced(_) | StoreError::Torn(_))
                || (waited >= STUCK_MAX && !is_saved)
            {
                return Err(error);
            }
            if waited >= RETRY_AFTER && self.stopping.is_cancelled() {
                tracing::warn!(
                    %error,
                    "the worker stops, and the store could not commit what came last: none of it was acknowledged, so events \
                     come again, and reminders that went out meanwhile go out again under the same ids"
                );
                return Ok(None);
            }
            if waited >= RETRY_AFTER {
                answers = answers.into_iter().filter_map(Answer::refuse_if_outside).collect();
                while let Ok(command) = self.commands.try_recv() {
                    self.held.extend(command.refuse_if_outside());
                }
            }
            self.clock.wait(RETRY_EVERY).await;
            match blocking(&self.core, move |core| conclude(core, folded, answers)).await? {
                Ok(turned) => {
                    tracing::info!("the store commits again");
                    self.usable.send_replace(true);
                    return Ok(Some(turned));
                }
                Err(stuck) => (error, folded, answers) = stuck,
            }
        }
    }
}

/// Runs `work` where blocking is allowed: the engine blocks on the disk.
async fn blocking<T: Send + 'static>(
    core: &Arc<Mutex<Core>>,
    work: impl FnOnce(&mut Core) -> T + Send + 'static,
) -> Result<T, StoreError> {
    let core = Arc::clone(core);
    let done =
        tokio::task::spawn_blocking(move || work(&mut core.lock().unwrap_or_else(PoisonError::into_inner)));
    match done.await {
        Ok(done) => Ok(done),
        // The runtime ends, and takes this task with it at its next step: the store has no part in it.
        Err(ended) if ended.is_cancelled() => std::future::pending().await,
        Err(panic) => Err(StoreError::Corrupt(format!("the commit loop broke off: {panic}"))),
    }
}

/// The next command; `None` when none will come any more.
async fn next(held: &mut VecDeque<Command>, commands: &mut mpsc::Receiver<Command>) -> Option<Command> {
    match held.pop_front() {
        Some(command) => Some(command),
        None => commands.recv().await,
    }
}

pub(super) fn take_turn(core: &mut Core, commands: Vec<Command>, now: &Reading, long_ago: bool) -> Turn {
    core.watch_clock(now);
    if let Some(torn) = core.store.torn() {
        return Turn::Unread(torn, Vec::new(), commands);
    }
    let commands = core.space.admit(core.store.as_ref(), commands, now.monotonic);
    match core.fold(commands, now.wall, long_ago) {
        Ok((folded, answers)) => conclude(core, Box::new(folded), answers).map_or_else(
            |stuck| {
                core.space.refuse_parked();
                Turn::Stuck(stuck)
            },
            Turn::Done,
        ),
        Err((error, answers, commands)) => {
            core.judge_anew();
            Turn::Unread(error, answers, commands)
        }
    }
}

/// Commits a folded group, takes over what it changed and answers.
pub(super) fn conclude(core: &mut Core, folded: Box<Folded>, answers: Vec<Answer>) -> Result<Turned, Stuck> {
    let wrote = !folded.batch.is_empty();
    // An empty one too: what was known already may be acknowledged only while the store can be relied on.
    if let Err(error) = core.store.commit(&folded.batch) {
        return Err((error, folded, answers));
    }
    core.apply(*folded);
    // Before the answers: who is answered looks at these next.
    core.tell_what_waits();
    answer_all(core, answers);
    Ok(Turned { wrote, work_put_off: core.has_work_put_off() })
}
