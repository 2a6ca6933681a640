//! What a failure to open means and what to do about it, by what the system and the engine say of it.

use std::io;
use std::path::Path;

use super::super::engine::changed;
use super::super::panics;
use crate::store::{OpenError, StoreError};

/// A cause outside of the store: the words that give it away, and what to do.
///
/// sled hands on the text of an error and not the error, and panics with it at some places, so text is all
/// there is to go by.
const CAUSES: [(&[&str], &str); 8] = [
    (
        &["Permission denied", "PermissionDenied", "Operation not permitted"],
        "give this user read and write access to the directory, what is in it and the directory above",
    ),
    (&FULL, FREE_SPACE),
    (
        &["Too many open files", "code: 24", "code: 23"],
        "raise the limit of open files (ulimit -n), then start again",
    ),
    (&["Read-only file system", "ReadOnlyFilesystem"], "mount its file system writable"),
    (
        &[
            "not a directory",
            "Not a directory",
            "NotADirectory",
            "Is a directory",
            "File exists",
            "the root of",
        ],
        "set store.path to a directory that is its own",
    ),
    (&["Input/output error", "code: 5,"], "look after the disk: it does not answer"),
    (
        &["resource busy", "ResourceBusy"],
        "a directory on which a file system is mounted can't be renamed, and no other store can take its place: move what \
         lies in it into a directory inside it and what lies beside it along, and set store.path to that",
    ),
    (
        &["symbolic links", "FilesystemLoop"],
        "a link is where a file of the store's own belongs, and is not followed: look where it leads, and remove it",
    ),
];

/// What to do about a file system that is full.
pub(super) const FREE_SPACE: &str = "free space on its file system, then start again";

/// How it shows that there is no room.
const FULL: [&str; 5] = ["No space left", "StorageFull", "code: 28", "Disk quota", "QuotaExceeded"];

/// How an error of the system shows in the text of a panic, in either of its two ways of being written.
const SYSTEM: [&str; 3] = ["os error", "Os {", "code:"];

/// A store out of reach for `reason`.
pub(super) fn unreachable(path: &Path, reason: &str) -> OpenError {
    let advice = cause(reason).unwrap_or("see to the cause, then start again");
    OpenError::Unreachable { path: path.display().to_string(), reason: reason.to_owned(), advice }
}

/// A damaged store.
pub(super) fn damaged(path: &Path, reason: &str) -> OpenError {
    OpenError::Damaged { path: path.display().to_string(), reason: reason.to_owned() }
}

/// What the engine's words mean where it has no more to say: out of reach for a cause that they name or where the system
/// said it, whatever it said, else damaged.
pub(super) fn of_text(path: &Path, reason: &str) -> OpenError {
    let is_of_system = SYSTEM.iter().any(|word| reason.contains(word));
    if is_of_system || cause(reason).is_some() { unreachable(path, reason) } else { damaged(path, reason) }
}

/// What the store's error means: only what was read and is wrong is damage, never what could not be read.
pub(super) fn of_store(path: &Path, error: StoreError) -> OpenError {
    match error {
        StoreError::Corrupt(reason) if !panics::is_one(&reason) => damaged(path, &reason),
        StoreError::Torn(reason) => damaged(path, &reason),
        StoreError::Corrupt(reason) | StoreError::Unsynced(reason) => of_text(path, &reason),
        StoreError::Unavailable(reason) => unreachable(path, &reason),
        error @ StoreError::Gone { .. } => unreachable(path, &error.to_string()),
    }
}

/// What the engine's error means.
pub(super) fn of_engine(path: &Path, error: &sled::Error) -> OpenError {
    match error {
        sled::Error::Io(error) if error.to_string().contains("could not acquire lock") => OpenError::Held {
            path: path.display().to_string(),
            holder: "a process that does not hold the lock file beside it".into(),
        },
        sled::Error::Io(error) if is_of_data(error) => damaged(path, &error.to_string()),
        sled::Error::Io(error) => unreachable(path, &format!("{error} ({:?})", error.kind())),
        error @ sled::Error::Corruption { .. } => damaged(path, &changed(error)),
        error => of_text(path, &format!("the engine says: {error}")),
    }
}

