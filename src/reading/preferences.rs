//! A user's preferences, in events and in the API.
//!
//! Owns their keys and how each is read. A wish that cannot be read is refused alone; an event is refused only where
//! it names no user, or where nothing that it says can be read. The API takes the contract's own spellings and
//! nothing it cannot read.

use serde_json::{Map, Value};

use crate::domain::{
    Digest, Mute, Priority, Quiet, QuietMode, Refusal, TimeOfDay, USER_ID_MAX_BYTES, Wish, WishField, Zone,
};

use super::extras;
use super::reason::{Reason, excerpt};
use super::stamp;
use super::statements::Refused;
use super::task::id_text;
use super::wrapping::type_name;

/// How deep objects may lie within each other: `data` holding `payload` holding `preferences`.
const DEPTH_MAX: usize = 3;

/// A key that says something of a user's preferences.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Key {
    User,
    Whole(WishField),
    QuietStart,
    QuietEnd,
    QuietMode,
    DigestAt,
    DigestBelow,
}

/// Spellings without case, `_` and `-`; the first of a key is the contract's own.
#[rustfmt::skip]
const KEYS: [(Key, &[&str]); 11] = [
    (Key::User,                      &["userid", "uid"]),
    (Key::Whole(WishField::Zone),    &["timezone", "tz", "zone", "usertimezone"]),
    (Key::Whole(WishField::Offsets), &["reminderoffsets", "defaultreminderoffsets", "defaultoffsets", "reminderoffset"]),
    (Key::Whole(WishField::Quiet),   &["quiethours", "donotdisturb", "dnd"]),
    (Key::QuietStart,                &["quiethoursstart", "quietstart"]),
    (Key::QuietEnd,                  &["quiethoursend", "quietend"]),
    (Key::QuietMode,                 &["quiethoursmode", "quietmode"]),
    (Key::Whole(WishField::Mute),    &["mute", "muted", "muteuntil", "muteduntil"]),
    (Key::Whole(WishField::Digest),  &["digest", "dailydigest"]),
    (Key::DigestAt,                  &["digestat", "digesttime"]),
    (Key::DigestBelow,               &["digestbelow"]),
];
/// Objects that the preferences may lie in.
const OBJECTS: [&str; 4] = ["payload", "data", "preferences", "userpreferences"];
/// Longest key looked at, in bytes: no spelling comes near it.
const KEY_MAX_BYTES: usize = 48;

fn normal(key: &str) -> String {
    if key.len() > KEY_MAX_BYTES {
        return String::new();
    }
    key.chars().filter(|c| !matches!(c, '_' | '-')).map(|c| c.to_ascii_lowercase()).collect()
}

/// What an event says of a user's preferences: whose, and which wishes, sorted by field.
pub(super) fn read(body: &Map<String, Value>, refused: &mut Refused) -> Result<(String, Vec<Wish>), Reason> {
    let mut objects = Vec::new();
    collect(body, DEPTH_MAX, &mut objects);
    let said = |wanted: Key| {
        let spellings =
            KEYS.iter().find(|(key, _)| *key == wanted).map_or(&[][..], |(_, spellings)| spellings);
        let all = objects.iter().flat_map(|object| object.iter());
        let mut all = all.filter(|(key, _)| spellings.contains(&normal(key).as_str()));
        let first = all.next()?;
        // A value before an explicit null: keys of one object may say the same thing twice.
        Some(if first.1.is_null() { all.find(|(_, value)| !value.is_null()).unwrap_or(first) } else { first })
    };
    let user = match said(Key::User) {
        Some((key, value)) => user(value).map_err(|why| Reason::UserUnreadable { key: key.clone(), why })?,
        None => return Err(Reason::UserMissing),
    };
    let mut wishes = Vec::new();
    let mut first_refusal = None;
    for field in WishField::ALL {
        let parts: &[(&str, Key)] = match field {
            WishField::Quiet => {
                &[("start", Key::QuietStart), ("end", Key::QuietEnd), ("mode", Key::QuietMode)]
            }
            WishField::Digest => &[("at", Key::DigestAt), ("below", Key::DigestBelow)],
            WishField::Zone | WishField::Offsets | WishField::Mute => &[],
        };
        let flat: Vec<_> = parts.iter().filter_map(|(name, key)| Some((*name, said(*key)?))).collect();
        let (key, reading) = match (said(Key::Whole(field)), flat.first()) {
            (Some((key, value)), _) => (key, wish(field, value)),
            (None, Some((_, (key, _)))) => (*key, wish(field, &gathered(&flat))),
            (None, None) => continue,
        };
        match reading {
            Ok(wish) => wishes.push(wish),
            Err(reason) => {
                first_refusal = first_refusal.or_else(|| Some((key.clone(), reason.clone())));
                refused.add(Refusal { key: key.clone(), reason });
            }
        }
    }
    match first_refusal {
        Some((key, why)) if wishes.is_empty() => {
            Err(Reason::PreferencesUnreadable { key: excerpt(&key), why })
        }
        _ => Ok((user, wishes)),
    }
}

