//! What an event says of its task, in whichever shape it tells it.
//!
//! Owns the shapes: `changes` by field (as `{old, new}`, `{old_value, new_value}`, `{before, after}` or the new
//! value itself), `before` and `after` objects, and snapshots. Of a field told in two places that of the changes
//! is believed, then that after the update, then that of the innermost task object.
//!
//! `changed_fields`, the keys of `changes` and the difference of `before` and `after` list what changed. What a
//! snapshot holds beside a list is still the task as the producer knew it, and may be all that is ever heard of
//! it, so it is stated too; except nulls and empty values, and the fields of [`DEFAULTED`]: a model may have
//! filled these in without anybody having said so, and they would undo what was said.

use serde_json::{Map, Value};

use crate::domain::{Field, Refusal};

use super::names::{Layer, Name, Says, lookup};
use super::reason::Reason;
use super::task::Told;

/// Fields that producers' models fill with a default of their own; unlisted, they state nothing.
const DEFAULTED: [Field; 4] = [Field::Priority, Field::Status, Field::Offsets, Field::Tags];

/// What an event says of one field under one key.
#[derive(Clone, Copy)]
pub(super) struct Claim<'a> {
    pub(super) says: Says,
    pub(super) key: &'a str,
    /// The new value; `None` where only the old one is told.
    pub(super) value: Option<&'a Value>,
}

impl Claim<'_> {
    fn is_empty(&self) -> bool {
        match self.value {
            Some(Value::Null) => true,
            Some(Value::String(text)) => text.trim().is_empty(),
            Some(Value::Array(items)) => items.is_empty(),
            _ => false,
        }
    }
}

/// What an event says of its task.
#[derive(Default)]
pub(super) struct Claims<'a> {
    /// Places that state fields, the most believed first.
    changes: Vec<Vec<Claim<'a>>>,
    after: Vec<Vec<Claim<'a>>>,
    snapshots: Vec<Vec<Claim<'a>>>,
    /// What changed, where that is told, with the key that told it.
    listed: Option<Vec<(Field, &'a str)>>,
}

impl<'a> Claims<'a> {
    /// Everything that `told` says of its task.
    pub(super) fn of(told: &Told<'a>) -> Result<Self, Reason> {
        let mut claims = Self::default();
        for layer in told.about_task() {
            claims.snapshots.push(stated(layer));
            claims.states(layer);
            for said in layer.iter() {
                match (said.name, said.value) {
                    (Name::Changes | Name::ChangedFields, Value::Object(map)) => claims.changed(map),
                    (Name::Changes | Name::ChangedFields, Value::Array(items)) => {
                        claims.list(said.key, items)?;
                    }
                    (Name::Changes | Name::ChangedFields, Value::Null) => {}
                    (Name::Changes, _) => {
                        return Err(Reason::ChangesUnreadable { key: said.key.to_owned() });
                    }
                    _ => {}
                }
            }
        }
        Ok(claims)
    }

    /// What is said of `field` in the most believed place that speaks of it.
    pub(super) fn field(&self, field: Field) -> impl Iterator<Item = Claim<'a>> {
        let is_listed = |field| self.listed.as_ref().is_none_or(|list| list.iter().any(|(f, _)| *f == field));
        let limited = !is_listed(field);
        let counts = move |claim: &Claim<'_>, limited: bool| {
            claim.says.field() == field && !(limited && (claim.is_empty() || DEFAULTED.contains(&field)))
        };
        let places = [(&self.changes, false), (&self.after, limited), (&self.snapshots, limited)];
        let place = places
            .into_iter()
            .flat_map(|(places, limited)| places.iter().map(move |place| (place, limited)))
            .find(|(place, limited)| place.iter().any(|claim| counts(claim, *limited)));
        place.into_iter().flat_map(move |(place, limited)| {
            place.iter().filter(move |claim| counts(claim, limited)).copied()
        })
    }

    /// Listed changes whose new value is nowhere told.
    pub(super) fn untold(&self) -> impl Iterator<Item = Refusal> {
        let untold = |(field, _): &&(Field, &str)| self.field(*field).next().is_none();
        self.listed.iter().flatten().filter(untold).map(|(_, key)| Refusal {
            key: (*key).to_owned(),
            reason: "listed as changed, but its new value is not told".to_owned(),
        })
    }

    /// Takes the objects before and after an update out of `layer`.
    fn states(&mut self, layer: &Layer<'a>) {
        let Some(after) = layer.object(Name::After) else { return };
        let after = stated(&Layer::of(after));
        if let Some(before) = layer.object(Name::Before) {
            let before = stated(&Layer::of(before));
            let same = |a: &Claim<'_>| before.iter().any(|b| b.says == a.says && b.value == a.value);
            let changed =
                after.iter().filter(|claim| !same(claim)).map(|claim| (claim.says.field(), claim.key));
            self.add_listed(changed);
        }
        self.after.push(after);
    }

    /// Takes changes by field, or a before and an after, out of `map`.
    fn changed(&mut self, map: &'a Map<String, Value>) {
        let layer = Layer::of(map);
        if layer.object(Name::After).is_some() {
            return self.states(&layer);
        }
        if map.is_empty() {
            return;
        }
        let mut claims = stated(&layer);
        for claim in &mut claims {
            claim.value = claim.value.and_then(newer);
        }
        self.add_listed(claims.iter().map(|claim| (claim.says.field(), claim.key)));
        self.changes.push(claims);
    }

    /// Lists `fields`, each once: a list may name one field a million times.
    fn add_listed(&mut self, fields: impl Iterator<Item = (Field, &'a str)>) {
        let listed = self.listed.get_or_insert_default();
        for (field, key) in fields {
            if listed.iter().all(|(known, _)| *known != field) {
                listed.push((field, key));
            }
        }
    }

    /// Takes the names of what changed.
    fn list(&mut self, key: &str, items: &'a [Value]) -> Result<(), Reason> {
        for item in items {
            let Value::String(name) = item else {
                return Err(Reason::ChangesUnreadable { key: key.to_owned() });
            };
            let field = match lookup(name) {
                Some((Name::Field(says), _)) => Some((says.field(), name.as_str())),
                _ => None,
            };
            self.add_listed(field.into_iter());
        }
        Ok(())
    }
}

fn stated<'a>(layer: &Layer<'a>) -> Vec<Claim<'a>> {
    layer
        .iter()
        .filter_map(|said| match said.name {
            Name::Field(says) => Some(Claim { says, key: said.key, value: Some(said.value) }),
            _ => None,
        })
        .collect()
}

/// The new value of a change: that of a pair of old and new, else the change itself is the new value. An object
/// is a pair where both are there or nothing else is, so that a rule with a `from` of its own is none.
fn newer(change: &Value) -> Option<&Value> {
    let Value::Object(map) = change else { return Some(change) };
    let layer = Layer::of(map);
    let mut after = layer.all(Name::After);
    let new = after.next().map(|said| said.value);
    let is_pair = match (new, layer.all(Name::Before).next()) {
        (Some(_), Some(_)) => true,
        (None, None) => false,
        _ => map.keys().all(|key| matches!(lookup(key), Some((Name::After | Name::Before, _)))),
    };
    if is_pair { new } else { Some(change) }
}
