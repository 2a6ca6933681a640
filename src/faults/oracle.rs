//! What must hold whatever happens, judged by what an observer sees. A model of its own, of maps and comparisons: it
//! shares no rule with the worker.
//!
//! | invariant | how it is judged |
//! |---|---|
//! | 1 durable before acknowledged | at the end each acknowledged event has had its effect: see 3 and 4 |
//! | 2 never early | an attempt begins when the worker's clock has come to what the event says |
//! | 3 at least once, one identity | at the end the broker has each reminder that an open task calls for; a repeat is the same bytes as long as no event of its task was acknowledged in between; none is attempted after its confirmation was settled |
//! | 4 order does not matter | no reminder is attempted of a task that by all that is acknowledged has ended, or for a due date that has been replaced |
//! | 5 nothing vanishes | at the end nothing is pending, and the counters say what the index holds |
//! | 8 a cancel has an answer | what *will not fire* is not attempted until an event of its task is acknowledged |

use std::collections::{BTreeMap, BTreeSet};

use super::script::{MINUTE, Said, Says, Script, instant, name};
use super::world::Broken;
use crate::domain::{Due, Fate, Moment, ReminderId, Rule, State, TaskId, Timestamp, Zone};
use crate::reading::read_receipts;
use crate::writer::{Claimed, Ordered, Rehearsal};

/// What the model knows.
pub(super) struct Oracle<'s> {
    script: &'s Script,
    /// Events that were delivered at least once: what was not acknowledged may have been kept all the same.
    delivered: BTreeSet<usize>,
    /// By event, how often it was acknowledged.
    acknowledged: BTreeMap<usize, u32>,
    /// By task, how many acknowledgements and cancels there were: what may change its reminders.
    changes: BTreeMap<usize, u32>,
    cancelled: BTreeSet<usize>,
    /// By reminder, the bytes of its last attempt and the changes of its task by then.
    attempts: BTreeMap<ReminderId, (Vec<u8>, u32)>,
    confirmed: BTreeSet<ReminderId>,
    /// Those that were called off for good, and the changes of their task by then.
    called_off: BTreeMap<ReminderId, u32>,
    /// What the broker has.
    broker: BTreeSet<ReminderId>,
}

/// A task as a set of events says it is: of each field the latest word.
#[derive(Default)]
struct Model<'s> {
    due: Option<(i64, i64)>,
    offsets: Option<(i64, &'s [u32])>,
    /// Whether it is open, and when that was first said: one that is taken up again is reminded of what it missed.
    is_closed: bool,
    opened: Option<i64>,
    deleted: Option<i64>,
    created: Option<i64>,
}

impl<'s> Oracle<'s> {
    pub(super) fn new(script: &'s Script) -> Self {
        Self {
            script,
            delivered: BTreeSet::new(),
            acknowledged: BTreeMap::new(),
            changes: BTreeMap::new(),
            cancelled: BTreeSet::new(),
            attempts: BTreeMap::new(),
            confirmed: BTreeSet::new(),
            called_off: BTreeMap::new(),
            broker: BTreeSet::new(),
        }
    }

    pub(super) fn delivered(&mut self, event: usize) {
        self.delivered.insert(event);
    }

    pub(super) fn acknowledged(&mut self, event: usize) {
        let times = self.acknowledged.entry(event).or_default();
        *times += 1;
        // A redelivery changes nothing.
        if *times > 1 {
            return;
        }
        *self.changes.entry(self.script.events[event].task).or_default() += 1;
    }

    /// Somebody asks for a cancel: it may be kept though the answer never comes.
    pub(super) fn cancel_asked(&mut self, task: usize) {
        self.cancelled.insert(task);
    }

    pub(super) fn cancelled(&mut self, task: usize, ordered: &Ordered) {
        let Ordered::Done { reminders, .. } = ordered else { return };
        let changes = self.changes.entry(task).or_default();
        *changes += 1;
        let id = TaskId::new(name(task));
        for told in reminders.iter().filter(|told| told.fate == Fate::WillNotFire) {
            self.called_off.extend(id.as_ref().map(|id| (told.reminder.id(id), *changes)));
        }
    }

    pub(super) fn confirmed(&mut self, reminders: &[ReminderId]) {
        self.confirmed.extend(reminders);
    }

    pub(super) fn reached(&mut self, event: &[u8]) {
        self.broker
            .extend(read_receipts(event).into_iter().map(|receipt| ReminderId::from(receipt.event_id)));
    }

