//! What is said and what happens, as bytes for the worker and as lines for people.

use std::fmt;

use serde_json::{Value, json};

use super::script::{Creation, Of, Said, Says, What, Wishes, instant, name, user_name};
use crate::reading::Transport;

/// How long after its stamp a broker has an event.
const BROKER_HAS_IT_AFTER: i64 = 3;

impl Said {
    /// The event of the contract, as daprd wraps it.
    pub(super) fn body(&self, number: usize) -> Vec<u8> {
        let (kind, mut payload) = self.what.told();
        match self.of {
            Of::Task(task) => payload["task_id"] = Value::String(name(task)),
            Of::User(user) => payload["user_id"] = Value::String(user_name(user)),
        }
        let event = json!({
            "event_id": format!("5d7a11d0-31c2-4c4e-9c55-{number:012x}"),
            "event_type": kind,
            "event_version": "v1",
            "timestamp": stamp(self.at),
            "producer": "simulation",
            "payload": payload,
        });
        // An odd one comes from an ordinary client: bare.
        if number % 2 == 1 {
            return event.to_string().into_bytes();
        }
        let wrapped = json!({
            "specversion": "1.0", "id": format!("ce-{number}"), "source": "simulation", "type": kind,
            "datacontenttype": "application/json", "time": stamp(self.at), "data": event,
        });
        wrapped.to_string().into_bytes()
    }

    /// What the broker says of it, each time.
    pub(super) fn transport(&self, number: usize) -> Transport<'static> {
        Transport {
            broker_timestamp_ms: Some(instant(self.at + BROKER_HAS_IT_AFTER).millis()),
            offset: u64::try_from(number).ok(),
            ..Transport::default()
        }
    }
}

impl Says {
    fn told(&self) -> (&'static str, Value) {
        match self {
            Self::Created(creation) => ("task_created", created(creation)),
            Self::Due(due) => ("task_updated", json!({"due_date": stamp(*due)})),
            Self::Offsets(offsets) => ("task_updated", json!({"reminder_offsets": offsets})),
            Self::Title(title) => ("task_updated", json!({"title": format!("title {title}")})),
            Self::Completed => ("task_completed", json!({})),
            Self::Reopened => ("task_updated", json!({"status": "TODO"})),
            Self::Deleted => ("task_deleted", json!({})),
            Self::Snoozed(minutes) => ("reminder_snoozed", json!({"minutes": minutes})),
            Self::Acknowledged => ("reminder_acknowledged", json!({})),
            Self::Wishes(wishes) => ("user_preferences_updated", wished(wishes)),
        }
    }
}

fn created(creation: &Creation) -> Value {
    let mut payload =
        json!({"due_date": stamp(creation.due), "status": "TODO", "priority": creation.priority});
    if let Some(offsets) = &creation.offsets {
        payload["reminder_offsets"] = json!(offsets);
    }
    if let Some(user) = creation.user {
        payload["user_id"] = json!(user_name(user));
    }
    if let Some(count) = creation.daily {
        payload["recurrence"] = json!({"frequency": "daily", "count": count});
    }
    if creation.nags > 0 {
        payload["overdue_reminders"] = json!({"every": "1h", "max": creation.nags});
    }
    if let Some(at) = creation.remind_at {
        payload["remind_at"] = json!(stamp(at));
    }
    payload
}

fn wished(wishes: &Wishes) -> Value {
    let hour = |hour: &u32| format!("{hour:02}:00");
    match wishes {
        Wishes::Quiet { from, to, mode } => {
            json!({"quiet_hours": {"start": hour(from), "end": hour(to), "mode": mode}})
        }
        Wishes::NoQuiet => json!({"quiet_hours": null}),
        Wishes::Digest(at) => json!({"digest": {"at": hour(at)}}),
        Wishes::NoDigest => json!({"digest": null}),
        Wishes::Offsets(offsets) => json!({"reminder_offsets": offsets}),
        Wishes::Mute(until) => json!({"mute": stamp(*until)}),
    }
}

fn stamp(at: i64) -> String {
    instant(at).to_rfc3339()
}

/// A task, a user, or what is said of them, in a line for people.
impl fmt::Display for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (kind, payload) = self.what.told();
        match self.of {
            Of::Task(task) => write!(f, "{kind} of task {task}, stamped {}, {payload}", stamp(self.at)),
            Of::User(user) => write!(f, "{kind} of user {user}, stamped {}, {payload}", stamp(self.at)),
        }
    }
}

/// What happens, in a line for people; what is said by its number.
impl fmt::Display for What {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Delivered(numbers) => write!(f, "delivery of {numbers:?}"),
            Self::Poison(_) => write!(f, "delivery of what nobody can read"),
            Self::Imported(numbers) => write!(f, "import of {numbers:?}"),
            Self::Cancelled(task) => write!(f, "the reminders of task {task} are called off"),
            Self::Rescheduled(task, due) => write!(f, "task {task} is rescheduled to {}", stamp(*due)),
            Self::Paused(span) => write!(f, "reminders are paused for {span} ms"),
            Self::Resumed => write!(f, "reminders are resumed"),
            Self::DiskFails { after, fault } => {
                write!(f, "after {after} steps of commits the disk: {fault:?}")
            }
            Self::Crash { after, kept, away } => {
                write!(
                    f,
                    "after {after} steps of commits the power goes for {away} ms; of what was not forced {kept} batches stay"
                )
            }
            Self::Configured(variant) => write!(f, "the worker is started anew with settings {variant}"),
            Self::ClockSet(ahead) => write!(f, "the worker's clock is set to be {ahead} ms ahead"),
            Self::Purged => write!(f, "what is over is forgotten"),
            Self::Erased(user) => write!(f, "user {user} is erased"),
            Self::BackedUp => write!(f, "a backup is made"),
            Self::Restored { away, held_for, refilled } => {
                let held =
                    held_for.map_or("nothing is held".to_owned(), |span| format!("held for {span} ms"));
                let refilled =
                    refilled.map_or("not replayed".to_owned(), |span| format!("replayed after {span} ms"));
                write!(f, "the store is lost; restored after {away} ms, {held}, the topics are {refilled}")
            }
            Self::LetGo => write!(f, "what was held is let go"),
        }
    }
}
