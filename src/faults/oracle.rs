//! What must hold whatever happens, judged by what an observer sees. Maps and comparisons of its own: it shares no rule
//! with the worker.
//!
//! | invariant | how it is judged |
//! |---|---|
//! | 1 durable before acknowledged | at the end each acknowledged event has had its effect: see 3 and 4 |
//! | 2 never early | an attempt begins when the worker's clock has come to what the event says; of a plain task, to its due date less the offset |
//! | 3 at least once, one identity | at the end the broker has what the [`Model`] says; a repeat of what may be out is the same bytes as long as no event of its task was acknowledged in between; none is attempted after its confirmation was settled |
//! | 4 order does not matter | no reminder is attempted of a task that by all that is acknowledged has ended, or, of a plain one, for a due date that has been replaced |
//! | 5 nothing vanishes | at the end nothing is pending; the counters say what the index holds, and no less than the records do; events are counted as often as they came |
//! | 6 poison does not block | what nobody can read is acknowledged |
//! | wishes | nothing goes out that was to go out while its user wishes to hear nothing |
//! | 8 a cancel has an answer | what *will not fire* is not with the broker, not on its way and not attempted until an event of its task is acknowledged; what has *fired* is with the broker; nothing that is with it ends as cancelled or superseded |

mod end;
mod erasing;
mod restore;

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use serde_json::Value;

use super::model::{Besides, Model};
use super::script::{HOUR, Of, Says, Script, Wishes, instant, name};
use super::world::Broken;
use crate::domain::decide::Attempt;
use crate::domain::{Fate, ReminderId, TaskId, Timestamp};
use crate::reading::read_receipts;
use crate::writer::{Claimed, Ordered, ReminderFate};

/// How late an event may be so that what it calls for must still come: with what holds it up after that, less than the
/// worker's `expire_after`.
const LATE_MAX: i64 = 12 * HOUR;

/// What failed is not tried again sooner than so: half of `publish.backoff_initial`.
const AGAIN_AFTER_MIN: i64 = 100;

/// What has been seen.
#[derive(Clone)]
pub(super) struct Oracle<'s> {
    script: &'s Script,
    /// Events that were delivered at least once: what was not acknowledged may have been kept all the same.
    delivered: BTreeSet<usize>,
    acknowledged: BTreeSet<usize>,
    /// Deliveries begun, and those that were answered.
    pub(super) received: u64,
    pub(super) answered: u64,
    /// By task, how often something came that may change its reminders.
    changes: BTreeMap<usize, u32>,
    besides: BTreeMap<usize, Besides>,
    configured: Option<Timestamp>,
    pub(super) is_paused: bool,
    /// What was due by then is held.
    pub(super) held_to: Option<Timestamp>,
    /// What was over has been forgotten at least once.
    pub(super) has_forgotten: bool,
    /// Tasks whose user was erased, and their changes by then.
    erased: BTreeMap<usize, u32>,
    /// Those of which nobody knows how much was erased, and those of which anything ever was.
    vague: BTreeSet<usize>,
    erased_once: BTreeSet<usize>,
    /// The worker has lost a store.
    is_restored: bool,
    /// Reminders that had ended when the store was backed up that the worker has restored: of what came of them after
    /// that it can't know.
    ended_before: BTreeSet<ReminderId>,
    /// By the event's id, its last attempt.
    attempts: BTreeMap<String, Attempted>,
    /// Attempts by reminder that are under way or ended without an answer.
    in_doubt: BTreeMap<ReminderId, u32>,
    /// When an attempt was settled that did not succeed, by the true time, while clock, process and tasks stay as they are.
    pub(super) failed_at: BTreeMap<ReminderId, i64>,
    confirmed: BTreeSet<ReminderId>,
    /// Attempts of which nothing has been heard, and those of them from before a user was erased: their task may be anew.
    under_way: BTreeSet<ReminderId>,
    from_before_erasing: BTreeSet<ReminderId>,
    /// Those that were said not to fire: their task, and its changes by then.
    called_off: BTreeMap<ReminderId, (usize, u32)>,
    /// What the broker will have.
    on_its_way: BTreeMap<ReminderId, u32>,
    /// What the broker has, with the due dates that it was told.
    broker: BTreeSet<ReminderId>,
    broker_told: BTreeMap<String, BTreeSet<String>>,
}