    /// An attempt begins by a clock that says `now`.
    pub(super) fn attempted(
        &mut self,
        event: &[u8],
        members: &[Claimed],
        now: Timestamp,
    ) -> Result<(), Broken> {
        for member in members {
            let task = self.task_of(&member.task_id)?;
            let changes = self.changes.get(&task).copied().unwrap_or_default();
            let told = |what: &str| Err(format!("{what}: {} of task {task} at {now}", member.reminder.rule));
            if member.reminder.fire_at > now {
                return told("early");
            }
            if self.confirmed.contains(&member.id) {
                return told("again though it was confirmed");
            }
            if self.called_off.get(&member.id) == Some(&changes) && !self.is_in_doubt(task) {
                return told("though it was said that it will not fire");
            }
            if !self.is_in_doubt(task) {
                let model = self.model(task, |event| self.acknowledged.contains_key(&event));
                if !model.is_open() {
                    return told("though its task has ended");
                }
                if model.occurrence() != member.reminder.occurrence {
                    return told("for a due date that has been replaced");
                }
            }
            if let Some((bytes, then)) = self.attempts.get(&member.id)
                && *then == changes
                && !self.is_in_doubt(task)
                && bytes != event
            {
                return told("a repeat with other bytes");
            }
            self.attempts.insert(member.id, (event.to_vec(), changes));
        }
        Ok(())
    }

    /// Nothing is on its way any more.
    pub(super) fn judge_end(&self, worker: &Rehearsal, now: Timestamp) -> Result<(), Broken> {
        let view = worker.view();
        let pending = view.store.pending(None, usize::MAX).map_err(|error| error.to_string())?;
        if let Some(entry) = pending.iter().find(|entry| entry.key.0 <= now) {
            return Err(format!("still pending at the end: a reminder of {} of {}", entry.task, entry.key.0));
        }
        let counted = view.meta.reminders.of(State::Pending);
        if i64::try_from(pending.len()) != Ok(counted) {
            return Err(format!("{counted} reminders are counted as pending, {} are", pending.len()));
        }
        let tasks: BTreeSet<usize> = self.script.events.iter().map(|said| said.task).collect();
        for task in tasks.difference(&self.cancelled) {
            let Some(id) = TaskId::new(name(*task)) else { continue };
            for (rule, occurrence) in
                self.model(*task, |event| self.acknowledged.contains_key(&event)).expected()
            {
                if !self.broker.contains(&ReminderId::of(&id, Some(occurrence), rule)) {
                    return Err(format!("lost: {rule} of task {task}, due at {occurrence}"));
                }
            }
        }
        Ok(())
    }

    /// Whether the worker may know more of a task than it has acknowledged.
    fn is_in_doubt(&self, task: usize) -> bool {
        let unacknowledged = self.delivered.iter().filter(|event| !self.acknowledged.contains_key(event));
        unacknowledged.into_iter().any(|event| self.script.events[*event].task == task)
    }

    fn task_of(&self, id: &TaskId) -> Result<usize, Broken> {
        let known = self.script.events.iter().map(|said| said.task);
        known
            .into_iter()
            .find(|task| name(*task) == id.as_str())
            .ok_or_else(|| format!("a task that nobody made: {id}"))
    }

    fn model(&self, task: usize, counts: impl Fn(usize) -> bool) -> Model<'s> {
        let mut said: Vec<&Said> = Vec::new();
        for (number, event) in self.script.events.iter().enumerate() {
            if event.task == task && counts(number) {
                said.push(event);
            }
        }
        // No two events of one task have one stamp.
        said.sort_by_key(|said| said.at);
        let mut model = Model::default();
        for said in said {
            model.say(said);
        }
        model
    }
}

impl<'s> Model<'s> {
    fn say(&mut self, said: &'s Said) {
        match &said.what {
            Says::Created { due, offsets } => {
                self.created = Some(said.at);
                self.due = Some((said.at, *due));
                self.offsets = Some((said.at, offsets));
                self.opened = Some(said.at);
            }
            Says::Due(due) => self.due = Some((said.at, *due)),
            Says::Offsets(offsets) => self.offsets = Some((said.at, offsets)),
            Says::Title(_) => {}
            Says::Completed => self.is_closed = true,
            Says::Reopened => {
                self.is_closed = false;
                self.opened = self.opened.or(Some(said.at));
            }
            // What was said before is void, and only a creation revives.
            Says::Deleted => *self = Self { deleted: Some(said.at), ..Self::default() },
        }
    }

    fn is_open(&self) -> bool {
        !self.is_closed && (self.deleted.is_none() || self.created.is_some())
    }

    fn occurrence(&self) -> Option<Moment> {
        self.due.map(|(_, due)| Moment::new(Due::Instant(instant(due)), Zone::UTC))
    }

    /// The reminders that must have gone out, if all of this was known in time.
    fn expected(&self) -> Vec<(Rule, Moment)> {
        let (Some((due_since, due)), Some((offsets_since, offsets)), Some(occurrence)) =
            (self.due, self.offsets, self.occurrence())
        else {
            return Vec::new();
        };
        if !self.is_open() {
            return Vec::new();
        }
        let birth = due_since.max(offsets_since).max(self.opened.unwrap_or(i64::MIN));
        let fires = |minutes: &&u32| due - i64::from(**minutes) * MINUTE > birth;
        let rules: Vec<_> = offsets.iter().filter(fires).map(|minutes| Rule::Offset(*minutes)).collect();
        if rules.is_empty() && due > birth && !offsets.is_empty() {
            return vec![(Rule::Offset(0), occurrence)];
        }
        rules.into_iter().map(|rule| (rule, occurrence)).collect()
    }
}
