//! Events from flags: pure functions from what was typed to the contract's JSON.

use serde_json::{Map, Value, json};

use crate::cli::options::assignment;
use crate::cli::when;
use crate::domain::Timestamp;

/// Who the events say made them.
const PRODUCER: &str = "reminder-worker-cli";

/// A new task.
#[derive(Debug, clap::Args)]
pub(super) struct Created {
    /// Id of the task
    #[arg(long, value_name = "ID")]
    task: String,
    /// Its title
    #[arg(long)]
    title: String,
    /// Id of its user
    #[arg(long, value_name = "ID", default_value = "cli")]
    user: String,
    /// When it is due: RFC 3339, wall time, date, or how long from now (`in 10m`)
    #[arg(long, value_name = "WHEN")]
    due: Option<String>,
    /// IANA zone of its wall times
    #[arg(long, value_name = "ZONE")]
    timezone: Option<String>,
    /// HIGH, MEDIUM or LOW
    #[arg(long)]
    priority: Option<String>,
    /// Remind so many minutes before it is due; may be repeated
    #[arg(long, value_name = "MINUTES", value_parser = when::minutes)]
    offset: Vec<u32>,
    /// Remind at this time; may be repeated
    #[arg(long, value_name = "WHEN")]
    remind_at: Vec<String>,
    /// A tag; may be repeated
    #[arg(long)]
    tag: Vec<String>,
    /// How it recurs: an RRULE, or the contract's JSON
    #[arg(long, value_name = "RULE")]
    recurrence: Option<String>,
}

/// Fields that changed.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("change").required(true).multiple(true)))]
pub(super) struct Updated {
    /// Id of the task
    #[arg(long, value_name = "ID")]
    task: String,
    /// Id of its user
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// A field's new value, such as due_date="in 10m", priority=HIGH or due_date=null; may be repeated
    #[arg(long, value_name = "FIELD=VALUE", value_parser = assignment, group = "change")]
    set: Vec<(String, String)>,
    /// Its new title, the same as --set title=…
    #[arg(long, group = "change")]
    title: Option<String>,
    /// When it is due now, the same as --set due_date=…; `null` clears it
    #[arg(long, value_name = "WHEN", group = "change")]
    due: Option<String>,
}

/// A task that was completed or deleted.
#[derive(Debug, clap::Args)]
pub(super) struct Ended {
    /// Id of the task
    #[arg(long, value_name = "ID")]
    task: String,
    /// Id of its user
    #[arg(long, value_name = "ID")]
    user: Option<String>,
}

/// How the text of a field becomes JSON.
#[derive(Clone, Copy)]
enum Form {
    Text,
    Due,
    Dues,
    Minutes,
    Tags,
    Rule,
}

/// The fields an update can set.
#[rustfmt::skip]
const FIELDS: [(&str, Form); 13] = [
    ("title",            Form::Text),
    ("description",      Form::Text),
    ("user_id",          Form::Text),
    ("priority",         Form::Text),
    ("status",           Form::Text),
    ("due_date",         Form::Due),
    ("timezone",         Form::Text),
    ("recurrence",       Form::Rule),
    ("tags",             Form::Tags),
    ("reminder_offset",  Form::Minutes),
    ("reminder_offsets", Form::Minutes),
    ("remind_at",        Form::Dues),
    ("overdue_reminders", Form::Text),
];

impl Created {
    /// Whether a time of it depends on what time it is.
    pub(super) fn is_relative(&self) -> bool {
        self.due.iter().chain(&self.remind_at).any(|text| when::is_relative(text))
    }