/// The file is there and too short for, or unlike, what is said to be in it.
fn is_of_data(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidData)
}

/// Whether `reason` says that there is no room.
pub(super) fn is_full(reason: &str) -> bool {
    FULL.iter().any(|word| reason.contains(word))
}

fn cause(reason: &str) -> Option<&'static str> {
    CAUSES.iter().find(|(words, _)| words.iter().any(|word| reason.contains(word))).map(|(_, advice)| *advice)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The system's numbers of errors, on Linux.
    #[cfg(target_os = "linux")]
    #[test]
    fn each_cause_outside_of_the_store_has_its_advice_however_it_comes_to_be_told() {
        let table = [
            (1, "read and write access"),
            (13, "read and write access"),
            (28, "free space"),
            (122, "free space"),
            (23, "ulimit -n"),
            (24, "ulimit -n"),
            (30, "writable"),
            (17, "a directory that is its own"),
            (20, "a directory that is its own"),
            (21, "a directory that is its own"),
            (5, "look after the disk"),
            (16, "a directory inside it"),
            (40, "a link is where"),
        ];
        let path = Path::new("store");
        for (number, advice) in table {
            let error = || io::Error::from_raw_os_error(number);
            let told_again = sled::Error::Io(io::Error::new(error().kind(), format!("{:?}", error())));
            for told in [
                unreachable(path, &error().to_string()),
                of_engine(path, &sled::Error::Io(error())),
                of_engine(path, &told_again),
                of_text(path, &format!("the engine panicked: {:?}", error())),
            ] {
                assert!(matches!(told, OpenError::Unreachable { .. }), "{number}: {told}");
                assert!(told.to_string().contains(advice), "{number}: {told}");
            }
        }
    }

    /// Whatever number the system gives, and be it one that nobody thought of.
    #[test]
    fn what_could_not_be_read_is_never_damage() {
        let path = Path::new("store");
        for number in 1..=133 {
            let error = || io::Error::from_raw_os_error(number);
            let panic = format!("{}{:?}", panics::PANICKED, error());
            for told in [
                of_store(path, StoreError::Unavailable(error().to_string())),
                of_store(path, StoreError::Unsynced(error().to_string())),
                of_store(path, StoreError::Corrupt(panic.clone())),
                of_text(path, &panic),
                of_text(path, &format!("{}{}", panics::PANICKED, error())),
                of_engine(path, &sled::Error::Io(error())),
            ] {
                assert!(matches!(told, OpenError::Unreachable { .. }), "{number}: {told}");
            }
        }
        let told = of_store(path, StoreError::Unavailable("it is closed".into()));
        assert!(matches!(told, OpenError::Unreachable { .. }), "{told}");
    }

    #[test]
    fn what_was_read_and_is_wrong_is_damage() {
        let path = Path::new("store");
        for reason in
            ["the record of the task \"os error 5\" is cut off", "the engine panicked: no such page"]
        {
            let told = of_store(path, StoreError::Corrupt(reason.into()));
            assert!(matches!(told, OpenError::Damaged { .. }), "{told}");
        }
    }

    #[test]
    fn what_has_no_cause_outside_is_damage() {
        let path = Path::new("store");
        let short = sled::Error::Io(io::Error::from(io::ErrorKind::UnexpectedEof));
        for told in [of_engine(path, &short), of_text(path, "the engine panicked: index out of bounds")] {
            assert!(matches!(told, OpenError::Damaged { .. }), "{told}");
        }
    }

    /// What is told is kept in a restored store, and read long after.
    #[test]
    fn the_engines_own_words_are_led_by_ours() {
        let changed = sled::Error::Corruption { at: None, bt: () };
        let table = [
            (changed, "a part of its files is not what was written: ", "a checksum does not match"),
            (sled::Error::Unsupported("please change it back".into()), "the engine says: ", "change it back"),
            (sled::Error::ReportableBug("it is odd".into()), "the engine says: ", "it is odd"),
        ];
        for (error, led, told) in table {
            let OpenError::Damaged { reason, .. } = of_engine(Path::new("store"), &error) else {
                panic!("{error}")
            };
            assert!(reason.starts_with(led) && reason.contains(told), "{reason}");
        }
    }
}