/// What an event was when it was last tried.
#[derive(Clone)]
struct Attempted {
    bytes: Vec<u8>,
    /// Its tasks, and the changes of each by then.
    tasks: Vec<(usize, u32)>,
}

impl<'s> Oracle<'s> {
    pub(super) fn new(script: &'s Script) -> Self {
        Self {
            script,
            delivered: BTreeSet::new(),
            acknowledged: BTreeSet::new(),
            received: 0,
            answered: 0,
            changes: BTreeMap::new(),
            besides: BTreeMap::new(),
            configured: None,
            is_paused: false,
            held_to: None,
            erased: BTreeMap::new(),
            vague: BTreeSet::new(),
            erased_once: BTreeSet::new(),
            is_restored: false,
            has_forgotten: false,
            ended_before: BTreeSet::new(),
            attempts: BTreeMap::new(),
            in_doubt: BTreeMap::new(),
            failed_at: BTreeMap::new(),
            confirmed: BTreeSet::new(),
            under_way: BTreeSet::new(),
            from_before_erasing: BTreeSet::new(),
            called_off: BTreeMap::new(),
            on_its_way: BTreeMap::new(),
            broker: BTreeSet::new(),
            broker_told: BTreeMap::new(),
        }
    }

    pub(super) fn delivered(&mut self, numbers: &[usize]) {
        self.received += numbers.len() as u64;
        self.delivered.extend(numbers);
        if numbers.iter().any(|number| matches!(self.script.events[*number].of, Of::User(_))) {
            self.forget_called_off();
        }
    }

    pub(super) fn acknowledged(&mut self, numbers: impl Iterator<Item = usize>, now: i64) {
        for number in numbers {
            self.answered += 1;
            // A redelivery changes nothing.
            if self.acknowledged.insert(number) {
                let said = &self.script.events[number];
                self.changed(said.of);
                if let Of::Task(task) = said.of {
                    self.besides.entry(task).or_default().is_late |= now - said.at > LATE_MAX;
                }
            }
        }
    }

    fn changed(&mut self, of: Of) {
        if let Of::Task(task) = of {
            *self.changes.entry(task).or_default() += 1;
            // It may have left and come back, and is due anew.
            self.failed_at.clear();
        }
    }

    pub(super) fn import_asked(&mut self, numbers: &[usize], now: Timestamp) {
        self.delivered(numbers);
        for number in numbers {
            let of = self.script.events[*number].of;
            self.changed(of);
            let Of::Task(task) = of else { continue };
            let besides = self.besides.entry(task).or_default();
            besides.imported = besides.imported.max(Some(now));
        }
    }

    pub(super) fn imported(&mut self, numbers: &[usize], now: i64) {
        self.acknowledged(numbers.iter().copied(), now);
    }

    /// Somebody asks for a cancel or another due date: it may be kept though the answer never comes.
    pub(super) fn order_asked(&mut self, task: usize) {
        self.besides.entry(task).or_default().is_ordered = true;
        self.changed(Of::Task(task));
    }

    pub(super) fn ordered(&mut self, task: usize, ordered: &Ordered) -> Result<(), Broken> {
        let Ordered::Done { reminders, .. } = ordered else { return Ok(()) };
        let changes = self.changes_of(task);
        let Some(task_id) = TaskId::new(name(task)) else { return Ok(()) };
        for ReminderFate { reminder, fate } in reminders {
            let told = |what: &str| Err(format!("{what}: {} of task {task}", reminder.rule));
            let id = reminder.id(&task_id);
            match fate {
                Fate::WillNotFire
                    if self.ended_before.contains(&id)
                        || self.erased_once.contains(&task)
                        || self.may_have_gone_ahead(&task_id) => {}
                Fate::WillNotFire if self.broker.contains(&id) || self.confirmed.contains(&id) => {
                    return told("it is said that it will not fire, and it has");
                }
                Fate::WillNotFire if self.on_its_way.contains_key(&id) => {
                    return told("it is said that it will not fire, and it is on its way");
                }
                Fate::WillNotFire => {
                    self.called_off.insert(id, (task, changes));
                }
                Fate::Fired(_) if !self.broker.contains(&id) => {
                    return told("it is said that it has fired, and the broker has it not");
                }
                Fate::Fired(_) | Fate::Planned | Fate::InFlight => {}
            }
        }
        Ok(())
    }

