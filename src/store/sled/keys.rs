//! Keys: one byte that names the space, then what sorts within it as it is read: numbers big-endian, instants
//! with their sign flipped, ids as their bytes.

use crate::domain::{ReminderId, TaskId, Timestamp};
use crate::store::IndexKey;

/// The number of the format, as a big-endian u32 that every release can read.
pub(super) const FORMAT: u8 = 0x00;
/// Counters, marks and numbers: one value.
pub(super) const META: u8 = b'm';
/// Which store it is, as 16 bytes that are never in parts.
pub(super) const IDENTITY: u8 = b'i';
/// Where a restored store comes from: one value.
pub(super) const RESTORED: u8 = b'R';
/// Task id → record.
pub(super) const RECORD: u8 = b'r';
/// Instant and reminder id → task id.
pub(super) const PENDING: u8 = b'p';
/// Instant and reminder id → task id.
pub(super) const SETTLED: u8 = b's';
/// User → its preferences.
pub(super) const USER: u8 = b'u';
/// Number → the reminders under way.
pub(super) const CLAIM: u8 = b'c';
/// Number → what is known of a quarantined event.
pub(super) const QUARANTINED: u8 = b'q';
/// Number → its body.
pub(super) const QUARANTINED_BODY: u8 = b'Q';
/// Number → what is known of an outbox entry.
pub(super) const OUTBOX: u8 = b'o';
/// Number → its body.
pub(super) const OUTBOX_BODY: u8 = b'O';
/// The parts of values that are too long for one: space, length of the rest of the key, that rest, number.
pub(super) const PART: u8 = 0xf0;

/// Spaces whose values may come in parts.
pub(super) const SPACES: [u8; 11] = [
    META,
    RESTORED,
    RECORD,
    PENDING,
    SETTLED,
    USER,
    CLAIM,
    QUARANTINED,
    QUARANTINED_BODY,
    OUTBOX,
    OUTBOX_BODY,
];

/// The only key of `space`.
pub(super) fn single(space: u8) -> Vec<u8> {
    vec![space]
}

/// The key of a record.
pub(super) fn record(task: &TaskId) -> Vec<u8> {
    joined(RECORD, task.as_str().as_bytes())
}

/// The task of a record's key.
pub(super) fn task_of(key: &[u8]) -> Option<TaskId> {
    TaskId::new(std::str::from_utf8(key.get(1..)?).ok()?)
}

/// The key of a user's preferences.
pub(super) fn user(user: &str) -> Vec<u8> {
    joined(USER, user.as_bytes())
}

/// The user of the key of its preferences.
pub(super) fn user_of(key: &[u8]) -> Option<String> {
    Some(std::str::from_utf8(key.get(1..)?).ok()?.to_owned())
}

/// A place in one of the reminder indexes.
pub(super) fn index(space: u8, (at, id): &IndexKey) -> Vec<u8> {
    let mut key = joined(space, &(at.millis().cast_unsigned() ^ SIGN).to_be_bytes());
    key.extend_from_slice(id.as_bytes());
    key
}

/// The place that a key of a reminder index stands for.
pub(super) fn index_of(key: &[u8]) -> Option<IndexKey> {
    let (at, id) = key.get(1..)?.split_first_chunk()?;
    let at = (u64::from_be_bytes(*at) ^ SIGN).cast_signed();
    Some((Timestamp::from_millis(at), ReminderId::from_bytes(id.try_into().ok()?)))
}

/// A numbered key.
pub(super) fn numbered(space: u8, number: u64) -> Vec<u8> {
    joined(space, &number.to_be_bytes())
}

/// The number of a numbered key.
pub(super) fn number_of(key: &[u8]) -> Option<u64> {
    Some(u64::from_be_bytes(key.get(1..)?.try_into().ok()?))
}

/// What the keys of all parts of `key`'s value begin with. The length keeps apart keys of which one begins with
/// the other.
pub(super) fn parts(key: &[u8]) -> Vec<u8> {
    let (space, rest) = key.split_first().unwrap_or((&0, &[]));
    // Keys are at most a space and a task id: 257 bytes.
    let length = u16::try_from(rest.len()).unwrap_or(u16::MAX);
    let mut prefix = vec![PART, *space];
    prefix.extend_from_slice(&length.to_be_bytes());
    prefix.extend_from_slice(rest);
    prefix
}

/// The key of one part.
pub(super) fn part(prefix: &[u8], number: u32) -> Vec<u8> {
    [prefix, &number.to_be_bytes()].concat()
}

/// The least key above `key`.
pub(super) fn above(key: &[u8]) -> Vec<u8> {
    [key, &[0]].concat()
}

/// The least key above all that begin with `prefix`, which holds at least one byte below the greatest.
pub(super) fn beyond(prefix: &[u8]) -> Vec<u8> {
    let mut key = prefix.to_vec();
    while let Some(last) = key.pop() {
        if last < u8::MAX {
            key.push(last + 1);
            break;
        }
    }
    key
}

const SIGN: u64 = 1 << 63;

fn joined(space: u8, rest: &[u8]) -> Vec<u8> {
    let mut key = Vec::with_capacity(1 + rest.len() + size_of::<ReminderId>());
    key.push(space);
    key.extend_from_slice(rest);
    key
}
