//! `GET /api/v1/tasks/{task_id}/why`: the answer for each reminder up front, then what led to it.
//!
//! Made from one record between two commits. A store that no worker holds is asked by the same function.

mod called_off;
mod held;
mod pending;
mod prose;
#[cfg(test)]
mod tests;

use axum::Json;
use axum::extract::State;
use serde::Serialize;

use self::prose::Prose;
use super::api::{Api, unknown_task};
use super::problem::Problem;
use super::query::PathText;
use crate::domain::why::{What, nothing, timeline};
use crate::domain::{
    Moment, Planned, Preferences, Record, Rules, TaskId, Timestamp, Zone, left_out, series_end,
};
use crate::health::Health;
use crate::store::{Claim, Paused, Restored};

/// Why a task's reminders fire or do not.
#[derive(Serialize)]
pub struct WhyShown {
    task_id: String,
    title: Option<String>,
    status: &'static str,
    /// The due date as the task states it.
    due: Option<String>,
    /// The zone of all local times here: the task's, else the default one.
    timezone: &'static str,
    /// One for each reminder kept, or one that says why there is none.
    answers: Vec<AnswerShown>,
    timeline: Vec<EntryShown>,
}

#[derive(Serialize)]
struct AnswerShown {
    reminder_id: Option<String>,
    rule: Option<String>,
    state: Option<&'static str>,
    sentence: String,
}

#[derive(Serialize)]
struct EntryShown {
    at: String,
    local: String,
    what: &'static str,
    sentence: String,
    event_id: Option<String>,
    reminder_id: Option<String>,
    rule: Option<String>,
}

/// `GET /api/v1/tasks/{task_id}/why`
pub(super) async fn show(
    State(api): State<Api>,
    PathText(task_id): PathText,
) -> Result<Json<WhyShown>, Problem> {
    let Some(task_id) = TaskId::new(task_id) else { return Err(unknown_task()) };
    let (now, held_up) = (api.clock.now(), api.health.as_ref().and_then(Health::why_none_goes_out));
    let shown = api
        .read(move |view| {
            let Some(record) = view.store.record(&task_id)? else { return Ok(None) };
            let user = view.preferences_of(&record.task)?;
            let rules = Rules { in_force: view.policy, user: user.as_ref() };
            let (paused, claims) = (view.meta.paused.as_ref(), view.store.claims()?);
            let halts = Halts {
                paused,
                restored: view.restored,
                claims: &claims,
                runs: true,
                held_up: held_up.as_deref(),
            };
            Ok(Some(why(&task_id, &record, &rules, halts, now)))
        })
        .await?;
    shown.map(Json).ok_or_else(unknown_task)
}

/// What is known of the sending of reminders, whichever task they are of.
#[derive(Clone, Copy, Default)]
pub struct Halts<'a> {
    /// The pause in force.
    pub paused: Option<&'a Paused>,
    /// Where the store was restored from: what was due then may be held.
    pub restored: Option<&'a Restored>,
    /// The attempts under way; where no worker runs, those that its end cut off.
    pub claims: &'a [Claim],
    /// Whether a worker runs on the store.
    pub runs: bool,
    /// Why no reminder goes out, as far as that worker knows.
    pub held_up: Option<&'a str>,
}

/// Why the reminders of `task_id` fire or do not, as of `now`, by the rules in force and what halts all.
#[must_use]
pub fn why(
    task_id: &TaskId,
    record: &Record,
    rules: &Rules<'_>,
    halts: Halts<'_>,
    now: Timestamp,
) -> WhyShown {
    let task = &record.task;
    // A deleted task states none any more; its reminders remember.
    let former = || record.reminders.iter().rev().find_map(|r| r.occurrence.and_then(Moment::zone));
    let wished = || rules.user.and_then(Preferences::zone);
    let policy = &rules.in_force.policy;
    let zone = task.zone().or_else(former).or_else(wished).unwrap_or(policy.default_zone);
    let prose = Prose { task_id, record, rules, halts, zone, now };
    let mut answers: Vec<AnswerShown> = record
        .reminders
        .iter()
        .map(|reminder| AnswerShown {
            reminder_id: Some(reminder.id(task_id).to_string()),
            rule: Some(reminder.rule.to_string()),
            state: Some(reminder.state.name()),
            sentence: prose.answer(reminder),
        })
        .collect();
    answers.extend(nothing(record, policy).map(|nothing| AnswerShown {
        reminder_id: None,
        rule: None,
        state: None,
        sentence: prose.nothing(nothing),
    }));
    // One that was planned once has its answer.
    let is_new = |planned: &Planned| {
        !record.reminders.iter().any(|r| r.rule == planned.rule && r.occurrence == planned.occurrence)
    };
    let left_out = left_out(task_id, record, rules).into_iter().filter(|(planned, _)| is_new(planned));
    answers.extend(left_out.map(|(planned, why)| AnswerShown {
        reminder_id: None,
        rule: Some(planned.rule.to_string()),
        state: None,
        sentence: prose.left_out(&planned, why),
    }));
    answers.extend(series_end(task, rules, now).map(|reason| AnswerShown {
        reminder_id: None,
        rule: None,
        state: None,
        sentence: format!("the task does not come again: {reason}"),
    }));
    let entries = timeline(record).into_iter().map(|entry| EntryShown {
        at: entry.at.to_rfc3339(),
        local: prose.local(entry.at),
        what: entry.what.name(),
        sentence: prose.sentence(&entry.what),
        event_id: match &entry.what {
            What::Event(noted, _) => noted.id.as_ref().map(ToString::to_string),
            _ => None,
        },
        reminder_id: entry.what.reminder().map(|reminder| reminder.id(task_id).to_string()),
        rule: entry.what.reminder().map(|reminder| reminder.rule.to_string()),
    });
    WhyShown {
        task_id: task_id.to_string(),
        title: task.title().map(str::to_owned),
        status: if task.is_alive() { task.status().name() } else { "DELETED" },
        due: task.due().map(|due| Moment::new(due, zone).to_string()),
        timezone: Zone::name(zone),
        answers,
        timeline: entries.collect(),
    }
}
