//! Digests: several reminders of one user in one event.
//!
//! Owns what identifies a digest, and how many reminders and bytes one holds. It is fixed when it is first tried: a
//! repeat has the same id and the same members but for those that have left since, and no others ever join it.

use super::event::TaskId;
use super::reminder::{Reminder, ReminderId};
use super::task::Task;
use super::time::Timestamp;

/// Most reminders in a digest; more make further ones. Several screenfuls, and few enough for one claim.
pub const DIGEST_MEMBERS_MAX: usize = 100;
/// Most bytes of a digest's items: Kafka's limit of 1 MiB for a record, less the envelope, the names that the sidecar
/// adds, and some room.
pub const DIGEST_MAX_BYTES: usize = 960 * 1024;
/// What an item takes beside its texts, in bytes: keys, ids, instants, an occurrence and a rule with zones.
const ITEM_BYTES: usize = 768;

impl ReminderId {
    /// The id of the digest of `members`, in their order, that is planned for `user` at `at`.
    #[must_use]
    pub fn of_digest(user: &str, at: Timestamp, members: &[Self]) -> Self {
        let at = at.to_rfc3339();
        let head = [b"digest".as_slice(), user.as_bytes(), at.as_bytes()];
        let members = members.iter().map(|id| id.as_bytes().as_slice());
        Self::named(head.into_iter().chain(members))
    }
}

/// Most bytes that a reminder of `task` takes as an item of a digest.
#[must_use]
pub fn item_bytes(id: &TaskId, task: &Task) -> usize {
    ITEM_BYTES + escaped(id.as_str()) + task.title().map_or(0, escaped)
}

/// Most bytes that `text` takes in JSON.
fn escaped(text: &str) -> usize {
    text.bytes()
        .map(|byte| match byte {
            b'"' | b'\\' => 2,
            0..0x20 => 6,
            _ => 1,
        })
        .sum()
}

/// Splits members, in their order, into as many digests as their number and bytes need.
#[must_use]
pub fn split<T>(members: Vec<T>, bytes: impl Fn(&T) -> usize) -> Vec<Vec<T>> {
    let mut digests: Vec<Vec<T>> = Vec::new();
    let mut taken = 0;
    for member in members {
        let size = bytes(&member);
        let fits = |last: &Vec<T>| last.len() < DIGEST_MEMBERS_MAX && taken + size <= DIGEST_MAX_BYTES;
        match digests.last_mut().filter(|last| fits(last)) {
            Some(last) => {
                last.push(member);
                taken += size;
            }
            None => {
                digests.push(vec![member]);
                taken = size;
            }
        }
    }
    digests
}

/// Whether it was its user's wishes that moved a reminder: what a window moved stands on a whole second, where no user's
/// turn is.
#[must_use]
pub fn is_moved_by_wishes(reminder: &Reminder) -> bool {
    reminder.moved_from.is_some() && reminder.fire_at.millis() % 1000 != 0
}

/// Whether a reminder may go out together with others: its user's wishes moved it, and it has not been tried alone.
#[must_use]
pub fn may_join(reminder: &Reminder) -> bool {
    let untried = reminder.attempts == 0 && !reminder.maybe_out;
    is_moved_by_wishes(reminder) && (untried || reminder.within.is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_on_its_bounds_is_one_and_a_member_more_makes_two() {
        let sizes = |members: usize, bytes: usize| {
            split(vec![(); members], |()| bytes).iter().map(Vec::len).collect::<Vec<_>>()
        };
        assert_eq!(sizes(DIGEST_MEMBERS_MAX, 1), [DIGEST_MEMBERS_MAX]);
        assert_eq!(sizes(DIGEST_MEMBERS_MAX + 1, 1), [DIGEST_MEMBERS_MAX, 1]);
        assert_eq!(sizes(4, DIGEST_MAX_BYTES / 4), [4]);
        assert_eq!(sizes(4, DIGEST_MAX_BYTES / 4 + 1), [3, 1]);
        assert_eq!(sizes(2, DIGEST_MAX_BYTES + 1), [1, 1], "one that is too large is alone");
    }

    #[test]
    fn another_user_time_member_or_order_is_another_digest() {
        let id = |byte| ReminderId::from_bytes([byte; 16]);
        let at = Timestamp::from_millis;
        let one = ReminderId::of_digest("u", at(0), &[id(1), id(2)]);
        assert_eq!(one.to_string(), "d8904374-f890-5c58-8148-20a7d033d7c0");
        for other in [
            ReminderId::of_digest("v", at(0), &[id(1), id(2)]),
            ReminderId::of_digest("u", at(1), &[id(1), id(2)]),
            ReminderId::of_digest("u", at(0), &[id(2), id(1)]),
            ReminderId::of_digest("u", at(0), &[id(1)]),
        ] {
            assert_ne!(one, other);
        }
    }

    #[test]
    fn text_takes_what_json_makes_of_it() {
        for text in ["plain", "ümlaut", "a\"b\\c", "\u{0}\u{1f}\n\t", "\u{7f}"] {
            let written = serde_json::to_string(text).unwrap().len() - 2;
            assert!(escaped(text) >= written, "{text:?}");
        }
    }
}
