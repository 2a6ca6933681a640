//! Which task an event speaks of, and where in the event the task is.
//!
//! The task may be an object of its own (`payload`, `task_data`, `data`, `task`, one within another, or JSON text
//! in one of these) or lie flat in the body. `task_id` is the task's wherever it stands. A bare `id` is the task's
//! inside a task object; in a flat body it may as well be the event's, so it is taken only where that is ruled
//! out: the event's own `event_id` stands beside it, or the kind is told outside of the body, which then is the
//! task and nothing else.

use serde_json::{Map, Value};

use crate::domain::{TASK_ID_MAX_BYTES, TaskId};

use super::kind;
use super::names::{Layer, Name, Said, lookup};
use super::reason::{Reason, excerpt};
use super::wrapping::{Unwrapped, parse, type_name};

/// How deep task objects may lie within each other: `payload` holding `data` holding `task`.
const TASK_DEPTH_MAX: usize = 3;
/// From here on (2^53) an integer that went through a 64-bit float may be another one: bulk deliveries do that.
const EXACT_FLOAT_END: u64 = 1 << 53;

/// An event's objects by what they are about, each by its known keys.
pub(super) struct Told<'a> {
    /// CloudEvents around the event, the innermost first.
    pub(super) envelopes: Vec<Layer<'a>>,
    /// The event's own object about itself.
    pub(super) metadata: Option<Layer<'a>>,
    /// The event.
    pub(super) body: Layer<'a>,
    /// Objects about the task, the innermost first; the body itself is not among them.
    pub(super) tasks: Vec<Layer<'a>>,
}

/// The body as an object, with task objects that are JSON text parsed.
pub(super) fn unfold(body: &mut Value) -> Result<&mut Map<String, Value>, Reason> {
    let found = type_name(body);
    let Value::Object(map) = body else { return Err(Reason::NotAnObject { found }) };
    for (key, value) in map.iter_mut() {
        let Value::String(text) = value else { continue };
        if text.trim_start().starts_with('{') && matches!(lookup(key), Some((Name::Task, _))) {
            *value = parse(text.as_bytes())?;
        }
    }
    Ok(map)
}

impl<'a> Told<'a> {
    /// Sorts out the objects of an event whose body is the object `body`.
    pub(super) fn of(envelopes: &'a [Map<String, Value>], body: &'a Map<String, Value>) -> Self {
        let envelopes = envelopes.iter().map(Layer::of).collect();
        let layer = Layer::of(body);
        let mut tasks = Vec::new();
        collect_tasks(&layer, TASK_DEPTH_MAX, &mut tasks);
        Self { envelopes, metadata: layer.object(Name::Metadata).map(Layer::of), body: layer, tasks }
    }

    /// The objects that may say what happened.
    pub(super) fn subject(&self) -> Result<kind::Subject, Reason> {
        let layers: Vec<_> =
            std::iter::once(&self.body).chain(&self.metadata).chain(&self.envelopes).collect();
        kind::subject(&layers)
    }

    /// The objects that may hold fields of the task, the innermost first and the body last.
    pub(super) fn about_task(&self) -> impl Iterator<Item = &Layer<'a>> {
        self.tasks.iter().chain(std::iter::once(&self.body))
    }

    /// The id of the task. `exact_numbers` is false where integers may have gone through a float.
    pub(super) fn task_id(&self, exact_numbers: bool) -> Result<TaskId, Reason> {
        let states: Vec<_> = [Name::After, Name::Before]
            .into_iter()
            .flat_map(|name| self.about_task().filter_map(move |layer| layer.object(name)))
            .map(Layer::of)
            .collect();
        let mut named = self.about_task().chain(&states).filter_map(|layer| layer.first(Name::TaskId));
        if let Some(first) = named.next() {
            let id = read_id(first, exact_numbers)?;
            for other in named {
                let other = read_id(other, exact_numbers)?;
                if other != id {
                    let (one, other) = (excerpt(id.as_str()), excerpt(other.as_str()));
                    return Err(Reason::TaskIdAmbiguous { one, other });
                }
            }
            return Ok(id);
        }
        let own = self.tasks.iter().chain(&states).find_map(|layer| layer.first(Name::Id));
        let flat = || self.body.first(Name::Id).filter(|_| self.body_id_is_the_tasks());
        own.or_else(flat).map_or(Err(Reason::TaskIdMissing), |said| read_id(said, exact_numbers))
    }

    fn body_id_is_the_tasks(&self) -> bool {
        let has_own_id = self.body.first(Name::EventId).is_some();
        let kind = kind::subject(&[&self.body]);
        has_own_id || !matches!(kind, Ok(kind::Subject::Task(_)) | Err(Reason::KindAmbiguous { .. }))
    }
}

/// Puts the task objects within `layer` into `tasks`, the innermost first.
fn collect_tasks<'a>(layer: &Layer<'a>, depth: usize, tasks: &mut Vec<Layer<'a>>) {
    if depth == 0 {
        return;
    }
    for map in layer.all(Name::Task).filter_map(|said| said.value.as_object()) {
        let inner = Layer::of(map);
        collect_tasks(&inner, depth - 1, tasks);
        tasks.push(inner);
    }
}

fn read_id(said: &Said<'_>, exact_numbers: bool) -> Result<TaskId, Reason> {
    let refuse = |why: &str| Reason::TaskIdUnreadable { key: said.key.to_owned(), why: why.to_owned() };
    let text = id_text(said.value).map_err(|why| refuse(&why))?;
    let changed = |n: &serde_json::Number| n.as_i64().is_none_or(|n| n.unsigned_abs() >= EXACT_FLOAT_END);
    if !exact_numbers && said.value.as_number().is_some_and(changed) {
        return Err(refuse("an integer this large does not survive bulk delivery; send it as text"));
    }
    task_id(text).map_err(|why| refuse(&why))
}

/// `text` as a task id, if it is one for certain.
pub(super) fn task_id(text: String) -> Result<TaskId, String> {
    if text.chars().any(|c| c.is_control() || c == char::REPLACEMENT_CHARACTER) {
        return Err("it was damaged on the way, or holds control characters".to_owned());
    }
    TaskId::new(text).ok_or_else(|| format!("it is empty or longer than {TASK_ID_MAX_BYTES} bytes"))
}

/// Text as it is and an integer as text; anything else identifies nothing.
pub(super) fn id_text(value: &Value) -> Result<String, String> {
    match value {
        Value::String(text) => Ok(text.clone()),
        Value::Number(n) if n.is_i64() || n.is_u64() => Ok(n.to_string()),
        Value::Number(n) => Err(format!("{} is no exact integer", excerpt(&n.to_string()))),
        other => Err(format!("it is {}; send text or an integer", type_name(other))),
    }
}

/// Takes the wrapping off `bytes`, ready for [`Told::of`].
pub(super) fn open(bytes: &[u8]) -> Result<Unwrapped, Reason> {
    let mut unwrapped = super::wrapping::unwrap(bytes)?;
    if !unwrapped.body.is_null() {
        unfold(&mut unwrapped.body)?;
    }
    Ok(unwrapped)
}
