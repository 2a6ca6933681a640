//! Those who call the worker of a simulation: the sidecar that delivers, persons, and whoever imports.
//!
//! Who gets no answer asks again, as they do; but for a person's order, which is given once.

use bytes::Bytes;

use super::script::{What, name};
use super::world::{Broken, Job, World};
use crate::domain::{TaskId, Verdict};
use crate::intake;
use crate::reading::{Reading, Transport, read};
use crate::writer::{Delivery, ImportLine, Order, Switch};

/// What nobody can read, or is nobody's business.
pub(super) const POISONS: [&str; 4] = [
    "{",
    r#"{"event_type":"task_created","payload":{"title":"no id"}}"#,
    r#"{"event_type":"task_created","payload":{"task_id":"no-zone","due_date":"2026-11-24T18:00:00","timezone":"Mars/Base"}}"#,
    r#"{"event_type":"invoice_sent","payload":{}}"#,
];
/// What is not acknowledged comes again after so long, as on Kafka.
const AGAIN_AFTER: i64 = 5_000;

impl World<'_> {
    pub(super) fn deliver(&mut self, numbers: &[usize]) -> Result<(), Broken> {
        if self.worker.is_none() {
            self.again_if(true, What::Delivered(numbers.to_vec()));
            return Ok(());
        }
        let now = self.clock();
        let deliveries = numbers.iter().map(|number| {
            let said = &self.script.events[*number];
            let body = Bytes::from(said.body(*number));
            let content = intake::content(read(&body, &said.transport(*number)), body);
            Delivery { at: now, topic: "task-events".into(), content }
        });
        let deliveries = deliveries.collect();
        self.oracle.delivered(numbers);
        let verdicts = self.ask(|worker| worker.deliver(deliveries, now))?;
        let again = match verdicts {
            Some(verdicts) => {
                self.seen.deliveries += verdicts.len() as u64;
                let (taken, again): (Vec<_>, Vec<_>) = numbers
                    .iter()
                    .zip(verdicts)
                    .partition(|(_, verdict)| matches!(verdict, Verdict::Success | Verdict::Drop));
                self.oracle.acknowledged(taken.into_iter().map(|(number, _)| *number), self.now);
                again.into_iter().map(|(number, _)| *number).collect()
            }
            None => numbers.to_vec(),
        };
        self.again_if(!again.is_empty(), What::Delivered(again));
        Ok(())
    }

    pub(super) fn again_if(&mut self, again: bool, what: What) {
        if again {
            self.later(self.now + AGAIN_AFTER, Job::Again(what));
        }
    }

    pub(super) fn deliver_poison(&mut self, which: usize) -> Result<(), Broken> {
        let now = self.clock();
        let body = Bytes::from_static(POISONS[which].as_bytes());
        let content = intake::content(read(&body, &Transport::default()), body);
        let delivery = Delivery { at: now, topic: "task-events".into(), content };
        if self.worker.is_some() {
            self.oracle.received += 1;
        }
        match self.ask(|worker| worker.deliver(vec![delivery], now))?.as_deref() {
            Some([Verdict::Retry]) => Err("what nobody can read is asked for again".into()),
            Some(_) => {
                self.seen.deliveries += 1;
                self.oracle.answered += 1;
                Ok(())
            }
            None => {
                self.again_if(true, What::Poison(which));
                Ok(())
            }
        }
    }

    /// Whoever imports does so again until there is an answer.
    pub(super) fn import(&mut self, numbers: &[usize]) -> Result<(), Broken> {
        let now = self.clock();
        let line =
            |number: &usize| match read(&self.script.events[*number].body(*number), &Transport::default()) {
                Reading::Event(event) => ImportLine::Event(event),
                Reading::Preferences(change) => ImportLine::Preferences(change),
                Reading::Ignored(_) | Reading::Refused(_) => ImportLine::Ignored,
            };
        let lines = numbers.iter().map(line).collect();
        if self.worker.is_some() {
            self.oracle.import_asked(numbers, now);
        }
        match self.ask(|worker| worker.import(lines, now, now))? {
            Some(_) => self.oracle.imported(numbers, self.now),
            None => self.again_if(true, What::Imported(numbers.to_vec())),
        }
        Ok(())
    }

    pub(super) fn order(&mut self, task: usize, order: Order) -> Result<(), Broken> {
        let (now, id) = (self.clock(), task_id(task));
        if self.worker.is_some() {
            self.oracle.order_asked(task);
        }
        self.numbered += 1;
        let message = format!("order-{}", self.numbered);
        let ordered = self.ask(|worker| worker.order(&id, order, message, now))?;
        let Some(ordered) = ordered else { return Ok(()) };
        self.seen.orders += 1;
        self.oracle.ordered(task, &ordered)
    }

    /// Pauses or resumes; false where there is no answer, and whoever asked does so again.
    pub(super) fn switch(&mut self, switch: Switch) -> Result<bool, Broken> {
        let now = self.clock();
        // Until there is an answer nobody knows.
        self.oracle.is_paused = false;
        let switched = self.ask(|worker| worker.switch(switch, now))?;
        self.oracle.is_paused = switched.as_ref().is_some_and(|switched| switched.after.is_some());
        Ok(switched.is_some())
    }
}

fn task_id(task: usize) -> TaskId {
    TaskId::new(name(task)).unwrap_or_else(|| unreachable!("a name is short"))
}
