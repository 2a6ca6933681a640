//! `schema`: the events as JSON Schema 2020-12.
//!
//! They say what the contract asks of a publisher and what the worker publishes. What is read from a topic is
//! far more lenient.

use std::fmt::Write as _;

use serde_json::{Map, Value};

use super::Failure;

/// The schemas, by event type.
const SCHEMAS: [(&str, &str); 9] = [
    ("task_created", include_str!("schemas/task_created.json")),
    ("task_updated", include_str!("schemas/task_updated.json")),
    ("task_completed", include_str!("schemas/task_completed.json")),
    ("task_deleted", include_str!("schemas/task_deleted.json")),
    ("reminder_snoozed", include_str!("schemas/reminder_snoozed.json")),
    ("reminder_acknowledged", include_str!("schemas/reminder_acknowledged.json")),
    ("user_preferences_updated", include_str!("schemas/user_preferences_updated.json")),
    ("reminder_due", include_str!("schemas/reminder_due.json")),
    ("reminder_digest", include_str!("schemas/reminder_digest.json")),
];

/// Arguments of `schema`.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Event type; without one, the names are listed
    #[arg(conflicts_with = "all")]
    name: Option<String>,
    /// Print all of them, as one object by event type
    #[arg(long)]
    all: bool,
}

pub(super) fn run(args: &Args) -> Result<String, Failure> {
    if args.all {
        return all();
    }
    let Some(wanted) = &args.name else {
        let mut text = String::new();
        for (name, schema) in SCHEMAS {
            let schema = parsed(name, schema)?;
            let title = schema.get("title").and_then(Value::as_str).unwrap_or_default();
            // Writing to a String cannot fail.
            let _ = writeln!(text, "{name:26}{title}");
        }
        return Ok(text);
    };
    let named = SCHEMAS.iter().find(|(name, _)| name == wanted);
    named.map(|(_, schema)| (*schema).to_owned()).ok_or_else(|| {
        let names = SCHEMAS.map(|(name, _)| name).join(", ");
        Failure::usage(format!("there is no event `{wanted}`; there are {names}"))
    })
}

fn all() -> Result<String, Failure> {
    let mut object = Map::new();
    for (name, schema) in SCHEMAS {
        object.insert(name.to_owned(), parsed(name, schema)?);
    }
    Ok(format!("{:#}\n", Value::Object(object)))
}

fn parsed(name: &str, schema: &str) -> Result<Value, Failure> {
    serde_json::from_str(schema)
        .map_err(|error| Failure::failed(format!("the schema of {name} is broken: {error}")))
}
