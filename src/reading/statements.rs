//! From what an event says to statements of the domain.
//!
//! Owns which field is read how, and the line between what costs the event and what does not: a due date that is
//! not certain refuses the event, an extra that cannot be read is refused alone and states nothing.

use serde_json::Value;

use crate::domain::{Due, Field, Refusal, Statement, TEXT_MAX_BYTES, USER_ID_MAX_BYTES, Zone};

use super::changes::{Claim, Claims};
use super::extras;
use super::nags;
use super::names::{OVERDUE, Says};
use super::reason::{Reason, cut, excerpt};
use super::stamp;
use super::task::{Told, id_text};
use super::wrapping::type_name;

/// Most refusals kept with an event: a few say what a producer does wrong.
pub(super) const REFUSED_MAX: usize = 16;

/// What `told` states, sorted by field; extras that cannot be read go into `refused`.
pub(super) fn read(told: &Told<'_>, refused: &mut Refused) -> Result<Vec<Statement>, Reason> {
    let claims = Claims::of(told)?;
    let zone = one(&claims, Field::Zone, |value| zone(value).map(Statement::Zone));
    let zone_trouble = zone.as_ref().err().map(|refusal| refusal.reason.clone());
    let readings = [
        one(&claims, Field::User, |value| user(value).map(Statement::User)),
        one(&claims, Field::Title, |value| title(value).map(Statement::Title)),
        one(&claims, Field::Priority, |value| extras::priority(value).map(Statement::Priority)),
        status(&claims),
        Ok(due(&claims, zone_trouble.as_deref())?.map(Statement::Due)),
        zone,
        Ok(list(&claims, Field::Offsets, refused, extras::offsets).map(Statement::Offsets)),
        Ok(list(&claims, Field::RemindAt, refused, |claim, value| {
            extras::remind_at(claim, value, zone_trouble.is_some())
        })
        .map(Statement::RemindAt)),
        one(&claims, Field::Tags, |value| extras::tags(value).map(Statement::Tags)),
        one(&claims, Field::Recurrence, |value| extras::recurrence(value).map(Statement::Recurrence)),
        nags(&claims),
    ];
    let mut statements = Vec::new();
    for reading in readings {
        match reading {
            Ok(statement) => statements.extend(statement),
            Err(refusal) => refused.add(refusal),
        }
    }
    claims.untold().for_each(|refusal| refused.add(refusal));
    Ok(statements)
}

/// The extras that were refused, at most [`REFUSED_MAX`].
#[derive(Default)]
pub(super) struct Refused(Vec<Refusal>);

impl Refused {
    /// Adds `refusal`, if there is room.
    pub(super) fn add(&mut self, refusal: Refusal) {
        if self.0.len() < REFUSED_MAX {
            self.0.push(refusal);
        }
    }

    /// The refusals, in the order in which they were found.
    pub(super) fn into_vec(self) -> Vec<Refusal> {
        self.0
    }
}

const ONLY_OLD: &str = "only its old value is told";

fn refusal(claim: &Claim<'_>, reason: String) -> Refusal {
    Refusal { key: claim.key.to_owned(), reason }
}

/// The claim to believe: the first that is not null, else the first.
fn believed<'a>(claims: impl Iterator<Item = Claim<'a>>) -> Option<Claim<'a>> {
    let mut first = None;
    for claim in claims {
        if !claim.value.is_some_and(Value::is_null) {
            return Some(claim);
        }
        first = first.or(Some(claim));
    }
    first
}

/// The one value stated of `field`, read by `read`.
fn one<T>(
    claims: &Claims<'_>,
    field: Field,
    read: impl FnOnce(&Value) -> Result<T, String>,
) -> Result<Option<T>, Refusal> {
    let Some(claim) = believed(claims.field(field)) else { return Ok(None) };
    let value = claim.value.ok_or_else(|| refusal(&claim, ONLY_OLD.to_owned()))?;
    read(value).map(Some).map_err(|why| refusal(&claim, why))
}

