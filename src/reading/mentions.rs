//! Whose a body is, whether or not it can be read as an event.
//!
//! Two answers for two uses. [`names_user`] is strict: what it finds is the user's for certain. [`mentions`] errs
//! towards yes, for bodies of which nothing is needed any more: any value that is the id, under whatever key, and in
//! what is no JSON any word that is.

use serde_json::Value;

use super::names::{Name, Says, lookup};
use super::task::{Told, open};
use super::wrapping::{WRAPPINGS_MAX, decode_base64, parse};
use crate::domain::{Field, TaskId};

/// Whether a key made for it names `user`, at any depth of a body that is JSON.
#[must_use]
pub fn names_user(body: &[u8], user: &str) -> bool {
    let under = |key: &str| matches!(lookup(key), Some((Name::Field(Says::Plain(Field::User)), _)));
    parse(body).is_ok_and(|value| find(&value, WRAPPINGS_MAX, &|key, value| under(key) && is(value, user)))
}

/// Whether the body says `user` as a value or a key anywhere, or as a word where it is no JSON.
#[must_use]
pub fn mentions(body: &[u8], user: &str) -> bool {
    match parse(body) {
        Ok(value) => {
            says("", &value, user) || find(&value, WRAPPINGS_MAX, &|key, value| says(key, value, user))
        }
        Err(_) => has_word(body, user.as_bytes()),
    }
}

/// The task that the body speaks of, as far as it can be told.
#[must_use]
pub fn task_of(body: &[u8]) -> Option<TaskId> {
    let unwrapped = open(body).ok()?;
    Told::of(&unwrapped.envelopes, unwrapped.body.as_object()?).task_id(true).ok()
}

fn is(value: &Value, user: &str) -> bool {
    match value {
        Value::String(text) => text == user,
        Value::Number(number) => number.to_string() == user,
        _ => false,
    }
}

fn says(key: &str, value: &Value, user: &str) -> bool {
    let broken = |text: &str| looks_wrapped(text) && parse(text.as_bytes()).is_err();
    key == user
        || is(value, user)
        || value.as_str().is_some_and(|text| broken(text) && has_word(text.as_bytes(), user.as_bytes()))
}

fn looks_wrapped(text: &str) -> bool {
    text.trim_start().starts_with(['{', '[', '"'])
}

/// Whether `hit` holds for any value below `value`, each with the key it stands under; entries of a list stand under
/// the list's. JSON in texts is looked into, at most `wrappings` deep. The parser bounds how deep values nest.
fn find(value: &Value, wrappings: usize, hit: &dyn Fn(&str, &Value) -> bool) -> bool {
    find_under("", value, wrappings, hit)
}

fn find_under(key: &str, value: &Value, wrappings: usize, hit: &dyn Fn(&str, &Value) -> bool) -> bool {
    let within = |bytes: &[u8]| {
        wrappings > 0 && parse(bytes).is_ok_and(|inner| find_under(key, &inner, wrappings - 1, hit))
    };
    match value {
        Value::Object(map) => {
            map.iter().any(|(key, value)| hit(key, value) || find_under(key, value, wrappings, hit))
        }
        Value::Array(list) => {
            list.iter().any(|value| hit(key, value) || find_under(key, value, wrappings, hit))
        }
        Value::String(text) if key == "data_base64" => {
            decode_base64(text).is_some_and(|bytes| within(&bytes))
        }
        Value::String(text) if looks_wrapped(text) => within(text.as_bytes()),
        _ => false,
    }
}

/// Whether `word` stands in `text` with nothing beside it that could belong to it.
fn has_word(text: &[u8], word: &[u8]) -> bool {
    let belongs = |byte: Option<&u8>| {
        byte.is_some_and(|byte| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || !byte.is_ascii()
        })
    };
    !word.is_empty()
        && text.windows(word.len()).enumerate().any(|(at, window)| {
            window == word
                && !belongs(at.checked_sub(1).and_then(|before| text.get(before)))
                && !belongs(text.get(at + word.len()))
        })
}