/// What the API is told to change: each key the contract's own, each value one that can be read.
///
/// # Errors
/// What is wrong with the first that is not.
pub fn read_wishes(body: &Value) -> Result<Vec<Wish>, String> {
    const NAMES: [(&str, WishField); 5] = [
        ("timezone", WishField::Zone),
        ("reminder_offsets", WishField::Offsets),
        ("quiet_hours", WishField::Quiet),
        ("mute", WishField::Mute),
        ("digest", WishField::Digest),
    ];
    let Value::Object(map) = body else {
        return Err(format!("preferences are an object, not {}", type_name(body)));
    };
    let mut wishes = Vec::new();
    for (key, value) in map {
        let Some((_, field)) = NAMES.iter().find(|(name, _)| name == key) else {
            let names = NAMES.map(|(name, _)| name).join(", ");
            return Err(format!("`{}` is no preference; there are {names}", excerpt(key)));
        };
        wishes.push(wish(*field, value).map_err(|why| format!("`{key}`: {why}"))?);
    }
    wishes.sort_by_key(Wish::field);
    Ok(wishes)
}

/// A user's id, 1 to [`USER_ID_MAX_BYTES`] bytes.
///
/// # Errors
/// What is wrong with it.
pub fn user_id(text: &str) -> Result<String, String> {
    match text.len() {
        1..=USER_ID_MAX_BYTES => Ok(text.to_owned()),
        _ => Err(format!("a user's id has 1 to {USER_ID_MAX_BYTES} bytes")),
    }
}

fn user(value: &Value) -> Result<String, String> {
    id_text(value).and_then(|id| user_id(&id))
}

/// The objects of an event that may say something, the innermost first.
fn collect<'a>(map: &'a Map<String, Value>, depth: usize, objects: &mut Vec<&'a Map<String, Value>>) {
    if depth > 0 {
        for inner in OBJECTS {
            let found = map.iter().filter(|(key, _)| normal(key) == inner);
            found.filter_map(|(_, value)| value.as_object()).for_each(|map| collect(map, depth - 1, objects));
        }
    }
    objects.push(map);
}

/// Flat keys as the object that they stand for; nulls alone are a null.
fn gathered(flat: &[(&str, (&String, &Value))]) -> Value {
    if flat.iter().all(|(_, (_, value))| value.is_null()) {
        return Value::Null;
    }
    Value::Object(flat.iter().map(|(name, (_, value))| ((*name).to_owned(), (*value).clone())).collect())
}

fn wish(field: WishField, value: &Value) -> Result<Wish, String> {
    if value.is_null() {
        return Ok(Wish::cleared(field));
    }
    match field {
        WishField::Zone => zone(value).map(Some).map(Wish::Zone),
        WishField::Offsets => extras::offset_list(value).map(Wish::Offsets),
        WishField::Quiet => quiet(value).map(Wish::Quiet),
        WishField::Mute => mute(value).map(Wish::Mute),
        WishField::Digest => digest(value).map(Wish::Digest),
    }
}