    /// The event.
    pub(super) fn event(self, now: Timestamp) -> Result<Value, String> {
        let mut payload = Map::new();
        let mut put = |key: &str, value: Value| payload.insert(key.to_owned(), value);
        put("task_id", json!(self.task));
        put("user_id", json!(self.user));
        put("title", json!(self.title));
        for (key, text) in [
            ("due_date", self.due),
            ("timezone", self.timezone),
            ("priority", self.priority),
            ("recurrence", self.recurrence),
        ] {
            if let Some(text) = text {
                put(key, value_of(key, &text, now)?);
            }
        }
        if !self.offset.is_empty() {
            put("reminder_offsets", json!(self.offset));
        }
        if !self.remind_at.is_empty() {
            let times: Result<Vec<_>, _> = self.remind_at.iter().map(|text| when::due(text, now)).collect();
            put("remind_at", json!(times?));
        }
        if !self.tag.is_empty() {
            put("tags", json!(self.tag));
        }
        Ok(envelope("task_created", &Value::Object(payload)))
    }
}

impl Updated {
    /// Whether a time of it may depend on what time it is: a title that reads like one does no harm.
    pub(super) fn is_relative(&self) -> bool {
        let set = self.set.iter().map(|(_, text)| text);
        set.chain(&self.due).any(|text| text.split(',').any(when::is_relative))
    }

    /// The event.
    pub(super) fn event(self, now: Timestamp) -> Result<Value, String> {
        let mut changes = Map::new();
        let set = self.set.iter().map(|(field, text)| (field.as_str(), text));
        let title = self.title.iter().map(|text| ("title", text));
        let due = self.due.iter().map(|text| ("due_date", text));
        for (field, text) in set.chain(title).chain(due) {
            changes.insert(field.to_owned(), json!({ "new": value_of(field, text, now)? }));
        }
        let changed_fields: Vec<_> = changes.keys().cloned().collect();
        let mut payload =
            json!({ "task_id": self.task, "changed_fields": changed_fields, "changes": changes });
        if let Some(user) = self.user {
            payload["user_id"] = json!(user);
        }
        Ok(envelope("task_updated", &payload))
    }
}

impl Ended {
    /// The event, of kind `kind`.
    pub(super) fn event(self, kind: &str) -> Value {
        let mut payload = json!({ "task_id": self.task });
        if let Some(user) = self.user {
            payload["user_id"] = json!(user);
        }
        envelope(kind, &payload)
    }
}

/// The task an event is about, as text.
pub(super) fn task_id(event: &Value) -> Result<String, String> {
    match event.pointer("/payload/task_id") {
        Some(Value::String(id)) if !id.is_empty() => Ok(id.clone()),
        Some(Value::Number(id)) => Ok(id.to_string()),
        _ => Err("the event names no task; put its id under payload.task_id \
                  (`reminder-worker schema task_created` shows a whole event)"
            .to_owned()),
    }
}

/// The worker adds id and time: it keeps the event at the very moment it answers.
pub(super) fn envelope(kind: &str, payload: &Value) -> Value {
    json!({ "event_type": kind, "event_version": "v1", "producer": PRODUCER, "payload": payload })
}

