//! What holds of users who were erased: nothing of a task of theirs goes out until its topic tells of it anew.
//!
//! That is certain of a task that the worker is known to have known as theirs, and no more.

use super::Oracle;
use crate::faults::script::{Of, Says};

impl Oracle<'_> {
    /// The erasing of a user begins: until it has ended nobody knows how far it is.
    pub(in crate::faults) fn erasing(&mut self, user: usize) {
        for task in self.tasks_of(user) {
            self.changed(Of::Task(task));
            self.besides.entry(task).or_default().is_ordered = true;
            self.vague.insert(task);
            self.erased_once.insert(task);
        }
        self.confirmed.clear();
        self.from_before_erasing.append(&mut self.under_way);
        self.called_off.clear();
    }

    /// It has ended.
    pub(in crate::faults) fn erased(&mut self, user: usize) {
        for task in self.tasks_of(user) {
            let is_of = |number: &&usize| self.script.events[**number].of == Of::Task(task);
            let said = |what: fn(&Says) -> bool| {
                self.acknowledged.iter().filter(is_of).any(|number| what(&self.script.events[*number].what))
            };
            let is_known = said(|what| matches!(what, Says::Created(_)))
                && !said(|what| matches!(what, Says::Deleted))
                && !self.delivered.difference(&self.acknowledged).any(|number| is_of(&number));
            if is_known {
                self.forget(Of::Task(task));
                self.vague.remove(&task);
                self.erased.insert(task, self.changes_of(task));
            }
        }
        self.forget(Of::User(user));
    }

    fn forget(&mut self, of: Of) {
        let stays = |number: &usize| self.script.events[*number].of != of;
        self.delivered.retain(stays);
        self.acknowledged.retain(stays);
    }

    fn tasks_of(&self, user: usize) -> Vec<usize> {
        let all = self.script.tasks.iter().enumerate();
        all.filter(|(_, kind)| kind.user == Some(user)).map(|(task, _)| task).collect()
    }
}