fn zone(value: &Value) -> Result<Zone, String> {
    let name = text(value, "an IANA zone such as Europe/Berlin")?;
    let unknown = || format!("`{}` is no IANA zone; write one such as Europe/Berlin or UTC", excerpt(name));
    name.parse().map_err(|_| unknown())
}

fn quiet(value: &Value) -> Result<Option<Quiet>, String> {
    let Some(map) = part(value, "{\"start\": \"22:00\", \"end\": \"07:00\"}")? else { return Ok(None) };
    let time = |name: &str| match get(map, name) {
        Some(value) => time_of_day(value).map_err(|why| format!("{name}: {why}")),
        None => Err(format!("{name} is missing; write a time of day such as 22:00")),
    };
    let mode = match get(map, "mode") {
        None => QuietMode::default(),
        Some(value) => {
            let word = text(value, "defer, drop or earlier")?.trim().to_ascii_lowercase();
            let known = QuietMode::ALL.into_iter().find(|mode| mode.name() == word);
            known
                .ok_or_else(|| format!("mode: `{}` is none; write defer, drop or earlier", excerpt(&word)))?
        }
    };
    Quiet::new(time("start")?, time("end")?, mode).map(Some)
}

fn mute(value: &Value) -> Result<Option<Mute>, String> {
    match value {
        Value::Bool(muted) => Ok(muted.then_some(Mute::Always)),
        Value::String(until) => match until.trim().to_ascii_lowercase().as_str() {
            "true" => Ok(Some(Mute::Always)),
            "false" | "" => Ok(None),
            _ if stamp::is_zone_aware(until.trim()) => {
                Ok(stamp::stamp(value)?.map(|stamp| Mute::Until(stamp.at)))
            }
            _ => Err("write true, false, or until when as RFC 3339 with an offset, such as 2026-12-01T00:00:00+01:00".to_owned()),
        },
        other => Err(format!("it is {}; write true, false, or until when", type_name(other))),
    }
}

fn digest(value: &Value) -> Result<Option<Digest>, String> {
    let Some(map) = part(value, "{\"at\": \"08:00\"}")? else { return Ok(None) };
    let at = get(map, "at").ok_or("at is missing; write a time of day such as 08:00")?;
    let at = time_of_day(at).map_err(|why| format!("at: {why}"))?;
    let below = match get(map, "below") {
        None => Priority::High,
        Some(value) => extras::priority(value)?.unwrap_or(Priority::High),
    };
    if below == Priority::Low {
        return Err("below: nothing is below LOW; write HIGH or MEDIUM".to_owned());
    }
    Ok(Some(Digest { at, below }))
}

/// `value` as an object, unless it says that it is not in use.
fn part<'a>(value: &'a Value, wanted: &str) -> Result<Option<&'a Map<String, Value>>, String> {
    match value {
        Value::Bool(false) => Ok(None),
        Value::Object(map) if get(map, "enabled") == Some(&Value::Bool(false)) => Ok(None),
        Value::Object(map) => Ok(Some(map)),
        other => Err(format!("it is {}; write {wanted} or null", type_name(other))),
    }
}

/// The value of `name` in `map`, whatever its case; a null is as good as nothing there.
fn get<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    map.iter().find(|(key, value)| !value.is_null() && normal(key) == name).map(|(_, value)| value)
}

fn time_of_day(value: &Value) -> Result<TimeOfDay, String> {
    text(value, "a time of day such as 22:00")?.trim().parse()
}

fn text<'a>(value: &'a Value, wanted: &str) -> Result<&'a str, String> {
    value.as_str().ok_or_else(|| format!("it is {}; write {wanted}", type_name(value)))
}