/// The union of what every key states of `field`, ascending and distinct; a key that cannot be read is refused
/// alone. The outer `None` is "nothing stated", the inner one an explicit null.
fn list<T: Ord>(
    claims: &Claims<'_>,
    field: Field,
    refused: &mut Refused,
    read: impl Fn(Claim<'_>, &Value) -> Result<Option<Vec<T>>, String>,
) -> Option<Option<Vec<T>>> {
    let mut union = None;
    for claim in claims.field(field) {
        let items = claim.value.ok_or_else(|| ONLY_OLD.to_owned()).and_then(|value| read(claim, value));
        match items {
            Ok(items) => {
                let all: &mut Option<Vec<T>> = union.get_or_insert_default();
                if let Some(items) = items {
                    all.get_or_insert_default().extend(items);
                }
            }
            Err(why) => refused.add(refusal(&claim, why)),
        }
        if let Some(Some(all)) = &mut union {
            all.sort_unstable();
            all.dedup();
            if all.len() > crate::domain::LIST_MAX {
                refused.add(refusal(&claim, extras::too_many(all.len())));
                return None;
            }
        }
    }
    union
}

fn status(claims: &Claims<'_>) -> Result<Option<Statement>, Refusal> {
    let Some(claim) = believed(claims.field(Field::Status)) else { return Ok(None) };
    let value = claim.value.ok_or_else(|| refusal(&claim, ONLY_OLD.to_owned()))?;
    let read = if claim.says == Says::Completed { extras::completed } else { extras::status };
    read(value).map(|status| Some(Statement::Status(status))).map_err(|why| refusal(&claim, why))
}

/// Reminders after due. That a task is `overdue`, or is not, says nothing of them.
fn nags(claims: &Claims<'_>) -> Result<Option<Statement>, Refusal> {
    let is_fact = |claim: &Claim<'_>| {
        claim.value.is_some_and(Value::is_boolean) && claim.key.eq_ignore_ascii_case(OVERDUE)
    };
    let Some(claim) = believed(claims.field(Field::Nags).filter(|claim| !is_fact(claim))) else {
        return Ok(None);
    };
    let value = claim.value.ok_or_else(|| refusal(&claim, ONLY_OLD.to_owned()))?;
    nags::nags(value).map(|nags| Some(Statement::Nags(nags))).map_err(|why| refusal(&claim, why))
}

/// The due date, in which all keys that state one must agree. The outer `None` is "nothing stated".
fn due(claims: &Claims<'_>, zone_trouble: Option<&str>) -> Result<Option<Option<Due>>, Reason> {
    let mut believed: Option<(Claim<'_>, Option<Due>)> = None;
    for claim in claims.field(Field::Due) {
        let unreadable = |why: String| Reason::DueUnreadable { key: claim.key.to_owned(), why };
        let value = claim.value.ok_or_else(|| unreadable(ONLY_OLD.to_owned()))?;
        let due = stamp::due(value).map_err(unreadable)?;
        if let (Some(why), Some(Due::Wall(_) | Due::Date(_))) = (zone_trouble, due) {
            return Err(Reason::ZoneUnreadable { why: why.to_owned() });
        }
        match believed {
            Some((first, Some(one))) if due.is_some_and(|other| other != one) => {
                let (one, other) = (first.key.to_owned(), claim.key.to_owned());
                return Err(Reason::DueAmbiguous { one, other });
            }
            Some((_, Some(_))) => {}
            _ => believed = Some((claim, due)),
        }
    }
    Ok(believed.map(|(_, due)| due))
}

fn user(value: &Value) -> Result<Option<String>, String> {
    if value.is_null() {
        return Ok(None);
    }
    let id = id_text(value)?;
    if id.len() > USER_ID_MAX_BYTES {
        return Err(format!("it is longer than {USER_ID_MAX_BYTES} bytes"));
    }
    Ok(Some(id).filter(|id| !id.is_empty()))
}

/// A title; NUL, which no database stores as text, becomes U+FFFD.
fn title(value: &Value) -> Result<Option<String>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(text) if text.contains('\0') => {
            Ok(Some(cut(&text.replace('\0', "\u{fffd}"), TEXT_MAX_BYTES)))
        }
        Value::String(text) => Ok(Some(cut(text, TEXT_MAX_BYTES))),
        other => Err(format!("it is {}, not text", type_name(other))),
    }
}

/// An IANA zone.
pub(super) fn zone(value: &Value) -> Result<Option<Zone>, String> {
    match value {
        Value::Null => Ok(None),
        Value::String(name) if name.trim().is_empty() => Ok(None),
        Value::String(name)
            if ["utc", "z", "gmt"].iter().any(|utc| name.trim().eq_ignore_ascii_case(utc)) =>
        {
            Ok(Some(Zone::UTC))
        }
        Value::String(name) => name.trim().parse().map(Some).map_err(|_| {
            format!("`{}` is no IANA zone; write one such as `Europe/Berlin` or `UTC`", excerpt(name))
        }),
        other => Err(format!("it is {}; write an IANA zone", type_name(other))),
    }
}