/// What `text` means for `field`; `null` clears it.
fn value_of(field: &str, text: &str, now: Timestamp) -> Result<Value, String> {
    let Some((_, form)) = FIELDS.iter().find(|(name, _)| *name == field) else {
        let known: Vec<_> = FIELDS.iter().map(|(name, _)| *name).collect();
        return Err(format!("there is no field `{field}`; the fields are {}", known.join(", ")));
    };
    if text == "null" {
        return Ok(Value::Null);
    }
    let parts = || text.split(',').map(str::trim).filter(|part| !part.is_empty());
    match form {
        Form::Text => Ok(json!(text)),
        Form::Due => when::due(text, now).map(Value::String),
        Form::Dues => parts().map(|t| when::due(t, now).map(Value::String)).collect::<Result<_, _>>(),
        Form::Minutes => parts().map(|n| when::minutes(n).map(Value::from)).collect::<Result<_, _>>(),
        Form::Tags => Ok(parts().collect()),
        Form::Rule if text.trim_start().starts_with('{') => {
            serde_json::from_str(text).map_err(|error| format!("recurrence is no JSON: {error}"))
        }
        Form::Rule => Ok(json!(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);

    #[test]
    fn a_value_takes_the_form_of_its_field() {
        for (field, text, value) in [
            ("title", "10", json!("10")),
            ("due_date", "in 1m", json!("2025-11-24T16:01:00.000Z")),
            ("due_date", "null", json!(null)),
            ("reminder_offset", "15", json!([15])),
            ("reminder_offsets", "0, 15", json!([0, 15])),
            ("remind_at", "10s,2026-01-01", json!(["2025-11-24T16:00:10.000Z", "2026-01-01"])),
            ("tags", "home, garden", json!(["home", "garden"])),
            ("recurrence", "FREQ=DAILY;COUNT=3", json!("FREQ=DAILY;COUNT=3")),
            ("recurrence", r#"{"frequency":"daily"}"#, json!({"frequency": "daily"})),
        ] {
            assert_eq!(value_of(field, text, NOW), Ok(value), "{field}={text}");
        }
        for (field, text, told) in [
            ("due", "in 1m", "the fields are title"),
            ("due_date", "soon", "write RFC 3339"),
            ("reminder_offset", "1h", "no whole number of minutes"),
            ("recurrence", "{", "no JSON"),
        ] {
            assert!(value_of(field, text, NOW).unwrap_err().contains(told), "{field}={text}");
        }
    }

    #[test]
    fn a_task_id_may_be_a_number_and_must_be_there() {
        assert_eq!(task_id(&json!({"payload": {"task_id": 7}})).as_deref(), Ok("7"));
        assert_eq!(task_id(&json!({"payload": {"task_id": "a"}})).as_deref(), Ok("a"));
        for event in [json!({}), json!([]), json!({"payload": {"task_id": ""}}), json!({"task_id": "a"})] {
            assert!(task_id(&event).unwrap_err().contains("payload.task_id"), "{event}");
        }
    }

    #[test]
    fn an_update_names_each_changed_field_once() {
        let set = [("title", "a"), ("title", "b"), ("due_date", "null")];
        let set = set.map(|(field, value)| (field.to_owned(), value.to_owned())).to_vec();
        let event = Updated { task: "t".to_owned(), user: None, set, title: None, due: None };
        let event = event.event(NOW).unwrap();
        assert_eq!(event["payload"]["changed_fields"], json!(["due_date", "title"]));
        assert_eq!(event["payload"]["changes"], json!({"title": {"new": "b"}, "due_date": {"new": null}}));
    }

    #[test]
    fn events_of_flags_keep_the_published_schemas() {
        let created = Created {
            task: "t".to_owned(),
            title: "Water".to_owned(),
            user: "u".to_owned(),
            due: Some("in 10m".to_owned()),
            timezone: Some("Europe/Berlin".to_owned()),
            priority: Some("HIGH".to_owned()),
            offset: vec![0, 15],
            remind_at: vec!["5m".to_owned()],
            tag: vec!["home".to_owned()],
            recurrence: Some("FREQ=DAILY".to_owned()),
        };
        let set = FIELDS.map(|(field, _)| (field.to_owned(), "null".to_owned())).to_vec();
        let updated = Updated {
            task: "t".to_owned(),
            user: Some("u".to_owned()),
            set,
            title: Some("Tea".to_owned()),
            due: Some("in 10m".to_owned()),
        };
        let ended = || Ended { task: "t".to_owned(), user: Some("u".to_owned()) };
        for (event, schema) in [
            (created.event(NOW).unwrap(), include_str!("../schemas/task_created.json")),
            (updated.event(NOW).unwrap(), include_str!("../schemas/task_updated.json")),
            (ended().event("task_completed"), include_str!("../schemas/task_completed.json")),
            (ended().event("task_deleted"), include_str!("../schemas/task_deleted.json")),
        ] {
            let schema: Value = serde_json::from_str(schema).unwrap();
            let checked = jsonschema::validate(&schema, &event);
            assert!(checked.is_ok(), "{event:#}: {}", checked.unwrap_err());
        }
    }
}
