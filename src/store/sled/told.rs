//! What a person is told of keys: what one is of, and what lies between two that can be read.

use super::keys;

/// What the engine can't read.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct LeftOut {
    /// The least key in it.
    pub(super) from: Vec<u8>,
    /// The least key behind it.
    pub(super) to: Vec<u8>,
    pub(super) why: String,
}

impl std::fmt::Display for LeftOut {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { from, to, why } = self;
        match from.split_last() {
            Some((_, last)) if !last.is_empty() => write!(f, "what comes after {}", told(last))?,
            _ => write!(f, "what comes from the first of {}", name(from))?,
        }
        match to.as_slice() {
            [beyond] => write!(f, " to the last of {}", name(&[beyond - 1]))?,
            to => write!(f, " and before {}", told(to))?,
        }
        write!(f, " cannot be read: {why}")
    }
}

/// What the key is of.
pub(super) fn name(key: &[u8]) -> &'static str {
    match key.first() {
        Some(&keys::FORMAT) => "format",
        Some(&keys::META) => "counters",
        Some(&keys::IDENTITY) => "identity",
        Some(&keys::RESTORED) => "origin",
        Some(&keys::RECORD) => "tasks",
        Some(&keys::PENDING) => "pending reminders",
        Some(&keys::SETTLED) => "settled reminders",
        Some(&keys::USER) => "users' preferences",
        Some(&keys::CLAIM) => "claims",
        Some(&keys::QUARANTINED) => "quarantined events",
        Some(&keys::QUARANTINED_BODY) => "bodies of quarantined events",
        Some(&keys::OUTBOX) => "outbox",
        Some(&keys::OUTBOX_BODY) => "bodies of the outbox",
        Some(&keys::PART) => "parts of long values",
        _ => "unknown",
    }
}

/// A key as it is told: what it is of, and as much of it as a person can read.
pub(super) fn told(key: &[u8]) -> String {
    let rest = key.get(1..).unwrap_or_default();
    match (key.first(), std::str::from_utf8(rest)) {
        (Some(&keys::RECORD | &keys::USER), Ok(text)) => format!("{} {}", name(key), text.escape_debug()),
        _ => match keys::number_of(key) {
            Some(number) => format!("{} {number}", name(key)),
            None => format!("{} {}", name(key), rest.escape_ascii()),
        },
    }
}
