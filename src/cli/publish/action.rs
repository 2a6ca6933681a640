//! What is done about a reminder, from flags.

use serde_json::{Value, json};

use super::event::envelope;
use crate::cli::when;
use crate::domain::Timestamp;

/// Which reminder is meant.
#[derive(Debug, clap::Args)]
struct Which {
    /// Id of the task
    #[arg(long, value_name = "ID")]
    task: String,
    /// Id of its user
    #[arg(long, value_name = "ID")]
    user: Option<String>,
    /// Which due date is meant, as reminders tell it; without one that of the last reminder
    #[arg(long, value_name = "TEXT")]
    occurrence: Option<String>,
    /// The reminder that is meant
    #[arg(long, value_name = "ID")]
    reminder_id: Option<String>,
}

/// A reminder that is to come again.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("end").required(true)))]
pub(super) struct Snoozed {
    #[command(flatten)]
    which: Which,
    /// When it comes again: RFC 3339, or how long from now (`in 10m`)
    #[arg(long, value_name = "WHEN", group = "end")]
    until: Option<String>,
    /// In how many minutes it comes again
    #[arg(long, value_name = "MINUTES", group = "end", value_parser = when::minutes)]
    minutes: Option<u32>,
}

/// A reminder that was seen.
#[derive(Debug, clap::Args)]
pub(super) struct Acknowledged {
    #[command(flatten)]
    which: Which,
}

impl Snoozed {
    /// Whether its end depends on what time it is.
    pub(super) fn is_relative(&self) -> bool {
        self.until.as_deref().is_some_and(when::is_relative)
    }

    /// The event.
    pub(super) fn event(self, now: Timestamp) -> Result<Value, String> {
        let mut payload = self.which.payload();
        if let Some(until) = self.until {
            payload["until"] = json!(when::instant(&until, now)?.to_rfc3339());
        }
        if let Some(minutes) = self.minutes {
            payload["minutes"] = json!(minutes);
        }
        Ok(envelope("reminder_snoozed", &payload))
    }
}

impl Acknowledged {
    /// The event.
    pub(super) fn event(self) -> Value {
        envelope("reminder_acknowledged", &self.which.payload())
    }
}

impl Which {
    fn payload(self) -> Value {
        let mut payload = json!({ "task_id": self.task });
        for (key, value) in
            [("user_id", self.user), ("occurrence", self.occurrence), ("reminder_id", self.reminder_id)]
        {
            if let Some(value) = value {
                payload[key] = json!(value);
            }
        }
        payload
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);

    fn which() -> Which {
        Which {
            task: "t".to_owned(),
            user: Some("u".to_owned()),
            occurrence: Some("2025-11-24T16:00:00.000Z".to_owned()),
            reminder_id: Some("8f1d5b0e-2a67-5c3b-9d41-6e0b7c52a419".to_owned()),
        }
    }

    #[test]
    fn actions_of_flags_keep_the_published_schemas() {
        let until = Snoozed { which: which(), until: Some("in 10m".to_owned()), minutes: None };
        let minutes = Snoozed { which: which(), until: None, minutes: Some(10) };
        let until = until.event(NOW).unwrap();
        assert_eq!(until["payload"]["until"], "2025-11-24T16:10:00.000Z");
        let snoozed = include_str!("../schemas/reminder_snoozed.json");
        let acknowledged = include_str!("../schemas/reminder_acknowledged.json");
        for (event, schema) in [
            (until, snoozed),
            (minutes.event(NOW).unwrap(), snoozed),
            (Acknowledged { which: which() }.event(), acknowledged),
        ] {
            let schema: Value = serde_json::from_str(schema).unwrap();
            let checked = jsonschema::validate(&schema, &event);
            assert!(checked.is_ok(), "{event:#}: {}", checked.unwrap_err());
        }
    }

    #[test]
    fn a_snooze_until_wall_time_is_refused_since_nobody_knows_whose() {
        let wall = Snoozed { which: which(), until: Some("2025-11-24T17:00".to_owned()), minutes: None };
        assert!(wall.event(NOW).unwrap_err().contains("write RFC 3339"));
    }
}