    pub(super) fn configured(&mut self, now: Timestamp) {
        self.configured = self.configured.max(Some(now));
        self.forget_called_off();
    }

    /// Other wishes and settings may call anew for what was called off, but not of a plain task.
    fn forget_called_off(&mut self) {
        self.called_off.retain(|_, (task, _)| self.script.tasks[*task].is_plain);
    }

    pub(super) fn on_its_way(&mut self, members: &[Claimed]) {
        for member in members {
            *self.on_its_way.entry(member.id).or_default() += 1;
        }
    }

    pub(super) fn settled(&mut self, attempts: &[(ReminderId, Attempt)], now: i64) {
        for (id, attempt) in attempts {
            if *attempt != Attempt::Confirmed {
                self.failed_at.insert(*id, now);
            }
            self.under_way.remove(id);
            match attempt {
                Attempt::Confirmed if self.from_before_erasing.remove(id) => {}
                Attempt::Confirmed => {
                    self.confirmed.insert(*id);
                }
                Attempt::Failed(_) => {
                    self.in_doubt.entry(*id).and_modify(|count| *count = count.saturating_sub(1));
                }
                Attempt::Ambiguous(_) => {}
            }
        }
    }

    /// The broker has an event.
    pub(super) fn reached(&mut self, event: &[u8]) {
        for receipt in read_receipts(event) {
            let id = ReminderId::from(receipt.event_id);
            self.broker.insert(id);
            if let Some(count) = self.on_its_way.get_mut(&id) {
                *count -= 1;
                if *count == 0 {
                    self.on_its_way.remove(&id);
                }
            }
        }
        let event: Value = serde_json::from_slice(event).unwrap_or_default();
        let payload = &event["data"]["payload"];
        let items = payload["items"].as_array().cloned().unwrap_or_else(|| vec![payload.clone()]);
        for item in items {
            let told = self.broker_told.entry(text(&item["task_id"])).or_default();
            told.insert(text(&item["due_date"]));
        }
    }

    /// An attempt begins by a clock that says `now`.
    pub(super) fn attempted(
        &mut self,
        event: &[u8],
        members: &[Claimed],
        now: Timestamp,
        true_time: i64,
    ) -> Result<(), Broken> {
        if self.is_paused {
            return Err(format!("something goes out at {now} while reminders are paused"));
        }
        let is_held = |member: &Claimed| self.held_to.is_some_and(|at| member.reminder.fire_at <= at);
        if members.iter().any(is_held) {
            return Err(format!("something goes out at {now} that is held"));
        }
        let mut tasks = Vec::new();
        for member in members {
            let task = self.task_of(&member.task_id)?;
            tasks.push((task, self.changes_of(task)));
            self.attempted_one(task, member, now, true_time)?;
        }
        let read: Value = serde_json::from_slice(event).map_err(|_| "an event that is no JSON".to_owned())?;
        self.is_not_early(&tasks, &read, now)?;
        let id = text(&read["data"]["event_id"]);
        if let Some(Attempted { bytes, tasks: then }) = self.attempts.get(&id) {
            let is_certain = |(task, changes): &(usize, u32)| {
                self.changes_of(*task) == *changes && !self.may_know_more(*task)
            };
            let may_be_out = |member: &Claimed| self.in_doubt.get(&member.id).is_some_and(|count| *count > 0);
            let is_plain = then.iter().all(|(task, _)| self.script.tasks[*task].is_plain);
            let must_be_same = is_plain || members.iter().all(may_be_out);
            if must_be_same && then.iter().chain(&tasks).all(is_certain) && bytes != event {
                return Err(format!("a repeat with other bytes: {id} at {now}"));
            }
        }
        self.attempts.insert(id, Attempted { bytes: event.to_vec(), tasks });
        for member in members {
            *self.in_doubt.entry(member.id).or_default() += 1;
            self.under_way.insert(member.id);
        }
        Ok(())
    }

    fn attempted_one(
        &self,
        task: usize,
        member: &Claimed,
        now: Timestamp,
        true_time: i64,
    ) -> Result<(), Broken> {
        let told = |what: &str| Err(format!("{what}: {} of task {task} at {now}", member.reminder.rule));
        if self.confirmed.contains(&member.id) {
            return told("again though it was confirmed");
        }
        if self.may_know_more(task) {
            return Ok(());
        }
        if self.called_off.get(&member.id) == Some(&(task, self.changes_of(task))) {
            return told("though it was said that it will not fire");
        }
        if self.erased.get(&task) == Some(&self.changes_of(task)) {
            return told("though its user was erased");
        }
        let model = Model::of(self.script, task, &self.acknowledged);
        if !model.is_open() {
            return told("though its task has ended");
        }
        let muted_until = model.user.and_then(|user| self.muted_until(user));
        if muted_until.is_some_and(|until| member.reminder.fire_at < until) {
            return told("though its user wishes to hear nothing");
        }
        let since_failure = self.failed_at.get(&member.id).map(|at| true_time - at);
        let is_plain = self.script.tasks[task].is_plain;
        if is_plain && since_failure.is_some_and(|since| since < AGAIN_AFTER_MIN) {
            return told("again too soon after it failed");
        }
        let is_moved = self.besides.get(&task).is_some_and(|besides| besides.is_ordered);
        if is_plain && !is_moved && model.occurrence() != member.reminder.occurrence {
            return told("for a due date that has been replaced");
        }
        Ok(())
    }

    /// By the event itself.
    fn is_not_early(&self, tasks: &[(usize, u32)], event: &Value, now: Timestamp) -> Result<(), Broken> {
        let at = |value: &Value| {
            let parsed = DateTime::parse_from_rfc3339(value.as_str()?).ok()?;
            Some(Timestamp::from_millis(parsed.timestamp_millis()))
        };
        let payload = &event["data"]["payload"];
        let is_plain = tasks.iter().all(|(task, _)| self.script.tasks[*task].is_plain);
        let planned = at(&payload["due_date"]).zip(payload["reminder_offset"].as_u64());
        let planned = planned
            .filter(|_| is_plain)
            .map(|(due, minutes)| due.minus(std::time::Duration::from_secs(60 * minutes)));
        let told = at(&event["data"]["timestamp"]).ok_or("an event without a timestamp")?;
        match planned.into_iter().fold(told, Timestamp::max) {
            planned if planned > now => Err(format!("early: at {now} what is planned for {planned}")),
            _ => Ok(()),
        }
    }

    /// Until when a user wishes to hear nothing, where that is certain.
    fn muted_until(&self, user: usize) -> Option<Timestamp> {
        let is_of = |number: &&usize| self.script.events[**number].of == Of::User(user);
        if self.delivered.difference(&self.acknowledged).any(|number| is_of(&number)) {
            return None;
        }
        let said = self.acknowledged.iter().filter(is_of).map(|number| &self.script.events[*number]);
        let muted = said.filter_map(|said| match said.what {
            Says::Wishes(Wishes::Mute(until)) => Some((said.at, until)),
            _ => None,
        });
        muted.max().map(|(_, until)| instant(until))
    }

    /// Whether the worker may know more of a task than it has acknowledged.
    fn may_know_more(&self, task: usize) -> bool {
        let mut unacknowledged = self.delivered.difference(&self.acknowledged);
        self.vague.contains(&task)
            || unacknowledged.any(|number| self.script.events[*number].of == Of::Task(task))
    }

    fn changes_of(&self, task: usize) -> u32 {
        self.changes.get(&task).copied().unwrap_or_default()
    }

    fn task_of(&self, id: &TaskId) -> Result<usize, Broken> {
        (0..self.script.tasks.len())
            .find(|task| name(*task) == id.as_str())
            .ok_or_else(|| format!("a task that nobody made: {id}"))
    }
}

fn text(value: &Value) -> String {
    value.as_str().unwrap_or_default().to_owned()
}
